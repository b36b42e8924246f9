//! Causal consistency: a transaction sees what led to it.
//!
//! The idea is AWDIT's (PLDI 2025, section 4.3): clocks over the processes tell what each transaction sees; of a key that it reads, the last write of each process that
//! it sees must come before its source. Two things differ, both for memory. Transactions are taken in an order that agrees with what led to what, so a clock
//! lives only until the last reader of its transaction has been there. And a process that has ended hands its place in the clocks to
//! one that begins and has seen all of it: thousands of crashed processes cost as much as those that live at one time.
//!
//! Without sessions every transaction is a process of its own, and clocks would be quadratic. Then sets of 256 transactions at a time are carried
//! through the history, O(n² / 256) words of four; only if the cheaper question with sessions is answered with no.

use std::time::Instant;

use crate::evidence::Budget;
use crate::history::Outcome;
use crate::txn::levels::facts::Facts;
use crate::txn::levels::lanes::Lanes;
use crate::txn::levels::precedence::{Precedence, Successors, before_everything};
use crate::txn::levels::proof::{INITIAL, Proof, Why};
use crate::txn::levels::sweep::Sweep;
use crate::txn::levels::weak::Demands;
use crate::txn::levels::{Decision, Within};
use crate::txn::transactions::NOBODY;

pub(crate) fn causal(facts: &Facts, within: Within, budget: &Budget) -> Decision {
    let deadline = Instant::now() + budget.time;
    if within == Within::Nothing && causal_within(facts, Within::Sessions, deadline) == Ok(None) {
        return Decision::Holds;
    }
    match causal_within(facts, within, deadline) {
        Ok(None) => Decision::Holds,
        Ok(Some(proof)) => Decision::Violated(proof),
        Err(OutOfTime) => {
            Decision::Unknown { why: "who led to what without sessions was not worked out in time".into() }
        }
    }
}

/// The budget ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OutOfTime;

fn causal_within(facts: &Facts, within: Within, deadline: Instant) -> Result<Option<Proof>, OutOfTime> {
    let precedence = Precedence::of(facts, within);
    let successors = Successors::of(precedence.nodes(), |visit| precedence.each(false, visit));
    let order = successors.order();
    if order.len() < successors.nodes() {
        return Ok(precedence.refuted(&[], |_| {}));
    }
    let mut sets = usize::MAX;
    let walk = |sets: &mut usize, demand: &mut dyn FnMut(u32, u32, u32, u32)| match within {
        Within::Nothing => by_sets(facts, &successors, &order, deadline, sets, demand),
        _ => {
            Clocks::new(facts, &precedence).walk(&order, demand);
            true
        }
    };
    let mut demands = Demands::new(facts.txns.len());
    let complete = walk(&mut sets, &mut |seen, source, by, key| demands.add(seen, source, by, key));
    if let Some((seen, by, key)) = demands.impossible {
        return Ok(Some(before_everything(seen, by, key)));
    }
    // What some of the demands refute is refuted; for the rest all of them are needed.
    let refuted = precedence.refuted(&demands.pairs, |add| {
        walk(&mut sets, &mut |seen, source, by, key| add(seen, source, Why::Seen { by, key }));
    });
    if refuted.is_none() && !complete { Err(OutOfTime) } else { Ok(refuted) }
}

/// The demands of every read, by carrying `sets` sets of writers through the history; false if time ran out.
fn by_sets(
    facts: &Facts,
    successors: &Successors,
    order: &[u32],
    deadline: Instant,
    sets: &mut usize,
    demand: &mut dyn FnMut(u32, u32, u32, u32),
) -> bool {
    // Only what somebody reads from is seen by anybody.
    let mut read_from = vec![false; facts.txns.len()];
    facts.all_reads().iter().filter(|read| read.from != INITIAL).for_each(|read| read_from[read.from as usize] = true);
    let sources: Vec<u32> = order.iter().copied().filter(|&t| read_from[t as usize]).collect();
    let mut sweep = Sweep::new(successors.nodes(), facts.txns.keys.len());
    for (at, block) in sources.chunks(Sweep::WIDTH).enumerate().take(*sets) {
        if *sets == usize::MAX && Instant::now() > deadline {
            // Whoever asks for reasons gets those of the demands that were made.
            *sets = at;
            return false;
        }
        sweep.begin(block, |t, mark| facts.writes(t).iter().for_each(|&key| mark(key)));
        sweep.run(successors, order, |t, seen| {
            for read in facts.reads(t) {
                seen.of_key(read.key, |writer| {
                    if writer != read.from {
                        demand(writer, read.from, t, read.key);
                    }
                });
            }
        });
    }
    true
}

