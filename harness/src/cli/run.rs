//! `gainsay run`: one run, or several with rising seeds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use gainsay_checker::Judgement;
use gainsay_nemesis::backends::{
    self, Chosen, Clock, ClockChoice, DiskChoice, Disks, NetworkChoice, ProcessChoice, Wanted,
};
use gainsay_nemesis::disk;
use gainsay_nemesis::faults::needs_disk;
use gainsay_workloads::{Capabilities, WORKLOADS, Workload};

use super::options::{Count, duration, names, nodes, one, rate, usage};
use crate::config::RunConfig;
use crate::database::Database;
use crate::databases::exec::Exec;
use crate::databases::noop::Noop;
use crate::databases::refdb::RefDb;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::run::{self, Finished, Plan};
use crate::signals::Interrupt;
use crate::talk;
use crate::verdict;

/// The faults of a run that names none.
const DEFAULT_NEMESIS: &str = "partition,kill,pause,clock";

/// The flags of `gainsay run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The database: refdb, exec, noop
    #[arg(long, value_name = "NAME", default_value = "refdb", env = "GAINSAY_DB")]
    pub db: String,
    #[command(flatten)]
    pub mode: refdb::config::ModeArgs,
    #[command(flatten)]
    pub exec: ExecArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    pub faults: FaultArgs,
    /// The guarantees that decide the exit code: a list, `all`, or what the mode promises
    #[arg(long, value_name = "LIST", env = "GAINSAY_GUARANTEES")]
    pub guarantees: Option<String>,
    /// How many runs, with seeds SEED, SEED + 1, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub test_count: u64,
    /// Where run directories go
    #[arg(long, value_name = "DIR", default_value = "store", env = "GAINSAY_STORE")]
    pub store: PathBuf,
    /// Writes the verdicts as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Prints the verdicts as JSON on standard output, one line a run
    #[arg(long)]
    pub json: bool,
    /// Keeps the nodes when the run is over, until Ctrl-C, and prints a curl line for each
    #[arg(long)]
    pub leave_db_running: bool,
}

/// A database of one's own.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Any other database (--db exec)")]
pub struct ExecArgs {
    /// The client: a program that reads operations as JSON lines and answers each with a line
    #[arg(long, value_name = "CMD")]
    pub client: Option<String>,
    /// Starts a node; {name} {ip} {dir} {nodes} {peers:PORT} are replaced
    #[arg(long, value_name = "CMD")]
    pub start: Option<String>,
    /// The ports that nodes listen on, clients' first
    #[arg(long, value_name = "PORTS", value_delimiter = ',', default_value = "7000,7001")]
    pub ports: Vec<u16>,
    /// What the database can't do: cas, lists, sets, deletes, atomic-reads
    #[arg(long, value_name = "LIST", default_value = "none")]
    pub without: String,
}

/// What clients do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// What clients do: register, append, set, session
    #[arg(long, short, value_name = "NAME", default_value = "register", env = "GAINSAY_WORKLOAD")]
    pub workload: String,
    /// How many nodes, or their names
    #[arg(long, value_name = "N|NAMES", default_value = "5", value_parser = NodesParser)]
    pub nodes: Nodes,
    /// How many clients: a number, or 2n for two a node
    #[arg(long, value_name = "N", default_value = "2n")]
    pub concurrency: Count,
    /// How long load lasts
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, env = "GAINSAY_TIME_LIMIT")]
    pub time_limit: Duration,
    /// Operations a second over all clients, or max
    #[arg(long, short, value_name = "N", default_value = "1000", value_parser = rate)]
    pub rate: f64,
    /// How many operations a key gets before it retires [default: the workload's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub ops_per_key: Option<u64>,
    /// Seeds every random choice [default: from the clock; printed]
    #[arg(long, value_name = "N", env = "GAINSAY_SEED")]
    pub seed: Option<u64>,
}

