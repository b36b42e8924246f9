//! A session's part in the partitioned mode: which shard a key is on, where to ask, and what was seen of each shard.
//!
//! Several shards are asked one after the other, in the order in which the request names them. What one answer depends on is so known before the next is asked;
//! what an earlier answer lacks is not asked for again, so the request is no snapshot.
//!
//! A token names one position. Where a session has seen two terms of a shard, its own and one that a value depends on, or the same across a failover, it first asks
//! the leader whether the earlier one is part of what the later one grew from; if it is not, the session is over.

use std::collections::HashMap;
use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::pool::Pool;
use super::session::Failed;
use crate::config::{Partitioned, ReadPolicy};
use crate::modes::leaderless::hash;
use crate::modes::partitioned::Placement;
use crate::modes::partitioned::dependencies::{self, Dependencies};
use crate::operation::{Code, Operation, Outcome, Refusal, Reply, Request, Version};

/// How many nodes are tried for one operation, as long as each refuses definitely.
const HOPS: usize = 3;
/// How long a replica may wait until it has caught up before the next one is asked, milliseconds.
const TOKEN_WAIT_MS: u64 = 25;

/// What a session knows of the shards.
pub struct Shards {
    policy: Partitioned,
    placement: Placement,
    name: String,
    rng: ChaCha8Rng,
    leaders: HashMap<usize, String>,
    seen: Dependencies,
    /// Positions of earlier terms that are known to be part of what was seen of the latest.
    covered: Dependencies,
}

impl Shards {
    /// For the session called `name`.
    pub fn new(pool: &Pool, policy: &Partitioned, name: &str, seed: u64) -> Shards {
        let nodes: Vec<String> = pool.nodes().map(str::to_string).collect();
        Shards {
            policy: policy.clone(),
            placement: Placement::new(policy, &nodes),
            name: name.to_string(),
            rng: ChaCha8Rng::seed_from_u64(hash(&[name, "shards"]) ^ seed),
            leaders: HashMap::new(),
            seen: Dependencies::new(),
            covered: Dependencies::new(),
        }
    }

    /// Forgets what was seen and goes on under another name.
    pub fn renew(&mut self, name: &str) {
        self.name = name.to_string();
        self.seen.clear();
        self.covered.clear();
    }

