//! What a majority buys, and what it costs.

use gainsay_nemesis::schedule::Shape;

use super::claim::Claim::{Breaks, Holds, WritesGoOn, WritesStop};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "raft",
        figure: "",
        about: "Two nodes of five, the leader among them, are cut off: whoever counts two copies as safe loses them, whoever counts a majority does not.",
        under: "the leader and another node cut off together",
        setting: "--workload register --nodes 5 --rate 400",
        faults: Faults::Every(
            6_000,
            &[Strike { at_ms: 800, lasts_ms: 2_000, whom: Whom::LeaderAnd(1), deed: Deed::Cut(Shape::Halves) }],
        ),
        breaks: Some(Side { mode: "--ack semi-sync --reads leader", claims: &[Breaks("lost-writes")] }),
        holds: Side {
            mode: "--mode raft",
            claims: &[Holds("linearizable"), Holds("lost-writes"), Holds("read-your-writes"), Holds("monotonic-reads")],
        },
        prevented_by: "Consensus: a majority has every write on disk before it is acknowledged, and confirms before every read that the leader still leads. Any two majorities share a node, and that node knows.",
    },
    Scenario {
        name: "minority",
        figure: "",
        about: "The one node that is left of three would like to go on; consensus does not let it.",
        under: "both followers paused for 2.5 s",
        setting: "--workload append --nodes 3 --rate 400",
        faults: Faults::Every(
            5_000,
            &[Strike { at_ms: 1_000, lasts_ms: 2_500, whom: Whom::Followers(2), deed: Deed::Pause }],
        ),
        breaks: Some(Side { mode: "--mode raft", claims: &[WritesStop(2_000), Holds("lost-writes")] }),
        holds: Side { mode: "--ack async --reads any --failover off", claims: &[WritesGoOn(2_000)] },
        prevented_by: "Nothing that keeps what it acknowledges: a leader that goes on alone, as an asynchronous one does, goes on with the only copy.",
    },
];
