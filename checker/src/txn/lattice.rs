//! The consistency models of transactions, which of them implies which, and what each prohibits.
//!
//! Names, aliases and implications are those of Elle (`elle.consistency-model`), after Adya's thesis (1999), Cerone, Bernardi and Gotsman (CONCUR
//! 2015), Bailis et al. (VLDB 2013) and Viotti and Vukolić (2016). A model is violated when an anomaly was found that it, or a model that it implies,
//! prohibits. Elle names eleven models without any prohibition; here each has what decides it:
//!
//! - what sessions may expect (`read-your-writes` to `causal`) is decided per session over all steps, by the procedure of
//!   [`visibility`](crate::checkers);
//! - `linearizable` is decided key by key: strict serializability of what is left of a history when only one key is kept (a history is linearizable if
//!   every object is: Herlihy and Wing 1990);
//! - `sequential` is serializability, with the order of processes, of what each transaction did on each key ([`pieces`](super::pieces));
//! - `1SR` and `view-serializable` are, for what clients can see, serializability (every read names its writer); `session-serializable` adds the order of processes.
//!
//! Some are decided by finer cycles than Elle looks for ([`Finer`](super::cycles::Finer)); where a definition speaks of start and commit times that
//! no client can see (`forward-consistent-view`, `monotonic-snapshot-read`), a history is accepted if *some* such times exist: then the first is consistent view and the second
//! monotonic view.

use std::borrow::Cow;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Models that it implies directly.
    pub implies: &'static [&'static str],
    /// Anomalies that it prohibits beyond what these do.
    pub prohibits: &'static [&'static str],
    /// What it promises, for someone who knows databases.
    pub about: &'static str,
}

macro_rules! model {
    ($name:literal, $aliases:expr, $implies:expr, $prohibits:expr, $about:literal) => {
        Model { name: $name, aliases: &$aliases, implies: &$implies, prohibits: $prohibits, about: $about }
    };
}

/// What no serial order explains.
const SERIAL: &[&str] = &[
    "G0",
    "G1a",
    "G1b",
    "G1c",
    "G2",
    "lost-update",
    "internal",
    "future-read",
    "dirty-update",
    "duplicate-elements",
    "incompatible-order",
    "cyclic-versions",
    "thin-air-read",
    "not-serializable",
];

