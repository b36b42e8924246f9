//! How entries get from one node to the next, and how whoever was away catches up.
//!
//! A node sends to one other only: the next in the chain, from the tail to whoever is joining, or else to one that is outside and would like to join. After each
//! change of the configuration it begins by asking what that node has, and sends on from there: this is the whole of repair.

use std::time::Duration;

use super::configuration::Configuration;
use super::{BEAT, Message, Node};
use crate::config::Bug;
use crate::mode::Output;
use crate::modes::single_leader::{self, Position};
use crate::store::{Entry, Store, StoreError};
use crate::value::Cell;

/// How many entries travel in one message.
const BATCH: usize = 512;
/// How many messages with entries leave at once.
const BATCHES: usize = 4;
/// How many entries may be under way.
const WINDOW: u64 = 4_096;
/// Without news of its entries for so long the next node is sent them again.
const SEND_AGAIN: Duration = Duration::from_millis(300);
/// A copy of everything is not sent to the same node again within this time.
const COPY_PAUSE: Duration = Duration::from_secs(2);

/// What a node knows of the one that it sends to.
pub struct Downstream {
    /// Its name.
    pub name: String,
    /// Up to here its log equals ours, on its disk.
    pub matching: u64,
    /// Whether it has said so in this epoch.
    pub confirmed: bool,
    /// The next entry to send.
    next: u64,
    /// When it last had everything, made progress, or was sent something after having had everything.
    progress: Duration,
    beat_due: Duration,
    copy_at: Option<Duration>,
    /// Planted: entries up to here go without their content.
    hollow: u64,
}

/// Entries as they arrived.
pub struct Batch {
    pub epoch: u64,
    pub previous: Position,
    pub entries: Vec<Entry>,
    pub quiet: Option<Duration>,
}

/// A copy of everything that is arriving.
pub struct Incoming {
    from: String,
    epoch: u64,
    last: Position,
    epochs: Vec<(u64, u64)>,
    rows: Vec<(String, Cell)>,
}

impl Downstream {
    fn new(name: &str, last: u64, now: Duration) -> Downstream {
        Downstream {
            name: name.to_string(),
            matching: 0,
            confirmed: false,
            next: last + 1,
            progress: now,
            beat_due: now,
            copy_at: None,
            hollow: 0,
        }
    }

    /// Sends a copy of everything, unless one left a moment ago.
    fn offer_copy(&mut self, epoch: u64, now: Duration, out: &mut Vec<Output>) {
        if self.copy_at.is_none_or(|at| now.saturating_sub(at) >= COPY_PAUSE) {
            self.copy_at = Some(now);
            out.push(Output::Say(format!("sends {} a snapshot", self.name)));
            out.push(Output::Snapshot(self.name.clone(), epoch));
        }
    }
}

impl Node {
    /// The configuration is another one: whoever is next must say anew what it has.
    pub fn redirect(&mut self, before: &Configuration, now: Duration) {
        let me = &self.me.name;
        let next = self.configuration().successor(me).map(str::to_string);
        let last = self.log.last.1;
        self.downstream = next.map(|name| {
            let mut next = Downstream::new(&name, last, now);
            let repaired = before.contains(&name) && before.predecessor(&name) != Some(me);
            if repaired && self.policy.bug == Some(Bug::SkipResend) {
                next.hollow = last;
            }
            next
        });
    }

    /// A tail with nobody behind it feeds one that is outside, so that it can join.
    pub fn choose_learner(&mut self, now: Duration) {
        let configuration = self.configuration();
        if !self.is_complete() {
            self.downstream = None;
            return;
        }
        if let Some(next) = configuration.successor(&self.me.name) {
            if self.downstream.as_ref().is_none_or(|downstream| downstream.name != next) {
                self.downstream = Some(Downstream::new(next, self.log.last.1, now));
            }
            return;
        }
        let outside = |node: &str| !configuration.concerns(node) && !self.is_dead(node, now);
        if self.downstream.as_ref().is_some_and(|next| outside(&next.name)) {
            return;
        }
        let learner = self.me.nodes.iter().find(|node| outside(node));
        self.downstream = learner.map(|name| Downstream::new(name, self.log.last.1, now));
    }

    /// Entries of the node before arrived.
    pub fn appended_by(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        batch: Batch,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let epoch = self.epoch();
        if batch.epoch != epoch || self.configuration().predecessor(&self.me.name) != Some(from) {
            return Ok(());
        }
        if let Some(quiet) = batch.quiet {
            self.quiet_until = self.quiet_until.min(now + quiet);
        }
        let (of, index) = batch.previous;
        if index > self.log.last.1 {
            let hint = self.log.last.1;
            out.push(self.send(from, Message::Refused { epoch, hint, snapshot: false }));
            return Ok(());
        }
        if self.log.epoch_at(index) != of {
            let hint = self.log.before_epoch_of(index);
            out.push(self.send(from, Message::Refused { epoch, hint, snapshot: hint + 1 < self.log.oldest }));
            return Ok(());
        }
        if let Some(first) = self.first_of_its_own(&batch, index) {
            if first < self.log.oldest {
                let hint = self.log.oldest - 1;
                out.push(self.send(from, Message::Refused { epoch, hint, snapshot: true }));
                return Ok(());
            }
            self.log.discard(store, first, out)?;
        }
        self.aligned = true;
        let matching = index + batch.entries.len() as u64;
        let known = self.log.last.1;
        for entry in batch.entries.iter().filter(|entry| entry.index > known) {
            self.log.write(store, entry)?;
        }
        out.push(self.send(from, Message::Appended { epoch, matching }));
        Ok(())
    }

