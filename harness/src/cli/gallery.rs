//! `gainsay gallery`: shows an anomaly and the mode that does not have it, under the same seed and faults.
//!
//! The exit code is that of `demo`: 1 says that a side which must hold did not, 2 that the anomaly stayed away (of several seeds: under more
//! than one in ten).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser};
use gainsay_nemesis::backends::Wanted;

use super::options::{duration, one, usage};
use super::run::{Prepared, RunArgs, Runner, prepare};
use crate::exit::Exit;
use crate::gallery::{self, Scenario, Seen, Side, Verdict};
use crate::run::Finished;
use crate::{talk, verdict};

/// The flags of `gainsay gallery`.
#[derive(Args, Clone, Debug)]
pub struct GalleryArgs {
    /// The scenario; without one, all are listed
    #[arg(value_name = "NAME", conflicts_with = "all")]
    pub name: Option<String>,
    /// Shows all, one after the other, and ends with a table
    #[arg(long)]
    pub all: bool,
    /// Seeds every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Shows each with so many seeds, from --seed on, and ends with a table of how often each claim came true
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// How long the load of each side lasts
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub time_limit: Duration,
    /// Where run directories go
    #[arg(long, value_name = "DIR", default_value = "store", env = "GAINSAY_STORE")]
    pub store: PathBuf,
}

/// A parser for the flags that a scenario stands for.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    run: RunArgs,
}

/// Less leaves no room for the faults.
const SHORTEST: Duration = Duration::from_secs(5);

/// A scenario whose two sides can be started.
struct Staged {
    scenario: &'static Scenario,
    breaks: Option<Prepared>,
    holds: Prepared,
}

/// What a scenario showed.
struct Shown {
    scenario: &'static Scenario,
    breaks: Vec<Seen>,
    holds: Vec<Seen>,
}

/// Lists, or shows.
pub fn main(args: &GalleryArgs) -> anyhow::Result<Exit> {
    let chosen: Vec<&'static Scenario> = match &args.name {
        Some(name) => {
            one("gallery", name, &gallery::scenarios().map(|scenario| scenario.name).collect::<Vec<_>>())?;
            gallery::scenarios().filter(|scenario| scenario.name == name).collect()
        }
        None if args.all => gallery::scenarios().collect(),
        None => {
            list();
            return Ok(Exit::Held);
        }
    };
    anyhow::ensure!(args.time_limit >= SHORTEST, usage(format!("--time-limit: at least {} s", SHORTEST.as_secs())));
    let seeds = || (0..args.seeds).map(|more| args.seed.wrapping_add(more));
    let wanted = chosen.into_iter().flat_map(|scenario| seeds().map(move |seed| (scenario, seed)));
    let staged = wanted.map(|(scenario, seed)| stage(scenario, seed, args)).collect::<anyhow::Result<Vec<_>>>()?;
    let sides: Vec<&Prepared> = staged.iter().flat_map(|staged| staged.breaks.iter().chain([&staged.holds])).collect();
    let runner = Runner::start(Wanted::default(), &sides)?;
    let mut all = Vec::new();
    for staged in &staged {
        let Some(shown) = show(staged, &runner)? else {
            talk::result("interrupted");
            return Ok(Exit::Unknown);
        };
        all.push(shown);
    }
    let tallies = tallies(&all);
    if args.all || args.seeds > 1 {
        table(&tallies);
    }
    Ok(tallies.iter().map(Tally::exit).fold(Exit::Held, Exit::worst))
}

/// Every scenario: what breaks in which mode under which fault, and what holds instead.
fn list() {
    for scenario in gallery::scenarios() {
        let figure = if scenario.figure.is_empty() { String::new() } else { format!(" (figure {})", scenario.figure) };
        talk::result(&format!("{}{figure}  {}", talk::paint("1", scenario.name), scenario.about));
        let words = |side: &Side, breaks: bool| {
            let claims = side.claims.iter().filter(|claim| claim.is_break() == breaks);
            claims.map(|claim| claim.words()).collect::<Vec<_>>().join(", ")
        };
        if let Some(breaks) = &scenario.breaks {
            let (label, words) = (label(breaks), words(breaks, true));
            talk::result(&format!("  {} {label}: {words}, under: {}", talk::paint("31", "breaks"), scenario.under));
        }
        let under = if scenario.breaks.is_none() { format!(", under: {}", scenario.under) } else { String::new() };
        talk::result(&format!(
            "  {} {}: {}{under}\n",
            talk::paint("32", "holds "),
            label(&scenario.holds),
            words(&scenario.holds, false)
        ));
    }
    talk::result("`gainsay gallery NAME` shows one, `gainsay gallery --all` all.");
}

