//! The partitioned mode's flags, and what it promises.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{Ack, Bug, FsyncPolicy, ModeArgs, ReadPolicy, SingleLeader, Switch, refuse_foreign, switch, word};

/// How many nodes hold each shard, if there are as many.
const REPLICAS: usize = 3;

/// On which shard a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlacement {
    /// Wherever its hash says.
    Hash,
    /// With all keys that have the same part before the first slash: what belongs together is written in one order.
    Causal,
}

/// The mode's own flags.
#[derive(Args, Clone, Debug, Default)]
pub struct PartitionedArgs {
    /// partitioned: into how many shards the keys fall, each with a leader and up to two followers [default: 3]
    #[arg(long, value_name = "N")]
    pub shards: Option<usize>,
    /// partitioned: on which shard a key lives; causal: keys that are equal up to the first slash live together [default: hash]
    #[arg(long, value_enum)]
    pub placement: Option<KeyPlacement>,
    /// partitioned: whether sessions carry what they have seen of every shard, and values what their writers had [default: off]
    #[arg(long, value_enum)]
    pub causal_tokens: Option<Switch>,
}

/// The partitioned mode with its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Partitioned {
    /// How many shards.
    pub shards: usize,
    /// How many nodes hold each.
    pub replicas: usize,
    /// On which shard a key lives.
    pub placement: KeyPlacement,
    /// Whether dependencies on other shards are tracked.
    pub causal_tokens: bool,
    /// How each shard replicates.
    pub each: SingleLeader,
    /// The planted mistake.
    pub bug: Option<Bug>,
}

impl PartitionedArgs {
    /// The flags that were given, for modes that have none of them.
    pub(super) fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--shards", self.shards.is_some()),
            ("--placement", self.placement.is_some()),
            ("--causal-tokens", self.causal_tokens.is_some()),
        ]
    }
}

impl ModeArgs {
    /// The partitioned mode's policy for `nodes` nodes.
    pub(super) fn partitioned(&self, nodes: usize) -> Result<Partitioned, String> {
        let shards = self.sharded.shards.unwrap_or(3);
        if !(1..=64).contains(&shards) {
            return Err(format!("--shards {shards}: between 1 and 64 are possible"));
        }
        refuse_foreign(
            &[("--datacentres", self.datacentres.is_some())],
            "single-leader, leaderless or multi-leader",
            "partitioned",
        )?;
        let causal_tokens = self.sharded.causal_tokens.is_some_and(Switch::is_on);
        match self.bug {
            Some(Bug::ForgetDependency) if !causal_tokens => {
                return Err("--bug forget-dependency goes with --causal-tokens on".to_string());
            }
            None | Some(Bug::ForgetDependency) => {}
            Some(bug) => {
                return Err(format!("--bug {} is none of --mode partitioned: it has forget-dependency", word(bug)));
            }
        }
        let replicas = REPLICAS.min(nodes);
        let each = ModeArgs {
            ack: Some(self.ack.unwrap_or(Ack::Async)),
            sharded: PartitionedArgs::default(),
            bug: None,
            ..self.clone()
        };
        let each = each.single_leader(replicas).map_err(|why| why.replace("single-leader", "partitioned"))?;
        let own = [ReadPolicy::Leader, ReadPolicy::Any, ReadPolicy::Sticky, ReadPolicy::Token];
        if !own.contains(&each.reads) {
            return Err(format!("--reads {} goes with --mode single-leader, not with partitioned", each.reads));
        }
        if causal_tokens && !matches!(each.reads, ReadPolicy::Any | ReadPolicy::Token) {
            return Err(format!(
                "--causal-tokens on lets any replica answer that has caught up: it does not go with --reads {}",
                each.reads
            ));
        }
        let placement = self.sharded.placement.unwrap_or(KeyPlacement::Hash);
        Ok(Partitioned { shards, replicas, placement, causal_tokens, each, bug: self.bug })
    }
}

impl Partitioned {
    /// The short label.
    pub(super) fn label(&self) -> String {
        let each = &self.each;
        let mut label = format!(
            "partitioned shards={} placement={} causal-tokens={} ack={} failover={} reads={}",
            self.shards,
            word(self.placement),
            switch(self.causal_tokens),
            word(each.ack),
            word(each.failover),
            each.reads
        );
        if !each.fencing {
            label += " fencing=off";
        }
        if each.kill_switch {
            label += " kill-switch=on";
        }
        if !each.lease {
            label += " lease=off";
        }
        if let Some(bug) = self.bug {
            label += &format!(" bug={}", word(bug));
        }
        label
    }

    /// The flags that start a node with it, with those of its shards' mode.
    pub(super) fn flags(&self, each: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        let mut flags = vec![
            ("--mode", "partitioned".to_string()),
            ("--shards", self.shards.to_string()),
            ("--placement", word(self.placement)),
            ("--causal-tokens", switch(self.causal_tokens).to_string()),
        ];
        flags.extend(each.into_iter().filter(|(flag, _)| *flag != "--mode"));
        flags.extend(self.bug.map(|bug| ("--bug", word(bug))));
        flags
    }

    /// A shard promises what its mode does, for its own keys. Guarantees that speak of several keys need tokens, or reads at leaders that are linearizable:
    /// that is local, so objects that have it one by one have it together. A read of several shards is several reads: no order of all writes is promised,
    /// unless there is one shard.
    pub(super) fn promises(&self, fsync: FsyncPolicy) -> Vec<&'static str> {
        let each = self.each.promises(fsync);
        if self.shards == 1 {
            return each;
        }
        let across: &[&str] = match () {
            () if each.contains(&"linearizable") => {
                &["linearizable", "read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"]
            }
            // What a failover discards, a token refuses; but what was written after reading it may stay.
            () if self.causal_tokens && self.each.keeps_acknowledged() => {
                &["read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"]
            }
            () if self.causal_tokens || self.each.reads == ReadPolicy::Token => {
                &["read-your-writes", "monotonic-reads"]
            }
            () => &[],
        };
        let local = each.into_iter().filter(|promise| matches!(*promise, "lost-writes" | "convergence"));
        local.chain(across.iter().copied()).collect()
    }
}
