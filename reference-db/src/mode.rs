//! What a mode of replication is: a pure step from an input to outputs over a store.
//!
//! The node calls [`Protocol::step`] for everything that arrives, inside one SQLite transaction for a whole batch, commits, and then carries the
//! outputs out in order. A protocol holds no socket, no clock and no file: time comes with each input, as the monotonic time since the
//! process began, so a step of the wall clock changes no election.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::modes::leaderless::row::Row;
use crate::modes::single_leader;
use crate::operation::{Code, Refusal, ReplicaRequest, Reply, Request};
use crate::store::{Reader, Store, StoreError};

/// Something that happened to a node.
#[derive(Debug)]
pub enum Input {
    /// Time passed. Comes at least every [`TICK`].
    Tick,
    /// A client asks.
    Client {
        /// Whom to answer.
        ticket: Ticket,
        /// What it asks for.
        request: Request,
    },
    /// A client that coordinates by itself asks this very replica.
    Replica {
        /// Whom to answer.
        ticket: Ticket,
        /// What it asks for.
        request: ReplicaRequest,
    },
    /// A message of a peer, in the order in which it was sent, some perhaps lost.
    Peer {
        /// The peer's name.
        from: String,
        /// The message, in the mode's own encoding.
        message: Message,
    },
    /// An operator asks this node to lead.
    Promote {
        /// Whom to answer.
        ticket: Ticket,
    },
}

/// How often time passes at least.
pub const TICK: Duration = Duration::from_millis(10);

/// A request that waits for its answer; unique within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A message between nodes. Each mode uses its own variants; one enum keeps the stream's encoding in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Of the single-leader mode.
    Leader(crate::modes::single_leader::Message),
    /// Of the leaderless mode.
    Leaderless(crate::modes::leaderless::Message),
    /// Of the multi-leader mode.
    MultiLeader(crate::modes::multi_leader::Message),
    /// Of the mode raft.
    Raft(crate::modes::raft::Wire),
    /// Of the chain.
    Chain(crate::modes::chain::Message),
    /// Of one shard of the partitioned mode.
    Shard(usize, crate::modes::single_leader::Message),
}

/// What a protocol wants done once everything it wrote is on disk.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Answers a client.
    Reply(Ticket, Result<Reply, Refusal>),
    /// Answers a client that coordinates by itself: what the replica holds, or nothing to a write.
    Row(Ticket, Option<Row>),
    /// Answers a client if `until` has not passed when the answer leaves; refuses it otherwise. For leases: a process that was paused
    /// between step and send must not answer.
    ReplyBefore(Ticket, Result<Reply, Refusal>, Duration),
    /// Sends a message; it may be lost.
    Send(String, Message),
    /// Sends one message to several; it is encoded once.
    SendAll(Vec<String>, Message),
    /// Has the task that ships from the change table read entries and send them, when it gets to it.
    Ship(Order),
    /// Sends the whole database, as of an exact position, and then whatever comes.
    Snapshot(String, u64),
    /// Says a line in the node's log.
    Say(String),
    /// Keeps a discarded tail in a file of this name.
    Keep(String, Vec<String>),
    /// Ends the process in order.
    End,
}

impl Output {
    /// Refuses a request to this very replica, in a mode whose clients coordinate nothing.
    pub fn no_coordination(ticket: Ticket) -> Output {
        let text = "clients coordinate only in the leaderless mode";
        Output::Reply(ticket, Err(Refusal::definite(Code::Unsupported, text)))
    }
}

/// What is to be shipped from the change table; of a leader's message all but the entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// To whom.
    pub to: Vec<String>,
    /// The leader's term.
    pub term: u64,
    /// The position before the first entry.
    pub previous: (u64, u64),
    /// At most so many entries.
    pub count: usize,
    /// What is committed.
    pub committed: u64,
    /// When it was ordered, by the leader's monotonic clock.
    pub sent: Duration,
}

impl Order {
    /// The message, with what the change table had; `None` where it has nothing any more.
    pub fn filled(self, changed: &Reader) -> Result<Option<(Vec<String>, Message)>, StoreError> {
        let entries = changed.entries(self.previous.1 + 1, self.count)?;
        let (term, previous) = (self.term, self.previous);
        let message =
            single_leader::Message::Append { term, previous, entries, committed: self.committed, sent: self.sent };
        let empty = matches!(&message, single_leader::Message::Append { entries, .. } if entries.is_empty());
        Ok((!empty).then_some((self.to, Message::Leader(message))))
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `leader`, `follower`, `candidate` or `replica`; in a chain `head`, `middle`, `tail`, `joining` or `outside`.
    pub role: String,
    /// The current term.
    pub term: u64,
    /// Whom it follows.
    #[serde(default)]
    pub leader: Option<String>,
    /// The last entry that it has applied and fsynced.
    pub position: u64,
    /// That entry's term.
    pub position_term: u64,
    /// The last entry that enough nodes have, as this node knows it.
    pub committed: u64,
    /// On the leader: the last entry that each follower has.
    #[serde(default)]
    pub followers: std::collections::BTreeMap<String, u64>,
    /// On a semi-synchronous leader: which follower is the synchronous one.
    #[serde(default)]
    pub sync_follower: Option<String>,
    /// With several leaders: of each author, how many of its changes are applied; with shards: the position in each.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub applied: std::collections::BTreeMap<String, u64>,
    /// On a follower of a single leader: how long ago it certainly had everything that was acknowledged, in milliseconds, if it knows. It may be fresher, never
    /// staler; a leader that does not answer makes it grow. With shards: of the one that lags most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Whether clients can be served, as far as this node knows.
    pub ready: bool,
    /// Why it applies nothing of what its leader sends, if that does not fit this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuses: Option<String>,
}

/// How the nodes agree.
pub trait Protocol: Send {
    /// Takes one input at time `now`. An error is the disk's, and ends the process: what is not known to be on disk must not be told.
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError>;

    /// Called once after the steps of a batch and before its commit: whatever concerns all of them at once, such as sending the new entries
    /// to followers in one message. Its outputs come after those of the steps.
    fn settle(&mut self, store: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError>;

    /// Called once after the commit of a batch: whatever can be told only now, such as which pages it wrote. Its outputs come after the others.
    fn committed(&mut self, _store: &mut Store, _now: Duration) -> Result<Vec<Output>, StoreError> {
        Ok(Vec::new())
    }

    /// What it says of itself.
    fn status(&self) -> Status;

    /// What it has counted since it began, by name.
    fn metrics(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
