//! What must come before what: the direct dependencies of a history, never written down.
//!
//! Adya's graph (ICDE 2000): `ww` from the writer of a version to the writer of the next, `wr` from a writer to a reader, `rw` from the
//! reader of a version to the writer of the next; to these the order of each process, and real time. A million transactions have many
//! millions of edges, so only what is needed to *list* the predecessors of a transaction is kept: its steps, who read each version, and which
//! versions stand before it.
//!
//! Real time is a chain (after Biswas & Enea; Elle's transitive reduction has concurrency times as many edges): completions between two
//! invocations form a group; a group comes after its members and after the group before it, a transaction after the last group
//! before its invocation. At most three edges a transaction.
//!
//! Only what took effect takes part: transactions that committed, and those of unknown outcome whose writes somebody saw.

use super::pieces::Pieces;
use super::transactions::{LIMIT, NIL, NOBODY, Shape, Transactions};
use super::versions::Versions;
use crate::history::Outcome;

/// Kinds of dependency, as bits.
pub mod relation {
    /// Write to write.
    pub const WW: u8 = 1;
    /// Write to read.
    pub const WR: u8 = 2;
    /// Read to write: anti-dependency.
    pub const RW: u8 = 4;
    /// The order of a process.
    pub const PROCESS: u8 = 8;
    /// One completed before the other was invoked.
    pub const REAL_TIME: u8 = 16;
    /// Inside the chain of real time: from a member to its group and along groups.
    pub const CHAIN: u8 = 32;
    /// A `ww` that follows only from a transaction having read what it replaced; instead of [`WW`].
    pub const INFERRED: u8 = 64;
    /// What follows from data.
    pub const DATA: u8 = WW | WR | RW;
}

use relation::*;

/// No such thing.
const NONE: u32 = u32::MAX;

/// Lists predecessors. Vertices are transactions, then groups of completions.
pub struct Dependencies<'t> {
    /// The transactions.
    pub txns: &'t Transactions,
    versions: &'t Versions,
    counts: Vec<bool>,
    /// By version, then by key for the initial state.
    readers_first: Vec<u32>,
    readers: Vec<u32>,
    /// The last group before a transaction's invocation.
    before: Vec<u32>,
    group_first: Vec<u32>,
    group_members: Vec<u32>,
    previous: Vec<u32>,
    pieces: Option<&'t Pieces>,
}

impl<'t> Dependencies<'t> {
    /// Indexes `txns`. Cost: a few passes.
    pub fn new(txns: &'t Transactions, versions: &'t Versions) -> Self {
        let counts = counting(txns);
        let (readers_first, readers) = readers(txns, &counts);
        let (before, group_first, group_members) = groups(txns);
        let previous = previous(txns);
        Dependencies {
            txns,
            versions,
            counts,
            readers_first,
            readers,
            before,
            group_first,
            group_members,
            previous,
            pieces: None,
        }
    }

    /// Of pieces: each comes after all pieces of what its process ran before.
    pub fn of_pieces(pieces: &'t Pieces, versions: &'t Versions, whole: &Dependencies<'_>) -> Self {
        let mut these = Dependencies::new(&pieces.txns, versions);
        these.previous = pieces.of.iter().map(|&txn| whole.previous[txn as usize]).collect();
        these.pieces = Some(pieces);
        these
    }

    /// How many vertices there are: transactions and groups.
    pub fn vertices(&self) -> usize {
        self.txns.len() + self.group_first.len() - 1
    }

    /// Whether a vertex is a transaction.
    pub fn is_txn(&self, vertex: u32) -> bool {
        (vertex as usize) < self.txns.len()
    }

    /// Whether a transaction took effect, as far as can be known.
    pub fn counts(&self, txn: u32) -> bool {
        self.counts[txn as usize]
    }

    /// Who read a version, or the initial state of `key`.
    pub fn readers(&self, version: u32, key: u32) -> &[u32] {
        let at = if version < LIMIT { version as usize } else { self.txns.version_key.len() + key as usize };
        &self.readers[self.readers_first[at] as usize..self.readers_first[at + 1] as usize]
    }

    /// The committed transaction that a process ran before this one.
    pub fn previous(&self, txn: u32) -> Option<u32> {
        Some(self.previous[txn as usize]).filter(|&txn| txn != NONE)
    }

