//! What a file can be judged for, and what comes of it: the front door for histories of other tools.
//!
//! ```text
//! bytes ──▶ format ──▶ what it looks like ──▶ the deciders that fit ──▶ Inspection
//!           EDN, JSON, plume, …   transactions, an object, one of Jepsen's workloads
//! ```
//!
//! With a model (`-m`) only that is asked, in elle-cli's meaning. Without one, everything that the history looks made for is: transactions
//! for every consistency model; single objects for linearizability; sets, queues, counters and accounts by Jepsen's checkers;
//! sessions for their guarantees.

mod answer;
mod calls;
mod format;
mod stale;

pub use answer::{Answer, Case, Inspection, Problem, Verdict};
pub use calls::{calls, model_of};
pub use format::{Format, events_of_log, recognise};
pub use stale::Bound;

use crate::checker::Case as Examined;
use crate::checkers::staleness::measure;
use crate::evidence::Budget;
use crate::history::{History, HistoryError};
use crate::jepsen;
use crate::log::Log;
use crate::objects::{self, ModelName};
use crate::text::Syntax;
use crate::txn::check::{Options as TxnOptions, check};
use crate::txn::{Shape, Transactions};

/// What is asked of a file.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The model, by elle-cli's or our name; `None` to find out what fits.
    pub model: Option<String>,
    /// How the file is written; `None` to find out.
    pub format: Option<Format>,
    /// Transactions: the consistency models that should hold, and the anomalies that count.
    pub transactions: TxnOptions,
    /// Jepsen's workloads.
    pub workloads: jepsen::Options,
    /// How far searches go.
    pub budget: Budget,
    /// How many threads decide keys.
    pub threads: usize,
    /// Sequential consistency instead of linearizability, of single objects.
    pub sequential: bool,
    /// Staleness: how far behind reads may be; measured only where nothing is said.
    pub stale: Bound,
}

/// Every model that `-m` takes, with what it is.
pub fn models() -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("list-append", "transactions that append to lists and read them"),
        ("rw-register", "transactions that write registers with unique values, and read them"),
    ];
    all.extend(calls::MODELS.iter().map(|entry| (entry.name, entry.about)));
    all.extend(jepsen::MODELS.iter().map(|entry| (entry.name, entry.about)));
    all.push(("sessions", "session guarantees and prefix, of single operations"));
    all.push(("staleness", "how far behind reads are, in versions (k-atomicity) and in time (Δ-atomicity)"));
    all
}

/// Why a file was not judged.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("{0}")]
    History(#[from] HistoryError),
    /// It is read, and nothing here fits it.
    #[error("{0}")]
    Shape(String),
    /// No such model.
    #[error("no model is called {0:?}; there are {1}")]
    Model(String, String),
}

/// Judges `text`.
///
/// # Errors
///
/// The line that cannot be read; a model that nobody knows; a history that is made for none, or not for the one that was asked.
pub fn inspect(text: &[u8], request: &Request) -> Result<Inspection, Refused> {
    let format = request.format.unwrap_or_else(|| recognise(text));
    let mut inspection = match format {
        Format::Edn => events(text, Syntax::Edn, request)?,
        Format::Json => events(text, Syntax::Json, request)?,
        Format::Jepsen => {
            let written = events_of_log(text)?;
            events(&written, Syntax::Edn, request)?
        }
        research => {
            let txns = format::research(text, research)?;
            if let Some(model) = &request.model
                && model != "rw-register"
            {
                return Err(Refused::Shape(format!(
                    "a {} history holds transactions over registers: ask for rw-register, not {model}",
                    research.name()
                )));
            }
            let mut inspection = Inspection::default();
            inspection.transactions(&txns, "rw-register", request);
            inspection
        }
    };
    inspection.format = format.name();
    Ok(inspection)
}

