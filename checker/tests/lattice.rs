//! What the graph of dependencies says of the lattice's models is what brute force says.

use gainsay_checker::history::Outcome;
use gainsay_checker::txn::brute;
use gainsay_checker::txn::brute::sketch::{Move, Sketched, transactions};
use gainsay_checker::txn::check::{Answer, Options, check};
use gainsay_checker::txn::lattice;
use gainsay_checker::txn::levels::Level;
use gainsay_checker::txn::questions::QUESTIONS;
use gainsay_checker::txn::transactions::{Shape, Transactions};

/// Compares; gives which models held, as bits.
fn compare(txns: &Transactions, what: &str) -> u32 {
    let report = check(txns, &Options::default());
    if report.answer == Answer::Unknown("values repeat, so that it is not known which write a read saw".into()) {
        return 0;
    }
    let names: Vec<&str> = report.anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect();
    let mut held = 0;
    for (bit, &(model, level, within)) in QUESTIONS.iter().enumerate() {
        // Below read atomic Elle says nothing of a transaction that contradicts itself.
        if level == Level::ReadCommitted && names.iter().any(|name| matches!(*name, "internal" | "future-read")) {
            continue;
        }
        let fast = !names.iter().any(|name| lattice::prohibits(model, name));
        let brute = brute::holds(level, within, txns);
        // The levels take a list for its last element; whoever saw any element saw its writer, which is the stronger reading.
        if txns.shape == Shape::Lists && level <= Level::Causal {
            assert!(brute || !fast, "{model} {what}: {names:?}");
            held |= u32::from(fast) << bit;
            continue;
        }
        assert_eq!(fast, brute, "{model} {what}: {names:?}\n{:?}\n{:?}", txns.txns, txns.steps);
        held |= u32::from(fast) << bit;
    }
    held
}

#[test]
fn drawn_histories_get_the_models_that_brute_force_gives_them() {
    for shape in [Shape::Lists, Shape::Registers] {
        let (mut held, mut broken, mut all) = ([0_u32; 10], [0_u32; 10], 0);
        for seed in 0..3_000 {
            let txns = brute::source::drawn(seed, shape, 5);
            if !txns.doubles.is_empty() {
                continue;
            }
            let holds = compare(&txns, &format!("{shape:?} seed {seed}"));
            all += 1;
            for bit in 0..10 {
                if holds & (1 << bit) != 0 { held[bit] += 1 } else { broken[bit] += 1 }
            }
        }
        for bit in 0..10 {
            assert!(held[bit] * 20 >= all && broken[bit] * 20 >= all, "{:?}: {held:?} {broken:?}", QUESTIONS[bit]);
        }
    }
}

#[test]
fn a_read_that_misses_a_later_append_of_what_it_saw_is_no_read_atomic() {
    let one = |process: u32, moves: Vec<Move>| {
        let at = 10 * process;
        Sketched { process, start: at, end: at + 5, outcome: Outcome::Ok, moves }
    };
    // The third saw the second on key 1, and not on key 0, where the first stands between them.
    let sketch = [
        one(0, vec![Move::Write(0, 1)]),
        one(1, vec![Move::Write(0, 2), Move::Write(1, 1)]),
        one(2, vec![Move::Read(1, Some(vec![1])), Move::Read(0, Some(vec![]))]),
        one(3, vec![Move::Read(0, Some(vec![1, 2]))]),
    ];
    let txns = transactions(Shape::Lists, &sketch);
    let report = check(&txns, &Options::default());
    let names: Vec<&str> = report.anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect();
    for model in ["monotonic-atomic-view", "read-atomic", "causal-cerone"] {
        assert!(names.iter().any(|name| lattice::prohibits(model, name)), "{model}: {names:?}");
    }
    compare(&txns, "a missed append");
}

#[test]
fn what_a_transaction_of_unknown_outcome_read_orders_no_versions() {
    let moves = vec![Move::Read(0, Some(vec![1])), Move::Write(0, 2), Move::Write(0, 1)];
    let unknown = Sketched { process: 0, start: 0, end: u32::MAX, outcome: Outcome::Info, moves };
    let moves = vec![Move::Read(0, Some(vec![]))];
    let ok = Sketched { process: 1, start: 1, end: 2, outcome: Outcome::Ok, moves };
    let held = compare(&transactions(Shape::Registers, &[unknown, ok]), "an unknown read");
    assert_eq!(held.count_ones() as usize, QUESTIONS.len());
}

#[test]
fn appends_that_nobody_saw_conflict_with_those_of_unknown_outcome_that_took_place() {
    let ok = |process: u32, moves: Vec<Move>| Sketched {
        process,
        start: 10 * process,
        end: 100 + process,
        outcome: Outcome::Ok,
        moves,
    };
    // Both append to key 0; the first missed the second's append to key 2, and nothing says which of both came later.
    let moves = vec![Move::Write(0, 2), Move::Write(2, 1)];
    let unknown = Sketched { process: 2, start: 20, end: u32::MAX, outcome: Outcome::Info, moves };
    let sketch = [
        ok(1, vec![Move::Write(0, 1), Move::Write(1, 1), Move::Read(2, Some(vec![]))]),
        unknown,
        ok(3, vec![Move::Read(2, Some(vec![1])), Move::Read(1, Some(vec![]))]),
    ];
    compare(&transactions(Shape::Lists, &sketch), "a conflict that only the outcome of a third shows");
}
