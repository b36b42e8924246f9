//! The walk through the events.

use std::ops::Range;

use super::clocks::{self, Question, Settled};
use super::{Actors, Keep, Seen, Sight, Wants, Way, keep};
use crate::facts::timeline::What;
use crate::facts::{Deed, Facts, NONE, Part, Shown};
use crate::history::Outcome;
use crate::sharpness::Sharpness;

/// An event of the history with what every step asks of it.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) what: What,
    pub(super) actor: u32,
    /// Its key; [`NONE`] for a read of several.
    pub(super) key: u32,
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
    way: Way,
    events: Vec<Event>,
    /// The events of each key's life; empty where those of the key itself are all that matters.
    spans: Vec<Range<usize>>,
    settled: Option<Settled>,
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
    pub(crate) fn new(
        facts: &'f Facts<'h>,
        wants: Wants,
        actors: Actors<'f>,
        sharpness: &'f Sharpness,
        way: Way,
    ) -> Self {
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
            way,
            events: Vec::new(),
            spans: Vec::new(),
            settled: None,
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

    /// Walks through all keys that are not settled otherwise; `each` is called after each with what was found so far and where its demands begin.
    pub(crate) fn run(&mut self, mut each: impl FnMut(usize, &mut Sight, usize)) {
        self.events = self.wanted_events();
        let everything = self.wants.writes_follow_reads || (self.wants.monotonic_writes && self.facts.several_keys);
        if everything {
            self.spans = self.spans();
            self.settle();
            let settled = self.settled.as_ref();
            let left = |key: &usize| settled.is_none_or(|settled| !settled.keys[*key]);
            let left: Vec<usize> = (0..self.facts.keys.len()).filter(left).collect();
            self.walk(&left);
            return;
        }
        let (heads, own) = self.by_key();
        for key in 0..self.facts.keys.len() {
            if !self.begin(key) {
                continue;
            }
            let from = self.sight.demands.len();
            for &at in &own[heads[key] as usize..heads[key + 1] as usize] {
                self.step(self.events[at as usize]);
            }
            each(key, &mut self.sight, from);
        }
    }

    /// Walks through all events of the lives of `keys`.
    fn walk(&mut self, keys: &[usize]) {
        for &key in keys {
            if self.begin(key) {
                for at in self.spans[key].clone() {
                    self.step(self.events[at]);
                }
            }
        }
    }

    /// Whether there is something to judge.
    fn begin(&mut self, key: usize) -> bool {
        self.key = key;
        self.keep = keep(self.facts, key);
        self.epoch += 1;
        self.keep != Keep::Nothing
    }

    fn settle(&mut self) {
        let asked = Question {
            facts: self.facts,
            wants: self.wants,
            actors: self.actors,
            sharpness: self.sharpness,
            overlapping: &self.overlapping,
            way: self.way,
        };
        if self.way != Way::Walk {
            self.settled = clocks::settle(asked, &self.events, &self.spans);
        }
    }

    /// What was found.
    pub(crate) fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Along what the demands of settled keys point that were not set down one by one: each write and the next.
    pub(crate) fn chains(&self) -> &[(u32, u32)] {
        self.settled.as_ref().map(|settled| settled.chains.as_slice()).unwrap_or_default()
    }

    /// Sets down the demands of settled keys after all.
    pub(crate) fn unsettle(&mut self, keys: &[usize]) {
        let Some(settled) = &mut self.settled else { return };
        let facts = self.facts;
        keys.iter().for_each(|&key| settled.keys[key] = false);
        settled.lacks.retain(|lack| settled.keys[facts.parts[lack.part as usize].key as usize]);
        settled.chains.retain(|&(write, _)| settled.keys[facts.writes[write as usize].key as usize]);
        self.walk(keys);
    }

    /// Everything that was found, key by key.
    pub(crate) fn found(self) -> Sight {
        let facts = self.facts;
        let mut sight = self.sight;
        if let Some(settled) = self.settled {
            sight.lacks.extend(settled.lacks);
            let counts = settled.counts.iter().zip(&settled.keys).filter(|(_, settled)| **settled);
            for ((opportunities, sharp), _) in counts {
                sight.opportunities += u64::from(*opportunities);
                sight.sharp += u64::from(*sharp);
            }
            sight.lacks.sort_by_key(|lack| facts.parts[lack.part as usize].key);
            sight.demands.sort_by_key(|demand| facts.parts[demand.part as usize].key);
        }
        sight
    }

    /// The events that these guarantees ask for, in the order of time.
    fn wanted_events(&self) -> Vec<Event> {
        let facts = self.facts;
        let of_write = |write: u32| (facts.writes[write as usize].op, facts.writes[write as usize].key);
        let of_read = |read: u32| {
            let read = &facts.reads[read as usize];
            (read.op, if read.to - read.from == 1 { facts.parts[read.from as usize].key } else { NONE })
        };
        let through = self.wants.through_writes();
        let written = self.wants.read_your_writes || self.wants.monotonic_writes;
        let wanted = |&what: &What| {
            let (op, key) = match what {
                What::Invoked(write) if through => of_write(write),
                What::Acked(write) if written => of_write(write),
                What::Began(read) | What::Completed(read) => of_read(read),
                What::Invoked(_) | What::Acked(_) => return None,
            };
            let actor = self.actors.of[op as usize];
            let idle = matches!(what, What::Began(_)) && !self.overlapping[actor as usize];
            (!idle).then_some(Event { what, actor, key })
        };
        facts.timeline().iter().filter_map(wanted).collect()
    }

    fn keys_of(&self, event: Event) -> impl Iterator<Item = u32> + use<'f, 'h> {
        let facts = self.facts;
        let several = match event.what {
            What::Began(read) | What::Completed(read) if event.key == NONE => {
                facts.parts_of(&facts.reads[read as usize])
            }
            _ => &[],
        };
        let keys = several.iter().enumerate().filter(move |(at, _)| !clocks::repeats(several, *at));
        (event.key != NONE).then_some(event.key).into_iter().chain(keys.map(|(_, part)| part.key))
    }

    /// The events of each key, one after the other, and where each begins.
    fn by_key(&self) -> (Vec<u32>, Vec<u32>) {
        let mut heads = vec![0_u32; self.facts.keys.len() + 1];
        for &event in &self.events {
            self.keys_of(event).for_each(|key| heads[key as usize + 1] += 1);
        }
        for key in 1..heads.len() {
            heads[key] += heads[key - 1];
        }
        let mut own = vec![0; heads.last().map_or(0, |&all| all as usize)];
        let mut next = heads.clone();
        for (at, &event) in self.events.iter().enumerate() {
            for key in self.keys_of(event) {
                own[next[key as usize] as usize] = at as u32;
                next[key as usize] += 1;
            }
        }
        (heads, own)
    }

    /// From the first write of each key (or read of it) to the last read of it: along a chain of seeing, invocations only rise.
    fn spans(&self) -> Vec<Range<usize>> {
        let mut spans = vec![Range { start: usize::MAX, end: 0 }; self.facts.keys.len()];
        for (at, &event) in self.events.iter().enumerate() {
            for key in self.keys_of(event) {
                let span = &mut spans[key as usize];
                match event.what {
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

    fn step(&mut self, event: Event) {
        let actor = event.actor as usize;
        match event.what {
            What::Invoked(write) => {
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
            What::Acked(write) => self.acked(write, event),
            What::Began(read) => self.began[read as usize] = Slot { epoch: self.epoch, seen: self.base(actor) },
            What::Completed(read) => {
                if event.key != NONE && event.key as usize != self.key && self.passes_by(read, actor) {
                    return;
                }
                self.completed(read, actor);
            }
        }
    }

    fn acked(&mut self, write: u32, event: Event) {
        let own = event.key as usize == self.key;
        let due = self.wants.through_writes() && self.due[write as usize].epoch == self.epoch;
        if !own && !due {
            return;
        }
        let actor = event.actor as usize;
        let mut seen = std::mem::take(&mut self.written[actor]);
        if seen.epoch != self.epoch {
            seen = Slot { epoch: self.epoch, seen: Seen::default() };
        }
        if due {
            seen.seen.join(&self.due[write as usize].seen);
        }
        if own {
            let entry = &self.facts.writes[write as usize];
            match self.keep {
                Keep::Top => seen.seen.top = seen.seen.top.max(entry.place + 1),
                _ if entry.deed == Deed::Add || entry.deed == Deed::Append => seen.seen.insert(entry.stands),
                Keep::Latest => self.add_latest(&mut seen.seen, write),
                Keep::All | Keep::Nothing => seen.seen.insert(write),
            }
        }
        self.written[actor] = seen;
    }

    /// Adds a write of a register to what was seen, without what it is known to follow.
    fn add_latest(&self, seen: &mut Seen, write: u32) {
        match *seen.writes() {
            [] => *seen = Seen::one(write),
            [other] if other == write || self.known_before(other, write) => *seen = Seen::one(write),
            [other] if self.known_before(write, other) => {}
            _ => {
                let latest = seen.writes().iter().copied().filter(|&other| !self.known_before(other, write));
                let mut latest: Vec<u32> = latest.filter(|&other| other != write).collect();
                if !latest.iter().any(|&other| self.known_before(write, other)) {
                    latest.push(write);
                    latest.sort_unstable();
                }
                *seen = Seen::of(latest);
            }
        }
    }

    /// A read of another key alone, where it brings only what comes with the writes that it shows; whether this was such a read.
    fn passes_by(&mut self, read: u32, actor: usize) -> bool {
        if !self.wants.monotonic_reads && !self.wants.writes_follow_reads {
            return true;
        }
        if self.wants.monotonic_reads || self.wants.read_your_writes || self.overlapping[actor] {
            return false;
        }
        let part = &self.facts.parts[self.facts.reads[read as usize].from as usize];
        if let Shown::One(write) = part.shown {
            let due = &self.due[write as usize];
            if due.epoch != self.epoch || due.seen.is_empty() || !self.facts.sole(write) {
                return true;
            }
            let slot = &mut self.read[actor];
            if slot.epoch == self.epoch {
                slot.seen.join(&due.seen);
            } else {
                *slot = due.clone();
            }
            return true;
        }
        matches!(part.shown, Shown::Nil | Shown::AnyOf(_) | Shown::Skip)
    }

    fn completed(&mut self, read: u32, actor: usize) {
        let entry = &self.facts.reads[read as usize];
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
