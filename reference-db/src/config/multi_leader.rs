//! The multi-leader mode's flags, and what each combination of them promises.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{Bug, FsyncPolicy, ReadPolicy, Switch, parse_duration, switch, word};

/// Along which links the leaders send each other changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// Each leader sends its own changes to every other.
    AllToAll,
    /// Each sends to the next, which passes on.
    Circular,
    /// All through the first.
    Star,
    /// Up and down a binary tree.
    Tree,
}

/// Whether changes may overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ordering {
    /// They are applied as they come; an update of a row that is not there yet has no effect.
    None,
    /// A change waits for those that its author had seen.
    Causal,
}

/// What becomes of concurrent writes of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Conflicts {
    /// Whichever arrives last stays, on each leader for itself.
    ArrivalOrder,
    /// The latest by wall clock stays.
    Lww,
    /// The write of the higher datacentre stays.
    Priority,
    /// Values are concatenated in order, sets united.
    Merge,
    /// All are kept; whoever read them replaces them.
    Siblings,
    /// A write waits for every datacentre; the second writer is refused.
    Detect,
    /// Each record has a home datacentre, which alone writes it.
    Avoid,
}

/// The mode's own flags.
#[derive(Args, Clone, Debug)]
pub struct MultiLeaderArgs {
    /// multi-leader: followers in each datacentre [default: the nodes that are left, in turn]
    #[arg(long, value_name = "N")]
    pub followers: Option<usize>,
    /// multi-leader: along which links changes travel [default: all-to-all]
    #[arg(long, value_enum)]
    pub topology: Option<Topology>,
    /// multi-leader: whether a change waits for those that its author had seen [default: causal]
    #[arg(long, value_enum)]
    pub ordering: Option<Ordering>,
    /// multi-leader: what becomes of concurrent writes of one row [default: siblings]
    #[arg(long, value_enum)]
    pub conflicts: Option<Conflicts>,
    /// multi-leader: with --conflicts merge, whether sets remember what was removed [default: on]
    #[arg(long, value_enum)]
    pub tombstones: Option<Switch>,
    /// multi-leader: with --conflicts avoid, how long a home may be silent before it moves [default: 1s]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub home_timeout: Option<Duration>,
}

/// The multi-leader mode with its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MultiLeader {
    /// How many datacentres, each with one leader.
    pub datacentres: usize,
    /// How many followers the largest datacentre has.
    pub followers: usize,
    /// Along which links changes travel.
    pub topology: Topology,
    /// Whether changes may overtake each other.
    pub ordering: Ordering,
    /// What becomes of concurrent writes.
    pub conflicts: Conflicts,
    /// Whether merged sets remember what was removed.
    pub tombstones: bool,
    /// How long a home may be silent.
    pub home_timeout: Duration,
    /// Where in its datacentre a session reads.
    pub reads: ReadPolicy,
    /// The planted mistake.
    pub bug: Option<Bug>,
}

