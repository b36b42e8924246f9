//! One run, phase by phase.
//!
//! ```text
//! start the nodes ▶ wait until healthy ▶ load + nemesis ▶ heal ▶ settle ▶ final reads from every node ▶ stop ▶ judge ▶ report
//! ```
//!
//! Each phase leaves its trace in the run directory before the next begins, and the history is appended all the while; so a run
//! that dies in any phase can still be checked. A first Ctrl-C ends the load and goes on with healing; whatever fails in a
//! later phase is noted, not hidden: missing final reads make losses undecidable, never absent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use gainsay_checker::meta::FORMAT;
use gainsay_checker::{Action, Atom, Function, Judgement, Kind, Meta, OpEvent, Process, Step};
use gainsay_nemesis::backends::Chosen;
use gainsay_workloads::{Params, Workload};
use serde_json::json;
use smallvec::smallvec;

use crate::cluster::Cluster;
use crate::config::{HarnessFigures, RunConfig, RunFile, machine};
use crate::database::{Database, Held};
use crate::forward::Forwards;
use crate::load::{Done, Load, lateness_histogram};
use crate::nemesis::Harm;
use crate::pacing::Pacer;
use crate::progress::Progress;
use crate::recorder::{Recorder, Writer};
use crate::signals::Interrupt;
use crate::store::{RunDir, timestamp};
use crate::{monitor, talk, verdict};

/// How long replicas may take to settle after healing.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// How often they are asked.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// Final reads are recorded as operations of processes from here on, one for each node.
pub const FINAL_PROCESS: u64 = 1 << 40;
/// How long a client may take to end after the load is over.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// What a run needs beside its settings.
#[derive(Clone)]
pub struct Plan {
    /// The settings.
    pub config: RunConfig,
    /// The database.
    pub database: Arc<dyn Database>,
    /// The workload.
    pub workload: &'static Workload,
    /// How faults are injected.
    pub chosen: Chosen,
}

/// What a run leaves.
pub struct Finished {
    /// Its directory.
    pub dir: RunDir,
    /// The verdict.
    pub judgement: Judgement,
    /// The command that repeats it.
    pub command: String,
    /// Whether it was ended by a signal.
    pub interrupted: bool,
}

/// Runs it. An error is the harness's or its surroundings'; the run directory then says so, and keeps what was recorded.
pub fn run(plan: &Plan, interrupt: &Interrupt, progress: &Progress) -> anyhow::Result<Finished> {
    let dir = RunDir::create(&plan.config.store, &format!("{} {}", plan.config.label, plan.config.workload))?;
    let mut file = describe(plan, &dir);
    dir.write_json("run.json", &file)?;
    let outcome = record(plan, &dir, &mut file, interrupt, progress);
    file.state = match &outcome {
        Ok(()) if interrupt.raised() => "interrupted".to_string(),
        Ok(()) => "complete".to_string(),
        Err(error) => format!("failed: {error:#}"),
    };
    let described = dir.write_json("run.json", &file);
    outcome.with_context(|| format!("no verdict; what was recorded is in {}", dir.path().display()))?;
    described?;
    progress.phase("checking");
    let judgement = verdict::judge_dir(&dir, None)?;
    progress.phase("writing the report");
    verdict::write_report(&dir)?;
    progress.finish();
    Ok(Finished { dir, judgement, command: plan.config.command.clone(), interrupted: interrupt.raised() })
}

/// The phases that need the nodes, on a thread of their own: it lives in the clients' network, and so do all threads that its
/// runtime starts.
fn record(
    plan: &Plan,
    dir: &RunDir,
    file: &mut RunFile,
    interrupt: &Interrupt,
    progress: &Progress,
) -> anyhow::Result<()> {
    plan.database.identify(&file.run);
    let cluster =
        Arc::new(Cluster::new(plan.database.clone(), &plan.config.nodes, &plan.chosen, dir, plan.config.disk)?);
    let _stopper = Stopper { cluster: cluster.clone() };
    let outside = plan.config.leave_db_running.then(Forwards::open);
    std::thread::scope(|scope| {
        let cluster = &cluster;
        let thread = std::thread::Builder::new().name("run".to_string()).spawn_scoped(scope, move || {
            if let Some(hosts) = cluster.hosts() {
                hosts.enter_client_network()?;
            }
            runtime(cluster)?.block_on(phases(plan, dir, file, interrupt, progress, cluster, outside))
        })?;
        thread.join().map_err(|_| anyhow::anyhow!("the run panicked"))?
    })
}

fn runtime(cluster: &Arc<Cluster>) -> anyhow::Result<tokio::runtime::Runtime> {
    let hosts = cluster.hosts().cloned();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("client").on_thread_start(move || {
        if let Some(hosts) = &hosts {
            // The thread that builds the runtime has just done the same, so this cannot fail for want of permission.
            hosts.enter_client_network().expect("a thread of the clients enters their network");
        }
    });
    builder.build().context("starting the clients' runtime")
}

