//! What a checker answers, and the file `verdict.json` that keeps it.
//!
//! A verdict carries its own proof: `Broken` cannot be built without an anomaly, `Held` always says on how many
//! opportunities, `Unknown` and `Vacuous` always say why.

use serde::{Deserialize, Serialize};

use crate::history::FaultWindow;

/// One guarantee's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Outcome {
    /// No violation in `evidence`.
    Held,
    /// Violated, with at least one proof.
    Broken {
        /// How many violations were found, of which `anomalies` shows the first.
        violations: u64,
        /// The first proofs, at most [`PROOFS`] of each name. Never empty.
        anomalies: Vec<Anomaly>,
        /// When each violation was seen, nanoseconds since the start, ascending, at most [`TIMES`].
        times: Vec<u64>,
    },
    /// The checker could not decide.
    Unknown {
        /// Why, in one sentence.
        why: String,
    },
    /// There was too little to see.
    Vacuous {
        /// Why, in one sentence.
        why: String,
    },
}

/// How many proofs of each anomaly's name are kept.
pub const PROOFS: usize = 5;
/// How many violation times are kept.
pub const TIMES: usize = 2_000;

/// How much there was to see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// Places where the guarantee could have been seen broken.
    pub opportunities: u64,
    /// Those of them where the mode could really break it: another node served, or a fault was active or had just ended.
    pub sharp: u64,
    /// What an opportunity is for this guarantee, for the report ("reads after an own acknowledged write").
    pub unit: String,
    /// The 95 % upper bound on the frequency of violations, a probability; absent without opportunities.
    pub upper_bound: Option<f64>,
    /// Where the order of writes came from: `observed`, `reported`, `real time`, `settled`, `none`.
    pub order: String,
}

/// What a checker says of one guarantee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The guarantee's name.
    pub guarantee: String,
    /// Whether it was asked for; only then does it count.
    pub asked: bool,
    /// The verdict and its proof.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How much there was to see.
    pub evidence: Evidence,
    /// How long the checker took.
    pub took_ms: f64,
}

/// A named, explained violation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Anomaly {
    /// Its name: a guarantee's (`read-your-writes`), a kind of loss (`never-visible`), or what nothing explains
    /// (`value-nobody-wrote`).
    pub name: String,
    /// One sentence that a newcomer understands, with session, node, key, values and times.
    pub sentence: String,
    /// The key that it is about, where it is about one.
    pub key: Option<String>,
    /// The two to five operations that prove it, in the order of their invocation.
    pub witnesses: Vec<Witness>,
    /// Why they contradict each other: each edge points from one witness to another, by position in `witnesses`.
    pub edges: Vec<Edge>,
    /// The faults active at that time, by identity.
    pub faults: Vec<u64>,
    /// When it was seen, nanoseconds since the start.
    pub time: u64,
}

/// An operation that takes part in a proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Witness {
    /// The index of its invocation in the history.
    pub index: u64,
    /// What it did and saw, short: `append x 44`.
    pub text: String,
    /// What part it plays: `acknowledged write`, `stale read`.
    pub role: String,
    /// Its process.
    pub process: u64,
    /// Its session.
    pub session: String,
    /// Its user, where users were recorded.
    pub user: Option<String>,
    /// The node that served it.
    pub node: Option<String>,
    /// When it was invoked, nanoseconds since the start.
    pub invoked: u64,
    /// When it completed; absent where it never did.
    pub completed: Option<u64>,
    /// `ok`, `fail` or `info`.
    pub outcome: String,
    /// What the database reported, as text.
    pub version: Option<String>,
}

/// Why one witness must come before, or must be seen by, another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Edge {
    /// Position in `witnesses`.
    pub from: usize,
    /// Position in `witnesses`.
    pub to: usize,
    /// One sentence.
    pub why: String,
}

/// What became of every acknowledged write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ledger {
    /// Acknowledged writes that were judged.
    pub acknowledged: u64,
    /// Present on every replica at the end.
    pub present: u64,
    /// Present on some replicas only.
    pub on_some: u64,
    /// Taken away by an acknowledged or unknown remove or delete.
    pub removed: u64,
    /// Replaced by a later write.
    pub replaced: u64,
    /// Lost.
    pub lost: u64,
    /// Counted twice.
    pub duplicated: u64,
    /// Not acknowledged, yet present.
    pub unacknowledged_present: u64,
    /// Per replica: its name, how many acknowledged writes it holds, how many it lacks that another holds.
    pub replicas: Vec<(String, u64, u64)>,
}

/// Counts over the operations of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// Operations, without the final reads.
    pub operations: u64,
    /// Succeeded.
    pub ok: u64,
    /// Certainly did not happen.
    pub fail: u64,
    /// Unknown.
    pub info: u64,
    /// Reads that returned siblings.
    pub siblings: u64,
}

/// The verdict of a run over all guarantees: the content of `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Judgement {
    /// The version of this file's format.
    pub format: u32,
    /// `held`, `broken`, `unknown` or `vacuous`, over the guarantees asked for.
    pub result: String,
    /// In one sentence.
    pub headline: String,
    /// Each guarantee.
    pub findings: Vec<Finding>,
    /// What became of the writes; absent where there were no final reads.
    pub ledger: Option<Ledger>,
    /// Milliseconds from healing until all replicas were equal for good; absent where they never were or it was not seen.
    pub divergence_ms: Option<f64>,
    /// Counts.
    pub counts: Counts,
    /// The faults, with what proved them.
    pub faults: Vec<FaultWindow>,
    /// What else should be known ("the history ends in the middle of a line").
    pub notes: Vec<String>,
}
