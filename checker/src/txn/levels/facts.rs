//! What each transaction reads from whom and writes, and what a single read shows to be wrong.
//!
//! Only reads of committed transactions say anything. Of those with an unknown outcome, the ones count that somebody read from; their writes do, their
//! reads don't. The initial state is the first writer of every key. A read after own writes must return them (Cerone et al., CONCUR 2015, INT); of
//! a list, what stands before them was read from others.
//!
//! The violations found here hold at every level: a read of what nobody wrote, of what failed (Adya's G1a), of a version that its writer
//! replaced (G1b), of an own write to come, or of other than the own latest; a list that contradicts the longest, or
//! that shows a transaction's appends in another order than its own.

use crate::history::Outcome;
use crate::txn::levels::proof::{Fault, INITIAL, Proof};
use crate::txn::transactions::{NIL, NOBODY, ODD, Shape, Transactions};

/// A read of something another transaction left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) key: u32,
    /// The transaction that wrote it, or [`INITIAL`].
    pub(crate) from: u32,
}

/// What the deciders work on; numbers of transactions are those of [`Transactions`].
pub(crate) struct Facts<'a> {
    pub(crate) txns: &'a Transactions,
    /// Whether each counts.
    pub(crate) counts: Vec<bool>,
    read_first: Vec<u32>,
    reads: Vec<Read>,
    write_first: Vec<u32>,
    writes: Vec<u32>,
    writer_first: Vec<u32>,
    writers: Vec<u32>,
    /// A value of which it cannot be told who wrote what was read.
    pub(crate) doubled: Option<u32>,
}

/// What the transaction under the pass did with a key so far.
#[derive(Clone, Copy)]
struct Own {
    txn: u32,
    first: u32,
    last: u32,
    count: u32,
    /// How much of the list others showed it before, and at which step.
    seen: u32,
    at: u32,
}

const NOTHING: Own = Own { txn: NOBODY, first: 0, last: 0, count: 0, seen: 0, at: 0 };

