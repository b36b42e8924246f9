//! How long objects take: each model at several sizes, with few and many clients, with and without unknown outcomes, held and
//! violated. Histories come from the maker that also measures the deciders, with fixed seeds.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gainsay_checker::Budget;
use gainsay_checker::objects::brute::{Shape, random};
use gainsay_checker::objects::{ModelName, linearizable};

/// Unique values: what the monitors decide, up to a million calls on one key.
fn monitors(criterion: &mut Criterion) {
    let models = [ModelName::Register, ModelName::CasRegister, ModelName::Queue, ModelName::Stack, ModelName::Ids];
    for model in models {
        for (calls, clients) in [(1_000, 5), (10_000, 20), (100_000, 100), (1_000_000, 100), (1_000_000, 1000)] {
            // An unknown pop may need the search, which is measured below.
            let unknown = if model == ModelName::Stack { 0 } else { 10_000 };
            for (unknown, wrong) in [(0, 0), (unknown, 0), (0, 20)] {
                let shape = Shape { calls, processes: clients, keys: 1, values: 1, unknown, wrong, unique: true };
                one(criterion, "unique", model, &shape);
            }
        }
    }
}

/// Values that repeat, and objects without a monitor: what the search decides.
fn searches(criterion: &mut Criterion) {
    let models =
        [ModelName::Register, ModelName::CasRegister, ModelName::Counter, ModelName::Mutex, ModelName::MultiRegister];
    for model in models {
        for (calls, clients, unknown, wrong) in
            [(1_000, 20, 0, 0), (10_000, 20, 0, 0), (10_000, 10, 0, 200), (2_000, 10, 10_000, 0)]
        {
            let shape = Shape { calls, processes: clients, keys: 1, values: 5, unknown, wrong, unique: false };
            one(criterion, "repeated", model, &shape);
        }
    }
    let keyed = Shape { calls: 1_000_000, processes: 100, keys: 1000, values: 5, unknown: 0, wrong: 0, unique: false };
    one(criterion, "repeated", ModelName::CasRegister, &keyed);
}

fn one(criterion: &mut Criterion, group: &str, model: ModelName, shape: &Shape) {
    let calls = random(model, shape, 1);
    let budget = Budget { time: Duration::from_secs(5), ..Budget::default() };
    let mut group = criterion.benchmark_group(format!("{group}/{model:?}"));
    group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(shape.calls as u64));
    let name =
        format!("{} keys, {} clients, {} unknown, {} wrong", shape.keys, shape.processes, shape.unknown, shape.wrong);
    group.bench_with_input(BenchmarkId::new(name, shape.calls), &calls, |bencher, calls| {
        bencher.iter(|| linearizable(model, black_box(calls), &budget, 2));
    });
    group.finish();
}

criterion_group!(objects, monitors, searches);
criterion_main!(objects);
