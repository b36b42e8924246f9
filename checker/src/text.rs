//! The text of histories: one scanner for EDN and JSON, and the events in it.
//!
//! Histories are large (a million transactions are 300 MB of EDN), so nothing is built that nobody asks for. A [`Scanner`] walks
//! over bytes and yields [`Token`]s that borrow from them; [`events`] finds in each map the few entries that every
//! operation has, and leaves the others as spans of text. Whoever needs a value parses its span: the checker of transactions
//! compares lists as bytes, everybody else makes a [`Value`](crate::value::Value).
//!
//! EDN and JSON differ, for this purpose, in little: a colon begins a keyword in one and separates in the other; one has
//! comments, tags, sets and characters. Both are read leniently: tags are skipped, commas are spaces, unknown entries are ignored. A
//! span is skipped sixty-four bytes at a time, counting brackets, which a compiler turns into vector instructions.
//!
//! No function here recurses. Cost: one pass over heads, and about a tenth of that over spans.

pub mod events;
pub mod scanner;
pub mod template;

pub use events::{Head, Lines, events};
pub use scanner::{Bracket, Scanner, Syntax, Token};

/// A place in a text where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Wrong {
    /// Bytes from the beginning.
    pub at: usize,
    /// What was found, and what was expected.
    pub what: String,
}

impl Wrong {
    /// At `at`, the sentence `what`.
    pub fn new(at: usize, what: impl Into<String>) -> Wrong {
        Wrong { at, what: what.into() }
    }
}

/// The number of the line, from 1, in which byte `at` lies.
pub fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}