    /// The first entry here that the node before does not have. Only a node that comes from outside has any: what it wrote as a head, or took from one, when the
    /// others had gone on without it. They end with the first message of an epoch that fits, or those that nobody overwrites would show at the tail.
    fn first_of_its_own(&self, batch: &Batch, index: u64) -> Option<u64> {
        let last = self.log.last.1;
        let differs = |entry: &&Entry| entry.index <= last && self.log.epoch_at(entry.index) != entry.term;
        if let Some(entry) = batch.entries.iter().find(differs) {
            return Some(entry.index);
        }
        let end = index + batch.entries.len() as u64;
        (!self.aligned && !self.is_complete() && last > end).then_some(end + 1)
    }

    /// The next node confirmed.
    pub fn confirmed(&mut self, now: Duration, from: &str, epoch: u64, matching: u64) {
        let (mine, last) = (self.epoch(), self.log.last.1);
        let Some(next) = self.downstream.as_mut().filter(|next| next.name == from && epoch == mine) else { return };
        if matching > next.matching || matching >= last {
            next.progress = now;
        }
        next.confirmed = true;
        next.matching = next.matching.max(matching.min(last));
        next.next = next.next.max(matching + 1);
    }

    /// The next node has other entries, or fewer.
    pub fn refused(
        &mut self,
        now: Duration,
        from: &str,
        epoch: u64,
        (hint, snapshot): (u64, bool),
        out: &mut Vec<Output>,
    ) {
        let mine = self.epoch();
        let Some(next) = self.downstream.as_mut().filter(|next| next.name == from && epoch == mine) else { return };
        next.next = (hint + 1).max(next.matching + 1).min(self.log.last.1 + 1);
        if snapshot {
            next.offer_copy(epoch, now, out);
        }
    }

    /// Sends the next node what it lacks, and a sign of life when one is due.
    pub fn forward(&mut self, store: &Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let (last, epoch, oldest) = (self.log.last.1, self.epoch(), self.log.oldest);
        let quiet = self.released.then(|| self.quiet_until.saturating_sub(now));
        let Some(next) = &mut self.downstream else { return Ok(()) };
        let beats = now >= next.beat_due;
        if beats {
            next.beat_due = now + BEAT;
        }
        let under_way = next.next > next.matching + 1;
        if beats && next.confirmed && under_way && now.saturating_sub(next.progress) > SEND_AGAIN {
            next.next = next.matching + 1;
            next.progress = now;
        }
        let mut batches: Vec<(u64, usize)> = Vec::new();
        if next.next < oldest {
            next.offer_copy(epoch, now, out);
            if beats {
                batches.push((last + 1, 0));
            }
        } else {
            if !under_way && next.next <= last {
                next.progress = now;
            }
            while next.next <= last && next.next < next.matching.max(oldest) + WINDOW && batches.len() < BATCHES {
                let count = ((last - next.next + 1) as usize).min(BATCH);
                batches.push((next.next, count));
                next.next += count as u64;
            }
            if beats && batches.is_empty() {
                batches.push((next.next, 0));
            }
        }
        let (name, hollow) = (next.name.clone(), next.hollow);
        for (from, count) in batches {
            let mut entries = store.entries(from, count)?;
            entries.iter_mut().filter(|entry| entry.index <= hollow).for_each(|entry| entry.changes.clear());
            let previous = (self.log.epoch_at(from - 1), from - 1);
            out.push(self.send(&name, Message::Append { epoch, previous, entries, quiet }));
        }
        Ok(())
    }

    /// A part of a copy arrived; once it is whole it replaces everything.
    pub fn copied(
        &mut self,
        store: &mut Store,
        from: &str,
        part: single_leader::Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let current = |term: u64| term == self.epoch() && self.configuration().predecessor(&self.me.name) == Some(from);
        match part {
            single_leader::Message::SnapshotBegin { term, last, terms } if current(term) => {
                let from = from.to_string();
                self.incoming = Some(Incoming { from, epoch: term, last, epochs: terms, rows: Vec::new() });
            }
            single_leader::Message::SnapshotRows { term, rows } => {
                if let Some(incoming) = &mut self.incoming
                    && incoming.from == from
                    && incoming.epoch == term
                {
                    incoming.rows.extend(rows);
                }
            }
            single_leader::Message::SnapshotEnd { term } if current(term) => {
                let whole = self.incoming.take().filter(|incoming| incoming.from == from && incoming.epoch == term);
                let Some(Incoming { last, epochs, rows, .. }) = whole else { return Ok(()) };
                // One that was read after its sender had gone on to a later epoch may hold entries that are not known here.
                if last.0 > term || self.log.contains(last) {
                    return Ok(());
                }
                out.push(Output::Say(format!("installed a snapshot of {} keys as of {last:?}", rows.len())));
                self.log.install(store, last, epochs, &rows)?;
                self.aligned = true;
                out.push(self.send(from, Message::Appended { epoch: term, matching: last.1 }));
            }
            _ => {}
        }
        Ok(())
    }
}
