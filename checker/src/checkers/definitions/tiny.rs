//! Small worlds: a handful of operations with times, and the history that they make.

use crate::action::{Action, Atom, Reading, Step};
use crate::event::{Event, Function, Kind, OpEvent, Process};
use crate::history::History;
use crate::version::Version;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One operation of a small world.
#[derive(Clone, Debug)]
pub struct Tiny {
    /// Whose.
    pub session: usize,
    /// When it was called.
    pub from: u64,
    /// When it was over.
    pub to: u64,
    /// Whether its outcome is known.
    pub known: bool,
    /// What it did.
    pub what: What,
    /// Its reported position, for writes.
    pub rank: Option<u64>,
}

/// What an operation did. Keys are numbers, values are unique.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // Keys and values are just that.
pub enum What {
    Write {
        key: usize,
        value: i64,
    },
    Delete {
        key: usize,
    },
    Cas {
        key: usize,
        old: Option<i64>,
        new: i64,
    },
    /// Key and value, `None` for nil.
    Read(Vec<(usize, Option<i64>)>),
    Append {
        key: usize,
        value: i64,
    },
    ReadList(Vec<(usize, Vec<i64>)>),
    Add {
        key: usize,
        value: i64,
    },
    Remove {
        key: usize,
        value: i64,
    },
    ReadSet(Vec<(usize, Vec<i64>)>),
}

/// The history of these operations.
pub fn history(ops: &[Tiny]) -> History {
    let mut events: Vec<(u64, u8, OpEvent)> = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        let key = |key: usize| Atom::Int(key as i64);
        let step = |k: usize, action| Step { key: key(k), action };
        let (function, steps): (Function, Vec<Step>) = match &op.what {
            What::Write { key, value } => (Function::Write, vec![step(*key, Action::Write((*value).into()))]),
            What::Delete { key } => (Function::Delete, vec![step(*key, Action::Delete)]),
            What::Cas { key, old, new } => {
                let action = Action::Cas { old: old.map(Atom::Int), new: (*new).into() };
                (Function::Cas, vec![step(*key, action)])
            }
            What::Append { key, value } => (Function::Append, vec![step(*key, Action::Append((*value).into()))]),
            What::Read(parts) => {
                let reading = |value: Option<i64>| value.map_or(Reading::Nil, |value| Reading::One(value.into()));
                let steps = parts.iter().map(|(k, value)| step(*k, Action::Read(Some(reading(*value))))).collect();
                (Function::Txn, steps)
            }
            What::Add { key, value } => (Function::Add, vec![step(*key, Action::Add((*value).into()))]),
            What::Remove { key, value } => (Function::Remove, vec![step(*key, Action::Remove((*value).into()))]),
            What::ReadList(parts) | What::ReadSet(parts) => {
                let list = |list: &[i64]| Reading::Many(list.iter().map(|&value| value.into()).collect());
                (Function::Txn, parts.iter().map(|(k, it)| step(*k, Action::Read(Some(list(it))))).collect())
            }
        };
        let mut event = OpEvent {
            index: 0,
            time: op.from,
            intended: None,
            kind: Kind::Invoke,
            process: Process(number as u64),
            function,
            steps: steps.into_iter().collect(),
            session: Some(Atom::Int(op.session as i64)),
            user: None,
            node: None,
            version: None,
            error: None,
            last: false,
        };
        events.push((op.from, 0, event.clone()));
        event.kind = if op.known { Kind::Ok } else { Kind::Info };
        event.time = op.to;
        event.version = op.rank.filter(|_| op.known).map(|rank| Version::Position(1, rank));
        events.push((op.to, 1, event));
    }
    events.sort_by_key(|(time, class, _)| (*time, *class));
    let events = events.into_iter().enumerate().map(|(index, (_, _, mut event))| {
        event.index = index as u64;
        Event::Op(event)
    });
    History::from_events(events).expect("each operation ends once, after it began")
}

/// Session of each operation and its times: sequential in each session, overlapping between sessions.
pub fn times(rng: &mut ChaCha8Rng, count: usize, sessions: usize) -> Vec<Tiny> {
    let mut clock = vec![0_u64; sessions];
    let mut ops: Vec<Tiny> = (0..count)
        .map(|_| {
            let session = rng.random_range(0..sessions);
            let from = clock[session] + 1 + rng.random_range(0..3);
            let to = from + 1 + rng.random_range(0..4);
            clock[session] = to;
            Tiny { session, from, to, known: true, what: What::Read(vec![]), rank: None }
        })
        .collect();
    ops.sort_by_key(|op| op.from);
    ops
}

