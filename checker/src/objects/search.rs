//! The search: whether calls on one object can be put in one order, for any [`Model`].
//!
//! Just-in-time linearization (Lowe 2017, after Wing and Gong 1993): walk the events in time order and carry every
//! configuration the object could be in (its state, and which of the open calls have taken effect). Nothing happens until a
//! call returns; then each configuration in which it has not taken effect tries the open calls until it has. Memory follows
//! the number of calls open at once, not the length of the history.
//!
//! What keeps the configurations few:
//! - An observer (a call that never changes the object) takes effect as soon as it can: that never costs anything.
//! - Of open calls that are equal in function, input and output only the one that must return first is tried.
//! - A blind call (a write) leaves the same object whatever was before. So when one takes effect, every other open blind call
//!   may as well have done so just before, unseen. Those become *free*: no more owed, and still to be had until they return.
//! - Calls whose outcome is unknown are counted by effect, not told apart, and forgotten when nobody can need them any more.
//! - A configuration goes when another one with the same state has every freedom it has.
//!
//! Exponential at worst (the question is NP-complete), hence the budget.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::time::Instant;

use smallvec::SmallVec;

use super::calls::{Call, NEVER};
use super::model::Model;
use crate::evidence::Budget;
use crate::intern::{FastHash, FastMap};

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The time was up.
    Time,
    /// So many configurations were visited.
    Configurations,
    /// So many bytes were held.
    Bytes,
    /// More calls were open at once than the search can hold.
    Open,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is an order.
    Holds,
    /// There is none: the call that can't be placed, by its index, and what the object could have been just before that call
    /// returned, at most eight of them.
    Stuck {
        /// The call's index.
        call: usize,
        /// The states, as text.
        states: Vec<String>,
    },
    /// No answer; so many calls were decided.
    Unknown {
        /// Which bound was met.
        why: Why,
        /// How many calls had returned and could be placed.
        decided: u64,
    },
}

/// What one search may still use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When to stop.
    pub until: Instant,
    /// How many more configurations.
    pub configurations: u64,
    /// How many bytes at once.
    pub bytes: usize,
}

impl Limits {
    /// From now on.
    pub fn new(budget: &Budget) -> Limits {
        let now = Instant::now();
        let until = now.checked_add(budget.time).unwrap_or(now + std::time::Duration::from_secs(1 << 30));
        Limits { until, configurations: budget.configurations, bytes: budget.bytes }
    }
}

/// How a search goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Every configuration: what it finds is so.
    Full,
    /// Every effect of unknown outcome as often as wanted once it was called: more than can be, so a violation is one.
    Endless,
    /// So many configurations at once, about, and back to the others when those lead nowhere.
    Narrow(usize),
}

/// Configurations visited before anything but the full search is tried.
const FIRST: u64 = 100_000;

/// Decides `calls`, sorted by start, and says how many configurations were visited.
///
/// First breadth first, but not for long; then with more allowed than can be, which may refute; then depth first, a few configurations
/// abreast; then both again, as far as the limits reach.
pub fn decide<M: Model>(model: &M, calls: &[Call], limits: Limits) -> (Found, u64) {
    let open = most_open(calls);
    let certain = calls.iter().all(Call::ok);
    let mut visited = 0;
    let shares = [
        (Manner::Full, FIRST),
        (Manner::Endless, limits.configurations / 8),
        (Manner::Narrow(2), limits.configurations / 20),
        (Manner::Narrow(2), limits.configurations / 2),
        (Manner::Full, u64::MAX),
    ];
    for (turn, (manner, share)) in shares.into_iter().enumerate() {
        if manner == Manner::Endless && certain {
            continue;
        }
        let left = limits.configurations.saturating_sub(visited);
        let limits = Limits { configurations: share.min(left), ..limits };
        let (found, more) = search(model, calls, limits, manner, open);
        visited += more;
        let final_answer = match (&found, manner) {
            (Found::Unknown { .. }, _) => turn + 1 == shares.len() || left <= more || Instant::now() > limits.until,
            (Found::Holds, Manner::Endless) => false,
            _ => true,
        };
        if final_answer {
            return (found, visited);
        }
    }
    (Found::Unknown { why: Why::Configurations, decided: 0 }, visited)
}

