//! `gainsay selftest`: is the harness worth what it says? `checker` compares the checkers with brute force, `bugs` plants mistakes in the reference
//! database and looks whether they are found.

mod bugs;
mod planted;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;
use gainsay_checker::judge::thousands;
use gainsay_checker::selftest::exhaustive::{Bounds, Kind, Part, kinds};
use gainsay_checker::selftest::{Family, Line, Tally, families};

use super::options::{duration, one};
use crate::exit::Exit;
use crate::talk;

/// The flags of `gainsay selftest`.
#[derive(Args, Clone, Debug)]
pub struct SelftestArgs {
    /// What is tested: checker, bugs; without it, both are told
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
    /// Where the drawn histories, or the runs, begin
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// checker: how many histories of each kind
    #[arg(long, default_value_t = 10_000)]
    pub histories: u64,
    /// Only the kinds, or the bugs, whose name holds this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// checker: every history of up to so many operations instead of drawn ones
    #[arg(long, value_name = "OPERATIONS", num_args = 0..=1, default_missing_value = "4")]
    pub exhaustive: Option<u32>,
    /// bugs: how long the load of each run lasts
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = duration)]
    pub time_limit: Duration,
    /// bugs: where run directories go
    #[arg(long, value_name = "DIR", default_value = "store", env = "GAINSAY_STORE")]
    pub store: PathBuf,
    /// bugs: prints JSON on standard output, one line a bug
    #[arg(long)]
    pub json: bool,
}

/// Fewer of a kind than this share say little.
const LEAST: f64 = 0.05;

/// Tests what was named, or tells what there is.
pub fn main(args: &SelftestArgs) -> anyhow::Result<Exit> {
    match args.what.as_deref() {
        None => {
            talk::result("gainsay selftest checker  compares the checkers with brute force and with second algorithms");
            talk::result(
                "gainsay selftest bugs     plants mistakes in the reference database and looks whether they are found\n",
            );
            bugs::list();
            Ok(Exit::Held)
        }
        Some("bugs") => bugs::main(args),
        Some(what) => {
            one("selftest", what, &["checker", "bugs"])?;
            checker(args)
        }
    }
}

/// Prints a line a family.
fn checker(args: &SelftestArgs) -> anyhow::Result<Exit> {
    talk::result(&format!(
        "{:<65} {:<30} {:>11} {:>11} {:>10} {:>7}",
        "what is decided", "compared with", "valid", "invalid", "undecided", "differ"
    ));
    let mut exit = Exit::Held;
    if let Some(operations) = args.exhaustive {
        let bounds = Bounds { operations, processes: 3 };
        kinds().iter().for_each(|kind| exit = exit.worst(run_all(kind, bounds, args)));
        return Ok(exit);
    }
    for family in families() {
        exit = exit.worst(run(&family, args));
    }
    Ok(exit)
}

impl SelftestArgs {
    fn wants(&self, line: &Line) -> bool {
        self.only.as_ref().is_none_or(|only| line.name.contains(only.as_str()))
    }
}

fn threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |it| it.get() as u64)
}

/// The parts' tallies of each line, put together.
fn together(lines: usize, part: impl Fn(Part) -> Vec<Tally> + Sync) -> Vec<Tally> {
    let whole = Mutex::new(vec![Tally::default(); lines]);
    let work = |rest: u64| {
        let tallies = part(Part { rest, of: threads() });
        let mut whole = whole.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        whole.iter_mut().zip(tallies).for_each(|(whole, part)| whole.join(part));
    };
    std::thread::scope(|scope| {
        (1..threads()).for_each(|rest| drop(scope.spawn(move || work(rest))));
        work(0);
    });
    whole.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn run(family: &Family, args: &SelftestArgs) -> Exit {
    if !family.lines.iter().any(|line| args.wants(line)) {
        return Exit::Held;
    }
    let started = Instant::now();
    let tallies = together(family.lines.len(), |part| {
        let mut tallies = vec![Tally::default(); family.lines.len()];
        for at in (part.rest..args.histories).step_by(part.of as usize) {
            let seed = args.seed.wrapping_add(at);
            tallies.iter_mut().zip(family.compare(seed)).for_each(|(tally, came)| tally.add(seed, came));
        }
        tallies
    });
    tell_all(&family.lines, tallies, started, args)
}

fn run_all(kind: &Kind, bounds: Bounds, args: &SelftestArgs) -> Exit {
    if !kind.lines.iter().any(|line| args.wants(line)) {
        return Exit::Held;
    }
    let started = Instant::now();
    let tallies = together(kind.lines.len(), |part| kind.compare(bounds, part));
    tell_all(&kind.lines, tallies, started, args)
}

/// The lines of a family are judged together: the time of all stands with the first that is shown.
fn tell_all(lines: &[Line], tallies: Vec<Tally>, started: Instant, args: &SelftestArgs) -> Exit {
    let mut took = Some(started.elapsed().as_secs_f64());
    let wanted = lines.iter().zip(tallies).filter(|(line, _)| args.wants(line));
    wanted.fold(Exit::Held, |exit, (line, tally)| exit.worst(tell(line, &tally, took.take())))
}

fn tell(line: &Line, tally: &Tally, took: Option<f64>) -> Exit {
    let took = took.map(|took| format!("  {took:.1} s")).unwrap_or_default();
    let [valid, invalid, undecided] = [tally.valid, tally.invalid, tally.undecided].map(thousands);
    let text = format!(
        "{:<65} {:<30} {valid:>11} {invalid:>11} {undecided:>10} {:>7}{took}",
        line.name,
        line.with,
        thousands(tally.differ),
    );
    talk::result(&if tally.differ == 0 { text } else { talk::paint("31", &text) });
    for (number, how) in &tally.first {
        let how: String = how.chars().take(600).collect();
        talk::result(&format!("  {number}: {how}"));
    }
    let all = tally.valid + tally.invalid + tally.undecided + tally.differ;
    let share = |part: u64| part as f64 / all.max(1) as f64;
    if tally.differ > 0 {
        Exit::Broken
    } else if all >= 1000 && share(tally.valid).min(share(tally.invalid)) < LEAST {
        talk::result("  fewer than 5 % of one kind: this says little");
        Exit::Unknown
    } else {
        Exit::Held
    }
}
