//! Clients: transactions that write at the head, reads at the tail, and when they are answered.
//!
//! The head holds a writer's connection, so it is the head that answers when the tail has acknowledged. A compare-and-set that fails at the head has read
//! values that may not be acknowledged yet; it changed nothing, so nothing was shown.

use std::collections::VecDeque;
use std::time::Duration;

use super::{BEAT, Message, Node};
use crate::config::Bug;
use crate::mode::{Output, Ticket};
use crate::operation::{Code, Operation, Outcome, Refusal, Reply, Request, Version, apply_all};
use crate::store::{Store, StoreError};

/// How long a write may wait for the tail before its outcome is called unknown.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How long a read may wait until the tail may answer it.
const READ_LIMIT: Duration = Duration::from_millis(700);

/// A client that waits.
pub struct Pending {
    position: u64,
    ticket: Ticket,
    reply: Reply,
    deadline: Duration,
}

impl Node {
    /// A client asks.
    pub fn request(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let writes = request.ops.iter().any(Operation::writes);
        let configuration = self.configuration();
        let (place, there) = if writes { ("head", configuration.head()) } else { ("tail", configuration.tail()) };
        if there != self.me.name {
            let why = format!("{} is not the {place} of the chain, {there} is", self.me.name);
            let refusal = Refusal { leader: Some(there.to_string()), ..Refusal::definite(Code::NotLeader, why) };
            out.push(Output::Reply(ticket, Err(refusal)));
            return Ok(());
        }
        let results = match self.execute(store, &request.ops)? {
            Ok(results) => results,
            Err(refusal) => {
                out.push(Output::Reply(ticket, Err(refusal)));
                return Ok(());
            }
        };
        let (term, index) = self.log.last;
        let version = Some(Version::Position { term, index });
        let reply = Reply { node: self.me.name.clone(), results, version, contexts: Vec::new() };
        if !writes && !self.policy.lease && index <= self.stable {
            out.push(Output::Reply(ticket, Ok(reply)));
            return Ok(());
        }
        let (queue, limit) = if writes { (&mut self.writes, WRITE_LIMIT) } else { (&mut self.reads, READ_LIMIT) };
        queue.push_back(Pending { position: index, ticket, reply, deadline: now + limit });
        Ok(())
    }

    /// Does all operations or none; the changes become one entry.
    fn execute(&mut self, store: &mut Store, ops: &[Operation]) -> Result<Result<Vec<Outcome>, Refusal>, StoreError> {
        let (results, changes) = match apply_all(ops, |key| store.get(key))? {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if ops.iter().any(Operation::writes) {
            let epoch = self.epoch();
            self.log.write_new(store, epoch, changes)?;
        }
        Ok(Ok(results))
    }

    /// The tail moves on what is acknowledged, and tells the head.
    pub fn acknowledge(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.is_tail() && now >= self.quiet_until {
            let joining = self.configuration().joining.is_some();
            let next = self.downstream.as_ref().filter(|next| next.confirmed);
            let reached = match joining {
                true => next.map_or(0, |next| next.matching),
                false => self.log.last.1,
            };
            self.stable = self.stable.max(reached);
        }
        // The tail says so to the head, and everybody to the one before.
        let (told, at) = self.told;
        if self.stable == told && now.saturating_sub(at) < BEAT || self.is_head() {
            return;
        }
        self.told = (self.stable, now);
        let (epoch, stable) = (self.epoch(), self.stable);
        let configuration = self.configuration();
        let Some(before) = configuration.predecessor(&self.me.name).filter(|_| self.is_complete()) else { return };
        let mut to = vec![before.to_string()];
        if self.is_tail() && configuration.head() != before {
            to.push(configuration.head().to_string());
        }
        out.push(Output::SendAll(to, crate::mode::Message::Chain(Message::Stable { epoch, stable })));
    }

    /// Answers whoever waited for what is acknowledged now, and reads if the tail may answer any.
    pub fn release(&mut self, now: Duration, out: &mut Vec<Output>) {
        let reached = if self.policy.bug == Some(Bug::AckAtHead) { self.log.last.1 } else { self.stable };
        while let Some(pending) = pop_if(&mut self.writes, |pending| pending.position <= reached) {
            out.push(Output::Reply(pending.ticket, Ok(pending.reply)));
        }
        if self.reads.is_empty() || now < self.quiet_until {
            return;
        }
        let lease = if self.policy.lease { self.lease_until() } else { Duration::MAX };
        if now >= lease {
            return;
        }
        let stable = self.stable;
        while let Some(pending) = pop_if(&mut self.reads, |pending| pending.position <= stable) {
            out.push(match self.policy.lease {
                true => Output::ReplyBefore(pending.ticket, Ok(pending.reply), lease),
                false => Output::Reply(pending.ticket, Ok(pending.reply)),
            });
        }
    }

    /// Whoever waited too long is told so.
    pub fn expire(&mut self, now: Duration, out: &mut Vec<Output>) {
        while let Some(pending) = pop_if(&mut self.writes, |pending| now >= pending.deadline) {
            let why = format!("the tail did not acknowledge it within {} s", WRITE_LIMIT.as_secs());
            out.push(Output::Reply(pending.ticket, Err(Refusal::unknown(Code::Timeout, why))));
        }
        while let Some(pending) = pop_if(&mut self.reads, |pending| now >= pending.deadline) {
            let why = "this tail can't be sure that nobody has taken its place";
            out.push(Output::Reply(pending.ticket, Err(Refusal::definite(Code::LeaseExpired, why))));
        }
    }

    /// A node that has lost its place says so to whoever waited.
    pub fn abandon(&mut self, out: &mut Vec<Output>) {
        let why = "this node lost its place in the chain before the tail had acknowledged";
        let (head, tail) = (self.is_head(), self.is_tail());
        let (writes, reads) = (&mut self.writes, &mut self.reads);
        for pending in writes.drain(if head { 0..0 } else { 0..writes.len() }) {
            out.push(Output::Reply(pending.ticket, Err(Refusal::unknown(Code::Deposed, why))));
        }
        for pending in reads.drain(if tail { 0..0 } else { 0..reads.len() }) {
            out.push(Output::Reply(pending.ticket, Err(Refusal::definite(Code::Deposed, why))));
        }
    }
}

/// The first that waits, if it is ripe.
fn pop_if(queue: &mut VecDeque<Pending>, ripe: impl Fn(&Pending) -> bool) -> Option<Pending> {
    if queue.front().is_some_and(ripe) { queue.pop_front() } else { None }
}
