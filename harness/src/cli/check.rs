//! `gainsay check` and `gainsay report`: the stages after recording, on yesterday's run, on a bare history, or on one of another tool.
//!
//! A run of ours is judged for what it promised. Any other file is judged for what it looks made for, or for what `-m` says, in the
//! meaning of elle-cli's flags: a script made for elle-cli changes one word.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use gainsay_checker::inspect::{self, Format, Inspection, Request, Verdict};
use gainsay_checker::judge::Vacuity;
use gainsay_checker::txn::check::Options as TxnOptions;
use gainsay_checker::txn::lattice;
use gainsay_checker::txn::versions::Assume;
use gainsay_checker::{Budget, jepsen};

use super::options::{duration, names, usage};
use super::run::json_line;
use crate::exit::Exit;
use crate::input::{self, Bytes};
use crate::store::RunDir;
use crate::{talk, verdict};

/// The flags of `gainsay check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Run directories, or histories: EDN, JSON, Jepsen's log, plume, AWDIT, dbcop; plain, gzip or zstd; `-` is standard input
    #[arg(value_name = "DIR|FILE", default_value = "store/latest")]
    pub paths: Vec<PathBuf>,
    /// What the history is judged for: list-append, rw-register, cas-register, set, bank, …; `-m list` shows all [default: what it looks made for]
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Transactions: the consistency models that should hold
    #[arg(short, long, value_name = "LIST", default_value = "strict-serializable")]
    pub consistency_models: String,
    /// Transactions: anomalies that count besides what the models prohibit
    #[arg(short, long, value_name = "LIST")]
    pub anomalies: Option<String>,
    /// How the file is written: edn, json, jepsen-log, plume, awdit, dbcop [default: told by its beginning]
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Writes each anomaly's explanation and pictures into this directory
    #[arg(short, long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Registers: a transaction's write follows what it read of the key, also for read uncommitted
    #[arg(long)]
    pub wfr_keys: bool,
    /// Registers: every key is sequentially consistent
    #[arg(long)]
    pub sequential_keys: bool,
    /// Registers: every key is linearizable
    #[arg(long)]
    pub linearizable_keys: bool,
    /// Single objects: asks for sequential consistency instead of linearizability
    #[arg(long)]
    pub sequential: bool,
    /// long-fork: how many keys a group has
    #[arg(short, long, value_name = "N")]
    pub group_size: Option<usize>,
    /// bank: accounts may be overdrawn
    #[arg(short = 'n', long)]
    pub allow_negative_balances: bool,
    /// bank: the largest amount of a transfer
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_transfer: Option<i64>,
    /// bank: what all accounts hold together
    #[arg(short = 'o', long, value_name = "N", allow_negative_numbers = true)]
    pub total_amount: Option<i64>,
    /// How long each search may take, after which it is unknown
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub time_budget: Duration,
    /// How many configurations a search may visit for each key
    #[arg(long, value_name = "N", default_value_t = 20_000_000)]
    pub max_configurations: u64,
    /// How many MiB of configurations a search may hold
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub memory_budget: usize,
    /// `-m staleness`: a read may return one of the newest N versions (N-atomicity); 1 is the newest [default: only measured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_versions: Option<u64>,
    /// `-m staleness`: a read may return what was the newest this long ago (Δ-atomicity) [default: only measured]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub max_age: Option<Duration>,
    /// A run directory: no line of a node's log may match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub log_pattern: Option<String>,
    /// Accepted for elle-cli's sake: searches for cycles need no timeout here
    #[arg(short = 's', long, value_name = "MS", hide = true)]
    pub cycle_search_timeout: Option<u64>,
    /// Accepted for elle-cli's sake: pictures are SVG
    #[arg(short, long, value_name = "FORMAT", hide = true)]
    pub plot_format: Option<String>,
    /// Accepted for elle-cli's sake
    #[arg(short = 't', long, value_name = "MS", hide = true)]
    pub plot_timeout: Option<u64>,
    /// The largest picture that is written
    #[arg(short = 'b', long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub max_plot_bytes: usize,
    /// A run of ours: the guarantees that decide the exit code [default: what the run asked for]
    #[arg(long, value_name = "LIST")]
    pub guarantees: Option<String>,
    /// Prints the verdict as JSON, a line a file
    #[arg(long)]
    pub json: bool,
}

