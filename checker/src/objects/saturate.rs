//! Registers with unique values and no clock: what must come before what, followed to the end.
//!
//! Known from the start: each process's order, and every writer before its readers. If a write w' of the key must come before a
//! reader of w, it must come before w; if w must come before another write w'', so must w's readers (Gibbons & Korach 1997; the
//! saturation of Biswas & Enea 2019). Repeated until nothing new follows. A circle refutes sequential consistency; without
//! one, the order found is where the search looks first.
//!
//! Clocks (for every vertex, how much of each process must come before it) find both rules' edges by halving:
//! O(calls · processes · log) a round, 4 bytes for each call and process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Refutation;
use super::calls::{Call, Function, NIL};
use crate::intern::FastMap;

const NONE: u32 = u32::MAX;

/// How many numbers the clocks may have together, and how many rounds there may be.
const CLOCKS: usize = 50_000_000;
const ROUNDS: usize = 12;

/// What saturation found.
pub(super) enum Saturated {
    /// Calls that go in a circle, or a value from nowhere.
    Refuted(Refutation),
    /// An order in which calls may be tried: each one's place.
    Order(Vec<u32>),
    /// Not registers, values not unique, or too large.
    Unfit,
}

struct Graph<'a> {
    calls: &'a [Call],
    /// Calls that certainly took effect.
    there: Vec<bool>,
    edges: Vec<(u32, u32)>,
    /// Each call's chain, and its place there from 1 on.
    chain: Vec<(u32, u32)>,
    chains: usize,
    /// The writer each call reads from; [`NONE`] for the initial value.
    from: Vec<Option<u32>>,
    /// By key and chain, the writes in the chain's order.
    writes: FastMap<(u32, u32), Vec<u32>>,
    /// By key, the chains that write it.
    writing: FastMap<u32, Vec<u32>>,
}

fn given(call: &Call) -> Option<u32> {
    match call.f {
        Function::Write => Some(call.input as u32),
        Function::Cas => Some(call.input_pair().1),
        _ => None,
    }
}

fn wanted(call: &Call) -> Option<u32> {
    match call.f {
        Function::Read => Some(call.output as u32),
        Function::Cas => Some(call.input_pair().0),
        _ => None,
    }
}

/// Saturates calls on any number of registers.
pub(super) fn saturate(calls: &[Call]) -> Saturated {
    let mut graph = match Graph::new(calls) {
        Some(Ok(graph)) => graph,
        Some(Err(refutation)) => return Saturated::Refuted(refutation),
        None => return Saturated::Unfit,
    };
    if graph.chains * calls.len() > CLOCKS {
        return Saturated::Unfit;
    }
    for _ in 0..ROUNDS {
        let Some(order) = topological(calls, &graph.edges) else { return Saturated::Refuted(graph.refute()) };
        match graph.follow(&order) {
            Err(refutation) => return Saturated::Refuted(refutation),
            Ok(true) => {}
            Ok(false) => break,
        }
    }
    let Some(order) = topological(calls, &graph.edges) else { return Saturated::Refuted(graph.refute()) };
    let mut places = vec![0; calls.len()];
    for (place, &at) in order.iter().enumerate() {
        places[at as usize] = place as u32 + 1;
    }
    Saturated::Order(places)
}

