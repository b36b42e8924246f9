//! Anomalies that data alone show: what single transactions saw, and cycles of dependencies.
//!
//! `look` names the mechanism at fault, `systems` only what a published analysis found.

use super::{About, Entry};

/// From the worst to the mildest.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "G0",
        aliases: &["write-cycle", "dirty-write"],
        about: About::Anomaly,
        meaning: "Two transactions wrote the same keys, and their writes are interleaved: on one key the first came \
            last, on the other the second. What is stored is the result of neither order.",
        drawing: "p0  [x+1 y+1    ]\n\
            p1   [x+2 y+2  ]\n\
            p2                 [x:1,2 y:2,1]",
        shows: "The list x says that p0 wrote before p1, the list y says that p1 wrote before p0.",
        look: "Locks that are released before the transaction ends; replicas that apply the writes of one \
            transaction one by one; last-write-wins with a timestamp for each write instead of each transaction.",
        systems: &[],
        sources: &[
            "Adya, Weak Consistency (1999), section 3.2",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), P0",
        ],
    },
    Entry {
        name: "thin-air-read",
        aliases: &["garbage-read"],
        about: About::Anomaly,
        meaning: "A read returned a value that no operation ever wrote. Either the database made it up, or the \
            client's own bookkeeping is wrong.",
        drawing: "p0  [x+1]\n\
            p1         [x:7]",
        shows: "Nobody appended 7.",
        look: "Corrupted pages and encodings; two tests that share a database; data left over from the run before; \
            a client that mixes up the answers of two requests.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "duplicate-elements",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A list holds one element twice although it was appended once. A write took effect two times.",
        drawing: "p0  [x+1]\n\
            p1         [x:1,1]",
        shows: "One append of 1, and it is read twice.",
        look: "Retries that are not idempotent: in the driver, in the coordinator after a timeout, or when a log is \
            replayed after a crash.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "cyclic-versions",
        aliases: &[],
        about: About::Anomaly,
        meaning: "The versions of one key would each have to be older than the next, and the last older than the \
            first. Registers do not show the order of their versions; it is inferred from who read a version and \
            then replaced it, and here these inferences contradict one another.",
        drawing: "p0  [x:1 x=2]\n\
            p1  [x:2 x=1]",
        shows: "p0 replaced 1 by 2, p1 replaced 2 by 1: each read what the other had not yet written.",
        look: "What applies to G1c. If the order was inferred by assuming linearizable or sequential keys, perhaps \
            only that assumption is wrong.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020), section 4.3"],
    },
    Entry {
        name: "G1a",
        aliases: &["aborted-read", "dirty-read"],
        about: About::Anomaly,
        meaning: "A committed transaction read what a transaction wrote that failed. The value should never have been \
            visible to anyone, and the reader may have acted on it.",
        drawing: "p0  [x+1!\n\
            p1        [x:1]",
        shows: "p0 failed, and yet p1 reads its element.",
        look: "Reads that do not check whether the writer committed; a leader that answers from entries which its \
            successor discards; a driver that reports a failure for what was in fact committed.",
        systems: &[
            "jetcd 0.8.2, which submitted transactions again (Jepsen 2024)",
            "development builds of Redis-Raft, 1b3fbf6 (Jepsen 2020)",
            "VoltDB 6.3 (Jepsen 2016)",
            "RethinkDB 2.2.3, while nodes were added and removed (Jepsen 2016)",
        ],
        sources: &[
            "Adya, Weak Consistency (1999), section 3.2",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), P1, A1",
        ],
    },
    Entry {
        name: "G1b",
        aliases: &["intermediate-read"],
        about: About::Anomaly,
        meaning: "A transaction read a value that its writer replaced again before it committed. The reader saw a \
            draft.",
        drawing: "p0  [x+1         x+2]\n\
            p1        [x:1]",
        shows: "p0 appends 1 and 2 in one transaction; p1 sees the first without the second.",
        look: "Writes that are applied as they arrive instead of at the commit; a transaction cut into several \
            batches or log entries.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), section 3.2"],
    },
    Entry {
        name: "G1c",
        aliases: &["circular-information-flow"],
        about: About::Anomaly,
        meaning: "Transactions each saw, or overwrote, what the next one did, in a circle: each must have committed \
            before the other. The circle consists of reads and overwrites only, so no transaction merely missed \
            something.",
        drawing: "p0  [x+1 y:1]\n\
            p1  [y+1 x:1]",
        shows: "p0 read what p1 wrote, and p1 read what p0 wrote.",
        look: "Uncommitted data that others can read; retries that commit a transaction a second time; commit \
            records that become visible on different shards at different times.",
        systems: &["jetcd 0.8.2, which submitted transactions again (Jepsen 2024)"],
        sources: &["Adya, Weak Consistency (1999), section 3.2"],
    },
    Entry {
        name: "dirty-update",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A committed transaction wrote on top of what a failed one had left, so that the failed write lives \
            on in a value that counts.",
        drawing: "p0  [x+1!\n\
            p1         [x+2]\n\
            p2                [x:1,2]",
        shows: "p0 failed, p1 appended behind its element, and both are read.",
        look: "Updates computed from uncommitted data; rollbacks that restore only what was not touched since.",
        systems: &[],
        sources: &[
            "Kingsbury and Alvaro, Elle (VLDB 2020)",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), P0",
        ],
    },
    Entry {
        name: "incompatible-order",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Two reads of one list disagree about the order of its elements: neither is a beginning of the other. \
            There was no single sequence of versions.",
        drawing: "p0  [x+1]\n\
            p1  [x+2]\n\
            p2         [x:1,2]\n\
            p3         [x:2,1]",
        shows: "p2 and p3 read the two elements in opposite orders.",
        look: "Replicas that apply concurrent writes in the order of arrival; two leaders at once; a write that was \
            lost and applied again later.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "future-read",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A transaction read a value that it wrote itself only later. The steps of the transaction did not run \
            in the order in which they were given.",
        drawing: "p0  [x:1 x+1]",
        shows: "p0 reads its element before it appends it.",
        look: "Statements that are reordered or sent in parallel; a transaction that was committed, reported as \
            unknown, and run again by the driver.",
        systems: &[],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)"],
    },
    Entry {
        name: "internal",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A transaction disagrees with itself: it read other than what it had read or written before, though \
            nobody else's changes should be visible inside it.",
        drawing: "p0  [x+1 x:]",
        shows: "p0 does not see the append that it has just made.",
        look: "Reads that bypass the transaction's own buffer of writes; snapshots that updates do not use, so that \
            a later read sees a newer version; buffered writes that are lost when a shard moves.",
        systems: &["MySQL 8.0.34 at Repeatable Read (Jepsen 2023)"],
        sources: &["Kingsbury and Alvaro, Elle (VLDB 2020)", "Cerone, Bernardi and Gotsman (CONCUR 2015), axiom INT"],
    },
    Entry {
        name: "observed-transaction-vanishes",
        aliases: &["OTV"],
        about: About::Anomaly,
        meaning: "A transaction saw one effect of another, and afterwards missed a second effect of it. What was seen \
            seems to be gone again.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x:1 y:]",
        shows: "p1 sees p0's append to x, then reads y without p0's append.",
        look: "Read committed where every statement reads whatever replica or shard is next; writes that become \
            visible shard by shard.",
        systems: &["MySQL 8.0.34 at Repeatable Read (Jepsen 2023)"],
        sources: &["Bailis et al., Highly Available Transactions (VLDB 2013)"],
    },
    Entry {
        name: "fractured-read",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A transaction saw some of another's writes and missed others, whichever it looked at first. It read \
            half a transaction.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x: y:1]",
        shows: "p1 misses p0's append to x and sees the one to y.",
        look: "Snapshots that are taken for each statement; commits that reach the shards one after the other; \
            caches and indices that lag behind the rows.",
        systems: &[],
        sources: &["Bailis et al., Scalable Atomic Visibility with RAMP Transactions (SIGMOD 2014)"],
    },
    Entry {
        name: "G-monotonic",
        aliases: &["monotonic-view-violation"],
        about: About::Anomaly,
        meaning: "A transaction saw the effect of another, and afterwards missed something that this effect depends \
            on. Having seen a state, it went back to an older one.",
        drawing: "p0  [x+1]\n\
            p1  [x:1 y+1]\n\
            p2  [y:1 x: ]",
        shows: "p2 sees y by p1, who had read x; then p2 reads x without it.",
        look: "Reads of one transaction that are answered by replicas of different age.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-2L"],
    },
    Entry {
        name: "G-MSR",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Adya's condition against reads within a transaction that are not each of a consistent state, or go \
            back in time. It speaks of start and commit events that clients do not see; what can be told from a \
            history is reported as G-monotonic.",
        drawing: "",
        shows: "",
        look: "See G-monotonic.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-MSR"],
    },
    Entry {
        name: "lost-update",
        aliases: &["P4"],
        about: About::Anomaly,
        meaning: "Two transactions read the same version, and both replaced it. The one that came last did not know of \
            the other, whose change is lost, or whose effect was computed from outdated data.",
        drawing: "p0  [x: x+1]\n\
            p1  [x: x+2]\n\
            p2            [x:1,2]",
        shows: "Both found x empty and appended to it; a counter would now be one too low.",
        look: "Read-modify-write without a lock or a check at commit; automatic retries that apply the old write to \
            the new state; write-write conflicts that are only detected within a node.",
        systems: &[
            "MySQL 8.0.34 at Repeatable Read (Jepsen 2023)",
            "TiDB 2.1.7, which retried by itself (Jepsen 2019)",
            "MariaDB Galera Cluster 12.1.2, healthy (Jepsen 2026)",
            "jetcd 0.8.2, which submitted transactions again (Jepsen 2024)",
        ],
        sources: &["Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), P4"],
    },
    Entry {
        name: "G-cursor",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A transaction read a version of a key and replaced it after another had replaced it in between: a \
            lost update with its cycle on one key. Reported as lost-update.",
        drawing: "",
        shows: "",
        look: "See lost-update.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-CS"],
    },
    Entry {
        name: "update-missed",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A transaction read from another, or overwrote what it wrote, and missed another write of it. It \
            built upon a transaction that it saw only in part.",
        drawing: "p0  [x+1 y+1]\n\
            p1  [x+2 y: ]\n\
            p2            [x:1,2]",
        shows: "p1 appends behind p0's element on x, and does not see p0's append to y.",
        look: "Writes that are checked against the newest version while reads come from an older snapshot.",
        systems: &[],
        sources: &["Cerone, Bernardi and Gotsman (CONCUR 2015)"],
    },
    Entry {
        name: "causality-violation",
        aliases: &[],
        about: About::Anomaly,
        meaning: "A transaction saw an effect without its cause: it read from a transaction and missed what that one, \
            directly or through others, had read.",
        drawing: "p0  [x+1    ]\n\
            p1  [x:1 y+1]\n\
            p2  [x:  y:1]",
        shows: "p2 sees y, written by someone who had seen x, but not x.",
        look: "Replication of keys or shards by separate channels that do not wait for one another.",
        systems: &[],
        sources: &["Cerone, Bernardi and Gotsman (CONCUR 2015), axiom TRANSVIS"],
    },
    Entry {
        name: "prefix-violation",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Two transactions saw two others in opposite orders, so that there is no one sequence of states of \
            which all saw a beginning.",
        drawing: "p0  [x+1     ]\n\
            p1  [y+1     ]\n\
            p2  [x:1 y:  ]\n\
            p3  [x:  y:1 ]",
        shows: "For p2, p0 came first; for p3, p1 did.",
        look: "Several sites that each take writes and show their own at once; replicas whose order of commits \
            becomes visible otherwise than on the primary.",
        systems: &["Amazon RDS for PostgreSQL 17.4, multi-AZ clusters (Jepsen 2025)"],
        sources: &["Cerone, Bernardi and Gotsman (CONCUR 2015), axiom PREFIX"],
    },
    Entry {
        name: "G-single",
        aliases: &["G-single-item", "read-skew", "A5A"],
        about: About::Anomaly,
        meaning: "Transactions in a circle in which exactly one missed what the next one wrote. In its simplest form \
            read skew: a transaction read one key before and another after somebody changed both, and what it \
            saw never existed at one time.",
        drawing: "p0  [x:           y:1]\n\
            p1      [x+1 y+1]",
        shows: "p0 reads x before p1 and y after it.",
        look: "Read committed, where that is too little; a snapshot that is not the same on every shard; reads of \
            indices or of the past that take another timestamp.",
        systems: &[
            "MySQL 8.0.34 at Repeatable Read (Jepsen 2023)",
            "TiDB 2.1.7, which retried by itself (Jepsen 2019)",
            "FaunaDB 2.5.4, reads of indices and of the past (Jepsen 2019)",
        ],
        sources: &[
            "Adya, Weak Consistency (1999), chapter 4, on PL-2+",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), A5A",
        ],
    },
    Entry {
        name: "G-SIb",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Adya's condition against missed effects in snapshots: a cycle with exactly one anti-dependency where \
            start times count as edges too. Clients do not see start times, so the cycle without them is \
            reported, as G-single.",
        drawing: "",
        shows: "",
        look: "See G-single.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-SI"],
    },
    Entry {
        name: "G-SI",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Adya's two conditions of snapshot isolation together: no transaction sees one that it did not start \
            after, and no cycle has exactly one anti-dependency. Cycles without two adjacent anti-dependencies \
            are what this comes to without knowing start times, and are reported as G-single and G-nonadjacent; \
            where these do not show it, as not-snapshot-isolation.",
        drawing: "",
        shows: "",
        look: "See G-single, G-nonadjacent and not-snapshot-isolation.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-SI", "Cerone, Bernardi and Gotsman (CONCUR 2015)"],
    },
    Entry {
        name: "G-nonadjacent",
        aliases: &["G-nonadjacent-item", "long-fork"],
        about: About::Anomaly,
        meaning: "Transactions in a circle in which several missed what the next one wrote, but no two of these one \
            after the other. With two readers it is the long fork: they saw two independent writes in opposite \
            orders. Snapshot isolation excludes it, parallel snapshot isolation does not.",
        drawing: "p0  [x+1     ]\n\
            p1  [y+1     ]\n\
            p2  [x:1 y:  ]\n\
            p3  [x:  y:1 ]",
        shows: "p2 sees p0's write and not p1's, p3 sees p1's and not p0's.",
        look: "Sites that commit on their own and replicate later; readers on replicas that see commits in another \
            order than the primary.",
        systems: &[
            "Amazon RDS for PostgreSQL 17.4, multi-AZ clusters (Jepsen 2025)",
            "development releases of FaunaDB (Jepsen 2019)",
        ],
        sources: &[
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
            "Sovran et al., Transactional Storage for Geo-Replicated Systems (SOSP 2011)",
        ],
    },
    Entry {
        name: "G-update",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Transactions that write, with at most one that only reads, stand in a circle with an \
            anti-dependency: even leaving out all other readers, no order explains them.",
        drawing: "p0  [x: y+1]\n\
            p1  [y: x+1]",
        shows: "Both write, and each missed the other's write.",
        look: "What applies to G2.",
        systems: &[],
        sources: &["Adya, Weak Consistency (1999), chapter 4, on PL-3U"],
    },
    Entry {
        name: "G2",
        aliases: &["G2-item", "write-skew", "A5B"],
        about: About::Anomaly,
        meaning: "Transactions in a circle in which at least two next to each other missed what the next one wrote. \
            With two transactions it is write skew: each read what the other changed, decided by it, and both \
            committed. It is what snapshot isolation allows and serializability does not.",
        drawing: "p0  [x: y+1]\n\
            p1  [y: x+1]",
        shows: "Neither sees the other's append, so neither can have come first.",
        look: "Databases whose strongest level is snapshot isolation; conflict detection that looks at writes only, \
            or that misses reads of rows which did not exist yet.",
        systems: &["PostgreSQL 12.3 at Serializable (Jepsen 2020)", "MySQL 8.0.34 at Repeatable Read (Jepsen 2023)"],
        sources: &[
            "Adya, Weak Consistency (1999), section 3.2",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), A5B",
            "Fekete et al., Making Snapshot Isolation Serializable (2005)",
        ],
    },
    Entry {
        name: "predicate-read-miss",
        aliases: &["phantom", "G2-predicate"],
        about: About::Anomaly,
        meaning: "A transaction asked for all rows that satisfy a condition, and another added or changed one that \
            should have been among them. This is not decided here: the histories hold reads of keys, and no \
            predicates. A write skew over rows that were missing shows as G2.",
        drawing: "",
        shows: "",
        look: "Locks on rows that do not cover the gaps between them; validation of the rows found instead of the \
            condition asked.",
        systems: &[],
        sources: &[
            "Adya, Weak Consistency (1999), section 3.2, on predicates",
            "Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), P3",
        ],
    },
];
