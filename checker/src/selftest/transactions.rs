//! Transactions: small histories against brute force, larger ones of lists against the commit orders asked about directly, and at weak levels
//! against their axiom.

use super::{BRUTE, Compared, Family, settle};
use crate::evidence::Budget;
use crate::txn::brute::{Tried, axioms, source};
use crate::txn::check::{Options, check};
use crate::txn::lattice;
use crate::txn::levels::{Decision, Level, Within, decide};
use crate::txn::questions::{self, QUESTIONS};
use crate::txn::{Shape, Transactions, witness};

type Question = (&'static str, Level, Within);

const AXIOM: &str = "the axiom alone";

fn strong() -> Vec<Question> {
    QUESTIONS.iter().filter(|(_, level, _)| *level > Level::Causal).copied().collect()
}

fn weak() -> Vec<Question> {
    QUESTIONS.iter().filter(|(_, level, _)| *level <= Level::Causal).copied().collect()
}

/// A family of small histories for each shape, and some of larger ones; every question is a line.
pub(super) fn families() -> Vec<Family> {
    let lines = |kind: &str| names(kind, |_| true).into_iter().map(|name| (name, BRUTE)).collect();
    let larger = |kind: &str, questions: Vec<Question>, with| -> Vec<(String, &'static str)> {
        let name = |(model, ..): Question| (format!("{kind}, {model}, up to 30 transactions"), with);
        questions.into_iter().map(name).collect()
    };
    vec![
        Family::new(lines("lists"), |seed| small(Shape::Lists, seed)),
        Family::new(lines("registers"), |seed| small(Shape::Registers, seed)),
        Family::new(larger("lists", strong(), "commit orders asked directly"), large),
        Family::new(larger("lists", weak(), AXIOM), |seed| large_weak(Shape::Lists, seed)),
        Family::new(larger("registers", weak(), AXIOM), |seed| large_weak(Shape::Registers, seed)),
        Family::one("lists, one order walked", BRUTE, |seed| walked(Shape::Lists, seed)),
        Family::one("registers, one order walked", BRUTE, |seed| walked(Shape::Registers, seed)),
    ]
}

/// An order that the walk finds exists; that it finds none says nothing.
fn walked(shape: Shape, seed: u64) -> Compared {
    let txns = source::drawn(seed, shape, if seed.is_multiple_of(5) { 8 } else { 5 });
    let exists = Tried::new(&txns).holds(Level::Serializable, Within::RealTime);
    match (witness::found(&txns), exists) {
        (true, true) => Compared::Valid,
        (false, false) => Compared::Invalid,
        (false, true) => Compared::Undecided,
        (true, false) => Compared::Differ(format!("an order was found: {:?} {:?}", txns.txns, txns.steps)),
    }
}

/// The names of what is found.
fn found(txns: &Transactions, models: &[&str], direct: bool) -> Vec<String> {
    let models = models.iter().map(|model| model.to_string()).collect();
    let report = check(txns, &Options { direct, besides: 0, witness: false, models, ..Options::default() });
    report.anomalies.into_iter().map(|anomaly| anomaly.name).collect()
}

/// Whether a model stands; nothing where what was found against it is no matter of the question's.
fn stands(found: &[String], model: &str, level: Level, slow: bool) -> Option<bool> {
    if found.iter().any(|name| lattice::prohibits(model, name)) {
        return Some(false);
    }
    // Below read atomic Elle prohibits no transaction that contradicts its own writes, and the question does; one that reads a key
    // twice and finds it changed is `internal` too, and no matter of the question's.
    let own = |name: &String| level == Level::ReadCommitted && matches!(name.as_str(), "internal" | "future-read");
    if found.iter().any(own) { (!slow).then_some(false) } else { Some(true) }
}

/// Whether the order of transactions that answers the first question answers the second too, each seeing the same.
fn same_order(first: (Level, Within), second: (Level, Within)) -> bool {
    second.0 >= Level::Prefix && first.0 >= second.0 && first.1 >= second.1
}

fn small(shape: Shape, seed: u64) -> Vec<Compared> {
    let txns = source::drawn(seed, shape, if seed.is_multiple_of(5) { 8 } else { 5 });
    if !txns.doubles.is_empty() {
        return vec![Compared::Undecided; QUESTIONS.len()];
    }
    // Asked for together, models spare each other questions; now and then each is asked for alone.
    judged(&txns, QUESTIONS, seed.is_multiple_of(16), false)
}

/// What is asked within such orders.
fn asked(which: impl Fn(Within) -> bool) -> Vec<Question> {
    QUESTIONS.iter().filter(|(.., within)| which(*within)).copied().collect()
}

/// The names of what [`by_brute_force`] asks of such histories.
pub(super) fn names(kind: &str, which: impl Fn(Within) -> bool) -> Vec<String> {
    asked(which).into_iter().map(|(model, ..)| format!("{kind}, {model}")).collect()
}

/// What comes of a small history without doubled writes, asked for the models within such orders, by the verdict and by commit orders.
pub(super) fn by_brute_force(txns: &Transactions, which: impl Fn(Within) -> bool) -> Vec<Compared> {
    judged(txns, &asked(which), false, true)
}

fn judged(txns: &Transactions, questions: &[(&str, Level, Within)], alone: bool, orders_too: bool) -> Vec<Compared> {
    let models: Vec<&str> = questions.iter().map(|(model, ..)| *model).collect();
    let together = if alone { Vec::new() } else { found(txns, &models, true) };
    let tried = Tried::new(txns);
    let mut held: Vec<(Level, Within)> = Vec::new();
    let one = |&(model, level, within): &(&str, Level, Within)| {
        let question = (level, within);
        let slow = held.iter().any(|&known| same_order(known, question)) || tried.holds(level, within);
        if slow {
            held.push(question);
        }
        let what = || format!("{slow} by brute force: {:?} {:?}", txns.txns, txns.steps);
        if orders_too {
            let orders = decide(level, within, txns, &Budget::default());
            if slow != (orders == Decision::Holds) || matches!(orders, Decision::Unknown { .. }) {
                return Compared::Differ(format!("{orders:?} by commit orders, {}", what()));
            }
        }
        let fast = match alone {
            true => stands(&found(txns, &[model], true), model, level, slow),
            false => stands(&together, model, level, slow),
        };
        // Below prefix the question takes a list for its last element, and whoever saw any of them saw its writer.
        if txns.shape == Shape::Lists && level <= Level::Causal && slow && fast == Some(false) {
            return Compared::Undecided;
        }
        settle(fast, Some(slow), || format!("{fast:?} by us, {}", what()))
    };
    questions.iter().map(one).collect()
}

/// Lists of which reads show nearly all appends: what they don't show is a question that only one of the two ways can answer.
fn shown(seed: u64) -> Transactions {
    let drawn = |again: u64| source::drawn(seed ^ again << 56, Shape::Lists, 30);
    let again = if seed.is_multiple_of(8) { 0 } else { 12 };
    (0..again).map(drawn).find(|txns| !questions::open(txns)).unwrap_or_else(|| drawn(again))
}

fn large(seed: u64) -> Vec<Compared> {
    let (txns, strong) = (shown(seed), strong());
    if !txns.doubles.is_empty() {
        return vec![Compared::Undecided; strong.len()];
    }
    let open = questions::open(&txns);
    let models: Vec<&str> = strong.iter().map(|(model, ..)| *model).collect();
    let found = found(&txns, &models, false);
    let one = |(model, level, within): Question| {
        if open && level != Level::Serializable {
            return Compared::Undecided;
        }
        let slow = match decide(level, within, &txns, &Budget::default()) {
            Decision::Holds => true,
            Decision::Violated(_) => false,
            Decision::Unknown { .. } => return Compared::Undecided,
        };
        let fast = stands(&found, model, level, slow);
        settle(fast, Some(slow), || format!("{fast:?} by the graph, {slow} by commit orders"))
    };
    strong.into_iter().map(one).collect()
}

/// What is seen at weak levels is no matter of the commit order: an axiom decides, however long the history.
fn large_weak(shape: Shape, seed: u64) -> Vec<Compared> {
    let (txns, weak) = (source::drawn(seed, shape, 30), weak());
    if !txns.doubles.is_empty() {
        return vec![Compared::Undecided; weak.len()];
    }
    let models: Vec<&str> = weak.iter().map(|(model, ..)| *model).collect();
    let found = found(&txns, &models, true);
    let one = |(model, level, within): Question| {
        let Some(slow) = axioms::weakly(level, &txns) else { return Compared::Undecided };
        let orders = decide(level, within, &txns, &Budget::default());
        if slow != (orders == Decision::Holds) {
            return Compared::Differ(format!("{orders:?} by commit orders, {slow} by the axiom"));
        }
        let fast = stands(&found, model, level, slow);
        // The graph takes a list for all its elements, the question for the last.
        if shape == Shape::Lists && slow && fast == Some(false) {
            return Compared::Undecided;
        }
        settle(fast, Some(slow), || format!("{fast:?} by us, {slow} by the axiom"))
    };
    weak.into_iter().map(one).collect()
}
