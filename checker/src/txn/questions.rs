//! What the graph leaves open, asked directly: is there a commit order?
//!
//! Of registers only inferred orders are in the graph, and of lists not the order of appends that no read shows. So what no cycle rules out is asked
//! of [`levels`](super::levels), strongest first; what a stronger model implies is not asked again.

use super::check::Case;
use super::dependencies::Dependencies;
use super::lattice;
use super::levels::{Decision, Fault, INITIAL, Level, Link, Proof, Why, Within, decide};
use super::transactions::{NOBODY, Shape, Transactions};
use super::words::Teller;
use crate::evidence::Budget;
use crate::history::Outcome;

/// Models, each with the question that decides it, strongest first.
pub const QUESTIONS: &[(&str, Level, Within)] = &[
    ("strict-serializable", Level::Serializable, Within::RealTime),
    ("strong-session-serializable", Level::Serializable, Within::Sessions),
    ("serializable", Level::Serializable, Within::Nothing),
    ("strong-snapshot-isolation", Level::SnapshotIsolation, Within::RealTime),
    ("strong-session-snapshot-isolation", Level::SnapshotIsolation, Within::Sessions),
    ("snapshot-isolation", Level::SnapshotIsolation, Within::Nothing),
    ("prefix", Level::Prefix, Within::Nothing),
    ("causal-cerone", Level::Causal, Within::Nothing),
    ("read-atomic", Level::ReadAtomic, Within::Nothing),
    // The read committed of Biswas and Enea, and of AWDIT, orders what a transaction reads after what it has seen: monotonic atomic view.
    ("monotonic-atomic-view", Level::ReadCommitted, Within::Nothing),
];

