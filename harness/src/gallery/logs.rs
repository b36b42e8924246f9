//! What the form of the log does to replicas.

use super::claim::Claim::{Breaks, FreshWithin, Holds, StaleBy};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// Followers are killed in turn, so that the log is also applied after a restart.
const FOLLOWERS_KILLED: Faults = Faults::Every(
    2_000,
    &[
        Strike { at_ms: 300, lasts_ms: 350, whom: Whom::Follower(0), deed: Deed::Kill },
        Strike { at_ms: 1_300, lasts_ms: 350, whom: Whom::Follower(1), deed: Deed::Kill },
    ],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "statements",
        figure: "",
        about: "Each follower runs the statement again, draws another random number, and reads another clock.",
        under: "followers killed in turn",
        setting: "--workload statements --nodes 3 --rate 400 --ops-per-key 10",
        faults: FOLLOWERS_KILLED,
        breaks: Some(Side { mode: "--log statement --reads any", claims: &[Breaks("convergence")] }),
        holds: Side { mode: "--log mixed --reads any", claims: &[Holds("convergence")] },
        prevented_by: "Rows for what the clock, chance or the order of rows decides, also inside a trigger or a default; or literals that the leader writes in their place.",
    },
    Scenario {
        name: "slow-shipping",
        figure: "",
        about: "Triggers write every change down a second time, and a task of its own ships them, lot by lot; under full load it falls further behind with every second.",
        under: "as many writes as clients can send, no fault",
        setting: "--workload append --nodes 3 --concurrency 500 --rate max --ops-per-key 500",
        faults: Faults::None,
        breaks: Some(Side { mode: "--ack async --reads any --log trigger", claims: &[StaleBy(300)] }),
        holds: Side { mode: "--ack async --reads any --log row", claims: &[FreshWithin(1_000)] },
        prevented_by: "A log that the database itself keeps: what was written leaves at once, from memory, and many messages may be under way. Or writers that wait for followers.",
    },
];
