//! `set`: adds to and removes from sets, reads of whole sets. `insert-then-update`: the same, but whoever reads an element removes it.
//!
//! Each element is added once, ever. In `set` a client removes only elements that it added itself and that were acknowledged, so
//! that a removed element that comes back is a resurrection and nothing else. In `insert-then-update` one inserts and another, who has
//! seen it, updates: where the update arrives first somewhere it finds nothing, and its effect is lost.
//! like: a row updated before it is there (DDIA, figure 5-9).

use std::collections::VecDeque;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Reading, Step, Steps};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{ORDER_AND_SESSIONS, Params, Workload};

/// How many sets are active at once.
const ACTIVE: u64 = 4;
/// How many own elements are remembered as candidates for removal.
const REMEMBERED: usize = 64;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "set",
    about: "adds to and removes from sets, reads of one or two sets",
    exercises: ORDER_AND_SESSIONS,
    ops_per_key: 100,
    refuses: |can| if can.sets { None } else { Some("it has no sets") },
    user: |_| None,
    build: |params| Box::new(Set::new(params, Whose::Own)),
};

/// The table's line for updates of what others inserted.
pub const INSERT_THEN_UPDATE: Workload = Workload {
    name: "insert-then-update",
    about: "elements that one client adds and another, who has read them, removes",
    build: |params| Box::new(Set::new(params, Whose::Read)),
    ..WORKLOAD
};

/// Which elements a client removes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those that it added.
    Own,
    /// Those that it read last.
    Read,
}

struct Set {
    values: UniqueValues,
    window: Window,
    several: bool,
    done: u64,
    whose: Whose,
    /// What may be removed, the next one first.
    candidates: VecDeque<(Atom, Atom)>,
}

impl Set {
    fn new(params: &Params, whose: Whose) -> Self {
        Set {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            several: params.can.atomic_reads,
            done: 0,
            whose,
            candidates: VecDeque::new(),
        }
    }
}

impl Generator for Set {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let key = Atom::Int(self.window.draw(self.done, context.clients, rng));
        let other = Atom::Int(self.window.draw(self.done, context.clients, rng));
        self.done += 1;
        let roll = rng.random_range(0..100);
        let read = |key: &Atom| Step { key: key.clone(), action: Action::Read(None) };
        if roll < 12
            && let Some((key, element)) = self.candidates.pop_front()
        {
            let steps = smallvec![Step { key, action: Action::Remove(element) }];
            return Next::Op(Draft { function: Function::Remove, steps });
        }
        if roll < 50 {
            let steps = smallvec![Step { key, action: Action::Add(self.values.draw()) }];
            return Next::Op(Draft { function: Function::Add, steps });
        }
        if roll < 65 && self.several && other != key {
            let steps: Steps = smallvec![read(&key), read(&other)];
            return Next::Op(Draft { function: Function::Txn, steps });
        }
        Next::Op(Draft { function: Function::Read, steps: smallvec![read(&key)] })
    }

    fn observe(&mut self, _: &Context, completion: &OpEvent) {
        if completion.kind != Kind::Ok {
            return;
        }
        for step in &completion.steps {
            match (&step.action, self.whose) {
                (Action::Add(element), Whose::Own) => {
                    self.candidates.push_back((step.key.clone(), element.clone()));
                    if self.candidates.len() > REMEMBERED {
                        self.candidates.pop_front();
                    }
                }
                // The newest that was seen, and only that: what is read again and again would be removed again and again.
                (Action::Read(Some(Reading::Many(elements))), Whose::Read) => {
                    self.candidates.clear();
                    self.candidates.extend(elements.last().map(|element| (step.key.clone(), element.clone())));
                }
                _ => {}
            }
        }
    }
}
