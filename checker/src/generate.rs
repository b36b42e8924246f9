//! Histories made to measure: valid ones of any size, by a simulated store.
//!
//! A [`Plan`] says how many operations, processes and keys; the same plan and seed give the same history everywhere. Processes run
//! against one store: an operation is invoked, takes effect at one moment, and completes, and which process moves
//! next is drawn. So every history is strictly serializable (linearizable) by construction, with as much concurrency as there are processes.
//!
//! Random numbers come from ChaCha with eight rounds, seeded by the plan.

pub mod planted;
pub mod store;
pub mod written;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::store::{Keys, Store};
pub use self::written::{Written, write_edn, write_json};
use crate::event::Kind;
use crate::value::Value;

/// What is done to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Transactions that append to lists and read them.
    ListAppend,
    /// Transactions that write registers and read them; values are unique per key.
    RwRegister,
    /// Single reads and writes of registers, `[key value]`.
    Register,
    /// The same with compare-and-set.
    CasRegister,
}

/// How a history is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done.
    pub kinds: Kinds,
    /// The seed.
    pub seed: u64,
    /// How many operations are invoked.
    pub ops: u64,
    /// How many processes run at a time.
    pub processes: u64,
    /// Keys in use at a time.
    pub keys: u64,
    /// A key is replaced by a fresh one after so many writes.
    pub writes_per_key: u64,
    /// Steps of a transaction: between one and this many.
    pub steps: u64,
    /// The share of operations whose outcome stays unknown; half of them take effect. Their process ends and another takes its place.
    pub info: f64,
    /// The share of operations that fail, without effect.
    pub fail: f64,
    /// Single registers: whether values repeat, drawn from so few; 0 for unique ones.
    pub values: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            kinds: Kinds::ListAppend,
            seed: 1,
            ops: 1000,
            processes: 10,
            keys: 10,
            writes_per_key: 32,
            steps: 4,
            info: 0.0,
            fail: 0.0,
            values: 0,
        }
    }
}

/// What a process is about.
enum Doing {
    Nothing,
    /// It has asked; `effect` says whether this will take effect, `end` how it will complete.
    Asked {
        steps: Value,
        effect: bool,
        end: Kind,
    },
    /// It took effect, and this is the answer.
    Answered {
        value: Value,
        end: Kind,
    },
}

/// Writes the history of `plan` event by event.
pub struct Generator {
    plan: Plan,
    rng: ChaCha8Rng,
    store: Store,
    keys: Keys,
    doing: Vec<(u64, Doing)>,
    next_process: u64,
    invoked: u64,
    busy: usize,
    index: u64,
    time: u64,
}

impl Generator {
    /// Of that plan.
    pub fn new(plan: Plan) -> Generator {
        let processes = plan.processes.max(1);
        Generator {
            rng: ChaCha8Rng::seed_from_u64(plan.seed),
            store: Store::default(),
            keys: Keys::new(plan.keys.max(1), plan.writes_per_key.max(1)),
            doing: (0..processes).map(|process| (process, Doing::Nothing)).collect(),
            next_process: processes,
            invoked: 0,
            busy: 0,
            index: 0,
            time: 0,
            plan,
        }
    }

    fn event(&mut self, kind: Kind, process: u64, value: Value) -> Written {
        self.time += self.rng.random_range(500..50_000_u64);
        let f = match (&self.plan.kinds, &value) {
            (Kinds::ListAppend | Kinds::RwRegister, _) => "txn",
            (_, value) => store::single_name(value),
        };
        let value = if f == "txn" { value } else { store::single_value(value) };
        self.index += 1;
        Written { index: self.index - 1, time: self.time, kind, process, f, value }
    }

