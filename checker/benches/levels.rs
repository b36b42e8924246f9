//! How long the isolation levels take on histories of a store that keeps its word, from the text of the file on.
//!
//! The shape is the one on which others were measured: ten sessions, one to four steps a transaction, ten keys at a time, each replaced after
//! 32 writes. `LEVELS_MEASURE=causal:sessions:1000000` measures one in a process of its own and prints CPU seconds and peak memory.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use gainsay_checker::Budget;
use gainsay_checker::formats::plume;
use gainsay_checker::txn::levels::{Decision, Level, Within, decide};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LEVELS: [(&str, Level); 6] = [
    ("read-committed", Level::ReadCommitted),
    ("read-atomic", Level::ReadAtomic),
    ("causal", Level::Causal),
    ("prefix", Level::Prefix),
    ("snapshot", Level::SnapshotIsolation),
    ("serializable", Level::Serializable),
];

/// A history as plume writes it. Of `crashes`, each ends a session and begins another. Of a million reads, `stale` return what the last writer
/// found. `grouped` writes the sessions one after the other, so that nothing tells when they ran.
fn history(txns: usize, sessions: usize, crashes: usize, stale: usize, grouped: bool) -> String {
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let mut text = String::with_capacity(txns * 45);
    // Name and value of each key in use, and what its last writer found, and who that is.
    let mut keys: Vec<(usize, usize, usize, usize)> = (0..10).map(|key| (key, 0, 0, txns)).collect();
    let mut names = keys.len();
    let mut session: Vec<usize> = (0..sessions).collect();
    let mut crashed = 0;
    let mut texts = vec![String::new(); if grouped { sessions + crashes + 2 } else { 1 }];
    for txn in 0..txns {
        if crashes > 0 && txn % (txns / crashes).max(1) == 0 {
            session[dice.random_range(0..sessions)] = sessions + crashed;
            crashed += 1;
        }
        let by = session[dice.random_range(0..sessions)];
        let text = if grouped { &mut texts[by] } else { &mut text };
        let mut met: Vec<usize> = Vec::new();
        for _ in 0..dice.random_range(1..=4) {
            let at = dice.random_range(0..keys.len());
            let (key, value, before, writer) = &mut keys[at];
            let name = *key;
            if dice.random_bool(0.5) {
                if *writer != txn {
                    (*before, *writer) = (*value, txn);
                }
                *value += 1;
                writeln!(text, "w({key},{value},{by},{txn})").expect("memory takes it");
                if *value == 32 {
                    (*key, *value, *before, *writer) = (names, 0, 0, txns);
                    names += 1;
                }
            } else {
                let lags = stale > 0 && !met.contains(key) && dice.random_range(0..1_000_000) < stale;
                writeln!(text, "r({key},{},{by},{txn})", if lags { *before } else { *value }).expect("memory takes it");
            }
            met.push(name);
        }
    }
    if grouped { texts.concat() } else { text }
}

fn levels(c: &mut Criterion) {
    for txns in [1_000, 10_000, 100_000, 1_000_000] {
        let text = history(txns, 10, 0, 0, false);
        let mut group = c.benchmark_group(format!("{txns} transactions"));
        group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::Elements(txns as u64));
        group.bench_function("plume", |bench| bench.iter(|| plume::read(text.as_bytes()).expect("it is plume")));
        let read = plume::read(text.as_bytes()).expect("it is plume");
        for (name, level) in LEVELS {
            group.bench_with_input(BenchmarkId::from_parameter(name), &read, |bench, read| {
                bench.iter(|| assert_eq!(decide(level, Within::Sessions, read, &Budget::default()), Decision::Holds));
            });
        }
        group.finish();
    }
}

/// `level:within:transactions[:sessions[:crashes[:stale[:grouped]]]]`, or `level:within:file`.
fn measure(what: &str) {
    let parts: Vec<&str> = what.split(':').collect();
    let level = LEVELS.iter().find(|(name, _)| *name == parts[0]).expect("a level").1;
    let within = match parts[1] {
        "nothing" => Within::Nothing,
        "sessions" => Within::Sessions,
        _ => Within::RealTime,
    };
    let number = |at: usize, otherwise| parts.get(at).map_or(otherwise, |it| it.parse().expect("a number"));
    let text = std::fs::read(parts[2]).unwrap_or_else(|_| {
        history(number(2, 0), number(3, 10), number(4, 0), number(5, 0), parts.len() > 6).into_bytes()
    });
    let before = cpu();
    let (begun, was) = (Instant::now(), memory("VmRSS"));
    let txns = plume::read(&text).expect("it is plume");
    let read = cpu();
    let decision = decide(level, within, &txns, &Budget { time: Duration::from_secs(60), ..Budget::default() });
    let mut said = format!("{decision:?}");
    said.truncate(300);
    println!(
        "{what}: {said}; {:.2} s CPU reading, {:.2} s deciding, {:.2} s wall, {} MB beyond the text",
        read - before,
        cpu() - read,
        begun.elapsed().as_secs_f64(),
        (memory("VmHWM").saturating_sub(was)) / 1024,
    );
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of this process's status, in kB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0)
}

criterion_group!(benches, levels);

fn main() {
    match std::env::var("LEVELS_MEASURE") {
        Ok(what) => measure(&what),
        Err(_) => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
