//! How far a follower knows itself to be behind: the time since it last certainly had everything.
//!
//! Neither positions nor heartbeats tell that: a message that is late says nothing of how late it is, and clocks of two machines need not agree. So the
//! follower asks, noting the time by its own clock, and the leader answers with its last position. Once the follower has that, it had at the time of *asking* whatever was
//! acknowledged before. A leader answers only under its lease (or without failover): one that has been replaced does not know what it lacks.
//! A slow link thus counts twice, there and back; a replica may be fresher than it claims, never staler.
//! like: MongoDB's `maxStalenessSeconds`, which trusts heartbeats and wall clocks instead.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Message, Node, Role};
use crate::mode::Output;
use crate::operation::Request;

/// How often it asks while clients want to know.
const ASK: Duration = Duration::from_millis(20);
/// How often it asks for its own status alone.
const ASK_IDLY: Duration = Duration::from_millis(250);
/// For how long after the last of them it goes on asking.
const WANTED: Duration = Duration::from_secs(2);
/// How many answers may wait for their entries.
const WAITING: usize = 256;

/// What a follower knows of its lag.
pub struct Lag {
    /// Tells this process from earlier ones of its name, whose clocks began elsewhere.
    life: u64,
    /// The latest time at which it certainly had everything.
    fresh: Option<Duration>,
    /// Answers whose entries have not arrived: the term, the position, when it was asked. Ascending.
    waiting: VecDeque<(u64, u64, Duration)>,
    ask_due: Duration,
    wanted_until: Duration,
    /// The time of the last tick, which the status is of.
    ticked: Duration,
}

impl Lag {
    /// Nothing is known yet; `moment` is the wall clock at the start of the process, which no other start has.
    pub fn new(moment: i64) -> Lag {
        Lag {
            life: moment as u64,
            fresh: None,
            waiting: VecDeque::new(),
            ask_due: Duration::ZERO,
            wanted_until: Duration::ZERO,
            ticked: Duration::ZERO,
        }
    }

    /// How long ago, in milliseconds, the node certainly had everything, if it knows; as of its last tick.
    pub fn milliseconds(&self) -> Option<u64> {
        self.fresh.map(|fresh| self.ticked.saturating_sub(fresh).as_millis() as u64)
    }
}

impl Node {
    /// Whether the request wants a replica that is fresher than this one knows to be.
    pub fn lags(&mut self, now: Duration, request: &Request) -> bool {
        let Some(limit) = request.max_lag_ms else { return false };
        if self.is_leader() {
            return false;
        }
        if now >= self.lag.wanted_until {
            self.lag.ask_due = now;
        }
        self.lag.wanted_until = now + WANTED;
        self.lag.fresh.is_none_or(|fresh| now.saturating_sub(fresh) > Duration::from_millis(limit))
    }

    /// Asks the leader when it is time to.
    pub fn ask_how_far(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.lag.ticked = now;
        if now < self.lag.ask_due || self.is_leader() {
            return;
        }
        self.lag.ask_due = now + if now < self.lag.wanted_until { ASK } else { ASK_IDLY };
        if let Some(leader) = &self.leader {
            out.push(self.send(leader, Message::Ask { life: self.lag.life, asked: now }));
        }
    }

    /// A follower asks. Who cannot be sure to lead keeps silent.
    pub fn asked_how_far(&self, now: Duration, from: &str, (life, asked): (u64, Duration), out: &mut Vec<Output>) {
        let leads = matches!(self.role, Role::Leader(_)) && self.lease_until().is_none_or(|until| now < until);
        if leads {
            out.push(self.send(from, Message::Told { term: self.term, last: self.last.1, life, asked }));
        }
    }

    /// The leader answered.
    pub fn told_how_far(&mut self, from: &str, (term, last): (u64, u64), (life, asked): (u64, Duration)) {
        let ours = term == self.term && self.leader.as_deref() == Some(from) && life == self.lag.life;
        if ours && self.lag.waiting.len() < WAITING {
            self.lag.waiting.push_back((term, last, asked));
        }
    }

    /// Looks which answers have been caught up with.
    pub fn note_arrivals(&mut self) {
        while let Some((term, last, asked)) = self.lag.waiting.front().copied() {
            if term == self.term && last > self.last.1 {
                return;
            }
            self.lag.waiting.pop_front();
            // Of an earlier term: what it named may have been discarded since.
            if term == self.term && self.term_at(last) == term {
                self.lag.fresh = self.lag.fresh.max(Some(asked));
            }
        }
    }
}
