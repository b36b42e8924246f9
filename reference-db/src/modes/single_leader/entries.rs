//! What a follower does with entries: it applies them in their order, and takes back whatever stood in their place.

use super::Node;
use crate::config::Bug;
use crate::mode::Output;
use crate::store::{Change, Entry, Store, StoreError};

impl Node {
    /// Takes entries that follow entry `index`. Answers up to where the log equals the leader's; `Err(hint)` where only a snapshot helps.
    pub fn take_entries(
        &mut self,
        store: &mut Store,
        index: u64,
        entries: Vec<Entry>,
        out: &mut Vec<Output>,
    ) -> Result<Result<u64, u64>, StoreError> {
        let matching = index + entries.len() as u64;
        if self.differs_below_the_log(&entries) {
            return Ok(Err(self.oldest - 1));
        }
        let late = self.of_the_slow_worker(&entries);
        for mut entry in entries {
            // The old format has no such field: a node of it reads past it and hands nothing on.
            entry.origin.take_if(|_| self.policy.format_version < 2);
            self.accept(store, entry, out)?;
        }
        for (key, cell) in late {
            store.put(&key, cell.as_ref())?;
        }
        Ok(Ok(matching))
    }

    /// Without the bug, nothing: entries take effect in their order. With it, what every second entry changed takes effect last.
    fn of_the_slow_worker(&self, entries: &[Entry]) -> Vec<Change> {
        if self.policy.bug != Some(Bug::ApplyOutOfOrder) {
            return Vec::new();
        }
        let news = entries.iter().filter(|entry| entry.index > self.last.1 && entry.index % 2 == 1);
        news.flat_map(|entry| entry.changes.clone()).collect()
    }

    /// Whether taking these entries would mean taking back some that are no longer in the log, with how to undo them.
    fn differs_below_the_log(&self, entries: &[Entry]) -> bool {
        let differs = |entry: &&Entry| entry.index <= self.last.1 && self.term_at(entry.index) != entry.term;
        entries.iter().find(differs).is_some_and(|entry| entry.index < self.oldest)
    }

    /// Takes an entry of the leader, and takes back whatever stood in its place.
    fn accept(&mut self, store: &mut Store, entry: Entry, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if entry.index <= self.last.1 {
            if self.term_at(entry.index) == entry.term {
                return Ok(());
            }
            self.discard(store, entry.index, out)?;
        }
        self.write(store, entry)
    }

    /// Takes back every entry from `first` on and keeps them for the post-mortem.
    fn discard(&mut self, store: &mut Store, first: u64, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let tail = store.truncate(first)?;
        if self.policy.bug == Some(Bug::ForgetTailDiscard) {
            for (key, cell) in tail.iter().flat_map(|entry| &entry.changes) {
                store.put(key, cell.as_ref())?;
            }
        }
        self.terms.retain(|(_, begins)| *begins < first);
        while self.cache.back().is_some_and(|entry| entry.index >= first) {
            self.cache.pop_back();
        }
        self.last = (self.term_at(first - 1), first - 1);
        self.wall = self.cache.iter().map(|entry| entry.wall).max().unwrap_or(i64::MIN);
        self.committed = self.committed.min(first - 1);
        self.keep_tail(&tail, out)
    }

    /// Keeps entries that no leader has, for the post-mortem.
    pub fn keep_tail(&self, tail: &[Entry], out: &mut Vec<Output>) -> Result<(), StoreError> {
        if let (Some(oldest), Some(newest)) = (tail.first(), tail.last()) {
            let name = format!("discarded-{}-{}-{}.jsonl", newest.term, oldest.index, newest.index);
            out.push(Output::Say(format!(
                "discards entries {} to {} of term {}, kept in {name}",
                oldest.index, newest.index, newest.term
            )));
            let lines = tail.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
            out.push(Output::Keep(name, lines));
        }
        Ok(())
    }
}
