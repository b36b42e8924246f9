//! Long fork: two reads that saw two writes in opposite orders.
//!
//! Jepsen's `tests.long-fork`, an anomaly that parallel snapshot isolation allows and snapshot isolation forbids. Each key is written once;
//! reads ask for a whole group of keys. If one read shows `x` without `y` and another `y` without `x`, no order of the writes explains both.
//! Keys that are written more than once leave the answer unknown, since a value may then come back.
//!
//! What reads of a group saw are sets of keys, which must form a chain: sorted by size, each holds the one before. One comparison of
//! neighbours for each distinct set, so linear in the history but for the sorting; where the chain breaks, one pair is reported for
//! each break.

use super::elements::{Elements, NONE};
use super::keyed::{Row, whole};
use super::report::{Draft, Options, Report};
use crate::intern::FastMap;
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    whole(log, options, long_fork)
}

/// Transactions that write one key or only read, of which none reads back what it wrote, and no key is written twice.
pub(super) fn recognises(log: &Log) -> bool {
    let rows: Vec<Row<'_>> = log.calls.iter().map(Row::of).collect();
    let legal = |row: &Row<'_>| matches!(kind(row.given()), Some(Kind::Read | Kind::Write));
    let many = |row: &Row<'_>| kind(row.value) == Some(Kind::Read) && row.value.items().is_some_and(|it| it.len() > 1);
    !rows.is_empty() && rows.iter().all(legal) && rows.iter().any(many) && twice(&rows).is_none()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Read,
    Write,
}

/// The function, key and value of a step `[f k v]`.
fn step(value: &Value) -> Option<(&str, &Value, &Value)> {
    if let Value::List(parts) = value
        && let [f, key, value] = parts.as_slice()
    {
        return Some((f.text()?, key, value));
    }
    None
}

fn kind(value: &Value) -> Option<Kind> {
    let steps = value.items()?;
    let mut fs = steps.iter().map(|it| step(it).map(|(f, ..)| f));
    match steps.len() {
        0 => None,
        1 if matches!(step(&steps[0]), Some(("w" | "write", ..))) => Some(Kind::Write),
        _ => fs.all(|f| matches!(f, Some("r" | "read"))).then_some(Kind::Read),
    }
}

/// The writes of a history: positions, in the order of the rows.
fn writes<'r, 'a>(rows: &'r [Row<'a>]) -> impl Iterator<Item = (&'r Row<'a>, &'a Value, &'a Value)> {
    rows.iter().filter(|row| kind(row.given()) == Some(Kind::Write)).filter_map(|row| {
        let (_, key, value) = step(row.given().items()?.first()?)?;
        Some((row, key, value))
    })
}

/// A key that is written twice, with both operations; what failed does not count.
fn twice<'a>(rows: &[Row<'a>]) -> Option<(&'a Value, u64, u64)> {
    let mut keys = Elements::default();
    let mut first = Vec::new();
    for (row, key, _) in writes(rows).filter(|(row, ..)| !row.failed()) {
        let id = keys.id(key) as usize;
        match first.get(id) {
            Some(&other) => return Some((key, other, row.index())),
            None => first.push(row.index()),
        }
    }
    None
}

/// What a read showed: the keys that it asked for and those that were there.
struct Shown {
    index: u64,
    asked: Vec<u32>,
    present: Vec<u32>,
}

fn shown<'a>(row: &Row<'a>, keys: &mut Elements<'a>) -> Shown {
    let mut shown = Shown { index: row.index(), asked: Vec::new(), present: Vec::new() };
    for (_, key, value) in row.value.items().unwrap_or_default().iter().filter_map(step) {
        let id = keys.id(key);
        shown.asked.push(id);
        if !value.is_nil() {
            shown.present.push(id);
        }
    }
    for ids in [&mut shown.asked, &mut shown.present] {
        ids.sort_unstable();
        ids.dedup();
    }
    shown
}

