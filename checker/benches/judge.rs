//! How long the checkers take on healthy histories of the shape of a default run.

#[path = "../tests/healthy/mod.rs"]
mod healthy;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gainsay_checker::checkers::CHECKERS;
use gainsay_checker::{Budget, Case, History, edn, json};
use healthy::{Holds, Positions, Shape};

const JUDGED: &[&str] = &[
    "lost-writes",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "consistent-prefix",
    "convergence",
    "linearizable",
];

fn checkers(c: &mut Criterion) {
    for (holds, positions) in [
        (Holds::Registers, Positions::Reported),
        (Holds::Registers, Positions::Hidden),
        (Holds::CasRegisters, Positions::Hidden),
        (Holds::Lists, Positions::Hidden),
    ] {
        for ops in [100_000, 1_000_000] {
            if ops > 100_000 && (holds == Holds::Lists || positions == Positions::Hidden) {
                continue;
            }
            let shape = Shape { positions, ..Shape::of(ops, holds) };
            let history = healthy::history(shape, 1);
            let name = format!("{holds:?}, positions {positions:?}, {ops} operations");
            let mut group = c.benchmark_group(name.clone());
            group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
            group.throughput(Throughput::Elements(ops as u64));
            let started = Instant::now();
            let case = Case::new(&history);
            println!("{name}: the case took {:?}", started.elapsed());
            for entry in CHECKERS.iter().filter(|entry| JUDGED.contains(&entry.name)) {
                group.bench_function(BenchmarkId::from_parameter(entry.name), |b| {
                    let checker = (entry.build)();
                    b.iter(|| checker.check(&case, &Budget::default()));
                });
            }
            group.finish();
        }
    }
}

/// A thousand keys at a time: what somebody must see passes through the writes of all of them.
fn many_keys(c: &mut Criterion) {
    for (holds, clients) in [(Holds::Registers, 10), (Holds::Registers, 100), (Holds::Lists, 10)] {
        let shape = Shape { clients, alive: 1000, ops_per_key: 64, several: 0, ..Shape::of(100_000, holds) };
        let history = healthy::history(shape, 1);
        let case = Case::new(&history);
        let mut group = c.benchmark_group(format!("{holds:?}, 1000 keys, {clients} clients, 100000 operations"));
        group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::Elements(100_000));
        for entry in CHECKERS.iter().filter(|entry| ["monotonic-writes", "pram", "causal"].contains(&entry.name)) {
            group.bench_function(BenchmarkId::from_parameter(entry.name), |b| {
                let checker = (entry.build)();
                b.iter(|| checker.check(&case, &Budget::default()));
            });
        }
        group.finish();
    }
}

/// As our recorder writes, and as other tools do: EDN, and JSON whose entries stand in another order.
fn reading(c: &mut Criterion) {
    for holds in [Holds::Registers, Holds::Lists] {
        let events = healthy::events(Shape::of(100_000, holds), 1);
        let (mut ours, mut edn) = (Vec::new(), Vec::new());
        for event in &events {
            json::write_event(&mut ours, event);
            edn::write_event(&mut edn, event);
        }
        let foreign = String::from_utf8_lossy(&ours).replace("{\"index\":", "{ \"index\": ").into_bytes();
        for (name, text) in [("ours", &ours), ("foreign JSON", &foreign), ("EDN", &edn)] {
            let mut group = c.benchmark_group(format!("reading {holds:?}, {name}, {} MB", text.len() / 1_000_000));
            group.sample_size(10).measurement_time(Duration::from_secs(2));
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function("history", |b| b.iter(|| History::read_any(text).map(|history| history.ops.len())));
            group.finish();
        }
    }
}

criterion_group!(benches, checkers, many_keys, reading);
criterion_main!(benches);
