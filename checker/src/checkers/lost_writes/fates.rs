//! The fate of every acknowledged write of a key, and the ledger's columns.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Fate, Loss, counts, first_showing, kind_of_loss, registers};
use crate::action::{Atom, Reading};
use crate::facts::{Deed, Facts, Kind, NONE, Part, Shown};
use crate::finding::Ledger;
use crate::history::Outcome;
use crate::intern::FastMap;

/// What one replica showed of a key in the end.
pub(super) struct Final<'a> {
    pub(super) node: usize,
    pub(super) part: &'a Part,
    /// The writes present, as those that stand for their values.
    present: FastMap<u32, ()>,
    /// Those that are present or were replaced by one that is, over however many steps; found when first asked for, and shared by replicas
    /// that show the same.
    pub(super) alive: Rc<OnceCell<FastMap<u32, ()>>>,
}

impl Final<'_> {
    pub(super) fn holds(&self, facts: &Facts, write: u32) -> bool {
        match self.part.shown {
            Shown::Prefix(length) => facts.writes[write as usize].place < length,
            Shown::AnyOf(first) => first == facts.writes[write as usize].stands,
            _ => self.present.contains_key(&facts.writes[write as usize].stands),
        }
    }
}

/// Judges one key; answers how many acknowledged writes were judged.
pub(super) fn of_key(
    facts: &Facts,
    key: usize,
    nodes: &[Arc<str>],
    ledger: &mut Ledger,
    losses: &mut Vec<Loss>,
) -> u64 {
    let finals = finals(facts, key, nodes);
    let Some(first) = finals.first() else { return 0 };
    if finals.iter().any(|last| last.part.shown == Shown::Skip && facts.keys[key].kind == Kind::Register) {
        return 0;
    }
    let mut judged = 0;
    for &write in &facts.keys[key].writes {
        let entry = &facts.writes[write as usize];
        let holders = finals.iter().filter(|last| last.holds(facts, write)).count();
        if entry.outcome != Outcome::Ok {
            // A value that an acknowledged write wrote too is no surprise.
            let twin = facts.writers(entry.stands).any(|other| facts.writes[other as usize].outcome == Outcome::Ok);
            ledger.unacknowledged_present += u64::from(holders > 0 && !twin && entry.deed != Deed::Remove);
            continue;
        }
        judged += 1;
        if !counts(facts, write) {
            undone(facts, key, write, &finals, losses);
            continue;
        }
        columns(facts, write, &finals, holders, ledger);
        ledger.acknowledged += 1;
        let fate = fate(facts, key, write, &finals, holders);
        enter(&fate, ledger);
        let name = match fate {
            Fate::Lost(name) => name,
            Fate::OnSome if elements(facts, key) || facts.keys[key].siblings => "lost-on-some-replicas",
            _ => continue,
        };
        let lacking = finals.iter().find(|last| !last.holds(facts, write)).unwrap_or(first);
        let shown = first_showing(facts, key, write);
        losses.push(Loss { write, name, proof: lacking.part.op, shown, time: entry.acked });
    }
    duplicates(facts, key, ledger, losses);
    if facts.keys[key].kind == Kind::Register {
        registers::replaced_twice(facts, key, losses);
    }
    judged
}

fn finals<'a>(facts: &'a Facts, key: usize, nodes: &[Arc<str>]) -> Vec<Final<'a>> {
    let mut finals: Vec<Final> = Vec::new();
    for &part in &facts.keys[key].finals {
        let part = &facts.parts[part as usize];
        let name = facts.history.ops[part.op as usize].node.as_deref().unwrap_or("?");
        let Some(node) = nodes.iter().position(|node| **node == *name) else { continue };
        let shown = facts.shown_by(part).iter().filter(|&&write| write != NONE);
        let present = match part.shown {
            Shown::Prefix(_) => FastMap::default(),
            Shown::Skip => by_value(facts, key, part),
            _ => shown.map(|&write| (facts.writes[write as usize].stands, ())).collect(),
        };
        let twin = finals.iter().find(|other| other.part.shown == part.shown && other.present == present);
        let alive = twin.map(|other| other.alive.clone()).unwrap_or_default();
        let last = Final { node, part, present, alive };
        match finals.iter_mut().find(|other| other.node == node) {
            Some(other) => *other = last,
            None => finals.push(last),
        }
    }
    finals.sort_by_key(|last| last.node);
    finals
}

