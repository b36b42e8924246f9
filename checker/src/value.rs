//! A value of a history whose shape is not known beforehand.
//!
//! For the checkers of Jepsen's smaller workloads (accounts, sets, counters, queues), which see few values each. What is large or many
//! has shapes of its own. EDN and JSON give the same values: keywords, symbols and strings are all text, and a map's keys that
//! look like integers are integers, since JSON cannot say otherwise.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::action::Atom;
use crate::text::{Bracket, Scanner, Syntax, Token, Wrong};

/// How deep values may be nested.
const DEPTH: usize = 64;

/// Any value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A string, keyword or symbol.
    Text(Arc<str>),
    /// A list or vector.
    List(Vec<Value>),
    /// A set, in the order in which it was written.
    Set(Vec<Value>),
    /// A map, in the order in which it was written.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The value that `text` is; an empty text is nil.
    ///
    /// # Errors
    ///
    /// What is wrong, at a byte of `text`: brackets that do not match, more than one value, nesting beyond 64.
    pub fn parse(text: &[u8], syntax: Syntax) -> Result<Value, Wrong> {
        let mut scanner = Scanner::new(text, syntax);
        if scanner.next_byte().is_none() {
            return Ok(Value::Nil);
        }
        let value = Value::read(&mut scanner)?;
        match scanner.token()? {
            Token::End => Ok(value),
            _ => Err(Wrong::new(scanner.at(), "something follows the value")),
        }
    }

    /// The next value of `scanner`.
    ///
    /// # Errors
    ///
    /// Those of [`Value::parse`].
    pub fn read(scanner: &mut Scanner<'_>) -> Result<Value, Wrong> {
        let mut open: Vec<(Bracket, Vec<Value>)> = Vec::new();
        loop {
            let at = scanner.at();
            let value = match scanner.token()? {
                Token::Nil => Value::Nil,
                Token::Bool(it) => Value::Bool(it),
                Token::Int(it) => Value::Int(it),
                Token::Float(it) => Value::Float(it),
                Token::Word(it) => Value::Text(String::from_utf8_lossy(it).into()),
                Token::Text(it) => Value::Text(unescape(it, at)?.into()),
                Token::Open(bracket) if open.len() < DEPTH => {
                    open.push((bracket, Vec::new()));
                    continue;
                }
                Token::Open(_) => return Err(Wrong::new(at, format!("nested deeper than {DEPTH}"))),
                Token::Close => match open.pop() {
                    Some((Bracket::List, items)) => Value::List(items),
                    Some((Bracket::Set, items)) => Value::Set(items),
                    Some((Bracket::Map, items)) => map(items, at)?,
                    None => return Err(Wrong::new(at, "a bracket closes that was not opened")),
                },
                Token::End => return Err(Wrong::new(at, "the text ends where a value was expected")),
            };
            match open.last_mut() {
                Some((_, items)) => items.push(value),
                None => return Ok(value),
            }
        }
    }

    /// The integer, if it is one.
    pub fn int(&self) -> Option<i64> {
        if let Value::Int(it) = self { Some(*it) } else { None }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(it) = self { Some(it) } else { None }
    }

    /// The elements of a list or a set.
    pub fn items(&self) -> Option<&[Value]> {
        if let Value::List(items) | Value::Set(items) = self { Some(items) } else { None }
    }

    /// The two elements of a pair.
    pub fn pair(&self) -> Option<(&Value, &Value)> {
        if let Value::List(items) = self
            && let [first, second] = items.as_slice()
        {
            return Some((first, second));
        }
        None
    }

    /// What a map holds under a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Value::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// Whether there is nothing.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// An atom, for what is an integer or a text, or a name for anything else.
    pub fn atom(&self) -> Atom {
        match self {
            Value::Int(it) => Atom::Int(*it),
            Value::Text(it) => Atom::Text(it.clone()),
            other => Atom::Text(other.to_string().into()),
        }
    }
}

fn map(items: Vec<Value>, at: usize) -> Result<Value, Wrong> {
    if items.len() % 2 == 1 {
        return Err(Wrong::new(at, "a map has a key without a value"));
    }
    let mut entries = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        let key = match key {
            Value::Text(text) => text.parse().map_or(Value::Text(text), Value::Int),
            other => other,
        };
        entries.push((key, value));
    }
    Ok(Value::Map(entries))
}

/// A string's text with its escapes resolved; those of EDN that occur in histories are those of JSON.
/// A string without its quotes and escapes; `at` is where it stands.
pub(crate) fn unescape(raw: &[u8], at: usize) -> Result<Cow<'_, str>, Wrong> {
    if !raw.contains(&b'\\') {
        return Ok(String::from_utf8_lossy(raw));
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice::<String>(&quoted)
        .map(Cow::Owned)
        .map_err(|why| Wrong::new(at, format!("a string is not understood: {why}")))
}

impl fmt::Display for Value {
    /// As EDN, texts without quotes; what is nested deeper than a value can be is not there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, items: &[Value]| {
            items.iter().enumerate().try_for_each(|(at, item)| {
                let gap = if at > 0 { " " } else { "" };
                write!(f, "{gap}{item}")
            })
        };
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(it) => write!(f, "{it}"),
            Value::Int(it) => write!(f, "{it}"),
            Value::Float(it) => write!(f, "{it}"),
            Value::Text(it) => f.write_str(it),
            Value::List(items) => {
                f.write_str("[")?;
                all(f, items)?;
                f.write_str("]")
            }
            Value::Set(items) => {
                f.write_str("#{")?;
                all(f, items)?;
                f.write_str("}")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    let gap = if at > 0 { ", " } else { "" };
                    write!(f, "{gap}{key} {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edn_and_json_say_the_same_value() {
        let edn = Value::parse(b"{:a [1 nil #{2}], 3 \"x\\ny\", :b -1.5}", Syntax::Edn).unwrap();
        let json = Value::parse(br#"{"a": [1, null, [2]], "3": "x\ny", "b": -1.5}"#, Syntax::Json).unwrap();
        assert_eq!(edn.to_string(), "{a [1 nil #{2}], 3 x\ny, b -1.5}");
        assert_eq!(json.to_string(), edn.to_string().replace('#', "").replace("{2}", "[2]"));
        assert_eq!(edn.get("b"), Some(&Value::Float(-1.5)));
    }

    #[test]
    fn nesting_has_a_limit_and_brackets_must_match() {
        assert!(Value::parse("[".repeat(100).as_bytes(), Syntax::Edn).is_err());
        assert!(Value::parse(b"{:a}", Syntax::Edn).is_err());
        assert!(Value::parse(b"[1] 2", Syntax::Edn).is_err());
        assert_eq!(Value::parse(b" ", Syntax::Edn), Ok(Value::Nil));
    }
}
