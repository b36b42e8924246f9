//! Lost writes: what was acknowledged must be there at the end, unless something later replaced it.
//!
//! Judged by the final reads of every node and by all reads before. Each acknowledged write gets one [`Fate`]:
//!
//! - An element of a list or set is lost if the final reads lack it and no remove of it was acknowledged or unknown.
//! - A register keeps only its last value, so a write that is not there may have been replaced. It was not if the final value had been
//!   written completely *before* the write was sent: nothing that replaced it is there either. All such writes count as lost, as of
//!   none of them, nor of whatever replaced them, anything remains. A loss in the middle of a register's life that later writes
//!   paint over cannot be seen.
//! - With siblings, a write must be one, or be covered by the context of another that is there or covered itself. A write whose
//!   context is unknown may have replaced anything sent before it.
//! - Positions in a log are not used: that a later position is there proves nothing about an earlier one that is not.

mod fates;
mod overwritten;
mod registers;
mod words;

pub(super) use overwritten::Overwritten;

use std::sync::Arc;

use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::facts::{Deed, Facts, Kind, NONE};
use crate::finding::Ledger;
use crate::history::Outcome;
use crate::proof::Proofs;
use crate::sharpness::AFTERMATH;

pub(super) struct LostWrites;

/// What became of an acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// On every replica that was read.
    Present,
    /// On some replicas only.
    OnSome,
    /// Taken away by a remove or delete.
    Removed,
    /// Replaced by a later write.
    Replaced,
    /// Gone; what kind of loss it is.
    Lost(&'static str),
}

/// One write that came to grief.
struct Loss {
    write: u32,
    name: &'static str,
    /// The operation that proves it: a final read, or the other of two that exclude each other.
    proof: u32,
    /// An operation that had shown it.
    shown: Option<u32>,
    time: u64,
}

impl Checker for LostWrites {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let facts = &case.facts;
        if facts.finals.is_empty() {
            return Answer::NotHere { why: "there are no final reads (the run was cut off, or made none)".to_string() };
        }
        let nodes = nodes(facts);
        let mut ledger =
            Ledger { replicas: nodes.iter().map(|node| (node.to_string(), 0, 0)).collect(), ..Ledger::default() };
        let mut losses: Vec<Loss> = Vec::new();
        let (mut opportunities, mut sharp) = (0, 0);
        for key in 0..facts.keys.len() {
            if facts.keys[key].kind == Kind::Mixed {
                continue;
            }
            let judged = fates::of_key(facts, key, &nodes, &mut ledger, &mut losses);
            opportunities += judged;
            if judged > 0 {
                let near = |write: &&u32| {
                    let write = &facts.writes[**write as usize];
                    let after = AFTERMATH.as_nanos() as u64;
                    write.acked != u64::MAX
                        && case.sharpness.near_fault(write.invoked, write.acked.saturating_add(after))
                };
                sharp += facts.keys[key].writes.iter().filter(near).count() as u64;
            }
        }
        losses.sort_by_key(|loss| (loss.time, loss.write, loss.name));
        let mut proofs = Proofs::default();
        for loss in &losses {
            proofs.add(loss.time, loss.name, || words::explain(facts, loss));
        }
        let unit = "acknowledged writes followed to the end";
        let tally = Tally { unit, order: "settled".to_string(), opportunities, sharp, proofs };
        match tally.answer() {
            Answer::Judged { outcome, evidence, .. } => {
                Answer::Judged { outcome, evidence, ledger: Some(Box::new(ledger)) }
            }
            other => other,
        }
    }
}

/// The nodes that final reads came from, by name.
fn nodes(facts: &Facts) -> Vec<Arc<str>> {
    let mut nodes: Vec<Arc<str>> = facts
        .finals
        .iter()
        .map(|read| facts.history.ops[read.op as usize].node.clone().unwrap_or_else(|| Arc::from("?")))
        .collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

/// The first read that showed the write, of the reads during the run.
fn first_showing(facts: &Facts, key: usize, write: u32) -> Option<u32> {
    let stands = facts.writes[write as usize].stands;
    facts.keys[key]
        .parts
        .iter()
        .map(|&part| &facts.parts[part as usize])
        .find(|part| match part.shown {
            crate::facts::Shown::AnyOf(first) => first == stands,
            crate::facts::Shown::Prefix(length) => facts.writes[write as usize].place < length,
            _ => {
                facts.shown_by(part).iter().any(|&shown| shown != NONE && facts.writes[shown as usize].stands == stands)
            }
        })
        .map(|part| part.op)
}

/// `visible-then-lost` or `never-visible`, with the read that had shown it.
fn kind_of_loss(facts: &Facts, key: usize, write: u32) -> (&'static str, Option<u32>) {
    match first_showing(facts, key, write) {
        Some(read) => ("visible-then-lost", Some(read)),
        None => ("never-visible", None),
    }
}

/// Whether the write counts in the ledger: acknowledged, and not itself a removal.
fn counts(facts: &Facts, write: u32) -> bool {
    let entry = &facts.writes[write as usize];
    entry.outcome == Outcome::Ok && !matches!(entry.deed, Deed::Remove | Deed::Delete)
}