/// The clock of a transaction: of each lane, how many writers it sees.
type Clock = Vec<u32>;

/// The walk with clocks.
struct Clocks<'a> {
    facts: &'a Facts<'a>,
    precedence: &'a Precedence<'a>,
    lanes: Lanes,
    /// How many reads of each are still to come.
    readers: Vec<u32>,
    /// Where the clock of a transaction is kept, for those with readers to come.
    kept: Vec<u32>,
    clocks: Vec<Clock>,
    free: Vec<u32>,
    /// What each lane's process has seen, its own included.
    current: Vec<Clock>,
    /// For real time: what had completed, one virtual node after the other.
    completed: Clock,
    /// The last transaction of each process, after which its clock is dropped.
    last: Vec<u32>,
    places: Places,
}

/// Which place in the clocks each lane has.
#[derive(Default)]
struct Places {
    /// Place and first number of each lane; [`NOBODY`] before it begins.
    of: Vec<(u32, u32)>,
    /// How many writers have had each place.
    count: Vec<u32>,
    /// Places whose lane has ended.
    idle: Vec<u32>,
}

impl Places {
    /// Gives `lane` a place: an idle one all of whose transactions `clock` has seen, or a new one.
    fn begin(&mut self, lane: u32, clock: &[u32]) {
        let seen = |&place: &u32| clock.get(place as usize).is_some_and(|&seen| seen >= self.count[place as usize]);
        let place = match self.idle.iter().rposition(seen) {
            Some(at) => self.idle.swap_remove(at),
            None => {
                self.count.push(0);
                self.count.len() as u32 - 1
            }
        };
        self.of[lane as usize] = (place, self.count[place as usize]);
    }
}

fn join(into: &mut Clock, other: &[u32]) {
    if into.len() < other.len() {
        into.resize(other.len(), 0);
    }
    into.iter_mut().zip(other).for_each(|(a, &b)| *a = (*a).max(b));
}

