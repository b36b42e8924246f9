//! Sets: what was added is read at the end (`set`), or all along (`set-full`).
//!
//! Jepsen's `checker/set` and `checker/set-full`. For each element, `set-full` asks when it was known to be there (its addition was
//! acknowledged, or it was read, whichever came first) and whether reads that began later saw it: always from some time on (*stable*, and
//! *stale* if one missed it before), not in the latest (*lost*), or there was no such read (*never-read*). What a read shows that
//! began before the addition did is not counted.
//!
//! Cost: one step for each element of each read, whatever the reads leave out. Reads are taken from the latest to the earliest, so that an
//! element's latest absence follows from how many reads in a row hold it, and nobody has to list what is absent.

use serde_json::{Map, Value as Json, json};

use super::additions::{Addition, additions};
use super::elements::{Elements, NONE, intervals, json as as_json, listed};
use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::intern::FastMap;
use crate::log::Log;
use crate::value::Value;

/// Functions whose results are collections, also under a key.
const COLLECTIONS: &[&str] = &["read"];

pub(super) fn check_set(log: &Log, options: &Options) -> Report {
    judge(log, options, COLLECTIONS, set)
}

pub(super) fn check_full(log: &Log, options: &Options) -> Report {
    judge(log, options, COLLECTIONS, full)
}

/// Additions, and reads of lists or sets.
pub(super) fn recognises_full(log: &Log) -> bool {
    let rows = sample(log, COLLECTIONS);
    let reads = || rows.iter().filter(|row| row.is("read") && row.ok());
    rows.iter().all(|row| row.is("add") || row.is("read"))
        && rows.iter().any(|row| row.is("add"))
        && reads().next().is_some()
        && reads().all(|row| row.value.items().is_some_and(|items| !items.iter().any(is_row)))
}

/// The same, where nothing is added once the first read began: all reads are final.
pub(super) fn recognises_set(log: &Log) -> bool {
    let first = log.calls.iter().filter(|call| &*call.f == "read").map(|call| call.start).min();
    let last = log.calls.iter().filter(|call| &*call.f == "add").map(|call| call.start).max();
    recognises_full(log) && last < first
}

/// A database row with a value and a time, which is for `monotonic`.
fn is_row(value: &Value) -> bool {
    value.get("val").is_some()
}

/// Reads that completed and show what they saw, in the order of `key`.
fn reads<'a, K: Ord>(rows: &[Row<'a>], key: impl Fn(&Row<'a>) -> K) -> Vec<(Row<'a>, &'a [Value])> {
    let shown = rows.iter().filter(|row| row.is("read") && row.ok());
    let mut all: Vec<_> = shown.filter_map(|row| Some((*row, row.value.items()?))).collect();
    all.sort_by_key(|(row, _)| key(row));
    all
}

fn revived(draft: &mut Draft, element: &Value, add: u64, read: u64) {
    draft.problem("revived", 2, || {
        let text = format!(
            "Element {element} was read (operation {read}) although its addition had failed (operation {add}): the failure was \
             reported of something that took place."
        );
        (text, vec![add, read])
    });
}

fn premature(draft: &mut Draft, element: &Value, read: u64, add: u64) {
    draft.problem("premature", 2, || {
        let text =
            format!("Element {element} was read (operation {read}) before anybody began to add it (operation {add}).");
        (text, vec![read, add])
    });
}

fn unexpected(draft: &mut Draft, element: &Value, read: u64) {
    draft.problem("unexpected", 1, || {
        (format!("Element {element} was read (operation {read}) and nobody ever added it."), vec![read])
    });
}

fn lost(draft: &mut Draft, element: &Value, add: u64, read: u64) {
    draft.problem("lost", 2, || {
        let text = format!(
            "Element {element} is lost: its addition was acknowledged (operation {add}), and the last read (operation {read}), which \
             began later, does not hold it."
        );
        (text, vec![add, read])
    });
}

/// The elements by what became of them.
#[derive(Default)]
struct Found<'a> {
    ok: Vec<&'a Value>,
    lost: Vec<&'a Value>,
    recovered: Vec<&'a Value>,
    revived: Vec<&'a Value>,
    unexpected: Vec<&'a Value>,
    /// How many were acknowledged too late for the read.
    late: u64,
}

