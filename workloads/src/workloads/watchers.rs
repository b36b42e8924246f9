//! `watchers`: people who only look, beside people who only write.
//!
//! Whoever writes learns soon that the leader has changed; whoever only reads stays with the node that goes on answering. Mixed sessions hide what
//! becomes of the second kind. Even clients write registers of their own in turn, odd ones read anybody's; so a write that hangs keeps one register of
//! its author busy, and not those that others look at.

use gainsay_checker::{Action, Atom, Function, OpEvent, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{Params, Workload};

/// How many registers each writer has at once.
const OWN: u64 = 8;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "watchers",
    about: "sessions that only read registers, beside sessions that only write their own",
    exercises: &["lost-writes", "monotonic-reads", "convergence", "linearizable"],
    ops_per_key: 30,
    refuses: |_| None,
    user: |_| None,
    build: |params| Box::new(Watchers::new(params)),
};

struct Watchers {
    values: UniqueValues,
    window: Window,
    writers: u64,
    /// Which writer this is; `None` for one who only looks.
    writer: Option<u64>,
    done: u64,
}

impl Watchers {
    fn new(params: &Params) -> Self {
        let writers = params.clients.div_ceil(2) as u64;
        Watchers {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: OWN * writers, ops_per_key: params.ops_per_key },
            writers,
            writer: params.client.is_multiple_of(2).then_some(params.client as u64 / 2),
            done: 0,
        }
    }

    /// A register of `writer`: every so many keys of the window one is his.
    fn own(&self, writer: u64, clients: usize, rng: &mut ChaCha8Rng) -> Atom {
        let base = self.window.base(self.done, clients);
        let first = base + (writer + self.writers - base % self.writers) % self.writers;
        Atom::Int((first + self.writers * rng.random_range(0..OWN)) as i64)
    }
}

impl Generator for Watchers {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        self.done += 1;
        let (function, key, action) = match self.writer {
            Some(writer) => {
                (Function::Write, self.own(writer, context.clients, rng), Action::Write(self.values.draw()))
            }
            None => {
                let whose = rng.random_range(0..self.writers);
                (Function::Read, self.own(whose, context.clients, rng), Action::Read(None))
            }
        };
        Next::Op(Draft { function, steps: smallvec![Step { key, action }] })
    }

    fn observe(&mut self, _: &Context, _: &OpEvent) {}
}
