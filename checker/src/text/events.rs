//! Events in a text: one map each, a line or an element of one big list.
//!
//! Only the entries that every operation has are understood here; the rest is kept as spans. The order of the entries in a map
//! means nothing, and neither do entries nobody knows.

use super::{Scanner, Syntax, Token, Wrong};
use crate::event::Kind;

/// Who an event is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A client.
    Client(u64),
    /// Nobody is named: some histories of one process leave it out.
    Unnamed,
    /// The nemesis, or something else that is no client.
    Other,
}

/// An event, with what is particular to it as spans of the text.
#[derive(Clone, Copy, Debug)]
pub struct Head<'t> {
    /// Where its map begins.
    pub at: usize,
    /// Its `:index`.
    pub index: Option<u64>,
    /// Its `:time` in nanoseconds; negative means unknown.
    pub time: Option<i64>,
    /// Its `:type`.
    pub kind: Kind,
    /// Its `:process`.
    pub who: Who,
    /// Its `:f`, without quotes or colon; empty where there is none.
    pub f: &'t [u8],
    /// Its `:value`; empty where there is none.
    pub value: &'t [u8],
    /// The others, as they were written; empty where absent.
    pub rest: Rest<'t>,
}

/// Entries that few consumers need, as spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rest<'t> {
    /// `:session`.
    pub session: &'t [u8],
    /// `:user`.
    pub user: &'t [u8],
    /// `:node`.
    pub node: &'t [u8],
    /// `:version` or `:position`.
    pub version: &'t [u8],
    /// `:intended`.
    pub intended: &'t [u8],
    /// `:error`.
    pub error: &'t [u8],
    /// `:final`.
    pub last: &'t [u8],
}

/// The events of `text`, one after the other.
pub fn events(text: &[u8], syntax: Syntax) -> Lines<'_> {
    Lines { scanner: Scanner::new(text, syntax), started: false, listed: false, done: false }
}

/// Yields the events of a text.
///
/// The text is a sequence of maps, or one list of maps. After an error nothing follows.
#[derive(Debug)]
pub struct Lines<'t> {
    scanner: Scanner<'t>,
    started: bool,
    listed: bool,
    done: bool,
}

impl<'t> Lines<'t> {
    /// The byte it has come to.
    pub fn at(&self) -> usize {
        self.scanner.at()
    }

    /// How the text is read.
    pub fn syntax(&self) -> Syntax {
        self.scanner.syntax()
    }

    /// Goes on at byte `at`, which must be where an event begins or space before it.
    pub fn seek(&mut self, at: usize) {
        self.scanner = self.scanner.clone().from(at);
    }

