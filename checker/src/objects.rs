//! Objects called one at a time: are the calls on registers, maps, sets, counters, queues, stacks, locks, ids and logs
//! linearizable, are they sequentially consistent?
//!
//! ```text
//!            ┌─ register, values unique ──▶ zones      O(n log n)
//!            ├─ queue, stack, unique ─────▶ fifo, lifo O(n log n)
//! Calls ─key─┼─ log, set that only grows ─▶ levels     O(n log n)
//!            ├─ ids ──────────────────────▶ levels     O(n)
//!            └─ everything else ──────────▶ search     exponential at worst, bounded
//! ```
//!
//! Linearizability is local (Herlihy & Wing 1990, theorem 1): each key is decided apart, and a set that is never read as a whole
//! is an object for each of its elements. Sequential consistency is not local, so there all keys are one object.
//!
//! A violation wins over an answer that is missing elsewhere. A call that certainly failed is not among the calls: what only it
//! could have written is a value from nowhere.

#[doc(hidden)]
pub mod brute;
pub mod calls;
mod fifo;
mod levels;
mod lifo;
pub mod model;
mod puts;
mod saturate;
pub mod search;
mod sequential;
mod shrink;
mod zones;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use calls::{Call, Calls, Function};
pub use model::{Model, ModelName};
pub use search::Why;
use search::{Found, Limits};

use crate::evidence::Budget;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order of all calls.
    Holds,
    /// There is none.
    Violated(Proof),
    /// The budget was used up before an answer.
    Unknown(Unfinished),
}

/// A few calls that fit into no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The key they are on, or the key of [`Proof::stuck`] where keys are decided together.
    pub key: u32,
    /// The sources of the calls, by start. Not empty.
    pub calls: Vec<u32>,
    /// The source of the call that can't be placed, one of [`Proof::calls`].
    pub stuck: u32,
    /// What the object could have been just before that call returned, at most eight; empty where that wasn't followed.
    pub states: Vec<String>,
    /// The reason in a sentence. It speaks of calls by source and of values by number.
    pub text: String,
}

/// How far a decision came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The key on which it stopped.
    pub key: u32,
    /// Which bound was met.
    pub why: Why,
    /// How many calls on that key could be placed before.
    pub decided: u64,
    /// Of how many.
    pub of: u64,
}

/// What was decided about all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Violated if any key is, else unknown if any key is.
    pub verdict: Verdict,
    /// How many keys there are.
    pub keys: u64,
    /// How many of them hold.
    pub held: u64,
    /// The violated ones, by key; at most [`MOST_PROOFS`].
    pub violated: Vec<Proof>,
    /// How many are violated.
    pub violations: u64,
    /// Those without an answer, by key; at most [`MOST_PROOFS`].
    pub unknown: Vec<Unfinished>,
    /// How many configurations were visited by searches.
    pub configurations: u64,
}

/// How many keys are told apart in a [`Decision`].
pub const MOST_PROOFS: usize = 64;

/// What one key's decider found, in indices of that key's calls.
#[derive(Clone, Debug)]
pub(crate) enum Judged {
    Holds,
    Violated(Refutation),
    Unknown { why: Why, decided: u64 },
}

/// Calls that fit into no order, by index.
#[derive(Clone, Debug)]
pub(crate) struct Refutation {
    pub(crate) calls: Vec<usize>,
    pub(crate) stuck: usize,
    pub(crate) states: Vec<String>,
    pub(crate) text: String,
}

