//! One request to all replicas of a key at once, as a client sends it that coordinates by itself.
//!
//! With sloppy quorums a home that refuses the connection, or is silent for a while, has its part taken by the next node of the key's preference list; the clients of
//! a process then pass it over for a moment.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::pool::Pool;
use crate::config::Leaderless;
use crate::modes::leaderless::{Placement, QUORUM_LIMIT, STAND_IN_AFTER};
use crate::operation::{Refusal, ReplicaReply, ReplicaRequest};

/// A replica's answer, with its name.
pub type Answered = (String, Result<ReplicaReply, Refusal>);

/// A request under way to the replicas of one key.
pub struct Round {
    pool: Arc<Pool>,
    request: ReplicaRequest,
    answers: JoinSet<Answered>,
    asked: Vec<Asked>,
    spares: VecDeque<String>,
    /// After this nobody is waited for.
    pub deadline: Instant,
    stand_in_due: Instant,
}

struct Asked {
    node: String,
    home: String,
    answered: bool,
}

impl Round {
    /// Asks the homes of `key` in `datacentre`.
    pub fn begin(
        pool: &Arc<Pool>,
        policy: &Leaderless,
        datacentre: usize,
        key: &str,
        request: ReplicaRequest,
    ) -> Round {
        let mut homes = placement(pool, policy).preference(key, datacentre);
        let spares = homes.split_off(policy.n.min(homes.len()));
        let now = Instant::now();
        let mut round = Round {
            pool: pool.clone(),
            request,
            answers: JoinSet::new(),
            asked: Vec::new(),
            spares: spares.into_iter().filter(|spare| policy.sloppy && !pool.suspects(spare)).collect(),
            deadline: now + QUORUM_LIMIT,
            stand_in_due: now + STAND_IN_AFTER,
        };
        for home in homes {
            let stand_in = if policy.sloppy && pool.suspects(&home) { round.spares.pop_front() } else { None };
            round.ask(stand_in.unwrap_or_else(|| home.clone()), home);
        }
        round
    }

    fn ask(&mut self, node: String, home: String) {
        let mut request = self.request.clone();
        if let ReplicaRequest::Put { home: in_place_of, .. } = &mut request {
            *in_place_of = (node != home).then(|| home.clone());
        }
        let (pool, to) = (self.pool.clone(), node.clone());
        self.answers.spawn(async move {
            let answer = pool.replica(&to, &request).await;
            (to, answer)
        });
        self.asked.push(Asked { node, home, answered: false });
    }

    /// The next answer; `None` when all have answered or time is up.
    pub async fn next(&mut self) -> Option<Answered> {
        loop {
            let until = if self.spares.is_empty() { self.deadline } else { self.deadline.min(self.stand_in_due) };
            match timeout_at(until, self.answers.join_next()).await {
                Ok(Some(Ok(answered))) => {
                    self.note(&answered);
                    return Some(answered);
                }
                // A task of ours that panicked answers nothing.
                Ok(Some(Err(_))) => {}
                Ok(None) => return None,
                Err(_) if Instant::now() >= self.deadline => return None,
                Err(_) => self.stand_in_for_the_silent(),
            }
        }
    }

    fn note(&mut self, (node, answer): &Answered) {
        let Some(asked) = self.asked.iter_mut().find(|asked| asked.node == *node) else { return };
        asked.answered = true;
        let home = asked.home.clone();
        if answer.is_err() {
            self.pool.suspect(node);
        }
        if answer.is_err()
            && let Some(spare) = self.spares.pop_front()
        {
            self.ask(spare, home);
        }
    }

    fn stand_in_for_the_silent(&mut self) {
        self.stand_in_due += STAND_IN_AFTER;
        let silent: Vec<(String, String)> = self
            .asked
            .iter()
            .filter(|asked| !asked.answered)
            .map(|asked| (asked.node.clone(), asked.home.clone()))
            .collect();
        for (node, home) in silent {
            self.pool.suspect(&node);
            let Some(spare) = self.spares.pop_front() else { return };
            self.ask(spare, home);
        }
    }

    /// Whether somebody may still have the request.
    pub fn is_open(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Goes on in the background until all have answered or have been replaced.
    pub fn finish_alone(mut self) {
        tokio::spawn(async move {
            while self.next().await.is_some() {}
            // A request that is late may still arrive.
            self.answers.detach_all();
        });
    }
}

/// Sends `request` to `nodes` and waits for nobody.
pub fn tell(pool: &Arc<Pool>, nodes: impl IntoIterator<Item = String>, request: &ReplicaRequest) {
    for node in nodes {
        let (pool, request) = (pool.clone(), request.clone());
        tokio::spawn(async move {
            // Whoever can't be reached learns it by repair.
            let _ = pool.replica(&node, &request).await;
        });
    }
}

/// Where keys live.
pub fn placement(pool: &Pool, policy: &Leaderless) -> Placement {
    let nodes: Vec<String> = pool.nodes().map(str::to_string).collect();
    Placement::new(policy, &nodes)
}
