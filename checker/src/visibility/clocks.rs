//! What every read must have seen, for all keys in one pass.
//!
//! The walk asks of every key what each event of its life brings: O(keys alive · events) where guarantees pass through the writes of other keys.
//! Here every actor has a vector [clock], a write that somebody reads keeps its writer's, and what a clock means for a key is looked up at
//! the reads of that key alone, among the [atoms] of its [row](rows): O(actors) an event, and a lookup a read. Like: AWDIT (Møldrup & Pavlogiannis
//! 2025), which does so for causal consistency.
//!
//! What comes out is what the walk finds: where the order of a key's writes is known, a read lacks something exactly if the last place that it must have
//! seen lies behind what it shows. Where the order is a guess, a key is settled if all reads fit the guess, and otherwise left to the
//! walk. Its demands then point forward along its row ([`Settled::chains`]).

mod atoms;
mod clock;
mod rows;

use std::ops::Range;
use std::rc::Rc;

use self::atoms::Atoms;
use self::clock::{Due, View};
use self::rows::{Class, Rows};
use super::run::Event;
use super::{Actors, Keep, Lack, Wants, Way, keep};
use crate::facts::timeline::What;
use crate::facts::{Facts, NONE, Part, Shown};
use crate::intern::FastMap;
use crate::sharpness::Sharpness;

/// What was asked, and of what.
#[derive(Clone, Copy)]
pub(super) struct Question<'a, 'h> {
    pub(super) facts: &'a Facts<'h>,
    pub(super) wants: Wants,
    pub(super) actors: Actors<'a>,
    pub(super) sharpness: &'a Sharpness,
    /// Which actors ever have two operations open.
    pub(super) overlapping: &'a [bool],
    pub(super) way: Way,
}

/// The keys that need no walk.
pub(super) struct Settled {
    /// By key.
    pub(super) keys: Vec<bool>,
    pub(super) lacks: Vec<Lack>,
    /// Opportunities and sharp ones, by key.
    pub(super) counts: Vec<(u32, u32)>,
    /// Of every key whose order was guessed, each write and the next in its row: no demand of the key points elsewhere than along them.
    pub(super) chains: Vec<(u32, u32)>,
}

/// Settles what can be settled; nothing if the walk costs less. `spans` are the events of each key's life among `events`.
pub(super) fn settle(asked: Question, events: &[Event], spans: &[Range<usize>]) -> Option<Settled> {
    if !(asked.way == Way::Clocks || worth(asked, events, spans)) || !supported(asked) {
        return None;
    }
    let mut pass = Pass::new(asked);
    for &event in events {
        pass.event(event)?;
    }
    Some(pass.settled())
}

/// A read of more parts than this is left to the walk: what each part must see comes with all others.
const PARTS: u32 = 16;

/// Whether clocks say what these guarantees ask. Elements that are no beginnings bring more than the clocks of a few writes.
fn supported(asked: Question) -> bool {
    let Wants { read_your_writes, monotonic_reads, monotonic_writes, writes_follow_reads } = asked.wants;
    let known = match (monotonic_writes, writes_follow_reads) {
        (true, true) => read_your_writes && monotonic_reads,
        (true, false) | (false, true) => {
            read_your_writes == monotonic_reads && !(read_your_writes && writes_follow_reads)
        }
        (false, false) => false,
    };
    known
        && asked.actors.count.saturating_mul(asked.actors.count) <= HELD
        && asked.facts.keys.iter().all(|key| !key.scattered)
        && asked.facts.reads.iter().all(|read| read.to - read.from <= PARTS)
        && asked.facts.parts.iter().all(|part| !matches!(part.shown, Shown::Many(_) | Shown::Siblings(_)))
}

/// What an event costs here in steps of the walk, without the clocks.
const EVENT: usize = 4;
/// How many actors' numbers are compared in the time of one step of the walk.
const ABREAST: usize = 128;
/// Clocks must promise so many times less than the walk: some keys may be left to it in the end.
const GAIN: usize = 5;

fn worth(asked: Question, events: &[Event], spans: &[Range<usize>]) -> bool {
    let joined = if asked.wants.writes_follow_reads { asked.actors.count / ABREAST } else { 0 };
    let cost = events.len().saturating_mul(EVENT + joined);
    let walk: usize = spans.iter().map(|span| span.len()).sum();
    walk / GAIN > cost
}

/// How many numbers the clocks of writes that somebody will still read may hold together, and those of all actors, about.
const HELD: usize = 1 << 26;

