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

pub mod axioms;
pub mod sketch;
pub mod source;

use crate::evidence::Budget;
use crate::history::Outcome;
use crate::txn::levels::{Decision, LEVELS, Level, Within, decide};
use crate::txn::transactions::{LIMIT, NOBODY, ODD, Shape, Step, Transactions};

/// The most transactions that may count.
pub const MOST: usize = 16;

/// Whether some commit order explains the history. No write of a version may be doubled.
///
/// # Panics
///
/// With more than [`MOST`] transactions.
pub fn holds(level: Level, within: Within, txns: &Transactions) -> bool {
    Tried::new(txns).holds(level, within)
}

/// A history made ready for questions: what depends on none of them is worked out once.
pub struct Tried<'a> {
    txns: &'a Transactions,
    /// What each step shows, one after the other, and where each begins.
    shown: Vec<u32>,
    first: Vec<usize>,
    /// Whom each step reads from.
    source: Vec<Source>,
    /// Of each transaction, those that write one of its keys.
    conflicts: [u32; MOST],
    certain: u32,
    unknown: Vec<usize>,
}

impl<'a> Tried<'a> {
    /// Reads a history.
    ///
    /// # Panics
    ///
    /// With more than [`MOST`] transactions.
    pub fn new(txns: &'a Transactions) -> Tried<'a> {
        assert!(txns.len() <= MOST, "at most {MOST} transactions can be tried");
        let all = |outcome| (0..txns.len()).filter(move |&t| txns.txns[t].outcome == outcome);
        let (mut shown, mut first, mut source) = (Vec::new(), vec![0], Vec::new());
        let mut conflicts = [0; MOST];
        for (t, conflicts) in conflicts.iter_mut().enumerate().take(txns.len()) {
            for at in txns.step_range(t as u32) {
                let from = shown.len();
                shown.extend_from_slice(shown_by(txns, at));
                first.push(shown.len());
                source.push(source_of(txns, t, at, &shown[from..]));
            }
            let disputes =
                |&o: &usize| txns.steps_of(t as u32).iter().any(|step| step.writes() && writes(txns, o, step.key()));
            *conflicts = (0..txns.len()).filter(disputes).fold(0, |mask, o| mask | 1 << o);
        }
        let certain = all(Outcome::Ok).fold(0, |mask, t| mask | 1 << t);
        let unknown = all(Outcome::Info).collect();
        Tried { txns, shown, first, source, conflicts, certain, unknown }
    }

    /// Whether some commit order explains it.
    pub fn holds(&self, level: Level, within: Within) -> bool {
        (0..1_u32 << self.unknown.len()).any(|chosen| {
            let taken = self.unknown.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1);
            let members = taken.fold(self.certain, |mask, (_, &t)| mask | 1 << t);
            Trial::new(self, level, within, members).is_some_and(|mut trial| trial.extend())
        })
    }

    fn shown(&self, at: usize) -> &[u32] {
        &self.shown[self.first[at]..self.first[at + 1]]
    }
}

/// One choice of the transactions that count, and a commit order that grows.
struct Trial<'a> {
    level: Level,
    tried: &'a Tried<'a>,
    txns: &'a Transactions,
    members: u32,
    /// What must come before each in any case and is visible to it: the order asked for.
    before: [u32; MOST],
    /// What each reads from.
    sources: [u32; MOST],
    /// The same and the order asked for, transitively.
    causes: [u32; MOST],
    order: [usize; MOST],
    placed: u32,
}

