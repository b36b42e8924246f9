//! Linearizability of registers, key by key (Herlihy and Wing 1990: it holds of the whole if it holds of each).
//!
//! Where every value was written once, and without compare-and-set or delete, the zones of Gibbons and Korach (1997) decide in
//! O(n log n) ([`zones`]). Elsewhere the events are walked in time with the set of configurations that are still possible
//! ([`search`]), within a budget. Unknown operations may take effect at any time after their invocation, or never.
//!
//! Lists, sets and keys with siblings are not judged, and neither are final reads, which ask replicas on purpose. A read of several
//! keys is taken as one read of each. An operation of another kind than reads is judged with what it wrote.

mod search;
mod zones;

use std::time::Instant;

use crate::action::{Action, Atom};
use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::facts::{Deed, Facts, Kind, Shown};
use crate::finding::Anomaly;
use crate::history::Outcome;
use crate::intern::FastMap;
use crate::proof::Proofs;

pub(super) struct Linearizable;

/// No value.
const NIL: u32 = 0;

/// What an operation does to a register; values are numbers, [`NIL`] is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    Read(u32),
    Write(u32),
    Cas(u32, u32),
}

/// One operation on one register.
#[derive(Clone, Debug)]
struct Step {
    op: u32,
    invoked: u64,
    /// `u64::MAX` where the outcome is unknown.
    returned: u64,
    what: Move,
}

/// A violation, to be explained if it is among the first.
struct Misfit {
    time: u64,
    op: u32,
    explain: Box<dyn Fn(&Facts) -> Anomaly>,
}

/// Why a search ended without an answer.
struct OutOfBudget(String);

impl Checker for Linearizable {
    fn check(&self, case: &Case<'_>, budget: &Budget) -> Answer {
        let facts = &case.facts;
        let deadline = Instant::now() + budget.time;
        let (mut misfits, mut undecided): (Vec<Misfit>, Vec<String>) = (Vec::new(), Vec::new());
        let (mut opportunities, mut sharp, mut judged) = (0, 0, 0_u64);
        for key in 0..facts.keys.len() {
            if facts.keys[key].kind != Kind::Register || facts.keys[key].siblings {
                continue;
            }
            judged += 1;
            let steps = steps(facts, key);
            let (seen, near) = count(case, key);
            opportunities += seen;
            sharp += near;
            let found = if zones::apply(facts, key) {
                Ok(zones::misfits(&steps))
            } else {
                search::misfits(facts, key, &steps, budget, deadline)
            };
            match found {
                Ok(found) => misfits.extend(found),
                Err(OutOfBudget(why)) => undecided.push(format!("key {}: {why}", facts.key_names[key])),
            }
        }
        if judged == 0 {
            return Answer::NotHere { why: "there are no registers: only those are judged".to_string() };
        }
        misfits.sort_by_key(|misfit| (misfit.time, misfit.op));
        let mut proofs = Proofs::default();
        for misfit in &misfits {
            proofs.add(misfit.time, "nonlinearizable", || (misfit.explain)(facts));
        }
        let tally = Tally {
            unit: "reads and compare-and-sets of registers that had been written",
            order: "none".to_string(),
            opportunities: opportunities.max(misfits.len() as u64),
            sharp,
            proofs,
        };
        match (tally.answer(), undecided.first()) {
            (Answer::Judged { outcome, evidence, ledger }, Some(why)) if misfits.is_empty() => {
                let _ = outcome;
                let more = undecided.len() - 1;
                let others = if more > 0 { format!(" (and {more} keys more)") } else { String::new() };
                Answer::Judged {
                    outcome: crate::finding::Outcome::Unknown { why: format!("{why}{others}") },
                    evidence,
                    ledger,
                }
            }
            (answer, _) => answer,
        }
    }
}

/// Reads after the first write was sent, and those of them that another node served than the write they returned, or near a fault.
fn count(case: &Case<'_>, key: usize) -> (u64, u64) {
    let facts = &case.facts;
    let Some(first) = facts.keys[key].writes.first().map(|&write| facts.writes[write as usize].invoked) else {
        return (0, 0);
    };
    let (mut seen, mut sharp) = (0, 0);
    for &part in &facts.keys[key].parts {
        let part = &facts.parts[part as usize];
        let op = &facts.history.ops[part.op as usize];
        if op.completed >= first && part.shown != Shown::Skip {
            seen += 1;
            let wrote = if let Shown::One(write) = part.shown { Some(facts.op_of(write)) } else { None };
            sharp += u64::from(case.sharpness.sharp(op, wrote));
        }
    }
    (seen, sharp)
}

/// The key's operations by invocation. Failed ones did nothing, and what nothing explains is left out.
fn steps(facts: &Facts, key: usize) -> Vec<Step> {
    let entry = &facts.keys[key];
    let number = |write: u32| facts.writes[write as usize].stands + 1;
    let values: FastMap<&Atom, u32> =
        entry.writes.iter().filter_map(|&write| Some((facts.value_of(write)?, number(write)))).collect();
    let mut changed: FastMap<(u32, u32), u32> = FastMap::default();
    let mut steps = Vec::with_capacity(entry.writes.len() + entry.parts.len());
    for &part in &entry.parts {
        let part = &facts.parts[part as usize];
        let value = match part.shown {
            Shown::Nil => NIL,
            Shown::One(write) | Shown::AnyOf(write) => number(write),
            _ => continue,
        };
        let op = &facts.history.ops[part.op as usize];
        if op.steps[part.step as usize].action.writes() {
            changed.insert((part.op, part.step), value);
        } else {
            steps.push(Step { op: part.op, invoked: op.invoked, returned: op.completed, what: Move::Read(value) });
        }
    }
    for &id in &entry.writes {
        let write = &facts.writes[id as usize];
        let what = match (&facts.op_of(id).steps[write.step as usize].action, write.outcome) {
            (_, Outcome::Fail) => continue,
            (Action::Cas { old, .. }, Outcome::Info) => match old.as_ref().map(|old| values.get(old).copied()) {
                None => Move::Cas(NIL, number(id)),
                Some(Some(old)) => Move::Cas(old, number(id)),
                Some(None) => continue,
            },
            (Action::Cas { .. }, Outcome::Ok) => match changed.get(&(write.op, write.step)) {
                Some(&old) => Move::Cas(old, number(id)),
                None => Move::Write(number(id)),
            },
            _ if write.deed == Deed::Delete => Move::Write(NIL),
            _ => Move::Write(number(id)),
        };
        steps.push(Step { op: write.op, invoked: write.invoked, returned: write.acked, what });
    }
    steps.sort_by_key(|step| (step.invoked, step.op));
    steps
}