/// What came of the questions.
#[derive(Default)]
pub struct Answers {
    /// Anomalies: a name and its case.
    pub found: Vec<(String, Case)>,
    /// Models that could not be decided, with the reason.
    pub unknown: Vec<(&'static str, String)>,
}

/// Whether the graph of such a history may lack edges.
pub fn open(txns: &Transactions) -> bool {
    if txns.shape == Shape::Registers {
        return true;
    }
    // One of unknown outcome took place if any of its appends was seen.
    let mut counts: Vec<bool> = txns.txns.iter().map(|txn| txn.outcome == Outcome::Ok).collect();
    for version in (0..txns.place.len()).filter(|&version| txns.place[version] != NOBODY) {
        if let Some(counts) = counts.get_mut(txns.writer[version] as usize) {
            *counts = true;
        }
    }
    // Two transactions whose appends to one list nobody saw.
    let mut hidden = vec![NOBODY; txns.keys.len()];
    for (version, &place) in txns.place.iter().enumerate() {
        let writer = txns.writer[version];
        if place != NOBODY || !counts.get(writer as usize).is_some_and(|&it| it) {
            continue;
        }
        let key = txns.version_key[version] as usize;
        if hidden[key] != NOBODY && hidden[key] != writer {
            return true;
        }
        hidden[key] = writer;
    }
    false
}

/// Asks about every model that is `wanted` and not ruled out by `anomalies`.
pub fn ask(
    txns: &Transactions,
    dependencies: &Dependencies<'_>,
    anomalies: &[String],
    budget: &Budget,
    wanted: &dyn Fn(&'static str) -> bool,
) -> Answers {
    let mut answers = Answers::default();
    let mut held: Vec<&'static str> = Vec::new();
    let mut out: Vec<String> = anomalies.to_vec();
    for &(model, level, within) in QUESTIONS {
        if held.iter().any(|stronger| lattice::implied(stronger).contains(&model))
            || out.iter().any(|name| lattice::prohibits(model, name))
            || !wanted(model)
        {
            continue;
        }
        match decide(level, within, txns, budget) {
            Decision::Holds => held.push(model),
            Decision::Unknown { why } => answers.unknown.push((model, why)),
            // A transaction that contradicts itself is an anomaly of its own, which Elle's weaker models do not prohibit.
            Decision::Violated(Proof::Read { fault: Fault::Internal | Fault::Future, .. }) => {}
            Decision::Violated(proof) => {
                let name = format!("not-{model}");
                out.push(name.clone());
                answers.found.push((name, case(txns, dependencies, &proof)));
            }
        }
    }
    // What is ruled out by a weaker question is not unknown.
    answers.unknown.retain(|(model, _)| !out.iter().any(|name| lattice::prohibits(model, name)));
    answers
}

/// A proof in words.
fn case(txns: &Transactions, dependencies: &Dependencies<'_>, proof: &Proof) -> Case {
    let who: Vec<u32> = match proof {
        Proof::Read { reader, writer, .. } => std::iter::once(*reader).chain(*writer).collect(),
        Proof::Shuffled { txn, .. } => vec![*txn],
        Proof::Cycle(links) => {
            let mut who = Vec::new();
            for link in links {
                let by = if let Why::Seen { by, .. } = link.why { Some(by) } else { None };
                let source = if let Why::Overwritten { source, .. } = link.why { Some(source) } else { None };
                for txn in [Some(link.from), by, source].into_iter().flatten() {
                    if txn != INITIAL && !who.contains(&txn) {
                        who.push(txn);
                    }
                }
            }
            who
        }
        Proof::NoOrder(all) => all.clone(),
    };
    let teller = Teller::new(dependencies, &who);
    let name = |txn: u32| if txn == INITIAL { "the initial state".to_string() } else { teller.name(txn) };
    let key = |key: u32| txns.keys[key as usize].to_string();
    let lines = match proof {
        Proof::Read { fault, reader, version, writer, .. } => {
            let by = writer.map_or_else(|| "nobody".to_string(), name);
            vec![format!("{} read {}, written by {by}: {fault:?}.", name(*reader), txns.value(*version))]
        }
        Proof::Shuffled { txn, key: at, first, second } => vec![format!(
            "{} appended {} to key {} before {}, and lists show them the other way around.",
            name(*txn),
            txns.value(*first),
            key(*at),
            txns.value(*second)
        )],
        Proof::Cycle(links) => {
            links.iter().enumerate().map(|(at, link)| sentence(link, at + 1 == links.len(), &name, &key)).collect()
        }
        Proof::NoOrder(all) => vec![format!(
            "Every order of these {} transactions was tried, and none explains what they read.",
            all.len()
        )],
    };
    let indices = who.iter().map(|&txn| u64::from(txns.txns[txn as usize].index)).collect();
    let operations = who.iter().map(|&txn| (teller.name(txn), teller.did(txn))).collect();
    Case::Told { lines, indices, operations }
}

fn sentence(link: &Link, last: bool, name: &dyn Fn(u32) -> String, key: &dyn Fn(u32) -> String) -> String {
    let (from, to) = (name(link.from), name(link.to));
    let why = match link.why {
        Why::Initial => "that is before everything".to_string(),
        Why::Session => "the same process ran it before".to_string(),
        Why::RealTime => format!("it had completed before {to} was invoked"),
        Why::ReadsFrom { key: at } => format!("{to} read key {} from it", key(at)),
        Why::Order { key: at } => format!("its append to key {} is before the other's", key(at)),
        Why::Seen { by, key: at } => {
            format!("{} sees it and yet read key {} from {to}, which both wrote", name(by), key(at))
        }
        Why::SeenUpdated { by, key: at } => format!(
            "{} sees it and yet read key {} from updates that build on {to}, while it writes that key too",
            name(by),
            key(at)
        ),
        Why::Updates { first, key: at } => format!(
            "it is one of the updates of key {} that build on {}, which comes before {to}, and {to} cannot come between",
            key(at),
            name(first)
        ),
        Why::Overwritten { source, key: at } => {
            format!("it read key {} from {}, which {to} overwrote", key(at), name(source))
        }
        Why::Conflict { key: at } => format!("both write key {}, and it had begun before the other committed", key(at)),
    };
    if last && link.from != link.to {
        format!("But {from} must come before {to}: {why}. Both cannot be.")
    } else {
        format!("{from} must come before {to}: {why}.")
    }
}
