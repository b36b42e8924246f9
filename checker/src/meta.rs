//! What a run says about itself in the first line of its history.
//!
//! A history copied alone must give the same verdict as the run did, so whatever a checker may assume or was asked is in
//! the history and not only beside it. A history without the line (of another tool) is judged with nothing assumed.

use serde::{Deserialize, Serialize};

/// The version of the history format that this crate writes.
pub const FORMAT: u32 = 1;

/// The description of a run; the value of the note `run`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Meta {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// The identity of the run.
    pub run: String,
    /// The database's name.
    pub database: String,
    /// The short label of mode and policies.
    pub label: String,
    /// The workload's name.
    pub workload: String,
    /// The names of the nodes.
    pub nodes: Vec<String>,
    /// The seed of every random choice.
    pub seed: u64,
    /// The guarantees asked for: those whose verdict decides the exit code.
    pub guarantees: Vec<String>,
    /// Guarantees that the mode promises but that this workload cannot exercise.
    #[serde(default)]
    pub not_exercised: Vec<String>,
    /// The kinds of fault asked for; empty where none were.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Whether the mode claims that the order of writes extends real time (one leader, no split brain).
    #[serde(default)]
    pub order_is_real_time: bool,
    /// How an element that is added and removed concurrently is settled.
    #[serde(default)]
    pub set_rule: SetRule,
    /// Whether the database stores anything at all; a no-op database is only measured, never judged.
    #[serde(default = "stores")]
    pub stores: bool,
}

fn stores() -> bool {
    true
}

/// What becomes of a set's element that is added and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetRule {
    /// The later of the two in the order of writes counts.
    #[default]
    ByOrder,
    /// A remove takes away the adds that it observed.
    ObservedRemove,
    /// A remove wins over every concurrent add.
    RemoveWins,
}
