//! The nemesis of a run: a thread that carries out the schedule, and the notes that it leaves in the history.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gainsay_nemesis::engine::{self, FaultEvent, Happening};
use gainsay_nemesis::hosts::Hosts;
use gainsay_nemesis::schedule::{Plan as Planning, Schedule};
use gainsay_nemesis::target::{Body, Target};
use serde_json::json;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::recorder::Recorder;
use crate::run::Plan;
use crate::store::RunDir;
use crate::talk;

/// How long healing may take after the load is over.
const HEAL_LIMIT: Duration = Duration::from_secs(20);
/// How long a planned change of the leader may take.
const SWITCH_LIMIT: Duration = Duration::from_secs(3);
/// How often its end is looked for.
const POLL: Duration = Duration::from_millis(10);

/// The running nemesis.
pub struct Harm {
    thread: Option<JoinHandle<Result<(), gainsay_nemesis::Error>>>,
}

impl Harm {
    /// Plans or reads the schedule, writes it to the run directory, and starts to carry it out.
    pub fn start(
        plan: &Plan,
        dir: &RunDir,
        cluster: &Arc<Cluster>,
        recorder: &Recorder,
        until: Instant,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Harm> {
        let Some(hosts) = cluster.hosts().cloned() else { return Ok(Harm { thread: None }) };
        let schedule = schedule(plan)?;
        dir.write("schedule.json", schedule.to_json().as_bytes())?;
        let start = recorder.start();
        let victim = Victim {
            nodes: plan.config.nodes.clone(),
            cluster: cluster.clone(),
            hosts,
            ports: plan.database.ports(),
            database: plan.database.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let sabotage = plan.config.sabotage.clone();
        let recorder = recorder.clone();
        let thread = std::thread::Builder::new().name("nemesis".to_string()).spawn(move || {
            let mut sink = |event: FaultEvent| note(&recorder, event);
            engine::run(&schedule, &victim, start, until, &stop, &sabotage, &mut sink)
        })?;
        Ok(Harm { thread: Some(thread) })
    }

    /// Waits until everything is healed.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let deadline = Instant::now() + HEAL_LIMIT;
        while !thread.is_finished() {
            anyhow::ensure!(Instant::now() < deadline, "the nemesis did not heal within {} s", HEAL_LIMIT.as_secs());
            tokio::time::sleep(POLL).await;
        }
        thread.join().map_err(|_| anyhow::anyhow!("the nemesis panicked"))?.context("injecting or healing a fault")
    }
}

/// The schedule in a file, for these nodes.
pub fn read_schedule(path: &Path, nodes: &[String]) -> anyhow::Result<Schedule> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading the schedule {}", path.display()))?;
    let schedule = Schedule::from_json(&text).with_context(|| format!("in {}", path.display()))?;
    schedule.check_nodes(nodes).with_context(|| format!("in {}", path.display()))?;
    Ok(schedule)
}

/// The schedule to carry out: a file's, or a fresh plan.
fn schedule(plan: &Plan) -> anyhow::Result<Schedule> {
    let config = &plan.config;
    if let Some(path) = &config.schedule {
        return read_schedule(path, &config.nodes);
    }
    Ok(engine::plan(&Planning {
        kinds: config.nemesis.clone(),
        targets: config.targets.parse().context("--targets")?,
        nodes: config.nodes.clone(),
        time_limit: config.time_limit,
        interval: config.nemesis_interval,
        seed: config.seed,
        has_leader: plan.database.has_leader(),
    })?)
}

/// What the nemesis may harm.
struct Victim {
    nodes: Vec<String>,
    cluster: Arc<Cluster>,
    hosts: Arc<Hosts>,
    ports: Vec<u16>,
    database: Arc<dyn Database>,
    /// Its threads live in the clients' network, the nemesis does not.
    runtime: tokio::runtime::Handle,
}

impl Target for Victim {
    fn nodes(&self) -> &[String] {
        &self.nodes
    }

    fn body(&self) -> &dyn Body {
        &*self.hosts
    }

    fn leaders(&self) -> Vec<String> {
        self.cluster.known().leaders()
    }

    fn ports(&self) -> &[u16] {
        &self.ports
    }

    fn upgrade(&self, node: &str) -> Result<(), gainsay_nemesis::Error> {
        self.cluster.upgrade(node).map_err(|error| gainsay_nemesis::Error(format!("{error:#}")))
    }

    fn switch_over(&self, node: &str) -> Result<(), gainsay_nemesis::Error> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (database, heir) = (self.database.clone(), node.to_string());
        self.runtime.spawn(async move {
            // Nobody listens any more when the time is over.
            let _ = sender.send(database.switch_over(&heir).await);
        });
        let deadline = Instant::now() + SWITCH_LIMIT;
        let said = receiver.recv_timeout(SWITCH_LIMIT).unwrap_or_else(|_| Err("no answer in time".to_string()));
        // An answer that came too late is not the end of it: what counts is who leads.
        while self.leaders().first().is_none_or(|leader| leader != node) {
            if Instant::now() >= deadline {
                let why = said.err().unwrap_or_else(|| "it does not say so".to_string());
                return Err(gainsay_nemesis::Error(format!("{node} was not made the leader: {why}")));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// A fault's life as notes of the history, under Jepsen's names.
fn note(recorder: &Recorder, event: FaultEvent) {
    let starts = |kind: &str| match kind {
        "kill" => "kill",
        "pause" => "pause",
        "clock" => "bump-clock",
        "packet" => "start-packet",
        "switchover" => "start-switchover",
        "power" => "power-off",
        "restore" => "restore",
        "wipe" => "wipe",
        "upgrade" => "start-upgrade",
        "disk-slow" => "start-slow-disk",
        "disk-error" => "start-failing-disk",
        _ => "start-partition",
    };
    let ends = |kind: &str| match kind {
        "kill" => "start",
        "pause" => "resume",
        "clock" => "reset-clock",
        "packet" => "stop-packet",
        "switchover" => "stop-switchover",
        "power" | "restore" | "wipe" => "start",
        "upgrade" => "stop-upgrade",
        "disk-slow" => "stop-slow-disk",
        "disk-error" => "stop-failing-disk",
        _ => "stop-partition",
    };
    let kind = event.kind.as_str();
    let (f, phase, why) = match &event.what {
        Happening::Started { what } => {
            talk::detail(&format!("fault {}: {kind} {what}", event.id));
            let value = json!({"fault": event.id, "kind": kind, "phase": "start", "nodes": event.nodes, "what": what});
            recorder.note(starts(kind), value);
            return;
        }
        Happening::Proven { why } => (starts(kind), "proven", why.clone()),
        Happening::NoEffect { why } => (starts(kind), "no-effect", why.clone()),
        Happening::Indeterminate { why } => (starts(kind), "indeterminate", why.clone()),
        Happening::EndedEarly { why } => (ends(kind), "early-end", why.clone()),
        Happening::Ended { why } => (ends(kind), "end", why.clone()),
    };
    talk::detail(&format!("fault {}: {phase} {why}", event.id));
    recorder.note(f, json!({"fault": event.id, "kind": kind, "phase": phase, "why": why}));
}
