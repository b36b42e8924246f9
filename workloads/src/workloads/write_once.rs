//! `write-once`: every key is written exactly once and read by everybody, as with log entries, events or pictures under names of their own.
//!
//! Where nothing is ever overwritten, no clock and no order of arrival can decide wrongly, so a mode that resolves conflicts by dropping
//! writes has nothing to drop. A client's keys are its own; it reads its newest, and those that others write about now.

use gainsay_checker::{Action, Atom, Function, OpEvent, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::UniqueValues;
use crate::workload::Workload;

/// So many of each client's newest keys are read.
const NEWEST: u64 = 8;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "write-once",
    about: "keys that are written once and read while they are new",
    exercises: &["lost-writes", "read-your-writes", "monotonic-reads", "convergence", "linearizable"],
    ops_per_key: 1,
    refuses: |_| None,
    user: |_| None,
    build: |params| Box::new(WriteOnce { values: UniqueValues::of(params.client, params.clients), written: 0 }),
};

struct WriteOnce {
    values: UniqueValues,
    /// How many keys this client has written.
    written: u64,
}

impl WriteOnce {
    /// The `nth` key of `client` among `clients`.
    fn key(nth: u64, client: usize, clients: usize) -> Atom {
        Atom::Int((nth * clients as u64 + client as u64) as i64)
    }
}

impl Generator for WriteOnce {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let draft = if self.written == 0 || rng.random_bool(0.5) {
            let key = WriteOnce::key(self.written, context.client, context.clients);
            self.written += 1;
            Draft {
                function: Function::Write,
                steps: smallvec![Step { key, action: Action::Write(self.values.draw()) }],
            }
        } else {
            let client =
                if rng.random_bool(0.5) { context.client } else { rng.random_range(0..context.clients.max(1)) };
            let nth = self.written - 1 - rng.random_range(0..NEWEST.min(self.written));
            let key = WriteOnce::key(nth, client, context.clients);
            Draft { function: Function::Read, steps: smallvec![Step { key, action: Action::Read(None) }] }
        };
        Next::Op(draft)
    }

    fn observe(&mut self, _: &Context, _: &OpEvent) {}
}
