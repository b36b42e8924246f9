//! What one session remembers, and how its read policy chooses a replica.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::pool::Pool;
use super::quorum::Quorum;
use super::shards::Shards;
use super::single_leader::Known;
use crate::config::{Conflicts, Coordinator, ModeConfig, MultiLeader, Policy, ReadPolicy};
use crate::modes::leaderless::{dealt_out, hash};
use crate::modes::multi_leader::layout::Layout;
use crate::operation::{Code, Context, Operation, Refusal, Reply, Request};

/// How many nodes are tried for one operation, as long as each refuses definitely.
pub(super) const HOPS: usize = 3;
/// Of how many keys a session remembers the context.
const CONTEXTS: usize = 256;

/// A session: a person at a device.
pub struct Session {
    pub(super) pool: Arc<Pool>,
    policy: Policy,
    name: String,
    rng: ChaCha8Rng,
    pub(super) leader: Option<String>,
    /// The tail of a chain, where it was found last.
    tail: Option<String>,
    /// Of the single-leader mode.
    pub(super) known: Known,
    /// The user whose devices share what they remember.
    user: Option<String>,
    contexts: HashMap<String, Context>,
    order: VecDeque<String>,
    quorum: Quorum,
    shards: Option<Shards>,
    /// The nodes of this session's datacentre, and its number; empty where there is only one.
    nearby: Vec<String>,
    datacentre: usize,
}

/// A refusal with the node that spoke last.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Why.
    pub refusal: Refusal,
    /// Who said so, or could not be reached.
    pub node: String,
}

impl Session {
    /// A session called `name`; `seed` decides its random choices.
    pub fn new(pool: Arc<Pool>, config: &ModeConfig, name: &str, seed: u64) -> Session {
        let rng = ChaCha8Rng::seed_from_u64(hash(&[name]) ^ seed);
        let (datacentre, nearby) = nearby(&pool, &config.policy, name);
        let shards = match &config.policy {
            Policy::Partitioned(mode) => Some(Shards::new(&pool, mode, name, seed)),
            _ => None,
        };
        Session {
            shards,
            pool,
            policy: config.policy.clone(),
            name: name.to_string(),
            rng,
            leader: None,
            tail: None,
            known: Known::default(),
            user: None,
            contexts: HashMap::new(),
            order: VecDeque::new(),
            quorum: Quorum::new(config, name),
            nearby,
            datacentre,
        }
    }

    /// Says whose device this is. Under the policies that a whole user is promised, all sessions of one user and one pool share what they remember.
    pub fn belongs_to(&mut self, user: &str) {
        self.user = Some(user.to_string());
        let shares = matches!(&self.policy, Policy::SingleLeader(mode) if mode.reads.is_of_the_user());
        if shares {
            self.known = Known::of(self.pool.memory_of(user));
        }
    }

    /// Forgets everything and goes on under another name, as a session of the same user.
    pub fn renew(&mut self, name: &str) {
        self.name = name.to_string();
        self.known = Known::default();
        if let Some(user) = self.user.clone() {
            self.belongs_to(&user);
        }
        self.contexts.clear();
        self.order.clear();
        self.quorum.rename(name);
        if let Some(shards) = &mut self.shards {
            shards.renew(name);
        }
        (self.datacentre, self.nearby) = nearby(&self.pool, &self.policy, name);
    }

    /// Does `ops` as one request.
    pub async fn execute(&mut self, ops: Vec<Operation>) -> Result<Reply, Failed> {
        if let Some(shards) = &mut self.shards {
            return shards.execute(&self.pool, ops).await;
        }
        let writes = ops.iter().any(Operation::writes);
        match &self.policy {
            Policy::Partitioned(_) => unreachable!("a session of shards knows them"),
            Policy::SingleLeader(mode) => {
                let mode = mode.clone();
                self.single_leader(&mode, ops).await
            }
            Policy::Raft(_) => self.at_leader(self.request(ops, true)).await,
            // Writes at the head, reads at the tail: each is found as a leader is.
            Policy::Chain(_) if writes => self.at_leader(self.request(ops, false)).await,
            Policy::Chain(_) => {
                std::mem::swap(&mut self.leader, &mut self.tail);
                let outcome = self.at_leader(self.request(ops, false)).await;
                std::mem::swap(&mut self.leader, &mut self.tail);
                outcome
            }
            Policy::Leaderless(mode) => {
                let keys: Vec<String> = ops.iter().map(|op| op.key().to_string()).collect();
                let by_client = mode.coordinator == Coordinator::Client;
                let request = self.request(ops, false);
                let outcome = match by_client {
                    true => self.quorum.execute(&self.pool, self.datacentre, &request).await,
                    false => self.at_any(request).await,
                };
                if let Ok(reply) = &outcome {
                    self.learn(&keys, reply);
                }
                outcome
            }
            Policy::MultiLeader(mode) => {
                let mode = mode.clone();
                let keys: Vec<String> = ops.iter().map(|op| op.key().to_string()).collect();
                let request = self.request(ops, false);
                let outcome = self.in_datacentre(&mode, request, writes).await;
                if let Ok(reply) = &outcome {
                    self.learn(&keys, reply);
                }
                outcome
            }
        }
    }