    /// What one operation asks for: a list of steps.
    fn ask(&mut self) -> Value {
        let most =
            if matches!(self.plan.kinds, Kinds::ListAppend | Kinds::RwRegister) { self.plan.steps.max(1) } else { 1 };
        let steps = self.rng.random_range(1..=most);
        let asked = (0..steps).map(|_| {
            let write = self.rng.random_bool(0.5);
            let slot = self.keys.draw(&mut self.rng);
            let (key, name, value) = match self.plan.kinds {
                Kinds::ListAppend if write => (self.keys.key(slot), "append", Value::Int(self.keys.next_value(slot))),
                Kinds::RwRegister | Kinds::Register | Kinds::CasRegister if write => {
                    let cas = self.plan.kinds == Kinds::CasRegister && self.rng.random_bool(0.5);
                    let key = self.keys.key(slot);
                    let unique = self.keys.next_value(slot);
                    let new =
                        if self.plan.values > 0 { self.rng.random_range(1..=self.plan.values) as i64 } else { unique };
                    if cas {
                        // Most of the time what is there now, so that half of them succeed under concurrency.
                        let old = if self.rng.random_bool(0.7) {
                            self.store.register(key)
                        } else {
                            Value::Int(self.rng.random_range(1..=new.max(1)))
                        };
                        (key, "cas", Value::List(vec![old, Value::Int(new)]))
                    } else {
                        (key, "w", Value::Int(new))
                    }
                }
                _ => (self.keys.key(slot), "r", Value::Nil),
            };
            Value::List(vec![Value::Text(name.into()), Value::Int(key), value])
        });
        Value::List(asked.collect())
    }

    fn invoke(&mut self, at: usize) -> Written {
        let steps = self.ask();
        let draw: f64 = self.rng.random();
        let (effect, end) = if draw < self.plan.info {
            (self.rng.random_bool(0.5), Kind::Info)
        } else if draw < self.plan.info + self.plan.fail {
            (false, Kind::Fail)
        } else {
            (true, Kind::Ok)
        };
        self.invoked += 1;
        self.busy += 1;
        let process = self.doing[at].0;
        self.doing[at].1 = Doing::Asked { steps: steps.clone(), effect, end };
        self.event(Kind::Invoke, process, steps)
    }

    fn complete(&mut self, at: usize, value: Value, end: Kind) -> Written {
        self.busy -= 1;
        let process = self.doing[at].0;
        self.doing[at].1 = Doing::Nothing;
        if end == Kind::Info {
            self.doing[at].0 = self.next_process;
            self.next_process += 1;
        }
        self.event(end, process, value)
    }
}

impl Iterator for Generator {
    type Item = Written;

    fn next(&mut self) -> Option<Written> {
        loop {
            if self.invoked >= self.plan.ops && self.busy == 0 {
                return None;
            }
            let at = self.rng.random_range(0..self.doing.len());
            match std::mem::replace(&mut self.doing[at].1, Doing::Nothing) {
                Doing::Nothing if self.invoked < self.plan.ops => return Some(self.invoke(at)),
                Doing::Nothing => {}
                Doing::Asked { steps, effect, end } => {
                    let done = if effect { self.store.apply(&steps) } else { None };
                    let (value, end) = match done {
                        Some(value) if end == Kind::Ok => (value, end),
                        // A compare-and-set that found something else fails.
                        None if effect && end == Kind::Ok => (steps, Kind::Fail),
                        _ => (steps, end),
                    };
                    self.doing[at].1 = Doing::Answered { value, end };
                }
                Doing::Answered { value, end } => return Some(self.complete(at, value, end)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_fail_and_stay_unknown_as_are_asked_for() {
        let plan = Plan { ops: 10_000, info: 0.3, fail: 0.2, ..Plan::default() };
        let kinds: Vec<Kind> = Generator::new(plan).map(|event| event.kind).collect();
        let share = |kind: Kind| kinds.iter().filter(|it| **it == kind).count() as f64 / 10_000.0;
        assert_eq!(share(Kind::Invoke), 1.0);
        assert!((0.28..0.32).contains(&share(Kind::Info)), "{}", share(Kind::Info));
        assert!((0.18..0.22).contains(&share(Kind::Fail)), "{}", share(Kind::Fail));
    }
}
