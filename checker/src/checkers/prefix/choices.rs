//! Registers whose order of writes is not known: each read of one leaves choices, which are tried.
//!
//! An order that the graph allows is taken, by time where it is free, and looked at: does every read of a register, at its place, find the write that it
//! returned as the last of its key? A write in between must either come before the one that was returned, or after the read.
//!
//! 1. Guess each key's order by the middle of the time in which each value was there, which is right if the register was linearizable,
//!    or by the middle of each write. If the graph still has an order, that is a witness, and one pass was enough.
//! 2. Keep the guess for the keys that are on no circle, and try the choices of the others.
//! 3. Try all choices of all keys.
//!
//! Trying: first all open choices at once as "before", since most are right; if that ends in a circle, one at a time, both ways. The third
//! step is exact, but exponential at worst: the clock ends it, and then the answer is not known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::graph::{Built, CHOICE, happened, read_node, seen};
use crate::facts::{Facts, Kind, NONE, Order, Shown};
use crate::graph::Arrow;

/// What came of it.
pub(super) enum Found {
    Order,
    /// No order, with a circle that one of the last choices closed.
    NoOrder(Vec<Arrow>),
    OutOfBudget(String),
}

/// A read of a register: the write returned, and what else wrote the key.
struct Question {
    read: u32,
    returned: u32,
    key: u32,
}

struct Search<'f, 'h> {
    facts: &'f Facts<'h>,
    nodes: usize,
    arrows: Vec<Arrow>,
    questions: Vec<Question>,
    /// The writes of each key that happened, where the order is open.
    writes: Vec<Vec<u32>>,
    times: Vec<u64>,
    deadline: Instant,
    rounds: u32,
    circle: Option<Vec<Arrow>>,
}

/// Rounds of looking at an order; each costs a pass over the graph.
const ROUNDS: u32 = 20_000;

struct Stopped;

pub(super) fn search(facts: &Facts, built: &Built, deadline: Instant) -> Found {
    let shown = seen(facts);
    let open = |key: usize| {
        let key = &facts.keys[key];
        // A write of unknown outcome that was read has no position.
        let unranked = |write: &u32| facts.writes[*write as usize].rank.is_none() && happened(facts, *write, &shown);
        key.kind == Kind::Register
            && !key.siblings
            && key.deletes.is_empty()
            && (key.order != Order::Reported || key.writes.iter().any(unranked))
    };
    let open: Vec<bool> = (0..facts.keys.len()).map(open).collect();
    let open = |key: usize| open[key];
    let mut questions = Vec::new();
    for (id, read) in facts.reads.iter().enumerate() {
        for part in facts.parts_of(read).iter().filter(|part| open(part.key as usize)) {
            if let Shown::One(returned) = part.shown {
                questions.push(Question { read: read_node(facts, id as u32), returned, key: part.key });
            }
        }
    }
    if questions.is_empty() {
        return Found::Order;
    }
    let mut writes = vec![Vec::new(); facts.keys.len()];
    for (id, write) in facts.writes.iter().enumerate().filter(|(_, write)| open(write.key as usize)) {
        if happened(facts, id as u32, &shown) {
            writes[write.key as usize].push(id as u32);
        }
    }
    let mut times = vec![0; built.nodes];
    for (id, write) in facts.writes.iter().enumerate() {
        times[id] = if write.acked == u64::MAX { write.invoked } else { write.acked };
    }
    for (id, read) in facts.reads.iter().enumerate() {
        times[read_node(facts, id as u32) as usize] = facts.history.ops[read.op as usize].completed;
    }
    let arrows = built.arrows.clone();
    let mut search =
        Search { facts, nodes: built.nodes, arrows, questions, writes, times, deadline, rounds: 0, circle: None };
    if search.guessed(built) {
        return Found::Order;
    }
    match search.solve() {
        Ok(true) => Found::Order,
        Ok(false) => Found::NoOrder(search.circle.unwrap_or_default()),
        Err(Stopped) => Found::OutOfBudget(
            "the order of the writes to registers is not known, and not all of the possible ones could be tried"
                .to_string(),
        ),
    }
}

/// How the order of a key's writes is guessed.
#[derive(Clone, Copy)]
enum Guess {
    /// By the middle between the first completion and the last invocation of all operations on the value.
    Value,
    /// By the middle of the write alone.
    Write,
}

impl Search<'_, '_> {
    /// Whether a guess leads to an order, as it is or with the keys that it is wrong about left to trying.
    fn guessed(&mut self, built: &Built) -> bool {
        for guess in [Guess::Value, Guess::Write] {
            let all: Vec<u32> =
                (0..self.writes.len() as u32).filter(|&key| !self.writes[key as usize].is_empty()).collect();
            self.arrows.truncate(built.arrows.len());
            self.add_guess(guess, &all);
            let Some(wrong) = self.keys_on_circles() else { return true };
            let right: Vec<u32> = all.into_iter().filter(|key| !wrong.contains(key)).collect();
            self.arrows.truncate(built.arrows.len());
            self.add_guess(guess, &right);
            let limit = self.deadline;
            self.deadline = limit.min(Instant::now() + limit.saturating_duration_since(Instant::now()) / 4);
            let solved = self.solve();
            (self.deadline, self.rounds, self.circle) = (limit, 0, None);
            if matches!(solved, Ok(true)) {
                return true;
            }
        }
        self.arrows.truncate(built.arrows.len());
        false
    }

