//! Calls on objects: small histories against brute force, larger ones against a plain search, registers against their transactions.

use super::{BRUTE, Compared, Family, settle};
use crate::evidence::Budget;
use crate::history::Outcome;
use crate::objects::brute::{self, Draw, Shape};
use crate::objects::calls::{Calls, Function, NIL};
use crate::objects::{self, ModelName, Verdict};
use crate::txn::levels::{self, Level, Within};
use crate::txn::{Builder, Raw, Shape as Keys, Transactions};

/// A family of small and one of larger histories for each model, and the one of registers seen in two ways.
pub(super) fn families() -> Vec<Family> {
    let mut all = Vec::new();
    for model in ModelName::ALL {
        let name = format!("{model:?}").to_lowercase();
        let lines = vec![(format!("{name}, linearizable"), BRUTE), (format!("{name}, sequential"), BRUTE)];
        all.push(Family::new(lines, move |seed| small(model, seed)));
        all.push(Family::one(format!("{name}, 10 to 60 calls"), "a plain search", move |seed| large(model, seed)));
    }
    all.push(Family::one("registers as transactions", "registers as objects", two_views));
    all
}

fn said(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Holds => Some(true),
        Verdict::Violated(_) => Some(false),
        Verdict::Unknown(_) => None,
    }
}

/// What the number makes of a history besides its calls, none of it tied to another.
fn shape(draw: &mut Draw, calls: usize) -> Shape {
    let unknown = [0, 0, 200_000][draw.below(3) as usize];
    let wrong = [0, 250_000][draw.below(2) as usize];
    let (processes, keys, values) = (2 + draw.below(3), 1 + draw.below(2), 2 + draw.below(2));
    Shape { calls, processes, keys, values, unknown, wrong, unique: draw.below(5) == 0 }
}

fn small(model: ModelName, seed: u64) -> Vec<Compared> {
    let mut draw = Draw(!seed);
    let calls = 3 + draw.below(6) as usize;
    let calls = brute::random(model, &shape(&mut draw, calls), seed);
    [true, false].map(|real_time| by_brute_force(model, &calls, real_time)).to_vec()
}

/// What comes of a small history: linearizable within real time, else sequential. A proof names calls, and the one that doesn't fit.
pub(super) fn by_brute_force(model: ModelName, calls: &Calls, real_time: bool) -> Compared {
    let budget = Budget::default();
    let (fast, slow) = match real_time {
        true => (objects::linearizable(model, calls, &budget, 1), brute::linearizable(model, calls)),
        false => (objects::sequential(model, calls, &budget), brute::sequential(model, calls)),
    };
    let what = || format!("{:?} by us, {slow} by brute force: {:?}", fast.verdict, calls.all());
    match &fast.verdict {
        Verdict::Violated(proof) if !proof.calls.contains(&proof.stuck) || proof.text.is_empty() => {
            Compared::Differ(format!("a proof that shows nothing: {}", what()))
        }
        verdict => settle(said(verdict), Some(slow), what),
    }
}

/// How many configurations a search may remember.
const REMEMBERED: usize = 20_000;

fn large(model: ModelName, seed: u64) -> Compared {
    let mut draw = Draw(!seed);
    let longest = if draw.below(20) == 0 { 60 } else { 20 };
    let calls = 10 + draw.below(longest - 9);
    let rare = 1_000_000 / calls;
    let shape = Shape {
        processes: 3,
        keys: 1,
        values: 4,
        unknown: [0, 0, rare][draw.below(3) as usize],
        wrong: [0, 2 * rare][draw.below(2) as usize],
        // Without, most models are decided by a search, with, by monitors.
        unique: draw.below(4) != 0,
        ..shape(&mut draw, calls as usize)
    };
    let calls = brute::random(model, &shape, seed);
    let budget = Budget { configurations: REMEMBERED as u64, ..Budget::default() };
    let fast = objects::linearizable(model, &calls, &budget, 1);
    let slow = brute::remembered(model, &calls, REMEMBERED);
    settle(said(&fast.verdict), slow, || {
        format!("{:?} by us, {slow:?} by the plain search: {:?}", fast.verdict, calls.all())
    })
}

/// Single reads and writes are transactions of one step: linearizable exactly when strictly serializable, key by key.
fn two_views(seed: u64) -> Compared {
    let shape = Shape {
        calls: 5 + (seed % 60) as usize,
        processes: 4,
        keys: 1 + (seed % 3) as u32,
        values: 3,
        unknown: if seed.is_multiple_of(3) { 60_000 } else { 0 },
        wrong: if seed.is_multiple_of(2) { 60_000 } else { 0 },
        unique: true,
    };
    let calls = brute::random(ModelName::Register, &shape, seed);
    let Some(txns) = as_transactions(&calls) else { return Compared::Undecided };
    let budget = Budget::default();
    let fast = objects::linearizable(ModelName::Register, &calls, &budget, 1);
    let slow = match levels::decide(Level::Serializable, Within::RealTime, &txns, &budget) {
        levels::Decision::Holds => Some(true),
        levels::Decision::Violated(_) => Some(false),
        levels::Decision::Unknown { .. } => None,
    };
    settle(said(&fast.verdict), slow, || format!("{:?} as objects, {slow:?} as transactions", fast.verdict))
}

fn as_transactions(calls: &Calls) -> Option<Transactions> {
    let mut builder = Builder::new(Keys::Registers);
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
            Function::Read if call.output == NIL => builder.read(key, crate::txn::transactions::NIL),
            Function::Read => {
                let version = builder.version(key, Raw::Int(call.output));
                builder.read(key, version);
            }
            _ => return None,
        }
    }
    builder.finish().ok().filter(|txns| txns.doubles.is_empty())
}
