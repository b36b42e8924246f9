//! What follows within a stretch of the history.
//!
//! Conclusions drawn from some of the events hold for all of them. So the events are laid in the order in which they seem to have happened, and each stretch of
//! a few thousand is saturated by itself, overlapping the next by half. What is found is added to the edges. A store's faults are mostly local,
//! so this finds most circles, and mostly leaves the greedy schedule nothing to trip over, at a cost that is linear in the history; what it misses is left to
//! [`saturate`](super::saturate).

use std::time::Instant;

use crate::intern::FastMap;
use crate::txn::levels::Level;
use crate::txn::levels::events::{Block, Edge, Events};
use crate::txn::levels::precedence::Successors;

/// How many nodes a stretch has.
const SIZE: usize = 2_048;

/// Adds what follows within stretches; false if time ran out before the end.
pub(crate) fn saturate(events: &mut Events, deadline: Instant) -> bool {
    let order = seeming(events);
    let mut rank = vec![0_u32; events.nodes as usize];
    order.iter().enumerate().for_each(|(at, &node)| rank[node as usize] = at as u32);
    // Blocks by where the first of their nodes stands.
    let mut blocks: Vec<(u32, u32)> = Vec::with_capacity(events.blocks.len());
    for (at, block) in events.blocks.iter().enumerate() {
        blocks.push((nodes_of(block).map(|node| rank[node as usize]).into_iter().min().unwrap_or(0), at as u32));
    }
    blocks.sort_unstable();
    let successors = events.successors();
    let mut added: FastMap<u32, Vec<u32>> = FastMap::default();
    let mut stretch = Stretch::default();
    let mut first = 0;
    while first < order.len() {
        if Instant::now() > deadline {
            return false;
        }
        let end = (first + SIZE).min(order.len());
        let from = blocks.partition_point(|&(at, _)| (at as usize) < first);
        let upto = blocks.partition_point(|&(at, _)| (at as usize) < end);
        let inside = |&(_, block): &(u32, u32)| {
            let block = &events.blocks[block as usize];
            nodes_of(block).iter().all(|&node| (rank[node as usize] as usize) < end).then_some(*block)
        };
        let mut here: Vec<Block> = blocks[from..upto].iter().filter_map(inside).collect();
        here.sort_by_key(|block| block.key);
        let window = Window { nodes: &order[first..end], rank: &rank, first };
        let new = stretch.saturate(events, &window, &here, &successors, &added);
        let circle = new.is_none();
        for (a, b, from, to) in new.unwrap_or_default() {
            added.entry(from).or_default().push(to);
            let why = events.follows(a, b, (from, to));
            events.edges.push(Edge { from, to, why });
        }
        events.edges.append(&mut stretch.contradiction);
        if circle {
            return true;
        }
        first += SIZE / 2;
    }
    true
}

fn nodes_of(block: &Block) -> [u32; 4] {
    [block.begin, block.head, block.tail, block.last]
}

/// The nodes in the order of their hints; a virtual one after the last of those that lead to it.
fn seeming(events: &Events) -> Vec<u32> {
    let mut hints: Vec<u64> = vec![0; events.nodes as usize];
    for event in 0..events.txn.len() as u32 {
        hints[event as usize] = events.hint(event);
    }
    for edge in
        events.edges.iter().filter(|edge| edge.to >= events.txn.len() as u32 && edge.from < events.txn.len() as u32)
    {
        hints[edge.to as usize] = hints[edge.to as usize].max(hints[edge.from as usize]);
    }
    let mut order: Vec<u32> = (0..events.nodes).collect();
    order.sort_by_key(|&node| hints[node as usize]);
    order
}

/// Some nodes that stand together.
struct Window<'a> {
    nodes: &'a [u32],
    rank: &'a [u32],
    first: usize,
}

impl Window<'_> {
    fn local(&self, node: u32) -> Option<u32> {
        let at = (self.rank[node as usize] as usize).checked_sub(self.first)?;
        (at < self.nodes.len()).then_some(at as u32)
    }
}

/// A conclusion: the blocks, and the nodes of the edge.
type New = (Block, Block, u32, u32);

/// Who reaches whom within a stretch; kept for the next.
#[derive(Default)]
struct Stretch {
    words: usize,
    bits: Vec<u64>,
    edges: Vec<(u32, u32)>,
    /// The edges that closed a circle.
    contradiction: Vec<Edge>,
}

impl Stretch {
    /// What follows; nothing if it contradicts itself.
    fn saturate(
        &mut self,
        events: &Events,
        window: &Window,
        blocks: &[Block],
        successors: &Successors,
        added: &FastMap<u32, Vec<u32>>,
    ) -> Option<Vec<New>> {
        self.edges.clear();
        for &node in window.nodes {
            let from = window.local(node).expect("it is in the window");
            let more = added.get(&node).into_iter().flatten();
            let inside = successors.next(node).iter().chain(more).filter_map(|&to| window.local(to));
            self.edges.extend(inside.map(|to| (from, to)));
        }
        let isolated = events.level == Level::SnapshotIsolation;
        let local = |node: u32| window.local(node).expect("blocks are inside");
        let mut all: Vec<New> = Vec::new();
        loop {
            if !self.close(window.nodes.len()) {
                // The contradiction is among the edges that the caller is about to add.
                self.report(events, &all);
                return None;
            }
            let before = all.len();
            for key in blocks.chunk_by(|a, b| a.key == b.key) {
                for a in key {
                    for b in key.iter().filter(|b| b.head != a.head) {
                        let follows =
                            self.is(local(a.head), local(b.last)) || isolated && self.is(local(a.begin), local(b.tail));
                        if follows {
                            events.between(*a, *b, |from, to| {
                                if !self.is(local(from), local(to)) {
                                    all.push((*a, *b, from, to));
                                }
                            });
                        }
                    }
                }
            }
            if all.len() == before {
                return Some(all);
            }
            self.edges.extend(all[before..].iter().map(|&(_, _, from, to)| (local(from), local(to))));
        }
    }

    fn report(&mut self, events: &Events, all: &[New]) {
        for &(a, b, from, to) in all {
            self.contradiction.push(Edge { from, to, why: events.follows(a, b, (from, to)) });
        }
    }

    fn is(&self, from: u32, to: u32) -> bool {
        from == to || self.bits[from as usize * self.words + to as usize / 64] >> (to % 64) & 1 == 1
    }

    /// Works out who reaches whom; false if there is a circle.
    fn close(&mut self, nodes: usize) -> bool {
        let successors = Successors::of(nodes, |visit| self.edges.iter().for_each(|&(from, to)| visit(from, to)));
        let order = successors.order();
        self.words = nodes.div_ceil(64);
        self.bits.clear();
        self.bits.resize(self.words * nodes, 0);
        for &node in order.iter().rev() {
            let into = node as usize * self.words;
            for &next in successors.next(node) {
                let from = next as usize * self.words;
                self.bits[into + next as usize / 64] |= 1 << (next % 64);
                for word in 0..self.words {
                    self.bits[into + word] |= self.bits[from + word];
                }
            }
        }
        order.len() == nodes
    }
}