/// Whether `calls`, sorted by start, are violated even if every effect of unknown outcome may happen as often as wanted; false
/// also if that could not be found out. And how many configurations were visited.
pub(super) fn refuted<M: Model>(model: &M, calls: &[Call], limits: Limits) -> (bool, u64) {
    let (found, visited) = search(model, calls, limits, Manner::Endless, most_open(calls));
    (matches!(found, Found::Stuck { .. }), visited)
}

fn search<M: Model>(model: &M, calls: &[Call], limits: Limits, manner: Manner, open: usize) -> (Found, u64) {
    match open {
        0..=64 => Search::<M, 1>::new(model, calls, limits, manner).run(),
        65..=256 => Search::<M, 4>::new(model, calls, limits, manner).run(),
        257..=1024 => Search::<M, 16>::new(model, calls, limits, manner).run(),
        1025..=4096 => Search::<M, 64>::new(model, calls, limits, manner).run(),
        _ => (Found::Unknown { why: Why::Open, decided: 0 }, 0),
    }
}

/// How many calls that must take effect were open at once.
fn most_open(calls: &[Call]) -> usize {
    let mut ends: Vec<u32> = calls.iter().filter(|call| call.ok()).map(|call| call.end).collect();
    ends.sort_unstable();
    let (mut most, mut open, mut gone) = (0, 0_usize, 0);
    for call in calls.iter().filter(|call| call.ok()) {
        while gone < ends.len() && ends[gone] < call.start {
            gone += 1;
            open -= 1;
        }
        open += 1;
        most = most.max(open);
    }
    most
}

/// Used effects of calls with unknown outcome: (effect, how often), by effect.
type Late = SmallVec<[(u32, u32); 2]>;

/// One way it could be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Configuration<S, const W: usize> {
    state: S,
    /// Open calls that took effect.
    used: [u64; W],
    /// Open blind calls that took effect unseen, unless they still do so seen.
    free: [u64; W],
    late: Late,
}

/// An open call that must take effect.
#[derive(Clone, Copy, Debug)]
struct Open {
    call: u32,
    slot: u32,
    /// Equal calls have equal classes.
    class: u32,
    end: u32,
}

/// An effect that may happen, so often.
#[derive(Clone, Copy, Debug)]
struct Perhaps {
    effect: u32,
    call: u32,
    times: u32,
    needless: u32,
}

/// Configurations to try when nothing better is left, and what was open there.
struct PutBy<S, const W: usize> {
    place: (usize, u64, u32),
    /// The most promising last.
    rest: Vec<Configuration<S, W>>,
    open: Vec<Open>,
    observers: Vec<Open>,
    perhaps: Vec<Perhaps>,
    observing: [u64; W],
    blind: [u64; W],
    spare: Vec<u32>,
    slots: u32,
}

struct Search<'a, M: Model, const W: usize> {
    model: &'a M,
    calls: &'a [Call],
    limits: Limits,
    manner: Manner,
    visited: u64,
    /// By class and end, so that of equal ones the first unused is the one to try.
    open: Vec<Open>,
    observers: Vec<Open>,
    perhaps: Vec<Perhaps>,
    /// Slots of open calls that are observers, and blind.
    observing: [u64; W],
    blind: [u64; W],
    spare: Vec<u32>,
    slots: u32,
    /// How many calls were placed at most.
    deepest: u64,
    /// For a narrow search: what was put by, what was where, how many bytes that is, and whether something was lost.
    put_by: Vec<PutBy<M::State, W>>,
    seen: FastMap<usize, Pool<M::State, W>>,
    held: usize,
    cut: bool,
}

fn has<const W: usize>(bits: &[u64; W], slot: u32) -> bool {
    bits[slot as usize / 64] & (1 << (slot % 64)) != 0
}

fn put<const W: usize>(bits: &mut [u64; W], slot: u32) {
    bits[slot as usize / 64] |= 1 << (slot % 64);
}

