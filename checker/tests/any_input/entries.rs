//! Every way in which bytes of others enter the checker, as functions of bytes, for the fuzzer and for the seeded test alike.
//!
//! What is answered doesn't matter here, only that there is an answer.

use std::time::Duration;

use gainsay_checker::event::Kind;
use gainsay_checker::formats::{awdit, dbcop, plume};
use gainsay_checker::generate::{Written, write_edn, write_json};
use gainsay_checker::inspect::{self, Format, Request, events_of_log, inspect, recognise};
use gainsay_checker::log::Log;
use gainsay_checker::objects::brute;
use gainsay_checker::objects::calls::{Call, Calls, Function, NEVER, Outcome};
use gainsay_checker::objects::{self, ModelName};
use gainsay_checker::text::{Syntax, events};
use gainsay_checker::txn::brute::sketch::{Move, Sketched, transactions};
use gainsay_checker::txn::check::{Options as Asked, check};
use gainsay_checker::txn::levels::{LEVELS, Within, decide};
use gainsay_checker::txn::versions::Assume;
use gainsay_checker::txn::{Shape, Transactions};
use gainsay_checker::value::Value;
use gainsay_checker::{Budget, History, Options, drawn, edn, history, json, judge};

/// One way in.
pub type Entry = (&'static str, fn(&[u8]));

/// Those that read.
pub const READERS: &[Entry] = &[
    ("events", of_events),
    ("values", of_values),
    ("transactions", of_transactions),
    ("log", of_log),
    ("history", of_history),
    ("formats", of_formats),
    ("inspection", of_inspection),
    ("drawing", of_drawing),
];

/// Those that read and decide.
pub const DECIDERS: &[Entry] = &[("inspect", of_inspect), ("models", of_models), ("judge", of_judge)];

/// Those that decide what the bytes are taken for.
pub const STRUCTURED: &[Entry] = &[("levels", of_levels), ("objects", of_objects)];

const BOTH: [Syntax; 2] = [Syntax::Edn, Syntax::Json];

/// So little that even what no bound but this one holds back is soon over.
const BUDGET: Budget = Budget { time: Duration::from_millis(20), configurations: 500, bytes: 256 << 20 };

fn of_events(bytes: &[u8]) {
    for syntax in BOTH {
        for event in events(bytes, syntax).map_while(Result::ok) {
            let _ = Value::parse(event.value, syntax);
        }
    }
    for line in bytes.split(|&byte| byte == b'\n').take(40) {
        let _ = json::parse_event(line);
    }
}

fn of_values(bytes: &[u8]) {
    for syntax in BOTH {
        let Ok(value) = Value::parse(bytes, syntax) else { continue };
        assert_eq!(value.clone(), value);
        let _ = (value.atom(), value.int(), value.pair(), value.to_string(), format!("{value:?}"));
        let event = Written { index: 0, time: 0, kind: Kind::Ok, process: 0, f: "read", value };
        for write in [write_edn, write_json] {
            write(&mut Vec::new(), &event);
        }
    }
    let _ = edn::parse(bytes);
}

fn of_transactions(bytes: &[u8]) {
    for syntax in BOTH {
        let _ = Transactions::read(bytes, syntax);
    }
}

fn of_log(bytes: &[u8]) {
    for syntax in BOTH {
        let _ = Log::read(bytes, syntax);
    }
}

fn of_history(bytes: &[u8]) {
    let _ = History::read_any(bytes);
    let _ = History::read_json(bytes);
    let _ = History::count_json(bytes);
}

/// What was read is written and read again.
fn of_formats(bytes: &[u8]) {
    for read in [plume::read, awdit::read, dbcop::read] {
        let Ok(txns) = read(bytes) else { continue };
        let mut out = Vec::new();
        let _ = plume::write(&txns, &mut out);
        assert!(out.is_empty() || plume::read(&out).is_ok(), "plume doesn't read what it wrote");
        let _ = awdit::write(&txns, &mut out);
        let _ = dbcop::write(&txns, &mut out);
    }
}

fn of_inspection(bytes: &[u8]) {
    let _ = recognise(bytes);
    let _ = events_of_log(bytes);
}

fn of_drawing(bytes: &[u8]) {
    if let Ok(drawing) = str::from_utf8(bytes) {
        let _ = drawn::edn(drawing);
    }
}

fn request(model: Option<&str>, format: Option<Format>) -> Request {
    let transactions = Asked { budget: BUDGET, ..Asked::default() };
    Request { model: model.map(str::to_string), format, transactions, budget: BUDGET, threads: 1, ..Request::default() }
}

/// Whatever the bytes are made for, and as every format.
fn of_inspect(bytes: &[u8]) {
    for format in [None].into_iter().chain(Format::ALL.map(Some)) {
        let _ = inspect(bytes, &request(None, format)).map(|found| format!("{found:?}"));
    }
}

/// As every model, also of sequential consistency.
fn of_models(bytes: &[u8]) {
    for (model, _) in inspect::models() {
        for sequential in [false, true] {
            let _ = inspect(bytes, &Request { sequential, ..request(Some(model), None) });
        }
    }
}

fn of_judge(bytes: &[u8]) {
    if let Ok(history) = History::read_any(bytes) {
        let _ = judge(&history, &Options { budget: BUDGET, ..Options::default() });
    }
}

/// Small numbers out of bytes, which end in zeros.
struct Numbers<'a>(std::slice::Iter<'a, u8>);

