//! Linearizable reads (dissertation, 6.4): the leader must know that it still led after the read came.
//!
//! **Index.** All reads that are waiting share one question to everybody, sent after they came. When a majority has answered, and everything that was committed then is
//! applied, they are answered. A leader asks nothing before an entry of its own term is committed: until then it does not know what is.
//!
//! **Lease.** A majority that answered a question votes for nobody for an election time-out after it heard it, and not sooner when restarted; so the leader answers without asking until
//! [`LEASE`] after it *sent* the question. The margin is for clocks that don't run equally fast. An answer leaves within the lease or not at all. A leader that was asked
//! to hand over uses no lease any more: its heir need not wait. The library's own lease counts from the last check for a quorum instead, which may be nearly two
//! time-outs old.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ELECTION, HEARTBEAT, Node, PERIOD};
use crate::config::Bug;
use crate::mode::{Output, Ticket};
use crate::operation::Operation;
use crate::store::{Store, StoreError};

/// How long after its question a leader answers without asking: nine tenths of the shortest time without a leader that makes anybody vote.
const LEASE: Duration = Duration::from_millis(PERIOD.as_millis() as u64 * ELECTION as u64 * 9 / 10);
/// How often a lease is renewed.
const BEAT: Duration = Duration::from_millis(PERIOD.as_millis() as u64 * HEARTBEAT as u64);
/// When a question without an answer is followed by the next.
const AGAIN: Duration = Duration::from_millis(30);

struct Waiting {
    ticket: Ticket,
    ops: Vec<Operation>,
    deadline: Duration,
}

/// A question under way, and the reads that wait for its answer.
struct Round {
    number: u64,
    sent: Duration,
    /// Once confirmed: what must be applied.
    index: Option<u64>,
    reads: Vec<Waiting>,
}

/// The reads at a leader.
#[derive(Default)]
pub struct Reads {
    queued: Vec<Waiting>,
    rounds: VecDeque<Round>,
    next: u64,
    lease_until: Duration,
    /// No lease until the next term.
    forgone: bool,
    leased: u64,
}

impl Reads {
    /// A read comes.
    pub fn queue(&mut self, ticket: Ticket, ops: Vec<Operation>, deadline: Duration) {
        self.queued.push(Waiting { ticket, ops, deadline });
    }

    /// A majority confirmed a question, and with it every earlier one.
    pub fn confirm(&mut self, context: &[u8], index: u64) {
        let number: Option<u64> = std::str::from_utf8(context).ok().and_then(|text| text.parse().ok());
        for round in self.rounds.iter_mut().filter(|round| Some(round.number) == number) {
            round.index = Some(index);
        }
    }

    /// Everything that waits, since the term is over; the lease too.
    pub fn abandon(&mut self) -> Vec<Ticket> {
        let rounds = std::mem::take(&mut self.rounds).into_iter().flat_map(|round| round.reads);
        let tickets = rounds.chain(std::mem::take(&mut self.queued)).map(|read| read.ticket).collect();
        (self.lease_until, self.forgone) = (Duration::ZERO, false);
        tickets
    }

    /// Takes out the reads whose time is over.
    pub fn late(&mut self, now: Duration) -> Vec<Ticket> {
        let mut late = Vec::new();
        let queues = self.rounds.iter_mut().map(|round| &mut round.reads).chain([&mut self.queued]);
        for queue in queues {
            // They stand in the order in which they came.
            let split = queue.iter().position(|read| read.deadline > now).unwrap_or(queue.len());
            late.extend(queue.drain(..split).map(|read| read.ticket));
        }
        late
    }

    /// This node is asked to hand over.
    pub fn forgo_lease(&mut self) {
        self.forgone = true;
    }

    /// Questions asked, and reads answered without one.
    pub fn counted(&self) -> (u64, u64) {
        (self.next, self.leased)
    }

    fn is_leased(&self, now: Duration) -> bool {
        now < self.lease_until && !self.forgone
    }

    /// Whether the last question is under way for less than `patience`.
    fn asked_within(&self, now: Duration, patience: Duration) -> bool {
        self.rounds.back().is_some_and(|round| now < round.sent + patience)
    }
}

impl Node {
    /// Asks the others where a read or the lease needs it.
    pub fn ask_whether_it_leads(&mut self, now: Duration) {
        // Before an entry of its own is committed a leader does not know what is, and the library would drop the question.
        if !self.is_leader() || !self.raw.raft.commit_to_current_term() {
            return;
        }
        let leased = self.policy.lease && self.reads.is_leased(now);
        let reads_wait = !leased && !self.reads.queued.is_empty() && !self.has_bug(Bug::StaleReadIndex);
        let renew = self.policy.lease && !self.reads.forgone && self.reads.lease_until < now + LEASE - BEAT;
        if (reads_wait && !self.reads.asked_within(now, AGAIN)) || (renew && !self.reads.asked_within(now, BEAT)) {
            self.reads.next += 1;
            let number = self.reads.next;
            let reads = if reads_wait { std::mem::take(&mut self.reads.queued) } else { Vec::new() };
            self.reads.rounds.push_back(Round { number, sent: now, index: None, reads });
            self.raw.read_index(number.to_string().into_bytes());
        }
    }

    /// Answers the reads whose question is confirmed, and under a lease all others too.
    pub fn serve_reads(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if !self.is_leader() {
            return Ok(());
        }
        let (_, applied) = self.raw.store().applied();
        // A confirmation answers the earlier questions too.
        let confirmed = self.reads.rounds.iter().rposition(|round| round.index.is_some_and(|index| index <= applied));
        for round in confirmed.map(|last| self.reads.rounds.drain(..=last).collect::<Vec<_>>()).into_iter().flatten() {
            if self.policy.lease {
                self.reads.lease_until = self.reads.lease_until.max(round.sent + LEASE);
            }
            for read in round.reads {
                self.serve(store, read, None, out)?;
            }
        }
        if self.has_bug(Bug::StaleReadIndex) {
            for read in std::mem::take(&mut self.reads.queued) {
                self.serve(store, read, None, out)?;
            }
        }
        if self.policy.lease && self.reads.is_leased(now) && self.raw.raft.commit_to_current_term() {
            let until = self.reads.lease_until;
            for read in std::mem::take(&mut self.reads.queued) {
                self.reads.leased += 1;
                self.serve(store, read, Some(until), out)?;
            }
        }
        Ok(())
    }

    fn serve(
        &self,
        store: &mut Store,
        read: Waiting,
        until: Option<Duration>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let results = super::write::transaction(store, &read.ops)?;
        let result = results.map(|results| self.reply(self.raw.store().applied(), results));
        out.push(match until {
            Some(until) => Output::ReplyBefore(read.ticket, result, until),
            None => Output::Reply(read.ticket, result),
        });
        Ok(())
    }
}
