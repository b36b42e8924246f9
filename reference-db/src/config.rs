//! The modes' flags, their short label, and what each combination promises.
//!
//! The same flags start a node, configure the client library and name a run; so a label can be typed back in as flags.

mod bug;
mod chain;
mod leaderless;
mod log;
mod multi_leader;
mod partitioned;
mod raft;
mod reads;
mod single_leader;

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

pub use self::bug::Bug;
pub use self::chain::Chain;
pub use self::leaderless::{Coordinator, Leaderless, LeaderlessArgs, Versions};
pub use self::log::{LogArgs, LogFormat, NEWEST_FORMAT};
pub use self::multi_leader::{Conflicts, MultiLeader, MultiLeaderArgs, Ordering, Topology};
pub use self::partitioned::{KeyPlacement, Partitioned, PartitionedArgs};
pub use self::raft::Raft;
pub use self::reads::{READS, ReadPolicy};
pub use self::single_leader::{Ack, Failover, OnSyncLoss, SingleLeader};

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Switch::On
    }
}

/// When a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FsyncPolicy {
    /// Always.
    Always,
    /// Never: the operating system writes when it likes.
    Never,
}

/// The modes of replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One leader orders all writes.
    SingleLeader,
    /// Every replica accepts writes; quorums overlap.
    Leaderless,
    /// A leader in each datacentre; conflicts are resolved.
    MultiLeader,
    /// Consensus: a majority decides on every write.
    Raft,
    /// Writes pass along a chain of nodes; its tail answers reads.
    Chain,
    /// Independent shards, each with a leader of its own.
    Partitioned,
}

/// How the mode is chosen on a command line.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mode of replication")]
pub struct ModeArgs {
    /// The mode, or a whole label such as "single-leader ack=async reads=any"
    #[arg(long, value_enum, default_value = "single-leader")]
    pub mode: Mode,
    /// When a commit waits for the disk
    #[arg(long, value_enum, default_value = "always")]
    pub fsync: FsyncPolicy,
    /// single-leader: when a write is acknowledged [default: semi-sync]
    #[arg(long, value_enum)]
    pub ack: Option<Ack>,
    /// single-leader: without a synchronous follower, wait or go on [default: wait]
    #[arg(long, value_enum)]
    pub on_sync_loss: Option<OnSyncLoss>,
    /// single-leader: who replaces a leader [default: auto]
    #[arg(long, value_enum)]
    pub failover: Option<Failover>,
    /// single-leader: how long a leader may be silent [default: 600ms]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub failover_timeout: Option<Duration>,
    /// single-leader: whether a deposed leader is refused by its term [default: on]
    #[arg(long, value_enum)]
    pub fencing: Option<Switch>,
    /// single-leader with --fencing off: whether two leaders that meet shut each other down [default: off]
    #[arg(long, value_enum)]
    pub kill_switch: Option<Switch>,
    /// single-leader, chain: whether a leader or tail answers reads only while nobody can have taken its place [default: on]
    #[arg(long, value_enum)]
    pub lease: Option<Switch>,
    /// single-leader, multi-leader, partitioned: where clients read [default: token; with --ack async and several leaders: any; raft: index]
    ///
    /// leader; any: a random replica each time; sticky: one replica for each session; own-writes-leader: what the session's user may have
    /// changed at the leader, else any; recent-leader=DURATION: at the leader for so long after the session's last write, else any;
    /// max-lag=DURATION: any replica that knows that it lags by no more; token: any that has what the session has written and read;
    /// shared-token: the same for all devices of the user; wall-clock-token: any that has applied something as late as the session's last
    /// write, by the leaders' clocks; raft: index (a majority confirms each time) or lease
    #[arg(long, value_name = "POLICY")]
    pub reads: Option<ReadPolicy>,
    /// multi-leader: how many datacentres, led by the first nodes [default: 3, or all nodes if fewer]; leaderless, single-leader: into how many the nodes fall [default: 1]
    ///
    /// leaderless: quorums are local, and changes go across afterwards; single-leader: clients read in their own datacentre where the policy leaves a choice
    #[arg(long, value_name = "N")]
    pub datacentres: Option<usize>,
    /// A deliberate mistake, to see that it is found
    #[arg(long, value_enum, value_name = "NAME")]
    pub bug: Option<Bug>,
    /// The log of single-leader.
    #[command(flatten)]
    pub logs: LogArgs,
    /// The rest of leaderless.
    #[command(flatten)]
    pub leaderless: LeaderlessArgs,
    /// The rest of multi-leader.
    #[command(flatten)]
    pub multi: MultiLeaderArgs,
    /// The rest of partitioned.
    #[command(flatten)]
    pub sharded: PartitionedArgs,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let wrong = || format!("{text:?} is no duration; write 600ms or 2s");
    let number: f64 = text[..split].parse().map_err(|_| wrong())?;
    let seconds = match &text[split..] {
        "ms" => number / 1e3,
        "" | "s" => number,
        _ => return Err(wrong()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(50) && duration <= Duration::from_secs(600) => Ok(duration),
        _ => Err(format!("{text:?} is not between 50ms and 600s")),
    }
}

/// A mode with its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// One leader.
    SingleLeader(SingleLeader),
    /// No leader.
    Leaderless(Leaderless),
    /// Several.
    MultiLeader(MultiLeader),
    /// A majority.
    Raft(Raft),
    /// A chain.
    Chain(Chain),
    /// Several leaders, each of a part of the keys.
    Partitioned(Partitioned),
}

