//! The chain's flags, and what it promises.

use serde::{Deserialize, Serialize};

use super::{Bug, ModeArgs, Switch, refuse_foreign, switch, word};

/// The chain with its policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Chain {
    /// Whether the tail answers only while nobody can have taken its place.
    pub lease: bool,
    /// The planted mistake.
    pub bug: Option<Bug>,
}

impl ModeArgs {
    /// The chain's policy.
    pub(super) fn chain(&self) -> Result<Chain, String> {
        refuse_foreign(&self.leaderless.given(), "leaderless", "chain")?;
        refuse_foreign(&self.multi.given(), "multi-leader", "chain")?;
        let theirs = self.of_single_leader().into_iter().filter(|(flag, _)| *flag != "--lease");
        refuse_foreign(&theirs.collect::<Vec<_>>(), "single-leader", "chain")?;
        refuse_foreign(&[("--reads", self.reads.is_some())], "single-leader", "chain")?;
        refuse_foreign(
            &[("--datacentres", self.datacentres.is_some())],
            "single-leader, leaderless or multi-leader",
            "chain",
        )?;
        match self.bug {
            Some(bug) if !matches!(bug, Bug::AckAtHead | Bug::SkipResend) => {
                Err(format!("--bug {} is none of --mode chain: it has ack-at-head and skip-resend", word(bug)))
            }
            bug => Ok(Chain { lease: self.lease.is_none_or(Switch::is_on), bug }),
        }
    }
}

impl Chain {
    /// The short label.
    pub(super) fn label(&self) -> String {
        let bug = self.bug.map_or_else(String::new, |bug| format!(" bug={}", word(bug)));
        format!("chain lease={}{bug}", switch(self.lease))
    }

    /// The flags that start a node with it.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = vec![("--mode", "chain".to_string()), ("--lease", switch(self.lease).to_string())];
        flags.extend(self.bug.map(|bug| ("--bug", word(bug))));
        flags
    }

    /// An acknowledged write is on the disk of every node of the chain, and every chain keeps a node of the one before. Without a lease a tail that was
    /// repaired around still answers: with old data, but with a beginning of the one order of writes.
    pub(super) fn promises(&self) -> Vec<&'static str> {
        let mut promises =
            vec!["lost-writes", "monotonic-writes", "writes-follow-reads", "consistent-prefix", "convergence"];
        if self.lease {
            promises.extend(["read-your-writes", "monotonic-reads", "linearizable"]);
        }
        promises
    }
}
