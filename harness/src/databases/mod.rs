//! The table of databases.

pub mod exec;
pub mod noop;
pub mod refdb;

/// What `gainsay list` shows of a database.
pub struct Entry {
    /// The name for `--db`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
}

/// Every database that can be put under test.
pub const DATABASES: &[Entry] = &[
    Entry { name: "refdb", about: "the reference database, in any of its modes of replication" },
    Entry { name: "exec", about: "any other: --start starts a node, --client is a program that speaks JSON lines" },
    Entry { name: "noop", about: "answers at once and stores nothing: measures the harness itself" },
];
