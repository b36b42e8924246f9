//! Times.
#[path = "../tests/healthy/mod.rs"]
mod healthy;
use gainsay_checker::checkers::CHECKERS;
use gainsay_checker::{Budget, Case, History, json};
use healthy::{Holds, Positions, Shape};
use std::time::Instant;
struct Cpu(u64);
impl Cpu {
    fn now() -> Cpu {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Cpu(text.split(' ').next().unwrap().parse().unwrap())
    }
    fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(Cpu::now().0 - self.0)
    }
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let ops: usize = args[1].parse().unwrap();
    let only = args.get(3).cloned().unwrap_or_default();
    for (name, holds, positions) in [
        ("reg", Holds::Registers, Positions::Reported),
        ("hid", Holds::Registers, Positions::Hidden),
        ("list", Holds::Lists, Positions::Hidden),
    ] {
        if !args[2].contains(name) {
            continue;
        }
        if only == "read" {
            let mut text = Vec::new();
            for event in healthy::events(Shape { positions, ..Shape::of(ops, holds) }, 1) {
                json::write_event(&mut text, &event);
            }
            for _ in 0..3 {
                let t = Cpu::now();
                let h = History::read_json(text.as_slice()).unwrap();
                let took = t.elapsed();
                println!(
                    "{name} read_json {} ops {} MB in {took:?}: {:.0} MB/s",
                    h.ops.len(),
                    text.len() / 1_000_000,
                    text.len() as f64 / took.as_secs_f64() / 1e6
                );
                let t = Cpu::now();
                let h = History::read_any(text.as_slice()).unwrap();
                let took = t.elapsed();
                println!(
                    "{name} read_any {} ops {} MB in {took:?}: {:.0} MB/s",
                    h.ops.len(),
                    text.len() / 1_000_000,
                    text.len() as f64 / took.as_secs_f64() / 1e6
                );
            }
            continue;
        }
        let history = healthy::history(Shape { positions, ..Shape::of(ops, holds) }, 1);
        let mut best = u128::MAX;
        for _ in 0..3 {
            let t = Cpu::now();
            let case = Case::new(&history);
            best = best.min(t.elapsed().as_millis());
            std::hint::black_box(&case);
        }
        println!("{name} facts {best} ms");
        let case = Case::new(&history);
        let t = Cpu::now();
        let stale = gainsay_checker::checkers::staleness::measure(&case);
        println!("{name} staleness {} ms {} reads {:?}", t.elapsed().as_millis(), stale.reads, stale.k);
        for entry in CHECKERS.iter().filter(|e| only.is_empty() || only.contains(e.name)) {
            let mut best = u128::MAX;
            let mut answer = None;
            for _ in 0..3 {
                let t = Cpu::now();
                answer = Some((entry.build)().check(&case, &Budget::default()));
                best = best.min(t.elapsed().as_millis());
            }
            let text = format!("{:?}", answer.unwrap());
            println!("{name} {} {best} ms  {}", entry.name, text.chars().take(230).collect::<String>());
        }
        if only.is_empty() {
            let t = Instant::now();
            let judged = gainsay_checker::judge(&history, &Default::default());
            println!("{name} judge {} ms {}", t.elapsed().as_millis(), judged.headline);
        }
    }
}