fn set(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("acknowledged additions");
    let (mut elements, adds) = additions(rows, "add");
    draft.number("attempt-count", adds.len());
    draft.number("acknowledged-count", adds.iter().filter(|add| add.acknowledged > 0).count());
    let Some((read, items)) = reads(rows, |row| row.call.end).pop() else {
        draft.unknown("the set was never read");
        return draft;
    };
    let mut found = Found::default();
    let mut present = vec![false; adds.len()];
    for item in items {
        let new = elements.len();
        let id = elements.id(item) as usize;
        if let Some(present) = present.get_mut(id) {
            *present = true;
        } else if id == new {
            found.unexpected.push(item);
            unexpected(&mut draft, item, read.index());
        }
    }
    for (id, add) in adds.iter().enumerate() {
        compare(&mut draft, &mut found, rows, &read, (elements.values[id], add, present[id]));
    }
    if found.late > 0 {
        let note = "additions were acknowledged after the last read had begun, which may miss them";
        draft.notes.push(format!("{} {note}", found.late));
    }
    for (name, these) in [
        ("ok", found.ok),
        ("lost", found.lost),
        ("recovered", found.recovered),
        ("revived", found.revived),
        ("unexpected", found.unexpected),
    ] {
        draft.number(&format!("{name}-count"), these.len());
        draft.number(name, intervals(these));
    }
    draft
}

/// Compares an element's additions with whether the last read holds it.
fn compare<'a>(
    draft: &mut Draft,
    found: &mut Found<'a>,
    rows: &[Row<'a>],
    read: &Row<'a>,
    (element, add, present): (&'a Value, &Addition, bool),
) {
    let first = rows[add.first as usize].call;
    if present {
        found.ok.push(element);
    }
    if present && add.possible > 0 && read.call.end < first.start {
        premature(draft, element, read.index(), first.index);
    }
    match rows.get(add.known as usize).map(|row| row.call) {
        Some(known) if known.end < read.call.start => {
            draft.evidence.opportunities += 1;
            if !present {
                found.lost.push(element);
                lost(draft, element, known.index, read.index());
            }
        }
        Some(_) => found.late += 1,
        None if present && add.possible == 0 => {
            found.revived.push(element);
            revived(draft, element, first.index, read.index());
        }
        None if present => found.recovered.push(element),
        None => {}
    }
}

/// What reads showed of an element, seen from the latest read; half a cache line.
#[derive(Clone, Copy)]
struct Seen {
    /// When its addition began.
    begun: u32,
    /// How many of the latest reads in a row hold it.
    run: u32,
    /// The position of the latest read that holds it.
    latest: u32,
    /// The position of the read that held it and completed first, and when that was.
    earliest: u32,
    until: u32,
    /// The last read in which it was counted, and how often there.
    stamp: u32,
    times: u32,
    /// The most often that a read held it.
    most: u32,
}

const UNSEEN: Seen =
    Seen { begun: 0, run: 0, latest: NONE, earliest: NONE, until: u32::MAX, stamp: NONE, times: 0, most: 0 };

/// What became of an element.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Stable { stale: bool },
    Lost,
    NeverRead,
}

type Reads<'a> = [(Row<'a>, &'a [Value])];

/// Counts each element of each read, the latest first; what nobody added comes last. Also, by element, the position of a read that
/// held it and was over before its addition began.
fn look<'a>(
    rows: &[Row<'a>],
    reads: &Reads<'a>,
    elements: &mut Elements<'a>,
    adds: &[Addition],
) -> (Vec<Seen>, FastMap<u32, u32>) {
    let begun = |add: &Addition| rows[add.first as usize].call.start;
    let mut seen: Vec<Seen> = adds.iter().map(|add| Seen { begun: begun(add), ..UNSEEN }).collect();
    let mut early = FastMap::default();
    for (at, (row, items)) in reads.iter().enumerate() {
        let (at, end) = (at as u32, row.call.end);
        for item in *items {
            let id = elements.id(item) as usize;
            if id == seen.len() {
                seen.push(UNSEEN);
            }
            let it = &mut seen[id];
            if it.stamp == at {
                it.times += 1;
                it.most = it.most.max(it.times);
                continue;
            }
            (it.stamp, it.times, it.most) = (at, 1, it.most.max(1));
            it.run += u32::from(it.run == at);
            if end < it.begun {
                early.insert(id as u32, at);
                continue;
            }
            it.latest = it.latest.min(at);
            if end < it.until {
                (it.earliest, it.until) = (at, end);
            }
        }
    }
    (seen, early)
}

