//! Why an anomaly is one, in words: which transactions, what each did, and for each pair why one must come before the other.

use std::fmt::Write as _;

use super::check::Case;
use super::dependencies::{Dependencies, relation};
use super::steps::{Reason, reasons};
use super::transactions::{LIMIT, NIL, ODD, Shape, Step, Transactions, UNKNOWN};
use crate::history::Outcome;

/// The last elements of a list that are shown.
const SHOWN: usize = 8;

/// A case in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The transactions: what each is called here (`T1`), and what it did.
    pub txns: Vec<(String, String)>,
    /// One sentence an edge, or a few that say what is wrong.
    pub because: Vec<String>,
}

impl Told {
    /// As lines of text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (name, did) in &self.txns {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(out, "  {name}  {did}");
        }
        for line in &self.because {
            let _ = writeln!(out, "  - {line}");
        }
        out
    }
}

/// Tells a case.
pub fn tell(dependencies: &Dependencies<'_>, case: &Case) -> Told {
    let txns = dependencies.txns;
    let who = case.txns();
    let mut listed: Vec<u32> = Vec::new();
    for &txn in &who {
        if !listed.contains(&txn) {
            listed.push(txn);
        }
    }
    let teller = Teller::new(dependencies, &listed);
    let because = match case {
        Case::Cycle { cycle, .. } => {
            let edges = &cycle.edges;
            let last = edges.len() - 1;
            (0..edges.len())
                .map(|at| {
                    let next = edges[(at + 1) % edges.len()].0;
                    let why = teller.edge(edges[at].0, next, edges[at].1);
                    let (from, to) = (teller.name(edges[at].0), teller.name(next));
                    if at == last && last > 0 {
                        format!("But {from} must come before {to}: {why}. Both cannot be.")
                    } else {
                        format!("{from} must come before {to}: {why}.")
                    }
                })
                .collect()
        }
        Case::Sight(sight) => vec![teller.sight(sight)],
        Case::Told { lines, .. } => lines.clone(),
        Case::Versions(key) => {
            let all: Vec<String> = key.versions.iter().map(|&version| txns.value(version).to_string()).collect();
            vec![format!(
                "By {} the values {} of key {} would each have to come before the next, and the last before the first.",
                key.source,
                all.join(", "),
                txns.keys[key.key as usize]
            )]
        }
    };
    if let Case::Told { operations, .. } = case {
        return Told { txns: operations.clone(), because };
    }
    let shown = listed.iter().map(|&txn| (teller.name(txn), teller.did(txn))).collect();
    Told { txns: shown, because }
}

/// Names and describes the transactions of a case.
pub(crate) struct Teller<'a, 't> {
    dependencies: &'a Dependencies<'t>,
    txns: &'t Transactions,
    listed: &'a [u32],
}

impl<'a, 't> Teller<'a, 't> {
    /// Of these transactions, the first of which is `T1`.
    pub(crate) fn new(dependencies: &'a Dependencies<'t>, listed: &'a [u32]) -> Self {
        Teller { dependencies, txns: dependencies.txns, listed }
    }

    /// What a transaction did, step by step.
    pub(crate) fn steps(&self, txn: u32) -> Vec<String> {
        self.txns.step_range(txn).map(|at| self.step(at)).collect()
    }

    /// What a transaction is called here.
    pub(crate) fn name(&self, txn: u32) -> String {
        let at = self.listed.iter().position(|&it| it == txn).unwrap_or(self.listed.len());
        format!("T{}", at + 1)
    }

    /// `process 3, event 12: append x 1, read y [1 2]`.
    pub(crate) fn did(&self, txn: u32) -> String {
        let it = self.txns.txns[txn as usize];
        let outcome = match it.outcome {
            Outcome::Ok => "",
            Outcome::Fail => ", failed",
            Outcome::Info => ", outcome unknown",
        };
        let process = self.txns.processes.get(it.process as usize).copied().unwrap_or_default();
        let steps: Vec<String> = self.txns.step_range(txn).map(|at| self.step(at)).collect();
        format!("process {process}, event {}{outcome}: {}", it.index, steps.join(", "))
    }

    fn step(&self, at: usize) -> String {
        let step = self.txns.steps[at];
        let key = &self.txns.keys[step.key() as usize];
        match (self.txns.shape, step.writes()) {
            (Shape::Lists, true) => format!("append {key} {}", self.txns.value(step.version)),
            (Shape::Registers, true) => format!("write {key} = {}", self.txns.value(step.version)),
            (_, false) => format!("read {key} → {}", self.reading(at, step)),
        }
    }

    fn reading(&self, at: usize, step: Step) -> String {
        match step.version {
            UNKNOWN => "?".to_string(),
            NIL if self.txns.shape == Shape::Lists => "[]".to_string(),
            NIL => "nil".to_string(),
            ODD => {
                let odd = self.txns.odd.iter().find(|odd| odd.step as usize == at);
                self.list(odd.map_or(&[], |odd| &odd.versions))
            }
            version if self.txns.shape == Shape::Lists => {
                let order = self.txns.order(step.key());
                let place = self.txns.place[version as usize] as usize;
                self.list(order.get(..=place).unwrap_or_default())
            }
            version => self.txns.value(version).to_string(),
        }
    }

    fn list(&self, versions: &[u32]) -> String {
        let skipped = versions.len().saturating_sub(SHOWN);
        let shown: Vec<String> =
            versions[skipped..].iter().map(|&version| self.txns.value(version).to_string()).collect();
        let dots = if skipped > 0 { "… " } else { "" };
        format!("[{dots}{}]", shown.join(" "))
    }

