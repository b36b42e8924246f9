//! Any tool's history: operations with values of any shape.
//!
//! What [`History`](crate::History) is for our own vocabulary, a [`Log`] is for everybody else's: the name of an operation is whatever
//! the tool called it. It is what the checkers of Jepsen's workloads read, and what histories are converted through.
//!
//! Reading is lenient where sense remains, and says so in notes: events without index or time are taken in the order of the text; a
//! process that is not named is any that is free; a completion without an invocation counts as having been invoked at the beginning (it then
//! constrains least); a last line torn in the middle is left out. A process that completes what it has not
//! invoked under another name, or invokes two operations at once, is refused.
//!
//! Memory: about 200 bytes an operation and what its values need.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::Kind;
use crate::history::{HistoryError, Outcome};
use crate::text::{self, Head, Syntax, Wrong, events::Who};
use crate::value::Value;

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The `:index` of its invocation, or the event's position in the text where there is none.
    pub index: u64,
    /// The same of its completion, where there was one.
    pub completion: Option<u64>,
    /// Who; an operation of unknown outcome ends a process.
    pub process: u64,
    /// What it is called.
    pub f: Arc<str>,
    /// The value that it was invoked with.
    pub asked: Value,
    /// The value that it completed with; of one that did not succeed or never completed, the one it was invoked with.
    pub value: Value,
    /// Rank of its invocation among all events, from 1; 0 where it is not recorded.
    pub start: u32,
    /// Rank of its completion; `u32::MAX` for one that never came or whose outcome is unknown.
    pub end: u32,
    /// Nanoseconds since the start at invocation; 0 where unknown.
    pub invoked: u64,
    /// The same at completion, also of those whose outcome is unknown; `u64::MAX` where there was none.
    pub completed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not succeed.
    pub error: Option<Value>,
    /// Its session, where one is named.
    pub session: Option<Value>,
    /// Its node, where one is named.
    pub node: Option<Value>,
    /// Whether it is one of the final reads.
    pub last: bool,
}

/// What was recorded of something that is no client.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// Its index.
    pub index: u64,
    /// Its time.
    pub time: u64,
    /// What it was called.
    pub f: Arc<str>,
    /// Its value.
    pub value: Value,
}

/// Operations in the order of their invocations.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The operations.
    pub calls: Vec<Call>,
    /// What the nemesis and others did.
    pub others: Vec<Other>,
    /// What had to be assumed.
    pub notes: Vec<String>,
    /// How many events there were.
    pub events: u32,
}

impl Log {
    /// Reads EDN or JSON, one map an event, in lines or in one list.
    ///
    /// # Errors
    ///
    /// The line, and what was expected there.
    pub fn read(text: &[u8], syntax: Syntax) -> Result<Log, HistoryError> {
        let mut builder = Builder { syntax, ..Builder::default() };
        for event in text::events(text, syntax) {
            let pushed = match event {
                Ok(head) => builder.push(&head),
                Err(wrong) if torn(text, &wrong) && !builder.log.calls.is_empty() => {
                    builder
                        .log
                        .notes
                        .push("the history ends in the middle of its last line, which was left out".into());
                    break;
                }
                Err(wrong) => Err(wrong),
            };
            pushed.map_err(|wrong| HistoryError::Line { line: text::line_of(text, wrong.at), why: wrong.what })?;
        }
        Ok(builder.finish())
    }
}

/// Whether what is wrong lies in a last line that was never finished.
pub(crate) fn torn(text: &[u8], wrong: &Wrong) -> bool {
    let line = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    !text[line..].trim_ascii().is_empty()
        && wrong.at >= line
        && !matches!(text.trim_ascii_end().last(), Some(b']' | b')'))
}

struct Builder {
    log: Log,
    syntax: Syntax,
    open: HashMap<u64, usize>,
    names: HashMap<Vec<u8>, Arc<str>>,
    unnamed: bool,
    orphans: u64,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            log: Log::default(),
            syntax: Syntax::Edn,
            open: HashMap::new(),
            names: HashMap::new(),
            unnamed: false,
            orphans: 0,
        }
    }
}

impl Builder {
    fn push(&mut self, head: &Head<'_>) -> Result<(), Wrong> {
        self.log.events = (self.log.events.checked_add(1).filter(|&events| events < u32::MAX))
            .ok_or_else(|| Wrong::new(head.at, "more events than can be numbered"))?;
        let index = head.index.unwrap_or(u64::from(self.log.events) - 1);
        let process = match head.who {
            Who::Client(process) => process,
            Who::Unnamed => {
                self.unnamed = true;
                self.unnamed(head)
            }
            Who::Other => {
                let (f, value) = (self.name(head.f), self.value(head, head.value)?);
                let time = head.time.unwrap_or(0).max(0) as u64;
                self.log.others.push(Other { index, time, f, value });
                return Ok(());
            }
        };
        if head.kind == Kind::Invoke { self.invoke(head, index, process) } else { self.complete(head, index, process) }
    }

    /// A process for an event that names none: an invocation gets the first that is free; a completion is of the oldest open operation of its
    /// name with its value, or else of its name.
    fn unnamed(&self, head: &Head<'_>) -> u64 {
        let mut open: Vec<(u64, usize)> = self.open.iter().map(|(process, at)| (*process, *at)).collect();
        open.sort_unstable_by_key(|(_, at)| *at);
        if head.kind == Kind::Invoke {
            return (0..).find(|process| !self.open.contains_key(process)).unwrap_or(0);
        }
        let named = |at: usize| *self.log.calls[at].f.as_bytes() == *head.f;
        let value = Value::parse(head.value, self.syntax).unwrap_or_default();
        let same = open.iter().find(|(_, at)| named(*at) && self.log.calls[*at].asked == value);
        same.or_else(|| open.iter().find(|(_, at)| named(*at))).map_or(0, |(process, _)| *process)
    }