/// Whether every key is linearizable. O(n log n) where the kind of object allows, see the module; else as far as `budget`
/// reaches: its time for all keys together, its configurations for each key.
pub fn linearizable(model: ModelName, calls: &Calls, budget: &Budget, threads: usize) -> Decision {
    let limits = Limits::new(budget);
    let next = AtomicUsize::new(0);
    let keys = calls.key_count();
    let all = Mutex::new(Sum::default());
    let step = (keys / (threads.max(1) * 16)).clamp(1, 64);
    let work = || {
        let mut sum = Sum::default();
        loop {
            let first = next.fetch_add(step, Ordering::Relaxed);
            if first >= keys {
                break;
            }
            for key in first..(first + step).min(keys) {
                let (judged, visited) = judge(model, calls, calls.of(key), limits);
                sum.add(calls.of(key), judged, visited);
            }
        }
        // A thread that panicked leaves nothing half added.
        all.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).merge(sum);
    };
    if threads <= 1 || keys <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads.min(keys) {
                scope.spawn(work);
            }
            work();
        });
    }
    all.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).decision(keys as u64)
}

/// Decides one key by what fits best.
fn judge(model: ModelName, all: &Calls, calls: &[Call], limits: Limits) -> (Judged, u64) {
    let monitored = match model {
        ModelName::Register | ModelName::CasRegister | ModelName::Map => zones::decide(calls),
        ModelName::Set if calls.iter().all(|call| call.f != Function::ReadAll) => return elements(calls, limits),
        ModelName::Set => levels::decide(calls, levels::grown(all, calls)),
        ModelName::Queue => fifo::decide(calls),
        ModelName::Stack => lifo::decide(calls),
        ModelName::Ids => Some(levels::ids(calls)),
        ModelName::Log => levels::decide(calls, levels::log(all, calls)),
        ModelName::MultiRegister | ModelName::Counter | ModelName::Mutex => None,
    };
    if let Some(judged) = monitored {
        return (judged, 0);
    }
    match model {
        ModelName::Register | ModelName::CasRegister | ModelName::Map => searched(&model::Register, calls, limits),
        ModelName::MultiRegister => searched(&model::MultiRegister::new(all), calls, limits),
        ModelName::Set => searched(&model::Set(all), calls, limits),
        ModelName::Counter => searched(&model::Counter, calls, limits),
        ModelName::Queue => searched(&model::Queue, calls, limits),
        ModelName::Stack => searched(&model::Stack, calls, limits),
        ModelName::Mutex => searched(&model::Mutex, calls, limits),
        ModelName::Ids => searched(&model::Ids, calls, limits),
        ModelName::Log => searched(&model::Log(all), calls, limits),
    }
}

/// Whether all keys together are sequentially consistent: some order of all calls that keeps each process's own order.
///
/// Polynomial where everything is linearizable, for ids, and for logs and growing sets; else as far as `budget` reaches.
pub fn sequential(model: ModelName, calls: &Calls, budget: &Budget) -> Decision {
    let mut sum = Sum::default();
    let limits = Limits::new(budget);
    let all = calls.all();
    let (judged, visited) = judge_order(model, calls, limits);
    sum.add(all, judged, visited);
    sum.decision(1)
}

fn judge_order(model: ModelName, calls: &Calls, limits: Limits) -> (Judged, u64) {
    let all = calls.all();
    let mut visited = 0;
    // What is linearizable is sequential. A search for that is kept short.
    let short = Limits { configurations: limits.configurations.min(200_000), ..limits };
    let linearizable = (0..calls.key_count()).all(|key| {
        let (judged, more) = judge(model, calls, calls.of(key), short);
        visited += more;
        matches!(judged, Judged::Holds)
    });
    if linearizable {
        return (Judged::Holds, visited);
    }
    let places = match model {
        ModelName::Log => leveled(calls, levels::log),
        ModelName::Set => leveled(calls, levels::grown),
        _ => None,
    };
    if let Some(judged) = places {
        return (judged, visited);
    }
    let mut priority: Vec<u32> = all.iter().map(|call| call.end).collect();
    if matches!(model, ModelName::Register | ModelName::CasRegister | ModelName::Map) {
        match saturate::saturate(all) {
            saturate::Saturated::Refuted(refutation) => return (Judged::Violated(refutation), visited),
            saturate::Saturated::Order(order) => priority = order,
            saturate::Saturated::Unfit => {}
        }
    }
    let (judged, more) = match model {
        ModelName::Register | ModelName::CasRegister | ModelName::Map => {
            ordered(&model::Register, all, &priority, limits)
        }
        ModelName::MultiRegister => ordered(&model::MultiRegister::new(calls), all, &priority, limits),
        ModelName::Set => ordered(&model::Set(calls), all, &priority, limits),
        ModelName::Counter => ordered(&model::Counter, all, &priority, limits),
        ModelName::Queue => ordered(&model::Queue, all, &priority, limits),
        ModelName::Stack => ordered(&model::Stack, all, &priority, limits),
        ModelName::Mutex => ordered(&model::Mutex, all, &priority, limits),
        ModelName::Ids => ordered(&model::Ids, all, &priority, limits),
        ModelName::Log => ordered(&model::Log(calls), all, &priority, limits),
    };
    (judged, visited + more)
}

