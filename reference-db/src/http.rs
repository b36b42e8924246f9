//! What clients and operators can ask over HTTP.
//!
//! | | |
//! |---|---|
//! | `POST /v1/txn` | operations, one or several at once; single-leader also `{"op": "sql", "text": "insert into u_…"}` on tables whose names begin with `u_` |
//! | `POST /v1/replica` | `{"get": key}`, `{"put": key, "row": row, "home": node it stands in for}` or `{"mend": key, "row": row}`: for clients that coordinate a leaderless quorum themselves |
//! | `GET /v1/health` | the run's identity, and whether clients can be served |
//! | `GET /v1/status` | role, term, position, who leads, the node's wall clock |
//! | `GET /v1/dump` | everything that this very replica holds, as of one position |
//! | `GET /v1/changes?after=INDEX&limit=N` | single-leader: what at most N committed transactions after that index changed, as JSON lines: rows, then the commit record whose index is the next `after` |
//! | `GET /v1/metrics` | counters and gauges, in Prometheus's text format |
//! | `POST /v1/promote` | makes this node the leader; planned, it loses nothing |
//!
//! Every refusal has a body `{"error": {"code", "definite", "message", "leader"}}`; `definite` says that the operation certainly did not happen.

pub(crate) mod intake;
mod metrics;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;

use crate::config::{Partitioned, Policy};
use crate::mode::Status;
use crate::modes::{leaderless, multi_leader, partitioned};
use crate::node::{Answer, Answered, Arrival, Published};
use crate::operation::{Code, Outcome, Refusal, ReplicaReply, Version};
use crate::store::snapshot;

/// The longest that any request waits inside.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many transactions are told at once.
const CHANGES: usize = 1_000;

/// What the handlers share.
pub struct Context {
    /// The run's identity.
    pub run: String,
    /// This node.
    pub name: String,
    /// Every node.
    pub nodes: Vec<String>,
    /// The mode.
    pub policy: Policy,
    /// When the process began.
    pub began: Instant,
    /// Where the database is.
    pub database: PathBuf,
    /// The way to the node's thread.
    pub arrivals: std::sync::mpsc::Sender<Arrival>,
    /// What the node says of itself.
    pub published: Arc<Mutex<Published>>,
}

type Shared = State<Arc<Context>>;

/// The routes.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/v1/txn", post(txn))
        .route("/v1/replica", post(replica))
        .route("/v1/health", get(health))
        .route("/v1/status", get(status))
        .route("/v1/dump", get(dump))
        .route("/v1/changes", get(changes))
        .route("/v1/metrics", get(metrics))
        .route("/v1/promote", post(promote))
        .fallback(nowhere)
        .method_not_allowed_fallback(otherwise)
        .with_state(context)
}

async fn nowhere(uri: axum::http::Uri) -> Response {
    let why = format!("there is nothing at {}; requests go to /v1/txn", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({ "error": Refusal::definite(Code::BadRequest, why) }))).into_response()
}

async fn otherwise(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    let other = if method == axum::http::Method::POST { "GET" } else { "POST" };
    let why = format!("{method} is not how {} is asked; use {other}", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": Refusal::definite(Code::BadRequest, why) }))).into_response()
}

async fn txn(State(context): Shared, body: axum::body::Body) -> Response {
    match intake::read(body).await {
        Ok(request) => answered(ask(&context, |answer| Arrival::Request(request, answer)).await),
        Err(refusal) => refused(&refusal),
    }
}

async fn replica(State(context): Shared, body: axum::body::Body) -> Response {
    match intake::read(body).await {
        Ok(request) => answered(ask(&context, |answer| Arrival::Replica(request, answer)).await),
        Err(refusal) => refused(&refusal),
    }
}

async fn promote(State(context): Shared) -> Response {
    answered(ask(&context, Arrival::Promote).await)
}

async fn ask(context: &Context, arrival: impl FnOnce(Answer) -> Arrival) -> Result<Answered, Refusal> {
    let (sender, receiver) = oneshot::channel();
    let gone = |definite| Refusal { definite, ..Refusal::definite(Code::ShuttingDown, "the node is going down") };
    if context.arrivals.send(arrival(sender)).is_err() {
        return Err(gone(true));
    }
    match tokio::time::timeout(PATIENCE, receiver).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(gone(false)),
        Err(_) => Err(Refusal::unknown(Code::Timeout, "the node did not finish the request in time")),
    }
}

fn answered(result: Result<Answered, Refusal>) -> Response {
    let body = result.map(|answered| match answered {
        Answered::Reply(reply) => serde_json::to_vec(&reply),
        Answered::Row(row) => serde_json::to_vec(&ReplicaReply { row }),
    });
    match body {
        Ok(body) => match body {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => refused(&Refusal::unknown(Code::BadRequest, error.to_string())),
        },
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        Code::BadRequest | Code::Unsupported => StatusCode::BAD_REQUEST,
        Code::CasMismatch | Code::WrongType | Code::TokenDiscarded | Code::Conflict => StatusCode::CONFLICT,
        Code::NotLeader | Code::NoLeader | Code::Behind | Code::LeaseExpired | Code::ShuttingDown => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::GATEWAY_TIMEOUT,
    };
    (status, Json(json!({ "error": refusal }))).into_response()
}

/// What `/v1/health` answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// The run's identity.
    pub run: String,
    /// The node.
    pub node: String,
    /// Whether clients can be served.
    pub ready: bool,
}

async fn health(State(context): Shared) -> Json<Health> {
    let ready = published(&context).status.ready;
    Json(Health { run: context.run.clone(), node: context.name.clone(), ready })
}

