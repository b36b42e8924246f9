//! Reading and checking transactions: sizes, shapes, processes, unknown outcomes, valid and violated.
//!
//! `BENCH_MOST=1000000 cargo bench -p gainsay-checker --bench transactions` includes the large ones.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gainsay_checker::generate::{Generator, Kinds, Plan, write_edn, write_json};
use gainsay_checker::text::Syntax;
use gainsay_checker::txn::Transactions;
use gainsay_checker::txn::check::{Options, check};

fn edn(plan: Plan) -> Vec<u8> {
    let mut out = Vec::new();
    Generator::new(plan).for_each(|event| write_edn(&mut out, &event));
    out
}

/// One committed read of a list that misses its last element, every so many transactions.
fn stale(text: &[u8], every: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let ok = line.windows(3).position(|it| it == b":ok").is_some();
        let list = memchr::memmem::rfind(line, b"]]");
        match list {
            Some(end) if ok && at.is_multiple_of(every) => {
                let from = line[..end].iter().rposition(|&byte| matches!(byte, b' ' | b'[')).unwrap_or(end);
                let shorter = line[from] == b' ' && line[..from].last().is_some_and(u8::is_ascii_digit);
                if shorter
                    && !line[..end].ends_with(b"nil")
                    && memchr::memmem::rfind(&line[..from], b":append").is_none()
                {
                    out.extend_from_slice(&line[..from]);
                    out.extend_from_slice(&line[end..]);
                } else {
                    out.extend_from_slice(line);
                }
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}

fn transactions(criterion: &mut Criterion) {
    let most: u64 = std::env::var("BENCH_MOST").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let mut group = criterion.benchmark_group("transactions");
    group.sample_size(10);
    for ops in [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|&ops| ops <= most) {
        for (kinds, name) in [(Kinds::ListAppend, "lists"), (Kinds::RwRegister, "registers")] {
            let text = edn(Plan { kinds, ops, ..Plan::default() });
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(format!("{name}, read"), ops), |bench| {
                bench.iter(|| Transactions::read(&text, Syntax::Edn));
            });
            let txns = Transactions::read(&text, Syntax::Edn).expect("generated histories can be read");
            group.throughput(Throughput::Elements(ops));
            group.bench_function(BenchmarkId::new(format!("{name}, check"), ops), |bench| {
                bench.iter(|| check(&txns, &Options::default()));
            });
        }
    }
    for (name, plan) in [
        ("5 processes", Plan { processes: 5, ..Plan::default() }),
        ("1000 processes", Plan { processes: 1000, ..Plan::default() }),
        ("1 % unknown", Plan { info: 0.01, ..Plan::default() }),
        ("2048 writes a key", Plan { writes_per_key: 2048, ..Plan::default() }),
    ] {
        let text = edn(Plan { ops: 10_000, ..plan });
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("lists, read and check", name), |bench| {
            bench.iter(|| Transactions::read(&text, Syntax::Edn).map(|txns| check(&txns, &Options::default())));
        });
    }
    let spoilt = stale(&edn(Plan { ops: 10_000, ..Plan::default() }), 50);
    group.bench_function("lists, read and check, stale reads", |bench| {
        bench.iter(|| Transactions::read(&spoilt, Syntax::Edn).map(|txns| check(&txns, &Options::default())));
    });
    group.finish();
}

fn json(criterion: &mut Criterion) {
    let mut text = Vec::new();
    Generator::new(Plan { ops: 50_000, ..Plan::default() }).for_each(|event| write_json(&mut text, &event));
    let mut group = criterion.benchmark_group("text");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("events of JSON lines", |bench| {
        bench.iter(|| gainsay_checker::text::events(&text, Syntax::Json).count());
    });
    group.bench_function("transactions of JSON lines", |bench| bench.iter(|| Transactions::read(&text, Syntax::Json)));
    group.finish();
}

criterion_group!(benches, transactions, json);
criterion_main!(benches);
