//! What a request may be: how large, how slow, how much at once. Checked before the node's thread hears of it.
//!
//! like: etcd, whose requests may have 1.5 MB and 128 operations. A body that does not come in time, or is too large, is refused with a sentence and costs one
//! task; what is being read is bounded, so that ten thousand slow clients cannot fill the memory either.

use std::time::Duration;

use axum::body::Body;
use serde::de::DeserializeOwned;

use crate::operation::{Code, Operation, Refusal, ReplicaRequest, Request};
use crate::value::Value;

/// The longest body, in bytes.
const BODY: usize = 2 << 20;
/// The longest key, in bytes.
const KEY: usize = 1 << 10;
/// The longest text, in bytes.
const TEXT: usize = 1 << 20;
/// The longest statement, in bytes.
const STATEMENT: usize = 64 << 10;
/// The most operations of one request.
const OPERATIONS: usize = 1_000;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::definite(Code::BadRequest, why)
}

/// What a request is checked for beside its shape.
pub trait Bounded: DeserializeOwned {
    /// Whether it keeps within the limits.
    ///
    /// # Errors
    /// One sentence that says which limit it does not keep.
    fn check(&self) -> Result<(), Refusal>;
}

impl Bounded for Request {
    fn check(&self) -> Result<(), Refusal> {
        if self.ops.is_empty() {
            return Err(bad("the request has no operation"));
        }
        if self.ops.len() > OPERATIONS {
            return Err(bad(format!("{} operations in one request; {OPERATIONS} are allowed", self.ops.len())));
        }
        self.ops.iter().try_for_each(|operation| {
            key(operation.key())?;
            match operation {
                Operation::Cas { old, value, .. } => old.iter().chain([value]).try_for_each(text),
                Operation::Write { value, .. }
                | Operation::Append { value, .. }
                | Operation::Add { value, .. }
                | Operation::Remove { value, .. } => text(value),
                Operation::Read { .. } | Operation::Delete { .. } => Ok(()),
                Operation::Sql { text } if text.len() > STATEMENT => {
                    Err(bad(format!("a statement of {} bytes; {STATEMENT} are allowed", text.len())))
                }
                Operation::Sql { .. } => Ok(()),
            }
        })
    }
}

impl Bounded for ReplicaRequest {
    fn check(&self) -> Result<(), Refusal> {
        match self {
            ReplicaRequest::Put { key: it, .. }
            | ReplicaRequest::Mend { key: it, .. }
            | ReplicaRequest::Get { key: it } => key(it),
        }
    }
}

fn key(key: &str) -> Result<(), Refusal> {
    match key.len() {
        0 => Err(bad("a key is empty")),
        length if length > KEY => Err(bad(format!("a key of {length} bytes; {KEY} are allowed"))),
        _ => Ok(()),
    }
}

fn text(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Text(text) if text.len() > TEXT => {
            Err(bad(format!("a value of {} bytes; {TEXT} are allowed", text.len())))
        }
        _ => Ok(()),
    }
}

/// The request that a body is.
///
/// # Errors
/// A definite refusal: too large, too slow, no JSON, no request, beyond the limits.
pub async fn read<T: Bounded>(body: Body) -> Result<T, Refusal> {
    let bytes = match tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(bad(format!("the body broke off or is longer than {BODY} bytes"))),
        Err(_) => return Err(Refusal::definite(Code::Timeout, format!("the body did not arrive within {ARRIVAL:?}"))),
    };
    parse(&bytes)
}

/// The request that these bytes are.
///
/// # Errors
/// A definite refusal, as of [`read`].
pub fn parse<T: Bounded>(bytes: &[u8]) -> Result<T, Refusal> {
    let request: T = serde_json::from_slice(bytes).map_err(|error| bad(format!("the body is no request: {error}")))?;
    request.check()?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_a_limit_is_refused_with_the_limit() {
        let long = "k".repeat(KEY + 1);
        let many = vec![r#"{"op":"read","key":"k"}"#; OPERATIONS + 1].join(",");
        for (body, part) in [
            (r#"{"ops":[]}"#.to_string(), "no operation"),
            (format!(r#"{{"ops":[{{"op":"read","key":"{long}"}}]}}"#), "1025 bytes; 1024"),
            (r#"{"ops":[{"op":"read","key":""}]}"#.to_string(), "empty"),
            (format!(r#"{{"ops":[{many}]}}"#), "1001 operations"),
            (r#"{"ops":[{"op":"write","key":"k","value":1.5}]}"#.to_string(), "no request"),
            (r#"{"ops":[{"op":"jump","key":"k"}]}"#.to_string(), "jump"),
            (r#"{"ops":[],"more":1}"#.to_string(), "more"),
            ("[".repeat(10_000), "no request"),
        ] {
            let refusal = parse::<Request>(body.as_bytes()).expect_err(part);
            assert!(refusal.definite && refusal.message.contains(part), "{part}: {}", refusal.message);
        }
        let replica = parse::<ReplicaRequest>(format!(r#"{{"get":"{long}"}}"#).as_bytes());
        assert!(replica.expect_err("too long").message.contains("1024"));
    }
}
