//! Which keys are active now.
//!
//! A key that is written for the whole run hides its losses: the next write replaces what was lost. So keys retire: the
//! active ones are a window that slides with the work done, and whatever a failover threw away stays visible at the end
//! in the keys that retired meanwhile. Each client slides its own window by its own count, which needs no shared state;
//! paced clients stay together, and one that was stalled goes on where it was.

use gainsay_checker::Atom;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// A sliding window over keys 0, 1, 2, …
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How many keys are active at once.
    pub active: u64,
    /// How many operations a key gets, over all clients, before it retires.
    pub ops_per_key: u64,
}

impl Window {
    /// A key of the window as it stands after `done` operations of one of `clients` clients.
    pub fn draw(&self, done: u64, clients: usize, rng: &mut ChaCha8Rng) -> i64 {
        (self.base(done, clients) + rng.random_range(0..self.active)) as i64
    }

    /// The smallest active key.
    pub fn base(&self, done: u64, clients: usize) -> u64 {
        done * clients as u64 / self.ops_per_key.max(1)
    }
}

/// Values that no other client writes.
#[derive(Clone, Copy, Debug)]
pub struct UniqueValues {
    next: i64,
    step: i64,
}

impl UniqueValues {
    /// The values of `client` among `clients`: positive, ascending, disjoint from everybody else's.
    pub fn of(client: usize, clients: usize) -> Self {
        UniqueValues { next: 1 + client as i64, step: clients.max(1) as i64 }
    }

    /// The next value.
    pub fn draw(&mut self) -> Atom {
        let value = self.next;
        self.next += self.step;
        Atom::Int(value)
    }
}
