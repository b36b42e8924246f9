//! `gainsay selftest bugs`: each planted mistake with real nodes until it is found, then the same run without it, then with it and without faults.
//!
//! The checkers see a history and what the mode promises, never the mistake. A bug is found when its guarantee breaks within a minute, over as many
//! seeds as that allows; its control has the seed and the faults of the run that found it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gainsay_checker::finding::{Finding, Outcome};
use gainsay_checker::{Judgement, judge::thousands};
use gainsay_nemesis::backends::Wanted;
use serde::Serialize;

use super::SelftestArgs;
use super::planted::{Harm, ROWS, Row};
use crate::cli::gallery;
use crate::cli::options::usage;
use crate::cli::run::{Prepared, Runner};
use crate::exit::Exit;
use crate::talk;

/// No further run is begun for a bug after so long.
const LIMIT: Duration = Duration::from_secs(60);

/// What a run must be like.
#[derive(Clone, Copy)]
struct Kind {
    bug: bool,
    faults: bool,
}

/// What became of a guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Broken,
    Held,
    Undecided,
}

/// What a run says of the guarantee.
#[derive(Debug, Serialize)]
struct Said {
    state: State,
    violations: u64,
    opportunities: u64,
}

/// What is known of a bug in the end: a line of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    bug: String,
    guarantee: &'static str,
    under: &'static str,
    /// Whether it was found.
    found: bool,
    /// From the start of the first run to the verdict that found it, seconds.
    seconds: f64,
    /// How many runs that took.
    runs: u64,
    /// The seed of the last of them.
    seed: u64,
    with_bug: Said,
    /// Without the bug, under the same seed and faults.
    control: Said,
    /// With the bug, without faults; absent where the row has none.
    without_faults: Option<Said>,
    /// Whether it was expected to show without faults.
    expected_without_faults: bool,
}

/// What there is, a line a bug.
pub fn list() {
    for row in ROWS {
        talk::result(&format!("  {:<20} {} ({}; {})", row.name(), row.about, row.breaks, row.under));
    }
}

/// Plays every row that was asked for.
pub fn main(args: &SelftestArgs) -> anyhow::Result<Exit> {
    let wanted = |row: &&Row| args.only.as_ref().is_none_or(|only| row.name().contains(only.as_str()));
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    anyhow::ensure!(!rows.is_empty(), usage("--only: no bug has such a name; `gainsay selftest` lists them"));
    let (rows, beyond): (Vec<&Row>, Vec<&Row>) = rows.into_iter().partition(|row| row.lacks().is_none());
    for row in &beyond {
        let kind = row.lacks().unwrap_or_default();
        talk::error(&format!("{}: left out, as it takes the fault {kind}, which this build does not have", row.name()));
    }
    let first: Vec<Prepared> = rows
        .iter()
        .map(|row| prepared(row, Kind { bug: true, faults: true }, args.seed, args))
        .collect::<anyhow::Result<_>>()?;
    let runner = Runner::start(Wanted::default(), &first.iter().collect::<Vec<_>>())?;
    if !args.json {
        talk::result(&heading());
    }
    // What was not looked for was not found.
    let mut exit = if beyond.is_empty() { Exit::Held } else { Exit::Unknown };
    for row in rows {
        let Some(report) = play(row, &runner, args)? else {
            talk::error("interrupted");
            return Ok(exit.worst(Exit::Unknown));
        };
        tell(&report, args.json)?;
        exit = exit.worst(report.exit());
    }
    Ok(exit)
}

/// Runs until found, then the control, then without faults; `None` if somebody stopped it.
fn play(row: &Row, runner: &Runner, args: &SelftestArgs) -> anyhow::Result<Option<Report>> {
    let started = Instant::now();
    let run = |kind: Kind, seed: u64, what: &str| -> anyhow::Result<Option<Said>> {
        let finished = runner.run(&prepared(row, kind, seed, args)?, 0, &format!("{} {what}", row.name()))?;
        Ok((!runner.interrupted()).then(|| said(&finished.judgement, row.breaks)))
    };
    let (mut runs, mut seed) = (0, args.seed);
    let with_bug = loop {
        let Some(said) = run(Kind { bug: true, faults: true }, seed, "planted")? else { return Ok(None) };
        runs += 1;
        if said.state == State::Broken || started.elapsed() >= LIMIT {
            break said;
        }
        seed = seed.wrapping_add(1);
    };
    let seconds = started.elapsed().as_secs_f64();
    let Some(control) = run(Kind { bug: false, faults: true }, seed, "control")? else { return Ok(None) };
    let without_faults = match &row.harm {
        Harm::Strikes(crate::gallery::Faults::None) => None,
        _ => match run(Kind { bug: true, faults: false }, seed, "without faults")? {
            Some(said) => Some(said),
            None => return Ok(None),
        },
    };
    let found = with_bug.state == State::Broken;
    let (bug, guarantee, under) = (row.name(), row.breaks, row.under);
    Ok(Some(Report {
        bug,
        guarantee,
        under,
        found,
        seconds,
        runs,
        seed,
        with_bug,
        control,
        without_faults,
        expected_without_faults: row.alone,
    }))
}