fn take<const W: usize>(bits: &mut [u64; W], slot: u32) {
    bits[slot as usize / 64] &= !(1 << (slot % 64));
}

/// Configurations of which none has all the freedom of another, grouped by what must be equal for that.
struct Pool<S, const W: usize> {
    all: Vec<Configuration<S, W>>,
    alive: Vec<bool>,
    next: Vec<u32>,
    heads: FastMap<u64, u32>,
    weight: usize,
}

const END: u32 = u32::MAX;

impl<S: Clone + Eq + Hash, const W: usize> Pool<S, W> {
    fn new() -> Self {
        Pool { all: Vec::new(), alive: Vec::new(), next: Vec::new(), heads: FastMap::default(), weight: 0 }
    }

    fn clear(&mut self) {
        self.all.clear();
        self.alive.clear();
        self.next.clear();
        self.heads.clear();
        self.weight = 0;
    }

    /// Adds, unless one that is there has all its freedom, and says whether it did; those that have no more than it go.
    fn add(&mut self, new: Configuration<S, W>, observing: &[u64; W], blind: &[u64; W], weight: usize) -> bool {
        let mut owed = [0; W];
        for word in 0..W {
            owed[word] = new.used[word] & !observing[word] & !blind[word];
        }
        let key = BuildHasherDefault::<FastHash>::default().hash_one((&new.state, &owed));
        let head = self.heads.entry(key).or_insert(END);
        let mut at = *head;
        while at != END {
            let i = at as usize;
            if self.alive[i] {
                let old = &self.all[i];
                if old.state == new.state {
                    if covers(old, &new, observing, blind) {
                        return false;
                    }
                    if covers(&new, old, observing, blind) {
                        self.alive[i] = false;
                    }
                }
            }
            at = self.next[i];
        }
        self.next.push(*head);
        *head = self.all.len() as u32;
        self.all.push(new);
        self.alive.push(true);
        self.weight += weight + size_of::<Configuration<S, W>>() + 5;
        true
    }
}

/// Whether `a`, in the same state, has all the freedom of `b`.
fn covers<S, const W: usize>(
    a: &Configuration<S, W>,
    b: &Configuration<S, W>,
    observing: &[u64; W],
    blind: &[u64; W],
) -> bool {
    for word in 0..W {
        let (used_a, used_b, seen, unseen) = (a.used[word], b.used[word], observing[word], blind[word]);
        // Seen by a whatever b has seen; else equal but for blind calls, which a has free or as b has them.
        let others = !seen & !unseen;
        let bad = (used_b & !used_a & seen)
            | ((used_a ^ used_b) & others)
            | (unseen & !a.free[word] & ((used_a ^ used_b) | b.free[word]));
        if bad != 0 {
            return false;
        }
    }
    let mut of_b = b.late.iter();
    a.late.iter().all(|&(effect, times)| of_b.any(|&(other, often)| other == effect && often >= times))
}

impl<'a, M: Model, const W: usize> Search<'a, M, W> {
    fn new(model: &'a M, calls: &'a [Call], limits: Limits, manner: Manner) -> Self {
        Search {
            model,
            calls,
            limits,
            manner,
            visited: 0,
            open: Vec::new(),
            observers: Vec::new(),
            perhaps: Vec::new(),
            observing: [0; W],
            blind: [0; W],
            spare: Vec::new(),
            slots: 0,
            deepest: 0,
            put_by: Vec::new(),
            seen: FastMap::default(),
            held: 0,
            cut: false,
        }
    }

    fn run(mut self) -> (Found, u64) {
        let found = self.walk();
        (found, self.visited)
    }

