//! A node that comes back from an old copy: it votes in quorums with what it has forgotten.

use super::claim::Claim::{Breaks, Holds};
use super::{Deed, Faults, Scenario, Side, Strike, Whom};

/// The scenarios of this family.
pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "old-copy",
    figure: "",
    about: "Two replicas of three are put back from copies of a second ago: what they confirmed meanwhile is on fewer replicas than a read counts on.",
    under: "two nodes put back to their data of a second ago",
    setting: "--workload register --nodes 3 --rate 600",
    faults: Faults::Every(
        2_600,
        &[Strike { at_ms: 400, lasts_ms: 1_400, whom: Whom::Nodes(&["n2", "n3"]), deed: Deed::Restore(900) }],
    ),
    breaks: Some(Side {
        mode: "--mode leaderless --n 3 --w 2 --r 2 --anti-entropy off --read-repair off",
        claims: &[Breaks("read-your-writes")],
    }),
    holds: Side { mode: "--mode leaderless --n 3 --w 3 --r 3", claims: &[Holds("read-your-writes")] },
    prevented_by: "A read that asks more replicas than are put back, after a write that reached all; or a replica that comes back empty, under a new name, and is filled by the others.",
}];
