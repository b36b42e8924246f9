//! Link rules handed from whoever changes them to the thread that applies them.
//!
//! The thread works by its own copy and reads the shared one only when a counter says that it changed, so a network
//! without faults pays one atomic load a turn. Whoever changes rules waits until the thread has taken them: a cut is in
//! force when the call that made it returns.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Error;
use crate::hosts::LinkRule;
use crate::wake;

/// How long a change of rules waits for the thread to take it up.
const CHANGE_LIMIT: Duration = Duration::from_secs(5);

/// The rules of all directed links (row: from, column: to), shared by two threads.
pub(crate) struct Rulebook {
    rules: Mutex<Vec<LinkRule>>,
    /// Counts changes of `rules`.
    version: AtomicU64,
    /// The version the thread works by.
    taken: Mutex<u64>,
    taken_changed: Condvar,
    stop: AtomicBool,
    /// Rung at every change.
    pub(crate) wake: OwnedFd,
}

impl Rulebook {
    /// Lets every link between `sides` pass.
    pub(crate) fn new(sides: usize) -> io::Result<Rulebook> {
        Ok(Rulebook {
            rules: Mutex::new(vec![LinkRule::default(); sides * sides]),
            version: AtomicU64::new(0),
            taken: Mutex::new(0),
            taken_changed: Condvar::new(),
            stop: AtomicBool::new(false),
            wake: wake::event()?,
        })
    }

    /// Replaces all rules and waits until they are in force.
    pub(crate) fn change(&self, rules: &[LinkRule]) -> Result<(), Error> {
        let version = {
            let mut current = lock(&self.rules);
            current.clear();
            current.extend_from_slice(rules);
            self.version.fetch_add(1, Ordering::Release) + 1
        };
        wake::ring(&self.wake);
        let (taken, _) = self
            .taken_changed
            .wait_timeout_while(lock(&self.taken), CHANGE_LIMIT, |taken| *taken < version)
            .unwrap_or_else(PoisonError::into_inner);
        if *taken < version {
            return Err(Error::new("changing link rules", "the network's thread does not respond"));
        }
        Ok(())
    }

    /// Lets `take` have the rules if they are newer than `known`, and says so to whoever changed them.
    pub(crate) fn take_newer(&self, known: &mut u64, take: impl FnOnce(&[LinkRule])) {
        if self.version.load(Ordering::Acquire) == *known {
            return;
        }
        {
            let rules = lock(&self.rules);
            *known = self.version.load(Ordering::Acquire);
            take(&rules);
        }
        *lock(&self.taken) = *known;
        self.taken_changed.notify_all();
    }

    /// Asks the thread to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        wake::ring(&self.wake);
    }

    /// Whether the thread is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
