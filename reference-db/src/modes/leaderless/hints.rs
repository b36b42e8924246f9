//! Hinted handoff: what a stand-in keeps for a home that could not be reached, until that home has it.
//!
//! A hint is a line on disk, in the same transaction as the row that it is about, so a stand-in that is killed still knows whom to tell. A row goes over when its home is
//! heard again, and is dropped when the home has it on disk; a row that changed meanwhile goes over again. Without `--hints` the stand-in just keeps its rows, and
//! only reads that happen to ask it will ever show them.
//!
//! like: Dynamo §4.6, Riak's handoff; Cassandra keeps hints at the coordinator and counts none of them towards `w`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::held::digest;
use super::row::Row;
use super::{Message, Node};
use crate::config::Bug;
use crate::mode::Output;
use crate::store::{Store, StoreError};

/// How often a stand-in looks whether a home is back.
const EVERY: Duration = Duration::from_millis(100);
/// At most so many rows go over at once.
const ROWS: usize = 200;
/// A batch that was not confirmed for so long is sent anew.
const PATIENCE: Duration = Duration::from_millis(800);

/// What is kept for whom.
#[derive(Default)]
pub struct Hints {
    waiting: BTreeMap<String, BTreeSet<String>>,
    under_way: BTreeMap<String, Batch>,
    next_batch: u64,
    due: Duration,
}

struct Batch {
    number: u64,
    since: Duration,
    /// The keys, with the digest of what was sent.
    sent: Vec<(String, u64)>,
}

impl Hints {
    /// As the disk has them. `first` numbers the batches, so that a confirmation meant for an earlier start confirms none of this one's.
    pub fn recover(store: &Store, first: u64) -> Result<Hints, StoreError> {
        let mut hints = Hints { next_batch: first, ..Hints::default() };
        for (home, key) in store.hints()? {
            hints.waiting.entry(home).or_default().insert(key);
        }
        Ok(hints)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.waiting.values().map(|keys| keys.len() as u64).sum()
    }

    /// Whether the row of `key` is kept for anybody.
    pub fn any_for(&self, key: &str) -> bool {
        self.waiting.values().any(|keys| keys.contains(key))
    }

    fn add(&mut self, store: &mut Store, home: &str, key: &str) -> Result<(), StoreError> {
        if self.waiting.entry(home.to_string()).or_default().insert(key.to_string()) {
            store.add_hint(home, key)?;
        }
        Ok(())
    }

    fn drop(&mut self, store: &mut Store, home: &str, key: &str) -> Result<(), StoreError> {
        if let Some(keys) = self.waiting.get_mut(home) {
            keys.remove(key);
            if keys.is_empty() {
                self.waiting.remove(home);
            }
        }
        store.drop_hint(home, key)
    }
}

impl Node {
    /// Takes a write, as a home or, with `home`, in its place.
    pub(super) fn accept(
        &mut self,
        store: &mut Store,
        key: &str,
        row: &Row,
        home: Option<&str>,
    ) -> Result<(), StoreError> {
        self.merge(store, key, row)?;
        if let Some(home) = home.filter(|home| *home != self.me.name) {
            self.counters.stood_in += 1;
            if self.policy.hints {
                self.hints.add(store, home, key)?;
            }
        }
        Ok(())
    }

    /// Sends what is kept to those homes that are heard again.
    pub(super) fn hand_over(&mut self, store: &mut Store, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if self.now < self.hints.due {
            return Ok(());
        }
        self.hints.due = self.now + EVERY;
        let back = |home: &&String| !self.liveness.suspects(home, self.now);
        let homes: Vec<String> = self.hints.waiting.keys().filter(back).cloned().collect();
        for home in homes {
            let patient = |batch: &Batch| self.now.saturating_sub(batch.since) < PATIENCE;
            if !self.hints.under_way.get(&home).is_some_and(patient) {
                self.hand_over_to(store, &home, out)?;
            }
        }
        Ok(())
    }

    fn hand_over_to(&mut self, store: &mut Store, home: &str, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let keys: Vec<String> = self.hints.waiting.get(home).into_iter().flatten().take(ROWS).cloned().collect();
        let (mut rows, mut sent) = (Vec::new(), Vec::new());
        for key in keys {
            match store.versioned(&key)? {
                Some(_) if self.policy.bug == Some(Bug::ForgetHint) => self.done_for(store, home, &key)?,
                Some(text) => {
                    sent.push((key.clone(), digest(&text)));
                    rows.push((key, serde_json::from_str(&text)?));
                }
                None => self.hints.drop(store, home, &key)?,
            }
        }
        if !rows.is_empty() {
            self.hints.next_batch += 1;
            let number = self.hints.next_batch;
            self.hints.under_way.insert(home.to_string(), Batch { number, since: self.now, sent });
            out.push(self.send(home, Message::Deliver { batch: number, rows }));
        }
        Ok(())
    }

    /// A home has a batch on disk.
    pub(super) fn delivered(&mut self, store: &mut Store, home: &str, number: u64) -> Result<(), StoreError> {
        if self.hints.under_way.get(home).is_none_or(|batch| batch.number != number) {
            return Ok(());
        }
        for (key, sent) in self.hints.under_way.remove(home).into_iter().flat_map(|batch| batch.sent) {
            if store.versioned(&key)?.is_some_and(|text| digest(&text) == sent) {
                self.counters.hints_delivered += 1;
                self.done_for(store, home, &key)?;
            }
        }
        self.hints.due = self.now;
        Ok(())
    }

    /// Drops a hint, and the row with the last of its hints.
    fn done_for(&mut self, store: &mut Store, home: &str, key: &str) -> Result<(), StoreError> {
        self.hints.drop(store, home, key)?;
        if !self.hints.any_for(key) && !self.placement.is_home(key, &self.me.name) {
            self.forget(store, key)?;
        }
        Ok(())
    }
}