/// Judges.
pub fn main(args: &CheckArgs) -> anyhow::Result<Exit> {
    if args.model.as_deref() == Some("list") {
        for (name, about) in inspect::models() {
            talk::result(&format!("{name:<22} {about}"));
        }
        return Ok(Exit::Held);
    }
    let request = request(args)?;
    let mut exit = Exit::Held;
    for path in &args.paths {
        let one = match file(args, &request, path) {
            Ok(one) => one,
            // One file that cannot be judged must not hide what the others show.
            Err(error) if args.paths.len() > 1 => {
                talk::error(&format!("gainsay: {error:#}"));
                if error.is::<super::options::Usage>() { Exit::Usage } else { Exit::Failed }
            }
            Err(error) => return Err(error),
        };
        exit = exit.worst(one);
    }
    Ok(exit)
}

/// What is asked, from the flags.
fn request(args: &CheckArgs) -> anyhow::Result<Request> {
    let known: Vec<&str> = lattice::MODELS.iter().map(|model| model.name).collect();
    let mut models = Vec::new();
    for name in args.consistency_models.split(',').map(|it| it.trim().trim_start_matches(':')) {
        match lattice::named(name) {
            Some(model) => models.push(model.name.to_string()),
            None => models.extend(names("--consistency-models", name, &known)?),
        }
    }
    let format = match &args.format {
        None => None,
        Some(name) => {
            let all: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
            super::options::one("--format", name, &all)?;
            Format::named(name)
        }
    };
    let anomalies = args.anomalies.as_deref().unwrap_or_default().split(',');
    let anomalies = anomalies.map(|it| it.trim().trim_start_matches(':').to_string()).filter(|it| !it.is_empty());
    let defaults = TxnOptions::default();
    let bytes = args.memory_budget.saturating_mul(1 << 20);
    let budget = Budget { time: args.time_budget, configurations: args.max_configurations, bytes };
    Ok(Request {
        model: args.model.clone(),
        format,
        transactions: TxnOptions {
            models,
            anomalies: anomalies.collect(),
            assume: Assume {
                writes_follow_reads: args.wfr_keys,
                sequential_keys: args.sequential_keys,
                linearizable_keys: args.linearizable_keys,
            },
            budget,
            // Elle says nothing of a value that nobody wrote to a register.
            lenient: args.model.as_deref() == Some("rw-register"),
            ..defaults
        },
        workloads: jepsen::Options {
            group_size: args.group_size.unwrap_or_default(),
            negative_balances: args.allow_negative_balances,
            max_transfer: args.max_transfer,
            total_amount: args.total_amount,
            ..jepsen::Options::default()
        },
        budget,
        stale: inspect::Bound { versions: args.max_versions, age: args.max_age },
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        sequential: args.sequential,
    })
}

