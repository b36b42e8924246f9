//! Tiny histories: all of them up to symmetry, and drawn ones.
//!
//! The enumeration walks every sequence of choices like an odometer, so there is one description of what a history is and no
//! recursion. The drawn ones come from a store that runs at a drawn level, so that about half hold; mutations, failures and unknown outcomes
//! spoil the rest.

use std::ops::RangeInclusive;

use crate::history::Outcome;
use crate::txn::brute::sketch::{Move, Sketched, transactions};
use crate::txn::levels::{LEVELS, Level};
use crate::txn::transactions::{Shape, Transactions};

/// How large the enumerated histories are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Steps of all transactions together.
    pub steps: u32,
    /// Transactions, at most.
    pub txns: u32,
    /// Processes, at most.
    pub processes: u32,
}

/// Shows every history of that size with at most two keys and two values a key to `visit`, until it says no. Returns how many there were.
///
/// Up to symmetry: processes, keys and a key's written values are numbered in the order of their first appearance. At most one transaction is
/// not committed. Times: none, one after the other, or each overlapping the next.
pub fn each(shape: Shape, size: Size, mut visit: impl FnMut(&[Sketched]) -> bool) -> u64 {
    let mut odometer = Odometer::default();
    let mut count = 0;
    loop {
        odometer.at = 0;
        if let Some(history) = chosen(&mut odometer, shape, size) {
            count += 1;
            if !visit(&history) {
                return count;
            }
        }
        if !odometer.advance() {
            return count;
        }
    }
}

/// A sequence of choices, and how many there are at each place.
#[derive(Default)]
struct Odometer {
    wheels: Vec<(u32, u32)>,
    at: usize,
}

impl Odometer {
    fn choose(&mut self, of: u32) -> u32 {
        if self.at == self.wheels.len() {
            self.wheels.push((0, of));
        }
        self.at += 1;
        self.wheels[self.at - 1].0
    }

    fn advance(&mut self) -> bool {
        self.wheels.truncate(self.at);
        while let Some((value, of)) = self.wheels.last_mut() {
            *value += 1;
            if *value < *of {
                return true;
            }
            self.wheels.pop();
        }
        false
    }
}

/// One history; nothing where the choices repeat another one or make no sense.
fn chosen(choose: &mut Odometer, shape: Shape, size: Size) -> Option<Vec<Sketched>> {
    let mut history: Vec<Sketched> = Vec::new();
    let (mut keys, mut processes, mut written) = (0, 0, [0_u32; 2]);
    for _ in 0..size.steps {
        let may_begin = (history.len() as u32) < size.txns;
        if history.is_empty() || may_begin && choose.choose(2) == 1 {
            let process = choose.choose((processes + 1).min(size.processes));
            processes = processes.max(process + 1);
            history.push(Sketched { process, start: 0, end: 0, outcome: Outcome::Ok, moves: Vec::new() });
        }
        let key = choose.choose((keys + 1).min(2));
        keys = keys.max(key + 1);
        let reads: u32 = if shape == Shape::Lists { 5 } else { 3 };
        let may_write = written[key as usize] < 2;
        let it = match choose.choose(reads + u32::from(may_write)) {
            5 => write(&mut written, key),
            3 if shape == Shape::Registers => write(&mut written, key),
            0 => Move::Read(key, Some(vec![])),
            3 => Move::Read(key, Some(vec![1, 2])),
            4 => Move::Read(key, Some(vec![2, 1])),
            value => Move::Read(key, Some(vec![value])),
        };
        history.last_mut().expect("one was begun").moves.push(it);
    }
    let spoilt = choose.choose(2 * history.len() as u32 + 1);
    if spoilt > 0 {
        let txn = &mut history[(spoilt as usize - 1) / 2];
        txn.outcome = if spoilt.is_multiple_of(2) { Outcome::Fail } else { Outcome::Info };
        // One that wrote nothing cannot matter.
        txn.moves.iter().any(|it| matches!(it, Move::Write(..))).then_some(())?;
    }
    let times = choose.choose(3);
    time(&mut history, times);
    Some(history)
}