impl<'a> Facts<'a> {
    /// Cost: three passes over the steps.
    pub(crate) fn of(txns: &'a Transactions) -> Result<Facts<'a>, Proof> {
        let replaced = replaced(txns)?;
        let n = txns.len();
        let mut facts = Facts {
            txns,
            counts: txns.txns.iter().map(|txn| txn.outcome == Outcome::Ok).collect(),
            read_first: Vec::with_capacity(n + 1),
            reads: Vec::new(),
            write_first: Vec::new(),
            writes: Vec::new(),
            writer_first: Vec::new(),
            writers: Vec::new(),
            doubled: None,
        };
        let ambiguous = ambiguous(txns);
        if let Some(proof) = facts.orders() {
            return Err(proof);
        }
        facts.read(&replaced, &ambiguous)?;
        facts.written();
        Ok(facts)
    }

    /// What `txn` read from others, in its order.
    #[inline]
    pub(crate) fn reads(&self, txn: u32) -> &[Read] {
        &self.reads[self.read_first[txn as usize] as usize..self.read_first[txn as usize + 1] as usize]
    }

    /// The keys that `txn` wrote, ascending; none if it doesn't count.
    #[inline]
    pub(crate) fn writes(&self, txn: u32) -> &[u32] {
        &self.writes[self.write_first[txn as usize] as usize..self.write_first[txn as usize + 1] as usize]
    }

    /// The transactions that count and wrote `key`, ascending.
    #[inline]
    pub(crate) fn writers(&self, key: u32) -> &[u32] {
        &self.writers[self.writer_first[key as usize] as usize..self.writer_first[key as usize + 1] as usize]
    }

    /// How many reads there are.
    pub(crate) fn all_reads(&self) -> &[Read] {
        &self.reads
    }

    /// For lists: calls `visit` for what each key's order tells: (key, earlier, later) between neighbours that differ, and from the last one shown to
    /// each whose append no read shows.
    pub(crate) fn each_order(&self, mut visit: impl FnMut(u32, u32, u32)) {
        if self.txns.shape != Shape::Lists {
            return;
        }
        for key in 0..self.txns.keys.len() as u32 {
            let order = self.txns.order(key);
            let mut last = NOBODY;
            for &version in order {
                let writer = self.txns.writer[version as usize];
                if last != NOBODY && last != writer {
                    visit(key, last, writer);
                }
                last = writer;
            }
            if last == NOBODY {
                continue;
            }
            for &writer in self.writers(key) {
                if writer != last && self.hidden(writer, key) {
                    visit(key, last, writer);
                }
            }
        }
    }

    /// Whether an append of `txn` to `key` is in no list that was read: its last one, then.
    fn hidden(&self, txn: u32, key: u32) -> bool {
        let last = self.txns.steps_of(txn).iter().rfind(|step| step.writes() && step.key() == key);
        last.is_some_and(|step| self.txns.place[step.version as usize] == NOBODY)
    }

    /// Marks what shows in a list, and finds lists that show what failed or what nobody wrote.
    fn orders(&mut self) -> Option<Proof> {
        for key in 0..self.txns.keys.len() as u32 {
            for &version in self.txns.order(key) {
                let writer = self.txns.writer[version as usize];
                if writer == NOBODY || self.txns.txns[writer as usize].outcome == Outcome::Fail {
                    let fault = if writer == NOBODY { Fault::ThinAir } else { Fault::Aborted };
                    let (reader, step) = self.who_shows(key, version);
                    return Some(Proof::Read {
                        fault,
                        reader,
                        step,
                        version,
                        writer: Some(writer).filter(|&w| w != NOBODY),
                    });
                }
                self.counts[writer as usize] = true;
            }
        }
        None
    }

    /// The first committed read that shows `version`.
    fn who_shows(&self, key: u32, version: u32) -> (u32, u32) {
        let place = self.txns.place[version as usize];
        for txn in (0..self.txns.len() as u32).filter(|&t| self.txns.txns[t as usize].outcome == Outcome::Ok) {
            for at in self.txns.step_range(txn) {
                let step = self.txns.steps[at];
                let shows = step.reads() && step.key() == key && step.version < crate::txn::transactions::LIMIT;
                if shows && self.txns.place[step.version as usize] >= place {
                    return (txn, at as u32);
                }
            }
        }
        // Orders come from committed reads; one that doesn't is its writer's own.
        let writer = self.txns.writer[version as usize];
        (if writer == NOBODY { 0 } else { writer }, 0)
    }

    fn read(&mut self, replaced: &[bool], ambiguous: &[bool]) -> Result<(), Proof> {
        let mut own = vec![NOTHING; self.txns.keys.len()];
        let lists = self.txns.shape == Shape::Lists;
        self.reads.reserve_exact(self.txns.steps.iter().filter(|step| step.reads()).count());
        for t in 0..self.txns.len() as u32 {
            self.read_first.push(self.reads.len() as u32);
            if self.txns.txns[t as usize].outcome != Outcome::Ok {
                continue;
            }
            for at in self.txns.step_range(t) {
                let step = self.txns.steps[at];
                let mine = &mut own[step.key() as usize];
                if mine.txn != t {
                    *mine = Own { txn: t, ..NOTHING };
                }
                if step.writes() {
                    if mine.count == 0 {
                        mine.first = step.version;
                        // A list shown before ends with another's element, but must not show this one.
                        if lists && self.txns.place[step.version as usize] < mine.seen {
                            return Err(Proof::Read {
                                fault: Fault::Future,
                                reader: t,
                                step: mine.at,
                                version: step.version,
                                writer: Some(t),
                            });
                        }
                    }
                    (mine.last, mine.count) = (step.version, mine.count + 1);
                    continue;
                }
                if !step.reads() {
                    continue;
                }
                let wrong = |fault, version: u32, writer| {
                    Err(Proof::Read { fault, reader: t, step: at as u32, version, writer })
                };
                if step.version == ODD {
                    return wrong(Fault::Incompatible, ODD, None);
                }
                let version = match external(self.txns, step.version, *mine, lists) {
                    Ok(None) => continue,
                    Ok(Some(version)) => version,
                    Err(()) => return wrong(Fault::Internal, step.version, Some(t)),
                };
                if version == NIL {
                    self.reads.push(Read { key: step.key(), from: INITIAL });
                    continue;
                }
                if ambiguous.get(version as usize).is_some_and(|&it| it) {
                    self.doubled = Some(version);
                    continue;
                }
                if lists && mine.count == 0 {
                    let seen = self.txns.place[version as usize].saturating_add(1);
                    if seen > mine.seen {
                        (mine.seen, mine.at) = (seen, at as u32);
                    }
                }
                let writer = self.txns.writer[version as usize];
                if writer == NOBODY {
                    return wrong(Fault::ThinAir, version, None);
                }
                if writer == t {
                    return wrong(Fault::Future, version, Some(t));
                }
                if self.txns.txns[writer as usize].outcome == Outcome::Fail {
                    return wrong(Fault::Aborted, version, Some(writer));
                }
                if replaced[version as usize] {
                    return wrong(Fault::Intermediate, version, Some(writer));
                }
                self.counts[writer as usize] = true;
                self.reads.push(Read { key: step.key(), from: writer });
            }
        }
        self.read_first.push(self.reads.len() as u32);
        Ok(())
    }

    fn written(&mut self) {
        let n = self.txns.len();
        let mut stamp = vec![NOBODY; self.txns.keys.len()];
        self.write_first.reserve_exact(n + 1);
        self.writer_first = vec![0; self.txns.keys.len() + 1];
        self.writes.reserve_exact(self.txns.steps.iter().filter(|step| step.writes()).count());
        for t in 0..n as u32 {
            let first = self.writes.len();
            self.write_first.push(first as u32);
            if !self.counts[t as usize] {
                continue;
            }
            for step in self.txns.steps_of(t).iter().filter(|step| step.writes()) {
                let key = step.key();
                if stamp[key as usize] != t {
                    stamp[key as usize] = t;
                    self.writes.push(key);
                    self.writer_first[key as usize + 1] += 1;
                }
            }
            self.writes[first..].sort_unstable();
        }
        self.write_first.push(self.writes.len() as u32);
        for key in 0..self.txns.keys.len() {
            self.writer_first[key + 1] += self.writer_first[key];
        }
        self.writers = vec![0; self.writes.len()];
        let mut next = self.writer_first.clone();
        for t in 0..n {
            for at in self.write_first[t] as usize..self.write_first[t + 1] as usize {
                let slot = &mut next[self.writes[at] as usize];
                self.writers[*slot as usize] = t as u32;
                *slot += 1;
            }
        }
    }
}

/// The version that a read got from others: none of a register that the transaction had written, of a list what stands before its own appends.
/// An error if its own writes are not what it must be.
fn external(txns: &Transactions, version: u32, own: Own, lists: bool) -> Result<Option<u32>, ()> {
    if own.count == 0 {
        return Ok(Some(version));
    }
    if version != own.last {
        return Err(());
    }
    if !lists {
        return Ok(None);
    }
    let (first, last) = (txns.place[own.first as usize], txns.place[own.last as usize]);
    if last == NOBODY || first == NOBODY || last.checked_sub(first) != Some(own.count - 1) {
        return Err(());
    }
    let order = txns.order(txns.version_key[version as usize]);
    Ok(Some(first.checked_sub(1).map_or(NIL, |before| order[before as usize])))
}

/// The versions that their own transaction replaced or appended to; an error if a list shows a transaction's appends in another order.
fn replaced(txns: &Transactions) -> Result<Vec<bool>, Proof> {
    let mut replaced = vec![false; txns.writer.len()];
    let mut last = vec![(NOBODY, 0_u32); txns.keys.len()];
    let place = |version: u32| txns.place.get(version as usize).copied().unwrap_or(NOBODY);
    for t in 0..txns.len() as u32 {
        for step in txns.steps_of(t).iter().filter(|step| step.writes()) {
            let (by, before) = &mut last[step.key() as usize];
            if *by == t && *before != step.version {
                replaced[*before as usize] = true;
                let backwards = place(*before) > place(step.version);
                if txns.shape == Shape::Lists && backwards && txns.txns[t as usize].outcome != Outcome::Fail {
                    return Err(Proof::Shuffled { txn: t, key: step.key(), first: *before, second: step.version });
                }
            }
            (*by, *before) = (t, step.version);
        }
    }
    // Written again as the last, a register's version stands.
    for &(txn, key_version) in &txns.doubles {
        let key = txns.version_key[key_version as usize];
        let stands = txns.steps_of(txn).iter().rfind(|step| step.writes() && step.key() == key);
        if txns.shape == Shape::Registers && stands.is_some_and(|step| step.version == key_version) {
            replaced[key_version as usize] = false;
        }
    }
    Ok(replaced)
}

/// The versions that more than one transaction that may count wrote; empty if there are none.
fn ambiguous(txns: &Transactions) -> Vec<bool> {
    let several = |&&(txn, version): &&(u32, u32)| txns.may_count(txn) && txns.writer[version as usize] != txn;
    if txns.doubles.iter().filter(several).count() == 0 {
        return Vec::new();
    }
    let mut ambiguous = vec![false; txns.writer.len()];
    for (_, version) in txns.doubles.iter().filter(several) {
        ambiguous[*version as usize] = true;
    }
    ambiguous
}
