//! Histories written by hand or by a generator: what each transaction did, in words short enough for a test.

use crate::history::Outcome;
use crate::txn::transactions::{NIL, NOBODY, Name, ODD, OddRead, Shape, Step, Transactions, Txn, UNKNOWN};

/// A step as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// It read this: of a register at most one value; nothing where it is unknown.
    Read(u32, Option<Vec<u32>>),
    /// It wrote or appended this.
    Write(u32, u32),
}

/// A transaction as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketched {
    /// Who.
    pub process: u32,
    /// Rank of its invocation.
    pub start: u32,
    /// Rank of its completion.
    pub end: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did.
    pub moves: Vec<Move>,
}

/// Numbers keys and versions and finds the order of each list. Transactions are sorted by their start (stably).
///
/// A list's order is the longest that a committed transaction read; others that are no beginning of it, or that repeat an element, are odd.
pub fn transactions(shape: Shape, sketch: &[Sketched]) -> Transactions {
    let mut sorted: Vec<&Sketched> = sketch.iter().collect();
    sorted.sort_by_key(|txn| txn.start);
    let keys = 1 + sorted.iter().flat_map(|txn| &txn.moves).map(key).max().unwrap_or(0);
    let mut txns = Transactions::none(shape);
    txns.keys = (0..keys).map(|key| Name::Int(i64::from(key))).collect();
    let longest: Vec<Vec<u32>> = (0..keys).map(|key| longest(shape, &sorted, key)).collect();
    txns.order_first.push(0);
    for (key, list) in longest.iter().enumerate() {
        for (place, &value) in list.iter().enumerate() {
            let version = version(&mut txns, key as u32, value);
            txns.orders.push(version);
            txns.place[version as usize] = place as u32;
        }
        txns.order_first.push(txns.orders.len() as u32);
    }
    for (t, txn) in sorted.iter().enumerate() {
        let first = txns.steps.len() as u32;
        let (process, start, end, outcome) = (txn.process, txn.start, txn.end, txn.outcome);
        txns.txns.push(Txn { process, start, end, first, index: t as u32, outcome });
        for it in &txn.moves {
            let step = step(&mut txns, &longest, it);
            txns.steps.push(step);
        }
    }
    name_writers(&mut txns);
    txns.processes = (0..=sorted.iter().map(|txn| txn.process).max().unwrap_or(0)).map(u64::from).collect();
    txns
}

fn key(it: &Move) -> u32 {
    match *it {
        Move::Read(key, _) | Move::Write(key, _) => key,
    }
}

fn longest(shape: Shape, sketch: &[&Sketched], of: u32) -> Vec<u32> {
    let mut longest: &[u32] = &[];
    for txn in sketch.iter().filter(|txn| txn.outcome == Outcome::Ok && shape == Shape::Lists) {
        for it in &txn.moves {
            if let Move::Read(key, Some(list)) = it
                && *key == of
                && list.len() > longest.len()
                && distinct(list)
            {
                longest = list;
            }
        }
    }
    longest.to_vec()
}

fn distinct(list: &[u32]) -> bool {
    list.iter().enumerate().all(|(at, value)| !list[..at].contains(value))
}

fn version(txns: &mut Transactions, key: u32, value: u32) -> u32 {
    let known =
        (0..txns.version_key.len()).find(|&v| txns.version_key[v] == key && txns.version_value[v] == i64::from(value));
    known.unwrap_or_else(|| {
        txns.version_key.push(key);
        txns.version_value.push(i64::from(value));
        txns.writer.push(NOBODY);
        txns.place.push(NOBODY);
        txns.writer.len() - 1
    }) as u32
}

fn step(txns: &mut Transactions, longest: &[Vec<u32>], it: &Move) -> Step {
    match it {
        &Move::Write(key, value) => Step::write(key, version(txns, key, value)),
        Move::Read(key, None) => Step::read(*key, UNKNOWN),
        Move::Read(key, Some(list)) => {
            let versions: Vec<u32> = list.iter().map(|&value| version(txns, *key, value)).collect();
            if txns.shape == Shape::Lists && !longest[*key as usize].starts_with(list) {
                txns.odd.push(OddRead { step: txns.steps.len() as u32, versions });
                return Step::read(*key, ODD);
            }
            Step::read(*key, versions.last().copied().unwrap_or(NIL))
        }
    }
}

fn name_writers(txns: &mut Transactions) {
    for failed in [false, true] {
        for t in 0..txns.len() as u32 {
            if txns.may_count(t) == failed {
                continue;
            }
            for at in txns.step_range(t) {
                let step = txns.steps[at];
                if step.writes() {
                    match &mut txns.writer[step.version as usize] {
                        writer if *writer == NOBODY => *writer = t,
                        _ => txns.doubles.push((t, step.version)),
                    }
                }
            }
        }
    }
}