/// How a cluster replicates and syncs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModeConfig {
    /// The mode and its policies.
    pub policy: Policy,
    /// When a commit waits for the disk.
    pub fsync: FsyncPolicy,
}

fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl ModeArgs {
    /// The configuration for a cluster of `nodes` nodes.
    ///
    /// # Errors
    /// One sentence that names the flag, where flags contradict each other.
    pub fn config(&self, nodes: usize) -> Result<ModeConfig, String> {
        let policy = match self.mode {
            Mode::SingleLeader => Policy::SingleLeader(self.single_leader(nodes)?),
            Mode::Leaderless => Policy::Leaderless(self.leaderless(nodes)?),
            Mode::MultiLeader => Policy::MultiLeader(self.multi_leader(nodes)?),
            Mode::Raft => Policy::Raft(self.raft()?),
            Mode::Chain => Policy::Chain(self.chain()?),
            Mode::Partitioned => Policy::Partitioned(self.partitioned(nodes)?),
        };
        if self.mode != Mode::SingleLeader {
            refuse_foreign(&self.logs.given(), "single-leader", &word(self.mode))?;
        }
        if self.mode != Mode::Partitioned {
            refuse_foreign(&self.sharded.given(), "partitioned", &word(self.mode))?;
        }
        if self.bug == Some(Bug::SkipFsync) && self.fsync != FsyncPolicy::Always {
            return Err("--bug skip-fsync goes with --fsync always: without it nothing is claimed".to_string());
        }
        Ok(ModeConfig { policy, fsync: self.fsync })
    }

    fn multi_leader(&self, nodes: usize) -> Result<MultiLeader, String> {
        refuse_foreign(&self.leaderless.given(), "leaderless", "multi-leader")?;
        refuse_foreign(&self.of_single_leader(), "single-leader", "multi-leader")?;
        self.multi.policy(nodes, self.datacentres, self.reads, self.bug)
    }

    fn raft(&self) -> Result<Raft, String> {
        refuse_foreign(&self.leaderless.given(), "leaderless", "raft")?;
        refuse_foreign(&self.of_single_leader(), "single-leader", "raft")?;
        refuse_foreign(&self.multi.given(), "multi-leader", "raft")?;
        refuse_foreign(
            &[("--datacentres", self.datacentres.is_some())],
            "single-leader, leaderless or multi-leader",
            "raft",
        )?;
        Raft::new(self.reads, self.bug)
    }

    fn leaderless(&self, nodes: usize) -> Result<Leaderless, String> {
        refuse_foreign(&self.of_single_leader(), "single-leader", "leaderless")?;
        refuse_foreign(&[("--reads", self.reads.is_some())], "single-leader", "leaderless")?;
        refuse_foreign(&self.multi.given(), "multi-leader", "leaderless")?;
        self.leaderless.policy(nodes, self.datacentres.unwrap_or(1), self.bug)
    }
}

fn refuse_foreign(flags: &[(&str, bool)], theirs: &str, ours: &str) -> Result<(), String> {
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(format!("{flag} goes with --mode {theirs}, not with {ours}")),
        None => Ok(()),
    }
}

impl ModeConfig {
    /// Whether a planted mistake lets commits end before the disk has them, whatever [`ModeConfig::fsync`] says.
    pub fn skips_fsync(&self) -> bool {
        let bug = match &self.policy {
            Policy::SingleLeader(mode) => mode.bug,
            Policy::Raft(mode) => mode.bug,
            _ => None,
        };
        bug == Some(Bug::SkipFsync)
    }