struct Pass<'a, 'h> {
    asked: Question<'a, 'h>,
    rows: Rows,
    atoms: Atoms,
    /// By actor, what it has seen.
    views: Vec<View>,
    nothing: Rc<[u32]>,
    /// What comes with each write, while somebody will still read it.
    dues: Vec<Option<Due>>,
    /// How many reads of each write are to come.
    awaited: Vec<u32>,
    lists: Lists,
    held: usize,
    /// What a read had to see when it began, where its actor does several things at once.
    began: FastMap<u32, View>,
    /// Whether an actor must see something of a key, a bit each.
    aware: Vec<u64>,
    words: usize,
    /// The operation that last read a key, by key and actor; kept where nodes are recorded.
    last_read: Option<FastMap<(u32, u32), u32>>,
    lacks: Vec<Lack>,
    counts: Vec<(u32, u32)>,
}

/// What comes with the beginnings of lists.
struct Lists {
    /// By key: up to which length, and all of it together.
    upto: Vec<(u32, Option<Rc<[u32]>>)>,
    /// By slot of the rows: what comes with the beginning that ends there, and how many reads of it are to come.
    beginnings: Vec<(u32, Option<Rc<[u32]>>)>,
}

impl<'a, 'h> Pass<'a, 'h> {
    fn new(asked: Question<'a, 'h>) -> Self {
        let facts = asked.facts;
        let several = several(facts);
        let based = asked.wants.monotonic_reads;
        // Without a base a register alone in its read must show nothing in particular.
        let wanted = |key: usize| match keep(facts, key) {
            Keep::Top => true,
            Keep::Latest => based || (several[key] && !asked.sharpness.knows_nodes()),
            Keep::All | Keep::Nothing => false,
        };
        let rows = Rows::of(facts, wanted);
        let nothing: Rc<[u32]> = Rc::from(vec![0; asked.actors.count]);
        let mut lists = Lists { upto: vec![(0, None); facts.keys.len()], beginnings: vec![(0, None); rows.len()] };
        let mut awaited = vec![0; facts.writes.len()];
        for part in facts.reads.iter().flat_map(|read| facts.parts_of(read)) {
            match part.shown {
                Shown::One(write) if facts.sole(write) => awaited[write as usize] += 1,
                Shown::Prefix(length @ 1..) => {
                    lists.beginnings[rows.slot(part.key as usize) + length as usize - 1].0 += 1;
                }
                _ => {}
            }
        }
        for key in (0..facts.keys.len()).filter(|&key| rows.class[key] == Class::Listed) {
            let written = facts.keys[key].longest.iter().filter(|&&write| write != NONE && facts.sole(write));
            written.for_each(|&write| awaited[write as usize] = 1);
        }
        let words = asked.actors.count.div_ceil(64);
        Pass {
            atoms: Atoms::new(&rows),
            views: (0..asked.actors.count as u32).map(|actor| View::new(nothing.clone(), actor)).collect(),
            nothing,
            dues: vec![None; facts.writes.len()],
            awaited,
            lists,
            held: 0,
            began: FastMap::default(),
            aware: vec![0; if based { words * facts.keys.len() } else { 0 }],
            words,
            last_read: (based && asked.sharpness.knows_nodes()).then(FastMap::default),
            lacks: Vec::new(),
            counts: vec![(0, 0); facts.keys.len()],
            rows,
            asked,
        }
    }

    fn based(&self) -> bool {
        self.asked.wants.monotonic_reads
    }

    /// Nothing if it takes too much memory.
    fn event(&mut self, event: Event) -> Option<()> {
        let actor = event.actor as usize;
        match event.what {
            What::Invoked(write) => self.invoked(write, actor)?,
            What::Acked(write) => self.acked(write, actor),
            What::Began(read) => {
                let base = self.base(actor);
                self.began.insert(read, base);
            }
            What::Completed(read) => self.completed(read, actor)?,
        }
        Some(())
    }

    fn base(&self, actor: usize) -> View {
        if self.based() { self.views[actor].clone() } else { View::of_nobody(self.nothing.clone()) }
    }

    fn invoked(&mut self, write: u32, actor: usize) -> Option<()> {
        let key = self.asked.facts.writes[write as usize].key as usize;
        let rank = self.rows.rank(write);
        let crooked = || self.atoms.above(&self.rows, key, rank, &self.views[actor]).is_some();
        if self.rows.class[key] == Class::Ranked && rank > 0 && crooked() {
            // What comes with the write counts after it: whether a read of it must have seen that is the walk's to say.
            self.rows.class[key] = Class::Walked;
        }
        if self.awaited[write as usize] > 0 {
            self.dues[write as usize] = Some(self.views[actor].due(self.asked.wants.writes_follow_reads));
            self.hold(1)?;
        }
        Some(())
    }

    fn hold(&mut self, clocks: usize) -> Option<()> {
        self.held += clocks;
        let width = if self.asked.wants.writes_follow_reads { self.asked.actors.count } else { 1 };
        (self.held.saturating_mul(width) <= HELD).then_some(())
    }

