//! Anomalies that need no cycle: what one transaction, or one key, shows by itself.
//!
//! | anomaly | a committed transaction … |
//! |---|---|
//! | thin-air-read | read what nobody wrote |
//! | G1a | read what a failed transaction wrote |
//! | G1b | read what another transaction wrote and wrote again later |
//! | internal | read other than what it had itself read or written before |
//! | future-read | read what it writes only later |
//! | dirty-update | wrote on top of what a failed transaction wrote |
//! | duplicate-elements | read a list with an element in it twice |
//! | incompatible-order | read a list that is no beginning of a longer one, nor the other way around; or appended in another order than lists show |
//! | lost-update | read a version and replaced it, as did another |
//!
//! One pass over the steps; a key's order is only looked into where something is odd.

use rustc_hash::{FxHashMap, FxHashSet};

use super::transactions::{LIMIT, NIL, NOBODY, ODD, Shape, Transactions, UNKNOWN};
use crate::history::Outcome;

/// What was found, each with the transactions and the steps that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The anomaly's name.
    pub name: &'static str,
    /// The key.
    pub key: u32,
    /// The transactions, the one that shows it first.
    pub txns: Vec<u32>,
    /// The versions that matter: what was read, what should have been, or the element.
    pub versions: Vec<u32>,
}

/// All sights; of each name the first `most` are kept, and all are counted.
#[derive(Clone, Debug, Default)]
pub struct Sights {
    /// The first of each name.
    pub kept: Vec<Sight>,
    /// How many there were of each name.
    pub counts: Vec<(&'static str, u64)>,
}

/// How many of each are kept.
const MOST: u64 = 16;

impl Sights {
    fn add(&mut self, name: &'static str, key: u32, txns: Vec<u32>, versions: Vec<u32>) {
        let count = match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.push((name, 1));
                1
            }
        };
        if count <= MOST {
            self.kept.push(Sight { name, key, txns, versions });
        }
    }
}

/// Looks at every committed transaction.
pub fn scan(txns: &Transactions) -> Sights {
    let mut sights = Sights::default();
    let lists = txns.shape == Shape::Lists;
    let marks = Marks::new(txns);
    let odd: FxHashMap<u32, usize> = txns.odd.iter().enumerate().map(|(at, odd)| (odd.step, at)).collect();
    let mut inside = Inside::default();
    for txn in 0..txns.len() as u32 {
        if txns.txns[txn as usize].outcome != Outcome::Ok {
            continue;
        }
        let range = txns.step_range(txn);
        for (place, step) in txns.steps[range.clone()].iter().enumerate() {
            if step.writes() || step.version == UNKNOWN {
                continue;
            }
            if step.version == ODD {
                let versions = odd.get(&((range.start + place) as u32)).map(|&at| txns.odd[at].versions.as_slice());
                odd_read(txns, txn, step.key(), versions.unwrap_or_default(), &mut sights);
            } else {
                read(txns, &marks, txn, step.key(), step.version, &mut sights);
            }
        }
        if range.len() > 1 {
            if lists { inside.lists(txns, txn, &odd, &mut sights) } else { inside.registers(txns, txn, &mut sights) }
        }
    }
    updates(txns, &mut sights);
    if lists {
        (0..txns.len() as u32).for_each(|txn| shuffled(txns, txn, &mut sights));
        dirty(txns, &marks, &mut sights);
    }
    sights
}

/// What is special about versions: few are.
struct Marks {
    /// Its writer wrote the key again later.
    replaced: Vec<bool>,
    /// For lists: the first place in each key's order that no transaction which may count wrote; `u32::MAX` where all are fine.
    bad_from: Vec<u32>,
}

impl Marks {
    fn new(txns: &Transactions) -> Marks {
        let mut replaced = vec![false; txns.version_key.len()];
        let mut last: Vec<(u32, u32)> = Vec::new();
        for txn in 0..txns.len() as u32 {
            let steps = txns.steps_of(txn);
            if steps.len() < 2 {
                continue;
            }
            last.clear();
            for step in steps.iter().filter(|step| step.writes()) {
                match last.iter_mut().find(|(key, _)| *key == step.key()) {
                    Some((_, version)) => {
                        replaced[*version as usize] = true;
                        *version = step.version;
                    }
                    None => last.push((step.key(), step.version)),
                }
            }
        }
        let mut bad_from = vec![u32::MAX; txns.keys.len()];
        if txns.shape == Shape::Lists {
            for (key, bad) in bad_from.iter_mut().enumerate() {
                let wrong = |&version: &u32| {
                    let writer = txns.writer[version as usize];
                    writer == NOBODY || txns.txns[writer as usize].outcome == Outcome::Fail
                };
                if let Some(place) = txns.order(key as u32).iter().position(wrong) {
                    *bad = place as u32;
                }
            }
        }
        Marks { replaced, bad_from }
    }
}

