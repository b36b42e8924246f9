//! Second implementations, by definition and without haste, that the checkers are compared with.
//!
//! They share the types of the history with the checkers and nothing else: no index, no sorting, every pair looked at. What is compared is
//! the verdict and how often each kind of problem occurs.

use std::collections::BTreeMap;

use super::drawn::draw;
use super::report::{Options, Report, Verdict};
use crate::history::Outcome;
use crate::log::{Call, Log};
use crate::value::Value;

/// How often each kind of problem occurs; the key `unknown` where there is no answer.
pub type Counts = BTreeMap<&'static str, u64>;

/// The checkers that have a second implementation.
pub const NAMES: &[&str] = &[
    "set",
    "set-full",
    "total-queue",
    "counter",
    "bank",
    "unique-ids",
    "long-fork",
    "causal-reverse",
    "sequential",
    "monotonic",
    "causal",
    "adya",
];

fn of<'a>(calls: &'a [Call], f: &'a str) -> impl Iterator<Item = &'a Call> + Clone {
    calls.iter().filter(move |call| &*call.f == f)
}

fn oks<'a>(calls: &'a [Call], f: &'a str) -> impl Iterator<Item = &'a Call> + Clone {
    of(calls, f).filter(|call| call.outcome == Outcome::Ok)
}

fn possible<'a>(calls: &'a [Call], f: &'a str) -> impl Iterator<Item = &'a Call> + Clone {
    of(calls, f).filter(|call| call.outcome != Outcome::Fail)
}

fn distinct<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

fn items(call: &Call) -> &[Value] {
    call.value.items().unwrap_or_default()
}

fn count(counts: &mut Counts, kind: &'static str, by: bool) {
    if by {
        *counts.entry(kind).or_default() += 1;
    }
}

fn set(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    let Some(read) = oks(calls, "read").max_by_key(|call| call.end) else { return [("unknown", 1)].into() };
    let there = |value: &Value| items(read).contains(value);
    for value in distinct(of(calls, "add").map(|call| &call.asked)) {
        let known = oks(calls, "add").any(|call| call.asked == *value && call.end < read.start);
        count(&mut counts, "lost", known && !there(value));
        let tried = possible(calls, "add").any(|call| call.asked == *value);
        count(&mut counts, "revived", !tried && there(value));
        let open = possible(calls, "add").any(|call| call.asked == *value && call.start < read.end);
        count(&mut counts, "premature", tried && there(value) && !open);
    }
    for value in distinct(items(read).iter()) {
        count(&mut counts, "unexpected", of(calls, "add").all(|call| call.asked != *value));
    }
    counts
}

fn set_full(calls: &[Call], options: &Options) -> Counts {
    let (mut counts, mut judged) = (Counts::new(), 0);
    let holds = |read: &&Call, value: &Value| items(read).contains(value);
    for value in distinct(of(calls, "add").map(|call| &call.asked)) {
        let same = |call: &&Call| call.asked == *value;
        let tried = possible(calls, "add").any(|call| same(&call));
        let begun = if tried {
            possible(calls, "add").filter(same).map(|call| call.start).min()
        } else {
            of(calls, "add").filter(same).map(|call| call.start).min()
        };
        let begun = begun.unwrap_or(0);
        let present = || oks(calls, "read").filter(|read| holds(read, value) && read.end > begun);
        let absent = oks(calls, "read").filter(|read| !holds(read, value) && read.start > begun);
        let last_present = present().map(|read| read.start).max();
        let last_absent = absent.map(|read| read.start).max();
        let known = oks(calls, "add").filter(same).map(|call| call.end).chain(present().map(|read| read.end)).min();
        let missed = last_absent.is_some_and(|absent| known.is_some_and(|known| known < absent));
        let stable = last_present.is_some() && last_present > last_absent;
        judged += u32::from(stable || missed);
        count(&mut counts, "lost", !stable && missed);
        count(&mut counts, "stale", stable && missed && options.linearizable);
        count(&mut counts, "revived", !tried && oks(calls, "read").any(|read| holds(&read, value)));
        let early = |read: &Call| holds(&read, value) && read.end < begun;
        count(&mut counts, "premature", tried && oks(calls, "read").any(early));
    }
    for value in distinct(oks(calls, "read").flat_map(items)) {
        count(&mut counts, "unexpected", of(calls, "add").all(|call| call.asked != *value));
        let twice = |read: &Call| items(read).iter().filter(|it| *it == value).count() > 1;
        count(&mut counts, "duplicated", oks(calls, "read").any(twice));
    }
    count(&mut counts, "unknown", judged == 0);
    counts
}

