//! What is left to choose, tried.
//!
//! Two blocks whose order is open may come either way. With both ways as edges, the components of the events can be solved one by one: what is open
//! lies within one of them (a block, its readers and the other block form a circle). Each is searched by choosing the order of a pair, the earlier
//! completion first, drawing every conclusion from it, and taking it back if they contradict each other. Conclusions are kept
//! as a matrix of who reaches whom, with a list of changed words to go back by. Exponential at worst; counted and timed.

use std::time::Instant;

use crate::graph::{Arrow, Graph};
use crate::intern::FastMap;
use crate::txn::levels::Level;
use crate::txn::levels::events::{Block, Events};
use crate::txn::levels::reach::Reach;

/// What came of the search.
pub(crate) enum Search {
    /// There is an order.
    Found,
    /// These have no order.
    None(Vec<u32>),
    /// As many transactions are open in one component.
    GaveUp {
        /// How many.
        txns: usize,
    },
}

/// Pairs of blocks, by number, whose order is open.
type Pairs = Vec<(u32, u32)>;

/// More open pairs than this are not tried.
const MOST: usize = 4_000_000;

/// Searches every component. `steps` bounds the choices, of all together.
pub(crate) fn search(events: &Events, deadline: Instant, steps: u64) -> Search {
    let gave_up = |txns| Search::GaveUp { txns };
    let successors = events.successors();
    let Some(reach) = Reach::of(events, &successors, &successors.order()) else {
        return gave_up(events.facts.txns.len());
    };
    let Some(open) = open(events, &reach, deadline) else { return gave_up(events.facts.txns.len()) };
    let mut steps = steps;
    for (nodes, pairs) in components(events, &open) {
        let mut residue = Residue::new(events, &reach, &nodes, &pairs);
        let txns = || {
            let mut txns: Vec<u32> = nodes.iter().filter_map(|&node| events.txn.get(node as usize).copied()).collect();
            txns.sort_unstable();
            txns.dedup();
            txns
        };
        match residue.solve(deadline, &mut steps) {
            Some(true) => {}
            Some(false) => return Search::None(txns()),
            None => return gave_up(txns().len()),
        }
    }
    Search::Found
}

fn open(events: &Events, reach: &Reach, deadline: Instant) -> Option<Pairs> {
    let mut open = Pairs::new();
    for range in events.keys() {
        for first in range.clone() {
            if Instant::now() > deadline {
                return None;
            }
            for second in first + 1..range.end {
                let (a, b) = (events.blocks[first], events.blocks[second]);
                let decided = |a: Block, b: Block| {
                    let mut all = true;
                    events.between(a, b, |from, to| all &= reach.is(from, to));
                    all
                };
                if !decided(a, b) && !decided(b, a) {
                    open.push((first as u32, second as u32));
                    if open.len() > MOST {
                        return None;
                    }
                }
            }
        }
    }
    // In the order of the earlier of both: what is settled early decides what comes later.
    let hint = |block: u32| events.hint(events.blocks[block as usize].head);
    open.sort_by_cached_key(|&(a, b)| (hint(a).min(hint(b)), hint(a).max(hint(b))));
    Some(open)
}

/// The nodes of each component in which something is open, with what is.
fn components(events: &Events, open: &Pairs) -> Vec<(Vec<u32>, Pairs)> {
    let mut arrows: Vec<Arrow> =
        events.edges.iter().map(|edge| Arrow { from: edge.from, to: edge.to, tag: 0 }).collect();
    for &(a, b) in open {
        let (a, b) = (events.blocks[a as usize], events.blocks[b as usize]);
        let mut add = |from, to| arrows.push(Arrow { from, to, tag: 0 });
        events.between(a, b, &mut add);
        events.between(b, a, &mut add);
    }
    let of = Graph::new(events.nodes as usize, &arrows).components().of;
    drop(arrows);
    let mut found: Vec<(Vec<u32>, Pairs)> = Vec::new();
    let mut number: FastMap<u32, usize> = FastMap::default();
    for &(a, b) in open {
        let component = of[events.blocks[a as usize].head as usize];
        let at = *number.entry(component).or_insert_with(|| {
            found.push((Vec::new(), Vec::new()));
            found.len() - 1
        });
        found[at].1.push((a, b));
    }
    for (node, component) in of.iter().enumerate() {
        if let Some(&at) = number.get(component) {
            found[at].0.push(node as u32);
        }
    }
    found
}

/// Whether a pair's order was chosen or concluded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Open,
    Forwards,
    Backwards,
}

/// A choice that may be taken back.
struct Chosen {
    pair: u32,
    order: Order,
    words: usize,
    orders: usize,
    again: bool,
}

/// One component under search; nodes have numbers of their own.
struct Residue {
    isolated: bool,
    pairs: Vec<(Block, Block)>,
    orders: Vec<Order>,
    /// The pairs that a node begins or commits first in.
    pairs_of: Vec<Vec<u32>>,
    nodes: usize,
    words: usize,
    bits: Vec<u64>,
    changed: Vec<(u32, u64)>,
    ordered: Vec<u32>,
    /// Pairs to look at again.
    doubtful: Vec<u32>,
}

