//! The leaderless mode's flags, and what each combination of them promises.
//!
//! like: Dynamo and Riak (`n`, `w`, `r`, sloppy quorums, hints, vectors), Cassandra (`lww`, `LOCAL_QUORUM`, `gc_grace_seconds`).

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{Bug, FsyncPolicy, Switch, parse_duration, switch, word};

/// How concurrent writes are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// By wall-clock time stamps: the last write wins.
    Lww,
    /// By version vectors: concurrent writes are kept as siblings.
    Vectors,
}

/// Who sends a leaderless request to the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Coordinator {
    /// The client itself.
    Client,
    /// A node.
    Node,
}

/// Without this a tombstone is kept for so long.
const GRACE: Duration = Duration::from_secs(600);

/// No replica is supposed to be away for longer.
const AWAY: Duration = Duration::from_secs(60);

/// The flags of the mode.
#[derive(Args, Clone, Debug)]
pub struct LeaderlessArgs {
    /// leaderless: replicas of each key in each datacentre [default: all nodes of a datacentre]
    #[arg(long)]
    pub n: Option<usize>,
    /// leaderless: replicas that must have a write [default: a majority of n]
    #[arg(long)]
    pub w: Option<usize>,
    /// leaderless: replicas that must answer a read [default: a majority of n]
    #[arg(long)]
    pub r: Option<usize>,
    /// leaderless: how concurrent writes are told apart [default: vectors]
    #[arg(long, value_enum)]
    pub versions: Option<Versions>,
    /// leaderless: who sends to the replicas [default: node]
    #[arg(long, value_enum)]
    pub coordinator: Option<Coordinator>,
    /// leaderless: whether a read mends the stale replicas that it meets [default: on]
    #[arg(long, value_enum)]
    pub read_repair: Option<Switch>,
    /// leaderless: whether replicas compare themselves in the background [default: on]
    #[arg(long, value_enum)]
    pub anti_entropy: Option<Switch>,
    /// leaderless: whether other nodes stand in for replicas that can't be reached [default: off]
    #[arg(long, value_enum)]
    pub sloppy: Option<Switch>,
    /// leaderless: whether stand-ins hand over to the replicas once they are back [default: as --sloppy]
    #[arg(long, value_enum)]
    pub hints: Option<Switch>,
    /// leaderless: how long a replica remembers that a key was deleted [default: 600s]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub tombstone_grace: Option<Duration>,
}

/// The leaderless mode with its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Leaderless {
    /// Replicas of each key in each datacentre.
    pub n: usize,
    /// Replicas that must have a write, of those in the coordinator's datacentre.
    pub w: usize,
    /// Replicas that must answer a read, of those in the coordinator's datacentre.
    pub r: usize,
    /// How concurrent writes are told apart.
    pub versions: Versions,
    /// Who sends to the replicas.
    pub coordinator: Coordinator,
    /// Whether a read mends stale replicas.
    pub read_repair: bool,
    /// Whether replicas compare themselves in the background.
    pub anti_entropy: bool,
    /// Whether others stand in for replicas that can't be reached.
    pub sloppy: bool,
    /// Whether stand-ins hand over.
    pub hints: bool,
    /// How long a tombstone is kept.
    pub tombstone_grace: Duration,
    /// Into how many datacentres the nodes fall.
    pub datacentres: usize,
    /// A deliberate mistake.
    pub bug: Option<Bug>,
}

