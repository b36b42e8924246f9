//! Every replica accepts writes; quorums of writes and reads overlap (DDIA, chapter 5, "Leaderless Replication"; Dynamo, SOSP 2007).
//!
//! A request goes to all `n` replicas of its key at once and waits for `w` or `r` of them. Whoever sends it coordinates: a node, or the client
//! library itself, which then talks to the replicas through `/v1/replica`.
//!
//! **Versions.** With `vectors` a row is a dotted version vector set (Preguiça et al. 2010): values with their dots, and the context of
//! everything they cover. A write replaces what its session had read and stands beside what it had not, as a sibling. A row travels whole, so that its
//! context never covers a dot that it has not seen. With `lww` a row is one value with a time stamp of the coordinator's *wall clock*, which may be wrong.
//!
//! **Repair.** A read sends what it merged to the homes that lacked it (`read-repair`); homes compare digests with a random peer in the background
//! (`anti-entropy`). A write that reached fewer than `w` replicas is reported as not achieved and *not* taken back. With `sloppy` other nodes stand in for homes
//! that can't be reached, and hand over to them later (`hints`). Deletes leave tombstones, collected after `tombstone-grace`.
//!
//! **Datacentres.** With several, each holds every key `n` times; `w` and `r` count in the coordinator's own, the others are told without waiting.
//!
//! **Holds** with vectors and w > n/2: no acknowledged write lost while one of its w nodes keeps its disk. **Allows**: siblings; reads that overlap an unfinished
//! write and differ; with `lww`, writes overwritten by concurrent and by earlier ones; with `sloppy`, stale reads whatever w and r; deleted keys
//! back after a replica was away for longer than the grace.
//!
//! Left out: moving keys when nodes come and go.

mod compare;
mod coordinate;
mod held;
mod hints;
mod liveness;
mod placement;
mod read;
pub mod row;
mod staleness;
mod stamp;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub use self::compare::Compare;
pub use self::coordinate::{QUORUM_LIMIT, REPAIR_WAIT, STAND_IN_AFTER};
pub use self::placement::{Placement, dealt_out, hash};
pub use self::read::{merged, shown};
pub use self::staleness::Staleness;
pub use self::stamp::wall_clock;

use std::collections::HashMap;
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::coordinate::Task;
use self::held::Graves;
use self::hints::Hints;
use self::liveness::{Liveness, PING_EVERY};
use self::read::Several;
use self::row::Row;
use self::stamp::Actor;
use self::tree::Tree;
use super::Identity;
use crate::config::Leaderless;
use crate::mode::{Input, Output, Protocol, Status, Ticket};
use crate::operation::{Code, Refusal, ReplicaRequest};
use crate::store::{Store, StoreError};

/// What nodes tell each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Merge this row and say when it is on disk.
    Put {
        /// Names the task at the sender.
        task: u64,
        /// The key.
        key: String,
        /// The row.
        row: Row,
        /// For whom the receiver stands in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<String>,
    },
    /// It is on disk.
    Stored {
        /// The sender's task.
        task: u64,
    },
    /// What do you hold?
    Get {
        /// Names the task at the sender.
        task: u64,
        /// The key.
        key: String,
    },
    /// This.
    Got {
        /// The sender's task.
        task: u64,
        /// The row; `None` where the key was never written here.
        row: Option<Row>,
    },
    /// A read found you stale; no answer is wanted.
    Mend {
        /// The key.
        key: String,
        /// The row.
        row: Row,
    },
    /// A step of a comparison.
    Compare(Compare),
    /// What I kept for you.
    Deliver {
        /// Names the batch at the sender.
        batch: u64,
        /// The rows.
        rows: Vec<(String, Row)>,
    },
    /// I have it on disk.
    Delivered {
        /// The sender's batch.
        batch: u64,
    },
    /// I am here.
    Ping,
}

/// What a node has counted since it began.
#[derive(Default)]
struct Counters {
    staleness: Staleness,
    partial_writes: u64,
    read_repairs: u64,
    rows_compared: u64,
    stood_in: u64,
    hints_delivered: u64,
    tombstones_collected: u64,
}

/// A node of the mode.
pub struct Node {
    policy: Leaderless,
    me: Identity,
    placement: Placement,
    /// The number of this node's datacentre.
    datacentre: usize,
    rng: ChaCha8Rng,
    /// The time of the current step.
    now: Duration,
    actor: Actor,
    tasks: HashMap<u64, Task>,
    next_task: u64,
    /// Requests whose next read is to begin within this step.
    reads_due: Vec<(Ticket, Several)>,
    tree: Tree,
    compare_due: Duration,
    graves: Graves,
    hints: Hints,
    liveness: Liveness,
    ping_due: Duration,
    counters: Counters,
    applied: u64,
}

