//! A replicated key-value database in which every way of replicating is a mode.
//!
//! It exists to be tortured and compared: real processes, real sockets, real files, and replication written out plainly. One process is
//! one node, with a directory of its own and a SQLite database in it.
//!
//! ```text
//!  clients ──HTTP──▶ http ─┐                       ┌─▶ replies
//!  peers ───stream─▶ peers ┼─▶ node (one thread) ──┼─▶ messages to peers
//!  time ───────────────────┘     Protocol::step    └─▶ one commit, one fsync for the whole batch
//! ```
//!
//! A mode is a pure `step` over its [`store`]: it takes an input and answers outputs, and holds no socket and no clock. The node gathers
//! whatever has arrived, steps through it inside one SQLite transaction, commits, and only then lets replies and messages leave. So group commit, and
//! "on disk before it is told", hold for every mode by construction, and a reader never sees what is not on disk.
//!
//! What a production database would add and this one leaves out: authentication, more than one core a node, changing the membership while
//! it runs, data larger than memory.

pub mod client;
pub mod config;
mod http;
pub mod mode;
/// What a node is made of, for tests that drive nodes by hand.
#[doc(hidden)]
pub mod modes;
mod node;
pub mod operation;
mod peers;
mod serve;
pub mod store;
pub mod value;

pub use modes::MODES;
pub use serve::main_from;
