//! A node that comes back from an old copy: it votes in quorums with what it has forgotten.

use super::claim::Claim::{Breaks, Holds};
use super::{Deed, Faults, Scenario, Side, Strike, Whom};

/// The scenarios of this family.
pub const SCENARIOS: &[Scenario] = &[Scenario {
    name: "old-copy",
    figure: "",
    about: "A replica is put back from a copy of a second ago: writes that it confirmed are now on fewer replicas than a read counts on.",
    under: "one node after another put back to its data of a second ago",
    setting: "--workload register --nodes 5 --rate 600",
    faults: Faults::Every(
        2_600,
        &[
            Strike { at_ms: 400, lasts_ms: 1_200, whom: Whom::Nodes(&["n2"]), deed: Deed::Restore(1_100) },
            Strike { at_ms: 1_700, lasts_ms: 1_100, whom: Whom::Nodes(&["n4"]), deed: Deed::Restore(1_000) },
        ],
    ),
    breaks: Side {
        mode: "--mode leaderless --n 5 --w 3 --r 3 --anti-entropy off --read-repair off",
        claims: &[Breaks("read-your-writes")],
    },
    holds: Side { mode: "--mode leaderless --n 5 --w 4 --r 4", claims: &[Holds("read-your-writes")] },
    prevented_by: "Quorums that overlap in more replicas than are put back, or a replica that comes back empty under a new name and is filled by the others.",
}];
