//! Tells each client when its next operation is due.
//!
//! Load is open: operation k of the run is due at k / rate, whatever became of the one before, so a client that was stalled does not
//! hide its stall. Its operations queue up, and latency is counted from when they were due ("coordinated omission", Tene 2013).
//! A runtime's timers fire a millisecond late, which is more than a request takes; so a thread of its own sleeps to the
//! nanosecond (`PR_SET_TIMERSLACK` 1, absolute `clock_nanosleep`) and wakes the clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

/// The longest sleep, so that a stop is noticed.
const STEP: Duration = Duration::from_millis(50);

/// What paces the clients.
pub struct Pacer {
    /// Operations a second over all clients; more than zero.
    pub rate: f64,
    /// Nothing is due at or after this.
    pub until: Instant,
    /// Raised to end early.
    pub stop: Arc<AtomicBool>,
    /// Chooses the jitter.
    pub seed: u64,
}

impl Pacer {
    /// Sends each client the times at which its operations are due, at those times. Closes the channels when it ends.
    pub fn start(self, clients: Vec<mpsc::UnboundedSender<Instant>>) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name("pacer".to_string()).spawn(move || self.run(&clients))
    }

    fn run(&self, clients: &[mpsc::UnboundedSender<Instant>]) {
        let _ = nix::sys::prctl::set_timerslack(1);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let begin = Instant::now();
        for k in 0_u64.. {
            // Each operation falls anywhere in its slot, as Jepsen's stagger does, so that clients meet in every way.
            let slot = k as f64 + rng.random_range(0.0..1.0);
            let due = begin + Duration::from_secs_f64(slot / self.rate);
            if due >= self.until || !self.sleep_until(due) {
                return;
            }
            // A client that has ended no longer listens; the others still do.
            let _ = clients[(k % clients.len() as u64) as usize].send(due);
        }
    }

    /// False when it was told to stop.
    fn sleep_until(&self, due: Instant) -> bool {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(STEP));
        }
    }
}