fn write(written: &mut [u32; 2], key: u32) -> Move {
    written[key as usize] += 1;
    Move::Write(key, written[key as usize])
}

fn time(history: &mut [Sketched], times: u32) {
    for at in 0..history.len() {
        let now = 10 * at as u32;
        let overlaps = times == 2 && history.get(at + 1).is_some_and(|next| next.process != history[at].process);
        let txn = &mut history[at];
        (txn.start, txn.end) = if times == 0 { (0, u32::MAX) } else { (now, now + if overlaps { 15 } else { 5 }) };
        if txn.outcome == Outcome::Info {
            txn.end = u32::MAX;
        }
    }
}

/// Numbers that follow from a seed (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `of`.
    pub fn below(&mut self, of: usize) -> usize {
        (self.next() % of.max(1) as u64) as usize
    }

    fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// A history of at most `most` transactions, the same for the same seed.
pub fn drawn(seed: u64, shape: Shape, most: usize) -> Transactions {
    transactions(shape, &drawn_sketch(seed, shape, most))
}

/// The same, as a sketch.
pub fn drawn_sketch(seed: u64, shape: Shape, most: usize) -> Vec<Sketched> {
    let mut dice = Dice::new(seed);
    let mut history = Store::run(&mut dice, shape, most);
    for _ in 0..[0, 0, 0, 1, 1, 2][dice.below(6)] {
        mutate(&mut dice, shape, &mut history);
    }
    if dice.percent(25) {
        spoil(&mut dice, &mut history);
    }
    match dice.below(4) {
        0 => retime(&mut dice, &mut history),
        1 => history.iter_mut().for_each(|txn| (txn.start, txn.end) = (0, u32::MAX)),
        _ => {}
    }
    history
}

/// A store that runs at one level: what has committed, in order, with what each saw.
struct Store {
    level: Level,
    shape: Shape,
    keys: usize,
    committed: Vec<Sketched>,
    saw: Vec<u32>,
    values: Vec<u32>,
}

impl Store {
    fn run(dice: &mut Dice, shape: Shape, most: usize) -> Vec<Sketched> {
        let keys = dice.within(1..=3);
        let level = LEVELS[dice.below(6)];
        let mut store = Store { level, shape, keys, committed: vec![], saw: vec![], values: vec![0; keys] };
        let processes = dice.within(1..=4);
        let sessions = dice.percent(75);
        let mut free = vec![0_u32; processes];
        for at in 0..dice.within(2..=most.max(2)) {
            let process = dice.below(processes);
            let now = 10 * (at as u32 + 1);
            let start = free[process].max(now.saturating_sub(dice.below(25) as u32)) + 1;
            let end = start.max(now) + 1 + dice.below(8) as u32;
            free[process] = end;
            store.commit(dice, process as u32, (start, end), sessions);
        }
        store.committed
    }

    fn commit(&mut self, dice: &mut Dice, process: u32, (start, end): (u32, u32), sessions: bool) {
        let mut visible = self.visible(dice, process, sessions);
        let mut moves: Vec<Move> = Vec::new();
        for _ in 0..dice.within(1..=3) {
            let key = dice.below(self.keys) as u32;
            if dice.percent(50) {
                self.values[key as usize] += 1;
                moves.push(Move::Write(key, self.values[key as usize]));
            } else {
                if self.level == Level::ReadCommitted {
                    visible |= visible << 1 | u32::from(dice.percent(50));
                    visible &= (1 << self.committed.len()) - 1;
                }
                moves.push(Move::Read(key, Some(self.value(key, visible, &moves))));
            }
        }
        self.saw.push(visible);
        self.committed.push(Sketched { process, start, end, outcome: Outcome::Ok, moves });
    }

