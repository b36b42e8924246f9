//! Histories of a store that does everything right: one copy, each operation at one instant between its call and its answer.

#![allow(dead_code)]

use std::sync::Arc;

use gainsay_checker::{Action, Atom, Event, Function, History, Kind, OpEvent, Process, Reading, Step, Version};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Registers,
    /// Registers that are also changed by compare-and-set.
    CasRegisters,
    Lists,
    Sets,
}

/// What the history looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub ops: usize,
    pub clients: usize,
    /// Operations on each key; keys follow each other, `alive` at a time.
    pub ops_per_key: usize,
    pub alive: usize,
    pub holds: Holds,
    /// Of 1000 operations so many are reads of two keys.
    pub several: u32,
    /// Of 1000 writes so many are unknown.
    pub unknown: u32,
    /// After so many operations a client begins a new session.
    pub ops_per_session: usize,
    /// Whether positions are reported.
    pub positions: Positions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    Reported,
    Hidden,
}

impl Shape {
    /// The default run: 10 clients, 200 operations a key, 10 keys at a time, 1 % unknown.
    pub fn of(ops: usize, holds: Holds) -> Shape {
        Shape {
            ops,
            clients: 10,
            ops_per_key: 200,
            alive: 10,
            holds,
            several: 50,
            unknown: 10,
            ops_per_session: usize::MAX,
            positions: Positions::Hidden,
        }
    }
}

struct Plan {
    client: usize,
    /// Which of its client's operations it is.
    nth: usize,
    invoked: u64,
    effect: u64,
    completed: u64,
}

/// The events of such a history, with final reads of three replicas.
pub fn events(shape: Shape, seed: u64) -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clocks = vec![0_u64; shape.clients];
    let mut plans: Vec<Plan> = (0..shape.ops)
        .map(|at| {
            let client = at % shape.clients;
            let invoked = clocks[client] + 1 + rng.random_range(0..50_000);
            let effect = invoked + rng.random_range(1..500_000);
            let completed = effect + rng.random_range(1..500_000);
            clocks[client] = completed + 1;
            Plan { client, nth: at / shape.clients, invoked, effect, completed }
        })
        .collect();
    plans.sort_by_key(|plan| plan.effect);
    let keys = (shape.ops / shape.ops_per_key).max(1) + shape.alive;
    let mut store: Vec<Vec<i64>> = vec![Vec::new(); keys];
    let mut out: Vec<(u64, u8, OpEvent)> = Vec::with_capacity(shape.ops * 2);
    for (at, plan) in plans.iter().enumerate() {
        let first = at / shape.ops_per_key;
        let key = (first + rng.random_range(0..shape.alive)).min(keys - 1);
        let op = operation(shape, at, key, &mut store, &mut rng);
        let mut op = op;
        let session = plan.client + shape.clients * (plan.nth / shape.ops_per_session);
        op.0.session = Some(Atom::Int(session as i64));
        push(&mut out, plan, op, at as u64);
    }
    let end = plans.iter().map(|plan| plan.completed).max().unwrap_or(0);
    for (key, held) in store.iter().enumerate() {
        for node in ["n1", "n2", "n3"] {
            let time = end + 1 + key as u64 * 10;
            let plan = Plan { client: shape.clients, nth: 0, invoked: time, effect: time, completed: time + 1 };
            let step = Step { key: Atom::Int(key as i64), action: Action::Read(Some(reading(shape.holds, held))) };
            let mut op = event(Function::Read, vec![step]);
            (op.last, op.node) = (true, Some(Arc::from(node)));
            push(&mut out, &plan, (op, true), 0);
        }
    }
    out.sort_by_key(|(time, class, event)| (*time, *class, event.process.0));
    // A process has one operation at a time, whatever the final reads' times say.
    out.into_iter()
        .enumerate()
        .map(|(index, (_, _, mut event))| {
            event.index = index as u64;
            Event::Op(event)
        })
        .collect()
}

/// The history itself.
pub fn history(shape: Shape, seed: u64) -> History {
    History::from_events(events(shape, seed)).unwrap()
}

fn operation(shape: Shape, at: usize, key: usize, store: &mut [Vec<i64>], rng: &mut ChaCha8Rng) -> (OpEvent, bool) {
    let atom = |key: usize| Atom::Int(key as i64);
    if rng.random_ratio(1, 2) {
        let mut steps = vec![Step { key: atom(key), action: Action::Read(Some(reading(shape.holds, &store[key]))) }];
        if rng.random_ratio(shape.several, 1_000) && key + 1 < store.len() {
            let action = Action::Read(Some(reading(shape.holds, &store[key + 1])));
            steps.push(Step { key: atom(key + 1), action });
        }
        let function = if steps.len() > 1 { Function::Txn } else { Function::Read };
        return (event(function, steps), true);
    }
    let value = at as i64 + 1;
    let known = !rng.random_ratio(shape.unknown, 1_000);
    let (function, action) = match shape.holds {
        Holds::Lists => (Function::Append, Action::Append(value.into())),
        Holds::Sets => (Function::Add, Action::Add(value.into())),
        Holds::CasRegisters if rng.random_ratio(1, 3) => {
            let old = store[key].last().copied().map(Atom::Int);
            (Function::Cas, Action::Cas { old, new: value.into() })
        }
        _ => (Function::Write, Action::Write(value.into())),
    };
    // Half of the unknown ones never happened.
    if known || rng.random_ratio(1, 2) {
        store[key].push(value);
    }
    let mut event = event(function, vec![Step { key: atom(key), action }]);
    event.version = (shape.positions == Positions::Reported && known).then_some(Version::Position(1, at as u64));
    (event, known)
}

fn reading(holds: Holds, held: &[i64]) -> Reading {
    match holds {
        Holds::Lists | Holds::Sets => Reading::Many(held.iter().map(|&value| value.into()).collect()),
        _ => held.last().map_or(Reading::Nil, |&value| Reading::One(value.into())),
    }
}

fn event(function: Function, steps: Vec<Step>) -> OpEvent {
    OpEvent {
        index: 0,
        time: 0,
        intended: None,
        kind: Kind::Ok,
        process: Process(0),
        function,
        steps: steps.into_iter().collect(),
        session: None,
        user: None,
        node: None,
        version: None,
        error: None,
        last: false,
    }
}

fn push(out: &mut Vec<(u64, u8, OpEvent)>, plan: &Plan, (mut op, known): (OpEvent, bool), at: u64) {
    let client = plan.client as u64;
    op.process = Process(if op.last {
        // Final reads ask all replicas at once.
        2_000_000_000 + u64::from(op.node.as_deref().unwrap_or("n").as_bytes()[1])
    } else if known {
        client
    } else {
        1_000_000_000 + at
    });
    if op.node.is_none() {
        op.node = Some(Arc::from(["n1", "n2", "n3"][(plan.effect % 3) as usize]));
    }
    let mut invoke = op.clone();
    (invoke.kind, invoke.version) = (Kind::Invoke, None);
    if let Action::Read(reading) = &mut invoke.steps[0].action {
        *reading = None;
    }
    invoke.time = plan.invoked;
    op.kind = if known { Kind::Ok } else { Kind::Info };
    op.time = plan.completed;
    out.push((plan.invoked, 0, invoke));
    out.push((plan.completed, 1, op));
}