/// Every model, stronger ones later.
pub const MODELS: &[Model] = &[
    model!(
        "read-uncommitted",
        ["PL-1", "pl-1"],
        [],
        &["G0", "duplicate-elements", "cyclic-versions", "thin-air-read"],
        "Writes of two transactions are not interleaved: whoever comes last on one key comes last on all. Reads may show anything that somebody wrote."
    ),
    model!(
        "read-committed",
        ["PL-2", "pl-2"],
        ["read-uncommitted"],
        &["G1a", "G1b", "G1c", "dirty-update", "incompatible-order", "future-read"],
        "Nobody reads what failed, what was only intermediate, or in circles."
    ),
    model!(
        "monotonic-atomic-view",
        ["MAV"],
        ["read-committed"],
        &["observed-transaction-vanishes", "not-monotonic-atomic-view"],
        "Once a transaction has seen one effect of another, it sees all of them from then on."
    ),
    model!(
        "read-atomic",
        ["RA"],
        ["monotonic-atomic-view"],
        &["not-read-atomic", "internal", "fractured-read"],
        "A transaction sees all of another's effects or none."
    ),
    model!(
        "monotonic-view",
        ["PL-2L", "pl-2l"],
        ["read-committed"],
        &["G-monotonic"],
        "Once a transaction has seen an effect, it sees from then on everything that this effect depends on."
    ),
    model!(
        "cursor-stability",
        ["PL-CS", "pl-cs"],
        ["read-committed"],
        &["G-cursor", "lost-update"],
        "What a transaction read and then replaces was not replaced by another in between."
    ),
    model!(
        "monotonic-snapshot-read",
        ["PL-MSR", "MSR"],
        ["read-committed"],
        &["G-MSR"],
        "Every read sees a consistent state, and these only advance within a transaction."
    ),
    model!(
        "update-atomic",
        [],
        ["read-atomic"],
        &["lost-update", "update-missed"],
        "Read atomic, and no two transactions replace the same version."
    ),
    model!(
        "causal-cerone",
        [],
        ["read-atomic"],
        &["not-causal-cerone", "causality-violation"],
        "A transaction sees whatever those that it sees have seen."
    ),
    model!(
        "consistent-view",
        ["PL-2+", "pl-2+"],
        ["cursor-stability", "monotonic-view"],
        &["G-single"],
        "A transaction sees one consistent state of everything, though perhaps an old one."
    ),
    model!(
        "forward-consistent-view",
        ["PL-FCV"],
        ["consistent-view"],
        &["G-SIb"],
        "A consistent view, which may include what commits while the transaction runs."
    ),
    model!(
        "prefix",
        [],
        ["causal-cerone"],
        &["not-prefix", "prefix-violation"],
        "All transactions see states of one and the same sequence; no two of them see two others in opposite orders."
    ),
    model!(
        "parallel-snapshot-isolation",
        ["PSI"],
        ["causal-cerone", "update-atomic"],
        &["internal", "G1a", "G-single"],
        "Snapshots and no lost updates, but replicas may see independent transactions in different orders (long forks)."
    ),
    model!(
        "repeatable-read",
        ["PL-2.99", "pl-2.99"],
        ["cursor-stability", "monotonic-atomic-view"],
        &["G2-item", "lost-update"],
        "Serializable as far as single items are concerned; only predicates may change under a transaction."
    ),
    model!(
        "snapshot-isolation",
        ["SI", "PL-SI"],
        [
            "forward-consistent-view",
            "monotonic-atomic-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix"
        ],
        &["not-snapshot-isolation", "internal", "G-SI", "G-nonadjacent"],
        "A transaction reads from one snapshot, and of two that write the same at the same time one fails. Write skew remains."
    ),
    model!(
        "update-serializable",
        ["PL-3U", "pl-3u"],
        ["forward-consistent-view"],
        &["G-update"],
        "Transactions that write are serializable; each that only reads fits in, but two of these may disagree."
    ),
    model!("view-serializable", ["VSR"], [], SERIAL, "Some serial order gives every read what it saw."),
    model!(
        "1SR",
        ["one-copy-serializable", "1sr"],
        [],
        SERIAL,
        "The replicas behave like one copy on which transactions run one after the other."
    ),
    model!(
        "serializable",
        ["PL-3", "pl-3"],
        ["repeatable-read", "update-serializable", "snapshot-isolation", "view-serializable"],
        &["G2", "predicate-read-miss", "not-serializable"],
        "As if transactions had run one after the other, in some order."
    ),
    model!(
        "session-serializable",
        [],
        ["1SR"],
        &["G0-process", "G1c-process", "G2-process", "not-strong-session-serializable"],
        "Serializable, in an order in which each process's transactions stand as it ran them."
    ),
    model!(
        "strong-session-read-uncommitted",
        ["strong-session-PL-1"],
        ["read-uncommitted"],
        &["G0-process"],
        "Read uncommitted, and no process's writes are reordered."
    ),
    model!(
        "strong-session-read-committed",
        ["strong-session-PL-2"],
        ["read-committed", "strong-session-read-uncommitted"],
        &["G1c-process"],
        "Read committed, and information does not flow against a process's order."
    ),
    model!(
        "strong-session-snapshot-isolation",
        ["strong-session-SI"],
        ["snapshot-isolation", "strong-session-read-committed"],
        &["not-strong-session-snapshot-isolation", "G-single-process", "G-nonadjacent-process"],
        "Snapshot isolation in which a process always sees its own past."
    ),
    model!(
        "strong-session-serializable",
        ["strong-session-PL-3"],
        ["serializable", "strong-session-snapshot-isolation"],
        &["G2-process", "G2-item-process", "not-strong-session-serializable"],
        "Serializable, in an order in which each process's transactions stand as it ran them."
    ),
    model!(
        "strong-read-uncommitted",
        ["strong-PL-1"],
        ["strong-session-read-uncommitted"],
        &["G0-realtime"],
        "Read uncommitted, and writes count in real time."
    ),
    model!(
        "strong-read-committed",
        ["strong-PL-2"],
        ["strong-session-read-committed", "strong-read-uncommitted"],
        &["G1c-realtime"],
        "Read committed, and information does not flow backwards in real time."
    ),
    model!(
        "strong-snapshot-isolation",
        ["strong-SI"],
        ["strong-session-snapshot-isolation", "strong-read-committed"],
        &["not-strong-snapshot-isolation", "G-single-realtime", "G-nonadjacent-realtime"],
        "Snapshot isolation in which a snapshot holds everything that was committed before it was taken."
    ),
    model!("read-your-writes", ["RYW"], [], &["read-your-writes-violation"], "A session sees its own writes."),
    model!(
        "monotonic-reads",
        ["MR"],
        [],
        &["monotonic-reads-violation"],
        "A session never sees less than it has seen before."
    ),
    model!(
        "monotonic-writes",
        ["MW"],
        [],
        &["monotonic-writes-violation"],
        "A session's writes take effect in its order, for everybody."
    ),
    model!(
        "writes-follow-reads",
        ["WFR"],
        [],
        &["writes-follow-reads-violation"],
        "Whoever sees a write also sees what its author had read before."
    ),
    model!(
        "PRAM",
        ["pram", "FIFO"],
        ["read-your-writes", "monotonic-reads", "monotonic-writes"],
        &["PRAM-violation"],
        "Everybody sees each session's writes in its order, and a session sees its own and never less."
    ),
    model!(
        "causal",
        ["causal+", "CCv"],
        ["writes-follow-reads", "PRAM"],
        &["causal-violation"],
        "Whoever sees a write sees everything that could have caused it."
    ),
    model!(
        "sequential",
        ["SC"],
        ["causal"],
        &[
            "not-sequential",
            "internal",
            "future-read",
            "thin-air-read",
            "G1a",
            "dirty-update",
            "duplicate-elements",
            "incompatible-order"
        ],
        "As if all steps had run one after the other, each session's in its order."
    ),
    model!(
        "linearizable",
        [],
        ["sequential"],
        &["not-linearizable"],
        "Each key behaves as if there were one copy, changed and read at one instant between call and answer."
    ),
    model!(
        "strict-serializable",
        ["strong-serializable", "PL-SS", "pl-ss"],
        [
            "serializable",
            "snapshot-isolation",
            "linearizable",
            "session-serializable",
            "strong-session-serializable",
            "strong-snapshot-isolation"
        ],
        &["G2-realtime", "G2-item-realtime", "G1c-realtime", "not-strict-serializable"],
        "Serializable, in an order that agrees with real time: the strongest there is."
    ),
];

