//! What a page is made from.

use gainsay_checker::finding::Outcome;
use gainsay_checker::{Finding, History, Judgement, Op, Outcome as OpOutcome};

/// Everything that the page of one run shows.
#[derive(Clone, Debug)]
pub struct RunPage {
    /// The verdict.
    pub judgement: Judgement,
    /// The history; empty where it was too long to be read again.
    pub history: History,
    /// Rows of "what ran": name and value.
    pub facts: Vec<(String, String)>,
    /// The command that repeats the run.
    pub command: Option<String>,
    /// What a person should know beside the verdict.
    pub notes: Vec<String>,
    /// What the nodes said of themselves, ascending by time.
    pub samples: Vec<Sample>,
    /// Where the run's files are.
    pub directory: String,
}

/// How the error of a compare-and-set begins that was refused because something else was there: that is an answer.
const REFUSED: &str = "cas-mismatch";

/// A node at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Nanoseconds since the start.
    pub time: u64,
    /// The node.
    pub node: String,
    /// Its role; absent where it did not answer.
    pub role: Option<String>,
    /// Its term.
    pub term: u64,
    /// How many log entries it has applied.
    pub position: u64,
    /// Its wall clock minus ours, nanoseconds.
    pub clock_offset_ns: Option<i64>,
}

impl RunPage {
    /// The mode's label.
    pub fn label(&self) -> &str {
        self.history.meta.as_ref().map_or("", |meta| meta.label.as_str())
    }

    /// The end of the load, or of the history, in nanoseconds: how far charts reach.
    pub fn load_end(&self) -> u64 {
        let faults = self.judgement.faults.iter().filter_map(|fault| fault.end).max().unwrap_or(0);
        let load = self.history.phase("heal").unwrap_or(self.history.end);
        load.max(faults).max(1)
    }

    /// The operations of the load, without the final reads.
    pub fn load(&self) -> impl Iterator<Item = &Op> {
        self.history.ops.iter().filter(|op| !op.last)
    }

    /// Milliseconds from when the operation was due until its answer.
    pub fn latency_ms(op: &Op) -> Option<f64> {
        (op.completed != u64::MAX).then(|| {
            let due = op.intended.map_or(op.invoked, |intended| intended.min(op.invoked));
            op.completed.saturating_sub(due) as f64 / 1e6
        })
    }

    /// Latency quantiles in milliseconds of the successful operations that `wanted` selects; `None` without any.
    pub fn quantiles(&self, wanted: impl Fn(&Op) -> bool, quantiles: &[f64]) -> Option<Vec<f64>> {
        let mut histogram = hdrhistogram::Histogram::<u64>::new_with_bounds(1_000, 600_000_000_000, 3).ok()?;
        for op in self.load().filter(|op| op.outcome == OpOutcome::Ok && wanted(op)) {
            histogram.saturating_record((Self::latency_ms(op)? * 1e6) as u64);
        }
        if histogram.is_empty() {
            return None;
        }
        Some(quantiles.iter().map(|quantile| histogram.value_at_quantile(*quantile) as f64 / 1e6).collect())
    }

    /// Whether the operation writes.
    pub fn writes(op: &Op) -> bool {
        op.steps.iter().any(|step| step.action.writes())
    }

    /// Whether the database answered: with success, or by refusing a compare-and-set because something else was there.
    pub fn answered(op: &Op) -> bool {
        let refused = || op.error.as_deref().is_some_and(|error| error.starts_with(REFUSED));
        op.outcome == OpOutcome::Ok || (op.outcome == OpOutcome::Fail && refused())
    }

    /// The share of operations due while a fault was active that were answered.
    pub fn answered_during_faults(&self, writes: bool) -> Option<f64> {
        let during = |time: u64| {
            let faults = &self.judgement.faults;
            faults.iter().any(|fault| fault.start <= time && fault.end.is_none_or(|end| time <= end))
        };
        let (mut all, mut ok) = (0_u64, 0_u64);
        for op in self.load() {
            let due = op.intended.unwrap_or(op.invoked);
            if during(due) && Self::writes(op) == writes {
                all += 1;
                ok += u64::from(Self::answered(op));
            }
        }
        (all > 0).then(|| ok as f64 / all as f64)
    }

    /// The finding of that name.
    pub fn finding(&self, guarantee: &str) -> Option<&Finding> {
        self.judgement.findings.iter().find(|finding| finding.guarantee == guarantee)
    }
}

/// The word, the sign and the CSS class of a verdict.
pub fn verdict_words(outcome: &Outcome) -> (&'static str, &'static str, &'static str) {
    match outcome {
        Outcome::Held => ("held", "●", "held"),
        Outcome::Broken { .. } => ("broken", "✕", "broken"),
        Outcome::Unknown { .. } => ("unknown", "?", "unknown"),
        Outcome::Vacuous { .. } => ("vacuous", "○", "vacuous"),
    }
}
