//! Long fork: two reads that saw two writes in opposite orders.
//!
//! Jepsen's `tests.long-fork`, an anomaly that parallel snapshot isolation allows and snapshot isolation forbids. Each key is
//! written once; reads ask for a whole group of keys. If one read shows `x` without `y` and another `y` without `x`, no order of
//! the writes explains both. Keys that are written more than once leave the answer unknown, since a value may then come back.
//!
//! What reads of a group saw are sets of keys, which must form a chain: sorted by size, each holds the one before. One comparison of
//! neighbours for each distinct set, so linear in the history but for the sorting; where the chain breaks, one pair is reported for
//! each break.

use smallvec::SmallVec;

use super::elements::Elements;
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
    !rows.is_empty() && rows.iter().all(legal) && rows.iter().any(many) && written(&rows).twice.is_none()
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

/// The first row that may have written a key, and those that failed.
struct Written<'a> {
    keys: Elements<'a>,
    by: Vec<Option<(&'a Value, u64)>>,
    failed: Vec<(u32, &'a Value, u64)>,
    /// A key that is written twice, with both operations.
    twice: Option<(&'a Value, u64, u64)>,
}

fn written<'a>(rows: &[Row<'a>]) -> Written<'a> {
    let writes = || {
        rows.iter().filter_map(|row| {
            let steps = row.given().items().filter(|_| kind(row.given()) == Some(Kind::Write))?;
            let (_, key, value) = step(steps.first()?)?;
            Some((row, key, value))
        })
    };
    let keys = Elements::expecting(writes().map(|(_, key, _)| key));
    let mut all = Written { keys, by: Vec::new(), failed: Vec::new(), twice: None };
    for (row, key, value) in writes() {
        let id = all.keys.id(key);
        if id as usize == all.by.len() {
            all.by.push(None);
        }
        match &mut all.by[id as usize] {
            _ if row.failed() => all.failed.push((id, value, row.index())),
            Some((_, first)) => all.twice = all.twice.or(Some((key, *first, row.index()))),
            by => *by = Some((value, row.index())),
        }
    }
    all
}

/// What a read showed: the keys that it asked for and those that were there.
struct Shown {
    index: u64,
    asked: SmallVec<[u32; 4]>,
    present: SmallVec<[u32; 4]>,
    group: u32,
}

fn shown<'a>(row: &Row<'a>, keys: &mut Elements<'a>) -> Shown {
    let mut shown = Shown { index: row.index(), asked: SmallVec::new(), present: SmallVec::new(), group: 0 };
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
    let mut written = written(rows);
    if let Some((key, one, other)) = written.twice {
        draft.number("error", vec!["multiple-writes".to_string(), key.to_string()]);
        draft.unknown(format!("key {key} is written more than once (operations {one} and {other})"));
        return draft;
    }
    strange_values(&mut draft, &written, &reads);
    let mut all: Vec<Shown> = reads.iter().map(|row| shown(row, &mut written.keys)).collect();
    let size = if options.group_size > 0 { options.group_size } else { all.first().map_or(0, |it| it.asked.len()) };
    if let Some(odd) = all.iter().find(|it| it.asked.len() != size) {
        let asked = odd.asked.len();
        draft.unknown(format!("every read should ask for {size} keys, and operation {} asks for {asked}", odd.index));
        return draft;
    }
    let mut groups: FastMap<SmallVec<[u32; 4]>, u32> = FastMap::default();
    for it in &mut all {
        let new = groups.len() as u32;
        it.group = *groups.entry(it.asked.clone()).or_insert(new);
    }
    // Groups are read about when their keys are written, so that this is nearly sorted.
    all.sort_by(|a, b| (a.group, a.present.len(), &a.present).cmp(&(b.group, b.present.len(), &b.present)));
    let mut forks = 0;
    for group in all.chunk_by(|a, b| a.group == b.group) {
        if group.iter().any(|it| !it.present.is_empty()) {
            draft.evidence.opportunities += (size as u64).saturating_mul(size.saturating_sub(1) as u64) / 2;
        }
        for pair in group.windows(2) {
            if let Some((x, y)) = apart(&pair[0].present, &pair[1].present) {
                forks += 1;
                fork(&mut draft, [&pair[0], &pair[1]], [x, y].map(|key| written.keys.values[key as usize]));
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
fn strange_values(draft: &mut Draft, written: &Written<'_>, reads: &[&Row<'_>]) {
    if written.by.is_empty() {
        draft.notes.push("no write is recorded, so what was read was not compared with what was written".into());
        return;
    }
    let mut failed: FastMap<u32, Vec<(&Value, u64)>> = FastMap::default();
    for (key, value, index) in &written.failed {
        failed.entry(*key).or_default().push((value, *index));
    }
    for row in reads {
        for (_, key, value) in row.value.items().unwrap_or_default().iter().filter_map(step) {
            let id = written.keys.find(key);
            let by = written.by.get(id as usize).copied().flatten();
            if value.is_nil() || by.is_some_and(|(it, _)| it == value) {
                continue;
            }
            let read = row.index();
            let tried = failed.get(&id).and_then(|all| all.iter().find(|(it, _)| *it == value));
            let Some(&(_, write)) = tried else {
                draft.problem("unexpected", 1, || {
                    (format!("Key {key} was read as {value} (operation {read}), which nobody ever wrote."), vec![read])
                });
                continue;
            };
            draft.problem("revived", 2, || {
                let text =
                    format!("Key {key} was read as {value} (operation {read}) although that write had failed (operation {write}).");
                (text, vec![write.min(read), write.max(read)])
            });
        }
    }
}