/// Levels of all keys and processes' orders together.
fn leveled(calls: &Calls, placed: impl Fn(&Calls, &[Call]) -> levels::Placed) -> Option<Judged> {
    let mut places = Vec::with_capacity(calls.all().len());
    for key in 0..calls.key_count() {
        match placed(calls, calls.of(key))? {
            Ok(levels) => places.extend(levels),
            Err(mut refutation) => {
                let first = places.len();
                refutation.calls.iter_mut().for_each(|at| *at += first);
                refutation.stuck += first;
                return Some(Judged::Violated(refutation));
            }
        }
    }
    Some(sequential::circle(calls.all(), &places).map_or(Judged::Holds, Judged::Violated))
}

/// Searches an order, and makes it small if there is none.
fn ordered<M: Model>(model: &M, calls: &[Call], priority: &[u32], limits: Limits) -> (Judged, u64) {
    let (order, visited) = sequential::search(model, calls, priority, limits);
    let judged = match order {
        sequential::Order::Exists => Judged::Holds,
        sequential::Order::Unknown { why, decided } => Judged::Unknown { why, decided },
        sequential::Order::None { stuck } => Judged::Violated(shrink::shrink_order(model, calls, stuck, limits)),
    };
    (judged, visited)
}

/// The search alone, for every model: slower, and a measure for the deciders made for one kind of object.
pub fn searched_only(model: ModelName, calls: &Calls, budget: &Budget) -> Decision {
    let mut sum = Sum::default();
    for key in 0..calls.key_count() {
        let limits = Limits::new(budget);
        let on = calls.of(key);
        let (found, visited) = match model {
            ModelName::Register | ModelName::CasRegister | ModelName::Map => {
                search::decide(&model::Register, on, limits)
            }
            ModelName::MultiRegister => search::decide(&model::MultiRegister::new(calls), on, limits),
            ModelName::Set => search::decide(&model::Set(calls), on, limits),
            ModelName::Counter => search::decide(&model::Counter, on, limits),
            ModelName::Queue => search::decide(&model::Queue, on, limits),
            ModelName::Stack => search::decide(&model::Stack, on, limits),
            ModelName::Mutex => search::decide(&model::Mutex, on, limits),
            ModelName::Ids => search::decide(&model::Ids, on, limits),
            ModelName::Log => search::decide(&model::Log(calls), on, limits),
        };
        sum.add(on, unshrunk(on, found), visited);
    }
    sum.decision(calls.key_count() as u64)
}

fn unshrunk(calls: &[Call], found: Found) -> Judged {
    match found {
        Found::Holds => Judged::Holds,
        Found::Unknown { why, decided } => Judged::Unknown { why, decided },
        Found::Stuck { call, states } => Judged::Violated(Refutation {
            calls: (0..calls.len()).filter(|&at| calls[at].start < calls[call].end).collect(),
            stuck: call,
            states,
            text: String::new(),
        }),
    }
}

