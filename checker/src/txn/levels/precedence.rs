//! What comes before what in any case, and whether demands on top of it run in a circle.
//!
//! Sessions, reads-from and list orders are not stored but walked. Real time is a chain of virtual nodes, one a completion, so that it costs three edges
//! a transaction instead of one a pair.

use crate::graph::{Arrow, Graph};
use crate::history::Outcome;
use crate::txn::levels::Within;
use crate::txn::levels::facts::Facts;
use crate::txn::levels::proof::{INITIAL, Link, Proof, Why};

/// Successors in flat arrays.
pub(crate) struct Successors {
    first: Vec<u32>,
    targets: Vec<u32>,
}

impl Successors {
    /// `walk` shows every edge, the same each time it is called. Cost: two walks.
    pub(crate) fn of(nodes: usize, walk: impl Fn(&mut dyn FnMut(u32, u32))) -> Successors {
        let mut first = vec![0_u32; nodes + 2];
        walk(&mut |from, _| first[from as usize + 2] += 1);
        for node in 2..first.len() {
            first[node] += first[node - 1];
        }
        let mut targets = vec![0_u32; first[nodes + 1] as usize];
        walk(&mut |from, to| {
            let slot = &mut first[from as usize + 1];
            targets[*slot as usize] = to;
            *slot += 1;
        });
        Successors { first, targets }
    }

    /// What follows `node`.
    #[inline]
    pub(crate) fn next(&self, node: u32) -> &[u32] {
        &self.targets[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.first.len() - 2
    }

    /// The nodes so that every edge leads onwards. Shorter than the number of nodes if some lie on, or behind, a circle.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut before = vec![0_u32; self.nodes()];
        for &to in &self.targets {
            before[to as usize] += 1;
        }
        let mut order: Vec<u32> = Vec::with_capacity(self.nodes());
        order.extend((0..self.nodes() as u32).filter(|&node| before[node as usize] == 0));
        let mut at = 0;
        while at < order.len() {
            for &to in self.next(order[at]) {
                before[to as usize] -= 1;
                if before[to as usize] == 0 {
                    order.push(to);
                }
            }
            at += 1;
        }
        order
    }
}

/// The order asked for, reads-from and list orders.
pub(crate) struct Precedence<'a> {
    facts: &'a Facts<'a>,
    within: Within,
    /// Completions of committed transactions, ascending.
    completions: Vec<(u32, u32)>,
}

