//! The nodes of a run: their network, their programs, and what may be done to either.
//!
//! One owner for both, because they end together: when [`Hosts`] is dropped the programs are stopped first and their
//! namespaces or proxies go after. Every call that harms returns when the harm is *done* (a killed node is gone, a
//! paused one stands, a cut is in force), so that an engine may write down the moment.

mod disks;
mod family;
mod link;
mod node;
mod program;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use link::{Endpoint, LinkProbe, LinkRule, Viewpoint};
pub use node::NodeState;
pub use program::Spawn;

use crate::Error;
use crate::backends::{Chosen, Clock, Network};
use crate::proxy::Proxy;
use crate::seccomp;
use crate::switch::{self, Switch};
use crate::vdso::{self, ClockPage};
use disks::NodeDisks;
use node::Node;

/// Called while a node stands at its exec, traced by the calling thread: `(node, pid)`.
pub type AfterExec = Box<dyn Fn(&str, i32) -> Result<(), Error> + Send + Sync>;
/// Called in the child just before its exec: async-signal-safe functions only; the error is an `errno`.
pub type BeforeExec = Box<dyn Fn(&str) -> Result<(), i32> + Send + Sync>;

/// How long a stopping node has to end by itself.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The nodes of a run.
pub struct Hosts {
    nodes: Vec<Node>,
    ports: Vec<u16>,
    dir: PathBuf,
    /// From each side (row) to each side (column); side 0 is the clients.
    rules: Mutex<Vec<LinkRule>>,
    /// A page for each node's clock; none where clocks can't be redirected.
    clocks: Arc<HashMap<String, ClockPage>>,
    after_exec: Option<AfterExec>,
    before_exec: Option<BeforeExec>,
    wires: Wires,
    /// Whether nodes' connects are redirected through the proxies; who answers for each node.
    redirect: bool,
    servers: Mutex<HashMap<String, seccomp::Server>>,
    disks: NodeDisks,
}

enum Wires {
    Switch(Switch),
    Proxy(Proxy),
}

impl Hosts {
    /// Sets up the network of `nodes`, each of which may listen on any of `ports`.
    ///
    /// # Errors
    ///
    /// Two nodes have one name, or the chosen network was refused.
    pub fn new(chosen: &Chosen, nodes: &[String], ports: &[u16], dir: &Path) -> Result<Hosts, Error> {
        if let Some((_, twice)) = nodes.iter().enumerate().find(|(index, name)| nodes[..*index].contains(name)) {
            return Err(Error(format!("two nodes are named {twice}")));
        }
        let seed = run_seed();
        let wires = match chosen.network {
            Network::Switch => Wires::Switch(Switch::new(nodes.len(), seed)?),
            Network::Proxy => Wires::Proxy(Proxy::new(nodes.len(), ports)?),
        };
        let clocks = Arc::new(if chosen.clock == Clock::Vdso { clock_pages(nodes, dir)? } else { HashMap::new() });
        let sides = nodes.len() + 1;
        Ok(Hosts {
            nodes: nodes.iter().map(|name| Node::new(name, seed)).collect(),
            ports: ports.to_vec(),
            dir: dir.to_owned(),
            rules: Mutex::new(vec![LinkRule::default(); sides * sides]),
            after_exec: (!clocks.is_empty()).then(|| redirecting(clocks.clone())),
            clocks,
            before_exec: None,
            redirect: chosen.redirect,
            servers: Mutex::default(),
            disks: NodeDisks::new(chosen.disk),
            wires,
        })
    }

    /// Lets `hook` change every program at its exec.
    pub fn set_after_exec(&mut self, hook: AfterExec) {
        self.after_exec = Some(hook);
    }

    /// Lets `hook` prepare every child before its exec.
    pub fn set_before_exec(&mut self, hook: BeforeExec) {
        self.before_exec = Some(hook);
    }

    /// The page that decides what time it is for a node, where its clock is redirected.
    pub fn clock_page(&self, node: &str) -> Option<&ClockPage> {
        self.clocks.get(node)
    }

    /// The nodes' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// Where `from` dials `to`. A node's own address, to bind to, is the one it dials itself by.
    ///
    /// # Panics
    ///
    /// There is no such node.
    pub fn address(&self, from: Viewpoint<'_>, to: &str) -> IpAddr {
        let side = |name: &str| self.side_of(name).unwrap_or_else(|error| panic!("an address was asked for: {error}"));
        let viewer = match from {
            Viewpoint::Client => 0,
            Viewpoint::Node(name) => side(name),
        };
        match &self.wires {
            Wires::Switch(switch) => switch.address(side(to)).into(),
            Wires::Proxy(proxy) => proxy.address(viewer, side(to)).into(),
        }
    }

