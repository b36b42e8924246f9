//! The guarantees of sessions, and of one order of all writes, against their definitions.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Compared, Family, settle};
use crate::checker::{Answer, Case};
use crate::checkers::CHECKERS;
use crate::checkers::definitions::lost::World;
use crate::checkers::definitions::tiny::{Tiny, What, history, lists, registers, sets};
use crate::checkers::definitions::{Claim, Guarantee, holds, prefix_holds};
use crate::evidence::Budget;
use crate::finding::Outcome;
use crate::visibility::Way;

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
        Family::new(lines("sets"), alarms),
        Family::one("registers, lists and sets, lost-writes", "its definition", lost),
    ]
}

/// What somebody removes is left out by the checkers, so that they see less than the definitions: only their alarms are compared then.
fn alarms(seed: u64) -> Vec<Compared> {
    let unseen = |came: Compared| match came {
        Compared::Differ(how) if how.contains("Remove") && !how.starts_with("Some(false)") => Compared::Undecided,
        other => other,
    };
    compare(seed, sets).into_iter().map(unseen).collect()
}

fn lost(seed: u64) -> Compared {
    let world = World::drawn(&mut ChaCha8Rng::seed_from_u64(seed));
    let history = world.history();
    let said = said(&Case::new(&history), "lost-writes");
    let truth = world.is_explained();
    settle(said, Some(truth), || format!("{said:?} by us, {truth} by the definition: {world:?}"))
}

/// How often a history that no guarantee explains is drawn again.
const AGAIN: usize = 20;

fn compare(seed: u64, make: impl Fn(&mut ChaCha8Rng, usize) -> Vec<Tiny>) -> Vec<Compared> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..AGAIN {
        let chained = rng.random_ratio(1, 3);
        let most = if chained {
            4
        } else if rng.random_ratio(1, 20) {
            8
        } else {
            6
        };
        let count = rng.random_range(2..=most);
        let mut ops = make(&mut rng, count);
        if chained {
            chain(&mut rng, &mut ops);
        }
        let history = history(&ops);
        let mut case = Case::new(&history);
        // What was read and never written, or before it was written, is broken whatever is asked.
        if said(&case, "explainable") == Some(true) {
            return judged(&ops, &mut case);
        }
    }
    vec![Compared::Undecided; GUARANTEES.len()]
}

/// Adds a write that depends on another, and somebody who read the second and perhaps not the first: rare if left to chance.
fn chain(rng: &mut ChaCha8Rng, ops: &mut Vec<Tiny>) {
    let any = |of: fn(&What) -> bool| ops.iter().any(|op| of(&op.what));
    let lists = any(|what| matches!(what, What::ReadList(_) | What::Append { .. }));
    let sets = any(|what| matches!(what, What::ReadSet(_) | What::Add { .. }));
    let write = |key: usize, value: i64| match (lists, sets) {
        (true, _) => What::Append { key, value },
        (_, true) => What::Add { key, value },
        _ => What::Write { key, value },
    };
    let read = |parts: &[(usize, Option<i64>)]| {
        let many = || parts.iter().map(|&(key, value)| (key, value.into_iter().collect())).collect();
        match (lists, sets) {
            (true, _) => What::ReadList(many()),
            (_, true) => What::ReadSet(many()),
            _ => What::Read(parts.to_vec()),
        }
    };
    let (first, second) = (ops.len() as i64, ops.len() as i64 + 1);
    // The keys of the others are 0 and 1.
    let (one, two) = (2, 3);
    let missed = rng.random_ratio(1, 2);
    let last = read(&[(two, Some(second)), (one, (!missed).then_some(first))]);
    let chain = match rng.random_ratio(1, 2) {
        true => vec![(0, write(one, first)), (0, write(two, second)), (1, last)],
        false => vec![(0, write(one, first)), (1, read(&[(one, Some(first))])), (1, write(two, second)), (2, last)],
    };
    let shift = rng.random_range(0..3);
    let mut clock = ops.iter().map(|op| op.to).max().unwrap_or(0);
    for (session, what) in chain {
        let session = (session + shift) % 3;
        ops.push(Tiny { session, from: clock + 1, to: clock + 3, known: true, what, rank: None });
        clock += 3;
    }
}

fn said(case: &Case<'_>, name: &str) -> Option<bool> {
    let entry = CHECKERS.iter().find(|entry| entry.name == name)?;
    match (entry.build)().check(case, &Budget::default()) {
        Answer::Judged { outcome: Outcome::Broken { .. }, .. } => Some(false),
        Answer::Judged { outcome: Outcome::Unknown { .. }, .. } => None,
        Answer::Judged { .. } | Answer::NotHere { .. } => Some(true),
    }
}

fn judged(ops: &[Tiny], case: &mut Case<'_>) -> Vec<Compared> {
    let sessions = ops.iter().map(|op| op.session).max().unwrap_or(0) + 1;
    let one = |&(name, definition): &(&str, Definition)| {
        let truth = match definition {
            Definition::Session(guarantee) => {
                (0..sessions).all(|session| holds(ops, guarantee, session, Claim::Nothing))
            }
            Definition::Prefix(grows) => prefix_holds(ops, grows, Claim::Nothing),
        };
        case.way = Way::Clocks;
        let at_once = said(case, name);
        case.way = Way::default();
        let said = said(case, name);
        if at_once != said {
            return Compared::Differ(format!("{at_once:?} for all keys at once, {said:?} otherwise: {ops:?}"));
        }
        settle(said, Some(truth), || format!("{said:?} by us, {truth} by the definition: {ops:?}"))
    };
    GUARANTEES.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::definitions::lost::{Deed, Done, Holds};

    #[test]
    fn a_replica_that_shows_everything_in_another_order_has_lost_nothing() {
        let done = |from, value| Done { from, to: from + 2, known: true, deed: Deed::Put(value) };
        let mut world =
            World { holds: Holds::List, done: vec![done(1, 4), done(2, 5)], finals: vec![vec![4, 5], vec![5, 4]] };
        assert_eq!(said(&Case::new(&world.history()), "lost-writes"), Some(true));
        world.finals[1] = vec![5];
        assert_eq!(said(&Case::new(&world.history()), "lost-writes"), Some(false));
    }

    #[test]
    fn a_remove_that_was_over_before_the_add_explains_no_loss() {
        let done = |from, deed| Done { from, to: from + 2, known: true, deed };
        let early = vec![done(1, Deed::Take(4)), done(5, Deed::Put(4))];
        let late = vec![done(1, Deed::Put(4)), done(2, Deed::Take(4))];
        for (done, held) in [(early, false), (late, true)] {
            let world = World { holds: Holds::Set, done, finals: vec![vec![]] };
            assert_eq!(said(&Case::new(&world.history()), "lost-writes"), Some(held));
        }
    }
}
