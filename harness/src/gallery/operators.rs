//! What operators do to a cluster with one leader while it is in use: nothing may be lost by it, and writes may not stop for long.

use super::claim::Claim::{Holds, WritesGoOn, WritesStop};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// One node after the other, once.
const ONE_AFTER_THE_OTHER: Faults = Faults::Every(
    600_000,
    &[
        Strike { at_ms: 600, lasts_ms: 400, whom: Whom::Nodes(&["n1"]), deed: Deed::Upgrade },
        Strike { at_ms: 1_900, lasts_ms: 400, whom: Whom::Nodes(&["n2"]), deed: Deed::Upgrade },
        Strike { at_ms: 5_000, lasts_ms: 400, whom: Whom::Nodes(&["n3"]), deed: Deed::Upgrade },
    ],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "switchover",
        figure: "",
        about: "An operator makes another node the leader, again and again, while users write.",
        under: "planned changes of the leader",
        setting: "--workload append --nodes 3 --rate 400",
        faults: Faults::Every(
            1_600,
            &[Strike { at_ms: 600, lasts_ms: 300, whom: Whom::Follower(0), deed: Deed::SwitchOver }],
        ),
        breaks: None,
        holds: Side { mode: "--ack async --reads any", claims: &[Holds("lost-writes"), WritesGoOn(1_500)] },
        prevented_by: "The old leader takes no more writes, waits until its heir has all that it acknowledged, and only then lets go.",
    },
    Scenario {
        name: "new-follower",
        figure: "",
        about: "A follower with an empty disk joins while users write, again and again.",
        under: "one follower's disk emptied",
        setting: "--workload append --nodes 3 --rate 600 --ops-per-key 10",
        faults: Faults::Every(
            3_000,
            &[Strike { at_ms: 1_500, lasts_ms: 500, whom: Whom::Follower(0), deed: Deed::Wipe }],
        ),
        breaks: None,
        holds: Side { mode: "--ack semi-sync --reads token", claims: &[Holds("convergence"), WritesGoOn(1_500)] },
        prevented_by: "A consistent copy beside the writer, tied to the exact position of its last entry, and then the changes since. Nobody has to stop for it.",
    },
    Scenario {
        name: "rolling-upgrade",
        figure: "",
        about: "Nodes are replaced by a newer version one after the other, and write the new format while others still read the old one.",
        under: "nodes ended and started as the newer version, one after the other",
        setting: "--workload append --nodes 3 --rate 400 --ops-per-key 10",
        faults: ONE_AFTER_THE_OTHER,
        breaks: Some(Side {
            mode: "--log wal --format-version 1 --ack sync --reads token",
            claims: &[WritesStop(2_500)],
        }),
        holds: Side {
            mode: "--log row --format-version 1 --ack sync --reads token",
            claims: &[Holds("lost-writes"), Holds("convergence"), WritesGoOn(2_500)],
        },
        prevented_by: "Rows that are told apart from how they are stored: a field that a node does not know is read past, one that is missing has a default. Pages fit only files of the same version: such a log is upgraded with all nodes down.",
    },
];
