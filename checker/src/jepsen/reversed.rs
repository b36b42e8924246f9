//! Writes that become visible before writes that had been acknowledged when they began.
//!
//! Jepsen's `tests.causal-reverse`, elle-cli's `comments`: blind writes of different values, and reads of all that is there. If a
//! read shows a write that began after another was acknowledged, it must show that one too; otherwise the database is not
//! strictly serializable (a "causal reverse").
//!
//! What a read must show is everything that was acknowledged before the *latest* beginning among the writes it shows, so one
//! number for each read decides: how many of those it does show. Cost: a look-up for each element of each read, and a binary
//! search.

use serde_json::{Value as Json, json};

use super::additions::{Addition, additions};
use super::elements::{Elements, NONE, listed};
use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

const COLLECTIONS: &[&str] = &["read"];

pub(super) fn check(log: &Log, options: &Options) -> Report {
    judge(log, options, COLLECTIONS, reversed)
}

/// Writes of plain values, and reads of collections of plain values.
pub(super) fn recognises(log: &Log) -> bool {
    let rows = sample(log, COLLECTIONS);
    let plain = |value: &Value| matches!(value, Value::Int(_) | Value::Text(_));
    let reads = || rows.iter().filter(|row| row.is("read") && row.ok());
    rows.iter().all(|row| row.is("read") || (row.is("write") && plain(row.given())))
        && rows.iter().any(|row| row.is("write"))
        && reads().next().is_some()
        && reads().all(|row| row.value.items().is_some_and(|items| items.iter().all(plain)))
}

/// The writes, and in which order they were acknowledged.
struct Writes<'a, 'r> {
    rows: &'r [Row<'a>],
    elements: Elements<'a>,
    adds: Vec<Addition>,
    /// When each began, and when it was acknowledged; `u32::MAX` for never.
    begun: Vec<u32>,
    known: Vec<u32>,
    /// The ranks at which they were acknowledged, ascending, and of which element each is.
    acknowledged: Vec<(u32, u32)>,
}

impl<'a, 'r> Writes<'a, 'r> {
    fn of(rows: &'r [Row<'a>]) -> Writes<'a, 'r> {
        let (elements, adds) = additions(rows, "write");
        let begun = adds.iter().map(|add| rows[add.first as usize].call.start).collect();
        let end = |add: &Addition| rows.get(add.known as usize).map_or(u32::MAX, |row| row.call.end);
        let known: Vec<u32> = adds.iter().map(end).collect();
        let ranks = known.iter().zip(0..).filter(|(end, _)| **end != u32::MAX);
        let mut acknowledged: Vec<(u32, u32)> = ranks.map(|(end, id)| (*end, id)).collect();
        acknowledged.sort();
        Writes { rows, elements, adds, begun, known, acknowledged }
    }

    fn begun(&self, id: u32) -> u32 {
        self.begun[id as usize]
    }

    fn known(&self, id: u32) -> u32 {
        self.known[id as usize]
    }

    /// How many were acknowledged before `rank`.
    fn before(&self, rank: u32) -> usize {
        self.acknowledged.partition_point(|&(end, _)| end < rank)
    }
}

/// A read that shows a write without one that must come before.
struct Reverse {
    read: u64,
    shows: u32,
    expected: usize,
    missing: usize,
}

fn reversed(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("acknowledged writes that a read had to show");
    let writes = Writes::of(rows);
    let mut stamps = vec![NONE; writes.adds.len()];
    let (mut strangers, mut wrong, mut errors, mut shown) = (0_u64, 0_u64, Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.is("read") && row.ok()) {
        let Some(items) = row.value.items() else {
            if !row.value.is_nil() {
                draft.unknown(format!("operation {} reads {}, which is no collection", row.index(), row.value));
            }
            continue;
        };
        let at = at as u32;
        shown.clear();
        for item in items {
            match writes.elements.find(item) {
                NONE => strangers += 1,
                id if writes.adds[id as usize].possible == 0 => revived(&mut draft, &writes, id, row.index()),
                id if stamps[id as usize] != at => {
                    stamps[id as usize] = at;
                    shown.push(id);
                }
                _ => {}
            }
        }
        let Some(&latest) = shown.iter().max_by_key(|&&id| writes.begun(id)) else { continue };
        let expected = writes.before(writes.begun(latest));
        draft.evidence.opportunities += expected as u64;
        let missing = expected - shown.iter().filter(|&&id| writes.known(id) < writes.begun(latest)).count();
        if missing == 0 {
            continue;
        }
        wrong += 1;
        let absent = || writes.acknowledged[..expected].iter().map(|it| it.1).filter(|&id| stamps[id as usize] != at);
        let error = Reverse { read: row.index(), shows: latest, expected, missing };
        report(&mut draft, &writes, &error, || absent().next());
        if errors.len() < 16 {
            errors.push(describe(&error, &writes, absent().take(64)));
        }
    }
    if strangers > 0 {
        draft.notes.push(format!("{strangers} elements were read whose writes are not in this history"));
    }
    draft.number("unwritten-count", strangers);
    draft.number("error-count", wrong);
    draft.number("errors", errors);
    draft
}

fn revived(draft: &mut Draft, writes: &Writes<'_, '_>, id: u32, read: u64) {
    draft.problem("revived", 2, || {
        let write = writes.rows[writes.adds[id as usize].first as usize].index();
        let value = writes.elements.values[id as usize];
        let text =
            format!("Value {value} was read (operation {read}) although its write had failed (operation {write}).");
        (text, vec![write.min(read), write.max(read)])
    });
}

fn report(draft: &mut Draft, writes: &Writes<'_, '_>, error: &Reverse, absent: impl FnOnce() -> Option<u32>) {
    draft.problem("missing", 3, || {
        let value = |id: u32| writes.elements.values[id as usize];
        let index = |at: u32| writes.rows[at as usize].index();
        let absent = absent().unwrap_or(error.shows);
        let (first, second) = (index(writes.adds[absent as usize].known), index(writes.adds[error.shows as usize].first));
        let text = format!(
            "The read of operation {} shows {} (written by operation {second}) but not {}, whose write (operation {first}) had been \
             acknowledged before that began.",
            error.read,
            value(error.shows),
            value(absent)
        );
        let mut ops = vec![first, second, error.read];
        ops.sort_unstable();
        (text, ops)
    });
}

fn describe(error: &Reverse, writes: &Writes<'_, '_>, missing: impl Iterator<Item = u32>) -> Json {
    let missing: Vec<&Value> = missing.map(|id| writes.elements.values[id as usize]).collect();
    json!({
        "op": error.read,
        "missing": listed(missing),
        "missing-count": error.missing,
        "expected-count": error.expected,
    })
}
