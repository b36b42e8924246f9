//! Totals: whoever reads all accounts of a bank sees the sum that it was opened with.
//!
//! Judged on the workload `bank`: keys `bank-N/account-M`, balances as `BALANCE#WRITE` so that each is written once. A bank is opened by one
//! transaction that creates all its accounts, and every later transaction moves money between two of them; so another sum was made by half a
//! transaction: seen in the middle, or with the other half overwritten. Snapshot isolation suffices. What a replica holds at the end counts as one
//! read of it, since nothing writes any more. like: Jepsen's `tests.bank`, which judges histories whose reads are maps ([`crate::jepsen`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::action::{Action, Atom, Reading, Step};
use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::finding::Anomaly;
use crate::history::{Op, Outcome};
use crate::proof::{self, Part, Proofs, from_node, seconds, sentence, who};

pub(super) struct Totals;

/// A bank as it was opened.
struct Opened {
    op: u32,
    accounts: usize,
    total: i128,
}

/// All accounts of a bank as somebody saw them.
struct Sight {
    bank: u64,
    op: u32,
    total: i128,
    last: bool,
}

impl Checker for Totals {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let ops = &case.history().ops;
        let opened = opened(ops);
        if opened.is_empty() {
            return Answer::NotHere { why: "there are no banks in it (keys bank-N/account-M)".to_string() };
        }
        let mut sights: Vec<Sight> = ops.iter().enumerate().filter_map(|(at, op)| sight(at, op, &opened)).collect();
        sights.extend(in_the_end(ops, &opened));
        sights.sort_by_key(|sight| (ops[sight.op as usize].completed, sight.op));
        let mut proofs = Proofs::default();
        for sight in &sights {
            let bank = &opened[&sight.bank];
            if sight.total != bank.total {
                let time = ops[sight.op as usize].completed;
                proofs.add(time, "wrong-total", || explain(case, sight, bank, time));
            }
        }
        let sharp = sights.iter().filter(|sight| case.sharpness.sharp(&ops[sight.op as usize], None)).count();
        let opportunities = sights.len() as u64;
        let unit = "sums of all accounts of a bank";
        Tally { unit, order: "none".to_string(), opportunities, sharp: sharp as u64, proofs }.answer()
    }
}

/// The bank and the account that a key names.
fn account(key: &Atom) -> Option<(u64, u64)> {
    let Atom::Text(key) = key else { return None };
    let (bank, account) = key.strip_prefix("bank-")?.split_once("/account-")?;
    Some((bank.parse().ok()?, account.parse().ok()?))
}

/// What is on an account: the part before `#`.
fn balance(value: &Atom) -> Option<i128> {
    match value {
        Atom::Int(balance) => Some(i128::from(*balance)),
        Atom::Text(text) => text.split('#').next()?.parse().ok(),
    }
}

/// The one bank that all steps are about.
fn bank_of(steps: &[Step]) -> Option<u64> {
    let (bank, _) = account(&steps.first()?.key)?;
    steps.iter().all(|step| account(&step.key).is_some_and(|(other, _)| other == bank)).then_some(bank)
}

fn opened(ops: &[Op]) -> BTreeMap<u64, Opened> {
    let mut opened = BTreeMap::new();
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.outcome != Outcome::Fail) {
        let created = op.steps.iter().map(|step| match &step.action {
            Action::Cas { old: None, new } => balance(new),
            _ => None,
        });
        if let (Some(bank), Some(total)) = (bank_of(&op.steps), created.sum::<Option<i128>>()) {
            opened.entry(bank).or_insert(Opened { op: at as u32, accounts: op.steps.len(), total });
        }
    }
    opened
}

/// What a key was seen to hold; `None` where that is no single balance.
fn seen(step: &Step) -> Option<i128> {
    match &step.action {
        Action::Read(Some(Reading::One(value))) => balance(value),
        Action::Read(Some(Reading::Nil)) => Some(0),
        _ => None,
    }
}

/// A read of all accounts. Of a bank that nobody has seen opened nothing is there, which says nothing.
fn sight(at: usize, op: &Op, opened: &BTreeMap<u64, Opened>) -> Option<Sight> {
    if op.outcome != Outcome::Ok || op.last {
        return None;
    }
    let bank = bank_of(&op.steps)?;
    let whole = opened.get(&bank)?.accounts == op.steps.len();
    let nothing = |step: &Step| matches!(step.action, Action::Read(Some(Reading::Nil)));
    if !whole || op.steps.iter().all(nothing) {
        return None;
    }
    let total = op.steps.iter().map(seen).sum::<Option<i128>>()?;
    Some(Sight { bank, op: at as u32, total, last: false })
}

