//! A client that coordinates its own quorums: it sends to all `n` replicas of a key at once and waits for `w` or `r` of them.
//!
//! It is the writer, so versions are its own: each session of each process start is an actor, and its dots count its writes. A session writes one
//! thing after the other, so a dot of its own covers its earlier ones. With `lww` it is the *client's* wall clock that stamps.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::pool::Pool;
use super::session::Failed;
use crate::config::{Leaderless, ModeConfig, Policy, Versions};
use crate::modes::leaderless::row::Row;
use crate::modes::leaderless::{QUORUM_LIMIT, REPAIR_WAIT, hash, merged, replicas, seen, wall_clock};
use crate::operation::{
    Code, Context, Operation, Outcome, Refusal, ReplicaReply, ReplicaRequest, Reply, Request, Version,
};
use crate::value::Value;

/// The coordinator within a session.
pub struct Quorum {
    policy: Option<Leaderless>,
    actor: String,
    counter: u64,
    /// The dot of this session's last write to each key; whatever it wrote there before is covered.
    written: HashMap<String, u64>,
    stamped: i64,
}

/// Answers as they come, each with its replica.
type Answers = JoinSet<(String, Result<ReplicaReply, Refusal>)>;

impl Quorum {
    pub fn new(config: &ModeConfig, session: &str) -> Quorum {
        let policy = match &config.policy {
            Policy::Leaderless(policy) => Some(policy.clone()),
            Policy::SingleLeader(_) | Policy::MultiLeader(_) => None,
        };
        Quorum { policy, actor: actor(session), counter: 0, written: HashMap::new(), stamped: 0 }
    }

    /// Goes on under another name, which has written nothing yet.
    pub fn rename(&mut self, session: &str) {
        (self.actor, self.counter) = (actor(session), 0);
        self.written.clear();
    }

    /// Does a request as a coordinating node would.
    pub async fn execute(&mut self, pool: &Arc<Pool>, request: &Request) -> Result<Reply, Failed> {
        let policy =
            self.policy.clone().ok_or_else(|| unsupported("clients coordinate only in the leaderless mode"))?;
        match request.ops.as_slice() {
            [Operation::Write { key, value }] => self.write(pool, &policy, key, Some(value.clone()), request).await,
            [Operation::Delete { key }] => self.write(pool, &policy, key, None, request).await,
            ops if !ops.is_empty() && ops.iter().all(|op| !op.writes()) => self.read(pool, &policy, ops).await,
            _ => Err(unsupported("the leaderless mode reads, writes and deletes registers, one write at a time")),
        }
    }

    async fn write(
        &mut self,
        pool: &Arc<Pool>,
        policy: &Leaderless,
        key: &str,
        value: Option<Value>,
        request: &Request,
    ) -> Result<Reply, Failed> {
        let known = request.context.get(key).cloned().unwrap_or_default();
        let (row, version, contexts) = self.stamp(policy.versions, key, value, known);
        let put = ReplicaRequest::Put { key: key.to_string(), row };
        let mut answers = send(pool, replicas_of(pool, policy, key), &put);
        let (mut confirmed, mut possible, mut last) = (0, false, String::new());
        let deadline = tokio::time::Instant::now() + QUORUM_LIMIT;
        while let Ok(Some(Ok((replica, answer)))) = tokio::time::timeout_at(deadline, answers.join_next()).await {
            match answer {
                Ok(_) => confirmed += 1,
                Err(refusal) => possible |= !refusal.definite,
            }
            last = replica;
            if confirmed >= policy.w {
                // What is still under way to the other replicas goes on.
                answers.detach_all();
                return Ok(Reply { node: last, results: vec![Outcome::Done], version: Some(version), contexts });
            }
        }
        possible |= confirmed > 0 || !answers.is_empty();
        answers.detach_all();
        let text = format!("{confirmed} of {} replicas confirmed in time; the write is not taken back", policy.w);
        let refusal = if possible {
            Refusal::unknown(Code::QuorumNotReached, text)
        } else {
            Refusal::definite(Code::QuorumNotReached, format!("no replica of {key} can be reached"))
        };
        Err(Failed { refusal, node: last })
    }