/// The writes of the elements of a list that contradicts another: its order is wrong, what is there is there all the same.
fn by_value(facts: &Facts, key: usize, part: &Part) -> FastMap<u32, ()> {
    let Some(Reading::Many(elements)) = facts.reading(part) else { return FastMap::default() };
    let shown: FastMap<&Atom, ()> = elements.iter().map(|element| (element, ())).collect();
    let writes = facts.keys[key].writes.iter();
    let there = writes.filter(|&&write| facts.value_of(write).is_some_and(|value| shown.contains_key(value)));
    there.map(|&write| (facts.writes[write as usize].stands, ())).collect()
}

fn elements(facts: &Facts, key: usize) -> bool {
    matches!(facts.keys[key].kind, Kind::List | Kind::Set)
}

fn fate(facts: &Facts, key: usize, write: u32, finals: &[Final], holders: usize) -> Fate {
    if holders == finals.len() {
        return Fate::Present;
    }
    if !elements(facts, key) {
        return registers::fate(facts, key, write, finals, holders);
    }
    let entry = &facts.writes[write as usize];
    // A remove that was over before the add was sent took something else away.
    let removes = facts.removes.get(&entry.stands).into_iter().flatten();
    let mut may_have_taken = removes.map(|&remove| facts.writes[remove as usize].acked >= entry.invoked);
    if entry.deed == Deed::Add && may_have_taken.any(|may| may) {
        return Fate::Removed;
    }
    if holders > 0 { Fate::OnSome } else { Fate::Lost(kind_of_loss(facts, key, write).0) }
}

fn enter(fate: &Fate, ledger: &mut Ledger) {
    match fate {
        Fate::Present => ledger.present += 1,
        Fate::OnSome => ledger.on_some += 1,
        Fate::Removed => ledger.removed += 1,
        Fate::Replaced => ledger.replaced += 1,
        Fate::Lost(_) => ledger.lost += 1,
    }
}

fn columns(facts: &Facts, write: u32, finals: &[Final], holders: usize, ledger: &mut Ledger) {
    for last in finals {
        let column = &mut ledger.replicas[last.node];
        if last.holds(facts, write) {
            column.1 += 1;
        } else if holders > 0 {
            column.2 += 1;
        }
    }
}

/// An acknowledged remove whose element is there in the end although every add of it was over before, or an acknowledged
/// delete of a register whose final value had been written before.
fn undone(facts: &Facts, key: usize, write: u32, finals: &[Final], losses: &mut Vec<Loss>) {
    let entry = &facts.writes[write as usize];
    if entry.deed == Deed::Delete {
        if let Some(proof) = registers::rolled_back(facts, key, write, finals) {
            losses.push(Loss { write, name: "resurrected", proof, shown: None, time: entry.acked });
        }
        return;
    }
    let Some(&add) = facts.removed.get(&write) else { return };
    let over = facts.writers(add).all(|add| {
        let add = &facts.writes[add as usize];
        add.outcome == Outcome::Fail || add.acked < entry.invoked
    });
    if let Some(last) = finals.iter().find(|last| last.holds(facts, add)).filter(|_| over) {
        losses.push(Loss { write, name: "resurrected", proof: last.part.op, shown: None, time: entry.acked });
    }
}

/// Elements that a final read showed twice.
fn duplicates(facts: &Facts, key: usize, ledger: &mut Ledger, losses: &mut Vec<Loss>) {
    let twice = facts.oddities.iter().filter(|odd| odd.key as usize == key && odd.name == "element-twice");
    for odd in twice {
        if odd.other == NONE || !counts(facts, odd.other) {
            continue;
        }
        ledger.duplicated += 1;
        let time = facts.history.ops[odd.read as usize].completed;
        losses.push(Loss { write: odd.other, name: "duplicated", proof: odd.read, shown: None, time });
    }
}