/// What a replica holds of a bank in the end, and the last of the reads that say so.
#[derive(Default)]
struct Held {
    op: u32,
    balances: BTreeMap<u64, i128>,
}

/// The final reads of each replica, put together bank by bank.
fn in_the_end(ops: &[Op], opened: &BTreeMap<u64, Opened>) -> Vec<Sight> {
    let mut held: BTreeMap<(Arc<str>, u64), Held> = BTreeMap::new();
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.last && op.outcome == Outcome::Ok) {
        for step in &op.steps {
            let (Some((bank, account)), Some(balance), Some(node)) = (account(&step.key), seen(step), &op.node) else {
                continue;
            };
            let entry = held.entry((node.clone(), bank)).or_default();
            entry.op = at as u32;
            // A bank that was never opened here holds nothing at all, and is not there.
            if !matches!(step.action, Action::Read(Some(Reading::Nil))) {
                entry.balances.insert(account, balance);
            }
        }
    }
    let whole = |bank: u64, found: usize| opened.get(&bank).is_some_and(|opened| opened.accounts == found);
    held.into_iter()
        .filter(|((_, bank), held)| whole(*bank, held.balances.len()))
        .map(|((_, bank), held)| Sight { bank, op: held.op, total: held.balances.values().sum(), last: true })
        .collect()
}

fn explain(case: &Case<'_>, sight: &Sight, bank: &Opened, time: u64) -> Anomaly {
    let ops = &case.history().ops;
    let (read, opening) = (&ops[sight.op as usize], &ops[bank.op as usize]);
    let reader = if sight.last {
        format!("at the end, after settling, the accounts of bank {}{}", sight.bank, from_node(read))
    } else {
        format!("{} read all accounts of bank {}{} at {}: they", who(read), sight.bank, from_node(read), seconds(time))
    };
    let text = format!(
        "{reader} hold {} in all, {} than the {} that {} opened it with, although every transaction moved money from one account to another.",
        sight.total,
        if sight.total > bank.total {
            format!("{} more", sight.total - bank.total)
        } else {
            format!("{} less", bank.total - sight.total)
        },
        bank.total,
        who(opening)
    );
    let parts = [Part { op: bank.op, role: "opening" }, Part { op: sight.op, role: "another total" }];
    let edges = [(bank.op, sight.op, "the sum that no transaction changes".to_string())];
    proof::anomaly(
        case.history(),
        "wrong-total",
        sentence(&text),
        Some(format!("bank-{}", sight.bank)),
        &parts,
        &edges,
        time,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome as Verdict;
    use crate::history::History;

    fn judged(ops: &[&str]) -> Answer {
        let lines: Vec<String> = ops
            .iter()
            .enumerate()
            .flat_map(|(n, value)| {
                let event = |kind: &str, index: usize| {
                    format!(
                        r#"{{"index":{index},"time":{index},"type":"{kind}","process":0,"f":"txn","value":{value},"node":"n1"}}"#
                    )
                };
                [event("invoke", 2 * n), event("ok", 2 * n + 1)]
            })
            .collect();
        let history = History::read_any(lines.join("\n").as_bytes()).expect("a history");
        Totals.check(&Case::new(&history), &Budget::default())
    }

    const OPEN: &str = r#"[["cas","bank-0/account-0",[null,"100#1"]],["cas","bank-0/account-1",[null,"100#2"]]]"#;

    fn read(one: &str, other: &str) -> String {
        format!(r#"[["r","bank-0/account-0",{one}],["r","bank-0/account-1",{other}]]"#)
    }

    fn broken(reads: &[String]) -> u64 {
        let ops: Vec<&str> = std::iter::once(OPEN).chain(reads.iter().map(String::as_str)).collect();
        match judged(&ops) {
            Answer::Judged { outcome: Verdict::Broken { violations, .. }, .. } => violations,
            Answer::Judged { outcome: Verdict::Held, .. } => 0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn money_that_moves_is_the_same_money() {
        assert_eq!(broken(&[read(r#""60#3""#, r#""140#4""#)]), 0);
        assert_eq!(broken(&[read(r#""60#3""#, r#""100#2""#)]), 1, "half a transfer");
        assert_eq!(broken(&[read(r#""100#1""#, "null")]), 1, "half an opening");
    }

    #[test]
    fn a_history_without_banks_is_not_judged() {
        assert!(matches!(judged(&[r#"[["r","x",null]]"#]), Answer::NotHere { .. }));
    }
}