impl Numbers<'_> {
    fn below(&mut self, of: u32) -> u32 {
        u32::from(self.0.next().copied().unwrap_or(0)) % of
    }
}

/// Bytes as transactions; a process's stand in the order of its times, as every reader sees to it.
fn of_levels(bytes: &[u8]) {
    let mut numbers = Numbers(bytes.iter());
    let shape = if numbers.below(2) == 0 { Shape::Lists } else { Shape::Registers };
    let timed = numbers.below(4) != 0;
    let mut ends = [0_u32; 4];
    let mut sketch: Vec<Sketched> = Vec::new();
    while !numbers.0.as_slice().is_empty() && sketch.len() < 60 {
        let process = numbers.below(4);
        let start = ends[process as usize] + 1 + numbers.below(8);
        let end = start + 1 + numbers.below(16);
        ends[process as usize] = end;
        let outcome = match numbers.below(8) {
            0 => history::Outcome::Fail,
            1 => history::Outcome::Info,
            _ => history::Outcome::Ok,
        };
        let unknown = outcome == history::Outcome::Info || !timed;
        let (start, end) = (if timed { start } else { 0 }, if unknown { u32::MAX } else { end });
        let moves = (0..numbers.below(4)).map(|_| one_move(&mut numbers, shape)).collect();
        sketch.push(Sketched { process, start, end, outcome, moves });
    }
    let txns = transactions(shape, &sketch);
    for level in LEVELS {
        for within in [Within::Nothing, Within::Sessions, Within::RealTime] {
            let _ = decide(level, within, &txns, &BUDGET);
        }
    }
    for assume in [
        Assume::default(),
        Assume { writes_follow_reads: true, sequential_keys: true, ..Assume::default() },
        Assume { linearizable_keys: true, ..Assume::default() },
    ] {
        let _ = check(&txns, &Asked { assume, budget: BUDGET, ..Asked::default() });
    }
}

fn one_move(numbers: &mut Numbers<'_>, shape: Shape) -> Move {
    let key = numbers.below(3);
    match (numbers.below(4), shape) {
        (0 | 1, _) => Move::Write(key, numbers.below(24)),
        (2, _) if numbers.below(6) == 0 => Move::Read(key, None),
        (_, Shape::Lists) => Move::Read(key, Some((0..numbers.below(5)).map(|_| numbers.below(24)).collect())),
        (_, Shape::Registers) => Move::Read(key, Some((0..numbers.below(2)).map(|_| numbers.below(24)).collect())),
    }
}

/// Bytes as calls: a history of a store, with numbers replaced by others, extreme ones too.
fn of_objects(bytes: &[u8]) {
    let mut numbers = Numbers(bytes.iter());
    let model = ModelName::ALL[numbers.below(11) as usize];
    let seed = (0..4).fold(0, |seed, _| seed << 8 | u64::from(numbers.below(256)));
    let shape = brute::Shape {
        calls: 2 + numbers.below(40) as usize,
        processes: 1 + numbers.below(6),
        keys: 1 + numbers.below(3),
        values: 1 + numbers.below(8),
        unknown: numbers.below(4) * 100_000,
        wrong: numbers.below(4) * 20_000,
        unique: numbers.below(2) == 0,
    };
    let calls = brute::random(model, &shape, seed);
    let Some(calls) = disturbed(&calls, &mut numbers) else { return };
    for threads in [1, 2] {
        let _ = objects::linearizable(model, &calls, &BUDGET, threads);
    }
    let _ = objects::sequential(model, &calls, &BUDGET);
    let _ = objects::searched_only(model, &calls, &BUDGET);
}

/// The calls with what the bytes change of them; nothing where they are no calls then. Ranks stay what they are.
fn disturbed(calls: &Calls, numbers: &mut Numbers<'_>) -> Option<Calls> {
    let mut all: Vec<Call> = calls.all().to_vec();
    let of = |f| all.iter().filter(move |call| call.f == f && (f == Function::Txn || call.ok()));
    let steps: Vec<_> = of(Function::Txn).flat_map(|call| calls.steps(call)).copied().collect();
    let elements: Vec<_> = of(Function::ReadAll).flat_map(|call| calls.elements(call)).copied().collect();
    while let Some(&at) = numbers.0.next() {
        let at = usize::from(at) % all.len().max(1);
        let extreme = [0, 1, -1, i64::MAX, i64::MIN, i64::from(u32::MAX), 1 << 32, 7][numbers.below(8) as usize];
        let call = all.get_mut(at)?;
        match numbers.below(4) {
            0 => call.input = extreme,
            1 => call.output = extreme,
            2 => (call.end, call.outcome) = (NEVER, Outcome::Info),
            _ => call.key = call.key.wrapping_add(extreme as u32),
        }
    }
    Calls::new(all, steps, elements).ok()
}

/// Runs the entry called `name`.
#[allow(dead_code)] // For the fuzzer.
pub fn run(name: &str, bytes: &[u8]) {
    let entry = [READERS, DECIDERS, STRUCTURED].concat().into_iter().find(|entry| entry.0 == name);
    entry.expect("a target is called as its entry is").1(bytes);
}
