//! The verdict over a history's transactions: every anomaly, what it rules out, and what is left.
//!
//! In this order: what single transactions show ([`scans`](super::scans)), then the components of the whole graph with every order
//! ([`components`](super::components)); a history without one is strictly serializable, as far as orders of versions are known, and done. Each component is
//! classified ([`cycles`](super::cycles)). Where versions' orders are not known (registers), what no cycle shows is decided
//! by [`levels`](super::levels), with a budget.

use std::collections::BTreeMap;

use crate::evidence::Budget;

use super::components::components;
use super::cycles::{Classified, Cycle, Finer, Kind, Orders, With, classify};
use super::dependencies::{Dependencies, relation};
use super::lattice::{self, ruled_out};
use super::pieces::apart;
use super::questions::{ask, open};
use super::scans::{Sight, scan};
use super::sessions;
use super::transactions::{Shape, Transactions};
use super::versions::{Assume, CyclicKey, Versions};
use super::witness;

/// Models whose cycles may skip versions, so that the graph shows some of their violations and not all.
const WEAK: [&str; 3] = ["causal-cerone", "read-atomic", "monotonic-atomic-view"];

/// What is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The models that should hold, by name.
    pub models: Vec<String>,
    /// Anomalies that count besides those that the models prohibit.
    pub anomalies: Vec<String>,
    /// What to assume of registers' versions.
    pub assume: Assume,
    /// How many cases of each anomaly are kept.
    pub cases: usize,
    /// Of a history that violates what was asked for, models of single objects and sessions are decided besides if it has at most this many
    /// transactions.
    pub besides: usize,
    /// How far searches go.
    pub budget: Budget,
    /// Whether what the graph leaves open is asked directly.
    pub direct: bool,
    /// Whether a value that nobody wrote to a register is only shown, as with Elle.
    pub lenient: bool,
    /// Whether a commit order is looked for before the graph is built.
    pub witness: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            models: vec!["strict-serializable".into()],
            anomalies: Vec::new(),
            assume: Assume::default(),
            cases: 8,
            besides: 20_000,
            budget: Budget::default(),
            direct: true,
            lenient: false,
            witness: true,
        }
    }
}

/// How an anomaly shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Case {
    /// Transactions that would each have to come before the next, and the last before the first.
    Cycle {
        /// The cycle.
        cycle: Cycle,
        /// Whether no smaller one of its kind is in its component.
        smallest: bool,
        /// How many transactions its component has.
        component: usize,
    },
    /// What one transaction or one key shows.
    Sight(Sight),
    /// What was worked out otherwise, in words.
    Told {
        /// One sentence each.
        lines: Vec<String>,
        /// The `:index` of the transactions that prove it.
        indices: Vec<u64>,
        /// What they are called here, and what they did.
        operations: Vec<(String, String)>,
    },
    /// Versions of a key that would each have to come before the next.
    Versions(CyclicKey),
}

impl Case {
    /// The transactions that take part.
    pub fn txns(&self) -> Vec<u32> {
        match self {
            Case::Cycle { cycle, .. } => cycle.edges.iter().map(|&(txn, _)| txn).collect(),
            Case::Sight(sight) => sight.txns.clone(),
            Case::Versions(_) | Case::Told { .. } => Vec::new(),
        }
    }
}

/// An anomaly that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Its name, as Elle spells it where Elle has it.
    pub name: String,
    /// How many cases: transactions for what single ones show, components for cycles.
    pub count: u64,
    /// Whether some model that was asked for prohibits it.
    pub counts: bool,
    /// The first, the smallest first.
    pub cases: Vec<Case>,
}

/// Whether what was asked for holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Holds,
    /// An anomaly was found that it prohibits.
    Violated,
    /// Something could not be decided; nothing that was decided is against it.
    Unknown(String),
}

/// The verdict.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether what was asked for holds.
    pub answer: Answer,
    /// Every anomaly found, those that count first.
    pub anomalies: Vec<Anomaly>,
    /// The weakest models that are violated.
    pub not: Vec<&'static str>,
    /// The stronger ones that fall with them.
    pub also_not: Vec<&'static str>,
    /// The strongest that still hold, as far as was decided.
    pub left: Vec<&'static str>,
    /// How many transactions committed, failed, and ended unknown.
    pub outcomes: [usize; 3],
    /// How many components the graph has.
    pub components: usize,
    /// What had to be assumed.
    pub notes: Vec<String>,
}

