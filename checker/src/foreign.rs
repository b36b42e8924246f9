//! Histories that other tools wrote: EDN, JSON lines or one JSON array.
//!
//! Jepsen's histories may lack indices and times (then the order of the lines is the time), and the values of a test with one register are not
//! keyed. Whether they are is decided over the whole history: keyed, if every operation carries a pair. What is read wins over strictness, and
//! what was assumed is noted.
//!
//! The text is read on the assumption that nothing is missing, values straight from their spans into steps; where that turns out wrong it is
//! read again without the part that failed, at most three times. What is rare (notes of the nemesis, versions of odd shapes) takes the general way.

use std::sync::Arc;

use serde_json::Value;
use smallvec::smallvec;

use crate::action::{Action, Atom, Reading, Step, Steps};
use crate::event::{Event, Function, Kind, Note, OpEvent, Process};
use crate::history::{Builder, History, HistoryError};
use crate::json::Names;
use crate::text::events::Who;
use crate::text::template::Learnt;
use crate::text::{self, Bracket, Head, Scanner, Syntax, Token, Wrong};
use crate::value::unescape;
use crate::version::Version;

/// The key of a register in a history without keys.
const ONLY_KEY: &str = "x";

/// How much of a text is searched for what only our own recorder writes.
const BEGINNING: usize = 64 << 10;

impl History {
    /// Reads a history in any of the formats, told apart by how it begins.
    ///
    /// # Errors
    ///
    /// Of the format that the text looks like: the line, and what is wrong.
    pub fn read_any(bytes: &[u8]) -> Result<History, HistoryError> {
        let mut solid = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
        match (solid.next(), solid.next(), solid.next()) {
            (None, _, _) => History::read_json(bytes),
            // Of a history of ours whatever deviates is an error, and nothing is assumed.
            (Some(b'{'), Some(b'"'), _) if is_ours(bytes) => History::read_json(bytes),
            (Some(b'{'), Some(b'"'), _) | (Some(b'['), Some(b'{'), Some(b'"')) => read(bytes, Syntax::Json),
            _ => read(bytes, Syntax::Edn),
        }
    }
}

fn is_ours(text: &[u8]) -> bool {
    let beginning = &text[..text.len().min(BEGINNING)];
    [b"\"index\"" as &[u8], b"\"session\""].iter().all(|name| memchr::memmem::find(beginning, name).is_some())
}

/// What a history is taken to have.
#[derive(Clone, Copy)]
struct Assumed {
    keyed: bool,
    indexed: bool,
    timed: bool,
}

/// Why reading stopped.
enum Stop {
    /// Something that was assumed is not so.
    Assumed(Assumed),
    /// Something is wrong at a place.
    Wrong(Wrong),
    /// The events are no history.
    History(HistoryError),
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Stop {
        Stop::Wrong(wrong)
    }
}

fn read(text: &[u8], syntax: Syntax) -> Result<History, HistoryError> {
    let mut assumed = Assumed { keyed: true, indexed: true, timed: true };
    loop {
        match Reader::new(syntax, assumed).read(text) {
            Ok(history) => return Ok(history),
            Err(Stop::Assumed(less)) => assumed = less,
            Err(Stop::History(error)) => return Err(error),
            Err(Stop::Wrong(wrong)) => {
                return Err(HistoryError::Line { line: text::line_of(text, wrong.at), why: wrong.what });
            }
        }
    }
}

/// Why a value is not what its operation needs.
enum Unfit {
    /// It is no pair of key and value.
    NoPair,
    /// Something else.
    Because(String),
}

impl From<Wrong> for Unfit {
    fn from(wrong: Wrong) -> Unfit {
        Unfit::Because(wrong.what)
    }
}

struct Reader {
    syntax: Syntax,
    assumed: Assumed,
    builder: Builder,
    names: Names,
    events: u64,
    last: Option<(u64, u64)>,
    odd_versions: bool,
}

impl Reader {
    fn new(syntax: Syntax, assumed: Assumed) -> Reader {
        let (builder, names) = (Builder::default(), Names::default());
        Reader { syntax, assumed, builder, names, events: 0, last: None, odd_versions: false }
    }

