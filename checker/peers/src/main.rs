//! Linearizability beside Porcupine's port to Rust: the same histories, one run, one process, in turn.
//!
//! `cargo run --release --manifest-path checker/peers/Cargo.toml [SECONDS]`: the peer gets so many seconds for each history (20). Prints
//! milliseconds by the clock, the best of three of ours, the ratio, and what each said; they must not contradict each other.

use std::time::{Duration, Instant};

use gainsay_checker::Budget;
use gainsay_checker::objects::brute::{Shape, random};
use gainsay_checker::objects::calls::{Calls, Function, NIL};
use gainsay_checker::objects::{ModelName, Verdict, linearizable};
use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};

/// A register that starts empty.
#[derive(Clone)]
struct Register;

#[derive(Clone, Copy, Debug)]
enum Op {
    Write(u32, i64),
    Read(u32, i64),
    /// With whether it found what it expected.
    Cas(u32, i64, i64, bool),
    /// The same of unknown outcome.
    Perhaps(u32, i64, i64),
    /// A read of unknown outcome.
    Nothing,
}

impl Op {
    fn key(self) -> u32 {
        match self {
            Op::Write(key, _) | Op::Read(key, _) | Op::Cas(key, ..) | Op::Perhaps(key, ..) => key,
            Op::Nothing => 0,
        }
    }
}

impl Model for Register {
    type State = i64;
    type Op = Op;
    type Metadata = ();

    fn partition_operations(history: &[Operation<Self>]) -> Vec<Vec<Operation<Self>>> {
        let mut parts: Vec<Vec<Operation<Self>>> = Vec::new();
        for operation in history {
            let key = operation.op.key() as usize;
            if parts.len() <= key {
                parts.resize_with(key + 1, Vec::new);
            }
            parts[key].push(operation.clone());
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    fn init() -> i64 {
        NIL
    }

    fn step(&state: &i64, op: &Op) -> (bool, i64) {
        match *op {
            Op::Write(_, value) => (true, value),
            Op::Read(_, value) => (state == value, state),
            Op::Cas(_, old, new, true) => (state == old, new),
            Op::Cas(_, old, _, false) => (state != old, state),
            Op::Perhaps(_, old, new) => (true, if state == old { new } else { state }),
            Op::Nothing => (true, state),
        }
    }
}

/// The history as the peer wants it: calls of unknown outcome last to the end.
fn theirs(calls: &Calls) -> Vec<Operation<Register>> {
    let mut out = Vec::new();
    for call in calls.all() {
        let op = match call.f {
            Function::Write => Op::Write(call.key, call.input),
            Function::Read if !call.ok() => Op::Nothing,
            Function::Read => Op::Read(call.key, call.output),
            Function::Cas => {
                let (old, new) = call.input_pair();
                let (old, new) = (i64::from(old), i64::from(new));
                if call.ok() { Op::Cas(call.key, old, new, call.output == 1) } else { Op::Perhaps(call.key, old, new) }
            }
            other => unreachable!("{other:?} of a register"),
        };
        let return_time = if call.ok() { i64::from(call.end) } else { i64::MAX };
        out.push(Operation {
            client_id: Some(call.process),
            call_time: i64::from(call.start),
            return_time,
            op,
            metadata: None,
        });
    }
    out
}

struct Row {
    what: &'static str,
    model: ModelName,
    shape: Shape,
}

fn row(what: &'static str, model: ModelName, calls: usize, processes: u32, keys: u32, values: u32) -> Row {
    let unique = values == 0;
    Row { what, model, shape: Shape { calls, processes, keys, values: values.max(1), unknown: 0, wrong: 0, unique } }
}

/// A compare-and-set register of 20 clients whose values repeat; a millionth of unknown and of wrong answers.
fn spoilt(what: &'static str, unknown: u32, wrong: u32) -> Row {
    let row = row(what, ModelName::CasRegister, 10_000, 20, 1, 5);
    Row { shape: Shape { unknown, wrong, ..row.shape }, ..row }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20);
    let (register, cas) = (ModelName::Register, ModelName::CasRegister);
    let rows = [
        row("register, unique, 1 key, 5 clients, 100 k", register, 100_000, 5, 1, 0),
        row("register, unique, 1 key, 20 clients, 100", register, 100, 20, 1, 0),
        row("register, unique, 1 key, 20 clients, 1 k", register, 1_000, 20, 1, 0),
        row("register, unique, 1 key, 100 clients, 1 k", register, 1_000, 100, 1, 0),
        row("CAS, unique, 1 key, 5 clients, 100 k", cas, 100_000, 5, 1, 0),
        row("CAS, values repeat, 1 key, 5 clients, 100 k", cas, 100_000, 5, 1, 5),
        row("CAS, values repeat, 1 key, 20 clients, 1 k", cas, 1_000, 20, 1, 5),
        row("CAS, values repeat, 1 key, 20 clients, 10 k", cas, 10_000, 20, 1, 5),
        spoilt("the same, violated", 0, 1_000),
        spoilt("the same, 1 % unknown", 10_000, 0),
        spoilt("the same, violated, 1 % unknown", 10_000, 1_000),
        row("register, values repeat, 1 key, 20 clients, 1 k", register, 1_000, 20, 1, 5),
        row("register, unique, 1000 keys, 100 clients, 1 M", register, 1_000_000, 100, 1000, 0),
        row("CAS, values repeat, 1000 keys, 100 clients, 1 M", cas, 1_000_000, 100, 1000, 5),
    ];
    println!("{:<56} {:>10} {:>12} {:>9}", "", "ours, ms", "theirs, ms", "ratio");
    for Row { what, model, shape } in rows {
        let calls = random(model, &shape, 1);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut best = f64::MAX;
        let mut said = None;
        for _ in 0..3 {
            let began = Instant::now();
            let decision = linearizable(model, &calls, &Budget::default(), threads);
            best = best.min(began.elapsed().as_secs_f64() * 1e3);
            said = Some(match decision.verdict {
                Verdict::Holds => "valid",
                Verdict::Violated(_) => "violated",
                Verdict::Unknown(_) => "unknown",
            });
        }
        let history = theirs(&calls);
        let began = Instant::now();
        let result = check_operations_timeout(&history, Duration::from_secs(seconds));
        let other = began.elapsed().as_secs_f64() * 1e3;
        let (said, answered) = (said.unwrap_or_default(), result != CheckResult::Unknown);
        let they = match result {
            CheckResult::Ok => "valid",
            CheckResult::Illegal => "violated",
            CheckResult::Unknown => "none",
        };
        assert!(!answered || said == "unknown" || said == they, "{what}: {said} and {they}");
        let than = if answered { "" } else { "> " };
        println!(
            "{what:<56} {best:>10.3} {than:>2}{other:>10.1} {:>9} {said}, {they}",
            format!("{than}{:.0}", other / best)
        );
    }
}
