//! Cycles that close only with an order besides the data: that of a process, or real time.
//!
//! Adya's definitions leave these orders out; Elle adds them, one name each.

use super::{About, Entry};

/// Each kind of cycle with the order of processes, then with real time.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "G0-process",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Writes came out in another order than their process made them: the cycle of overwrites closes only \
            with the order of one process.",
        drawing: "p0  [x+1]  [x+2]\n\
            p1                [x:2,1]",
        shows: "p0 appended 1, then 2, and the list shows 2 first.",
        look: "A client that sends to several nodes, or over a pool of connections; timestamps of clocks that run \
            backwards.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G1c-process",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Information flowed against the order of a process: what it did later reached what it did earlier, \
            through reads and overwrites alone.",
        drawing: "p0  [x:1]  [x+1]",
        shows: "p0 reads an element that it appends only in its next transaction.",
        look: "What applies to G1c, and retries: a transaction reported as failed or unknown, committed earlier \
            than its repetition was recorded.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G-single-process",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A process missed what was there before in its own order: one missed write closes the circle. Its \
            session went back in time.",
        drawing: "p0  [x+1]  [x:]",
        shows: "p0 does not see what it has just committed.",
        look: "Reads from replicas that lag; snapshots chosen without regard to the session's last commit.",
        systems: &["Dgraph 1.0.2, a single client out of order (Jepsen 2018)"],
        sources: &[
            "Kingsbury and Alvaro, Elle (VLDB 2020)",
            "Daudjee and Salem, Lazy Database Replication with Snapshot Isolation (VLDB 2006)",
        ],
    },
    Entry {
        name: "G-nonadjacent-process",
        aliases: &["long-fork-process"],
        about: About::Anomaly,
        meaning: "A long fork of which one branch is a process's own order. Several transactions missed something, no \
            two of them adjacent, and a process's order is needed to close the circle.",
        drawing: "p0  [x+1               ]\n\
            p1    [x:1 y:          ]\n\
            p2      [y+1]  [x:]",
        shows: "p1 sees x without y, and p2 does not see x after it committed y.",
        look: "Sites that commit on their own; a client whose requests go to the site that is nearest.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G2-process",
        aliases: &["G2-item-process"],
        about: About::Anomaly,
        meaning: "Write skew over time: two adjacent transactions missed something, and the circle closes by the order \
            of a process. The history is serializable only if a process's transactions are taken out of its \
            order.",
        drawing: "p0  [y+1]  [x:]\n\
            p1    [x+1 y:     ]",
        shows: "p1 does not see y, so it comes before p0's first transaction; p0's second does not see x, so it \
            comes before p1.",
        look: "Serializable databases that may place a read-only transaction in the past.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G0-realtime",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A write that began after another had been acknowledged was put before it. The cycle of overwrites \
            closes only with real time.",
        drawing: "p0  [x+1]\n\
            p1         [x+2]\n\
            p2                [x:2,1]",
        shows: "p1 began after p0 was done, yet its element comes first.",
        look: "Timestamps from clocks that disagree between nodes; a write that is delayed and ordered by when it \
            was sent.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G1c-realtime",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Somebody saw what had not begun yet, as far as reads and overwrites and real time say.",
        drawing: "p0  [x:1]\n\
            p1         [x+1]",
        shows: "p0 was done reading 1 before p1 began to append it.",
        look: "First the test itself: clocks of clients, or requests that were repeated and recorded once. In a \
            database: speculative execution before the request is logged.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G-single-realtime",
        aliases: &["stale-read"],
        about: About::Anomaly,
        meaning: "A transaction missed what had been committed before it began. In its simplest form a stale read: the \
            newest acknowledged state is not shown.",
        drawing: "p0  [x+1]\n\
            p1         [x:]",
        shows: "p1 began after p0 had committed, and does not see it.",
        look: "Reads from replicas; a leader that was deposed and does not know; leases that outlive their clock; \
            caches.",
        systems: &[
            "VoltDB 6.3 (Jepsen 2016)",
            "development builds of Redis-Raft, 1b3fbf6 (Jepsen 2020)",
            "MariaDB Galera Cluster 12.1.2, healthy (Jepsen 2026)",
        ],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G-nonadjacent-realtime",
        aliases: &["long-fork-realtime"],
        about: About::Anomaly,
        meaning: "A long fork of which one branch is real time. Several transactions missed something, no two of them \
            adjacent, and the order of what was done before what began closes the circle.",
        drawing: "p0  [x+1               ]\n\
            p1    [x:1 y:          ]\n\
            p2      [y+1]\n\
            p3             [x:     ]",
        shows: "p1 sees x without y. p3 began after y was committed, so it comes after p1, and does not see x.",
        look: "Snapshots that are taken at different nodes without synchronised clocks.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "G2-realtime",
        aliases: &["G2-item-realtime"],
        about: About::Anomaly,
        meaning: "Two adjacent transactions missed something, and real time closes the circle: there is a serial \
            order, but it contradicts the clock on the wall.",
        drawing: "p0  [y+1]\n\
            p1    [x+1 y:     ]\n\
            p2         [x:]",
        shows: "p1 does not see p0, p2 does not see p1, and p2 began after p0 was done.",
        look: "Databases that are serializable and not strictly so: multi-version schemes that read at a timestamp \
            in the past, and shards with clocks of their own.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
];
