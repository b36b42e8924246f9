//! The walk through the events.

use std::ops::Range;

use super::{Actors, Keep, Seen, Sight, Wants, keep};
use crate::facts::{Deed, Facts, NONE, Part, Shown};
use crate::history::Outcome;
use crate::sharpness::Sharpness;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A write was invoked.
    Invoked(u32),
    /// A read was invoked whose session had other operations open.
    Began(u32),
    /// A read completed.
    Completed(u32),
    /// A write was acknowledged.
    Acked(u32),
}

/// A value of the key of the day; anything of an earlier key counts as empty.
#[derive(Clone, Default)]
pub(super) struct Slot {
    epoch: u32,
    pub(super) seen: Seen,
}

/// One walk over a history for one set of guarantees.
pub(crate) struct Walk<'f, 'h> {
    pub(super) facts: &'f Facts<'h>,
    pub(super) wants: Wants,
    pub(super) actors: Actors<'f>,
    pub(super) sharpness: &'f Sharpness,
    pub(super) sight: Sight,
    pub(super) key: usize,
    pub(super) keep: Keep,
    events: Vec<What>,
    epoch: u32,
    read: Vec<Slot>,
    written: Vec<Slot>,
    /// D of each write; empty where no guarantee passes through writes.
    due: Vec<Slot>,
    /// D of the beginnings of lists, by the last write of each.
    due_upto: Vec<Slot>,
    /// How far those are known, by key.
    known: Vec<(u32, u32)>,
    began: Vec<Slot>,
    overlapping: Vec<bool>,
    /// The operation that last read the key, by actor.
    last_read: Vec<(u32, u32)>,
}

impl<'f, 'h> Walk<'f, 'h> {
    pub(crate) fn new(facts: &'f Facts<'h>, wants: Wants, actors: Actors<'f>, sharpness: &'f Sharpness) -> Self {
        let through = if wants.through_writes() { facts.writes.len() } else { 0 };
        let overlapping = overlapping(facts, actors);
        let any_overlap = overlapping.iter().any(|&it| it);
        Walk {
            facts,
            wants,
            actors,
            sharpness,
            sight: Sight::default(),
            key: 0,
            keep: Keep::Nothing,
            events: Vec::new(),
            epoch: 0,
            read: vec![Slot::default(); actors.count],
            written: vec![Slot::default(); actors.count],
            due: vec![Slot::default(); through],
            due_upto: vec![Slot::default(); through],
            known: vec![(0, 0); facts.keys.len()],
            began: vec![Slot::default(); if any_overlap { facts.reads.len() } else { 0 }],
            overlapping,
            last_read: vec![(0, NONE); actors.count],
        }
    }

    /// Walks through all keys; `each` is called after each with what was found so far and where its demands begin.
    pub(crate) fn run(mut self, mut each: impl FnMut(usize, &mut Sight, usize)) -> Sight {
        self.events = self.sorted_events();
        let everything = self.wants.writes_follow_reads || (self.wants.monotonic_writes && self.facts.several_keys);
        let spans = if everything { self.spans() } else { Vec::new() };
        let own = if everything { Vec::new() } else { self.by_key() };
        for key in 0..self.facts.keys.len() {
            self.key = key;
            self.keep = keep(self.facts, key);
            if self.keep == Keep::Nothing {
                continue;
            }
            self.epoch += 1;
            let from = self.sight.demands.len();
            if everything {
                for at in spans[key].clone() {
                    self.step(self.events[at]);
                }
            } else {
                for &at in &own[key] {
                    self.step(self.events[at as usize]);
                }
            }
            each(key, &mut self.sight, from);
        }
        self.sight
    }

    fn sorted_events(&self) -> Vec<What> {
        let mut events: Vec<(u64, u8, What)> = Vec::new();
        for (id, write) in self.facts.writes.iter().enumerate() {
            if write.outcome == Outcome::Fail {
                continue;
            }
            if self.wants.through_writes() {
                events.push((write.invoked, 0, What::Invoked(id as u32)));
            }
            if write.acked != u64::MAX && (self.wants.read_your_writes || self.wants.monotonic_writes) {
                // A compare-and-set reads before it has written.
                events.push((write.acked, 2, What::Acked(id as u32)));
            }
        }
        for (id, read) in self.facts.reads.iter().enumerate() {
            let op = &self.facts.history.ops[read.op as usize];
            events.push((op.completed, 1, What::Completed(id as u32)));
            if self.overlapping[self.actors.of[read.op as usize] as usize] {
                events.push((op.invoked, 0, What::Began(id as u32)));
            }
        }
        // Equal times are concurrent: what completes then is not before what is invoked then.
        events.sort_by_key(|&(time, class, _)| (time, class));
        events.into_iter().map(|(_, _, what)| what).collect()
    }

