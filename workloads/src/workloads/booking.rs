//! `booking`: rooms that are booked by whoever finds them free.
//!
//! A client looks whether a room is taken and, if not, takes it and writes a row of its own for the booking, both in one transaction. Where the database
//! can compare and set, it takes the room only if that is still free; a database with concurrent versions cannot be asked for that, and
//! its clients do what such applications do: check, then write. Each client asks for a room once.
//! like: the meeting room (DDIA, chapter 5, "What is a conflict?").

use std::collections::BTreeSet;
use std::sync::Arc;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Reading, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{Params, Workload};

/// How many rooms are asked for at once.
const ACTIVE: u64 = 6;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "booking",
    about: "rooms that are taken by whoever finds them free, with a row for each booking",
    exercises: &["lost-writes", "read-your-writes", "monotonic-reads", "convergence", "one-booking"],
    ops_per_key: 8,
    refuses: |can| if can.atomic_reads { None } else { Some("it cannot do anything with several keys at once") },
    user: |_| None,
    build: |params| Box::new(Booking::new(params)),
};

struct Booking {
    values: UniqueValues,
    window: Window,
    client: usize,
    cas: bool,
    done: u64,
    /// A room that was found free just now.
    free: Option<u64>,
    /// Active rooms that this client has asked for.
    asked: BTreeSet<u64>,
}

impl Booking {
    fn new(params: &Params) -> Self {
        Booking {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            client: params.client,
            cas: params.can.cas,
            done: 0,
            free: None,
            asked: BTreeSet::new(),
        }
    }

    fn row(&self, room: u64) -> Atom {
        Atom::Text(Arc::from(format!("room-{room}/by-{}", self.client)))
    }
}

fn taken(room: u64) -> Atom {
    Atom::Text(Arc::from(format!("room-{room}")))
}

impl Generator for Booking {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let base = self.window.base(self.done, context.clients);
        let room = self.window.draw(self.done, context.clients, rng) as u64;
        self.done += 1;
        self.asked = self.asked.split_off(&base);
        if let Some(room) = self.free.take()
            && self.asked.insert(room)
        {
            let new = self.values.draw();
            let take = if self.cas { Action::Cas { old: None, new } } else { Action::Write(new) };
            let row = Step { key: self.row(room), action: Action::Write(self.values.draw()) };
            return Next::Op(Draft {
                function: Function::Txn,
                steps: smallvec![Step { key: taken(room), action: take }, row],
            });
        }
        let key = if self.asked.contains(&room) && rng.random_bool(0.5) { self.row(room) } else { taken(room) };
        Next::Op(Draft { function: Function::Read, steps: smallvec![Step { key, action: Action::Read(None) }] })
    }

    fn observe(&mut self, _: &Context, completion: &OpEvent) {
        let [Step { key: Atom::Text(key), action: Action::Read(Some(Reading::Nil)) }] = completion.steps.as_slice()
        else {
            return;
        };
        if completion.kind == Kind::Ok {
            self.free = key.strip_prefix("room-").and_then(|room| room.parse().ok());
        }
    }
}
