//! Sequential consistency (Lamport 1979): some order of all calls on all keys that keeps each process's own order, whatever
//! the clock said. Not local, so all keys are judged together; NP-complete (Gibbons & Korach 1997, section 3).
//!
//! What is linearizable is sequential, so that is asked first. Logs, growing sets and ids give every call its place, and the
//! places and the processes' orders must not go in a circle. Registers with unique values are saturated (see [`super::saturate`]):
//! a circle refutes. The rest is searched depth first:
//! - a call that never changes an object goes first as soon as it is next in its process and fits;
//! - among others the one that returned first is tried first, since real stores are seldom far from real time;
//! - where values are unique, none is overwritten while somebody has still to read it;
//! - a configuration that led nowhere is remembered, and not tried again.
//!
//! A call of unknown outcome comes after the calls its process made before, or never; nothing comes after it.

use std::time::Instant;

use super::Refutation;
use super::calls::{Call, Function, NIL};
use super::model::Model;
use super::search::{Limits, Why};
use crate::intern::FastMap;

/// What the search found.
pub(super) enum Order {
    Exists,
    /// None; the call that was in the way when most calls could be placed.
    None {
        stuck: usize,
    },
    Unknown {
        why: Why,
        decided: u64,
    },
}

/// Searches an order of `calls`, trying those of low priority number first, and says how many configurations were visited.
pub(super) fn search<M: Model>(model: &M, calls: &[Call], priority: &[u32], limits: Limits) -> (Order, u64) {
    let mut walk = Walk::new(model, calls, priority, limits);
    let found = walk.run();
    (found, walk.visited)
}

/// A step taken, and what it changed.
struct Taken<S> {
    call: u32,
    /// The object's state before, if the call may change it.
    before: Option<S>,
}

/// A place where there was a choice.
struct Choice {
    /// How many steps were taken before.
    depth: usize,
    /// Priority, from 1 on, and number of the call tried last.
    tried: (u32, u32),
}

struct Walk<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call],
    limits: Limits,
    visited: u64,
    /// Each process's certain calls in order, and how many are placed.
    threads: Vec<Vec<u32>>,
    placed: Vec<u32>,
    /// Calls that may be: the call, its process's thread, and how many calls of that come before.
    perhaps: Vec<(u32, u32, u32)>,
    used: Vec<bool>,
    /// Each call's thread, or its place among those that may be.
    home: Vec<u32>,
    /// Which calls to try first.
    priority: &'a [u32],
    /// Each call's object, and each object's state.
    object: Vec<u32>,
    states: Vec<M::State>,
    /// Who has still to read a value, by object and value; empty where values aren't unique.
    readers: FastMap<(u32, u32), u32>,
    unique: bool,
    steps: Vec<Taken<M::State>>,
    failed: std::collections::HashSet<Box<[u32]>>,
    /// States seen in failed configurations, by number.
    names: std::collections::HashMap<M::State, u32>,
    bytes: usize,
}

impl<'a, M: Model> Walk<'a, M> {
    fn new(model: &'a M, calls: &'a [Call], priority: &'a [u32], limits: Limits) -> Self {
        let mut objects: FastMap<u32, u32> = FastMap::default();
        let mut object = Vec::with_capacity(calls.len());
        for call in calls {
            let fresh = objects.len() as u32;
            object.push(*objects.entry(call.key).or_insert(fresh));
        }
        let mut order: Vec<u32> = (0..calls.len() as u32).collect();
        order.sort_by_key(|&at| (calls[at as usize].process, calls[at as usize].start));
        let needed = model.needed_until(calls);
        let (mut threads, mut perhaps, mut home) = (Vec::new(), Vec::new(), vec![0; calls.len()]);
        for of_one in order.chunk_by(|&a, &b| calls[a as usize].process == calls[b as usize].process) {
            let mut thread: Vec<u32> = Vec::new();
            for &at in of_one {
                let call = &calls[at as usize];
                if call.ok() {
                    home[at as usize] = threads.len() as u32;
                    thread.push(at);
                } else if !model.observes(call) && needed[at as usize] > 0 {
                    home[at as usize] = perhaps.len() as u32;
                    perhaps.push((at, threads.len() as u32, thread.len() as u32));
                }
            }
            threads.push(thread);
        }
        let mut walk = Walk {
            model,
            calls,
            limits,
            visited: 0,
            placed: vec![0; threads.len()],
            threads,
            used: vec![false; perhaps.len()],
            perhaps,
            home,
            priority,
            states: vec![model.initial(); objects.len()],
            object,
            readers: FastMap::default(),
            unique: false,
            steps: Vec::new(),
            failed: Default::default(),
            names: Default::default(),
            bytes: 0,
        };
        walk.count_readers();
        walk
    }

