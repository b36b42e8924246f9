//! `profile`: each client edits and clears a page about itself, looks at it, and at those of strangers.
//!
//! One author a page, so nothing is written concurrently but by the author's own writes of unknown outcome: what a reader sees in the wrong order, or
//! sees again after it was cleared, no conflict explains. Registers and deletes alone, for databases that have neither lists nor sets.
//! like: one's own profile (DDIA, chapter 5, "Reading Your Own Writes").

use gainsay_checker::{Action, Atom, Function, OpEvent, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::UniqueValues;
use crate::workload::{Params, Workload};

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "profile",
    about: "pages that only their owner edits and clears, read by the owner and by strangers",
    exercises: &["lost-writes", "read-your-writes", "monotonic-reads", "convergence", "linearizable"],
    ops_per_key: 12,
    refuses: |can| if can.deletes { None } else { Some("it cannot delete") },
    user: |_| None,
    build: |params| Box::new(Profile::new(params)),
};

struct Profile {
    values: UniqueValues,
    ops_per_key: u64,
    done: u64,
}

impl Profile {
    fn new(params: &Params) -> Self {
        let values = UniqueValues::of(params.client, params.clients);
        Profile { values, ops_per_key: params.ops_per_key.max(1), done: 0 }
    }

    /// The page of `client`: a new one after every so many operations on it, about as many by its owner as by strangers.
    fn page(&self, client: usize, clients: usize) -> Atom {
        Atom::Int((self.done / self.ops_per_key) as i64 * clients.max(1) as i64 + client as i64)
    }
}

impl Generator for Profile {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let own = self.page(context.client, context.clients);
        let other = self.page(rng.random_range(0..context.clients.max(1)), context.clients);
        self.done += 1;
        let (function, key, action) = match rng.random_range(0..100) {
            0..25 => (Function::Write, own, Action::Write(self.values.draw())),
            25..38 => (Function::Delete, own, Action::Delete),
            38..65 => (Function::Read, own, Action::Read(None)),
            _ => (Function::Read, other, Action::Read(None)),
        };
        Next::Op(Draft { function, steps: smallvec![Step { key, action }] })
    }

    fn observe(&mut self, _: &Context, _: &OpEvent) {}
}
