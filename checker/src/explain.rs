//! What every anomaly, model and guarantee means: in plain words, with a drawn history, where it comes from, and who had it.
//!
//! Each drawing is also a test: it shows the anomaly that it stands for. The same drawings are what `gainsay generate --anomaly` plants into
//! a valid history.

mod anomalies;
mod guarantees;
mod models;
mod orders;
mod searched;

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
    anomalies::ENTRIES.iter().chain(orders::ENTRIES).chain(searched::ENTRIES).chain(models::ENTRIES).chain(guarantees::ENTRIES)
}

/// The entry of that name or alias; `-item` in a name says nothing, since everything here is about items.
pub fn named(name: &str) -> Option<&'static Entry> {
    let plain = |name: &str| name.trim_start_matches(':').replace("-item", "").to_ascii_lowercase();
    let wanted = plain(name);
    entries().find(|entry| plain(entry.name) == wanted || entry.aliases.iter().any(|alias| plain(alias) == wanted))
}
