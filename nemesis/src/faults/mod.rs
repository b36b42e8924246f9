//! The faults: one file per kind, one table that lists them. A fault does its harm, proves by a probe on the nodes' own
//! paths that the harm is real, notices when somebody else undoes it, and undoes it itself. A probe that finds nothing
//! says so: a run whose nemesis was a blank must not pass for a run that withstood it.

use std::time::Duration;

use crate::Error;
use crate::link::{Endpoint, LinkProbe};
use crate::schedule::Params;
use crate::target::{Body, Target};

mod clock;
mod disk;
mod kill;
mod packet;
mod partition;
mod pause;
mod power;
mod restore;
mod switchover;
mod upgrade;
mod wipe;

/// How long a connect may take before a probe calls it timed out.
pub const PROBE_LIMIT: Duration = Duration::from_millis(250);

/// What one fault works on: the cluster, the victims as resolved, the parameters as planned.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The cluster.
    pub target: &'a dyn Target,
    /// Whom the fault strikes, by name.
    pub victims: &'a [String],
    /// What the schedule says beside the victims.
    pub params: Params,
}

/// What a probe found out about an injected fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The harm is real.
    Proven(String),
    /// The harm is not there.
    NoEffect(String),
    /// The probe cannot tell.
    Indeterminate(String),
}

