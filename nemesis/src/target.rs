//! What a run offers to be harmed: its nodes, who leads them, and the handles by which harm is done.

use std::time::Duration;

use crate::Error;
use crate::disk::Lost;
use crate::link::{Endpoint, LinkProbe, LinkRule, NodeState};

/// The cluster under test, as the engine sees it.
pub trait Target: Send + Sync {
    /// The names of all nodes, in a fixed order.
    fn nodes(&self) -> &[String];

    /// The handles by which nodes are harmed, probed and healed.
    fn body(&self) -> &dyn Body;

    /// Who says that it leads now, highest term first; empty if unknown.
    fn leaders(&self) -> Vec<String>;

    /// Makes `node` the leader as an operator would; returns when it leads. An error where the database can't, or did not.
    fn switch_over(&self, node: &str) -> Result<(), Error> {
        Err(Error(format!("the database has no way to make {node} the leader")))
    }

    /// Starts a node that is down as the database's newer version. An error where there is none, or it does not start.
    fn upgrade(&self, node: &str) -> Result<(), Error> {
        Err(Error(format!("there is no newer version of {node}")))
    }

    /// The ports on which every node listens: the clients' first, then the peers'.
    fn ports(&self) -> &[u16];
}

/// The bodies of the nodes: processes, links and clocks. Every way of running nodes offers exactly this.
pub trait Body: Send + Sync {
    /// Kills the node's whole process tree with SIGKILL.
    fn kill(&self, node: &str) -> Result<(), Error>;
    /// Starts a killed node again, with the same command and data.
    fn restart(&self, node: &str) -> Result<(), Error>;
    /// Stops the node's whole process tree with SIGSTOP.
    fn pause(&self, node: &str) -> Result<(), Error>;
    /// Continues a paused node.
    fn resume(&self, node: &str) -> Result<(), Error>;
    /// What the node's program does now, as the kernel says.
    fn state(&self, node: &str) -> NodeState;
    /// Sets what the directed link does from now on.
    fn set_link(&self, from: &Endpoint, to: &Endpoint, rule: LinkRule) -> Result<(), Error>;
    /// Lets everything pass on all links.
    fn clear_links(&self);
    /// Why this rule cannot be kept faithfully, if it cannot.
    fn link_unsupported(&self, rule: &LinkRule) -> Option<String>;
    /// Tries to connect from one party to a node's port, over the very path that the party's program uses.
    fn probe_link(&self, from: &Endpoint, to: &str, port: u16, timeout: Duration) -> LinkProbe;
    /// Why clocks cannot be set here, if they cannot.
    fn clock_unsupported(&self) -> Option<String>;
    /// Sets how many nanoseconds the node's real-time clock is ahead of ours (behind, if negative).
    fn set_clock_offset(&self, node: &str, offset_ns: i64) -> Result<(), Error>;
    /// The offset that was last set.
    fn clock_offset(&self, node: &str) -> i64;
    /// Measures, in a process that sees the node's clock, how many nanoseconds it is ahead of ours.
    fn probe_clock(&self, node: &str) -> Result<i64, Error>;
    /// Why disks cannot fail here, if they cannot.
    fn disk_unsupported(&self) -> Option<String> {
        Some("the nodes' disks are not ours".to_string())
    }
    /// Kills the node and loses what it had not synced; what that was.
    fn lose_power(&self, node: &str, _seed: u64) -> Result<Lost, Error> {
        Err(Error(format!("the disk of {node} is not ours")))
    }
    /// What the node lost when its power went last.
    fn lost(&self, _node: &str) -> Option<Lost> {
        None
    }
    /// Makes each fsync of a node take so much longer; zero ends it.
    fn delay_fsync(&self, node: &str, _delay: Duration) -> Result<(), Error> {
        Err(Error(format!("the disk of {node} is not ours")))
    }
    /// Makes each fsync of a node fail, or no longer.
    fn fail_fsync(&self, node: &str, _fails: bool) -> Result<(), Error> {
        Err(Error(format!("the disk of {node} is not ours")))
    }
    /// How many fsyncs of the node came late or failed so far.
    fn troubled_fsyncs(&self, _node: &str) -> u64 {
        0
    }
    /// Copies the data directory of a node that is down; how many files that are.
    fn copy_data(&self, node: &str) -> Result<u64, Error> {
        Err(Error(format!("the data of {node} are not ours")))
    }
    /// Asks a node to end, and waits until it has.
    fn end(&self, node: &str) -> Result<(), Error> {
        self.kill(node)
    }
    /// Empties the data directory of a node that is down; how many files it had.
    fn wipe_data(&self, node: &str) -> Result<u64, Error> {
        Err(Error(format!("the data of {node} are not ours")))
    }
    /// How many files the last wipe took.
    fn wiped(&self, _node: &str) -> Option<u64> {
        None
    }
    /// How many files the last restore changed; nothing between a copy and its restore.
    fn restored(&self, _node: &str) -> Option<u64> {
        None
    }
    /// Puts the last copy in the place of the data of a node that is down; how many files had changed since.
    fn restore_data(&self, node: &str) -> Result<u64, Error> {
        Err(Error(format!("the data of {node} are not ours")))
    }
}
