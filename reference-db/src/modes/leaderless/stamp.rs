//! The version that a coordinator gives to a write, and what the writing session knows afterwards.
//!
//! **Actors.** A dot names its actor, and a row that covers an actor's nth dot covers all before it. So an actor must never give a dot out twice, and never write on a
//! row in which it has forgotten one of its dots. The first would happen to a node that is started on an old copy of its directory. Peers could remember how far
//! each actor had come and warn it, but only if one that knows is reachable at that moment; so instead every start takes a name that was never used, at
//! the price of contexts that grow by one actor a start (like: Riak's vnode ids after a lost counter, but always).
//! The second would happen to a coordinator that is no home of the key, when it drops its private copy of the row: with the copy it drops its name.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Node;
use super::row::{Dot, Row, covers};
use crate::config::{Bug, Versions};
use crate::operation::{Context, Version};
use crate::store::{Store, StoreError};
use crate::value::Value;

/// Who gives out a node's dots.
pub struct Actor {
    /// The prefix of its names: the node and its start.
    base: String,
    /// How many names this start has dropped.
    renewed: u64,
    /// 32 bits that are this start's.
    unique: u64,
    counter: u64,
    /// What it has written of keys that it is no home of. In memory: a new start has a new name anyway.
    drafts: HashMap<String, Row>,
    drafts_due: Duration,
    /// The newest time stamp given out.
    stamped: i64,
}

impl Actor {
    /// For a process that starts now.
    pub fn recover(name: &str, bug: Option<Bug>, store: &mut Store) -> Result<Actor, StoreError> {
        let number = |name: &str| -> Result<u64, StoreError> {
            Ok(store.meta(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
        };
        let (starts, counter) = (number("starts")? + 1, number("counter")?);
        store.set_meta("starts", &starts.to_string())?;
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let unique = super::hash(&[&moment.to_string(), &std::process::id().to_string()]) & 0xffff_ffff;
        let (base, counter) = match bug {
            Some(Bug::ReuseActor) => (name.to_string(), counter),
            _ => (format!("{name}.{starts}.{unique:08x}"), 0),
        };
        Ok(Actor { base, renewed: 0, unique, counter, drafts: HashMap::new(), drafts_due: Duration::ZERO, stamped: 0 })
    }

    /// 32 bits that no other start has, but by accident.
    pub fn unique(&self) -> u64 {
        self.unique
    }

    fn name(&self) -> String {
        match self.renewed {
            0 => self.base.clone(),
            renewed => format!("{}.{renewed}", self.base),
        }
    }

    /// A stale copy outlives what replaced it, and would bring back what a collected tombstone deleted; so copies go before tombstones do.
    pub fn drop_drafts(&mut self, grace: Duration, now: Duration) {
        if now < self.drafts_due {
            return;
        }
        self.drafts_due = now + grace / 2;
        if !self.drafts.is_empty() {
            self.drafts.clear();
            (self.renewed, self.counter) = (self.renewed + 1, 0);
        }
    }

    fn time_stamp(&mut self) -> i64 {
        // The wall clock, wherever it goes; only the same instant is not given out twice.
        let clock = wall_clock();
        self.stamped = if clock == self.stamped { clock + 1 } else { clock };
        self.stamped
    }
}

impl Node {
    /// The row that a write makes, on top of what this node knows, and the version to report: for vectors, what was replaced and the new dot.
    pub(super) fn stamp(
        &mut self,
        store: &mut Store,
        key: &str,
        value: Option<Value>,
        seen: Option<&Context>,
    ) -> Result<(Row, Version), StoreError> {
        if self.policy.versions == Versions::Lww {
            let (timestamp, writer) = (self.actor.time_stamp(), self.me.name.clone());
            let version = Version::Stamp { timestamp, writer: writer.clone() };
            return Ok((Row::Stamped { timestamp, writer, value }, version));
        }
        let home = self.placement.is_home(key, &self.me.name);
        let held = if home { self.row(store, key)? } else { self.actor.drafts.get(key).cloned() };
        self.actor.counter += 1;
        if self.policy.bug == Some(Bug::ReuseActor) {
            store.set_meta("counter", &self.actor.counter.to_string())?;
        }
        let dot = (self.actor.name(), self.actor.counter);
        let seen = seen.cloned().unwrap_or_default();
        let row = held.unwrap_or_else(Row::empty).written(dot.clone(), value, &seen);
        if !home {
            self.actor.drafts.insert(key.to_string(), row.clone());
        }
        Ok((row, Version::Vector { seen, dots: vec![dot] }))
    }
}

/// What a session knows after a write: what it knew before and its own. Its own dot's counter also covers this coordinator's earlier ones, so where one
/// of them stands beside it that the session has not read, the session must not claim to know it, or its next write would replace it unseen.
pub fn learned(row: &Row, version: &Version) -> Option<Context> {
    let (Row::Vector { siblings, .. }, Version::Vector { seen, dots }) = (row, version) else { return None };
    let mut context = seen.clone();
    for (actor, counter) in dots {
        let unread = |(dot, _): &(Dot, Option<Value>)| dot.0 == *actor && dot.1 < *counter && !covers(seen, dot);
        if !siblings.iter().any(unread) {
            context.insert(actor.clone(), *counter);
        }
    }
    Some(context)
}

/// The wall clock, deliberately trusted: that is what last-write-wins does.
pub fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or_else(|before| -(before.duration().as_nanos() as i64), |since| since.as_nanos() as i64)
}
