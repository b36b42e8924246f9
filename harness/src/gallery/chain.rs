//! What a chain can do to its users: a tail that was repaired around and does not know it.

use super::claim::Claim::{Breaks, Holds};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// The last node stops, the others go on without it, and it goes on. It returns as the last, so it is the tail again the next time.
const TAIL_PAUSED: Faults = Faults::Every(
    3_500,
    &[Strike { at_ms: 500, lasts_ms: 1_900, whom: Whom::Nodes(&["n3"]), deed: Deed::Pause }],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "chain",
    figure: "",
    about: "The tail stops for a while; the others repair the chain around it, and when it goes on it answers reads as before.",
    under: "the tail paused and resumed",
    setting: "--workload register --nodes 3 --rate 600",
    faults: TAIL_PAUSED,
    breaks: Side { mode: "--mode chain --lease off", claims: &[Breaks("linearizable")] },
    holds: Side { mode: "--mode chain --lease on", claims: &[Holds("linearizable"), Holds("lost-writes")] },
    prevented_by: "A lease: the tail answers only while a majority has confirmed its configuration lately, and a new tail waits until that has run out. Repair stops reads and writes for about a second on either side.",
}];