    fn read(mut self, text: &[u8]) -> Result<History, Stop> {
        let mut lines = Learnt::new(text, self.syntax);
        let mut torn = false;
        loop {
            if let Some((head, next)) = lines.guess()
                && let Ok(steps) = self.steps(&head)
            {
                lines.accept(next);
                self.meet(&head, steps)?;
                continue;
            }
            let head = match lines.general() {
                None => break,
                Some(Ok(head)) => head,
                Some(Err(wrong)) if self.events > 0 && crate::log::torn(text, &wrong) => {
                    torn = true;
                    break;
                }
                Some(Err(wrong)) => return Err(wrong.into()),
            };
            let steps = self.steps(&head).or_else(|unfit| self.unfit(&head, unfit))?;
            self.meet(&head, steps)?;
        }
        Ok(self.finish(torn))
    }

    fn unfit<T>(&self, head: &Head<'_>, unfit: Unfit) -> Result<T, Stop> {
        match unfit {
            Unfit::NoPair if self.assumed.keyed => Err(Stop::Assumed(Assumed { keyed: false, ..self.assumed })),
            Unfit::NoPair => {
                let why = format!("value {} is not what {} needs", shown(head.value), shown(head.f));
                Err(Wrong::new(head.at, why).into())
            }
            Unfit::Because(why) => Err(Wrong::new(head.at, why).into()),
        }
    }

    /// Takes an event whose value was read; of what is no client's there is none.
    fn meet(&mut self, head: &Head<'_>, steps: Steps) -> Result<(), Stop> {
        let (index, time) = self.place(head)?;
        let wrong = |why: String| Wrong::new(head.at, why);
        let took = match head.who {
            Who::Unnamed => {
                return Err(wrong("the event names no process, and sessions are told apart by theirs".into()).into());
            }
            Who::Other => {
                let f = String::from_utf8_lossy(head.f).into_owned();
                let value = self.general(head.value).map_err(wrong)?;
                self.builder.push(Event::Note(Note { index, time, f, value }))
            }
            Who::Client(process) => {
                let rest = &head.rest;
                let operation = OpEvent {
                    index,
                    time,
                    intended: str::from_utf8(rest.intended).ok().and_then(|digits| digits.parse().ok()),
                    kind: head.kind,
                    process: Process(process),
                    function: named(head.f).map_err(wrong)?,
                    steps,
                    session: self.some_atom(rest.session).map_err(wrong)?,
                    user: self.some_atom(rest.user).map_err(wrong)?,
                    node: self.text(rest.node),
                    version: self.version(rest.version),
                    error: self.text(rest.error),
                    last: rest.last == b"true",
                };
                self.builder.push_op(operation)
            }
        };
        took.map_err(Stop::History)
    }

    /// Index and time of an event; its rank where the history has none that rise.
    fn place(&mut self, head: &Head<'_>) -> Result<(u64, u64), Stop> {
        let rank = self.events;
        self.events += 1;
        let time = head.time.and_then(|time| u64::try_from(time).ok());
        let fits = |last: u64, it: Option<u64>, rises: bool| it.is_some_and(|it| it > last || (!rises && it == last));
        let (last_index, last_time) = self.last.map_or((None, None), |(index, time)| (Some(index), Some(time)));
        if self.assumed.indexed && !last_index.map_or(head.index.is_some(), |last| fits(last, head.index, true)) {
            return Err(Stop::Assumed(Assumed { indexed: false, ..self.assumed }));
        }
        if self.assumed.timed && !last_time.map_or(time.is_some(), |last| fits(last, time, false)) {
            return Err(Stop::Assumed(Assumed { timed: false, ..self.assumed }));
        }
        let index = head.index.filter(|_| self.assumed.indexed).unwrap_or(rank);
        let time = time.filter(|_| self.assumed.timed).unwrap_or(rank);
        self.last = Some((index, time));
        Ok((index, time))
    }