    fn keys_of(&self, what: What) -> impl Iterator<Item = u32> + use<'f, 'h> {
        let facts = self.facts;
        let (write, read) = match what {
            What::Invoked(write) | What::Acked(write) => (Some(facts.writes[write as usize].key), None),
            What::Began(read) | What::Completed(read) => (None, Some(facts.parts_of(&facts.reads[read as usize]))),
        };
        let several = read.unwrap_or_default();
        let keys =
            several.iter().enumerate().filter(move |(at, part)| several[..*at].iter().all(|p| p.key != part.key));
        write.into_iter().chain(keys.map(|(_, part)| part.key))
    }

    /// The events of each key.
    fn by_key(&self) -> Vec<Vec<u32>> {
        let mut own = vec![Vec::new(); self.facts.keys.len()];
        for (at, &what) in self.events.iter().enumerate() {
            for key in self.keys_of(what) {
                own[key as usize].push(at as u32);
            }
        }
        own
    }

    /// From the first write of each key (or read of it) to the last read of it: along a chain of seeing, invocations only rise.
    fn spans(&self) -> Vec<Range<usize>> {
        let mut spans = vec![Range { start: usize::MAX, end: 0 }; self.facts.keys.len()];
        for (at, &what) in self.events.iter().enumerate() {
            for key in self.keys_of(what) {
                let span = &mut spans[key as usize];
                match what {
                    What::Invoked(_) | What::Acked(_) => span.start = span.start.min(at),
                    What::Began(_) => {}
                    What::Completed(_) => {
                        span.start = span.start.min(at);
                        span.end = at + 1;
                    }
                }
            }
        }
        // A key that nobody reads has nothing to judge.
        spans.iter_mut().filter(|span| span.start > span.end).for_each(|span| *span = 0..0);
        spans
    }

    fn step(&mut self, what: What) {
        match what {
            What::Invoked(write) => {
                let actor = self.actors.of[self.facts.writes[write as usize].op as usize] as usize;
                if self.written[actor].epoch != self.epoch && self.read[actor].epoch != self.epoch {
                    return;
                }
                let mut due = Seen::default();
                if self.wants.monotonic_writes {
                    due.join(self.get(&self.written[actor]));
                }
                if self.wants.writes_follow_reads {
                    due.join(self.get(&self.read[actor]));
                }
                self.due[write as usize] = Slot { epoch: self.epoch, seen: due };
            }
            What::Acked(write) => self.acked(write),
            What::Began(read) => {
                let actor = self.actors.of[self.facts.reads[read as usize].op as usize] as usize;
                self.began[read as usize] = Slot { epoch: self.epoch, seen: self.base(actor) };
            }
            What::Completed(read) => self.completed(read),
        }
    }

    fn acked(&mut self, write: u32) {
        let entry = &self.facts.writes[write as usize];
        let due = self.wants.through_writes() && self.due[write as usize].epoch == self.epoch;
        if entry.key as usize != self.key && !due {
            return;
        }
        let actor = self.actors.of[entry.op as usize] as usize;
        let mut seen = std::mem::take(&mut self.written[actor]);
        if seen.epoch != self.epoch {
            seen = Slot { epoch: self.epoch, seen: Seen::default() };
        }
        if self.wants.through_writes() {
            seen.seen.join(self.get(&self.due[write as usize]));
        }
        if entry.key as usize == self.key {
            match self.keep {
                Keep::Top => seen.seen.top = seen.seen.top.max(entry.place + 1),
                _ if entry.deed == Deed::Add || entry.deed == Deed::Append => seen.seen.insert(entry.stands),
                Keep::Latest => {
                    let latest = seen.seen.writes().iter().copied().filter(|&other| !self.known_before(other, write));
                    let mut latest: Vec<u32> = latest.filter(|&other| other != write).collect();
                    if !latest.iter().any(|&other| self.known_before(write, other)) {
                        latest.push(write);
                        latest.sort_unstable();
                    }
                    seen.seen = Seen::of(latest);
                }
                Keep::All | Keep::Nothing => seen.seen.insert(write),
            }
        }
        self.written[actor] = seen;
    }

