//! The flags of the mode raft, and what it promises.

use serde::{Deserialize, Serialize};

use super::{Bug, FsyncPolicy, ReadPolicy, word};

/// Consensus with its policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Raft {
    /// Whether the leader answers reads within a lease, instead of asking a majority each time.
    pub lease: bool,
    /// The planted mistake.
    pub bug: Option<Bug>,
}

/// Why a way of reading is refused by other modes.
pub(super) fn only(reads: ReadPolicy) -> String {
    format!("--reads {reads} goes with --mode raft: a majority confirms that the leader leads")
}

impl Raft {
    pub(super) fn new(reads: Option<ReadPolicy>, bug: Option<Bug>) -> Result<Raft, String> {
        let lease = match reads {
            None | Some(ReadPolicy::Index) => false,
            Some(ReadPolicy::Lease) => true,
            Some(other) => {
                return Err(format!("--reads {other} goes with other modes; --mode raft has index and lease"));
            }
        };
        match bug {
            Some(Bug::StaleReadIndex) if lease => {
                Err("--bug stale-read-index goes with --reads index: a lease does not ask".to_string())
            }
            None
            | Some(
                Bug::ForgetVote | Bug::AckBeforeCommit | Bug::StaleReadIndex | Bug::ApplyUncommitted | Bug::SkipFsync,
            ) => Ok(Raft { lease, bug }),
            Some(bug) => Err(format!("--bug {} does not go with --mode raft", word(bug))),
        }
    }

    fn reads(&self) -> String {
        if self.lease { ReadPolicy::Lease } else { ReadPolicy::Index }.to_string()
    }

    pub(super) fn label(&self) -> String {
        let bug = self.bug.map(|bug| format!(" bug={}", word(bug))).unwrap_or_default();
        format!("raft reads={}{bug}", self.reads())
    }

    /// The flags that start a node with it.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = vec![("--mode", "raft".to_string()), ("--reads", self.reads())];
        if let Some(bug) = self.bug {
            flags.push(("--bug", word(bug)));
        }
        flags
    }

    /// Everything or nothing: a node that forgets what it confirmed can give a majority to a history without it.
    pub(super) fn promises(&self, fsync: FsyncPolicy) -> Vec<&'static str> {
        match fsync {
            FsyncPolicy::Always => vec![
                "lost-writes",
                "read-your-writes",
                "monotonic-reads",
                "monotonic-writes",
                "writes-follow-reads",
                "consistent-prefix",
                "convergence",
                "linearizable",
            ],
            FsyncPolicy::Never => Vec::new(),
        }
    }
}