    /// The steps of a client's event.
    fn steps(&mut self, head: &Head<'_>) -> Result<Steps, Unfit> {
        if !matches!(head.who, Who::Client(_)) {
            return Ok(Steps::new());
        }
        let function = named(head.f).map_err(Unfit::Because)?;
        let mut scanner = Scanner::new(head.value, self.syntax);
        let steps = if function == Function::Txn {
            self.transaction(&mut scanner, head.kind)?
        } else if self.assumed.keyed {
            open(&mut scanner)?;
            let key = self.atom(&mut scanner)?;
            let action = self.action(&mut scanner, function, head.kind)?;
            close(&mut scanner)?;
            smallvec![Step { key, action }]
        } else {
            smallvec![Step { key: ONLY_KEY.into(), action: self.action(&mut scanner, function, head.kind)? }]
        };
        match scanner.token()? {
            Token::End => Ok(steps),
            _ => Err(Unfit::NoPair),
        }
    }

    fn transaction(&mut self, scanner: &mut Scanner<'_>, kind: Kind) -> Result<Steps, Unfit> {
        let mut steps = Steps::new();
        let triple = || Unfit::Because("a step of a transaction is not a triple of name, key and value".into());
        open(scanner).map_err(|_| Unfit::Because("a transaction is not a list of steps".into()))?;
        while scanner.next_byte().is_some_and(|byte| !b"])}".contains(&byte)) {
            open(scanner).map_err(|_| triple())?;
            let function = match scanner.token()? {
                Token::Word(b"r") | Token::Text(b"r") => Function::Read,
                Token::Word(b"w") | Token::Text(b"w") => Function::Write,
                Token::Word(name) | Token::Text(name) => {
                    named(name).ok().filter(|function| *function != Function::Txn).ok_or_else(triple)?
                }
                _ => return Err(triple()),
            };
            let key = self.atom(scanner)?;
            let action = self.action(scanner, function, kind).map_err(|unfit| match unfit {
                Unfit::NoPair => triple(),
                because => because,
            })?;
            close(scanner).map_err(|_| triple())?;
            steps.push(Step { key, action });
        }
        close(scanner)?;
        Ok(steps)
    }

    fn action(&mut self, scanner: &mut Scanner<'_>, function: Function, kind: Kind) -> Result<Action, Unfit> {
        Ok(match function {
            Function::Read if kind == Kind::Ok => Action::Read(Some(self.reading(scanner)?)),
            Function::Read | Function::Delete => {
                match scanner.next_byte() {
                    Some(b']' | b')' | b'}') => return Err(Unfit::NoPair),
                    Some(_) => drop(scanner.skip()?),
                    None => {}
                }
                if function == Function::Read { Action::Read(None) } else { Action::Delete }
            }
            Function::Write => Action::Write(self.atom(scanner)?),
            Function::Append => Action::Append(self.atom(scanner)?),
            Function::Add => Action::Add(self.atom(scanner)?),
            Function::Remove => Action::Remove(self.atom(scanner)?),
            Function::Cas => {
                open(scanner)?;
                let old = self.some(scanner)?;
                let new = self.atom(scanner)?;
                close(scanner)?;
                Action::Cas { old, new }
            }
            Function::Txn => return Err(Unfit::Because("a transaction inside a transaction".into())),
        })
    }

    fn reading(&mut self, scanner: &mut Scanner<'_>) -> Result<Reading, Unfit> {
        match scanner.next_byte() {
            None => Ok(Reading::Nil),
            Some(b'{') => {
                scanner.token()?;
                let (Token::Word(b"siblings") | Token::Text(b"siblings")) = scanner.token()? else {
                    return Err(Unfit::Because("a read returned a map that holds no siblings".into()));
                };
                open(scanner)?;
                let siblings = self.atoms(scanner)?;
                close(scanner)?;
                Ok(if siblings.is_empty() { Reading::Nil } else { Reading::Siblings(siblings) })
            }
            Some(_) => match scanner.token()? {
                Token::Nil => Ok(Reading::Nil),
                Token::Open(Bracket::List | Bracket::Set) => Ok(Reading::Many(self.atoms(scanner)?)),
                token => Ok(Reading::One(self.atom_of(token)?)),
            },
        }
    }

    /// The elements up to the bracket that closes.
    fn atoms(&mut self, scanner: &mut Scanner<'_>) -> Result<Vec<Atom>, Unfit> {
        let mut atoms = Vec::new();
        loop {
            match scanner.token()? {
                Token::Close => return Ok(atoms),
                token => atoms.push(self.atom_of(token)?),
            }
        }
    }