impl<'a> Precedence<'a> {
    pub(crate) fn of(facts: &'a Facts<'a>, within: Within) -> Precedence<'a> {
        let mut completions = Vec::new();
        if within == Within::RealTime {
            let all = facts.txns.txns.iter().enumerate();
            completions = all
                .filter(|(_, txn)| txn.outcome == Outcome::Ok && txn.end != u32::MAX)
                .map(|(t, txn)| (txn.end, t as u32))
                .collect();
            completions.sort_unstable();
        }
        Precedence { facts, within, completions }
    }

    /// Transactions, then virtual nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.facts.txns.len() + self.completions.len()
    }

    /// Calls `visit` for every edge; list orders only if asked for.
    pub(crate) fn each(&self, orders: bool, visit: &mut dyn FnMut(u32, u32)) {
        self.each_asked(visit);
        for t in 0..self.facts.txns.len() as u32 {
            for read in self.facts.reads(t) {
                if read.from != INITIAL {
                    visit(read.from, t);
                }
            }
        }
        if orders {
            self.facts.each_order(|_, from, to| visit(from, to));
        }
    }

    /// The same for the order asked for alone.
    pub(crate) fn each_asked(&self, visit: &mut dyn FnMut(u32, u32)) {
        let txns = &self.facts.txns.txns;
        if self.within == Within::Nothing {
            return;
        }
        let mut last = vec![INITIAL; self.processes()];
        for (t, txn) in txns.iter().enumerate().filter(|(t, _)| self.facts.counts[*t]) {
            let last = &mut last[txn.process as usize];
            if *last != INITIAL {
                visit(*last, t as u32);
            }
            if txn.outcome == Outcome::Ok {
                *last = t as u32;
            }
        }
        let first = txns.len() as u32;
        for (at, &(_, t)) in self.completions.iter().enumerate() {
            let node = first + at as u32;
            visit(t, node);
            if at > 0 {
                visit(node - 1, node);
            }
        }
        if !self.completions.is_empty() {
            for t in (0..txns.len() as u32).filter(|&t| self.facts.counts[t as usize]) {
                self.entry(t).into_iter().for_each(|node| visit(node, t));
            }
        }
    }

    /// The virtual node of the last completion before `txn` was invoked.
    pub(crate) fn entry(&self, txn: u32) -> Option<u32> {
        let start = self.facts.txns.txns[txn as usize].start;
        let over = self.completions.partition_point(|&(end, _)| end < start);
        over.checked_sub(1).map(|at| (self.facts.txns.len() + at) as u32)
    }

    /// The transaction whose completion a virtual node is.
    pub(crate) fn completes(&self, node: u32) -> u32 {
        self.completions[node as usize - self.facts.txns.len()].1
    }

    pub(crate) fn processes(&self) -> usize {
        self.facts.txns.txns.iter().map(|txn| txn.process as usize + 1).max().unwrap_or(0)
    }

    /// Whether the order asked for puts `a` before `b`.
    pub(crate) fn asked(&self, a: u32, b: u32) -> Option<Why> {
        let (earlier, later) = (self.facts.txns.txns[a as usize], self.facts.txns.txns[b as usize]);
        if self.within == Within::Nothing || earlier.outcome != Outcome::Ok {
            return None;
        }
        if earlier.process == later.process && a < b {
            return Some(Why::Session);
        }
        (self.within == Within::RealTime && earlier.end < later.start).then_some(Why::RealTime)
    }

    /// Nothing if there is an order that agrees with all of it and `demands`; `reasons` shows the demands again, with why.
    pub(crate) fn refuted(
        &self,
        demands: &[(u32, u32)],
        reasons: impl FnOnce(&mut dyn FnMut(u32, u32, Why)),
    ) -> Option<Proof> {
        let successors = Successors::of(self.nodes(), |visit| {
            self.each(true, visit);
            demands.iter().for_each(|&(from, to)| visit(from, to));
        });
        let order = successors.order();
        if order.len() == successors.nodes() {
            return None;
        }
        let mut left = vec![true; successors.nodes()];
        order.iter().for_each(|&node| left[node as usize] = false);
        drop(successors);
        Some(self.circle(&left, reasons))
    }

    /// A short circle through nodes that are left over.
    fn circle(&self, left: &[bool], reasons: impl FnOnce(&mut dyn FnMut(u32, u32, Why))) -> Proof {
        let n = self.facts.txns.len() as u32;
        let (mut arrows, mut whys) = (Vec::new(), Vec::new());
        {
            let mut add = |from: u32, to: u32, why: Why| {
                if left[from as usize] && left[to as usize] {
                    arrows.push(Arrow { from, to, tag: whys.len() as u32 });
                    whys.push(why);
                }
            };
            for t in 0..n {
                for read in self.facts.reads(t).iter().filter(|read| read.from != INITIAL) {
                    add(read.from, t, Why::ReadsFrom { key: read.key });
                }
            }
            self.facts.each_order(|key, from, to| add(from, to, Why::Order { key }));
            self.each_asked(&mut |from, to| {
                let why = if from.max(to) < n { self.asked(from, to).unwrap_or(Why::RealTime) } else { Why::RealTime };
                add(from, to, why);
            });
            reasons(&mut add);
        }
        Proof::Cycle(shortest(left.len(), &arrows, &whys, n))
    }
}

/// How many circles are looked for before the shortest of them is taken.
const TRIES: usize = 64;

/// The shortest circle found through an arrow of a few; nodes from `virtuals` on are passed over.
pub(crate) fn shortest(nodes: usize, arrows: &[Arrow], whys: &[Why], virtuals: u32) -> Vec<Link> {
    let graph = Graph::new(nodes, arrows);
    let components = graph.components();
    let inside = |arrow: &&Arrow| components.together(arrow.from, arrow.to);
    let all: Vec<&Arrow> = arrows.iter().filter(inside).collect();
    // Demands first: a circle without one would be rare, and is found all the same when there are no others.
    let stride = (all.len() / TRIES).max(1);
    let mut best: Option<Vec<Arrow>> = None;
    for arrow in all.iter().rev().step_by(stride).take(2 * TRIES) {
        let Some(mut path) = graph.path(arrow.to, arrow.from, |node| components.together(node, arrow.to)) else {
            continue;
        };
        path.push(**arrow);
        if best.as_ref().is_none_or(|best| path.len() < best.len()) {
            best = Some(path);
        }
    }
    contracted(&best.unwrap_or_default(), whys, virtuals)
}

fn contracted(path: &[Arrow], whys: &[Why], virtuals: u32) -> Vec<Link> {
    let Some(begin) = path.iter().position(|arrow| arrow.from < virtuals) else { return Vec::new() };
    let mut links: Vec<Link> = Vec::new();
    let mut from = path[begin].from;
    for arrow in path[begin..].iter().chain(&path[..begin]) {
        if arrow.to < virtuals {
            links.push(Link { from, to: arrow.to, why: whys[arrow.tag as usize] });
            from = arrow.to;
        }
    }
    links
}

/// `seen`, which writes `key`, would have to come before the initial state.
pub(crate) fn before_everything(seen: u32, by: u32, key: u32) -> Proof {
    Proof::Cycle(vec![
        Link { from: INITIAL, to: seen, why: Why::Initial },
        Link { from: seen, to: INITIAL, why: Why::Seen { by, key } },
    ])
}