impl<'a> Trial<'a> {
    /// Nothing if somebody reads from a transaction that doesn't count.
    fn new(tried: &'a Tried<'a>, level: Level, within: Within, members: u32) -> Option<Trial<'a>> {
        let txns = tried.txns;
        let n = txns.len();
        let counts = |t: usize| members >> t & 1 == 1;
        let (mut before, mut sources) = ([0_u32; MOST], [0_u32; MOST]);
        for later in (0..n).filter(|&t| counts(t)) {
            for earlier in (0..n).filter(|&t| counts(t) && t != later) {
                if ordered(within, txns, earlier, later) {
                    before[later] |= 1 << earlier;
                }
            }
            if txns.txns[later].outcome == Outcome::Ok {
                for at in txns.step_range(later as u32) {
                    match tried.source[at] {
                        Source::Nobody => {}
                        Source::Txn(t) if counts(t) => sources[later] |= 1 << t,
                        Source::Txn(_) | Source::Missing => return None,
                    }
                }
            }
        }
        let mut causes = [0_u32; MOST];
        (0..n).for_each(|t| causes[t] = before[t] | sources[t]);
        for _ in 0..n {
            for t in 0..n {
                causes[t] = (0..n).filter(|&c| causes[t] >> c & 1 == 1).fold(causes[t], |mask, c| mask | causes[c]);
            }
        }
        Some(Trial { level, tried, txns, members, before, sources, causes, order: [0; MOST], placed: 0 })
    }

    /// Those placed, in the order.
    fn order(&self) -> &[usize] {
        &self.order[..self.placed.count_ones() as usize]
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
                self.order[self.placed.count_ones() as usize] = t;
                self.placed |= 1 << t;
                if self.extend() {
                    return true;
                }
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
                    least |= self.tried.conflicts[t] & self.placed;
                }
                let mut visible = 0;
                let mut fits = least == 0 && self.reads_fit(t, Some(0));
                for &o in self.order() {
                    visible |= 1 << o;
                    fits = fits || least & !visible == 0 && self.reads_fit(t, Some(visible));
                }
                fits
            }
        }
    }

    /// Whether `t` reads what the visible transactions left, and its own writes over it. Without `visible`, what it has read from so far.
    fn reads_fit(&self, t: usize, visible: Option<u32>) -> bool {
        if self.txns.txns[t].outcome != Outcome::Ok {
            return true;
        }
        let mut met = 0;
        let range = self.txns.step_range(t as u32);
        range.clone().all(|at| {
            let step = self.txns.steps[at];
            if !step.reads() {
                return true;
            }
            if let Source::Txn(from) = self.tried.source[at] {
                met |= 1 << from;
            }
            // A list with own appends claims a place for them, so nothing else may stand before them, visible or not.
            let mut own = written(&self.txns.steps[range.start..at], step.key());
            let claims = self.txns.shape == Shape::Lists && own.next().is_some();
            self.reads(t, at, visible.unwrap_or(met)) && (!claims || self.reads(t, at, self.placed))
        })
    }

    /// Whether step `at` shows what it should: what the last visible writer of its key left, and what `t` itself wrote before.
    fn reads(&self, t: usize, at: usize, visible: u32) -> bool {
        let (txns, key, shown) = (self.txns, self.txns.steps[at].key(), self.tried.shown(at));
        let own = &txns.steps[txns.step_range(t as u32).start..at];
        let last = self.order().iter().rposition(|&o| visible >> o & 1 == 1 && writes(txns, o, key));
        match txns.shape {
            Shape::Lists => {
                let upto = &self.order()[..last.map_or(0, |last| last + 1)];
                let others = upto.iter().flat_map(|&o| written(txns.steps_of(o as u32), key));
                others.chain(written(own, key)).eq(shown.iter().copied())
            }
            Shape::Registers => {
                let left = last.and_then(|last| written(txns.steps_of(self.order[last] as u32), key).last());
                written(own, key).last().or(left) == shown.last().copied()
            }
        }
    }
}

/// The versions of a key that these steps write.
fn written(steps: &[Step], key: u32) -> impl Iterator<Item = u32> + '_ {
    steps.iter().filter(move |step| step.writes() && step.key() == key).map(|step| step.version)
}

fn writes(txns: &Transactions, t: usize, key: u32) -> bool {
    written(txns.steps_of(t as u32), key).next().is_some()
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

/// All that a step showed: a register's version, or a list's; nothing if it writes.
fn shown_by(txns: &Transactions, at: usize) -> &[u32] {
    let step = &txns.steps[at];
    if step.writes() {
        return &[];
    }
    if step.version == ODD {
        return &txns.odd.iter().find(|odd| odd.step as usize == at).expect("an odd read is listed").versions;
    }
    if step.version >= LIMIT {
        return &[];
    }
    match txns.shape {
        Shape::Registers => std::slice::from_ref(&step.version),
        Shape::Lists => &txns.order(step.key())[..=txns.place[step.version as usize] as usize],
    }
}

#[derive(Clone, Copy)]
enum Source {
    Nobody,
    Missing,
    Txn(usize),
}

/// Whom `t` reads from at step `at`: the writer of the last thing shown that is not its own.
fn source_of(txns: &Transactions, t: usize, at: usize, shown: &[u32]) -> Source {
    if !txns.steps[at].reads() {
        return Source::Nobody;
    }
    let mut others = shown.iter().map(|&version| txns.writer[version as usize]);
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
    let tried = Tried::new(&txns);
    for level in LEVELS {
        for within in [Within::Nothing, Within::Sessions, Within::RealTime] {
            let truth = tried.holds(level, within);
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