    fn acked(&mut self, write: u32, actor: usize) {
        let Wants { monotonic_writes, .. } = self.asked.wants;
        if !monotonic_writes {
            return;
        }
        let step = self.views[actor].step();
        let key = self.asked.facts.writes[write as usize].key as usize;
        let rank = self.rows.rank(write);
        if self.rows.class[key] != Class::Walked && rank > 0 {
            self.atoms.add(&self.rows, key, rank, actor as u32, step);
            self.note(key, actor);
        }
    }

    fn note(&mut self, key: usize, actor: usize) {
        if self.based() {
            self.aware[key * self.words + actor / 64] |= 1 << (actor % 64);
        }
    }

    fn completed(&mut self, read: u32, actor: usize) -> Option<()> {
        let facts = self.asked.facts;
        let entry = &facts.reads[read as usize];
        let parts = facts.parts_of(entry);
        for part in parts {
            self.lengthen(part)?;
        }
        let base = match self.began.remove(&read) {
            Some(base) => base,
            None => self.base(actor),
        };
        for at in 0..parts.len() {
            self.part(entry.from + at as u32, parts, at, &base, actor);
        }
        drop(base);
        self.learn(parts, actor, entry.op);
        for part in parts {
            self.release(part);
        }
        Some(())
    }

    /// Works out what comes with a beginning of a list.
    fn lengthen(&mut self, part: &Part) -> Option<()> {
        let Shown::Prefix(length) = part.shown else { return Some(()) };
        let key = part.key as usize;
        if self.lists.upto[key].0 >= length {
            return Some(());
        }
        let (known, joined) = std::mem::take(&mut self.lists.upto[key]);
        let mut joined = joined.unwrap_or_else(|| self.nothing.clone());
        for at in known as usize..length as usize {
            let write = self.asked.facts.keys[key].longest[at];
            if write != NONE
                && let Some(due) = self.dues[write as usize].take()
            {
                self.held -= 1;
                due.raise(Rc::make_mut(&mut joined));
            }
            let (awaited, beginning) = &mut self.lists.beginnings[self.rows.slot(key) + at];
            if *awaited > 0 {
                *beginning = Some(joined.clone());
                self.held += 1;
            }
        }
        self.lists.upto[key] = (length, Some(joined));
        self.hold(0)
    }

    /// Lets go of what comes with a part, after the last read of that.
    fn release(&mut self, part: &Part) {
        match part.shown {
            Shown::One(write) if self.awaited[write as usize] > 0 => {
                self.awaited[write as usize] -= 1;
                if self.awaited[write as usize] == 0 && self.dues[write as usize].take().is_some() {
                    self.held -= 1;
                }
            }
            Shown::Prefix(length @ 1..) => {
                let slot = self.rows.slot(part.key as usize) + length as usize - 1;
                let (awaited, beginning) = &mut self.lists.beginnings[slot];
                *awaited -= 1;
                if *awaited == 0 && beginning.take().is_some() {
                    self.held -= 1;
                }
            }
            _ => {}
        }
    }

    /// Adds what comes with the writes that a part shows.
    fn join(&self, view: &mut View, part: &Part) {
        match part.shown {
            Shown::One(write) => {
                if let Some(due) = &self.dues[write as usize] {
                    view.join(due);
                }
            }
            Shown::Prefix(length @ 1..) => {
                let slot = self.rows.slot(part.key as usize) + length as usize - 1;
                if let Some(clock) = &self.lists.beginnings[slot].1 {
                    view.join_clock(clock);
                }
            }
            _ => {}
        }
    }

    /// Judges the part at `at`, if it is the first of its key.
    fn part(&mut self, id: u32, parts: &[Part], at: usize, base: &View, actor: usize) {
        let part = &parts[at];
        let key = part.key as usize;
        let class = self.rows.class[key];
        if class == Class::Walked || part.shown == Shown::Skip || repeats(parts, at) {
            return;
        }
        if class != Class::Listed && parts.len() == 1 {
            // What precedes the write that a register returned does so in any case.
            if self.based() {
                self.judge(id, part, base, actor);
            }
            return;
        }
        let mut view = base.clone();
        for (nth, other) in parts.iter().enumerate() {
            if nth != at || class == Class::Listed {
                self.join(&mut view, other);
            }
        }
        self.judge(id, part, &view, actor);
    }

