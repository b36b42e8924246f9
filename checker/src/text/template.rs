//! The layout of a line, learnt from the line before.
//!
//! Tools write every event alike: the same entries in the same order with the same spaces. So the text between two values is known beforehand, and
//! comparing it is several times faster than reading it. A line that is laid out in another way is read in the general
//! way, and learnt from.
//!
//! Where the value comes last, its end is the end of its line but for the closing bracket, and no bracket is counted. That is a *guess*: a value that turns out to be
//! more than one form has to be read again in the general way.

use super::{Head, Lines, Scanner, Syntax, Token, Wrong, events::Rest, events::Who};
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
    Session,
    User,
    Node,
    Version,
    Intended,
    Error,
    Last,
    Other,
}

impl Field {
    fn of(name: &[u8]) -> Field {
        match name {
            b"index" => Field::Index,
            b"time" => Field::Time,
            b"process" => Field::Process,
            b"type" => Field::Kind,
            b"value" => Field::Value,
            b"session" => Field::Session,
            b"user" => Field::User,
            b"node" => Field::Node,
            b"version" | b"position" => Field::Version,
            b"intended" => Field::Intended,
            b"error" => Field::Error,
            b"final" => Field::Last,
            _ => Field::Other,
        }
    }
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
            if name == b"f" {
                // The same in all lines of this layout, and so part of the text between.
                f = value.strip_prefix(b":").unwrap_or_else(|| value.trim_ascii().trim_quotes());
                continue;
            }
            let field = Field::of(name);
            if field == Field::Kind {
                start += usize::from(matches!(value.first(), Some(b':' | b'"')));
            }
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
                field => {
                    let mut scanner = Scanner::new(text, self.syntax).from(here);
                    let span = scanner.skip().ok()?;
                    here = scanner.at();
                    match field {
                        Field::Value => head.value = span,
                        Field::Session => head.rest.session = span,
                        Field::User => head.rest.user = span,
                        Field::Node => head.rest.node = span,
                        Field::Version => head.rest.version = span,
                        Field::Intended => head.rest.intended = span,
                        Field::Error => head.rest.error = span,
                        Field::Last => head.rest.last = span,
                        _ => {}
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

/// How many layouts are remembered: about one for each name of an operation and each way to end.
const LAYOUTS: usize = 8;

/// The events of a text, by the layouts of the lines before where one fits.
#[derive(Debug)]
pub struct Learnt<'t> {
    text: &'t [u8],
    lines: Lines<'t>,
    layouts: Vec<Template<'t>>,
    /// Which of them fitted last, and which is given up next.
    last: usize,
    oldest: usize,
}

impl<'t> Learnt<'t> {
    /// At the beginning of `text`.
    pub fn new(text: &'t [u8], syntax: Syntax) -> Learnt<'t> {
        let lines = super::events(text, syntax);
        Learnt { text, lines, layouts: Vec::new(), last: 0, oldest: 0 }
    }

    /// The next event if it is laid out as one before, and the byte to [`accept`](Learnt::accept) if its value is what was guessed: one form.
    #[inline]
    pub fn guess(&mut self) -> Option<(Head<'t>, usize)> {
        let at = self.begin();
        if let Some(found) = self.layouts.get(self.last)?.read(self.text, at) {
            return Some(found);
        }
        for (number, layout) in self.layouts.iter().enumerate() {
            if let Some(found) = layout.read(self.text, at) {
                self.last = number;
                return Some(found);
            }
        }
        None
    }

    /// Goes on behind an event that was guessed right.
    #[inline]
    pub fn accept(&mut self, next: usize) {
        self.lines.seek(next);
    }

    /// The next event, read in the general way and learnt from.
    ///
    /// # Errors
    ///
    /// Those of [`events`](super::events).
    pub fn general(&mut self) -> Option<Result<Head<'t>, Wrong>> {
        let at = self.begin();
        let next = self.lines.next()?;
        if next.is_ok()
            && let Some(layout) = Template::learn(self.text, at, self.lines.syntax())
        {
            if self.layouts.len() < LAYOUTS {
                self.last = self.layouts.len();
                self.layouts.push(layout);
            } else {
                self.last = self.oldest;
                self.layouts[self.oldest] = layout;
                self.oldest = (self.oldest + 1) % LAYOUTS;
            }
        }
        Some(next)
    }

    /// Where the next event begins.
    #[inline]
    fn begin(&self) -> usize {
        let at = self.lines.at();
        at + self.text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
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
