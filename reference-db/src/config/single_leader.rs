//! The flags of the single-leader mode, and what each combination of them promises.
//!
//! like: PostgreSQL (`synchronous_commit`, `synchronous_standby_names`), MySQL (semi-synchronous replication, its time-out), MongoDB (read preferences).

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{Bug, FsyncPolicy, LogFormat, ModeArgs, ReadPolicy, Switch, raft, refuse_foreign, switch, word};

/// When a leader acknowledges a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ack {
    /// Once its own disk has it.
    Async,
    /// Once the disk of one follower, the synchronous one, has it too.
    SemiSync,
    /// Once the disks of all followers have it.
    Sync,
}

/// What a semi-synchronous leader does without any follower to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnSyncLoss {
    /// Writes wait.
    Wait,
    /// It goes on as if asynchronous, quietly.
    Async,
}

/// Who replaces a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Failover {
    /// Nobody: the first node leads, or nobody does.
    Off,
    /// An operator, by a call.
    Manual,
    /// The nodes themselves, by time-out and majority.
    Auto,
    /// The last node alone, which follows and never leads: by time-out, of the followers that it reaches.
    Controller,
}

/// The single-leader mode with its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SingleLeader {
    /// When a write is acknowledged.
    pub ack: Ack,
    /// Without a synchronous follower.
    pub on_sync_loss: OnSyncLoss,
    /// Who replaces a leader.
    pub failover: Failover,
    /// How long a leader may be silent.
    pub failover_timeout: Duration,
    /// Whether a deposed leader is refused.
    pub fencing: bool,
    /// Whether leaders that meet shut each other down.
    pub kill_switch: bool,
    /// Whether the leader's reads need a lease.
    pub lease: bool,
    /// Where clients read.
    pub reads: ReadPolicy,
    /// Into how many datacentres the nodes fall; clients read in their own.
    pub datacentres: usize,
    /// What travels to the followers.
    pub log: LogFormat,
    /// Whether a statement travels with literals in the place of clock and chance.
    pub literals: bool,
    /// What begins otherwise is not replicated.
    pub replicate: Option<String>,
    /// In which format entries travel.
    pub format_version: u8,
    /// A deliberate mistake.
    pub bug: Option<Bug>,
}

impl ModeArgs {
    /// Which of the mode's flags are given.
    pub(super) fn of_single_leader(&self) -> [(&'static str, bool); 7] {
        [
            ("--ack", self.ack.is_some()),
            ("--on-sync-loss", self.on_sync_loss.is_some()),
            ("--failover", self.failover.is_some()),
            ("--failover-timeout", self.failover_timeout.is_some()),
            ("--fencing", self.fencing.is_some()),
            ("--kill-switch", self.kill_switch.is_some()),
            ("--lease", self.lease.is_some()),
        ]
    }

    pub(super) fn single_leader(&self, nodes: usize) -> Result<SingleLeader, String> {
        refuse_foreign(&self.leaderless.given(), "leaderless", "single-leader")?;
        refuse_foreign(&self.multi.given(), "multi-leader", "single-leader")?;
        let datacentres = self.datacentres.unwrap_or(1);
        if !(1..=nodes).contains(&datacentres) {
            return Err(format!("--datacentres {datacentres}: between 1 and {nodes}, the number of nodes"));
        }
        let ack = self.ack.unwrap_or(if nodes > 1 { Ack::SemiSync } else { Ack::Async });
        if ack != Ack::Async && nodes < 2 {
            return Err(format!("--ack {}: there is no follower to confirm with one node", word(ack)));
        }
        if self.on_sync_loss == Some(OnSyncLoss::Async) && ack != Ack::SemiSync {
            return Err("--on-sync-loss async goes with --ack semi-sync".to_string());
        }
        if let Some(reads) = self.reads.filter(|reads| reads.is_of_consensus()) {
            return Err(raft::only(reads));
        }
        if self.failover == Some(Failover::Controller) && nodes < 3 {
            return Err("--failover controller: a leader, a follower and the controller are three nodes".to_string());
        }
        let fencing = self.fencing.is_none_or(Switch::is_on);
        let kill_switch = self.kill_switch.is_some_and(Switch::is_on);
        if kill_switch && fencing {
            return Err("--kill-switch on goes with --fencing off: a fenced leader steps down by itself".to_string());
        }
        let default_reads = if ack == Ack::Async { ReadPolicy::Any } else { ReadPolicy::Token };
        let policy = SingleLeader {
            ack,
            on_sync_loss: self.on_sync_loss.unwrap_or(OnSyncLoss::Wait),
            failover: self.failover.unwrap_or(Failover::Auto),
            failover_timeout: self.failover_timeout.unwrap_or(Duration::from_millis(600)),
            fencing,
            kill_switch,
            lease: self.lease.is_none_or(Switch::is_on),
            reads: self.reads.unwrap_or(default_reads),
            datacentres,
            log: self.logs.format()?,
            literals: self.logs.literals(),
            replicate: self.logs.replicate.clone(),
            format_version: self.logs.version(),
            bug: self.bug,
        };
        policy.bug_fits()?;
        Ok(policy)
    }
}

impl SingleLeader {
    /// The short label.
    pub(super) fn label(&self) -> String {
        let mut label =
            format!("single-leader ack={} failover={} reads={}", word(self.ack), word(self.failover), self.reads);
        if self.datacentres > 1 {
            label += &format!(" datacentres={}", self.datacentres);
        }
        if self.on_sync_loss == OnSyncLoss::Async {
            label += " on-sync-loss=async";
        }
        if self.failover != Failover::Off {
            label += &format!(" fencing={}", switch(self.fencing));
        }
        if self.kill_switch {
            label += " kill-switch=on";
        }
        if !self.lease {
            label += " lease=off";
        }
        label += &self.log_label();
        if let Some(bug) = self.bug {
            label += &format!(" bug={}", word(bug));
        }
        label
    }

