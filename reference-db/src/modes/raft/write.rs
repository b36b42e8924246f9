//! Requests, and what becomes of those that write: an entry each, decided when it is applied.

use std::collections::HashMap;
use std::time::Duration;

use super::{Node, PATIENCE};
use crate::config::Bug;
use crate::mode::{Output, Ticket};
use crate::operation::{Code, Operation, Outcome, Refusal, Reply, Request, Version, apply};
use crate::store::{Change, Store, StoreError};
use crate::value::Cell;

/// A write that waits until its entry is applied.
pub struct Pending {
    index: u64,
    term: u64,
    /// Whom to answer.
    pub ticket: Ticket,
    deadline: Duration,
}

impl Node {
    /// A client asks.
    pub fn request(&mut self, now: Duration, ticket: Ticket, request: Request, out: &mut Vec<Output>) {
        if !self.is_leader() {
            out.push(Output::Reply(ticket, Err(self.not_leader())));
        } else if request.ops.iter().any(Operation::writes) {
            self.propose(now, ticket, &request.ops, out);
        } else {
            self.reads.queue(ticket, request.ops, now + PATIENCE);
        }
    }

    fn propose(&mut self, now: Duration, ticket: Ticket, ops: &[Operation], out: &mut Vec<Output>) {
        let data = serde_json::to_vec(ops).expect("operations are plain data, which is always JSON");
        if self.raw.propose(Vec::new(), data).is_err() {
            // Nothing is in the log: this node is handing over.
            let heir = self.raw.raft.lead_transferee.and_then(|heir| self.name(heir)).cloned();
            let text = format!("{} is handing over", self.me.name);
            let refusal = Refusal { leader: heir, ..Refusal::definite(Code::NotLeader, text) };
            out.push(Output::Reply(ticket, Err(refusal)));
            return;
        }
        let (term, index) = (self.raw.raft.term, self.raw.raft.raft_log.last_index());
        let blind = |op: &Operation| op.writes() && !matches!(op, Operation::Cas { .. });
        if self.has_bug(Bug::AckBeforeCommit) && ops.iter().all(blind) {
            let results = vec![Outcome::Done; ops.len()];
            out.push(Output::Reply(ticket, Ok(self.reply((term, index), results))));
            return;
        }
        self.writes.push_back(Pending { index, term, ticket, deadline: now + PATIENCE });
    }

    /// An answer from rows as of a position.
    pub fn reply(&self, (term, index): (u64, u64), results: Vec<Outcome>) -> Reply {
        let version = Some(Version::Position { term, index });
        Reply { node: self.me.name.clone(), results, version, contexts: Vec::new() }
    }

    /// Applies the entries up to `upto` that are not applied yet, and answers those of them that wait here.
    pub fn apply(&mut self, store: &mut Store, upto: u64, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let (mut applied, before) = (self.raw.store().applied(), self.raw.store().applied());
        while applied.1 < upto {
            let Some(entry) = self.raw.store().get(applied.1 + 1) else { break };
            applied = (entry.term, entry.index);
            let result = if entry.data.is_empty() {
                Ok(Vec::new())
            } else {
                let ops: Vec<Operation> = serde_json::from_slice(&entry.data)?;
                transaction(store, &ops)?
            };
            self.answer_write(applied, result, out);
        }
        if applied != before {
            self.raw.mut_store().keep_applied(store, applied)?;
        }
        Ok(())
    }

    fn answer_write(&mut self, at: (u64, u64), result: Result<Vec<Outcome>, Refusal>, out: &mut Vec<Output>) {
        if self.writes.front().is_none_or(|pending| pending.index != at.1) {
            return;
        }
        let Some(pending) = self.writes.pop_front() else { return };
        // Another leader's entry may have taken the place of ours.
        let result = match pending.term == at.0 {
            true => result.map(|results| self.reply(at, results)),
            false => Err(Refusal::unknown(Code::Deposed, "another leader's write took this one's place in the log")),
        };
        out.push(Output::Reply(pending.ticket, result));
    }

    /// Whoever has waited too long learns that nobody knows; a read is simply over.
    pub fn give_up_late(&mut self, now: Duration, out: &mut Vec<Output>) {
        let text = format!("no majority confirmed within {} s", PATIENCE.as_secs());
        while self.writes.front().is_some_and(|pending| pending.deadline <= now) {
            let Some(pending) = self.writes.pop_front() else { return };
            out.push(Output::Reply(pending.ticket, Err(Refusal::unknown(Code::Timeout, text.clone()))));
        }
        for ticket in self.reads.late(now) {
            out.push(Output::Reply(ticket, Err(Refusal::definite(Code::Timeout, text.clone()))));
        }
    }
}

/// Does all operations or none, the same on every node.
pub fn transaction(store: &mut Store, ops: &[Operation]) -> Result<Result<Vec<Outcome>, Refusal>, StoreError> {
    let mut held: HashMap<&str, Option<Cell>> = HashMap::new();
    let mut changes: Vec<Change> = Vec::new();
    let mut results = Vec::with_capacity(ops.len());
    for operation in ops {
        let key = operation.key();
        let cell = match held.get(key) {
            Some(cell) => cell.clone(),
            None => store.get(key)?,
        };
        let applied = match apply(operation, cell) {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(cell) = applied.change {
            held.insert(key, cell.clone());
            changes.push((key.to_string(), cell));
        }
        results.push(applied.outcome);
    }
    for (key, cell) in changes {
        store.put(&key, cell.as_ref())?;
    }
    Ok(Ok(results))
}