/// Families of anomalies: who prohibits the first prohibits the others. Milder-sounding names of the same family are no members: who
/// prohibits one anti-dependency in a cycle has nothing said of two.
const FAMILIES: &[(&str, &[&str])] = &[
    ("G1", &["G1a", "G1b", "G1c"]),
    // A cycle with anti-dependencies is one whatever stands between them.
    ("G2", &["G-single", "G-nonadjacent"]),
    ("G2-process", &["G-single-process", "G-nonadjacent-process"]),
    ("G2-realtime", &["G-single-realtime", "G-nonadjacent-realtime"]),
    ("G-SIb", &["G-single"]),
    ("G-SI", &["G-single", "G-nonadjacent"]),
    ("G-MSR", &["G-monotonic"]),
];

/// What follows from the table, worked out once: every verdict asks hundreds of times. Sets of models are bits by their places.
struct Closure {
    places: FxHashMap<&'static str, usize>,
    /// For each model: itself and all that it implies.
    implied: Vec<Vec<&'static str>>,
    /// The same, as sets.
    below: Vec<u64>,
    /// For each anomaly, the models that fall with it.
    out: FxHashMap<String, u64>,
}

static CLOSURE: LazyLock<Closure> = LazyLock::new(|| {
    assert!(MODELS.len() <= 64, "sets of models have 64 places");
    let named = |name: &str| {
        let model = MODELS.iter().position(|model| model.name == name || model.aliases.contains(&name));
        model.expect("the table implies what is in it")
    };
    let names = MODELS.iter().enumerate().flat_map(|(at, model)| {
        [model.name].into_iter().chain(model.aliases.iter().copied()).map(move |name| (name, at))
    });
    let closed = |model: &'static Model| {
        let (mut all, mut open) = (Vec::new(), vec![model]);
        while let Some(model) = open.pop() {
            if !all.contains(&model.name) {
                all.push(model.name);
                open.extend(model.implies.iter().map(|name| &MODELS[named(name)]));
            }
        }
        all
    };
    let implied: Vec<Vec<&'static str>> = MODELS.iter().map(closed).collect();
    let below: Vec<u64> = implied.iter().map(|all| all.iter().fold(0, |set, name| set | 1 << named(name))).collect();
    let mut out: FxHashMap<String, u64> = FxHashMap::default();
    for (at, model) in MODELS.iter().enumerate() {
        let above = (0..MODELS.len()).filter(|&other| below[other] >> at & 1 == 1).fold(0, |set, it| set | 1 << it);
        for name in model.prohibits {
            let family = FAMILIES.iter().filter(|(first, _)| *first == plain(name)).flat_map(|(_, others)| *others);
            for anomaly in family.copied().chain([&*plain(name)]) {
                *out.entry(anomaly.to_string()).or_default() |= above;
            }
        }
    }
    Closure { places: names.collect(), implied, below, out }
});