    /// The flags that start a node with it.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = vec![
            ("--mode", "single-leader".to_string()),
            ("--ack", word(self.ack)),
            ("--on-sync-loss", word(self.on_sync_loss)),
            ("--failover", word(self.failover)),
            ("--failover-timeout", format!("{}ms", self.failover_timeout.as_millis())),
            ("--fencing", switch(self.fencing).to_string()),
            ("--lease", switch(self.lease).to_string()),
        ];
        flags.extend(self.kill_switch.then(|| ("--kill-switch", switch(true).to_string())));
        flags.extend((self.datacentres > 1).then(|| ("--datacentres", self.datacentres.to_string())));
        flags.extend(self.log_flags());
        flags.extend(self.bug.map(|bug| ("--bug", word(bug))));
        flags
    }

    /// Whether an acknowledged write survives the loss of one node.
    pub(super) fn keeps_acknowledged(&self) -> bool {
        // A controller asks no majority: cut off together with some followers, it makes one of them a second leader.
        let one_leader = self.failover == Failover::Off || (self.fencing && self.failover != Failover::Controller);
        let copied = self.ack != Ack::Async && self.on_sync_loss == OnSyncLoss::Wait;
        one_leader && (copied || self.failover == Failover::Off)
    }

    /// Whether pages travel, not entries.
    pub fn is_physical(&self) -> bool {
        self.log == LogFormat::Wal
    }

    fn bug_fits(&self) -> Result<(), String> {
        let Some(bug) = self.bug else { return Ok(()) };
        let replaces = self.failover != Failover::Off;
        let (fits, needs) = match bug {
            Bug::AckEarly => (self.ack == Ack::SemiSync && replaces, "--ack semi-sync and a failover"),
            // Where clients read is no flag of a node, so it cannot be asked for here.
            Bug::EarlyVisible => (self.ack != Ack::Async && replaces, "--ack semi-sync or sync and a failover"),
            Bug::IgnoreTerm => (replaces && self.fencing, "a failover with fencing"),
            // Pages bring along everything that a leader did, in its order.
            Bug::ForgetTailDiscard => (replaces && !self.is_physical(), "a failover and a log of entries"),
            Bug::ApplyOutOfOrder => (!self.is_physical(), "a log of entries"),
            Bug::SkipFsync => (true, ""),
            _ => (false, "another mode"),
        };
        if fits { Ok(()) } else { Err(format!("--bug {} goes with {needs}", word(bug))) }
    }

    pub(super) fn promises(&self, fsync: FsyncPolicy) -> Vec<&'static str> {
        let mut promises = Vec::new();
        // What is only on the leader is missing wherever else one reads, and after a failover.
        if self.replicate.is_some() {
            return promises;
        }
        let keeps = self.keeps_acknowledged();
        if keeps && (fsync == FsyncPolicy::Always || self.ack != Ack::Async) {
            promises.push("lost-writes");
        }
        // A token refuses what it cannot serve, so what a session saw never shrinks even where a tail was discarded.
        let session = match self.reads {
            ReadPolicy::Token | ReadPolicy::SharedToken => true,
            ReadPolicy::Leader => keeps && self.lease,
            _ => false,
        };
        if self.reads == ReadPolicy::OwnWritesLeader && keeps && self.lease {
            promises.extend(["read-your-writes", "read-your-writes-user"]);
        }
        // What a discarded tail took is lost to the user's next session too.
        if self.reads == ReadPolicy::SharedToken && keeps {
            promises.extend(["read-your-writes-user", "monotonic-reads-user"]);
        }
        if session {
            promises.extend(["read-your-writes", "monotonic-reads"]);
        }
        if keeps {
            promises.extend(["monotonic-writes", "writes-follow-reads", "consistent-prefix"]);
        }
        if (self.failover == Failover::Off || self.fencing) && self.log_converges() {
            promises.push("convergence");
        }
        if self.reads == ReadPolicy::Leader && self.lease && keeps {
            promises.push("linearizable");
        }
        promises
    }
}
