//! The fast procedures against the definitions themselves, on small histories.
//!
//! The definition: a guarantee holds if some `vis` (for each read a set of writes that were invoked before it completed) and some `ar` (an
//! order of the writes) explain every value and satisfy the condition. Both are simply searched, for each session on its own.

mod drawing;

use gainsay_checker::checkers::definitions::tiny::{Tiny, history, lists, registers};
use gainsay_checker::checkers::definitions::{Claim, Guarantee, holds, is_write, prefix_holds};
use gainsay_checker::{Options, Vacuity, Verdict, judge};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use Guarantee::{MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads};

/// What a drawing of a counterexample shows.
fn compare(ops: &[Tiny], claim: Claim) -> (bool, u32) {
    let mut history = history(ops);
    if claim == Claim::RealTime {
        history.meta = drawing::draw("order: real-time\n").history.meta;
        history.meta.as_mut().unwrap().guarantees = vec!["all".into()];
    }
    let judgement = judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() });
    let verdict = |name: &str| {
        let finding = judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap();
        assert!(!matches!(finding.outcome, Verdict::Unknown { .. }), "{name} gave up on {ops:#?}");
        !matches!(finding.outcome, Verdict::Broken { .. })
    };
    if !verdict("explainable") {
        return (false, 0);
    }
    let sessions = ops.iter().map(|op| op.session).max().unwrap_or(0) + 1;
    let mut broken = 0;
    for (guarantee, name) in [
        (ReadYourWrites, "read-your-writes"),
        (MonotonicReads, "monotonic-reads"),
        (MonotonicWrites, "monotonic-writes"),
        (WritesFollowReads, "writes-follow-reads"),
    ] {
        let truth = (0..sessions).all(|session| holds(ops, guarantee, session, claim));
        let said = verdict(name);
        assert_eq!(said, truth, "{name}: the checker says {said}, the definition {truth}, of {ops:#?}");
        broken += u32::from(!truth);
    }
    for (grows, name) in [(false, "consistent-prefix"), (true, "monotonic-prefix")] {
        let truth = prefix_holds(ops, grows, claim);
        let said = verdict(name);
        assert_eq!(said, truth, "{name}: the checker says {said}, the definition {truth}, of {ops:#?}");
        broken += u32::from(!truth);
    }
    (true, broken)
}

fn sample(count: usize, claim: Claim, make: impl Fn(&mut ChaCha8Rng) -> Vec<Tiny>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut judged, mut broken) = (0, 0);
    for _ in 0..count {
        let (sound, violations) = compare(&make(&mut rng), claim);
        judged += u32::from(sound);
        broken += violations;
    }
    assert!(judged as usize > count / 4 && broken as usize > count / 20, "{judged} judged, {broken} broken");
}

#[test]
fn registers_agree_with_the_definitions() {
    sample(15_000, Claim::Nothing, |rng| {
        let count = rng.random_range(2..=6);
        registers(rng, count, 0)
    });
}

#[test]
fn lists_agree_with_the_definitions() {
    sample(15_000, Claim::Nothing, |rng| {
        let count = rng.random_range(2..=6);
        lists(rng, count)
    });
}

/// Deletes are judged by stand-ins: no alarm may be false, and the plain cases must be found.
#[test]
fn deletes_never_raise_a_false_alarm() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..8_000 {
        let count = rng.random_range(2..=5);
        let ops = registers(&mut rng, count, 4);
        let judgement = judge(&history(&ops), &Options { vacuity: Vacuity::Shown, ..Options::default() });
        for (guarantee, name) in [
            (ReadYourWrites, "read-your-writes"),
            (MonotonicReads, "monotonic-reads"),
            (MonotonicWrites, "monotonic-writes"),
            (WritesFollowReads, "writes-follow-reads"),
        ] {
            let finding = judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap();
            if matches!(finding.outcome, Verdict::Broken { .. }) {
                assert!(
                    (0..3).any(|session| !holds(&ops, guarantee, session, Claim::Nothing)),
                    "{name} is a false alarm: {ops:#?}"
                );
            }
        }
    }
}

#[test]
fn registers_agree_where_real_time_is_claimed() {
    sample(8_000, Claim::RealTime, |rng| {
        let count = rng.random_range(2..=6);
        registers(rng, count, 0)
    });
}

#[test]
fn registers_agree_where_positions_are_reported() {
    sample(8_000, Claim::Nothing, |rng| {
        let count = rng.random_range(2..=6);
        let mut ops = registers(rng, count, 0);
        let mut ranks: Vec<u64> = (1..=ops.len() as u64).collect();
        ranks.shuffle(rng);
        for (op, rank) in ops.iter_mut().zip(ranks).filter(|(op, _)| is_write(op)) {
            op.rank = Some(rank);
        }
        ops
    });
}
