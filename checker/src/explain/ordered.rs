//! Models that keep an order: that of sessions, or real time; and models of sessions and of single objects.
//!
//! A drawing breaks its model and none that the model implies directly.

use super::{About, Entry};

/// Of transactions, then of sessions, then the strongest.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "session-serializable",
        aliases: &[],
        about: About::Model,
        meaning: "Serializable, and every process's transactions stand in the order in which it ran them.",
        drawing: "p0  [y+1]  [x:]\n\
            p1    [x+1 y:     ]",
        shows: "p1 comes before p0's first transaction and after its second.",
        look: "See G2-process.",
        systems: &[],
        sources: &["Daudjee and Salem, Lazy Database Replication with Ordering Guarantees (ICDE 2004)"],
    },
    Entry {
        name: "strong-session-read-uncommitted",
        aliases: &["strong-session-PL-1"],
        about: About::Model,
        meaning: "Read uncommitted, and the writes of a process keep their order.",
        drawing: "p0  [x+1]  [x+2]\n\
            p1                [x:2,1]",
        shows: "p0's appends were swapped.",
        look: "See G0-process.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2", "Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "strong-session-read-committed",
        aliases: &["strong-session-PL-2"],
        about: About::Model,
        meaning: "Read committed, and nothing flows from a process's later transactions to its earlier ones.",
        drawing: "p0  [x:1]  [x+1]",
        shows: "p0 read what it wrote only later.",
        look: "See G1c-process.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2", "Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "strong-session-snapshot-isolation",
        aliases: &["strong-session-SI"],
        about: About::Model,
        meaning: "Snapshot isolation whose snapshots hold at least what the session has seen and done before. Replicas \
            with session tokens can give it.",
        drawing: "p0  [x+1]  [x:]",
        shows: "p0's snapshot lacks its own commit.",
        look: "See G-single-process.",
        systems: &[],
        sources: &["Daudjee and Salem, Lazy Database Replication with Snapshot Isolation (VLDB 2006)"],
    },
    Entry {
        name: "strong-session-serializable",
        aliases: &["strong-session-PL-3"],
        about: About::Model,
        meaning: "Serializable without surprises within a session; between sessions stale reads remain possible.",
        drawing: "p0  [y+1]  [x:]\n\
            p1    [x+1 y:     ]",
        shows: "p1 comes before p0's first transaction and after its second.",
        look: "See G2-process.",
        systems: &[],
        sources: &[
            "Daudjee and Salem, Lazy Database Replication with Ordering Guarantees (ICDE 2004)",
            "Kingsbury and Alvaro, Elle (VLDB 2020)",
        ],
    },
    Entry {
        name: "strong-read-uncommitted",
        aliases: &["strong-PL-1"],
        about: About::Model,
        meaning: "Read uncommitted, and a write that began after another was acknowledged counts after it.",
        drawing: "p0  [x+1]\n\
            p1         [x+2]\n\
            p2                [x:2,1]",
        shows: "p1's write, the later one, was put first.",
        look: "See G0-realtime.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2", "Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "strong-read-committed",
        aliases: &["strong-PL-2"],
        about: About::Model,
        meaning: "Read committed, and information does not flow backwards in real time.",
        drawing: "p0  [x:1]\n\
            p1         [x+1]",
        shows: "p0 read what had not begun.",
        look: "See G1c-realtime.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2", "Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "strong-snapshot-isolation",
        aliases: &["strong-SI"],
        about: About::Model,
        meaning: "Snapshot isolation in which every snapshot holds whatever was committed before its transaction \
            began. A single node gives it; replicas that answer at once do not.",
        drawing: "p0  [x+1]\n\
            p1         [x:]",
        shows: "p1's snapshot lacks what was committed before it.",
        look: "See G-single-realtime.",
        systems: &[],
        sources: &["Daudjee and Salem, Lazy Database Replication with Snapshot Isolation (VLDB 2006)"],
    },
    Entry {
        name: "read-your-writes",
        aliases: &["RYW"],
        about: About::Model,
        meaning: "A session sees its own acknowledged writes, or what replaced them. Of others' writes nothing is \
            promised. Databases give it by sticking to a node, by reading from the leader, or by session tokens.",
        drawing: "p0  [x+1]  [x:]",
        shows: "p0's write is missing from its own read.",
        look: "See read-your-writes-violation.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "monotonic-reads",
        aliases: &["MR"],
        about: About::Model,
        meaning: "What a session has seen, it keeps seeing. It may be old, but it does not get older.",
        drawing: "p0  [x+1]\n\
            p1  [x:1]  [x:]",
        shows: "What p1 saw is gone.",
        look: "See monotonic-reads-violation.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "monotonic-writes",
        aliases: &["MW"],
        about: About::Model,
        meaning: "For everybody, a session's later write comes after its earlier ones.",
        drawing: "p0  [x+1]  [y+1]\n\
            p1                [y:1 x:]",
        shows: "p1 sees the second write without the first.",
        look: "See monotonic-writes-violation.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "writes-follow-reads",
        aliases: &["WFR", "session-causality"],
        about: About::Model,
        meaning: "A write is seen only together with what its session had read before it.",
        drawing: "p0  [x+1]\n\
            p1         [x:1]  [y+1]\n\
            p2                       [y:1 x:]",
        shows: "p2 sees p1's write without what p1 had read.",
        look: "See writes-follow-reads-violation.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "PRAM",
        aliases: &["FIFO"],
        about: About::Model,
        meaning: "Read your writes, monotonic reads and monotonic writes together: every session sees the writes of \
            each other session in order, but sessions may disagree about writes of different origin.",
        drawing: "p0  [x=1]  [y=1]\n\
            p1  [x=2]         [y:1]  [x:1]  [x:2]",
        shows: "Each promise holds alone, but no one order explains all that p1 read.",
        look: "See PRAM-violation.",
        systems: &[],
        sources: &[
            "Lipton and Sandberg, PRAM (1988)",
            "Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems (2016)",
        ],
    },
    Entry {
        name: "causal",
        aliases: &["CCv"],
        about: About::Model,
        meaning: "Effects are seen with their causes, by everybody and over any number of steps, and replicas settle \
            conflicts alike. Little more can be promised by a database that still answers while cut off.",
        drawing: "p0  [x+1]  [y+1]\n\
            p1                [y:1]  [z+1]\n\
            p2                              [z:1]  [x:]",
        shows: "p2 sees z and misses x, from which it followed in two steps.",
        look: "See causal-violation.",
        systems: &[],
        sources: &[
            "Ahamad et al., Causal Memory (1995)",
            "Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems (2016)",
        ],
    },
    Entry {
        name: "sequential",
        aliases: &["SC"],
        about: About::Model,
        meaning: "One order of all operations, the same for everybody, in which each process's stand as it issued \
            them. It says nothing of real time: everybody may lag behind. ZooKeeper's reads are the well-known \
            example.",
        drawing: "p0  [x+1]  [y:]\n\
            p1  [y+1]  [x:]",
        shows: "Each wrote, then missed the other's write.",
        look: "See not-sequential.",
        systems: &[],
        sources: &["Lamport, How to Make a Multiprocessor Computer (1979)"],
    },
    Entry {
        name: "linearizable",
        aliases: &[],
        about: About::Model,
        meaning: "Each key behaves like one copy that is changed and read at one instant during the call. Of \
            transactions over several keys it says nothing, and it holds of a history if it holds of every key.",
        drawing: "p0  [x+1]\n\
            p1         [x:]",
        shows: "What p0 had acknowledged is not there when p1 begins.",
        look: "See not-linearizable.",
        systems: &[],
        sources: &["Herlihy and Wing, Linearizability (1990)"],
    },
    Entry {
        name: "strict-serializable",
        aliases: &["strong-serializable", "PL-SS"],
        about: About::Model,
        meaning: "Serializable and linearizable at once: transactions run one after the other in an order that agrees \
            with the clock. Nobody ever reads what is outdated, and whoever is told of a commit finds it.",
        drawing: "p0  [y+1]\n\
            p1    [x+1 y:     ]\n\
            p2         [x:]",
        shows: "p1 comes before p0, p2 before p1, and yet p2 began after p0 was done.",
        look: "See G2-realtime, G-single-realtime and not-strict-serializable.",
        systems: &[],
        sources: &[
            "Papadimitriou, The Serializability of Concurrent Database Updates (1979)",
            "Herlihy and Wing, Linearizability (1990)",
        ],
    },
];
