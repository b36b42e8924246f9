//! The longest list of each key, the places of its elements, and lists that contradict each other.
//!
//! Most databases only ever show beginnings of one list, and then a length says everything. Where replicas have gone
//! separate ways the lists are kept element by element; two that show the same two elements in opposite orders cannot both
//! be right, and one of them is set down as unexplainable.

use super::{Deed, Facts, Kind, NONE, Oddity, Shown, Values};
use crate::action::{Action, Atom, Reading};
use crate::graph::{Arrow, Graph};
use crate::history::Outcome;
use crate::intern::FastMap;

/// Chooses each list's longest reading and says which writes its elements are.
pub(super) fn find_longest<'h>(facts: &mut Facts<'h>, step_keys: &[u32], values: &Values) {
    let mut longest: Vec<Option<(&'h [Atom], u32, u32)>> = vec![None; facts.keys.len()];
    let mut next = 0;
    for (at, op) in facts.history.ops.iter().enumerate() {
        let keys = &step_keys[next..next + op.steps.len()];
        next += op.steps.len();
        if op.outcome != Outcome::Ok {
            continue;
        }
        for (step, it) in op.steps.iter().enumerate() {
            let Action::Read(Some(Reading::Many(elements))) = &it.action else { continue };
            let key = keys[step] as usize;
            let unwritten = facts.keys[key].writes.is_empty();
            if unwritten {
                facts.keys[key].kind = Kind::List;
            }
            // The final reads of replicas that went astray must not become the measure of everybody else.
            let better = longest[key].is_none_or(|(best, _, _)| elements.len() > best.len());
            let first_of_its_kind = longest[key].is_none();
            if facts.keys[key].kind == Kind::List
                && better
                && (!op.last || first_of_its_kind || true_extension(longest[key], elements))
            {
                longest[key] = Some((elements, at as u32, step as u32));
            }
        }
    }
    for (key, entry) in longest.into_iter().enumerate() {
        let Some((elements, op, step)) = entry else { continue };
        let mut seen: FastMap<u32, ()> = FastMap::default();
        let mut writes = Vec::with_capacity(elements.len());
        for element in elements {
            let write = values.get(key as u32, element).unwrap_or(NONE);
            let twice = write != NONE && seen.insert(write, ()).is_some();
            let odd = if twice {
                Some(("element-twice", write))
            } else if write == NONE {
                Some(("value-nobody-wrote", NONE))
            } else if facts.writers(write).all(|write| facts.writes[write as usize].outcome == Outcome::Fail) {
                Some(("failed-write-read", write))
            } else {
                None
            };
            if let Some((name, other)) = odd {
                let value = Some(element.clone());
                facts.oddities.push(Oddity {
                    name,
                    key: key as u32,
                    read: op,
                    step,
                    value,
                    other,
                    detail: String::new(),
                });
                writes.push(NONE);
            } else {
                writes.push(write);
            }
        }
        facts.keys[key].longest = writes;
        facts.keys[key].text = elements;
    }
}

/// Whether `elements` go on where the best list so far ends.
fn true_extension(best: Option<(&[Atom], u32, u32)>, elements: &[Atom]) -> bool {
    best.is_some_and(|(best, _, _)| elements.starts_with(best))
}

/// Drops lists that show two elements in the opposite order of another list.
pub(super) fn drop_contradictions(facts: &mut Facts) {
    for key in 0..facts.keys.len() {
        if facts.keys[key].kind != Kind::List || !facts.keys[key].scattered {
            continue;
        }
        let mut place: FastMap<u32, u32> = FastMap::default();
        for (at, &write) in facts.keys[key].longest.iter().enumerate() {
            if write != NONE {
                place.insert(write, at as u32);
            }
        }
        let parts: Vec<u32> = facts.keys[key].parts.iter().chain(&facts.keys[key].finals).copied().collect();
        for &part in &parts {
            let Shown::Many(writes) = &facts.parts[part as usize].shown else { continue };
            let known: Vec<u32> = writes.iter().copied().filter(|write| place.contains_key(write)).collect();
            if let Some(pair) = known.windows(2).find(|pair| place[&pair[0]] > place[&pair[1]]) {
                let (a, b) = (pair[0], pair[1]);
                drop_list(facts, part, a, b);
            }
        }
        drop_cycles(facts, &parts);
    }
}

/// Among lists that agree with the longest, those that contradict each other.
fn drop_cycles(facts: &mut Facts, parts: &[u32]) {
    let mut dense: FastMap<u32, u32> = FastMap::default();
    let mut arrows = Vec::new();
    let mut id = |write: u32| {
        let next = dense.len() as u32;
        *dense.entry(write).or_insert(next)
    };
    for &part in parts {
        if let Shown::Many(writes) = &facts.parts[part as usize].shown {
            for pair in writes.windows(2) {
                arrows.push(Arrow { from: id(pair[0]), to: id(pair[1]), tag: part });
            }
        }
    }
    let graph = Graph::new(dense.len(), &arrows);
    let components = graph.components();
    if !components.any_cycle() {
        return;
    }
    for &part in parts {
        let Shown::Many(writes) = &facts.parts[part as usize].shown else { continue };
        let within = |pair: &&[u32]| components.together(dense[&pair[0]], dense[&pair[1]]);
        if let Some(pair) = writes.windows(2).find(within) {
            let (a, b) = (pair[0], pair[1]);
            drop_list(facts, part, a, b);
        }
    }
}

fn drop_list(facts: &mut Facts, part: u32, a: u32, b: u32) {
    let part = &mut facts.parts[part as usize];
    part.shown = Shown::Skip;
    let (key, read, step) = (part.key, part.op, part.step);
    let (first, second) = (facts.value_of(a).cloned(), facts.value_of(b).cloned());
    let detail = match (&first, &second) {
        (Some(first), Some(second)) => format!("{first} before {second}, which other reads show the other way round"),
        _ => String::new(),
    };
    facts.oddities.push(Oddity { name: "lists-contradict", key, read, step, value: first, other: a, detail });
}

/// Gives every append a place: in the longest list, or behind it for whatever that list lacks.
pub(super) fn give_places(facts: &mut Facts) {
    for key in &mut facts.keys {
        if key.kind != Kind::List {
            continue;
        }
        key.places = key.longest.clone();
        for (at, &write) in key.longest.iter().enumerate() {
            if write != NONE {
                facts.writes[write as usize].place = at as u32;
            }
        }
        for &write in &key.writes {
            let entry = &facts.writes[write as usize];
            if entry.deed == Deed::Append && entry.place == NONE {
                // A second append of a value that the list shows is taken to be there too.
                let stands = entry.stands;
                let place = facts.writes[stands as usize].place;
                if place != NONE {
                    facts.writes[write as usize].place = place;
                    continue;
                }
                facts.writes[write as usize].place = key.places.len() as u32;
                key.places.push(write);
            }
        }
    }
}