/// Judges a history of events.
fn events(text: &[u8], syntax: Syntax, request: &Request) -> Result<Inspection, Refused> {
    let mut inspection = Inspection::default();
    let Some(model) = request.model.as_deref() else { return find_out(text, syntax, request) };
    match model {
        "list-append" | "rw-register" | "txn" => {
            let txns = Transactions::read(text, syntax)?;
            let wanted = if model == "rw-register" { Shape::Registers } else { Shape::Lists };
            if model != "txn" && txns.shape != wanted && txns.steps.iter().any(|step| step.writes()) {
                let other = if wanted == Shape::Lists { "rw-register" } else { "list-append" };
                return Err(Refused::Shape(format!("the history is not {model}: it looks like {other}")));
            }
            inspection.transactions(&txns, name_of(txns.shape), request);
        }
        "sessions" => inspection.sessions(&History::read_any(text)?, request),
        "staleness" => {
            let history = History::read_any(text)?;
            inspection.answers.push(stale::judged(&measure(&Examined::new(&history)), &request.stale));
        }
        _ => {
            if let Some(entry) = calls::MODELS.iter().find(|entry| entry.name == model) {
                let log = Log::read(text, syntax)?;
                inspection.object(&log, entry, request).map_err(Refused::Shape)?;
            } else if let Some(entry) = jepsen::model(model) {
                let log = Log::read(text, syntax)?;
                inspection.workload(&log, entry, request);
            } else {
                let known: Vec<&str> = models().iter().map(|(name, _)| *name).collect();
                return Err(Refused::Model(model.to_string(), known.join(", ")));
            }
        }
    }
    Ok(inspection)
}

/// Judges for everything that a history looks made for.
fn find_out(text: &[u8], syntax: Syntax, request: &Request) -> Result<Inspection, Refused> {
    let mut inspection = Inspection::default();
    let functions = format::functions(text, syntax)?;
    let only = |allowed: &[&str]| functions.iter().all(|f| allowed.contains(&f.as_str()));
    if functions.is_empty() {
        return Err(Refused::Shape("the history holds no operation of any client".into()));
    }
    // A group of reads and single writes may be made for Jepsen's long-fork; every anomaly it knows is one of transactions.
    if only(&["txn", "", "read", "write", "append"])
        && !only(&["read", "write", "read-id", "init"])
        && !only(&["read", ""])
        || only(&["txn", ""]) && format::looks_like_steps(text, syntax)
    {
        let txns = Transactions::read(text, syntax)?;
        inspection.transactions(&txns, name_of(txns.shape), request);
        return Ok(inspection);
    }
    let log = Log::read(text, syntax)?;
    for entry in jepsen::MODELS.iter().filter(|entry| (entry.recognises)(&log)) {
        inspection.workload(&log, entry, request);
    }
    if let Some(entry) = model_of(&log) {
        // A counter or a set that is read only now and then is better judged by bounds than by a search, and was.
        let found = inspection.object(&log, entry, request);
        if let (Err(why), true) = (found, inspection.answers.is_empty()) {
            return Err(Refused::Shape(why));
        }
        if matches!(entry.model, ModelName::Register | ModelName::CasRegister | ModelName::Set)
            && let Ok(history) = History::read_any(text)
        {
            inspection.sessions(&history, request);
        }
    }
    if inspection.answers.is_empty() {
        let names = functions.join(", ");
        return Err(Refused::Shape(format!("nothing here judges a history of {names}; name a model with -m")));
    }
    Ok(inspection)
}

fn name_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Lists => "list-append",
        Shape::Registers => "rw-register",
    }
}

impl Inspection {
    /// What a pattern found in the logs of nodes.
    pub fn of_logs(report: jepsen::Report) -> Inspection {
        Inspection { answers: vec![Answer::of_workload("log-file-pattern", report)], format: "log" }
    }

    fn transactions(&mut self, txns: &Transactions, name: &'static str, request: &Request) {
        let report = check(txns, &request.transactions);
        self.answers.push(Answer::of_transactions(txns, name, &report, &request.transactions));
    }

    fn workload(&mut self, log: &Log, entry: &jepsen::Entry, request: &Request) {
        let report = (entry.check)(log, &request.workloads);
        self.answers.push(Answer::of_workload(entry.name, report));
    }

    fn object(&mut self, log: &Log, entry: &calls::Entry, request: &Request) -> Result<(), String> {
        let named = calls(log, entry.model)?;
        let decision = if request.sequential {
            objects::sequential(entry.model, &named.calls, &request.budget)
        } else {
            objects::linearizable(entry.model, &named.calls, &request.budget, request.threads.max(1))
        };
        self.answers.push(Answer::of_object(log, entry, &named, &decision, request.sequential));
        Ok(())
    }

    fn sessions(&mut self, history: &History, request: &Request) {
        // What nobody asked for by name and nothing can be said of is no answer.
        let named = request.model.is_some();
        let answers = Answer::of_sessions(history, &request.budget);
        self.answers.extend(answers.into_iter().filter(|answer| named || answer.verdict != Verdict::Unknown));
    }
}