/// The flags as a label: `--ack async --reads any` is `ack=async reads=any`.
fn label(side: &Side) -> String {
    let mut words = Vec::new();
    for word in side.mode.split_whitespace() {
        match (word.strip_prefix("--"), words.last_mut()) {
            (Some(flag), _) => words.push(flag.to_string()),
            (None, Some(flag)) => *flag = format!("{flag}={word}"),
            (None, None) => words.push(word.to_string()),
        }
    }
    words.join(" ").replace("mode=", "")
}

/// Prepares both sides and writes the schedule that they share.
fn stage(scenario: &'static Scenario, seed: u64, args: &GalleryArgs) -> anyhow::Result<Staged> {
    let schedule = match scenario.faults.schedule(args.time_limit, seed) {
        Some(schedule) => {
            let dir = std::path::absolute(&args.store)?.join("gallery");
            std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
            let file = dir.join(format!("{}-{}ms-{}.json", scenario.name, args.time_limit.as_millis(), seed));
            std::fs::write(&file, schedule.to_json()).with_context(|| format!("writing {}", file.display()))?;
            Some(file)
        }
        None => None,
    };
    let side = |side: &Side| prepared(scenario, side, schedule.as_deref(), seed, args);
    let breaks = scenario.breaks.as_ref().map(side).transpose()?;
    Ok(Staged { scenario, breaks, holds: side(&scenario.holds)? })
}

fn prepared(
    scenario: &Scenario,
    side: &Side,
    schedule: Option<&Path>,
    seed: u64,
    args: &GalleryArgs,
) -> anyhow::Result<Prepared> {
    let limit = args.time_limit.as_millis();
    let flags = format!("{} {} --db refdb --nemesis none --time-limit {limit}ms", side.mode, scenario.setting);
    let mut words: Vec<String> = flags.split_whitespace().map(str::to_string).collect();
    if let Some(schedule) = schedule {
        words.extend(["--schedule".to_string(), schedule.display().to_string()]);
    }
    from_words(words, seed, &args.store).with_context(|| format!("the flags of {}", scenario.name))
}

/// A run from the flags of `gainsay run`, judged by what they promise: what decides is written in them, not in the environment.
pub(super) fn from_words(words: Vec<String>, seed: u64, store: &Path) -> anyhow::Result<Prepared> {
    let mut run = Flags::try_parse_from(std::iter::once("run".to_string()).chain(words.clone()))?.run;
    run.load.seed = Some(seed);
    run.store = store.to_path_buf();
    run.guarantees = None;
    prepare(&run, ["gainsay".to_string(), "run".to_string()].into_iter().chain(words).collect())
}

/// Runs both sides and tells what happened; `None` if somebody stopped it.
fn show(staged: &Staged, runner: &Runner) -> anyhow::Result<Option<Shown>> {
    let scenario = staged.scenario;
    talk::result(&format!("\n{}: {}", talk::paint("1", scenario.name), scenario.about));
    let (mut first, mut breaks) = (None, Vec::new());
    if let (Some(prepared), Some(side)) = (&staged.breaks, &scenario.breaks) {
        talk::line(&format!("to both sides: {}", scenario.under));
        let finished = runner.run(prepared, 0, &format!("{} 1 of 2", scenario.name))?;
        if runner.interrupted() {
            return Ok(None);
        }
        breaks = judged(&finished, side, false)?;
        report(side, &breaks, &finished);
        first = Some(finished);
    } else {
        talk::line(&format!("under: {}", scenario.under));
    }
    let title = if first.is_some() { format!("{} 2 of 2", scenario.name) } else { scenario.name.to_string() };
    let second = runner.run(&staged.holds, 0, &title)?;
    if runner.interrupted() {
        return Ok(None);
    }
    let holds = judged(&second, &scenario.holds, true)?;
    report(&scenario.holds, &holds, &second);
    let by = if first.is_some() { "prevented by" } else { "holds by" };
    talk::result(&format!("\n{by}: {}", scenario.prevented_by));
    talk::result(&write_page(scenario, first.as_ref(), &second)?.display().to_string());
    Ok(Some(Shown { scenario, breaks, holds }))
}

