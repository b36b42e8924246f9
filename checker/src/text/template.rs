//! The layout of a line, learnt from the line before.
//!
//! Tools write every event alike: the same entries in the same order with the same spaces. So the text between two values is known beforehand, and
//! comparing it is several times faster than reading it. A line that is laid out in another way is read in the general
//! way, and learnt from.
//!
//! Where the value comes last, its end is the end of its line but for the closing bracket, and no bracket is counted. That is a *guess*: a value that turns out to be
//! more than one form has to be read again in the general way.

use super::{Head, Scanner, Syntax, Token, events::Rest, events::Who};
use crate::event::Kind;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Index,
    Time,
    Kind,
    Process,
    Value,
    LastValue,
    Other,
}

/// A layout: texts, each with what follows it.
#[derive(Clone, Debug)]
pub struct Template<'t> {
    parts: Vec<(&'t [u8], Field)>,
    /// What stands after the last of these, up to the end of the map.
    end: &'t [u8],
    f: &'t [u8],
    syntax: Syntax,
}

impl<'t> Template<'t> {
    /// The layout of the event at `at`, if it is one that can be learnt: one line, and no entry that decides how the event is to be read
    /// but those that this knows.
    pub fn learn(text: &'t [u8], at: usize, syntax: Syntax) -> Option<Template<'t>> {
        let line_end = memchr::memchr(b'\n', &text[at..]).map(|end| at + end)?;
        let mut scanner = Scanner::new(&text[..line_end], syntax).from(at);
        if scanner.next_byte() != Some(b'{') {
            return None;
        }
        let mut before = scanner.at();
        scanner.token().ok()?;
        let (mut parts, mut f) = (Vec::new(), b"" as &[u8]);
        loop {
            let name = match scanner.token().ok()? {
                Token::Word(name) | Token::Text(name) => name,
                Token::Close => break,
                _ => return None,
            };
            scanner.next_byte()?;
            let mut start = scanner.at();
            let value = scanner.skip().ok()?;
            let field = match name {
                b"index" => Field::Index,
                b"time" => Field::Time,
                b"process" => Field::Process,
                b"value" => Field::Value,
                b"type" => {
                    start += usize::from(matches!(value.first(), Some(b':' | b'"')));
                    Field::Kind
                }
                b"f" => {
                    // The same in all lines of this layout, and so part of the text between.
                    f = value.strip_prefix(b":").unwrap_or_else(|| value.trim_ascii().trim_quotes());
                    continue;
                }
                b"final" | b"version" | b"position" | b"session" | b"user" | b"node" | b"intended" => return None,
                _ => Field::Other,
            };
            parts.push((&text[before..start], field));
            before = match field {
                Field::Kind => start + kind_len(&text[start..]),
                _ => start + value.len(),
            };
        }
        let end = &text[before..scanner.at()];
        if let Some(last) = parts.last_mut()
            && last.1 == Field::Value
            && end == b"}"
            && scanner.at() == line_end
        {
            last.1 = Field::LastValue;
        }
        let needed = [Field::Kind, Field::Process];
        needed.iter().all(|it| parts.iter().any(|(_, field)| field == it)).then_some(Template { parts, end, f, syntax })
    }

    /// The event at `at`, if it has this layout, and where the next begins.
    #[inline]
    pub fn read(&self, text: &'t [u8], at: usize) -> Option<(Head<'t>, usize)> {
        let mut head = Head {
            at,
            index: None,
            time: None,
            kind: Kind::Invoke,
            who: Who::Unnamed,
            f: self.f,
            value: b"",
            rest: Rest::default(),
        };
        let mut here = at;
        for &(literal, field) in &self.parts {
            if !text.get(here..)?.starts_with(literal) {
                return None;
            }
            here += literal.len();
            match field {
                Field::Index => head.index = Some(digits(text, &mut here)?),
                Field::Time => head.time = Some(digits(text, &mut here)? as i64),
                Field::Process => head.who = Who::Client(digits(text, &mut here)?),
                Field::Kind => {
                    let rest = &text[here..];
                    (head.kind, here) = if rest.starts_with(b"ok") {
                        (Kind::Ok, here + 2)
                    } else if rest.starts_with(b"invoke") {
                        (Kind::Invoke, here + 6)
                    } else if rest.starts_with(b"fail") {
                        (Kind::Fail, here + 4)
                    } else if rest.starts_with(b"info") {
                        (Kind::Info, here + 4)
                    } else {
                        return None;
                    };
                }
                Field::LastValue => {
                    let end = memchr::memchr(b'\n', &text[here..])? + here;
                    let last = end.checked_sub(1).filter(|&last| last > here && text[last] == b'}')?;
                    head.value = &text[here..last];
                    return Some((head, end + 1));
                }
                Field::Value | Field::Other => {
                    let mut scanner = Scanner::new(text, self.syntax).from(here);
                    let span = scanner.skip().ok()?;
                    here = scanner.at();
                    if field == Field::Value {
                        head.value = span;
                    }
                }
            }
        }
        if !text.get(here..)?.starts_with(self.end) {
            return None;
        }
        here += self.end.len();
        // Behind it only the end of its line.
        if text.get(here) != Some(&b'\n') {
            return None;
        }
        Some((head, here + 1))
    }
}

/// How long the name of a kind is.
fn kind_len(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count()
}

/// A whole number of at most eighteen digits.
#[inline]
fn digits(text: &[u8], here: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    let start = *here;
    while let Some(digit) = text.get(*here).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value * 10 + u64::from(digit);
        *here += 1;
        if *here - start > 18 {
            return None;
        }
    }
    (*here > start).then_some(value)
}

trait TrimQuotes {
    fn trim_quotes(&self) -> &[u8];
}

impl TrimQuotes for [u8] {
    fn trim_quotes(&self) -> &[u8] {
        self.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::events;

    #[test]
    fn what_a_template_reads_is_what_the_general_way_reads() {
        for (syntax, text) in [
            (
                Syntax::Edn,
                "{:index 0, :time 34, :type :invoke, :process 7, :f :txn, :value [[:r 9 nil] [:append 3 1]]}\n{:index 1, :time 74, :type :ok, :process 7, :f :txn, :value [[:r 9 [1 2]] [:append 3 1]]}\n",
            ),
            (
                Syntax::Json,
                "{\"type\":\"invoke\",\"f\":\"txn\",\"value\":[[\"r\",1,null]],\"process\":0,\"index\":1}\n{\"type\":\"info\",\"f\":\"txn\",\"value\":[[\"r\",1,[3]]],\"process\":12,\"index\":2}\n",
            ),
        ] {
            let text = text.as_bytes();
            let template = Template::learn(text, 0, syntax).unwrap();
            let mut at = 0;
            for head in events(text, syntax) {
                let head = head.unwrap();
                let (fast, next) = template.read(text, at).unwrap();
                assert_eq!(format!("{fast:?}"), format!("{head:?}"));
                at = next;
            }
            assert_eq!(at, text.len());
        }
    }

    #[test]
    fn another_layout_is_not_read() {
        let text =
            b"{:type :ok, :process 7, :value 1}\n{:type :ok, :process :nemesis, :value 1}\n{:process 7, :type :ok}\n";
        let template = Template::learn(text, 0, Syntax::Edn).unwrap();
        let (_, next) = template.read(text, 0).unwrap();
        assert!(template.read(text, next).is_none());
        assert!(template.read(text, next + 39).is_none());
    }
}
