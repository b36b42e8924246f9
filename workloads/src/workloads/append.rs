//! `append`: appends to lists and reads of one or several lists.
//!
//! Lists tell most: a read shows exactly which appends are visible and in which order, so the order of writes is observed
//! instead of assumed. Reads of several lists, as one atomic request, are what consistent prefix needs.

use gainsay_checker::{Action, Atom, Function, OpEvent, Step, Steps};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{ORDER_AND_SESSIONS, Params, Workload};

/// How many lists are active at once.
const ACTIVE: u64 = 6;
/// How many lists a read of several takes at most.
const READ_AT_ONCE: usize = 3;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "append",
    about: "appends to lists, reads of one or several lists at once",
    exercises: ORDER_AND_SESSIONS,
    ops_per_key: 100,
    refuses: |can| if can.lists { None } else { Some("it has no lists") },
    user: |_| None,
    build: |params| Box::new(Append::new(params)),
};

struct Append {
    values: UniqueValues,
    window: Window,
    several: bool,
    done: u64,
}

impl Append {
    fn new(params: &Params) -> Self {
        Append {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            several: params.can.atomic_reads,
            done: 0,
        }
    }
}

impl Generator for Append {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let key = self.window.draw(self.done, context.clients, rng);
        let roll = rng.random_range(0..100);
        let draft = if roll < 45 {
            let action = Action::Append(self.values.draw());
            Draft { function: Function::Append, steps: smallvec![Step { key: Atom::Int(key), action }] }
        } else if roll < 70 && self.several {
            let mut steps: Steps = smallvec![read(key)];
            while steps.len() < READ_AT_ONCE {
                let other = self.window.draw(self.done, context.clients, rng);
                if steps.iter().any(|step| step.key == Atom::Int(other)) {
                    break;
                }
                steps.push(read(other));
            }
            Draft { function: Function::Txn, steps }
        } else {
            Draft { function: Function::Read, steps: smallvec![read(key)] }
        };
        self.done += 1;
        Next::Op(draft)
    }

    fn observe(&mut self, _: &Context, _: &OpEvent) {}
}

fn read(key: i64) -> Step {
    Step { key: Atom::Int(key), action: Action::Read(None) }
}