    /// Does `ops`, those of each shard as one request.
    pub async fn execute(&mut self, pool: &Arc<Pool>, ops: Vec<Operation>) -> Result<Reply, Failed> {
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            let shard = self.placement.shard_of(op.key());
            match groups.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, places)) => places.push(at),
                None => groups.push((shard, vec![at])),
            }
        }
        if groups.len() > 1 && ops.iter().any(Operation::writes) {
            let why = "a transaction that writes stays within one shard: its keys live on several";
            return Err(Failed { refusal: Refusal::definite(Code::Unsupported, why), node: String::new() });
        }
        let mut whole =
            Reply { node: String::new(), results: vec![Outcome::Nil; ops.len()], version: None, contexts: Vec::new() };
        let alone = groups.len() == 1;
        for (shard, places) in groups {
            let part: Vec<Operation> = places.iter().map(|at| ops[*at].clone()).collect();
            let reply = self.on_shard(pool, shard, part).await?;
            for (at, outcome) in places.into_iter().zip(reply.results) {
                whole.results[at] = outcome;
            }
            whole.node = reply.node;
            // Positions of several shards can't be compared, so a reply of several has none.
            whole.version = reply.version.filter(|_| alone);
        }
        Ok(whole)
    }

    /// Does `ops`, all of one shard, and learns from the answer.
    async fn on_shard(&mut self, pool: &Pool, shard: usize, mut ops: Vec<Operation>) -> Result<Reply, Failed> {
        let (causal, reads) = (self.policy.causal_tokens, self.policy.each.reads);
        let (count, writes) = (ops.len(), ops.iter().any(Operation::writes));
        if causal {
            let read = ops.iter().filter(|op| !op.writes()).map(|op| dependencies::beside(op.key()));
            let beside: Vec<Operation> = read.map(|key| Operation::Read { key }).collect();
            ops.extend(beside);
        }
        let tokens = causal || reads == ReadPolicy::Token;
        if tokens {
            self.reconcile(pool, shard, ops[0].key()).await?;
        }
        let latest = self.seen.get(&shard).and_then(|terms| terms.last_key_value());
        let token = latest.map(|(term, index)| (*term, *index)).filter(|_| tokens);
        let depends = if causal && writes { self.seen.clone() } else { Dependencies::new() };
        let leader = reads == ReadPolicy::Leader && !writes;
        let request =
            Request { ops, leader, token, wait_ms: token.map(|_| TOKEN_WAIT_MS), depends, ..Request::default() };
        let outcome = match writes || leader {
            true => self.at_leader(pool, shard, &request).await,
            false => self.at_replica(pool, shard, &request).await,
        };
        let mut reply = outcome?;
        // What stands beside the values was asked for last; what is stored beside a write is answered after it.
        let asked = request.ops.len();
        for outcome in reply.results.drain(count..).take(asked - count) {
            if let Outcome::Value(value) = outcome {
                self.take_over(&dependencies::read(&value));
            }
        }
        if tokens && let Some(Version::Position { term, index }) = reply.version {
            self.cover(shard, term);
            dependencies::add(&mut self.seen, shard, (term, index));
        }
        Ok(reply)
    }

    /// What a value depends on, this session depends on now, except for what is known to be part of what it has seen.
    fn take_over(&mut self, depends: &Dependencies) {
        for (shard, terms) in depends {
            for (term, index) in terms {
                let covered = self.covered.get(shard).and_then(|terms| terms.get(term)).copied().unwrap_or(0);
                if *index > covered {
                    dependencies::add(&mut self.seen, *shard, (*term, *index));
                }
            }
        }
    }

    /// An answer that holds all that was seen is of this term: what is of earlier ones is part of it.
    fn cover(&mut self, shard: usize, term: u64) {
        let seen = self.seen.entry(shard).or_default();
        let later = seen.split_off(&term);
        for (term, index) in std::mem::replace(seen, later) {
            dependencies::add(&mut self.covered, shard, (term, index));
        }
    }

    /// Makes sure that what was seen of a shard in several terms is one history.
    async fn reconcile(&mut self, pool: &Pool, shard: usize, key: &str) -> Result<(), Failed> {
        let terms = self.seen.get(&shard).cloned().unwrap_or_default();
        let Some(latest) = terms.last_key_value().map(|(term, _)| *term).filter(|_| terms.len() > 1) else {
            return Ok(());
        };
        for (term, index) in terms.into_iter().filter(|(term, _)| *term < latest) {
            let request = Request {
                ops: vec![Operation::Read { key: key.to_string() }],
                leader: true,
                token: Some((term, index)),
                wait_ms: Some(TOKEN_WAIT_MS),
                ..Request::default()
            };
            let reply = self.at_leader(pool, shard, &request).await?;
            let known = matches!(reply.version, Some(Version::Position { term, .. }) if term >= latest);
            if !known {
                let why = format!("{} has not caught up with term {latest} of shard {shard}", reply.node);
                return Err(Failed { refusal: Refusal::definite(Code::Behind, why), node: reply.node });
            }
        }
        self.cover(shard, latest);
        Ok(())
    }

    /// At the shard's leader, found by following definite refusals.
    async fn at_leader(&mut self, pool: &Pool, shard: usize, request: &Request) -> Result<Reply, Failed> {
        let replicas = self.placement.replicas(shard);
        let mut node = self.leaders.get(&shard).or(replicas.first()).cloned().unwrap_or_default();
        for hop in 1.. {
            let refusal = match pool.ask(&node, request).await {
                Ok(reply) => {
                    self.leaders.insert(shard, node);
                    return Ok(reply);
                }
                Err(refusal) => refusal,
            };
            let elsewhere = matches!(
                refusal.code,
                Code::NotLeader | Code::NoLeader | Code::Unreachable | Code::LeaseExpired | Code::ShuttingDown
            );
            if !matches!(refusal.code, Code::CasMismatch | Code::WrongType | Code::Behind) {
                self.leaders.remove(&shard);
            }
            if !elsewhere || !refusal.definite || hop >= HOPS {
                return Err(Failed { refusal, node });
            }
            node = match refusal.leader {
                Some(leader) if leader != node => leader,
                _ => self.another(&replicas, &node),
            };
        }
        unreachable!("the hops are counted")
    }

    /// At a replica as the policy says; the next one if it can't be reached or has not caught up, and the one that is believed to lead last of all.
    async fn at_replica(&mut self, pool: &Pool, shard: usize, request: &Request) -> Result<Reply, Failed> {
        let mut replicas = self.placement.replicas(shard);
        if self.policy.each.reads == ReadPolicy::Sticky {
            replicas.sort_by_key(|node| std::cmp::Reverse(hash(&[node, &self.name])));
        } else {
            let first = self.rng.random_range(0..replicas.len().max(1));
            replicas.rotate_left(first);
        }
        let leader = self.leaders.get(&shard).filter(|_| request.token.is_some()).cloned();
        let last = leader.or_else(|| replicas.last().cloned()).unwrap_or_default();
        let tried = replicas.into_iter().filter(|node| *node != last).take(HOPS - 1);
        for node in tried.collect::<Vec<_>>() {
            match pool.ask(&node, request).await {
                Err(refusal) if matches!(refusal.code, Code::Behind | Code::Unreachable) => {}
                other => return other.map_err(|refusal| Failed { refusal, node }),
            }
        }
        pool.ask(&last, request).await.map_err(|refusal| Failed { refusal, node: last })
    }

    fn another(&mut self, replicas: &[String], than: &str) -> String {
        let others: Vec<&String> = replicas.iter().filter(|replica| *replica != than).collect();
        let at = self.rng.random_range(0..others.len().max(1));
        others.get(at).map_or(than, |node| node.as_str()).to_string()
    }
}