impl Node {
    /// The node as its store left it.
    pub fn recover(policy: Leaderless, me: Identity, store: &mut Store) -> Result<Node, StoreError> {
        let actor = Actor::recover(&me.name, policy.bug, store)?;
        let placement = Placement::new(&policy, &me.nodes);
        // Each start numbers its messages elsewhere: an answer that was meant for an earlier one must not count.
        let first = actor.unique() << 32 | 1;
        let mut node = Node {
            rng: ChaCha8Rng::seed_from_u64(me.seed),
            datacentre: placement.datacentre(&me.name),
            hints: Hints::recover(store, first)?,
            policy,
            me,
            placement,
            now: Duration::ZERO,
            actor,
            tasks: HashMap::new(),
            next_task: first,
            reads_due: Vec::new(),
            tree: Tree::new(),
            compare_due: Duration::ZERO,
            graves: Graves::default(),
            liveness: Liveness::default(),
            ping_due: Duration::ZERO,
            counters: Counters::default(),
            applied: 0,
        };
        for (key, text) in store.all_versioned()? {
            let row = serde_json::from_str(&text)?;
            node.remember(&key, &row, &text);
        }
        Ok(node)
    }

    fn send(&self, to: &str, message: Message) -> Output {
        Output::Send(to.to_string(), crate::mode::Message::Leaderless(message))
    }

    fn tick(&mut self, store: &mut Store, out: &mut Vec<Output>) -> Result<(), StoreError> {
        self.expire(store, out)?;
        self.compare(out);
        self.hand_over(store, out)?;
        self.bury(store)?;
        self.actor.drop_drafts(self.policy.tombstone_grace, self.now);
        if self.policy.sloppy && self.now >= self.ping_due {
            self.ping_due = self.now + PING_EVERY;
            let others = self.me.nodes.iter().filter(|node| **node != self.me.name).cloned().collect();
            out.push(Output::SendAll(others, crate::mode::Message::Leaderless(Message::Ping)));
        }
        Ok(())
    }

    fn receive(
        &mut self,
        store: &mut Store,
        from: &str,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let own = from == self.me.name;
        match message {
            Message::Put { task, key, row, home } => {
                self.accept(store, &key, &row, home.as_deref())?;
                match own {
                    true => self.stored(task, from, out),
                    false => out.push(self.send(from, Message::Stored { task })),
                }
            }
            Message::Get { task, key } => {
                let row = self.row(store, &key)?;
                match own {
                    true => self.got(task, from, row, out),
                    false => out.push(self.send(from, Message::Got { task, row })),
                }
            }
            Message::Stored { task } => self.stored(task, from, out),
            Message::Got { task, row } => self.got(task, from, row, out),
            Message::Mend { key, row } => self.mend(store, &key, &row)?,
            Message::Compare(step) => self.compared(store, from, step, out)?,
            Message::Deliver { batch, rows } => {
                for (key, row) in rows {
                    self.merge(store, &key, &row)?;
                }
                out.push(self.send(from, Message::Delivered { batch }));
            }
            Message::Delivered { batch } => self.delivered(store, from, batch)?,
            Message::Ping => {}
        }
        Ok(())
    }

    /// A client that coordinates by itself asks this replica.
    fn replica(&mut self, store: &mut Store, request: ReplicaRequest) -> Result<Option<Row>, StoreError> {
        match request {
            ReplicaRequest::Get { key } => self.row(store, &key),
            ReplicaRequest::Put { key, row, home } => {
                self.accept(store, &key, &row, home.as_deref())?;
                Ok(None)
            }
            ReplicaRequest::Mend { key, row } => {
                self.mend(store, &key, &row)?;
                Ok(None)
            }
        }
    }
}

impl Protocol for Node {
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        self.now = now;
        match input {
            Input::Tick => self.tick(store, &mut out)?,
            Input::Client { ticket, request } => self.request(store, ticket, request, &mut out)?,
            Input::Promote { ticket } => {
                let refusal = Refusal::definite(Code::Unsupported, "there is no leader in this mode");
                out.push(Output::Reply(ticket, Err(refusal)));
            }
            Input::Peer { from, message: crate::mode::Message::Leaderless(message) } => {
                self.liveness.heard(&from, now);
                self.receive(store, &from, message, &mut out)?;
            }
            Input::Replica { ticket, request } => {
                let row = self.replica(store, request)?;
                out.push(Output::Row(ticket, row));
            }
            Input::Peer { .. } => {}
        }
        self.read_on(store, &mut out)?;
        Ok(out)
    }

    fn settle(&mut self, _: &mut Store, _: Duration) -> Result<Vec<Output>, StoreError> {
        Ok(Vec::new())
    }

    fn status(&self) -> Status {
        Status { role: "replica".to_string(), position: self.applied, ready: true, ..Status::default() }
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let staleness = self.counters.staleness;
        vec![
            ("reads_checked", staleness.checked),
            ("reads_stale", staleness.stale),
            ("versions_behind", staleness.versions_behind),
            ("versions_behind_most", staleness.most_behind),
            ("partial_writes", self.counters.partial_writes),
            ("read_repairs", self.counters.read_repairs),
            ("rows_compared", self.counters.rows_compared),
            ("stood_in", self.counters.stood_in),
            ("hints_waiting", self.hints.count()),
            ("hints_delivered", self.counters.hints_delivered),
            ("tombstones_collected", self.counters.tombstones_collected),
        ]
    }
}
