//! What clients ask for, what they are answered, and why they may be refused.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::modes::leaderless::row::Row;
use crate::value::{Cell, Value};

/// One operation on one key. A request carries one or several, done as one atomic transaction where the mode has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Operation {
    /// Reads a key.
    Read {
        /// The key.
        key: String,
    },
    /// Sets a register.
    Write {
        /// The key.
        key: String,
        /// Its new value.
        value: Value,
    },
    /// Sets a register if it holds `old`; without `old`, if it holds nothing.
    Cas {
        /// The key.
        key: String,
        /// What it must hold.
        #[serde(default)]
        old: Option<Value>,
        /// Its new value.
        value: Value,
    },
    /// Appends to a list.
    Append {
        /// The key.
        key: String,
        /// The new last element.
        value: Value,
    },
    /// Adds to a set.
    Add {
        /// The key.
        key: String,
        /// The element.
        value: Value,
    },
    /// Removes from a set.
    Remove {
        /// The key.
        key: String,
        /// The element.
        value: Value,
    },
    /// Deletes a key whatever it holds.
    Delete {
        /// The key.
        key: String,
    },
    /// Runs a statement on users' tables, whose names begin with `u_`. Only in the mode single-leader, and only at the leader.
    Sql {
        /// The statement.
        text: String,
    },
}

impl Operation {
    /// Its key; of a statement, the one under which it travels.
    pub fn key(&self) -> &str {
        match self {
            Operation::Read { key }
            | Operation::Write { key, .. }
            | Operation::Cas { key, .. }
            | Operation::Append { key, .. }
            | Operation::Add { key, .. }
            | Operation::Remove { key, .. }
            | Operation::Delete { key } => key,
            Operation::Sql { .. } => crate::store::sql::RUN,
        }
    }

    /// Whether it changes its key.
    pub fn writes(&self) -> bool {
        !matches!(self, Operation::Read { .. })
    }
}

/// The answer to one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// The key holds nothing.
    Nil,
    /// A register's value.
    Value(Value),
    /// A list.
    List(Vec<Value>),
    /// A set.
    Set(Vec<Value>),
    /// Several values of a register, none of which replaced another. Two or more.
    Siblings(Vec<Value>),
}

impl From<Option<Cell>> for Outcome {
    fn from(cell: Option<Cell>) -> Self {
        match cell {
            None => Outcome::Nil,
            Some(Cell::Register(value)) => Outcome::Value(value),
            Some(Cell::List(values)) => Outcome::List(values),
            Some(Cell::Set(values)) => Outcome::Set(values),
        }
    }
}

/// Per actor the highest counter that is covered.
pub type Context = BTreeMap<String, u64>;

/// Where a value stands, as the mode knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Version {
    /// A position with the leader's wall clock as of its entry; only where it was asked for.
    Dated {
        /// The leader's term.
        term: u64,
        /// The entry's index.
        index: u64,
        /// Nanoseconds since the epoch by the clock of whoever led.
        wall: i64,
    },
    /// A position in the leader's log.
    Position {
        /// The leader's term.
        term: u64,
        /// The entry's index.
        index: u64,
    },
    /// A dotted version vector. Of a write, what it replaced and its own dot; of a read, everything covered, and a dot for each sibling.
    Vector {
        /// What is covered.
        seen: Context,
        /// The dots.
        dots: Vec<(String, u64)>,
    },
    /// A timestamp for last-write-wins.
    Stamp {
        /// Nanoseconds since the epoch by the wall clock of whoever stamped it.
        timestamp: i64,
        /// Who did.
        writer: String,
    },
}

impl Version {
    /// The position in the leader's log, if it is one.
    pub fn position(&self) -> Option<(u64, u64)> {
        match self {
            Version::Position { term, index } | Version::Dated { term, index, .. } => Some((*term, *index)),
            _ => None,
        }
    }
}

/// A request: `POST /v1/txn`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to do, in order.
    pub ops: Vec<Operation>,
    /// Only the leader may answer, and only while it may still be one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leader: bool,
    /// The answer must not be older than this (term, index).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<(u64, u64)>,
    /// Nor older than any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<(u64, u64)>,
    /// The replica must have applied something that the leader of that time wrote at this wall-clock time or later, nanoseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_wall: Option<i64>,
    /// The replica must know that it lags by no more, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag_ms: Option<u64>,
    /// The answer's version is to tell the leader's wall clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dated: bool,
    /// How long a replica may wait until it has caught up with the token, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// For version vectors: what the session had read of each key that it writes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, Context>,
    /// For shards with causal tokens: of each other shard, up to which index of which terms its session had seen when it writes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends: BTreeMap<usize, BTreeMap<u64, u64>>,
}

/// A request of a client that coordinates by itself, to one replica: `POST /v1/replica`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum ReplicaRequest {
    /// Merge this row, and say so when it is on disk.
    Put {
        /// The key.
        #[serde(rename = "put")]
        key: String,
        /// The row.
        row: Row,
        /// For whom the receiver stands in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<String>,
    },
    /// A read found this replica stale: merge this row, unless it says only that something is deleted that was never here.
    Mend {
        /// The key.
        #[serde(rename = "mend")]
        key: String,
        /// The row.
        row: Row,
    },
    /// What do you hold?
    Get {
        /// The key.
        #[serde(rename = "get")]
        key: String,
    },
}

/// The request that a body of `POST /v1/txn` is.
///
/// # Errors
/// A definite refusal that says what is wrong with it.
pub fn parse_request(bytes: &[u8]) -> Result<Request, Refusal> {
    crate::http::intake::parse(bytes)
}

