//! `gainsay compare`: several runs on one page.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::options::usage;
use crate::exit::Exit;
use crate::store::RunDir;
use crate::{talk, verdict};

/// The flags of `gainsay compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// Run directories
    #[arg(value_name = "DIR", required = true, num_args = 1..)]
    pub paths: Vec<PathBuf>,
    /// Where the page goes
    #[arg(long, short, value_name = "FILE", default_value = "compare.html")]
    pub output: PathBuf,
}

/// Compares.
pub fn main(args: &CompareArgs) -> anyhow::Result<Exit> {
    let mut pages = Vec::new();
    for path in &args.paths {
        let dir = RunDir::open(path).map_err(|error| usage(format!("{error:#}")))?;
        pages.push(verdict::load_page(&dir)?);
    }
    let html = gainsay_reports::compare_page("What each way of replicating kept, and what it cost.", &pages);
    std::fs::write(&args.output, html).with_context(|| format!("writing {}", args.output.display()))?;
    let output = args.output.canonicalize().unwrap_or_else(|_| args.output.clone());
    talk::result(&output.display().to_string());
    Ok(Exit::Held)
}
