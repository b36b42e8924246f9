//! Everything that the one order of all writes must respect, with each read as the end of the beginning that it sees.

use super::Growth;
use crate::facts::{Deed, Facts, Kind, NONE, Order, Shown};
use crate::graph::Arrow;
use crate::history::Outcome;
use crate::intern::FastMap;

/// The read shows the write.
pub(super) const SHOWN: u32 = 0;
/// The read does not show the write.
pub(super) const UNSEEN: u32 = 1;
/// The same session acknowledged the first before it sent the second.
pub(super) const SESSION: u32 = 2;
/// The write was sent after the read had completed.
pub(super) const LATER: u32 = 3;
/// The order of the key is known.
pub(super) const ORDER: u32 = 4;
/// The mode claims real time.
pub(super) const REAL_TIME: u32 = 5;
/// A later read of the same session.
pub(super) const GROWS: u32 = 6;
/// A choice that was forced or tried.
pub(super) const CHOICE: u32 = 7;

/// The graph: writes first, then reads, then nodes that stand for moments and sets.
pub(super) struct Built {
    pub(super) nodes: usize,
    pub(super) arrows: Vec<Arrow>,
}

struct Builder<'f, 'h> {
    facts: &'f Facts<'h>,
    next: u32,
    arrows: Vec<Arrow>,
}

/// The number of a read's node.
pub(super) fn read_node(facts: &Facts, read: u32) -> u32 {
    facts.writes.len() as u32 + read
}

/// Whether the write counts: it happened, as somebody acknowledged or saw it.
pub(super) fn happened(facts: &Facts, write: u32, seen: &[bool]) -> bool {
    facts.writes[write as usize].acked != u64::MAX || seen[write as usize]
}

/// Which writes some read showed.
pub(super) fn seen(facts: &Facts) -> Vec<bool> {
    let mut seen = vec![false; facts.writes.len()];
    let mut longest = vec![0_u32; facts.keys.len()];
    for read in &facts.reads {
        for part in facts.parts_of(read) {
            if let Shown::Prefix(length) = part.shown {
                longest[part.key as usize] = longest[part.key as usize].max(length);
            } else {
                facts.shown_by(part).iter().for_each(|&write| seen[write as usize] = true);
            }
        }
    }
    for (key, length) in longest.into_iter().enumerate() {
        let shown = facts.keys[key].longest.iter().take(length as usize).filter(|&&write| write != NONE);
        shown.for_each(|&write| seen[write as usize] = true);
    }
    seen
}

pub(super) fn build(facts: &Facts, growth: Growth) -> Built {
    let next = (facts.writes.len() + facts.reads.len()) as u32;
    let mut builder = Builder { facts, next, arrows: Vec::new() };
    let seen = seen(facts);
    builder.sessions(growth);
    builder.later();
    for key in 0..facts.keys.len() {
        match facts.keys[key].kind {
            Kind::List => builder.list(key, &seen),
            Kind::Set => builder.set(key, &seen),
            Kind::Register if !facts.keys[key].siblings => builder.register(key, &seen),
            Kind::Register | Kind::Mixed => {}
        }
    }
    if facts.keys.iter().any(|key| key.order == Order::RealTime) {
        builder.real_time();
    }
    Built { nodes: builder.next as usize, arrows: builder.arrows }
}

