//! How the harness reaches a database: starting its nodes, and talking to it.
//!
//! One [`Database`] makes many [`Client`]s. Whether an error certainly means "did not happen" is decided in one function of
//! each adapter; the default is "cannot know". An adapter says what it can do before the run, never in the middle of it.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gainsay_checker::{Atom, Kind, Reading, Steps, Version};
use gainsay_workloads::{Capabilities, Draft};
use serde::{Deserialize, Serialize};

/// A boxed future, so that adapters can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How an operation ended, as the adapter understood it.
#[derive(Clone, Debug)]
pub struct Completion {
    /// `Ok`, `Fail` (certainly did not happen) or `Info` (cannot know).
    pub kind: Kind,
    /// For `Ok`: the steps with what reads returned.
    pub steps: Steps,
    /// The node that served.
    pub node: Option<Arc<str>>,
    /// What the database reported.
    pub version: Option<Version>,
    /// Why not.
    pub error: Option<Arc<str>>,
    /// Whether the database told the session that it cannot go on (its token belongs to a discarded tail): the person is told, and
    /// starts anew.
    pub session_over: bool,
}

/// One session's way to the database. Operations come one at a time.
pub trait Client: Send {
    /// Does `draft`. Never retries anything whose outcome is unknown.
    fn call<'a>(&'a mut self, draft: &'a Draft) -> Answer<'a, Completion>;

    /// Says whose device this is, before the first operation. A database whose clients share nothing need not heed it.
    fn belongs_to(&mut self, _user: usize) {}

    /// Forgets everything the session knew.
    fn renew(&mut self, session: u64);
}

/// What a node says of itself, for the report's lag and clock panels and for choosing the leader as a victim.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NodeStatus {
    /// `leader`, `follower`, `candidate`, `replica`.
    pub role: String,
    /// Its term, where it has one.
    pub term: u64,
    /// Its position in the log: how many entries it has applied.
    pub position: u64,
    /// Its wall clock, nanoseconds since the epoch.
    pub clock_ns: Option<i64>,
    /// Whom it takes for the leader.
    pub leader: Option<String>,
}

/// Where a node is and how its program is to be started.
#[derive(Clone, Debug)]
pub struct NodePlace {
    /// Its name.
    pub name: String,
    /// The address it binds.
    pub bind: IpAddr,
    /// Every node with the address at which *this* node dials it.
    pub peers: Vec<(String, IpAddr)>,
    /// Its directory for data, existing.
    pub data: PathBuf,
}

/// A program to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beside the inherited ones.
    pub env: Vec<(String, String)>,
}

/// A key with what one replica holds of it at the end.
pub type Held = (Atom, Reading, Option<Version>);

/// A database under test.
pub trait Database: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The short label of mode and policies.
    fn label(&self) -> String;

    /// The guarantees that its mode and policies promise.
    fn promises(&self) -> Vec<String>;

    /// Whether the mode claims that the order of writes extends real time.
    fn order_is_real_time(&self) -> bool {
        false
    }

    /// Whether it stores anything; only the no-op database doesn't.
    fn stores(&self) -> bool {
        true
    }

    /// Whether one node leads.
    fn has_leader(&self) -> bool;

    /// Whether it can change its leader when told to.
    fn can_switch_over(&self) -> bool {
        false
    }

    /// Makes the node the leader, in whatever way loses nothing; an error says why not, in a few words.
    fn switch_over<'a>(&'a self, node: &'a str) -> Answer<'a, Result<(), String>> {
        Box::pin(async move { Err(format!("nothing can make {node} the leader")) })
    }

    /// The ports that its nodes listen on, clients' first. Empty where nothing is started.
    fn ports(&self) -> Vec<u16>;

    /// Learns the identity of the run that is about to begin, so that its nodes can tell it from another run on the same machine.
    fn identify(&self, _run: &str) {}

    /// How to start a node; `None` where there are no processes.
    fn program(&self, place: &NodePlace) -> Option<Program>;

    /// How to start the newer version of a node; `None` where there is none.
    fn upgraded(&self, _place: &NodePlace) -> Option<Program> {
        None
    }

    /// Whether there is a newer version of its nodes.
    fn can_upgrade(&self) -> bool {
        false
    }

    /// Tells the adapter how clients reach the nodes; called once, before anything else that talks to them.
    fn connect(&self, nodes: &[(String, IpAddr)]) -> anyhow::Result<()>;

    /// Whether the node is ready; otherwise why not, in a few words.
    fn healthy<'a>(&'a self, node: &'a str) -> Answer<'a, Result<(), String>>;

    /// A client for a session.
    fn client(&self, client: usize, session: u64, seed: u64) -> anyhow::Result<Box<dyn Client>>;

    /// What the node says of itself; `None` where it says nothing.
    fn status<'a>(&'a self, node: &'a str) -> Answer<'a, Option<NodeStatus>>;

    /// What the node itself holds of `keys` (all that were written), without asking other nodes.
    fn final_reads<'a>(&'a self, node: &'a str, keys: &'a [Atom]) -> Answer<'a, Result<Vec<Held>, String>>;

    /// Whether replicas are done talking: called until it says so or the limit is reached. `Err` says what is not settled yet.
    fn settled<'a>(&'a self, nodes: &'a [String]) -> Answer<'a, Result<(), String>>;

    /// A `curl` line that shows a person the node that is reached at `address` (`127.0.0.1:PORT`).
    fn curl(&self, address: &str) -> Option<String>;
}

/// The longest a client waits for an answer; after it the outcome is unknown.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_000);
