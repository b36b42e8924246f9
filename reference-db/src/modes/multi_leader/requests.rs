//! Clients' requests: a transaction is done on one leader, locally; its rows travel one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::row::{Mark, Row, stamp, stamped};
use super::{Change, Node};
use crate::config::Conflicts;
use crate::mode::{Output, Ticket};
use crate::modes::leaderless::row::{Dot, covers};
use crate::modes::leaderless::wall_clock;
use crate::operation::{Code, Context, Operation, Outcome, Refusal, Reply, Request, Version, apply};
use crate::store::{Store, StoreError};

/// What a transaction makes of the rows that it writes.
struct Work<'a> {
    /// The rows as they are so far, with the change that each key gets.
    rows: BTreeMap<&'a str, Written>,
    /// The keys in the order in which they were first written.
    order: Vec<&'a str>,
    results: Vec<Outcome>,
    versions: Vec<Option<Version>>,
    contexts: Vec<Context>,
}

struct Written {
    row: Row,
    /// As the author wrote it: what travels. A time stamp of the past loses against what is there already.
    change: Row,
    insert: bool,
    dot: Dot,
}

impl Node {
    /// A client asks.
    pub fn request(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let writes = request.ops.iter().any(Operation::writes);
        if let Err(refusal) = self.admitted(now, &request, writes) {
            out.push(Output::Reply(ticket, Err(refusal)));
        } else if writes && self.policy.conflicts == Conflicts::Detect {
            self.propose(store, now, ticket, request, out)?;
        } else {
            let answer = self.execute(store, &request, true)?;
            out.push(Output::Reply(ticket, answer));
        }
        Ok(())
    }

    fn admitted(&self, now: Duration, request: &Request, writes: bool) -> Result<(), Refusal> {
        if request.ops.is_empty() {
            return Err(Refusal::definite(Code::BadRequest, "a request needs at least one operation"));
        }
        if let Some(operation) = request.ops.iter().find(|operation| !supported(self.policy.conflicts, operation)) {
            let text = format!("this mode cannot do that to {}: its conflicts could not be resolved", operation.key());
            return Err(Refusal::definite(Code::Unsupported, text));
        }
        if (writes || request.leader) && !self.leads() {
            return Err(self.not_here(self.layout.leader(self.datacentre)));
        }
        if writes && self.policy.conflicts == Conflicts::Avoid {
            let mut homes = request.ops.iter().filter(|op| op.writes()).map(|op| self.home(now, op.key()));
            let home = homes.next().unwrap_or(&self.me.name);
            if homes.any(|other| other != home) {
                let text = "records with different homes need one request each";
                return Err(Refusal::definite(Code::Unsupported, text));
            }
            if home != self.me.name {
                return Err(self.not_here(home));
            }
        }
        Ok(())
    }

    fn not_here(&self, leader: &str) -> Refusal {
        let text = format!("{} does not write this, {leader} does", self.me.name);
        Refusal { leader: Some(leader.to_string()), ..Refusal::definite(Code::NotLeader, text) }
    }

    /// Who writes a key: the leader of its home, or of the next datacentre that is not silent, as this node sees it.
    fn home(&self, now: Duration, key: &str) -> &str {
        let first = self.layout.home(key);
        let silent = |leader: &str| {
            let heard = self.heard.get(leader).copied().unwrap_or_default();
            leader != self.me.name && now > heard + self.policy.home_timeout
        };
        let mut turn = (first..first + self.layout.datacentres()).map(|at| self.layout.leader(at));
        turn.find(|leader| !silent(leader)).unwrap_or(&self.me.name)
    }

