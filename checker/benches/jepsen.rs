//! How long Jepsen's checkers take on right histories of a million operations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gainsay_checker::history::Outcome;
use gainsay_checker::jepsen::{Options, Verdict, model};
use gainsay_checker::log::{Call, Log};
use gainsay_checker::value::Value;

const MILLION: i64 = 1_000_000;

#[derive(Default)]
struct Writer(Log);

impl Writer {
    /// Four operations are open at once.
    fn done(&mut self, f: &Arc<str>, asked: Value, value: Value) {
        let at = self.0.calls.len() as u32;
        self.0.calls.push(Call {
            index: u64::from(at) * 2,
            completion: Some(u64::from(at) * 2 + 1),
            process: u64::from(at % 4),
            f: f.clone(),
            asked,
            value,
            start: at * 8 + 1,
            end: at * 8 + 26,
            invoked: u64::from(at) * 1000,
            completed: u64::from(at) * 1000 + 500,
            outcome: Outcome::Ok,
            error: None,
            session: None,
            node: None,
            last: false,
        });
    }
}

fn ints(range: std::ops::Range<i64>) -> Value {
    Value::List(range.map(Value::Int).collect())
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect())
}

fn text(it: &str) -> Value {
    Value::Text(it.into())
}

/// Elements, of which each read shows those older than a few operations, at most `most` of them, `reads` times.
fn growing(add: &str, reads: i64, most: i64) -> Log {
    let (add, read) = (Arc::from(add), Arc::from("read"));
    let mut log = Writer::default();
    let every = MILLION / reads;
    for at in 0..MILLION {
        log.done(&add, Value::Int(at), Value::Int(at));
        if at % every == every - 1 {
            log.done(&read, Value::Nil, ints((at + 1 - most.min(at + 1))..at + 1));
        }
    }
    log.0
}

/// Half additions and half reads of single elements, so that nearly everything is absent from nearly every read.
fn sparse(add: &str) -> Log {
    let (add, read) = (Arc::from(add), Arc::from("read"));
    let mut log = Writer::default();
    for at in 0..MILLION / 2 {
        log.done(&add, Value::Int(at), Value::Int(at));
        log.done(&read, Value::Nil, ints(at..at + 1));
    }
    log.0
}

fn queue() -> Log {
    let (enqueue, dequeue) = (Arc::from("enqueue"), Arc::from("dequeue"));
    let mut log = Writer::default();
    for at in 0..MILLION / 2 {
        log.done(&enqueue, Value::Int(at), Value::Int(at));
        log.done(&dequeue, Value::Nil, Value::Int(at));
    }
    log.0
}

fn counter() -> Log {
    let (add, read) = (Arc::from("add"), Arc::from("read"));
    let mut log = Writer::default();
    for at in 0..MILLION / 2 {
        log.done(&add, Value::Int(1), Value::Int(1));
        log.done(&read, Value::Nil, Value::Int(at));
    }
    log.0
}

fn bank() -> Log {
    let (transfer, read) = (Arc::from("transfer"), Arc::from("read"));
    let mut log = Writer::default();
    for at in 0..MILLION / 2 {
        let (from, to) = (at % 8, (at + 1) % 8);
        let moved = [("from", from), ("to", to), ("amount", 1)];
        let moved = Value::Map(moved.map(|(name, it)| (text(name), Value::Int(it))).to_vec());
        log.done(&transfer, moved.clone(), moved);
        let shown = (0..8).map(|account| (Value::Int(account), Value::Int(10))).collect();
        log.done(&read, Value::Nil, Value::Map(shown));
    }
    log.0
}

fn ids() -> Log {
    let generate = Arc::from("generate");
    let mut log = Writer::default();
    (0..MILLION).for_each(|at| log.done(&generate, Value::Nil, Value::Int(at * 1_000_003)));
    log.0
}

