//! One strongly connected component as a graph that is written down, with labelled edges, and the searches on it.

use std::collections::{BinaryHeap, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

use super::components::components;
use super::dependencies::{Dependencies, relation::*};
use super::transactions::{LIMIT, Shape};

/// A component. Vertices are numbers of their own, from 0, in the order of the dependencies' vertices.
pub struct Local {
    /// The vertices in the dependencies.
    pub vertices: Vec<u32>,
    /// How many of them are transactions; these come first.
    pub txns: usize,
    first: Vec<u32>,
    edges: Vec<Edge>,
}

/// An edge with every relation that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it leads.
    pub to: u32,
    /// The relations, as bits.
    pub mask: u8,
}

/// How a walk may go on: what is remembered after each edge.
///
/// A pattern says which cycles count. It is given the state (0 to 3) and one relation, and answers with the state after it.
pub type Rule = fn(u8, u8) -> Option<u8>;

/// A walk: vertices, each with the relation of the edge that *leaves* it.
pub type Walk = Vec<(u32, u8)>;

impl Local {
    /// The graph of `vertices` (ascending) with all edges of the relations `wanted` among them.
    pub fn new(dependencies: &Dependencies<'_>, vertices: Vec<u32>, wanted: u8) -> Local {
        let number: FxHashMap<u32, u32> = vertices.iter().zip(0..).map(|(&vertex, at)| (vertex, at)).collect();
        let mut triples: Vec<(u32, u32, u8)> = Vec::new();
        for (&vertex, to) in vertices.iter().zip(0..) {
            dependencies.predecessors(vertex, wanted, &mut |from, relation| {
                if let Some(&from) = number.get(&from) {
                    triples.push((from, to, relation));
                }
            });
        }
        Local::from_triples(dependencies, vertices, triples)
    }

    /// The same with data only, and with a read dependency on the writer of *every* element that a list shows, not only of the last. Where that would be
    /// more than thirty million edges, without.
    pub fn seeing(dependencies: &Dependencies<'_>, vertices: Vec<u32>) -> Local {
        const MOST: usize = 30_000_000;
        let txns = dependencies.txns;
        let number: FxHashMap<u32, u32> = vertices.iter().zip(0..).map(|(&vertex, at)| (vertex, at)).collect();
        let mut triples: Vec<(u32, u32, u8)> = Vec::new();
        for (&vertex, to) in vertices.iter().zip(0..) {
            dependencies.predecessors(vertex, DATA, &mut |from, relation| {
                if let Some(&from) = number.get(&from) {
                    triples.push((from, to, relation));
                }
            });
            if !dependencies.is_txn(vertex) || txns.shape != Shape::Lists || triples.len() > MOST {
                continue;
            }
            for step in txns.steps_of(vertex).iter().filter(|step| !step.writes() && step.version < LIMIT) {
                let place = txns.place[step.version as usize] as usize;
                for &version in txns.order(step.key()).get(..place).unwrap_or_default() {
                    let writer = dependencies.writer(version).and_then(|writer| number.get(&writer));
                    if let Some(&from) = writer.filter(|&&from| from != to) {
                        triples.push((from, to, WR));
                    }
                }
            }
        }
        Local::from_triples(dependencies, vertices, triples)
    }

    fn from_triples(dependencies: &Dependencies<'_>, vertices: Vec<u32>, mut triples: Vec<(u32, u32, u8)>) -> Local {
        triples.sort_unstable();
        let mut first = vec![0_u32; vertices.len() + 1];
        let mut edges: Vec<Edge> = Vec::with_capacity(triples.len());
        let mut last = None;
        for (from, to, relation) in triples {
            if last == Some((from, to))
                && let Some(edge) = edges.last_mut()
            {
                edge.mask |= relation;
                continue;
            }
            last = Some((from, to));
            first[from as usize + 1] += 1;
            edges.push(Edge { to, mask: relation });
        }
        for at in 0..vertices.len() {
            first[at + 1] += first[at];
        }
        let txns = vertices.partition_point(|&vertex| dependencies.is_txn(vertex));
        Local { vertices, txns, first, edges }
    }

    /// How many vertices there are.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// The edges that leave `vertex`.
    #[inline]
    pub fn out(&self, vertex: u32) -> &[Edge] {
        &self.edges[self.first[vertex as usize] as usize..self.first[vertex as usize + 1] as usize]
    }

    /// The relations from one vertex to another.
    pub fn between(&self, from: u32, to: u32) -> u8 {
        self.out(from).iter().find(|edge| edge.to == to).map_or(0, |edge| edge.mask)
    }

    /// The components of more than one vertex when only the relations `allowed` are there.
    pub fn parts(&self, allowed: u8) -> Vec<Vec<u32>> {
        components(self.len(), |vertex, out| {
            out.extend(self.out(vertex).iter().filter(|edge| usable(edge.mask, allowed) != 0).map(|edge| edge.to));
        })
    }

    /// For every vertex whether some closed walk through it follows `rule`, in any of `states` states.
    pub fn on_closed_walks(&self, allowed: u8, states: u32, rule: Rule) -> Vec<bool> {
        let found = components(self.len() * states as usize, |vertex, out| {
            let (at, state) = (vertex / states, (vertex % states) as u8);
            for edge in self.out(at) {
                for relation in bits(usable(edge.mask, allowed)) {
                    if let Some(next) = rule(state, relation) {
                        out.push(edge.to * states + u32::from(next));
                    }
                }
            }
        });
        let mut on = vec![false; self.len()];
        for vertex in found.into_iter().flatten() {
            on[(vertex / states) as usize] = true;
        }
        on
    }

