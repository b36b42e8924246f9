//! What the form of the log does to replicas, without any fault.

use super::claim::Claim::{Breaks, Holds};
use super::faults::Faults;
use super::{Scenario, Side};

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "statements",
    figure: "",
    about: "Each follower runs the statement again, draws another random number, and reads another clock.",
    under: "no fault",
    setting: "--workload statements --nodes 3 --rate 200",
    faults: Faults::None,
    breaks: Side { mode: "--log statement --reads any", claims: &[Breaks("convergence")] },
    holds: Side { mode: "--log mixed --reads any", claims: &[Holds("convergence")] },
    prevented_by: "Rows for what the clock, chance or the order of rows decides, also inside a trigger or a default; or literals that the leader writes in their place.",
}];
