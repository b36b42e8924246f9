//! The checkers against brute force, and against second algorithms that share nothing with them but the history types.
//!
//! A [`Family`] draws a history from a number and judges it twice. Small ones (up to eight calls or transactions) are compared with brute
//! force straight from the definitions, larger ones with another algorithm: monitors with a search, the graph of dependencies with
//! the direct questions about commit orders, single registers as objects and as transactions. About half of the histories are spoilt.

use crate::evidence::Budget;
use crate::history::Outcome;
use crate::jepsen;
use crate::objects::brute::{self as calls_brute, Shape as CallShape};
use crate::objects::calls::{Calls, Function};
use crate::objects::{self, ModelName};
use crate::txn::brute;
use crate::txn::check::{Options, check};
use crate::txn::lattice;
use crate::txn::levels::{Decision, Level, Within, decide};
use crate::txn::questions::{self, QUESTIONS};
use crate::txn::{Builder, Raw, Shape, Transactions};

/// What came of one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Both say that it is right.
    Valid,
    /// Both say that it is not.
    Invalid,
    /// One of them did not decide.
    Undecided,
    /// They disagree.
    Differ(String),
}

/// A way to compare.
pub struct Family {
    /// What is compared.
    pub name: String,
    /// With what.
    pub with: &'static str,
    run: Box<dyn Fn(u64) -> Compared + Send + Sync>,
}

impl Family {
    /// Draws the history of that number, and judges it twice.
    pub fn compare(&self, seed: u64) -> Compared {
        (self.run)(seed)
    }

    fn new(
        name: impl Into<String>,
        with: &'static str,
        run: impl Fn(u64) -> Compared + Send + Sync + 'static,
    ) -> Family {
        Family { name: name.into(), with, run: Box::new(run) }
    }
}

const BRUTE: &str = "brute force";

/// Everything that is compared.
pub fn families() -> Vec<Family> {
    let mut all = Vec::new();
    for model in ModelName::ALL {
        let name = format!("{model:?}").to_lowercase();
        all.push(Family::new(format!("{name}, linearizable"), BRUTE, move |seed| small_object(model, seed, true)));
        all.push(Family::new(format!("{name}, sequential"), BRUTE, move |seed| small_object(model, seed, false)));
        all.push(Family::new(format!("{name}, 10 to 60 calls"), "the search alone", move |seed| {
            large_object(model, seed)
        }));
    }
    for (shape, name) in [(Shape::Lists, "lists"), (Shape::Registers, "registers")] {
        for &(model, level, within) in QUESTIONS {
            let what = format!("{name}, {model}");
            all.push(Family::new(what, BRUTE, move |seed| small_transactions(shape, model, level, within, seed)));
        }
        for &(model, level, within) in QUESTIONS.iter().filter(|_| shape == Shape::Lists) {
            let what = format!("{name}, {model}, up to 30 transactions");
            all.push(Family::new(what, "commit orders asked directly", move |seed| {
                large_transactions(shape, model, level, within, seed)
            }));
        }
    }
    all.push(Family::new("registers as transactions", "registers as objects", two_views));
    for &name in jepsen::plain::NAMES {
        all.push(Family::new(name, "its definition", move |seed| workload(name, seed)));
    }
    all
}

fn settle(fast: Option<bool>, slow: Option<bool>, differ: impl FnOnce() -> String) -> Compared {
    match (fast, slow) {
        (Some(a), Some(b)) if a != b => Compared::Differ(differ()),
        (Some(true), Some(_)) => Compared::Valid,
        (Some(false), Some(_)) => Compared::Invalid,
        _ => Compared::Undecided,
    }
}

fn said(verdict: &objects::Verdict) -> Option<bool> {
    match verdict {
        objects::Verdict::Holds => Some(true),
        objects::Verdict::Violated(_) => Some(false),
        objects::Verdict::Unknown(_) => None,
    }
}

fn small_object(model: ModelName, seed: u64, real_time: bool) -> Compared {
    let shape = CallShape {
        calls: 3 + (seed % 6) as usize,
        processes: 2 + (seed % 3) as u32,
        keys: 1 + (seed / 7 % 2) as u32,
        values: 2 + (seed / 3 % 2) as u32,
        unknown: if seed.is_multiple_of(3) { 200_000 } else { 0 },
        wrong: if seed.is_multiple_of(2) { 250_000 } else { 0 },
        unique: seed.is_multiple_of(5),
    };
    let calls = calls_brute::random(model, &shape, seed);
    let budget = Budget::default();
    let (fast, slow) = if real_time {
        (objects::linearizable(model, &calls, &budget, 1), calls_brute::linearizable(model, &calls))
    } else {
        (objects::sequential(model, &calls, &budget), calls_brute::sequential(model, &calls))
    };
    settle(said(&fast.verdict), Some(slow), || {
        format!("{:?} by us, {slow} by brute force: {:?}", fast.verdict, calls.all())
    })
}

fn large_object(model: ModelName, seed: u64) -> Compared {
    let shape = CallShape {
        calls: 10 + (seed % 50) as usize,
        processes: 3,
        keys: 1,
        values: 4,
        unknown: if seed.is_multiple_of(3) { 50_000 } else { 0 },
        wrong: if seed.is_multiple_of(2) { 60_000 } else { 0 },
        unique: !seed.is_multiple_of(4),
    };
    let calls = calls_brute::random(model, &shape, seed);
    let budget = Budget { configurations: 200_000, ..Budget::default() };
    let fast = objects::linearizable(model, &calls, &budget, 1);
    let slow = objects::searched_only(model, &calls, &budget);
    settle(said(&fast.verdict), said(&slow.verdict), || {
        format!("{:?} by us, {:?} by the search", fast.verdict, slow.verdict)
    })
}

