//! Linearizability against the definition, on small histories: try every order.

use gainsay_checker::checkers::definitions::tiny::{Tiny, What, history, times};
use gainsay_checker::{Options, Vacuity, Verdict, judge};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Whether the rest can be put in an order, given what is done and the register's value.
fn linear(ops: &[Tiny], done: u32, value: Option<i64>) -> bool {
    let left: Vec<usize> = (0..ops.len()).filter(|i| done >> i & 1 == 0).collect();
    if left.iter().all(|&i| !ops[i].known) {
        return true;
    }
    left.iter().any(|&next| {
        let first = left.iter().all(|&other| !ops[other].known || ops[other].to >= ops[next].from);
        if !first {
            return false;
        }
        let after = match &ops[next].what {
            What::Write { value, .. } => Some(Some(*value)),
            What::Delete { .. } => Some(None),
            What::Cas { old, new, .. } => (*old == value).then_some(Some(*new)),
            What::Read(parts) => (parts[0].1 == value).then_some(value),
            _ => None,
        };
        after.is_some_and(|after| linear(ops, done | 1 << next, after))
    })
}

/// How values are chosen.
#[derive(Clone, Copy, PartialEq)]
enum Values {
    Unique,
    Repeating,
}

fn world(rng: &mut ChaCha8Rng, values: Values, with_cas: u32) -> Vec<Tiny> {
    let (count, sessions) = (rng.random_range(2..=7), rng.random_range(1..=4));
    let mut ops = times(rng, count, sessions);
    let mut written = Vec::new();
    for (at, op) in ops.iter_mut().enumerate() {
        let new = if values == Values::Unique { at as i64 } else { rng.random_range(0..3) };
        if rng.random_ratio(1, 2) {
            op.known = rng.random_ratio(4, 5);
            let old =
                (!written.is_empty() && rng.random_ratio(3, 4)).then(|| written[rng.random_range(0..written.len())]);
            op.what = match rng.random_range(0..10) {
                choice if choice < with_cas => What::Cas { key: 0, old, new },
                9 if values == Values::Repeating => What::Delete { key: 0 },
                _ => What::Write { key: 0, value: new },
            };
            if !matches!(op.what, What::Delete { .. }) {
                written.push(new);
            }
        }
    }
    for op in ops.iter_mut().filter(|op| op.what == What::Read(vec![])) {
        let at = rng.random_range(0..=written.len());
        op.what = What::Read(vec![(0, written.get(at).copied())]);
    }
    ops
}

fn agree(seed: u64, count: usize, values: Values, with_cas: u32) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut judged, mut broken) = (0, 0);
    for _ in 0..count {
        let ops = world(&mut rng, values, with_cas);
        let judgement = judge(&history(&ops), &Options { vacuity: Vacuity::Shown, ..Options::default() });
        let of = |name: &str| &judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap().outcome;
        if matches!(of("explainable"), Verdict::Broken { .. }) {
            continue;
        }
        judged += 1;
        let truth = linear(&ops, 0, None);
        assert!(!matches!(of("linearizable"), Verdict::Unknown { .. }));
        let said = !matches!(of("linearizable"), Verdict::Broken { .. });
        assert_eq!(said, truth, "the checker says {said}, the definition {truth}, of {ops:#?}");
        broken += usize::from(!truth);
    }
    assert!(judged > count / 3 && broken > count / 10, "{judged} judged, {broken} broken");
}

#[test]
fn registers_with_unique_values_agree_with_the_definition() {
    agree(1, 15_000, Values::Unique, 0);
}

#[test]
fn compare_and_set_agrees_with_the_definition() {
    agree(2, 15_000, Values::Unique, 5);
}

#[test]
fn repeating_values_and_deletes_agree_with_the_definition() {
    agree(3, 15_000, Values::Repeating, 3);
}