    /// The version of a physical log's format, which the nodes' stores have to know; `None` where the log is another.
    pub fn physical(&self) -> Option<u8> {
        match &self.policy {
            Policy::SingleLeader(mode) if mode.is_physical() => Some(mode.format_version),
            _ => None,
        }
    }

    /// The short label, the same in flags, files and reports.
    pub fn label(&self) -> String {
        let mut label = match &self.policy {
            Policy::SingleLeader(mode) => mode.label(),
            Policy::Leaderless(mode) => mode.label(),
            Policy::MultiLeader(mode) => mode.label(),
            Policy::Raft(mode) => mode.label(),
            Policy::Chain(mode) => mode.label(),
            Policy::Partitioned(mode) => mode.label(),
        };
        if self.fsync == FsyncPolicy::Never {
            label += " fsync=never";
        }
        label
    }

    /// The flags that start a node with it.
    pub fn flags(&self) -> Vec<String> {
        let mut flags: Vec<(&str, String)> = vec![("--fsync", word(self.fsync))];
        match &self.policy {
            Policy::SingleLeader(mode) => flags.extend(mode.flags()),
            Policy::Leaderless(mode) => flags.extend(mode.flags()),
            Policy::MultiLeader(mode) => flags.extend(mode.flags()),
            Policy::Raft(mode) => flags.extend(mode.flags()),
            Policy::Chain(mode) => flags.extend(mode.flags()),
            Policy::Partitioned(mode) => flags.extend(mode.flags(mode.each.flags())),
        }
        flags.into_iter().flat_map(|(flag, value)| [flag.to_string(), value]).collect()
    }

