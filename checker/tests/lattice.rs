//! What the graph of dependencies says of the lattice's models is what brute force says.

use gainsay_checker::txn::brute;
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
