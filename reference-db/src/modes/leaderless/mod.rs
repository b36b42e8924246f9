//! Every replica accepts writes; quorums of writes and reads overlap (DDIA, chapter 5, "Leaderless Replication"; Dynamo, SOSP 2007).
//!
//! A request goes to all `n` replicas of its key at once and waits for `w` or `r` of them. Whoever sends it coordinates: a node, or the client
//! library itself, which then talks to the replicas through `/v1/replica`.
//!
//! **Versions.** With `vectors` a row is a dotted version vector set (Preguiça et al. 2010): values with their dots, and the context of
//! everything they cover. A write replaces what its session had read and stands beside what it had not, as a sibling. A row travels whole, so that its
//! context never covers a dot that it has not seen. With `lww` a row is one value with a time stamp of the coordinator's *wall clock*, which may be wrong.
//!
//! **Repair.** A read sends what it merged to the replicas that lacked it (`read-repair`); replicas compare digests of buckets of keys with
//! a random peer twice a second, over the keys that both are replicas of (`anti-entropy`). A write that reached fewer than `w` replicas is reported as not achieved and *not* taken back.
//!
//! **Holds** with vectors and w > n/2: no acknowledged write lost while one of its w nodes keeps its disk. **Allows**: siblings; reads that overlap an unfinished
//! write and differ; with `lww`, writes overwritten by concurrent and by earlier ones. A read of several keys is several reads.
//!
//! Left out: collecting tombstones, hinted handoff, moving keys when nodes come and go.

mod coordinate;

pub use self::coordinate::{QUORUM_LIMIT, REPAIR_WAIT, merged, seen, shown, wall_clock};
pub mod row;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::coordinate::Task;
use self::row::Row;
use super::Identity;
use crate::config::Leaderless;
use crate::mode::{Input, Output, Protocol, Status};
use crate::operation::{Code, Refusal, ReplicaRequest};
use crate::store::{Store, StoreError};

/// Into how many buckets keys fall for comparison.
const BUCKETS: usize = 256;
/// How often replicas compare themselves.
const COMPARE_EVERY: Duration = Duration::from_millis(400);
/// At most so many rows travel in one message of a comparison.
const ROWS: usize = 400;
/// At most so many buckets are compared row by row at once.
const BUCKETS_AT_ONCE: usize = 64;

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
    /// Digests of my buckets.
    Digests(Vec<u64>),
    /// My rows in buckets that differ.
    Rows {
        /// The rows.
        rows: Vec<(String, Row)>,
        /// The buckets; the receiver answers with its own rows of them.
        answer: Vec<usize>,
    },
}

/// A node of the mode.
pub struct Node {
    policy: Leaderless,
    me: Identity,
    rng: ChaCha8Rng,
    /// Names this process's dots: a name that was never used before, so that a node that was restored from an old copy reuses no counter.
    actor: String,
    counter: u64,
    tasks: HashMap<u64, Task>,
    /// Which task and which of its parts a message belongs to.
    next_task: u64,
    /// For each peer, what this node holds of the keys that both of them are replicas of, by bucket.
    digests: BTreeMap<String, Vec<u64>>,
    keys: BTreeMap<String, Known>,
    /// The newest time stamp given out.
    stamped: i64,
    compare_due: Duration,
    applied: u64,
}

/// What a node keeps in mind of a key.
struct Known {
    digest: u64,
    /// The key's replicas if this node is one of them.
    sharers: Vec<String>,
}

impl Node {
    /// The node as its store left it.
    pub fn recover(policy: Leaderless, me: Identity, store: &mut Store) -> Result<Node, StoreError> {
        let starts: u64 = store.meta("starts")?.and_then(|text| text.parse().ok()).unwrap_or(0) + 1;
        store.set_meta("starts", &starts.to_string())?;
        let moment =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let actor = format!("{}.{starts}.{:04x}", me.name, (moment ^ moment >> 17) & 0xffff);
        let mut node = Node {
            rng: ChaCha8Rng::seed_from_u64(me.seed),
            policy,
            me,
            actor,
            counter: 0,
            tasks: HashMap::new(),
            next_task: 1,
            digests: BTreeMap::new(),
            stamped: 0,
            keys: BTreeMap::new(),
            compare_due: Duration::ZERO,
            applied: 0,
        };
        for (key, text) in store.all_versioned()? {
            node.remember(&key, &text);
        }
        Ok(node)
    }

    /// The replicas of a key, by rendezvous hashing: a changed set of nodes moves few keys.
    fn replicas(&self, key: &str) -> Vec<String> {
        replicas(&self.me.nodes, key, self.policy.n)
    }

