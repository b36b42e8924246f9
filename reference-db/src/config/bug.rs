//! Planted bugs: deliberate mistakes by name, off by default, each with the anomaly that the harness must find. A mode refuses those that nothing in it can meet,
//! since a bug that cannot show would pass every run and prove nothing. Promises stay as they are without the bug: breaking them is the point.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A deliberate mistake, off by default: the harness must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Bug {
    /// A leader takes what it has sent to the synchronous follower for what that has on its disk: acknowledged writes are lost.
    AckEarly,
    /// A follower applies a batch with two workers and does not wait for the order: replicas never converge.
    ApplyOutOfOrder,
    /// Nobody compares terms before taking entries: followers confirm whatever leader sends them, and a deposed one leads on. Acknowledged writes are lost.
    IgnoreTerm,
    /// A deposed leader drops its tail from the log and forgets to take the rows back: replicas never converge, in keys that nobody writes again
    /// (`--ops-per-key 4`).
    ForgetTailDiscard,
    /// A leader shows what no follower has confirmed: with `--reads leader`, reads are not linearizable.
    EarlyVisible,
    /// A stand-in drops its hints when their home is back, instead of delivering them: acknowledged writes are lost.
    ForgetHint,
    /// Repair takes a tombstone for a key that was never written: deleted keys come back.
    DropTombstone,
    /// Merging keeps one sibling: acknowledged concurrent writes are lost.
    DropSibling,
    /// A write that any replica confirmed is acknowledged when time is up: reads need not overlap it.
    CountPartialWrite,
    /// A node's dots go on under its old name from the counter that its disk holds: restored from an old copy it gives dots out twice, and
    /// replicas drop the second write.
    ReuseActor,
    /// The first datacentre's changes are never recognised when they come round again: in a ring with `arrival-order` old values return for ever.
    KeepLoop,
    /// After a reconnect the first change that was not confirmed is skipped: replicas never converge.
    DropChange,
    /// `causal` does not wait: an update comes before its insert and is lost.
    IgnoreCause,
    /// A merge of sets forgets what was removed: removed elements come back.
    ForgetTombstone,
    /// Equal time stamps are not told apart: replicas keep different values.
    LeaveTie,
    /// Term and vote are not written: a node that restarts votes in terms that it has forgotten, and two leaders write one log.
    ForgetVote,
    /// A write is acknowledged when the leader's own disk has it: a later leader may never have heard of it.
    AckBeforeCommit,
    /// A leader answers reads without asking whether it still leads: stale reads.
    StaleReadIndex,
    /// Entries are applied when they are appended: what another leader then replaces stays in the rows.
    ApplyUncommitted,
    /// The head of a chain acknowledges what only its own disk has: the tail does not show it yet, and it is lost with the head.
    AckAtHead,
    /// After a repair the new predecessor does not send what the dead node had not passed on, only numbers in its place: acknowledged writes are
    /// missing further down.
    SkipResend,
    /// Claims `--fsync always` and never syncs: acknowledged writes are lost with the power, never with the process.
    SkipFsync,
    /// Values are stored without what their writers had seen on other shards: whoever reads an answer need not find its question.
    ForgetDependency,
}

impl Bug {
    /// Whether it is one of the single-leader mode.
    pub fn is_of_single_leader(self) -> bool {
        use Bug::{AckEarly, ApplyOutOfOrder, EarlyVisible, ForgetTailDiscard, IgnoreTerm};
        matches!(self, AckEarly | ApplyOutOfOrder | IgnoreTerm | ForgetTailDiscard | EarlyVisible)
    }
}
