//! Anti-entropy: now and then a node compares itself with a random peer, level by level of the [`Tree`](super::tree::Tree), and both end with the merged rows.
//!
//! Root → ranges that differ → digests of their keys → only the rows that differ. Whatever the difference, a comparison moves at most [`KEYS`] digests and twice
//! [`ROWS`] rows, and begins at a random range, so that a large difference is worked off over many comparisons and no range waits for ever.

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

use super::row::Row;
use super::tree::RANGES;
use super::{Message, Node};
use crate::mode::Output;
use crate::store::{Store, StoreError};

/// How often a node compares itself.
const EVERY: Duration = Duration::from_millis(400);
/// At most so many keys' digests travel in one comparison, and a range's rest.
const KEYS: usize = 2_000;
/// At most so many rows travel each way in one comparison.
const ROWS: usize = 400;

/// A step of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Compare {
    /// The digest of everything that we share.
    Root(u64),
    /// The roots differ; these are my ranges.
    Ranges(Vec<u64>),
    /// These ranges differ; so are my keys in them.
    Keys {
        /// The ranges.
        ranges: Vec<usize>,
        /// Their keys with digests.
        keys: Vec<(String, u64)>,
    },
    /// What differs.
    Rows {
        /// My rows.
        rows: Vec<(String, Row)>,
        /// The keys whose rows I want.
        want: Vec<String>,
    },
}

impl Node {
    /// Begins a comparison if one is due.
    pub(super) fn compare(&mut self, out: &mut Vec<Output>) {
        if !self.policy.anti_entropy || self.now < self.compare_due || self.me.nodes.len() < 2 {
            return;
        }
        self.compare_due = self.now + EVERY;
        let others: Vec<&String> = self.me.nodes.iter().filter(|node| **node != self.me.name).collect();
        let peer = others[self.rng.random_range(0..others.len())].clone();
        out.push(self.send(&peer, Message::Compare(Compare::Root(self.tree.root(&peer)))));
    }

    /// Takes the next step of a comparison.
    pub(super) fn compared(
        &mut self,
        store: &mut Store,
        from: &str,
        step: Compare,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let answer = match step {
            Compare::Root(theirs) => (theirs != self.tree.root(from)).then(|| Compare::Ranges(self.tree.ranges(from))),
            Compare::Ranges(theirs) => self.keys_of(from, &theirs),
            Compare::Keys { ranges, keys } => Some(self.difference(store, from, &ranges, keys)?),
            Compare::Rows { rows, want } => {
                self.counters.rows_compared += rows.len() as u64;
                for (key, row) in rows {
                    self.mend(store, &key, &row)?;
                }
                let rows = self.rows(store, want.into_iter().take(ROWS))?;
                (!rows.is_empty()).then_some(Compare::Rows { rows, want: Vec::new() })
            }
        };
        out.extend(answer.map(|answer| self.send(from, Message::Compare(answer))));
        Ok(())
    }

    /// The digests of our keys in the ranges that differ, as many as fit.
    fn keys_of(&mut self, peer: &str, theirs: &[u64]) -> Option<Compare> {
        let mut differing = self.tree.differing(peer, theirs);
        if differing.is_empty() {
            return None;
        }
        let first = self.rng.random_range(0..differing.len());
        differing.rotate_left(first);
        let (mut ranges, mut keys) = (Vec::new(), Vec::new());
        for range in differing {
            if keys.len() >= KEYS {
                break;
            }
            keys.extend(self.tree.keys(peer, range).map(|(key, digest)| (key.to_string(), digest)));
            ranges.push(range);
        }
        Some(Compare::Keys { ranges, keys })
    }

    /// Our rows of the keys whose digests differ, and which of theirs we want.
    fn difference(
        &mut self,
        store: &Store,
        peer: &str,
        ranges: &[usize],
        keys: Vec<(String, u64)>,
    ) -> Result<Compare, StoreError> {
        let theirs: BTreeMap<String, u64> = keys.into_iter().collect();
        let ours = ranges.iter().filter(|range| **range < RANGES).flat_map(|range| self.tree.keys(peer, *range));
        let differing = ours.filter(|(key, digest)| theirs.get(*key).copied().unwrap_or(0) != *digest);
        let send: Vec<String> = differing.map(|(key, _)| key.to_string()).take(ROWS).collect();
        let want = theirs.into_iter().filter(|(key, digest)| self.tree.digest(key) != *digest);
        let want = want.map(|(key, _)| key).take(ROWS).collect();
        Ok(Compare::Rows { rows: self.rows(store, send.into_iter())?, want })
    }

    fn rows(&self, store: &Store, keys: impl Iterator<Item = String>) -> Result<Vec<(String, Row)>, StoreError> {
        let mut rows = Vec::new();
        for key in keys {
            if let Some(row) = self.row(store, &key)? {
                rows.push((key, row));
            }
        }
        Ok(rows)
    }
}