/// What is done to the nodes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Faults")]
pub struct FaultArgs {
    /// Which faults: partition, kill, pause, clock, packet, switchover, power, restore, disk-slow, disk-error; none, all (of these); wipe, upgrade
    #[arg(long, value_name = "LIST", default_value = DEFAULT_NEMESIS, env = "GAINSAY_NEMESIS")]
    pub nemesis: String,
    /// Whom they hit: one, minority, majority, primaries, all
    #[arg(long, value_name = "WHOM", default_value = "one")]
    pub targets: String,
    /// From the beginning of one fault to that of the next [default: by the time limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub nemesis_interval: Option<Duration>,
    /// Replays a schedule instead of planning one
    #[arg(long, value_name = "FILE")]
    pub schedule: Option<PathBuf>,
    /// Makes an injector do nothing, to see that the run notices
    #[arg(long, value_name = "FAULT", default_value = "none")]
    pub sabotage: String,
    /// How links are cut: auto, switch, proxy
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub network: NetworkChoice,
    /// What keeps processes together: auto, pidns, shepherd
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub processes: ProcessChoice,
    /// How clocks are skewed: auto, vdso, none
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub clock: ClockChoice,
    /// How disks fail: auto, fuse, none
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub disk: DiskChoice,
    /// What is left of unsynced writes without power: lose (nothing), torn (some sectors), prefix (the first of them)
    #[arg(long, value_name = "HOW", default_value = "lose")]
    pub power: disk::Mode,
    /// Without power, names return too that were changed since a directory was synced
    #[arg(long)]
    pub power_names: bool,
}

/// The names of the nodes.
#[derive(Clone, Debug)]
pub struct Nodes(pub Vec<String>);

#[derive(Clone)]
struct NodesParser;

impl clap::builder::TypedValueParser for NodesParser {
    type Value = Nodes;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Nodes, clap::Error> {
        let inner = clap::builder::StringValueParser::new().try_map(|text| nodes(&text).map(Nodes));
        clap::builder::TypedValueParser::parse_ref(&inner, command, arg, value)
    }
}

/// A checked request for runs: everything but the seed is settled.
pub struct Prepared {
    config: RunConfig,
    workload: &'static Workload,
    args: RunArgs,
    words: Vec<String>,
}

/// Runs as asked.
pub fn main(args: RunArgs) -> anyhow::Result<Exit> {
    let prepared = prepare(&args, command_words())?;
    let (count, json, junit) = (args.test_count, args.json, args.junit.clone());
    let runner = Runner::start(wanted(&args.faults), &[&prepared])?;
    let (mut exit, mut dirs, mut failures) = (Exit::Held, Vec::new(), Vec::new());
    for n in 0..count {
        let title = if count == 1 { "gainsay".to_string() } else { format!("run {} of {count}", n + 1) };
        match runner.run(&prepared, n, &title) {
            Ok(finished) => {
                exit = exit.worst(Exit::of(&finished.judgement));
                show(&finished, json)?;
                dirs.push(finished.dir.clone());
                if finished.interrupted {
                    break;
                }
            }
            Err(error) if count == 1 => return Err(error),
            Err(error) => {
                talk::error(&format!("gainsay: {title}: {error:#}"));
                failures.push(format!("{error:#}"));
                exit = exit.worst(Exit::Failed);
            }
        }
    }
    if let Some(path) = junit {
        write_junit(&path, &dirs)?;
    }
    if count > 1 && !json {
        talk::result(&format!(
            "\n{} runs, {} of them without a verdict; exit code {}",
            dirs.len() + failures.len(),
            failures.len(),
            exit.code()
        ));
    }
    Ok(exit)
}

