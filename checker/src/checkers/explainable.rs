//! What nothing can explain: garbage is never green.
//!
//! A value that nobody wrote, the value of a failed write, a value from before its write was sent, an element counted twice,
//! lists that contradict each other's order. Each distinct one is counted once, however many reads show it, and is left
//! out of what the other checkers look at.

use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::facts::{Facts, NONE, Oddity};
use crate::finding::Anomaly;
use crate::proof::{self, Part, Proofs, seconds, sentence, who};

pub(super) struct Explainable;

impl Checker for Explainable {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let facts = &case.facts;
        let mut oddities: Vec<&Oddity> = facts.oddities.iter().collect();
        oddities.sort_by_key(|odd| (facts.history.ops[odd.read as usize].completed, odd.read, odd.step));
        let mut proofs = Proofs::default();
        for odd in oddities {
            let time = facts.history.ops[odd.read as usize].completed;
            proofs.add(time, odd.name, || explain(facts, odd, time));
        }
        let sharp = |op: u32| case.sharpness.sharp(&facts.history.ops[op as usize], None);
        let reads = facts.reads.iter().chain(&facts.finals);
        Tally {
            unit: "values and elements that reads showed",
            order: "none".to_string(),
            opportunities: facts.shown,
            sharp: reads.filter(|read| sharp(read.op)).map(|read| u64::from(read.to - read.from)).sum(),
            proofs,
        }
        .answer()
    }
}

fn explain(facts: &Facts, odd: &Oddity, time: u64) -> Anomaly {
    let read = &facts.history.ops[odd.read as usize];
    let key = proof::key_name(facts, odd.key);
    let value = odd.value.as_ref().map(ToString::to_string).unwrap_or_default();
    let seen = format!("{} read {key}{} at {}", who(read), proof::from_node(read), seconds(time));
    let write = (odd.other != NONE).then(|| facts.op_of(odd.other));
    let sent = write.map(|op| format!("{} had sent it at {}", who(op), seconds(op.invoked))).unwrap_or_default();
    let (text, role, why) = match odd.name {
        "failed-write-read" => (
            format!("{seen} and saw {value}, whose write certainly failed ({sent})"),
            "failed write",
            "shows what failed",
        ),
        "read-before-written" => (
            format!("{seen} and saw {value}, which was sent only afterwards ({})", sent.replace("had sent", "sent")),
            "write sent later",
            "was sent only after the read had completed",
        ),
        "element-twice" => {
            (format!("{seen} and saw {value} twice, though it was written once"), "write", "counted twice")
        }
        "lists-contradict" => (format!("{seen} and saw {}", odd.detail), "write", "shown in another order elsewhere"),
        _ => (format!("{seen} and saw {value}, which nobody ever wrote"), "write", ""),
    };
    let mut parts = vec![Part { op: odd.read, role: "read" }];
    let mut edges = Vec::new();
    if odd.other != NONE {
        let op = facts.writes[odd.other as usize].op;
        parts.push(Part { op, role });
        edges.push((op, odd.read, why.to_string()));
    }
    proof::anomaly(facts.history, odd.name, sentence(&text) + ".", Some(key), &parts, &edges, time)
}