    fn visible(&self, dice: &mut Dice, process: u32, sessions: bool) -> u32 {
        let n = self.committed.len();
        let own = (0..n).filter(|&t| sessions && self.committed[t].process == process).fold(0, |mask, t| mask | 1 << t);
        let all = (1_u32 << n) - 1;
        match self.level {
            Level::Serializable => all,
            Level::Prefix | Level::SnapshotIsolation => {
                let least = (32 - u32::leading_zeros(own)) as usize;
                (1 << dice.within(least..=n)) - 1
            }
            Level::ReadCommitted => (1 << dice.within(0..=n)) - 1,
            Level::ReadAtomic => own | dice.next() as u32 & all,
            Level::Causal => {
                let drawn = own | dice.next() as u32 & dice.next() as u32 & all;
                (0..n).rev().filter(|&t| drawn >> t & 1 == 1).fold(drawn, |mask, t| mask | self.saw[t])
            }
        }
    }

    fn value(&self, key: u32, visible: u32, own: &[Move]) -> Vec<u32> {
        let written = |moves: &[Move]| -> Vec<u32> {
            moves.iter().filter(|it| matches!(it, Move::Write(k, _) if *k == key)).map(value_of).collect()
        };
        let last = (0..self.committed.len())
            .rfind(|&t| visible >> t & 1 == 1 && !written(&self.committed[t].moves).is_empty());
        let upto = last.map_or(0, |t| t + 1);
        let mut list: Vec<u32> = self.committed[..upto].iter().flat_map(|txn| written(&txn.moves)).collect();
        list.extend(written(own));
        if self.shape == Shape::Registers { list.pop().into_iter().collect() } else { list }
    }
}

fn value_of(it: &Move) -> u32 {
    match it {
        Move::Write(_, value) => *value,
        Move::Read(..) => 0,
    }
}

/// Lets one read return something else.
fn mutate(dice: &mut Dice, shape: Shape, history: &mut [Sketched]) {
    let at = dice.below(history.len());
    let written: Vec<(u32, u32)> = history
        .iter()
        .flat_map(|txn| &txn.moves)
        .filter_map(|it| if let Move::Write(key, value) = it { Some((*key, *value)) } else { None })
        .collect();
    let reads: Vec<&mut Move> = history[at].moves.iter_mut().filter(|it| matches!(it, Move::Read(..))).collect();
    let which = dice.below(reads.len());
    let Some(Move::Read(key, Some(list))) = reads.into_iter().nth(which) else { return };
    let others: Vec<u32> = written.iter().filter(|(k, _)| k == key).map(|(_, value)| *value).collect();
    let other = others.get(dice.below(others.len() + 1)).copied();
    if shape == Shape::Registers {
        *list = if dice.percent(4) { vec![99] } else { other.into_iter().collect() };
        return;
    }
    match dice.below(8) {
        0..4 => drop(list.pop()),
        4 => list.reverse(),
        5 => list.push(99),
        6 => list.clear(),
        _ => list.extend(other.filter(|value| !list.contains(value))),
    }
}

/// Gives one transaction another outcome.
fn spoil(dice: &mut Dice, history: &mut [Sketched]) {
    let at = dice.below(history.len());
    let txn = &mut history[at];
    if dice.percent(70) {
        (txn.outcome, txn.end) = (Outcome::Info, u32::MAX);
        let known = dice.percent(30);
        for it in &mut txn.moves {
            if let Move::Read(_, value) = it
                && !known
            {
                *value = None;
            }
        }
    } else {
        txn.outcome = Outcome::Fail;
    }
}

/// Moves the transactions in time and between processes, so that only the level without an order can hold.
fn retime(dice: &mut Dice, history: &mut [Sketched]) {
    for at in (1..history.len()).rev() {
        history.swap(at, dice.below(at + 1));
    }
    let processes = dice.within(1..=4);
    for (at, txn) in history.iter_mut().enumerate() {
        txn.process = dice.below(processes) as u32;
        txn.start = 10 * at as u32;
        txn.end = if txn.outcome == Outcome::Info { u32::MAX } else { txn.start + 5 };
    }
}