    fn walk(&mut self) -> Found {
        let events = self.events();
        let needless = if self.calls.iter().all(Call::ok) { Vec::new() } else { self.model.needed_until(self.calls) };
        let mut classes: FastMap<Effect, u32> = FastMap::default();
        let (mut now, mut work, mut out) = (Pool::new(), Pool::new(), Pool::new());
        let first = Configuration { state: self.model.initial(), used: [0; W], free: [0; W], late: Late::new() };
        now.add(first, &self.observing, &self.blind, 0);
        let mut decided = 0;
        let mut drop_at = NEVER;
        let mut step = 0;
        let mut stuck: Option<(usize, Found)> = None;
        while step < events.len() {
            let event = events[step];
            let (rank, at) = ((event >> 32) as u32, (event as u32) >> 1);
            let call = &self.calls[at as usize];
            if rank > drop_at {
                drop_at = self.forget(rank, &mut now, &mut out);
            }
            step += 1;
            if event & 1 == 0 {
                let fresh = classes.len() as u32;
                let class = *classes.entry(Effect::of(call)).or_insert(fresh);
                if call.ok() {
                    self.begin(at, class, &mut now);
                } else if needless[at as usize] > rank && !self.model.observes(call) {
                    drop_at = drop_at.min(needless[at as usize]);
                    self.may(at, class, needless[at as usize]);
                }
                continue;
            }
            let position = self.open.iter().position(|open| open.call == at);
            let Some(open) = position.map(|position| self.open[position]) else { continue };
            if let Err(why) = self.finish(open, &mut now, &mut work, &mut out) {
                return Found::Unknown { why, decided: self.deepest.max(decided) };
            }
            if out.all.is_empty() && stuck.as_ref().is_none_or(|(deepest, _)| *deepest < step) {
                stuck = Some((step, Found::Stuck { call: at as usize, states: tell(&now) }));
            }
            std::mem::swap(&mut now, &mut out);
            self.close(open);
            decided += 1;
            self.deepest = self.deepest.max(decided);
            if let Manner::Narrow(width) = self.manner {
                self.narrow(&mut now, &mut out, width, (step, decided, drop_at));
                if self.held > self.limits.bytes {
                    return Found::Unknown { why: Why::Bytes, decided: self.deepest };
                }
            }
            if now.all.is_empty() {
                match self.resume(&mut now) {
                    Some(place) => (step, decided, drop_at) = place,
                    None if self.cut => return Found::Unknown { why: Why::Configurations, decided: self.deepest },
                    None => return stuck.map_or(Found::Holds, |(_, found)| found),
                }
            }
        }
        Found::Holds
    }

    /// Starts and ends in time order: the rank, the call, and whether it is an end, in one number.
    fn events(&self) -> Vec<u64> {
        let mut events = Vec::with_capacity(2 * self.calls.len());
        for (at, call) in self.calls.iter().enumerate() {
            events.push((u64::from(call.start) << 32) | ((at as u64) << 1));
            if call.ok() {
                events.push((u64::from(call.end) << 32) | ((at as u64) << 1) | 1);
            }
        }
        events.sort_unstable();
        events
    }

    /// A call that must take effect has begun.
    fn begin(&mut self, at: u32, class: u32, now: &mut Pool<M::State, W>) {
        let call = &self.calls[at as usize];
        let slot = self.spare.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        let open = Open { call: at, slot, class, end: call.end };
        let place = self.open.partition_point(|other| (other.class, other.end) < (class, call.end));
        self.open.insert(place, open);
        if self.model.observes(call) {
            put(&mut self.observing, slot);
            self.observers.push(open);
            for (configuration, &alive) in now.all.iter_mut().zip(&now.alive) {
                if alive && self.model.step(&configuration.state, call).is_some() {
                    put(&mut configuration.used, slot);
                }
            }
        } else if self.model.blind(call) {
            put(&mut self.blind, slot);
        }
    }

    /// A call that may take effect has begun.
    fn may(&mut self, at: u32, effect: u32, needless: u32) {
        match self.perhaps.iter_mut().find(|perhaps| perhaps.effect == effect) {
            Some(perhaps) => perhaps.times += 1,
            None => self.perhaps.push(Perhaps { effect, call: at, times: 1, needless }),
        }
    }

    fn close(&mut self, open: Open) {
        self.open.retain(|other| other.slot != open.slot);
        self.observers.retain(|other| other.slot != open.slot);
        take(&mut self.observing, open.slot);
        take(&mut self.blind, open.slot);
        self.spare.push(open.slot);
    }

