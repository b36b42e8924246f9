//! What clients do, and which guarantees their doing can exercise.
//!
//! A [`Workload`] is a value: a name, what it needs of a database, which guarantees it can exercise, and a function that
//! builds one [`Generator`] for each client. A generator is pure: it answers an operation when asked, sees time only through its
//! [`Context`], learns of completions through [`Generator::observe`], and draws every random choice from the generator it is
//! handed. So a loop can test it, with no cluster, and a seed keeps its meaning.
//!
//! ```text
//! Workload ──build──▶ Generator (one a client) ──next──▶ Draft ──▶ the harness ──▶ observe
//! ```
//!
//! Clients share no state. Values are unique because each carries the client's number; keys rotate because each client
//! computes the window of active keys from how much it has done itself.

pub mod generator;
pub mod window;
pub mod workload;
mod workloads;

pub use generator::{Context, Draft, Generator, Next};
pub use workload::{Capabilities, Params, Workload};
pub use workloads::WORKLOADS;

/// The workload of that name.
pub fn named(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}
