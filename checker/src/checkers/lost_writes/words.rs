//! Losses in words.

use super::Loss;
use crate::facts::Facts;
use crate::finding::Anomaly;
use crate::proof::{self, Part, acknowledged, did, from_node, got, key_name, seconds, sentence, who};

pub(super) fn explain(facts: &Facts, loss: &Loss) -> Anomaly {
    let entry = &facts.writes[loss.write as usize];
    let op = facts.op_of(loss.write);
    let step = &op.steps[entry.step as usize];
    let key = key_name(facts, entry.key);
    let wrote = format!("{} {} {}", who(op), did(&step.action, &step.key), acknowledged(op));
    let last = &facts.history.ops[loss.proof as usize];
    let shown = facts.keys[entry.key as usize]
        .finals
        .iter()
        .map(|&part| &facts.parts[part as usize])
        .find(|part| part.op == loss.proof)
        .map_or_else(String::new, |part| got(facts.reading(part)));
    let end = format!("the final read of {key}{} at {} got {shown}", from_node(last), seconds(last.completed));
    let (rest, role, why) = match loss.name {
        "never-visible" => (format!("no read ever showed it, and {end}"), "final read", "should show it"),
        "visible-then-lost" => {
            (format!("{}it is gone: {end}", seen(facts, loss)), "final read", "should still show it")
        }
        "lost-on-some-replicas" => {
            (format!("not every replica has it: {end}"), "final read of a replica without it", "should show it")
        }
        "rolled-back" => (
            format!("{end}, which had been written before this write was even sent"),
            "final read",
            "should show this write or a later one",
        ),
        "resurrected" => (format!("it came back: {end}"), "final read", "should not show it any more"),
        "duplicated" => (format!("it was counted twice at {}", seconds(last.completed)), "read", "counts it twice"),
        _ => (
            format!("{} had already replaced the same value {}", who(last), acknowledged(last)),
            "compare-and-set of the same value",
            "both replaced the same value, so one of them was lost",
        ),
    };
    let text = format!("{}; {rest}.", sentence(&wrote));
    let mut parts = vec![Part { op: entry.op, role: "acknowledged write" }, Part { op: loss.proof, role }];
    let mut edges = vec![(entry.op, loss.proof, why.to_string())];
    if let Some(read) = loss.shown {
        parts.push(Part { op: read, role: "read that had shown it" });
        edges.push((entry.op, read, "this read showed it".to_string()));
    }
    proof::anomaly(facts.history, loss.name, text, Some(key), &parts, &edges, loss.time)
}

fn seen(facts: &Facts, loss: &Loss) -> String {
    loss.shown.map_or_else(String::new, |read| {
        let read = &facts.history.ops[read as usize];
        format!("{} had seen it{} at {}, yet ", who(read), from_node(read), seconds(read.completed))
    })
}
