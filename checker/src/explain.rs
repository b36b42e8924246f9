//! What every anomaly, model and guarantee means: in plain words, with a drawn history, where it comes from, and who had it.
//!
//! Each drawing is also a test: it shows the anomaly that it stands for. The same drawings are what `gainsay generate --anomaly` plants into
//! a valid history.

mod anomalies;
mod guarantees;
mod models;
mod ordered;
mod orders;
mod searched;

use crate::txn::lattice;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Something that goes wrong.
    Anomaly,
    /// A consistency model of transactions.
    Model,
    /// Something that a checker decides, of sessions, objects or replicas.
    Guarantee,
}

/// An explanation.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What it is.
    pub about: About,
    /// What it means, for someone who knows databases and not this tool: two to five sentences.
    pub meaning: &'static str,
    /// A drawn history (see [`drawn`](crate::drawn)) that shows the anomaly, or that breaks the model; empty where transactions cannot draw it.
    pub drawing: &'static str,
    /// What the drawing shows, in a sentence or two.
    pub shows: &'static str,
    /// Where to look in a database that has it.
    pub look: &'static str,
    /// Real systems that had it, with the analysis that found it.
    pub systems: &'static [&'static str],
    /// Papers and sections.
    pub sources: &'static [&'static str],
}

/// Every entry: anomalies, models, guarantees.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    anomalies::ENTRIES
        .iter()
        .chain(orders::ENTRIES)
        .chain(searched::ENTRIES)
        .chain(models::ENTRIES)
        .chain(ordered::ENTRIES)
        .chain(guarantees::ENTRIES)
}

/// Every entry of that name or alias: a workload may share its name with a model. `-item` in a name says nothing, since
/// everything here is about items.
pub fn all_named(name: &str) -> impl Iterator<Item = &'static Entry> {
    let wanted = plain(name);
    entries().filter(move |entry| names(entry).any(|name| plain(name) == wanted))
}

/// The first entry of that name or alias.
pub fn named(name: &str) -> Option<&'static Entry> {
    all_named(name).next()
}

/// How an entry stands to the models: labels, and names of models; empty for a guarantee.
pub fn relations(entry: &Entry) -> Vec<(&'static str, Vec<&'static str>)> {
    match (entry.about, lattice::named(entry.name)) {
        (About::Anomaly, _) => vec![("prohibited by", lattice::ruled_out(&[entry.name]).0)],
        (About::Model, Some(model)) => {
            let stronger = lattice::MODELS.iter().filter(|other| other.implies.contains(&model.name));
            let mut prohibits: Vec<&str> =
                model.prohibits.iter().filter_map(|name| named(name)).map(|found| found.name).collect();
            prohibits.dedup();
            vec![
                ("implies", model.implies.to_vec()),
                ("is implied by", stronger.map(|other| other.name).collect()),
                ("prohibits", prohibits),
            ]
        }
        _ => Vec::new(),
    }
}

/// All entries as one page of Markdown.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Anomalies, models and guarantees\n\n\
        What `gainsay explain` says, on one page; written from the same table. In drawings a line is a process and\n\
        columns are time: `[` begins a transaction, `]` ends one that committed, `!` one that failed. `x+1` appends 1\n\
        to the list x, `x=1` writes 1 to the register x, `x:1,2` is what a read returned, and `x:` a read that found\n\
        nothing.\n",
    );
    for (title, about) in
        [("Anomalies", About::Anomaly), ("Models", About::Model), ("Guarantees and workloads", About::Guarantee)]
    {
        out.push_str(&format!("\n## {title}\n"));
        for entry in entries().filter(|entry| entry.about == about) {
            chapter(entry, &mut out);
        }
    }
    out
}

fn chapter(entry: &Entry, out: &mut String) {
    out.push_str(&format!("\n### {}\n\n", entry.name));
    if !entry.aliases.is_empty() {
        out.push_str(&format!("Also {}.\n\n", entry.aliases.join(", ")));
    }
    out.push_str(&format!("{}\n\n", entry.meaning));
    if !entry.drawing.is_empty() {
        out.push_str(&format!("```text\n{}\n```\n\n", entry.drawing));
    }
    if !entry.shows.is_empty() {
        out.push_str(&format!("{}\n\n", entry.shows));
    }
    let related = relations(entry).into_iter().map(|(label, names)| (label, names.join(", ")));
    let facts = [("look at", entry.look.to_string()), ("seen in", entry.systems.join("; "))];
    for (label, text) in facts.into_iter().chain(related).chain([("sources", entry.sources.join("; "))]) {
        if !text.is_empty() {
            out.push_str(&format!("- *{label}:* {text}\n"));
        }
    }
}

/// The name of an entry, and its aliases.
pub fn names(entry: &'static Entry) -> impl Iterator<Item = &'static str> {
    std::iter::once(entry.name).chain(entry.aliases.iter().copied())
}

fn plain(name: &str) -> String {
    name.trim_start_matches(':').replace("-item", "").to_ascii_lowercase()
}