/// A read that agrees with its key's order, or of a register.
fn read(txns: &Transactions, marks: &Marks, txn: u32, key: u32, version: u32, sights: &mut Sights) {
    if version >= LIMIT {
        return;
    }
    if txns.shape == Shape::Lists {
        let place = txns.place[version as usize];
        if place != NOBODY && marks.bad_from[key as usize] <= place {
            // Each element that is wrong is a sight of the first read that shows it only: the list's readers are all alike.
            for &element in &txns.order(key)[marks.bad_from[key as usize] as usize..=place as usize] {
                element_read(txns, txn, key, element, sights);
            }
        }
    } else {
        element_read(txns, txn, key, version, sights);
    }
    let writer = txns.writer[version as usize];
    if marks.replaced[version as usize] && writer != txn && writer != NOBODY {
        sights.add("G1b", key, vec![txn, writer], vec![version]);
    }
}

/// An element or value that was read, whoever wrote it.
fn element_read(txns: &Transactions, txn: u32, key: u32, version: u32, sights: &mut Sights) {
    let writer = txns.writer[version as usize];
    if writer == NOBODY {
        sights.add("thin-air-read", key, vec![txn], vec![version]);
    } else if txns.txns[writer as usize].outcome == Outcome::Fail {
        sights.add("G1a", key, vec![txn, writer], vec![version]);
    }
}

/// A list that contradicts the longest of its key, or shows an element twice.
fn odd_read(txns: &Transactions, txn: u32, key: u32, versions: &[u32], sights: &mut Sights) {
    let mut seen = FxHashSet::default();
    let mut twice = None;
    for &version in versions {
        if !seen.insert(version) {
            twice = twice.or(Some(version));
            continue;
        }
        element_read(txns, txn, key, version, sights);
    }
    if let Some(version) = twice {
        sights.add("duplicate-elements", key, vec![txn], vec![version]);
    }
    let mut firsts = FxHashSet::default();
    let distinct: Vec<u32> = versions.iter().copied().filter(|&version| firsts.insert(version)).collect();
    let order = txns.order(key);
    let common = distinct.iter().zip(order).take_while(|(a, b)| a == b).count();
    if common < distinct.len().min(order.len()) {
        let longest = (0..txns.len() as u32).find(|&txn| {
            txns.txns[txn as usize].outcome == Outcome::Ok
                && txns.steps_of(txn).iter().any(|step| {
                    !step.writes()
                        && step.key() == key
                        && step.version < LIMIT
                        && txns.place[step.version as usize] as usize >= common
                        && txns.place[step.version as usize] != NOBODY
                })
        });
        let mut who = vec![txn];
        who.extend(longest);
        sights.add("incompatible-order", key, who, vec![distinct[common], order[common]]);
    }
}

/// What a transaction knows of its keys, while its steps are gone through.
#[derive(Default)]
struct Inside {
    keys: Vec<Known>,
}

struct Known {
    key: u32,
    /// What it read last, before what it wrote since.
    seen: Option<Vec<u32>>,
    /// What it wrote since.
    wrote: Vec<u32>,
}

impl Inside {
    fn lists(&mut self, txns: &Transactions, txn: u32, odd: &FxHashMap<u32, usize>, sights: &mut Sights) {
        let range = txns.step_range(txn);
        let steps = &txns.steps[range.clone()];
        // Most transactions touch each key once.
        let alone =
            |at: usize| steps.iter().enumerate().all(|(other, step)| other == at || step.key() != steps[at].key());
        if (0..steps.len()).all(alone) {
            return;
        }
        self.keys.clear();
        for (place, step) in steps.iter().enumerate() {
            let key = step.key();
            let at = self.keys.iter().position(|known| known.key == key).unwrap_or_else(|| {
                self.keys.push(Known { key, seen: None, wrote: Vec::new() });
                self.keys.len() - 1
            });
            if step.writes() {
                self.keys[at].wrote.push(step.version);
                continue;
            }
            let list: &[u32] = match step.version {
                NIL => &[],
                UNKNOWN => continue,
                ODD => odd.get(&((range.start + place) as u32)).map_or(&[], |&at| &txns.odd[at].versions),
                version => &txns.order(key)[..=txns.place[version as usize] as usize],
            };
            let known = &mut self.keys[at];
            let expected = match &known.seen {
                Some(seen) => {
                    list.len() == seen.len() + known.wrote.len()
                        && list.starts_with(seen)
                        && list.ends_with(&known.wrote)
                }
                None => list.ends_with(&known.wrote),
            };
            let later =
                steps[place + 1..].iter().find(|it| it.writes() && it.key() == key && list.contains(&it.version));
            if let Some(later) = later {
                sights.add("future-read", key, vec![txn], vec![later.version]);
            } else if !expected {
                let shown =
                    known.wrote.last().copied().or(known.seen.as_ref().map(|seen| seen.last().copied().unwrap_or(NIL)));
                sights.add("internal", key, vec![txn], vec![step.version, shown.unwrap_or(NIL)]);
            }
            known.seen = Some(list.to_vec());
            known.wrote.clear();
        }
    }