fn long_fork(rows: &[Row<'_>], options: &Options) -> Draft {
    let mut draft = Draft::of("pairs of writes that two reads could have ordered");
    let reads: Vec<&Row<'_>> = rows.iter().filter(|row| row.ok() && kind(row.value) == Some(Kind::Read)).collect();
    draft.number("reads-count", reads.len());
    if let Some((key, one, other)) = twice(rows) {
        draft.number("error", vec!["multiple-writes".to_string(), key.to_string()]);
        draft.unknown(format!("key {key} is written more than once (operations {one} and {other})"));
        return draft;
    }
    let mut keys = Elements::default();
    let all: Vec<Shown> = reads.iter().map(|row| shown(row, &mut keys)).collect();
    let size = if options.group_size > 0 { options.group_size } else { all.first().map_or(0, |it| it.asked.len()) };
    if let Some(odd) = all.iter().find(|it| it.asked.len() != size) {
        let asked = odd.asked.len();
        draft.unknown(format!("every read should ask for {size} keys, and operation {} asks for {asked}", odd.index));
        return draft;
    }
    strange_values(&mut draft, rows, &reads);
    let mut groups: FastMap<&[u32], Vec<&Shown>> = FastMap::default();
    for it in &all {
        groups.entry(&it.asked).or_default().push(it);
    }
    let mut forks = 0;
    for (asked, mut group) in groups {
        group.sort_by(|a, b| (a.present.len(), &a.present, a.index).cmp(&(b.present.len(), &b.present, b.index)));
        group.dedup_by(|later, earlier| later.present == earlier.present);
        if group.iter().any(|it| !it.present.is_empty()) {
            draft.evidence.opportunities += asked.len() as u64 * (asked.len() as u64).saturating_sub(1) / 2;
        }
        for pair in group.windows(2) {
            if let Some((only_a, only_b)) = apart(&pair[0].present, &pair[1].present) {
                forks += 1;
                fork(&mut draft, [pair[0], pair[1]], [keys.values[only_a as usize], keys.values[only_b as usize]]);
            }
        }
    }
    draft.number("forks-count", forks);
    draft
}

/// A key that only `a` holds and one that only `b` does; both are sorted.
fn apart(a: &[u32], b: &[u32]) -> Option<(u32, u32)> {
    let only_a = a.iter().find(|key| b.binary_search(key).is_err())?;
    let only_b = b.iter().find(|key| a.binary_search(key).is_err())?;
    Some((*only_a, *only_b))
}

fn fork(draft: &mut Draft, reads: [&Shown; 2], keys: [&Value; 2]) {
    let [one, other] = reads.map(|read| read.index);
    let ([x, y], ops) = (keys, vec![one.min(other), one.max(other)]);
    draft.problem("fork", 2, || {
        let text = format!(
            "Two reads saw two writes in opposite orders: operation {one} saw key {x} written and not key {y}, operation {other} saw key {y} \
             written and not key {x}."
        );
        (text, ops)
    });
}

/// Values that nobody wrote, or whose write failed; a history without writes is an excerpt.
fn strange_values(draft: &mut Draft, rows: &[Row<'_>], reads: &[&Row<'_>]) {
    let mut keys = Elements::default();
    let mut written: Vec<Vec<(&Value, Option<u64>)>> = Vec::new();
    for (row, key, value) in writes(rows) {
        let id = keys.id(key) as usize;
        written.resize_with(written.len().max(id + 1), Vec::new);
        written[id].push((value, row.failed().then(|| row.index())));
    }
    if written.is_empty() {
        draft.notes.push("no write is recorded, so what was read was not compared with what was written".into());
        return;
    }
    for row in reads {
        for (_, key, value) in row.value.items().unwrap_or_default().iter().filter_map(step) {
            if value.is_nil() {
                continue;
            }
            let id = keys.find(key);
            let tried = if id == NONE { &[] } else { written[id as usize].as_slice() };
            let same = || tried.iter().filter(|(it, _)| *it == value);
            let read = row.index();
            match same().next() {
                None => draft.problem("unexpected", 1, || {
                    (format!("Key {key} was read as {value} (operation {read}), which nobody ever wrote."), vec![read])
                }),
                Some(&(_, Some(write))) if same().all(|(_, failed)| failed.is_some()) => {
                    draft.problem("revived", 2, || {
                        let text = format!(
                            "Key {key} was read as {value} (operation {read}) although that write had failed (operation {write})."
                        );
                        (text, vec![write.min(read), write.max(read)])
                    });
                }
                Some(_) => {}
            }
        }
    }
}
