//! What Jepsen's own checkers decide, beside transactions: sets, queues, counters, accounts, and the orders in which inserts appear.
//!
//! Names, options and result keys are Jepsen's (`jepsen.checker`, `jepsen.tests.*`, `jepsen.cockroach.*`) and elle-cli's, so that
//! whoever knows those finds what they look for. The verdicts differ in the following, always towards what can be proven:
//!
//! - An operation that failed has no effect. What only a failed one explains is refused (`revived`), where Jepsen counts the attempt.
//! - What nobody wrote is refused (`unexpected`), also by checkers of Jepsen's that look only at what was written.
//! - What is seen before anybody began to write it is refused (`premature`).
//! - Nothing is lost that a read need not have seen: one that began before the write was acknowledged. What an operation of unknown
//!   outcome may have taken from a queue is not lost for certain, so the answer is unknown.
//!
//! A history that holds nothing to judge is right or unknown as Jepsen has it; [`Evidence`] says that there was nothing.
//!
//! Where every value is a pair `[key value]` (Jepsen's `independent`), each key is judged by itself; a note says so.

mod additions;
mod adya;
mod bank;
mod causal;
mod counter;
mod drawn;
mod elements;
mod forks;
mod ids;
mod keyed;
mod monotonic;
mod patterns;
#[doc(hidden)]
pub mod plain;
mod queue;
mod report;
mod reversed;
mod sequential;
mod set;
mod worlds;

#[doc(hidden)]
pub use drawn::draw;
pub use patterns::log_file_pattern;
pub use report::{Evidence, Options, Problem, Report, Verdict};

use crate::log::Log;

/// One of the checkers.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What Jepsen or elle-cli calls it.
    pub name: &'static str,
    /// What it decides, in a line.
    pub about: &'static str,
    /// Judges a history; never panics, whatever its shape.
    pub check: fn(&Log, &Options) -> Report,
    /// Whether a history looks made for it: its functions and the shapes of its values.
    pub recognises: fn(&Log) -> bool,
}

/// The checkers, those that demand most of a history's shape first.
pub const MODELS: &[Entry] = &[
    Entry {
        name: "set",
        about: "every acknowledged addition is in the final read, and nothing that nobody added",
        check: set::check_set,
        recognises: set::recognises_set,
    },
    Entry {
        name: "set-full",
        about: "every element that was known to be there stays, by reads all along",
        check: set::check_full,
        recognises: set::recognises_full,
    },
    Entry {
        name: "total-queue",
        about: "every acknowledged enqueue comes out, and nothing that nobody put in",
        check: queue::check,
        recognises: queue::recognises,
    },
    Entry {
        name: "counter",
        about: "every read lies between what was acknowledged and what was tried",
        check: counter::check,
        recognises: counter::recognises,
    },
    Entry {
        name: "bank",
        about: "every read of all accounts shows the same total, and no overdraft",
        check: bank::check,
        recognises: bank::recognises,
    },
    Entry {
        name: "unique-ids",
        about: "no two generated identifiers are the same",
        check: ids::check,
        recognises: ids::recognises,
    },
    Entry {
        name: "long-fork",
        about: "no two reads see two writes in opposite orders",
        check: forks::check,
        recognises: forks::recognises,
    },
    Entry {
        name: "causal-reverse",
        about: "no write is visible without those that were acknowledged before it began",
        check: reversed::check,
        recognises: reversed::recognises,
    },
    Entry {
        name: "comments",
        about: "causal-reverse under elle-cli's name",
        check: reversed::check,
        recognises: |_| false,
    },
    Entry {
        name: "sequential",
        about: "a process's writes are seen in their order",
        check: sequential::check,
        recognises: sequential::recognises,
    },
    Entry {
        name: "monotonic",
        about: "inserted values rise with the database's time, none lost, doubled or left out",
        check: monotonic::check,
        recognises: monotonic::recognises,
    },
    Entry {
        name: "causal",
        about: "a register's operations are seen in the order in which one client issued them",
        check: causal::check,
        recognises: causal::recognises,
    },
    Entry {
        name: "adya",
        about: "of two inserts that exclude each other at most one succeeds (G2)",
        check: adya::check,
        recognises: adya::recognises,
    },
];

/// The checker called `name`.
pub fn model(name: &str) -> Option<&'static Entry> {
    MODELS.iter().find(|entry| entry.name == name)
}
