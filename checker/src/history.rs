//! Events paired into operations, with the guarantee that the pairing is sound.
//!
//! [`History::from_events`] is the only way to get one: after it, checkers rely on rising indices and times, one open
//! operation a process, completions that match their invocations. An invocation without completion (the run was cut off)
//! is an unknown outcome. The cost is about 200 bytes an operation.

use std::io::BufRead;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::{Atom, Steps};
use crate::event::{Event, Function, Kind, Note, OpEvent, Process};
use crate::intern::FastMap;
use crate::json;
use crate::meta::Meta;
use crate::version::Version;

/// Why events are not a history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file could not be read.
    #[error("reading the history: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not an event.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A process invoked an operation while another was open.
    #[error("event {index}: process {process} invokes {f} while its operation of event {open} is still open")]
    Overlap {
        /// The event.
        index: u64,
        /// The process.
        process: u64,
        /// What it invokes.
        f: &'static str,
        /// The open invocation.
        open: u64,
    },
    /// A completion without invocation, or of another operation.
    #[error("event {index}: process {process} completes {f}, which it had not invoked")]
    Unmatched {
        /// The event.
        index: u64,
        /// The process.
        process: u64,
        /// What it completes.
        f: &'static str,
    },
    /// Times or indices run backwards.
    #[error("event {index}: its {what} is smaller than that of the event before it")]
    Backwards {
        /// The event.
        index: u64,
        /// `time` or `index`.
        what: &'static str,
    },
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// Nobody knows.
    Info,
}

/// An invocation with its completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Index of the invocation event in the history.
    pub index: u64,
    /// Who.
    pub process: Process,
    /// What it is called.
    pub function: Function,
    /// What it did; for a read that succeeded, with its answer.
    pub steps: Steps,
    /// Whose session.
    pub session: Atom,
    /// Whose user.
    pub user: Option<Atom>,
    /// The node that served it.
    pub node: Option<Arc<str>>,
    /// Nanoseconds since the start.
    pub invoked: u64,
    /// When it was due.
    pub intended: Option<u64>,
    /// Nanoseconds since the start; `u64::MAX` where no completion was recorded.
    pub completed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What the database reported.
    pub version: Option<Version>,
    /// Why it did not succeed.
    pub error: Option<Arc<str>>,
    /// Whether it is one of the reads of every replica after settling.
    pub last: bool,
}

/// What a probe said of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It took effect.
    Proven,
    /// It had none.
    NoEffect,
    /// The probe could not tell.
    Indeterminate,
}

/// A fault as it really was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultWindow {
    /// Its identity within the run.
    pub id: u64,
    /// Its kind: `partition`, `kill`, …
    pub kind: String,
    /// The nodes that were harmed.
    pub nodes: Vec<String>,
    /// What was done, short: `n1 | n2 n3 n4 n5`.
    pub what: String,
    /// Its real start, nanoseconds since the start of the run.
    pub start: u64,
    /// Its real end; absent where the history ends before.
    pub end: Option<u64>,
    /// What the probe said.
    pub effect: Effect,
    /// The probe's words.
    pub proof: String,
    /// Why it ended before it was healed, where it did.
    pub early: Option<String>,
}

/// A history whose pairing has been proved sound.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What the run said about itself.
    pub meta: Option<Meta>,
    /// The operations, ascending by `index`.
    pub ops: Vec<Op>,
    /// The faults, ascending by start.
    pub faults: Vec<FaultWindow>,
    /// When each phase began, in order.
    pub phases: Vec<(String, u64)>,
    /// The time of the last event.
    pub end: u64,
    /// What was odd about the file but could be lived with.
    pub notes: Vec<String>,
}

impl History {
    /// Pairs `events`, which must come in the order of their indices.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<History, HistoryError> {
        let mut builder = Builder::default();
        for event in events {
            builder.push(event)?;
        }
        Ok(builder.finish())
    }

    /// Reads JSON lines. A last line that was cut off in the middle (the harness was killed) is left out with a note.
    pub fn read_json(mut input: impl BufRead) -> Result<History, HistoryError> {
        let mut builder = Builder::default();
        let mut names = json::Names::default();
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            number += 1;
            let complete = line.last() == Some(&b'\n');
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match json::parse_with(text, &mut names) {
                Ok(event) => builder.push(event)?,
                Err(_) if !complete => {
                    builder
                        .history
                        .notes
                        .push(format!("the history ends in the middle of line {number}, which was left out"));
                }
                Err(why) => return Err(HistoryError::Line { line: number, why }),
            }
        }
        Ok(builder.finish())
    }

    /// Counts the invocations in JSON lines without keeping them: for runs of a database that stores nothing, whose histories are
    /// measured and never judged. Lines are not checked, beyond that they are such.
    pub fn count_json(mut input: impl BufRead) -> Result<u64, HistoryError> {
        const INVOKE: &[u8] = b"\"type\":\"invoke\"";
        let (mut count, mut line) = (0, Vec::new());
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(count);
            }
            // The recorder writes the type near the beginning; a text further behind cannot hold unescaped quotes.
            count += u64::from(line.windows(INVOKE.len()).any(|window| window == INVOKE));
        }
    }

    /// When the phase of that name began.
    pub fn phase(&self, name: &str) -> Option<u64> {
        self.phases.iter().find(|(phase, _)| phase == name).map(|(_, time)| *time)
    }

    /// The identities of the faults that took effect and were active at some time in `from..=to`.
    pub fn faults_between(&self, from: u64, to: u64) -> Vec<u64> {
        self.faults
            .iter()
            .filter(|fault| {
                fault.effect != Effect::NoEffect && fault.start <= to && fault.end.is_none_or(|end| end >= from)
            })
            .map(|fault| fault.id)
            .collect()
    }
}