/// The arguments of this process as they would be typed again, without the seed and what only concerns output.
fn command_words() -> Vec<String> {
    let mut words = vec!["gainsay".to_string()];
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let name = arg.split('=').next().unwrap_or_default();
        if matches!(name, "--seed" | "--test-count" | "--junit" | "--schedule") {
            if !arg.contains('=') {
                args.next();
            }
        } else if name != "--json" {
            words.push(quoted(&arg));
        }
    }
    words
}

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c));
    if plain { word.to_string() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Checks everything that can be checked before anything is started.
pub fn prepare(args: &RunArgs, words: Vec<String>) -> anyhow::Result<Prepared> {
    let workload_names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
    one("--workload", &args.load.workload, &workload_names)?;
    let workload = gainsay_workloads::named(&args.load.workload).ok_or_else(|| usage("--workload: it vanished"))?;
    let kinds: Vec<&str> = gainsay_nemesis::FAULTS.iter().map(|fault| fault.name).collect();
    let mut nemesis = names("--nemesis", &args.faults.nemesis, &kinds)?;
    let sabotage = names("--sabotage", &args.faults.sabotage, &kinds)?;
    args.faults
        .targets
        .parse::<gainsay_nemesis::schedule::Targets>()
        .map_err(|error| usage(format!("--targets: {error}")))?;
    let database = database(args)?;
    if let Some(why) = (workload.refuses)(&database.capabilities()) {
        return Err(usage(format!("--workload {}: not possible with {}: {why}", workload.name, database.label())));
    }
    if database.ports().is_empty() {
        nemesis.clear();
    }
    if !database.can_switch_over() && nemesis.iter().any(|kind| kind == "switchover") {
        let all = args.faults.nemesis == "all";
        anyhow::ensure!(all, usage(format!("--nemesis switchover: {} can't be told who leads", database.label())));
        nemesis.retain(|kind| kind != "switchover");
    }
    if args.faults.nemesis == "all" {
        // A lost disk is beyond what modes promise, and only some runs have a version to upgrade to.
        nemesis.retain(|kind| kind != "wipe" && kind != "upgrade");
    }
    let upgrades = nemesis.iter().any(|kind| kind == "upgrade");
    anyhow::ensure!(
        !upgrades || database.can_upgrade(),
        usage(format!("--nemesis upgrade: {} has no newer version; try --format-version 1", database.label()))
    );
    anyhow::ensure!(args.load.time_limit >= Duration::from_millis(500), usage("--time-limit: at least 500ms"));
    let (guarantees, not_exercised) = asked(args, workload, &*database)?;
    let node_names = args.load.nodes.0.clone();
    if let Some(path) = &args.faults.schedule {
        let schedule = crate::nemesis::read_schedule(path, &node_names);
        let schedule = schedule.map_err(|error| usage(format!("--schedule: {error:#}")))?;
        // What is replayed is what was asked for: a fault of it without effect must make the run no evidence.
        nemesis = Vec::new();
        for fault in schedule.faults {
            if !nemesis.contains(&fault.kind) {
                nemesis.push(fault.kind);
            }
        }
    }
    let faulty = disk::Options { mode: args.faults.power, names: args.faults.power_names, ..disk::Options::default() };
    let config = RunConfig {
        disk: nemesis.iter().any(|kind| needs_disk(kind)).then_some(faulty),
        database: args.db.clone(),
        label: database.label(),
        workload: workload.name.to_string(),
        clients: args.load.concurrency.of(node_names.len()),
        nodes: node_names,
        rate: (args.load.rate > 0.0).then_some(args.load.rate),
        time_limit: args.load.time_limit,
        ops_per_key: args.load.ops_per_key.unwrap_or(workload.ops_per_key),
        nemesis,
        targets: args.faults.targets.clone(),
        nemesis_interval: args.faults.nemesis_interval,
        sabotage,
        schedule: args.faults.schedule.as_ref().map(|path| absolute(path)),
        guarantees,
        not_exercised,
        seed: args.load.seed.unwrap_or_else(seed_from_clock),
        store: absolute(&args.store),
        leave_db_running: args.leave_db_running,
        command: String::new(),
    };
    Ok(Prepared { config, workload, args: args.clone(), words })
}

/// A path that still means the same after a change of directory.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn seed_from_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64 % 1_000_000_007)
}