    /// Does all operations or none; with `keep` the rows are written and each becomes a change.
    pub fn execute(
        &mut self,
        store: &mut Store,
        request: &Request,
        keep: bool,
    ) -> Result<Result<Reply, Refusal>, StoreError> {
        let mut work = Work {
            rows: BTreeMap::new(),
            order: Vec::new(),
            results: Vec::new(),
            versions: Vec::new(),
            contexts: Vec::new(),
        };
        let clock = wall_clock();
        for operation in &request.ops {
            if let Err(refusal) = self.operate(store, request, operation, clock, &mut work)? {
                return Ok(Err(refusal));
            }
        }
        let Work { mut rows, order, results, mut versions, contexts } = work;
        for key in order.into_iter().filter(|_| keep) {
            let Some(Written { row, change, insert, dot }) = rows.remove(key) else { continue };
            store.set_versioned(key, &serde_json::to_string(&row)?)?;
            self.counter = self.counter.max(dot.1);
            let after = self.applied.clone();
            self.note(store, Change { dot, key: key.to_string(), insert, row: change, after, passed: Vec::new() })?;
        }
        let version = if versions.len() == 1 { versions.pop().flatten() } else { None };
        let contexts = if self.policy.conflicts == Conflicts::Siblings { contexts } else { Vec::new() };
        Ok(Ok(Reply { node: self.me.name.clone(), results, version, contexts }))
    }

    fn operate<'a>(
        &self,
        store: &Store,
        request: &Request,
        operation: &'a Operation,
        clock: i64,
        work: &mut Work<'a>,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let key = operation.key();
        let (held, dot) = match work.rows.get(key) {
            Some(written) => (Some(written.row.clone()), written.dot.clone()),
            None => (self.row(store, key)?, (self.actor.clone(), self.counter + 1 + work.order.len() as u64)),
        };
        let row = held.clone().unwrap_or_default();
        if !operation.writes() {
            work.results.push(row.outcome(&self.policy));
            work.versions.push(row.version(&self.policy));
            work.contexts.push(row.context);
            return Ok(Ok(()));
        }
        let applied = match apply(operation, row.cell(&self.policy)) {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let seen = request.context.get(key).cloned().unwrap_or_default();
        let time = stamp(clock, self.datacentre, dot.1);
        let mark = Mark { dot: dot.clone(), datacentre: self.datacentre, stamp: time };
        let by_element = self.policy.conflicts == Conflicts::Merge && self.policy.tombstones;
        let element = if by_element { row.element(mark.clone(), operation) } else { None };
        let change = match element {
            Some(row) => row,
            None => row.written(&self.policy, mark, applied.change.flatten(), &seen),
        };
        let after = match &held {
            Some(held) => held.integrated(&self.policy, &change),
            None => change.clone(),
        };
        work.results.push(applied.outcome);
        work.versions.push(self.reported(&row, &seen, time, &dot));
        work.contexts.push(learned(&after, &seen, &dot));
        let insert = work.rows.get(key).map_or(held.is_none(), |written| written.insert);
        if work.rows.insert(key, Written { row: after, change, insert, dot }).is_none() {
            work.order.push(key);
        }
        Ok(Ok(()))
    }

    /// The version of a write: what it replaced and its dot, or its time stamp.
    fn reported(&self, replaced: &Row, seen: &Context, time: i64, dot: &Dot) -> Option<Version> {
        match self.policy.conflicts {
            Conflicts::Lww => Some(stamped(time, dot)),
            Conflicts::Siblings => Some(Version::Vector { seen: seen.clone(), dots: vec![dot.clone()] }),
            Conflicts::Merge => Some(Version::Vector { seen: replaced.context.clone(), dots: vec![dot.clone()] }),
            _ => None,
        }
    }
}

/// What a session knows after a write. Its dot also covers its author's earlier ones: where one of them stands beside it that the session has not read,
/// the session must not claim to know it.
fn learned(row: &Row, seen: &Context, dot: &Dot) -> Context {
    let mut context = seen.clone();
    let unread = row.parts.iter().any(|part| part.dot.0 == dot.0 && part.dot.1 < dot.1 && !covers(seen, &part.dot));
    if !unread {
        super::row::cover(&mut context, dot);
    }
    context
}

/// What each resolution can resolve: a merge needs plain values or sets, siblings plain values.
fn supported(conflicts: Conflicts, operation: &Operation) -> bool {
    match operation {
        Operation::Read { .. } | Operation::Write { .. } | Operation::Delete { .. } => true,
        Operation::Cas { .. } | Operation::Append { .. } => {
            !matches!(conflicts, Conflicts::Merge | Conflicts::Siblings)
        }
        Operation::Add { .. } | Operation::Remove { .. } => conflicts != Conflicts::Siblings,
        Operation::Sql { .. } => false,
    }
}
