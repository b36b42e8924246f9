//! `gainsay explain`: what an anomaly, a model or a guarantee means, from the checker's own table.

use clap::Args;
use gainsay_checker::explain::{About, Entry, all_named, entries, names, relations};

use super::options::{nearest, usage};
use crate::exit::Exit;
use crate::talk;

/// Where lines end.
const WIDTH: usize = 92;

/// The flags of `gainsay explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// An anomaly, a model, a guarantee or a workload; without it, all are listed
    pub name: Option<String>,
}

/// Explains one name, or lists all.
pub fn main(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let Some(name) = &args.name else {
        list();
        return Ok(Exit::Held);
    };
    let found: Vec<&Entry> = all_named(name).collect();
    if found.is_empty() {
        let near =
            nearest(name, entries().flat_map(names)).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(usage(format!("explain: {name:?} is not known{near}\n`gainsay explain` lists all")));
    }
    for (at, entry) in found.iter().enumerate() {
        if at > 0 {
            talk::result("");
        }
        for line in page(entry) {
            talk::result(&line);
        }
    }
    Ok(Exit::Held)
}

/// A line for each entry: how its meaning begins.
fn list() {
    for (title, about) in
        [("anomalies", About::Anomaly), ("models", About::Model), ("guarantees and workloads", About::Guarantee)]
    {
        talk::result(&talk::paint("1", title));
        for entry in entries().filter(|entry| entry.about == about) {
            let mut lines =
                wrapped(entry.meaning.split_once(". ").map_or(entry.meaning, |(first, _)| first), WIDTH - 32);
            let more = if lines.len() > 1 { " …" } else { "" };
            let first = if lines.is_empty() { String::new() } else { lines.swap_remove(0) };
            talk::result(&format!("  {:<37} {first}{more}", entry.name));
        }
        talk::result("");
    }
}

/// An entry as it is printed.
fn page(entry: &Entry) -> Vec<String> {
    let kind = match entry.about {
        About::Anomaly => "an anomaly",
        About::Model => "a model",
        About::Guarantee => "a guarantee",
    };
    let aliases = if entry.aliases.is_empty() { String::new() } else { format!(", also {}", entry.aliases.join(", ")) };
    let mut out = vec![format!("{}: {kind}{aliases}", talk::paint("1", entry.name)), String::new()];
    out.extend(wrapped(entry.meaning, WIDTH));
    if !entry.drawing.is_empty() {
        out.push(String::new());
        out.extend(entry.drawing.lines().map(|line| format!("    {line}")));
    }
    if !entry.shows.is_empty() {
        out.push(String::new());
        out.extend(wrapped(entry.shows, WIDTH));
    }
    out.push(String::new());
    let facts = [("look at", entry.look.to_string()), ("seen in", entry.systems.join("; "))].into_iter();
    let related = relations(entry).into_iter().map(|(label, names)| (label, names.join(", ")));
    for (label, text) in facts.chain(related).chain([("sources", entry.sources.join("; "))]) {
        if text.is_empty() {
            continue;
        }
        for (at, line) in wrapped(&text, WIDTH - 16).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            out.push(format!("{label:<15} {line}"));
        }
    }
    out
}

/// Text in lines of at most `width` columns, unless a word is longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let wide = word.chars().count();
        match lines.last_mut() {
            Some(line) if used + 1 + wide <= width => {
                line.push(' ');
                line.push_str(word);
                used += 1 + wide;
            }
            _ => {
                lines.push(word.to_string());
                used = wide;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_fits_the_terminal() {
        for entry in entries() {
            for line in page(entry) {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = main(&ExplainArgs { name: Some("write-skwe".into()) }).expect_err("it is misspelt").to_string();
        assert!(error.contains("did you mean write-skew?"), "{error}");
    }
}
