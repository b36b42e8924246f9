//! Why a level does not hold.

/// The initial state, where a transaction is named.
pub const INITIAL: u32 = u32::MAX;

/// What is wrong with a single read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It returned what nobody wrote.
    ThinAir,
    /// It returned what a failed transaction wrote (Adya's G1a).
    Aborted,
    /// It returned what its writer then replaced or appended to (G1b).
    Intermediate,
    /// It returned what its own transaction wrote only later.
    Future,
    /// It returned other than what its own transaction had just written.
    Internal,
    /// It returned a list that contradicts a longer one of its key.
    Incompatible,
}

/// What shows that a level does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A read that no level allows.
    Read {
        /// What is wrong with it.
        fault: Fault,
        /// Who read.
        reader: u32,
        /// The step.
        step: u32,
        /// The version, if it is one.
        version: u32,
        /// Who wrote it, if anybody.
        writer: Option<u32>,
    },
    /// Lists show two appends of one transaction in another order than its own.
    Shuffled {
        /// The transaction.
        txn: u32,
        /// The key.
        key: u32,
        /// The version that it appended first.
        first: u32,
        /// The version that it appended then.
        second: u32,
    },
    /// Each comes before the next, the last before the first.
    Cycle(Vec<Link>),
    /// Every order of these was tried.
    NoOrder(Vec<u32>),
}

/// One transaction before another in the commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The earlier, or [`INITIAL`].
    pub from: u32,
    /// The later, or [`INITIAL`].
    pub to: u32,
    /// Why.
    pub why: Why,
}

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The initial state comes before everything.
    Initial,
    /// The same process ran it before.
    Session,
    /// It had completed before the other was invoked.
    RealTime,
    /// The other read `key` from it.
    ReadsFrom {
        /// The key.
        key: u32,
    },
    /// Its append is before the other's in the list `key`, or shown where the other's is not.
    Order {
        /// The key.
        key: u32,
    },
    /// It is seen by `by`, which reads `key` from the other; both wrote `key`.
    Seen {
        /// The transaction that sees it.
        by: u32,
        /// The key.
        key: u32,
    },
    /// It is seen by `by`, which reads `key` from a chain of updates, each of the one before, that begins with the other.
    SeenUpdated {
        /// The transaction that sees it.
        by: u32,
        /// The key.
        key: u32,
    },
    /// It is in a chain of updates of `key`, each of the one before, that begins with `first`, which comes before the other. The other writes the key
    /// too, and cannot come between.
    Updates {
        /// Where the chain begins: a transaction or [`INITIAL`].
        first: u32,
        /// The key.
        key: u32,
    },
    /// It read `key` from `source`, and the other writes `key` after `source`.
    Overwritten {
        /// The transaction from which it read, or [`INITIAL`].
        source: u32,
        /// The key.
        key: u32,
    },
    /// Both write `key`, and the other cannot come first, so it begins only after this one's commit: the first committer wins.
    Conflict {
        /// The key.
        key: u32,
    },
}
