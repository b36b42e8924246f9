//! What a checker is: it takes a case and a budget, and answers with a verdict and the evidence.
//!
//! A [`Case`] is a history with everything that several checkers want to know of it, worked out once. A checker is pure:
//! the same case gives the same answer. `checkers/` holds one file per kind, [`CHECKERS`](crate::checkers::CHECKERS) the table.

use crate::evidence::{Budget, upper_bound};
use crate::facts::Facts;
use crate::finding::{Evidence, Ledger, Outcome};
use crate::history::History;
use crate::proof::Proofs;
use crate::sharpness::Sharpness;
use crate::visibility::Way;

/// Decides one guarantee.
pub trait Checker: Send + Sync {
    /// Judges the case. Called once per history; must not depend on anything but its arguments.
    fn check(&self, case: &Case<'_>, budget: &Budget) -> Answer;
}

/// A history and what is known about it.
pub struct Case<'h> {
    pub(crate) facts: Facts<'h>,
    pub(crate) sharpness: Sharpness,
    /// How what reads must see is worked out.
    pub(crate) way: Way,
}

impl<'h> Case<'h> {
    /// Works out what checkers need. Cost: one pass and some sorting, about 150 bytes an operation.
    pub fn new(history: &'h History) -> Case<'h> {
        Case { facts: Facts::of(history), sharpness: Sharpness::of(history), way: Way::default() }
    }

    /// The history.
    pub fn history(&self) -> &'h History {
        self.facts.history
    }

    /// What was not used of the history, and why.
    pub fn notes(&self) -> &[String] {
        &self.facts.notes
    }
}

/// What a checker says.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It judged.
    Judged {
        /// The verdict.
        outcome: Outcome,
        /// On how much.
        evidence: Evidence,
        /// What became of the writes, from the checker of lost writes.
        ledger: Option<Box<Ledger>>,
    },
    /// The history has nothing that this guarantee is about (no registers, no final reads): why, in one sentence.
    NotHere {
        /// Why.
        why: String,
    },
}

/// Opportunities and violations, before they become an answer.
pub(crate) struct Tally {
    pub(crate) unit: &'static str,
    pub(crate) order: String,
    pub(crate) opportunities: u64,
    pub(crate) sharp: u64,
    pub(crate) proofs: Proofs,
}

impl Tally {
    /// Broken with a violation, held without; nothing to see is vacuous.
    pub(crate) fn answer(self) -> Answer {
        let violations = self.proofs.violations();
        // Violations may lie where nobody would have called it sharp: then all opportunities count.
        let bound = match violations {
            0 if self.sharp > 0 => upper_bound(0, self.sharp),
            seen => upper_bound(seen, self.opportunities.max(seen)),
        };
        let evidence = Evidence {
            opportunities: self.opportunities,
            sharp: self.sharp,
            unit: self.unit.to_string(),
            upper_bound: bound,
            order: self.order,
        };
        let outcome = match self.proofs.into_outcome() {
            Some(broken) => broken,
            None if self.opportunities == 0 => {
                Outcome::Vacuous { why: format!("there was nothing to see: no {}", self.unit) }
            }
            None => Outcome::Held,
        };
        Answer::Judged { outcome, evidence, ledger: None }
    }
}