impl LeaderlessArgs {
    /// The flags, each with whether it was given.
    pub fn given(&self) -> [(&'static str, bool); 10] {
        [
            ("--n", self.n.is_some()),
            ("--w", self.w.is_some()),
            ("--r", self.r.is_some()),
            ("--versions", self.versions.is_some()),
            ("--coordinator", self.coordinator.is_some()),
            ("--read-repair", self.read_repair.is_some()),
            ("--anti-entropy", self.anti_entropy.is_some()),
            ("--sloppy", self.sloppy.is_some()),
            ("--hints", self.hints.is_some()),
            ("--tombstone-grace", self.tombstone_grace.is_some()),
        ]
    }

    /// The policies for a cluster of `nodes` nodes in `datacentres` datacentres, with the flags that other modes may have too.
    ///
    /// # Errors
    /// One sentence that names the flag, where flags contradict each other.
    pub fn policy(&self, nodes: usize, datacentres: usize, bug: Option<Bug>) -> Result<Leaderless, String> {
        if datacentres < 1 || datacentres > nodes {
            return Err(format!("--datacentres {datacentres}: between 1 and {nodes} is possible"));
        }
        // Nodes are dealt out evenly, so the smallest datacentre has so many.
        let each = nodes / datacentres;
        let n = self.n.unwrap_or(each);
        let (w, r) = (self.w.unwrap_or(n / 2 + 1), self.r.unwrap_or(n / 2 + 1));
        for (flag, value, most) in [("--n", n, each), ("--w", w, n), ("--r", r, n)] {
            if value < 1 || value > most {
                return Err(format!("{flag} {value}: between 1 and {most} is possible"));
            }
        }
        let sloppy = self.sloppy.is_some_and(Switch::is_on);
        if sloppy && n >= each {
            return Err(format!(
                "--sloppy on: all {each} nodes of a datacentre hold every key, so none can stand in; lower --n"
            ));
        }
        if !sloppy && self.hints.is_some_and(Switch::is_on) {
            return Err("--hints on goes with --sloppy on".to_string());
        }
        let versions = self.versions.unwrap_or(Versions::Vectors);
        self.bug_fits(bug, versions, sloppy)?;
        Ok(Leaderless {
            n,
            w,
            r,
            versions,
            coordinator: self.coordinator.unwrap_or(Coordinator::Node),
            read_repair: self.read_repair.is_none_or(Switch::is_on),
            anti_entropy: self.anti_entropy.is_none_or(Switch::is_on),
            sloppy,
            hints: self.hints.map_or(sloppy, Switch::is_on),
            tombstone_grace: self.tombstone_grace.unwrap_or(GRACE),
            datacentres,
            bug,
        })
    }

    /// A mistake that nothing can meet would pass every run, and prove nothing.
    fn bug_fits(&self, bug: Option<Bug>, versions: Versions, sloppy: bool) -> Result<(), String> {
        let Some(bug) = bug else { return Ok(()) };
        let needs = match bug {
            _ if bug.is_of_single_leader() => "--mode single-leader",
            Bug::ForgetHint if !sloppy || self.hints == Some(Switch::Off) => "--sloppy on and --hints on",
            Bug::DropSibling if versions == Versions::Lww => "--versions vectors",
            Bug::ReuseActor if versions == Versions::Lww => "--versions vectors",
            Bug::ReuseActor if self.coordinator == Some(Coordinator::Client) => "--coordinator node",
            Bug::ForgetVote | Bug::AckBeforeCommit | Bug::StaleReadIndex | Bug::ApplyUncommitted => "--mode raft",
            Bug::KeepLoop | Bug::DropChange | Bug::IgnoreCause | Bug::ForgetTombstone | Bug::LeaveTie => {
                "--mode multi-leader"
            }
            Bug::AckAtHead | Bug::SkipResend => "--mode chain",
            Bug::ForgetDependency => "--mode partitioned",
            Bug::SkipFsync => "--mode single-leader or raft",
            _ => return Ok(()),
        };
        Err(format!("--bug {} goes with {needs}", word(bug)))
    }
}

impl Leaderless {
    /// The mode's short label.
    pub fn label(&self) -> String {
        let mut label = format!("leaderless n={} w={} r={} versions={}", self.n, self.w, self.r, word(self.versions));
        if self.coordinator == Coordinator::Client {
            label += " coordinator=client";
        }
        if self.datacentres > 1 {
            label += &format!(" datacentres={}", self.datacentres);
        }
        for (name, on) in [("read-repair", self.read_repair), ("anti-entropy", self.anti_entropy)] {
            if !on {
                label += &format!(" {name}=off");
            }
        }
        if self.sloppy {
            label += &format!(" sloppy=on hints={}", switch(self.hints));
        }
        if self.tombstone_grace != GRACE {
            label += &format!(" tombstone-grace={}ms", self.tombstone_grace.as_millis());
        }
        if let Some(bug) = self.bug {
            label += &format!(" bug={}", word(bug));
        }
        label
    }