    /// Strikes effects that nobody needs after `rank` from the configurations, and says when the next will be.
    fn forget(&mut self, rank: u32, now: &mut Pool<M::State, W>, out: &mut Pool<M::State, W>) -> u32 {
        self.perhaps.retain(|perhaps| perhaps.needless >= rank);
        out.clear();
        for (mut configuration, alive) in now.all.drain(..).zip(now.alive.drain(..)) {
            if alive {
                configuration.late.retain(|(effect, _)| self.perhaps.iter().any(|perhaps| perhaps.effect == *effect));
                let weight = self.model.weight(&configuration.state);
                out.add(configuration, &self.observing, &self.blind, weight);
            }
        }
        std::mem::swap(now, out);
        self.perhaps.iter().map(|perhaps| perhaps.needless).min().unwrap_or(NEVER)
    }

    /// `open` returns: `out` gets every configuration in which it has taken effect.
    fn finish(
        &mut self,
        open: Open,
        now: &mut Pool<M::State, W>,
        work: &mut Pool<M::State, W>,
        out: &mut Pool<M::State, W>,
    ) -> Result<(), Why> {
        work.clear();
        out.clear();
        for (configuration, &alive) in now.all.iter().zip(&now.alive) {
            if !alive {
                continue;
            }
            if has(&configuration.used, open.slot) {
                self.keep(configuration.clone(), open, out);
                continue;
            }
            if has(&configuration.free, open.slot) {
                self.keep(configuration.clone(), open, out);
            }
            let weight = self.model.weight(&configuration.state);
            work.add(configuration.clone(), &self.observing, &self.blind, weight);
        }
        let mut at = 0;
        while at < work.all.len() {
            if let Manner::Narrow(width) = self.manner
                && (at > 64 * width || out.all.len() > 16 * width)
            {
                self.cut = true;
                break;
            }
            if work.alive[at] {
                self.expand(open, at, work, out)?;
            }
            at += 1;
        }
        Ok(())
    }

    /// Goes on with those configurations that promise most (few unknown calls used, most observers satisfied) and puts the
    /// others by. What was here before, or has no more freedom than what was, is dropped: it led nowhere, or was put by.
    fn narrow(
        &mut self,
        now: &mut Pool<M::State, W>,
        spare: &mut Pool<M::State, W>,
        width: usize,
        place: (usize, u64, u32),
    ) {
        let seen = self.seen.entry(place.0).or_insert_with(Pool::new);
        let before = seen.weight;
        let mut ranked: Vec<(u32, u32, Configuration<M::State, W>)> = Vec::new();
        for (configuration, alive) in now.all.drain(..).zip(now.alive.drain(..)) {
            let weight = self.model.weight(&configuration.state);
            if alive && seen.add(configuration.clone(), &self.observing, &self.blind, weight) {
                let late = configuration.late.iter().map(|&(_, times)| times).sum();
                let mut owed = 0;
                for word in 0..W {
                    let observers = self.observing[word];
                    owed += ((observers & !configuration.used[word]) | (!observers & configuration.used[word]))
                        .count_ones();
                }
                ranked.push((late, owed, configuration));
            }
        }
        self.held += seen.weight - before;
        ranked.sort_by_key(|&(late, owed, _)| (late, owed));
        now.clear();
        spare.clear();
        let mut of_state: FastMap<M::State, usize> = FastMap::default();
        let mut rest = Vec::new();
        for (_, _, configuration) in ranked {
            let same = of_state.entry(configuration.state.clone()).or_default();
            *same += 1;
            let weight = self.model.weight(&configuration.state);
            if *same > width.div_ceil(4) || now.all.len() >= 2 * width {
                self.held += size_of::<Configuration<M::State, W>>() + weight;
                rest.push(configuration);
            } else {
                now.add(configuration, &self.observing, &self.blind, weight);
            }
        }
        if !rest.is_empty() {
            rest.reverse();
            self.held += (self.open.len() + self.observers.len() + self.perhaps.len()) * 16;
            self.put_by.push(PutBy {
                place,
                rest,
                open: self.open.clone(),
                observers: self.observers.clone(),
                perhaps: self.perhaps.clone(),
                observing: self.observing,
                blind: self.blind,
                spare: self.spare.clone(),
                slots: self.slots,
            });
        }
    }