    /// A place for each vertex such that every edge of the relations `allowed` leads upwards, as near to the order of the vertices as can be. Nothing where these
    /// edges have a cycle.
    pub fn levels(&self, allowed: u8, rank: impl Fn(u32) -> u64) -> Option<Vec<u32>> {
        let mut waits = vec![0_u32; self.len()];
        for edge in self.edges.iter().filter(|edge| usable(edge.mask, allowed) != 0) {
            waits[edge.to as usize] += 1;
        }
        let key = |vertex: u32| std::cmp::Reverse((rank(self.vertices[vertex as usize]), vertex));
        let mut free: BinaryHeap<_> = (0..self.len() as u32).filter(|&it| waits[it as usize] == 0).map(key).collect();
        let mut level = vec![0; self.len()];
        let mut next = 0;
        while let Some(std::cmp::Reverse((_, vertex))) = free.pop() {
            level[vertex as usize] = next;
            next += 1;
            for edge in self.out(vertex).iter().filter(|edge| usable(edge.mask, allowed) != 0) {
                waits[edge.to as usize] -= 1;
                if waits[edge.to as usize] == 0 {
                    free.push(key(edge.to));
                }
            }
        }
        (next as usize == self.len()).then_some(level)
    }
}

/// The relations of an edge that may be used; an inferred `ww` is one where inference is allowed.
#[inline]
pub fn usable(mask: u8, allowed: u8) -> u8 {
    let relations = mask & allowed;
    if relations & INFERRED != 0 { (relations & !INFERRED) | WW } else { relations }
}

/// The single bits of a mask.
#[inline]
pub fn bits(mask: u8) -> impl Iterator<Item = u8> {
    (0..8).map(|bit| 1 << bit).filter(move |bit| mask & bit != 0)
}

/// What a search has spent and may spend, in edges looked at.
pub struct Effort {
    /// What is left.
    pub left: u64,
}

/// What a search is to find: a walk from one vertex to another.
pub struct Wanted<'w> {
    /// Where it begins, and in which state.
    pub from: (u32, u8),
    /// Where it ends.
    pub to: u32,
    /// The states in which it may end, as bits.
    pub accept: u8,
    /// Relations that may be used.
    pub allowed: u8,
    /// How it goes on.
    pub rule: Rule,
    /// It must be shorter than this, in edges that are not of the chain.
    pub shorter_than: u32,
    /// Only vertices for which this holds.
    pub within: &'w dyn Fn(u32) -> bool,
    /// The last edge may only come from a vertex for which this holds.
    pub enter: &'w dyn Fn(u32) -> bool,
}

/// Memory for searches, kept from one to the next.
#[derive(Default)]
pub struct Search {
    came: FxHashMap<u32, (u32, u8)>,
    done: FxHashSet<u32>,
    queue: VecDeque<(u32, u32)>,
}

impl Search {
    /// A shortest such walk, where edges along the chain of real time cost nothing. The walk's last vertex is `to`, with relation 0.
    pub fn walk(&mut self, local: &Local, wanted: &Wanted<'_>, effort: &mut Effort) -> Option<Walk> {
        self.came.clear();
        self.queue.clear();
        self.done.clear();
        let start = wanted.from.0 * STATES + u32::from(wanted.from.1);
        self.queue.push_back((start, 0));
        let mut best: Option<(u32, u32, u8)> = None;
        while let Some((here, distance)) = self.queue.pop_front() {
            if best.is_some_and(|(far, _, _)| distance >= far) || effort.left == 0 {
                break;
            }
            if !self.done.insert(here) {
                continue;
            }
            let (vertex, state) = (here / STATES, (here % STATES) as u8);
            for edge in local.out(vertex) {
                effort.left = effort.left.saturating_sub(1);
                for relation in bits(usable(edge.mask, wanted.allowed)) {
                    let Some(next) = (wanted.rule)(state, relation) else { continue };
                    // Inside of the chain nothing is spent; the step from a transaction into it is the edge.
                    let free = relation == REAL_TIME || (relation == CHAIN && vertex as usize >= local.txns);
                    let far = distance + u32::from(!free);
                    if far >= wanted.shorter_than {
                        continue;
                    }
                    if edge.to == wanted.to {
                        let ends = wanted.accept & (1 << next) != 0 && (wanted.enter)(vertex);
                        if ends && best.is_none_or(|(known, _, _)| far < known) {
                            best = Some((far, here, relation));
                        }
                        continue;
                    }
                    let there = edge.to * STATES + u32::from(next);
                    if !(wanted.within)(edge.to) || self.done.contains(&there) {
                        continue;
                    }
                    if free {
                        self.came.insert(there, (here, relation));
                        self.queue.push_front((there, far));
                    } else if let std::collections::hash_map::Entry::Vacant(entry) = self.came.entry(there) {
                        entry.insert((here, relation));
                        self.queue.push_back((there, far));
                    }
                }
            }
        }
        best.map(|(_, here, relation)| self.back(start, here, relation, wanted.to))
    }

    fn back(&self, start: u32, last: u32, relation: u8, to: u32) -> Walk {
        let mut walk = vec![(to, 0), (last / STATES, relation)];
        let mut here = last;
        while here != start
            && let Some(&(before, relation)) = self.came.get(&here)
        {
            walk.push((before / STATES, relation));
            here = before;
        }
        walk.reverse();
        walk
    }
}

/// States of a walk that are told apart.
const STATES: u32 = 4;
