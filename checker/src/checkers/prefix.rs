//! Consistent prefix: one order of all writes exists of which every read sees a beginning (Terry 2013).
//!
//! A graph over writes and reads ([`graph`]) holds everything that such an order must respect; a circle is a violation. Where a register's
//! order of writes is not known, a read of it leaves a choice for every other write of the key: before the write that was returned, or after
//! the read. Those are tried, within a budget ([`choices`]). *Monotonic prefix*: besides, a session's beginnings only grow.
//!
//! Reads of one register of unknown order at a time show nothing: then there is nothing to see. Elements of sets that somebody removes are left
//! out. Violations are counted as reads that have to be left out until the rest has an order, always the latest of a shortest circle.

mod choices;
mod graph;
mod words;

use std::time::Instant;

use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::facts::{Facts, Kind, NONE, Order, Shown};
use crate::finding::Outcome as Verdict;
use crate::graph::{Arrow, Graph};
use crate::intern::FastMap;
use crate::proof::Proofs;

/// Whether a session's beginnings must only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Free,
    Monotonic,
}

pub(super) struct Prefix {
    pub(super) name: &'static str,
    pub(super) growth: Growth,
}

/// How many reads are left out one by one in each component; more are counted as one.
const LEFT_OUT: usize = 200;
/// A shortest circle is looked for from so many reads of a component.
const STARTS: usize = 30;

impl Checker for Prefix {
    fn check(&self, case: &Case<'_>, budget: &Budget) -> Answer {
        let facts = &case.facts;
        let deadline = Instant::now() + budget.time;
        let (opportunities, sharp) = count(case, self.growth);
        let unit = "reads of several keys, or of a key whose order of writes is known";
        // Instants are a witness, if something can be seen at all; of growing beginnings they say nothing.
        if self.growth == Growth::Free && opportunities > 0 && facts.instants().is_some() {
            let (order, proofs) = (super::sessions::orders(facts), Proofs::default());
            return Tally { unit, order, opportunities, sharp, proofs }.answer();
        }
        let built = graph::build(facts, self.growth);
        let mut circles: Vec<(u64, Vec<Arrow>)> = circles(facts, built.nodes, &built.arrows);
        if circles.is_empty() && opportunities == 0 && self.growth == Growth::Free && !facts.reads.is_empty() {
            let why = "reads of one register at a time, whose order of writes is not known, cannot show it".to_string();
            let evidence = crate::finding::Evidence { unit: unit.into(), ..Default::default() };
            return Answer::Judged { outcome: Verdict::Vacuous { why }, evidence, ledger: None };
        }
        let mut unknown = None;
        if circles.is_empty() {
            match choices::search(facts, &built, deadline) {
                choices::Found::Order => {}
                choices::Found::NoOrder(circle) => circles.push((words::time_of(facts, &circle), circle)),
                choices::Found::OutOfBudget(why) => unknown = Some(why),
            }
        }
        circles.sort_by_key(|(time, _)| *time);
        let mut proofs = Proofs::default();
        for (time, circle) in &circles {
            proofs.add(*time, self.name, || words::explain(facts, self.name, circle, *time));
        }
        let tally = Tally {
            unit,
            order: super::sessions::orders(facts),
            opportunities: opportunities.max(proofs.violations()),
            sharp,
            proofs,
        };
        match (tally.answer(), unknown) {
            (Answer::Judged { evidence, ledger, .. }, Some(why)) => {
                Answer::Judged { outcome: Verdict::Unknown { why }, evidence, ledger }
            }
            (answer, _) => answer,
        }
    }
}

