//! Who reaches whom among events.
//!
//! Few events: a matrix of bits. Many: the events are laid in chains, along which each reaches the next (a process is one; one that begins takes over
//! the chain of one that has ended, if it comes after all of it), and every event has a clock, how far along each chain it can be reached from.
//! The clocks stand one after the other, each as long as there were chains, so late chains cost the early events nothing.

use crate::history::Outcome;
use crate::txn::levels::events::Events;
use crate::txn::levels::precedence::Successors;
use crate::txn::transactions::NOBODY;

/// Numbers in all clocks together: half a gigabyte.
const MOST: usize = 1 << 27;

pub(crate) enum Reach<'a> {
    Matrix { words: usize, bits: Vec<u64> },
    Clocks(Clocks<'a>),
}

impl<'a> Reach<'a> {
    /// `order` must hold every node. Nothing if that would take too much memory.
    pub(crate) fn of(events: &Events, successors: &'a Successors, order: &[u32]) -> Option<Reach<'a>> {
        if events.nodes as usize > events.few {
            return Clocks::of(events, successors, order).map(Reach::Clocks);
        }
        let nodes = events.nodes as usize;
        let words = nodes.div_ceil(64);
        let mut bits = vec![0; words * nodes];
        for &node in order.iter().rev() {
            for &next in successors.next(node) {
                let (into, from) = (node as usize * words, next as usize * words);
                bits[into + next as usize / 64] |= 1 << (next % 64);
                for word in 0..words {
                    bits[into + word] |= bits[from + word];
                }
            }
        }
        Some(Reach::Matrix { words, bits })
    }

    /// Whether `from` is `to` or comes before it.
    pub(crate) fn is(&self, from: u32, to: u32) -> bool {
        match self {
            _ if from == to => true,
            Reach::Matrix { words, bits } => bits[from as usize * words + to as usize / 64] >> (to % 64) & 1 == 1,
            Reach::Clocks(clocks) => clocks.is(from, to),
        }
    }
}

/// Chains and clocks.
pub(crate) struct Clocks<'a> {
    successors: &'a Successors,
    /// The chain of each event; [`NOBODY`] for virtual nodes that stand for readers.
    pub(crate) chain: Vec<u32>,
    pub(crate) position: Vec<u32>,
    clock_first: Vec<usize>,
    clock_length: Vec<u32>,
    clocks: Vec<u32>,
}

/// The chains while they grow.
#[derive(Default)]
struct Chains {
    /// The last node of each, and how many it has.
    ends: Vec<(u32, u32)>,
    /// Whether no process holds it.
    idle: Vec<bool>,
    /// Those, the latest last.
    list: Vec<u32>,
}

/// How many idle chains are looked at before a new one is begun.
const LOOKS: usize = 64;

impl Chains {
    /// A chain for `node`, which begins one: an idle one all of which comes before it, or a new one.
    fn begin(&mut self, clock: &[u32], before: &[u32], chain: &[u32]) -> u32 {
        let ended = |&&node: &&u32| {
            let of = chain[node as usize];
            of != NOBODY && self.idle[of as usize] && self.ends[of as usize].0 == node
        };
        let after = |of: u32| clock.get(of as usize).is_some_and(|&seen| seen == self.ends[of as usize].1);
        let direct = before.iter().find(ended).map(|&node| chain[node as usize]);
        let known = direct.or_else(|| {
            let recent = self.list.iter().rev().take(LOOKS).copied();
            recent.filter(|&of| self.idle[of as usize]).find(|&of| after(of))
        });
        let of = known.unwrap_or_else(|| {
            self.ends.push((NOBODY, 0));
            self.idle.push(false);
            self.ends.len() as u32 - 1
        });
        self.idle[of as usize] = false;
        of
    }

    fn end(&mut self, of: u32) {
        self.idle[of as usize] = true;
        if self.list.len() > 4 * LOOKS {
            let idle = &self.idle;
            self.list.retain(|&of| idle[of as usize]);
            let surplus = self.list.len().saturating_sub(2 * LOOKS);
            self.list.drain(..surplus);
        }
        self.list.push(of);
    }
}

impl<'a> Clocks<'a> {
    fn of(events: &Events, successors: &'a Successors, order: &[u32]) -> Option<Clocks<'a>> {
        let nodes = events.nodes as usize;
        let predecessors =
            Successors::of(nodes, |visit| events.edges.iter().for_each(|edge| visit(edge.to, edge.from)));
        let mut clocks = Clocks {
            successors,
            chain: vec![NOBODY; nodes],
            position: vec![0; nodes],
            clock_first: vec![0; nodes],
            clock_length: vec![0; nodes],
            clocks: Vec::new(),
        };
        let mut chains = Chains::default();
        let mut left = lengths(events);
        let mut of_process = vec![NOBODY; left.len()];
        let mut clock: Vec<u32> = Vec::new();
        for &node in order {
            let before = predecessors.next(node);
            clock.clear();
            clock.resize(chains.ends.len(), 0);
            for &earlier in before {
                clock.iter_mut().zip(clocks.clock(earlier)).for_each(|(a, &b)| *a = (*a).max(b));
            }
            if let Some(process) = process(events, node) {
                let held = process.map_or(NOBODY, |process| of_process[process]);
                let of = if held == NOBODY { chains.begin(&clock, before, &clocks.chain) } else { held };
                let (end, count) = &mut chains.ends[of as usize];
                clocks.chain[node as usize] = of;
                clocks.position[node as usize] = *count;
                *count += 1;
                *end = node;
                if clock.len() <= of as usize {
                    clock.resize(of as usize + 1, 0);
                }
                clock[of as usize] = *count;
                match process {
                    Some(process) => {
                        of_process[process] = of;
                        left[process] -= 1;
                        if left[process] == 0 {
                            chains.end(of);
                        }
                    }
                    None => chains.end(of),
                }
            }
            clocks.clock_first[node as usize] = clocks.clocks.len();
            clocks.clock_length[node as usize] = clock.len() as u32;
            if clocks.clocks.len() + clock.len() > MOST {
                return None;
            }
            clocks.clocks.extend_from_slice(&clock);
        }
        Some(clocks)
    }

    /// How many nodes of each chain reach `node`, itself included.
    pub(crate) fn clock(&self, node: u32) -> &[u32] {
        let first = self.clock_first[node as usize];
        &self.clocks[first..first + self.clock_length[node as usize] as usize]
    }

    fn is(&self, from: u32, to: u32) -> bool {
        let chain = self.chain[from as usize];
        if chain != NOBODY {
            return self.clock(to).get(chain as usize).is_some_and(|&seen| seen > self.position[from as usize]);
        }
        // What follows a virtual node is an event.
        self.successors
            .next(from)
            .iter()
            .any(|&next| next == to || self.chain[next as usize] != NOBODY && self.is(next, to))
    }
}

/// How many events each process has; the completions of real time are one more process.
fn lengths(events: &Events) -> Vec<u32> {
    let mut lengths = vec![0; events.processes + 1];
    for node in 0..events.nodes {
        if let Some(Some(process)) = process(events, node) {
            lengths[process] += 1;
        }
    }
    lengths
}

/// The process whose chain a node continues; `Some(None)` for an event without one, nothing for readers' virtual nodes.
fn process(events: &Events, node: u32) -> Option<Option<usize>> {
    let Some(&t) = events.txn.get(node as usize) else {
        return (node < events.completions_end).then_some(Some(events.processes));
    };
    let txn = events.facts.txns.txns[t as usize];
    Some((events.sessions && txn.outcome == Outcome::Ok).then_some(txn.process as usize))
}
