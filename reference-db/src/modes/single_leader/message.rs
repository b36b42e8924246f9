//! What the nodes of this mode tell each other.
//!
//! Everything carries its term, but for questions whose answers do; any message may be lost, and none may harm when it comes late or twice.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Position;
use crate::store::Entry;
use crate::store::physical::segment::{Bytes, Form, Segment};
use crate::value::Cell;

/// What nodes tell each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Leader to follower: entries after `previous`; without entries, a heartbeat.
    Append {
        /// The leader's term.
        term: u64,
        /// The position before the first entry.
        previous: Position,
        /// The entries.
        entries: Vec<Entry>,
        /// What is committed.
        committed: u64,
        /// When it was sent, by the leader's monotonic clock; echoed, for the lease.
        sent: Duration,
    },
    /// The same where the log is physical: the pages of commits after `previous`.
    Pages {
        /// The leader's term.
        term: u64,
        /// The position before the first commit.
        previous: Position,
        /// The form of the pages.
        form: Form,
        /// The commits.
        segments: Vec<Arc<Segment>>,
        /// What is committed.
        committed: u64,
        /// When it was sent, by the leader's monotonic clock; echoed, for the lease.
        sent: Duration,
    },
    /// Follower to leader: it follows, but what the leader sends does not fit it.
    Unfit {
        /// Its term.
        term: u64,
        /// Why, in a sentence.
        why: String,
        /// The echo.
        sent: Duration,
    },
    /// Follower to leader: everything up to `matching` is on its disk.
    Appended {
        /// Its term.
        term: u64,
        /// Up to where its log equals the leader's.
        matching: u64,
        /// The echo.
        sent: Duration,
    },
    /// Follower to leader: the entries did not fit, or the term is over.
    Refused {
        /// Its term.
        term: u64,
        /// The newest entry that may be common.
        hint: u64,
        /// Whether only a snapshot can help.
        snapshot: bool,
        /// The echo.
        sent: Duration,
    },
    /// Leader to leader, with a kill switch: one of the two has to go.
    ShutDown,
    /// Candidate to all: who grants me this term?
    Canvass {
        /// The new term.
        term: u64,
        /// Only a question: nobody adopts anything.
        trial: bool,
        /// An operator wants it: a living leader is no reason to refuse.
        force: bool,
    },
    /// The answer.
    Canvassed {
        /// The term that was asked about.
        asked: u64,
        /// Whether it was only a question.
        trial: bool,
        /// The answerer's own term.
        term: u64,
        /// Whether it grants.
        granted: bool,
        /// Whether it still hears a leader.
        alive: bool,
        /// Its last entry.
        last: Position,
    },
    /// The owner of a term to the most advanced log: lead it.
    Lead {
        /// The term.
        term: u64,
        /// For how long to acknowledge nothing: a deposed leader's lease may last as long.
        quiet: Duration,
    },
    /// A follower to its leader: how far is everything at this moment?
    Ask {
        /// Which life of the follower asks; echoed.
        life: u64,
        /// When it was asked, by the follower's monotonic clock; echoed.
        asked: Duration,
    },
    /// The leader: so far.
    Told {
        /// The leader's term.
        term: u64,
        /// Its last entry.
        last: u64,
        /// The echo.
        life: u64,
        /// The echo.
        asked: Duration,
    },
    /// A follower to its leader: an operator wants me to lead; drain and let go.
    Handover,
    /// The leader: you have everything; take over.
    TakeOver,
    /// Leader to follower: a copy of everything begins, as of `last`.
    SnapshotBegin {
        /// The leader's term.
        term: u64,
        /// The last entry in it.
        last: Position,
        /// Where each term begins.
        terms: Vec<(u64, u64)>,
    },
    /// Some of its rows.
    SnapshotRows {
        /// The leader's term.
        term: u64,
        /// The rows.
        rows: Vec<(String, Cell)>,
    },
    /// It is complete.
    SnapshotEnd {
        /// The leader's term.
        term: u64,
    },
    /// Leader to follower, where the log is physical: a copy of the file begins, as of `last`.
    CopyBegin {
        /// The leader's term.
        term: u64,
        /// The last entry in it.
        last: Position,
        /// The form of its pages.
        form: Form,
    },
    /// Some of it, in order.
    CopyPart {
        /// The leader's term.
        term: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// It is complete.
    CopyEnd {
        /// The leader's term.
        term: u64,
        /// The checksum of all its bytes.
        sum: [u32; 2],
    },
}
