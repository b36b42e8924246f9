//! What a replica holds: merging what comes, and forgetting tombstones after their grace.
//!
//! A tombstone must outlive every copy of what it deleted, or repair brings that back. Nobody knows when the last copy is gone, so it is kept for
//! `--tombstone-grace` and then collected, by each replica on its own monotonic clock from when it got it (like: Cassandra's `gc_grace_seconds`, which trusts wall clocks).
//! A replica away for longer brings deleted keys back.

use std::collections::HashMap;
use std::time::Duration;

use super::Node;
use super::placement::hash;
use super::row::Row;
use crate::config::Bug;
use crate::store::{Store, StoreError};

/// The keys that hold nothing but tombstones, and when each became so.
#[derive(Default)]
pub struct Graves {
    since: HashMap<String, Duration>,
    sweep_due: Duration,
}

impl Graves {
    /// The keys whose grace is over, at most eight times in a grace.
    fn due(&mut self, grace: Duration, now: Duration) -> Vec<String> {
        if now < self.sweep_due {
            return Vec::new();
        }
        self.sweep_due = now + grace / 8;
        self.since
            .iter()
            .filter(|(_, since)| now.saturating_sub(**since) >= grace)
            .map(|(key, _)| key.clone())
            .collect()
    }
}

impl Node {
    /// What this replica holds of a key.
    pub(super) fn row(&self, store: &Store, key: &str) -> Result<Option<Row>, StoreError> {
        Ok(store.versioned(key)?.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Merges a write into what this replica holds.
    pub(super) fn merge(&mut self, store: &mut Store, key: &str, row: &Row) -> Result<(), StoreError> {
        let held = self.row(store, key)?;
        self.combine(store, key, held, row)
    }

    /// Merges what repair brought. Where nothing is held there is nothing to bury: a tombstone that was collected here doesn't come back.
    pub(super) fn mend(&mut self, store: &mut Store, key: &str, row: &Row) -> Result<(), StoreError> {
        let blind = self.policy.bug == Some(Bug::DropTombstone);
        let held = self.row(store, key)?.filter(|held| !(blind && held.is_tombstone()));
        if row.is_tombstone() && (blind || held.is_none()) {
            return Ok(());
        }
        self.combine(store, key, held, row)
    }

    fn combine(&mut self, store: &mut Store, key: &str, held: Option<Row>, row: &Row) -> Result<(), StoreError> {
        let mut merged = match &held {
            Some(held) => held.merged(row),
            None => row.clone(),
        };
        if self.policy.bug == Some(Bug::DropSibling) {
            merged.keep_one();
        }
        if held.as_ref() == Some(&merged) {
            return Ok(());
        }
        let text = serde_json::to_string(&merged)?;
        store.set_versioned(key, &text)?;
        self.remember(key, &merged, &text);
        self.applied += 1;
        Ok(())
    }

    /// Keeps digests and graves in step with a row.
    pub(super) fn remember(&mut self, key: &str, row: &Row, text: &str) {
        if row.is_tombstone() {
            self.graves.since.insert(key.to_string(), self.now);
        } else {
            self.graves.since.remove(key);
        }
        if self.placement.is_home(key, &self.me.name) {
            let digest = if row.is_tombstone() { 0 } else { digest(text) };
            let sharers = || self.placement.homes(key).into_iter().filter(|home| *home != self.me.name).collect();
            self.tree.set(key, digest, sharers);
        }
    }

    /// Forgets a key altogether.
    pub(super) fn forget(&mut self, store: &mut Store, key: &str) -> Result<(), StoreError> {
        store.drop_versioned(key)?;
        self.tree.forget(key);
        self.graves.since.remove(key);
        Ok(())
    }

    /// Collects the tombstones whose grace is over; one that is kept for somebody else goes when he has it.
    pub(super) fn bury(&mut self, store: &mut Store) -> Result<(), StoreError> {
        for key in self.graves.due(self.policy.tombstone_grace, self.now) {
            if !self.hints.any_for(&key) {
                self.forget(store, &key)?;
                self.counters.tombstones_collected += 1;
            }
        }
        Ok(())
    }
}

/// A row's digest, never 0.
pub fn digest(text: &str) -> u64 {
    hash(&[text]).max(1)
}
