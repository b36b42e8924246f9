//! Reads: from all homes at once, answered with the merged rows of the first `r`; then the late ones are waited for, measured and mended.
//!
//! A read of several keys is several reads, one after the other.

use super::coordinate::{Kind, REPAIR_WAIT};
use super::row::Row;
use super::{Message, Node};
use crate::config::Bug;
use crate::mode::{Output, Ticket};
use crate::operation::{Context, Outcome, Reply, Version};
use crate::store::{Store, StoreError};

/// A read of one key under way, and the request that it is part of.
pub struct Read {
    answers: Vec<(String, Option<Row>)>,
    /// What the client was shown; `None` until it was shown anything.
    shown: Option<Option<Row>>,
    request: Several,
}

/// A request of several reads: what is done and what is left.
#[derive(Default)]
pub struct Several {
    results: Vec<Outcome>,
    versions: Vec<Version>,
    /// The keys that follow, the next one last.
    rest: Vec<String>,
}

impl Node {
    /// Reads keys, given last one first.
    pub(super) fn read(&mut self, ticket: Ticket, keys: Vec<String>) {
        self.reads_due.push((ticket, Several { rest: keys, ..Several::default() }));
    }

    /// Begins whatever reads are due, at the end of each step. A read may be answered by this node alone and make the next one due; so this goes round, not down.
    pub(super) fn read_on(&mut self, store: &mut Store, out: &mut Vec<Output>) -> Result<(), StoreError> {
        while let Some((ticket, mut request)) = self.reads_due.pop() {
            let Some(key) = request.rest.pop() else {
                out.push(Output::Reply(ticket, Ok(self.reply(request))));
                continue;
            };
            let id = self.begin(ticket, &key, Kind::Read(Read { answers: Vec::new(), shown: None, request }));
            self.ask_all(store, id, out)?;
        }
        Ok(())
    }

    fn reply(&self, done: Several) -> Reply {
        let contexts = done.versions.iter().filter_map(|version| match version {
            Version::Vector { seen, .. } => Some(seen.clone()),
            _ => None,
        });
        Reply {
            node: self.me.name.clone(),
            contexts: contexts.collect(),
            version: if done.versions.len() == 1 { done.versions.into_iter().next() } else { None },
            results: done.results,
        }
    }

    /// A replica answered a read. The client's answer may make the next read due.
    pub(super) fn got(&mut self, id: u64, from: &str, row: Option<Row>, out: &mut Vec<Output>) {
        let (now, enough) = (self.now, self.policy.r);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if !matches!(task.kind, Kind::Read(_)) || !task.answered(from) {
            return;
        }
        let complete = task.asked.iter().all(|asked| asked.answered);
        let Kind::Read(read) = &mut task.kind else { return };
        read.answers.push((from.to_string(), row));
        if read.answers.len() >= enough
            && let Some(ticket) = task.ticket.take()
        {
            let merged = merged(&read.answers);
            let (outcome, version) = shown(merged.clone());
            read.shown = Some(merged);
            let mut request = std::mem::take(&mut read.request);
            request.results.push(outcome);
            request.versions.push(version);
            self.reads_due.push((ticket, request));
            task.deadline = now + REPAIR_WAIT;
        }
        if complete
            && task.ticket.is_none()
            && let Some(task) = self.tasks.remove(&id)
            && let Kind::Read(read) = task.kind
        {
            self.repair(&task.key, &read, out);
        }
    }

    /// Notes how stale a read was, and sends what it merged to the homes that lack it.
    pub(super) fn repair(&mut self, key: &str, read: &Read, out: &mut Vec<Output>) {
        if let Some(shown) = &read.shown {
            let all = read.answers.iter().filter_map(|(_, row)| row.as_ref());
            self.counters.staleness.note(shown.as_ref(), all);
        }
        if !self.policy.read_repair {
            return;
        }
        let blind = self.policy.bug == Some(Bug::DropTombstone);
        let rows = read.answers.iter().filter_map(|(_, row)| row.as_ref());
        let Some(merged) = merge_all(rows.filter(|row| !(blind && row.is_tombstone()))) else { return };
        for (replica, row) in &read.answers {
            // Who holds nothing needs no tombstone.
            let lacks = row.as_ref() != Some(&merged) && (row.is_some() || !merged.is_tombstone());
            if lacks && self.placement.is_home(key, replica) {
                self.counters.read_repairs += 1;
                // The node's own replica is mended like any other, through its own queue.
                out.push(self.send(replica, Message::Mend { key: key.to_string(), row: merged.clone() }));
            }
        }
    }
}

/// The merged rows of several replicas; `None` where none holds anything.
pub fn merged(answers: &[(String, Option<Row>)]) -> Option<Row> {
    merge_all(answers.iter().filter_map(|(_, row)| row.as_ref()))
}

fn merge_all<'a>(mut rows: impl Iterator<Item = &'a Row>) -> Option<Row> {
    let first = rows.next()?.clone();
    Some(rows.fold(first, |merged, row| merged.merged(row)))
}

/// What a client is shown of a row: tombstones are nothing.
pub fn shown(row: Option<Row>) -> (Outcome, Version) {
    match row {
        None => (Outcome::Nil, Version::Vector { seen: Context::new(), dots: Vec::new() }),
        Some(Row::Stamped { timestamp, writer, value }) => {
            (value.map_or(Outcome::Nil, Outcome::Value), Version::Stamp { timestamp, writer })
        }
        Some(Row::Vector { siblings, context }) => {
            let living: Vec<_> =
                siblings.into_iter().filter_map(|(dot, value)| value.map(|value| (dot, value))).collect();
            let (dots, mut values): (Vec<_>, Vec<_>) = living.into_iter().unzip();
            let outcome = match values.len() {
                0 => Outcome::Nil,
                1 => Outcome::Value(values.remove(0)),
                _ => Outcome::Siblings(values),
            };
            (outcome, Version::Vector { seen: context, dots })
        }
    }
}