    /// Who reads what, if the calls are on registers and no value was put in twice.
    fn count_readers(&mut self) {
        let mut given: FastMap<(u32, u32), ()> = FastMap::default();
        for (at, call) in self.calls.iter().enumerate() {
            let value = match call.f {
                Function::Read => continue,
                Function::Write => call.input as u32,
                Function::Cas if !call.ok() || call.output != 0 => call.input_pair().1,
                _ => return,
            };
            if value == NIL as u32 || given.insert((self.object[at], value), ()).is_some() {
                return;
            }
        }
        self.unique = true;
        for (at, call) in self.calls.iter().enumerate().filter(|(_, call)| call.ok()) {
            if let Some(value) = wanted(call) {
                *self.readers.entry((self.object[at], value)).or_default() += 1;
            }
        }
    }

    fn run(&mut self) -> Order {
        let of = self.threads.iter().map(Vec::len).sum::<usize>();
        let (mut certain, mut best, mut stuck) = (0, 0, 0);
        let mut choices: Vec<Choice> = Vec::new();
        let mut fresh = true;
        loop {
            if fresh {
                certain += self.observe();
                if certain == of {
                    return Order::Exists;
                }
                if certain >= best
                    && let Some(next) = self.next((0, 0), false)
                {
                    (best, stuck) = (certain, next.1 as usize);
                }
                if self.failed.is_empty() || !self.known() {
                    choices.push(Choice { depth: self.steps.len(), tried: (0, 0) });
                }
                fresh = false;
            }
            if let Err(why) = self.spend() {
                return Order::Unknown { why, decided: best as u64 };
            }
            let Some(choice) = choices.last_mut() else { return Order::None { stuck } };
            let (depth, tried) = (choice.depth, choice.tried);
            certain -= self.back(depth);
            match self.next(tried, true) {
                Some(next) => {
                    if let Some(choice) = choices.last_mut() {
                        choice.tried = next;
                    }
                    certain += usize::from(self.calls[next.1 as usize].ok());
                    self.take(next.1);
                    fresh = true;
                }
                None => {
                    let name = self.name();
                    self.bytes += 4 * name.len() + 48;
                    self.failed.insert(name);
                    choices.pop();
                }
            }
        }
    }

    fn spend(&mut self) -> Result<(), Why> {
        self.visited += 1;
        if self.visited > self.limits.configurations {
            return Err(Why::Configurations);
        }
        if self.bytes > self.limits.bytes {
            return Err(Why::Bytes);
        }
        if self.visited.is_multiple_of(256) && Instant::now() > self.limits.until {
            return Err(Why::Time);
        }
        Ok(())
    }

    /// Takes every observer that is next and fits, again and again; says how many.
    fn observe(&mut self) -> usize {
        let mut count = 0;
        loop {
            let before = count;
            for thread in 0..self.threads.len() {
                while let Some(&at) = self.threads[thread].get(self.placed[thread] as usize) {
                    let call = &self.calls[at as usize];
                    let state = &self.states[self.object[at as usize] as usize];
                    if !self.model.observes(call) || self.model.step(state, call).is_none() {
                        break;
                    }
                    self.read(at, -1);
                    self.mark(at, true);
                    self.steps.push(Taken { call: at, before: None });
                    count += 1;
                }
            }
            if count == before {
                return count;
            }
        }
    }

    fn read(&mut self, at: u32, change: i32) {
        if self.unique
            && let Some(value) = wanted(&self.calls[at as usize])
            && let Some(readers) = self.readers.get_mut(&(self.object[at as usize], value))
        {
            *readers = readers.saturating_add_signed(change);
        }
    }

    /// The next call to try after `tried`: by its priority, and by its number. Not only possible ones unless `possible`.
    fn next(&self, tried: (u32, u32), possible: bool) -> Option<(u32, u32)> {
        let heads = self.threads.iter().zip(&self.placed).filter_map(|(thread, &placed)| thread.get(placed as usize));
        let free = |&(place, &(_, thread, after)): &(usize, &(u32, u32, u32))| {
            !self.used[place] && self.placed[thread as usize] >= after
        };
        let may = self.perhaps.iter().enumerate().filter(free).map(|(_, (at, _, _))| at);
        let after = heads.chain(may).map(|&at| (self.priority[at as usize].max(1), at)).filter(|&next| next > tried);
        after.filter(|&(_, at)| !possible || self.possible(at)).min()
    }

    fn possible(&self, at: u32) -> bool {
        let (call, object) = (&self.calls[at as usize], self.object[at as usize]);
        if self.model.observes(call) || self.model.step(&self.states[object as usize], call).is_none() {
            return false;
        }
        // A compare-and-set is the last to need the value it takes.
        let own = u32::from(call.f == Function::Cas && call.ok());
        !self.unique
            || self
                .current(object)
                .is_none_or(|value| self.readers.get(&(object, value)).is_none_or(|&left| left <= own))
    }

