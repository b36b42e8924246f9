//! Independent shards: each key belongs to one, each shard is a single-leader log of its own, and there is no order across them (DDIA, chapter 5, "Consistent
//! Prefix Reads"; chapter 6).
//!
//! **Shards.** Every shard is the single-leader mode as it stands ([`single_leader`]), with a store, a term, an election and a leader of its own, among the nodes
//! that hold it ([`placement`]). A node steps all that it holds in one thread, and commits each before anything of them is told. A transaction that writes stays
//! within one shard; there is no atomic commit across them, and a read of several shards is several reads.
//!
//! **Dependencies** ([`dependencies`]). With `--causal-tokens on` a session carries how much of each shard it has seen. A write takes that along, and it is stored
//! beside the value, in the same entry of the shard's log. Whoever reads the value takes it over, and a replica of another shard answers that session only once
//! it has as much. like: the explicit dependencies of COPS (Lloyd et al. 2011), except that the reader waits, not the replica that takes the write in.
//!
//! **Holds**: see [`crate::config`]. **Allows**: answers before their questions, across shards, without tokens and reads at leaders.
//!
//! Left out, though production would have it: moving shards, splitting them, transactions across them.

pub mod dependencies;
pub mod placement;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::placement::Placement;
use super::{Identity, single_leader};
use crate::config::{Bug, Partitioned};
use crate::mode::{Input, Message, Output, Protocol, Status, Ticket};
use crate::operation::{Code, Operation, Refusal, Request};
use crate::store::{Fsync, Store, StoreError, snapshot};

/// How many rows of a copy travel in one message.
const ROWS: usize = 2_000;

/// One shard on this node.
struct Shard {
    node: single_leader::Node,
    store: Store,
}

/// A node of the mode.
pub struct Node {
    policy: Partitioned,
    name: String,
    placement: Placement,
    shards: BTreeMap<usize, Shard>,
}

impl Node {
    /// The node as its stores left it: one for each shard, in directories beside that of `store`, which stays empty.
    pub fn recover(
        policy: Partitioned,
        me: &Identity,
        store: &Store,
        fsync: Fsync,
        now: Duration,
    ) -> Result<Node, StoreError> {
        let placement = Placement::new(&policy, &me.nodes);
        let mut shards = BTreeMap::new();
        for number in (0..placement.shards()).filter(|shard| placement.holds(&me.name, *shard)) {
            let dir = placement::directory(store.path(), number);
            // What hinders it hinders opening the store too, which says so.
            let _ = std::fs::create_dir_all(&dir);
            let mut store = Store::open(&dir, fsync)?;
            let seed = super::leaderless::hash(&[&me.name, &number.to_string(), &me.seed.to_string()]);
            let identity = Identity { nodes: placement.replicas(number), seed, ..me.clone() };
            let node = single_leader::Node::recover(policy.each.clone(), identity, &mut store, now)?;
            store.commit()?;
            shards.insert(number, Shard { node, store });
        }
        Ok(Node { policy, name: me.name.clone(), placement, shards })
    }

    /// The one shard that a request is about.
    fn shard_of(&self, ops: &[Operation]) -> Result<usize, Refusal> {
        if ops.iter().any(|operation| matches!(operation, Operation::Sql { .. })) {
            let why = "a statement may touch rows of every shard; --mode single-leader has tables";
            return Err(Refusal::definite(Code::Unsupported, why));
        }
        let mut shards = ops.iter().map(|op| self.placement.shard_of(dependencies::subject(op.key())));
        let first = shards.next().unwrap_or(0);
        if shards.any(|shard| shard != first) {
            return Err(Refusal::definite(
                Code::Unsupported,
                "one request concerns one shard: its keys live on several",
            ));
        }
        if !self.shards.contains_key(&first) {
            let why = format!("{} does not hold shard {first}", self.name);
            let leader = self.placement.replicas(first).first().cloned();
            return Err(Refusal { leader, ..Refusal::definite(Code::NotLeader, why) });
        }
        Ok(first)
    }

