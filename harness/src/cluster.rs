//! The nodes of a run: their places, their programs, and what the nemesis may do to them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gainsay_nemesis::backends::Chosen;
use gainsay_nemesis::disk::Options;
use gainsay_nemesis::hosts::{Hosts, NodeState, Spawn, Viewpoint};

use crate::database::{Database, NodePlace, Program};
use crate::monitor::Known;
use crate::signals::Interrupt;
use crate::store::RunDir;

/// How long the nodes may take to become healthy.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often a node that is not yet healthy is asked.
const POLL: Duration = Duration::from_millis(5);

/// The running nodes. Dropping it stops them.
pub struct Cluster {
    nodes: Vec<String>,
    database: Arc<dyn Database>,
    /// Absent for a database without processes.
    hosts: Option<Arc<Hosts>>,
    known: Known,
    dir: RunDir,
    disk: Option<Options>,
}

impl Cluster {
    /// Makes the hosts and tells the database how to reach them; starts nothing yet. With `disk`, each node gets one of its own.
    pub fn new(
        database: Arc<dyn Database>,
        nodes: &[String],
        chosen: &Chosen,
        dir: &RunDir,
        disk: Option<Options>,
    ) -> anyhow::Result<Cluster> {
        let ports = database.ports();
        let hosts = if ports.is_empty() {
            database.connect(&[])?;
            None
        } else {
            let hosts = Arc::new(Hosts::new(chosen, nodes, &ports, dir.path()).context("making the nodes' hosts")?);
            let addresses: Vec<(String, IpAddr)> =
                nodes.iter().map(|node| (node.clone(), hosts.address(Viewpoint::Client, node))).collect();
            database.connect(&addresses)?;
            Some(hosts)
        };
        Ok(Cluster { nodes: nodes.to_vec(), database, hosts, known: Known::default(), dir: dir.clone(), disk })
    }

    /// The names of the nodes.
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// The hosts, where there are processes.
    pub fn hosts(&self) -> Option<&Arc<Hosts>> {
        self.hosts.as_ref()
    }

    /// What the nodes said of themselves last.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Starts every node.
    pub fn start(&self) -> anyhow::Result<()> {
        let Some(hosts) = &self.hosts else { return Ok(()) };
        for node in &self.nodes {
            let place = self.place(hosts, node)?;
            if let Some(disk) = self.disk {
                hosts.mount_disk(node, &place.data, disk).with_context(|| format!("giving {node} a disk"))?;
            }
            let Some(program) = self.database.program(&place) else { continue };
            hosts.spawn(node, &self.spawn(&place, program)).with_context(|| format!("starting {node}"))?;
        }
        Ok(())
    }

    fn spawn(&self, place: &NodePlace, program: Program) -> Spawn {
        Spawn {
            program: program.program,
            args: program.args.into_iter().map(Into::into).collect(),
            env: program.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: place.data.clone(),
            log: self.dir.node(&place.name).join("log"),
        }
    }

    /// Starts a node that is down as the database's newer version.
    pub fn upgrade(&self, node: &str) -> anyhow::Result<()> {
        let hosts = self.hosts.as_ref().context("there are no nodes")?;
        let place = self.place(hosts, node)?;
        let program = self.database.upgraded(&place).with_context(|| format!("there is no newer version of {node}"))?;
        Ok(hosts.spawn(node, &self.spawn(&place, program))?)
    }

    fn place(&self, hosts: &Hosts, node: &str) -> anyhow::Result<NodePlace> {
        let data = self.dir.node(node).join("data");
        std::fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
        let peers = self.nodes.iter().map(|peer| (peer.clone(), hosts.address(Viewpoint::Node(node), peer))).collect();
        Ok(NodePlace { name: node.to_string(), bind: hosts.address(Viewpoint::Node(node), node), peers, data })
    }

    /// Waits until every node is healthy. The error names the node, what it said, and the end of its log.
    pub async fn healthy(&self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        for node in &self.nodes {
            loop {
                let Err(why) = self.database.healthy(node).await else { break };
                anyhow::ensure!(!interrupt.raised(), "interrupted while the nodes started");
                if let Some(hosts) = &self.hosts
                    && let NodeState::Exited { status } = hosts.state(node)
                {
                    anyhow::bail!("{node} ended as it started ({status}){}", self.log_tail(node));
                }
                if Instant::now() >= deadline {
                    anyhow::bail!(
                        "{node} was not healthy within {} s: {why}{}",
                        START_LIMIT.as_secs(),
                        self.log_tail(node)
                    );
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// The last lines of a node's log, for an error message.
    fn log_tail(&self, node: &str) -> String {
        let path = self.dir.node(node).join("log");
        match last_lines(&path, 5) {
            Some(lines) => format!("; the end of {}:\n{lines}", path.display()),
            None => format!("; its log {} is empty", path.display()),
        }
    }

    /// Starts again whatever is down, for instance a node that ended by itself. Returns their names.
    pub fn revive(&self) -> anyhow::Result<Vec<String>> {
        let mut revived = Vec::new();
        let Some(hosts) = &self.hosts else { return Ok(revived) };
        for node in &self.nodes {
            if matches!(hosts.state(node), NodeState::Exited { .. } | NodeState::Killed) {
                hosts.restart(node).with_context(|| format!("starting {node} again"))?;
                revived.push(node.clone());
            }
        }
        Ok(revived)
    }

    /// Stops every node; harmless when they are stopped.
    pub fn stop(&self) {
        if let Some(hosts) = &self.hosts {
            hosts.stop_all();
        }
    }
}

fn last_lines(path: &Path, count: usize) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(count)..];
    (!tail.is_empty()).then(|| tail.join("\n"))
}
