//! Whether a tiny history is consistent, by trying: the judge of the judges.
//!
//! Straight from Biswas & Enea (OOPSLA 2019), section 2: a commit order is built transaction by transaction, and each one placed must read,
//! key by key, what the last writer *visible to it* left behind. What is visible is the level: what it read from so far (read committed), its
//! direct predecessors (read atomic), all its predecessors (causal), a beginning of the order (prefix; with everything that
//! wrote one of its keys, snapshot isolation), or all of the order (serializable). Own writes are laid over that (Cerone et al., CONCUR
//! 2015, INT). Every subset of the transactions with unknown outcome is tried.
//!
//! Nothing is shared with the deciders but [`Transactions`]. Of a list, what is read is a beginning of the key's final order; own appends in it
//! claim their place. Cost: exponential; meant for eight transactions.

pub mod sketch;
pub mod source;

use crate::evidence::Budget;
use crate::history::Outcome;
use crate::txn::levels::{Decision, LEVELS, Level, Within, decide};
use crate::txn::transactions::{LIMIT, NOBODY, ODD, Shape, Step, Transactions};

/// The most transactions that may count.
pub const MOST: usize = 16;

/// Whether some commit order explains the history. No write of a version may be doubled.
pub fn holds(level: Level, within: Within, txns: &Transactions) -> bool {
    assert!(txns.len() <= MOST, "at most {MOST} transactions can be tried");
    let all = |outcome| (0..txns.len()).filter(move |&t| txns.txns[t].outcome == outcome);
    let unknown: Vec<usize> = all(Outcome::Info).collect();
    let certain = all(Outcome::Ok).fold(0_u32, |mask, t| mask | 1 << t);
    (0..1_u32 << unknown.len()).any(|chosen| {
        let members = unknown
            .iter()
            .enumerate()
            .filter(|(i, _)| chosen >> i & 1 == 1)
            .fold(certain, |mask, (_, &t)| mask | 1 << t);
        Trial::new(level, within, txns, members).is_some_and(|mut trial| trial.extend())
    })
}

/// One choice of the transactions that count, and a commit order that grows.
struct Trial<'a> {
    level: Level,
    txns: &'a Transactions,
    members: u32,
    /// What must come before each in any case and is visible to it: the order asked for.
    before: Vec<u32>,
    /// What each reads from.
    sources: Vec<u32>,
    /// The same and the order asked for, transitively.
    causes: Vec<u32>,
    order: Vec<usize>,
    placed: u32,
}

