//! `gainsay list`: what there is, from the tables themselves.

use clap::Args;

use super::options::one;
use crate::exit::Exit;
use crate::talk;

/// The flags of `gainsay list`.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// One table only: databases, modes, workloads, faults, guarantees
    pub what: Option<String>,
}

/// A table's title and its lines of name and description.
type Table = (&'static str, Vec<(&'static str, &'static str)>);

/// Lists.
pub fn main(args: &ListArgs) -> anyhow::Result<Exit> {
    let tables = tables();
    if let Some(what) = &args.what {
        let titles: Vec<&str> = tables.iter().map(|(title, _)| *title).collect();
        one("list", what, &titles)?;
    }
    for (title, lines) in &tables {
        if args.what.as_deref().is_none_or(|what| what == *title) {
            talk::result(&talk::paint("1", title));
            for (name, about) in lines {
                talk::result(&format!("  {name:<20} {about}"));
            }
            talk::result("");
        }
    }
    Ok(Exit::Held)
}

fn tables() -> Vec<Table> {
    vec![
        ("databases", crate::databases::DATABASES.iter().map(|entry| (entry.name, entry.about)).collect()),
        ("modes", refdb::MODES.iter().map(|entry| (entry.name, entry.about)).collect()),
        ("workloads", gainsay_workloads::WORKLOADS.iter().map(|entry| (entry.name, entry.about)).collect()),
        ("faults", gainsay_nemesis::FAULTS.iter().map(|entry| (entry.name, entry.about)).collect()),
        ("guarantees", gainsay_checker::checkers::CHECKERS.iter().map(|entry| (entry.name, entry.about)).collect()),
    ]
}
