//! Which reported versions are trusted, and so where the order of each key's writes comes from.
//!
//! A version is evidence only after it has been checked against what clients saw: one version stands for one value, a
//! version read later is the one acknowledged, a snapshot is not older than what it shows. A key whose versions fail that
//! is judged as if none had been reported, and a note says so.

use std::sync::Arc;

use super::{Facts, Kind, Order, Shown, Values};
use crate::action::{Atom, Reading};
use crate::history::Outcome;
use crate::intern::FastMap;
use crate::version::Version;

/// Sets rank, dot and order wherever they can be known.
pub(super) fn trust(facts: &mut Facts, values: &Values) {
    let real_time = facts.history.meta.as_ref().is_some_and(|meta| meta.order_is_real_time);
    let mut actors = Actors::default();
    for key in 0..facts.keys.len() {
        if facts.keys[key].kind == Kind::List {
            facts.keys[key].order = Order::Observed;
            continue;
        }
        let otherwise = if real_time { Order::RealTime } else { Order::Unknown };
        facts.keys[key].order = match ranks(facts, key, &mut actors) {
            Ok(true) => Order::Reported,
            Ok(false) => otherwise,
            Err(why) => {
                forget_ranks(facts, key);
                let name = &facts.key_names[key];
                facts.notes.push(format!("the reported versions of {name} are not used: {why}"));
                otherwise
            }
        };
        if let Err(why) = dots(facts, key, values, &mut actors) {
            for write in facts.keys[key].writes.clone() {
                facts.writes[write as usize].dot = None;
            }
            let name = &facts.key_names[key];
            facts.notes.push(format!("the reported version vectors of {name} are not used: {why}"));
        }
    }
    facts.actors = actors.0;
}

#[derive(Default)]
struct Actors(FastMap<Arc<str>, u32>);

impl Actors {
    fn id(&mut self, name: &Arc<str>) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name.clone()).or_insert(next)
    }
}

fn rank_of(version: &Version, actors: &mut Actors) -> Option<(bool, (u64, u64))> {
    match version {
        Version::Position(term, index) => Some((true, (*term, *index))),
        // The sign bit is turned so that negative stamps come first.
        Version::Stamp { timestamp, writer } => {
            Some((false, ((*timestamp as u64) ^ (1 << 63), u64::from(actors.id(writer)))))
        }
        Version::Vector { .. } => None,
    }
}

/// Whether ranks were reported; an error if they contradict what was seen.
fn ranks(facts: &mut Facts, key: usize, actors: &mut Actors) -> Result<bool, String> {
    let mut holder: FastMap<(u64, u64), u32> = FastMap::default();
    let mut sort = None;
    let history = facts.history;
    let mut claim = |facts: &mut Facts, write: u32, positional: bool, rank: (u64, u64)| {
        if *sort.get_or_insert(positional) != positional {
            return Err("positions and timestamps are mixed".to_string());
        }
        let op = facts.writes[write as usize].op;
        let other = *holder.entry(rank).or_insert(write);
        if facts.writes[other as usize].op != op {
            return Err("two writes have the same version".to_string());
        }
        match facts.writes[write as usize].rank.replace(rank) {
            Some(before) if before != rank => Err("one write has two versions".to_string()),
            _ => Ok(()),
        }
    };
    for at in 0..facts.keys[key].writes.len() {
        let write = facts.keys[key].writes[at];
        let op = facts.op_of(write);
        if op.outcome != Outcome::Ok {
            continue;
        }
        if let Some((positional, rank)) = op.version.as_ref().and_then(|version| rank_of(version, actors)) {
            claim(facts, write, positional, rank)?;
        }
    }
    for at in 0..facts.keys[key].parts.len() {
        let part = &facts.parts[facts.keys[key].parts[at] as usize];
        let op = &history.ops[part.op as usize];
        let Shown::One(write) = part.shown else { continue };
        if op.function != crate::event::Function::Read {
            continue;
        }
        match op.version.as_ref().and_then(|version| rank_of(version, actors)) {
            Some((true, snapshot)) if facts.writes[write as usize].rank.is_some_and(|rank| rank > snapshot) => {
                return Err("a snapshot shows a write from after its own position".to_string());
            }
            Some((false, rank)) => claim(facts, write, false, rank)?,
            _ => {}
        }
    }
    Ok(!holder.is_empty())
}

fn forget_ranks(facts: &mut Facts, key: usize) {
    for write in facts.keys[key].writes.clone() {
        facts.writes[write as usize].rank = None;
    }
}

fn dots(facts: &mut Facts, key: usize, values: &Values, actors: &mut Actors) -> Result<(), String> {
    let mut holder: FastMap<(u32, u64), u32> = FastMap::default();
    let history = facts.history;
    let mut claim = |facts: &mut Facts, write: u32, dot: (u32, u64)| {
        if *holder.entry(dot).or_insert(write) != write {
            return Err("two values have the same dot".to_string());
        }
        match facts.writes[write as usize].dot.replace(dot) {
            Some(before) if before != dot => Err("one value has two dots".to_string()),
            _ => Ok(()),
        }
    };
    for at in 0..facts.keys[key].writes.len() {
        let write = facts.keys[key].writes[at];
        let op = facts.op_of(write);
        if let (Outcome::Ok, Some(Version::Vector { dots, .. })) = (op.outcome, &op.version)
            && let [(actor, counter)] = dots.as_slice()
        {
            let dot = (actors.id(actor), *counter);
            claim(facts, write, dot)?;
        }
    }
    let parts: Vec<u32> = facts.keys[key].parts.iter().chain(&facts.keys[key].finals).copied().collect();
    for part in parts {
        let part = &facts.parts[part as usize];
        let Some(Version::Vector { dots, .. }) = &history.ops[part.op as usize].version else { continue };
        let shown: &[Atom] = match facts.reading(part) {
            Some(Reading::One(value)) => std::slice::from_ref(value),
            Some(Reading::Siblings(shown)) => shown,
            _ => continue,
        };
        if shown.len() != dots.len() {
            continue;
        }
        let known: Vec<(u32, (u32, u64))> = shown
            .iter()
            .zip(dots)
            .filter_map(|(value, (actor, counter))| {
                let write = values.get(key as u32, value)?;
                Some((write, (actors.id(actor), *counter)))
            })
            .collect();
        for (write, dot) in known {
            claim(facts, write, dot)?;
        }
    }
    Ok(())
}

/// Whether a version covers a dot: whoever sees the version has seen that write or what replaced it.
pub(crate) fn covers(facts: &Facts, version: &Version, dot: (u32, u64)) -> bool {
    let Version::Vector { seen, dots } = version else { return false };
    let same = |actor: &Arc<str>| facts.actors.get(actor) == Some(&dot.0);
    seen.iter().any(|(actor, counter)| same(actor) && *counter >= dot.1)
        || dots.iter().any(|(actor, counter)| same(actor) && *counter == dot.1)
}
