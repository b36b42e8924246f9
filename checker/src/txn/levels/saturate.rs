//! What follows: a block whose first commit is before the last reader of another of its key is before all of that block.
//!
//! Were it after, it would come after that reader. The rule covers both that a reader sees a third version (so that comes before its source) and that a
//! version is overwritten (so its readers come before). Under snapshot isolation, moreover, what begins before a block's last commit is before it.
//! Applied until nothing is new: polynomial, and for most histories it leaves nothing to choose. With clocks, the last block of each chain that
//! reaches another is enough: those before it on the chain come before it by the same rule.

use std::time::Instant;

use crate::txn::levels::Level;
use crate::txn::levels::events::{Edge, Events};
use crate::txn::levels::reach::{Clocks, Reach};

/// What came of it.
pub(crate) enum Saturated {
    /// Nothing more follows.
    Done,
    /// What follows contradicts itself.
    Circle,
    /// Time or memory ran out.
    GaveUp,
}

/// Adds what follows to the edges.
pub(crate) fn saturate(events: &mut Events, deadline: Instant) -> Saturated {
    loop {
        let successors = events.successors();
        let order = successors.order();
        if order.len() < successors.nodes() {
            return Saturated::Circle;
        }
        let Some(reach) = Reach::of(events, &successors, &order) else { return Saturated::GaveUp };
        let Some(pairs) = implied(events, &reach, deadline) else { return Saturated::GaveUp };
        drop(reach);
        if pairs.is_empty() {
            return Saturated::Done;
        }
        for (first, second) in pairs {
            let (first, second) = (events.blocks[first as usize], events.blocks[second as usize]);
            let mut new: [Option<(u32, u32)>; 2] = [None; 2];
            events.between(first, second, |from, to| new[usize::from(new[0].is_some())] = Some((from, to)));
            for (from, to) in new.into_iter().flatten() {
                let why = events.follows(first, second, (from, to));
                events.edges.push(Edge { from, to, why });
            }
        }
    }
}

/// Pairs of blocks of which the first must come before the second though not everything between them says so yet.
fn implied(events: &Events, reach: &Reach, deadline: Instant) -> Option<Vec<(u32, u32)>> {
    let mut pairs = Vec::new();
    for range in events.keys() {
        if Instant::now() > deadline {
            return None;
        }
        match reach {
            Reach::Matrix { .. } => each_pair(events, reach, range, &mut pairs),
            Reach::Clocks(clocks) => each_chain(events, reach, clocks, range, &mut pairs),
        }
    }
    Some(pairs)
}

type Pairs = Vec<(u32, u32)>;

fn add(events: &Events, reach: &Reach, first: usize, second: usize, pairs: &mut Pairs) {
    let mut missing = false;
    events.between(events.blocks[first], events.blocks[second], |from, to| missing |= !reach.is(from, to));
    if missing {
        pairs.push((first as u32, second as u32));
    }
}

fn each_pair(events: &Events, reach: &Reach, range: std::ops::Range<usize>, pairs: &mut Pairs) {
    let isolated = events.level == Level::SnapshotIsolation;
    for first in range.clone() {
        for second in range.clone().filter(|&second| second != first) {
            let (a, b) = (events.blocks[first], events.blocks[second]);
            if reach.is(a.head, b.last) || isolated && reach.is(a.begin, b.tail) {
                add(events, reach, first, second, pairs);
            }
        }
    }
}

fn each_chain(events: &Events, reach: &Reach, clocks: &Clocks, range: std::ops::Range<usize>, pairs: &mut Pairs) {
    let place = |node: u32| (clocks.chain[node as usize], clocks.position[node as usize]);
    let mut along = |begins: bool| {
        let start = |block: usize| if begins { events.blocks[block].begin } else { events.blocks[block].head };
        let mut sorted: Vec<usize> = range.clone().collect();
        sorted.sort_unstable_by_key(|&block| place(start(block)));
        for second in range.clone() {
            let block = events.blocks[second];
            let clock = clocks.clock(if begins { block.tail } else { block.last });
            for chain in sorted.chunk_by(|&a, &b| place(start(a)).0 == place(start(b)).0) {
                let seen = clock.get(place(start(chain[0])).0 as usize).copied().unwrap_or(0);
                let upto = chain.partition_point(|&block| place(start(block)).1 < seen);
                if let Some(&first) = chain[..upto].iter().rev().find(|&&first| first != second) {
                    add(events, reach, first, second, pairs);
                }
            }
        }
    };
    along(false);
    if events.level == Level::SnapshotIsolation {
        along(true);
    }
}