    fn value(&self, head: &Head<'_>, span: &[u8]) -> Result<Value, Wrong> {
        Value::parse(span, self.syntax).map_err(|wrong| Wrong::new(head.at, wrong.what))
    }

    fn some(&self, head: &Head<'_>, span: &[u8]) -> Result<Option<Value>, Wrong> {
        if span.is_empty() { Ok(None) } else { self.value(head, span).map(Some) }
    }

    fn name(&mut self, name: &[u8]) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let text: Arc<str> = String::from_utf8_lossy(name).into();
        self.names.insert(name.to_vec(), text.clone());
        text
    }

    fn call(&mut self, head: &Head<'_>, index: u64, process: u64) -> Result<Call, Wrong> {
        let value = self.value(head, head.value)?;
        Ok(Call {
            index,
            completion: None,
            process,
            f: self.name(head.f),
            asked: value.clone(),
            value,
            start: self.log.events,
            end: u32::MAX,
            invoked: head.time.unwrap_or(0).max(0) as u64,
            completed: u64::MAX,
            outcome: Outcome::Info,
            error: None,
            session: self.some(head, head.rest.session)?,
            node: self.some(head, head.rest.node)?,
            last: head.rest.last == b"true",
        })
    }

    fn invoke(&mut self, head: &Head<'_>, index: u64, process: u64) -> Result<(), Wrong> {
        let call = self.call(head, index, process)?;
        let at = self.log.calls.len();
        if let Some(open) = self.open.insert(process, at) {
            let open = &self.log.calls[open];
            return Err(Wrong::new(
                head.at,
                format!(
                    "event {index}: process {process} invokes {} while its operation of event {} is still open",
                    call.f, open.index
                ),
            ));
        }
        self.log.calls.push(call);
        Ok(())
    }

    fn complete(&mut self, head: &Head<'_>, index: u64, process: u64) -> Result<(), Wrong> {
        let at = match self.open.remove(&process) {
            Some(at) => at,
            None => {
                let mut call = self.call(head, index, process)?;
                (call.start, call.invoked, call.asked) = (0, 0, Value::Nil);
                self.orphans += 1;
                self.log.calls.push(call);
                self.log.calls.len() - 1
            }
        };
        let f = self.name(head.f);
        let (value, error) = (self.value(head, head.value)?, self.some(head, head.rest.error)?);
        let node = self.some(head, head.rest.node)?;
        let call = &mut self.log.calls[at];
        if call.f != f {
            let why = format!("event {index}: process {process} completes {f}, but had invoked {}", call.f);
            return Err(Wrong::new(head.at, why));
        }
        call.completion = Some(index);
        call.completed = head.time.map_or(call.invoked, |time| time.max(0) as u64);
        call.outcome = match head.kind {
            Kind::Ok => Outcome::Ok,
            Kind::Fail => Outcome::Fail,
            Kind::Info | Kind::Invoke => Outcome::Info,
        };
        if call.outcome != Outcome::Info {
            call.end = self.log.events;
        }
        if call.outcome == Outcome::Ok || !value.is_nil() {
            call.value = value;
        }
        call.error = error;
        call.node = node.or(call.node.take());
        Ok(())
    }

    fn finish(mut self) -> Log {
        if self.unnamed {
            self.log.notes.push("events name no process: each completion was taken to be of the oldest open operation of its name and value".into());
        }
        if self.orphans > 0 {
            let note = format!(
                "{} completions have no invocation: each was taken to have been invoked at the beginning",
                self.orphans
            );
            self.log.notes.push(note);
        }
        self.log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invocations_meet_their_completions() {
        let text = b"{:type :invoke :f :add :value 1 :process 0}\n{:type :invoke :f :read :value nil :process 1}\n\
            {:type :ok :f :read :value #{1} :process 1}\n{:type :info :f :add :value 1 :process 0}\n{:type :info :process :nemesis :f :start}";
        let log = Log::read(text, Syntax::Edn).unwrap();
        assert_eq!(log.calls.len(), 2);
        assert_eq!((log.calls[0].outcome, log.calls[0].end), (Outcome::Info, u32::MAX));
        assert_eq!((log.calls[1].start, log.calls[1].end), (2, 3));
        assert_eq!(log.calls[1].value.items().map(<[Value]>::len), Some(1));
        assert_eq!(log.others.len(), 1);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_said() {
        let text = b"{\"type\":\"invoke\",\"process\":0,\"f\":\"read\"}\n{\"type\":\"ok\",\"proc";
        let log = Log::read(text, Syntax::Json).unwrap();
        assert_eq!(log.calls.len(), 1);
        assert!(log.notes[0].contains("last line"));
    }

    #[test]
    fn two_open_operations_of_one_process_are_refused_with_the_line() {
        let text = b"{:type :invoke :f :read :process 0}\n{:type :invoke :f :read :process 0}";
        let error = Log::read(text, Syntax::Edn).unwrap_err();
        assert!(error.to_string().starts_with("line 2:"), "{error}");
    }
}