    /// The register's value, told by whoever put it in last.
    fn current(&self, object: u32) -> Option<u32> {
        self.model.register(&self.states[object as usize])
    }

    fn take(&mut self, at: u32) {
        let (call, object) = (&self.calls[at as usize], self.object[at as usize] as usize);
        let Some(after) = self.model.step(&self.states[object], call) else { return };
        let before = std::mem::replace(&mut self.states[object], after);
        self.mark(at, true);
        self.read(at, -1);
        self.steps.push(Taken { call: at, before: Some(before) });
    }

    fn mark(&mut self, at: u32, taken: bool) {
        let home = self.home[at as usize] as usize;
        if !self.calls[at as usize].ok() {
            self.used[home] = taken;
        } else if taken {
            self.placed[home] += 1;
        } else {
            self.placed[home] -= 1;
        }
    }

    /// Takes steps back until there are `depth`, and says how many of them were certain calls.
    fn back(&mut self, depth: usize) -> usize {
        let mut certain = 0;
        while self.steps.len() > depth
            && let Some(step) = self.steps.pop()
        {
            certain += usize::from(self.calls[step.call as usize].ok());
            if let Some(before) = step.before {
                self.states[self.object[step.call as usize] as usize] = before;
            }
            self.mark(step.call, false);
            self.read(step.call, 1);
        }
        certain
    }

    /// Whether the configuration led nowhere before.
    fn known(&mut self) -> bool {
        let name = self.name();
        self.failed.contains(&name)
    }

    /// The configuration, in numbers.
    fn name(&mut self) -> Box<[u32]> {
        let mut name = self.placed.clone();
        let mut word = 0;
        for (place, &used) in self.used.iter().enumerate() {
            word |= u32::from(used) << (place % 32);
            if place % 32 == 31 || place + 1 == self.used.len() {
                name.push(std::mem::take(&mut word));
            }
        }
        for state in &self.states {
            let fresh = self.names.len() as u32;
            let number = match self.names.get(state) {
                Some(&number) => number,
                None => {
                    self.bytes += self.model.weight(state) + size_of::<M::State>() + 16;
                    *self.names.entry(state.clone()).or_insert(fresh)
                }
            };
            name.push(number);
        }
        name.into()
    }
}

/// The value that a call on a register must find.
fn wanted(call: &Call) -> Option<u32> {
    match call.f {
        Function::Read if call.ok() => Some(call.output as u32),
        Function::Cas if call.ok() && call.output != 0 => Some(call.input_pair().0),
        _ => None,
    }
}

/// Whether places and processes' orders go together: `None` if they do, else calls that go in a circle.
///
/// Each key's levels follow one another; a call without a level is left out. Kahn's algorithm over calls and one vertex between
/// each two levels.
pub(super) fn circle(calls: &[Call], levels: &[Option<u64>]) -> Option<Refutation> {
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let mut by_place: Vec<u32> = (0..calls.len() as u32).filter(|&at| levels[at as usize].is_some()).collect();
    by_place.sort_by_key(|&at| (calls[at as usize].key, levels[at as usize]));
    let mut vertices = calls.len() as u32;
    let mut before: Option<(u32, u32)> = None;
    for level in by_place.chunk_by(|&a, &b| {
        let (a, b) = (a as usize, b as usize);
        calls[a].key == calls[b].key && levels[a] == levels[b]
    }) {
        let key = calls[level[0] as usize].key;
        let (entry, exit) = (before.filter(|&(of, _)| of == key).map(|(_, gate)| gate), vertices);
        vertices += 1;
        for &at in level {
            edges.extend(entry.map(|gate| (gate, at)));
            edges.push((at, exit));
        }
        edges.extend(entry.map(|gate| (gate, exit)));
        before = Some((key, exit));
    }
    by_place.sort_by_key(|&at| (calls[at as usize].process, calls[at as usize].start));
    // Each after the last certain one before it in its process: an unknown call is followed by nothing.
    for of_one in by_place.chunk_by(|&a, &b| calls[a as usize].process == calls[b as usize].process) {
        let mut certain = None;
        for &at in of_one {
            edges.extend(certain.map(|before| (before, at)));
            if calls[at as usize].ok() {
                certain = Some(at);
            }
        }
    }
    let round = super::saturate::round(vertices as usize, &edges)?;
    let few: Vec<usize> = round.into_iter().map(|at| at as usize).filter(|&at| at < calls.len()).collect();
    let stuck = few.first().copied()?;
    let text = format!("the places of {} calls and the orders of their processes go in a circle", few.len());
    Some(Refutation { calls: few, stuck, states: Vec::new(), text })
}