/// Checks a run and writes down the faults that it shares with its control.
fn prepared(row: &Row, kind: Kind, seed: u64, args: &SelftestArgs) -> anyhow::Result<Prepared> {
    let limit = args.time_limit.as_millis();
    let mut flags = format!("{} {} --db refdb --time-limit {limit}ms", row.mode, row.setting);
    if kind.bug {
        flags += &format!(" --bug {}", row.name());
    }
    let schedule = match &row.harm {
        Harm::Strikes(faults) if kind.faults => {
            faults.schedule(args.time_limit, seed).map(|schedule| written(row, seed, &schedule.to_json(), args))
        }
        _ => None,
    };
    match &row.harm {
        Harm::Kind(name) if kind.faults => flags += &format!(" --nemesis {name}"),
        _ => flags += " --nemesis none",
    }
    let mut words: Vec<String> = flags.split_whitespace().map(str::to_string).collect();
    if let Some(schedule) = schedule.transpose()? {
        words.extend(["--schedule".to_string(), schedule.display().to_string()]);
    }
    gallery::from_words(words, seed, &args.store).with_context(|| format!("the flags of {}", row.name()))
}

fn written(row: &Row, seed: u64, json: &str, args: &SelftestArgs) -> anyhow::Result<PathBuf> {
    let dir = std::path::absolute(&args.store)?.join("selftest");
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let file = dir.join(format!("{}-{}ms-{seed}.json", row.name(), args.time_limit.as_millis()));
    std::fs::write(&file, json).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn said(judgement: &Judgement, guarantee: &str) -> Said {
    let Some(finding) = judgement.findings.iter().find(|finding| finding.guarantee == guarantee) else {
        return Said { state: State::Undecided, violations: 0, opportunities: 0 };
    };
    let (state, violations) = state(finding);
    Said { state, violations, opportunities: finding.evidence.opportunities }
}

fn state(finding: &Finding) -> (State, u64) {
    match finding.outcome {
        Outcome::Broken { violations, .. } => (State::Broken, violations),
        Outcome::Held => (State::Held, 0),
        Outcome::Unknown { .. } | Outcome::Vacuous { .. } => (State::Undecided, 0),
    }
}

impl Report {
    fn exit(&self) -> Exit {
        match (self.found, self.control.state) {
            (_, State::Broken) => Exit::Broken,
            (true, State::Held) => Exit::Held,
            _ => Exit::Unknown,
        }
    }
}

fn heading() -> String {
    format!(
        "{:<20} {:<26} {:<17} {:<30} {:<18} {}",
        "bug", "found", "by", "violations", "without the bug", "without faults"
    )
}

/// Luck decides here, so what was not expected is told and fails nothing.
fn alone(found: bool, expected: bool) -> &'static str {
    match (found, expected) {
        (true, true) => "found",
        (false, false) => "not found",
        (true, false) => "found, unexpectedly",
        (false, true) => "not found, unexpectedly",
    }
}

fn tell(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        talk::result(&serde_json::to_string(report)?);
        return Ok(());
    }
    let runs = if report.runs == 1 { String::new() } else { format!(", {} runs", report.runs) };
    let found = if report.found { "found" } else { "missed" };
    let word = |state: State| match state {
        State::Broken => "broken",
        State::Held => "held",
        State::Undecided => "undecided",
    };
    let text = format!(
        "{:<20} {:<26} {:<17} {:<30} {:<18} {}",
        report.bug,
        format!("{found} after {:.1} s{runs}", report.seconds),
        report.guarantee,
        format!("{} of {}", thousands(report.with_bug.violations), thousands(report.with_bug.opportunities)),
        word(report.control.state),
        match &report.without_faults {
            Some(said) => alone(said.state == State::Broken, report.expected_without_faults),
            None => "(it has none)",
        }
    );
    let well = report.exit() == Exit::Held;
    talk::result(&if well { text } else { talk::paint("31", &text) });
    Ok(())
}