/// Checks transactions.
pub fn check(txns: &Transactions, options: &Options) -> Report {
    // Which versions an assumption orders is to be shown even where there is a commit order.
    if options.witness && options.assume == Assume::default() && witness::found(txns) {
        return report(txns, options, Collected::default(), 0, Vec::new());
    }
    let versions = Versions::new(txns, options.assume);
    let mut found = Collected { cases: options.cases.max(1), ..Collected::default() };
    for key in &versions.cyclic {
        found.add("cyclic-versions", Case::Versions(key.clone()));
    }
    let sights = scan(txns);
    for sight in sights.kept {
        found.add(sight.name, Case::Sight(sight));
    }
    for (name, count) in sights.counts {
        found.count(name, count);
    }
    let dependencies = Dependencies::new(txns, &versions);
    let everything = relation::DATA | relation::PROCESS | relation::REAL_TIME;
    let parts = components(dependencies.vertices(), |vertex, out| {
        dependencies.predecessors(vertex, everything, &mut |from, _| out.push(from));
    });
    let count = parts.len();
    for part in parts {
        found.classified(classify(&dependencies, part, Orders { process: true, real_time: true }));
    }
    let whole = found.anomalies.is_empty();
    // A model that was asked for and has fallen asks no more of those that it implies.
    let asked = |model: &str, judged: &[String]| {
        let standing = |asked: &&String| !judged.iter().any(|name| lattice::prohibits(&resolve(asked), name));
        options.models.iter().filter(standing).any(|asked| lattice::implied(&resolve(asked)).contains(&model))
    };
    let few = txns.len() <= options.besides;
    let mut unknown = Vec::new();
    // Lists whose graph has no component are strictly serializable, whatever the order of appends that nobody saw.
    if options.direct && !(whole && txns.shape == Shape::Lists) {
        let judged = found.names();
        let open = open(txns);
        // In the graph a read leads to the writer of the next version alone. The weak models ask about the writers of all later ones.
        let left = |model| open || WEAK.contains(&model);
        let wanted = |model: &'static str| left(model) && (few || asked(model, &judged));
        let answers = ask(txns, &dependencies, &judged, &options.budget, &wanted);
        for (name, case) in answers.found {
            found.count(&name, 1);
            found.add(&name, case);
        }
        unknown = answers.unknown;
    }
    let whole = whole && found.anomalies.is_empty() && unknown.is_empty();
    // Where nothing was found, every model holds whose strength lies in what the graph shows.
    if !whole {
        let judged = found.names();
        let wanted = |model: &'static str| {
            let out = judged.iter().any(|name| lattice::prohibits(model, name));
            !out && (few || asked(model, &judged))
        };
        objects(txns, &dependencies, options.assume, &wanted, &mut found);
        let models: Vec<&'static str> =
            sessions::MODELS.iter().map(|(model, _)| *model).filter(|it| wanted(it)).collect();
        for broken in sessions::broken(txns, &models, &options.budget) {
            let name = format!("{}-violation", broken.model);
            found.count(&name, broken.count);
            found.add(&name, Case::Told { lines: broken.proof, indices: broken.indices, operations: Vec::new() });
        }
    }
    let mut report = report(txns, options, found, count, unknown);
    if !whole && !few {
        report.notes.push(format!(
            "of models of single objects and sessions only those asked for were decided: there are more than {} transactions",
            options.besides
        ));
    }
    report
}

