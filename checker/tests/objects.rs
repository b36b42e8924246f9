//! The deciders of objects against the brute force: every small history, and many random ones.

use std::time::Duration;

use gainsay_checker::Budget;
use gainsay_checker::objects::brute::{self, Draw, Shape};
use gainsay_checker::objects::calls::Calls;
use gainsay_checker::objects::{Decision, ModelName, Verdict, linearizable, searched_only, sequential};

const BUDGET: Budget = Budget { time: Duration::from_secs(20), configurations: 5_000_000 };

fn truth(decision: &Decision) -> Option<bool> {
    match decision.verdict {
        Verdict::Holds => Some(true),
        Verdict::Violated(_) => Some(false),
        Verdict::Unknown(_) => None,
    }
}

/// How many times more histories than usual, for a longer look.
fn rounds() -> u32 {
    std::env::var("OBJECTS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn tell(calls: &Calls) -> String {
    calls
        .all()
        .iter()
        .map(|call| {
            format!(
                "{call:?} {:?}\n",
                if call.f == gainsay_checker::objects::calls::Function::ReadAll && call.ok() {
                    calls.elements(call)
                } else {
                    &[]
                }
            )
        })
        .collect()
}

fn agree(model: ModelName, calls: &Calls) -> bool {
    let expected = brute::linearizable(model, calls);
    let decided = linearizable(model, calls, &BUDGET, 1);
    assert_eq!(truth(&decided), Some(expected), "{model:?} {decided:?}\n{}", tell(calls));
    if let Verdict::Violated(proof) = &decided.verdict {
        assert!(proof.calls.contains(&proof.stuck) && !proof.text.is_empty(), "{proof:?}");
    }
    let ordered = brute::sequential(model, calls);
    let decided = sequential(model, calls, &BUDGET);
    assert_eq!(truth(&decided), Some(ordered), "sequential {model:?} {decided:?}\n{}", tell(calls));
    assert!(ordered || !expected, "what is linearizable is sequential");
    if let Verdict::Violated(proof) = &decided.verdict {
        assert!(proof.calls.contains(&proof.stuck) && !proof.text.is_empty(), "{proof:?}");
    }
    expected
}

#[test]
fn every_small_history_is_decided_as_by_brute_force() {
    for model in ModelName::ALL {
        let one = Shape { calls: 3, processes: 3, keys: 1, values: 2, unknown: 1, wrong: 0, unique: false };
        let (mut held, mut all) = (0, 0);
        all += brute::every(model, &one, |calls| held += u64::from(agree(model, calls)));
        let two = Shape { calls: 2, processes: 2, keys: 2, ..one };
        all += brute::every(model, &two, |calls| held += u64::from(agree(model, calls)));
        println!("{model:?}: {held} of {all} hold");
        assert!(held > 0 && held < all, "{model:?}");
    }
}

#[test]
fn random_histories_are_decided_as_by_brute_force() {
    let mut draw = Draw(7);
    for model in ModelName::ALL {
        let mut held = 0;
        let all = 3000 * rounds();
        for _ in 0..all {
            let shape = Shape {
                calls: 3 + draw.below(6) as usize,
                processes: 1 + draw.below(4),
                keys: 1 + draw.below(2),
                values: 1 + draw.below(3),
                unknown: [0, 200_000, 500_000][draw.below(3) as usize],
                wrong: [0, 100_000, 300_000][draw.below(3) as usize],
                unique: draw.below(2) == 0,
            };
            held += u32::from(agree(model, &brute::random(model, &shape, draw.next())));
        }
        println!("{model:?}: {held} of {all} hold");
        assert!(held > 0 && held < all, "{model:?}");
    }
}

#[test]
fn monitors_agree_with_the_search_on_larger_histories() {
    let mut draw = Draw(11);
    for model in ModelName::ALL {
        for _ in 0..150 * rounds() {
            let shape = Shape {
                calls: 10 + draw.below(60) as usize,
                processes: 1 + draw.below(4),
                keys: 1,
                values: 1 + draw.below(4),
                unknown: [0, 20_000, 50_000][draw.below(3) as usize],
                wrong: [0, 5_000, 30_000][draw.below(3) as usize],
                unique: true,
            };
            let calls = brute::random(model, &shape, draw.next());
            let (fast, slow) = (linearizable(model, &calls, &BUDGET, 1), searched_only(model, &calls, &BUDGET));
            if let (Some(fast_says), Some(slow_says)) = (truth(&fast), truth(&slow)) {
                assert_eq!(fast_says, slow_says, "{model:?} {shape:?} {fast:?} {slow:?}\n{}", tell(&calls));
            }
        }
    }
}