    fn completed(&mut self, read: u32) {
        let entry = &self.facts.reads[read as usize];
        let actor = self.actors.of[entry.op as usize] as usize;
        let mut must =
            if self.overlapping[actor] { self.get(&self.began[read as usize]).clone() } else { self.base(actor) };
        let parts = self.facts.parts_of(entry);
        let part = parts.iter().position(|part| part.key as usize == self.key);
        if self.wants.through_writes() {
            for (at, other) in parts.iter().enumerate() {
                // What precedes the write that a register returned does so in any case.
                if part != Some(at) || self.keep != Keep::Latest {
                    let due = self.due_of(other);
                    must.join(&due);
                }
            }
        }
        let seen = match part {
            Some(at) => self.judge(entry.from + at as u32, actor, must),
            None => must,
        };
        if (self.wants.monotonic_reads || self.wants.writes_follow_reads) && !(part.is_none() && seen.is_empty()) {
            let mut slot = std::mem::take(&mut self.read[actor]);
            if slot.epoch != self.epoch {
                slot = Slot { epoch: self.epoch, seen };
            } else if self.keep == Keep::Latest
                && part.is_some()
                && !self.overlapping[actor]
                && self.wants.monotonic_reads
            {
                // It followed everything read before; what it returned stands for all of that.
                slot.seen = seen;
            } else {
                slot.seen.join(&seen);
            }
            self.read[actor] = slot;
        }
        if part.is_some() {
            self.last_read[actor] = (self.epoch, entry.op);
        }
    }

    /// What the actor's next read must see before it shows anything.
    fn base(&self, actor: usize) -> Seen {
        let mut must = Seen::default();
        if self.wants.monotonic_reads {
            must.join(self.get(&self.read[actor]));
        }
        if self.wants.read_your_writes {
            must.join(self.get(&self.written[actor]));
        }
        must
    }

    fn get<'s>(&self, slot: &'s Slot) -> &'s Seen {
        if slot.epoch == self.epoch { &slot.seen } else { const { &Seen::EMPTY } }
    }

    /// What comes with the writes that a part shows.
    fn due_of(&mut self, part: &Part) -> Seen {
        match &part.shown {
            Shown::One(write) => self.due_of_write(*write),
            Shown::Many(writes) | Shown::Siblings(writes) => {
                let mut due = Seen::default();
                for &write in writes.iter().filter(|&&write| self.facts.sole(write)) {
                    due.join(self.get(&self.due[write as usize]));
                }
                due
            }
            Shown::Prefix(length) => self.due_of_beginning(part.key as usize, *length),
            Shown::Nil | Shown::AnyOf(_) | Shown::Skip => Seen::default(),
        }
    }

    fn due_of_write(&self, write: u32) -> Seen {
        if write != NONE && self.facts.sole(write) {
            self.get(&self.due[write as usize]).clone()
        } else {
            Seen::default()
        }
    }

    fn due_of_beginning(&mut self, key: usize, length: u32) -> Seen {
        let list = &self.facts.keys[key].longest;
        let (epoch, known) = self.known[key];
        let known = if epoch == self.epoch { known } else { 0 };
        let last = |upto: u32| list[..upto as usize].iter().rev().copied().find(|&write| write != NONE);
        if known < length {
            let mut seen =
                last(known).map(|write| self.get(&self.due_upto[write as usize]).clone()).unwrap_or_default();
            for &write in &list[known as usize..length as usize] {
                if write != NONE {
                    seen.join(&self.due_of_write(write));
                    self.due_upto[write as usize] = Slot { epoch: self.epoch, seen: seen.clone() };
                }
            }
            self.known[key] = (self.epoch, length);
        }
        last(length).map(|write| self.get(&self.due_upto[write as usize]).clone()).unwrap_or_default()
    }

    /// The operation that last read the key for this actor.
    pub(super) fn last_read(&self, actor: usize) -> Option<u32> {
        let (epoch, op) = self.last_read[actor];
        (epoch == self.epoch && op != NONE).then_some(op)
    }

    /// Whether `a` is known to count before `b`; never of stand-ins.
    pub(super) fn known_before(&self, a: u32, b: u32) -> bool {
        let real = self.facts.writes.len() as u32;
        a < real && b < real && self.facts.before(a, b)
    }
}

/// Which actors ever have two operations open that succeed.
fn overlapping(facts: &Facts, actors: Actors) -> Vec<bool> {
    let mut until = vec![None; actors.count];
    let mut overlapping = vec![false; actors.count];
    for (at, op) in facts.history.ops.iter().enumerate() {
        if op.outcome != Outcome::Ok || op.last {
            continue;
        }
        let actor = actors.of[at] as usize;
        if until[actor].is_some_and(|until: u64| until >= op.invoked) {
            overlapping[actor] = true;
        }
        until[actor] = until[actor].max(Some(op.completed));
    }
    overlapping
}
