//! What was added, or enqueued: for each element how often it was tried and what became of it.

use super::elements::{Elements, NONE};
use super::keyed::Row;

/// What is known of an element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addition {
    /// The position of the first operation that tried, those that failed only where no other did.
    pub(crate) first: u32,
    /// The position of the operation that was acknowledged first.
    pub(crate) known: u32,
    /// How many operations tried.
    pub(crate) tried: u32,
    /// How many of them did not fail.
    pub(crate) possible: u32,
    /// How many of them were acknowledged.
    pub(crate) acknowledged: u32,
}

/// The elements that the operations called `f` add, and what became of each.
pub(crate) fn additions<'a>(rows: &[Row<'a>], f: &str) -> (Elements<'a>, Vec<Addition>) {
    let adds = || rows.iter().enumerate().filter(|(_, row)| row.is(f));
    let mut elements = Elements::expecting(adds().map(|(_, row)| row.given()));
    let mut all: Vec<Addition> = Vec::new();
    for (at, row) in adds() {
        let at = at as u32;
        let id = elements.id(row.given()) as usize;
        if id == all.len() {
            all.push(Addition { first: at, known: NONE, tried: 0, possible: 0, acknowledged: 0 });
        }
        let it = &mut all[id];
        it.tried += 1;
        if row.failed() {
            continue;
        }
        if it.possible == 0 {
            it.first = at;
        }
        it.possible += 1;
        if row.ok() {
            it.acknowledged += 1;
            let earlier = it.known == NONE || row.call.end < rows[it.known as usize].call.end;
            it.known = if earlier { at } else { it.known };
        }
    }
    (elements, all)
}
