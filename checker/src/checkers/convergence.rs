//! Convergence: after healing and settling all replicas hold the same, in full and key by key.
//!
//! Judged by the final reads alone. Sets and siblings are compared as sets. How long it took is not judged here:
//! [`divergence_ms`] reads it off the phases.

use std::sync::Arc;

use crate::action::{Atom, Reading};
use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::facts::{Facts, Kind};
use crate::finding::Anomaly;
use crate::history::History;
use crate::proof::{self, Part, Proofs, got, key_name};

pub(super) struct Convergence;

impl Checker for Convergence {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let facts = &case.facts;
        if facts.finals.is_empty() {
            return Answer::NotHere { why: "there are no final reads to compare".to_string() };
        }
        let mut proofs = Proofs::default();
        let (mut opportunities, mut sharp) = (0, 0);
        for key in 0..facts.keys.len() as u32 {
            let replicas = replicas(facts, key);
            let Some((first, rest)) = replicas.split_first() else { continue };
            opportunities += rest.len() as u64;
            if written_near_a_fault(case, key) {
                sharp += rest.len() as u64;
            }
            let odd = rest.iter().find(|replica| replica.content != first.content);
            if let Some(odd) = odd {
                let time = facts.history.ops[odd.op as usize].completed;
                proofs.add(time, "divergence", || explain(facts, key, first, odd, time));
            }
        }
        let tally = Tally {
            unit: "final contents of a key compared with another replica's",
            order: "settled".to_string(),
            opportunities,
            sharp,
            proofs,
        };
        tally.answer()
    }
}

/// What one replica holds of a key.
struct Replica {
    node: Arc<str>,
    op: u32,
    /// Sorted where order means nothing.
    content: Vec<Atom>,
    text: String,
}

/// One entry for each node, the last final read of it; nodes in the order of their names.
fn replicas(facts: &Facts, key: u32) -> Vec<Replica> {
    let entry = &facts.keys[key as usize];
    let mut replicas: Vec<Replica> = Vec::new();
    for &part in &entry.finals {
        let part = &facts.parts[part as usize];
        let node = facts.history.ops[part.op as usize].node.clone().unwrap_or_else(|| Arc::from("?"));
        let reading = facts.reading(part);
        let replica = Replica { node, op: part.op, content: content(entry.kind, reading), text: got(reading) };
        match replicas.iter_mut().find(|other| other.node == replica.node) {
            Some(other) => *other = replica,
            None => replicas.push(replica),
        }
    }
    replicas.sort_by(|a, b| a.node.cmp(&b.node));
    replicas
}

fn content(kind: Kind, reading: Option<&Reading>) -> Vec<Atom> {
    match reading {
        None | Some(Reading::Nil) => Vec::new(),
        Some(Reading::One(value)) => vec![value.clone()],
        Some(Reading::Many(values)) if kind != Kind::Set => values.clone(),
        Some(Reading::Many(values) | Reading::Siblings(values)) => {
            let mut values = values.clone();
            values.sort();
            values
        }
    }
}

fn written_near_a_fault(case: &Case<'_>, key: u32) -> bool {
    case.facts.keys[key as usize].writes.iter().any(|&write| {
        let op = case.facts.op_of(write);
        case.sharpness.near_fault(op.invoked, op.completed.min(case.facts.history.end))
    })
}

fn explain(facts: &Facts, key: u32, first: &Replica, odd: &Replica, time: u64) -> Anomaly {
    let name = key_name(facts, key);
    let text = format!(
        "At the end, after settling, key {name} is {} on {} but {} on {}.",
        first.text, first.node, odd.text, odd.node
    );
    let parts = [Part { op: first.op, role: "final read" }, Part { op: odd.op, role: "final read of another replica" }];
    let edges = [(first.op, odd.op, "both were read after settling, and differ".to_string())];
    proof::anomaly(facts.history, "divergence", text, Some(name), &parts, &edges, time)
}

/// Milliseconds from the phase `heal` to the phase `settled`, where the run noted both.
pub(crate) fn divergence_ms(history: &History) -> Option<f64> {
    let (healed, settled) = (history.phase("heal")?, history.phase("settled")?);
    settled.checked_sub(healed).map(|nanoseconds| nanoseconds as f64 / 1e6)
}
