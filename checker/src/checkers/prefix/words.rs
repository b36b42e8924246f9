//! Circles among writes and reads in words.

use super::graph::{CHOICE, GROWS, LATER, ORDER, REAL_TIME, SESSION, SHOWN, UNSEEN};
use crate::facts::Facts;
use crate::finding::Anomaly;
use crate::graph::Arrow;
use crate::proof::{self, Part, acknowledged, did, from_node, got, key_name, seconds, sentence, who};

/// The operation of a read's node.
pub(super) fn read_of(facts: &Facts, node: u32) -> Option<u32> {
    let read = (node as usize).checked_sub(facts.writes.len())?;
    facts.reads.get(read).map(|read| read.op)
}

fn op_of(facts: &Facts, node: u32) -> Option<u32> {
    facts.writes.get(node as usize).map(|write| write.op).or_else(|| read_of(facts, node))
}

/// When the circle was closed: at the completion of its latest read, or else of its latest operation.
pub(super) fn time_of(facts: &Facts, circle: &[Arrow]) -> u64 {
    let done = |op: u32| {
        let op = &facts.history.ops[op as usize];
        if op.completed == u64::MAX { op.invoked } else { op.completed }
    };
    let reads = circle.iter().filter_map(|arrow| read_of(facts, arrow.to)).map(done).max();
    reads.or_else(|| circle.iter().filter_map(|arrow| op_of(facts, arrow.to)).map(done).max()).unwrap_or(0)
}

pub(super) fn explain(facts: &Facts, name: &str, circle: &[Arrow], time: u64) -> Anomaly {
    // Moments stand between operations: what leads into and out of them is one step.
    let mut steps: Vec<(u32, u32, u32)> = Vec::new();
    let start = circle.iter().position(|arrow| op_of(facts, arrow.from).is_some()).unwrap_or(0);
    let mut from: Option<(u32, u32)> = None;
    for arrow in circle.iter().cycle().skip(start).take(circle.len()) {
        let (begin, tag) = from.unwrap_or((arrow.from, arrow.tag));
        if op_of(facts, arrow.to).is_some() {
            steps.push((begin, arrow.to, tag));
            from = None;
        } else {
            from = Some((begin, tag));
        }
    }
    let mut parts = Vec::new();
    let mut edges = Vec::new();
    let mut told: Vec<String> = Vec::new();
    // Reads first: they are what is wrong.
    for &(node, _, _) in steps.iter().filter(|(node, _, _)| read_of(facts, *node).is_some()) {
        if let Some(op) = op_of(facts, node) {
            parts.push(Part { op, role: "read" });
        }
        told.push(read(facts, node));
    }
    for &(node, to, tag) in &steps {
        if let Some(op) = op_of(facts, node).filter(|_| read_of(facts, node).is_none()) {
            parts.push(Part { op, role: "write" });
            told.push(write(facts, node));
        }
        if let (Some(a), Some(b)) = (op_of(facts, node), op_of(facts, to)) {
            edges.push((a, b, why(tag).to_string()));
        }
    }
    told.dedup();
    told.truncate(5);
    let text =
        format!("{}: in no single order of all writes has every read seen a beginning.", sentence(&told.join("; ")));
    proof::anomaly(facts.history, name, text, None, &parts, &edges, time)
}

fn read(facts: &Facts, node: u32) -> String {
    let read = &facts.reads[node as usize - facts.writes.len()];
    let op = &facts.history.ops[read.op as usize];
    let shown: Vec<String> = facts
        .parts_of(read)
        .iter()
        .map(|part| format!("{} = {}", key_name(facts, part.key), got(facts.reading(part))))
        .collect();
    format!("{} read {}{} at {}", who(op), shown.join(", "), from_node(op), seconds(op.completed))
}

fn write(facts: &Facts, node: u32) -> String {
    let op = facts.op_of(node);
    let step = &op.steps[facts.writes[node as usize].step as usize];
    format!("{} {} {}", who(op), did(&step.action, &step.key), acknowledged(op))
}

fn why(tag: u32) -> &'static str {
    match tag {
        SHOWN => "the read shows it, so it is in the read's beginning",
        UNSEEN => "the read does not show it, so it comes after the read's beginning",
        SESSION => "the same session had it acknowledged before it wrote again",
        LATER => "was sent only after the read had completed",
        ORDER => "comes before it in the known order of the key",
        REAL_TIME => "was acknowledged before the other was sent, and one leader decides",
        GROWS => "the same session read this before",
        CHOICE => "must come first, or a read would have returned it",
        _ => "comes first",
    }
}