impl Closure {
    /// The models that an anomaly rules out.
    fn out(&self, anomaly: &str) -> u64 {
        let known = self.out.get(anomaly).or_else(|| self.out.get(&*plain(anomaly)));
        known.copied().unwrap_or_default()
    }

    fn out_by(&self, anomalies: &[&str]) -> u64 {
        anomalies.iter().fold(0, |set, anomaly| set | self.out(anomaly))
    }
}

/// The names of a set of models, in the order of the table.
fn names(set: u64) -> impl Iterator<Item = (usize, &'static str)> {
    MODELS.iter().enumerate().filter(move |(at, _)| set >> at & 1 == 1).map(|(at, model)| (at, model.name))
}

/// Everything is about items here: `-item` says nothing.
fn plain(name: &str) -> Cow<'_, str> {
    if name.contains("-item") { Cow::Owned(name.replace("-item", "")) } else { Cow::Borrowed(name) }
}

/// The model of that name or alias.
pub fn named(name: &str) -> Option<&'static Model> {
    CLOSURE.places.get(name).map(|&at| &MODELS[at])
}

/// The model and all that it implies, directly or not; none if there is no such model.
pub fn implied(name: &str) -> &'static [&'static str] {
    CLOSURE.places.get(name).map_or(&[], |&at| &CLOSURE.implied[at])
}

/// Whether a model prohibits an anomaly, by itself or through what it implies. An anomaly about items is a case of the one about anything.
pub fn prohibits(model: &str, anomaly: &str) -> bool {
    CLOSURE.places.get(model).is_some_and(|&at| CLOSURE.out(anomaly) >> at & 1 == 1)
}

/// The weakest models that `anomalies` rule out, and the stronger ones that fall with them, both in the order of the table.
pub fn ruled_out(anomalies: &[&str]) -> (Vec<&'static str>, Vec<&'static str>) {
    let out = CLOSURE.out_by(anomalies);
    let weakest = |&(at, _): &(usize, &str)| CLOSURE.below[at] & out == 1 << at;
    let (weakest, stronger): (Vec<_>, Vec<_>) = names(out).partition(weakest);
    let only = |models: Vec<(usize, &'static str)>| models.into_iter().map(|(_, name)| name).collect();
    (only(weakest), only(stronger))
}

/// The strongest models that are not ruled out by `anomalies`.
pub fn left(anomalies: &[&str]) -> Vec<&'static str> {
    let out = CLOSURE.out_by(anomalies);
    let below = &CLOSURE.below;
    let weaker = |at: usize| {
        let stronger = |other: usize| below[other] >> at & 1 == 1 && below[at] >> other & 1 == 0;
        names(!out).any(|(other, _)| stronger(other))
    };
    names(!out).filter(|&(at, _)| !weaker(at)).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_table_is_known_and_every_model_prohibits_something() {
        for model in MODELS {
            assert!(!model.prohibits.is_empty(), "{} is vacuous", model.name);
            for name in model.implies {
                assert!(named(name).is_some(), "{} implies {name}", model.name);
            }
            assert!(implied(model.name).len() <= MODELS.len());
        }
    }

    #[test]
    fn the_implications_have_no_circle() {
        for model in MODELS {
            for &below in implied(model.name) {
                assert!(below == model.name || !implied(below).contains(&model.name), "{} and {below}", model.name);
            }
        }
    }

    #[test]
    fn what_elle_says_of_anomalies_is_said_here() {
        let weakest = |anomaly: &str| ruled_out(&[anomaly]).0;
        assert!(weakest("G0").contains(&"read-uncommitted"));
        assert!(weakest("G1a").contains(&"read-committed") && !weakest("G1a").contains(&"read-uncommitted"));
        assert!(weakest("G-single-item").contains(&"consistent-view"));
        assert!(weakest("G2-item").contains(&"repeatable-read"));
        assert_eq!(weakest("G-single-item-realtime"), ["strong-snapshot-isolation"]);
        assert!(ruled_out(&["G2-item"]).1.contains(&"strict-serializable"));
        assert!(!ruled_out(&["G2-item"]).1.contains(&"snapshot-isolation"));
        assert_eq!(left(&[]), ["strict-serializable"]);
    }
}
