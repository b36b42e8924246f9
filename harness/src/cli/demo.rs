//! `gainsay demo`: a mode that breaks beside one that holds, under the same seed and faults, on one page.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser};
use gainsay_checker::Judgement;
use gainsay_checker::finding::Outcome;

use super::run::{Prepared, RunArgs, Runner, prepare, wanted};
use crate::exit::Exit;
use crate::store::RunDir;
use crate::{talk, verdict};

/// The flags of `gainsay demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Where run directories go
    #[arg(long, value_name = "DIR", default_value = "store", env = "GAINSAY_STORE")]
    pub store: PathBuf,
    /// Seeds every random choice
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
}

/// A parser for the flags that the demo stands for.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    run: RunArgs,
}

/// What both runs have in common.
const COMMON: &str = "--workload append --time-limit 17s --rate 600 --nemesis partition,kill,pause,clock";
/// The one that breaks.
const BREAKS: &str = "--mode single-leader --ack async --reads any";
/// The one that holds.
const HOLDS: &str = "--mode single-leader --ack semi-sync --reads token";
/// What the first must show.
const EXPECTED: [&str; 3] = ["read-your-writes", "monotonic-reads", "lost-writes"];

/// Shows it.
pub fn main(args: &DemoArgs) -> anyhow::Result<Exit> {
    let breaks = prepared(args, BREAKS)?;
    let holds = prepared(args, HOLDS)?;
    talk::line(
        "Five nodes of a real database on this machine, ten clients, and somebody who cuts cables, kills, pauses and sets clocks wrong.",
    );
    talk::line(
        "First with asynchronous replication, then semi-synchronous with read tokens; the same seed, the same faults.\n",
    );
    let runner = Runner::start(wanted(&breaks.1.faults), &[&breaks.0, &holds.0])?;
    let first = runner.run(&breaks.0, 0, "1 of 2")?;
    if runner.interrupted() {
        talk::result("interrupted");
        return Ok(Exit::Unknown);
    }
    let second = runner.run(&holds.0, 0, "2 of 2")?;
    let exit = summary(&first.judgement, &second.judgement);
    let page = write_page(&first.dir, &second.dir)?;
    talk::result(&page.display().to_string());
    Ok(exit)
}

fn prepared(args: &DemoArgs, flags: &str) -> anyhow::Result<(Prepared, RunArgs)> {
    let words: Vec<String> = format!("{flags} {COMMON}").split_whitespace().map(str::to_string).collect();
    let mut run = Flags::try_parse_from(std::iter::once("run".to_string()).chain(words.clone()))
        .context("the demo's own flags")?
        .run;
    run.load.seed = Some(args.seed);
    run.store = args.store.clone();
    let command = ["gainsay".to_string(), "run".to_string()].into_iter().chain(words).collect();
    Ok((prepare(&run, command)?, run))
}

fn broken<'a>(judgement: &'a Judgement, guarantee: &str) -> Option<(u64, &'a str)> {
    let finding = judgement.findings.iter().find(|finding| finding.guarantee == guarantee)?;
    match &finding.outcome {
        Outcome::Broken { violations, anomalies, .. } => {
            Some((*violations, anomalies.first().map_or("", |anomaly| anomaly.sentence.as_str())))
        }
        _ => None,
    }
}

/// Says what was shown; decides the exit code.
fn summary(first: &Judgement, second: &Judgement) -> Exit {
    let mut exit = Exit::Held;
    talk::result(&format!("\n{}", talk::paint("1", "Asynchronous replication, reads from any replica:")));
    for guarantee in EXPECTED {
        match broken(first, guarantee) {
            Some((violations, sentence)) => {
                talk::result(&format!(
                    "  {} {guarantee}, {violations} times. {sentence}",
                    talk::paint("31", "✕ broke")
                ));
            }
            None => {
                talk::result(&format!(
                    "  {} {guarantee} did not break this time, although it can",
                    talk::paint("33", "? unseen")
                ));
                exit = exit.worst(Exit::Unknown);
            }
        }
    }
    talk::result(&format!(
        "\n{}",
        talk::paint("1", "Semi-synchronous replication, reads with a token, the same faults:")
    ));
    for finding in second.findings.iter().filter(|finding| finding.asked) {
        let of = verdict::grouped(finding.evidence.opportunities);
        match &finding.outcome {
            Outcome::Held => talk::result(&format!(
                "  {} {} (0 of {of} {})",
                talk::paint("32", "● held"),
                finding.guarantee,
                finding.evidence.unit
            )),
            Outcome::Broken { violations, .. } => {
                talk::result(&format!(
                    "  {} {}, {violations} times: a promise was broken",
                    talk::paint("31", "✕ broke"),
                    finding.guarantee
                ));
                exit = exit.worst(Exit::Broken);
            }
            Outcome::Unknown { why } | Outcome::Vacuous { why } => {
                talk::result(&format!("  {} {}: {why}", talk::paint("33", "? undecided"), finding.guarantee));
                exit = exit.worst(Exit::Unknown);
            }
        }
    }
    talk::result("");
    exit
}

/// Both runs on one page, in the directory of the second.
fn write_page(first: &RunDir, second: &RunDir) -> anyhow::Result<PathBuf> {
    let pages = [verdict::load_page(first)?, verdict::load_page(second)?];
    let lost = pages[0].judgement.ledger.as_ref().map_or(0, |ledger| ledger.lost);
    let headline = format!(
        "Same seed, same schedule of faults: asynchronous replication lost {} acknowledged writes; semi-synchronous lost {}.",
        verdict::grouped(lost),
        pages[1]
            .judgement
            .ledger
            .as_ref()
            .map_or("an unknown number".to_string(), |ledger| verdict::grouped(ledger.lost)),
    );
    let html = gainsay_reports::compare_page(&headline, &pages);
    second.write("demo.html", html.as_bytes())?;
    Ok(second.file("demo.html"))
}