    /// The guarantees that hold under every fault that leaves the mode's assumptions intact.
    pub fn promises(&self) -> Vec<&'static str> {
        let mut promises = match &self.policy {
            Policy::SingleLeader(mode) => mode.promises(self.fsync),
            Policy::Leaderless(mode) => mode.promises(self.fsync),
            Policy::MultiLeader(mode) => mode.promises(self.fsync),
            Policy::Raft(mode) => mode.promises(self.fsync),
            Policy::Chain(mode) => mode.promises(),
            Policy::Partitioned(mode) => mode.promises(self.fsync),
        };
        // A request is a transaction that one leader does as a whole: what is one object in real time keeps constraints across its rows too.
        if promises.contains(&"linearizable") {
            promises.extend(["totals", "one-booking", "ids-unique"]);
        }
        promises
    }

    /// Whether the order of writes extends real time: one leader at a time, and no acknowledged write that a failover discards.
    pub fn order_is_real_time(&self) -> bool {
        match &self.policy {
            Policy::SingleLeader(mode) => mode.keeps_acknowledged() && mode.replicate.is_none(),
            Policy::Raft(_) => self.fsync == FsyncPolicy::Always,
            Policy::Chain(_) => true,
            Policy::Leaderless(_) | Policy::MultiLeader(_) | Policy::Partitioned(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mode: ModeArgs,
    }

    fn config(flags: &str) -> Result<ModeConfig, String> {
        let words = std::iter::once("refdb").chain(flags.split_whitespace());
        Flags::try_parse_from(words).map_err(|error| error.to_string())?.mode.config(5)
    }

    #[test]
    fn flags_survive_a_round_trip() {
        for flags in [
            "",
            "--ack async --fencing off",
            "--ack async --fencing off --kill-switch on",
            "--ack async --reads shared-token --datacentres 2",
            "--mode leaderless --n 3 --w 2 --r 2 --versions lww",
            "--ack sync --lease off --fsync never",
            "--log statement --literals on",
            "--log mixed",
            "--log trigger --replicate u_shared",
            "--format-version 1",
            "--log wal --ack async",
            "--mode multi-leader",
            "--mode multi-leader --followers 4 --topology star --ordering none --conflicts lww --reads leader",
            "--mode multi-leader --datacentres 5 --conflicts merge --tombstones off",
            "--mode multi-leader --conflicts avoid --home-timeout 700ms",
            "--mode multi-leader --topology circular --bug keep-loop",
            "--mode raft",
            "--mode raft --reads lease --bug forget-vote",
            "--failover controller --reads own-writes-leader",
            "--reads leader --bug early-visible",
            "--reads recent-leader=200ms --bug ack-early",
            "--ack async --reads max-lag=1s --bug apply-out-of-order",
            "--mode chain",
            "--mode chain --lease off --bug skip-resend",
            "--mode partitioned",
            "--mode partitioned --shards 7 --placement causal --ack semi-sync --failover manual",
            "--mode partitioned --causal-tokens on --bug forget-dependency --fencing off",
        ] {
            let first = config(flags).expect("sensible flags");
            let mut second = config(&first.flags().join(" ")).expect("its own flags");
            if let (Policy::SingleLeader(first), Policy::SingleLeader(second)) = (&first.policy, &mut second.policy) {
                second.reads = first.reads;
            }
            assert_eq!(first, second);
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_flag() {
        for (flags, part) in [
            ("--mode leaderless --w 9", "--w 9"),
            ("--w 2", "--w goes with --mode leaderless"),
            ("--mode leaderless --ack sync", "--ack"),
            ("--mode leaderless --reads any", "--reads"),
            ("--conflicts lww", "--conflicts goes with --mode multi-leader"),
            ("--mode multi-leader --ack sync", "--ack goes with --mode single-leader"),
            ("--mode multi-leader --datacentres 6", "between 1 and 5"),
            ("--mode multi-leader --datacentres 2 --followers 1", "are 4 nodes, and there are 5"),
            ("--mode multi-leader --followers 5", "--datacentres 0"),
            ("--mode multi-leader --conflicts detect --topology star", "all-to-all"),
            ("--mode multi-leader --tombstones off", "--conflicts merge"),
            ("--mode multi-leader --home-timeout 1s", "--conflicts avoid"),
            ("--mode multi-leader --reads token", "no common log"),
            ("--mode multi-leader --bug leave-tie", "--conflicts lww"),
            ("--mode multi-leader --bug forget-hint", "--mode leaderless"),
            ("--mode leaderless --bug leave-tie", "--mode multi-leader"),
            ("--bug skip-fsync --fsync never", "--fsync always"),
            ("--mode multi-leader --bug skip-fsync", "--mode single-leader or raft"),
            ("--mode leaderless --bug skip-fsync", "--mode single-leader or raft"),
            ("--mode raft --datacentres 2", "single-leader, leaderless or multi-leader"),
            ("--datacentres 9", "--datacentres 9: between 1 and 5"),
            ("--mode raft --reads any", "--reads any goes with"),
            ("--mode raft --log statement", "--log goes with --mode single-leader, not with raft"),
            ("--log wal --bug apply-out-of-order", "a log of entries"),
            ("--literals on", "--literals goes with --log statement"),
            ("--replicate a", "--replicate goes with --log trigger"),
            ("--mode raft --ack sync", "--ack goes with --mode single-leader"),
            ("--mode raft --bug leave-tie", "does not go with --mode raft"),
            ("--mode raft --reads lease --bug stale-read-index", "--reads index"),
            ("--reads index", "--reads index goes with --mode raft"),
            ("--mode multi-leader --reads lease", "--reads lease goes with --mode raft"),
            ("--mode multi-leader --bug forget-vote", "--mode raft"),
            ("--mode leaderless --bug forget-vote", "--mode raft"),
            ("--bug forget-hint", "goes with another mode"),
            ("--bug ack-early --ack async", "--ack semi-sync"),
            ("--mode multi-leader --bug ack-early", "--mode single-leader"),
            ("--mode leaderless --bug ack-early", "--mode single-leader"),
            ("--reads max-lag", "max-lag=200ms"),
            ("--mode multi-leader --reads shared-token", "no common log"),
            ("--mode chain --ack sync", "--ack goes with --mode single-leader, not with chain"),
            ("--mode chain --reads any", "--reads"),
            ("--mode chain --bug forget-hint", "none of --mode chain"),
            ("--mode leaderless --bug skip-resend", "--mode chain"),
            ("--shards 3", "--shards goes with --mode partitioned, not with single-leader"),
            ("--mode chain --placement causal", "--placement goes with --mode partitioned"),
            ("--mode partitioned --shards 0", "between 1 and 64"),
            ("--mode partitioned --w 2", "--w goes with --mode leaderless, not with partitioned"),
            ("--mode partitioned --bug forget-dependency", "--causal-tokens on"),
            ("--mode partitioned --causal-tokens on --reads sticky", "does not go with --reads sticky"),
        ] {
            let error = config(flags).expect_err("it is nonsense");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn asynchronous_replication_promises_no_acknowledged_write() {
        assert!(!config("--ack async").expect("flags").promises().contains(&"lost-writes"));
        assert!(config("").expect("flags").promises().contains(&"lost-writes"));
        assert!(!config("--fencing off").expect("flags").promises().contains(&"lost-writes"));
        assert!(!config("--failover controller").expect("flags").promises().contains(&"lost-writes"));
    }

    #[test]
    fn read_policies_promise_what_a_client_alone_can_keep() {
        let promises = |flags: &str| config(flags).expect("flags").promises();
        let session = ["read-your-writes", "monotonic-reads"];
        assert!(session.iter().all(|name| promises("--ack async --reads shared-token").contains(name)));
        assert!(!promises("--ack async --reads shared-token").contains(&"read-your-writes-user"));
        assert!(promises("--reads shared-token").contains(&"monotonic-reads-user"));
        assert!(promises("--reads own-writes-leader").contains(&"read-your-writes"));
        assert!(!promises("--reads own-writes-leader").contains(&"monotonic-reads"));
        assert!(!promises("--reads own-writes-leader --lease off").contains(&"read-your-writes"));
        for reads in ["any", "recent-leader=1s", "max-lag=1s", "wall-clock-token"] {
            let promises = promises(&format!("--reads {reads}"));
            assert!(session.iter().all(|name| !promises.contains(name)), "{reads}: {promises:?}");
        }
    }

    #[test]
    fn a_statement_log_promises_equal_replicas_only_with_literals() {
        let converges = |flags: &str| config(flags).expect("flags").promises().contains(&"convergence");
        assert!(converges("--log mixed") && converges("--log statement --literals on"));
        assert!(!converges("--log statement"));
        let label = config("--log statement").expect("flags").label();
        assert!(label.ends_with("log=statement literals=off"), "{label}");
    }

    #[test]
    fn consensus_promises_everything() {
        for flags in ["--mode raft", "--mode raft --reads lease"] {
            let config = config(flags).expect("flags");
            assert!(config.order_is_real_time());
            for promise in ["linearizable", "lost-writes", "read-your-writes", "consistent-prefix", "convergence"] {
                assert!(config.promises().contains(&promise), "{flags}: {promise}");
            }
            assert!(config.promises().ends_with(&["totals", "one-booking", "ids-unique"]), "{flags}");
        }
        assert!(!config("").expect("flags").promises().contains(&"totals"), "its replicas may be behind");
        assert_eq!(config("--mode raft").expect("flags").label(), "raft reads=index");
    }

    #[test]
    fn a_chain_without_a_lease_promises_order_but_nothing_recent() {
        let promises = |flags: &str| config(flags).expect("flags").promises();
        let leased = promises("--mode chain");
        assert!(leased.contains(&"linearizable") && leased.contains(&"monotonic-reads"));
        let without = promises("--mode chain --lease off");
        assert!(without.contains(&"lost-writes") && without.contains(&"consistent-prefix"));
        assert!(!without.contains(&"linearizable") && !without.contains(&"read-your-writes"));
    }

    #[test]
    fn shards_promise_nothing_across_them_unless_somebody_keeps_track() {
        let promises = |flags: &str| config(&format!("--mode partitioned {flags}")).expect("flags").promises();
        assert_eq!(promises(""), ["convergence"]);
        assert_eq!(promises("--failover off --reads any"), ["lost-writes", "convergence"]);
        assert_eq!(promises("--causal-tokens on"), ["convergence", "read-your-writes", "monotonic-reads"]);
        let kept = promises("--causal-tokens on --ack semi-sync");
        assert!(kept.contains(&"writes-follow-reads") && !kept.contains(&"consistent-prefix"));
        assert!(promises("--ack semi-sync --reads leader").contains(&"linearizable"));
        assert!(promises("--shards 1 --ack semi-sync").contains(&"consistent-prefix"));
    }

    #[test]
    fn several_leaders_promise_what_their_resolution_keeps() {
        let promises = |flags: &str| config(&format!("--mode multi-leader {flags}")).expect("flags").promises();
        assert!(promises("").contains(&"lost-writes") && promises("").contains(&"convergence"));
        assert_eq!(promises("--conflicts arrival-order"), [""; 0]);
        assert_eq!(promises("--conflicts lww"), ["convergence"]);
        assert_eq!(promises("--conflicts lww --ordering none"), [""; 0], "an update that overtook its insert is lost");
        assert_eq!(promises("--conflicts priority --ordering none --topology star"), ["convergence"]);
        assert!(!promises("--conflicts merge --tombstones off").contains(&"lost-writes"));
        assert!(!promises("").contains(&"read-your-writes"), "two of three datacentres have followers");
        assert!(promises("--datacentres 5").contains(&"read-your-writes"));
        assert!(promises("--reads leader").contains(&"read-your-writes"));
    }
}
