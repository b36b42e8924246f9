//! What replicas without a leader can do to their users: quorums that do not overlap, clocks that decide, repairs that never come.

use gainsay_nemesis::schedule::Shape;

use super::claim::Claim::{Breaks, Holds, Siblings};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// One node's clock is ahead: what it writes stays the newest for as long.
const CLOCK_AHEAD: Faults = Faults::Every(
    3_500,
    &[Strike { at_ms: 600, lasts_ms: 2_200, whom: Whom::Nodes(&["n2"]), deed: Deed::Clock(60_000) }],
);

/// One node is far away for most of the time.
const SLOW_NODE: Faults = Faults::Every(
    3_500,
    &[Strike { at_ms: 600, lasts_ms: 2_400, whom: Whom::Nodes(&["n2"]), deed: Deed::Slow(60, 7) }],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "quorum",
        figure: "5-10",
        about: "Reads and writes overlap in at least one replica, and still a read can miss what another has already seen.",
        under: "slow links of one node, and its clock set ahead",
        setting: "--workload register --nodes 5 --rate 400",
        faults: Faults::Every(
            4_500,
            &[
                Strike { at_ms: 500, lasts_ms: 1_800, whom: Whom::Nodes(&["n2"]), deed: Deed::Slow(80, 10) },
                Strike { at_ms: 2_500, lasts_ms: 1_500, whom: Whom::Nodes(&["n4"]), deed: Deed::Clock(60_000) },
            ],
        ),
        breaks: Some(Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --versions lww",
            claims: &[Breaks("linearizable")],
        }),
        holds: Side { mode: "--mode single-leader --ack semi-sync --reads leader", claims: &[Holds("linearizable")] },
        prevented_by: "One leader that orders all operations. Larger quorums do not: a write in progress is on some replicas before it is on w of them.",
    },
    Scenario {
        name: "small-quorum",
        figure: "",
        about: "With w + r not above n, a busy replica answers a read before a write has reached it, with no fault at all.",
        under: "as many operations as clients can send, no fault",
        setting: "--workload register --nodes 5 --concurrency 40 --rate max --versions lww",
        faults: Faults::None,
        breaks: Some(Side { mode: "--mode leaderless --n 5 --w 1 --r 1", claims: &[Breaks("read-your-writes")] }),
        holds: Side { mode: "--mode leaderless --n 5 --w 3 --r 3", claims: &[Holds("read-your-writes")] },
        prevented_by: "w + r above n: every read then asks at least one replica that has the write.",
    },
    Scenario {
        name: "sloppy",
        figure: "",
        about: "Stand-ins take writes for replicas that are cut off; readers on the other side ask the replicas themselves.",
        under: "two nodes cut off from the others",
        setting: "--workload register --nodes 5 --rate 600 --ops-per-key 200",
        faults: Faults::Every(
            4_000,
            &[Strike { at_ms: 700, lasts_ms: 2_400, whom: Whom::Nodes(&["n1", "n2"]), deed: Deed::Cut(Shape::Halves) }],
        ),
        breaks: Some(Side {
            mode: "--mode leaderless --n 3 --w 2 --r 2 --sloppy on",
            claims: &[Breaks("read-your-writes"), Holds("lost-writes")],
        }),
        holds: Side {
            mode: "--mode leaderless --n 3 --w 2 --r 2 --sloppy off",
            claims: &[Holds("read-your-writes"), Holds("lost-writes")],
        },
        prevented_by: "Strict quorums, which refuse instead: a side that cannot reach w replicas of a key accepts no write of it.",
    },
    Scenario {
        name: "no-order",
        figure: "5-12",
        about: "Replicas take writes in different orders and let the wall clock decide; a clock that runs ahead wins for a minute.",
        under: "one node's clock set ahead by a minute",
        setting: "--workload register --nodes 5 --rate 400",
        faults: CLOCK_AHEAD,
        breaks: Some(Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --versions lww",
            claims: &[Breaks("lost-writes")],
        }),
        holds: Side { mode: "--mode leaderless --n 5 --w 3 --r 3 --versions vectors", claims: &[Holds("lost-writes")] },
        prevented_by: "Version vectors: what was written in knowledge of a value replaces it, whatever the clocks say.",
    },
    Scenario {
        name: "vectors",
        figure: "5-13",
        about: "Two users write the same key at once; the last write wins and the other is dropped without a word.",
        under: "slow links of one node",
        setting: "--workload register --nodes 5 --rate 600",
        faults: SLOW_NODE,
        breaks: Some(Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --versions lww",
            claims: &[Breaks("overwritten-by-concurrent")],
        }),
        holds: Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --versions vectors",
            claims: &[Holds("lost-writes"), Siblings(1)],
        },
        prevented_by: "Version vectors, which keep both as siblings for the next writer to merge.",
    },
    Scenario {
        name: "rarely-read",
        figure: "",
        about: "A replica that was away misses writes; keys that nobody reads are never mended.",
        under: "one node killed again and again",
        setting: "--workload register --nodes 5 --rate 400 --ops-per-key 20",
        faults: Faults::Every(
            2_800,
            &[Strike { at_ms: 600, lasts_ms: 1_500, whom: Whom::Nodes(&["n3"]), deed: Deed::Kill }],
        ),
        breaks: Some(Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --anti-entropy off",
            claims: &[Breaks("convergence")],
        }),
        holds: Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --anti-entropy on",
            claims: &[Holds("convergence"), Holds("lost-writes")],
        },
        prevented_by: "Anti-entropy: replicas compare themselves in the background. Read repair mends only what is read.",
    },
    Scenario {
        name: "no-tombstone",
        figure: "",
        about: "What a tombstone remembers is thrown away while a node is still out of reach; the node returns with the deleted value, and it is everybody's again.",
        under: "one node cut off, then another, for longer than tombstones are kept",
        setting: "--workload profile --nodes 3 --concurrency 24 --rate 900 --ops-per-key 6",
        faults: Faults::Every(
            5_000,
            &[
                Strike { at_ms: 300, lasts_ms: 1_900, whom: Whom::Nodes(&["n2"]), deed: Deed::Cut(Shape::Isolate) },
                Strike { at_ms: 2_700, lasts_ms: 1_900, whom: Whom::Nodes(&["n3"]), deed: Deed::Cut(Shape::Isolate) },
            ],
        ),
        breaks: Some(Side {
            mode: "--mode leaderless --n 3 --tombstone-grace 300ms",
            claims: &[Breaks("lost-writes")],
        }),
        holds: Side {
            mode: "--mode leaderless --n 3 --tombstone-grace 60s",
            claims: &[Holds("lost-writes"), Holds("convergence")],
        },
        prevented_by: "Keeping tombstones for longer than any node may be away, and never letting one back that was away for longer.",
    },
    Scenario {
        name: "write-once",
        figure: "",
        about: "The last write wins, and a wrong clock decides which that is; unless nobody ever writes a key twice.",
        under: "one node's clock set ahead by a minute",
        setting: "--nodes 5 --rate 400",
        faults: CLOCK_AHEAD,
        breaks: Some(Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --versions lww --workload register",
            claims: &[Breaks("lost-writes")],
        }),
        holds: Side {
            mode: "--mode leaderless --n 5 --w 3 --r 3 --versions lww --workload write-once",
            claims: &[Holds("lost-writes"), Holds("read-your-writes")],
        },
        prevented_by: "Keys that are written once, such as events under names of their own. The mode is the same; it has nothing to drop.",
    },
];
