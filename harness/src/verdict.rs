//! From a history to `verdict.json`, and from a run directory to `report.html`.
//!
//! Both work on any run directory, also of a run that died: the history alone decides. So `gainsay check` gives the same
//! verdict as the run did.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use gainsay_checker::finding::{Counts, Outcome};
use gainsay_checker::judge::{Options, Vacuity, judge};
use gainsay_checker::{History, Judgement};
pub use gainsay_reports::words::count as grouped;

use crate::config::RunFile;
use crate::monitor;
use crate::store::RunDir;
use crate::talk;

/// Reads the history at `path`: JSON lines, a JSON array, or EDN.
pub fn read_history(path: &Path) -> anyhow::Result<History> {
    let bytes = crate::input::load(path)?;
    History::read_any(&bytes).with_context(|| format!("in {}", path.display()))
}

/// Judges a run directory and writes its `verdict.json`. `guarantees` replaces what the run asked for.
pub fn judge_dir(dir: &RunDir, guarantees: Option<Vec<String>>) -> anyhow::Result<Judgement> {
    let judgement = judge_file(&dir.file("history.jsonl"), guarantees, Vacuity::Judged)?;
    dir.write_json("verdict.json", &judgement)?;
    Ok(judgement)
}

/// Judges a history file. `vacuity`: whether too little evidence is a verdict of its own.
pub fn judge_file(path: &Path, guarantees: Option<Vec<String>>, vacuity: Vacuity) -> anyhow::Result<Judgement> {
    if let Some(judgement) = measured_only(path)? {
        return Ok(judgement);
    }
    let bytes = crate::input::load(path)?;
    judge_bytes(&bytes, path, guarantees, vacuity)
}

/// Judges the bytes of a history, which came from `path`.
pub fn judge_bytes(
    bytes: &[u8],
    path: &Path,
    guarantees: Option<Vec<String>>,
    vacuity: Vacuity,
) -> anyhow::Result<Judgement> {
    let history = History::read_any(bytes).with_context(|| format!("in {}", path.display()))?;
    Ok(judge(&history, &Options { guarantees, vacuity, ..Options::default() }))
}

/// A history of the no-op database is counted, not judged; it may be too long to hold in memory.
fn measured_only(path: &Path) -> anyhow::Result<Option<Judgement>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).with_context(|| format!("reading {}", path.display()))?;
    let stores = match gainsay_checker::json::parse_event(line.trim_ascii()) {
        Ok(gainsay_checker::Event::Note(note)) if note.f == "run" => {
            serde_json::from_value::<gainsay_checker::Meta>(note.value).map_or(true, |meta| meta.stores)
        }
        _ => true,
    };
    if stores {
        return Ok(None);
    }
    let counts = counted(reader).with_context(|| format!("reading {}", path.display()))?;
    let headline = format!(
        "Measured: {} operations were recorded; a database that stores nothing is not judged.",
        grouped(counts.operations)
    );
    Ok(Some(Judgement {
        format: gainsay_checker::judge::FORMAT,
        result: "held".to_string(),
        headline,
        findings: Vec::new(),
        ledger: None,
        divergence_ms: None,
        counts,
        faults: Vec::new(),
        notes: Vec::new(),
    }))
}

/// Counts operations by how they ended, line by line, holding none.
fn counted(mut reader: impl BufRead) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            // An invocation without a completion is an unknown outcome.
            counts.info = counts.operations - counts.ok - counts.fail;
            return Ok(counts);
        }
        let has = |kind: &str| line.windows(kind.len()).take(TYPE_WITHIN).any(|window| window == kind.as_bytes());
        if has("\"type\":\"invoke\"") {
            counts.operations += 1;
        } else if has("\"type\":\"ok\"") {
            counts.ok += 1;
        } else if has("\"type\":\"fail\"") {
            counts.fail += 1;
        }
    }
}

/// The recorder writes an event's type within so many bytes.
const TYPE_WITHIN: usize = 80;

/// Renders a run directory to its `report.html`.
pub fn write_report(dir: &RunDir) -> anyhow::Result<()> {
    let html = gainsay_reports::run_page(&load_page(dir)?);
    dir.write("report.html", html.as_bytes())
}

