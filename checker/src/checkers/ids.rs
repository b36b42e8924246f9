//! Unique identifiers: no row's number is given out twice.
//!
//! Judged on the workload `auto-increment`: inserts create `table-N/row-ID`, with the number that the table's counter gave. A number that two
//! inserts were acknowledged with has two owners: whoever kept it outside (a cache, another service) is shown the second one's row. The proof
//! names such a reader where there was one. like: the incident of GitHub in September 2012, when a promoted MySQL replica gave out numbers
//! again that Redis still knew.

use std::collections::BTreeMap;

use crate::action::{Action, Atom, KeyName, Reading};
use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::finding::Anomaly;
use crate::history::{Op, Outcome};
use crate::proof::{self, Part, Proofs, acknowledged, seconds, sentence, who};

pub(super) struct IdsUnique;

impl Checker for IdsUnique {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let ops = &case.history().ops;
        let mut owners: BTreeMap<&Atom, Vec<u32>> = BTreeMap::new();
        let mut any = false;
        for (at, op) in ops.iter().enumerate() {
            let Some((row, _)) = inserted(op) else { continue };
            any = true;
            if op.outcome == Outcome::Ok {
                owners.entry(row).or_default().push(at as u32);
            }
        }
        if !any {
            return Answer::NotHere { why: "there are no numbered rows in it (keys table-N/row-ID)".to_string() };
        }
        let mut twice: Vec<(u64, &Atom, u32, u32)> = Vec::new();
        for (row, by) in &mut owners {
            by.sort_by_key(|&op| ops[op as usize].completed);
            twice.extend(by.windows(2).map(|pair| (ops[pair[1] as usize].completed, *row, by[0], pair[1])));
        }
        twice.sort_unstable();
        let shown = shown_to(ops, &twice);
        let mut proofs = Proofs::default();
        for (time, row, first, second) in twice {
            proofs.add(time, "number-reused", || explain(case, row, (first, second), shown.get(row).copied(), time));
        }
        let near = |by: &&Vec<u32>| by.iter().any(|&op| case.sharpness.sharp(&ops[op as usize], None));
        Tally {
            unit: "numbers that rows were acknowledged with",
            order: "none".to_string(),
            opportunities: owners.len() as u64,
            sharp: owners.values().filter(near).count() as u64,
            proofs,
        }
        .answer()
    }
}

fn is_row(key: &Atom) -> bool {
    matches!(key, Atom::Text(key) if key.starts_with("table-") && key.contains("/row-"))
}

/// The row that an operation creates, and what it writes there.
fn inserted(op: &Op) -> Option<(&Atom, &Atom)> {
    op.steps.iter().find_map(|step| match &step.action {
        Action::Cas { old: None, new } if is_row(&step.key) => Some((&step.key, new)),
        _ => None,
    })
}

/// Of each number with two owners the first read that showed the second one's row to the session of the first.
fn shown_to<'h>(ops: &'h [Op], twice: &[(u64, &'h Atom, u32, u32)]) -> BTreeMap<&'h Atom, u32> {
    let pairs: BTreeMap<&Atom, (u32, u32)> = twice.iter().map(|(_, row, one, other)| (*row, (*one, *other))).collect();
    let mut shown = BTreeMap::new();
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.outcome == Outcome::Ok && !op.last) {
        for step in &op.steps {
            let (Some((first, second)), Action::Read(Some(Reading::One(value)))) = (pairs.get(&step.key), &step.action)
            else {
                continue;
            };
            let [owner, other] = [*first, *second].map(|op| &ops[op as usize]);
            if op.session == owner.session && inserted(other).is_some_and(|(_, theirs)| theirs == value) {
                shown.entry(&step.key).or_insert(at as u32);
            }
        }
    }
    shown
}

fn explain(case: &Case<'_>, row: &Atom, (first, second): (u32, u32), shown: Option<u32>, time: u64) -> Anomaly {
    let ops = &case.history().ops;
    let [one, other] = [first, second].map(|op| &ops[op as usize]);
    let mut text = format!(
        "{} was created by {} {}, and again by {} {}.",
        KeyName(row),
        who(one),
        acknowledged(one),
        who(other),
        acknowledged(other)
    );
    let mut parts = vec![Part { op: first, role: "first owner" }, Part { op: second, role: "second owner" }];
    let mut edges = vec![(first, second, "both were given the same number".to_string())];
    if let Some(read) = shown {
        let op = &ops[read as usize];
        text += &format!(
            " {}, who had kept the number, was shown the other's row at {}.",
            sentence(&who(op)),
            seconds(op.completed)
        );
        parts.push(Part { op: read, role: "another's row" });
        edges.push((second, read, "was shown to the first owner".to_string()));
    }
    proof::anomaly(case.history(), "number-reused", sentence(&text), Some(row.to_string()), &parts, &edges, time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome as Verdict;
    use crate::history::History;

    fn judged(lines: &[(u64, &str)]) -> Answer {
        let events = lines.iter().enumerate().flat_map(|(n, (process, value))| {
            let event = |kind: &str, index: usize| {
                format!(
                    r#"{{"index":{index},"time":{index},"type":"{kind}","process":{process},"f":"txn","value":{value}}}"#
                )
            };
            [event("invoke", 2 * n), event("ok", 2 * n + 1)]
        });
        let history = History::read_any(events.collect::<Vec<_>>().join("\n").as_bytes()).expect("a history");
        IdsUnique.check(&Case::new(&history), &Budget::default())
    }

    fn insert(id: u64, value: u64) -> String {
        format!(r#"[["cas","table-0/row-{id}",[null,{value}]]]"#)
    }

    #[test]
    fn a_number_with_two_owners_is_shown_to_the_first() {
        let (mine, yours) = (insert(7, 1), insert(7, 2));
        let answer = judged(&[(1, &mine), (2, &yours), (1, r#"[["r","table-0/row-7",2]]"#)]);
        let Answer::Judged { outcome: Verdict::Broken { violations, anomalies, .. }, .. } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((violations, anomalies[0].witnesses.len()), (1, 3));
        assert!(anomalies[0].sentence.contains("was shown the other's row"), "{}", anomalies[0].sentence);
    }

    #[test]
    fn different_numbers_are_nobodys_business() {
        let answer = judged(&[(1, &insert(7, 1)), (2, &insert(8, 2))]);
        assert!(matches!(answer, Answer::Judged { outcome: Verdict::Held, .. }), "{answer:?}");
    }
}
