//! The deciders of objects against the brute force: many random histories, and what was found by hand.

use std::time::Duration;

use gainsay_checker::Budget;
use gainsay_checker::objects::brute::{self, Draw, Shape};
use gainsay_checker::objects::calls::{Call, Calls, Function, NEVER, NIL, Outcome};
use gainsay_checker::objects::{Decision, ModelName, Verdict, linearizable, searched_only, sequential};

const BUDGET: Budget = Budget { time: Duration::from_secs(20), configurations: 5_000_000, bytes: 256 << 20 };

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
    calls.all().iter().map(|call| format!("{call:?}\n")).collect()
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
            held += u32::from(agree(model, &brute::random(model, &shape, draw.number())));
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
            let calls = brute::random(model, &shape, draw.number());
            let (fast, slow) = (linearizable(model, &calls, &BUDGET, 1), searched_only(model, &calls, &BUDGET));
            if let (Some(fast_says), Some(slow_says)) = (truth(&fast), truth(&slow)) {
                assert_eq!(fast_says, slow_says, "{model:?} {shape:?} {fast:?} {slow:?}\n{}", tell(&calls));
            }
        }
    }
}

fn history(calls: &[(Function, i64, i64, u32, u32)]) -> Calls {
    let call = |(at, &(f, input, output, start, end)): (usize, &(Function, i64, i64, u32, u32))| {
        let outcome = if end == NEVER { Outcome::Info } else { Outcome::Ok };
        Call { input, output, process: at as u32, start, end, key: 0, source: at as u32, f, outcome }
    };
    Calls::new(calls.iter().enumerate().map(call).collect(), Vec::new(), Vec::new()).expect("drawn by hand")
}

#[test]
fn a_counter_read_that_only_a_failed_add_explains_is_refused() {
    // The failed add of 5 is not among the calls; jepsen#303.
    let calls = history(&[(Function::Add, 1, NIL, 0, 1), (Function::Read, NIL, 6, 2, 3)]);
    assert_eq!(truth(&linearizable(ModelName::Counter, &calls, &BUDGET, 1)), Some(false));
    assert_eq!(truth(&sequential(ModelName::Counter, &calls, &BUDGET)), Some(false));
}

#[test]
fn a_value_that_only_a_failed_write_gave_is_refused() {
    let calls = history(&[(Function::Write, 1, NIL, 0, 1), (Function::Read, NIL, 2, 2, 3)]);
    let decided = linearizable(ModelName::Register, &calls, &BUDGET, 1);
    let Verdict::Violated(proof) = decided.verdict else { panic!("{decided:?}") };
    assert_eq!((proof.calls, proof.stuck), (vec![1], 1));
}

#[test]
fn an_unknown_read_constrains_nothing() {
    let calls = history(&[(Function::Write, 1, NIL, 0, 1), (Function::Read, NIL, 2, 2, NEVER)]);
    assert_eq!(truth(&linearizable(ModelName::Register, &calls, &BUDGET, 1)), Some(true));
}

#[test]
fn a_small_budget_says_how_far_it_came() {
    let shape = Shape { calls: 400, processes: 30, keys: 1, values: 5, unknown: 50_000, wrong: 0, unique: false };
    let calls = brute::random(ModelName::CasRegister, &shape, 3);
    let budget = Budget { configurations: 50, ..BUDGET };
    let decided = linearizable(ModelName::CasRegister, &calls, &budget, 2);
    let Verdict::Unknown(unfinished) = decided.verdict else { panic!("{decided:?}") };
    assert!(unfinished.decided < unfinished.of && unfinished.of == 400, "{unfinished:?}");
}

#[test]
fn a_violated_key_wins_over_keys_without_an_answer() {
    let shape = Shape { calls: 3000, processes: 30, keys: 3, values: 5, unknown: 50_000, wrong: 0, unique: false };
    let calls = brute::random(ModelName::CasRegister, &shape, 3);
    let mut all = calls.all().to_vec();
    let start = all.iter().map(|call| call.start + 2).max().unwrap_or(0) + 10_000;
    let last = Call { key: 9, start, end: start + 1, f: Function::Read, output: 77, source: 5000, ..all[0] };
    all.push(Call { outcome: Outcome::Ok, ..last });
    let calls = Calls::new(all, Vec::new(), Vec::new()).expect("one more call at the end");
    let decided = linearizable(ModelName::CasRegister, &calls, &Budget { configurations: 20, ..BUDGET }, 2);
    assert!(!decided.unknown.is_empty(), "{decided:?}");
    let Verdict::Violated(proof) = decided.verdict else { panic!("{:?}", decided.verdict) };
    assert_eq!((proof.key, proof.calls), (9, vec![5000]));
}

#[test]
fn a_stale_read_is_sequential_and_not_linearizable() {
    let calls =
        history(&[(Function::Write, 1, NIL, 0, 1), (Function::Write, 2, NIL, 2, 3), (Function::Read, NIL, 1, 4, 5)]);
    assert_eq!(truth(&linearizable(ModelName::Register, &calls, &BUDGET, 1)), Some(false));
    assert_eq!(truth(&sequential(ModelName::Register, &calls, &BUDGET)), Some(true));
}
