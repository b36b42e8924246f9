//! What an operation does to which key, and what it learned.
//!
//! An operation is a list of [`Step`]s, each on one key. Most have one; a read of several keys at once and a transaction
//! have more, and count as *one* atomic request. Values are [`Atom`]s: the workloads write integers that are unique per
//! key, but histories of other tools may hold text.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

/// A key or a value: an integer or a text. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// An integer.
    Int(i64),
    /// A text.
    Text(Arc<str>),
}

impl From<i64> for Atom {
    fn from(value: i64) -> Self {
        Atom::Int(value)
    }
}

impl From<&str> for Atom {
    fn from(value: &str) -> Self {
        Atom::Text(value.into())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Int(value) => write!(f, "{value}"),
            Atom::Text(value) => f.write_str(value),
        }
    }
}

/// A key as people read it: `k5` for the integer 5, so that it is not taken for a value; a text as it is.
pub struct KeyName<'a>(pub &'a Atom);

impl fmt::Display for KeyName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Atom::Int(key) => write!(f, "k{key}"),
            Atom::Text(key) => f.write_str(key),
        }
    }
}

/// What a read returned.
///
/// Lists and sets look alike on the wire; which of the two a key holds follows from what is written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The key has no value: never written, or deleted.
    Nil,
    /// The value of a register.
    One(Atom),
    /// The elements of a list, in its order, or of a set, in any order.
    Many(Vec<Atom>),
    /// Several values of a register that were written concurrently and none of which replaced another. Not empty.
    Siblings(Vec<Atom>),
}

/// What one step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reads the key; `None` where the answer is not known (an invocation, or a read that did not succeed).
    Read(Option<Reading>),
    /// Sets a register.
    Write(Atom),
    /// Sets a register to `new` if it holds `old` (`None`: if it has no value).
    Cas {
        /// The value that must be there.
        old: Option<Atom>,
        /// The value that is written then.
        new: Atom,
    },
    /// Appends an element to a list.
    Append(Atom),
    /// Adds an element to a set.
    Add(Atom),
    /// Removes an element from a set.
    Remove(Atom),
    /// Deletes the key whatever it holds.
    Delete,
}

impl Action {
    /// Whether the step changes its key if it succeeds.
    pub fn writes(&self) -> bool {
        !matches!(self, Action::Read(_))
    }

    /// The value or element that the step brings into its key; `None` for reads, removals and deletions.
    pub fn written(&self) -> Option<&Atom> {
        match self {
            Action::Write(value) | Action::Append(value) | Action::Add(value) => Some(value),
            Action::Cas { new, .. } => Some(new),
            Action::Read(_) | Action::Remove(_) | Action::Delete => None,
        }
    }
}

/// One action on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The key.
    pub key: Atom,
    /// What is done to it.
    pub action: Action,
}

/// The steps of an operation, in the order they were asked for; nearly always one.
pub type Steps = SmallVec<[Step; 1]>;

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Nil => f.write_str("nil"),
            Reading::One(value) => write!(f, "{value}"),
            Reading::Many(values) => write_list(f, "[", values, "]"),
            Reading::Siblings(values) => write_list(f, "{", values, "}"),
        }
    }
}

/// At most the last `SHOWN` elements are printed: the end of a long list is what proofs are about.
const SHOWN: usize = 6;

fn write_list(f: &mut fmt::Formatter<'_>, open: &str, values: &[Atom], close: &str) -> fmt::Result {
    f.write_str(open)?;
    let skipped = values.len().saturating_sub(SHOWN);
    if skipped > 0 {
        write!(f, "… ")?;
    }
    for (i, value) in values[skipped..].iter().enumerate() {
        if i > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{value}")?;
    }
    f.write_str(close)
}

impl fmt::Display for Step {
    /// `x := 3`, `x += 3`, `read x → [1 2]`: what proofs and drawings show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = KeyName(&self.key);
        match &self.action {
            Action::Read(None) => write!(f, "read {key}"),
            Action::Read(Some(reading)) => write!(f, "read {key} → {reading}"),
            Action::Write(value) => write!(f, "write {key} = {value}"),
            Action::Cas { old: Some(old), new } => write!(f, "cas {key} {old} → {new}"),
            Action::Cas { old: None, new } => write!(f, "cas {key} nil → {new}"),
            Action::Append(value) => write!(f, "append {key} {value}"),
            Action::Add(value) => write!(f, "add {key} {value}"),
            Action::Remove(value) => write!(f, "remove {key} {value}"),
            Action::Delete => write!(f, "delete {key}"),
        }
    }
}