/// The guarantees asked for, and those that are promised but that the workload cannot exercise.
fn asked(args: &RunArgs, workload: &Workload, database: &dyn Database) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let all: Vec<&str> = gainsay_checker::checkers::CHECKERS.iter().map(|checker| checker.name).collect();
    let exercised = |name: &String| workload.exercises.contains(&name.as_str());
    match args.guarantees.as_deref() {
        None => {
            let (asked, mut other): (Vec<String>, Vec<String>) = database.promises().into_iter().partition(exercised);
            // What is about the rows of one workload is missed in no other.
            other.retain(|name| !of_one_workload(name));
            Ok((asked, other))
        }
        Some("all") => Ok((workload.exercises.iter().map(|name| name.to_string()).collect(), Vec::new())),
        Some(list) => Ok((names("--guarantees", list, &all)?, Vec::new())),
    }
}

fn of_one_workload(guarantee: &str) -> bool {
    WORKLOADS.iter().filter(|workload| workload.exercises.contains(&guarantee)).count() == 1
}

fn database(args: &RunArgs) -> anyhow::Result<Arc<dyn Database>> {
    let known: Vec<&str> = crate::databases::DATABASES.iter().map(|database| database.name).collect();
    one("--db", &args.db, &known)?;
    let exec_only = [("--client", args.exec.client.is_some()), ("--start", args.exec.start.is_some())];
    if let Some((flag, _)) = exec_only.iter().find(|(_, given)| *given && args.db != "exec") {
        return Err(usage(format!("{flag} goes with --db exec, not with --db {}", args.db)));
    }
    Ok(match args.db.as_str() {
        "noop" => Arc::new(Noop),
        "exec" => {
            let client = args
                .exec
                .client
                .clone()
                .ok_or_else(|| usage("--db exec needs --client CMD: a program that speaks JSON lines"))?;
            Arc::new(Exec::new(
                args.exec.start.clone(),
                &client,
                args.exec.ports.clone(),
                abilities(&args.exec.without)?,
            )?)
        }
        _ => Arc::new(RefDb::new(&args.mode, args.load.nodes.0.len())?),
    })
}

fn abilities(without: &str) -> anyhow::Result<Capabilities> {
    let missing = names("--without", without, &["cas", "lists", "sets", "deletes", "atomic-reads"])?;
    let has = |name: &str| !missing.iter().any(|missing| missing == name);
    Ok(Capabilities {
        cas: has("cas"),
        lists: has("lists"),
        sets: has("sets"),
        deletes: has("deletes"),
        atomic_reads: has("atomic-reads"),
    })
}

/// What was asked of the backends.
pub fn wanted(faults: &FaultArgs) -> Wanted {
    Wanted { network: faults.network, processes: faults.processes, clock: faults.clock, disk: faults.disk }
}

/// The container of processes that all runs of this process share.
pub struct Runner {
    chosen: Chosen,
    interrupt: Interrupt,
}

impl Runner {
    /// Probes what this machine allows, chooses, says so, and enters the container. Must be called before any thread exists: what
    /// returns is a forked child.
    pub fn start(wanted: Wanted, prepared: &[&Prepared]) -> anyhow::Result<Runner> {
        let probe = backends::probe();
        let chosen = backends::choose(wanted, &probe).map_err(|error| usage(error.to_string()))?;
        if prepared.iter().any(|prepared| !prepared.config.nemesis.is_empty()) {
            talk::line(&format!(
                "faults by: network {}, processes {}, clock {}, disk {}",
                chosen.network, chosen.processes, chosen.clock, chosen.disk
            ));
            for note in &chosen.notes {
                talk::line(&format!("  {note}"));
            }
        }
        refuse_impossible(&chosen, prepared)?;
        gainsay_nemesis::container::enter(&chosen)?;
        raise_file_limit();
        let interrupt = Interrupt::listen(Box::new(|| {
            talk::error("stopped at once; what was recorded is in the store");
            // The container takes every process along; nothing else needs a destructor.
            exit_now(Exit::Failed);
        }))?;
        Ok(Runner { chosen, interrupt })
    }

