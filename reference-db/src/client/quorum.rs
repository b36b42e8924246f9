//! A client that coordinates its own quorums: it sends to all `n` replicas of a key at once and waits for `w` or `r` of them.
//!
//! It is the writer, so versions are its own: each session of each process start is an actor, and its dots count its writes. A session writes one
//! thing after the other, so a dot of its own covers its earlier ones. With `lww` it is the *client's* wall clock that stamps.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::pool::Pool;
use super::replicas::{Round, placement, tell};
use super::session::Failed;
use crate::config::{Bug, Leaderless, ModeConfig, Policy, Versions};
use crate::modes::leaderless::row::Row;
use crate::modes::leaderless::{REPAIR_WAIT, hash, merged, shown, wall_clock};
use crate::operation::{Code, Context, Operation, Outcome, Refusal, ReplicaRequest, Reply, Request, Version};
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

impl Quorum {
    /// For one session.
    pub fn new(config: &ModeConfig, session: &str) -> Quorum {
        let policy = match &config.policy {
            Policy::Leaderless(policy) => Some(policy.clone()),
            _ => None,
        };
        Quorum { policy, actor: actor(session), counter: 0, written: HashMap::new(), stamped: 0 }
    }

    /// Goes on under another name, which has written nothing yet.
    pub fn rename(&mut self, session: &str) {
        (self.actor, self.counter) = (actor(session), 0);
        self.written.clear();
    }

    /// Does a request as a coordinating node of `datacentre` would.
    pub async fn execute(&mut self, pool: &Arc<Pool>, datacentre: usize, request: &Request) -> Result<Reply, Failed> {
        let policy =
            self.policy.clone().ok_or_else(|| unsupported("clients coordinate only in the leaderless mode"))?;
        let at = At { pool, policy: &policy, datacentre };
        match request.ops.as_slice() {
            [Operation::Write { key, value }] => self.write(at, key, Some(value.clone()), request).await,
            [Operation::Delete { key }] => self.write(at, key, None, request).await,
            ops if !ops.is_empty() && ops.iter().all(|op| !op.writes()) => read(at, ops).await,
            _ => Err(unsupported("the leaderless mode reads, writes and deletes registers, one write at a time")),
        }
    }

    async fn write(&mut self, at: At<'_>, key: &str, value: Option<Value>, request: &Request) -> Result<Reply, Failed> {
        let At { pool, policy, datacentre } = at;
        let known = request.context.get(key).cloned().unwrap_or_default();
        let (row, version, contexts) = self.stamp(policy.versions, key, value, known);
        let put = ReplicaRequest::Put { key: key.to_string(), row, home: None };
        let mut round = Round::begin(pool, policy, datacentre, key, put.clone());
        let homes = placement(pool, policy);
        for other in (0..homes.datacentres()).filter(|other| *other != datacentre) {
            tell(pool, homes.homes_in(key, other), &put);
        }
        let done = |node: String| Reply { node, results: vec![Outcome::Done], version: Some(version), contexts };
        let (mut confirmed, mut possible, mut last) = (0, false, String::new());
        while let Some((replica, answer)) = round.next().await {
            match answer {
                Ok(_) => confirmed += 1,
                Err(refusal) => possible |= !refusal.definite,
            }
            last = replica;
            if confirmed >= policy.w {
                // What is still under way to the other replicas goes on.
                round.finish_alone();
                return Ok(done(last));
            }
        }
        possible |= confirmed > 0 || round.is_open();
        round.finish_alone();
        if confirmed > 0 && policy.bug == Some(Bug::CountPartialWrite) {
            return Ok(done(last));
        }
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
}

/// Where a request goes.
#[derive(Clone, Copy)]
struct At<'a> {
    pool: &'a Arc<Pool>,
    policy: &'a Leaderless,
    datacentre: usize,
}

async fn read(at: At<'_>, ops: &[Operation]) -> Result<Reply, Failed> {
    let mut reply = Reply { node: String::new(), results: Vec::new(), version: None, contexts: Vec::new() };
    for op in ops {
        let (node, outcome, version) = read_one(at, op.key()).await?;
        if let Version::Vector { seen, .. } = &version {
            reply.contexts.push(seen.clone());
        }
        reply.node = node;
        reply.results.push(outcome);
        reply.version = (ops.len() == 1).then_some(version);
    }
    Ok(reply)
}

async fn read_one(at: At<'_>, key: &str) -> Result<(String, Outcome, Version), Failed> {
    let get = ReplicaRequest::Get { key: key.to_string() };
    let mut round = Round::begin(at.pool, at.policy, at.datacentre, key, get);
    let (mut rows, mut last) = (Vec::new(), String::new());
    while let Some((replica, answer)) = round.next().await {
        last = replica.clone();
        if let Ok(reply) = answer {
            rows.push((replica, reply.row));
        }
        if rows.len() >= at.policy.r {
            let answer = merged(&rows);
            let (outcome, version) = shown(answer.clone());
            tokio::spawn(repair(at.pool.clone(), at.policy.clone(), key.to_string(), answer, rows, round));
            return Ok((last, outcome, version));
        }
    }
    let text = format!("{} of {} replicas answered in time", rows.len(), at.policy.r);
    Err(Failed { refusal: Refusal::definite(Code::QuorumNotReached, text), node: last })
}

/// Waits a while for the late replicas, notes what the answer lacked, and sends what was merged to the homes that lack it.
async fn repair(
    pool: Arc<Pool>,
    policy: Leaderless,
    key: String,
    answer: Option<Row>,
    mut rows: Vec<(String, Option<Row>)>,
    mut round: Round,
) {
    round.deadline = tokio::time::Instant::now() + REPAIR_WAIT;
    while let Some((replica, answer)) = round.next().await {
        if let Ok(reply) = answer {
            rows.push((replica, reply.row));
        }
    }
    pool.note_staleness(answer.as_ref(), rows.iter().filter_map(|(_, row)| row.as_ref()));
    if !policy.read_repair {
        return;
    }
    if policy.bug == Some(Bug::DropTombstone) {
        rows.retain(|(_, row)| row.as_ref().is_none_or(|row| !row.is_tombstone()));
    }
    let Some(merged) = merged(&rows) else { return };
    let homes = placement(&pool, &policy);
    // Who holds nothing needs no tombstone.
    let lacks = |row: &Option<Row>| row.as_ref() != Some(&merged) && (row.is_some() || !merged.is_tombstone());
    let stale = rows.iter().filter(|(replica, row)| lacks(row) && homes.is_home(&key, replica));
    let stale: Vec<String> = stale.map(|(replica, _)| replica.clone()).collect();
    tell(&pool, stale, &ReplicaRequest::Mend { key, row: merged });
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
