//! Every small history against brute force, one for each class of those that differ only in names and in times that decide nothing.
//!
//! Drawn histories find what is common; what goes wrong in one history of a million small ones is only found by all of them. Questions about
//! real time are asked of histories in time, the others of histories of processes ([`structures`]).

mod calls;
mod structures;
mod transactions;

use super::{Line, Tally, objects as small_objects, transactions as small_transactions};
use crate::objects::ModelName;
use crate::txn::Shape;
use crate::txn::brute::sketch;
use crate::txn::levels::Within;
use calls::{Menu, Names};
use structures::{Placed, Size, by_process, each, timed};

/// How far.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Operations at most: calls, or steps of all transactions.
    pub operations: u32,
    /// Processes at most.
    pub processes: u32,
}

/// One part of all histories: those whose number leaves `rest` when divided by `of`.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Which.
    pub rest: u64,
    /// Of how many.
    pub of: u64,
}

impl Part {
    fn takes(self, number: &mut u64) -> bool {
        *number += 1;
        (*number - 1) % self.of == self.rest
    }
}

type Run = dyn Fn(Bounds, Part, &mut [Tally]) + Send + Sync;

/// Every history of one kind, and what is asked about each.
pub struct Kind {
    /// The questions.
    pub lines: Vec<Line>,
    run: Box<Run>,
}

impl Kind {
    /// Judges the histories of a part twice: what came of each of [`Kind::lines`], in their order.
    pub fn compare(&self, bounds: Bounds, part: Part) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); self.lines.len()];
        (self.run)(bounds, part, &mut tallies);
        tallies
    }

    fn new(names: Vec<String>, run: impl Fn(Bounds, Part, &mut [Tally]) + Send + Sync + 'static) -> Kind {
        let lines = names.into_iter().map(|name| Line { name, with: super::BRUTE }).collect();
        Kind { lines, run: Box::new(run) }
    }
}

/// Everything that is compared.
pub fn kinds() -> Vec<Kind> {
    let mut all = Vec::new();
    for model in ModelName::ALL {
        let name = format!("{model:?}").to_lowercase();
        for real_time in [true, false] {
            let what = format!("{name}, {}", if real_time { "linearizable" } else { "sequential" });
            all.push(Kind::new(vec![what], move |bounds, part, tallies| {
                objects(model, real_time, bounds, part, &mut tallies[0]);
            }));
        }
    }
    for (shape, name) in [(Shape::Lists, "lists"), (Shape::Registers, "registers")] {
        for real_time in [true, false] {
            let asked = move |within: Within| (within == Within::RealTime) == real_time;
            let names = small_transactions::names(name, asked);
            all.push(Kind::new(names, move |bounds, part, tallies| {
                transactions(shape, real_time, &asked, bounds, part, tallies);
            }));
        }
    }
    all
}

/// The sizes: from one operation on.
fn sizes(bounds: Bounds) -> impl Iterator<Item = Size> {
    (1..=bounds.operations).map(move |total| Size { total, processes: bounds.processes })
}

/// How many keys and values at most.
const KEYS: u32 = 2;
const VALUES: u32 = 2;

fn objects(model: ModelName, real_time: bool, bounds: Bounds, part: Part, tally: &mut Tally) {
    let mut number = 0;
    for size in sizes(bounds) {
        // Transactions have two registers on one key.
        let keys = if model == ModelName::MultiRegister { 1 } else { KEYS };
        let menu = Menu::new(model, keys, VALUES);
        let visit = |placed: Vec<Placed>| {
            if part.takes(&mut number) {
                tally.add(number, small_objects::by_brute_force(model, &menu.calls(&placed), real_time));
            }
        };
        each(
            |choices| {
                let mut names = Names::default();
                let content = |choices: &mut _, _| menu.content(choices, &mut names);
                if real_time { timed(choices, size, content) } else { by_process(choices, size, content) }
            },
            visit,
        );
    }
}

fn transactions(
    shape: Shape,
    real_time: bool,
    asked: &dyn Fn(Within) -> bool,
    bounds: Bounds,
    part: Part,
    tallies: &mut [Tally],
) {
    let mut number = 0;
    for size in sizes(bounds) {
        let visit = |placed: Vec<Placed>| {
            if part.takes(&mut number) {
                let txns = sketch::transactions(shape, &transactions::sketch(&placed));
                let came = small_transactions::by_brute_force(&txns, asked);
                tallies.iter_mut().zip(came).for_each(|(tally, came)| tally.add(number, came));
            }
        };
        each(
            |choices| {
                let mut names = transactions::Names::default();
                let content = |choices: &mut _, left| transactions::content(shape, choices, left, &mut names);
                if real_time { timed(choices, size, content) } else { by_process(choices, size, content) }
            },
            visit,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_history_of_three_operations_is_decided_as_by_brute_force() {
        let bounds = Bounds { operations: 3, processes: 3 };
        for kind in kinds() {
            let tallies = kind.compare(bounds, Part { rest: 0, of: 1 });
            for (line, tally) in kind.lines.iter().zip(tallies) {
                println!("{}: {tally:?}", line.name);
                assert_eq!(tally.first, [], "{}: {} differ", line.name, tally.differ);
                assert!(tally.valid > 0 && tally.invalid > 0 && tally.undecided * 50 < tally.valid, "{tally:?}");
            }
        }
    }

    #[test]
    fn parts_are_the_whole() {
        let bounds = Bounds { operations: 2, processes: 2 };
        let kind = &kinds()[0];
        let whole = kind.compare(bounds, Part { rest: 0, of: 1 }).remove(0);
        let mut parts = Tally::default();
        (0..3).for_each(|rest| parts.join(kind.compare(bounds, Part { rest, of: 3 }).remove(0)));
        assert_eq!((whole.valid, whole.invalid), (parts.valid, parts.invalid));
    }
}