fn count(case: &Case<'_>, growth: Growth) -> (u64, u64) {
    let facts = &case.facts;
    let (mut seen, mut sharp) = (0, 0);
    let mut last = vec![NONE; facts.session_names.len()];
    for read in &facts.reads {
        let parts = facts.parts_of(read);
        let before = std::mem::replace(&mut last[facts.sessions[read.op as usize] as usize], read.op);
        let before = (before != NONE).then_some(before);
        let known = |key: u32| {
            let key = &facts.keys[key as usize];
            matches!(key.kind, Kind::List | Kind::Set) || matches!(key.order, Order::Reported | Order::RealTime)
        };
        let something = parts.iter().any(|part| !matches!(part.shown, Shown::Nil | Shown::Prefix(0) | Shown::Skip));
        let again = growth == Growth::Monotonic && before.is_some();
        if (something || again) && (again || parts.len() > 1 || parts.iter().any(|part| known(part.key))) {
            seen += 1;
            sharp += u64::from(case.sharpness.sharp_at(read.op, before));
        }
    }
    (seen, sharp)
}

/// One circle for each read that has to be left out.
fn circles(facts: &Facts, nodes: usize, arrows: &[Arrow]) -> Vec<(u64, Vec<Arrow>)> {
    let components = Graph::new(nodes, arrows).components();
    if !components.any_cycle() {
        return Vec::new();
    }
    let mut by_component: FastMap<u32, Vec<Arrow>> = FastMap::default();
    for arrow in arrows.iter().filter(|arrow| components.together(arrow.from, arrow.to)) {
        by_component.entry(components.of[arrow.from as usize]).or_default().push(*arrow);
    }
    let mut order: Vec<u32> = by_component.keys().copied().collect();
    order.sort_unstable();
    order
        .into_iter()
        .flat_map(|component| leave_out(facts, by_component.remove(&component).unwrap_or_default()))
        .collect()
}

/// Leaves reads out of one component until it has no circle any more.
fn leave_out(facts: &Facts, mut arrows: Vec<Arrow>) -> Vec<(u64, Vec<Arrow>)> {
    let mut found = Vec::new();
    while found.len() < LEFT_OUT {
        let Some(circle) = shortest(facts, &arrows) else { break };
        let read = circle.iter().map(|arrow| arrow.to).filter(|&node| words::read_of(facts, node).is_some());
        let latest =
            read.max_by_key(|&node| words::read_of(facts, node).map(|op| facts.history.ops[op as usize].completed));
        found.push((words::time_of(facts, &circle), circle));
        let Some(latest) = latest else { break };
        arrows.retain(|arrow| arrow.from != latest && arrow.to != latest);
    }
    found
}

/// A shortest circle through one of the first reads that lie on any.
fn shortest(facts: &Facts, arrows: &[Arrow]) -> Option<Vec<Arrow>> {
    let mut dense: FastMap<u32, u32> = FastMap::default();
    let mut names: Vec<u32> = Vec::new();
    let mut id = |node: u32| {
        *dense.entry(node).or_insert_with(|| {
            names.push(node);
            names.len() as u32 - 1
        })
    };
    let arrows: Vec<Arrow> =
        arrows.iter().map(|arrow| Arrow { from: id(arrow.from), to: id(arrow.to), tag: arrow.tag }).collect();
    let graph = Graph::new(names.len(), &arrows);
    let components = graph.components();
    let inside = || arrows.iter().filter(|arrow| components.together(arrow.from, arrow.to));
    let read = |node: u32| words::read_of(facts, names[node as usize]).is_some();
    let mut best: Option<Vec<Arrow>> = None;
    let mut starts: Vec<&Arrow> = inside().filter(|arrow| read(arrow.from)).take(STARTS).collect();
    if starts.is_empty() {
        starts.extend(inside().take(STARTS));
    }
    for arrow in starts {
        let component = components.of[arrow.from as usize];
        let path = graph.path(arrow.to, arrow.from, |node| components.of[node as usize] == component);
        if let Some(path) = path.filter(|path| best.as_ref().is_none_or(|best| path.len() + 1 < best.len())) {
            best = Some(std::iter::once(*arrow).chain(path).collect());
        }
    }
    best.map(|circle| {
        circle
            .into_iter()
            .map(|arrow| Arrow { from: names[arrow.from as usize], to: names[arrow.to as usize], tag: arrow.tag })
            .collect()
    })
}
