//! Who is reached by whom, 256 sources at a time.
//!
//! A set of bits is carried along every edge, in an order in which edges lead onwards. For each key a mask tells which of the sources
//! write it. Cost: one visit an edge for every 256 sources, 32 bytes a node and a key.

use crate::txn::levels::precedence::Successors;
use crate::txn::transactions::NOBODY;

type Set = [u64; 4];

/// The state of a sweep.
pub(crate) struct Sweep {
    sets: Vec<Set>,
    /// Which source a node is.
    number: Vec<u32>,
    sources: Vec<u32>,
    masks: Vec<Set>,
    marked: Vec<u32>,
}

/// The sources that reach a node.
pub(crate) struct Seen<'a> {
    set: Set,
    sweep: &'a Sweep,
}

impl Seen<'_> {
    /// Calls `visit` for each that writes `key`.
    pub(crate) fn of_key(&self, key: u32, mut visit: impl FnMut(u32)) {
        let mask = self.sweep.masks[key as usize];
        for (word, (&seen, &writes)) in self.set.iter().zip(&mask).enumerate() {
            let mut bits = seen & writes;
            while bits != 0 {
                visit(self.sweep.sources[word * 64 + bits.trailing_zeros() as usize]);
                bits &= bits - 1;
            }
        }
    }
}

impl Sweep {
    /// How many sources one sweep carries.
    pub(crate) const WIDTH: usize = 256;

    pub(crate) fn new(nodes: usize, keys: usize) -> Sweep {
        Sweep {
            sets: vec![[0; 4]; nodes],
            number: vec![NOBODY; nodes],
            sources: Vec::new(),
            masks: vec![[0; 4]; keys],
            marked: Vec::new(),
        }
    }

    /// Takes other sources; `keys_of` marks the keys that one writes.
    pub(crate) fn begin(&mut self, sources: &[u32], keys_of: impl Fn(u32, &mut dyn FnMut(u32))) {
        self.sources.drain(..).for_each(|source| self.number[source as usize] = NOBODY);
        self.marked.drain(..).for_each(|key| self.masks[key as usize] = [0; 4]);
        for (at, &source) in sources.iter().enumerate() {
            self.number[source as usize] = at as u32;
            keys_of(source, &mut |key| {
                self.masks[key as usize][at / 64] |= 1 << (at % 64);
                self.marked.push(key);
            });
        }
        self.sources.extend_from_slice(sources);
    }

    /// Shows every node that a source reaches, with the sources that do.
    pub(crate) fn run(&mut self, successors: &Successors, order: &[u32], mut visit: impl FnMut(u32, Seen)) {
        for &node in order {
            let mut set = std::mem::take(&mut self.sets[node as usize]);
            if set != [0; 4] {
                visit(node, Seen { set, sweep: self });
            }
            let number = self.number[node as usize];
            if number != NOBODY {
                set[number as usize / 64] |= 1 << (number % 64);
            }
            if set != [0; 4] {
                for &next in successors.next(node) {
                    self.sets[next as usize].iter_mut().zip(set).for_each(|(into, bits)| *into |= bits);
                }
            }
        }
    }
}
