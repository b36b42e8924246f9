//! One line of a history: an invocation, a completion, or a note of the nemesis.
//!
//! The map is Jepsen's (`index`, `time`, `type`, `process`, `f`, `value`) with ours beside it (`session`, `user`, `node`,
//! `version`, `intended`, `error`, `final`). Process identities follow Jepsen: an operation whose outcome is unknown ends
//! its *process*; the *session* (the person) goes on under another process.

use std::sync::Arc;

use crate::action::{Atom, Steps};
use crate::version::Version;

/// Whether a line begins an operation, and if not, how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The client is about to send.
    Invoke,
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// It may have happened, may happen later, or never.
    Info,
}

/// The name of an operation, as Jepsen's histories spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Read one key.
    Read,
    /// Write a register.
    Write,
    /// Compare and set a register.
    Cas,
    /// Append to a list.
    Append,
    /// Add to a set.
    Add,
    /// Remove from a set.
    Remove,
    /// Delete a key.
    Delete,
    /// Several steps as one atomic request; reads only, or a transaction.
    Txn,
}

impl Function {
    /// All functions, in the order of their definition.
    pub const ALL: [Function; 8] = [
        Function::Read,
        Function::Write,
        Function::Cas,
        Function::Append,
        Function::Add,
        Function::Remove,
        Function::Delete,
        Function::Txn,
    ];

    /// The name in histories.
    pub fn name(self) -> &'static str {
        match self {
            Function::Read => "read",
            Function::Write => "write",
            Function::Cas => "cas",
            Function::Append => "append",
            Function::Add => "add",
            Function::Remove => "remove",
            Function::Delete => "delete",
            Function::Txn => "txn",
        }
    }

    /// The function of that name, if there is one.
    pub fn named(name: &str) -> Option<Function> {
        Function::ALL.into_iter().find(|function| function.name() == name)
    }
}

/// A single-threaded client identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process(pub u64);

/// An invocation or completion by a client.
#[derive(Clone, Debug, PartialEq)]
pub struct OpEvent {
    /// Position in the history, dense from 0 over all events.
    pub index: u64,
    /// Nanoseconds since the start of the run, on one monotonic clock.
    pub time: u64,
    /// When the operation was due, in the same unit; `None` where nothing was paced. Only on invocations.
    pub intended: Option<u64>,
    /// Invocation or how it ended.
    pub kind: Kind,
    /// Who.
    pub process: Process,
    /// The operation's name.
    pub function: Function,
    /// What it does, and for a completion what it learned.
    pub steps: Steps,
    /// Whose session; equal to the process where a history names none.
    pub session: Option<Atom>,
    /// Whose user, where users have several sessions.
    pub user: Option<Atom>,
    /// The node that served; on completions, where known.
    pub node: Option<Arc<str>>,
    /// What the database reported.
    pub version: Option<Version>,
    /// Why it did not succeed: a code, a colon, a sentence.
    pub error: Option<Arc<str>>,
    /// Whether this is one of the reads of every replica after settling.
    pub last: bool,
}

/// Something that is no client's doing: a fault, a phase, the run's description.
///
/// Written as a Jepsen nemesis operation: process `nemesis`, type `info`.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Position in the history.
    pub index: u64,
    /// Nanoseconds since the start of the run.
    pub time: u64,
    /// What kind of note: `run` (the description, see [`crate::meta::Meta`]), `phase`, or a nemesis function such as
    /// `start-partition`.
    pub f: String,
    /// Its content.
    pub value: serde_json::Value,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// By a client.
    Op(OpEvent),
    /// By the harness or its nemesis.
    Note(Note),
}
