//! The log as Raft sees it: in memory whole, in the store's journal line by line.
//!
//! The library reads through a shared reference and at any moment, while the store is lent to one step at a time; so what the log keeps (`keep_log` entries)
//! is held in memory too. Nothing here is changed without its copy in the store's open transaction, and no message leaves before that is committed.

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use crate::modes::single_leader::Position;
use crate::store::{Store, StoreError};

/// How many lines are read at a time.
const CHUNK: usize = 10_000;

/// A node's log, its vote, and how far it is applied.
pub struct Log {
    entries: VecDeque<Entry>,
    /// The entry before the first one kept.
    before: Position,
    /// Term, vote and commit, as the store has them.
    hard: HardState,
    /// The last entry that the rows contain.
    applied: Position,
    voters: Vec<u64>,
}

impl Log {
    /// The log as the store left it; `voters` are the nodes' numbers.
    pub fn recover(store: &Store, voters: Vec<u64>) -> Result<Log, StoreError> {
        let number = |name: &str| -> Result<u64, StoreError> {
            Ok(store.meta(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
        };
        let hard =
            HardState { term: number("term")?, vote: number("vote")?, commit: number("commit")?, ..Default::default() };
        let mut log = Log {
            entries: VecDeque::new(),
            before: (number("before-term")?, number("before-index")?),
            hard,
            applied: (number("snapshot-term")?, number("snapshot-index")?),
            voters,
        };
        loop {
            let lines = store.journal_lines(log.last() + 1, CHUNK)?;
            if lines.is_empty() {
                return Ok(log);
            }
            log.entries.extend(lines.into_iter().map(|(index, line)| entry(index, &line)));
        }
    }

    /// The last entry's index.
    pub fn last(&self) -> u64 {
        self.before.1 + self.entries.len() as u64
    }

    /// The last entry that the rows contain.
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// What is known to be committed, as the store has it.
    pub fn committed(&self) -> u64 {
        self.hard.commit
    }

    /// The entry at an index, if it is kept.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(index.checked_sub(self.before.1 + 1)? as usize)
    }

    /// Adds entries in place of whatever is there from the first of them on.
    pub fn append(&mut self, store: &mut Store, entries: Vec<Entry>) -> Result<(), StoreError> {
        let Some(first) = entries.first().map(|entry| entry.index) else { return Ok(()) };
        if first <= self.last() {
            store.journal_cut(first)?;
            self.entries.truncate(first.saturating_sub(self.before.1 + 1) as usize);
        }
        for entry in entries {
            store.journal_append(entry.index, &line(&entry))?;
            self.entries.push_back(entry);
        }
        Ok(())
    }

    /// Keeps the term and the vote.
    pub fn keep_vote(&mut self, store: &mut Store, hard: &HardState) -> Result<(), StoreError> {
        if (self.hard.term, self.hard.vote) != (hard.term, hard.vote) {
            store.set_meta("term", &hard.term.to_string())?;
            store.set_meta("vote", &hard.vote.to_string())?;
            (self.hard.term, self.hard.vote) = (hard.term, hard.vote);
        }
        Ok(())
    }

    /// Keeps how far the log is committed.
    pub fn keep_commit(&mut self, store: &mut Store, commit: u64) -> Result<(), StoreError> {
        if commit != self.hard.commit {
            store.set_meta("commit", &commit.to_string())?;
            self.hard.commit = commit;
        }
        Ok(())
    }

    /// Notes how far the rows have come, in the transaction that changed them.
    pub fn keep_applied(&mut self, store: &mut Store, applied: Position) -> Result<(), StoreError> {
        store.set_meta("snapshot-term", &applied.0.to_string())?;
        store.set_meta("snapshot-index", &applied.1.to_string())?;
        self.applied = applied;
        Ok(())
    }

    /// Forgets all but the newest `keep` of the applied entries.
    pub fn compact(&mut self, store: &mut Store, keep: u64) -> Result<(), StoreError> {
        let before = self.applied.1.saturating_sub(keep);
        if before <= self.before.1 + keep / 10 {
            return Ok(());
        }
        let Some(term) = self.get(before).map(|entry| entry.term) else { return Ok(()) };
        self.entries.drain(..(before - self.before.1) as usize);
        self.begin_after(store, (term, before))?;
        store.journal_trim(before + 1)
    }

    /// Begins anew after a copy of the rows as of `position`.
    pub fn restart(&mut self, store: &mut Store, position: Position) -> Result<(), StoreError> {
        store.journal_cut(0)?;
        self.entries.clear();
        self.begin_after(store, position)?;
        self.keep_applied(store, position)?;
        self.keep_commit(store, position.1.max(self.hard.commit))
    }

    fn begin_after(&mut self, store: &mut Store, position: Position) -> Result<(), StoreError> {
        self.before = position;
        store.set_meta("before-term", &position.0.to_string())?;
        store.set_meta("before-index", &position.1.to_string())
    }
}

/// An entry's line: its term, a blank, its operations as JSON; nothing after the blank in the entry that opens a term.
fn line(entry: &Entry) -> String {
    format!("{} {}", entry.term, String::from_utf8_lossy(&entry.data))
}

fn entry(index: u64, line: &str) -> Entry {
    let (term, data) = line.split_once(' ').unwrap_or((line, ""));
    new_entry((term.parse().unwrap_or(0), index), data.to_string())
}

/// An ordinary entry.
pub fn new_entry((term, index): Position, data: String) -> Entry {
    Entry { entry_type: EntryType::EntryNormal, term, index, data: data.into(), ..Entry::default() }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard.clone(), self.conf_state()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.before.1 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let most = max_size.into().unwrap_or(u64::MAX);
        let mut size = 0;
        let kept = (low..high).map_while(|index| self.get(index)).take_while(|entry| {
            let first = size == 0;
            size += entry.data.len() as u64 + 16;
            first || size <= most
        });
        Ok(kept.cloned().collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.before.1 {
            return Ok(self.before.0);
        }
        if index < self.before.1 {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.get(index).map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.1 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// Only the position: the rows travel beside it, copied when the message leaves.
    fn snapshot(&self, least: u64, _: u64) -> raft::Result<Snapshot> {
        if self.applied.1 < least.max(1) {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(self.snapshot_of(self.applied))
    }
}

impl Log {
    /// What the library is told of a copy as of `position`.
    pub fn snapshot_of(&self, (term, index): Position) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.set_conf_state(self.conf_state());
        (metadata.term, metadata.index) = (term, index);
        snapshot
    }

    fn conf_state(&self) -> ConfState {
        ConfState { voters: self.voters.clone(), ..ConfState::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Fsync;

    fn with_entries(terms: &[u64]) -> (tempfile::TempDir, Store, Log) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path(), Fsync::Never).expect("a store");
        let mut log = Log::recover(&store, vec![1, 2, 3]).expect("an empty log");
        let entries = terms.iter().zip(1..).map(|(term, index)| new_entry((*term, index), format!("[{index}]")));
        log.append(&mut store, entries.collect()).expect("the disk works");
        (dir, store, log)
    }

    fn terms(log: &Log) -> Vec<u64> {
        let first = log.first_index().expect("always known");
        (first..=log.last()).map(|index| log.term(index).expect("it is kept")).collect()
    }

    #[test]
    fn a_log_is_the_same_after_a_restart() {
        let (_dir, mut store, mut log) = with_entries(&[1, 1, 2, 2, 2]);
        let hard = HardState { term: 3, vote: 2, commit: 4, ..HardState::default() };
        log.keep_vote(&mut store, &hard).expect("the disk works");
        log.keep_commit(&mut store, 4).expect("the disk works");
        log.keep_applied(&mut store, (2, 4)).expect("the disk works");
        store.commit().expect("the disk works");
        let again = Log::recover(&store, vec![1, 2, 3]).expect("a log");
        assert_eq!((again.entries, again.hard, again.applied), (log.entries, hard, (2, 4)));
    }

    #[test]
    fn a_new_leaders_entries_replace_those_that_conflict() {
        let (_dir, mut store, mut log) = with_entries(&[1, 1, 1, 1]);
        log.append(&mut store, vec![new_entry((2, 3), String::new())]).expect("the disk works");
        assert_eq!(terms(&log), [1, 1, 2]);
        assert_eq!(terms(&Log::recover(&store, vec![1]).expect("a log")), [1, 1, 2]);
    }

    #[test]
    fn compaction_keeps_the_newest_applied_entries_and_the_term_before_them() {
        let (_dir, mut store, mut log) = with_entries(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]);
        log.keep_applied(&mut store, (2, 11)).expect("the disk works");
        log.compact(&mut store, 5).expect("the disk works");
        for log in [&log, &Log::recover(&store, vec![1]).expect("a log")] {
            assert_eq!((terms(log), log.term(6).expect("it is remembered")), (vec![2, 2, 2, 2, 2, 3], 1));
            assert!(log.term(5).is_err() && log.entries(6, 8, None, GetEntriesContext::empty(false)).is_err());
        }
    }

    #[test]
    fn a_message_takes_at_least_one_entry_and_no_more_than_fit() {
        let (_dir, _store, log) = with_entries(&[1; 9]);
        let count = |most: u64| log.entries(2, 9, most, GetEntriesContext::empty(false)).expect("entries").len();
        assert_eq!((count(0), count(19), count(38), count(u64::MAX)), (1, 1, 2, 7));
    }
}
