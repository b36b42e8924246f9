//! Where the nodes are, and one request to one of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::memory::Memory;
use crate::http::{Dump, Health, NodeStatus};
use crate::modes::leaderless::{Staleness, row::Row};
use crate::operation::{Code, Refusal, ReplicaReply, ReplicaRequest, Reply, Request};

/// How long a connection may take; below the request's own limit, or a hung connect would look like an unknown outcome.
const CONNECT: Duration = Duration::from_millis(300);
/// How long a dump may take.
const DUMP: Duration = Duration::from_secs(20);

/// How long a node that did not answer is passed over where another can stand in.
const SUSPICION: Duration = Duration::from_millis(500);

/// Connections to the nodes of a cluster.
pub struct Pool {
    http: reqwest::Client,
    nodes: Vec<(String, SocketAddr)>,
    timeout: Duration,
    staleness: Mutex<Staleness>,
    /// What each user's devices remember together.
    users: Mutex<HashMap<String, Memory>>,
    /// Nodes that were silent or refused when a client coordinated, and until when they are suspected.
    suspects: Mutex<HashMap<String, Instant>>,
}

#[derive(Deserialize)]
struct Body {
    error: Refusal,
}

impl Pool {
    /// A pool for these nodes; an answer that takes longer than `timeout` is an unknown outcome.
    ///
    /// # Errors
    /// If the HTTP client cannot be made.
    pub fn new(nodes: Vec<(String, SocketAddr)>, timeout: Duration) -> Result<Pool, Refusal> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT.min(timeout / 2))
            .tcp_nodelay(true)
            .pool_max_idle_per_host(1_024)
            .http1_only()
            .build();
        let http =
            http.map_err(|error| Refusal::definite(Code::BadRequest, format!("making an HTTP client: {error}")))?;
        Ok(Pool {
            http,
            nodes,
            timeout,
            staleness: Mutex::default(),
            users: Mutex::default(),
            suspects: Mutex::default(),
        })
    }

    /// The nodes' names.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.nodes.iter().map(|(name, _)| name.as_str())
    }

    /// What the devices of `user` remember.
    pub(super) fn memory_of(&self, user: &str) -> Memory {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.entry(user.to_string()).or_default().clone()
    }

    /// Whether `node` did not answer a coordinating client lately.
    pub(super) fn suspects(&self, node: &str) -> bool {
        let suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.get(node).is_some_and(|until| Instant::now() < *until)
    }

    /// Suspects `node` for a while; then the next request tries it again.
    pub(super) fn suspect(&self, node: &str) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.insert(node.to_string(), Instant::now() + SUSPICION);
    }

    /// How stale the reads were that clients of this pool coordinated themselves.
    pub fn staleness(&self) -> Staleness {
        *self.staleness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a read that was answered with `shown` when the replicas held `all`.
    pub(super) fn note_staleness<'a>(&self, shown: Option<&Row>, all: impl Iterator<Item = &'a Row>) {
        self.staleness.lock().unwrap_or_else(PoisonError::into_inner).note(shown, all);
    }

    fn address(&self, node: &str) -> Result<SocketAddr, Refusal> {
        let known = self.nodes.iter().find(|(name, _)| name == node);
        known
            .map(|(_, address)| *address)
            .ok_or_else(|| Refusal::definite(Code::Unreachable, format!("there is no node {node}")))
    }

    /// Sends a request to `node`. Only a refusal by the node, or a connection that never came to be, is definite.
    pub async fn ask(&self, node: &str, request: &Request) -> Result<Reply, Refusal> {
        self.post(node, "txn", serde_json::to_vec(request)).await
    }

    /// Asks one replica, for a client that coordinates by itself.
    pub async fn replica(&self, node: &str, request: &ReplicaRequest) -> Result<ReplicaReply, Refusal> {
        self.post(node, "replica", serde_json::to_vec(request)).await
    }

    /// Makes `node` the leader.
    pub async fn promote(&self, node: &str) -> Result<Reply, Refusal> {
        self.post(node, "promote", Ok(Vec::new())).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        node: &str,
        path: &str,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<T, Refusal> {
        let body = body.map_err(|error| Refusal::definite(Code::BadRequest, error.to_string()))?;
        let url = format!("http://{}/v1/{path}", self.address(node)?);
        let sent = self.http.post(url).timeout(self.timeout).body(body).send().await;
        let response = sent.map_err(|error| failure(node, &error))?;
        let ok = response.status().is_success();
        let text = response.bytes().await.map_err(|error| failure(node, &error))?;
        let garbled = |error| Refusal::unknown(Code::ConnectionLost, format!("{node} answered something odd: {error}"));
        if ok {
            serde_json::from_slice(&text).map_err(garbled)
        } else {
            Err(serde_json::from_slice::<Body>(&text).map_err(garbled)?.error)
        }
    }

    async fn get<T: DeserializeOwned>(&self, node: &str, path: &str, timeout: Duration) -> Result<T, Refusal> {
        let url = format!("http://{}/v1/{path}", self.address(node)?);
        let response = self.http.get(url).timeout(timeout).send().await.map_err(|error| failure(node, &error))?;
        let text = response.bytes().await.map_err(|error| failure(node, &error))?;
        serde_json::from_slice(&text)
            .map_err(|error| Refusal::definite(Code::ConnectionLost, format!("{node} answered something odd: {error}")))
    }

    /// Whether `node` can serve, and to which run it belongs.
    pub async fn health(&self, node: &str) -> Result<Health, Refusal> {
        self.get(node, "health", self.timeout).await
    }

    /// What `node` says of itself.
    pub async fn status(&self, node: &str) -> Result<NodeStatus, Refusal> {
        self.get(node, "status", self.timeout).await
    }

    /// Everything that `node` itself holds.
    pub async fn dump(&self, node: &str) -> Result<Dump, Refusal> {
        self.get(node, "dump", DUMP).await
    }
}

/// What a transport failure means: only a connection that never came to be proves that nothing happened.
fn failure(node: &str, error: &reqwest::Error) -> Refusal {
    if error.is_connect() {
        Refusal::definite(Code::Unreachable, format!("{node} can't be reached"))
    } else if error.is_timeout() {
        Refusal::unknown(Code::Timeout, format!("{node} did not answer in time"))
    } else {
        Refusal::unknown(Code::ConnectionLost, format!("the connection to {node} broke"))
    }
}