    /// Goes back to what was put by last, and says where that is.
    fn resume(&mut self, now: &mut Pool<M::State, W>) -> Option<(usize, u64, u32)> {
        let Manner::Narrow(width) = self.manner else { return None };
        let mut last = self.put_by.pop()?;
        self.open.clone_from(&last.open);
        self.observers.clone_from(&last.observers);
        self.perhaps.clone_from(&last.perhaps);
        self.spare.clone_from(&last.spare);
        (self.observing, self.blind, self.slots) = (last.observing, last.blind, last.slots);
        now.clear();
        let left = last.rest.len().saturating_sub(width);
        for configuration in last.rest.drain(left..).rev() {
            let weight = self.model.weight(&configuration.state);
            now.add(configuration, &self.observing, &self.blind, weight);
        }
        let place = last.place;
        if !last.rest.is_empty() {
            self.put_by.push(last);
        }
        Some(place)
    }

    fn keep(&self, mut configuration: Configuration<M::State, W>, open: Open, out: &mut Pool<M::State, W>) {
        take(&mut configuration.used, open.slot);
        take(&mut configuration.free, open.slot);
        let weight = self.model.weight(&configuration.state);
        out.add(configuration, &self.observing, &self.blind, weight);
    }

    /// Tries each open call after the configuration at `at`.
    fn expand(
        &mut self,
        target: Open,
        at: usize,
        work: &mut Pool<M::State, W>,
        out: &mut Pool<M::State, W>,
    ) -> Result<(), Why> {
        let mut tried = END;
        for index in 0..self.open.len() {
            let open = self.open[index];
            if open.class == tried || has(&work.all[at].used, open.slot) || has(&self.observing, open.slot) {
                continue;
            }
            tried = open.class;
            let before = &work.all[at];
            let Some(state) = self.model.step(&before.state, &self.calls[open.call as usize]) else { continue };
            let mut after = Configuration { state, used: before.used, free: before.free, late: before.late.clone() };
            put(&mut after.used, open.slot);
            take(&mut after.free, open.slot);
            let blind = has(&self.blind, open.slot);
            self.settle(after, blind, target, work, out)?;
        }
        for index in 0..self.perhaps.len() {
            let perhaps = self.perhaps[index];
            let before = &work.all[at];
            let place = before.late.binary_search_by_key(&perhaps.effect, |&(effect, _)| effect);
            let endless = self.manner == Manner::Endless;
            if !endless && place.is_ok_and(|place| before.late[place].1 >= perhaps.times) {
                continue;
            }
            let call = &self.calls[perhaps.call as usize];
            let Some(state) = self.model.step(&before.state, call) else { continue };
            let mut after = Configuration { state, used: before.used, free: before.free, late: before.late.clone() };
            match place {
                _ if endless => {}
                Ok(place) => after.late[place].1 += 1,
                Err(place) => after.late.insert(place, (perhaps.effect, 1)),
            }
            self.settle(after, self.model.blind(call), target, work, out)?;
        }
        Ok(())
    }

    /// Lets observers see the new state and blind calls hide, and files the configuration.
    fn settle(
        &mut self,
        mut after: Configuration<M::State, W>,
        blind: bool,
        target: Open,
        work: &mut Pool<M::State, W>,
        out: &mut Pool<M::State, W>,
    ) -> Result<(), Why> {
        self.visited += 1;
        if self.visited > self.limits.configurations {
            return Err(Why::Configurations);
        }
        if work.weight + out.weight > self.limits.bytes / 2 {
            return Err(Why::Bytes);
        }
        if self.visited.is_multiple_of(1024) && Instant::now() > self.limits.until {
            return Err(Why::Time);
        }
        if blind {
            for word in 0..W {
                after.free[word] |= self.blind[word] & !after.used[word];
            }
        }
        for open in &self.observers {
            if !has(&after.used, open.slot) && self.model.step(&after.state, &self.calls[open.call as usize]).is_some()
            {
                put(&mut after.used, open.slot);
            }
        }
        if has(&after.used, target.slot) {
            self.keep(after, target, out);
        } else {
            if has(&after.free, target.slot) {
                self.keep(after.clone(), target, out);
            }
            let weight = self.model.weight(&after.state);
            work.add(after, &self.observing, &self.blind, weight);
        }
        Ok(())
    }
}

