//! Events as text: EDN and JSON lines.

use std::io::Write as _;

use crate::event::Kind;
use crate::value::Value;

/// An event that was made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its position.
    pub index: u64,
    /// Its time in nanoseconds.
    pub time: u64,
    /// Whether it begins or ends an operation, and how.
    pub kind: Kind,
    /// Who.
    pub process: u64,
    /// What it is called.
    pub f: &'static str,
    /// With which value.
    pub value: Value,
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Invoke => "invoke",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    }
}

/// Appends an event as a line of EDN, as Jepsen writes it.
pub fn write_edn(out: &mut Vec<u8>, event: &Written) {
    // Writing to memory cannot fail, here and below.
    let _ = write!(
        out,
        "{{:index {}, :time {}, :type :{}, :process {}, :f :{}, :value ",
        event.index,
        event.time,
        kind(event.kind),
        event.process,
        event.f
    );
    edn_value(out, &event.value);
    out.extend_from_slice(b"}\n");
}

/// Appends an event as a line of JSON.
pub fn write_json(out: &mut Vec<u8>, event: &Written) {
    let _ = write!(
        out,
        "{{\"index\":{},\"time\":{},\"type\":\"{}\",\"process\":{},\"f\":\"{}\",\"value\":",
        event.index,
        event.time,
        kind(event.kind),
        event.process,
        event.f
    );
    json_value(out, &event.value);
    out.extend_from_slice(b"}\n");
}

/// Appends a value as EDN: texts that can be are keywords, others strings.
pub fn edn_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) if is_word(text) => {
            out.push(b':');
            out.extend_from_slice(text.as_bytes());
        }
        Value::Text(text) => string(out, text),
        Value::List(items) => all(out, b"[", items, b" ", b"]", edn_value),
        Value::Set(items) => all(out, b"#{", items, b" ", b"}", edn_value),
        Value::Map(entries) => {
            out.push(b'{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                edn_value(out, key);
                out.push(b' ');
                edn_value(out, value);
            }
            out.push(b'}');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

/// Appends a value as JSON: sets are arrays, keys of maps are strings.
pub fn json_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Text(text) => string(out, text),
        Value::List(items) | Value::Set(items) => all(out, b"[", items, b",", b"]", json_value),
        Value::Map(entries) => {
            out.push(b'{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(out, &key.to_string());
                out.push(b':');
                json_value(out, value);
            }
            out.push(b'}');
        }
        Value::Float(it) if !it.is_finite() => out.extend_from_slice(b"null"),
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

fn all(out: &mut Vec<u8>, open: &[u8], items: &[Value], gap: &[u8], close: &[u8], each: fn(&mut Vec<u8>, &Value)) {
    out.extend_from_slice(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(gap);
        }
        each(out, item);
    }
    out.extend_from_slice(close);
}

fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*+!?/".contains(&byte);
    text.bytes().all(fits) && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
}

fn string(out: &mut Vec<u8>, text: &str) {
    let quoted = serde_json::Value::String(text.to_string()).to_string();
    out.extend_from_slice(quoted.as_bytes());
}
