//! Times one decision: `objects MODEL CALLS CLIENTS UNKNOWN WRONG VALUES KEYS THREADS`, the fourth and fifth of a million
//! calls; VALUES 0 makes every value unique. Prints milliseconds, bytes a call and the verdict.

use std::time::{Duration, Instant};

use gainsay_checker::Budget;
use gainsay_checker::objects::brute::{Shape, random};
use gainsay_checker::objects::{ModelName, linearizable, sequential};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, other: u32| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(other);
    let name = arguments.first().map_or("Register", |name| name.as_str());
    let (name, ordered) = name.strip_prefix("seq:").map_or((name, true), |name| (name, false));
    let model = ModelName::ALL.into_iter().find(|model| format!("{model:?}") == name).expect("a model's name");
    let values = number(5, 0);
    let shape = Shape {
        calls: number(1, 1000) as usize,
        processes: number(2, 5),
        unknown: number(3, 0),
        wrong: number(4, 0),
        values: values.max(1),
        keys: number(6, 1),
        unique: values == 0,
    };
    let calls = random(model, &shape, u64::from(number(8, 1)));
    let budget = Budget { time: Duration::from_secs(10), configurations: 100_000_000, ..Budget::default() };
    let before = resident("VmRSS");
    let began = Instant::now();
    let decision = if ordered {
        linearizable(model, &calls, &budget, number(7, 1) as usize)
    } else {
        sequential(model, &calls, &budget)
    };
    let took = began.elapsed();
    let bytes = resident("VmHWM").saturating_sub(before) as f64 / shape.calls as f64;
    let verdict: String = format!("{:?}", decision.verdict).chars().take(160).collect();
    println!(
        "{}\t{:.3} ms\t{bytes:.0} B a call\t{} configurations\t{verdict}",
        arguments.join(" "),
        took.as_secs_f64() * 1e3,
        decision.configurations
    );
}

/// What the kernel says of our memory, in bytes.
fn resident(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
        * 1024
}
