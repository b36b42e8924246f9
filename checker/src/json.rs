//! Events as JSON lines.
//!
//! Written by hand because the recorder writes hundreds of thousands a second; every line is one map with the keys of
//! Jepsen's histories and ours beside them. Read through `serde_json`, leniently: unknown keys are ignored, a missing
//! session is the process. Lines as we write them take a shorter way ([`line`]). Values take these shapes:
//!
//! ```text
//! read           [5, null]  invoked, or read as having no value
//!                [5, 3]  a register      [5, [1, 2]]  a list or set      [5, {"siblings": [1, 2]}]
//! write append add remove   [5, 3]       cas  [5, [1, 2]]       delete  [5, null]
//! txn            [["r", 5, null], ["w", 6, 1], ["append", 7, 2], ["add", 8, 3], ["cas", 9, [1, 2]], …]
//! ```

mod line;

use std::io::Write as _;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use smallvec::smallvec;

use crate::action::{Action, Atom, Reading, Step, Steps};
use crate::event::{Event, Function, Kind, Note, OpEvent, Process};
use crate::version::Version;

pub(crate) use self::line::Names;

/// Appends `event` as one line, with its newline, to `out`.
pub fn write_event(out: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Op(op) => write_op(out, op),
        Event::Note(note) => write_note(out, note),
    }
}

fn write_note(out: &mut Vec<u8>, note: &Note) {
    out.extend_from_slice(b"{\"index\":");
    integer(out, note.index as i128);
    out.extend_from_slice(b",\"time\":");
    integer(out, note.time as i128);
    out.extend_from_slice(b",\"type\":\"info\",\"process\":\"nemesis\",\"f\":");
    text(out, &note.f);
    out.extend_from_slice(b",\"value\":");
    serialized(out, &note.value);
    out.extend_from_slice(b"}\n");
}

fn write_op(out: &mut Vec<u8>, op: &OpEvent) {
    out.extend_from_slice(b"{\"index\":");
    integer(out, op.index as i128);
    out.extend_from_slice(b",\"time\":");
    integer(out, op.time as i128);
    out.extend_from_slice(match op.kind {
        Kind::Invoke => b",\"type\":\"invoke\",\"process\":" as &[u8],
        Kind::Ok => b",\"type\":\"ok\",\"process\":",
        Kind::Fail => b",\"type\":\"fail\",\"process\":",
        Kind::Info => b",\"type\":\"info\",\"process\":",
    });
    integer(out, op.process.0 as i128);
    out.extend_from_slice(b",\"f\":\"");
    out.extend_from_slice(op.function.name().as_bytes());
    out.extend_from_slice(b"\",\"value\":");
    steps(out, op.function, &op.steps);
    if let Some(session) = &op.session {
        out.extend_from_slice(b",\"session\":");
        atom(out, session);
    }
    if let Some(user) = &op.user {
        out.extend_from_slice(b",\"user\":");
        atom(out, user);
    }
    if let Some(node) = &op.node {
        out.extend_from_slice(b",\"node\":");
        text(out, node);
    }
    if let Some(version) = &op.version {
        out.extend_from_slice(b",\"version\":");
        write_version(out, version);
    }
    if let Some(intended) = op.intended {
        out.extend_from_slice(b",\"intended\":");
        integer(out, intended as i128);
    }
    if let Some(error) = &op.error {
        out.extend_from_slice(b",\"error\":");
        text(out, error);
    }
    if op.last {
        out.extend_from_slice(b",\"final\":true");
    }
    out.extend_from_slice(b"}\n");
}

fn write_version(out: &mut Vec<u8>, version: &Version) {
    if let Version::Position(term, index) = version {
        out.push(b'[');
        integer(out, *term as i128);
        out.push(b',');
        integer(out, *index as i128);
        out.push(b']');
    } else {
        serialized(out, version);
    }
}

fn serialized(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Writing to memory cannot fail, and none of our types has a map with keys that are not text.
    serde_json::to_writer(out, value).expect("plain data is always JSON");
}

fn steps(out: &mut Vec<u8>, function: Function, steps: &Steps) {
    if function != Function::Txn && steps.len() == 1 {
        out.push(b'[');
        atom(out, &steps[0].key);
        out.push(b',');
        argument(out, &steps[0].action);
        out.push(b']');
        return;
    }
    out.push(b'[');
    for (i, step) in steps.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(match step.action {
            Action::Read(_) => b"[\"r\"," as &[u8],
            Action::Write(_) => b"[\"w\",",
            Action::Cas { .. } => b"[\"cas\",",
            Action::Append(_) => b"[\"append\",",
            Action::Add(_) => b"[\"add\",",
            Action::Remove(_) => b"[\"remove\",",
            Action::Delete => b"[\"delete\",",
        });
        atom(out, &step.key);
        out.push(b',');
        argument(out, &step.action);
        out.push(b']');
    }
    out.push(b']');
}

fn argument(out: &mut Vec<u8>, action: &Action) {
    match action {
        Action::Read(None | Some(Reading::Nil)) | Action::Delete => out.extend_from_slice(b"null"),
        Action::Read(Some(Reading::One(value))) => atom(out, value),
        Action::Read(Some(Reading::Many(values))) => atoms(out, values),
        Action::Read(Some(Reading::Siblings(values))) => {
            out.extend_from_slice(b"{\"siblings\":");
            atoms(out, values);
            out.push(b'}');
        }
        Action::Write(value) | Action::Append(value) | Action::Add(value) | Action::Remove(value) => atom(out, value),
        Action::Cas { old, new } => {
            out.push(b'[');
            match old {
                Some(old) => atom(out, old),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b',');
            atom(out, new);
            out.push(b']');
        }
    }
}

