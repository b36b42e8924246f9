//! What Jepsen's own checkers decide, beside transactions: sets, queues, counters, accounts, and the orders in which inserts appear.
//!
//! Names, options and result keys are Jepsen's (`jepsen.checker`, `jepsen.tests.*`, `jepsen.cockroach.*`) and elle-cli's, so that
//! whoever knows those finds what they look for. The verdicts differ in the following, always towards what can be proven:
//!
//! - An operation that failed has no effect. What only a failed one explains is refused (`revived`), where Jepsen counts the attempt.
//! - What nobody wrote is refused (`unexpected`), also by checkers of Jepsen's that look only at what was written.
//! - Nothing is lost that a read need not have seen: one that began before the write was acknowledged. What an operation of unknown
//!   outcome may have taken from a queue is not lost for certain, so the answer is unknown.
//! - A history that holds nothing to judge is neither right nor wrong: unknown, with the reason.
//!
//! Where every value is a pair `[key value]` (Jepsen's `independent`), each key is judged by itself; a note says so.

mod elements;
mod keyed;
mod report;

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
pub const MODELS: &[Entry] = &[];

/// The checker called `name`; elle-cli's `comments` is Jepsen's `causal-reverse`.
pub fn model(name: &str) -> Option<&'static Entry> {
    MODELS.iter().find(|entry| entry.name == name)
}