impl Residue {
    fn new(events: &Events, reach: &Reach, nodes: &[u32], pairs: &Pairs) -> Residue {
        let number: FastMap<u32, u32> = nodes.iter().enumerate().map(|(at, &node)| (node, at as u32)).collect();
        let isolated = events.level == Level::SnapshotIsolation;
        let local = |block: u32| {
            let block = events.blocks[block as usize];
            // Beginnings matter to snapshot isolation only, and only then are they within the component.
            let begin = if isolated { block.begin } else { block.head };
            let [begin, head, tail, last] = [begin, block.head, block.tail, block.last].map(|node| number[&node]);
            Block { key: block.key, begin, head, tail, last }
        };
        let pairs: Vec<(Block, Block)> = pairs.iter().map(|&(a, b)| (local(a), local(b))).collect();
        let mut pairs_of = vec![Vec::new(); nodes.len()];
        for (at, (a, b)) in pairs.iter().enumerate() {
            for node in [a.head, b.head] {
                pairs_of[node as usize].push(at as u32);
            }
            for node in [a, b].into_iter().filter(|it| isolated && it.begin != it.head).map(|it| it.begin) {
                pairs_of[node as usize].push(at as u32);
            }
        }
        let words = nodes.len().div_ceil(64);
        let mut bits = vec![0; words * nodes.len()];
        for (a, &from) in nodes.iter().enumerate() {
            for (b, &to) in nodes.iter().enumerate() {
                if a != b && reach.is(from, to) {
                    bits[a * words + b / 64] |= 1 << (b % 64);
                }
            }
        }
        Residue {
            isolated,
            orders: vec![Order::Open; pairs.len()],
            doubtful: (0..pairs.len() as u32).collect(),
            pairs,
            pairs_of,
            nodes: nodes.len(),
            words,
            bits,
            changed: Vec::new(),
            ordered: Vec::new(),
        }
    }

    /// Nothing if time or steps ran out.
    fn solve(&mut self, deadline: Instant, steps: &mut u64) -> Option<bool> {
        let mut chosen: Vec<Chosen> = Vec::new();
        let mut at = 0;
        let mut sound = self.conclude();
        loop {
            while !sound {
                let Some(last) = chosen.pop() else { return Some(false) };
                self.undo(last.words, last.orders);
                at = last.pair as usize;
                if !last.again {
                    let order = if last.order == Order::Forwards { Order::Backwards } else { Order::Forwards };
                    chosen.push(Chosen { order, again: true, ..last });
                    sound = self.choose(last.pair, order);
                }
            }
            while at < self.pairs.len() && self.orders[at] != Order::Open {
                at += 1;
            }
            if at == self.pairs.len() {
                return Some(true);
            }
            *steps = steps.checked_sub(1)?;
            if steps.is_multiple_of(64) && Instant::now() > deadline {
                return None;
            }
            let order = Order::Forwards;
            let (words, orders) = (self.changed.len(), self.ordered.len());
            chosen.push(Chosen { pair: at as u32, order, words, orders, again: false });
            sound = self.choose(at as u32, order);
        }
    }

    fn is(&self, from: u32, to: u32) -> bool {
        from == to || self.bits[from as usize * self.words + to as usize / 64] >> (to % 64) & 1 == 1
    }

    fn undo(&mut self, words: usize, orders: usize) {
        for (at, old) in self.changed.drain(words..).rev() {
            self.bits[at as usize] = old;
        }
        for pair in self.ordered.drain(orders..) {
            self.orders[pair as usize] = Order::Open;
        }
        self.doubtful.clear();
    }

    /// Orders a pair and draws the conclusions; false if they contradict each other.
    fn choose(&mut self, pair: u32, order: Order) -> bool {
        self.order(pair, order) && self.conclude()
    }

    fn conclude(&mut self) -> bool {
        while let Some(pair) = self.doubtful.pop() {
            if self.orders[pair as usize] != Order::Open {
                continue;
            }
            let (a, b) = self.pairs[pair as usize];
            let must = |a: Block, b: Block| self.is(a.head, b.last) || self.isolated && self.is(a.begin, b.tail);
            let sound = match (must(a, b), must(b, a)) {
                (true, true) => false,
                (true, false) => self.order(pair, Order::Forwards),
                (false, true) => self.order(pair, Order::Backwards),
                (false, false) => true,
            };
            if !sound {
                return false;
            }
        }
        true
    }

    fn order(&mut self, pair: u32, order: Order) -> bool {
        self.orders[pair as usize] = order;
        self.ordered.push(pair);
        let (mut a, mut b) = self.pairs[pair as usize];
        if order == Order::Backwards {
            std::mem::swap(&mut a, &mut b);
        }
        let apart = |from, to| from != to;
        (!apart(a.last, b.head) || self.connect(a.last, b.head))
            && (!self.isolated || !apart(a.tail, b.begin) || self.connect(a.tail, b.begin))
    }

    /// Adds an edge with all that follows from it; false if it closes a circle.
    fn connect(&mut self, from: u32, to: u32) -> bool {
        if self.is(to, from) {
            return false;
        }
        if self.is(from, to) {
            return true;
        }
        for node in 0..self.nodes as u32 {
            if self.is(node, from) && !self.is(node, to) {
                self.take(node, to);
                self.doubtful.extend_from_slice(&self.pairs_of[node as usize]);
            }
        }
        true
    }

    fn take(&mut self, node: u32, to: u32) {
        let (into, from) = (node as usize * self.words, to as usize * self.words);
        for word in 0..self.words {
            let own = if word == to as usize / 64 { 1 << (to % 64) } else { 0 };
            let (old, new) = (self.bits[into + word], self.bits[into + word] | self.bits[from + word] | own);
            if new != old {
                self.changed.push(((into + word) as u32, old));
                self.bits[into + word] = new;
            }
        }
    }
}
