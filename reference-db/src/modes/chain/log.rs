//! A node's log: what it has applied, in the order in which its head numbered it.
//!
//! An entry carries the epoch of the head that wrote it. One head writes an epoch, so epoch and index name an entry, and two logs that agree on one agree on all
//! before it (the log matching of Raft, §5.3). Nodes of the chain never take entries back; who comes back from outside does.

use crate::mode::Output;
use crate::modes::single_leader::Position;
use crate::store::{Change, Entry, Store, StoreError};
use crate::value::Cell;

/// The log, over the store's tables.
pub struct Log {
    /// The last entry.
    pub last: Position,
    /// Where each epoch's entries begin, ascending.
    epochs: Vec<(u64, u64)>,
    /// Entries below this are no longer kept.
    pub oldest: u64,
    keep: u64,
}

impl Log {
    /// As the store left it.
    pub fn recover(store: &Store, keep: u64) -> Result<Log, StoreError> {
        let number = |name: &str| -> Result<u64, StoreError> {
            Ok(store.meta(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
        };
        let copied = (number("snapshot-term")?, number("snapshot-index")?);
        let oldest = store.oldest()?.unwrap_or(copied.1 + 1);
        let mut log = Log { last: copied, epochs: store.terms()?, oldest, keep };
        loop {
            let entries = store.entries(log.last.1.max(oldest - 1) + 1, 1_000)?;
            let Some(newest) = entries.last() else { return Ok(log) };
            log.last = (newest.term, newest.index);
        }
    }

    /// The epoch of entry `index`, which must not be beyond the last; 0 for index 0.
    pub fn epoch_at(&self, index: u64) -> u64 {
        let after = self.epochs.partition_point(|(_, first)| *first <= index);
        if index == 0 { 0 } else { after.checked_sub(1).map_or(0, |at| self.epochs[at].0) }
    }

    /// The newest index at which this log may agree with another that has something else at `index`.
    pub fn before_epoch_of(&self, index: u64) -> u64 {
        self.epochs.iter().rev().find(|(_, first)| *first <= index).map_or(0, |(_, first)| first - 1)
    }

    /// Whether it has exactly this entry.
    pub fn contains(&self, (epoch, index): Position) -> bool {
        index <= self.last.1 && self.epoch_at(index) == epoch
    }

    /// Writes and applies an entry.
    pub fn write(&mut self, store: &mut Store, entry: &Entry) -> Result<(), StoreError> {
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < entry.term) {
            self.epochs.push((entry.term, entry.index));
            store.begin_term(entry.term, entry.index)?;
        }
        store.append(entry)?;
        self.last = (entry.term, entry.index);
        Ok(())
    }

    /// Writes what a transaction of this node, the head, changed.
    pub fn write_new(&mut self, store: &mut Store, epoch: u64, changes: Vec<Change>) -> Result<(), StoreError> {
        let entry = Entry { index: self.last.1 + 1, term: epoch, wall: 0, changes, origin: None };
        self.write(store, &entry)
    }

    /// Takes back every entry from `first` on, which must be kept, and saves them for the post-mortem.
    pub fn discard(&mut self, store: &mut Store, first: u64, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let tail = store.truncate(first)?;
        self.epochs.retain(|(_, begins)| *begins < first);
        self.last = (self.epoch_at(first - 1), first - 1);
        if let (Some(oldest), Some(newest)) = (tail.first(), tail.last()) {
            let name = format!("discarded-{}-{}-{}.jsonl", newest.term, oldest.index, newest.index);
            out.push(Output::Say(format!(
                "discards entries {} to {}, which nobody acknowledged, kept in {name}",
                oldest.index, newest.index
            )));
            let lines = tail.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
            out.push(Output::Keep(name, lines));
        }
        Ok(())
    }

    /// Replaces everything by a copy as of `last`.
    pub fn install(
        &mut self,
        store: &mut Store,
        last: Position,
        epochs: Vec<(u64, u64)>,
        rows: &[(String, Cell)],
    ) -> Result<(), StoreError> {
        store.install(rows, &epochs)?;
        store.set_meta("snapshot-term", &last.0.to_string())?;
        store.set_meta("snapshot-index", &last.1.to_string())?;
        (self.last, self.epochs, self.oldest) = (last, epochs, last.1 + 1);
        Ok(())
    }

    /// Forgets what nobody is likely to ask for.
    pub fn compact(&mut self, store: &mut Store) -> Result<(), StoreError> {
        let first = self.last.1.saturating_sub(self.keep);
        if first > self.oldest + self.keep / 10 {
            store.compact(first)?;
            self.oldest = first;
        }
        Ok(())
    }
}
