//! How stale reads are: in versions, in time, and as k of k-atomicity (Golab, Li, Shah, *Analyzing Consistency Properties for Fun and
//! Profit*, 2011; Bailis et al., *Probabilistically Bounded Staleness*, 2012).
//!
//! A measurement, not a verdict: no database promises a number here, and every number is one. Staleness of a read in versions is the number of
//! acknowledged writes newer than what it returned whose acknowledgement came before its invocation; in time, how long before it the
//! first of those came. Which writes are newer is known by versions and by places in lists. Where neither is there and values are unique, those count that were
//! invoked after some operation on the returned value had ended: they are newer in every order that extends real time, so these figures are
//! lower bounds, and the smallest k is bounded from both sides, exactly where it is one or two.
//!
//! Sets, siblings, deleted keys and values that several writes wrote are left out; so are final reads. O(n log n).

mod atomicity;

use serde::{Deserialize, Serialize};

use self::atomicity::Call;
use crate::action::Action;
use crate::checker::Case;
use crate::facts::{Deed, Facts, Kind, NONE, Order, Part, Shown};
use crate::history::Outcome;

/// How stale the reads of a history were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Staleness {
    /// Reads that were measured, each key of a read for itself.
    pub reads: u64,
    /// Those of them that missed an acknowledged newer write.
    pub stale: u64,
    /// Those of the measured whose key's order is known; of the others the figures are lower bounds.
    pub ordered: u64,
    /// Missed versions over all measured reads.
    pub versions: Spread,
    /// Nanoseconds since the first missed acknowledgement, over all measured reads; 0 for a read that missed nothing.
    pub nanoseconds: Spread,
    /// Reads by the time since the newest write of their key had been acknowledged, ascending.
    pub curve: Vec<Since>,
    /// The smallest k such that every register without known order is k-atomic; absent where there is none.
    pub k: Option<Bounds>,
    /// The index of the read that missed the most versions, and of the one that was the longest behind.
    pub worst: Option<(u64, u64)>,
}

/// Where the values of a sample lie: none of them is more than the named share of reads exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spread {
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// Reads that came a certain time after an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Since {
    /// Less than so many nanoseconds, a power of two, and not less than half of that.
    pub below: u64,
    /// Reads.
    pub reads: u64,
    /// Those of them that showed something older than the newest acknowledged write.
    pub stale: u64,
}

/// A number between two others, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bounds {
    /// It is not smaller.
    pub at_least: u64,
    /// It is not larger.
    pub at_most: u64,
}

/// Measures the reads of a case.
pub fn measure(case: &Case<'_>) -> Staleness {
    let facts = &case.facts;
    let mut sample = Sample::default();
    let mut k: Option<Bounds> = None;
    for key in 0..facts.keys.len() {
        let Some(row) = Row::of(facts, key) else { continue };
        let missed = sample.key(facts, key, &row);
        if !row.ordered
            && let Some(found) = smallest_k(facts, key, missed)
        {
            let before = k.unwrap_or(found);
            let (at_least, at_most) = (before.at_least.max(found.at_least), before.at_most.max(found.at_most));
            k = Some(Bounds { at_least, at_most });
        }
    }
    sample.finish(k)
}

/// The acknowledged writes of a key in an order in which newer ones are a suffix.
struct Row {
    writes: Vec<u32>,
    ordered: bool,
    /// When the first operation on each value ended, by position among the key's writes, where no order is known.
    ended: Vec<u64>,
}

