//! A disk in trouble: an fsync that comes late or fails, until told otherwise. Reads and writes go on, as they do while the page cache serves them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What is to be done to fsyncs now.
#[derive(Default)]
pub(super) struct Trouble {
    delay_ms: AtomicU64,
    fails: AtomicBool,
    /// How many fsyncs were delayed or failed.
    met: AtomicU64,
}

/// How an fsync is answered.
pub(super) enum Sync {
    /// At once.
    Well,
    /// After this long.
    Late(Duration),
    /// With an error.
    Fails,
}

impl Trouble {
    /// Every fsync takes so much longer; zero ends it.
    pub(super) fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// Every fsync fails, or none.
    pub(super) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// How many fsyncs have met trouble so far.
    pub(super) fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }

    /// Decides about one fsync.
    pub(super) fn of_sync(&self) -> Sync {
        let delay = self.delay_ms.load(Ordering::Relaxed);
        let answer = match (self.fails.load(Ordering::Relaxed), delay) {
            (true, _) => Sync::Fails,
            (false, 0) => return Sync::Well,
            (false, delay) => Sync::Late(Duration::from_millis(delay)),
        };
        self.met.fetch_add(1, Ordering::Relaxed);
        answer
    }
}