fn queue(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    let drains = || of(calls, "drain").filter(|call| call.outcome == Outcome::Ok);
    let out: Vec<&Value> = oks(calls, "dequeue")
        .map(|call| &call.value)
        .filter(|value| !value.is_nil())
        .chain(possible(calls, "drain").flat_map(items))
        .collect();
    let nothing = oks(calls, "dequeue").filter(|call| call.value.is_nil());
    let emptied = nothing.chain(drains()).map(|call| call.start).max().unwrap_or(0);
    let unknown = of(calls, "dequeue").filter(|call| call.outcome == Outcome::Info).count();
    let crashed = of(calls, "drain").any(|call| call.outcome == Outcome::Info);
    let (mut lost, mut left) = (0, 0);
    for value in distinct(of(calls, "enqueue").map(|call| &call.asked)) {
        let times = out.iter().filter(|it| **it == value).count();
        let acknowledged = oks(calls, "enqueue").filter(|call| call.asked == *value);
        let early = acknowledged.clone().filter(|call| call.end < emptied).count();
        lost += early.saturating_sub(times);
        left += acknowledged.count().saturating_sub(times) - early.saturating_sub(times);
        let tried = possible(calls, "enqueue").any(|call| call.asked == *value);
        count(&mut counts, "revived", !tried && times > 0);
        let same = |call: &&Call| call.outcome == Outcome::Ok && (call.value == *value || items(call).contains(value));
        let ends = calls.iter().filter(|call| &*call.f != "enqueue").filter(same).map(|call| call.end);
        let early = |end: u32| possible(calls, "enqueue").all(|call| call.asked != *value || call.start > end);
        count(&mut counts, "premature", tried && ends.min().is_some_and(early));
    }
    for value in &out {
        count(&mut counts, "unexpected", of(calls, "enqueue").all(|call| call.asked != **value));
    }
    if lost > 0 && (crashed || lost <= unknown) || left > 0 {
        counts.insert("unknown", 1);
    }
    if lost > unknown && !crashed {
        counts.insert("lost", lost as u64);
    }
    counts
}

fn counter(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    let by = |call: &Call| call.asked.int().unwrap_or(0);
    for read in oks(calls, "read") {
        let sure: i64 = oks(calls, "add").filter(|add| add.end < read.start && by(add) > 0).map(by).sum();
        let gone: i64 = oks(calls, "add").filter(|add| add.end < read.start && by(add) < 0).map(by).sum();
        let begun = || possible(calls, "add").filter(|add| add.start < read.end).map(by);
        let lower = sure + begun().filter(|by| *by < 0).sum::<i64>();
        let upper = gone + begun().filter(|by| *by > 0).sum::<i64>();
        let value = read.value.int().unwrap_or(0);
        count(&mut counts, "out-of-bounds", value < lower || value > upper);
    }
    counts
}