    pub(super) fn request(&self, ops: Vec<Operation>, leader: bool) -> Request {
        let context: BTreeMap<String, Context> = ops
            .iter()
            .filter(|op| op.writes())
            .filter_map(|op| self.contexts.get(op.key()).map(|context| (op.key().to_string(), context.clone())))
            .collect();
        Request { ops, leader, context, ..Request::default() }
    }

    pub(super) fn random_node(&mut self) -> String {
        let at = self.rng.random_range(0..self.pool.nodes().len());
        self.pool.nodes().nth(at).unwrap_or_default().to_string()
    }

    /// At the leader, found by following definite refusals.
    pub(super) async fn at_leader(&mut self, request: Request) -> Result<Reply, Failed> {
        let mut node = match &self.leader {
            Some(leader) => leader.clone(),
            None => self.random_node(),
        };
        for hop in 0.. {
            match self.pool.ask(&node, &request).await {
                Ok(reply) => {
                    self.leader = Some(node);
                    return Ok(reply);
                }
                Err(refusal) => {
                    let lost = matches!(
                        refusal.code,
                        Code::NotLeader | Code::NoLeader | Code::Unreachable | Code::LeaseExpired | Code::ShuttingDown
                    );
                    if !lost || !refusal.definite || hop + 1 >= HOPS {
                        if refusal.code != Code::CasMismatch && refusal.code != Code::WrongType {
                            self.leader = None;
                        }
                        return Err(Failed { refusal, node });
                    }
                    self.leader = None;
                    node = match refusal.leader {
                        Some(leader) if leader != node => leader,
                        _ => self.another(&node),
                    };
                }
            }
        }
        unreachable!("the hops are counted")
    }

    pub(super) fn another(&mut self, than: &str) -> String {
        for _ in 0..8 {
            let node = self.random_node();
            if node != than {
                return node;
            }
        }
        than.to_string()
    }

    /// A random node of this session's datacentre.
    pub(super) fn nearby_node(&mut self) -> String {
        if self.nearby.is_empty() {
            return self.random_node();
        }
        self.nearby[self.rng.random_range(0..self.nearby.len())].clone()
    }

    /// At a random node of this session's datacentre; at any other if it can't be reached.
    pub(super) async fn at_any(&mut self, request: Request) -> Result<Reply, Failed> {
        let node = self.nearby_node();
        self.at(node, request).await
    }

    /// At the node that this session's name hashes to, or the next in its ranking if it can't be reached: a changed set of nodes moves
    /// few sessions. Those of its datacentre come first.
    pub(super) async fn at_own(&mut self, request: Request) -> Result<Reply, Failed> {
        let mut ranked: Vec<&str> = self.pool.nodes().collect();
        let far = |node: &str| self.nearby.iter().all(|near| near != node);
        ranked.sort_by_key(|node| (far(node), std::cmp::Reverse(hash(&[node, &self.name]))));
        let ranked: Vec<String> = ranked.into_iter().map(str::to_string).collect();
        let mut last = None;
        for node in ranked.into_iter().take(HOPS) {
            match self.pool.ask(&node, &request).await {
                Ok(reply) => return Ok(reply),
                Err(refusal) if refusal.code == Code::Unreachable => last = Some(Failed { refusal, node }),
                Err(refusal) => return Err(Failed { refusal, node }),
            }
        }
        Err(last.unwrap_or_else(|| Failed {
            refusal: Refusal::definite(Code::Unreachable, "there are no nodes"),
            node: String::new(),
        }))
    }

    async fn at(&mut self, first: String, request: Request) -> Result<Reply, Failed> {
        let mut node = first;
        for _ in 1..HOPS {
            match self.pool.ask(&node, &request).await {
                Err(refusal) if refusal.code == Code::Unreachable => node = self.another(&node),
                other => return other.map_err(|refusal| Failed { refusal, node }),
            }
        }
        self.pool.ask(&node, &request).await.map_err(|refusal| Failed { refusal, node })
    }

