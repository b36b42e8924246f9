//! Two inserts that exclude each other: Adya's G2, with predicates.
//!
//! Jepsen's `tests.adya`: for each key two transactions each look whether the other has inserted a row that satisfies a
//! predicate, and insert one of their own only if not. At most one may succeed; if both do, each missed the other's insert, which
//! no serial order explains (write skew over predicates).
//!
//! Cost: a look-up for each insert.

use serde_json::{Map, Value as Json};

use super::elements::Elements;
use super::keyed::{Row, whole};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    whole(log, options, g2)
}

pub(super) fn recognises(log: &Log) -> bool {
    let pair = |row: Row<'_>| row.given().pair().is_some_and(|(_, ids)| ids.pair().is_some());
    !log.calls.is_empty() && log.calls.iter().all(|call| &*call.f == "insert" && pair(Row::of(call)))
}

fn g2(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("keys of which both inserts ended");
    let mut keys = Elements::default();
    // Of each key: how many inserts succeeded, how many ended, and the first that succeeded.
    let mut counts: Vec<(u64, u64, u64)> = Vec::new();
    for row in rows.iter().filter(|row| row.is("insert")) {
        let Some((key, _)) = row.given().pair() else {
            draft.unknown(format!(
                "operation {} inserts {}, which is no pair of a key and rows",
                row.index(),
                row.given()
            ));
            continue;
        };
        let id = keys.id(key) as usize;
        counts.resize(counts.len().max(id + 1), (0, 0, 0));
        let (done, ended, first) = &mut counts[id];
        *ended += u64::from(row.ok() || row.failed());
        if !row.ok() {
            continue;
        }
        *done += 1;
        if *done == 1 {
            *first = row.index();
        } else if *done == 2 {
            let ops = vec![*first, row.index()];
            draft.problem("G2", 2, || {
                let text = format!(
                    "Operations {} and {} both inserted a row of key {key}, although each looked first and was to insert only if the other \
                     had not.",
                    ops[0], ops[1]
                );
                (text, ops)
            });
        }
    }
    draft.evidence.opportunities = counts.iter().filter(|(_, ended, _)| *ended > 1).count() as u64;
    let illegal: Vec<(&Value, u64)> =
        keys.values.iter().zip(&counts).filter(|(_, it)| it.0 > 1).map(|(key, it)| (*key, it.0)).collect();
    let inserted = counts.iter().filter(|(done, ..)| *done > 0).count();
    draft.number("key-count", counts.len());
    draft.number("legal-count", inserted - illegal.len());
    draft.number("illegal-count", illegal.len());
    let illegal: Map<String, Json> =
        illegal.iter().take(64).map(|(key, times)| (key.to_string(), (*times).into())).collect();
    draft.number("illegal", illegal);
    draft
}
