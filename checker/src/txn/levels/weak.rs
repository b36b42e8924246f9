//! Read committed and read atomic: what each read demands of the commit order.
//!
//! Møldrup & Pavlogiannis, "AWDIT" (PLDI 2025), sections 4.1 and 4.2: a transaction reads a key from `t1` and sees `t2`, which writes it too, so `t2` comes
//! before `t1`. Of each pair the smaller set is walked, what `t2` wrote or what the reader reads, which bounds all of it by O(n^1.5). Then one look
//! for circles. Reads of the initial state demand what cannot be, and are answered at once.

use crate::history::Outcome;
use crate::txn::levels::Within;
use crate::txn::levels::facts::{Facts, Read};
use crate::txn::levels::precedence::{Precedence, before_everything};
use crate::txn::levels::proof::{INITIAL, Proof, Why};
use crate::txn::transactions::NOBODY;

/// What is demanded: the first before the second, because the third sees the first and reads the key from the second.
type Demand<'d> = &'d mut dyn FnMut(u32, u32, u32, u32);

pub(crate) fn read_committed(facts: &Facts, within: Within) -> Option<Proof> {
    decide(facts, within, |demand| committed(facts, demand))
}

pub(crate) fn read_atomic(facts: &Facts, within: Within) -> Option<Proof> {
    decide(facts, within, |demand| {
        atomic(facts, demand);
        match within {
            Within::Nothing => {}
            Within::Sessions => own(facts, demand),
            Within::RealTime => {
                own(facts, demand);
                completed(facts, demand);
            }
        }
    })
}

fn decide(facts: &Facts, within: Within, walk: impl Fn(Demand)) -> Option<Proof> {
    let mut demands = Demands::new(facts.txns.len());
    walk(&mut |seen, source, by, key| demands.add(seen, source, by, key));
    if let Some((seen, by, key)) = demands.impossible {
        return Some(before_everything(seen, by, key));
    }
    Precedence::of(facts, within).refuted(&demands.pairs, |add| {
        walk(&mut |seen, source, by, key| add(seen, source, Why::Seen { by, key }));
    })
}

/// What is demanded of the commit order, without the commonest repetitions.
pub(crate) struct Demands {
    pub(crate) pairs: Vec<(u32, u32)>,
    /// Somebody sees the first, and reads the key from the initial state.
    pub(crate) impossible: Option<(u32, u32, u32)>,
    last: Vec<u32>,
}

impl Demands {
    pub(crate) fn new(txns: usize) -> Demands {
        Demands { pairs: Vec::new(), impossible: None, last: vec![NOBODY; txns] }
    }

    #[inline]
    pub(crate) fn add(&mut self, seen: u32, source: u32, by: u32, key: u32) {
        if source == INITIAL {
            self.impossible.get_or_insert((seen, by, key));
        } else if self.last[source as usize] != seen {
            self.last[source as usize] = seen;
            self.pairs.push((seen, source));
        }
    }
}

/// The nearest later read of a key: by whom it was read, from whom, and the next other source after that.
///
/// The next other one is enough: the source that lies between demands the rest.
#[derive(Clone, Copy)]
struct Later {
    by: u32,
    source: u32,
    other: Option<u32>,
}

fn committed(facts: &Facts, demand: Demand) {
    let mut later = vec![Later { by: NOBODY, source: 0, other: None }; facts.txns.keys.len()];
    let mut met = vec![NOBODY; facts.txns.len()];
    let mut first: Vec<bool> = Vec::new();
    for t in 0..facts.txns.len() as u32 {
        let reads = facts.reads(t);
        if reads.len() < 2 {
            continue;
        }
        first.clear();
        let is_first =
            |from: u32, met: &mut Vec<u32>| from != INITIAL && std::mem::replace(&mut met[from as usize], t) != t;
        first.extend(reads.iter().map(|read| is_first(read.from, &mut met)));
        for (at, read) in reads.iter().enumerate().rev() {
            if first[at] {
                let rest = &reads[at + 1..];
                if facts.writes(read.from).len() <= rest.len() {
                    for &key in facts.writes(read.from) {
                        let it = later[key as usize];
                        let source = if it.source == read.from { it.other } else { Some(it.source) };
                        if let Some(source) = source.filter(|_| it.by == t) {
                            demand(read.from, source, t, key);
                        }
                    }
                } else {
                    written_by(facts, read.from, rest, t, demand);
                }
            }
            let it = &mut later[read.key as usize];
            if it.by != t {
                *it = Later { by: t, source: read.from, other: None };
            } else if it.source != read.from {
                *it = Later { by: t, source: read.from, other: Some(it.source) };
            }
        }
    }
}