fn atoms(out: &mut Vec<u8>, values: &[Atom]) {
    out.push(b'[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        atom(out, value);
    }
    out.push(b']');
}

fn atom(out: &mut Vec<u8>, value: &Atom) {
    match value {
        Atom::Int(value) => integer(out, *value as i128),
        Atom::Text(value) => text(out, value),
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        serialized(out, &value);
    }
}

fn integer(out: &mut Vec<u8>, value: i128) {
    if let Ok(mut rest) = u64::try_from(value) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    } else {
        // Negative numbers are rare; writing to memory cannot fail.
        write!(out, "{value}").expect("writing to memory cannot fail");
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    time: Option<i64>,
    #[serde(rename = "type")]
    kind: String,
    process: Value,
    f: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    session: Option<Value>,
    #[serde(default)]
    user: Option<Value>,
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    intended: Option<u64>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, rename = "final")]
    last: bool,
}

/// Reads one line. The error is a sentence without the line's number.
pub fn parse_event(line: &[u8]) -> Result<Event, String> {
    parse_with(line, &mut Names::default())
}

/// Reads one line after others whose texts may come again.
pub(crate) fn parse_with(line: &[u8], names: &mut Names) -> Result<Event, String> {
    line::read(line, names).map_or_else(|| parse_generally(line), Ok)
}

fn parse_generally(line: &[u8]) -> Result<Event, String> {
    event(serde_json::from_slice(line).map_err(|error| format!("not an event: {error}"))?)
}

fn event(line: Line) -> Result<Event, String> {
    let index = line.index.ok_or("the event has no index")?;
    let time = line.time.unwrap_or(0).max(0) as u64;
    let Some(process) = line.process.as_u64() else {
        return Ok(Event::Note(Note { index, time, f: line.f, value: line.value }));
    };
    let kind = match line.kind.as_str() {
        "invoke" => Kind::Invoke,
        "ok" => Kind::Ok,
        "fail" => Kind::Fail,
        "info" => Kind::Info,
        other => return Err(format!("type is {other:?}; invoke, ok, fail and info are allowed")),
    };
    let function = Function::named(&line.f).ok_or_else(|| format!("operation {:?} is not known", line.f))?;
    Ok(Event::Op(OpEvent {
        index,
        time,
        intended: line.intended,
        kind,
        process: Process(process),
        function,
        steps: parse_steps(function, kind, &line.value)?,
        session: line.session.as_ref().map(parse_atom).transpose()?,
        user: line.user.as_ref().map(parse_atom).transpose()?,
        node: line.node.map(Arc::from),
        version: line.version,
        error: line.error.map(|error| match error {
            Value::String(error) => Arc::from(error),
            other => Arc::from(other.to_string()),
        }),
        last: line.last,
    }))
}

fn parse_steps(function: Function, kind: Kind, value: &Value) -> Result<Steps, String> {
    let list = value.as_array().ok_or_else(|| format!("value {value} is not a pair of key and value"))?;
    if function != Function::Txn {
        let [key, argument] = list.as_slice() else {
            return Err(format!("value {value} is not a pair of key and value"));
        };
        return Ok(smallvec![parse_step(function, kind, key, argument)?]);
    }
    list.iter()
        .map(|step| {
            let parts = step.as_array().map(Vec::as_slice).unwrap_or_default();
            let [Value::String(name), key, argument] = parts else {
                return Err(format!("step {step} is not a triple of name, key and value"));
            };
            let function = match name.as_str() {
                "r" => Function::Read,
                "w" => Function::Write,
                other => Function::named(other)
                    .filter(|function| *function != Function::Txn)
                    .ok_or_else(|| format!("step {other:?} is not known"))?,
            };
            parse_step(function, kind, key, argument)
        })
        .collect()
}

fn parse_step(function: Function, kind: Kind, key: &Value, argument: &Value) -> Result<Step, String> {
    let action = match function {
        Function::Read => Action::Read(if kind == Kind::Ok { Some(parse_reading(argument)?) } else { None }),
        Function::Write => Action::Write(parse_atom(argument)?),
        Function::Append => Action::Append(parse_atom(argument)?),
        Function::Add => Action::Add(parse_atom(argument)?),
        Function::Remove => Action::Remove(parse_atom(argument)?),
        Function::Delete => Action::Delete,
        Function::Cas => {
            let Some([old, new]) = argument.as_array().map(Vec::as_slice) else {
                return Err(format!("cas needs [old, new], not {argument}"));
            };
            Action::Cas { old: if old.is_null() { None } else { Some(parse_atom(old)?) }, new: parse_atom(new)? }
        }
        Function::Txn => return Err("a transaction inside a transaction".to_string()),
    };
    Ok(Step { key: parse_atom(key)?, action })
}

fn parse_reading(value: &Value) -> Result<Reading, String> {
    match value {
        Value::Null => Ok(Reading::Nil),
        Value::Array(values) => Ok(Reading::Many(values.iter().map(parse_atom).collect::<Result<_, _>>()?)),
        Value::Object(map) => {
            let siblings =
                map.get("siblings").and_then(Value::as_array).ok_or_else(|| format!("a read returned {value}"))?;
            let siblings: Vec<Atom> = siblings.iter().map(parse_atom).collect::<Result<_, _>>()?;
            Ok(if siblings.is_empty() { Reading::Nil } else { Reading::Siblings(siblings) })
        }
        other => Ok(Reading::One(parse_atom(other)?)),
    }
}

fn parse_atom(value: &Value) -> Result<Atom, String> {
    match value {
        Value::Number(number) => {
            number.as_i64().map(Atom::Int).ok_or_else(|| format!("{number} is not a 64-bit integer"))
        }
        Value::String(text) => Ok(Atom::from(text.as_str())),
        other => Err(format!("{other} is neither an integer nor a text")),
    }
}
