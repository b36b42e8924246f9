//! Violations that no single cycle names: no order of commits exists, or a session or a key saw what it must not.
//!
//! Each has the name of what is broken: `not-` a model, or a session's promise and `-violation`.

use super::{About, Entry};

/// Models from the weakest to the strongest, then sessions, then single keys.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "not-monotonic-atomic-view",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Whatever the order of commits, some read is of what was not committed or goes backwards within its \
            transaction. Registers do not show the order of their versions, so no single cycle proves it; all \
            orders that the reads demand were put together, and they contradict one another.",
        drawing: "p0  [x=1 y=1]\n\
            p1  [x=2 y=2]\n\
            p2             [x:1 y:2]\n\
            p3             [x:2 y:1]",
        shows: "p2 sees p0, then p1, so p0's x was replaced by p1. p3 sees them the other way around.",
        look: "Reads of one transaction that go to replicas which apply writes in different orders.",
        systems: &[],
        sources: &["Biswas and Enea, On the Complexity of Checking Transactional Consistency (OOPSLA 2019), section 2"],
    },
    Entry {
        name: "not-read-atomic",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Whatever the order of commits, some transaction saw another only in part.",
        drawing: "p0  [x=1 y=1]\n\
            p1  [x=2 y=2]\n\
            p2             [x:1 y:2]",
        shows: "p2 reads x from p0 and y from p1: whichever committed last, one of its writes is missed.",
        look: "What applies to fractured-read.",
        systems: &[],
        sources: &[
            "Biswas and Enea, On the Complexity of Checking Transactional Consistency (OOPSLA 2019), section 2",
            "Bailis et al., Scalable Atomic Visibility with RAMP Transactions (SIGMOD 2014)",
        ],
    },
    Entry {
        name: "not-causal-cerone",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Whatever the order of commits, some transaction missed what those that it saw had seen.",
        drawing: "p0  [x=1 u=1]\n\
            p1  [x=2 v=1]\n\
            p2             [u:1 a=1]\n\
            p3                        [a:1 x:2]\n\
            p4                        [v:1 x:1]",
        shows: "p3 sees p2, who saw p0, and reads x from p1: p0 came first. p4 sees p1 and reads x from p0: p1 came \
            first.",
        look: "What applies to causality-violation.",
        systems: &[],
        sources: &[
            "Biswas and Enea, On the Complexity of Checking Transactional Consistency (OOPSLA 2019), section 2",
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
        ],
    },
    Entry {
        name: "not-prefix",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Whatever the order of commits, not every transaction saw a beginning of it.",
        drawing: "p0  [x=1 y=1]\n\
            p1             [x=2   ]\n\
            p2             [y=2   ]\n\
            p3             [x:2 y:1]\n\
            p4             [x:1 y:2]",
        shows: "For p3 only p1 has replaced p0's write, for p4 only p2.",
        look: "What applies to prefix-violation.",
        systems: &[],
        sources: &[
            "Biswas and Enea, On the Complexity of Checking Transactional Consistency (OOPSLA 2019), section 2",
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
        ],
    },
    Entry {
        name: "not-snapshot-isolation",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Whatever the order of commits, either some transaction did not read from one snapshot, or two that \
            ran at the same time wrote one key and both committed.",
        drawing: "p0  [y: x=1 z=1]\n\
            p1  [z: x=2 y=1]",
        shows: "Neither saw the other, so they ran at the same time, and both wrote x.",
        look: "Write conflicts that are not detected, or only within one shard; what applies to G-single and \
            G-nonadjacent.",
        systems: &["Dgraph 1.0.2, violations of snapshot isolation (Jepsen 2018)"],
        sources: &[
            "Biswas and Enea, On the Complexity of Checking Transactional Consistency (OOPSLA 2019), section 2",
            "Cerone, Bernardi and Gotsman (CONCUR 2015)",
        ],
    },
    Entry {
        name: "not-serializable",
        aliases: &[],
        about: About::Anomaly,
        meaning: "No order of the transactions, one after the other, explains what they read. Either every order was \
            tried, or what must come first contradicts itself.",
        drawing: "p0  [x=1 y=1]\n\
            p1             [x:1 y=2]\n\
            p2             [y:1 x=2]",
        shows: "p1 and p2 both read p0's values, and each replaces what the other reads: whoever is second would \
            have seen it.",
        look: "What applies to G2.",
        systems: &[
            "CockroachDB beta-20160829 (Jepsen 2017)",
            "Amazon RDS MySQL clusters at Serializable (Jepsen 2023)",
        ],
        sources: &[
            "Papadimitriou, The Serializability of Concurrent Database Updates (1979)",
            "Biswas and Enea, On the Complexity of Checking Transactional Consistency (OOPSLA 2019)",
        ],
    },
    Entry {
        name: "not-strong-session-snapshot-isolation",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Snapshots may exist, but not such that each process sees its own past in them.",
        drawing: "p0  [x=1]  [x=2]\n\
            p1         [x:2 ]  [x:1]",
        shows: "p0 wrote 1 before 2, p1 read 2 before 1.",
        look: "Sessions that move between replicas of different age.",
        systems: &[],
        sources: &["Daudjee and Salem, Lazy Database Replication with Snapshot Isolation (VLDB 2006)"],
    },
    Entry {
        name: "not-strong-session-serializable",
        aliases: &[],
        about: About::Anomaly,
        meaning: "No serial order in which every process's transactions stand as it ran them explains what was read.",
        drawing: "p0  [x=1 y=1]  [y=2]  [x:1]\n\
            p1               [x=2 y:1  ]",
        shows: "p1 reads y from p0's first transaction, so it comes before the second; p0's third does not see p1's \
            x, so it comes before p1.",
        look: "Read-only transactions that are placed in the past.",
        systems: &[],
        sources: &[
            "Daudjee and Salem, Lazy Database Replication with Ordering Guarantees (ICDE 2004)",
            "Kingsbury and Alvaro, Elle (VLDB 2020)",
        ],
    },
    Entry {
        name: "not-strong-snapshot-isolation",
        aliases: &[],
        about: About::Anomaly,
        meaning: "Snapshots may exist, but not such that each holds everything committed before its transaction began.",
        drawing: "p0  [x=1]\n\
            p1         [x=2]\n\
            p2                [x:1]",
        shows: "p2 began after p1 had committed, and reads what p1 replaced.",
        look: "What applies to G-single-realtime.",
        systems: &[],
        sources: &["Daudjee and Salem, Lazy Database Replication with Snapshot Isolation (VLDB 2006)"],
    },
    Entry {
        name: "not-strict-serializable",
        aliases: &[],
        about: About::Anomaly,
        meaning: "No serial order that agrees with real time explains what was read.",
        drawing: "p0  [x=1 y=1]\n\
            p1             [y=2]\n\
            p2              [x=2 y:1   ]\n\
            p3                    [x:1]",
        shows: "p2 does not see p1, so it comes first; p3 does not see p2, so it comes before p2, and yet it began \
            after p1 was done.",
        look: "What applies to G2-realtime and G-single-realtime.",
        systems: &[],
        sources: &["Papadimitriou, The Serializability of Concurrent Database Updates (1979)"],
    },
    Entry {
        name: "read-your-writes-violation",
        aliases: &["RYW-violation"],
        about: About::Anomaly,
        meaning: "A session did not see a write of its own that had been acknowledged.",
        drawing: "p0  [x+1]  [x:]",
        shows: "p0 appended to x and reads it empty.",
        look: "Writes that go to the leader and reads that go to whichever replica is near; a session that lost its \
            token when it reconnected.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "monotonic-reads-violation",
        aliases: &["MR-violation"],
        about: About::Anomaly,
        meaning: "A session saw a state, and later an older one.",
        drawing: "p0  [x+1]\n\
            p1  [x:1]  [x:]",
        shows: "p1 sees the element, then no longer.",
        look: "Load balancing over replicas of different age; rollback of writes that were visible before they were \
            safe.",
        systems: &["development releases of FaunaDB (Jepsen 2019)"],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "monotonic-writes-violation",
        aliases: &["MW-violation"],
        about: About::Anomaly,
        meaning: "Somebody saw a later write of a session without an earlier one, or the two in the wrong order.",
        drawing: "p0  [x+1]  [y+1]\n\
            p1                [y:1 x:]",
        shows: "p0 wrote x, then y; p1 sees only y.",
        look: "Replication in parallel streams; retries that overtake; clients that send to several nodes.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "writes-follow-reads-violation",
        aliases: &["WFR-violation"],
        about: About::Anomaly,
        meaning: "Somebody saw a write, and not what its author had read before: an answer without its question.",
        drawing: "p0  [x+1]\n\
            p1         [x:1]  [y+1]\n\
            p2                       [y:1 x:]",
        shows: "p1 read x before it wrote y; p2 sees y without x.",
        look: "Replication that orders each key or each origin for itself, and does not carry dependencies.",
        systems: &[],
        sources: &["Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994)"],
    },
    Entry {
        name: "PRAM-violation",
        aliases: &["FIFO-violation"],
        about: About::Anomaly,
        meaning: "No order of all writes keeps every session's own order and explains what one session read. A broken \
            promise of sessions is enough for that; the drawing breaks only their combination.",
        drawing: "p0  [x=1]  [y=1]\n\
            p1  [x=2]         [y:1]  [x:1]  [x:2]",
        shows: "p1 reads p0's x after its own write of x, which was therefore replaced, and then reads its own \
            again.",
        look: "Conflicts decided anew at every replica; caches of the session beside those of the server.",
        systems: &[],
        sources: &[
            "Lipton and Sandberg, PRAM (1988)",
            "Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems (2016)",
        ],
    },
    Entry {
        name: "causal-violation",
        aliases: &["nonCausal"],
        about: About::Anomaly,
        meaning: "Someone saw an effect and missed a cause, where causes reach through sessions and reads over any \
            number of steps.",
        drawing: "p0  [x+1]  [y+1]\n\
            p1                [y:1]  [z+1]\n\
            p2                              [z:1]  [x:]",
        shows: "p2 sees z, whose author saw y, whose author had written x before: p2 misses x.",
        look: "Dependencies that are tracked only one step back, or dropped when a shard or a datacenter is crossed.",
        systems: &["MongoDB 3.6.4, causal sessions at the default concerns (Jepsen 2018)"],
        sources: &[
            "Ahamad et al., Causal Memory (1995)",
            "Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems (2016)",
        ],
    },
    Entry {
        name: "not-sequential",
        aliases: &["nonsequential"],
        about: About::Anomaly,
        meaning: "Taking what a transaction did on one key as an operation of its own, no order of all operations \
            keeps every process's order and explains what was read.",
        drawing: "p0  [x+1]  [y:]\n\
            p1  [y+1]  [x:]",
        shows: "p0's read misses p1's write and the other way around, although each read after it had written.",
        look: "Store buffers and asynchronous replication: writes are acknowledged before others can see them.",
        systems: &["Dgraph 1.0.2, a single client out of order (Jepsen 2018)"],
        sources: &["Lamport, How to Make a Multiprocessor Computer (1979)"],
    },
    Entry {
        name: "not-linearizable",
        aliases: &["nonlinearizable"],
        about: About::Anomaly,
        meaning: "A key did not behave like one copy: no order of what was done on it agrees with real time and \
            explains what was read.",
        drawing: "p0  [x+1]\n\
            p1         [x:]",
        shows: "p1 began after p0 was acknowledged, and reads the old state.",
        look: "Reads that are served without asking a majority; two leaders at once; writes lost in a failover.",
        systems: &[
            "VoltDB 6.3 (Jepsen 2016)",
            "development builds of Redis-Raft, 1b3fbf6 (Jepsen 2020)",
            "RethinkDB 2.2.3, while nodes were added and removed (Jepsen 2016)",
        ],
        sources: &["Herlihy and Wing, Linearizability (1990)"],
    },
];
