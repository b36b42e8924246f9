//! Histories too long for every order: a plain search that never tries twice what it remembers.
//!
//! Like: Wing & Gong (1993) with the memory of Lowe (2017): which calls were carried out, and what the object is then, say all about
//! what may follow. Nothing is decided ahead, no call is preferred, so that it stays a measure for the other search.

use rustc_hash::FxHashSet;

use super::{Object, agrees};
use crate::objects::calls::{Call, Calls, Function};
use crate::objects::model::ModelName;

/// The most calls that are decided here.
pub const MOST: usize = 64;

/// Whether some order of all calls on one key respects real time and the object's rules; nothing if that takes more than `most`
/// configurations.
///
/// # Panics
///
/// With more than [`MOST`] calls, or more than one key.
pub fn remembered(model: ModelName, calls: &Calls, most: usize) -> Option<bool> {
    let all = calls.all();
    assert!(all.len() <= MOST && calls.key_count() <= 1, "up to {MOST} calls on one key are remembered");
    let mask =
        |f: &dyn Fn(&Call) -> bool| (0..all.len()).filter(|&at| f(&all[at])).fold(0_u64, |mask, at| mask | 1 << at);
    let before: Vec<u64> = all.iter().map(|call| mask(&|other| other.ok() && other.end < call.start)).collect();
    let must = mask(&|call| call.ok());
    let mut known = FxHashSet::default();
    let mut work = vec![(0_u64, Object::default())];
    while let Some((done, object)) = work.pop() {
        if done & must == must {
            return Some(true);
        }
        for (at, call) in all.iter().enumerate().rev() {
            if done >> at & 1 == 1 || before[at] & !done != 0 {
                continue;
            }
            let mut next = object.clone();
            let steps = if call.f == Function::Txn { calls.steps(call) } else { &[] };
            let gave = next.carry_out(model, call, steps);
            if agrees(calls, call, &gave) {
                let next = (done | 1 << at, next);
                if !known.contains(&next) {
                    known.insert(next.clone());
                    work.push(next);
                }
            }
        }
        if known.len() > most {
            return None;
        }
    }
    Some(false)
}