    /// The writer of a version, if it took effect.
    #[inline]
    pub fn writer(&self, version: u32) -> Option<u32> {
        if version >= LIMIT {
            return None;
        }
        let writer = self.txns.writer[version as usize];
        (writer != NOBODY && self.counts[writer as usize]).then_some(writer)
    }

    /// Calls `each` with every predecessor of `vertex` along the relations of `wanted`, and with the relation. A predecessor may come
    /// several times; a transaction is never its own.
    #[inline]
    pub fn predecessors(&self, vertex: u32, wanted: u8, each: &mut impl FnMut(u32, u8)) {
        let n = self.txns.len() as u32;
        if vertex >= n {
            let group = vertex - n;
            if group > 0 {
                each(vertex - 1, CHAIN);
            }
            for &member in self.members(group) {
                each(member, CHAIN);
            }
            return;
        }
        if !self.counts[vertex as usize] {
            return;
        }
        if wanted & DATA != 0 {
            self.data(vertex, wanted, each);
        }
        if wanted & PROCESS != 0 && self.previous[vertex as usize] != NONE {
            let before = self.previous[vertex as usize];
            match self.pieces {
                None => each(before, PROCESS),
                Some(pieces) => {
                    let range = pieces.first[before as usize]..pieces.first[before as usize + 1];
                    range.for_each(|piece| each(piece, PROCESS));
                }
            }
        }
        if wanted & REAL_TIME != 0 && self.before[vertex as usize] != NONE {
            each(n + self.before[vertex as usize], REAL_TIME);
        }
    }

    #[inline]
    fn data(&self, txn: u32, wanted: u8, each: &mut impl FnMut(u32, u8)) {
        let answered = self.txns.txns[txn as usize].outcome == Outcome::Ok;
        for step in self.txns.steps_of(txn) {
            if !step.writes() {
                if wanted & WR != 0
                    && answered
                    && let Some(writer) = self.writer(step.version)
                    && writer != txn
                {
                    each(writer, WR);
                }
                continue;
            }
            let key = step.key();
            self.versions.before(self.txns, key, step.version, &mut |before, inferred| {
                if wanted & WW != 0
                    && let Some(writer) = self.writer(before)
                    && writer != txn
                {
                    each(writer, if inferred == 0 { WW } else { INFERRED });
                }
                if wanted & RW != 0 {
                    for &reader in self.readers(before, key) {
                        if reader != txn {
                            each(reader, RW);
                        }
                    }
                }
            });
        }
    }

    /// Calls `each` with every version directly before `version`.
    pub fn before(&self, key: u32, version: u32, each: &mut impl FnMut(u32)) {
        self.versions.before(self.txns, key, version, &mut |before, _| each(before));
    }

    /// The rank of the last completion in a group.
    pub fn group_rank(&self, vertex: u32) -> u32 {
        let members = self.members(vertex - self.txns.len() as u32);
        members.last().map_or(0, |&txn| self.txns.txns[txn as usize].end)
    }

    fn members(&self, group: u32) -> &[u32] {
        let (from, to) = (self.group_first[group as usize], self.group_first[group as usize + 1]);
        &self.group_members[from as usize..to as usize]
    }
}

/// Which transactions take part.
fn counting(txns: &Transactions) -> Vec<bool> {
    let mut counts: Vec<bool> = txns.txns.iter().map(|txn| txn.outcome == Outcome::Ok).collect();
    let mut see = |version: u32| {
        if version < LIMIT {
            let writer = txns.writer[version as usize];
            if writer != NOBODY && txns.txns[writer as usize].outcome == Outcome::Info {
                counts[writer as usize] = true;
            }
        }
    };
    let answered = |step: u32| txns.txns[txns.txn_of(step) as usize].outcome == Outcome::Ok;
    if txns.shape == Shape::Lists {
        txns.orders.iter().for_each(|&version| see(version));
        txns.odd
            .iter()
            .filter(|odd| answered(odd.step))
            .flat_map(|odd| &odd.versions)
            .for_each(|&version| see(version));
    } else {
        for (txn, _) in txns.txns.iter().enumerate().filter(|(_, txn)| txn.outcome == Outcome::Ok) {
            txns.steps_of(txn as u32).iter().filter(|step| !step.writes()).for_each(|step| see(step.version));
        }
    }
    counts
}