    fn registers(&mut self, txns: &Transactions, txn: u32, sights: &mut Sights) {
        let steps = txns.steps_of(txn);
        for (place, step) in steps.iter().enumerate() {
            if step.writes() || step.version == UNKNOWN {
                continue;
            }
            let key = step.key();
            let before = steps[..place].iter().rev().find(|it| it.key() == key && it.version != UNKNOWN);
            if steps[place + 1..].iter().any(|it| it.writes() && it.key() == key && it.version == step.version) {
                sights.add("future-read", key, vec![txn], vec![step.version]);
            } else if let Some(before) = before
                && before.version != step.version
            {
                sights.add("internal", key, vec![txn], vec![step.version, before.version]);
            }
        }
    }
}

/// Appends of one transaction to one list that stand in another order than its own, or of which only the later is there.
fn shuffled(txns: &Transactions, txn: u32, sights: &mut Sights) {
    let steps = txns.steps_of(txn);
    if steps.len() < 2 || txns.txns[txn as usize].outcome == Outcome::Fail {
        return;
    }
    for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.writes()) {
        // What is not shown stands behind everything that is.
        let next = steps[place + 1..].iter().find(|it| it.writes() && it.key() == step.key());
        if let Some(next) = next
            && txns.place[next.version as usize] < txns.place[step.version as usize]
            && txns.writer[step.version as usize] == txn
            && txns.writer[next.version as usize] == txn
        {
            sights.add("incompatible-order", step.key(), vec![txn], vec![next.version, step.version]);
        }
    }
}

/// Versions that two committed transactions both read and replaced.
fn updates(txns: &Transactions, sights: &mut Sights) {
    let mut first: Vec<u32> = vec![NOBODY; txns.version_key.len() + txns.keys.len()];
    let mut groups: FxHashMap<usize, Vec<u32>> = FxHashMap::default();
    for txn in 0..txns.len() as u32 {
        let steps = txns.steps_of(txn);
        if steps.len() < 2 || txns.txns[txn as usize].outcome != Outcome::Ok {
            continue;
        }
        for (place, step) in steps.iter().enumerate() {
            let key = step.key();
            let external = steps[..place].iter().all(|it| it.key() != key);
            if !external || !step.reads() || !steps[place + 1..].iter().any(|it| it.writes() && it.key() == key) {
                continue;
            }
            let slot = match step.version {
                NIL => txns.version_key.len() + key as usize,
                version if version < LIMIT => version as usize,
                _ => continue,
            };
            if first[slot] == NOBODY {
                first[slot] = txn;
            } else {
                groups.entry(slot).or_insert_with(|| vec![first[slot]]).push(txn);
            }
        }
    }
    let mut groups: Vec<(usize, Vec<u32>)> = groups.into_iter().collect();
    groups.sort_unstable();
    for (slot, who) in groups {
        let (key, version) = match slot.checked_sub(txns.version_key.len()) {
            Some(key) => (key as u32, NIL),
            None => (txns.version_key[slot], slot as u32),
        };
        sights.add("lost-update", key, who, vec![version]);
    }
}

/// Lists in which a committed element stands behind one of a failed transaction.
fn dirty(txns: &Transactions, marks: &Marks, sights: &mut Sights) {
    for key in 0..txns.keys.len() as u32 {
        let from = marks.bad_from[key as usize];
        if from == u32::MAX {
            continue;
        }
        let order = &txns.order(key)[from as usize..];
        let outcome = |version: u32| {
            let writer = txns.writer[version as usize];
            if writer == NOBODY { None } else { Some((writer, txns.txns[writer as usize].outcome)) }
        };
        let failed = order.iter().find_map(|&version| match outcome(version) {
            Some((writer, Outcome::Fail)) => Some((version, writer)),
            _ => None,
        });
        let Some((bad, failed)) = failed else { continue };
        let behind = order.iter().skip_while(|&&version| version != bad).find_map(|&version| match outcome(version) {
            Some((writer, Outcome::Ok)) => Some((version, writer)),
            _ => None,
        });
        if let Some((version, writer)) = behind {
            sights.add("dirty-update", key, vec![writer, failed], vec![version, bad]);
        }
    }
}