fn file(args: &CheckArgs, request: &Request, path: &Path) -> anyhow::Result<Exit> {
    let stdin = path == Path::new("-");
    if !stdin && !path.exists() {
        return Err(usage(format!("{}: no such run directory or history", path.display())));
    }
    if let Some(pattern) = &args.log_pattern {
        return logs(args, path, pattern);
    }
    if path.is_dir() && args.model.is_none() {
        let known: Vec<&str> = gainsay_checker::checkers::CHECKERS.iter().map(|checker| checker.name).collect();
        let asked = args.guarantees.as_deref().map(|list| names("--guarantees", list, &known)).transpose()?;
        let dir = RunDir::open(path).map_err(|error| usage(format!("{error:#}")))?;
        return judged(args, path, &verdict::judge_dir(&dir, asked)?);
    }
    let bytes = input::load(path).map_err(|error| usage(format!("{error:#}")))?;
    if args.model.is_none() && (ours(&bytes) || args.guarantees.is_some()) {
        let known: Vec<&str> = gainsay_checker::checkers::CHECKERS.iter().map(|checker| checker.name).collect();
        let asked = args.guarantees.as_deref().map(|list| names("--guarantees", list, &known)).transpose()?;
        let judgement = verdict::judge_bytes(&bytes, path, asked, Vacuity::Shown);
        return judged(args, path, &judgement.map_err(|error| usage(format!("{error:#}")))?);
    }
    let inspection = inspect::inspect(&bytes, request).map_err(|error| match error {
        inspect::Refused::Model(name, _) => {
            let known: Vec<&str> = inspect::models().into_iter().map(|(name, _)| name).collect();
            super::options::one("--model", &name, &known).err().unwrap_or_else(|| usage(name.clone()))
        }
        other => usage(format!("{}: {other}", path.display())),
    })?;
    shown(args, path, &inspection)
}

fn shown(args: &CheckArgs, path: &Path, inspection: &Inspection) -> anyhow::Result<Exit> {
    if let Some(directory) = &args.directory {
        super::explanations::write(directory, inspection, args.max_plot_bytes)?;
    }
    if args.json || (talk::verbose() && args.model.is_some()) {
        talk::result(&as_json(inspection, path)?);
    } else {
        talk::result(&format!("{}\t{}", path.display(), word(inspection.verdict())));
        super::explanations::print(inspection);
    }
    Ok(match inspection.verdict() {
        Verdict::Holds => Exit::Held,
        Verdict::Violated => Exit::Broken,
        Verdict::Unknown => Exit::Unknown,
    })
}

/// Looks for a pattern in the logs of a run's nodes.
fn logs(args: &CheckArgs, path: &Path, pattern: &str) -> anyhow::Result<Exit> {
    let dir = RunDir::open(path).map_err(|error| usage(format!("{error:#}")))?;
    let logs = dir.logs()?;
    if logs.is_empty() {
        return Err(usage(format!("{}: the run has no log of a node", path.display())));
    }
    let named: Vec<(&str, &[u8])> = logs.iter().map(|(node, text)| (node.as_str(), text.as_slice())).collect();
    let report = jepsen::log_file_pattern(pattern, &named).map_err(|error| {
        let why = error.to_string();
        usage(format!("--log-pattern {pattern:?} is no regular expression: {}", why.lines().last().unwrap_or_default()))
    })?;
    shown(args, path, &Inspection::of_logs(report))
}

fn judged(args: &CheckArgs, path: &Path, judgement: &gainsay_checker::Judgement) -> anyhow::Result<Exit> {
    if args.json {
        talk::result(&json_line(judgement, path)?);
    } else {
        verdict::print(judgement);
    }
    Ok(Exit::of(judgement))
}

/// Whether a history was recorded by us: then its first line says what the run promised, or its lines name sessions.
fn ours(bytes: &Bytes) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match gainsay_checker::json::parse_event(line.trim_ascii()) {
        Ok(gainsay_checker::Event::Note(note)) => note.f == "run",
        Ok(gainsay_checker::Event::Op(op)) => op.session.is_some(),
        Err(_) => false,
    }
}

/// elle-cli's word for a verdict.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "true",
        Verdict::Violated => "false",
        Verdict::Unknown => "unknown",
    }
}

fn as_json(inspection: &Inspection, path: &Path) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(inspection)?;
    value["file"] = path.display().to_string().into();
    value["valid"] = match inspection.verdict() {
        Verdict::Holds => true.into(),
        Verdict::Violated => false.into(),
        Verdict::Unknown => "unknown".into(),
    };
    Ok(value.to_string())
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
