//! Histories in EDN, as Jepsen writes them, in and out.
//!
//! Reading is generous: one map a line or one vector or list of them, comments, tags (which are skipped), sets, keywords for names. Everything
//! becomes the JSON of the same shape, keywords their names, and is understood by [`foreign`](crate::foreign). Writing gives one map
//! a line, with keyed values as `[key value]`.

use std::io::Write as _;

use serde_json::{Map, Number, Value};

use crate::action::{Action, Atom, Reading};
use crate::event::{Event, Function, Kind, OpEvent};

/// How deep values may be nested.
const DEPTH: usize = 64;

/// All top-level forms of an EDN text. The error says what is wrong and at which byte.
pub fn parse(text: &[u8]) -> Result<Vec<Value>, String> {
    let mut parser = Parser { text, at: 0 };
    let mut forms = Vec::new();
    while parser.skip_space() {
        if parser.discard(0)? {
            continue;
        }
        forms.push(parser.form(0)?);
    }
    Ok(forms)
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at byte {}", self.at))
    }

    /// Skips spaces, commas and comments; whether anything is left.
    fn skip_space(&mut self) -> bool {
        while let Some(byte) = self.peek() {
            match byte {
                b',' => self.at += 1,
                _ if byte.is_ascii_whitespace() => self.at += 1,
                b';' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return true,
            }
        }
        false
    }

    /// Skips `#_ form`.
    fn discard(&mut self, depth: usize) -> Result<bool, String> {
        if self.text[self.at..].starts_with(b"#_") {
            self.at += 2;
            self.skip_space();
            self.form(depth + 1)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn form(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return self.wrong("nested too deeply");
        }
        match self.peek() {
            None => self.wrong("the text ends too early"),
            Some(b'[') => self.sequence(b']', depth),
            Some(b'(') => self.sequence(b')', depth),
            Some(b'{') => self.map(depth),
            Some(b'"') => self.string(),
            Some(b'\\') => {
                self.at += 1;
                let word = self.word();
                Ok(Value::String(word))
            }
            Some(b':') => {
                self.at += 1;
                Ok(Value::String(self.word()))
            }
            Some(b'#') => {
                self.at += 1;
                match self.peek() {
                    Some(b'{') => self.sequence(b'}', depth),
                    // A tag says what the next form means; the form is enough.
                    _ => {
                        self.word();
                        self.skip_space();
                        self.form(depth + 1)
                    }
                }
            }
            Some(b')' | b']' | b'}') => self.wrong("a bracket closes that was not opened"),
            Some(_) => {
                let word = self.word();
                Ok(plain(&word))
            }
        }
    }

    fn sequence(&mut self, close: u8, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            if !self.skip_space() {
                return self.wrong("the text ends inside of a bracket");
            }
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(Value::Array(items));
            }
            if !self.discard(depth)? {
                items.push(self.form(depth + 1)?);
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let Value::Array(items) = self.sequence(b'}', depth)? else { return self.wrong("not a map") };
        if items.len() % 2 == 1 {
            return self.wrong("a map has a key without a value before");
        }
        let mut map = Map::new();
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            let key = if let Value::String(key) = key { key } else { key.to_string() };
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn string(&mut self) -> Result<Value, String> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    // EDN's strings and escapes are those of JSON, for all that occurs in histories.
                    return serde_json::from_slice(&self.text[start..self.at])
                        .or_else(|why| self.wrong(&format!("a string that is not understood ({why}) ends")));
                }
                _ => self.at += 1,
            }
        }
        self.wrong("the text ends inside of a string")
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if byte.is_ascii_whitespace() || b",;()[]{}\"".contains(&byte) {
                break;
            }
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }
}

fn plain(word: &str) -> Value {
    match word {
        "nil" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => {
            let digits = word.trim_start_matches('+').trim_end_matches(['N', 'M']);
            if let Ok(number) = digits.parse::<i64>() {
                Value::Number(number.into())
            } else if let Some(number) = digits.parse::<f64>().ok().and_then(Number::from_f64) {
                Value::Number(number)
            } else {
                Value::String(word.to_string())
            }
        }
    }
}

/// Appends `event` as one line of EDN.
pub fn write_event(out: &mut Vec<u8>, event: &Event) {
    // Writing to memory cannot fail, here and below.
    let _ = match event {
        Event::Op(op) => write_op(out, op),
        Event::Note(note) => {
            let _ = write!(out, "{{:index {}, :time {}, :type :info, :process :nemesis, :f ", note.index, note.time);
            keyword(out, &note.f);
            out.extend_from_slice(b", :value ");
            value(out, &note.value);
            out.write_all(b"}\n")
        }
    };
}