fn describe(plan: &Plan, dir: &RunDir) -> RunFile {
    // Not from the seed: two runs of one seed at once must not take each other's nodes for their own. Not from the process's
    // number either, which is the same in every PID namespace.
    let id = format!("{:016x}", rand::random::<u64>());
    RunFile {
        format: 1,
        run: id,
        version: env!("CARGO_PKG_VERSION").to_string(),
        started: timestamp(SystemTime::now()),
        config: plan.config.clone(),
        machine: machine(dir.path()),
        backends: serde_json::to_value(&plan.chosen).unwrap_or_default(),
        state: "running".to_string(),
        harness: None,
        notes: Vec::new(),
    }
}

async fn phases(
    plan: &Plan,
    dir: &RunDir,
    file: &mut RunFile,
    interrupt: &Interrupt,
    progress: &Progress,
    cluster: &Arc<Cluster>,
    outside: Option<Forwards>,
) -> anyhow::Result<()> {
    progress.phase("starting the nodes");
    let began = Instant::now();
    cluster.start()?;
    cluster.healthy(interrupt).await?;
    let startup = began.elapsed();
    let (recorder, writer) =
        Recorder::create(&dir.file("history.jsonl"), Instant::now()).context("creating the history")?;
    recorder.note("run", serde_json::to_value(meta(plan, file))?);
    let session = Session { plan, dir, cluster, recorder: &recorder, interrupt, progress };
    let outcome = session.record(file, startup).await;
    finish(writer, &recorder, outcome)?;
    if let Some(outside) = outside {
        progress.finish();
        outside.serve(plan, cluster, interrupt).await?;
    }
    Ok(())
}

/// The file's own failure (a full disk) explains everything else that failed.
fn finish(writer: Writer, recorder: &Recorder, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
    recorder.note("phase", json!("end"));
    let written = writer.finish();
    written?;
    outcome
}

fn meta(plan: &Plan, file: &RunFile) -> Meta {
    let config = &plan.config;
    Meta {
        format: FORMAT,
        run: file.run.clone(),
        database: config.database.clone(),
        label: config.label.clone(),
        workload: config.workload.clone(),
        nodes: config.nodes.clone(),
        seed: config.seed,
        guarantees: config.guarantees.clone(),
        not_exercised: config.not_exercised.clone(),
        faults: config.nemesis.clone(),
        order_is_real_time: plan.database.order_is_real_time(),
        set_rule: Default::default(),
        stores: plan.database.stores(),
    }
}

/// Stops the nodes when a run ends, however it ends.
struct Stopper {
    cluster: Arc<Cluster>,
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.cluster.stop();
    }
}

/// What the phases of recording share.
struct Session<'a> {
    plan: &'a Plan,
    dir: &'a RunDir,
    cluster: &'a Arc<Cluster>,
    recorder: &'a Recorder,
    interrupt: &'a Interrupt,
    progress: &'a Progress,
}

