//! Queues: what goes in must come out.
//!
//! Jepsen's `checker/total-queue`: every acknowledged enqueue has its dequeue, and nothing comes out that nobody put in. What
//! comes out more often than it was put in is counted, as Jepsen does, but at-least-once delivery is what most queues promise, so
//! it decides nothing.
//!
//! An element that did not come out is lost only if somebody found the queue empty after it was acknowledged (a drain, a dequeue that
//! returned nothing or failed because there was nothing), and if no dequeue or drain of unknown outcome may have taken it. Otherwise the
//! answer is unknown.
//!
//! Cost: a look-up for each element that went in or came out.

use serde_json::Value as Json;

use super::additions::{Addition, additions};
use super::elements::{Elements, NONE, json};
use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    judge(log, options, &["drain"], total)
}

pub(super) fn recognises(log: &Log) -> bool {
    let rows = sample(log, &["drain"]);
    rows.iter().all(|row| ["enqueue", "dequeue", "drain"].contains(&&*row.call.f))
        && rows.iter().any(|row| row.is("enqueue"))
        && rows.iter().any(|row| !row.is("enqueue"))
}

/// How often an element came out, and of the operations in which it did the one that ended first.
#[derive(Clone, Copy)]
struct Out {
    times: u32,
    by: u32,
    until: u32,
}

const NEVER: Out = Out { times: 0, by: NONE, until: u32::MAX };

/// What came out, and what is known of when nothing was left.
struct Outs {
    each: Vec<Out>,
    /// The latest start of an operation that found the queue empty.
    emptied: u32,
    /// Dequeues of unknown outcome, each of which may have taken an element.
    unknown: u64,
    /// Whether a drain is of unknown outcome, which may have taken any number.
    any: bool,
}

fn take<'a>(elements: &mut Elements<'a>, outs: &mut Vec<Out>, element: &'a Value, by: usize, until: u32) {
    let id = elements.id(element) as usize;
    if id >= outs.len() {
        outs.resize(id + 1, NEVER);
    }
    let out = &mut outs[id];
    out.times += 1;
    if out.by == NONE || until < out.until {
        (out.by, out.until) = (by as u32, until);
    }
}

/// Whether a dequeue failed because there was nothing.
fn says_empty(row: &Row<'_>) -> bool {
    let said = row.call.error.as_ref().map(Value::to_string).unwrap_or_default();
    said.contains("empty") || said.contains("exhausted")
}

fn come_out<'a>(rows: &[Row<'a>], elements: &mut Elements<'a>) -> Outs {
    let mut outs = Outs { each: vec![NEVER; elements.len()], emptied: 0, unknown: 0, any: false };
    for (at, row) in rows.iter().enumerate() {
        match (row.is("dequeue"), row.is("drain")) {
            (true, _) if row.ok() && !row.value.is_nil() => take(elements, &mut outs.each, row.value, at, row.call.end),
            (true, _) if row.ok() || (row.failed() && says_empty(row)) => {
                outs.emptied = outs.emptied.max(row.call.start)
            }
            (true, _) if !row.failed() => outs.unknown += 1,
            (_, true) if row.ok() => {
                outs.emptied = outs.emptied.max(row.call.start);
                row.value
                    .items()
                    .unwrap_or_default()
                    .iter()
                    .for_each(|it| take(elements, &mut outs.each, it, at, row.call.end));
            }
            (_, true) if !row.failed() => {
                outs.any = true;
                row.value
                    .items()
                    .unwrap_or_default()
                    .iter()
                    .for_each(|it| take(elements, &mut outs.each, it, at, row.call.end));
            }
            _ => {}
        }
    }
    outs
}

