//! Histories of many independent objects in one: every value is a pair of a key and what concerns it.
//!
//! Jepsen's `independent` tags its pairs, but a tag does not survive in EDN or JSON, so the whole history decides: every value that an
//! operation was invoked with is a pair with a plain key, and so is every value that one completed with. A set of pairs is not mistaken,
//! since what is read of it is a list of lists.

use serde_json::{Map, Value as Json};

use super::elements::{Elements, json};
use super::report::{Draft, Evidence, Options, Problem, Report, Verdict};
use crate::history::Outcome;
use crate::log::{Call, Log};
use crate::value::Value;

/// An operation as a checker sees it, without its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// The operation.
    pub(crate) call: &'a Call,
    /// What it was invoked with.
    pub(crate) asked: &'a Value,
    /// What it completed with.
    pub(crate) value: &'a Value,
}

impl<'a> Row<'a> {
    pub(crate) fn of(call: &'a Call) -> Row<'a> {
        Row { call, asked: &call.asked, value: &call.value }
    }

    pub(crate) fn ok(&self) -> bool {
        self.call.outcome == Outcome::Ok
    }

    pub(crate) fn failed(&self) -> bool {
        self.call.outcome == Outcome::Fail
    }

    pub(crate) fn is(&self, f: &str) -> bool {
        &*self.call.f == f
    }

    /// What it wrote: what it was invoked with, or completed with where it has no invocation.
    pub(crate) fn given(&self) -> &'a Value {
        if self.asked.is_nil() { self.value } else { self.asked }
    }

    pub(crate) fn index(&self) -> u64 {
        self.call.index
    }
}

/// A checker of one object.
pub(crate) type Check = fn(&[Row<'_>], &Options) -> Draft;

/// The pair's key and value, where the key is plain.
fn parts(value: &Value) -> Option<(&Value, &Value)> {
    value.pair().filter(|(key, _)| matches!(key, Value::Int(_) | Value::Text(_)))
}

fn row(call: &Call) -> Option<(&Value, Row<'_>)> {
    let (key, value) = parts(&call.value)?;
    let asked = if call.asked.is_nil() { &Value::Nil } else { parts(&call.asked)?.1 };
    Some((key, Row { call, asked, value }))
}

/// Whether every value is a pair of a plain key and something; `collections` are the functions whose results must be lists or sets.
pub(crate) fn keyed(log: &Log, collections: &[&str]) -> bool {
    !log.calls.is_empty()
        && log.calls.iter().all(|call| {
            row(call).is_some_and(|(_, row)| {
                !row.ok() || row.value.items().is_some() || row.value.is_nil() || !collections.contains(&&*call.f)
            })
        })
}

/// The operations of a history that is not keyed, or of its first key: enough to recognise what it is made of.
pub(crate) fn sample<'a>(log: &'a Log, collections: &[&str]) -> Vec<Row<'a>> {
    if keyed(log, collections) {
        return log.calls.iter().filter_map(row).map(|(_, row)| row).collect();
    }
    log.calls.iter().map(Row::of).collect()
}

/// Judges a history as a whole.
pub(crate) fn whole(log: &Log, options: &Options, check: Check) -> Report {
    let rows: Vec<Row<'_>> = log.calls.iter().map(Row::of).collect();
    let mut report = check(&rows, options).report();
    report.notes.extend(log.notes.iter().cloned());
    report
}

/// Judges a history as a whole, or key by key.
pub(crate) fn judge(log: &Log, options: &Options, collections: &[&str], check: Check) -> Report {
    if !keyed(log, collections) {
        let mut report = whole(log, options, check);
        report.notes.extend(half_keyed(log).then(|| HALF_KEYED.into()));
        return report;
    }
    let mut report = by_key(log, options, check);
    report.notes.extend(log.notes.iter().cloned());
    report
}

const HALF_KEYED: &str = "what operations were invoked with are pairs of a key and a value, what they returned is not: the pairs were \
    taken as they are, so that what was written is never found in what was read";

/// Whether only what operations were invoked with are pairs.
fn half_keyed(log: &Log) -> bool {
    let mut asked = log.calls.iter().map(|call| &call.asked).filter(|asked| !asked.is_nil()).peekable();
    asked.peek().is_some() && asked.all(|asked| parts(asked).is_some())
}

/// How many keys' results are listed one by one, those that failed first.
const LISTED: usize = 32;

fn by_key(log: &Log, options: &Options, check: Check) -> Report {
    let pairs = || log.calls.iter().filter_map(row);
    let mut keys = Elements::expecting(pairs().map(|(key, _)| key));
    let mut groups: Vec<Vec<Row<'_>>> = Vec::new();
    for (key, row) in pairs() {
        let id = keys.id(key) as usize;
        if id == groups.len() {
            groups.push(Vec::new());
        }
        groups[id].push(row);
    }
    let reports = keys.values.iter().zip(&groups).map(|(key, rows)| (*key, check(rows, options).report()));
    merge(reports.collect(), groups.len())
}

fn merge(reports: Vec<(&Value, Report)>, keys: usize) -> Report {
    let unit = reports.first().map_or("operations", |(_, report)| report.evidence.unit);
    let mut draft = Draft::of(unit);
    let mut vacuous = 0;
    for (key, report) in &reports {
        draft.evidence = Evidence { opportunities: draft.evidence.opportunities + report.evidence.opportunities, unit };
        for Problem { kind, count, text, ops } in &report.problems {
            draft.problems_of(kind, *count, ops.len(), || (format!("Key {key}: {text}"), ops.clone()));
        }
        match &report.verdict {
            Verdict::Violated => {}
            _ if report.evidence.opportunities == 0 => vacuous += 1,
            Verdict::Unknown { why } => draft.unknown(format!("key {key}: {why}")),
            Verdict::Holds => {}
        }
        for (name, number) in &report.numbers {
            let sum = draft.numbers.get(name).and_then(Json::as_u64).unwrap_or(0);
            if let Some(number) = number.as_u64() {
                draft.number(name, sum.saturating_add(number));
            }
        }
    }
    draft
        .notes
        .push(format!("every value is a pair of a key and a value: each of the {keys} keys was judged by itself"));
    if vacuous > 0 {
        draft.notes.push(format!("{vacuous} of the keys hold nothing to judge"));
    }
    if vacuous == keys
        && let Some((key, why)) = reports.iter().find_map(|(key, report)| match &report.verdict {
            Verdict::Unknown { why } => Some((key, why)),
            _ => None,
        })
    {
        draft.unknown(format!("key {key}: {why}"));
    }
    let failures: Vec<&Value> =
        reports.iter().filter(|(_, it)| it.verdict == Verdict::Violated).map(|(key, _)| *key).collect();
    draft.number("failures", failures.iter().take(LISTED).map(|key| json(key)).collect::<Vec<_>>());
    draft.number("failure-count", failures.len());
    let mut listed: Vec<&(&Value, Report)> = reports.iter().collect();
    listed.sort_by_key(|(_, report)| report.verdict != Verdict::Violated);
    let results: Map<String, Json> = listed
        .into_iter()
        .take(LISTED)
        .map(|(key, report)| (key.to_string(), Json::Object(report.numbers.clone())))
        .collect();
    draft.number("results", results);
    draft.report()
}
