//! The table of checkers: one file per kind.

mod bookings;
pub(crate) mod convergence;
#[doc(hidden)]
pub mod definitions;
mod explainable;
mod ids;
mod linearizable;
mod lost_writes;
mod prefix;
mod sessions;
pub mod staleness;
mod totals;

use self::prefix::{Growth, Prefix};
use self::sessions::{Per, Sessions, SingleOrder};
use crate::checker::Checker;
use crate::visibility::Wants;

/// A checker by name.
pub struct Entry {
    /// The guarantee that it decides.
    pub name: &'static str,
    /// What it promises, in one sentence.
    pub about: &'static str,
    /// Makes it.
    pub build: fn() -> Box<dyn Checker>,
    /// When its verdict counts.
    pub asked: Asked,
}

/// When a guarantee's verdict counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// In every run: it is about what no database may do.
    Always,
    /// When it is promised or asked for; of a history that says nothing of itself, whenever it can be judged.
    OnRequest,
    /// Only when it is asked for by name; otherwise it is shown beside the others.
    ByNameOnly,
}

const NOTHING: Wants =
    Wants { read_your_writes: false, monotonic_reads: false, monotonic_writes: false, writes_follow_reads: false };

const EVERYTHING: Wants =
    Wants { read_your_writes: true, monotonic_reads: true, monotonic_writes: true, writes_follow_reads: true };

/// Every checker, in the order in which reports show them.
pub const CHECKERS: &[Entry] = &[
    Entry {
        name: "explainable",
        about: "Every value that was read was written, once, by a write that did not fail, and before it was read.",
        build: || Box::new(explainable::Explainable),
        asked: Asked::Always,
    },
    Entry {
        name: "lost-writes",
        about: "A write that was acknowledged is there at the end, unless something later replaced it.",
        build: || Box::new(lost_writes::LostWrites),
        asked: Asked::OnRequest,
    },
    Entry {
        name: "read-your-writes",
        about: "A session sees its own acknowledged writes.",
        build: || {
            Box::new(Sessions {
                name: "read-your-writes",
                wants: Wants { read_your_writes: true, ..NOTHING },
                per: Per::Session,
                unit: "reads of a key after an own acknowledged write to it",
            })
        },
        asked: Asked::OnRequest,
    },
    Entry {
        name: "monotonic-reads",
        about: "A session never sees less than it has seen before.",
        build: || {
            Box::new(Sessions {
                name: "monotonic-reads",
                wants: Wants { monotonic_reads: true, ..NOTHING },
                per: Per::Session,
                unit: "reads of a key that had shown the same session something",
            })
        },
        asked: Asked::OnRequest,
    },
    Entry {
        name: "monotonic-writes",
        about: "The writes of a session take effect in the order in which it made them, for everybody.",
        build: || {
            Box::new(Sessions {
                name: "monotonic-writes",
                wants: Wants { monotonic_writes: true, ..NOTHING },
                per: Per::Session,
                unit: "reads that show a write whose author had written something before that the read must show too",
            })
        },
        asked: Asked::OnRequest,
    },
    Entry {
        name: "writes-follow-reads",
        about: "Whoever sees a write also sees what its author had read before making it.",
        build: || {
            Box::new(Sessions {
                name: "writes-follow-reads",
                wants: Wants { writes_follow_reads: true, ..NOTHING },
                per: Per::Session,
                unit: "reads that show a write whose author had read something before that the read must show too",
            })
        },
        asked: Asked::OnRequest,
    },
    Entry {
        name: "pram",
        about: "Everybody sees each session's writes in its order, and a session sees its own and never less.",
        build: || {
            Box::new(Sessions {
                name: "pram",
                wants: Wants { writes_follow_reads: false, ..EVERYTHING },
                per: Per::Session,
                unit: "reads of which something was demanded",
            })
        },
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "causal",
        about: "Whoever sees a write sees everything that could have caused it; a session sees its own and never less.",
        build: || {
            Box::new(Sessions {
                name: "causal",
                wants: EVERYTHING,
                per: Per::Session,
                unit: "reads of which something was demanded",
            })
        },
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "consistent-prefix",
        about: "Every read sees the result of a beginning of one order of all writes.",
        build: || Box::new(Prefix { name: "consistent-prefix", growth: Growth::Free }),
        asked: Asked::OnRequest,
    },
    Entry {
        name: "convergence",
        about: "After healing and settling all replicas hold the same.",
        build: || Box::new(convergence::Convergence),
        asked: Asked::OnRequest,
    },
    Entry {
        name: "linearizable",
        about: "Each register behaves as if there were one copy and every operation took effect at one instant between its call and its answer.",
        build: || Box::new(linearizable::Linearizable),
        asked: Asked::OnRequest,
    },
    Entry {
        name: "read-your-writes-user",
        about: "A user sees on every device what any of them has had acknowledged.",
        build: || {
            Box::new(Sessions {
                name: "read-your-writes-user",
                wants: Wants { read_your_writes: true, ..NOTHING },
                per: Per::User,
                unit: "reads of a key after an acknowledged write to it by any device of the user",
            })
        },
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "monotonic-reads-user",
        about: "A user never sees less on one device than on another before.",
        build: || {
            Box::new(Sessions {
                name: "monotonic-reads-user",
                wants: Wants { monotonic_reads: true, ..NOTHING },
                per: Per::User,
                unit: "reads of a key that had shown any device of the user something",
            })
        },
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "monotonic-prefix",
        about: "Every read sees a beginning of one order of all writes, and a session's beginnings only grow.",
        build: || Box::new(Prefix { name: "monotonic-prefix", growth: Growth::Monotonic }),
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "single-order",
        about: "All sessions see the writes of a register in one order.",
        build: || Box::new(SingleOrder),
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "overwritten-by-concurrent",
        about: "No acknowledged write was dropped in favour of one that did not know of it.",
        build: || Box::new(lost_writes::Overwritten),
        asked: Asked::ByNameOnly,
    },
    Entry {
        name: "totals",
        about: "Whoever reads all accounts of a bank sees the sum that it was opened with.",
        build: || Box::new(totals::Totals),
        asked: Asked::OnRequest,
    },
    Entry {
        name: "one-booking",
        about: "At most one booking of a room is confirmed.",
        build: || Box::new(bookings::OneBooking),
        asked: Asked::OnRequest,
    },
    Entry {
        name: "ids-unique",
        about: "No row's number is given out twice.",
        build: || Box::new(ids::IdsUnique),
        asked: Asked::OnRequest,
    },
];