/// Everything that a run's page shows.
pub fn load_page(dir: &RunDir) -> anyhow::Result<gainsay_reports::RunPage> {
    let text = std::fs::read(dir.file("verdict.json"));
    let judgement: Judgement = match text {
        Ok(text) => {
            serde_json::from_slice(&text).context("verdict.json is damaged; `gainsay check` writes it again")?
        }
        Err(_) => judge_dir(dir, None)?,
    };
    let run: Option<RunFile> =
        std::fs::read(dir.file("run.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let history = if judgement.findings.is_empty() && judgement.counts.operations > MOST_DRAWN {
        History::default()
    } else {
        read_history(&dir.file("history.jsonl"))?
    };
    Ok(gainsay_reports::RunPage {
        judgement,
        history,
        facts: run.as_ref().map(facts).unwrap_or_default(),
        command: run.as_ref().map(|run| run.config.command.clone()),
        notes: run.as_ref().map(|run| run.notes.clone()).unwrap_or_default(),
        samples: monitor::read(&dir.file("samples.jsonl")).into_iter().map(sample).collect(),
        directory: dir.path().display().to_string(),
    })
}

/// Histories of the no-op database beyond this are not read again for a drawing.
const MOST_DRAWN: u64 = 2_000_000;

fn sample(sample: monitor::Sample) -> gainsay_reports::Sample {
    let status = sample.status;
    gainsay_reports::Sample {
        time: sample.time,
        node: sample.node,
        role: status.as_ref().map(|status| status.role.clone()),
        term: status.as_ref().map(|status| status.term).unwrap_or_default(),
        position: status.as_ref().map(|status| status.position).unwrap_or_default(),
        clock_offset_ns: sample.clock_offset_ns,
    }
}

/// The rows of "what ran".
fn facts(run: &RunFile) -> Vec<(String, String)> {
    let config = &run.config;
    let mut facts = vec![
        ("database", config.label.clone()),
        ("workload", format!("{} by {} clients on {} nodes", config.workload, config.clients, config.nodes.len())),
        (
            "rate",
            config.rate.map_or("as fast as they can".to_string(), |rate| format!("{rate:.0} operations/s intended")),
        ),
        ("load", format!("{:.0} s", config.time_limit.as_secs_f64())),
        ("faults", if config.nemesis.is_empty() { "none".to_string() } else { config.nemesis.join(", ") }),
        ("targets", config.targets.clone()),
        ("seed", config.seed.to_string()),
        ("run", run.run.clone()),
        ("started", run.started.clone()),
        ("gainsay", run.version.clone()),
        (
            "machine",
            format!(
                "Linux {}, {} processors, fsync {:.2} ms{}",
                run.machine.kernel,
                run.machine.processors,
                run.machine.fsync_ms,
                if run.machine.root { ", root" } else { ", ordinary user" }
            ),
        ),
        ("backends", backends(&run.backends)),
    ];
    if let Some(harness) = &run.harness {
        facts.push(("done", format!("{} operations, {:.0} a second", grouped(harness.operations), harness.rate)));
        facts.push((
            "pacing",
            format!(
                "{:.3} ms late at the median, {:.3} at the 99th percentile",
                harness.pacing_ms_p50, harness.pacing_ms_p99
            ),
        ));
    }
    facts.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn backends(value: &serde_json::Value) -> String {
    let part = |name: &str| value.get(name).and_then(|value| value.as_str()).map(|value| format!("{name} {value}"));
    let parts: Vec<String> = ["network", "processes", "clock"].into_iter().filter_map(part).collect();
    parts.join(", ")
}

/// Prints the verdict as a table on stdout.
pub fn print(judgement: &Judgement) {
    talk::result("");
    for finding in &judgement.findings {
        let evidence = &finding.evidence;
        let (word, code, detail) = match &finding.outcome {
            Outcome::Held => (
                "● held",
                "32",
                format!("0 of {} {}{}", grouped(evidence.opportunities), evidence.unit, bound(evidence.upper_bound)),
            ),
            Outcome::Broken { violations, .. } => (
                "✕ broken",
                "31",
                format!("{} of {} {}", grouped(*violations), grouped(evidence.opportunities), evidence.unit),
            ),
            Outcome::Unknown { why } => ("? unknown", "33", why.clone()),
            Outcome::Vacuous { why } => ("○ vacuous", "2", why.clone()),
        };
        let asked = if finding.asked { "" } else { "  (not promised)" };
        let word = talk::paint(code, &format!("{word:<10}"));
        talk::result(&format!("  {:<22} {word} {detail}{}", finding.guarantee, talk::paint("2", asked)));
    }
    for finding in &judgement.findings {
        if let Outcome::Broken { anomalies, .. } = &finding.outcome
            && let Some(first) = anomalies.first()
        {
            talk::result("");
            talk::result(&format!("  {}: {}", talk::paint("1", &first.name), first.sentence));
        }
    }
    talk::result("");
    talk::result(&talk::paint("1", &judgement.headline));
    for note in &judgement.notes {
        talk::result(&format!("  note: {note}"));
    }
}

fn bound(bound: Option<f64>) -> String {
    bound.map(|bound| format!(", at most {:.2} % at 95 %", bound * 100.0)).unwrap_or_default()
}
