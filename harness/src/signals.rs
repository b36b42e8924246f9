//! Ctrl-C and SIGTERM: once means stop in order, twice means stop at once.
//!
//! A thread waits for the signals, which every other thread blocks; so no handler has to be safe at any moment, and the count is
//! exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

/// What to do when the second signal comes.
pub type AtOnce = Box<dyn Fn() + Send>;

/// Two signals closer together than this are one: a terminal's Ctrl-C can reach us directly and through whoever started us.
const ONE_PRESS: Duration = Duration::from_millis(100);

/// Raised by the first signal.
#[derive(Clone, Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
}

impl Interrupt {
    /// Whether a signal has come.
    pub fn raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// The flag itself.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.raised.clone()
    }

    /// Starts listening. To be called before any other thread exists, so that all of them inherit the blocked signals.
    pub fn listen(at_once: AtOnce) -> anyhow::Result<Interrupt> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals), None)?;
        let interrupt = Interrupt::default();
        let raised = interrupt.raised.clone();
        std::thread::Builder::new().name("signals".to_string()).spawn(move || {
            let mut first: Option<Instant> = None;
            while signals.wait().is_ok() {
                match first {
                    None => {
                        first = Some(Instant::now());
                        raised.store(true, Ordering::Relaxed);
                        crate::talk::line(
                            "stopping in order: heal, stop the nodes, check what there is (again to stop at once)",
                        );
                    }
                    Some(at) if at.elapsed() > ONE_PRESS => at_once(),
                    Some(_) => {}
                }
            }
        })?;
        Ok(interrupt)
    }
}