/// What became of a side's claims; of one that must hold, also which other promise of its mode was broken.
fn judged(finished: &Finished, side: &Side, must_hold: bool) -> anyhow::Result<Vec<Seen>> {
    let history = verdict::read_history(&finished.dir.file("history.jsonl"))?;
    let mut seen: Vec<Seen> = side.claims.iter().map(|claim| claim.seen(&finished.judgement, &history)).collect();
    if must_hold {
        seen.extend(gallery::betrayed(&finished.judgement, side.claims));
    }
    Ok(seen)
}

/// Says how each claim came out, with the proof where something broke.
fn report(side: &Side, seen: &[Seen], finished: &Finished) {
    talk::result(&format!("\n{}", talk::paint("1", &label(side))));
    for seen in seen {
        talk::result(&format!("  {} {}: {}", mark(seen.verdict, seen.breaks), seen.what, seen.text));
        if let Some(proof) = &seen.proof {
            for line in gallery::tell(proof, &finished.judgement) {
                talk::result(&format!("      {line}"));
            }
        }
    }
}

fn mark(verdict: Verdict, breaks: bool) -> String {
    match verdict {
        Verdict::Shown if breaks => talk::paint("31", "✕ broke, as expected"),
        Verdict::Shown => talk::paint("32", "● held"),
        Verdict::Unseen => talk::paint("33", "? expected to break, unseen"),
        Verdict::Betrayed => talk::paint("31", "✕ a promise was broken"),
        Verdict::Undecided => talk::paint("33", "? undecided"),
    }
}

/// Both runs on one page, in the directory of the second.
fn write_page(scenario: &Scenario, first: Option<&Finished>, second: &Finished) -> anyhow::Result<PathBuf> {
    let load = |finished: &Finished| verdict::load_page(&finished.dir);
    let pages = first.into_iter().chain([second]).map(load).collect::<anyhow::Result<Vec<_>>>()?;
    let by = if first.is_some() { "Prevented by" } else { "Holds by" };
    let headline = format!("{} {by}: {}", scenario.about, scenario.prevented_by);
    let html = gainsay_reports::compare_page(&headline, &pages);
    second.dir.write("gallery.html", html.as_bytes())?;
    Ok(second.dir.file("gallery.html"))
}

/// A claim, and what each seed showed of it.
struct Tally<'a> {
    scenario: &'static Scenario,
    side: &'static str,
    seen: Vec<&'a Seen>,
}

/// What was seen of each claim, over all seeds; scenarios in their order.
fn tallies(all: &[Shown]) -> Vec<Tally<'_>> {
    let mut tallies: Vec<Tally> = Vec::new();
    for shown in all {
        for (side, seen) in [("breaks", &shown.breaks), ("holds", &shown.holds)] {
            for seen in seen {
                let same = |tally: &&mut Tally| {
                    tally.scenario.name == shown.scenario.name && tally.side == side && tally.seen[0].what == seen.what
                };
                match tallies.iter_mut().find(same) {
                    Some(tally) => tally.seen.push(seen),
                    None => tallies.push(Tally { scenario: shown.scenario, side, seen: vec![seen] }),
                }
            }
        }
    }
    tallies
}

/// Expected against seen, a line a claim.
fn table(tallies: &[Tally]) {
    talk::result(&format!("\n{:<17} {:<7} {:<28} {}", "scenario", "side", "expected", "seen"));
    for Tally { scenario, side, seen } in tallies {
        let first = seen[0];
        // With several seeds the worst of them is told.
        let told = seen.iter().find(|seen| seen.verdict != Verdict::Shown).unwrap_or(&first);
        let expected = format!("{} {}", if first.breaks { "✕" } else { "●" }, first.what);
        let shown = seen.iter().filter(|seen| seen.verdict == Verdict::Shown).count();
        let share = if seen.len() > 1 { format!("{shown} of {}, ", seen.len()) } else { String::new() };
        let mark = mark(told.verdict, told.breaks);
        talk::result(&format!("{:<17} {side:<7} {expected:<28} {share}{mark}: {}", scenario.name, told.text));
    }
}

impl Tally<'_> {
    /// What must hold holds under every seed; what breaks may stay away under one in ten.
    fn exit(&self) -> Exit {
        let count = |verdict: Verdict| self.seen.iter().filter(|seen| seen.verdict == verdict).count();
        if count(Verdict::Betrayed) > 0 {
            Exit::Broken
        } else if count(Verdict::Undecided) > 0 || count(Verdict::Unseen) * 10 > self.seen.len() {
            Exit::Unknown
        } else {
            Exit::Held
        }
    }
}