/// Sequential and linearizable, on what each transaction did on each key.
fn objects(
    txns: &Transactions,
    whole: &Dependencies<'_>,
    assume: Assume,
    wanted: &dyn Fn(&'static str) -> bool,
    found: &mut Collected,
) {
    if !wanted("sequential") && !wanted("linearizable") {
        return;
    }
    let pieces = apart(txns);
    let versions = Versions::new(&pieces.txns, assume);
    let dependencies = Dependencies::of_pieces(&pieces, &versions, whole);
    for (model, name, orders, relations) in [
        ("sequential", "not-sequential", Orders { process: true, real_time: false }, relation::PROCESS),
        ("linearizable", "not-linearizable", Orders { process: false, real_time: true }, relation::REAL_TIME),
    ] {
        if !wanted(model) {
            continue;
        }
        let parts = components(dependencies.vertices(), |vertex, out| {
            dependencies.predecessors(vertex, relation::DATA | relations, &mut |from, _| out.push(from));
        });
        for part in parts {
            let classified = classify(&dependencies, part, orders);
            let shortest = classified.found.into_iter().min_by_key(|found| found.cycle.edges.len());
            if let Some(mut shortest) = shortest {
                for edge in &mut shortest.cycle.edges {
                    edge.0 = pieces.of[edge.0 as usize];
                }
                found.count(name, 1);
                let (cycle, smallest) = (shortest.cycle, shortest.smallest);
                found.add(name, Case::Cycle { cycle, smallest, component: classified.size });
            }
        }
    }
}

fn report(
    txns: &Transactions,
    options: &Options,
    found: Collected,
    components: usize,
    unknown: Vec<(&'static str, String)>,
) -> Report {
    let mut notes = txns.notes.clone();
    if !txns.doubles.is_empty() {
        let (txn, version) = txns.doubles[0];
        notes.push(format!(
            "{} writes repeat a value of their key, the first {} on key {} by transaction {}: reads of it were taken to be of the first write",
            txns.doubles.len(),
            txns.value(version),
            txns.keys[txns.version_key[version as usize] as usize],
            txns.txns[txn as usize].index
        ));
    }
    let asked = |name: &str| {
        let excused = options.lenient && name == "thin-air-read" && txns.shape == Shape::Registers;
        !excused && options.models.iter().any(|model| lattice::prohibits(&resolve(model), name))
            || options.anomalies.iter().any(|it| it == name || it.replace("-item", "") == name.replace("-item", ""))
    };
    let mut anomalies: Vec<Anomaly> = found
        .anomalies
        .into_iter()
        .map(|(name, (count, cases))| Anomaly { counts: asked(&name), name, count, cases })
        .collect();
    anomalies.sort_by_cached_key(|anomaly| (!anomaly.counts, severity(&anomaly.name), anomaly.name.clone()));
    let names: Vec<&str> = anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect();
    let (not, also_not) = ruled_out(&names);
    let left = lattice::left(&names);
    let answer = if anomalies.iter().any(|anomaly| anomaly.counts) {
        Answer::Violated
    } else if !txns.doubles.is_empty() {
        Answer::Unknown("values repeat, so that it is not known which write a read saw".into())
    } else {
        Answer::Holds
    };
    let answer = match (
        answer,
        unknown
            .iter()
            .find(|(model, _)| options.models.iter().any(|it| lattice::implied(&resolve(it)).contains(model))),
    ) {
        (Answer::Holds, Some((model, why))) => Answer::Unknown(format!("{model} was not decided: {why}")),
        (answer, _) => answer,
    };
    notes.extend(unknown.iter().map(|(model, why)| format!("{model} was not decided: {why}")));
    let outcome = |wanted| txns.txns.iter().filter(|txn| txn.outcome == wanted).count();
    use crate::history::Outcome;
    let outcomes = [outcome(Outcome::Ok), outcome(Outcome::Fail), outcome(Outcome::Info)];
    Report { answer, anomalies, not, also_not, left, outcomes, components, notes }
}

/// A model's name from an alias.
fn resolve(name: &str) -> String {
    lattice::named(name).map_or_else(|| name.to_string(), |model| model.name.to_string())
}

/// Where an anomaly stands among others: by how weak a model it breaks.
fn severity(name: &str) -> usize {
    let (not, _) = ruled_out(&[name]);
    not.first().and_then(|first| lattice::MODELS.iter().position(|model| model.name == *first)).unwrap_or(usize::MAX)
}

/// What was found so far.
#[derive(Default)]
struct Collected {
    anomalies: BTreeMap<String, (u64, Vec<Case>)>,
    cases: usize,
}

impl Collected {
    fn names(&self) -> Vec<String> {
        self.anomalies.keys().cloned().collect()
    }

    fn add(&mut self, name: &str, case: Case) {
        let most = self.cases;
        let (_, cases) = self.anomalies.entry(name.to_string()).or_default();
        let size = |case: &Case| case.txns().len();
        let at = cases.partition_point(|known| size(known) <= size(&case));
        cases.insert(at, case);
        cases.truncate(most);
    }

    fn count(&mut self, name: &str, count: u64) {
        self.anomalies.entry(name.to_string()).or_default().0 += count;
    }

    fn classified(&mut self, classified: Classified) {
        for found in classified.found {
            let name = name(found.kind, found.with);
            self.count(&name, 1);
            let component = classified.size;
            self.add(&name, Case::Cycle { cycle: found.cycle, smallest: found.smallest, component });
        }
        for (finer, cycle) in classified.finer {
            let name = finer_name(finer);
            self.count(name, 1);
            self.add(name, Case::Cycle { cycle, smallest: true, component: classified.size });
        }
    }
}

/// Elle's name of a cycle.
pub fn name(kind: Kind, with: With) -> String {
    let kind = match kind {
        Kind::G0 => "G0",
        Kind::G1c => "G1c",
        Kind::GSingle => "G-single-item",
        Kind::GNonadjacent => "G-nonadjacent-item",
        Kind::G2 => "G2-item",
    };
    let suffix = match with {
        With::Data => "",
        With::Process => "-process",
        With::RealTime => "-realtime",
    };
    format!("{kind}{suffix}")
}

/// The name of a finer condition's violation.
pub fn finer_name(finer: Finer) -> &'static str {
    match finer {
        Finer::FracturedRead => "fractured-read",
        Finer::ObservedVanishes => "observed-transaction-vanishes",
        Finer::Monotonic => "G-monotonic",
        Finer::Causality => "causality-violation",
        Finer::Prefix => "prefix-violation",
        Finer::UpdateAtomic => "update-missed",
        Finer::Update => "G-update",
    }
}