    /// Does run `n` of `prepared`.
    pub fn run(&self, prepared: &Prepared, n: u64, title: &str) -> anyhow::Result<Finished> {
        let mut config = prepared.config.clone();
        if self.chosen.clock == Clock::None {
            config.nemesis.retain(|kind| kind != "clock");
        }
        if self.chosen.disk == Disks::None {
            config.nemesis.retain(|kind| !needs_disk(kind));
            config.disk = None;
        }
        config.seed = config.seed.wrapping_add(n);
        config.command = format!("{} --seed {}", prepared.words.join(" "), config.seed);
        talk::line(&format!("{title}: {}, {} workload, seed {}", config.label, config.workload, config.seed));
        if !config.not_exercised.is_empty() {
            talk::line(&format!("  promised, but not exercised by this workload: {}", config.not_exercised.join(", ")));
        }
        let plan = Plan {
            config,
            database: database(&prepared.args)?,
            workload: prepared.workload,
            chosen: self.chosen.clone(),
        };
        let progress = Progress::new(title);
        run::run(&plan, &self.interrupt, &progress)
    }

    /// Whether a signal asked to stop.
    pub fn interrupted(&self) -> bool {
        self.interrupt.raised()
    }
}

/// A fault that was asked for by name and that the chosen techniques cannot do is refused before anything is started; one that is there by
/// default is left out, which has been said.
fn refuse_impossible(chosen: &Chosen, prepared: &[&Prepared]) -> anyhow::Result<()> {
    let asked = |prepared: &&&Prepared| {
        prepared.args.faults.nemesis != DEFAULT_NEMESIS && prepared.config.nemesis.iter().any(|kind| kind == "clock")
    };
    if chosen.clock == Clock::None && prepared.iter().find(asked).is_some() {
        let why = chosen.notes.iter().find(|note| note.starts_with("clock")).cloned();
        let why = why.unwrap_or_else(|| "--clock none".to_string());
        return Err(usage(format!("--nemesis clock: clocks can't be set here ({why}); leave clock out of --nemesis")));
    }
    // `all` is no name: what can't be done is left out, which has been said.
    let disk = prepared.iter().filter(|prepared| prepared.args.faults.nemesis != "all");
    let kind = disk.flat_map(|prepared| &prepared.config.nemesis).find(|kind| needs_disk(kind));
    if let (Disks::None, Some(kind)) = (chosen.disk, kind) {
        let why = chosen.notes.iter().find(|note| note.starts_with("disk")).cloned();
        let why = why.unwrap_or_else(|| "--disk none".to_string());
        return Err(usage(format!("--nemesis {kind}: disks can't fail here ({why}); leave {kind} out of --nemesis")));
    }
    Ok(())
}

/// Ends the process without running anything more.
fn exit_now(exit: Exit) {
    // SAFETY: ends the process; no destructor or buffer is needed any more.
    unsafe { libc::_exit(exit.code()) }
}

/// Many clients and nodes need many descriptors; the soft limit is for programs that use `select`.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Prints what a run found: the table, the report's path, the command that repeats it.
fn show(finished: &Finished, json: bool) -> anyhow::Result<()> {
    if json {
        talk::result(&json_line(&finished.judgement, finished.dir.path())?);
        return Ok(());
    }
    verdict::print(&finished.judgement);
    talk::result(&format!("\nrepeat: {}", finished.command));
    talk::result(&format!("report: {}", finished.dir.file("report.html").display()));
    Ok(())
}

/// A verdict as one line of JSON, with its directory.
pub fn json_line(judgement: &Judgement, dir: &Path) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(judgement)?;
    value["directory"] = serde_json::Value::String(dir.display().to_string());
    Ok(value.to_string())
}

/// Writes the runs' verdicts as JUnit XML.
fn write_junit(path: &Path, dirs: &[crate::store::RunDir]) -> anyhow::Result<()> {
    let pages = dirs.iter().map(verdict::load_page).collect::<anyhow::Result<Vec<_>>>()?;
    let xml = gainsay_reports::junit::junit(&pages)?;
    std::fs::write(path, xml).map_err(|error| anyhow::anyhow!("writing {}: {error}", path.display()))
}