    /// The row of a write, what to report of it, and what the session knows afterwards.
    fn stamp(
        &mut self,
        versions: Versions,
        key: &str,
        value: Option<Value>,
        known: Context,
    ) -> (Row, Version, Vec<Context>) {
        if versions == Versions::Lww {
            let clock = wall_clock();
            self.stamped = if clock == self.stamped { clock + 1 } else { clock };
            let (timestamp, writer) = (self.stamped, self.actor.clone());
            let version = Version::Stamp { timestamp, writer: writer.clone() };
            return (Row::Stamped { timestamp, writer, value }, version, Vec::new());
        }
        self.counter += 1;
        let mut replaced = known;
        // Also a write of its own whose outcome is unknown is one that this session knows of.
        if let Some(counter) = self.written.insert(key.to_string(), self.counter) {
            let held = replaced.entry(self.actor.clone()).or_insert(0);
            *held = (*held).max(counter);
        }
        let dot = (self.actor.clone(), self.counter);
        let row = Row::empty().written(dot.clone(), value, &replaced);
        let mut context = replaced.clone();
        context.insert(dot.0.clone(), dot.1);
        (row, Version::Vector { seen: replaced, dots: vec![dot] }, vec![context])
    }

    async fn read(&mut self, pool: &Arc<Pool>, policy: &Leaderless, ops: &[Operation]) -> Result<Reply, Failed> {
        let mut reply = Reply { node: String::new(), results: Vec::new(), version: None, contexts: Vec::new() };
        for op in ops {
            let (node, outcome, version) = read_one(pool, policy, op.key()).await?;
            if let Version::Vector { seen, .. } = &version {
                reply.contexts.push(seen.clone());
            }
            reply.node = node;
            reply.results.push(outcome);
            reply.version = (ops.len() == 1).then_some(version);
        }
        Ok(reply)
    }
}

async fn read_one(pool: &Arc<Pool>, policy: &Leaderless, key: &str) -> Result<(String, Outcome, Version), Failed> {
    let mut answers = send(pool, replicas_of(pool, policy, key), &ReplicaRequest::Get { key: key.to_string() });
    let (mut rows, mut last) = (Vec::new(), String::new());
    let deadline = tokio::time::Instant::now() + QUORUM_LIMIT;
    while let Ok(Some(Ok((replica, answer)))) = tokio::time::timeout_at(deadline, answers.join_next()).await {
        last = replica.clone();
        if let Ok(reply) = answer {
            rows.push((replica, reply.row));
        }
        if rows.len() >= policy.r {
            let (outcome, version) = seen(&rows);
            if policy.read_repair {
                tokio::spawn(repair(pool.clone(), key.to_string(), rows, answers));
            }
            return Ok((last, outcome, version));
        }
    }
    let text = format!("{} of {} replicas answered in time", rows.len(), policy.r);
    Err(Failed { refusal: Refusal::definite(Code::QuorumNotReached, text), node: last })
}

/// Waits a while for the late replicas, then sends what was merged to those that lack it.
async fn repair(pool: Arc<Pool>, key: String, mut rows: Vec<(String, Option<Row>)>, mut answers: Answers) {
    let deadline = tokio::time::Instant::now() + REPAIR_WAIT;
    while let Ok(Some(Ok((replica, answer)))) = tokio::time::timeout_at(deadline, answers.join_next()).await {
        if let Ok(reply) = answer {
            rows.push((replica, reply.row));
        }
    }
    let Some(merged) = merged(&rows) else { return };
    let stale = rows.into_iter().filter(|(_, row)| row.as_ref() != Some(&merged)).map(|(replica, _)| replica);
    let put = ReplicaRequest::Put { key, row: merged.clone() };
    send(&pool, stale.collect(), &put).join_all().await;
}

fn send(pool: &Arc<Pool>, replicas: Vec<String>, request: &ReplicaRequest) -> Answers {
    let mut answers = JoinSet::new();
    for replica in replicas {
        let (pool, request) = (pool.clone(), request.clone());
        answers.spawn(async move {
            let answer = pool.replica(&replica, &request).await;
            (replica, answer)
        });
    }
    answers
}

fn replicas_of(pool: &Pool, policy: &Leaderless, key: &str) -> Vec<String> {
    let nodes: Vec<String> = pool.nodes().map(str::to_string).collect();
    replicas(&nodes, key, policy.n)
}

/// A name that no other process, and no other start of this one, uses for its sessions.
fn actor(session: &str) -> String {
    let moment = Duration::from_nanos(wall_clock().unsigned_abs());
    let unique = hash(&[&std::process::id().to_string(), &moment.as_nanos().to_string(), session]);
    format!("{session}.{:08x}", unique & 0xffff_ffff)
}

fn unsupported(text: &str) -> Failed {
    Failed { refusal: Refusal::definite(Code::Unsupported, text), node: String::new() }
}