/// How many acknowledged enqueues of each element ended before the queue was last found empty.
fn early(rows: &[Row<'_>], elements: &Elements<'_>, emptied: u32) -> Vec<u32> {
    let mut early = vec![0; elements.len()];
    for row in rows.iter().filter(|row| row.is("enqueue") && row.ok() && row.call.end < emptied) {
        if let Some(count) = early.get_mut(elements.find(row.given()) as usize) {
            *count += 1;
        }
    }
    early
}

#[derive(Default)]
struct Tally<'a> {
    ok: u64,
    lost: Vec<(&'a Value, u64)>,
    left: u64,
    unexpected: Vec<(&'a Value, u64)>,
    duplicated: Vec<(&'a Value, u64)>,
    recovered: Vec<(&'a Value, u64)>,
    revived: Vec<(&'a Value, u64)>,
}

fn total(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("acknowledged enqueues");
    let (mut elements, adds) = additions(rows, "enqueue");
    let outs = come_out(rows, &mut elements);
    let early = early(rows, &elements, outs.emptied);
    let mut tally = Tally::default();
    for (id, &element) in elements.values.iter().enumerate() {
        let out = outs.each.get(id).copied().unwrap_or(NEVER);
        let by = rows.get(out.by as usize).map_or(0, Row::index);
        let Some(add) = adds.get(id) else {
            tally.unexpected.push((element, u64::from(out.times)));
            draft.problems_of("unexpected", u64::from(out.times), 1, || {
                (format!("Element {element} came out (operation {by}) and nobody ever put it in."), vec![by])
            });
            continue;
        };
        count(&mut tally, element, add, out.times, early[id]);
        if out.until < rows[add.first as usize].call.start && add.possible > 0 {
            premature(&mut draft, element, by, rows[add.first as usize].index());
        }
        if out.times > 0 && add.possible == 0 {
            let first = rows[add.first as usize].index();
            draft.problem("revived", 2, || {
                let text = format!(
                    "Element {element} came out (operation {by}) although its enqueue had failed (operation {first}): the failure was \
                     reported of something that took place."
                );
                (text, vec![first, by])
            });
        }
    }
    let acknowledged: u64 = adds.iter().map(|add| u64::from(add.acknowledged)).sum();
    draft.evidence.opportunities = acknowledged;
    losses(&mut draft, rows, &elements, &adds, &outs, &tally);
    draft.number("attempt-count", adds.iter().map(|add| u64::from(add.tried)).sum::<u64>());
    draft.number("acknowledged-count", acknowledged);
    draft.number("ok-count", tally.ok);
    for (name, these) in [
        ("lost", &tally.lost),
        ("unexpected", &tally.unexpected),
        ("duplicated", &tally.duplicated),
        ("recovered", &tally.recovered),
        ("revived", &tally.revived),
    ] {
        draft.number(&format!("{name}-count"), sum(these));
        draft.number(name, multiset(these));
    }
    draft
}

fn premature(draft: &mut Draft, element: &Value, out: u64, add: u64) {
    draft.problem("premature", 2, || {
        let text = format!(
            "Element {element} came out (operation {out}) before anybody began to put it in (operation {add})."
        );
        (text, vec![out, add])
    });
}

fn count<'a>(tally: &mut Tally<'a>, element: &'a Value, add: &Addition, out: u32, early: u32) {
    let ok = out.min(add.tried);
    tally.ok += u64::from(ok);
    let lost = early.saturating_sub(out);
    tally.left += u64::from(add.acknowledged.saturating_sub(out) - lost);
    let revived = if add.possible == 0 { out } else { 0 };
    for (these, times) in [
        (&mut tally.lost, lost),
        (&mut tally.duplicated, out.saturating_sub(add.tried)),
        (&mut tally.recovered, ok.saturating_sub(add.acknowledged.max(revived))),
        (&mut tally.revived, revived),
    ] {
        if times > 0 {
            these.push((element, u64::from(times)));
        }
    }
}

fn losses(
    draft: &mut Draft,
    rows: &[Row<'_>],
    elements: &Elements<'_>,
    adds: &[Addition],
    outs: &Outs,
    tally: &Tally<'_>,
) {
    let lost = sum(&tally.lost);
    let emptied = rows.iter().find(|row| row.call.start == outs.emptied && !row.is("enqueue")).map_or(0, Row::index);
    if outs.any && lost > 0 {
        draft.unknown("a drain of unknown outcome may have taken what did not come out");
    } else if lost > 0 && lost <= outs.unknown {
        draft.unknown(format!(
            "{} dequeues of unknown outcome may have taken the {lost} that did not come out",
            outs.unknown
        ));
    } else if let Some((element, _)) = tally.lost.first() {
        let known = adds[elements.find(element) as usize].known;
        let add = rows[known as usize].index();
        draft.problems_of("lost", lost, 2, || {
            let text = format!(
                "Element {element} is lost: it was put in and acknowledged (operation {add}), the queue was found empty later (operation \
                 {emptied}), and it never came out."
            );
            (text, vec![add, emptied])
        });
    }
    if tally.left > 0 {
        draft.unknown(format!(
            "{} acknowledged elements did not come out, but nobody found the queue empty after they went in",
            tally.left
        ));
    }
    if !tally.duplicated.is_empty() {
        draft.notes.push(format!(
            "{} elements came out more often than they were put in, which at-least-once delivery allows",
            tally.duplicated.len()
        ));
    }
}

fn sum(these: &[(&Value, u64)]) -> u64 {
    these.iter().map(|(_, times)| times).sum()
}

/// The first few elements with how often each.
fn multiset(these: &[(&Value, u64)]) -> Json {
    these
        .iter()
        .take(64)
        .map(|(element, times)| Json::from(vec![json(element), (*times).into()]))
        .collect::<Vec<_>>()
        .into()
}
