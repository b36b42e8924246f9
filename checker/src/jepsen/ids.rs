//! Generated identifiers: no two are the same.
//!
//! Jepsen's `checker/unique-ids`, over operations called `generate`. Cost: a look-up each.

use serde_json::{Map, Value as Json, json};

use super::elements::{Elements, json as as_json};
use super::keyed::{Row, whole};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    // An identifier may be a pair itself, so keys are not looked for.
    whole(log, options, unique)
}

pub(super) fn recognises(log: &Log) -> bool {
    !log.calls.is_empty() && log.calls.iter().all(|call| &*call.f == "generate")
}

fn unique(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("identifiers");
    let acknowledged = || rows.iter().filter(|row| row.is("generate") && row.ok());
    let mut elements = Elements::expecting(acknowledged().map(|row| row.value));
    let mut counts: Vec<(u64, u64)> = Vec::new();
    for row in acknowledged() {
        let id = elements.id(row.value) as usize;
        if id == counts.len() {
            counts.push((0, row.index()));
        }
        counts[id].0 += 1;
        if counts[id].0 == 2 {
            let ops = vec![counts[id].1, row.index()];
            draft.problem("duplicated", 2, || {
                let text =
                    format!("Operations {} and {} were both given the identifier {}.", ops[0], ops[1], row.value);
                (text, ops)
            });
        }
    }
    draft.evidence.opportunities = acknowledged().count() as u64;
    draft.number("attempted-count", rows.iter().filter(|row| row.is("generate")).count());
    draft.number("acknowledged-count", draft.evidence.opportunities);
    let mut doubled: Vec<(&Value, u64)> =
        elements.values.iter().zip(&counts).filter(|(_, it)| it.0 > 1).map(|(value, it)| (*value, it.0)).collect();
    doubled.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    draft.number("duplicated-count", doubled.len());
    let most: Map<String, Json> =
        doubled.iter().take(48).map(|(value, times)| (value.to_string(), (*times).into())).collect();
    draft.number("duplicated", most);
    draft.number("range", range(&elements.values));
    draft
}

/// The least and the greatest, where they can be compared.
fn range(values: &[&Value]) -> Json {
    let ints = || values.iter().filter(|value| value.int().is_some());
    let texts = || values.iter().filter(|value| value.text().is_some());
    let ends = if ints().count() == values.len() {
        ints().min_by_key(|value| value.int()).zip(ints().max_by_key(|value| value.int()))
    } else if texts().count() == values.len() {
        texts().min_by_key(|value| value.text()).zip(texts().max_by_key(|value| value.text()))
    } else {
        None
    };
    ends.map_or(Json::Null, |(low, high)| json!([as_json(low), as_json(high)]))
}