/// Registers on one or two keys, read and written with unique values, of ten writes `deletes` deletes.
pub fn registers(rng: &mut ChaCha8Rng, count: usize, deletes: u32) -> Vec<Tiny> {
    let (sessions, keys) = (rng.random_range(1..=3), rng.random_range(1..=2));
    let mut ops = times(rng, count, sessions);
    let mut written = vec![Vec::new(); keys];
    for (value, op) in ops.iter_mut().enumerate() {
        let key = rng.random_range(0..keys);
        if rng.random_ratio(1, 2) {
            op.known = rng.random_ratio(5, 6);
            op.what = if rng.random_ratio(deletes, 10) {
                What::Delete { key }
            } else {
                written[key].push(value as i64);
                What::Write { key, value: value as i64 }
            };
        }
    }
    for op in ops.iter_mut().filter(|op| op.what == What::Read(vec![])) {
        let pick = |rng: &mut ChaCha8Rng, key: usize| {
            let at = rng.random_range(0..=written[key].len());
            (key, written[key].get(at).copied())
        };
        let first = pick(rng, 0);
        op.what = What::Read(match keys {
            1 => vec![first],
            _ if rng.random_ratio(1, 2) => {
                let second = pick(rng, 1);
                vec![first, second]
            }
            _ if rng.random_ratio(1, 2) => vec![pick(rng, 1)],
            _ => vec![first],
        });
    }
    ops
}

/// Lists on one or two keys, read mostly as they were appended to.
pub fn lists(rng: &mut ChaCha8Rng, count: usize) -> Vec<Tiny> {
    let (sessions, keys) = (rng.random_range(1..=3), rng.random_range(1..=2));
    let mut ops = times(rng, count, sessions);
    let mut written = vec![Vec::new(); keys];
    for (value, op) in ops.iter_mut().enumerate() {
        let key = rng.random_range(0..keys);
        if rng.random_ratio(1, 2) {
            op.known = rng.random_ratio(5, 6);
            op.what = What::Append { key, value: value as i64 };
            written[key].push(value as i64);
        }
    }
    // Mostly the order of appending, sometimes another, sometimes something left out.
    if rng.random_ratio(1, 3) {
        written.iter_mut().for_each(|list| list.reverse());
    }
    for op in ops.iter_mut().filter(|op| op.what == What::Read(vec![])) {
        let pick = |rng: &mut ChaCha8Rng, key: usize| {
            let length = rng.random_range(0..=written[key].len());
            let mut list = written[key][..length].to_vec();
            if rng.random_ratio(1, 6) && !list.is_empty() {
                list.remove(rng.random_range(0..list.len()));
            }
            (key, list)
        };
        let first = pick(rng, 0);
        op.what = What::ReadList(match keys {
            1 => vec![first],
            _ if rng.random_ratio(1, 2) => {
                let second = pick(rng, 1);
                vec![first, second]
            }
            _ => vec![pick(rng, 1)],
        });
    }
    ops
}

/// Sets on one or two keys, with removes, read mostly as far as they had come.
pub fn sets(rng: &mut ChaCha8Rng, count: usize) -> Vec<Tiny> {
    let (sessions, keys) = (rng.random_range(1..=3), rng.random_range(1..=2));
    let mut ops = times(rng, count, sessions);
    let mut written: Vec<Vec<i64>> = vec![Vec::new(); keys];
    let mut states: Vec<Vec<Vec<i64>>> = vec![vec![Vec::new()]; keys];
    for (value, op) in ops.iter_mut().enumerate() {
        let (key, value) = (rng.random_range(0..keys), value as i64);
        let mut held = states[key].last().cloned().unwrap_or_default();
        if rng.random_ratio(1, 2) {
            op.known = rng.random_ratio(5, 6);
            op.what = if !written[key].is_empty() && rng.random_ratio(1, 3) {
                let value = written[key][rng.random_range(0..written[key].len())];
                held.retain(|&it| it != value);
                What::Remove { key, value }
            } else {
                written[key].push(value);
                held.push(value);
                What::Add { key, value }
            };
            states[key].push(held);
        }
    }
    for op in ops.iter_mut().filter(|op| op.what == What::Read(vec![])) {
        let pick = |rng: &mut ChaCha8Rng, key: usize| {
            let mut set = states[key][rng.random_range(0..states[key].len())].clone();
            if rng.random_ratio(1, 3) && !set.is_empty() {
                set.remove(rng.random_range(0..set.len()));
            }
            (key, set)
        };
        let first = pick(rng, 0);
        op.what = What::ReadSet(match keys {
            1 => vec![first],
            _ if rng.random_ratio(1, 2) => {
                let second = pick(rng, 1);
                vec![first, second]
            }
            _ => vec![pick(rng, 1)],
        });
    }
    ops
}
