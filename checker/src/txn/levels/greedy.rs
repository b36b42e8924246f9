//! A commit order, tried once: whatever may come next comes, readers first, then whoever completed first.
//!
//! A version may be committed when all readers of the one before have read. If everything finds its place, that is the proof that there is
//! an order; if not, nothing is known. Cost: O(n log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::txn::levels::Level;
use crate::txn::levels::events::Events;
use crate::txn::levels::precedence::Successors;
use crate::txn::transactions::NOBODY;

/// What a node does to a block.
#[derive(Clone, Copy)]
enum Part {
    Begin,
    Head,
    Tail,
    Last,
}

struct Schedule<'a> {
    events: &'a Events<'a>,
    before: Vec<u32>,
    /// Where the parts of each node begin.
    part_first: Vec<u32>,
    parts: Vec<(u32, Part)>,
    /// Of each key, the block whose readers are awaited, and after it, the one whose commits are.
    held: Vec<u32>,
    /// Who waits for each of these.
    waiting: Vec<BinaryHeap<Reverse<(u64, u32)>>>,
    free: Vec<u32>,
    writers: BinaryHeap<Reverse<(u64, u32)>>,
}

/// Whether an order was found.
pub(crate) fn schedule(events: &Events, successors: &Successors) -> bool {
    let mut schedule = Schedule::new(events);
    events.edges.iter().for_each(|edge| schedule.before[edge.to as usize] += 1);
    for node in 0..events.nodes {
        if schedule.before[node as usize] == 0 {
            schedule.ready(node);
        }
    }
    let mut done = 0;
    while let Some(node) = schedule.next() {
        done += 1;
        for &next in successors.next(node) {
            schedule.before[next as usize] -= 1;
            if schedule.before[next as usize] == 0 {
                schedule.ready(next);
            }
        }
    }
    done == events.nodes
}

impl<'a> Schedule<'a> {
    fn new(events: &'a Events) -> Schedule<'a> {
        let isolated = events.level == Level::SnapshotIsolation;
        let mut part_first = vec![0_u32; events.nodes as usize + 2];
        let each = |visit: &mut dyn FnMut(u32, u32, Part)| {
            for (at, block) in events.blocks.iter().enumerate() {
                if isolated {
                    visit(block.begin, at as u32, Part::Begin);
                    visit(block.tail, at as u32, Part::Tail);
                }
                visit(block.head, at as u32, Part::Head);
                visit(block.last, at as u32, Part::Last);
            }
        };
        each(&mut |node, _, _| part_first[node as usize + 2] += 1);
        for node in 2..part_first.len() {
            part_first[node] += part_first[node - 1];
        }
        let mut parts = vec![(0, Part::Head); *part_first.last().expect("there are two at least") as usize];
        each(&mut |node, block, part| {
            let slot = &mut part_first[node as usize + 1];
            parts[*slot as usize] = (block, part);
            *slot += 1;
        });
        let keys = events.facts.txns.keys.len();
        Schedule {
            events,
            before: vec![0; events.nodes as usize],
            part_first,
            parts,
            held: vec![NOBODY; 2 * keys],
            waiting: vec![BinaryHeap::new(); 2 * keys],
            free: Vec::new(),
            writers: BinaryHeap::new(),
        }
    }

    fn parts(&self, node: u32) -> std::ops::Range<usize> {
        self.part_first[node as usize] as usize..self.part_first[node as usize + 1] as usize
    }

    /// Everything before `node` is done.
    fn ready(&mut self, node: u32) {
        let opens = self.parts(node).any(|at| matches!(self.parts[at].1, Part::Head | Part::Begin));
        if opens {
            self.writers.push(Reverse((self.events.hint(node), node)));
        } else {
            self.free.push(node);
        }
    }

    /// The next node, done.
    fn next(&mut self) -> Option<u32> {
        if let Some(node) = self.free.pop() {
            self.perform(node);
            return Some(node);
        }
        while let Some(Reverse((hint, node))) = self.writers.pop() {
            match self.obstacle(node) {
                Some(slot) => {
                    self.waiting[slot].push(Reverse((hint, node)));
                    self.pass_on(node, slot);
                }
                None => {
                    self.perform(node);
                    return Some(node);
                }
            }
        }
        None
    }

    /// What a part takes or gives back: a key's readers, or its commits.
    fn slot(&self, block: u32, part: Part) -> usize {
        let key = self.events.blocks[block as usize].key as usize;
        2 * key + usize::from(matches!(part, Part::Begin | Part::Tail))
    }

    /// Something that `node` takes and another block holds.
    fn obstacle(&self, node: u32) -> Option<usize> {
        self.parts(node).find_map(|at| {
            let (block, part) = self.parts[at];
            let slot = self.slot(block, part);
            let taken = matches!(part, Part::Head | Part::Begin) && self.held[slot] != NOBODY;
            (taken && self.held[slot] != block).then_some(slot)
        })
    }

    fn perform(&mut self, node: u32) {
        for closing in [false, true] {
            for at in self.parts(node) {
                let (block, part) = self.parts[at];
                let slot = self.slot(block, part);
                if closing == matches!(part, Part::Head | Part::Begin) {
                    continue;
                }
                self.held[slot] = if closing { NOBODY } else { block };
                if closing {
                    self.writers.extend(self.waiting[slot].pop());
                }
            }
        }
    }

    /// `node` was woken but has to wait on: another may have what it leaves. One at a time, or a key that many wait for would wake all of
    /// them for each.
    fn pass_on(&mut self, node: u32, obstacle: usize) {
        for at in self.parts(node) {
            let (block, part) = self.parts[at];
            let slot = self.slot(block, part);
            if slot != obstacle && matches!(part, Part::Head | Part::Begin) && self.held[slot] == NOBODY {
                self.writers.extend(self.waiting[slot].pop());
            }
        }
    }
}
