//! The read policies of the single-leader mode, as its client library carries them out.
//!
//! Every policy but `leader` is a promise that the *client* keeps, by what it remembers ([`Memory`]) and asks for: a replica knows its own position and lag, and nothing of
//! sessions. like: read preferences and causal sessions of MongoDB (`afterClusterTime`, `maxStalenessSeconds`), DDIA chapter 5, "Problems with Replication Lag".

use std::time::{Duration, Instant};

use super::memory::{Carried, Memory};
use super::session::{Failed, HOPS, Session};
use crate::config::{ReadPolicy, SingleLeader};
use crate::operation::{Code, Operation, Refusal, Reply, Request, Version};

/// How long a replica may wait until it has caught up with the token before the next one is asked, milliseconds.
const TOKEN_WAIT_MS: u64 = 25;

/// What a session of this mode remembers.
#[derive(Default)]
pub struct Known {
    /// The session's own, or with a known user that user's.
    memory: Memory,
    /// Which life of the memory this session belongs to.
    generation: u64,
    /// When its last write ended, whatever became of it.
    wrote: Option<Instant>,
    /// The leader's wall clock as of its last write, nanoseconds since the epoch.
    written_at: Option<i64>,
}

impl Known {
    /// One that shares what its user's devices remember.
    pub fn of(memory: Memory) -> Known {
        Known { generation: memory.generation(), memory, ..Known::default() }
    }
}

impl Session {
    /// Does a request as the policy says.
    pub(super) async fn single_leader(&mut self, mode: &SingleLeader, ops: Vec<Operation>) -> Result<Reply, Failed> {
        let writes = ops.iter().any(Operation::writes);
        let tokens = matches!(mode.reads, ReadPolicy::Token | ReadPolicy::SharedToken);
        if tokens && self.known.generation != self.known.memory.generation() {
            let text = "another device's token was discarded by a failover; begin a new session";
            return Err(Failed { refusal: Refusal::definite(Code::TokenDiscarded, text), node: String::new() });
        }
        let carried = if tokens { self.known.memory.carried() } else { Carried::default() };
        // A write carries the token too: it must not lead the session over to a history that lacks what it has seen.
        let request = Request { token: carried.newest, also: carried.earlier.clone(), ..self.request(ops, false) };
        let outcome = if writes { self.write(mode, request).await } else { self.read(mode, request).await };
        match &outcome {
            Ok(reply) => {
                if let (true, Some(position)) = (tokens, reply.version.as_ref().and_then(Version::position)) {
                    self.known.memory.answered(&carried, position);
                }
            }
            Err(failed) if failed.refusal.code == Code::TokenDiscarded => self.known.memory.discard(carried.generation),
            Err(_) => {}
        }
        outcome
    }

    async fn write(&mut self, mode: &SingleLeader, request: Request) -> Result<Reply, Failed> {
        if mode.reads == ReadPolicy::OwnWritesLeader {
            self.known.memory.changes(request.ops.iter().filter(|op| op.writes()).map(Operation::key));
        }
        let request = Request { dated: mode.reads == ReadPolicy::WallClockToken, ..request };
        let outcome = self.at_leader(request).await;
        // One whose outcome is unknown may have happened.
        self.known.wrote = Some(Instant::now());
        if let Ok(Reply { version: Some(Version::Dated { wall, .. }), .. }) = &outcome {
            self.known.written_at = Some(*wall);
        }
        outcome
    }

    async fn read(&mut self, mode: &SingleLeader, request: Request) -> Result<Reply, Failed> {
        let at_leader = match mode.reads {
            ReadPolicy::Leader => true,
            ReadPolicy::OwnWritesLeader => self.known.memory.may_have_changed(request.ops.iter().map(Operation::key)),
            ReadPolicy::RecentLeader(span) => self.wrote_within(span),
            _ => false,
        };
        if at_leader {
            return self.at_leader(Request { leader: true, ..request }).await;
        }
        match mode.reads {
            ReadPolicy::Sticky => self.at_own(request).await,
            ReadPolicy::Token | ReadPolicy::SharedToken => {
                self.where_fit(Request { wait_ms: Some(TOKEN_WAIT_MS), ..request }).await
            }
            ReadPolicy::WallClockToken => {
                let after_wall = self.known.written_at;
                self.where_fit(Request { wait_ms: Some(TOKEN_WAIT_MS), after_wall, ..request }).await
            }
            ReadPolicy::MaxLag(span) => {
                let max_lag_ms = Some(span.as_millis() as u64);
                self.where_fit(Request { max_lag_ms, ..request }).await
            }
            _ => self.at_any(request).await,
        }
    }

    fn wrote_within(&self, span: Duration) -> bool {
        self.known.wrote.is_some_and(|wrote| wrote.elapsed() < span)
    }

    /// At a replica that has caught up, first one of the session's datacentre, then any; the leader is asked last.
    async fn where_fit(&mut self, request: Request) -> Result<Reply, Failed> {
        let mut node = self.nearby_node();
        for _ in 1..HOPS {
            match self.pool.ask(&node, &request).await {
                Ok(reply) => return Ok(reply),
                Err(refusal) if matches!(refusal.code, Code::Behind | Code::Unreachable) => node = self.another(&node),
                Err(refusal) => return Err(Failed { refusal, node }),
            }
        }
        if let Some(leader) = &self.leader {
            node = leader.clone();
        }
        self.pool.ask(&node, &request).await.map_err(|refusal| Failed { refusal, node })
    }
}
