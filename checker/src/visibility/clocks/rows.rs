//! The writes of each key in a row, so that all that must be seen of the key is its last place in that row.
//!
//! A list is its own row, and versions make one where every write that counts has its own. Elsewhere the row is the guess of the
//! [instants](crate::facts::instants): as long as every read fits it, its demands point forward along it, and what they are in particular does not
//! matter. Keys that no row does justice to are left to the walk.

use crate::facts::instants::{self, Instants};
use crate::facts::{Facts, NONE, Order, Shown};
use crate::visibility::{Keep, keep};

/// What the places of a key's row say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing: the key is left to the walk, or needs no judging.
    Walked,
    /// Everything: the key is a list of which every read is a beginning.
    Listed,
    /// Everything: the order of the key's writes is reported.
    Ranked,
    /// An order that explains the reads, if they fit it.
    Guessed,
}

/// The rows of all keys, one after the other.
pub(super) struct Rows {
    /// By key.
    pub(super) class: Vec<Class>,
    /// Where each key's row begins; one more at the end.
    heads: Vec<u32>,
    /// What stands there; [`NONE`] for an element that nothing explains.
    writes: Vec<u32>,
    /// One more than the place of each write in its key's row; 0 for none.
    ranks: Vec<u32>,
}

impl Rows {
    /// The rows of the keys that `wanted` accepts.
    pub(super) fn of(facts: &Facts, wanted: impl Fn(usize) -> bool) -> Rows {
        let guess = Guess::of(facts);
        let mut rows = Rows {
            class: Vec::with_capacity(facts.keys.len()),
            heads: vec![0],
            writes: Vec::with_capacity(facts.writes.len()),
            ranks: vec![0; facts.writes.len()],
        };
        for key in 0..facts.keys.len() {
            let class = if wanted(key) { rows.lay(facts, key, &guess) } else { Class::Walked };
            rows.class.push(class);
            rows.heads.push(rows.writes.len() as u32);
        }
        rows
    }

    fn lay(&mut self, facts: &Facts, key: usize, guess: &Guess) -> Class {
        let entry = &facts.keys[key];
        match keep(facts, key) {
            Keep::Top => {
                let placed = |&&write: &&u32| (facts.writes[write as usize].place as usize) < entry.places.len();
                entry.writes.iter().filter(placed).for_each(|&write| {
                    self.ranks[write as usize] = facts.writes[write as usize].place + 1;
                });
                self.writes.extend(&entry.places);
                Class::Listed
            }
            Keep::Latest if one_explains_each(facts, key) => {
                let row = guess.row(facts, key);
                let class = class_of(facts, key, &row);
                for (place, &write) in row.iter().enumerate() {
                    self.ranks[write as usize] = place as u32 + 1;
                }
                self.writes.extend(row);
                class
            }
            _ => Class::Walked,
        }
    }

    /// One more than the place of a write in its key's row; 0 for none.
    pub(super) fn rank(&self, write: u32) -> u32 {
        self.ranks[write as usize]
    }

    /// Where the row of a key begins among all.
    pub(super) fn slot(&self, key: usize) -> usize {
        self.heads[key] as usize
    }

    /// The row of a key.
    pub(super) fn row(&self, key: usize) -> &[u32] {
        &self.writes[self.heads[key] as usize..self.heads[key + 1] as usize]
    }

    /// The places of all rows together.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }
}

/// Where rows of registers come from: the instants, or the same guess without them.
enum Guess<'f> {
    Instants(&'f Instants),
    Spans(Vec<(u64, u64, bool)>),
}

impl<'f> Guess<'f> {
    fn of(facts: &'f Facts) -> Guess<'f> {
        match facts.instants() {
            Some(instants) => Guess::Instants(instants),
            None => Guess::Spans(instants::spans(facts)),
        }
    }

    fn row(&self, facts: &Facts, key: usize) -> Vec<u32> {
        match self {
            Guess::Spans(spans) => instants::row(facts, key, spans),
            Guess::Instants(instants) => {
                let place = |write: u32| instants.place(write);
                let mut row: Vec<u32> = vec![NONE; facts.keys[key].writes.len()];
                let placed = facts.keys[key].writes.iter().filter(|&&write| place(write) != NONE);
                placed.for_each(|&write| row[place(write) as usize] = write);
                row.retain(|&write| write != NONE);
                row
            }
        }
    }
}

/// Whether no read of a register leaves a choice between writes.
fn one_explains_each(facts: &Facts, key: usize) -> bool {
    let entry = &facts.keys[key];
    entry.parts.iter().all(|&part| match facts.parts[part as usize].shown {
        Shown::One(_) | Shown::Skip => true,
        Shown::Nil => entry.deletes.is_empty(),
        _ => false,
    })
}

/// What a row of a register says. What is known of its order must not contradict it.
fn class_of(facts: &Facts, key: usize, row: &[u32]) -> Class {
    let of = |write: u32| &facts.writes[write as usize];
    match facts.keys[key].order {
        Order::Reported => {
            let rises = |pair: &[u32]| matches!((of(pair[0]).rank, of(pair[1]).rank), (Some(a), Some(b)) if a < b);
            match row {
                [write] if of(*write).rank.is_none() => Class::Guessed,
                _ if row.windows(2).all(rises) => Class::Ranked,
                _ => Class::Guessed,
            }
        }
        Order::RealTime => {
            let mut latest = 0;
            let fits = row.iter().all(|&write| {
                let fits = of(write).acked >= latest;
                latest = latest.max(of(write).invoked);
                fits
            });
            if fits { Class::Guessed } else { Class::Walked }
        }
        Order::Unknown | Order::Observed => Class::Guessed,
    }
}
