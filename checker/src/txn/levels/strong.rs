//! Serializable, snapshot isolation, prefix: cheap answers first.
//!
//! 1. What must be in any case runs in a circle: violated.
//! 2. An order is tried out greedily, in the order of completion: most histories of a store that keeps its word end here.
//! 3. Both once more with what follows within stretches of a large history ([`windows`]).
//! 4. What follows is added until nothing does ([`saturate`](super::saturate)): a circle is a violation; otherwise greedily again.
//! 5. What is left to choose falls into components; each is searched ([`residue`](super::residue)).

use std::time::Instant;

use crate::evidence::Budget;
use crate::txn::levels::events::Events;
use crate::txn::levels::facts::Facts;
use crate::txn::levels::greedy::schedule;
use crate::txn::levels::residue::{Search, search};
use crate::txn::levels::saturate::{Saturated, saturate};
use crate::txn::levels::{Decision, Level, Within, windows};

/// Which ways are taken; all, but for tests of those that a small history would not need.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// Whether an order is tried greedily.
    pub greedy: bool,
    /// Whether few events are kept in a matrix.
    pub matrix: bool,
    /// Whether stretches of a large history are looked at first.
    pub windows: bool,
}

pub(crate) fn strong(facts: &Facts, level: Level, within: Within, budget: &Budget, ways: Ways) -> Decision {
    let deadline = Instant::now() + budget.time;
    let mut events = match Events::of(facts, level, within) {
        Ok(events) => events,
        Err(proof) => return Decision::Violated(proof),
    };
    if !ways.matrix {
        events.few = 0;
    }
    let successors = events.successors();
    let order = successors.order();
    if order.len() < successors.nodes() {
        return Decision::Violated(events.circle());
    }
    if events.blocks.is_empty() || ways.greedy && schedule(&events, &successors) {
        return Decision::Holds;
    }
    drop((successors, order));
    // Few events are saturated in full as quickly.
    if ways.windows && events.nodes as usize > events.few {
        windows::saturate(&mut events, deadline);
        let successors = events.successors();
        if successors.order().len() < successors.nodes() {
            return Decision::Violated(events.circle());
        }
        if ways.greedy && schedule(&events, &successors) {
            return Decision::Holds;
        }
    }
    match saturate(&mut events, deadline) {
        Saturated::Circle => return Decision::Violated(events.circle()),
        Saturated::GaveUp => {
            return Decision::Unknown {
                why: "what must be could not be worked out with the time and memory allowed".into(),
            };
        }
        Saturated::Done => {}
    }
    if ways.greedy && schedule(&events, &events.successors()) {
        return Decision::Holds;
    }
    match search(&events, deadline, budget.configurations) {
        Search::Found => Decision::Holds,
        Search::None(txns) => Decision::Violated(crate::txn::levels::proof::Proof::NoOrder(txns)),
        Search::GaveUp { txns } => Decision::Unknown {
            why: format!("{txns} transactions may be ordered in several ways, and not all could be tried"),
        },
    }
}
