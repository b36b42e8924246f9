//! Which harm is done, when, and how it is undone.
//!
//! ```text
//! probe ▶ choose ▶ enter          what this machine allows; the container of processes
//! Hosts                            a node's network, program and clock, by the chosen backends
//! Schedule ▶ engine ▶ Fault        what is done when; each injection proven, watched, healed
//! ```
//!
//! Threads and system calls only, no runtime: the nemesis must go on when everything else is stuck.

pub mod backends;
mod body;
pub mod container;
mod deck;
pub mod disk;
pub mod engine;
pub mod faults;
pub mod hosts;
pub mod link;
mod proxy;
mod rulebook;
pub mod schedule;
pub mod seccomp;
mod switch;
pub mod target;
pub mod vdso;
mod wake;

pub use faults::FAULTS;

/// Why something could not be injected, started or probed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl Error {
    /// An error that says what was attempted, and why it failed.
    pub fn new(attempt: impl std::fmt::Display, why: impl std::fmt::Display) -> Error {
        Error(format!("{attempt}: {why}"))
    }
}