impl MultiLeaderArgs {
    /// The flags that were given, for modes that have none of them.
    pub(super) fn given(&self) -> [(&'static str, bool); 6] {
        [
            ("--followers", self.followers.is_some()),
            ("--topology", self.topology.is_some()),
            ("--ordering", self.ordering.is_some()),
            ("--conflicts", self.conflicts.is_some()),
            ("--tombstones", self.tombstones.is_some()),
            ("--home-timeout", self.home_timeout.is_some()),
        ]
    }

    /// The policy for `nodes` nodes, with the flags that other modes have too.
    pub(super) fn policy(
        &self,
        nodes: usize,
        datacentres: Option<usize>,
        reads: Option<ReadPolicy>,
        bug: Option<Bug>,
    ) -> Result<MultiLeader, String> {
        let datacentres = self.datacentres(nodes, datacentres)?;
        let topology = self.topology.unwrap_or(Topology::AllToAll);
        let conflicts = self.conflicts.unwrap_or(Conflicts::Siblings);
        if conflicts == Conflicts::Detect && topology != Topology::AllToAll {
            return Err(
                "--conflicts detect asks every datacentre itself: it goes with --topology all-to-all".to_string()
            );
        }
        if self.tombstones.is_some() && conflicts != Conflicts::Merge {
            return Err("--tombstones goes with --conflicts merge".to_string());
        }
        if self.home_timeout.is_some() && conflicts != Conflicts::Avoid {
            return Err("--home-timeout goes with --conflicts avoid".to_string());
        }
        if let Some(reads) = reads.filter(|reads| reads.is_of_consensus()) {
            return Err(super::raft::only(reads));
        }
        if let Some(reads) = reads
            && !matches!(reads, ReadPolicy::Leader | ReadPolicy::Any | ReadPolicy::Sticky)
        {
            return Err(format!("--reads {reads} goes with --mode single-leader: several leaders have no common log"));
        }
        let policy = MultiLeader {
            datacentres,
            followers: (nodes - datacentres).div_ceil(datacentres),
            topology,
            ordering: self.ordering.unwrap_or(Ordering::Causal),
            conflicts,
            tombstones: self.tombstones.is_none_or(Switch::is_on),
            home_timeout: self.home_timeout.unwrap_or(Duration::from_secs(1)),
            reads: reads.unwrap_or(ReadPolicy::Any),
            bug,
        };
        policy.bug_applies()?;
        Ok(policy)
    }

    fn datacentres(&self, nodes: usize, asked: Option<usize>) -> Result<usize, String> {
        let datacentres = match (asked, self.followers) {
            (Some(datacentres), _) => datacentres,
            (None, Some(followers)) => nodes / followers.saturating_add(1),
            (None, None) => nodes.min(3),
        };
        if datacentres < 1 || datacentres > nodes {
            return Err(format!("--datacentres {datacentres}: between 1 and {nodes} are possible with {nodes} nodes"));
        }
        match self.followers {
            Some(followers) if followers.saturating_add(1).saturating_mul(datacentres) != nodes => Err(format!(
                "--followers {followers}: {datacentres} datacentres with a leader and {followers} followers each are {} nodes, and there are {nodes}",
                followers.saturating_add(1).saturating_mul(datacentres)
            )),
            _ => Ok(datacentres),
        }
    }
}

impl MultiLeader {
    fn bug_applies(&self) -> Result<(), String> {
        let Some(bug) = self.bug else { return Ok(()) };
        let (fits, needs) = match bug {
            _ if bug.is_of_single_leader() => (false, "--mode single-leader"),
            Bug::KeepLoop => (self.topology == Topology::Circular, "--topology circular"),
            Bug::DropChange => (true, ""),
            Bug::DropSibling => (self.conflicts == Conflicts::Siblings, "--conflicts siblings"),
            Bug::IgnoreCause => (self.ordering == Ordering::Causal, "--ordering causal"),
            Bug::ForgetTombstone => (self.conflicts == Conflicts::Merge && self.tombstones, "--conflicts merge"),
            Bug::LeaveTie => (self.conflicts == Conflicts::Lww, "--conflicts lww"),
            Bug::ForgetVote | Bug::AckBeforeCommit | Bug::StaleReadIndex | Bug::ApplyUncommitted => {
                (false, "--mode raft")
            }
            Bug::AckAtHead | Bug::SkipResend => (false, "--mode chain"),
            Bug::ForgetDependency => (false, "--mode partitioned"),
            Bug::SkipFsync => (false, "--mode single-leader or raft"),
            _ => (false, "--mode leaderless"),
        };
        if fits { Ok(()) } else { Err(format!("--bug {} goes with {needs}", word(bug))) }
    }

    /// The short label.
    pub(super) fn label(&self) -> String {
        let mut label = format!(
            "multi-leader datacentres={} topology={} ordering={} conflicts={}",
            self.datacentres,
            word(self.topology),
            word(self.ordering),
            word(self.conflicts)
        );
        if self.followers > 0 {
            label += &format!(" reads={}", self.reads);
        }
        if !self.tombstones {
            label += " tombstones=off";
        }
        if self.conflicts == Conflicts::Avoid {
            label += &format!(" home-timeout={}ms", self.home_timeout.as_millis());
        }
        if let Some(bug) = self.bug {
            label += &format!(" bug={}", word(bug));
        }
        label
    }

    /// The flags that start a node with it.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = vec![
            ("--mode", "multi-leader".to_string()),
            ("--datacentres", self.datacentres.to_string()),
            ("--topology", word(self.topology)),
            ("--ordering", word(self.ordering)),
            ("--conflicts", word(self.conflicts)),
            ("--reads", self.reads.to_string()),
        ];
        if self.conflicts == Conflicts::Merge {
            flags.push(("--tombstones", switch(self.tombstones).to_string()));
        }
        if self.conflicts == Conflicts::Avoid {
            flags.push(("--home-timeout", format!("{}ms", self.home_timeout.as_millis())));
        }
        if let Some(bug) = self.bug {
            flags.push(("--bug", word(bug)));
        }
        flags
    }

    /// Whether no change can arrive before one that its author had seen. Along a ring, a star or a tree there is one path only, and whoever passes on
    /// keeps the order in which he applied.
    fn ordered(&self) -> bool {
        self.ordering == Ordering::Causal || self.topology != Topology::AllToAll
    }

    pub(super) fn promises(&self, fsync: FsyncPolicy) -> Vec<&'static str> {
        let mut promises = Vec::new();
        let nothing_dropped = match self.conflicts {
            Conflicts::Siblings | Conflicts::Detect => true,
            Conflicts::Merge => self.tombstones,
            Conflicts::ArrivalOrder | Conflicts::Lww | Conflicts::Priority | Conflicts::Avoid => false,
        };
        let keeps = nothing_dropped && self.ordered() && fsync == FsyncPolicy::Always;
        if keeps {
            promises.push("lost-writes");
            // A session that reads where it writes sees what it wrote, or what replaced that.
            if self.followers == 0 || self.reads == ReadPolicy::Leader {
                promises.extend(["read-your-writes", "monotonic-reads"]);
            }
            promises.extend(["monotonic-writes", "writes-follow-reads"]);
        }
        if self.conflicts != Conflicts::ArrivalOrder && self.ordered() {
            promises.push("convergence");
        }
        promises
    }
}
