//! One instant for every write, at which it may have taken effect: a witness that makes the search for circles unnecessary.
//!
//! The graphs of session guarantees and of consistent prefix have an arrow only from what must count first. If every write can be given an instant
//! between its invocation and its acknowledgement such that the instants of each key rise in its order and every read lies
//! after all it shows and before all it does not, then all arrows go forward in time and there is no circle. Healthy histories have
//! such instants, and the first guess finds them:
//!
//! 1. Each key's writes in a row: by version or list where known, else by the middle of the time in which the value was there.
//! 2. The earliest instant for each: not before its invocation, nor before that of the write before it.
//! 3. A read of several keys pushes the first write that it lacks behind the last one that it shows; again from 2.
//!
//! Equal instants count in the order of keys, then places; a read of several keys comes after all writes of its instant. Where an
//! instant would have to lie after the acknowledgement, or sets, siblings or lists that are no beginnings make rows impossible,
//! there is no answer, and nothing follows from that. O(n log n) once, 16 bytes a write.

use super::{Facts, Key, Kind, NONE, Order, Read, Shown};
use crate::history::Outcome;

/// Instants for all writes that happened.
pub(crate) struct Instants {
    at: Vec<u64>,
    /// Where a write stands in its key's row; [`NONE`] where it stands in none.
    place: Vec<u32>,
}

impl Instants {
    /// Where a write stands in its key's row; [`NONE`] where it stands in none.
    pub(crate) fn place(&self, write: u32) -> u32 {
        self.place[write as usize]
    }

    /// Whether `a` counts before `b`, two writes of one key; never of stand-ins.
    pub(crate) fn before(&self, a: u32, b: u32) -> bool {
        let of = |write: u32| Some((*self.at.get(write as usize)?, *self.place.get(write as usize)?));
        matches!((of(a), of(b)), (Some(a), Some(b)) if a < b && b.1 != NONE)
    }
}

/// Passes over the reads of several keys before it is given up.
const PASSES: usize = 64;

/// The instants, if the guess explains everything.
pub(super) fn of(facts: &Facts) -> Option<Instants> {
    let fits = |key: &Key| match key.kind {
        Kind::Register => !key.siblings,
        Kind::List => !key.scattered,
        Kind::Set => false,
        Kind::Mixed => true,
    };
    if !facts.keys.iter().all(fits) {
        return None;
    }
    let spans = spans(facts);
    let rows: Vec<Vec<u32>> = (0..facts.keys.len()).map(|key| row(facts, key, &spans)).collect();
    let mut found = Instants {
        at: facts.writes.iter().map(|write| write.invoked).collect(),
        place: vec![NONE; facts.writes.len()],
    };
    for row in &rows {
        for (place, &write) in row.iter().enumerate() {
            found.place[write as usize] = place as u32;
        }
        found.rise(facts, row, 0)?;
    }
    let several: Vec<&Read> = facts.reads.iter().filter(|read| read.to - read.from > 1).collect();
    let mut settled = several.is_empty();
    for _ in 0..PASSES {
        if settled {
            break;
        }
        settled = true;
        for read in &several {
            settled &= !found.push(facts, &rows, read)?;
        }
    }
    let possible = |read: &Read| found.last_shown(facts, read).is_none_or(|at| at <= read.completed);
    (settled && facts.reads.iter().all(possible)).then_some(found)
}

impl Instants {
    /// Gives the row from `from` on the earliest instants; nothing if one would lie after the acknowledgement.
    fn rise(&mut self, facts: &Facts, row: &[u32], from: usize) -> Option<()> {
        let mut least = if from > 0 { self.at[row[from - 1] as usize] } else { 0 };
        for (nth, &write) in row[from..].iter().enumerate() {
            let at = &mut self.at[write as usize];
            if nth > 0 && *at >= least && from > 0 {
                // The rest has risen before.
                return Some(());
            }
            *at = (*at).max(least);
            least = *at;
            if least > facts.writes[write as usize].acked {
                return None;
            }
        }
        Some(())
    }

    /// The instant of the last write that a read shows.
    fn last_shown(&self, facts: &Facts, read: &Read) -> Option<u64> {
        let last = |part| last_shown(facts, part).map(|write| self.at[write as usize]);
        facts.parts_of(read).iter().filter_map(last).max()
    }