/// What `/v1/status` answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The run's identity.
    pub run: String,
    /// The node.
    pub node: String,
    /// Its wall clock, nanoseconds since the epoch.
    pub clock_ns: i64,
    /// Seconds since the process began.
    pub uptime: f64,
    /// The rest.
    #[serde(flatten)]
    pub status: Status,
}

async fn status(State(context): Shared) -> Json<NodeStatus> {
    let clock_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
    Json(NodeStatus {
        run: context.run.clone(),
        node: context.name.clone(),
        clock_ns,
        uptime: context.began.elapsed().as_secs_f64(),
        status: published(&context).status.clone(),
    })
}

fn published(context: &Context) -> std::sync::MutexGuard<'_, Published> {
    context.published.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn metrics(State(context): Shared) -> Response {
    let text = {
        let published = published(&context);
        metrics::text(&published.metrics, &published.status, context.began.elapsed().as_secs_f64())
    };
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

/// A key as one replica holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The key.
    pub key: String,
    /// What it holds.
    pub outcome: Outcome,
    /// Where that stands.
    #[serde(default)]
    pub version: Option<Version>,
}

/// What `/v1/dump` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dump {
    /// The node.
    pub node: String,
    /// Every key that holds something, ascending.
    pub rows: Vec<Held>,
    /// Term and index of the last entry in it.
    pub position: (u64, u64),
    /// How many rows wait here until another node is back.
    #[serde(default)]
    pub kept_for_others: u64,
}

async fn dump(State(context): Shared) -> Response {
    match tokio::task::spawn_blocking(move || read_dump(&context)).await {
        Ok(Ok(dump)) => Json(dump).into_response(),
        Ok(Err(error)) => refused(&Refusal::definite(Code::ShuttingDown, error)),
        Err(error) => refused(&Refusal::definite(Code::ShuttingDown, error.to_string())),
    }
}

/// Where change data capture begins, and how much of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<usize>,
}

async fn changes(
    State(context): Shared,
    since: Result<axum::extract::Query<Since>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let since = match since {
        Ok(axum::extract::Query(since)) => since,
        Err(error) => return refused(&Refusal::definite(Code::BadRequest, error.body_text())),
    };
    if !matches!(context.policy, Policy::SingleLeader(_)) {
        return refused(&Refusal::definite(Code::Unsupported, "changes are told by --mode single-leader alone"));
    }
    let limit = since.limit.unwrap_or(100).min(CHANGES);
    let committed = published(&context).status.committed;
    let path = context.database.clone();
    let read = move || crate::store::changes::read(&path, since.after, limit, committed);
    let lines = match tokio::task::spawn_blocking(read).await {
        Ok(Ok(Ok(lines))) => lines,
        Ok(Ok(Err(oldest))) => {
            let why = format!("the log begins with {oldest} by now; begin a new copy with /v1/dump");
            return refused(&Refusal::definite(Code::BadRequest, why));
        }
        Ok(Err(error)) => return refused(&Refusal::definite(Code::ShuttingDown, error.to_string())),
        Err(error) => return refused(&Refusal::definite(Code::ShuttingDown, error.to_string())),
    };
    match lines.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>() {
        Ok(lines) => {
            let text: String = lines.into_iter().flat_map(|line| [line, "\n".to_string()]).collect();
            ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
        }
        Err(error) => refused(&Refusal::definite(Code::ShuttingDown, error.to_string())),
    }
}

/// All shards of this node, without what is kept beside the values.
fn read_shards(context: &Context, policy: &Partitioned) -> Result<Dump, String> {
    let placement = partitioned::Placement::new(policy, &context.nodes);
    let mut rows = Vec::new();
    for shard in (0..placement.shards()).filter(|shard| placement.holds(&context.name, *shard)) {
        let path = partitioned::placement::directory(&context.database, shard).join("node.sqlite");
        let copy = snapshot(&path).map_err(|error| error.to_string())?;
        let version = Version::Position { term: copy.last.0, index: copy.last.1 };
        let own = copy.rows.into_iter().filter(|(key, _)| !partitioned::dependencies::is_beside(key));
        rows.extend(own.map(|(key, cell)| Held { key, outcome: Some(cell).into(), version: Some(version.clone()) }));
    }
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Dump { node: context.name.clone(), rows, position: (0, 0), kept_for_others: 0 })
}

fn read_dump(context: &Context) -> Result<Dump, String> {
    if let Policy::Partitioned(policy) = &context.policy {
        return read_shards(context, policy);
    }
    let copy = snapshot(&context.database).map_err(|error| error.to_string())?;
    let version = Version::Position { term: copy.last.0, index: copy.last.1 };
    let mut rows: Vec<Held> = copy
        .rows
        .into_iter()
        .map(|(key, cell)| Held { key, outcome: Some(cell).into(), version: Some(version.clone()) })
        .collect();
    let placement = match &context.policy {
        Policy::Leaderless(policy) => Some(leaderless::Placement::new(policy, &context.nodes)),
        _ => None,
    };
    for (key, text) in copy.versions {
        if let Policy::MultiLeader(policy) = &context.policy {
            let row: multi_leader::row::Row = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            rows.push(Held { key, outcome: row.outcome(policy), version: row.version(policy) });
            continue;
        }
        // What a node keeps for others is not its own to show.
        if placement.as_ref().is_none_or(|placement| placement.is_home(&key, &context.name)) {
            let row = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let (outcome, version) = leaderless::shown(Some(row));
            rows.push(Held { key, outcome, version: Some(version) });
        }
    }
    Ok(Dump { node: context.name.clone(), rows, position: copy.last, kept_for_others: copy.hints })
}
