//! Transactions in flat arrays: the one input of every transactional checker.
//!
//! A million transactions must fit beside each other and be walked many times, so there are no objects: keys and written values were
//! given numbers, a transaction is 24 bytes, a step 8. Lists and registers become one thing: a *version* is a (key, value) pair that somebody
//! wrote or read, an append writes the version that its element is, and a list that was read is the version of its last
//! element, as long as it agrees with the longest list of its key. Where it doesn't, the reading is kept apart, in full.
//!
//! ```text
//! txns      first ──▶ steps   key, version, read or write
//! versions  key, value, writer, place in the key's order
//! orders    first ──▶ the versions of a key in the order in which they were written, where it is known (lists)
//! ```

use crate::history::Outcome;

/// The version of a key that nobody has written.
pub const NIL: u32 = u32::MAX;
/// What a read returned is not known.
pub const UNKNOWN: u32 = u32::MAX - 1;
/// A list that contradicts the longest list of its key; its elements are in [`Transactions::odd`].
pub const ODD: u32 = u32::MAX - 2;
/// Larger than every number of a transaction, step or version.
pub const LIMIT: u32 = u32::MAX - 16;
/// Nobody, as the writer of a version.
pub const NOBODY: u32 = u32::MAX;

/// What writes do to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// They append to lists, so that a read shows the whole order.
    Lists,
    /// They replace a value.
    Registers,
}

/// A transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Txn {
    /// The number of the process (session) that ran it, dense from 0. A process runs one at a time.
    pub process: u32,
    /// Rank of its invocation among all events; 0 where it is not recorded.
    pub start: u32,
    /// Rank of its completion; `u32::MAX` for one that never came or whose outcome is unknown.
    pub end: u32,
    /// Its first step; its last is before the first of the next.
    pub first: u32,
    /// The `:index` that people know it by: of its completion, or of its invocation if there was none.
    pub index: u32,
    /// How it ended: `Ok` is committed, `Fail` aborted, `Info` unknown.
    pub outcome: Outcome,
}

/// One step of a transaction on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    key: u32,
    /// What it read or wrote: a version, or [`NIL`], [`UNKNOWN`], [`ODD`].
    pub version: u32,
}

const WRITE: u32 = 1 << 31;

impl Step {
    /// A read of `key` that returned `version`.
    pub fn read(key: u32, version: u32) -> Step {
        Step { key, version }
    }

    /// A write of `key` that made `version`.
    pub fn write(key: u32, version: u32) -> Step {
        Step { key: key | WRITE, version }
    }

    /// Its key.
    #[inline]
    pub fn key(self) -> u32 {
        self.key & !WRITE
    }

    /// Whether it writes.
    #[inline]
    pub fn writes(self) -> bool {
        self.key & WRITE != 0
    }

    /// Whether it reads a known version or the initial state.
    #[inline]
    pub fn reads(self) -> bool {
        self.key & WRITE == 0 && self.version != UNKNOWN
    }
}

/// A read whose list contradicts others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddRead {
    /// The step.
    pub step: u32,
    /// The versions that its elements are, in its order.
    pub versions: Vec<u32>,
}

/// A name or value as it was written, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// An integer.
    Int(i64),
    /// Anything else.
    Text(Box<str>),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Int(it) => write!(f, "{it}"),
            Name::Text(it) => f.write_str(it),
        }
    }
}

/// All of a history's transactions.
///
/// Sound by construction: steps, versions and keys are in range; per key, values are distinct versions.
#[derive(Clone, Debug)]
pub struct Transactions {
    /// What writes do.
    pub shape: Shape,
    /// In the order of their invocations. Those of one process do not overlap and stand in its order.
    pub txns: Vec<Txn>,
    /// The steps of all, transaction after transaction.
    pub steps: Vec<Step>,
    /// The names of keys.
    pub keys: Vec<Name>,
    /// The key of each version.
    pub version_key: Vec<u32>,
    /// The value of each version: an integer, or a number in `texts` where the high half is set (see [`Transactions::value`]).
    pub version_value: Vec<i64>,
    /// The transaction that wrote each version; [`NOBODY`] for one that was read and never written. Where several did, the first that
    /// did not fail; the others are in `doubles`.
    pub writer: Vec<u32>,
    /// Writes of a version that another transaction (or the same one before) writes too: (transaction, version).
    pub doubles: Vec<(u32, u32)>,
    /// Values that are no integers.
    pub texts: Vec<Box<str>>,
    /// For lists: where the order of each key begins in `orders`; one more than there are keys.
    pub order_first: Vec<u32>,
    /// For lists: the versions of each key's longest list, in its order.
    pub orders: Vec<u32>,
    /// For lists: the place of each version in its key's order, from 0; [`NOBODY`] where no read shows it.
    pub place: Vec<u32>,
    /// For lists: reads that are no beginning of the longest list of their key, ascending by step.
    pub odd: Vec<OddRead>,
    /// The identities of processes, by their numbers.
    pub processes: Vec<u64>,
    /// Nanoseconds of each transaction's invocation and completion, for people; empty where not recorded.
    pub times: Vec<(u64, u64)>,
    /// What had to be assumed.
    pub notes: Vec<String>,
}

/// Values from here down are numbers in `texts`.
pub(crate) const TEXTS: i64 = i64::MIN + (1 << 32);

impl Transactions {
    /// None, of that shape.
    pub fn none(shape: Shape) -> Transactions {
        Transactions {
            shape,
            txns: Vec::new(),
            steps: Vec::new(),
            keys: Vec::new(),
            version_key: Vec::new(),
            version_value: Vec::new(),
            writer: Vec::new(),
            doubles: Vec::new(),
            texts: Vec::new(),
            order_first: Vec::new(),
            orders: Vec::new(),
            place: Vec::new(),
            odd: Vec::new(),
            processes: Vec::new(),
            times: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.txns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.txns.is_empty()
    }

    /// The numbers of the steps of transaction `txn`.
    #[inline]
    pub fn step_range(&self, txn: u32) -> std::ops::Range<usize> {
        let first = self.txns[txn as usize].first as usize;
        let end = self.txns.get(txn as usize + 1).map_or(self.steps.len(), |next| next.first as usize);
        first..end
    }

    /// The steps of transaction `txn`.
    #[inline]
    pub fn steps_of(&self, txn: u32) -> &[Step] {
        &self.steps[self.step_range(txn)]
    }

    /// The transaction to which a step belongs. Cost: a binary search.
    pub fn txn_of(&self, step: u32) -> u32 {
        self.txns.partition_point(|txn| txn.first <= step) as u32 - 1
    }

    /// The value of a version, for people.
    pub fn value(&self, version: u32) -> Name {
        if version >= LIMIT {
            return Name::Text("nil".into());
        }
        let value = self.version_value[version as usize];
        if value < TEXTS { Name::Text(self.texts[(value - i64::MIN) as usize].clone()) } else { Name::Int(value) }
    }

    /// The versions of a key in order, as its longest list shows them.
    pub fn order(&self, key: u32) -> &[u32] {
        let (Some(&first), Some(&end)) = (self.order_first.get(key as usize), self.order_first.get(key as usize + 1))
        else {
            return &[];
        };
        &self.orders[first as usize..end as usize]
    }

    /// Whether a transaction may have taken effect.
    #[inline]
    pub fn may_count(&self, txn: u32) -> bool {
        self.txns[txn as usize].outcome != Outcome::Fail
    }
}