    /// In the session's own datacentre: writes at its leader, reads where the policy says. Only a record's home may be elsewhere.
    async fn in_datacentre(&mut self, mode: &MultiLeader, request: Request, writes: bool) -> Result<Reply, Failed> {
        let nodes: Vec<String> = self.pool.nodes().map(str::to_string).collect();
        let layout = Layout::new(&nodes, mode.datacentres, mode.topology);
        let datacentre = layout.datacentre_of_session(&self.name);
        let mut members = layout.members(datacentre);
        match mode.reads {
            _ if writes => members.truncate(1),
            ReadPolicy::Sticky => members.sort_by_key(|node| std::cmp::Reverse(hash(&[node, &self.name]))),
            ReadPolicy::Any => {
                let first = self.rng.random_range(0..members.len().max(1));
                members.rotate_left(first);
            }
            // The flags allow no other policy here.
            _ => members.truncate(1),
        }
        if writes && mode.conflicts == Conflicts::Avoid {
            members = (0..mode.datacentres).map(|next| layout.leader(datacentre + next)).collect();
        }
        let mut rest = members.into_iter().map(str::to_string);
        let mut node = rest.next().unwrap_or_default();
        for _ in 1..HOPS {
            match self.pool.ask(&node, &request).await {
                // Where it is sent is where it goes next; a silent home is asked about elsewhere.
                Err(Refusal { code: Code::NotLeader, leader: Some(leader), .. }) if leader != node => node = leader,
                Err(refusal) if refusal.code == Code::Unreachable => match rest.next() {
                    Some(next) => node = next,
                    None => return Err(Failed { refusal, node }),
                },
                other => return other.map_err(|refusal| Failed { refusal, node }),
            }
        }
        self.pool.ask(&node, &request).await.map_err(|refusal| Failed { refusal, node })
    }

    /// Remembers what this session knows of its keys, as far as the replies say that it may: a node says nothing where its newest dot would cover
    /// concurrent writes of strangers too.
    fn learn(&mut self, keys: &[String], reply: &Reply) {
        for (key, context) in keys.iter().zip(reply.contexts.iter().cloned()) {
            if self.contexts.insert(key.clone(), context).is_none() {
                self.order.push_back(key.clone());
            }
            while self.order.len() > CONTEXTS {
                if let Some(oldest) = self.order.pop_front() {
                    self.contexts.remove(&oldest);
                }
            }
        }
    }
}

/// The datacentre that a session's name hashes to, and its nodes.
fn nearby(pool: &Pool, policy: &Policy, name: &str) -> (usize, Vec<String>) {
    let count = match policy {
        Policy::Leaderless(mode) => mode.datacentres,
        Policy::SingleLeader(mode) if mode.datacentres > 1 => mode.datacentres,
        _ => return (0, Vec::new()),
    };
    let nodes: Vec<String> = pool.nodes().map(str::to_string).collect();
    let mut datacentres = dealt_out(&nodes, count);
    let datacentre = (hash(&[name]) % datacentres.len() as u64) as usize;
    (datacentre, datacentres.swap_remove(datacentre))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use clap::Parser as _;

    use super::*;
    use crate::config::ModeArgs;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        mode: ModeArgs,
    }

    /// Where sessions of these flags read first, each by the nodes that it chooses among.
    fn chosen(flags: &str) -> BTreeSet<Vec<String>> {
        let words = std::iter::once("refdb").chain(flags.split_whitespace());
        let config = Flags::try_parse_from(words).expect("flags").mode.config(5).expect("they go together");
        let address = "127.0.0.1:9".parse().expect("an address");
        let nodes = (1..=5).map(|number| (format!("n{number}"), address)).collect();
        let pool = Arc::new(Pool::new(nodes, Duration::from_secs(1)).expect("a pool"));
        let of = |name: usize| {
            let mut session = Session::new(pool.clone(), &config, &name.to_string(), 1);
            let nodes: BTreeSet<String> = (0..200).map(|_| session.nearby_node()).collect();
            nodes.into_iter().collect()
        };
        (0..30).map(of).collect()
    }

    #[test]
    fn sessions_read_in_their_own_datacentre() {
        let sets = |nodes: &[&[&str]]| -> BTreeSet<Vec<String>> {
            nodes.iter().map(|nodes| nodes.iter().map(|node| node.to_string()).collect()).collect()
        };
        let two = sets(&[&["n1", "n2", "n3"], &["n4", "n5"]]);
        assert_eq!(chosen("--ack async --reads any --datacentres 2"), two);
        assert_eq!(chosen("--mode leaderless --datacentres 2 --n 2"), two);
        assert_eq!(chosen("--ack async --reads any"), sets(&[&["n1", "n2", "n3", "n4", "n5"]]));
    }
}