    fn judge(&mut self, id: u32, part: &Part, view: &View, actor: usize) {
        let key = part.key as usize;
        let shown = match part.shown {
            Shown::One(write) => self.rows.rank(write),
            Shown::Prefix(length) => length,
            _ => 0,
        };
        if shown == 0 && matches!(part.shown, Shown::One(_)) {
            self.rows.class[key] = Class::Walked;
            return;
        }
        let above = self.atoms.above(&self.rows, key, shown, view);
        if above.is_none() && !self.must(key, shown, view, actor) {
            return;
        }
        self.count(part, view, actor, above);
        let Some(top) = above else { return };
        let row = self.rows.row(key);
        match (self.rows.class[key], &part.shown) {
            (Class::Guessed, Shown::One(_)) => self.rows.class[key] = Class::Walked,
            (Class::Listed, _) => {
                let missing = row[shown as usize..top as usize].iter().rev().find(|&&write| write != NONE);
                self.lacks.extend(missing.map(|&missing| Lack { part: id, missing }));
            }
            _ => self.lacks.push(Lack { part: id, missing: row[top as usize - 1] }),
        }
    }

    /// Whether something of the key up to the rank `shown` must be seen.
    fn must(&mut self, key: usize, shown: u32, view: &View, actor: usize) -> bool {
        let sure = self.based() && !self.asked.overlapping[actor];
        if sure && self.aware[key * self.words + actor / 64] >> (actor % 64) & 1 == 1 {
            return true;
        }
        self.atoms.highest(&self.rows, key, 0, shown, view).is_some()
    }

    fn count(&mut self, part: &Part, view: &View, actor: usize, above: Option<u32>) {
        let key = part.key as usize;
        let before = match &self.last_read {
            Some(last_read) => last_read.get(&(part.key, actor as u32)).copied(),
            None if self.based() || !self.asked.sharpness.knows_nodes() => None,
            None => {
                let top = above.or_else(|| self.atoms.above(&self.rows, key, 0, view));
                let write = top.and_then(|top| self.rows.row(key).get(top as usize - 1).copied());
                write.and_then(|write| self.asked.facts.writes.get(write as usize)).map(|write| write.op)
            }
        };
        let counts = &mut self.counts[key];
        counts.0 += 1;
        counts.1 += u32::from(self.asked.sharpness.sharp_at(part.op, before));
    }

    /// The actor has seen what its read showed, and what comes with that.
    fn learn(&mut self, parts: &[Part], actor: usize, op: u32) {
        let Wants { monotonic_reads, writes_follow_reads, .. } = self.asked.wants;
        if let Some(last_read) = &mut self.last_read {
            parts.iter().for_each(|part| {
                last_read.insert((part.key, actor as u32), op);
            });
        }
        if !monotonic_reads && !writes_follow_reads {
            return;
        }
        let mut view = std::mem::replace(&mut self.views[actor], View::of_nobody(self.nothing.clone()));
        parts.iter().for_each(|part| self.join(&mut view, part));
        let count = self.asked.actors.count as u32;
        let (who, step) =
            if writes_follow_reads { (actor as u32, view.step()) } else { (actor as u32 + count, view.private_step()) };
        self.views[actor] = view;
        for (at, part) in parts.iter().enumerate() {
            let rank = match part.shown {
                Shown::One(write) => self.rows.rank(write),
                Shown::Prefix(length) => length,
                _ => 0,
            };
            let key = part.key as usize;
            if rank > 0 && self.rows.class[key] != Class::Walked && !repeats(parts, at) {
                self.atoms.add(&self.rows, key, rank, who, step);
                self.note(key, actor);
            }
        }
    }

    fn settled(self) -> Settled {
        let facts = self.asked.facts;
        let judged = |key: usize| self.rows.class[key] != Class::Walked || matches!(keep(facts, key), Keep::Nothing);
        let several = several(facts);
        let idle = |key: usize| !self.based() && keep(facts, key) == Keep::Latest && !several[key];
        let keys: Vec<bool> = (0..facts.keys.len()).map(|key| judged(key) || idle(key)).collect();
        let mut lacks = self.lacks;
        lacks.retain(|lack| keys[facts.parts[lack.part as usize].key as usize]);
        let guessed = (0..facts.keys.len()).filter(|&key| self.rows.class[key] == Class::Guessed);
        let chains = guessed.flat_map(|key| self.rows.row(key).windows(2).map(|pair| (pair[0], pair[1]))).collect();
        Settled { lacks, counts: self.counts, chains, keys }
    }
}

/// Whether a part is not the first of its key in its read.
pub(super) fn repeats(parts: &[Part], at: usize) -> bool {
    parts[..at].iter().any(|part| part.key == parts[at].key)
}

/// Which keys are read together with others.
fn several(facts: &Facts) -> Vec<bool> {
    let mut several = vec![false; facts.keys.len()];
    for read in facts.reads.iter().filter(|read| read.to - read.from > 1) {
        facts.parts_of(read).iter().for_each(|part| several[part.key as usize] = true);
    }
    several
}
