//! Which level of isolation a history satisfies, asked directly: is there a commit order?
//!
//! A level is an axiom over a total order of the transactions (Biswas & Enea, OOPSLA 2019): whenever a transaction reads a key from `t1` and
//! sees `t2`, which writes the key too, `t2` comes before `t1`. The levels differ in what *sees* means. The order asked for ([`Within`])
//! belongs to it: what comes before in it is seen, at every level but read committed, where it must only agree with the order. So
//! serializable within real time is strict serializability, snapshot isolation within sessions is strong session snapshot isolation.
//!
//! ```text
//! facts      what each reads from whom and writes, and every violation that a single read shows
//! weak       read committed and read atomic: what each read demands, then one look for circles
//! causal     the same, where clocks tell what is seen
//! events     serializable, snapshot isolation, prefix as one question over reads and writes in time
//! saturate   what those demand in any case
//! search     and the rest, tried
//! ```

pub(crate) mod facts;
mod proof;

pub use proof::{Fault, INITIAL, Link, Proof, Why};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A transaction sees what it has read from so far.
    ReadCommitted,
    /// It sees all that it reads from, and what comes before it in the order asked for.
    ReadAtomic,
    /// It sees also what those have seen.
    Causal,
    /// It sees a beginning of the commit order.
    Prefix,
    /// The same, and all before it in the commit order that wrote a key that it writes.
    SnapshotIsolation,
    /// It sees everything before it in the commit order.
    Serializable,
}

/// Which order the commit order must extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Within {
    /// None.
    Nothing,
    /// Each process's. What follows a transaction with an unknown outcome in its process may still come before it.
    Sessions,
    /// Each process's, and what had completed before what was then invoked. Where times are not recorded, the processes' alone.
    RealTime,
}