/// Whether the graph lets a model stand; nothing where the reading of it differs from the question's.
fn by_graph(txns: &Transactions, model: &str, level: Level, direct: bool) -> Option<bool> {
    if !txns.doubles.is_empty() {
        return None;
    }
    let report = check(txns, &Options { direct, besides: 0, models: vec![model.to_string()], ..Options::default() });
    let names: Vec<&str> = report.anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect();
    // Below read atomic Elle says nothing of a transaction that contradicts itself.
    if level == Level::ReadCommitted && names.iter().any(|name| matches!(*name, "internal" | "future-read")) {
        return None;
    }
    Some(!names.iter().any(|name| lattice::prohibits(model, name)))
}

fn small_transactions(shape: Shape, model: &str, level: Level, within: Within, seed: u64) -> Compared {
    let txns = brute::source::drawn(seed, shape, if seed.is_multiple_of(5) { 8 } else { 5 });
    let Some(fast) = by_graph(&txns, model, level, true) else { return Compared::Undecided };
    let slow = brute::holds(level, within, &txns);
    // Below prefix the question takes a list for its last element, and whoever saw any of them saw its writer.
    if shape == Shape::Lists && level <= Level::Causal && slow && !fast {
        return Compared::Undecided;
    }
    settle(Some(fast), Some(slow), || format!("{fast} by us, {slow} by brute force: {:?} {:?}", txns.txns, txns.steps))
}

fn large_transactions(shape: Shape, model: &str, level: Level, within: Within, seed: u64) -> Compared {
    let txns = brute::source::drawn(seed, shape, 30);
    // Where lists leave appends unordered, snapshots are a question that only the other side can answer.
    if questions::open(&txns) && level != Level::Serializable {
        return Compared::Undecided;
    }
    let Some(fast) = by_graph(&txns, model, level, false) else { return Compared::Undecided };
    let slow = match decide(level, within, &txns, &Budget::default()) {
        Decision::Holds => true,
        Decision::Violated(_) => false,
        Decision::Unknown { .. } => return Compared::Undecided,
    };
    if level <= Level::Causal && slow && !fast {
        return Compared::Undecided;
    }
    settle(Some(fast), Some(slow), || format!("{fast} by the graph, {slow} by commit orders"))
}

/// Single reads and writes are transactions of one step: linearizable exactly when strictly serializable, key by key.
fn two_views(seed: u64) -> Compared {
    let shape = CallShape {
        calls: 5 + (seed % 60) as usize,
        processes: 4,
        keys: 1 + (seed % 3) as u32,
        values: 3,
        unknown: if seed.is_multiple_of(3) { 60_000 } else { 0 },
        wrong: if seed.is_multiple_of(2) { 60_000 } else { 0 },
        unique: true,
    };
    let calls = calls_brute::random(ModelName::Register, &shape, seed);
    let Some(txns) = as_transactions(&calls) else { return Compared::Undecided };
    let budget = Budget::default();
    let fast = objects::linearizable(ModelName::Register, &calls, &budget, 1);
    let slow = match decide(Level::Serializable, Within::RealTime, &txns, &budget) {
        Decision::Holds => Some(true),
        Decision::Violated(_) => Some(false),
        Decision::Unknown { .. } => None,
    };
    settle(said(&fast.verdict), slow, || format!("{:?} as objects, {slow:?} as transactions", fast.verdict))
}

fn as_transactions(calls: &Calls) -> Option<Transactions> {
    let mut builder = Builder::new(Shape::Registers);
    let mut all: Vec<_> = calls.all().to_vec();
    all.sort_unstable_by_key(|call| call.start);
    for call in all {
        let process = builder.process(u64::from(call.process));
        let txn = builder.open(process, call.start, call.source, 0);
        if call.ok() {
            builder.close(txn, call.end, call.source, 0, Outcome::Ok);
        }
        builder.fill(txn);
        let key = builder.key(Raw::Int(i64::from(call.key)));
        match call.f {
            Function::Write => {
                let version = builder.version(key, Raw::Int(call.input));
                builder.write(key, version);
            }
            Function::Read if !call.ok() => builder.read(key, crate::txn::transactions::UNKNOWN),
            Function::Read if call.output == objects::calls::NIL => builder.read(key, crate::txn::transactions::NIL),
            Function::Read => {
                let version = builder.version(key, Raw::Int(call.output));
                builder.read(key, version);
            }
            _ => return None,
        }
    }
    builder.finish().ok().filter(|txns| txns.doubles.is_empty())
}

fn workload(name: &str, seed: u64) -> Compared {
    let ops = if seed.is_multiple_of(10) { 120 } else { 4 + (seed % 20) as usize };
    match jepsen::plain::compare(name, seed, ops) {
        Ok(jepsen::Verdict::Holds) => Compared::Valid,
        Ok(jepsen::Verdict::Violated) => Compared::Invalid,
        Ok(jepsen::Verdict::Unknown { .. }) => Compared::Undecided,
        Err(differ) => Compared::Differ(differ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_agrees_on_its_first_histories_and_sees_both_kinds() {
        for family in families() {
            let (mut valid, mut invalid) = (0, 0);
            for seed in 0..150 {
                match family.compare(seed) {
                    Compared::Valid => valid += 1,
                    Compared::Invalid => invalid += 1,
                    Compared::Undecided => {}
                    Compared::Differ(how) => panic!("{} against {}, seed {seed}: {how}", family.name, family.with),
                }
            }
            assert!(valid >= 5 && invalid >= 5, "{}: {valid} valid, {invalid} invalid", family.name);
        }
    }
}