impl<'a> Trial<'a> {
    /// Nothing if somebody reads from a transaction that doesn't count.
    fn new(level: Level, within: Within, txns: &'a Transactions, members: u32) -> Option<Trial<'a>> {
        let n = txns.len();
        let counts = |t: usize| members >> t & 1 == 1;
        let mut before = vec![0_u32; n];
        let mut sources = vec![0_u32; n];
        for later in (0..n).filter(|&t| counts(t)) {
            for earlier in (0..n).filter(|&t| counts(t) && t != later) {
                if ordered(within, txns, earlier, later) {
                    before[later] |= 1 << earlier;
                }
            }
            if txns.txns[later].outcome == Outcome::Ok {
                for at in txns.step_range(later as u32) {
                    match source(txns, later, at) {
                        Source::Nobody => {}
                        Source::Txn(t) if counts(t) => sources[later] |= 1 << t,
                        Source::Txn(_) | Source::Missing => return None,
                    }
                }
            }
        }
        let mut causes: Vec<u32> = (0..n).map(|t| before[t] | sources[t]).collect();
        for _ in 0..n {
            for t in 0..n {
                causes[t] = (0..n).filter(|&c| causes[t] >> c & 1 == 1).fold(causes[t], |mask, c| mask | causes[c]);
            }
        }
        Some(Trial { level, txns, members, before, sources, causes, order: Vec::new(), placed: 0 })
    }

    fn extend(&mut self) -> bool {
        if self.placed == self.members {
            return true;
        }
        for t in 0..self.txns.len() {
            let fits = (self.members & !self.placed) >> t & 1 == 1
                && (self.before[t] | self.sources[t]) & !self.placed == 0
                && self.explained(t);
            if fits {
                self.order.push(t);
                self.placed |= 1 << t;
                if self.extend() {
                    return true;
                }
                self.order.pop();
                self.placed &= !(1 << t);
            }
        }
        false
    }

    /// Whether `t` may come next in the order.
    fn explained(&self, t: usize) -> bool {
        match self.level {
            Level::ReadCommitted => self.reads_fit(t, None),
            Level::ReadAtomic => self.reads_fit(t, Some(self.before[t] | self.sources[t])),
            Level::Causal => self.reads_fit(t, Some(self.causes[t])),
            Level::Serializable => self.reads_fit(t, Some(self.placed)),
            Level::Prefix | Level::SnapshotIsolation => {
                let mut least = self.before[t] | self.sources[t];
                if self.level == Level::SnapshotIsolation {
                    least = self.order.iter().filter(|&&o| self.conflict(o, t)).fold(least, |mask, &o| mask | 1 << o);
                }
                let mut visible = 0;
                let mut fits = least == 0 && self.reads_fit(t, Some(0));
                for &o in &self.order {
                    visible |= 1 << o;
                    fits = fits || least & !visible == 0 && self.reads_fit(t, Some(visible));
                }
                fits
            }
        }
    }

    fn conflict(&self, one: usize, other: usize) -> bool {
        let writes = |t: usize| self.txns.steps_of(t as u32).iter().filter(|step| step.writes());
        writes(one).any(|a| writes(other).any(|b| a.key() == b.key()))
    }

    /// Whether `t` reads what the visible transactions left, and its own writes over it. Without `visible`, what it has read from so far.
    fn reads_fit(&self, t: usize, visible: Option<u32>) -> bool {
        if self.txns.txns[t].outcome != Outcome::Ok {
            return true;
        }
        let mut met = 0;
        self.txns.step_range(t as u32).all(|at| {
            let step = self.txns.steps[at];
            if !step.reads() {
                return true;
            }
            if let Source::Txn(from) = source(self.txns, t, at) {
                met |= 1 << from;
            }
            let shown = shown(self.txns, at);
            // A list with own appends claims a place for them, so nothing else may stand before them, visible or not.
            let own = self.txns.shape == Shape::Lists && self.value(t, at, 0) != [] as [u32; 0];
            self.value(t, at, visible.unwrap_or(met)) == shown && (!own || self.value(t, at, self.placed) == shown)
        })
    }

    /// What a read at step `at` should return.
    fn value(&self, t: usize, at: usize, visible: u32) -> Vec<u32> {
        let key = self.txns.steps[at].key();
        let written = |steps: &[Step]| -> Vec<u32> {
            steps.iter().filter(|step| step.writes() && step.key() == key).map(|step| step.version).collect()
        };
        let own = written(&self.txns.steps[self.txns.step_range(t as u32).start..at]);
        let writers: Vec<Vec<u32>> = self
            .order
            .iter()
            .map(|&o| (visible >> o & 1 == 1, written(self.txns.steps_of(o as u32))))
            .filter(|(_, versions)| !versions.is_empty())
            .scan(Vec::new(), |passed: &mut Vec<u32>, (seen, versions)| {
                passed.extend(versions);
                Some(if seen { passed.clone() } else { Vec::new() })
            })
            .filter(|upto| !upto.is_empty())
            .collect();
        let mut value = writers.last().cloned().unwrap_or_default();
        value.extend(own);
        match self.txns.shape {
            Shape::Lists => value,
            Shape::Registers => value.last().map(|&last| vec![last]).unwrap_or_default(),
        }
    }
}

/// Whether the order asked for puts one before the other.
fn ordered(within: Within, txns: &Transactions, earlier: usize, later: usize) -> bool {
    let (a, b) = (txns.txns[earlier], txns.txns[later]);
    if a.outcome != Outcome::Ok {
        return false;
    }
    let session = a.process == b.process && earlier < later;
    match within {
        Within::Nothing => false,
        Within::Sessions => session,
        Within::RealTime => session || a.end < b.start,
    }
}

/// All that a read showed: a register's version, or a list's.
fn shown(txns: &Transactions, at: usize) -> Vec<u32> {
    let version = txns.steps[at].version;
    if version == ODD {
        return txns.odd.iter().find(|odd| odd.step as usize == at).expect("an odd read is listed").versions.clone();
    }
    if version >= LIMIT {
        return Vec::new();
    }
    match txns.shape {
        Shape::Registers => vec![version],
        Shape::Lists => txns.order(txns.steps[at].key())[..=txns.place[version as usize] as usize].to_vec(),
    }
}

enum Source {
    Nobody,
    Missing,
    Txn(usize),
}

/// Whom `t` reads from at step `at`: the writer of the last thing shown that is not its own.
fn source(txns: &Transactions, t: usize, at: usize) -> Source {
    if !txns.steps[at].reads() {
        return Source::Nobody;
    }
    let mut others = shown(txns, at).into_iter().map(|version| txns.writer[version as usize]);
    match others.rfind(|&writer| writer != t as u32) {
        None => Source::Nobody,
        Some(NOBODY) => Source::Missing,
        Some(writer) => Source::Txn(writer as usize),
    }
}

/// Draws a history of at most eight transactions and asks both [`decide`] and brute force about every level: what they disagree about, if anything.
///
/// Cost: about 0.1 ms; a million seeds of each shape take a few minutes.
pub fn disagreement(seed: u64, shape: Shape) -> Option<String> {
    let txns = source::drawn(seed, shape, if seed.is_multiple_of(4) { 8 } else { 5 });
    for level in LEVELS {
        for within in [Within::Nothing, Within::Sessions, Within::RealTime] {
            let truth = holds(level, within, &txns);
            let decision = decide(level, within, &txns, &Budget::default());
            let agrees = if truth { decision == Decision::Holds } else { matches!(decision, Decision::Violated(_)) };
            if !agrees {
                return Some(format!(
                    "{shape:?}, seed {seed}: {level:?} within {within:?} is {truth}, but {decision:?}"
                ));
            }
        }
    }
    None
}