/// The readers of each version and of each key's initial state, by counting.
fn readers(txns: &Transactions, counts: &[bool]) -> (Vec<u32>, Vec<u32>) {
    let versions = txns.version_key.len();
    let slot = |step: &super::transactions::Step| {
        if step.writes() {
            None
        } else if step.version < LIMIT {
            Some(step.version as usize)
        } else if step.version == NIL {
            Some(versions + step.key() as usize)
        } else {
            None
        }
    };
    let mut first = vec![0_u32; versions + txns.keys.len() + 2];
    // What a transaction of unknown outcome read means nothing.
    let answered = |txn: u32| counts[txn as usize] && txns.txns[txn as usize].outcome == Outcome::Ok;
    for txn in 0..txns.len() as u32 {
        if answered(txn) {
            txns.steps_of(txn).iter().filter_map(slot).for_each(|at| first[at + 2] += 1);
        }
    }
    for at in 2..first.len() {
        first[at] += first[at - 1];
    }
    let mut readers = vec![0_u32; first[first.len() - 1] as usize];
    for txn in 0..txns.len() as u32 {
        if answered(txn) {
            for at in txns.steps_of(txn).iter().filter_map(slot) {
                readers[first[at + 1] as usize] = txn;
                first[at + 1] += 1;
            }
        }
    }
    first.pop();
    (first, readers)
}

/// A bit that tells invocations from completions.
const INVOCATION: u32 = 1 << 31;

/// Completions of committed transactions, and invocations, in the order of their ranks; of equal ranks, which count as concurrent, invocations come first.
fn in_time(txns: &Transactions) -> Vec<u32> {
    let known = |rank: u32| rank != 0 && rank < LIMIT;
    let counts = |txn: &super::Txn| txn.outcome == Outcome::Ok && known(txn.end);
    let last = txns.txns.iter().map(|txn| txn.start.max(if known(txn.end) { txn.end } else { 0 })).max().unwrap_or(0);
    // Nearly always every rank stands once, and an array sorts them.
    if (last as usize) < txns.len() * 8 + 1024 {
        let mut events = vec![NONE; last as usize + 1];
        let mut put = |rank: u32, event: u32| std::mem::replace(&mut events[rank as usize], event) == NONE;
        let alone = txns.txns.iter().zip(0_u32..).all(|(txn, number)| {
            (!counts(txn) || put(txn.end, number)) && (!known(txn.start) || put(txn.start, number | INVOCATION))
        });
        if alone {
            events.retain(|&event| event != NONE);
            return events;
        }
    }
    let mut events: Vec<(u32, bool, u32)> = Vec::with_capacity(txns.len() * 2);
    for (txn, number) in txns.txns.iter().zip(0_u32..) {
        if counts(txn) {
            events.push((txn.end, true, number));
        }
        if known(txn.start) {
            events.push((txn.start, false, number | INVOCATION));
        }
    }
    events.sort_unstable();
    events.into_iter().map(|(_, _, event)| event).collect()
}

/// The group before each transaction, and the members of each group.
fn groups(txns: &Transactions) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let (mut before, mut first, mut members) = (vec![NONE; txns.len()], vec![0], Vec::with_capacity(txns.len()));
    let mut closed = NONE;
    for event in in_time(txns) {
        if event & INVOCATION == 0 {
            members.push(event);
            continue;
        }
        if members.len() > first[first.len() - 1] as usize {
            closed = first.len() as u32 - 1;
            first.push(members.len() as u32);
        }
        before[(event & !INVOCATION) as usize] = closed;
    }
    if members.len() > first[first.len() - 1] as usize {
        first.push(members.len() as u32);
    }
    (before, first, members)
}

/// The last committed transaction of the same process before each.
fn previous(txns: &Transactions) -> Vec<u32> {
    let mut latest = vec![NONE; txns.processes.len()];
    txns.txns
        .iter()
        .enumerate()
        .map(|(number, txn)| {
            let latest = &mut latest[txn.process as usize];
            let before = *latest;
            if txn.outcome == Outcome::Ok {
                *latest = number as u32;
            }
            before
        })
        .collect()
}
