//! A workload as a value.

use crate::generator::Generator;

/// What a database can do, asked before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Compare-and-set on registers.
    pub cas: bool,
    /// Lists that can be appended to.
    pub lists: bool,
    /// Sets.
    pub sets: bool,
    /// Deleting keys.
    pub deletes: bool,
    /// Reads of several keys as one atomic request.
    pub atomic_reads: bool,
}

/// What a generator is built from.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Which client it is for, from 0.
    pub client: usize,
    /// How many clients there are.
    pub clients: usize,
    /// What the database can do.
    pub can: Capabilities,
    /// How many operations a key gets before it retires.
    pub ops_per_key: u64,
}

/// What reads of several keys, or of lists and sets, give opportunities for: everything but linearizability, which is judged on registers.
pub const ORDER_AND_SESSIONS: &[&str] = &[
    "lost-writes",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "consistent-prefix",
    "convergence",
];

/// The same, and what only users with several devices give opportunities for.
pub const ORDER_SESSIONS_AND_USERS: &[&str] = &[
    "lost-writes",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "consistent-prefix",
    "convergence",
    "read-your-writes-user",
    "monotonic-reads-user",
];

/// Clients' behaviour, and what it is good for.
pub struct Workload {
    /// The name in flags and files.
    pub name: &'static str,
    /// One sentence for `gainsay list`.
    pub about: &'static str,
    /// The guarantees that it gives opportunities for.
    pub exercises: &'static [&'static str],
    /// How many operations a key gets before it retires, unless told otherwise.
    pub ops_per_key: u64,
    /// Why it cannot run on a database with these capabilities; `None` if it can.
    pub refuses: fn(&Capabilities) -> Option<&'static str>,
    /// The user to whom a client's session belongs; `None` where users are not part of it.
    pub user: fn(usize) -> Option<usize>,
    /// Builds the generator of one client.
    pub build: fn(&Params) -> Box<dyn Generator>,
}