fn atomic(facts: &Facts, demand: Demand) {
    let mut sources: Vec<(u32, u32)> = vec![(NOBODY, 0); facts.txns.keys.len()];
    let mut met = vec![NOBODY; facts.txns.len()];
    for t in 0..facts.txns.len() as u32 {
        let reads = facts.reads(t);
        if reads.len() < 2 {
            continue;
        }
        for read in reads {
            let (by, source) = std::mem::replace(&mut sources[read.key as usize], (t, read.from));
            if by == t && source != read.from {
                // Two reads of one key from two transactions: each sees the other.
                [(read.from, source), (source, read.from)]
                    .into_iter()
                    .filter(|&(seen, _)| seen != INITIAL)
                    .for_each(|(seen, source)| demand(seen, source, t, read.key));
            }
        }
        for read in reads {
            if read.from == INITIAL || std::mem::replace(&mut met[read.from as usize], t) == t {
                continue;
            }
            if facts.writes(read.from).len() <= reads.len() {
                for &key in facts.writes(read.from) {
                    let (by, source) = sources[key as usize];
                    if by == t && source != read.from {
                        demand(read.from, source, t, key);
                    }
                }
            } else {
                written_by(facts, read.from, reads, t, demand);
            }
        }
    }
}

/// Demands for those of `reads` whose key `seen` writes too.
fn written_by(facts: &Facts, seen: u32, reads: &[Read], t: u32, demand: Demand) {
    for read in reads.iter().filter(|read| read.from != seen) {
        if facts.writes(seen).binary_search(&read.key).is_ok() {
            demand(seen, read.from, t, read.key);
        }
    }
}

/// The transactions of each process after each other: its number and theirs.
fn by_process(facts: &Facts) -> Vec<u32> {
    let processes = facts.txns.txns.iter().map(|txn| txn.process as usize + 1).max().unwrap_or(0);
    let mut next = vec![0_u32; processes + 1];
    facts.txns.txns.iter().for_each(|txn| next[txn.process as usize + 1] += 1);
    for process in 0..processes {
        next[process + 1] += next[process];
    }
    let mut order = vec![0_u32; facts.txns.len()];
    for (t, txn) in facts.txns.txns.iter().enumerate() {
        let slot = &mut next[txn.process as usize];
        order[*slot as usize] = t as u32;
        *slot += 1;
    }
    order
}

/// A process sees what it wrote.
fn own(facts: &Facts, demand: Demand) {
    let mut last: Vec<(u32, u32)> = vec![(NOBODY, 0); facts.txns.keys.len()];
    for t in by_process(facts) {
        let process = facts.txns.txns[t as usize].process;
        for read in facts.reads(t) {
            let (by, seen) = last[read.key as usize];
            if by == process && seen != read.from {
                demand(seen, read.from, t, read.key);
            }
        }
        if facts.txns.txns[t as usize].outcome == Outcome::Ok {
            facts.writes(t).iter().for_each(|&key| last[key as usize] = (process, t));
        }
    }
}

/// A transaction sees what had completed before it. Those that had completed before its source began are before the source anyway; of the others, one that
/// began after the source completed closes a circle, and the rest overlap the source, so they are few.
fn completed(facts: &Facts, demand: Demand) {
    let txns = &facts.txns.txns;
    let mut completions: Vec<(u32, u32)> = Vec::new();
    let mut first = vec![0_u32];
    for key in 0..facts.txns.keys.len() as u32 {
        let from = completions.len();
        let certain = facts.writers(key).iter().filter(|&&t| txns[t as usize].outcome == Outcome::Ok);
        completions.extend(certain.map(|&t| (txns[t as usize].end, t)).filter(|&(end, _)| end != u32::MAX));
        completions[from..].sort_unstable();
        first.push(completions.len() as u32);
    }
    for t in 0..facts.txns.len() as u32 {
        for read in facts.reads(t) {
            let range = first[read.key as usize] as usize..first[read.key as usize + 1] as usize;
            let writers = &completions[range];
            let (begun, over) = match read.from {
                INITIAL => (0, 0),
                from => (txns[from as usize].start, txns[from as usize].end),
            };
            let at = writers.partition_point(|&(end, _)| end < begun);
            for &(end, seen) in &writers[at..] {
                if end >= txns[t as usize].start {
                    break;
                }
                if seen != read.from {
                    demand(seen, read.from, t, read.key);
                    if txns[seen as usize].start > over {
                        break;
                    }
                }
            }
        }
    }
}
