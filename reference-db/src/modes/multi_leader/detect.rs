//! Synchronous conflict detection: a write waits until every datacentre has said that nothing is in its way.
//!
//! A leader proposes the keys that it wants to write, with what it knows of them. Another grants if it knows nothing more, and has no proposal of its own for
//! one of them; of two leaders that propose at once the one of the lower datacentre goes first. The proposer decides alone: with every vote it writes, and sends
//! the change as usual; otherwise it refuses, and nothing has happened. So a lost vote, or a voter that forgot, can refuse a write but never
//! accept a conflict: of two proposers each is also a voter of the other. (DDIA: "you might as well just use single-leader replication".)

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::link::send;
use super::{Message, Node};
use crate::mode::{Output, Ticket};
use crate::modes::leaderless::row::Dot;
use crate::operation::{Code, Context, Refusal, Request};
use crate::store::{Store, StoreError};

/// How long the datacentres have to vote.
const VOTE_LIMIT: Duration = Duration::from_millis(700);
/// How long a granted key is refused to others unless the proposer ends it: only a courtesy, which spares both the attempt.
const GRANT: Duration = Duration::from_secs(1);

/// What is being agreed on.
#[derive(Default)]
pub struct Agreement {
    proposals: BTreeMap<Dot, Proposal>,
    granted: HashMap<String, (Dot, Duration)>,
    count: u64,
}

struct Proposal {
    ticket: Ticket,
    request: Request,
    keys: BTreeSet<String>,
    missing: BTreeSet<String>,
    deadline: Duration,
}

impl Agreement {
    /// A proposal of another leader is over.
    pub fn released(&mut self, id: &Dot) {
        self.granted.retain(|_, (holder, _)| holder != id);
    }

    fn granted_to(&self, now: Duration, key: &str) -> Option<&Dot> {
        self.granted.get(key).filter(|(_, until)| now < *until).map(|(holder, _)| holder)
    }
}

impl Node {
    /// A client wants to write.
    pub fn propose(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let keys: BTreeSet<String> =
            request.ops.iter().filter(|op| op.writes()).map(|op| op.key().to_string()).collect();
        let busy = |key: &String| {
            self.agreement.granted_to(now, key).is_some()
                || self.agreement.proposals.values().any(|own| own.keys.contains(key))
        };
        if keys.iter().any(busy) {
            out.push(Output::Reply(ticket, Err(conflict("another writer was first"))));
            return Ok(());
        }
        // What is wrong with the request itself is found before anybody is asked.
        if let Err(refusal) = self.execute(store, &request, false)? {
            out.push(Output::Reply(ticket, Err(refusal)));
            return Ok(());
        }
        let missing: BTreeSet<String> =
            self.layout.leaders().iter().filter(|name| **name != self.me.name).cloned().collect();
        self.agreement.count += 1;
        let id = (self.actor.clone(), self.agreement.count);
        let mut known = Vec::with_capacity(keys.len());
        for key in &keys {
            known.push((key.clone(), self.row(store, key)?.unwrap_or_default().context));
        }
        out.extend(missing.iter().map(|to| send(to, Message::Propose { id: id.clone(), keys: known.clone() })));
        let proposal = Proposal { ticket, request, keys, missing, deadline: now + VOTE_LIMIT };
        self.agreement.proposals.insert(id.clone(), proposal);
        self.decide(store, &id, out)
    }

    /// Another leader wants to write.
    pub fn proposed(
        &mut self,
        store: &Store,
        now: Duration,
        from: &str,
        id: Dot,
        keys: &[(String, Context)],
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let theirs = self.layout.datacentre(from);
        let mut granted = true;
        for (key, known) in keys {
            let held = self.row(store, key)?.unwrap_or_default().context;
            let news = held.iter().any(|(actor, count)| known.get(actor).is_none_or(|theirs| theirs < count));
            let taken = self.agreement.granted_to(now, key).is_some_and(|holder| *holder != id);
            let rival = self.agreement.proposals.values().any(|own| own.keys.contains(key));
            granted &= !news && !taken && (!rival || theirs < self.datacentre);
        }
        if granted {
            let wanted = |own: &Proposal| keys.iter().any(|(key, _)| own.keys.contains(key));
            let yielding: Vec<Dot> =
                self.agreement.proposals.iter().filter(|(_, own)| wanted(own)).map(|(id, _)| id.clone()).collect();
            for own in yielding {
                self.give_up(&own, conflict("another datacentre writes it at the same time"), out);
            }
            for (key, _) in keys {
                self.agreement.granted.insert(key.clone(), (id.clone(), now + GRANT));
            }
        }
        out.push(send(from, Message::Vote { id, granted }));
        Ok(())
    }

    /// A vote arrives.
    pub fn voted(
        &mut self,
        store: &mut Store,
        from: &str,
        id: &Dot,
        granted: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if !granted {
            self.give_up(id, conflict(&format!("{from} has or makes another write of it")), out);
        } else if let Some(proposal) = self.agreement.proposals.get_mut(id) {
            proposal.missing.remove(from);
            self.decide(store, id, out)?;
        }
        Ok(())
    }

    /// Writes if nobody's vote is missing. The rows are as they were when it was proposed: whoever might have changed them voted.
    fn decide(&mut self, store: &mut Store, id: &Dot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if self.agreement.proposals.get(id).is_none_or(|proposal| !proposal.missing.is_empty()) {
            return Ok(());
        }
        if let Some(Proposal { ticket, request, .. }) = self.agreement.proposals.remove(id) {
            let answer = self.execute(store, &request, true)?;
            out.push(Output::Reply(ticket, answer));
            self.release(id, out);
        }
        Ok(())
    }

    /// Whether it was written or not: others may try.
    fn release(&self, id: &Dot, out: &mut Vec<Output>) {
        for other in self.layout.leaders().iter().filter(|other| **other != self.me.name) {
            out.push(send(other, Message::Release { id: id.clone() }));
        }
    }

    fn give_up(&mut self, id: &Dot, refusal: Refusal, out: &mut Vec<Output>) {
        let Some(proposal) = self.agreement.proposals.remove(id) else { return };
        out.push(Output::Reply(proposal.ticket, Err(refusal)));
        self.release(id, out);
    }

    /// Proposals that somebody did not vote on in time: a datacentre is away, and nobody writes.
    pub fn expire(&mut self, now: Duration, out: &mut Vec<Output>) {
        let proposals = &self.agreement.proposals;
        let late: Vec<Dot> =
            proposals.iter().filter(|(_, own)| now >= own.deadline).map(|(id, _)| id.clone()).collect();
        for id in late {
            let missing = self.agreement.proposals.get(&id).map(|own| own.missing.iter().cloned().collect::<Vec<_>>());
            let text = format!("{} did not vote in time; nothing was written", missing.unwrap_or_default().join(", "));
            self.give_up(&id, Refusal::definite(Code::Timeout, text), out);
        }
        self.agreement.granted.retain(|_, (_, until)| now < *until);
    }
}

fn conflict(why: &str) -> Refusal {
    Refusal::definite(Code::Conflict, format!("a conflict: {why}; nothing was written"))
}
