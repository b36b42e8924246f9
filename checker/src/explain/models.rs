//! Consistency models of transactions that know neither sessions nor time.
//!
//! A drawing breaks its model and none that the model implies directly. It is empty where that cannot be:
//! where a model is the sum of what it implies.

use super::{About, Entry};

/// Stronger ones later.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "read-uncommitted",
        aliases: &["PL-1"],
        about: About::Model,
        meaning: "The weakest level: writes of different transactions do not mix, and reads promise nothing. SQL \
            databases offer it under this name; PostgreSQL gives read committed instead.",
        drawing: "p0  [x+1 y+1    ]\n\
            p1   [x+2 y+2  ]\n\
            p2                 [x:1,2 y:2,1]",
        shows: "On x p0 came first, on y p1.",
        look: "See G0.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2"],
    },
    Entry {
        name: "read-committed",
        aliases: &["PL-2"],
        about: About::Model,
        meaning: "What is read was committed, in its final form, and information flows one way. A transaction may \
            still read one key before and another after somebody's commit. It is the default of PostgreSQL, \
            Oracle and SQL Server.",
        drawing: "p0  [x+1!\n\
            p1         [x:1]",
        shows: "p1 reads what failed.",
        look: "See G1a, G1b and G1c.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2"],
    },
    Entry {
        name: "monotonic-atomic-view",
        aliases: &["MAV"],
        about: About::Model,
        meaning: "Read committed, and what was seen of a transaction does not vanish: after one of its effects, all of \
            them are there. It can be kept while replicas are cut off from one another.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x:1 y:]",
        shows: "p1 sees p0 on x and then misses it on y.",
        look: "See observed-transaction-vanishes.",
        systems: &[],
        sources: &["Bailis et al., Highly Available Transactions (VLDB 2013)"],
    },
    Entry {
        name: "read-atomic",
        aliases: &["RA"],
        about: About::Model,
        meaning: "Another transaction is seen whole or not at all, in whichever order its keys are read. Good for \
            keeping secondary indices and both ends of a relation in step; updates can still be lost.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x: y:1]",
        shows: "p1 missed p0 on x before it saw it on y, which the weaker monotonic atomic view allows.",
        look: "See fractured-read.",
        systems: &[],
        sources: &[
            "Bailis et al., Scalable Atomic Visibility with RAMP Transactions (SIGMOD 2014)",
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
        ],
    },
    Entry {
        name: "monotonic-view",
        aliases: &["PL-2L"],
        about: About::Model,
        meaning: "Within a transaction the state only advances: what an effect depends on is there from the moment the \
            effect was seen.",
        drawing: "p0  [x+1]\n\
            p1  [x:1 y+1]\n\
            p2  [y:1 x: ]",
        shows: "p2 sees y, which depends on x, and then x without it.",
        look: "See G-monotonic.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-2L"],
    },
    Entry {
        name: "cursor-stability",
        aliases: &["PL-CS"],
        about: About::Model,
        meaning: "Read committed, and a value that was read through a cursor does not change before it is replaced. It \
            prevents lost updates of single keys and is what SELECT FOR UPDATE is used for. Here every read \
            counts as one through a cursor.",
        drawing: "p0  [x: x+1]\n\
            p1  [x: x+2]\n\
            p2            [x:1,2]",
        shows: "Both replaced the same version.",
        look: "See lost-update.",
        systems: &[],
        sources: &[
            "Adya, Weak Consistency (1999), chapter 4, on PL-CS",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995)",
        ],
    },
    Entry {
        name: "monotonic-snapshot-read",
        aliases: &["PL-MSR"],
        about: About::Model,
        meaning: "Every read is from a consistent state, and within a transaction these only advance: read committed \
            with a snapshot for each statement. As clients do not see when snapshots are taken, it is decided as \
            monotonic view.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x:1 y:]",
        shows: "p1's second read is of an older state than its first.",
        look: "See G-monotonic.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-MSR"],
    },
    Entry {
        name: "update-atomic",
        aliases: &[],
        about: About::Model,
        meaning: "Transactions are seen whole, and whoever replaces a version has seen who wrote it. No update is \
            lost, yet causes may be missed.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x+2 y: ]\n\
            p2            [x:1,2]",
        shows: "p1 replaced p0's x without having seen p0.",
        look: "See lost-update and update-missed.",
        systems: &[],
        sources: &["Cerone, Bernardi and Gotsman (CONCUR 2015)"],
    },
    Entry {
        name: "causal-cerone",
        aliases: &[],
        about: About::Model,
        meaning: "Causal consistency of transactions: seeing one means seeing all that it has seen. Concurrent writes \
            of one key may both succeed.",
        drawing: "p0  [x+1    ]\n\
            p1  [x:1 y+1]\n\
            p2  [x:  y:1]",
        shows: "p2 saw p1, and not p0, whom p1 had seen.",
        look: "See causality-violation.",
        systems: &[],
        sources: &["Cerone, Bernardi and Gotsman (CONCUR 2015)"],
    },
    Entry {
        name: "consistent-view",
        aliases: &["PL-2+"],
        about: About::Model,
        meaning: "What a transaction reads is a state that some order of commits produces, so invariants over several \
            keys hold in it. What it writes may rest on a state that is outdated by then.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x:  y:1]",
        shows: "p1 reads x before p0 and y after it; no state had both.",
        look: "See G-single.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-2+"],
    },
    Entry {
        name: "forward-consistent-view",
        aliases: &["PL-FCV"],
        about: About::Model,
        meaning: "A consistent view that may lie after the transaction's beginning: it may include what commits while \
            the transaction runs. As clients do not see when a transaction really begins, what breaks it breaks \
            consistent view too.",
        drawing: "",
        shows: "No drawing: whatever is seen to break it breaks consistent view, which it implies.",
        look: "See G-single.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-FCV"],
    },
    Entry {
        name: "prefix",
        aliases: &[],
        about: About::Model,
        meaning: "One sequence of states for everybody; transactions may read an old one, but no two see commits in \
            opposite orders. Two may still replace the same version.",
        drawing: "p0  [x+1     ]\n\
            p1  [y+1     ]\n\
            p2  [x:1 y:  ]\n\
            p3  [x:  y:1 ]",
        shows: "p2 and p3 saw p0 and p1 in opposite orders.",
        look: "See prefix-violation.",
        systems: &[],
        sources: &["Cerone, Bernardi and Gotsman (CONCUR 2015)"],
    },
    Entry {
        name: "parallel-snapshot-isolation",
        aliases: &["PSI"],
        about: About::Model,
        meaning: "Each site gives snapshots in its own order of commits, causes come before effects, and no update is \
            lost. Made for databases with several sites that each accept writes.",
        drawing: "p0  [x+1 z+1]\n\
            p1  [z+2 y+1]\n\
            p2  [x: y:1 ]\n\
            p3            [z:1,2]",
        shows: "p1 replaced p0's z, so it comes after p0; p2 sees p1 and not p0.",
        look: "See G-single and lost-update.",
        systems: &[],
        sources: &[
            "Sovran et al., Transactional Storage for Geo-Replicated Systems (SOSP 2011)",
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
        ],
    },
    Entry {
        name: "repeatable-read",
        aliases: &["PL-2.99"],
        about: About::Model,
        meaning: "As far as single rows go, transactions are serializable; rows may appear in the result of a \
            condition. The name is also used for something weaker: PostgreSQL's repeatable read is snapshot \
            isolation, and MySQL's is not even monotonic atomic view.",
        drawing: "p0  [x: y+1]\n\
            p1  [y: x+1]",
        shows: "Write skew on two single rows.",
        look: "See G2.",
        systems: &[],
        sources: &[
            "Adya, Weak Consistency (1999), section 3.2",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995)",
        ],
    },
    Entry {
        name: "snapshot-isolation",
        aliases: &["SI", "PL-SI"],
        about: About::Model,
        meaning: "A transaction reads the state at its beginning, and commits unless somebody has meanwhile changed \
            what it writes. PostgreSQL calls it repeatable read, Oracle serializable, SQL Server snapshot. \
            Decisions based on what others change are not protected: write skew.",
        drawing: "p0  [y: x=1 z=1]\n\
            p1  [z: x=2 y=1]",
        shows: "Neither saw the other, and both wrote x.",
        look: "See not-snapshot-isolation, G-single, G-nonadjacent.",
        systems: &[],
        sources: &[
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), section 4",
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
            "Adya, Weak Consistency (1999), chapter 4, on PL-SI",
        ],
    },
    Entry {
        name: "update-serializable",
        aliases: &["PL-3U"],
        about: About::Model,
        meaning: "Those that write are serializable, and every reader sees a state that they produced; two readers may \
            order independent writers differently.",
        drawing: "p0  [x: y+1]\n\
            p1  [y: x+1]",
        shows: "Write skew of two that write.",
        look: "See G-update.",
        systems: &[],
        sources: &[
            "Adya, Weak Consistency (1999), chapter 4, on PL-3U",
            "Hansdah and Patnaik, Update Serializability in Locking (1986)",
        ],
    },
    Entry {
        name: "view-serializable",
        aliases: &["VSR"],
        about: About::Model,
        meaning: "Some serial order of the transactions gives every read the value it had, and leaves the same state. \
            For what clients can see this is serializability.",
        drawing: "p0  [x: y+1]\n\
            p1  [y: x+1]",
        shows: "In either order the second would have seen the first.",
        look: "See G2.",
        systems: &[],
        sources: &[
            "Papadimitriou, The Serializability of Concurrent Database Updates (1979)",
            "Bernstein, Hadzilacos and Goodman, Concurrency Control and Recovery in Database Systems (1987)",
        ],
    },
    Entry {
        name: "1SR",
        aliases: &["one-copy-serializable"],
        about: About::Model,
        meaning: "Serializability of a replicated database: it behaves as one copy of the data on which transactions \
            run one by one.",
        drawing: "p0  [x: y+1]\n\
            p1  [y: x+1]",
        shows: "On one copy the second would have seen the first.",
        look: "See G2.",
        systems: &[],
        sources: &["Bernstein, Hadzilacos and Goodman, Concurrency Control and Recovery in Database Systems (1987)"],
    },
    Entry {
        name: "serializable",
        aliases: &["PL-3"],
        about: About::Model,
        meaning: "Some serial order explains everything that was read, so a transaction that is right alone is right \
            among others. The order need not be that of the clock, nor of a session: stale reads are allowed.",
        drawing: "",
        shows: "No drawing: whatever is seen to break it breaks view serializability, which it implies.",
        look: "See G2 and not-serializable.",
        systems: &[],
        sources: &[
            "Papadimitriou, The Serializability of Concurrent Database Updates (1979)",
            "Adya, Weak Consistency (1999), section 3.2",
        ],
    },
];