    /// Pushes what a read of several keys lacks behind what it shows; whether anything moved.
    fn push(&mut self, facts: &Facts, rows: &[Vec<u32>], read: &Read) -> Option<bool> {
        let after = self.last_shown(facts, read).map_or(0, |at| at.saturating_add(1));
        let mut moved = false;
        for part in facts.parts_of(read) {
            let row = &rows[part.key as usize];
            let next = match (last_shown(facts, part), &part.shown) {
                (Some(write), _) => self.place[write as usize] as usize + 1,
                (None, Shown::Nil) if facts.keys[part.key as usize].deletes.is_empty() => 0,
                (None, Shown::Prefix(_)) => 0,
                _ => continue,
            };
            let Some(&lacking) = row.get(next) else { continue };
            if self.at[lacking as usize] < after {
                self.at[lacking as usize] = after;
                if after > facts.writes[lacking as usize].acked {
                    return None;
                }
                self.rise(facts, row, next + 1)?;
                moved = true;
            }
        }
        Some(moved)
    }
}

/// The last write of its key's row that a part shows.
fn last_shown(facts: &Facts, part: &super::Part) -> Option<u32> {
    match part.shown {
        Shown::One(write) => Some(write),
        Shown::Prefix(length) => {
            let longest = &facts.keys[part.key as usize].longest;
            longest[..length as usize].iter().rev().copied().find(|&write| write != NONE)
        }
        _ => None,
    }
}

/// For each write of a register the first completion and the last invocation of all operations on its value, and whether one read it.
pub(crate) fn spans(facts: &Facts) -> Vec<(u64, u64, bool)> {
    let mut spans: Vec<(u64, u64, bool)> =
        facts.writes.iter().map(|write| (write.acked, write.invoked, false)).collect();
    for read in &facts.reads {
        for part in facts.parts_of(read) {
            if let Shown::One(write) = part.shown {
                let span = &mut spans[write as usize];
                *span = (span.0.min(read.completed), span.1.max(read.invoked), true);
            }
        }
    }
    spans
}

/// The writes of a key that happened, as far as anybody saw, in the order that is known or guessed.
pub(crate) fn row(facts: &Facts, key: usize, spans: &[(u64, u64, bool)]) -> Vec<u32> {
    let entry = &facts.keys[key];
    let writes = |keep: &dyn Fn(u32) -> bool| -> Vec<u32> {
        let live = |write: &u32| facts.writes[*write as usize].outcome != Outcome::Fail && keep(*write);
        entry.writes.iter().copied().filter(live).collect()
    };
    let acked = |write: u32| facts.writes[write as usize].acked != u64::MAX;
    let middle = |write: u32| {
        let (first, last, _) = spans[write as usize];
        if first == u64::MAX { last } else { first.midpoint(last) }
    };
    match entry.kind {
        Kind::List => {
            let mut row: Vec<u32> = entry.longest.iter().copied().filter(|&write| write != NONE).collect();
            // What no read of the longest list showed comes behind it.
            let behind = entry.longest.len() as u32;
            let place = |write: u32| facts.writes[write as usize].place;
            row.extend(writes(&|write| acked(write) && place(write) != NONE && place(write) >= behind));
            row
        }
        Kind::Register => {
            let mut row = writes(&|write| acked(write) || spans[write as usize].2);
            let rank = |write: u32| facts.writes[write as usize].rank;
            if entry.order != Order::Reported {
                row.sort_by_key(|&write| (middle(write), write));
                return row;
            }
            let mut free: Vec<u32> = row.iter().copied().filter(|&write| rank(write).is_none()).collect();
            row.retain(|&write| rank(write).is_some());
            row.sort_by_key(|&write| rank(write));
            free.sort_by_key(|&write| (middle(write), write));
            insert(row, &free, middle)
        }
        Kind::Set | Kind::Mixed => Vec::new(),
    }
}

/// Puts each of `free` before the first of `row` whose middle is later.
fn insert(row: Vec<u32>, free: &[u32], middle: impl Fn(u32) -> u64) -> Vec<u32> {
    if free.is_empty() {
        return row;
    }
    let mut all = Vec::with_capacity(row.len() + free.len());
    let mut free = free.iter().copied().peekable();
    for write in row {
        while let Some(first) = free.next_if(|&first| middle(first) < middle(write)) {
            all.push(first);
        }
        all.push(write);
    }
    all.extend(free);
    all
}
