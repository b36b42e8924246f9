//! Rows that transactions insert with rising values and the database's time, and read back in the order of time.
//!
//! Jepsen's `cockroach/monotonic`: each insert takes the greatest value and adds one; the final read sorts by timestamp. Values and
//! timestamps then rise together, nothing acknowledged is missing (`lost`), nothing stands twice (`duplicates`), nothing that failed is
//! there (`revived`), and no value is left out (`skipped`) beyond what inserts that failed or whose outcome is unknown explain.
//!
//! Rows are maps with `val` and `sts` (further entries are ignored), or plain integers, which have no time. Timestamps may be integers or
//! decimal texts of any length.
//!
//! Cost: one pass over the rows and a look-up for each.

use std::cmp::Ordering;

use serde_json::{Value as Json, json};

use super::elements::{Elements, NONE, intervals};
use super::keyed::{Row, whole};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    whole(log, options, monotonic)
}

/// Additions, and reads of lists of rows.
pub(super) fn recognises(log: &Log) -> bool {
    let reads = || log.calls.iter().map(Row::of).filter(|row| row.is("read") && row.ok());
    log.calls.iter().all(|call| matches!(&*call.f, "add" | "read"))
        && reads().any(|row| row.value.items().is_some_and(|items| !items.is_empty()))
        && reads().all(|row| row.value.items().is_some_and(|items| items.iter().all(|it| it.get("val").is_some())))
}

fn value(row: &Value) -> &Value {
    row.get("val").unwrap_or(row)
}

/// Whole digits and fraction of a number that may be longer than any integer.
fn digits(value: &Value) -> Option<(bool, String, String)> {
    let text = match value {
        Value::Int(it) => it.to_string(),
        Value::Float(it) if it.is_finite() => format!("{it}"),
        Value::Text(it) => it.trim().trim_end_matches('N').to_string(),
        _ => return None,
    };
    let (negative, text) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all = whole.chars().chain(fraction.chars()).all(|it| it.is_ascii_digit());
    (all && !whole.is_empty())
        .then(|| (negative, whole.trim_start_matches('0').to_string(), fraction.trim_end_matches('0').to_string()))
}

/// The order of two numbers; nothing where one is none.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return Some(a.cmp(b));
    }
    let ((minus_a, whole_a, part_a), (minus_b, whole_b, part_b)) = (digits(a)?, digits(b)?);
    let size = (whole_a.len(), &whole_a, &part_a).cmp(&(whole_b.len(), &whole_b, &part_b));
    let nothing = |whole: &String, part: &String| whole.is_empty() && part.is_empty();
    Some(match (minus_a && !nothing(&whole_a, &part_a), minus_b && !nothing(&whole_b, &part_b)) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
    })
}

/// What additions said of values: those acknowledged, failed and unknown, with the operation of each.
#[derive(Default)]
struct Said<'a> {
    acknowledged: Vec<(&'a Value, u64, u32)>,
    failed: Vec<(&'a Value, u64)>,
    unsure: Vec<&'a Value>,
}

fn said<'a>(rows: &[Row<'a>]) -> Said<'a> {
    let mut said = Said::default();
    for row in rows.iter().filter(|row| row.is("add")) {
        let it = value(row.value);
        if row.ok() {
            said.acknowledged.push((it, row.index(), row.call.end));
        } else if row.failed() {
            said.failed.push((it, row.index()));
        } else {
            said.unsure.push(it);
        }
    }
    said
}

fn monotonic(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("rows of the final read");
    let read = rows.iter().filter(|row| row.is("read") && row.ok()).max_by_key(|row| row.call.end);
    let Some((read, items)) = read.and_then(|row| Some((row, row.value.items()?))) else {
        draft.unknown("the rows were never read");
        return draft;
    };
    draft.evidence.opportunities = items.len() as u64;
    let at = read.index();
    let said = said(rows);
    order(&mut draft, items, at);
    presence(&mut draft, items, &said, read);
    skipped(&mut draft, items, &said, at);
    draft
}

/// Successive rows whose values or times do not rise.
fn order(draft: &mut Draft, items: &[Value], read: u64) {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for pair in items.windows(2) {
        let [a, b] = [&pair[0], &pair[1]];
        match compare(value(a), value(b)) {
            Some(Ordering::Less) => {}
            // What stands twice is counted as such.
            Some(Ordering::Equal) => {}
            Some(Ordering::Greater) => {
                values.push(json!([a.to_string(), b.to_string()]));
                draft.problem("value-reorders", 1, || {
                    let text = format!(
                        "Value {} stands before {} in the read of operation {read}, which is in the order of the database's time: the later \
                         insert had seen the earlier one, and yet got an earlier time.",
                        value(a),
                        value(b)
                    );
                    (text, vec![read])
                });
            }
            None => draft.unknown(format!("rows {a} and {b} of operation {read} cannot be compared")),
        }
        let (Some(one), Some(other)) = (a.get("sts"), b.get("sts")) else { continue };
        match compare(one, other) {
            Some(Ordering::Greater) => {
                times.push(json!([a.to_string(), b.to_string()]));
                draft.problem("order-by-errors", 1, || {
                    let text = format!(
                        "The read of operation {read} was to be in the order of time, but {one} stands before {other}."
                    );
                    (text, vec![read])
                });
            }
            Some(_) => {}
            None => draft.unknown(format!("times {one} and {other} of operation {read} cannot be compared")),
        }
    }
    for (name, pairs) in [("order-by-errors", times), ("value-reorders", values)] {
        draft.number(&format!("{name}-count"), pairs.len());
        draft.number(name, pairs.into_iter().take(64).collect::<Vec<_>>());
    }
}

