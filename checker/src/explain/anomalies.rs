//! Anomalies of transactions.

use super::{About, Entry};

/// From the worst to the mildest.
pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "G0",
    aliases: &["write-cycle", "dirty-write"],
    about: About::Anomaly,
    meaning: "Two transactions wrote the same keys, and their writes are interleaved: on one key the first came last, on the other the second. \
            What is stored is the result of neither order.",
    drawing: "p0  [x+1 y+1    ]\np1   [x+2 y+2  ]\np2                 [x:1,2 y:2,1]",
    shows: "The list x says that p0 wrote before p1, the list y says that p1 wrote before p0.",
    look: "Locks that are released before the transaction ends; replicas that apply the writes of one transaction one by one.",
    systems: &[],
    sources: &[
        "Adya, Weak Consistency (1999), section 3.2",
        "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), P0",
    ],
}];
