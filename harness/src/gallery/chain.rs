//! What a chain can do to its users: a tail that was repaired around and does not know it.

use gainsay_nemesis::schedule::Shape;

use super::claim::Claim::{Breaks, Holds};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// The last node stops until the others have gone on without it, and later it is cut off. It returns as the last, so it is the tail again the next time.
const TAIL_AWAY: Faults = Faults::Every(
    5_800,
    &[
        Strike { at_ms: 400, lasts_ms: 1_300, whom: Whom::Nodes(&["n3"]), deed: Deed::Pause },
        Strike { at_ms: 3_200, lasts_ms: 1_600, whom: Whom::Nodes(&["n3"]), deed: Deed::Cut(Shape::Halves) },
    ],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "chain",
    figure: "",
    about: "The tail is away for a while and the others repair the chain around it; it does not know that, and answers reads as before.",
    under: "the tail paused and resumed, and cut off",
    setting: "--workload register --nodes 3 --rate 600",
    faults: TAIL_AWAY,
    breaks: Some(Side { mode: "--mode chain --lease off", claims: &[Breaks("linearizable")] }),
    holds: Side { mode: "--mode chain --lease on", claims: &[Holds("linearizable"), Holds("lost-writes")] },
    prevented_by: "A lease: the tail answers only while a majority has confirmed its configuration lately, and a new tail waits until that has run out. Repair stops reads and writes for about a second on either side.",
}];
