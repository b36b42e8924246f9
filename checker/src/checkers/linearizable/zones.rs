//! Registers whose every value was written once: the zones of Gibbons and Korach, *Testing Shared Memories* (1997).
//!
//! All operations on one value, its write and its reads, must follow each other without another value between them. Let f be the first
//! completion among them and s the last invocation. Value A cannot come before B if B's f is before A's s; if the same holds the other
//! way round too, nothing fits. Zones with f before s ("forward") must not overlap, and no other may lie inside one of them. O(n log n).

use super::{Misfit, Move, NIL, Step};
use crate::facts::{Deed, Facts};
use crate::finding::Anomaly;
use crate::history::Outcome;
use crate::intern::FastMap;
use crate::proof::{self, Part, acknowledged, did, from_node, seconds, sentence, who};

/// Whether this method decides the key: every value written once, no compare-and-set, no delete.
pub(super) fn apply(facts: &Facts, key: usize) -> bool {
    facts.keys[key].writes.iter().all(|&id| {
        let write = &facts.writes[id as usize];
        let action = &facts.op_of(id).steps[write.step as usize].action;
        write.outcome == Outcome::Fail
            || (facts.sole(id) && write.deed == Deed::Set && matches!(action, crate::action::Action::Write(_)))
    })
}

/// The operations on one value.
#[derive(Clone, Copy, Debug)]
struct Zone {
    /// The first completion, and whose.
    first: u64,
    first_op: u32,
    /// The last invocation, and whose.
    last: u64,
    last_op: u32,
    /// Whether anybody read it, or its write succeeded: else it need never have happened.
    real: bool,
}

/// No operation: the initial value was always there.
const ALWAYS: u32 = u32::MAX;

/// Pairs of values of which neither can come first.
pub(super) fn misfits(steps: &[Step]) -> Vec<Misfit> {
    let (forward, backward): (Vec<Zone>, Vec<Zone>) = zones(steps).into_iter().partition(|zone| zone.first < zone.last);
    let mut found = Vec::new();
    // The widest forward zone so far reaches over all that begin before its end.
    let mut reach: Option<Zone> = None;
    let mut widest: Vec<Zone> = Vec::with_capacity(forward.len());
    for zone in forward {
        match reach {
            Some(open) if zone.first < open.last => {
                found.push(misfit(open, zone));
                if zone.last > open.last {
                    reach = Some(zone);
                }
            }
            _ => reach = Some(zone),
        }
        widest.extend(reach);
    }
    for zone in backward {
        let before = widest.partition_point(|open| open.first < zone.last);
        if let Some(open) = before.checked_sub(1).map(|at| widest[at]).filter(|open| zone.first < open.last) {
            found.push(misfit(open, zone));
        }
    }
    found
}

/// The zones by their first completion.
fn zones(steps: &[Step]) -> Vec<Zone> {
    let mut zones: FastMap<u32, Zone> = FastMap::default();
    zones.insert(NIL, Zone { first: 0, first_op: ALWAYS, last: 0, last_op: ALWAYS, real: false });
    for step in steps {
        let (value, read) = match step.what {
            Move::Read(value) => (value, true),
            Move::Write(value) | Move::Cas(_, value) => (value, false),
        };
        let zone = zones.entry(value).or_insert(Zone {
            first: u64::MAX,
            first_op: step.op,
            last: 0,
            last_op: step.op,
            real: false,
        });
        zone.real |= read || step.returned != u64::MAX;
        // Times are shifted by one so that the initial value is before everything.
        if step.returned.saturating_add(1) < zone.first {
            (zone.first, zone.first_op) = (step.returned.saturating_add(1), step.op);
        }
        if step.invoked + 1 > zone.last {
            (zone.last, zone.last_op) = (step.invoked + 1, step.op);
        }
    }
    let mut zones: Vec<Zone> = zones.into_values().filter(|zone| zone.real).collect();
    zones.sort_by_key(|zone| (zone.first, zone.last, zone.first_op, zone.last_op));
    zones
}

fn misfit(a: Zone, b: Zone) -> Misfit {
    // Located at the later of the two last invocations; the initial value cannot be what comes between.
    let swap = b.first_op != ALWAYS && (a.first_op == ALWAYS || a.last >= b.last);
    let (early, late) = if swap { (b, a) } else { (a, b) };
    Misfit {
        time: late.last.saturating_sub(1),
        op: late.last_op,
        explain: Box::new(move |facts| explain(facts, early, late)),
    }
}

fn explain(facts: &Facts, early: Zone, late: Zone) -> Anomaly {
    let tell = |op: u32| {
        let op = &facts.history.ops[op as usize];
        let step = &op.steps[0];
        match &step.action {
            crate::action::Action::Read(reading) => {
                format!(
                    "{} read {} = {}{}",
                    who(op),
                    crate::action::KeyName(&step.key),
                    proof::got(reading.as_ref()),
                    from_node(op)
                )
            }
            action => format!("{} {} {}", who(op), did(action, &step.key), acknowledged(op)),
        }
    };
    let ops = &facts.history.ops;
    let at = &ops[late.last_op as usize];
    let mut text = format!(
        "At {} {}, though before it began {}",
        seconds(at.completed.min(facts.history.end)),
        tell(late.last_op),
        tell(early.first_op)
    );
    let mut parts = vec![
        Part { op: late.last_op, role: "operation that fits nowhere" },
        Part { op: early.first_op, role: "had completed before it began" },
    ];
    let mut edges = vec![(
        early.first_op,
        late.last_op,
        "completed before the other began, so its value must come first".to_string(),
    )];
    if late.first_op == ALWAYS {
        text.push_str(": the initial value cannot come back");
    } else {
        text.push_str(&format!(
            "; and that value came only after the other: {} began after {}",
            tell(early.last_op),
            tell(late.first_op)
        ));
        parts.push(Part { op: early.last_op, role: "began after the other value was there" });
        parts.push(Part { op: late.first_op, role: "had completed before that" });
        edges.push((
            late.first_op,
            early.last_op,
            "completed before the other began, so its value must come first".to_string(),
        ));
    }
    let text = format!("{}.", sentence(&text));
    let key = at.steps.first().map(|step| crate::action::KeyName(&step.key).to_string());
    proof::anomaly(facts.history, "nonlinearizable", text, key, &parts, &edges, at.completed.min(facts.history.end))
}
