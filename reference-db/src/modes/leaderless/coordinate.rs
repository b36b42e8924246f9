//! Sending a client's request to the replicas and counting their answers.

use std::time::Duration;

use super::row::{Dot, Row, covers};
use super::{Message, Node};
use crate::config::Versions;
use crate::mode::{Output, Ticket};
use crate::operation::{Code, Context, Operation, Outcome, Refusal, Reply, Request, Version};
use crate::store::{Store, StoreError};
use crate::value::Value;

/// How long replicas have to answer.
pub const QUORUM_LIMIT: Duration = Duration::from_millis(700);
/// How long after its answer a read waits for the late replicas, to mend them.
pub const REPAIR_WAIT: Duration = Duration::from_millis(300);

/// A request under way: its keys in turn, one quorum each.
pub struct Task {
    /// Whom to answer; `None` once that is done.
    ticket: Option<Ticket>,
    needed: usize,
    deadline: Duration,
    kind: Kind,
}

enum Kind {
    Write { confirmed: usize, reply: Reply },
    Read { key: String, answers: Vec<(String, Option<Row>)>, expected: usize, rest: Vec<String>, done: Partial },
}

/// The answers of a request of several reads so far.
#[derive(Default)]
struct Partial {
    results: Vec<Outcome>,
    versions: Vec<Version>,
}

impl Node {
    /// A client asks this node to coordinate.
    pub fn request(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let refuse = |out: &mut Vec<Output>, code, text: &str| {
            out.push(Output::Reply(ticket, Err(Refusal::definite(code, text))))
        };
        match request.ops.as_slice() {
            [] => refuse(out, Code::BadRequest, "a request needs at least one operation"),
            [Operation::Write { key, value }] => {
                self.write_quorum(store, now, ticket, (key, Some(value.clone())), &request, out)?;
            }
            [Operation::Delete { key }] => self.write_quorum(store, now, ticket, (key, None), &request, out)?,
            ops if ops.iter().all(|op| matches!(op, Operation::Read { .. })) => {
                let mut keys: Vec<String> = ops.iter().map(|op| op.key().to_string()).collect();
                keys.reverse();
                self.read_next(store, now, ticket, keys, Partial::default(), out)?;
            }
            _ => refuse(
                out,
                Code::Unsupported,
                "the leaderless mode reads, writes and deletes registers, one write at a time",
            ),
        }
        Ok(())
    }

    fn write_quorum(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        (key, value): (&str, Option<Value>),
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let replicas = self.replicas(key);
        let (row, version) = self.stamp(store, key, value, request.context.get(key))?;
        let contexts = learned(&row, &version).into_iter().collect();
        let reply =
            Reply { node: self.me.name.clone(), results: vec![Outcome::Done], version: Some(version), contexts };
        let task = self.next_task;
        self.next_task += 1;
        let kind = Kind::Write { confirmed: 0, reply };
        self.tasks
            .insert(task, Task { ticket: Some(ticket), needed: self.policy.w, deadline: now + QUORUM_LIMIT, kind });
        for replica in &replicas {
            if *replica != self.me.name {
                out.push(self.send(replica, Message::Put { task, key: key.to_string(), row: row.clone() }));
            }
        }
        // A coordinator that is no replica keeps the row all the same: its next dot covers this one, so it must travel with it.
        self.merge(store, key, &row)?;
        if replicas.contains(&self.me.name) {
            self.stored(task, out);
        }
        Ok(())
    }

    /// The row that a write makes, on top of what this node holds, and the version to report: for vectors, what was replaced and the new dot.
    fn stamp(
        &mut self,
        store: &Store,
        key: &str,
        value: Option<Value>,
        seen: Option<&Context>,
    ) -> Result<(Row, Version), StoreError> {
        match self.policy.versions {
            Versions::Lww => {
                // The wall clock, wherever it goes; only the same instant is not given out twice.
                let clock = wall_clock();
                let timestamp = if clock == self.stamped { clock + 1 } else { clock };
                self.stamped = timestamp;
                let writer = self.me.name.clone();
                let version = Version::Stamp { timestamp, writer: writer.clone() };
                Ok((Row::Stamped { timestamp, writer, value }, version))
            }
            Versions::Vectors => {
                self.counter += 1;
                let dot = (self.actor.clone(), self.counter);
                let seen = seen.cloned().unwrap_or_default();
                let held = self.row(store, key)?.unwrap_or_else(Row::empty);
                let row = held.written(dot.clone(), value, &seen);
                Ok((row, Version::Vector { seen, dots: vec![dot] }))
            }
        }
    }

    fn read_next(
        &mut self,
        store: &Store,
        now: Duration,
        ticket: Ticket,
        mut rest: Vec<String>,
        done: Partial,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(key) = rest.pop() else {
            out.push(Output::Reply(ticket, Ok(self.reply(done))));
            return Ok(());
        };
        let replicas = self.replicas(&key);
        let task = self.next_task;
        self.next_task += 1;
        for replica in replicas.iter().filter(|replica| **replica != self.me.name) {
            out.push(self.send(replica, Message::Get { task, key: key.clone() }));
        }
        let own = if replicas.contains(&self.me.name) { Some(self.row(store, &key)?) } else { None };
        let kind = Kind::Read { key, answers: Vec::new(), expected: replicas.len(), rest, done };
        self.tasks
            .insert(task, Task { ticket: Some(ticket), needed: self.policy.r, deadline: now + QUORUM_LIMIT, kind });
        if let Some(row) = own {
            let me = self.me.name.clone();
            self.got(store, now, task, &me, row, out)?;
        }
        Ok(())
    }

