//! The gallery: for each anomaly of replication, a mode that shows it beside one that does not, under the same faults.
//!
//! A scenario is a value. It says what each side must show, in the names of the checkers or in figures taken from the history, and
//! nothing in it can produce an anomaly: that is left to the mode and the faults. Both sides get the same seed and the same strikes, so
//! what differs is the policy alone. like: the figures of Kleppmann, *Designing Data-Intensive Applications*, chapter 5, whose numbers
//! the scenarios carry.

mod chain;
mod claim;
mod consensus;
mod faults;
mod leaderless;
mod logs;
mod multi_leader;
mod old_copy;
mod operators;
mod partitioned;
mod reads;
mod single_leader;
mod story;

pub use claim::{Claim, Seen, Verdict, betrayed};
pub use faults::{Deed, Faults, Strike, Whom};
pub use story::tell;

/// One way of showing what a mode of replication does to its users.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// The figure of the book that draws it, such as `5-3`; empty where none does.
    pub figure: &'static str,
    /// What happens, in a sentence for somebody who has never heard of it.
    pub about: &'static str,
    /// The fault in a few words, for tables.
    pub under: &'static str,
    /// What both sides have in common: nodes, workload, load, as flags of `gainsay run`.
    pub setting: &'static str,
    /// What is done to both.
    pub faults: Faults,
    /// The side that breaks; none where the scenario only shows what something bears.
    pub breaks: Option<Side>,
    /// The side that holds.
    pub holds: Side,
    /// What prevents it, and what does not, in a sentence or two.
    pub prevented_by: &'static str,
}

/// A mode with its policies, and what it must show.
#[derive(Debug)]
pub struct Side {
    /// The mode and its policies, as flags of `gainsay run`.
    pub mode: &'static str,
    /// What must be seen.
    pub claims: &'static [Claim],
}

impl Scenario {
    /// Its sides, the one that breaks first.
    pub fn sides(&self) -> impl Iterator<Item = &Side> {
        self.breaks.iter().chain([&self.holds])
    }
}

/// All scenarios, family by family.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    let families = [
        single_leader::SCENARIOS,
        reads::SCENARIOS,
        logs::SCENARIOS,
        operators::SCENARIOS,
        chain::SCENARIOS,
        partitioned::SCENARIOS,
        multi_leader::SCENARIOS,
        leaderless::SCENARIOS,
        old_copy::SCENARIOS,
        consensus::SCENARIOS,
    ];
    families.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_both_sides_claim_something() {
        let mut names: Vec<&str> = scenarios().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for scenario in scenarios() {
            let breaks = |side: &Side| side.claims.iter().any(|claim| claim.is_break());
            assert!(scenario.breaks.as_ref().is_none_or(breaks), "{}", scenario.name);
            assert!(scenario.holds.claims.iter().any(|claim| !claim.is_break()), "{}", scenario.name);
        }
    }

    #[test]
    fn every_guarantee_that_a_scenario_claims_is_one_that_a_checker_judges() {
        let known: Vec<&str> = gainsay_checker::checkers::CHECKERS.iter().map(|checker| checker.name).collect();
        for scenario in scenarios() {
            for claim in scenario.sides().flat_map(|side| side.claims) {
                if let Some(name) = claim.guarantee() {
                    assert!(known.contains(&name), "{}: {name}", scenario.name);
                }
            }
        }
    }
}
