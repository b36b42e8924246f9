//! The fate of writes to registers.

use super::fates::Final;
use super::{Fate, Loss, kind_of_loss};
use crate::action::Action;
use crate::facts::versions::covers;
use crate::facts::{Deed, Facts, Shown};
use crate::history::Outcome;
use crate::intern::FastMap;
use crate::version::Version;

/// What became of an acknowledged write that not every replica holds.
pub(super) fn fate(facts: &Facts, key: usize, write: u32, finals: &[Final], holders: usize) -> Fate {
    if holders > 0 {
        return Fate::OnSome;
    }
    let siblings = facts.keys[key].siblings || facts.writes[write as usize].dot.is_some();
    let gone: Vec<&Final> = finals
        .iter()
        .filter(|last| if siblings { !covered(facts, key, write, last) } else { over_before(facts, key, write, last) })
        .collect();
    let deleted = || finals.iter().all(|last| last.part.shown == Shown::Nil);
    match gone.first() {
        Some(_) if gone.len() < finals.len() => Fate::Lost("lost-on-some-replicas"),
        Some(last) if !siblings && last.part.shown != Shown::Nil => Fate::Lost("rolled-back"),
        Some(_) => Fate::Lost(kind_of_loss(facts, key, write).0),
        None if deleted() => Fate::Removed,
        None => Fate::Replaced,
    }
}

/// Whether the replica's final value, in every reading of it, was written completely before `write` was sent.
fn over_before(facts: &Facts, key: usize, write: u32, last: &Final) -> bool {
    let invoked = facts.writes[write as usize].invoked;
    let over = |other: u32| facts.writes[other as usize].acked < invoked;
    match &last.part.shown {
        Shown::One(value) => over(*value),
        Shown::AnyOf(first) => {
            facts.writers(*first).filter(|&other| facts.writes[other as usize].outcome != Outcome::Fail).all(over)
        }
        // Of a deleted key nothing is expected; of one that nobody deleted, everything.
        Shown::Nil => facts.keys[key].deletes.iter().all(|&delete| over(delete)),
        _ => false,
    }
}

/// For a delete: the final read that shows a value from before it, and that it knew of where versions tell.
pub(super) fn rolled_back(facts: &Facts, key: usize, delete: u32, finals: &[Final]) -> Option<u32> {
    let siblings = facts.keys[key].siblings;
    finals
        .iter()
        .filter(|last| !siblings && last.part.shown != Shown::Nil)
        .find(|last| over_before(facts, key, delete, last) && !beside(facts, delete, last))
        .map(|last| last.part.op)
}

/// Whether by its version the delete did not know of what is shown: somebody who has not read deletes nothing but their own.
fn beside(facts: &Facts, delete: u32, last: &Final) -> bool {
    let Some(version @ Version::Vector { .. }) = &facts.op_of(delete).version else { return false };
    match last.part.shown {
        Shown::One(write) => facts.writes[write as usize].dot.is_some_and(|dot| !covers(facts, version, dot)),
        _ => false,
    }
}

/// Whether `write` was replaced, over however many steps, by something that `last` shows.
fn covered(facts: &Facts, key: usize, write: u32, last: &Final) -> bool {
    last.alive.get_or_init(|| alive(facts, key, last)).contains_key(&write)
}

/// What `last` shows, and what that replaced, over however many steps. Quadratic in the writes of the key.
fn alive(facts: &Facts, key: usize, last: &Final) -> FastMap<u32, ()> {
    let mut alive: FastMap<u32, ()> = FastMap::default();
    let mut queue: Vec<u32> =
        facts.keys[key].writes.iter().copied().filter(|&other| last.holds(facts, other)).collect();
    let live = |other: u32| facts.writes[other as usize].outcome != Outcome::Fail;
    // A delete that happened leaves nothing to show, and a write of unknown outcome may have been replaced in turn.
    queue.extend(facts.keys[key].writes.iter().copied().filter(|&other| {
        let entry = &facts.writes[other as usize];
        live(other) && (entry.outcome == Outcome::Info || (entry.deed == Deed::Delete && last.part.shown == Shown::Nil))
    }));
    while let Some(next) = queue.pop() {
        if !live(next) || alive.insert(next, ()).is_some() {
            continue;
        }
        let writes = facts.keys[key].writes.iter().copied();
        queue.extend(writes.filter(|other| !alive.contains_key(other) && replaces(facts, next, *other)));
    }
    alive
}

/// Whether `newer` replaced `older`, or may have.
fn replaces(facts: &Facts, newer: u32, older: u32) -> bool {
    if newer == older {
        return false;
    }
    let (after, before) = (&facts.writes[newer as usize], &facts.writes[older as usize]);
    match (&facts.op_of(newer).version, before.dot) {
        (Some(version @ Version::Vector { .. }), Some(dot)) if after.outcome == Outcome::Ok => {
            let own = after.dot == Some(dot);
            !own && covers(facts, version, dot)
        }
        // Nothing is known of what it replaced: it may be anything sent before.
        _ => before.invoked < after.acked,
    }
}

/// Two acknowledged compare-and-sets that replaced the same value: one of them had no effect that counts.
pub(super) fn replaced_twice(facts: &Facts, key: usize, losses: &mut Vec<Loss>) {
    let mut replaced: FastMap<Option<u32>, u32> = FastMap::default();
    for &write in &facts.keys[key].writes {
        let entry = &facts.writes[write as usize];
        let Action::Cas { old, .. } = &facts.op_of(write).steps[entry.step as usize].action else { continue };
        if entry.outcome != Outcome::Ok {
            continue;
        }
        let part = facts.keys[key].parts.iter().map(|&part| &facts.parts[part as usize]);
        let Some(part) = part.into_iter().find(|part| part.op == entry.op && part.step == entry.step) else { continue };
        let target = match (&part.shown, old) {
            (Shown::One(value), Some(_)) => Some(*value),
            (Shown::Nil, None) if facts.keys[key].deletes.is_empty() => None,
            _ => continue,
        };
        if let Some(&first) = replaced.get(&target) {
            let proof = facts.writes[first as usize].op;
            losses.push(Loss { write, name: "cas-replaced-twice", proof, shown: None, time: entry.acked });
        } else {
            replaced.insert(target, write);
        }
    }
}