impl Builder<'_, '_> {
    fn node(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn arrow(&mut self, from: u32, to: u32, tag: u32) {
        self.arrows.push(Arrow { from, to, tag });
    }

    /// A chain of moments, the completions in `done`: whatever completes leads into its moment, each moment into the next. Answers the moment
    /// that stands for everything completed before a time.
    fn moments(&mut self, mut done: Vec<(u64, u32)>, tag: u32) -> impl Fn(u64) -> Option<u32> + use<> {
        done.sort_unstable();
        let mut chain: Vec<(u64, u32)> = Vec::with_capacity(done.len());
        for (time, node) in done {
            let moment = self.node();
            self.arrow(node, moment, tag);
            if let Some(&(_, before)) = chain.last() {
                self.arrow(before, moment, tag);
            }
            chain.push((time, moment));
        }
        move |time| chain[..chain.partition_point(|&(done, _)| done < time)].last().map(|&(_, moment)| moment)
    }

    /// Session order among writes, and among reads where beginnings must grow.
    fn sessions(&mut self, growth: Growth) {
        let facts = self.facts;
        let sessions = facts.session_names.len();
        let mut wrote: Vec<Vec<u32>> = vec![Vec::new(); sessions];
        let mut read: Vec<Vec<u32>> = vec![Vec::new(); sessions];
        for (id, write) in facts.writes.iter().enumerate().filter(|(_, write)| write.outcome != Outcome::Fail) {
            wrote[facts.sessions[write.op as usize] as usize].push(id as u32);
        }
        for (id, entry) in facts.reads.iter().enumerate() {
            read[facts.sessions[entry.op as usize] as usize].push(id as u32);
        }
        for writes in wrote.into_iter().filter(|writes| writes.len() > 1) {
            let entry = |write: u32| &facts.writes[write as usize];
            let acked = writes.iter().map(|&write| (entry(write).acked, write)).filter(|&(time, _)| time != u64::MAX);
            let upto = self.moments(acked.collect(), SESSION);
            for &write in &writes {
                if let Some(moment) = upto(entry(write).invoked) {
                    self.arrow(moment, write, SESSION);
                }
            }
        }
        if growth == Growth::Free {
            return;
        }
        for reads in read.into_iter().filter(|reads| reads.len() > 1) {
            let op = |read: u32| &facts.history.ops[facts.reads[read as usize].op as usize];
            let done = reads.iter().map(|&read| (op(read).completed, read_node(facts, read)));
            let upto = self.moments(done.collect(), GROWS);
            for &read in &reads {
                if let Some(moment) = upto(op(read).invoked) {
                    self.arrow(moment, read_node(facts, read), GROWS);
                }
            }
        }
    }

    /// A read sees nothing that is sent after it completed.
    fn later(&mut self) {
        let facts = self.facts;
        let done = facts
            .reads
            .iter()
            .enumerate()
            .map(|(id, read)| (facts.history.ops[read.op as usize].completed, read_node(facts, id as u32)));
        let upto = self.moments(done.collect(), LATER);
        for (id, write) in facts.writes.iter().enumerate().filter(|(_, write)| write.outcome != Outcome::Fail) {
            if let Some(moment) = upto(write.invoked) {
                self.arrow(moment, id as u32, LATER);
            }
        }
    }

    fn real_time(&mut self) {
        let facts = self.facts;
        let acked = facts.writes.iter().enumerate().filter(|(_, write)| write.acked != u64::MAX);
        let upto = self.moments(acked.map(|(id, write)| (write.acked, id as u32)).collect(), REAL_TIME);
        for (id, write) in facts.writes.iter().enumerate().filter(|(_, write)| write.outcome != Outcome::Fail) {
            if let Some(moment) = upto(write.invoked) {
                self.arrow(moment, id as u32, REAL_TIME);
            }
        }
    }

    /// A node that leads into every acknowledged element of the key that nobody ever saw. A remove shows itself by nothing, and what it takes
    /// away may have been there.
    fn never_seen(&mut self, key: usize, seen: &[bool]) -> u32 {
        let node = self.node();
        for &write in &self.facts.keys[key].writes {
            let entry = &self.facts.writes[write as usize];
            if entry.deed == Deed::Remove || self.facts.removes.contains_key(&entry.stands) {
                continue;
            }
            let shown =
                seen[entry.stands as usize] || self.facts.writers(entry.stands).any(|other| seen[other as usize]);
            if entry.acked != u64::MAX && !shown {
                self.arrow(node, write, UNSEEN);
            }
        }
        node
    }

    fn list(&mut self, key: usize, seen: &[bool]) {
        let facts = self.facts;
        let entry = &facts.keys[key];
        let mut shown: Vec<u32> =
            entry.longest.iter().copied().filter(|&write| write != NONE && seen[write as usize]).collect();
        for pair in shown.windows(2) {
            self.arrow(pair[0], pair[1], ORDER);
        }
        let never = self.never_seen(key, seen);
        if entry.scattered {
            let others =
                entry.parts.iter().flat_map(|&part| facts.shown_by(&facts.parts[part as usize]).iter().copied());
            shown.extend(others.filter(|&write| write != NONE));
            shown.sort_unstable();
            shown.dedup();
        }
        for &part in &entry.parts {
            let part = &facts.parts[part as usize];
            let read = read_node(facts, part.read);
            let list: Vec<u32> = facts.shown_by(part).iter().copied().filter(|&write| write != NONE).collect();
            match part.shown {
                Shown::Skip => continue,
                Shown::Prefix(length) if !entry.scattered => {
                    let after =
                        entry.longest[length as usize..].iter().find(|&&write| write != NONE && seen[write as usize]);
                    if let Some(&after) = after {
                        self.arrow(read, after, UNSEEN);
                    }
                }
                _ => {
                    list.windows(2).for_each(|pair| self.arrow(pair[0], pair[1], ORDER));
                    let mut sorted = list.clone();
                    sorted.sort_unstable();
                    let missing = shown.iter().filter(|write| sorted.binary_search(write).is_err());
                    missing.for_each(|&write| self.arrow(read, write, UNSEEN));
                }
            }
            if let Some(&last) = list.last() {
                self.arrow(last, read, SHOWN);
            }
            self.arrow(read, never, UNSEEN);
        }
    }

    /// The reads of a set form a chain: what is new at a step lies between the smaller reads and the larger ones. Where they do not, two of them
    /// each lack what the other shows.
    fn set(&mut self, key: usize, seen: &[bool]) {
        let facts = self.facts;
        let kept = |write: &u32| !facts.removes.contains_key(write) && facts.sole(*write);
        let mut reads: Vec<(Vec<u32>, u32)> = facts.keys[key]
            .parts
            .iter()
            .map(|&part| &facts.parts[part as usize])
            .filter(|part| part.shown != Shown::Skip)
            .map(|part| (facts.shown_by(part).iter().copied().filter(kept).collect(), part.read))
            .collect();
        reads.sort_by_key(|(shown, read)| (shown.len(), *read));
        let never = self.never_seen(key, seen);
        let mut steps: Vec<(Vec<u32>, u32)> = vec![(Vec::new(), self.node())];
        for (shown, read) in reads {
            let node = read_node(facts, read);
            self.arrow(node, never, UNSEEN);
            let (last, at) = &steps[steps.len() - 1];
            let (missing, fresh) = (lacking(last, &shown), lacking(&shown, last));
            if let Some(&missing) = missing.first() {
                // Not a chain: this read lacks what a smaller one showed, and shows what that one lacked.
                let at = *at;
                self.arrow(node, missing, UNSEEN);
                for &write in &fresh {
                    self.arrow(write, node, SHOWN);
                    self.arrow(at, write, UNSEEN);
                }
                continue;
            }
            if fresh.is_empty() {
                let at = *at;
                self.arrow(at, node, SHOWN);
                continue;
            }
            let (before, at) = (*at, self.node());
            for write in fresh {
                self.arrow(before, write, UNSEEN);
                self.arrow(write, at, SHOWN);
            }
            self.arrow(before, at, SHOWN);
            steps.push((shown, at));
            self.arrow(at, node, SHOWN);
        }
        self.close_chain(key, &steps);
    }

    /// Every read leads into what is new at the next step.
    fn close_chain(&mut self, key: usize, steps: &[(Vec<u32>, u32)]) {
        let facts = self.facts;
        let sizes: FastMap<usize, usize> = steps.iter().enumerate().map(|(at, (shown, _))| (shown.len(), at)).collect();
        let kept = |write: &u32| !facts.removes.contains_key(write) && facts.sole(*write);
        for &part in &facts.keys[key].parts {
            let part = &facts.parts[part as usize];
            if part.shown == Shown::Skip {
                continue;
            }
            let shown: Vec<u32> = facts.shown_by(part).iter().copied().filter(kept).collect();
            let Some(&at) = sizes.get(&shown.len()) else { continue };
            let Some((after, _)) = steps.get(at + 1) else { continue };
            let node = read_node(facts, part.read);
            for write in lacking(after, &shown) {
                self.arrow(node, write, UNSEEN);
            }
        }
    }

    fn register(&mut self, key: usize, seen: &[bool]) {
        let facts = self.facts;
        let entry = &facts.keys[key];
        let live: Vec<u32> = entry.writes.iter().copied().filter(|&write| happened(facts, write, seen)).collect();
        let mut ranked: Vec<u32> =
            live.iter().copied().filter(|&write| facts.writes[write as usize].rank.is_some()).collect();
        if entry.order != Order::Reported {
            ranked.clear();
        }
        ranked.sort_by_key(|&write| facts.writes[write as usize].rank);
        for pair in ranked.windows(2) {
            if facts.writes[pair[0] as usize].rank != facts.writes[pair[1] as usize].rank {
                self.arrow(pair[0], pair[1], ORDER);
            }
        }
        let all = self.node();
        for &write in &live {
            self.arrow(all, write, UNSEEN);
        }
        let suffixes = if entry.order == Order::RealTime { self.suffixes(&live) } else { Vec::new() };
        for &part in &entry.parts {
            let part = &facts.parts[part as usize];
            let read = read_node(facts, part.read);
            match part.shown {
                Shown::One(write) => {
                    self.arrow(write, read, SHOWN);
                    let shown = &facts.writes[write as usize];
                    let after = ranked.partition_point(|&other| facts.writes[other as usize].rank <= shown.rank);
                    if let Some(&after) = ranked.get(after).filter(|_| shown.rank.is_some()) {
                        self.arrow(read, after, UNSEEN);
                    }
                    let later = suffixes.partition_point(|&(invoked, _)| invoked <= shown.acked);
                    if let Some(&(_, later)) = suffixes.get(later) {
                        self.arrow(read, later, UNSEEN);
                    }
                }
                Shown::Nil if entry.deletes.is_empty() => self.arrow(read, all, UNSEEN),
                _ => {}
            }
        }
    }

    /// For each write of the key a node that leads into it and all that were invoked later.
    fn suffixes(&mut self, live: &[u32]) -> Vec<(u64, u32)> {
        let mut suffixes: Vec<(u64, u32)> = Vec::new();
        let mut sorted: Vec<u32> = live.to_vec();
        sorted.sort_by_key(|&write| self.facts.writes[write as usize].invoked);
        for &write in sorted.iter().rev() {
            let node = self.node();
            self.arrow(node, write, UNSEEN);
            if let Some(&(_, after)) = suffixes.last() {
                self.arrow(node, after, UNSEEN);
            }
            suffixes.push((self.facts.writes[write as usize].invoked, node));
        }
        suffixes.reverse();
        suffixes
    }
}

/// What is in ascending `all` and not in ascending `some`.
fn lacking(all: &[u32], some: &[u32]) -> Vec<u32> {
    all.iter().copied().filter(|write| some.binary_search(write).is_err()).collect()
}