/// Pairs events one by one, for callers that produce them as they go.
#[derive(Default)]
pub(crate) struct Builder {
    history: History,
    open: FastMap<Process, usize>,
    last: Option<(u64, u64)>,
}

impl Builder {
    /// Takes the next event.
    pub(crate) fn push(&mut self, event: Event) -> Result<(), HistoryError> {
        match event {
            Event::Op(op) => self.push_op(op),
            Event::Note(note) => {
                self.advance(note.index, note.time)?;
                self.note(note);
                Ok(())
            }
        }
    }

    /// Takes the next event, which is an operation's.
    #[inline]
    pub(crate) fn push_op(&mut self, op: OpEvent) -> Result<(), HistoryError> {
        self.advance(op.index, op.time)?;
        if op.kind == Kind::Invoke { self.invoke(op) } else { self.complete(op) }
    }

    #[inline]
    fn advance(&mut self, index: u64, time: u64) -> Result<(), HistoryError> {
        if let Some((last_index, last_time)) = self.last {
            if index <= last_index {
                return Err(HistoryError::Backwards { index, what: "index" });
            }
            if time < last_time {
                return Err(HistoryError::Backwards { index, what: "time" });
            }
        }
        self.last = Some((index, time));
        self.history.end = time;
        Ok(())
    }

    #[inline]
    fn invoke(&mut self, event: OpEvent) -> Result<(), HistoryError> {
        let at = self.history.ops.len();
        if let Some(open) = self.open.insert(event.process, at) {
            return Err(HistoryError::Overlap {
                index: event.index,
                process: event.process.0,
                f: event.function.name(),
                open: self.history.ops[open].index,
            });
        }
        self.history.ops.push(Op {
            index: event.index,
            process: event.process,
            function: event.function,
            steps: event.steps,
            session: event.session.unwrap_or(Atom::Int(event.process.0 as i64)),
            user: event.user,
            node: event.node,
            invoked: event.time,
            intended: event.intended,
            completed: u64::MAX,
            outcome: Outcome::Info,
            version: None,
            error: None,
            last: event.last,
        });
        Ok(())
    }

    #[inline]
    fn complete(&mut self, event: OpEvent) -> Result<(), HistoryError> {
        let unmatched =
            HistoryError::Unmatched { index: event.index, process: event.process.0, f: event.function.name() };
        let Some(at) = self.open.remove(&event.process) else { return Err(unmatched) };
        let op = &mut self.history.ops[at];
        if op.function != event.function {
            return Err(unmatched);
        }
        op.completed = event.time;
        op.version = event.version;
        op.error = event.error;
        if event.node.is_some() {
            op.node = event.node;
        }
        op.outcome = match event.kind {
            Kind::Ok => Outcome::Ok,
            Kind::Fail => Outcome::Fail,
            Kind::Info | Kind::Invoke => Outcome::Info,
        };
        if op.outcome == Outcome::Ok {
            op.steps = event.steps;
        }
        Ok(())
    }

    fn note(&mut self, note: Note) {
        match note.f.as_str() {
            "run" => match serde_json::from_value(note.value) {
                Ok(meta) => self.history.meta = Some(meta),
                Err(why) => self.history.notes.push(format!("the run's description is not understood: {why}")),
            },
            "phase" => {
                if let Some(name) = note.value.as_str() {
                    self.history.phases.push((name.to_string(), note.time));
                }
            }
            _ => self.fault(&note),
        }
    }

    /// A fault tells its life in several notes: `start`, then what the probe said, perhaps `early-end`, `end`.
    fn fault(&mut self, note: &Note) {
        let text = |name: &str| note.value.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_string();
        let Some(id) = note.value.get("fault").and_then(|value| value.as_u64()) else { return };
        let phase = text("phase");
        if phase == "start" {
            let nodes = note.value.get("nodes").and_then(|nodes| nodes.as_array()).into_iter().flatten();
            self.history.faults.push(FaultWindow {
                id,
                kind: text("kind"),
                nodes: nodes.filter_map(|node| node.as_str().map(str::to_string)).collect(),
                what: text("what"),
                start: note.time,
                end: None,
                effect: Effect::Indeterminate,
                proof: "not probed".to_string(),
                early: None,
            });
            return;
        }
        let Some(fault) = self.history.faults.iter_mut().rev().find(|fault| fault.id == id) else { return };
        let (effect, why) = match phase.as_str() {
            "proven" => (Effect::Proven, text("why")),
            "no-effect" => (Effect::NoEffect, text("why")),
            "indeterminate" => (Effect::Indeterminate, text("why")),
            "early-end" => {
                fault.end = Some(note.time);
                fault.early = Some(text("why"));
                return;
            }
            "end" => {
                fault.end = Some(fault.end.unwrap_or(note.time));
                return;
            }
            _ => return,
        };
        fault.effect = effect;
        fault.proof = why;
    }

    /// What the events were.
    pub(crate) fn finish(self) -> History {
        self.history
    }
}