/// Searches, and makes a violation small.
fn searched<M: Model>(model: &M, calls: &[Call], limits: Limits) -> (Judged, u64) {
    let (found, visited) = search::decide(model, calls, limits);
    match found {
        Found::Stuck { call, states } => {
            (Judged::Violated(shrink::shrink(model, calls, call, states, limits)), visited)
        }
        found => (unshrunk(calls, found), visited),
    }
}

/// A set that is never read as a whole, element by element.
fn elements(calls: &[Call], limits: Limits) -> (Judged, u64) {
    let mut order: Vec<u32> = (0..calls.len() as u32).collect();
    order.sort_by_key(|&at| calls[at as usize].input);
    let (mut visited, mut unknown) = (0, None);
    let mut held = 0;
    for of_one in order.chunk_by(|&a, &b| calls[a as usize].input == calls[b as usize].input) {
        let some: Vec<Call> = of_one.iter().map(|&at| calls[at as usize]).collect();
        let (judged, more) = searched(&model::Element, &some, limits);
        visited += more;
        match judged {
            Judged::Holds => held += some.len() as u64,
            Judged::Unknown { why, .. } => unknown = unknown.or(Some(why)),
            Judged::Violated(mut found) => {
                found.calls.iter_mut().for_each(|at| *at = of_one[*at] as usize);
                found.stuck = of_one[found.stuck] as usize;
                return (Judged::Violated(found), visited);
            }
        }
    }
    (unknown.map_or(Judged::Holds, |why| Judged::Unknown { why, decided: held }), visited)
}

/// Decisions added up.
#[derive(Default)]
struct Sum {
    held: u64,
    violations: u64,
    violated: Vec<Proof>,
    unknown: Vec<Unfinished>,
    configurations: u64,
}

impl Sum {
    fn add(&mut self, calls: &[Call], judged: Judged, visited: u64) {
        self.configurations += visited;
        let key = calls.first().map_or(0, |call| call.key);
        match judged {
            Judged::Holds => self.held += 1,
            Judged::Violated(found) => {
                self.violations += 1;
                if self.violated.len() < MOST_PROOFS {
                    self.violated.push(proof(calls, found));
                }
            }
            Judged::Unknown { why, decided } => {
                let unfinished = Unfinished { key, why, decided, of: calls.len() as u64 };
                if self.unknown.len() < MOST_PROOFS {
                    self.unknown.push(unfinished);
                }
            }
        }
    }

    fn merge(&mut self, other: Sum) {
        self.held += other.held;
        self.violations += other.violations;
        self.violated.extend(other.violated);
        self.unknown.extend(other.unknown);
        self.configurations += other.configurations;
    }

    fn decision(mut self, keys: u64) -> Decision {
        self.violated.sort_by_key(|proof| proof.key);
        self.violated.truncate(MOST_PROOFS);
        self.unknown.sort_by_key(|unfinished| unfinished.key);
        self.unknown.truncate(MOST_PROOFS);
        let verdict = match (self.violated.first(), self.unknown.first()) {
            (Some(proof), _) => Verdict::Violated(proof.clone()),
            (None, Some(unfinished)) => Verdict::Unknown(unfinished.clone()),
            (None, None) => Verdict::Holds,
        };
        Decision {
            verdict,
            keys,
            held: self.held,
            violated: self.violated,
            violations: self.violations,
            unknown: self.unknown,
            configurations: self.configurations,
        }
    }
}

fn proof(calls: &[Call], mut found: Refutation) -> Proof {
    found.calls.push(found.stuck);
    found.calls.sort_unstable();
    found.calls.dedup();
    Proof {
        key: calls[found.stuck].key,
        calls: found.calls.iter().map(|&at| calls[at].source).collect(),
        stuck: calls[found.stuck].source,
        states: found.states,
        text: found.text,
    }
}
