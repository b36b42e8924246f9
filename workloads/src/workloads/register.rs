//! `register`: reads, writes and compare-and-sets of single keys, every value unique.
//!
//! The workload for linearizability. Compare-and-sets expect what their session read last, so that many succeed. Keys
//! retire (see [`crate::window`]), which keeps each key's history short enough to be decided and makes losses visible.

use std::collections::HashMap;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Reading, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{Params, Workload};

/// How many keys are active at once: few, so that clients meet.
const ACTIVE: u64 = 5;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "register",
    about: "reads, writes and compare-and-sets of single keys",
    exercises: &["lost-writes", "read-your-writes", "monotonic-reads", "convergence", "linearizable"],
    ops_per_key: 100,
    refuses: |_| None,
    user: |_| None,
    build: |params| Box::new(Register::new(params)),
};

struct Register {
    values: UniqueValues,
    window: Window,
    cas: bool,
    done: u64,
    /// What this client saw last of the active keys; older ones are forgotten.
    seen: HashMap<i64, Atom>,
}

impl Register {
    fn new(params: &Params) -> Self {
        Register {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            cas: params.can.cas,
            done: 0,
            seen: HashMap::new(),
        }
    }
}

impl Generator for Register {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let key = self.window.draw(self.done, context.clients, rng);
        let base = self.window.base(self.done, context.clients) as i64;
        self.done += 1;
        self.seen.retain(|key, _| *key >= base);
        let roll = rng.random_range(0..100);
        let (function, action) = match self.seen.get(&key) {
            Some(old) if self.cas && roll < 15 => {
                (Function::Cas, Action::Cas { old: Some(old.clone()), new: self.values.draw() })
            }
            _ if roll < 50 => (Function::Write, Action::Write(self.values.draw())),
            _ => (Function::Read, Action::Read(None)),
        };
        Next::Op(Draft { function, steps: smallvec![Step { key: Atom::Int(key), action }] })
    }

    fn observe(&mut self, _: &Context, completion: &OpEvent) {
        if completion.kind != Kind::Ok {
            return;
        }
        for step in &completion.steps {
            let Atom::Int(key) = step.key else { continue };
            let value = match &step.action {
                Action::Read(Some(Reading::One(value))) => value,
                action => match action.written() {
                    Some(value) => value,
                    None => continue,
                },
            };
            self.seen.insert(key, value.clone());
        }
    }
}
