//! What follows: a block whose first commit is before the last reader of another of its key is before all of that block.
//!
//! Were it after, it would come after that reader. The rule covers both that a reader sees a third version (so that comes before its source) and that a
//! version is overwritten (so its readers come before). Applied until nothing is new, by carrying sets of 256 blocks through the events; polynomial,
//! and for most histories it leaves nothing to choose.

use std::time::Instant;

use crate::txn::levels::Level;
use crate::txn::levels::events::{Edge, Events};
use crate::txn::levels::precedence::Successors;

pub(crate) enum Saturated {
    /// Nothing more follows.
    Done,
    /// What follows contradicts itself.
    Circle,
    OutOfTime,
}

/// Adds what follows to the edges.
pub(crate) fn saturate(events: &mut Events, deadline: Instant) -> Saturated {
    loop {
        let successors = events.successors();
        let order = successors.order();
        if order.len() < successors.nodes() {
            return Saturated::Circle;
        }
        let Some(pairs) = implied(events, &successors, &order, deadline) else { return Saturated::OutOfTime };
        let before = events.edges.len();
        for (first, second) in pairs {
            let (first, second) = (events.blocks[first as usize], events.blocks[second as usize]);
            let mut new: Vec<(u32, u32)> = Vec::new();
            events.between(first, second, |from, to| new.push((from, to)));
            for (from, to) in new {
                let why = events.why(first, second, (from, to));
                events.edges.push(Edge { from, to, why });
            }
        }
        if events.edges.len() == before {
            return Saturated::Done;
        }
    }
}

/// Pairs of blocks of which the first must come before the second though not everything between them says so yet.
fn implied(events: &Events, successors: &Successors, order: &[u32], _deadline: Instant) -> Option<Vec<(u32, u32)>> {
    let reach = Reach::of(events, successors, order)?;
    let mut pairs = Vec::new();
    for range in events.keys() {
        for first in range.clone() {
            for second in range.clone().filter(|&second| second != first) {
                let (a, b) = (events.blocks[first], events.blocks[second]);
                let isolated = events.level == Level::SnapshotIsolation;
                if reach.is(a.head, b.last) || isolated && reach.is(a.begin, b.tail) {
                    let mut missing = false;
                    events.between(a, b, |from, to| missing |= !reach.is(from, to));
                    if missing {
                        pairs.push((first as u32, second as u32));
                    }
                }
            }
        }
    }
    Some(pairs)
}

/// Who reaches whom: a matrix of bits.
pub(crate) struct Reach {
    words: usize,
    bits: Vec<u64>,
}

impl Reach {
    pub(crate) fn of(events: &Events, successors: &Successors, order: &[u32]) -> Option<Reach> {
        let nodes = events.nodes as usize;
        let words = nodes.div_ceil(64);
        if nodes > 40_000 {
            return None;
        }
        let mut reach = Reach { words, bits: vec![0; words * nodes] };
        for &node in order.iter().rev() {
            for &next in successors.next(node) {
                reach.take(node, next);
            }
        }
        Some(reach)
    }

    /// What `next` reaches, and it, is reached by `node`.
    fn take(&mut self, node: u32, next: u32) {
        let (node, next) = (node as usize * self.words, next as usize);
        self.bits[node + next / 64] |= 1 << (next % 64);
        let from = next * self.words;
        for word in 0..self.words {
            self.bits[node + word] |= self.bits[from + word];
        }
    }

    pub(crate) fn is(&self, from: u32, to: u32) -> bool {
        from == to || self.bits[from as usize * self.words + to as usize / 64] >> (to % 64) & 1 == 1
    }
}