fn write_op(out: &mut Vec<u8>, op: &OpEvent) -> std::io::Result<()> {
    let kind = match op.kind {
        Kind::Invoke => "invoke",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    };
    write!(out, "{{:index {}, :time {}, :type :{kind}, :process {}", op.index, op.time, op.process.0)?;
    write!(out, ", :f :{}, :value ", op.function.name())?;
    if op.function != Function::Txn && op.steps.len() == 1 {
        out.push(b'[');
        atom(out, &op.steps[0].key);
        out.push(b' ');
        argument(out, &op.steps[0].action);
        out.push(b']');
    } else {
        out.push(b'[');
        for (at, step) in op.steps.iter().enumerate() {
            let name = match step.action {
                Action::Read(_) => "r",
                Action::Write(_) => "w",
                Action::Cas { .. } => "cas",
                Action::Append(_) => "append",
                Action::Add(_) => "add",
                Action::Remove(_) => "remove",
                Action::Delete => "delete",
            };
            write!(out, "{}[:{name} ", if at > 0 { " " } else { "" })?;
            atom(out, &step.key);
            out.push(b' ');
            argument(out, &step.action);
            out.push(b']');
        }
        out.push(b']');
    }
    for (name, who) in [("session", &op.session), ("user", &op.user)] {
        if let Some(who) = who {
            write!(out, ", :{name} ")?;
            atom(out, who);
        }
    }
    if let Some(node) = &op.node {
        out.extend_from_slice(b", :node ");
        string(out, node);
    }
    if let Some(version) = &op.version
        && let Ok(version) = serde_json::to_value(version)
    {
        out.extend_from_slice(b", :version ");
        value(out, &version);
    }
    if let Some(intended) = op.intended {
        write!(out, ", :intended {intended}")?;
    }
    if let Some(error) = &op.error {
        out.extend_from_slice(b", :error ");
        string(out, error);
    }
    if op.last {
        out.extend_from_slice(b", :final true");
    }
    out.write_all(b"}\n")
}

fn argument(out: &mut Vec<u8>, action: &Action) {
    match action {
        Action::Read(None | Some(Reading::Nil)) | Action::Delete => out.extend_from_slice(b"nil"),
        Action::Read(Some(Reading::One(it))) | Action::Write(it) => atom(out, it),
        Action::Append(it) | Action::Add(it) | Action::Remove(it) => atom(out, it),
        Action::Read(Some(Reading::Many(all))) => atoms(out, all),
        Action::Read(Some(Reading::Siblings(all))) => {
            out.extend_from_slice(b"{:siblings ");
            atoms(out, all);
            out.push(b'}');
        }
        Action::Cas { old, new } => {
            out.push(b'[');
            match old {
                Some(old) => atom(out, old),
                None => out.extend_from_slice(b"nil"),
            }
            out.push(b' ');
            atom(out, new);
            out.push(b']');
        }
    }
}

fn atoms(out: &mut Vec<u8>, all: &[Atom]) {
    out.push(b'[');
    for (at, it) in all.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        atom(out, it);
    }
    out.push(b']');
}

fn atom(out: &mut Vec<u8>, it: &Atom) {
    match it {
        Atom::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Atom::Text(text) => string(out, text),
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    value(out, &Value::String(text.to_string()));
}

/// A name as a keyword where it can be one, else as a string.
fn keyword(out: &mut Vec<u8>, name: &str) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*+!?/".contains(&byte);
    if name.bytes().all(fits) && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) {
        out.push(b':');
        out.extend_from_slice(name.as_bytes());
    } else {
        string(out, name);
    }
}

fn value(out: &mut Vec<u8>, it: &Value) {
    match it {
        Value::Null => out.extend_from_slice(b"nil"),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                value(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            for (at, (name, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                keyword(out, name);
                out.push(b' ');
                value(out, item);
            }
            out.push(b'}');
        }
        // Numbers, booleans and strings look alike in both.
        plain => out.extend_from_slice(plain.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_json_of_the_same_shape() {
        let text = br#"; a comment
            {:type :ok, :f :read, :value [1 #{2 3}] :s "a\"b", :t #inst "2020", #_ :gone :n -4 :x nil}"#;
        let forms = parse(text).unwrap();
        assert_eq!(
            forms,
            vec![
                serde_json::json!({"type": "ok", "f": "read", "value": [1, [2, 3]], "s": "a\"b", "t": "2020", "n": -4, "x": null})
            ]
        );
    }

    #[test]
    fn what_is_no_edn_is_refused_with_its_place() {
        for wrong in ["[1 2", "{:a}", "]", "\"abc"] {
            assert!(parse(wrong.as_bytes()).unwrap_err().contains("at byte"), "{wrong}");
        }
        let deep = "[".repeat(100);
        assert!(parse(deep.as_bytes()).is_err());
    }
}