    fn step(&mut self) -> Result<Option<Head<'t>>, Wrong> {
        loop {
            let at = self.scanner.at();
            match self.scanner.token()? {
                Token::End if self.listed => return Err(Wrong::new(at, "the list of events is not closed")),
                Token::End => return Ok(None),
                Token::Open(super::Bracket::List) if !self.started => {
                    self.started = true;
                    self.listed = true;
                }
                Token::Open(super::Bracket::Map) => {
                    self.started = true;
                    return self.head().map(Some);
                }
                Token::Close if self.listed => {
                    let at = self.scanner.at();
                    return match self.scanner.token()? {
                        Token::End => Ok(None),
                        _ => Err(Wrong::new(at, "something follows the list of events")),
                    };
                }
                _ => {
                    let rest = &self.scanner.text()[at..];
                    let line = rest.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
                    let shown = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
                    return Err(Wrong::new(at, format!("expected a map that is an event, found {shown}")));
                }
            }
        }
    }

    /// The entries of a map whose bracket was just read.
    #[inline]
    fn head(&mut self) -> Result<Head<'t>, Wrong> {
        let at = self.scanner.at() - 1;
        let mut head = Head {
            at,
            index: None,
            time: None,
            kind: Kind::Invoke,
            who: Who::Unnamed,
            f: b"",
            value: b"",
            rest: Rest::default(),
        };
        let mut kind = None;
        loop {
            let here = self.scanner.at();
            let name = match self.scanner.token()? {
                Token::Word(name) | Token::Text(name) => name,
                Token::Close => break,
                Token::End => return Err(Wrong::new(at, "the text ends in the middle of an event")),
                _ => {
                    // A key that is no name cannot be one that matters.
                    self.scanner.skip_open(here)?;
                    b""
                }
            };
            match name {
                b"index" => head.index = self.whole(name)?,
                b"time" => head.time = self.integer()?,
                b"type" => kind = Some(self.kind()?),
                b"process" => head.who = self.who()?,
                b"f" => head.f = self.name()?,
                b"value" => head.value = self.scanner.skip()?,
                b"session" => head.rest.session = self.scanner.skip()?,
                b"user" => head.rest.user = self.scanner.skip()?,
                b"node" => head.rest.node = self.scanner.skip()?,
                b"version" | b"position" => head.rest.version = self.scanner.skip()?,
                b"intended" => head.rest.intended = self.scanner.skip()?,
                b"error" => head.rest.error = self.scanner.skip()?,
                b"final" => head.rest.last = self.scanner.skip()?,
                _ => {
                    self.scanner.skip()?;
                }
            }
        }
        head.kind = match (kind, head.who) {
            (Some(kind), _) => kind,
            (None, Who::Other) => Kind::Info,
            (None, _) => return Err(Wrong::new(at, "the event has no type (invoke, ok, fail or info)")),
        };
        Ok(head)
    }

    #[inline]
    fn integer(&mut self) -> Result<Option<i64>, Wrong> {
        let at = self.scanner.at();
        match self.scanner.token()? {
            Token::Int(value) => Ok(Some(value)),
            Token::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(Some(value as i64)),
            Token::Open(_) => self.scanner.skip_open(at).map(|()| None),
            Token::Close | Token::End => Err(Wrong::new(at, "an entry has no value")),
            _ => Ok(None),
        }
    }

    fn whole(&mut self, name: &[u8]) -> Result<Option<u64>, Wrong> {
        let at = self.scanner.at();
        let wrong = || Wrong::new(at, format!("{} is not a whole number from 0", String::from_utf8_lossy(name)));
        self.integer()?.map(|value| u64::try_from(value).map_err(|_| wrong())).transpose()
    }

    fn kind(&mut self) -> Result<Kind, Wrong> {
        let at = self.scanner.at();
        let name = self.name()?;
        match name {
            b"ok" => Ok(Kind::Ok),
            b"invoke" => Ok(Kind::Invoke),
            b"fail" => Ok(Kind::Fail),
            b"info" => Ok(Kind::Info),
            other => {
                let other = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
                Err(Wrong::new(at, format!("type is {other:?}; invoke, ok, fail and info are allowed")))
            }
        }
    }

    fn who(&mut self) -> Result<Who, Wrong> {
        let at = self.scanner.at();
        Ok(match self.scanner.token()? {
            Token::Int(process) => u64::try_from(process).map_or(Who::Other, Who::Client),
            Token::Nil => Who::Unnamed,
            Token::Open(_) => {
                self.scanner.skip_open(at)?;
                Who::Other
            }
            Token::Close | Token::End => return Err(Wrong::new(at, "an entry has no value")),
            _ => Who::Other,
        })
    }

    /// A keyword, a string, or nothing.
    fn name(&mut self) -> Result<&'t [u8], Wrong> {
        let at = self.scanner.at();
        match self.scanner.token()? {
            Token::Word(name) | Token::Text(name) => Ok(name),
            Token::Nil => Ok(b""),
            _ => Err(Wrong::new(at, "expected a name")),
        }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Result<Head<'t>, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.step().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_a_line_each_and_any_order_of_entries_are_the_same_events() {
        let lines = "{:index 0, :type :invoke, :process 3, :f :read, :value nil, :time 5}\n{:type :info :process :nemesis :index 1}";
        let list = format!("[{}]", lines.replace('\n', " "));
        for text in [lines.to_string(), list] {
            let all: Vec<Head> = events(text.as_bytes(), Syntax::Edn).collect::<Result<_, _>>().unwrap();
            assert_eq!(all.len(), 2);
            assert_eq!(
                (all[0].index, all[0].time, all[0].who, all[0].f),
                (Some(0), Some(5), Who::Client(3), b"read" as &[u8])
            );
            assert_eq!((all[1].who, all[1].kind, all[0].value), (Who::Other, Kind::Info, b"nil" as &[u8]));
        }
    }

    #[test]
    fn what_is_no_event_is_refused_with_what_was_expected() {
        let first = |text: &str| events(text.as_bytes(), Syntax::Edn).find_map(Result::err).unwrap().to_string();
        assert!(first("{:type :maybe}").contains("invoke, ok, fail and info"));
        assert!(first("{:process 1}").contains("no type"));
        assert!(first("hello").contains("expected a map"));
        assert!(first("[{:type :ok}").contains("not closed"));
        assert!(first("{:type :ok, :index -1}").contains("whole number"));
    }
}