impl Row {
    fn of(facts: &Facts, key: usize) -> Option<Row> {
        let entry = &facts.keys[key];
        let acked = |write: &u32| facts.writes[*write as usize].acked != u64::MAX;
        let mut writes: Vec<u32> = entry.writes.iter().copied().filter(acked).collect();
        match (entry.kind, entry.order) {
            (Kind::List, _) if !entry.scattered => {
                writes.sort_by_key(|&write| facts.writes[write as usize].place);
                Some(Row { writes, ordered: true, ended: Vec::new() })
            }
            (Kind::Register, _) if entry.siblings || !entry.deletes.is_empty() => None,
            (Kind::Register, Order::Reported) => {
                writes.retain(|&write| facts.writes[write as usize].rank.is_some());
                writes.sort_by_key(|&write| facts.writes[write as usize].rank);
                Some(Row { writes, ordered: true, ended: Vec::new() })
            }
            (Kind::Register, _) => {
                let mut ended: Vec<u64> =
                    entry.writes.iter().map(|&write| facts.writes[write as usize].acked).collect();
                for part in entry.parts.iter().map(|&part| &facts.parts[part as usize]) {
                    if let Shown::One(write) = part.shown
                        && let Ok(at) = entry.writes.binary_search(&write)
                    {
                        ended[at] = ended[at].min(facts.history.ops[part.op as usize].completed);
                    }
                }
                writes.sort_by_key(|&write| facts.writes[write as usize].invoked);
                Some(Row { writes, ordered: false, ended })
            }
            _ => None,
        }
    }

    /// Where the writes begin that are newer than what a part shows; nothing where that is not known.
    fn newer(&self, facts: &Facts, part: &Part) -> Option<usize> {
        let write = |id: u32| &facts.writes[id as usize];
        match part.shown {
            Shown::Nil | Shown::Prefix(0) => Some(0),
            Shown::Prefix(length) => Some(self.writes.partition_point(|&other| write(other).place < length)),
            Shown::One(shown) if self.ordered => {
                let rank = write(shown).rank?;
                Some(self.writes.partition_point(|&other| write(other).rank <= Some(rank)))
            }
            Shown::One(shown) => {
                let at = facts.keys[part.key as usize].writes.binary_search(&shown).ok()?;
                Some(self.writes.partition_point(|&other| write(other).invoked <= self.ended[at]))
            }
            _ => None,
        }
    }
}

/// What was measured so far.
#[derive(Default)]
struct Sample {
    ordered: u64,
    versions: Vec<u64>,
    nanoseconds: Vec<u64>,
    /// Reads and stale reads, by the number of bits of the time.
    curve: Vec<(u64, u64)>,
    /// The most versions and the most time that a read missed, with its index.
    most: [(u64, u64); 2],
}

impl Sample {
    /// Measures the reads of a key; the most versions that one missed.
    fn key(&mut self, facts: &Facts, key: usize, row: &Row) -> u64 {
        let mut acked: Vec<(u64, usize)> =
            row.writes.iter().enumerate().map(|(at, &write)| (facts.writes[write as usize].acked, at)).collect();
        acked.sort_unstable();
        let mut parts: Vec<(u64, &Part)> = facts.keys[key]
            .parts
            .iter()
            .map(|&part| &facts.parts[part as usize])
            .map(|part| (facts.history.ops[part.op as usize].invoked, part))
            .collect();
        parts.sort_by_key(|(invoked, _)| *invoked);
        let mut visible = Suffixes::new(row.writes.len());
        let (mut next, mut newest, mut most) = (0, None, 0);
        for (invoked, part) in parts {
            while let Some(&(time, at)) = acked.get(next).filter(|(time, _)| *time < invoked) {
                visible.add(at, time);
                newest = newest.max(Some((at, time)));
                next += 1;
            }
            let Some(from) = row.newer(facts, part) else { continue };
            let (missed, since) = visible.from(from);
            self.ordered += u64::from(row.ordered);
            let behind = if missed == 0 { 0 } else { invoked - since };
            self.versions.push(missed);
            self.nanoseconds.push(behind);
            let index = facts.history.ops[part.op as usize].index;
            for (most, figure) in self.most.iter_mut().zip([missed, behind]) {
                *most = (figure, index).max(*most);
            }
            if let Some((at, time)) = newest {
                let bits = (u64::BITS - (invoked - time).leading_zeros()) as usize;
                self.curve.resize(self.curve.len().max(bits + 1), (0, 0));
                self.curve[bits].0 += 1;
                self.curve[bits].1 += u64::from(at >= from);
            }
            most = most.max(missed);
        }
        most
    }