fn bank(calls: &[Call], options: &Options) -> Counts {
    let balances = |call: &Call| match &call.value {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    let sum = |all: &[(Value, Value)]| all.iter().filter_map(|(_, it)| it.int()).sum::<i64>();
    let mut reads: Vec<&Call> = oks(calls, "read").collect();
    reads.sort_by_key(|read| read.end);
    let whole = |read: &&&Call| balances(read).iter().all(|(_, it)| !it.is_nil());
    let Some(first) = reads.iter().find(whole).or(reads.first()).map(|read| balances(read)) else {
        return Counts::new();
    };
    let mut counts = Counts::new();
    for read in reads {
        let shown = balances(read);
        let known = shown.iter().all(|(account, _)| first.iter().any(|(it, _)| it == account));
        let kind = if !known {
            "unexpected-key"
        } else if shown.iter().any(|(_, it)| it.is_nil()) {
            "nil-balance"
        } else if sum(&shown) != sum(&first) {
            "wrong-total"
        } else if !options.negative_balances && shown.iter().any(|(_, it)| it.int() < Some(0)) {
            "negative-value"
        } else {
            continue;
        };
        count(&mut counts, kind, true);
    }
    counts
}

fn ids(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    for value in distinct(oks(calls, "generate").map(|call| &call.value)) {
        count(&mut counts, "duplicated", oks(calls, "generate").filter(|call| call.value == *value).count() > 1);
    }
    counts
}

/// Forks are compared by whether there are any: the checker reports one pair of reads where the chain breaks, here are all pairs.
fn long_fork(calls: &[Call], _: &Options) -> Counts {
    let steps = |call: &Call| -> Vec<(Value, Value)> {
        items(call).iter().filter_map(|step| step.items()).map(|parts| (parts[1].clone(), parts[2].clone())).collect()
    };
    let mut counts = Counts::new();
    for a in oks(calls, "read") {
        for b in oks(calls, "read") {
            let (one, other) = (steps(a), steps(b));
            let seen = |all: &[(Value, Value)], key: &Value| all.iter().any(|(it, value)| it == key && !value.is_nil());
            let asked = |all: &[(Value, Value)], key: &Value| all.iter().any(|(it, _)| it == key);
            let only = |x: &[(Value, Value)], y: &[(Value, Value)]| {
                x.iter().any(|(key, _)| asked(y, key) && seen(x, key) && !seen(y, key))
            };
            if only(&one, &other) && only(&other, &one) {
                counts.insert("fork", 1);
            }
        }
        for (key, value) in steps(a).iter().filter(|(_, value)| !value.is_nil()) {
            let same = |write: &&Call| steps(write).contains(&(key.clone(), value.clone()));
            let tried = of(calls, "write").filter(same).count();
            count(&mut counts, "unexpected", tried == 0 && of(calls, "write").next().is_some());
            count(&mut counts, "revived", tried > 0 && !possible(calls, "write").any(|write| same(&write)));
        }
    }
    counts
}

fn causal_reverse(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    let begun = |value: &Value| possible(calls, "write").filter(|it| it.asked == *value).map(|it| it.start).min();
    for read in oks(calls, "read") {
        let missing = items(read).iter().any(|shown| {
            let Some(begun) = begun(shown) else { return false };
            oks(calls, "write").any(|write| write.end < begun && !items(read).contains(&write.asked))
        });
        count(&mut counts, "missing", missing);
        for shown in items(read) {
            let tried = of(calls, "write").any(|it| it.asked == *shown);
            count(&mut counts, "revived", tried && begun(shown).is_none());
        }
    }
    counts
}

fn sequential(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    for read in oks(calls, "read") {
        let parts = read.value.pair().and_then(|(_, parts)| parts.items()).unwrap_or_default();
        let bad = (0..parts.len()).any(|i| (0..i).any(|j| !parts[j].is_nil() && parts[i].is_nil()));
        count(&mut counts, "bad", bad);
    }
    counts
}

fn monotonic(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    let Some(read) = oks(calls, "read").max_by_key(|call| call.end) else { return [("unknown", 1)].into() };
    let part = |row: &Value, name: &str| row.get(name).and_then(Value::int);
    let rows = items(read);
    for at in 1..rows.len() {
        let falls = |name: &str| part(&rows[at - 1], name) > part(&rows[at], name);
        count(&mut counts, "value-reorders", falls("val"));
        count(&mut counts, "order-by-errors", falls("sts"));
    }
    let there = |value: Option<i64>| rows.iter().filter(|row| part(row, "val") == value).count();
    for add in oks(calls, "add").filter(|add| add.end < read.start) {
        count(&mut counts, "lost", there(part(&add.value, "val")) == 0);
    }
    let values: Vec<i64> = rows.iter().filter_map(|row| part(row, "val")).collect();
    let (low, high) = (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(-1));
    for value in low..=high {
        count(&mut counts, "duplicates", there(Some(value)) > 1);
    }
    let left_out = (low..=high).filter(|value| !values.contains(value)).count();
    let without = of(calls, "add").filter(|add| add.outcome != Outcome::Ok).count();
    if left_out > without {
        counts.insert("skipped", left_out as u64);
    }
    counts
}

/// Replays what succeeded; where an operation of unknown outcome stands between, the link is free, and a write may count from
/// its beginning.
fn causal(calls: &[Call], _: &Options) -> Counts {
    let part = |value: &Value, name: &str| value.get(name).cloned().unwrap_or(Value::Nil);
    let number = |value: &Value| value.get("value").unwrap_or(value).int();
    let mut done: Vec<&Call> = calls.iter().filter(|call| call.outcome == Outcome::Ok).collect();
    done.sort_by_key(|call| call.end);
    let unknown = |call: &Call| call.outcome == Outcome::Info;
    let (mut held, mut last, mut position) = (0, 0, Value::Nil);
    for call in done {
        let between = calls.iter().any(|it| unknown(it) && it.start > last && it.start < call.end);
        let link = part(&call.value, "link");
        let linked = link.is_nil() || link == Value::Text("init".into()) || link == position || between;
        if !linked {
            return [("link", 1)].into();
        }
        let maybe = |value: i64| {
            of(calls, "write").any(|it| unknown(it) && it.start < call.end && number(&it.asked) == Some(value))
        };
        let write = &*call.f == "write";
        match number(&call.value) {
            Some(it) if write && it == held + 1 => held = it,
            Some(it) if write && it > held + 1 && (held + 1..it).all(maybe) => held = it,
            Some(it) if write && it == held && maybe(it) => {}
            _ if write => return [("write", 1)].into(),
            Some(it) if it == held => {}
            Some(it) if it > held && (held + 1..=it).all(maybe) => held = it,
            Some(_) => return [("read", 1)].into(),
            None => {}
        }
        (last, position) = (call.end, part(&call.value, "position"));
    }
    Counts::new()
}

fn adya(calls: &[Call], _: &Options) -> Counts {
    let mut counts = Counts::new();
    let key = |call: &Call| call.asked.pair().map(|(key, _)| key.clone());
    for a in oks(calls, "insert") {
        let other = oks(calls, "insert").any(|b| b.index < a.index && key(a) == key(b));
        count(&mut counts, "G2", other);
    }
    counts
}

/// What is wrong with a history, by definition; nothing for a name that is not in [`NAMES`].
///
/// `keyed` says that every value is a pair of a key and a value. Quadratic or worse.
pub fn check(name: &str, log: &Log, options: &Options, keyed: bool) -> Option<Counts> {
    let check: fn(&[Call], &Options) -> Counts = match name {
        "set" => set,
        "set-full" => set_full,
        "total-queue" => queue,
        "counter" => counter,
        "bank" => bank,
        "unique-ids" => ids,
        "long-fork" => long_fork,
        "causal-reverse" => causal_reverse,
        "sequential" => sequential,
        "monotonic" => monotonic,
        "causal" => causal,
        "adya" => adya,
        _ => return None,
    };
    if !keyed {
        return Some(check(&log.calls, options));
    }
    let mut all = Counts::new();
    for key in distinct(log.calls.iter().filter_map(|call| call.value.pair()).map(|(key, _)| key)) {
        let of_key = |call: &&Call| call.value.pair().is_some_and(|(it, _)| it == key);
        let mut calls: Vec<Call> = log.calls.iter().filter(of_key).cloned().collect();
        for call in &mut calls {
            for value in [&mut call.asked, &mut call.value] {
                if let Some((_, second)) = value.pair() {
                    *value = second.clone();
                }
            }
        }
        for (kind, count) in check(&calls, options) {
            *all.entry(kind).or_default() += count;
        }
    }
    Some(all)
}

/// Draws the history of a seed and compares both implementations; what differs, if anything does, with the seed.
///
/// A store without faults is also never to be called wrong. Every other seed draws one that has faults.
///
/// # Errors
///
/// What the two say.
pub fn compare(name: &str, seed: u64, ops: usize) -> Result<Verdict, String> {
    let faulty = seed % 2 == 1;
    let (Some(log), Some(entry)) = (draw(name, seed, ops, faulty), super::model(name)) else {
        return Err(format!("no history can be drawn for {name}"));
    };
    let options = Options { linearizable: seed.is_multiple_of(3), ..Options::default() };
    let report = (entry.check)(&log, &options);
    let keyed = report.numbers.contains_key("failure-count");
    let Some(mut counts) = check(name, &log, &options, keyed) else {
        return Err(format!("{name} has no second implementation"));
    };
    let found = said(name, &report);
    let unknown = counts.remove("unknown").is_some();
    let wrong = |what: &str| {
        Err(format!(
            "{name}, seed {seed}, {ops} operations: {what}: {found:?} ({:?}), by definition {counts:?}",
            report.verdict
        ))
    };
    match &report.verdict {
        _ if found != counts => wrong("the two differ"),
        Verdict::Violated if !faulty => wrong("a store without faults is called wrong"),
        Verdict::Unknown { .. } if !unknown => wrong("only one knows"),
        Verdict::Holds if unknown && report.evidence.opportunities > 0 && !keyed => wrong("only one knows"),
        verdict => Ok(verdict.clone()),
    }
}

fn said(name: &str, report: &Report) -> Counts {
    let all =
        report.problems.iter().map(|it| (it.kind, if name == "long-fork" && it.kind == "fork" { 1 } else { it.count }));
    all.collect()
}
