//! What every read must see, and which reads could not have.
//!
//! Session guarantees (Terry et al. 1994) are conditions on `vis(r)`, the writes that a read took into account, and on
//! `ar`, the order in which writes count (Burckhardt 2014). Neither is visible to a client. This file computes, for a set of
//! guarantees, the *least* set `F(r)` that each read must have seen: what it shows, closed under the guarantees. It goes
//! key by key, and for each key once through the events in time:
//!
//! ```text
//! write invoked     D(w) = what its session has written (monotonic writes) and read (writes-follow-reads) so far
//! write acked       the session has written w and D(w)
//! read completed    F(r) = what it shows, D of that, what its session has written (read-your-writes) and read (monotonic reads)
//! ```
//!
//! A list or set that lacks something in F is a violation at once, and so is a register that returns a write known to
//! count before one in F, or the initial value with anything in F. Where no order is known, the read *demands*
//! that everything in F counts before what it returned; demands that run in a circle are the violation
//! ([`circles`](crate::circles)). A value that several writes wrote, and nil where the key was deleted, stand for a write of their
//! own that nobody else shows: weaker than trying each candidate, and never an alarm too many.
//!
//! Guarantees that do not pass through writes need only the events of the key itself: O(n) over all keys. The others need all
//! events while the key lives: O(n · keys alive at a time). Around 100 bytes an operation.

mod clocks;
mod judging;
mod run;
mod seen;

pub(crate) use run::Walk;
pub(crate) use seen::Seen;

use crate::facts::{Facts, Kind};

/// The guarantees that are asked for together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) read_your_writes: bool,
    pub(crate) monotonic_reads: bool,
    pub(crate) monotonic_writes: bool,
    pub(crate) writes_follow_reads: bool,
}

impl Wants {
    /// Whether what somebody must see can depend on who wrote what he saw.
    pub(crate) fn through_writes(self) -> bool {
        self.monotonic_writes || self.writes_follow_reads
    }
}

/// How what reads must see is worked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// Whichever costs less.
    #[default]
    Cheapest,
    /// Key by key.
    Walk,
    /// All keys at once, as far as that goes.
    Clocks,
}

/// Who did each operation: a session, or a user with all of his devices.
#[derive(Clone, Copy)]
pub(crate) struct Actors<'a> {
    /// By operation.
    pub(crate) of: &'a [u32],
    /// How many there are.
    pub(crate) count: usize,
}

/// A read that shows less than it must.
#[derive(Clone, Debug)]
pub(crate) struct Lack {
    /// The part of the read.
    pub(crate) part: u32,
    /// The write in F that it lacks, or that counts after what it returned. May be a stand-in.
    pub(crate) missing: u32,
}

/// A read that can only be right if one write counts before another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) part: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// What a walk found.
#[derive(Default)]
pub(crate) struct Sight {
    pub(crate) lacks: Vec<Lack>,
    pub(crate) demands: Vec<Demand>,
    /// Parts of which the guarantees demanded something, with the write that stands for it.
    pub(crate) opportunities: u64,
    pub(crate) sharp: u64,
    /// The parts that stand-ins were made for: the stand-in's number is the number of writes plus the position here.
    pub(crate) stand_ins: Vec<u32>,
}

/// How much of F must be kept for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The largest place.
    Top,
    /// The writes that nothing else in F is known to follow.
    Latest,
    /// Everything.
    All,
    /// The key is not judged.
    Nothing,
}

/// How much of F must be kept for `key`.
pub(crate) fn keep(facts: &Facts, key: usize) -> Keep {
    let entry = &facts.keys[key];
    let dotted = || entry.writes.iter().any(|&write| facts.writes[write as usize].dot.is_some());
    match entry.kind {
        Kind::Mixed => Keep::Nothing,
        Kind::List if entry.scattered => Keep::All,
        Kind::List => Keep::Top,
        Kind::Set => Keep::All,
        Kind::Register if entry.siblings || dotted() => Keep::All,
        Kind::Register => Keep::Latest,
    }
}