/// An element with its history.
struct Story<'a, 'r> {
    element: &'a Value,
    fate: Fate,
    /// The operation that made it known: index, rank and time of its completion.
    known: Option<(u64, u32, u64)>,
    /// The latest read that missed it although it began after the addition did.
    absent: Option<&'r Row<'a>>,
    present: Option<&'r Row<'a>>,
}

impl Story<'_, '_> {
    /// Milliseconds from when it was known to the last that contradicts its fate.
    fn latency(&self) -> u64 {
        let until = match self.fate {
            Fate::Stable { .. } => self.absent,
            Fate::Lost => self.present,
            Fate::NeverRead => None,
        };
        match (until, self.known) {
            (Some(read), Some((_, _, time))) => (read.call.invoked.saturating_add(1)).saturating_sub(time) / 1_000_000,
            _ => 0,
        }
    }
}

fn story<'a, 'r>(
    rows: &[Row<'a>],
    reads: &'r Reads<'a>,
    element: &'a Value,
    add: &Addition,
    seen: &Seen,
) -> Story<'a, 'r> {
    let read = |at: u32| reads.get(at as usize).map(|(row, _)| row);
    let completed = |row: &Row<'_>| (row.index(), row.call.end, row.call.completed);
    let added = rows.get(add.known as usize).map(completed);
    let shown = read(seen.earliest).map(completed);
    let known = match (added, shown) {
        (Some(added), Some(shown)) => Some(if added.1 <= shown.1 { added } else { shown }),
        (one, other) => one.or(other),
    };
    let absent = read(seen.run).filter(|row| row.call.start > seen.begun);
    let present = read(seen.latest);
    let missed = absent.filter(|row| known.is_some_and(|known| row.call.start > known.1));
    let fate = match (present, absent) {
        (Some(_), None) => Fate::Stable { stale: false },
        (Some(present), Some(absent)) if present.call.start > absent.call.start => {
            Fate::Stable { stale: missed.is_some() }
        }
        _ if missed.is_some() => Fate::Lost,
        _ => Fate::NeverRead,
    };
    Story { element, fate, known, absent, present }
}

fn full(rows: &[Row<'_>], options: &Options) -> Draft {
    let mut draft = Draft::of("elements that were read after they were known");
    let (mut elements, adds) = additions(rows, "add");
    let reads = reads(rows, |row| std::cmp::Reverse(row.call.start));
    let (seen, early) = look(rows, &reads, &mut elements, &adds);
    let holding = |id: usize| reads.iter().find(|(_, items)| items.iter().any(|item| elements.find(item) == id as u32));
    let index = |id: usize| holding(id).map_or(0, |(row, _)| row.index());

    let mut stories = Vec::with_capacity(adds.len());
    let mut back = Vec::new();
    for (id, add) in adds.iter().enumerate() {
        if add.possible == 0 && seen[id].most > 0 {
            let (first, read) = (rows[add.first as usize].index(), if back.is_empty() { index(id) } else { 0 });
            revived(&mut draft, elements.values[id], first, read);
            back.push(elements.values[id]);
        }
        if let Some((read, _)) = early.get(&(id as u32)).filter(|_| add.possible > 0).map(|&at| reads[at as usize]) {
            premature(&mut draft, elements.values[id], read.index(), rows[add.first as usize].index());
        }
        stories.push(story(rows, &reads, elements.values[id], add, &seen[id]));
    }
    for id in adds.len()..elements.len() {
        let read = if id == adds.len() { index(id) } else { 0 };
        unexpected(&mut draft, elements.values[id], read);
    }
    let doubled = duplicated(&mut draft, &reads, &elements, &seen);
    judge_stories(&mut draft, &stories, options);
    if draft.evidence.opportunities == 0 {
        let never = "no read began after an element was known to be there";
        draft.unknown(if reads.is_empty() { "the set was never read" } else { never });
    }
    let strangers = &elements.values[adds.len()..];
    draft.number("attempt-count", adds.len());
    draft.number("revived-count", back.len());
    draft.number("revived", listed(back));
    draft.number("unexpected-count", strangers.len());
    draft.number("unexpected", listed(strangers.iter().copied()));
    draft.number("duplicated-count", doubled.len());
    let most = |&id: &usize| (elements.values[id].to_string(), seen[id].most.into());
    draft.number("duplicated", doubled.iter().take(64).map(most).collect::<Map<String, Json>>());
    draft
}

/// The elements that stand more than once in some read.
fn duplicated(draft: &mut Draft, reads: &Reads<'_>, elements: &Elements<'_>, seen: &[Seen]) -> Vec<usize> {
    let doubled: Vec<usize> = (0..elements.len()).filter(|&id| seen[id].most > 1).collect();
    if let Some(&id) = doubled.first() {
        let times = |items: &[Value]| items.iter().filter(|item| elements.find(item) == id as u32).count();
        let read = reads.iter().find(|(_, items)| times(items) > 1).map_or(0, |(row, _)| row.index());
        let text = format!("Element {} stands more than once in one read (operation {read}).", elements.values[id]);
        draft.problems_of("duplicated", doubled.len() as u64, 1, || (text, vec![read]));
    }
    doubled
}

fn judge_stories(draft: &mut Draft, stories: &[Story<'_, '_>], options: &Options) {
    let of = |wanted: fn(Fate) -> bool| stories.iter().filter(move |story| wanted(story.fate));
    let stable = || of(|fate| matches!(fate, Fate::Stable { .. }));
    let stale = || of(|fate| fate == Fate::Stable { stale: true });
    let gone = || of(|fate| fate == Fate::Lost);
    let never = || of(|fate| fate == Fate::NeverRead);
    draft.evidence.opportunities = (stable().count() + gone().count()) as u64;
    for story in gone() {
        let (Some((known, ..)), Some(absent)) = (story.known, story.absent) else { continue };
        lost_from(draft, story, known, absent.index());
    }
    if options.linearizable {
        for story in stale() {
            let (Some((known, ..)), Some(absent)) = (story.known, story.absent) else { continue };
            draft.problem("stale", 2, || {
                let text = format!(
                    "Element {} was known to be there (operation {known}), and the read of operation {}, which began later, \
                     does not hold it; later reads do.",
                    story.element,
                    absent.index()
                );
                (text, vec![known, absent.index()])
            });
        }
    } else if stale().next().is_some() {
        draft.notes.push(format!(
            "{} elements were missed by a read that began after they were known to be there, and appeared later",
            stale().count()
        ));
    }
    draft.number("stable-count", stable().count());
    for (name, count, these) in [
        ("lost", gone().count(), listed(gone().map(|story| story.element))),
        ("never-read", never().count(), listed(never().map(|story| story.element))),
        ("stale", stale().count(), listed(stale().map(|story| story.element))),
    ] {
        draft.number(&format!("{name}-count"), count);
        draft.number(name, these);
    }
    let mut worst: Vec<&Story<'_, '_>> = stale().collect();
    worst.sort_by_key(|story| std::cmp::Reverse(story.latency()));
    draft.number("worst-stale", worst.iter().take(8).map(|story| describe(story)).collect::<Vec<_>>());
    for (name, latencies) in [
        ("stable-latencies", stable().map(Story::latency).collect::<Vec<_>>()),
        ("lost-latencies", gone().map(Story::latency).collect()),
    ] {
        if !latencies.is_empty() {
            draft.number(name, quantiles(latencies));
        }
    }
}

fn lost_from(draft: &mut Draft, story: &Story<'_, '_>, known: u64, absent: u64) {
    if story.present.is_none() {
        return lost(draft, story.element, known, absent);
    }
    draft.problem("lost", 2, || {
        let text = format!(
            "Element {} is lost: it was known to be there (operation {known}), and the last read (operation {absent}), which began \
             later, does not hold it.",
            story.element
        );
        (text, vec![known, absent])
    });
}

fn describe(story: &Story<'_, '_>) -> Json {
    json!({
        "element": as_json(story.element),
        "outcome": "stable",
        "stable-latency": story.latency(),
        "known": story.known.map(|(index, ..)| index),
        "last-absent": story.absent.map(Row::index),
    })
}

/// Jepsen's points of a distribution, in milliseconds.
fn quantiles(mut values: Vec<u64>) -> Json {
    values.sort_unstable();
    let at = |part: f64| values[((values.len() as f64 * part) as usize).min(values.len() - 1)];
    let points = [("0", 0.0), ("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99), ("1", 1.0)];
    Json::Object(points.map(|(name, part)| (name.to_owned(), at(part).into())).into_iter().collect())
}