impl<'a> Clocks<'a> {
    fn new(facts: &'a Facts<'a>, precedence: &'a Precedence<'a>) -> Clocks<'a> {
        let n = facts.txns.len();
        let lanes = Lanes::of(facts, precedence.processes());
        let mut readers = vec![0; precedence.nodes()];
        facts.all_reads().iter().filter(|read| read.from != INITIAL).for_each(|read| readers[read.from as usize] += 1);
        for t in (0..n as u32).filter(|&t| facts.counts[t as usize]) {
            precedence.entry(t).into_iter().for_each(|node| readers[node as usize] += 1);
        }
        for node in n as u32..precedence.nodes() as u32 {
            readers[precedence.completes(node) as usize] += 1;
        }
        let mut last = vec![NOBODY; precedence.processes()];
        for (t, txn) in facts.txns.txns.iter().enumerate().filter(|(t, _)| facts.counts[*t]) {
            last[txn.process as usize] = t as u32;
        }
        let places = Places { of: vec![(NOBODY, 0); lanes.count()], ..Places::default() };
        Clocks {
            facts,
            precedence,
            readers,
            kept: vec![NOBODY; precedence.nodes()],
            clocks: Vec::new(),
            free: Vec::new(),
            current: vec![Clock::new(); precedence.processes()],
            completed: Clock::new(),
            last,
            places,
            lanes,
        }
    }

    fn walk(mut self, order: &[u32], demand: &mut dyn FnMut(u32, u32, u32, u32)) {
        let n = self.facts.txns.len() as u32;
        let mut clock = Clock::new();
        for &t in order {
            if t >= n {
                self.complete(t);
                continue;
            }
            if !self.facts.counts[t as usize] {
                continue;
            }
            self.begin(t, &mut clock);
            self.ask(t, &clock, demand);
            self.leave(t, &mut clock);
        }
    }

    /// What `t` sees.
    fn begin(&mut self, t: u32, clock: &mut Clock) {
        let process = self.facts.txns.txns[t as usize].process as usize;
        clock.clear();
        clock.extend_from_slice(&self.current[process]);
        if let Some(node) = self.precedence.entry(t) {
            join(clock, &self.clocks[self.kept[node as usize] as usize]);
        }
        for read in self.facts.reads(t).iter().filter(|read| read.from != INITIAL) {
            join(clock, &self.clocks[self.kept[read.from as usize] as usize]);
        }
    }

    /// Of each key that `t` reads, the last write of each lane that it sees comes before the source.
    fn ask(&mut self, t: u32, clock: &[u32], demand: &mut dyn FnMut(u32, u32, u32, u32)) {
        for read in self.facts.reads(t) {
            let source =
                if read.from == INITIAL { &[][..] } else { &self.clocks[self.kept[read.from as usize] as usize] };
            for group in self.lanes.groups(read.key) {
                let (place, base) = self.places.of[group.lane as usize];
                let seen = clock.get(place as usize).map_or(0, |&seen| seen.saturating_sub(base));
                if seen == 0 {
                    continue;
                }
                let writers = self.lanes.writers(group);
                let upto = writers.partition_point(|&writer| self.lanes.position(writer) < seen);
                if upto == 0 || writers[upto - 1] == read.from {
                    continue;
                }
                // What the source has seen comes before it anyway.
                let last = writers[upto - 1];
                let known = source.get(place as usize).map_or(0, |&seen| seen.saturating_sub(base));
                if known <= self.lanes.position(last) {
                    demand(last, read.from, t, read.key);
                }
            }
        }
    }

    /// Passes on what `t` has seen and done, and drops the clocks that nobody will ask for.
    fn leave(&mut self, t: u32, clock: &mut Clock) {
        for read in self.facts.reads(t).iter().filter(|read| read.from != INITIAL) {
            self.release(read.from);
        }
        if let Some(node) = self.precedence.entry(t) {
            self.release(node);
        }
        if let Some(lane) = self.lanes.lane(t) {
            if self.places.of[lane as usize].0 == NOBODY {
                self.places.begin(lane, clock);
            }
            let (place, _) = self.places.of[lane as usize];
            self.places.count[place as usize] += 1;
            if clock.len() <= place as usize {
                clock.resize(place as usize + 1, 0);
            }
            clock[place as usize] = self.places.count[place as usize];
            if self.lanes.ends(t) {
                self.places.idle.push(place);
            }
        }
        self.keep(t, clock);
        let txn = self.facts.txns.txns[t as usize];
        if txn.outcome == Outcome::Ok {
            self.current[txn.process as usize].clone_from(clock);
            if self.last[txn.process as usize] == t {
                self.current[txn.process as usize] = Clock::new();
            }
        }
    }

    /// A completion: what its transaction has seen and done is now seen by all that begin.
    fn complete(&mut self, node: u32) {
        let txn = self.precedence.completes(node);
        let mut completed = std::mem::take(&mut self.completed);
        join(&mut completed, &self.clocks[self.kept[txn as usize] as usize]);
        self.release(txn);
        self.keep(node, &completed);
        self.completed = completed;
    }

    /// Keeps the clock of a node for those who will ask for it.
    fn keep(&mut self, node: u32, clock: &Clock) {
        if self.readers[node as usize] == 0 {
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.clocks.push(Clock::new());
            self.clocks.len() as u32 - 1
        });
        self.clocks[slot as usize].clone_from(clock);
        self.kept[node as usize] = slot;
    }

    /// One of those who ask for the clock of a node has been there.
    fn release(&mut self, node: u32) {
        let left = &mut self.readers[node as usize];
        *left -= 1;
        if *left == 0 {
            self.free.push(self.kept[node as usize]);
        }
    }
}