    /// The keys with writes on circles; none if there is no circle.
    fn keys_on_circles(&self) -> Option<Vec<u32>> {
        let components = crate::graph::Graph::new(self.nodes, &self.arrows).components();
        if !components.any_cycle() {
            return None;
        }
        let cyclic = |node: u32| components.sizes[components.of[node as usize] as usize] > 1;
        let mut keys: Vec<u32> = (0..self.facts.writes.len() as u32)
            .filter(|&write| cyclic(write))
            .map(|write| self.facts.writes[write as usize].key)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        Some(keys)
    }

    /// Adds the guessed order of these keys, and that each read comes before the write after the one it returned.
    fn add_guess(&mut self, guess: Guess, keys: &[u32]) {
        let mut chosen = vec![false; self.writes.len()];
        keys.iter().for_each(|&key| chosen[key as usize] = true);
        let middles = self.middles(guess);
        let mut after: Vec<u32> = vec![NONE; self.facts.writes.len()];
        for &key in keys {
            let mut writes = self.writes[key as usize].clone();
            writes.sort_by_key(|&write| (middles[write as usize], write));
            // Where some are ranked, these take their places in the order of their ranks.
            let rank = |write: &u32| self.facts.writes[*write as usize].rank;
            if self.facts.keys[key as usize].order == Order::Reported {
                let mut ranked: Vec<u32> = writes.iter().copied().filter(|write| rank(write).is_some()).collect();
                ranked.sort_by_key(rank);
                let mut ranked = ranked.into_iter();
                for place in writes.iter_mut().filter(|write| rank(write).is_some()) {
                    *place = ranked.next().unwrap_or(*place);
                }
            }
            for pair in writes.windows(2) {
                self.arrows.push(Arrow { from: pair[0], to: pair[1], tag: CHOICE });
                after[pair[0] as usize] = pair[1];
            }
        }
        for question in self.questions.iter().filter(|question| chosen[question.key as usize]) {
            let to = after[question.returned as usize];
            if to != NONE {
                self.arrows.push(Arrow { from: question.read, to, tag: CHOICE });
            }
        }
    }

    /// For each write the middle of its time, doubled.
    fn middles(&self, guess: Guess) -> Vec<u64> {
        let facts = self.facts;
        let mut first: Vec<u64> = facts.writes.iter().map(|write| write.acked).collect();
        let mut last: Vec<u64> = facts.writes.iter().map(|write| write.invoked).collect();
        for question in &self.questions {
            let read = &facts.reads[question.read as usize - facts.writes.len()];
            let op = &facts.history.ops[read.op as usize];
            let returned = question.returned as usize;
            if matches!(guess, Guess::Value) || facts.writes[returned].acked == u64::MAX {
                first[returned] = first[returned].min(op.completed);
            }
            if matches!(guess, Guess::Value) {
                last[returned] = last[returned].max(op.invoked);
            }
        }
        first.into_iter().zip(last).map(|(first, last)| first.saturating_add(last)).collect()
    }

    /// Whether some choices lead to an order; leaves the arrows as they were if none do.
    fn solve(&mut self) -> Result<bool, Stopped> {
        self.rounds += 1;
        if self.rounds > ROUNDS || Instant::now() > self.deadline {
            return Err(Stopped);
        }
        let Some(places) = self.order() else {
            self.remember_circle();
            return Ok(false);
        };
        let open = self.violated(&places);
        let Some(&(read, returned, between)) = open.first() else { return Ok(true) };
        let before = self.arrows.len();
        if open.len() > 1 {
            let all = open.iter().map(|&(_, returned, between)| Arrow { from: between, to: returned, tag: CHOICE });
            self.arrows.extend(all);
            if self.order().is_some() && self.solve()? {
                return Ok(true);
            }
            self.arrows.truncate(before);
        }
        for (from, to) in [(between, returned), (read, between)] {
            self.arrows.push(Arrow { from, to, tag: CHOICE });
            if self.solve()? {
                return Ok(true);
            }
            self.arrows.truncate(before);
        }
        Ok(false)
    }

    /// The place of each node in an order that respects the arrows, the earliest time first where it is free.
    fn order(&self) -> Option<Vec<u32>> {
        let graph = crate::graph::Graph::new(self.nodes, &self.arrows);
        let mut waits = vec![0_u32; self.nodes];
        self.arrows.iter().for_each(|arrow| waits[arrow.to as usize] += 1);
        let mut ready: BinaryHeap<Reverse<(u64, u32)>> = (0..self.nodes as u32)
            .filter(|&node| waits[node as usize] == 0)
            .map(|node| Reverse((self.times[node as usize], node)))
            .collect();
        let mut places = vec![u32::MAX; self.nodes];
        let mut place = 0;
        while let Some(Reverse((_, node))) = ready.pop() {
            places[node as usize] = place;
            place += 1;
            for next in graph.next(node) {
                waits[next as usize] -= 1;
                if waits[next as usize] == 0 {
                    ready.push(Reverse((self.times[next as usize], next)));
                }
            }
        }
        (place as usize == self.nodes).then_some(places)
    }

    /// Reads that would find another write, each with that write.
    fn violated(&self, places: &[u32]) -> Vec<(u32, u32, u32)> {
        let mut sorted = self.writes.clone();
        sorted.iter_mut().for_each(|writes| writes.sort_by_key(|&write| places[write as usize]));
        let mut found = Vec::new();
        for question in &self.questions {
            let writes = &sorted[question.key as usize];
            let upto = writes.partition_point(|&write| places[write as usize] < places[question.read as usize]);
            if let Some(&last) = writes[..upto].last().filter(|&&last| last != question.returned) {
                found.push((question.read, question.returned, last));
            }
        }
        found
    }

    /// Keeps a circle for the proof: the first that any choice closed.
    fn remember_circle(&mut self) {
        if self.circle.is_none() {
            self.circle = super::shortest(self.facts, &self.arrows);
        }
    }
}
