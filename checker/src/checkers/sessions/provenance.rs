//! Why a read must have seen a write: the shortest chain of seeing and doing that leads from the one to the other.
//!
//! Searched backwards from the read, breadth first, only for the few violations that are shown. On the way back come what a read
//! shows, what its session had read or written before it, and before a write what the guarantee says its session had seen.

use std::collections::VecDeque;

use crate::facts::{Facts, NONE, Shown};
use crate::intern::FastMap;
use crate::visibility::{Actors, Wants};

/// A read or a write on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stop {
    Read(u32),
    Write(u32),
}

/// The search gives up after this many stops; the proof then shows both ends alone.
const STOPS: usize = 50_000;

/// The chain from the nearest write that `goal` accepts to the read that `part` belongs to, both included; empty if the search gave up.
pub(super) fn chain(facts: &Facts, wants: Wants, actors: Actors, part: u32, goal: impl Fn(u32) -> bool) -> Vec<Stop> {
    let Some(start) = facts.parts.get(part as usize).map(|part| Stop::Read(part.read)) else { return Vec::new() };
    let mut next: FastMap<Stop, Stop> = FastMap::default();
    let mut queue = VecDeque::from([start]);
    let own = own_ops(facts, actors);
    while let Some(stop) = queue.pop_front() {
        if matches!(stop, Stop::Write(write) if goal(write)) {
            let mut chain = vec![stop];
            while let Some(&after) = next.get(&chain[chain.len() - 1]).filter(|_| chain[chain.len() - 1] != start) {
                chain.push(after);
            }
            return chain;
        }
        if next.len() > STOPS {
            return Vec::new();
        }
        let mut visit = |before: Stop| {
            if before != start && !next.contains_key(&before) {
                next.insert(before, stop);
                queue.push_back(before);
            }
        };
        match stop {
            Stop::Read(read) => {
                let entry = &facts.reads[read as usize];
                let invoked = facts.history.ops[entry.op as usize].invoked;
                let actor = actors.of[entry.op as usize] as usize;
                shown(facts, read, &mut visit);
                if wants.read_your_writes {
                    own.writes_before(facts, actor, invoked).for_each(|write| visit(Stop::Write(write)));
                }
                if wants.monotonic_reads {
                    own.reads_before(facts, actor, invoked).for_each(|read| visit(Stop::Read(read)));
                }
            }
            Stop::Write(write) => {
                let entry = &facts.writes[write as usize];
                let actor = actors.of[entry.op as usize] as usize;
                if wants.monotonic_writes {
                    own.writes_before(facts, actor, entry.invoked).for_each(|write| visit(Stop::Write(write)));
                }
                if wants.writes_follow_reads {
                    own.reads_before(facts, actor, entry.invoked).for_each(|read| visit(Stop::Read(read)));
                }
            }
        }
    }
    Vec::new()
}

fn shown(facts: &Facts, read: u32, visit: &mut impl FnMut(Stop)) {
    for part in facts.parts_of(&facts.reads[read as usize]) {
        if part.shown != Shown::Skip {
            let writes = facts.shown_by(part).iter().rev().filter(|&&write| write != NONE);
            writes.for_each(|&write| visit(Stop::Write(write)));
        }
    }
}

/// The reads and acknowledged writes of each actor, in the order of their invocation.
struct Own {
    reads: Vec<Vec<u32>>,
    writes: Vec<Vec<u32>>,
}

fn own_ops(facts: &Facts, actors: Actors) -> Own {
    let mut own = Own { reads: vec![Vec::new(); actors.count], writes: vec![Vec::new(); actors.count] };
    for (id, read) in facts.reads.iter().enumerate() {
        own.reads[actors.of[read.op as usize] as usize].push(id as u32);
    }
    for (id, write) in facts.writes.iter().enumerate().filter(|(_, write)| write.acked != u64::MAX) {
        own.writes[actors.of[write.op as usize] as usize].push(id as u32);
    }
    own
}

impl Own {
    /// Latest first.
    fn reads_before<'a>(&'a self, facts: &'a Facts, actor: usize, invoked: u64) -> impl Iterator<Item = u32> + 'a {
        let done = move |read: &u32| {
            let op = facts.reads[*read as usize].op;
            facts.history.ops[op as usize].completed < invoked
        };
        self.reads[actor].iter().rev().copied().filter(done)
    }

    /// Latest first.
    fn writes_before<'a>(&'a self, facts: &'a Facts, actor: usize, invoked: u64) -> impl Iterator<Item = u32> + 'a {
        self.writes[actor].iter().rev().copied().filter(move |&write| facts.writes[write as usize].acked < invoked)
    }
}
