//! What a client can do about lag, policy by policy: where each helps, and where it ends.
//!
//! Three nodes, one of them far away for most of the time. No policy here changes what the replicas do; only what clients ask, and of whom.

use super::claim::Claim::{Breaks, FreshWithin, Holds, StaleBy};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// One follower is far away for most of the time.
const SLOW_FOLLOWER: Faults =
    Faults::Every(4_000, &[Strike { at_ms: 700, lasts_ms: 2_800, whom: Whom::Follower(0), deed: Deed::Slow(150, 18) }]);

/// One follower is very far away.
const SLOWER_FOLLOWER: Faults =
    Faults::Every(4_000, &[Strike { at_ms: 700, lasts_ms: 2_800, whom: Whom::Follower(0), deed: Deed::Slow(400, 40) }]);

/// The leader's clock is ahead for a while and is put right; then one follower is far away.
const CLOCK_THEN_SLOW: Faults = Faults::Every(
    4_500,
    &[
        Strike { at_ms: 500, lasts_ms: 700, whom: Whom::Leader, deed: Deed::Clock(5_000) },
        Strike { at_ms: 1_600, lasts_ms: 2_400, whom: Whom::Follower(0), deed: Deed::Slow(150, 18) },
    ],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "shared-token",
        figure: "",
        about: "A user writes on the telephone and looks at the computer, which knows nothing of it and may read in another datacentre.",
        under: "slow links of one follower",
        setting: "--workload session --nodes 3 --concurrency 50 --rate 250",
        faults: SLOW_FOLLOWER,
        breaks: Some(Side {
            mode: "--ack async --reads token --datacentres 2",
            claims: &[Breaks("read-your-writes-user"), Breaks("monotonic-reads-user")],
        }),
        holds: Side {
            mode: "--ack async --reads shared-token --datacentres 2",
            claims: &[Holds("read-your-writes-user"), Holds("monotonic-reads-user")],
        },
        prevented_by: "One token for all devices of the user, kept where they all can read it; it names all that any of them has written or seen.",
    },
    Scenario {
        name: "own-writes-leader",
        figure: "",
        about: "What a user edits is read from the leader; what others wrote comes from any replica, and goes back in time.",
        under: "slow links of one follower",
        setting: "--workload append --nodes 3 --rate 400",
        faults: SLOW_FOLLOWER,
        breaks: Some(Side {
            mode: "--ack semi-sync --reads own-writes-leader",
            claims: &[Breaks("monotonic-reads"), Holds("read-your-writes")],
        }),
        holds: Side {
            mode: "--ack semi-sync --reads token",
            claims: &[Holds("monotonic-reads"), Holds("read-your-writes")],
        },
        prevented_by: "A token that also names what was read. Reading one's own writes at the leader protects these, and nothing else.",
    },
    Scenario {
        name: "recent-leader",
        figure: "",
        about: "For a moment after each write a user reads from the leader; the lag is longer than the moment.",
        under: "slow links of one follower",
        setting: "--workload append --nodes 3 --rate 400",
        faults: SLOW_FOLLOWER,
        breaks: Some(Side { mode: "--ack async --reads recent-leader=50ms", claims: &[Breaks("read-your-writes")] }),
        holds: Side { mode: "--ack async --reads recent-leader=2s", claims: &[Holds("read-your-writes")] },
        prevented_by: "A longer moment, as long as it outlasts the lag; nobody knows beforehand how long that is. A token needs no guess.",
    },
    Scenario {
        name: "max-lag",
        figure: "",
        about: "Users read the past from a replica that is far behind, and nothing tells them.",
        under: "very slow links of one follower",
        setting: "--workload append --nodes 3 --rate 400",
        faults: SLOWER_FOLLOWER,
        breaks: Some(Side { mode: "--ack async --reads any", claims: &[StaleBy(300)] }),
        holds: Side { mode: "--ack async --reads max-lag=150ms", claims: &[FreshWithin(300)] },
        prevented_by: "Replicas that know how far they are behind and refuse. What is read may still be as old as the limit: it is no read-your-writes.",
    },
    Scenario {
        name: "wall-clock-token",
        figure: "",
        about: "A session remembers when it wrote, by the leader's clock; the clock is put right, and replicas seem to be ahead of it.",
        under: "the leader's clock 5 s ahead and put right, then slow links of one follower",
        setting: "--workload append --nodes 3 --rate 400",
        faults: CLOCK_THEN_SLOW,
        breaks: Some(Side { mode: "--ack async --reads wall-clock-token", claims: &[Breaks("read-your-writes")] }),
        holds: Side { mode: "--ack async --reads token", claims: &[Holds("read-your-writes")] },
        prevented_by: "A logical token: positions in the leader's log are in order whatever clocks say.",
    },
    Scenario {
        name: "overload",
        figure: "",
        about: "Nothing is broken and nothing is slow; there are only more writes than can be shipped in time, and readers see the past.",
        under: "as many writes as clients can send, no fault",
        setting: "--workload append --nodes 3 --concurrency 500 --rate max --ops-per-key 500",
        faults: Faults::None,
        breaks: Some(Side {
            mode: "--ack async --reads any --log trigger",
            claims: &[StaleBy(300), Breaks("read-your-writes")],
        }),
        holds: Side {
            mode: "--ack sync --reads any --log trigger",
            claims: &[FreshWithin(1_000), Holds("read-your-writes")],
        },
        prevented_by: "Writers that wait for all followers can be no faster than these; the price is that one slow follower slows everybody. Or readers that ask for a limit or a token.",
    },
];
