//! `auto-increment`: rows with numbers that a counter gives, and clients who keep the numbers of their own rows outside.
//!
//! A table's counter and its rows are registers of the database. An insert takes the number after the last and creates the row, in one transaction,
//! as a sequence does. What a client keeps of its own rows' numbers no failover takes back: later it asks for a row by such a number, as an
//! application does that has it in a cache. like: GitHub's outage of September 2012, MySQL's auto-increment behind an asynchronous failover.

use std::collections::VecDeque;
use std::sync::Arc;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Reading, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{Params, Workload};

/// How many tables are in use at once.
const ACTIVE: u64 = 6;
/// How many numbers a client keeps.
const KEPT: usize = 32;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "auto-increment",
    about: "rows numbered by a counter, and clients who keep the numbers of their rows outside",
    exercises: &["lost-writes", "read-your-writes", "monotonic-reads", "convergence", "ids-unique"],
    ops_per_key: 200,
    refuses: |can| match (can.cas, can.atomic_reads) {
        (false, _) => Some("it cannot compare and set"),
        (_, false) => Some("it cannot do anything with several keys at once"),
        _ => None,
    },
    user: |_| None,
    build: |params| Box::new(AutoIncrement::new(params)),
};

struct AutoIncrement {
    values: UniqueValues,
    window: Window,
    done: u64,
    /// A counter that was read just now, as it stands.
    fresh: Option<(Atom, Option<Atom>)>,
    /// Own rows whose insert was acknowledged.
    kept: VecDeque<Atom>,
}

impl AutoIncrement {
    fn new(params: &Params) -> Self {
        AutoIncrement {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            done: 0,
            fresh: None,
            kept: VecDeque::new(),
        }
    }

    /// Takes the number after the last and creates its row.
    fn insert(&mut self, counter: Atom, last: Option<Atom>) -> Draft {
        let number = last.as_ref().and_then(number).unwrap_or(0) + 1;
        let row = Atom::Text(Arc::from(counter.to_string().replace("/next", &format!("/row-{number}"))));
        let next = Atom::Text(Arc::from(format!("{number}#{}", self.values.draw())));
        let steps = smallvec![
            Step { key: counter, action: Action::Cas { old: last, new: next } },
            Step { key: row, action: Action::Cas { old: None, new: self.values.draw() } },
        ];
        Draft { function: Function::Txn, steps }
    }
}

/// The number that a counter holds, written as `NUMBER#WRITE` so that every value is unique.
fn number(value: &Atom) -> Option<u64> {
    let Atom::Text(text) = value else { return None };
    text.split('#').next()?.parse().ok()
}

impl Generator for AutoIncrement {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let table = self.window.draw(self.done, context.clients, rng);
        self.done += 1;
        if let Some((counter, last)) = self.fresh.take() {
            return Next::Op(self.insert(counter, last));
        }
        let key = match self.kept.len() {
            kept if kept > 0 && rng.random_range(0..100) < 35 => self.kept[rng.random_range(0..kept)].clone(),
            _ => Atom::Text(Arc::from(format!("table-{table}/next"))),
        };
        Next::Op(Draft { function: Function::Read, steps: smallvec![Step { key, action: Action::Read(None) }] })
    }

    fn observe(&mut self, _: &Context, completion: &OpEvent) {
        if completion.kind != Kind::Ok {
            return;
        }
        match completion.steps.as_slice() {
            [Step { key, action: Action::Read(Some(seen)) }] if key.to_string().ends_with("/next") => {
                self.fresh = match seen {
                    Reading::Nil => Some((key.clone(), None)),
                    Reading::One(value) => Some((key.clone(), Some(value.clone()))),
                    Reading::Many(_) | Reading::Siblings(_) => None,
                };
            }
            [_, Step { key, action: Action::Cas { .. } }] => {
                self.kept.push_back(key.clone());
                if self.kept.len() > KEPT {
                    self.kept.pop_front();
                }
            }
            _ => {}
        }
    }
}
