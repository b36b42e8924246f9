//! The guarantees of sessions, and of one order of all writes, against their definitions.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Compared, Family, settle};
use crate::checker::{Answer, Case};
use crate::checkers::CHECKERS;
use crate::checkers::definitions::tiny::{Tiny, history, lists, registers};
use crate::checkers::definitions::{Claim, Guarantee, holds, prefix_holds};
use crate::evidence::Budget;
use crate::finding::Outcome;

/// What defines a guarantee.
#[derive(Clone, Copy)]
enum Definition {
    /// For each session, what is seen.
    Session(Guarantee),
    /// One order of all writes; whether what a session sees of it grows.
    Prefix(bool),
}

const GUARANTEES: &[(&str, Definition)] = &[
    ("read-your-writes", Definition::Session(Guarantee::ReadYourWrites)),
    ("monotonic-reads", Definition::Session(Guarantee::MonotonicReads)),
    ("monotonic-writes", Definition::Session(Guarantee::MonotonicWrites)),
    ("writes-follow-reads", Definition::Session(Guarantee::WritesFollowReads)),
    ("consistent-prefix", Definition::Prefix(false)),
    ("monotonic-prefix", Definition::Prefix(true)),
];

/// One family for registers, one for lists; each guarantee is a line.
pub(super) fn families() -> Vec<Family> {
    let lines = |kind: &str| GUARANTEES.iter().map(|(name, _)| (format!("{kind}, {name}"), "its definition")).collect();
    vec![
        Family::new(lines("registers"), |seed| compare(seed, |rng, count| registers(rng, count, 0))),
        Family::new(lines("lists"), |seed| compare(seed, lists)),
    ]
}

/// How often a history that no guarantee explains is drawn again.
const AGAIN: usize = 20;

fn compare(seed: u64, make: impl Fn(&mut ChaCha8Rng, usize) -> Vec<Tiny>) -> Vec<Compared> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..AGAIN {
        let most = if rng.random_ratio(1, 20) { 8 } else { 6 };
        let count = rng.random_range(2..=most);
        let ops = make(&mut rng, count);
        let history = history(&ops);
        let case = Case::new(&history);
        // What was read and never written, or before it was written, is broken whatever is asked.
        if said(&case, "explainable") == Some(true) {
            return judged(&ops, &case);
        }
    }
    vec![Compared::Undecided; GUARANTEES.len()]
}

fn said(case: &Case<'_>, name: &str) -> Option<bool> {
    let entry = CHECKERS.iter().find(|entry| entry.name == name)?;
    match (entry.build)().check(case, &Budget::default()) {
        Answer::Judged { outcome: Outcome::Broken { .. }, .. } => Some(false),
        Answer::Judged { outcome: Outcome::Unknown { .. }, .. } => None,
        Answer::Judged { .. } | Answer::NotHere { .. } => Some(true),
    }
}

fn judged(ops: &[Tiny], case: &Case<'_>) -> Vec<Compared> {
    let sessions = ops.iter().map(|op| op.session).max().unwrap_or(0) + 1;
    let one = |&(name, definition): &(&str, Definition)| {
        let truth = match definition {
            Definition::Session(guarantee) => {
                (0..sessions).all(|session| holds(ops, guarantee, session, Claim::Nothing))
            }
            Definition::Prefix(grows) => prefix_holds(ops, grows, Claim::Nothing),
        };
        let said = said(case, name);
        settle(said, Some(truth), || format!("{said:?} by us, {truth} by the definition: {ops:?}"))
    };
    GUARANTEES.iter().map(one).collect()
}
