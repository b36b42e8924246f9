//! The table of modes.

pub mod chain;
pub mod leaderless;
pub mod multi_leader;
pub mod partitioned;
pub mod raft;
pub mod single_leader;

use std::time::Duration;

use crate::config::{FsyncPolicy, ModeConfig, Policy};
use crate::mode::Protocol;
use crate::store::{Fsync, Store, StoreError};

/// What a list shows of a mode.
pub struct Entry {
    /// The name for `--mode`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
}

/// Every mode of replication.
pub const MODES: &[Entry] = &[
    Entry {
        name: "single-leader",
        about: "one leader orders all writes; followers copy its log (ack, failover, fencing, reads)",
    },
    Entry {
        name: "multi-leader",
        about: "a leader in each datacentre accepts writes; conflicts are resolved (topology, ordering, conflicts)",
    },
    Entry {
        name: "leaderless",
        about: "every replica accepts writes; quorums of reads and writes overlap (n, w, r, versions, sloppy, datacentres)",
    },
    Entry {
        name: "partitioned",
        about: "independent shards with a leader each, no order across them (shards, placement, causal-tokens, and those of single-leader)",
    },
    Entry {
        name: "chain",
        about: "writes pass from the head along a chain; its tail acknowledges and answers reads (lease)",
    },
    Entry { name: "raft", about: "consensus: a majority decides on every write, and confirms every read (reads)" },
];

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// All nodes, itself among them, in the same order everywhere.
    pub nodes: Vec<String>,
    /// Seeds its random choices.
    pub seed: u64,
    /// How many entries its log keeps, where the mode has one.
    pub keep_log: u64,
}

/// The protocol of `config`, as it stands in `store`.
pub fn build(
    config: &ModeConfig,
    identity: Identity,
    store: &mut Store,
    now: Duration,
) -> Result<Box<dyn Protocol>, StoreError> {
    Ok(match &config.policy {
        Policy::SingleLeader(policy) => Box::new(single_leader::Node::recover(policy.clone(), identity, store, now)?),
        Policy::Leaderless(policy) => Box::new(leaderless::Node::recover(policy.clone(), identity, store)?),
        Policy::MultiLeader(policy) => Box::new(multi_leader::Node::recover(policy.clone(), identity, store, now)?),
        Policy::Raft(policy) => Box::new(raft::Node::recover(policy.clone(), identity, store, now)?),
        Policy::Partitioned(policy) => {
            let fsync = if config.fsync == FsyncPolicy::Always { Fsync::Always } else { Fsync::Never };
            Box::new(partitioned::Node::recover(policy.clone(), &identity, store, fsync, now)?)
        }
        Policy::Chain(policy) => Box::new(chain::Node::recover(policy.clone(), identity, store, now)?),
    })
}
