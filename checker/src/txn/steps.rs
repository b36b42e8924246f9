//! Why one transaction comes before another, step by step.

use super::dependencies::{Dependencies, relation::*};
use super::transactions::{LIMIT, NOBODY, Shape};

/// A dependency between two transactions, with the steps that make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The relation: `WW`, `WR` or `RW`.
    pub relation: u8,
    /// The key.
    pub key: u32,
    /// The version that the first transaction wrote (`WW`, `WR`) or read (`RW`; may be the initial state).
    pub before: u32,
    /// The version that the second wrote; for `WR` the one that it read.
    pub after: u32,
    /// The place of the step within the first transaction (its read for `RW`).
    pub from_step: usize,
    /// The place of the step within the second.
    pub to_step: usize,
}

/// Every data dependency of `to` on `from`.
pub fn reasons(dependencies: &Dependencies<'_>, from: u32, to: u32) -> Vec<Reason> {
    let mut out = Vec::new();
    let steps = dependencies.txns.steps_of(from);
    for (to_step, step) in dependencies.txns.steps_of(to).iter().enumerate() {
        let (key, after) = (step.key(), step.version);
        if !step.writes() {
            if dependencies.writer(after) == Some(from) {
                let wrote = |it: &super::Step| it.writes() && it.version == after;
                let from_step = steps.iter().position(wrote).unwrap_or(0);
                out.push(Reason { relation: WR, key, before: after, after, from_step, to_step });
            }
            continue;
        }
        dependencies.before(key, after, &mut |before| {
            if dependencies.writer(before) == Some(from) {
                let wrote = |it: &super::Step| it.writes() && it.version == before;
                let from_step = steps.iter().position(wrote).unwrap_or(0);
                out.push(Reason { relation: WW, key, before, after, from_step, to_step });
            }
            for (from_step, read) in steps.iter().enumerate() {
                if read.reads() && read.key() == key && read.version == before {
                    out.push(Reason { relation: RW, key, before, after, from_step, to_step });
                }
            }
        });
    }
    out
}

/// The last step of `reader` that read a version directly before one that `writer` wrote.
pub fn last_missing(dependencies: &Dependencies<'_>, reader: u32, writer: u32) -> Option<usize> {
    let all = reasons(dependencies, reader, writer);
    all.iter().filter(|it| it.relation == RW).map(|it| it.from_step).max()
}

/// The first step of `reader` that saw something that `writer` wrote: its value, or its element anywhere in a list.
pub fn first_seeing(dependencies: &Dependencies<'_>, reader: u32, writer: u32) -> Option<usize> {
    let txns = dependencies.txns;
    let wrote = txns.steps_of(writer);
    txns.steps_of(reader).iter().position(|read| {
        let saw = |it: &super::Step| {
            it.writes()
                && it.key() == read.key()
                && (it.version == read.version
                    || (txns.shape == Shape::Lists
                        && txns.place[it.version as usize] != NOBODY
                        && txns.place[it.version as usize] < txns.place[read.version as usize]))
        };
        !read.writes() && read.version < LIMIT && wrote.iter().any(saw)
    })
}

/// The first step of `later` that read or overwrote what `earlier` wrote.
pub fn first_depending(dependencies: &Dependencies<'_>, later: u32, earlier: u32) -> Option<usize> {
    let all = reasons(dependencies, earlier, later);
    all.iter().filter(|it| it.relation != RW).map(|it| it.to_step).min()
}
