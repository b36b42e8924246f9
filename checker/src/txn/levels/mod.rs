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
//! windows    what those demand within stretches of the history
//! saturate   what those demand in any case
//! search     and the rest, tried
//! ```

mod causal;
mod events;
pub(crate) mod facts;
mod greedy;
mod lanes;
mod precedence;
mod proof;
mod reach;
mod residue;
mod saturate;
mod strong;
mod sweep;
mod weak;
mod windows;

pub use proof::{Fault, INITIAL, Link, Proof, Why};

use crate::evidence::Budget;
use crate::txn::transactions::Transactions;
use facts::Facts;
#[doc(hidden)]
pub use strong::Ways;

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

/// All levels, each implied by the next.
pub const LEVELS: [Level; 6] = [
    Level::ReadCommitted,
    Level::ReadAtomic,
    Level::Causal,
    Level::Prefix,
    Level::SnapshotIsolation,
    Level::Serializable,
];

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

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is a commit order.
    Holds,
    /// There is none.
    Violated(Proof),
    /// It was not found out.
    Unknown {
        /// What stood in the way.
        why: String,
    },
}

/// Whether there is a commit order that extends what is asked for and in which every transaction reads what `level` lets it see.
///
/// Cost: O(n^1.5) for the first two levels, O(n · processes) for causal. The others are NP-complete for registers (Biswas & Enea): they are bounded by
/// `budget`.
pub fn decide(level: Level, within: Within, txns: &Transactions, budget: &Budget) -> Decision {
    decide_by(level, within, txns, budget, Ways { greedy: true, matrix: true, windows: true })
}

/// The same by fewer ways, for tests.
#[doc(hidden)]
pub fn decide_by(level: Level, within: Within, txns: &Transactions, budget: &Budget, ways: Ways) -> Decision {
    let facts = match Facts::of(txns) {
        Ok(facts) => facts,
        Err(proof) => return Decision::Violated(proof),
    };
    let proof = match level {
        Level::ReadCommitted => weak::read_committed(&facts, within),
        Level::ReadAtomic => weak::read_atomic(&facts, within),
        Level::Causal => return or_doubled(causal::causal(&facts, within, budget), &facts),
        Level::Prefix | Level::SnapshotIsolation | Level::Serializable => {
            return or_doubled(strong::strong(&facts, level, within, budget, ways), &facts);
        }
    };
    or_doubled(proof.map_or(Decision::Holds, Decision::Violated), &facts)
}

/// What holds without the reads of doubled values is not known to hold with them.
fn or_doubled(decision: Decision, facts: &Facts) -> Decision {
    let (Decision::Holds, Some(version)) = (&decision, facts.doubled) else { return decision };
    let txns = facts.txns;
    let key = &txns.keys[txns.version_key[version as usize] as usize];
    let value = txns.value(version);
    Decision::Unknown {
        why: format!("several transactions write {value} to {key}, so it is not known which one was read from"),
    }
}