    fn atom(&mut self, scanner: &mut Scanner<'_>) -> Result<Atom, Unfit> {
        let token = scanner.token()?;
        self.atom_of(token)
    }

    fn some(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<Atom>, Unfit> {
        match scanner.token()? {
            Token::Nil => Ok(None),
            token => self.atom_of(token).map(Some),
        }
    }

    #[inline]
    fn atom_of(&mut self, token: Token<'_>) -> Result<Atom, Unfit> {
        match token {
            Token::Int(it) => Ok(Atom::Int(it)),
            Token::Word(it) => Ok(Atom::Text(self.names.get(&String::from_utf8_lossy(it)))),
            Token::Text(it) => Ok(Atom::Text(self.names.get(&unescape(it, 0)?))),
            // A list or a map, or nothing, where a history without keys has its value.
            Token::Open(_) | Token::Close | Token::End | Token::Nil => Err(Unfit::NoPair),
            Token::Bool(it) => Err(Unfit::Because(format!("{it} is neither an integer nor a text"))),
            Token::Float(it) => Err(Unfit::Because(format!("{it} is neither an integer nor a text"))),
        }
    }

    fn some_atom(&mut self, span: &[u8]) -> Result<Option<Atom>, String> {
        if span.is_empty() {
            return Ok(None);
        }
        let mut scanner = Scanner::new(span, self.syntax);
        self.some(&mut scanner).map_err(|_| format!("{} is neither an integer nor a text", shown(span)))
    }

    /// A text as it is; anything else as it is written.
    fn text(&mut self, span: &[u8]) -> Option<Arc<str>> {
        if span.is_empty() {
            return None;
        }
        match Scanner::new(span, self.syntax).token() {
            Ok(Token::Nil) => None,
            Ok(Token::Word(it)) if it.len() + 1 >= span.len() => Some(self.names.get(&String::from_utf8_lossy(it))),
            Ok(Token::Text(it)) if it.len() + 2 == span.len() => unescape(it, 0).ok().map(|it| self.names.get(&it)),
            _ => {
                let written = self.general(span).map_or_else(|_| shown(span), |value| value.to_string());
                Some(self.names.get(&written))
            }
        }
    }

    /// A position in two tokens; other versions in the general way. What is not understood is no evidence.
    fn version(&mut self, span: &[u8]) -> Option<Version> {
        if span.is_empty() {
            return None;
        }
        let mut scanner = Scanner::new(span, self.syntax);
        let mut token = || scanner.token().ok();
        if let (Some(Token::Open(Bracket::List)), Some(Token::Int(term)), Some(Token::Int(index)), Some(Token::Close)) =
            (token(), token(), token(), token())
            && let (Ok(term), Ok(index)) = (term.try_into(), index.try_into())
        {
            return Some(Version::Position(term, index));
        }
        let version = self.general(span).ok().filter(|value| !value.is_null()).map(serde_json::from_value);
        self.odd_versions |= matches!(version, Some(Err(_)));
        version.and_then(Result::ok)
    }

    fn general(&self, span: &[u8]) -> Result<Value, String> {
        match self.syntax {
            Syntax::Json if span.is_empty() => Ok(Value::Null),
            Syntax::Json => serde_json::from_slice(span).map_err(|why| why.to_string()),
            Syntax::Edn => Ok(crate::edn::parse(span)?.pop().unwrap_or(Value::Null)),
        }
    }

    fn finish(self, torn: bool) -> History {
        let mut history = self.builder.finish();
        let mut note = |it: bool, text: String| {
            if it {
                history.notes.push(text);
            }
        };
        note(torn, "the history ends in the middle of its last line, which was left out".into());
        note(
            !self.assumed.timed,
            "the history has no usable times: the order of its lines was taken for time".to_string(),
        );
        note(!self.assumed.keyed, format!("the history names no keys: everything was taken to be one key, {ONLY_KEY}"));
        note(self.odd_versions, "some versions have a shape that is not known, and were not used".to_string());
        history
    }
}

fn named(name: &[u8]) -> Result<Function, String> {
    let function = str::from_utf8(name).ok().and_then(Function::named);
    function.ok_or_else(|| format!("operation {:?} is not known", shown(name)))
}

fn open(scanner: &mut Scanner<'_>) -> Result<(), Unfit> {
    match scanner.token()? {
        Token::Open(Bracket::List) => Ok(()),
        _ => Err(Unfit::NoPair),
    }
}

fn close(scanner: &mut Scanner<'_>) -> Result<(), Unfit> {
    match scanner.token()? {
        Token::Close => Ok(()),
        _ => Err(Unfit::NoPair),
    }
}

/// The beginning of a span, for sentences.
fn shown(span: &[u8]) -> String {
    String::from_utf8_lossy(&span[..span.len().min(60)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_event;

    fn ops(text: &str) -> History {
        History::read_any(text.as_bytes()).expect("a history")
    }

    #[test]
    fn edn_json_lines_and_an_array_are_the_same_history() {
        let edn = "{:index 0 :time 5 :type :invoke :process 1 :f :write :value [7 3] :session \"a\\n\"}\n\
            {:index 1 :time 9 :type :ok :process 1 :f :write :value [7 3] :version [2 8] :node \"n1\"}\n\
            {:index 2 :time 9 :type :invoke :process 1 :f :read :value [7 nil]}\n\
            {:index 4 :time 12 :type :ok :process 1 :f :read :value [7 {:siblings [3 :four]}], :error [:a 1]}\n";
        let lines = [
            r#"{"index":0,"time":5,"type":"invoke","process":1,"f":"write","value":[7,3],"session":"a\n"}"#,
            r#"{"index":1,"time":9,"type":"ok","process":1,"f":"write","value":[7,3],"version":[2,8],"node":"n1"}"#,
            r#"{"index":2,"time":9,"type":"invoke","process":1,"f":"read","value":[7,null]}"#,
            r#"{"index":4,"time":12,"type":"ok","process":1,"f":"read","value":[7,{"siblings":[3,"four"]}],"error":["a",1]}"#,
        ];
        let first = ops(edn);
        assert_eq!(first.ops[0].session, Atom::from("a\n"));
        assert_eq!(first.ops[0].version, Some(Version::Position(2, 8)));
        assert_eq!(first.ops[1].error.as_deref(), Some("[\"a\",1]"));
        assert_eq!(first.ops, ops(&lines.join("\n")).ops);
        assert_eq!(first.ops, ops(&format!("[{}]", lines.join(", "))).ops);
        let strict = History::from_events(lines.iter().map(|line| parse_event(line.as_bytes()).expect("an event")));
        assert_eq!(first.ops, strict.expect("a history").ops);
    }

    #[test]
    fn one_register_without_keys_indices_and_times_is_read_and_what_was_assumed_is_said() {
        let history = ops(
            "{:type :invoke :process 0 :f :cas :value [1 2]}\n{:type :ok :process 0 :f :cas :value [1 2]}\n{:type :info :process :nemesis :f :start :value nil}\n\
             {:type :invoke :process 1 :f :read}\n{:type :ok :process 1 :f :read :value 2}\n{:type :invoke :process 1 :f :read}\n{:type :ok, :proc",
        );
        assert_eq!(history.ops.len(), 3);
        assert_eq!(history.ops[0].steps[0].action, Action::Cas { old: Some(Atom::Int(1)), new: Atom::Int(2) });
        assert_eq!((history.ops[1].invoked, history.ops[1].completed), (3, 4));
        assert_eq!(history.ops[1].steps[0].action, Action::Read(Some(Reading::One(Atom::Int(2)))));
        assert_eq!(history.notes.len(), 3, "{:?}", history.notes);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        for (text, part) in [
            ("{:type :invoke :process 0 :f :jump :value 1}", "line 1: operation \"jump\""),
            ("\n{:type :invoke :process 0 :f :write :value true}", "line 2: true is neither"),
            ("{:type :invoke :process 0 :f :write :value [1]}", "line 1: value [1]"),
            ("{:type :invoke :f :write :value [1 2]}", "names no process"),
            ("{:type :invoke :process 0 :f :txn :value [[:r 1]]}", "triple"),
            ("{:type :ok :process 0 :f :write :value [1 2]}", "had not invoked"),
            ("[1 2", "expected a map"),
        ] {
            let error = History::read_any(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