    /// Why `from` comes before `to`.
    fn edge(&self, from: u32, to: u32, wanted: u8) -> String {
        match wanted {
            relation::PROCESS => {
                let process = self.txns.processes[self.txns.txns[from as usize].process as usize];
                return format!("process {process} ran it before");
            }
            relation::REAL_TIME | relation::CHAIN => return self.real_time(from, to),
            _ => {}
        }
        let wanted = if wanted == relation::INFERRED { relation::WW } else { wanted };
        let all = reasons(self.dependencies, from, to);
        match all.iter().find(|reason| reason.relation == wanted) {
            Some(reason) => self.data(reason, from, to),
            None => self.shown(from, to).unwrap_or_else(|| "of what both did".to_string()),
        }
    }

    /// Where a list that `to` read shows an append of `from` that is not its last element.
    fn shown(&self, from: u32, to: u32) -> Option<String> {
        let place = |version: u32| self.txns.place.get(version as usize).copied().unwrap_or(u32::MAX);
        self.txns.steps_of(to).iter().filter(|read| !read.writes() && read.version < LIMIT).find_map(|read| {
            let wrote = self
                .txns
                .steps_of(from)
                .iter()
                .find(|it| it.writes() && it.key() == read.key() && place(it.version) <= place(read.version))?;
            let (key, value) = (&self.txns.keys[read.key() as usize], self.txns.value(wrote.version));
            Some(format!("{} read key {key} and saw {}'s append of {value}", self.name(to), self.name(from)))
        })
    }

    fn real_time(&self, from: u32, to: u32) -> String {
        let (first, second) = (self.txns.times.get(from as usize), self.txns.times.get(to as usize));
        let gap = match (first, second) {
            (Some(&(_, done)), Some(&(began, _))) if done < began => {
                format!(" {:.3} ms", (began - done) as f64 / 1e6)
            }
            _ => String::new(),
        };
        format!("it had completed{gap} before {} was invoked", self.name(to))
    }

    fn data(&self, reason: &Reason, from: u32, to: u32) -> String {
        let key = &self.txns.keys[reason.key as usize];
        let (from, to) = (self.name(from), self.name(to));
        let (before, after) = (self.txns.value(reason.before), self.txns.value(reason.after));
        match (reason.relation, self.txns.shape) {
            (relation::WR, Shape::Lists) => format!("{to} read key {key} and saw {from}'s append of {after}"),
            (relation::WR, Shape::Registers) => format!("{to} read {key} = {after}, which {from} wrote"),
            (relation::WW, Shape::Lists) => {
                format!("on key {key}, {to}'s {after} was appended right after {from}'s {before}")
            }
            (relation::WW, Shape::Registers) => format!("{to} wrote {key} = {after} over {from}'s {before}"),
            (_, Shape::Lists) if reason.before >= LIMIT => {
                format!("{from} read key {key} as empty, without {to}'s append of {after}")
            }
            (_, Shape::Lists) => {
                format!("{from} read key {key} up to {before}, without {to}'s append of {after}")
            }
            (_, Shape::Registers) if reason.before >= LIMIT => {
                format!("{from} read {key} as it was before {to} wrote {after}")
            }
            (_, Shape::Registers) => format!("{from} read {key} = {before}, which {to} replaced by {after}"),
        }
    }

    fn sight(&self, sight: &super::scans::Sight) -> String {
        let key = &self.txns.keys[sight.key as usize];
        let value = |at: usize| {
            sight.versions.get(at).map_or_else(String::new, |&version| self.txns.value(version).to_string())
        };
        let name = |at: usize| sight.txns.get(at).map_or_else(|| "another".to_string(), |&txn| self.name(txn));
        match sight.name {
            "thin-air-read" => format!("{} read {} from key {key}, which nobody ever wrote.", name(0), value(0)),
            "G1a" => format!(
                "{} read {} from key {key}, which {} wrote, and {} failed.",
                name(0),
                value(0),
                name(1),
                name(1)
            ),
            "G1b" => format!(
                "{} read {} from key {key}, which {} wrote on the way: later in the same transaction it wrote the key again.",
                name(0),
                value(0),
                name(1)
            ),
            "internal" => format!(
                "{} should have seen in key {key} what it had itself read or written before (last {}), and read something else.",
                name(0),
                value(1)
            ),
            "future-read" => format!(
                "{} read {} from key {key} before it wrote it, later in the same transaction.",
                name(0),
                value(0)
            ),
            "dirty-update" => format!(
                "{} wrote {} to key {key} on top of {}, which {} wrote, and {} failed.",
                name(0),
                value(0),
                value(1),
                name(1),
                name(1)
            ),
            "duplicate-elements" => {
                format!("{} read key {key} with {} in it twice; it was appended once.", name(0), value(0))
            }
            "incompatible-order" if sight.txns.len() == 1 => format!(
                "{} appended {} to key {key} before {}, and lists show {} without the other before it.",
                name(0),
                value(1),
                value(0),
                value(0)
            ),
            "incompatible-order" => format!(
                "{} read key {key} with {} where another read of it shows {}: the two lists contradict each other.",
                name(0),
                value(0),
                value(1)
            ),
            "lost-update" => {
                let count = sight.txns.len();
                let names: Vec<String> = (0..count.min(4)).map(name).collect();
                let more = if count > 4 { format!(" and {} more", count - 4) } else { String::new() };
                let (all, lost) =
                    if count == 2 { ("both", "one of the updates is") } else { ("all", "all updates but one are") };
                let state = value(0);
                format!(
                    "{}{more} {all} read the same state of key {key} ({state}) and then wrote it, not knowing of each other: {lost} lost.",
                    names.join(" and ")
                )
            }
            other => format!("{other} on key {key}."),
        }
    }
}
