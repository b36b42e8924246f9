//! Which step of whom brings which place of a key's row.
//!
//! For each place the actors that know it first-hand, by having it acknowledged or read, each with the first such step. What a view
//! shows of a key is looked for from the last place down, and most often found at once: what is known of a key is mostly recent.
//! 12 bytes an atom, 4 a place.

use super::clock::View;
use super::rows::Rows;
use crate::facts::NONE;

struct Atom {
    actor: u32,
    step: u32,
    next: u32,
}

/// The atoms of all keys.
pub(super) struct Atoms {
    /// The first atom of each place of all rows.
    heads: Vec<u32>,
    atoms: Vec<Atom>,
    /// The highest rank with an atom, by key.
    top: Vec<u32>,
}

impl Atoms {
    pub(super) fn new(rows: &Rows) -> Atoms {
        Atoms { heads: vec![NONE; rows.len()], atoms: Vec::new(), top: vec![0; rows.class.len()] }
    }

    /// The actor's step brings the place with that rank, which is no longer 0.
    pub(super) fn add(&mut self, rows: &Rows, key: usize, rank: u32, actor: u32, step: u32) {
        let slot = rows.slot(key) + rank as usize - 1;
        let mut at = self.heads[slot];
        while at != NONE {
            let atom = &self.atoms[at as usize];
            if atom.actor == actor {
                return;
            }
            at = atom.next;
        }
        self.atoms.push(Atom { actor, step, next: self.heads[slot] });
        self.heads[slot] = self.atoms.len() as u32 - 1;
        self.top[key] = self.top[key].max(rank);
    }

    /// The highest rank above `floor` that the view shows.
    #[inline]
    pub(super) fn above(&self, rows: &Rows, key: usize, floor: u32, view: &View) -> Option<u32> {
        self.highest(rows, key, floor, self.top[key], view)
    }

    /// The highest rank above `floor` and up to `ceiling` that the view shows.
    pub(super) fn highest(&self, rows: &Rows, key: usize, floor: u32, ceiling: u32, view: &View) -> Option<u32> {
        let slot = rows.slot(key);
        let shown = |&rank: &u32| {
            let mut at = self.heads[slot + rank as usize - 1];
            while at != NONE {
                let atom = &self.atoms[at as usize];
                if view.shows(atom.actor, atom.step) {
                    return true;
                }
                at = atom.next;
            }
            false
        };
        (floor + 1..=ceiling.min(self.top[key])).rev().find(shown)
    }
}
