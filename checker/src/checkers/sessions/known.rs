//! The order of writes that holds in any case: reported, claimed by real time, shown by lists, or forced by the guarantees.

use crate::circles::KNOWN;
use crate::facts::{Facts, Kind, NONE, Order, Shown};
use crate::graph::Arrow;
use crate::history::Outcome;
use crate::intern::FastMap;
use crate::visibility::{Actors, Demand, Wants};

/// Both were reported with versions in that order.
pub(super) const REPORTED: u32 = KNOWN;
/// The first was acknowledged before the second was sent, and the mode claims that this decides.
pub(super) const REAL_TIME: u32 = KNOWN + 1;
/// A list shows them in that order.
pub(super) const LISTED: u32 = KNOWN + 2;
/// The same session acknowledged the first before it sent the second.
pub(super) const WROTE: u32 = KNOWN + 3;
/// The session read something and then wrote.
pub(super) const READ: u32 = KNOWN + 4;

/// What is known among the writes that `demands` of one key speak of.
pub(super) fn within(facts: &Facts, demands: &[Demand]) -> Vec<Arrow> {
    let real = facts.writes.len() as u32;
    let mut writes: Vec<u32> =
        demands.iter().flat_map(|demand| [demand.from, demand.to]).filter(|&write| write < real).collect();
    writes.sort_unstable();
    writes.dedup();
    let mut arrows = Vec::new();
    let mut helpers = Helpers { next: u32::MAX - 1 };
    if let Some(&write) = writes.first() {
        order_of(facts, facts.writes[write as usize].key as usize, &writes, &mut arrows, &mut helpers);
    }
    arrows
}

/// Nodes that stand for a moment, not for a write. They are counted down from the largest number.
struct Helpers {
    next: u32,
}

impl Helpers {
    fn node(&mut self) -> u32 {
        self.next -= 1;
        self.next + 1
    }
}

/// The known order among `writes`, all of `key`.
fn order_of(facts: &Facts, key: usize, writes: &[u32], arrows: &mut Vec<Arrow>, helpers: &mut Helpers) {
    match facts.keys[key].order {
        Order::Reported => {
            let mut ranked: Vec<u32> =
                writes.iter().copied().filter(|&write| facts.writes[write as usize].rank.is_some()).collect();
            ranked.sort_by_key(|&write| facts.writes[write as usize].rank);
            let distinct = |pair: &&[u32]| facts.writes[pair[0] as usize].rank != facts.writes[pair[1] as usize].rank;
            arrows.extend(ranked.windows(2).filter(distinct).map(|pair| arrow(pair[0], pair[1], REPORTED)));
        }
        Order::RealTime => real_time(facts, writes, arrows, helpers),
        // The guarantees' own walk compares places; across keys the list is listed in full elsewhere.
        Order::Observed | Order::Unknown => {}
    }
}

/// A chain of moments: an acknowledged write leads into the moment of its acknowledgement, each moment into the next, and the last one
/// before its invocation into a write.
fn real_time(facts: &Facts, writes: &[u32], arrows: &mut Vec<Arrow>, helpers: &mut Helpers) {
    let mut acked: Vec<(u64, u32)> = writes
        .iter()
        .map(|&write| (facts.writes[write as usize].acked, write))
        .filter(|&(time, _)| time != u64::MAX)
        .collect();
    acked.sort_unstable();
    let moments: Vec<u32> = acked.iter().map(|_| helpers.node()).collect();
    for (at, &(_, write)) in acked.iter().enumerate() {
        arrows.push(arrow(write, moments[at], REAL_TIME));
        if at > 0 {
            arrows.push(arrow(moments[at - 1], moments[at], REAL_TIME));
        }
    }
    for &write in writes {
        let invoked = facts.writes[write as usize].invoked;
        let before = acked.partition_point(|&(time, _)| time < invoked);
        if before > 0 {
            arrows.push(arrow(moments[before - 1], write, REAL_TIME));
        }
    }
}

fn arrow(from: u32, to: u32, tag: u32) -> Arrow {
    Arrow { from, to, tag }
}

/// What is known over all keys where guarantees pass through writes: the order of each key, and everything that must be seen
/// before something is written.
pub(super) fn through_writes(facts: &Facts, wants: Wants, actors: Actors) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    let mut timed: Vec<u32> = Vec::new();
    let mut helpers = Helpers { next: u32::MAX - 1 };
    for (at, key) in facts.keys.iter().enumerate() {
        match key.kind {
            Kind::Mixed => {}
            Kind::List => {}
            Kind::Register | Kind::Set => {
                let live: Vec<u32> = key
                    .writes
                    .iter()
                    .copied()
                    .filter(|&write| facts.writes[write as usize].outcome != Outcome::Fail)
                    .collect();
                if key.order == Order::RealTime {
                    timed.extend(live);
                } else {
                    order_of(facts, at, &live, &mut arrows, &mut helpers);
                }
            }
        }
    }
    // Real time orders the writes of different keys too.
    real_time(facts, &timed, &mut arrows, &mut helpers);
    seen_before(facts, wants, actors, &mut arrows, &mut helpers);
    arrows
}

/// The order that all lists show, taken together.
pub(super) fn listed(facts: &Facts) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for key in facts.keys.iter().filter(|key| key.kind == Kind::List) {
        let written: Vec<u32> = key.longest.iter().copied().filter(|&write| write != NONE).collect();
        arrows.extend(written.windows(2).map(|pair| arrow(pair[0], pair[1], LISTED)));
        for &part in &key.parts {
            if let Shown::Many(writes) = &facts.parts[part as usize].shown {
                arrows.extend(writes.windows(2).map(|pair| arrow(pair[0], pair[1], LISTED)));
            }
        }
    }
    arrows
}

