//! How far behind reads were, in words and against a bound: k- and Δ-atomicity (Golab, Li, Shah 2011).

use std::time::Duration;

use super::answer::{Answer, Case, Problem, Verdict};
use crate::checkers::staleness::Staleness;
use crate::proof::seconds;

/// How far behind reads may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// They return one of so many newest versions; 1 is the newest alone.
    pub versions: Option<u64>,
    /// They return what was the newest at most so long ago.
    pub age: Option<Duration>,
}

/// The measurement, held against `bound`.
pub(super) fn judged(measured: &Staleness, bound: &Bound) -> Answer {
    let known = measured.ordered == measured.reads;
    let missed = measured.versions.max + 1;
    // Where the order of versions is not known, what is missed is a lower bound, and k lies between two.
    let (least, most) = match measured.k {
        _ if known => (missed, missed),
        Some(k) => (missed.max(k.at_least), missed.max(k.at_most)),
        None => (missed, u64::MAX),
    };
    let age = measured.nanoseconds.max;
    let allowed = bound.age.map_or(u64::MAX, |age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
    let versions = bound.versions.unwrap_or(u64::MAX);
    let verdict = if least > versions || age > allowed {
        Verdict::Violated
    } else if most > versions || !known && bound.age.is_some() {
        Verdict::Unknown
    } else {
        Verdict::Holds
    };
    let k = match (least, most) {
        (least, most) if least == most => format!("k = {least}"),
        (least, u64::MAX) => format!("k ≥ {least}"),
        (least, most) => format!("k from {least} to {most}"),
    };
    let at_least = if known { "" } else { "at least " };
    let sentence = format!(
        "{k}, Δ = {at_least}{}: {} of {} reads missed an acknowledged newer write",
        seconds(age),
        measured.stale,
        measured.reads
    );
    let mut answer = Answer::new("staleness", verdict, sentence);
    if let (Verdict::Violated, Some((versions, longest))) = (verdict, measured.worst) {
        let because = vec![
            format!(
                "The operation invoked at event {versions} read a version with {} newer ones acknowledged before it.",
                missed - 1
            ),
            format!(
                "The one invoked at event {longest} missed a write that had been acknowledged {} before.",
                seconds(age)
            ),
        ];
        answer.problems.push(Problem {
            name: "stale-read".into(),
            count: measured.stale,
            counts: true,
            cases: vec![Case { operations: Vec::new(), because, svg: None }],
        });
    }
    let spread = |spread: &crate::checkers::staleness::Spread| serde_json::to_value(spread).unwrap_or_default();
    answer.numbers.insert("versions".into(), spread(&measured.versions));
    answer.numbers.insert("nanoseconds".into(), spread(&measured.nanoseconds));
    answer.numbers.insert("k-at-least".into(), least.into());
    if most < u64::MAX {
        answer.numbers.insert("k-at-most".into(), most.into());
    }
    answer.on(measured.reads, "reads", if verdict == Verdict::Violated { measured.stale } else { 0 })
}
