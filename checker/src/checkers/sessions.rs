//! Session guarantees: read-your-writes, monotonic reads, monotonic writes, writes-follow-reads, and the order that all share.
//!
//! What each read must see is worked out in [`visibility`](crate::visibility); demands that run in circles in
//! [`circles`](crate::circles). Violations are counted as reads. `single-order` asks whether the sessions that each pass monotonic
//! reads also pass together: two readers who see 1, 2 and 2, 1 are each right, and the replicas disagree.

mod known;
mod provenance;
mod words;

use crate::checker::{Answer, Case, Checker, Tally};
use crate::circles::{self, Circle};
use crate::evidence::Budget;
use crate::facts::{Facts, Kind};
use crate::intern::Interner;
use crate::proof::Proofs;
use crate::visibility::{Actors, Demand, Keep, Lack, Sight, Walk, Wants, keep};

/// Whose operations belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    Session,
    User,
}

/// A session guarantee, or several as one.
pub(super) struct Sessions {
    pub(super) name: &'static str,
    pub(super) wants: Wants,
    pub(super) per: Per,
    pub(super) unit: &'static str,
}

/// Whether sessions that pass alone also pass together.
pub(super) struct SingleOrder;

/// Everything that was found for one set of guarantees.
pub(super) struct Found {
    pub(super) sight: Sight,
    pub(super) own: Vec<Circle>,
    pub(super) together: Vec<Circle>,
}

impl Checker for Sessions {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let facts = &case.facts;
        let users;
        let actors = match self.per {
            Per::Session => Actors { of: &facts.sessions, count: facts.session_names.len() },
            Per::User => {
                users = by_user(facts);
                if !facts.history.ops.iter().any(|op| op.user.is_some()) {
                    return Answer::NotHere { why: "no users are recorded".to_string() };
                }
                Actors { of: &users.0, count: users.1 }
            }
        };
        if facts.keys.iter().all(|key| key.kind == Kind::Mixed) && !facts.keys.is_empty() {
            return Answer::NotHere { why: "every key is written in ways that do not go together".to_string() };
        }
        let found = search(case, self.wants, actors);
        let mut broken: Vec<(u64, Broken)> = Vec::new();
        let time = |part: u32| facts.history.ops[facts.parts[part as usize].op as usize].completed;
        broken.extend(found.sight.lacks.iter().map(|lack| (time(lack.part), Broken::Lack(lack))));
        broken.extend(found.own.iter().map(|circle| (words::time_of(facts, circle), Broken::Circle(circle))));
        broken.sort_by_key(|(time, broken)| (*time, broken.op(facts)));
        // A read counts once, however many of its keys are wrong.
        broken.dedup_by_key(|(_, broken)| broken.op(facts));
        let mut proofs = Proofs::default();
        let telling = words::Telling { facts, wants: self.wants, actors, name: self.name, sight: &found.sight };
        for (time, broken) in &broken {
            proofs.add(*time, self.name, || match broken {
                Broken::Lack(lack) => telling.lack(lack, *time),
                Broken::Circle(circle) => telling.circle(circle, *time),
            });
        }
        Tally {
            unit: self.unit,
            order: orders(facts),
            opportunities: found.sight.opportunities.max(proofs.violations()),
            sharp: found.sight.sharp,
            proofs,
        }
        .answer()
    }
}

enum Broken<'a> {
    Lack(&'a Lack),
    Circle(&'a Circle),
}

impl Broken<'_> {
    fn op(&self, facts: &Facts) -> u32 {
        match self {
            Broken::Lack(lack) => facts.parts[lack.part as usize].op,
            Broken::Circle(circle) => words::op_of(facts, circle),
        }
    }
}

impl Checker for SingleOrder {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let facts = &case.facts;
        let wants = Wants { monotonic_reads: true, ..Wants::default() };
        let actors = Actors { of: &facts.sessions, count: facts.session_names.len() };
        let found = search(case, wants, actors);
        let mut proofs = Proofs::default();
        let telling = words::Telling { facts, wants, actors, name: "single-order", sight: &found.sight };
        let mut circles: Vec<(u64, &Circle)> =
            found.together.iter().map(|circle| (words::time_of(facts, circle), circle)).collect();
        circles.sort_by_key(|(time, circle)| (*time, circle.part));
        for (time, circle) in circles {
            proofs.add(time, "no-single-order", || telling.circle(circle, time));
        }
        let demands = found.sight.demands.len() as u64;
        if demands == 0 {
            return Answer::NotHere { why: "no register of unknown order was read twice".to_string() };
        }
        Tally {
            unit: "values that a session read one after the other",
            order: orders(facts),
            opportunities: demands,
            sharp: found.sight.sharp.min(demands),
            proofs,
        }
        .answer()
    }
}

/// Walks, and looks for circles: key by key where no guarantee passes through writes, over all keys where one does.
pub(super) fn search(case: &Case<'_>, wants: Wants, actors: Actors<'_>) -> Found {
    let facts = &case.facts;
    let whose = |demand: &Demand| actors.of[facts.parts[demand.part as usize].op as usize];
    let (mut own, mut together) = (Vec::new(), Vec::new());
    let mut walk = Walk::new(facts, wants, actors, &case.sharpness, case.way);
    walk.run(|key, sight, from| {
        if wants.through_writes() || sight.demands.len() == from || !matters(facts, key) {
            return;
        }
        if explained(facts, &sight.demands[from..]) {
            return;
        }
        let known = known::within(facts, &sight.demands[from..]);
        let circles = circles::find(&sight.demands, from, &known, whose);
        own.extend(circles.own);
        together.extend(circles.together);
    });
    if !wants.through_writes() || explained(facts, &walk.sight().demands) {
        return Found { sight: walk.found(), own, together };
    }
    let known = known::through_writes(facts, wants, actors);
    let listed = known::listed(facts);
    let all = [known.as_slice(), &listed].concat();
    let keys = circles::touched(facts, &walk.sight().demands, &all, walk.chains());
    walk.unsettle(&keys);
    let mut sight = walk.found();
    let mut circles = circles::find(&sight.demands, 0, &all, whose);
    if !listed.is_empty() && !circles.own.is_empty() {
        // Everybody's lists together close a circle: does anybody's alone?
        sight.demands.extend(known::listed_by_actor(facts, actors));
        circles = circles::find(&sight.demands, 0, &known, whose);
    }
    Found { sight, own: circles.own, together: circles.together }
}

/// Whether every write has an instant that respects all that is known, and the demands as well: then there is no circle.
fn explained(facts: &Facts, demands: &[Demand]) -> bool {
    facts.instants().is_some_and(|instants| demands.iter().all(|demand| instants.before(demand.from, demand.to)))
}

fn matters(facts: &Facts, key: usize) -> bool {
    keep(facts, key) != Keep::Nothing
}

/// Users where they were recorded, sessions elsewhere.
fn by_user(facts: &Facts) -> (Vec<u32>, usize) {
    let mut names = Interner::default();
    let of = facts
        .history
        .ops
        .iter()
        .map(|op| match &op.user {
            Some(user) => names.id(&format!("user {user}").as_str().into()),
            None => names.id(&format!("session {}", op.session).as_str().into()),
        })
        .collect();
    (of, names.names.len())
}

/// Where the order of writes came from, over all keys that were read.
pub(super) fn orders(facts: &Facts) -> String {
    let mut names: Vec<&str> = Vec::new();
    for key in facts.keys.iter().filter(|key| !key.parts.is_empty()) {
        let name = key.order.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_unstable();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}