    fn row(&self, store: &Store, key: &str) -> Result<Option<Row>, StoreError> {
        Ok(store.versioned(key)?.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Merges a row into what this replica holds; true if that changed.
    fn merge(&mut self, store: &mut Store, key: &str, row: &Row) -> Result<bool, StoreError> {
        let held = self.row(store, key)?;
        let merged = match &held {
            Some(held) => held.merged(row),
            None => row.clone(),
        };
        if held.as_ref() == Some(&merged) {
            return Ok(false);
        }
        let text = serde_json::to_string(&merged)?;
        store.set_versioned(key, &text)?;
        self.remember(key, &text);
        self.applied += 1;
        Ok(true)
    }

    /// Keeps the digests in step with a row: they are sums, so one row's change is one subtraction and one addition. Only keys that both hold are compared;
    /// otherwise two nodes with different sets of keys would never be done.
    fn remember(&mut self, key: &str, text: &str) {
        let digest = hash(&[key, text]);
        let old = match self.keys.get_mut(key) {
            Some(known) => std::mem::replace(&mut known.digest, digest),
            None => {
                let replicas = self.replicas(key);
                let sharers = if replicas.contains(&self.me.name) { replicas } else { Vec::new() };
                self.keys.insert(key.to_string(), Known { digest, sharers });
                0
            }
        };
        let Some(known) = self.keys.get(key) else { return };
        for peer in known.sharers.iter().filter(|peer| **peer != self.me.name) {
            let digests = self.digests.entry(peer.clone()).or_insert_with(|| vec![0; BUCKETS]);
            let bucket = &mut digests[bucket(key)];
            *bucket = bucket.wrapping_sub(old).wrapping_add(digest);
        }
    }

    fn digests_for(&self, peer: &str) -> Vec<u64> {
        self.digests.get(peer).cloned().unwrap_or_else(|| vec![0; BUCKETS])
    }

    fn send(&self, to: &str, message: Message) -> Output {
        Output::Send(to.to_string(), crate::mode::Message::Leaderless(message))
    }

    fn tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.expire(now, out);
        if self.policy.anti_entropy && now >= self.compare_due && self.me.nodes.len() > 1 {
            self.compare_due = now + COMPARE_EVERY;
            let others: Vec<&String> = self.me.nodes.iter().filter(|node| **node != self.me.name).collect();
            let peer = others[self.rng.random_range(0..others.len())].clone();
            out.push(self.send(&peer, Message::Digests(self.digests_for(&peer))));
        }
    }

    /// A peer's digests: our rows of the buckets that differ, and a request for theirs.
    fn compared(&mut self, store: &Store, from: &str, theirs: &[u64], out: &mut Vec<Output>) -> Result<(), StoreError> {
        let ours = self.digests_for(from);
        let differ = |bucket: &usize| theirs.get(*bucket).is_some_and(|digest| *digest != ours[*bucket]);
        let buckets: Vec<usize> = (0..BUCKETS).filter(differ).take(BUCKETS_AT_ONCE).collect();
        self.send_buckets(store, from, &buckets, true, out)
    }

    fn send_buckets(
        &mut self,
        store: &Store,
        to: &str,
        buckets: &[usize],
        answer: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if buckets.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = self
            .keys
            .iter()
            .filter(|(key, known)| known.sharers.iter().any(|node| node == to) && buckets.contains(&bucket(key)))
            .map(|(key, _)| key.clone())
            .collect();
        let mut rows = Vec::new();
        for key in keys {
            if let Some(row) = self.row(store, &key)? {
                rows.push((key, row));
            }
            if rows.len() >= ROWS {
                out.push(self.send(to, Message::Rows { rows: std::mem::take(&mut rows), answer: Vec::new() }));
            }
        }
        let answer = if answer { buckets.to_vec() } else { Vec::new() };
        out.push(self.send(to, Message::Rows { rows, answer }));
        Ok(())
    }

    fn receive(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match message {
            Message::Put { task, key, row } => {
                self.merge(store, &key, &row)?;
                // A repair wants no answer.
                if task != 0 {
                    out.push(self.send(from, Message::Stored { task }));
                }
            }
            Message::Get { task, key } => {
                let row = self.row(store, &key)?;
                out.push(self.send(from, Message::Got { task, row }));
            }
            Message::Stored { task } => self.stored(task, out),
            Message::Got { task, row } => self.got(store, now, task, from, row, out)?,
            Message::Digests(theirs) => self.compared(store, from, &theirs, out)?,
            Message::Rows { rows, answer } => {
                for (key, row) in rows {
                    self.merge(store, &key, &row)?;
                }
                self.send_buckets(store, from, &answer, false, out)?;
            }
        }
        Ok(())
    }
}

impl Protocol for Node {
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Tick => self.tick(now, &mut out),
            Input::Client { ticket, request } => self.request(store, now, ticket, request, &mut out)?,
            Input::Promote { ticket } => {
                let refusal = Refusal::definite(Code::Unsupported, "there is no leader in this mode");
                out.push(Output::Reply(ticket, Err(refusal)));
            }
            Input::Peer { from, message: crate::mode::Message::Leaderless(message) } => {
                self.receive(store, now, &from, message, &mut out)?;
            }
            Input::Replica { ticket, request } => {
                let row = match request {
                    ReplicaRequest::Get { key } => self.row(store, &key)?,
                    ReplicaRequest::Put { key, row } => {
                        self.merge(store, &key, &row)?;
                        None
                    }
                };
                out.push(Output::Row(ticket, row));
            }
            Input::Peer { .. } => {}
        }
        Ok(out)
    }

    fn settle(&mut self, _: &mut Store, _: Duration) -> Result<Vec<Output>, StoreError> {
        Ok(Vec::new())
    }

    fn status(&self) -> Status {
        Status { role: "replica".to_string(), position: self.applied, ready: true, ..Status::default() }
    }
}

/// Which bucket a key falls into.
fn bucket(key: &str) -> usize {
    (hash(&[key]) % BUCKETS as u64) as usize
}

/// The `n` nodes that hold `key`: those with the highest hash of name and key.
pub fn replicas(nodes: &[String], key: &str, n: usize) -> Vec<String> {
    let mut ranked: Vec<(u64, &String)> = nodes.iter().map(|node| (hash(&[node, key]), node)).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.into_iter().take(n).map(|(_, node)| node.clone()).collect()
}

/// FNV-1a, 64 bits, with a final mix: the same on every node and version, which the standard library's hash is not.
pub fn hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}