/// What makes two calls equal in what they do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Effect {
    f: u8,
    ok: bool,
    input: i64,
    output: i64,
}

impl Effect {
    fn of(call: &Call) -> Self {
        Effect { f: call.f as u8, ok: call.ok(), input: call.input, output: if call.ok() { call.output } else { 0 } }
    }
}

fn tell<S: std::fmt::Debug + Clone + Eq + Hash, const W: usize>(pool: &Pool<S, W>) -> Vec<String> {
    let mut states = Vec::new();
    for (configuration, _) in pool.all.iter().zip(&pool.alive).filter(|(_, alive)| **alive) {
        let text = format!("{:?}", configuration.state);
        if !states.contains(&text) {
            states.push(text);
        }
        if states.len() == 8 {
            break;
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::super::brute::{self, Draw, Shape};
    use super::super::calls::Calls;
    use super::super::model::{ModelName, MultiRegister, Queue, Register, Stack};
    use super::*;

    fn every_manner<M: Model>(name: ModelName, model: impl Fn(&Calls) -> M, seed: u64) -> u32 {
        let mut draw = Draw(seed);
        let mut narrowed = 0;
        for _ in 0..1000 {
            let shape = Shape {
                calls: 5 + draw.below(5) as usize,
                processes: 2 + draw.below(5),
                keys: 1,
                values: 1 + draw.below(3),
                unknown: [0, 200_000, 400_000][draw.below(3) as usize],
                wrong: [0, 100_000, 300_000][draw.below(3) as usize],
                unique: false,
            };
            let all = brute::random(name, &shape, draw.number());
            if all.key_count() == 0 {
                continue;
            }
            let (model, calls, limits) = (model(&all), all.of(0), Limits::new(&Budget::default()));
            let expected = brute::linearizable(name, &all);
            let by = |manner| {
                let configurations = if manner == Manner::Full { 100_000 } else { 1_000 };
                search(&model, calls, Limits { configurations, ..limits }, manner, most_open(calls)).0
            };
            assert_eq!(matches!(by(Manner::Full), Found::Holds), expected, "{calls:?}");
            for width in 1..3 {
                match by(Manner::Narrow(width)) {
                    Found::Holds => assert!(expected, "{calls:?}"),
                    Found::Stuck { .. } => assert!(!expected, "{calls:?}"),
                    Found::Unknown { .. } => narrowed += 1,
                }
            }
            if let Found::Stuck { .. } = by(Manner::Endless) {
                assert!(!expected, "{calls:?}");
            }
        }
        narrowed
    }

    #[test]
    fn every_manner_of_search_agrees_with_brute_force() {
        let mut narrowed = every_manner(ModelName::CasRegister, |_| Register, 1);
        narrowed += every_manner(ModelName::Register, |_| Register, 2);
        narrowed += every_manner(ModelName::Queue, |_| Queue, 3);
        narrowed += every_manner(ModelName::Stack, |_| Stack, 4);
        assert!(narrowed < 600, "a narrow search should seldom give up: {narrowed}");
        // Models that borrow the calls are made anew for each history.
        let shape =
            Shape { calls: 8, processes: 4, keys: 1, values: 2, unknown: 200_000, wrong: 200_000, unique: false };
        for seed in 0..200 {
            let all = brute::random(ModelName::MultiRegister, &shape, seed);
            let (model, limits) = (MultiRegister::new(&all), Limits::new(&Budget::default()));
            let calls = all.of(0);
            let found = search(&model, calls, limits, Manner::Narrow(1), most_open(calls)).0;
            let expected = brute::linearizable(ModelName::MultiRegister, &all);
            assert_eq!(matches!(found, Found::Holds), expected, "{calls:?} {found:?}");
        }
    }
}