    /// Moves the calling thread to where clients are.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn enter_client_network(&self) -> Result<(), Error> {
        match &self.wires {
            Wires::Switch(switch) => switch::join(switch.namespace(0)),
            Wires::Proxy(_) => Ok(()),
        }
    }

    /// Starts a node's program.
    ///
    /// # Errors
    ///
    /// The node runs already, or the program cannot be executed.
    pub fn spawn(&self, node: &str, spawn: &Spawn) -> Result<(), Error> {
        self.node(node)?.start(Some(spawn), |spawn, mark| self.execute(node, spawn, mark))
    }

    /// Starts a node's program again, as it was started last. Kills what still runs of it.
    ///
    /// # Errors
    ///
    /// The node was never started, or the program cannot be executed.
    pub fn restart(&self, node: &str) -> Result<(), Error> {
        self.kill(node)?;
        self.node(node)?.start(None, |spawn, mark| self.execute(node, spawn, mark))
    }

    fn execute(&self, node: &str, spawn: &Spawn, mark: &[u8]) -> Result<i32, Error> {
        let namespace = match &self.wires {
            Wires::Switch(switch) => Some(switch.namespace(self.side_of(node)?)),
            Wires::Proxy(_) => None,
        };
        let (before, after) = (self.before_exec.as_ref(), self.after_exec.as_ref());
        match &self.wires {
            Wires::Proxy(proxy) if self.redirect && before.is_none() => {
                let viewer = self.side_of(node)?;
                let redirect = seccomp::Redirect::prepare()?;
                let installer = redirect.installer();
                let before: BeforeExec =
                    Box::new(move |_| installer.install_in_child().map_err(|error| error.raw_os_error().unwrap_or(0)));
                let pid = program::start(node, spawn, mark, namespace, Some(&before), after)?;
                let server = seccomp::serve(redirect.listener()?, proxy.redirection(viewer))?;
                self.servers.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_string(), server);
                Ok(pid)
            }
            _ => program::start(node, spawn, mark, namespace, before, after),
        }
    }

    /// Kills a node with all its processes, wherever they went; none is left when this returns.
    ///
    /// # Errors
    ///
    /// A process did not go within the limit.
    pub fn kill(&self, node: &str) -> Result<(), Error> {
        self.node(node)?.kill()
    }

    /// Asks a node to end, and kills it if it does not.
    ///
    /// # Errors
    ///
    /// It had to be killed, or a process did not go within the limit.
    pub fn end(&self, node: &str) -> Result<(), Error> {
        let held = self.node(node)?;
        held.ask_to_stop();
        let ended = node::await_limit(STOP_GRACE, || !held.has_processes());
        held.kill()?;
        if ended { Ok(()) } else { Err(Error::new(format!("ending {node}"), "it did not end when it was asked to")) }
    }

    /// Stops all of a node's processes; they stand when this returns.
    ///
    /// # Errors
    ///
    /// The node does not run, or a process did not stop within the limit.
    pub fn pause(&self, node: &str) -> Result<(), Error> {
        self.node(node)?.pause()
    }

    /// Lets a paused node go on.
    ///
    /// # Errors
    ///
    /// The node does not run, or a process did not go on within the limit.
    pub fn resume(&self, node: &str) -> Result<(), Error> {
        self.node(node)?.resume()
    }

    /// What the kernel says of a node, now. An unknown node was never started.
    pub fn state(&self, node: &str) -> NodeState {
        self.node(node).map_or(NodeState::NotStarted, Node::state)
    }

    /// A node's first process, while it lives.
    pub fn pid(&self, node: &str) -> Option<i32> {
        self.node(node).ok()?.pid()
    }

    /// Asks every node to end, waits a little, and kills what is left. May be called again.
    pub fn stop_all(&self) {
        for node in &self.nodes {
            node.ask_to_stop();
        }
        node::await_limit(STOP_GRACE, || self.nodes.iter().all(|node| !node.has_processes()));
        for node in &self.nodes {
            // A process that even SIGKILL does not end is left to the container of processes.
            let _ = node.kill();
        }
    }

    /// Puts a rule in force for one direction of a link.
    ///
    /// # Errors
    ///
    /// This network cannot do what the rule says, or there is no such node.
    pub fn set_link(&self, from: &Endpoint, to: &Endpoint, rule: LinkRule) -> Result<(), Error> {
        let index = self.link_index(from, to)?;
        if let Some(why) = self.link_unsupported(&rule) {
            return Err(Error::new(format!("setting the link {from} -> {to}"), why));
        }
        let mut rules = self.rules();
        rules[index] = rule;
        self.apply(&rules)
    }

    /// The rule in force for one direction of a link.
    pub fn link(&self, from: &Endpoint, to: &Endpoint) -> LinkRule {
        self.link_index(from, to).map(|index| self.rules()[index].clone()).unwrap_or_default()
    }

    /// Lets all links pass.
    pub fn clear_links(&self) {
        let mut rules = self.rules();
        rules.fill(LinkRule::default());
        if let Err(error) = self.apply(&rules) {
            // Only a dead network thread refuses, and a later probe of the links will find that.
            eprintln!("gainsay: {error}");
        }
    }

    /// Why this network cannot do `rule`, if it cannot.
    pub fn link_unsupported(&self, rule: &LinkRule) -> Option<String> {
        rule.nonsense().or_else(|| match &self.wires {
            Wires::Switch(_) => None,
            Wires::Proxy(_) => {
                let faults = rule.packet_faults();
                (!faults.is_empty()).then(|| {
                    format!("network=proxy has no packets and cannot do {}: it needs network=switch", faults.join(", "))
                })
            }
        })
    }

    /// Connects to a port of `to` from where `from` is, subject to the rules of both directions.
    pub fn probe_link(&self, from: &Endpoint, to: &str, port: u16, timeout: Duration) -> LinkProbe {
        let (Ok(viewer), Ok(target)) = (self.side(from), self.side_of(to)) else {
            return LinkProbe::TimedOut;
        };
        match &self.wires {
            Wires::Switch(switch) => switch.probe(viewer, target, port, timeout),
            Wires::Proxy(proxy) => proxy.probe(viewer, target, port, timeout),
        }
    }

    /// What is to be recorded of the set-up.
    pub fn describe(&self) -> serde_json::Value {
        let nodes: Vec<_> = self
            .names()
            .map(|name| {
                serde_json::json!({
                    "node": name,
                    "binds": self.address(Viewpoint::Node(name), name),
                    "clients_dial": self.address(Viewpoint::Client, name),
                })
            })
            .collect();
        let network = match &self.wires {
            Wires::Switch(_) => Network::Switch,
            Wires::Proxy(_) => Network::Proxy,
        };
        serde_json::json!({
            "network": network,
            "ports": self.ports,
            "dir": self.dir,
            "nodes": nodes,
        })
    }

    fn apply(&self, rules: &[LinkRule]) -> Result<(), Error> {
        match &self.wires {
            Wires::Switch(switch) => switch.set_rules(rules),
            Wires::Proxy(proxy) => proxy.set_rules(rules),
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<LinkRule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link_index(&self, from: &Endpoint, to: &Endpoint) -> Result<usize, Error> {
        Ok(self.side(from)? * (self.nodes.len() + 1) + self.side(to)?)
    }

    fn side(&self, endpoint: &Endpoint) -> Result<usize, Error> {
        match endpoint {
            Endpoint::Client => Ok(0),
            Endpoint::Node(name) => self.side_of(name),
        }
    }

    fn side_of(&self, node: &str) -> Result<usize, Error> {
        self.nodes
            .iter()
            .position(|known| known.name == node)
            .map(|index| index + 1)
            .ok_or_else(|| Error(format!("there is no node {node}")))
    }

    fn node(&self, name: &str) -> Result<&Node, Error> {
        Ok(&self.nodes[self.side_of(name)? - 1])
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.stop_all();
    }
}

fn clock_pages(nodes: &[String], dir: &Path) -> Result<HashMap<String, ClockPage>, Error> {
    let page = |node: &String| {
        let place = dir.join("nodes").join(node);
        std::fs::create_dir_all(&place).map_err(|error| Error::new(format!("creating {}", place.display()), error))?;
        Ok((node.clone(), ClockPage::create(place.join("clock"))?))
    };
    nodes.iter().map(page).collect()
}

/// Redirects the clock of every program at its exec.
fn redirecting(clocks: Arc<HashMap<String, ClockPage>>) -> AfterExec {
    Box::new(move |node, pid| clocks.get(node).map_or(Ok(()), |page| vdso::redirect(pid, page)))
}

/// Tells one run from another on the same machine.
fn run_seed() -> u64 {
    rand::random()
}