    /// The flags that start a node with it.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = vec![
            ("--mode", "leaderless".to_string()),
            ("--n", self.n.to_string()),
            ("--w", self.w.to_string()),
            ("--r", self.r.to_string()),
            ("--versions", word(self.versions)),
            ("--coordinator", word(self.coordinator)),
            ("--read-repair", switch(self.read_repair).to_string()),
            ("--anti-entropy", switch(self.anti_entropy).to_string()),
            ("--sloppy", switch(self.sloppy).to_string()),
            ("--hints", switch(self.hints).to_string()),
            ("--tombstone-grace", format!("{}ms", self.tombstone_grace.as_millis())),
            ("--datacentres", self.datacentres.to_string()),
        ];
        flags.extend(self.bug.map(|bug| ("--bug", word(bug))));
        flags
    }

    /// The guarantees that hold under every fault that leaves the mode's assumptions intact. A planted bug promises what it then breaks.
    pub fn promises(&self, fsync: FsyncPolicy) -> Vec<&'static str> {
        let mut promises = Vec::new();
        let vectors = self.versions == Versions::Vectors;
        // What stands with a stand-in must find its way home, or no quorum of homes will ever show it.
        let comes_home = !self.sloppy || self.hints;
        // A home that missed a write, or a datacentre that was told once and in vain, gets it for certain only by a comparison.
        let spreads = self.anti_entropy;
        if vectors && self.w > self.n / 2 && fsync == FsyncPolicy::Always && comes_home && spreads {
            promises.push("lost-writes");
        }
        // A read overlaps every achieved write, so a session sees its own acknowledged writes, or what replaced them.
        // A session that deleted a key sees it again if the tombstone is gone before the last copy.
        let stays_deleted = self.tombstone_grace >= AWAY;
        if vectors && self.w + self.r > self.n && !self.sloppy && self.datacentres == 1 && stays_deleted {
            promises.push("read-your-writes");
        }
        if self.anti_entropy {
            promises.push("convergence");
        }
        promises
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ModeArgs, Policy};
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mode: ModeArgs,
    }

    fn config(flags: &str, nodes: usize) -> Result<super::super::ModeConfig, String> {
        let mode = if flags.contains("--mode") { "" } else { "--mode leaderless " };
        let words = format!("refdb {mode}{flags}");
        let words = words.split_whitespace();
        Flags::try_parse_from(words).map_err(|error| error.to_string())?.mode.config(nodes)
    }

    fn policy(flags: &str) -> Leaderless {
        match config(flags, 6).expect("sensible flags").policy {
            Policy::Leaderless(policy) => policy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_survives_a_round_trip() {
        for flags in [
            "",
            "--n 3 --w 1 --r 3 --versions lww --coordinator client --read-repair off --anti-entropy off",
            "--n 3 --sloppy on",
            "--n 3 --sloppy on --hints off --tombstone-grace 2s",
            "--n 2 --datacentres 2 --sloppy on --bug forget-hint",
        ] {
            let first = config(flags, 6).expect("sensible flags");
            let again = first.flags().join(" ");
            assert_eq!(config(&again, 6).expect("its own flags"), first, "{again}");
        }
    }

    #[test]
    fn a_label_can_be_typed_back_in() {
        for flags in
            ["", "--n 3 --sloppy on --hints off", "--datacentres 2 --n 2 --bug drop-sibling --tombstone-grace 1s"]
        {
            let first = config(flags, 6).expect("sensible flags");
            let label = first.label();
            let words = label.split(' ').skip(1).map(|word| format!("--{}", word.replace('=', " ")));
            assert_eq!(config(&words.collect::<Vec<_>>().join(" "), 6).expect("its label"), first, "{label}");
        }
    }

    #[test]
    fn contradictions_are_refused_with_the_flag() {
        for (flags, part) in [
            ("--sloppy on", "none can stand in"),
            ("--hints on", "--sloppy on"),
            ("--datacentres 7", "--datacentres 7"),
            ("--datacentres 2 --n 4", "--n 4"),
            ("--bug forget-hint", "--hints on"),
            ("--bug reuse-actor --versions lww", "--versions vectors"),
        ] {
            let error = config(flags, 6).expect_err("it is nonsense");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn sloppy_quorums_promise_no_overlap_and_without_hints_no_write_either() {
        let promises = |flags: &str| policy(flags).promises(FsyncPolicy::Always);
        assert_eq!(promises("--n 3"), ["lost-writes", "read-your-writes", "convergence"]);
        assert_eq!(promises("--n 3 --sloppy on"), ["lost-writes", "convergence"]);
        assert_eq!(promises("--n 3 --sloppy on --hints off"), ["convergence"]);
        assert_eq!(promises("--n 3 --anti-entropy off"), ["read-your-writes"]);
        assert_eq!(promises("--n 3 --versions lww --anti-entropy off"), Vec::<&str>::new());
        assert_eq!(promises("--n 3 --datacentres 2"), ["lost-writes", "convergence"]);
        assert_eq!(promises("--n 3 --tombstone-grace 1s"), ["lost-writes", "convergence"]);
    }
}
