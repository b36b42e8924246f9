//! `gainsay check` and `gainsay report`: the stages after recording, on yesterday's run or on a bare history.

use std::path::PathBuf;

use clap::Args;
use gainsay_checker::judge::Vacuity;

use super::options::{names, usage};
use super::run::json_line;
use crate::exit::Exit;
use crate::store::RunDir;
use crate::{talk, verdict};

/// The flags of `gainsay check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// A run directory, or a history: JSON lines, a JSON array, or EDN
    #[arg(value_name = "DIR|FILE", default_value = "store/latest")]
    pub path: PathBuf,
    /// The guarantees that decide the exit code [default: what the run asked for]
    #[arg(long, value_name = "LIST")]
    pub guarantees: Option<String>,
    /// Prints the verdict as JSON
    #[arg(long)]
    pub json: bool,
}

/// Judges again.
pub fn main(args: &CheckArgs) -> anyhow::Result<Exit> {
    let known: Vec<&str> = gainsay_checker::checkers::CHECKERS.iter().map(|checker| checker.name).collect();
    let asked = args.guarantees.as_deref().map(|list| names("--guarantees", list, &known)).transpose()?;
    let judgement = if args.path.is_dir() {
        let dir = RunDir::open(&args.path).map_err(|error| usage(format!("{error:#}")))?;
        verdict::judge_dir(&dir, asked)?
    } else if args.path.is_file() {
        verdict::judge_file(&args.path, asked, Vacuity::Shown).map_err(|error| usage(format!("{error:#}")))?
    } else {
        return Err(usage(format!("{}: no such run directory or history", args.path.display())));
    };
    if args.json {
        talk::result(&json_line(&judgement, &args.path)?);
    } else {
        verdict::print(&judgement);
    }
    Ok(Exit::of(&judgement))
}

/// The flags of `gainsay report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// A run directory
    #[arg(value_name = "DIR", default_value = "store/latest")]
    pub path: PathBuf,
}

/// Renders again.
pub fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let dir = RunDir::open(&args.path).map_err(|error| usage(format!("{error:#}")))?;
    verdict::write_report(&dir)?;
    talk::result(&dir.file("report.html").display().to_string());
    Ok(Exit::Held)
}
