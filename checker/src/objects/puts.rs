//! What queues and stacks have in common: every element was put in once, so that its two calls belong together.
//!
//! A history of a queue or a stack stays right when an element is left out with both its calls (Emmi & Enea 2018), so what
//! need not have happened is left out: an unknown enqueue or push that nobody took. An unknown dequeue or pop took some element
//! that nobody else took, or nothing.

use super::Refutation;
use super::calls::{Call, Function, NEVER, NIL};
use crate::intern::FastMap;

/// Later than everything.
pub(super) const FOREVER: u32 = u32::MAX;

/// Nobody.
pub(super) const NONE: u32 = u32::MAX;

/// An element's two calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Start and end of the call that put it in; the end is [`FOREVER`] if the outcome is unknown.
    pub(super) put: (u32, u32),
    /// Start and end of the call that took it out; both are [`FOREVER`] if there is none.
    pub(super) taken: (u32, u32),
    /// Which calls these are; [`NONE`] if nobody took it.
    pub(super) calls: (u32, u32),
}

impl Pair {
    /// Whether it certainly was in at some time, from the end of its put to the start of its taking.
    pub(super) fn stays(&self) -> bool {
        self.put.1 < self.taken.0
    }
}

/// The elements of a queue or stack.
#[derive(Debug, Default)]
pub(super) struct Puts {
    /// By the start of their put; those that must have been in.
    pub(super) pairs: Vec<Pair>,
    /// Calls that found nothing, by start.
    pub(super) empties: Vec<u32>,
    /// Starts of unknown takings, in order.
    pub(super) perhaps: Vec<u32>,
}

/// Pairs up the calls; `None` if an element was put in twice or a call is of another kind. An error is a violation by itself.
pub(super) fn pair_up(calls: &[Call], put: Function, take: Function) -> Option<Result<Puts, Refutation>> {
    let mut puts = Puts::default();
    let count = calls.iter().filter(|call| call.f == put).count();
    // By element: a table where they are dense, else a map.
    let range = calls.iter().filter(|call| call.f == put).map(|call| call.input as u32);
    let (least, most) = range.fold((u32::MAX, 0), |(least, most), element| (least.min(element), most.max(element)));
    let width = if count == 0 { 0 } else { (most - least) as usize + 1 };
    let dense = width <= 4 * count + 64;
    let mut table = vec![NONE; if dense { width } else { 0 }];
    let mut map: FastMap<u32, u32> = FastMap::default();
    puts.pairs.reserve_exact(count);
    for (at, call) in calls.iter().enumerate() {
        if call.f == put {
            let element = call.input as u32;
            let number = puts.pairs.len() as u32;
            let old = if dense {
                std::mem::replace(&mut table[(element - least) as usize], number)
            } else {
                map.insert(element, number).unwrap_or(NONE)
            };
            if old != NONE || element == NIL as u32 {
                return None;
            }
            let taken = (FOREVER, FOREVER);
            puts.pairs.push(Pair { put: (call.start, call.end), taken, calls: (at as u32, NONE) });
        } else if call.f != take {
            return None;
        }
    }
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.f == take) {
        if !call.ok() {
            puts.perhaps.push(call.start);
            continue;
        }
        if call.output == NIL {
            puts.empties.push(at as u32);
            continue;
        }
        let element = call.output as u32;
        let number = if dense {
            element.checked_sub(least).and_then(|offset| table.get(offset as usize).copied()).unwrap_or(NONE)
        } else {
            map.get(&element).copied().unwrap_or(NONE)
        };
        let Some(pair) = puts.pairs.get_mut(number as usize) else {
            let text = format!("call {} took the element {element}, which nobody put in", call.source);
            return Some(Err(Refutation { calls: vec![at], stuck: at, states: Vec::new(), text }));
        };
        if pair.calls.1 != NONE {
            let other = pair.calls.1 as usize;
            let text = format!(
                "calls {} and {} both took the element {element}, put in once",
                calls[other].source, call.source
            );
            let few = vec![pair.calls.0 as usize, other, at];
            return Some(Err(Refutation { calls: few, stuck: at, states: Vec::new(), text }));
        }
        (pair.taken, pair.calls.1) = ((call.start, call.end), at as u32);
        if call.end < pair.put.0 {
            let writer = pair.calls.0 as usize;
            let text = format!(
                "call {} took the element {element} before call {} began to put it in",
                call.source, calls[writer].source
            );
            return Some(Err(Refutation { calls: vec![writer, at], stuck: at, states: Vec::new(), text }));
        }
    }
    puts.pairs.retain(|pair| pair.put.1 != NEVER || pair.calls.1 != NONE);
    Some(Ok(puts))
}

/// A call that found nothing though at every moment while it was open some element was certainly in; and the elements that
/// show it, by number.
pub(super) fn never_empty(calls: &[Call], puts: &Puts) -> Option<(usize, Vec<usize>)> {
    if puts.empties.is_empty() {
        return None;
    }
    let mut stays: Vec<(u32, u32)> =
        puts.pairs.iter().filter(|pair| pair.stays()).map(|pair| (pair.put.1, pair.taken.0)).collect();
    stays.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (from, to) in stays {
        match merged.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    let covered = |call: &Call| {
        let after = merged.partition_point(|&(from, _)| from < call.start);
        after > 0 && merged[after - 1].1 > call.end
    };
    let at = puts.empties.iter().map(|&at| at as usize).find(|&at| covered(&calls[at]))?;
    Some((at, cover(calls[at].start, calls[at].end, puts)))
}

/// As few elements as cover the time from `start` to `end`, each begun before the one before it may be gone.
fn cover(start: u32, end: u32, puts: &Puts) -> Vec<usize> {
    let mut order: Vec<usize> = (0..puts.pairs.len()).filter(|&number| puts.pairs[number].stays()).collect();
    order.sort_unstable_by_key(|&number| puts.pairs[number].put.1);
    let (mut few, mut reach, mut next) = (Vec::new(), start, 0);
    while few.is_empty() || reach < end {
        let mut best: Option<usize> = None;
        while next < order.len() && puts.pairs[order[next]].put.1 < reach {
            let number = order[next];
            if best.is_none_or(|best| puts.pairs[best].taken.0 < puts.pairs[number].taken.0) {
                best = Some(number);
            }
            next += 1;
        }
        let Some(best) = best.filter(|&best| puts.pairs[best].taken.0 > reach) else { break };
        few.push(best);
        reach = puts.pairs[best].taken.0;
    }
    few
}

/// The calls of these elements.
pub(super) fn calls_of(puts: &Puts, numbers: &[usize]) -> Vec<usize> {
    let of = |&number: &usize| [puts.pairs[number].calls.0, puts.pairs[number].calls.1];
    numbers.iter().flat_map(of).filter(|&call| call != NONE).map(|call| call as usize).collect()
}
