//! `gainsay selftest checker`: do the checkers say what brute force says?

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use gainsay_checker::judge::thousands;
use gainsay_checker::selftest::{Compared, Family, Line, families};

use super::options::one;
use crate::exit::Exit;
use crate::talk;

/// The flags of `gainsay selftest`.
#[derive(Args, Clone, Debug)]
pub struct SelftestArgs {
    /// What is tested: checker
    #[arg(default_value = "checker")]
    pub what: String,
    /// Where the drawn histories begin
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many histories of each kind
    #[arg(long, default_value_t = 10_000)]
    pub histories: u64,
    /// Only the kinds whose name holds this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

/// Fewer of a kind than this share say little.
const LEAST: f64 = 0.05;

/// Tests, and prints a line a family.
pub fn main(args: &SelftestArgs) -> anyhow::Result<Exit> {
    one("selftest", &args.what, &["checker"])?;
    talk::result(&format!(
        "{:<65} {:<30} {:>11} {:>11} {:>10} {:>7}",
        "what is decided", "compared with", "valid", "invalid", "undecided", "differ"
    ));
    let mut exit = Exit::Held;
    for family in families() {
        exit = exit.worst(run(&family, args));
    }
    Ok(exit)
}

/// What came of all histories of one line.
#[derive(Default)]
struct Count {
    valid: AtomicU64,
    invalid: AtomicU64,
    undecided: AtomicU64,
    differ: Mutex<Vec<(u64, String)>>,
}

impl Count {
    fn add(&self, seed: u64, came: Compared) {
        let one = match came {
            Compared::Valid => &self.valid,
            Compared::Invalid => &self.invalid,
            Compared::Undecided => &self.undecided,
            Compared::Differ(how) => {
                self.differ.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((seed, how));
                return;
            }
        };
        one.fetch_add(1, Ordering::Relaxed);
    }
}

fn run(family: &Family, args: &SelftestArgs) -> Exit {
    let wanted = |line: &Line| args.only.as_ref().is_none_or(|only| line.name.contains(only.as_str()));
    if !family.lines.iter().any(wanted) {
        return Exit::Held;
    }
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let counts: Vec<Count> = family.lines.iter().map(|_| Count::default()).collect();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= args.histories {
                return;
            }
            let seed = args.seed.wrapping_add(at);
            counts.iter().zip(family.compare(seed)).for_each(|(count, came)| count.add(seed, came));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    // The lines of a family are judged together: the time of all stands with the first.
    let mut took = Some(started.elapsed().as_secs_f64());
    let mut exit = Exit::Held;
    for (line, count) in family.lines.iter().zip(counts).filter(|(line, _)| wanted(line)) {
        exit = exit.worst(tell(line, count, args.histories, took.take()));
    }
    exit
}

fn tell(line: &Line, count: Count, histories: u64, took: Option<f64>) -> Exit {
    let [valid, invalid, undecided] = [count.valid, count.invalid, count.undecided].map(AtomicU64::into_inner);
    let differ = count.differ.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let took = took.map(|took| format!("  {took:.1} s")).unwrap_or_default();
    let text = format!(
        "{:<65} {:<30} {:>11} {:>11} {:>10} {:>7}{took}",
        line.name,
        line.with,
        thousands(valid),
        thousands(invalid),
        thousands(undecided),
        differ.len(),
    );
    talk::result(&if differ.is_empty() { text } else { talk::paint("31", &text) });
    for (seed, how) in differ.iter().take(3) {
        let how: String = how.chars().take(600).collect();
        talk::result(&format!("  seed {seed}: {how}"));
    }
    let share = |part: u64| part as f64 / histories.max(1) as f64;
    if !differ.is_empty() {
        Exit::Broken
    } else if histories >= 1000 && share(valid).min(share(invalid)) < LEAST {
        talk::result("  fewer than 5 % of one kind: this says little");
        Exit::Unknown
    } else {
        Exit::Held
    }
}