/// The request that a body of `POST /v1/replica` is.
///
/// # Errors
/// A definite refusal that says what is wrong with it.
pub fn parse_replica_request(bytes: &[u8]) -> Result<ReplicaRequest, Refusal> {
    crate::http::intake::parse(bytes)
}

/// What a replica answers to it: the row that it holds, if any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReply {
    /// The row; to a put, nothing.
    pub row: Option<Row>,
}

/// A successful answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The node that answered.
    pub node: String,
    /// One for each operation, in order.
    pub results: Vec<Outcome>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Under version vectors: what the session knows of each key now, in the order of the operations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<Context>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// This node does not lead.
    NotLeader,
    /// Nobody leads at the moment.
    NoLeader,
    /// This node led when the request came, and does no more; its log may or may not keep the write.
    Deposed,
    /// The compare-and-set's expectation was wrong.
    CasMismatch,
    /// The key holds something of another kind.
    WrongType,
    /// The token belongs to a tail that was discarded.
    TokenDiscarded,
    /// This replica has not caught up with the token.
    Behind,
    /// This node can't be sure that it still leads.
    LeaseExpired,
    /// Too few nodes confirmed in time.
    Timeout,
    /// Too few replicas answered in time.
    QuorumNotReached,
    /// Another datacentre writes the key at the same time, or has written it unseen.
    Conflict,
    /// This mode does not have the operation.
    Unsupported,
    /// The request makes no sense.
    BadRequest,
    /// The node is going down.
    ShuttingDown,
    /// Seen by the client only: no connection was made.
    Unreachable,
    /// Seen by the client only: the connection broke after the request may have left.
    ConnectionLost,
}

/// A refusal: the body of every answer that is no success, under `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why, for programs.
    pub code: Code,
    /// Whether the operation certainly did not happen.
    pub definite: bool,
    /// Why, for people.
    pub message: String,
    /// Who leads, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
}

impl Refusal {
    /// A refusal after which the operation certainly did not happen.
    pub fn definite(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, definite: true, message: message.into(), leader: None }
    }

    /// A refusal after which nobody knows.
    pub fn unknown(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, definite: false, message: message.into(), leader: None }
    }
}

/// What an operation makes of a key: its answer, and the cell afterwards if it changed.
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// `Some` where the key changes; `Some(None)` where it is gone then.
    pub change: Option<Option<Cell>>,
}

/// What several operations answer, and what each key that they change holds then, in the order of the first change.
pub type AllApplied = (Vec<Outcome>, Vec<(String, Option<Cell>)>);

/// Applies all operations in their order, each to what those before it left of what `held` says; or none.
///
/// # Errors
/// Those of `held`; within, a definite refusal.
pub fn apply_all<E>(
    ops: &[Operation],
    held: impl Fn(&str) -> Result<Option<Cell>, E>,
) -> Result<Result<AllApplied, Refusal>, E> {
    let mut overlay: HashMap<&str, Option<Cell>> = HashMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut results = Vec::with_capacity(ops.len());
    for operation in ops {
        let key = operation.key();
        let before = match overlay.get(key) {
            Some(before) => before.clone(),
            None => held(key)?,
        };
        let applied = match apply(operation, before) {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(cell) = applied.change
            && overlay.insert(key, cell).is_none()
        {
            order.push(key);
        }
        results.push(applied.outcome);
    }
    let changes = order.into_iter().map(|key| (key.to_string(), overlay.remove(key).flatten())).collect();
    Ok(Ok((results, changes)))
}

/// Applies `operation` to what its key holds.
///
/// # Errors
/// A definite refusal; nothing is changed then.
pub fn apply(operation: &Operation, held: Option<Cell>) -> Result<Applied, Refusal> {
    let changed = |cell: Option<Cell>| Ok(Applied { outcome: Outcome::Done, change: Some(cell) });
    let wrong =
        |kind: &str| Err(Refusal::definite(Code::WrongType, format!("{} does not hold a {kind}", operation.key())));
    match operation {
        Operation::Read { .. } => Ok(Applied { outcome: held.into(), change: None }),
        Operation::Write { value, .. } => changed(Some(Cell::Register(value.clone()))),
        Operation::Delete { .. } => changed(None),
        Operation::Sql { .. } => {
            Err(Refusal::definite(Code::Unsupported, "this mode has no tables; --mode single-leader has"))
        }
        Operation::Cas { key, old, value } => match (held, old) {
            (None, None) => changed(Some(Cell::Register(value.clone()))),
            (Some(Cell::Register(held)), Some(old)) if held == *old => changed(Some(Cell::Register(value.clone()))),
            (Some(Cell::List(_) | Cell::Set(_)), _) => wrong("register"),
            _ => Err(Refusal::definite(Code::CasMismatch, format!("{key} does not hold what was expected"))),
        },
        Operation::Append { value, .. } => match held {
            None => changed(Some(Cell::List(vec![value.clone()]))),
            Some(Cell::List(mut values)) => {
                values.push(value.clone());
                changed(Some(Cell::List(values)))
            }
            Some(_) => wrong("list"),
        },
        Operation::Add { value, .. } => match held {
            None => changed(Some(Cell::Set(vec![value.clone()]))),
            Some(Cell::Set(mut values)) => {
                if !values.contains(value) {
                    values.push(value.clone());
                }
                changed(Some(Cell::Set(values)))
            }
            Some(_) => wrong("set"),
        },
        Operation::Remove { value, .. } => match held {
            None => changed(None),
            Some(Cell::Set(mut values)) => {
                values.retain(|held| held != value);
                changed(Some(Cell::Set(values)))
            }
            Some(_) => wrong("set"),
        },
    }
}