fn forks() -> Log {
    let (read, write) = (Arc::from("read"), Arc::from("write"));
    let mut log = Writer::default();
    for at in 0..MILLION / 2 {
        let wrote = list([list([text("w"), Value::Int(at), Value::Int(1)])]);
        log.done(&write, wrote.clone(), wrote);
        let group = at - at % 2;
        let shown = [group, group + 1]
            .map(|key| list([text("r"), Value::Int(key), if key <= at { Value::Int(1) } else { Value::Nil }]));
        log.done(&read, Value::Nil, list(shown));
    }
    log.0
}

fn sequential() -> Log {
    let read = Arc::from("read");
    let mut log = Writer::default();
    for at in 0..MILLION {
        let parts = (0..4).rev().map(|part| if part <= at % 4 { text(&format!("{at}_{part}")) } else { Value::Nil });
        log.done(&read, Value::Int(at), list([Value::Int(at), list(parts)]));
    }
    log.0
}

fn rows() -> Log {
    let (add, read) = (Arc::from("add"), Arc::from("read"));
    let mut log = Writer::default();
    let row = |at: i64| Value::Map(vec![(text("val"), Value::Int(at)), (text("sts"), Value::Int(at * 7))]);
    (0..MILLION).for_each(|at| log.done(&add, Value::Nil, row(at)));
    log.done(&read, Value::Nil, list((0..MILLION).map(row)));
    log.0
}

fn causal() -> Log {
    let fs: [Arc<str>; 3] = ["read-init", "write", "read"].map(Arc::from);
    let mut log = Writer::default();
    for at in 0..MILLION {
        let (key, step) = (at / 5, at % 5);
        let f = &fs[if step == 0 { 0 } else { 2 - (step % 2) as usize }];
        log.done(f, list([Value::Int(key), Value::Nil]), list([Value::Int(key), Value::Int((step + 1) / 2)]));
    }
    log.0
}

fn inserts() -> Log {
    let insert = Arc::from("insert");
    let mut log = Writer::default();
    for at in 0..MILLION {
        let value = list([Value::Int(at / 2), list([Value::Int(at), Value::Nil])]);
        log.done(&insert, value.clone(), value);
        if at % 2 == 1 {
            log.0.calls[at as usize].outcome = Outcome::Fail;
        }
    }
    log.0
}

/// A checker, what its history is, and the history.
type Bench = (&'static str, &'static str, fn() -> Log);

fn checkers(c: &mut Criterion) {
    let histories: &[Bench] = &[
        ("set", "one read of a million", || growing("add", 1, MILLION)),
        ("set-full", "ten reads, the last of a million", || growing("add", 10, MILLION)),
        ("set-full", "a hundred reads, the last of a million", || growing("add", 100, MILLION)),
        ("set-full", "half a million reads of one element", || sparse("add")),
        ("causal-reverse", "ten reads, the last of a million", || growing("write", 10, MILLION)),
        ("causal-reverse", "half a million reads of one element", || sparse("write")),
        ("total-queue", "", queue),
        ("counter", "", counter),
        ("bank", "", bank),
        ("unique-ids", "", ids),
        ("long-fork", "", forks),
        ("sequential", "", sequential),
        ("monotonic", "", rows),
        ("causal", "200,000 keys", causal),
        ("adya", "", inserts),
    ];
    let wanted = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    for (name, what, history) in histories {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let log = history();
        let check = model(name).expect("it is in the table").check;
        let mut group = c.benchmark_group(*name);
        group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::Elements(log.calls.len() as u64));
        group.bench_function(if what.is_empty() { "a million" } else { what }, |b| {
            b.iter_custom(|times| {
                let start = Instant::now();
                for _ in 0..times {
                    let report = check(&log, &Options::default());
                    assert!(!matches!(report.verdict, Verdict::Unknown { .. }), "{}", report.sentence);
                }
                start.elapsed()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, checkers);
criterion_main!(benches);