impl<'a> Graph<'a> {
    fn new(calls: &'a [Call]) -> Option<Result<Graph<'a>, Refutation>> {
        let mut writers: FastMap<(u32, u32), u32> = FastMap::default();
        for (at, call) in calls.iter().enumerate() {
            let fits = match call.f {
                Function::Cas => (!call.ok() || call.output != 0) && call.input_pair().0 != call.input_pair().1,
                Function::Read | Function::Write => true,
                _ => false,
            };
            if !fits {
                return None;
            }
            if let Some(value) = given(call)
                && (value == NIL as u32 || writers.insert((call.key, value), at as u32).is_some())
            {
                return None;
            }
        }
        let mut there: Vec<bool> = calls.iter().map(Call::ok).collect();
        let mut from = vec![None; calls.len()];
        let mut work: Vec<u32> = (0..calls.len() as u32).filter(|&at| calls[at as usize].ok()).collect();
        while let Some(at) = work.pop() {
            let call = &calls[at as usize];
            let Some(value) = wanted(call) else { continue };
            let writer = writers.get(&(call.key, value)).copied();
            if writer.is_none() && value != NIL as u32 {
                let text = format!("call {} saw the value {value}, which nobody put in", call.source);
                let at = at as usize;
                return Some(Err(Refutation { calls: vec![at], stuck: at, states: Vec::new(), text }));
            }
            from[at as usize] = Some(writer.unwrap_or(NONE));
            if let Some(writer) = writer.filter(|&writer| !there[writer as usize]) {
                there[writer as usize] = true;
                work.push(writer);
            }
        }
        let mut graph = Graph {
            calls,
            there,
            edges: Vec::new(),
            chain: vec![(0, 0); calls.len()],
            chains: 0,
            from,
            writes: FastMap::default(),
            writing: FastMap::default(),
        };
        graph.order();
        Some(Ok(graph))
    }

    /// The chains, the processes' orders and the edges from writers to readers.
    fn order(&mut self) {
        let mut order: Vec<u32> = (0..self.calls.len() as u32).filter(|&at| self.there[at as usize]).collect();
        order.sort_by_key(|&at| (self.calls[at as usize].process, self.calls[at as usize].start));
        for of_one in order.chunk_by(|&a, &b| self.calls[a as usize].process == self.calls[b as usize].process) {
            let (own, mut length, mut last) = (self.chains as u32, 0, None);
            self.chains += 1;
            for &at in of_one {
                self.edges.extend(last.map(|last| (last, at)));
                if self.calls[at as usize].ok() {
                    length += 1;
                    self.chain[at as usize] = (own, length);
                    last = Some(at);
                } else {
                    self.chain[at as usize] = (self.chains as u32, 1);
                    self.chains += 1;
                }
            }
        }
        for &at in &order {
            if let Some(writer) = self.from[at as usize].filter(|&writer| writer != NONE) {
                self.edges.push((writer, at));
            }
            if given(&self.calls[at as usize]).is_some() {
                let key = self.calls[at as usize].key;
                let chain = self.chain[at as usize].0;
                let writes = self.writes.entry((key, chain)).or_default();
                if writes.is_empty() {
                    self.writing.entry(key).or_default().push(chain);
                }
                writes.push(at);
            }
        }
    }

    /// One round: true if something new follows.
    fn follow(&mut self, order: &[u32]) -> Result<bool, Refutation> {
        let clocks = self.clocks(order);
        let width = self.chains;
        let knows = |at: u32, chain: u32| clocks[at as usize * width + chain as usize];
        let after = |a: u32, b: u32| knows(b, self.chain[a as usize].0) >= self.chain[a as usize].1;
        let mut new = Vec::new();
        for &reader in order {
            let Some(writer) = self.from[reader as usize] else { continue };
            let key = self.calls[reader as usize].key;
            for &chain in self.writing.get(&key).map_or(&[][..], Vec::as_slice) {
                let writes = &self.writes[&(key, chain)];
                let known = writes.partition_point(|&write| self.chain[write as usize].1 <= knows(reader, chain));
                // A compare-and-set is a write itself, which knows itself.
                let last = writes[..known].iter().rev().copied().find(|&write| write != reader);
                if let Some(last) = last.filter(|&last| last != writer) {
                    if writer == NONE {
                        return Err(self.initial(reader, last));
                    }
                    if !after(last, writer) {
                        new.push((last, writer));
                    }
                }
                let later =
                    writes.partition_point(|&write| writer != NONE && (write == writer || !after(writer, write)));
                if let Some(&next) = writes.get(later).filter(|&&next| next != reader && !after(reader, next)) {
                    new.push((reader, next));
                }
            }
        }
        let changed = !new.is_empty();
        self.edges.extend(new);
        Ok(changed)
    }

    fn clocks(&self, order: &[u32]) -> Vec<u32> {
        let width = self.chains;
        let mut clocks = vec![0; self.calls.len() * width];
        let into = incoming(self.calls.len(), &self.edges);
        for &at in order {
            let at = at as usize;
            for &before in into.of(at) {
                for chain in 0..width {
                    let known = clocks[before as usize * width + chain];
                    let own = &mut clocks[at * width + chain];
                    *own = known.max(*own);
                }
            }
            let (chain, place) = self.chain[at];
            if place > 0 {
                clocks[at * width + chain as usize] = place;
            }
        }
        clocks
    }

    fn initial(&self, reader: u32, write: u32) -> Refutation {
        let source = |at: u32| self.calls[at as usize].source;
        let text = format!(
            "call {} found the initial value, though call {} must have come before it",
            source(reader),
            source(write)
        );
        Refutation { calls: vec![write as usize, reader as usize], stuck: reader as usize, states: Vec::new(), text }
    }

    fn refute(&self) -> Refutation {
        let few: Vec<usize> =
            round(self.calls.len(), &self.edges).unwrap_or_default().into_iter().map(|at| at as usize).collect();
        let text = format!(
            "{} calls must each come before the next, and the last before the first: by their processes, by what they read, and by what follows from that",
            few.len()
        );
        Refutation { stuck: few.first().copied().unwrap_or(0), calls: few, states: Vec::new(), text }
    }
}

/// For each vertex where edges come from.
struct Incoming {
    starts: Vec<u32>,
    from: Vec<u32>,
}

impl Incoming {
    fn of(&self, at: usize) -> &[u32] {
        &self.from[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

fn incoming(vertices: usize, edges: &[(u32, u32)]) -> Incoming {
    let mut starts = vec![0_u32; vertices + 2];
    for &(_, to) in edges {
        starts[to as usize + 2] += 1;
    }
    for at in 2..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut from = vec![0; edges.len()];
    for &(a, b) in edges {
        let slot = &mut starts[b as usize + 1];
        from[*slot as usize] = a;
        *slot += 1;
    }
    Incoming { starts, from }
}

/// An order that respects the edges, by ends where there is a choice; `None` if they go in a circle.
fn topological(calls: &[Call], edges: &[(u32, u32)]) -> Option<Vec<u32>> {
    let turned: Vec<(u32, u32)> = edges.iter().map(|&(a, b)| (b, a)).collect();
    let out = incoming(calls.len(), &turned);
    let mut open = vec![0_u32; calls.len()];
    edges.iter().for_each(|&(_, to)| open[to as usize] += 1);
    let ready = |at: u32| Reverse((calls[at as usize].end, at));
    let mut heap: BinaryHeap<_> = (0..calls.len() as u32).filter(|&at| open[at as usize] == 0).map(ready).collect();
    let mut order = Vec::with_capacity(calls.len());
    while let Some(Reverse((_, at))) = heap.pop() {
        order.push(at);
        for &to in out.of(at as usize) {
            open[to as usize] -= 1;
            if open[to as usize] == 0 {
                heap.push(ready(to));
            }
        }
    }
    (order.len() == calls.len()).then_some(order)
}

/// A circle among the edges, if there is one.
pub(super) fn round(vertices: usize, edges: &[(u32, u32)]) -> Option<Vec<u32>> {
    let turned: Vec<(u32, u32)> = edges.iter().map(|&(a, b)| (b, a)).collect();
    let (into, out) = (incoming(vertices, edges), incoming(vertices, &turned));
    let mut open = vec![0_u32; vertices];
    edges.iter().for_each(|&(_, to)| open[to as usize] += 1);
    let mut work: Vec<u32> = (0..vertices as u32).filter(|&at| open[at as usize] == 0).collect();
    while let Some(at) = work.pop() {
        for &to in out.of(at as usize) {
            open[to as usize] -= 1;
            if open[to as usize] == 0 {
                work.push(to);
            }
        }
    }
    // What is left has something left before it: backwards until a vertex comes again.
    let mut at = (0..vertices).find(|&at| open[at] > 0)?;
    let mut met = vec![NONE; vertices];
    let mut path: Vec<u32> = Vec::new();
    while met[at] == NONE {
        met[at] = path.len() as u32;
        path.push(at as u32);
        at = into.of(at).iter().copied().find(|&before| open[before as usize] > 0)? as usize;
    }
    let mut circle = path.split_off(met[at] as usize);
    circle.reverse();
    Some(circle)
}