/// The order that each actor's own lists show, as its demands: what it has not read says nothing about its own order.
pub(super) fn listed_by_actor(facts: &Facts, actors: Actors) -> Vec<Demand> {
    let mut demands = Vec::new();
    for key in facts.keys.iter().filter(|key| key.kind == Kind::List) {
        let mut known: FastMap<u32, u32> = FastMap::default();
        for &part in &key.parts {
            let entry = &facts.parts[part as usize];
            match &entry.shown {
                Shown::Many(writes) => {
                    demands.extend(writes.windows(2).map(|pair| Demand { part, from: pair[0], to: pair[1] }));
                }
                Shown::Prefix(length) => {
                    let from = known.entry(actors.of[entry.op as usize]).or_insert(0);
                    if *length > *from {
                        let upto = &key.longest[from.saturating_sub(1) as usize..*length as usize];
                        let written: Vec<u32> = upto.iter().copied().filter(|&write| write != NONE).collect();
                        demands.extend(written.windows(2).map(|pair| Demand { part, from: pair[0], to: pair[1] }));
                        *from = *length;
                    }
                }
                _ => {}
            }
        }
    }
    demands
}

/// One actor's operations in the order of their completion, with the node that stands for all up to each.
#[derive(Default)]
struct Trail {
    done: Vec<(u64, u32)>,
}

impl Trail {
    fn upto(&self, invoked: u64) -> Option<u32> {
        let before = self.done.partition_point(|&(time, _)| time < invoked);
        before.checked_sub(1).map(|last| self.done[last].1)
    }
}

/// Monotonic writes: what a session had acknowledged comes before what it writes. Writes-follow-reads: so does what it had read, and what
/// that read must have seen.
fn seen_before(facts: &Facts, wants: Wants, actors: Actors, arrows: &mut Vec<Arrow>, helpers: &mut Helpers) {
    let mut events: Vec<(u64, u32, bool)> = Vec::new();
    for (id, write) in facts.writes.iter().enumerate() {
        if write.acked != u64::MAX {
            events.push((write.acked, id as u32, true));
        }
    }
    for (id, read) in facts.reads.iter().enumerate() {
        events.push((facts.history.ops[read.op as usize].completed, id as u32, false));
    }
    events.sort_unstable();
    let (mut wrote, mut read): (FastMap<u32, Trail>, FastMap<u32, Trail>) = Default::default();
    let beginnings = if wants.writes_follow_reads { beginnings(facts, arrows, helpers) } else { FastMap::default() };
    for (time, id, is_write) in events {
        if is_write {
            if wants.monotonic_writes || wants.read_your_writes {
                let actor = actors.of[facts.writes[id as usize].op as usize];
                extend(wrote.entry(actor).or_default(), time, id, WROTE, arrows, helpers);
            }
        } else if wants.writes_follow_reads {
            let entry = &facts.reads[id as usize];
            let (op, actor) = (&facts.history.ops[entry.op as usize], actors.of[entry.op as usize]);
            let node = helpers.node();
            for part in facts.parts_of(entry) {
                match &part.shown {
                    Shown::Prefix(length) => {
                        arrows.extend(beginnings.get(&(part.key, *length)).map(|&from| arrow(from, node, READ)));
                    }
                    _ => {
                        let shown = facts.shown_by(part).iter().filter(|&&write| facts.sole(write));
                        arrows.extend(shown.map(|&write| arrow(write, node, READ)));
                    }
                }
            }
            if wants.monotonic_reads {
                let before = read.get(&actor).and_then(|trail| trail.upto(op.invoked));
                arrows.extend(before.map(|from| arrow(from, node, READ)));
            }
            if wants.read_your_writes {
                let before = wrote.get(&actor).and_then(|trail| trail.upto(op.invoked));
                arrows.extend(before.map(|from| arrow(from, node, WROTE)));
            }
            extend(read.entry(actor).or_default(), time, node, READ, arrows, helpers);
        }
    }
    for (id, write) in facts.writes.iter().enumerate().filter(|(_, write)| write.outcome != Outcome::Fail) {
        let actor = actors.of[write.op as usize];
        if wants.monotonic_writes {
            let before = wrote.get(&actor).and_then(|trail| trail.upto(write.invoked));
            arrows.extend(before.map(|from| arrow(from, id as u32, WROTE)));
        }
        if wants.writes_follow_reads {
            let before = read.get(&actor).and_then(|trail| trail.upto(write.invoked));
            arrows.extend(before.map(|from| arrow(from, id as u32, READ)));
        }
    }
}

fn extend(trail: &mut Trail, time: u64, node: u32, tag: u32, arrows: &mut Vec<Arrow>, helpers: &mut Helpers) {
    let upto = helpers.node();
    arrows.push(arrow(node, upto, tag));
    if let Some(&(_, before)) = trail.done.last() {
        arrows.push(arrow(before, upto, tag));
    }
    trail.done.push((time, upto));
}

/// For each length of a longest list that some read showed, a node that all of its elements lead into.
fn beginnings(facts: &Facts, arrows: &mut Vec<Arrow>, helpers: &mut Helpers) -> FastMap<(u32, u32), u32> {
    let mut nodes = FastMap::default();
    for (key, entry) in facts.keys.iter().enumerate() {
        let mut before = None;
        for (at, &write) in entry.longest.iter().enumerate() {
            let node = helpers.node();
            if write != NONE && facts.sole(write) {
                arrows.push(arrow(write, node, READ));
            }
            arrows.extend(before.map(|before| arrow(before, node, READ)));
            before = Some(node);
            nodes.insert((key as u32, at as u32 + 1), node);
        }
    }
    nodes
}
