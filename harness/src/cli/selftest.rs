//! `gainsay selftest checker`: do the checkers say what brute force says?

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use gainsay_checker::judge::thousands;
use gainsay_checker::selftest::{Compared, Family, families};

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
        "{:<58} {:<30} {:>11} {:>11} {:>10} {:>7}",
        "what is decided", "compared with", "valid", "invalid", "undecided", "differ"
    ));
    let mut exit = Exit::Held;
    let wanted = |family: &Family| args.only.as_ref().is_none_or(|only| family.name.contains(only.as_str()));
    for family in families().iter().filter(|family| wanted(family)) {
        exit = exit.worst(run(family, args));
    }
    Ok(exit)
}

fn run(family: &Family, args: &SelftestArgs) -> Exit {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let differ: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());
    let counts = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= args.histories {
                return;
            }
            let seed = args.seed.wrapping_add(at);
            let which = match family.compare(seed) {
                Compared::Valid => 0,
                Compared::Invalid => 1,
                Compared::Undecided => 2,
                Compared::Differ(how) => {
                    differ.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((seed, how));
                    continue;
                }
            };
            counts[which].fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    let [valid, invalid, undecided] = counts.map(AtomicU64::into_inner);
    let differ = differ.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let line = format!(
        "{:<58} {:<30} {:>11} {:>11} {:>10} {:>7}  {:.1} s",
        family.name,
        family.with,
        thousands(valid),
        thousands(invalid),
        thousands(undecided),
        differ.len(),
        started.elapsed().as_secs_f64()
    );
    talk::result(&if differ.is_empty() { line } else { talk::paint("31", &line) });
    for (seed, how) in differ.iter().take(3) {
        let how: String = how.chars().take(600).collect();
        talk::result(&format!("  seed {seed}: {how}"));
    }
    let share = |part: u64| part as f64 / args.histories.max(1) as f64;
    if !differ.is_empty() {
        Exit::Broken
    } else if args.histories >= 1000 && share(valid).min(share(invalid)) < LEAST {
        talk::result("  fewer than 5 % of one kind: this says little");
        Exit::Unknown
    } else {
        Exit::Held
    }
}
