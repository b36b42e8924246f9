//! `session`: people who edit a profile from two devices and write to a common feed.
//!
//! Clients 2u and 2u + 1 are the two devices of user u. A profile is a register that its user's devices write, delete and
//! read; a feed is a list that everybody appends to. One atomic request reads the own profile, another's and the feed
//! together. So every session guarantee, those across a user's devices too, has its opportunities in one run.

use std::sync::Arc;

use gainsay_checker::{Action, Atom, Function, OpEvent, Step, Steps};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::UniqueValues;
use crate::workload::{ORDER_SESSIONS_AND_USERS, Params, Workload};

/// How many feeds are active at once.
const FEEDS: u64 = 3;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "session",
    about: "users with two devices each: profiles written, deleted and read, common feeds, reads of several keys at once",
    exercises: ORDER_SESSIONS_AND_USERS,
    ops_per_key: 100,
    refuses: |can| {
        if !can.lists {
            Some("it has no lists")
        } else if !can.deletes {
            Some("it cannot delete")
        } else {
            None
        }
    },
    user: |client| Some(client / 2),
    build: |params| Box::new(Session::new(params)),
};

struct Session {
    values: UniqueValues,
    user: usize,
    several: bool,
    ops_per_key: u64,
    done: u64,
}

impl Session {
    fn new(params: &Params) -> Self {
        Session {
            values: UniqueValues::of(params.client, params.clients),
            user: params.client / 2,
            several: params.can.atomic_reads,
            ops_per_key: params.ops_per_key.max(1),
            done: 0,
        }
    }

    /// A user's profile is used by two devices only, so it retires after as many operations of its own.
    fn profile(&self, user: usize) -> Atom {
        Atom::Text(Arc::from(format!("profile-{user}.{}", self.done * 2 / self.ops_per_key)))
    }

    fn feed(&self, clients: usize, rng: &mut ChaCha8Rng) -> Atom {
        let base = self.done * clients as u64 / (2 * self.ops_per_key);
        Atom::Text(Arc::from(format!("feed-{}", base + rng.random_range(0..FEEDS))))
    }
}

impl Generator for Session {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let own = self.profile(self.user);
        let users = context.clients.div_ceil(2);
        let other = self.profile(rng.random_range(0..users));
        let feed = self.feed(context.clients, rng);
        self.done += 1;
        let one = |function, key, action| Draft { function, steps: smallvec![Step { key, action }] };
        let read = |key: Atom| Step { key, action: Action::Read(None) };
        Next::Op(match rng.random_range(0..100) {
            0..22 => one(Function::Write, own, Action::Write(self.values.draw())),
            22..26 => one(Function::Delete, own, Action::Delete),
            26..46 => one(Function::Append, feed, Action::Append(self.values.draw())),
            46..62 => one(Function::Read, own, Action::Read(None)),
            62..72 => one(Function::Read, feed, Action::Read(None)),
            _ if !self.several => one(Function::Read, other, Action::Read(None)),
            _ => {
                let mut steps: Steps = smallvec![read(own), read(feed)];
                if other != steps[0].key {
                    steps.push(read(other));
                }
                Draft { function: Function::Txn, steps }
            }
        })
    }

    fn observe(&mut self, _: &Context, _: &OpEvent) {}
}