impl Session<'_> {
    async fn record(&self, file: &mut RunFile, startup: Duration) -> anyhow::Result<()> {
        let watching = Arc::new(AtomicBool::new(false));
        let monitor = tokio::spawn(monitor::watch(
            self.plan.database.clone(),
            self.plan.config.nodes.clone(),
            self.recorder.clone(),
            self.dir.file("samples.jsonl"),
            self.cluster.known().clone(),
            watching.clone(),
        ));
        let outcome = self.load_and_settle(file, startup).await;
        watching.store(true, Ordering::Relaxed);
        if let Ok(Err(error)) = monitor.await {
            file.notes.push(format!("samples.jsonl is incomplete: {error}"));
        }
        outcome
    }

    async fn load_and_settle(&self, file: &mut RunFile, startup: Duration) -> anyhow::Result<()> {
        let done = self.load().await?;
        let keys = self.figures(file, done, startup);
        self.recorder.note("phase", json!("heal"));
        let healed = Instant::now();
        for node in self.cluster.revive()? {
            file.notes.push(format!("{node} was down although no fault was active; it was started again"));
        }
        self.progress.phase("settling");
        match self.settle().await {
            Ok(()) => {
                self.recorder.note("phase", json!("settled"));
                if let Some(figures) = &mut file.harness {
                    figures.settle_ms = Some(healed.elapsed().as_secs_f64() * 1e3);
                }
            }
            Err(why) => {
                self.recorder.note("phase", json!("unsettled"));
                file.notes.push(format!("the replicas did not settle within {} s: {why}", SETTLE_LIMIT.as_secs()));
            }
        }
        self.progress.phase("final reads");
        self.recorder.note("phase", json!("final"));
        file.notes.extend(self.final_reads(&keys).await);
        Ok(())
    }

    /// Load and faults, until the time is over or somebody stops us.
    async fn load(&self) -> anyhow::Result<Vec<Done>> {
        let config = &self.plan.config;
        self.recorder.note("phase", json!("load"));
        let stop = self.interrupt.flag();
        let until = self.recorder.start() + config.time_limit;
        let (pace, due): (Vec<_>, Vec<_>) = (0..config.clients).map(|_| tokio::sync::mpsc::unbounded_channel()).unzip();
        let mut clients = tokio::task::JoinSet::new();
        for (client, due) in due.into_iter().enumerate() {
            let load = self.client(client, config.rate.map(|_| due), until, stop.clone())?;
            clients.spawn(load.run());
        }
        if let Some(rate) = config.rate {
            Pacer { rate, until, stop: stop.clone(), seed: config.seed }.start(pace).context("starting the pacer")?;
        }
        let harm = Harm::start(self.plan, self.dir, self.cluster, self.recorder, until, stop)?;
        self.progress.load(self.recorder, config.time_limit, self.interrupt).await;
        let mut done = Vec::with_capacity(config.clients);
        while let Ok(Some(ended)) = tokio::time::timeout(DRAIN_LIMIT, clients.join_next()).await {
            done.push(ended.context("a client panicked")?);
        }
        self.progress.phase("healing");
        harm.finish().await?;
        anyhow::ensure!(!self.recorder.failed(), "the history can no longer be written");
        Ok(done)
    }

    fn client(
        &self,
        client: usize,
        pace: Option<tokio::sync::mpsc::UnboundedReceiver<Instant>>,
        until: Instant,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Load> {
        let config = &self.plan.config;
        let params = Params {
            client,
            clients: config.clients,
            can: self.plan.database.capabilities(),
            ops_per_key: config.ops_per_key,
        };
        let user = (self.plan.workload.user)(client);
        let mut connection = self.plan.database.client(client, client as u64, config.seed)?;
        if let Some(user) = user {
            connection.belongs_to(user);
        }
        Ok(Load {
            client,
            clients: config.clients,
            user,
            generator: (self.plan.workload.build)(&params),
            connection,
            recorder: self.recorder.clone(),
            pace,
            stop,
            until,
            seed: config.seed,
        })
    }

    /// Sums up the clients; returns the keys that they changed.
    fn figures(&self, file: &mut RunFile, done: Vec<Done>, startup: Duration) -> Vec<Atom> {
        let mut lateness = lateness_histogram();
        let mut keys = BTreeSet::new();
        let mut operations = 0;
        let lost = self.plan.config.clients - done.len();
        for done in done {
            // Both histograms have the same bounds, so nothing can be out of range.
            let _ = lateness.add(&done.lateness);
            operations += done.operations;
            keys.extend(done.keys);
        }
        if lost > 0 {
            file.notes.push(format!("{lost} clients did not end in time and were abandoned"));
        }
        let ms = |quantile| lateness.value_at_quantile(quantile) as f64 / 1e6;
        file.harness = Some(HarnessFigures {
            operations,
            rate: operations as f64 / self.recorder.start().elapsed().as_secs_f64(),
            pacing_ms_p50: ms(0.5),
            pacing_ms_p99: ms(0.99),
            startup_ms: startup.as_secs_f64() * 1e3,
            settle_ms: None,
        });
        keys.into_iter().collect()
    }

    async fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        loop {
            let settled = self.plan.database.settled(self.cluster.nodes()).await;
            match settled {
                Err(why) if Instant::now() >= deadline => return Err(why),
                Err(why) => talk::detail(&format!("not settled yet: {why}")),
                Ok(()) => return Ok(()),
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
    }

    /// Reads every changed key at every node; says what could not be read.
    async fn final_reads(&self, keys: &[Atom]) -> Vec<String> {
        let mut notes = Vec::new();
        for (i, node) in self.cluster.nodes().iter().enumerate() {
            if !self.plan.database.stores() {
                continue;
            }
            match self.plan.database.final_reads(node, keys).await {
                Ok(held) => {
                    for held in held {
                        self.final_read(FINAL_PROCESS + i as u64, node, held);
                    }
                }
                Err(why) => notes.push(format!("the final reads of {node} failed: {why}")),
            }
        }
        notes
    }

    fn final_read(&self, process: u64, node: &str, (key, seen, version): Held) {
        let read = OpEvent {
            index: 0,
            time: 0,
            intended: None,
            kind: Kind::Invoke,
            process: Process(process),
            function: Function::Read,
            steps: smallvec![Step { key: key.clone(), action: Action::Read(None) }],
            session: None,
            user: None,
            node: Some(node.into()),
            version: None,
            error: None,
            last: true,
        };
        self.recorder.operation(read.clone());
        let steps = smallvec![Step { key, action: Action::Read(Some(seen)) }];
        self.recorder.operation(OpEvent { kind: Kind::Ok, steps, version, ..read });
    }
}