    fn request(
        &mut self,
        now: Duration,
        ticket: Ticket,
        mut request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let number = match self.shard_of(&request.ops) {
            Ok(number) => number,
            Err(refusal) => {
                out.push(Output::Reply(ticket, Err(refusal)));
                return Ok(());
            }
        };
        let Some(shard) = self.shards.get_mut(&number) else { return Ok(()) };
        if self.policy.causal_tokens && self.policy.bug != Some(Bug::ForgetDependency) {
            dependencies::store_beside(&shard.store, number, &mut request)?;
        }
        let inner = shard.node.step(&mut shard.store, now, Input::Client { ticket, request })?;
        translate(number, &shard.store, inner, out);
        Ok(())
    }
}

/// What a shard wants done, in the node's words.
fn translate(number: usize, store: &Store, inner: Vec<Output>, out: &mut Vec<Output>) {
    let wrapped = |message: Message| match message {
        Message::Leader(message) => Message::Shard(number, message),
        other => other,
    };
    for output in inner {
        match output {
            Output::Send(to, message) => out.push(Output::Send(to, wrapped(message))),
            Output::SendAll(to, message) => out.push(Output::SendAll(to, wrapped(message))),
            Output::Say(text) => out.push(Output::Say(format!("shard {number}: {text}"))),
            Output::Keep(name, lines) => out.push(Output::Keep(format!("shard-{number}-{name}"), lines)),
            Output::Snapshot(to, term) => copy(number, store, &to, term, out),
            other => out.push(other),
        }
    }
}

/// Sends a copy of a shard, as of its last commit. One that can't be read is asked for again.
fn copy(number: usize, store: &Store, to: &str, term: u64, out: &mut Vec<Output>) {
    use single_leader::Message::{SnapshotBegin, SnapshotEnd, SnapshotRows};
    let Ok(copy) = snapshot(store.path()) else { return };
    let mut messages = vec![SnapshotBegin { term, last: copy.last, terms: copy.terms }];
    messages.extend(copy.rows.chunks(ROWS).map(|rows| SnapshotRows { term, rows: rows.to_vec() }));
    messages.push(SnapshotEnd { term });
    out.extend(messages.into_iter().map(|message| Output::Send(to.to_string(), Message::Shard(number, message))));
}

impl Protocol for Node {
    fn step(&mut self, _: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Tick => {
                for (number, shard) in &mut self.shards {
                    let inner = shard.node.step(&mut shard.store, now, Input::Tick)?;
                    translate(*number, &shard.store, inner, &mut out);
                }
            }
            Input::Client { ticket, request } => self.request(now, ticket, request, &mut out)?,
            Input::Peer { from, message: Message::Shard(number, message) } => {
                if let Some(shard) = self.shards.get_mut(&number) {
                    let input = Input::Peer { from, message: Message::Leader(message) };
                    let inner = shard.node.step(&mut shard.store, now, input)?;
                    translate(number, &shard.store, inner, &mut out);
                }
            }
            Input::Promote { ticket } => {
                let why = "a node leads shards, not the cluster: it can't be made the leader of all";
                out.push(Output::Reply(ticket, Err(Refusal::definite(Code::Unsupported, why))));
            }
            Input::Replica { ticket, .. } => out.push(Output::no_coordination(ticket)),
            Input::Peer { .. } => {}
        }
        Ok(out)
    }

    fn settle(&mut self, _: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        for (number, shard) in &mut self.shards {
            let inner = shard.node.settle(&mut shard.store, now)?;
            shard.store.commit()?;
            translate(*number, &shard.store, inner, &mut out);
        }
        Ok(out)
    }

    fn status(&self) -> Status {
        let each = || self.shards.iter().map(|(number, shard)| (*number, shard.node.status()));
        Status {
            role: "replica".to_string(),
            ready: each().all(|(_, status)| status.ready),
            position: each().map(|(_, status)| status.position).sum(),
            committed: each().map(|(_, status)| status.committed).sum(),
            lag_ms: each().filter_map(|(_, status)| status.lag_ms).max(),
            applied: each().map(|(number, status)| (format!("shard-{number}"), status.position)).collect(),
            ..Status::default()
        }
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let leads = self.shards.values().filter(|shard| shard.node.status().role == "leader").count();
        vec![("shards", self.shards.len() as u64), ("shards_led", leads as u64)]
    }
}