    fn finish(mut self, k: Option<Bounds>) -> Staleness {
        let stale = self.versions.iter().filter(|&&missed| missed > 0).count() as u64;
        let curve = self.curve.iter().enumerate().filter(|(_, (reads, _))| *reads > 0);
        let below = |bits: usize| 1_u64.checked_shl(bits as u32).unwrap_or(u64::MAX);
        Staleness {
            reads: self.versions.len() as u64,
            stale,
            ordered: self.ordered,
            curve: curve.map(|(bits, &(reads, stale))| Since { below: below(bits), reads, stale }).collect(),
            versions: spread(&mut self.versions),
            nanoseconds: spread(&mut self.nanoseconds),
            k,
            worst: (stale > 0).then_some((self.most[0].1, self.most[1].1)),
        }
    }
}

fn spread(values: &mut [u64]) -> Spread {
    values.sort_unstable();
    let Some(last) = values.len().checked_sub(1) else { return Spread::default() };
    let at = |percent: usize| values[last * percent / 100];
    Spread { p50: at(50), p90: at(90), p99: at(99), max: values[last] }
}

/// Counts and earliest times over suffixes of a row, in a tree of Fenwick (1994).
struct Suffixes {
    nodes: Vec<(u64, u64)>,
}

impl Suffixes {
    fn new(length: usize) -> Self {
        Suffixes { nodes: vec![(0, u64::MAX); length] }
    }

    fn add(&mut self, at: usize, time: u64) {
        let mut node = at + 1;
        while node > 0 {
            let (count, first) = &mut self.nodes[node - 1];
            (*count, *first) = (*count + 1, (*first).min(time));
            node &= node - 1;
        }
    }

    /// How many were added at `from` or behind it, and the earliest of their times.
    fn from(&self, from: usize) -> (u64, u64) {
        let (mut node, mut sum) = (from + 1, (0, u64::MAX));
        while node <= self.nodes.len() {
            let (count, first) = self.nodes[node - 1];
            sum = (sum.0 + count, sum.1.min(first));
            node += node & node.wrapping_neg();
        }
        sum
    }
}

/// The smallest k of a register whose order is not known and whose values are unique.
fn smallest_k(facts: &Facts, key: usize, missed: u64) -> Option<Bounds> {
    let calls = calls(facts, key)?;
    let (mut at_least, at_most) = (1 + missed, atomicity::enough(&calls));
    while at_least < at_most && at_least <= 2 {
        match atomicity::atomic(&calls, at_least as usize) {
            Some(true) => return Some(Bounds { at_least, at_most: at_least }),
            Some(false) => at_least += 1,
            None => break,
        }
    }
    Some(Bounds { at_least, at_most })
}

/// The operations on a register that is only written, each value once.
fn calls(facts: &Facts, key: usize) -> Option<Vec<Call>> {
    let entry = &facts.keys[key];
    let plain = |&id: &u32| {
        let write = &facts.writes[id as usize];
        let action = &facts.op_of(id).steps[write.step as usize].action;
        write.outcome == Outcome::Fail
            || (facts.sole(id) && write.deed == Deed::Set && matches!(action, Action::Write(_)))
    };
    if entry.parts.is_empty() || !entry.writes.iter().all(plain) {
        return None;
    }
    let mut calls = Vec::with_capacity(entry.writes.len() + entry.parts.len());
    let mut read: Vec<u64> = vec![u64::MAX; entry.writes.len()];
    for part in entry.parts.iter().map(|&part| &facts.parts[part as usize]) {
        let op = &facts.history.ops[part.op as usize];
        let value = match part.shown {
            Shown::Nil => 0,
            Shown::One(write) if write != NONE => {
                let at = entry.writes.binary_search(&write).ok()?;
                read[at] = read[at].min(op.completed);
                at as u32 + 1
            }
            _ => continue,
        };
        calls.push(Call { invoked: op.invoked, returned: op.completed, value, write: false });
    }
    for (at, &id) in entry.writes.iter().enumerate() {
        let write = &facts.writes[id as usize];
        let returned = write.acked.min(read[at]);
        if write.outcome != Outcome::Fail && returned != u64::MAX {
            let returned = returned.max(write.invoked);
            calls.push(Call { invoked: write.invoked, returned, value: at as u32 + 1, write: true });
        }
    }
    Some(calls)
}

#[cfg(test)]
mod tests;
