//! The client library: it knows read policies, tokens and contexts, and what a failure means.
//!
//! One [`Pool`] a process knows where the nodes are; one [`Session`] for each session remembers what that session has seen. Nothing whose outcome is unknown
//! is ever sent again: a retried write is two writes. A definite refusal that names the leader is followed.

mod memory;
mod pool;
mod quorum;
mod replicas;
mod session;
mod shards;
mod single_leader;

pub use self::pool::Pool;
pub use self::session::{Failed, Session};

pub use crate::http::{Dump, Health, Held, NodeStatus};
pub use crate::operation::{Code, Operation, Outcome, Refusal, Reply, Version};

/// Whether `node` is one of the replicas that hold `key`.
pub fn holds(config: &crate::config::ModeConfig, nodes: &[String], key: &str, node: &str) -> bool {
    match &config.policy {
        crate::config::Policy::SingleLeader(_)
        | crate::config::Policy::MultiLeader(_)
        | crate::config::Policy::Raft(_)
        | crate::config::Policy::Chain(_) => true,
        crate::config::Policy::Partitioned(policy) => {
            let placement = crate::modes::partitioned::Placement::new(policy, nodes);
            placement.holds(node, placement.shard_of(key))
        }
        crate::config::Policy::Leaderless(policy) => {
            crate::modes::leaderless::Placement::new(policy, nodes).is_home(key, node)
        }
    }
}