/// One kind of harm. `inject`, `heal` and the questions may be called any number of times.
pub trait Fault: Send + Sync {
    /// Why this cannot be done faithfully here, if so.
    fn unsupported(&self, body: &dyn Body) -> Option<String>;
    /// What is about to be done, in words.
    fn describe(&self, scene: Scene<'_>) -> String;
    /// Does the harm.
    fn inject(&self, scene: Scene<'_>) -> Result<(), Error>;
    /// Finds out, on the nodes' own paths, whether the harm is real.
    fn prove(&self, scene: Scene<'_>) -> Proof;
    /// Says what undid the harm before its time, if anything did.
    fn watch(&self, scene: Scene<'_>) -> Option<String>;
    /// Undoes the harm.
    fn heal(&self, scene: Scene<'_>) -> Result<(), Error>;
    /// Proves that the harm is undone; the error says what is still amiss.
    fn healed(&self, scene: Scene<'_>) -> Result<String, Error>;
}

/// A row of the table of faults.
pub struct Entry {
    /// The name on the command line and in schedules.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// What the machine must offer, in one line.
    pub needs: &'static str,
    /// The harm itself.
    pub fault: &'static dyn Fault,
}

/// Every kind of fault.
pub const FAULTS: &[Entry] = &[
    Entry {
        name: "partition",
        about: "cuts links between nodes, both ways or one way; clients still reach every node",
        needs: "a network that the harness forwards",
        fault: &partition::Partition,
    },
    Entry {
        name: "kill",
        about: "kills a node's processes with SIGKILL and starts it again with its data",
        needs: "nodes started by the harness",
        fault: &kill::Kill,
    },
    Entry {
        name: "pause",
        about: "stops a node's processes with SIGSTOP: connections stand, nothing is answered",
        needs: "nodes started by the harness",
        fault: &pause::Pause,
    },
    Entry {
        name: "clock",
        about: "sets a node's real-time clock ahead or behind, by up to 288 s",
        needs: "ptrace, to redirect the node's clock",
        fault: &clock::Clock,
    },
    Entry {
        name: "packet",
        about: "makes a node's links to all others slow and, where the network allows, lossy",
        needs: "a network that the harness forwards",
        fault: &packet::Packet,
    },
    Entry {
        name: "switchover",
        about: "makes another node the leader as an operator would, while the old one lives",
        needs: "a database that can change its leader when told to",
        fault: &switchover::Switchover,
    },
    Entry {
        name: "power",
        about: "kills a node and loses what it had not fsynced, as a machine does whose power goes",
        needs: "FUSE, for a disk that remembers what was synced",
        fault: &power::Power,
    },
    Entry {
        name: "restore",
        about: "puts a copy that was taken a second ago in the place of a node's data",
        needs: "nodes started by the harness",
        fault: &restore::Restore,
    },
    Entry {
        name: "wipe",
        about: "kills a node and starts it again with an empty disk, as a new one",
        needs: "nodes started by the harness",
        fault: &wipe::Wipe,
    },
    Entry {
        name: "upgrade",
        about: "ends a node and starts it again as the database's newer version",
        needs: "a database of which there are two versions",
        fault: &upgrade::Upgrade,
    },
    Entry {
        name: "disk-slow",
        about: "makes every fsync of a node take 50 to 400 ms longer",
        needs: "FUSE, for a disk of the harness's own",
        fault: &disk::Disk::Slow,
    },
    Entry {
        name: "disk-error",
        about: "makes every fsync of a node fail with EIO",
        needs: "FUSE, for a disk of the harness's own",
        fault: &disk::Disk::Error,
    },
];

/// Whether a kind needs the nodes to have disks of the harness's own.
pub fn needs_disk(kind: &str) -> bool {
    matches!(kind, "power" | "disk-slow" | "disk-error")
}

/// The row of a fault; the error lists all names.
pub fn find(kind: &str) -> Result<&'static Entry, Error> {
    FAULTS.iter().find(|entry| entry.name == kind).ok_or_else(|| {
        let names: Vec<&str> = FAULTS.iter().map(|entry| entry.name).collect();
        Error(format!("unknown fault {kind:?}: the faults are {}", names.join(", ")))
    })
}

/// Why a kind cannot be done faithfully with these nodes, asked before the run.
pub fn unsupported(kind: &str, body: &dyn Body) -> Option<String> {
    match find(kind) {
        Ok(entry) => entry.fault.unsupported(body),
        Err(error) => Some(error.to_string()),
    }
}

impl<'a> Scene<'a> {
    /// The handles of the nodes.
    pub fn body(&self) -> &'a dyn Body {
        self.target.body()
    }

    /// The port on which nodes meet each other (the clients' port where there is no other).
    fn peer_port(&self) -> u16 {
        let ports = self.target.ports();
        ports.get(1).or(ports.first()).copied().unwrap_or_default()
    }

    /// The port on which clients meet nodes.
    fn client_port(&self) -> u16 {
        self.target.ports().first().copied().unwrap_or_default()
    }

    /// The nodes that are no victims.
    fn others(&self) -> Vec<&'a str> {
        self.target.nodes().iter().filter(|n| !self.victims.contains(n)).map(String::as_str).collect()
    }
}

/// One connect to try.
struct Connect<'a> {
    from: Endpoint,
    to: &'a str,
    port: u16,
}

/// Tries connects all at once, each within the limit; the answers come in the order of the questions.
fn connects(body: &dyn Body, tries: &[Connect<'_>], limit: Duration) -> Vec<LinkProbe> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            tries.iter().map(|c| scope.spawn(move || body.probe_link(&c.from, c.to, c.port, limit))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or(LinkProbe::TimedOut)).collect()
    })
}

/// Whether clients can connect to every one of these nodes.
fn clients_reach(scene: Scene<'_>, nodes: &[String]) -> Result<(), String> {
    let port = scene.client_port();
    let tries: Vec<Connect<'_>> =
        nodes.iter().map(|to| Connect { from: Endpoint::Client, to: to.as_str(), port }).collect();
    for (try_, answer) in tries.iter().zip(connects(scene.body(), &tries, PROBE_LIMIT)) {
        match answer {
            LinkProbe::Connected(_) => {}
            LinkProbe::Refused => return Err(format!("{} refuses clients on port {port}", try_.to)),
            LinkProbe::TimedOut => return Err(format!("clients get no answer from {} on port {port}", try_.to)),
        }
    }
    Ok(())
}

/// Does something to each victim; the first error wins, the others are struck all the same.
fn each(victims: &[String], mut act: impl FnMut(&str) -> Result<(), Error>) -> Result<(), Error> {
    let mut first = Ok(());
    for victim in victims {
        let done = act(victim);
        if first.is_ok() {
            first = done;
        }
    }
    first
}
