//! What sessions may expect, of transactions: read-your-writes to causal.
//!
//! A process is a session. The steps of a transaction are one request: its reads share one view. The procedure is that of single
//! operations ([`visibility`](crate::visibility)), to which transactions are handed as a history.

use crate::action::{Action, Atom, Reading, Step as Did};
use crate::checker::{Answer, Case};
use crate::checkers::CHECKERS;
use crate::event::{Function, Process};
use crate::evidence::Budget;
use crate::finding::Outcome as Verdict;
use crate::history::{History, Op, Outcome};

use super::lattice;
use super::transactions::{Name, ODD, Shape, Transactions, UNKNOWN};

/// The models that are decided here, with the checker that decides each.
pub const MODELS: &[(&str, &str)] = &[
    ("read-your-writes", "read-your-writes"),
    ("monotonic-reads", "monotonic-reads"),
    ("monotonic-writes", "monotonic-writes"),
    ("writes-follow-reads", "writes-follow-reads"),
    ("PRAM", "pram"),
    ("causal", "causal"),
];

/// A session model that is violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The model.
    pub model: &'static str,
    /// How many transactions show it.
    pub count: u64,
    /// The smallest proof, a line each.
    pub proof: Vec<String>,
    /// The `:index` of the transactions that prove it.
    pub indices: Vec<u64>,
}

/// Decides `models`, weaker ones first; nothing is said of one that holds, or that a weaker one which does not hold takes with it.
pub fn broken(txns: &Transactions, models: &[&'static str], budget: &Budget) -> Vec<Broken> {
    if models.is_empty() {
        return Vec::new();
    }
    let history = history(txns);
    let case = Case::new(&history);
    let mut out: Vec<Broken> = Vec::new();
    for &(model, name) in MODELS.iter().filter(|(model, _)| models.contains(model)) {
        if out.iter().any(|weaker| lattice::implied(model).contains(&weaker.model)) {
            continue;
        }
        let Some(entry) = CHECKERS.iter().find(|entry| entry.name == name) else { continue };
        if let Answer::Judged { outcome: Verdict::Broken { violations, anomalies, .. }, .. } =
            (entry.build)().check(&case, budget)
        {
            let proof = anomalies.iter().min_by_key(|anomaly| anomaly.witnesses.len());
            let lines = proof.map(|anomaly| {
                let mut lines = vec![anomaly.sentence.clone()];
                lines.extend(anomaly.edges.iter().map(|edge| edge.why.clone()));
                lines
            });
            let indices = proof.map(|anomaly| anomaly.witnesses.iter().map(|witness| witness.index).collect());
            out.push(Broken {
                model,
                count: violations,
                proof: lines.unwrap_or_default(),
                indices: indices.unwrap_or_default(),
            });
        }
    }
    out
}

/// When each began and ended: the recorded times where they agree with the order of events, else the ranks.
fn times(txns: &Transactions) -> Vec<(u64, u64)> {
    let mut events: Vec<(u32, u64)> = Vec::with_capacity(txns.len() * 2);
    for (txn, &(began, ended)) in txns.txns.iter().zip(&txns.times) {
        events.push((txn.start, began));
        if txn.end != u32::MAX {
            events.push((txn.end, ended));
        }
    }
    events.sort_unstable();
    let usable = txns.times.len() == txns.len()
        && events.windows(2).all(|pair| pair[0].1 <= pair[1].1)
        && events.last().is_some_and(|&(_, last)| last > 0);
    let both = txns.txns.iter().enumerate().map(|(at, txn)| {
        let (began, ended) = if usable { txns.times[at] } else { (u64::from(txn.start), u64::from(txn.end)) };
        (began, if txn.end == u32::MAX { u64::MAX } else { ended })
    });
    both.collect()
}

/// Transactions as a history.
pub fn history(txns: &Transactions) -> History {
    let atom = |name: Name| match name {
        Name::Int(it) => Atom::Int(it),
        Name::Text(it) => Atom::Text((*it).into()),
    };
    let keys: Vec<Atom> = txns.keys.iter().cloned().map(atom).collect();
    let value = |version: u32| atom(txns.value(version));
    let mut odd = txns.odd.iter().peekable();
    let mut ops = Vec::with_capacity(txns.len());
    let times = times(txns);
    for (number, txn) in txns.txns.iter().enumerate() {
        let mut steps = crate::action::Steps::new();
        for at in txns.step_range(number as u32) {
            let step = txns.steps[at];
            let known = txn.outcome == Outcome::Ok && step.version != UNKNOWN;
            let list = |versions: &[u32]| {
                if versions.is_empty() {
                    Reading::Nil
                } else {
                    Reading::Many(versions.iter().map(|&it| value(it)).collect())
                }
            };
            let action = match (step.writes(), txns.shape) {
                (true, Shape::Lists) => Action::Append(value(step.version)),
                (true, Shape::Registers) => Action::Write(value(step.version)),
                (false, _) if !known => Action::Read(None),
                (false, _) if step.version == ODD => {
                    while odd.next_if(|it| (it.step as usize) < at).is_some() {}
                    Action::Read(Some(list(odd.peek().map_or(&[], |it| &it.versions))))
                }
                (false, _) if step.version >= super::transactions::LIMIT => Action::Read(Some(Reading::Nil)),
                (false, Shape::Registers) => Action::Read(Some(Reading::One(value(step.version)))),
                (false, Shape::Lists) => {
                    let place = txns.place[step.version as usize] as usize;
                    Action::Read(Some(list(txns.order(step.key()).get(..=place).unwrap_or_default())))
                }
            };
            steps.push(Did { key: keys[step.key() as usize].clone(), action });
        }
        let process = txns.processes[txn.process as usize];
        ops.push(Op {
            index: u64::from(txn.index),
            process: Process(process),
            function: Function::Txn,
            steps,
            session: Atom::Int(process as i64),
            user: None,
            node: None,
            invoked: times[number].0,
            intended: None,
            completed: times[number].1,
            outcome: txn.outcome,
            version: None,
            error: None,
            last: false,
        });
    }
    let end = times.iter().map(|&(began, ended)| if ended == u64::MAX { began } else { ended }).max();
    History { ops, end: end.unwrap_or(0), ..History::default() }
}
