//! Small worlds: a handful of operations with times, and the history that they make.

#![allow(dead_code)]

use gainsay_checker::{Action, Atom, Event, Function, History, Kind, OpEvent, Process, Reading, Step, Version};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One operation of a small world.
#[derive(Clone, Debug)]
pub struct Tiny {
    pub session: usize,
    pub from: u64,
    pub to: u64,
    pub known: bool,
    pub what: What,
    /// Its reported position, for writes.
    pub rank: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
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
            What::ReadList(parts) => {
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
    History::from_events(events).unwrap()
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
