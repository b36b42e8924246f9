//! One client writes the parts of a key in order, another reads them in the opposite order.
//!
//! elle-cli's `sequential`, after Jepsen's tests of CockroachDB, TiDB and Dgraph: a read is `[key parts]`, its parts the last
//! written first. If some part is there, all that are read after it were written before it, so nothing may be missing behind it.
//! A read that shows a part and then a missing one saw a process's writes out of order.
//!
//! Cost: one step for each part.

use super::elements::json;
use super::keyed::{Row, whole};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    whole(log, options, sequential)
}

/// Reads of a key and its parts, which are named after it or missing.
pub(super) fn recognises(log: &Log) -> bool {
    let rows: Vec<Row<'_>> = log.calls.iter().map(Row::of).collect();
    let named = |key: &Value, part: &Value| match part {
        Value::Text(name) => name.strip_prefix(&key.to_string()).is_some_and(|rest| rest.starts_with('_')),
        other => other.is_nil(),
    };
    let of = |row: &&Row<'_>| parts(row.value).is_some_and(|(key, parts)| parts.iter().all(|part| named(key, part)));
    let reads = || rows.iter().filter(|row| row.is("read") && row.ok());
    rows.iter().all(|row| row.is("read") || row.is("write") || row.is("add"))
        && reads().next().is_some()
        && reads().all(|row| of(&row))
        && reads().any(|row| parts(row.value).is_some_and(|(_, parts)| !parts.is_empty()))
}

fn parts(value: &Value) -> Option<(&Value, &[Value])> {
    let (key, parts) = value.pair()?;
    let plain = matches!(key, Value::Int(_) | Value::Text(_));
    parts.items().filter(|_| plain).map(|parts| (key, parts))
}

/// The part that is there and the first missing one behind it, as positions.
fn trailing(parts: &[Value]) -> Option<(usize, usize)> {
    let there = parts.iter().position(|part| !part.is_nil())?;
    let missing = parts.iter().skip(there).position(Value::is_nil)?;
    Some((there + missing - 1, there + missing))
}

fn sequential(rows: &[Row<'_>], options: &Options) -> Draft {
    let mut draft = Draft::of("parts behind one that was there");
    let (mut all, mut some, mut none) = (0, 0, 0);
    let mut bad: Vec<&Value> = Vec::new();
    for row in rows.iter().filter(|row| row.is("read") && row.ok()) {
        let Some((key, parts)) = parts(row.value) else {
            draft.unknown(format!("operation {} reads {}, which is no key with its parts", row.index(), row.value));
            continue;
        };
        let missing = parts.iter().filter(|part| part.is_nil()).count();
        none += u64::from(missing == parts.len());
        some += u64::from(missing > 0);
        all += u64::from(complete(key, parts, options.key_count));
        let first = parts.iter().position(|part| !part.is_nil());
        draft.evidence.opportunities += first.map_or(0, |first| parts.len() - first - 1) as u64;
        if let Some((there, gone)) = trailing(parts) {
            bad.push(row.value);
            let index = row.index();
            draft.problem("bad", 1, || {
                let text = format!(
                    "Of key {key}, operation {index} read part {} and then no part {}, which the same client had written before: \
                     its writes were seen out of order.",
                    name(&parts[there], parts.len() - there),
                    parts.len() - gone
                );
                (text, vec![index])
            });
        }
    }
    draft.number("all-count", all);
    draft.number("some-count", some);
    draft.number("none-count", none);
    draft.number("bad-count", bad.len());
    draft.number("bad", bad.iter().take(64).map(|value| json(value)).collect::<Vec<_>>());
    draft
}

fn name(part: &Value, place: usize) -> String {
    format!("{place} ({part})")
}

/// Whether all parts are there, the last first.
fn complete(key: &Value, parts: &[Value], count: usize) -> bool {
    let wanted = (0..count).rev().map(|part| format!("{key}_{part}"));
    parts.len() == count && parts.iter().zip(wanted).all(|(part, wanted)| part.text() == Some(&wanted))
}
