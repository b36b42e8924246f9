//! Shipping from the change table: `--log trigger` (DDIA, chapter 5, "Trigger-based replication"; like: Slony, Bucardo).
//!
//! The leader's transactions only write; what they changed is read again later, by a task with a connection and a lag of its own. Here is decided what it is
//! told: for each follower the entries after those it has confirmed, at most [`LOT`], and nothing more until it has confirmed them or has been silent for too
//! long. So a follower's cursor moves with its confirmations alone, and an order that is lost, or carried out twice, harms nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Node, Role};
use crate::config::LogFormat;
use crate::mode::{Order, Output};

/// How many entries are shipped at once.
const LOT: usize = 512;
/// An order is repeated after so many heartbeats.
const PATIENCE: u32 = 3;

/// An order that the follower has not confirmed.
#[derive(Debug)]
pub struct Shipping {
    until: u64,
    /// When it may be repeated.
    again: Duration,
}

impl Shipping {
    /// Whether a confirmation is its end.
    pub fn is_over(&self, matching: u64) -> bool {
        matching >= self.until
    }

    /// The follower refused what came: it may be repeated at once.
    pub fn fail(&mut self) {
        self.again = Duration::ZERO;
    }
}

impl Node {
    /// Whether triggers capture what travels.
    pub fn by_triggers(&self) -> bool {
        self.policy.log == LogFormat::Trigger
    }

    /// Orders for every follower what it lacks. Those at the same place share an order.
    pub fn ship(&mut self, now: Duration, out: &mut Vec<Output>) {
        if !self.by_triggers() {
            return;
        }
        let (last, oldest, beat) = (self.last.1, self.oldest, self.heartbeat());
        let Role::Leader(leading) = &mut self.role else { return };
        let mut lots: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (name, follower) in &mut leading.followers {
            let first = follower.next;
            let waits = follower.shipping.as_ref().is_some_and(|shipping| now < shipping.again);
            if first > last || follower.needs_copy(oldest, last) || waits {
                continue;
            }
            if follower.shipping.is_none() {
                follower.progress = now;
            }
            let until = last.min(first + LOT as u64 - 1);
            follower.shipping = Some(Shipping { until, again: now + beat * PATIENCE });
            lots.entry(first).or_default().push(name.clone());
        }
        for (first, to) in lots {
            let previous = (self.term_at(first - 1), first - 1);
            let (term, committed) = (self.term, self.committed);
            out.push(Output::Ship(Order { to, term, previous, count: LOT, committed, sent: now }));
        }
    }
}
