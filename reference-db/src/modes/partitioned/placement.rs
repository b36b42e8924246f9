//! On which shard a key lives, and on which nodes a shard.
//!
//! Shards follow each other round the nodes, so that their first leaders, and the nodes that hold them, are spread evenly.

use std::path::{Path, PathBuf};

use crate::config::{KeyPlacement, Partitioned};
use crate::modes::leaderless::hash;

/// Where everything is; the same on nodes and clients.
#[derive(Clone, Debug)]
pub struct Placement {
    nodes: Vec<String>,
    shards: usize,
    replicas: usize,
    keys: KeyPlacement,
}

impl Placement {
    /// For these nodes, which must come in the same order everywhere.
    pub fn new(policy: &Partitioned, nodes: &[String]) -> Placement {
        Placement {
            nodes: nodes.to_vec(),
            shards: policy.shards.max(1),
            replicas: policy.replicas.min(nodes.len()),
            keys: policy.placement,
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The shard of a key.
    pub fn shard_of(&self, key: &str) -> usize {
        let part = match self.keys {
            KeyPlacement::Hash => key,
            KeyPlacement::Causal => key.split('/').next().unwrap_or(key),
        };
        (hash(&[part]) % self.shards as u64) as usize
    }

    /// The nodes that hold a shard; the first is the one to lead it at the very beginning.
    pub fn replicas(&self, shard: usize) -> Vec<String> {
        let round = self.nodes.iter().cycle().skip(shard % self.nodes.len().max(1));
        round.take(self.replicas).cloned().collect()
    }

    /// Whether a node holds a shard.
    pub fn holds(&self, node: &str, shard: usize) -> bool {
        self.replicas(shard).iter().any(|replica| replica == node)
    }
}

/// Where a node keeps a shard, beside its main database.
pub fn directory(database: &Path, shard: usize) -> PathBuf {
    database.with_file_name(format!("shard-{shard}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModeArgs, ModeConfig, Policy};
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mode: ModeArgs,
    }

    fn placement(flags: &str) -> Placement {
        let words = format!("refdb --mode partitioned {flags}");
        let flags = Flags::try_parse_from(words.split_whitespace()).expect("flags");
        let ModeConfig { policy: Policy::Partitioned(policy), .. } = flags.mode.config(5).expect("sensible flags")
        else {
            panic!("the mode was named")
        };
        Placement::new(&policy, &["n1", "n2", "n3", "n4", "n5"].map(str::to_string))
    }

    #[test]
    fn shards_and_their_leaders_are_spread_over_the_nodes() {
        let placement = placement("--shards 5");
        let leaders: std::collections::BTreeSet<String> =
            (0..5).map(|shard| placement.replicas(shard)[0].clone()).collect();
        assert_eq!(leaders.len(), 5);
        for node in ["n1", "n2", "n3", "n4", "n5"] {
            assert_eq!((0..5).filter(|shard| placement.holds(node, *shard)).count(), 3, "{node}");
        }
    }

    #[test]
    fn what_belongs_together_lives_together_where_that_is_asked_for() {
        let (spread, together) = (placement("--shards 5"), placement("--shards 5 --placement causal"));
        let keys = |n: usize| (format!("{n}/question"), format!("{n}/answer"));
        let apart = |placement: &Placement| {
            (0..200).map(keys).filter(|(q, a)| placement.shard_of(q) != placement.shard_of(a)).count()
        };
        assert!(apart(&spread) > 120, "{}", apart(&spread));
        assert_eq!(apart(&together), 0);
        let used: std::collections::BTreeSet<usize> = (0..200).map(|n| together.shard_of(&keys(n).0)).collect();
        assert_eq!(used.len(), 5);
    }
}