fn fraction(part: usize, of: usize) -> Json {
    if of == 0 { json!(1) } else { json!(part as f64 / of as f64) }
}

fn presence(draft: &mut Draft, items: &[Value], said: &Said<'_>, read: &Row<'_>) {
    let mut elements = Elements::expecting(items.iter().map(value));
    let mut times: Vec<u32> = Vec::new();
    for item in items {
        let id = elements.id(value(item)) as usize;
        times.resize(times.len().max(id + 1), 0);
        times[id] += 1;
    }
    let at = read.index();
    let there = |value: &Value| elements.find(value) != NONE;
    let early = || said.acknowledged.iter().filter(|(_, _, end)| *end < read.call.start);
    let lost: Vec<_> = early().filter(|(value, ..)| !there(value)).collect();
    if let Some((value, add, _)) = lost.first() {
        let text =
            format!("Value {value} was acknowledged (operation {add}) and is not in the last read (operation {at}).");
        draft.problems_of("lost", lost.len() as u64, 2, || (text, vec![*add, at]));
    }
    let mut known = Elements::default();
    said.acknowledged.iter().map(|(value, ..)| value).chain(&said.unsure).for_each(|value| {
        known.id(value);
    });
    let back: Vec<_> =
        said.failed.iter().filter(|(value, _)| !value.is_nil() && there(value) && known.find(value) == NONE).collect();
    if let Some((value, add)) = back.first() {
        let text =
            format!("Value {value} was read (operation {at}) although its addition had failed (operation {add}).");
        draft.problems_of("revived", back.len() as u64, 2, || (text, vec![*add, at]));
    }
    let doubled: Vec<&Value> =
        elements.values.iter().zip(&times).filter(|(_, times)| **times > 1).map(|(value, _)| *value).collect();
    if let Some(value) = doubled.first() {
        let text = format!("Value {value} stands in the read of operation {at} more than once.");
        draft.problems_of("duplicates", doubled.len() as u64, 1, || (text, vec![at]));
    }
    let recovered: Vec<&Value> = said.unsure.iter().copied().filter(|value| !value.is_nil() && there(value)).collect();
    draft.number("lost-frac", fraction(lost.len(), said.acknowledged.len()));
    draft.number("revived-frac", fraction(back.len(), said.failed.len()));
    draft.number("recovered-frac", fraction(recovered.len(), said.unsure.len()));
    let (lost, back) = (lost.iter().map(|it| it.0).collect(), back.iter().map(|it| it.0).collect());
    for (name, these) in [("lost", lost), ("revived", back), ("recovered", recovered), ("duplicates", doubled)] {
        draft.number(&format!("{name}-count"), these.len());
        draft.number(name, intervals::<'_>(these.into_iter().collect::<Vec<&Value>>()));
    }
}

/// Values between the least and the greatest that are not there, more than inserts without effect could have drawn.
fn skipped(draft: &mut Draft, items: &[Value], said: &Said<'_>, read: u64) {
    let mut values: Vec<i64> = items.iter().filter_map(|item| value(item).int()).collect();
    values.sort_unstable();
    values.dedup();
    let gap = |pair: &[i64]| pair[1].abs_diff(pair[0]) - 1;
    let left_out = values.windows(2).map(gap).fold(0_u64, u64::saturating_add);
    draft.number("skipped-count", left_out);
    let explained = (said.failed.len() + said.unsure.len()) as u64;
    let Some(pair) = values.windows(2).find(|pair| gap(pair) > 0) else { return };
    if left_out > explained {
        let text = format!(
            "The read of operation {read} goes from {} to {} and leaves out {left_out} values in all, but only {explained} inserts failed or \
             are of unknown outcome.",
            pair[0], pair[1]
        );
        draft.problems_of("skipped", left_out, 1, || (text, vec![read]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_longer_than_any_integer_are_compared() {
        let text = |it: &str| Value::Text(it.into());
        for (a, b) in
            [("9", "10"), ("1467233486846000000000000000000.1", "1467233486846000000000000000000.12"), ("-2", "-1")]
        {
            assert_eq!(compare(&text(a), &text(b)), Some(Ordering::Less), "{a} {b}");
            assert_eq!(compare(&text(b), &text(a)), Some(Ordering::Greater), "{b} {a}");
        }
        assert_eq!(compare(&text("007.0"), &Value::Int(7)), Some(Ordering::Equal));
        assert_eq!(compare(&text("-0"), &text("0")), Some(Ordering::Equal));
        assert_eq!(compare(&text("x"), &text("0")), None);
    }
}
