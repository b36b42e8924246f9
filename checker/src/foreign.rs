//! Histories that other tools wrote: EDN, JSON lines or one JSON array.
//!
//! Jepsen's histories may lack indices and times (then the order of the lines is the time), and the values of a test with one register are not
//! keyed. Whether they are is decided over the whole history: keyed, if every write carries a pair. What is read wins over strictness, and
//! what was assumed is noted.

use serde_json::{Value, json};

use crate::event::Event;
use crate::history::{History, HistoryError};
use crate::json;

/// The key of a register in a history without keys.
const ONLY_KEY: &str = "x";

impl History {
    /// Reads a history in any of the formats, told apart by how it begins.
    ///
    /// # Errors
    ///
    /// Of the format that the text looks like: the line or the byte, and what is wrong.
    pub fn read_any(bytes: &[u8]) -> Result<History, HistoryError> {
        let wrong = |why: String| HistoryError::Line { line: 1, why };
        match looks_like(bytes) {
            Format::JsonLines => match History::read_json(bytes) {
                Err(HistoryError::Line { line, why }) => {
                    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
                    let values: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
                    // The strict reader's error is the better one for a history of ours.
                    let Ok(values) = values else { return Err(HistoryError::Line { line, why }) };
                    if values.iter().any(|value| value.get("session").is_some()) {
                        return Err(HistoryError::Line { line, why });
                    }
                    from_values(values)
                }
                other => other,
            },
            Format::JsonArray => {
                let values = serde_json::from_slice(bytes).map_err(|why| wrong(format!("not a JSON array: {why}")))?;
                from_values(values)
            }
            Format::Edn => {
                let mut forms = crate::edn::parse(bytes).map_err(wrong)?;
                if let [Value::Array(_)] = forms.as_slice()
                    && let Some(Value::Array(inner)) = forms.pop()
                {
                    forms = inner;
                }
                from_values(forms)
            }
        }
    }
}

enum Format {
    JsonLines,
    JsonArray,
    Edn,
}

fn looks_like(bytes: &[u8]) -> Format {
    let mut solid = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    match (solid.next(), solid.next(), solid.next()) {
        (None, _, _) | (Some(b'{'), Some(b'"'), _) => Format::JsonLines,
        (Some(b'['), Some(b'{'), Some(b'"')) => Format::JsonArray,
        _ => Format::Edn,
    }
}

fn from_values(values: Vec<Value>) -> Result<History, HistoryError> {
    let keyed = keyed(&values);
    let indexed = rising(&values, "index", |before, after| before < after);
    let timed = rising(&values, "time", |before, after| before <= after);
    let mut events: Vec<Event> = Vec::with_capacity(values.len());
    for (at, mut value) in values.into_iter().enumerate() {
        let wrong = |why: String| HistoryError::Line { line: at + 1, why };
        let Some(map) = value.as_object_mut() else { return Err(wrong(format!("{value} is not an operation"))) };
        if !indexed {
            map.insert("index".into(), json!(at));
        }
        if !timed {
            map.insert("time".into(), json!(at));
        }
        if map.get("process").is_some_and(Value::is_u64) {
            let f = map.get("f").and_then(Value::as_str).unwrap_or_default().to_string();
            let it = map.remove("value").unwrap_or(Value::Null);
            map.insert("value".into(), if keyed || f == "txn" { it } else { json!([ONLY_KEY, it]) });
        }
        events.push(json::event_from_value(value).map_err(wrong)?);
    }
    let mut history = History::from_events(events)?;
    if !timed {
        history.notes.push("the history has no usable times: the order of its lines was taken for time".to_string());
    }
    if !keyed {
        history.notes.push(format!("the history names no keys: everything was taken to be one key, {ONLY_KEY}"));
    }
    Ok(history)
}

/// Whether values are pairs of key and value.
fn keyed(values: &[Value]) -> bool {
    let pair = |value: &Value| value.as_array().is_some_and(|pair| pair.len() == 2);
    values.iter().filter(|value| value.get("process").is_some_and(Value::is_u64)).all(|value| {
        let it = value.get("value").unwrap_or(&Value::Null);
        match value.get("f").and_then(Value::as_str) {
            Some("txn") => true,
            Some("cas") => pair(it) && pair(&it[1]),
            _ => pair(it),
        }
    })
}

fn rising(values: &[Value], name: &str, fits: impl Fn(u64, u64) -> bool) -> bool {
    let numbers: Option<Vec<u64>> = values.iter().map(|value| value.get(name).and_then(Value::as_u64)).collect();
    numbers.is_some_and(|numbers| numbers.windows(2).all(|pair| fits(pair[0], pair[1])))
}