    fn reply(&self, done: Partial) -> Reply {
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

    /// A replica has a write on disk.
    pub fn stored(&mut self, id: u64, out: &mut Vec<Output>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let Kind::Write { confirmed, .. } = &mut task.kind else { return };
        *confirmed += 1;
        if *confirmed >= task.needed
            && let Some(Task { ticket: Some(ticket), kind: Kind::Write { reply, .. }, .. }) = self.tasks.remove(&id)
        {
            out.push(Output::Reply(ticket, Ok(reply)));
        }
    }

    /// A replica answered a read.
    pub fn got(
        &mut self,
        store: &Store,
        now: Duration,
        id: u64,
        from: &str,
        row: Option<Row>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(task) = self.tasks.get_mut(&id) else { return Ok(()) };
        let Kind::Read { answers, expected, rest, done, .. } = &mut task.kind else { return Ok(()) };
        answers.push((from.to_string(), row));
        let complete = answers.len() >= *expected;
        let mut next = None;
        if answers.len() >= task.needed
            && let Some(ticket) = task.ticket.take()
        {
            let (outcome, version) = seen(answers);
            let mut done = std::mem::take(done);
            done.results.push(outcome);
            done.versions.push(version);
            next = Some((ticket, std::mem::take(rest), done));
            task.deadline = now + REPAIR_WAIT;
        }
        if complete && task.ticket.is_none() {
            self.repair(id, out);
        }
        match next {
            Some((ticket, rest, done)) => self.read_next(store, now, ticket, rest, done, out),
            None => Ok(()),
        }
    }

    /// Sends what a read merged to the replicas that lack it.
    fn repair(&mut self, id: u64, out: &mut Vec<Output>) {
        let Some(Task { kind: Kind::Read { key, answers, .. }, .. }) = self.tasks.remove(&id) else { return };
        let Some(merged) = merged(&answers).filter(|_| self.policy.read_repair) else { return };
        for (replica, row) in &answers {
            if row.as_ref() != Some(&merged) {
                let message = Message::Put { task: 0, key: key.clone(), row: merged.clone() };
                if *replica == self.me.name {
                    // The node's own replica is mended like any other, through its own queue.
                    out.push(Output::Send(self.me.name.clone(), crate::mode::Message::Leaderless(message)));
                } else {
                    out.push(self.send(replica, message));
                }
            }
        }
    }

    /// Requests whose quorum did not answer in time, and reads that have waited long enough for late replicas.
    pub fn expire(&mut self, now: Duration, out: &mut Vec<Output>) {
        let late: Vec<u64> = self.tasks.iter().filter(|(_, task)| now >= task.deadline).map(|(id, _)| *id).collect();
        for id in late {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            match (task.ticket.take(), &task.kind) {
                (Some(ticket), Kind::Write { confirmed, .. }) => {
                    let text = format!(
                        "{confirmed} of {} replicas confirmed in time; the write is not taken back",
                        task.needed
                    );
                    out.push(Output::Reply(ticket, Err(Refusal::unknown(Code::QuorumNotReached, text))));
                    self.tasks.remove(&id);
                }
                (Some(ticket), Kind::Read { answers, .. }) => {
                    let text = format!("{} of {} replicas answered in time", answers.len(), task.needed);
                    out.push(Output::Reply(ticket, Err(Refusal::definite(Code::QuorumNotReached, text))));
                    self.tasks.remove(&id);
                }
                (None, _) => self.repair(id, out),
            }
        }
    }
}

/// What a session knows after a write: what it knew before and its own. Its own dot's counter also covers this coordinator's earlier ones, so where one
/// of them stands beside it that the session has not read, the session must not claim to know it, or its next write would replace it unseen.
fn learned(row: &Row, version: &Version) -> Option<Context> {
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

pub fn merged(answers: &[(String, Option<Row>)]) -> Option<Row> {
    let mut rows = answers.iter().filter_map(|(_, row)| row.as_ref());
    let first = rows.next()?.clone();
    Some(rows.fold(first, |merged, row| merged.merged(row)))
}

/// What a client is shown of the replicas' rows.
pub fn seen(answers: &[(String, Option<Row>)]) -> (Outcome, Version) {
    match merged(answers) {
        None => (Outcome::Nil, Version::Vector { seen: Context::new(), dots: Vec::new() }),
        Some(row) => shown(row),
    }
}

/// A row as a client sees it: tombstones are nothing.
pub fn shown(row: Row) -> (Outcome, Version) {
    match row {
        Row::Stamped { timestamp, writer, value } => {
            (value.map_or(Outcome::Nil, Outcome::Value), Version::Stamp { timestamp, writer })
        }
        Row::Vector { siblings, context } => {
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

/// The wall clock, deliberately trusted: that is what last-write-wins does.
pub fn wall_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or_else(|before| -(before.duration().as_nanos() as i64), |since| since.as_nanos() as i64)
}
