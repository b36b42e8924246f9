//! Queues into which every element was put once.
//!
//! Linearizable if and only if none of these is there (Henzinger, Sezgin & Vafeiadis 2013; Bouajjani et al. 2015): an element
//! from nowhere, taken twice, or taken before it was put in (all found when the calls are paired); an element put in before
//! another and taken after it, or never; a dequeue that found nothing while at every moment some element was certainly in.
//!
//! ```text
//!   enq(1)|--|  enq(2)|--|       deq→2|--|   deq→1|--|      2 overtakes 1
//! ```
//!
//! An unknown dequeue may have taken an element that nobody else took; that can only help. Which one took which is a matching
//! by thresholds, solved exactly by sorting. Only for finding nothing the choice may matter further: where the two obvious ones
//! don't help, the search decides. O(n log n).

use super::calls::{Call, Function};
use super::puts::{FOREVER, NONE, Puts, calls_of, never_empty, pair_up};
use super::{Judged, Refutation};

/// Decides, or answers `None` where elements were put in twice or too little is known.
pub(super) fn decide(calls: &[Call]) -> Option<Judged> {
    let mut puts = match pair_up(calls, Function::Enqueue, Function::Dequeue)? {
        Ok(puts) => puts,
        Err(refutation) => return Some(Judged::Violated(refutation)),
    };
    let limits = limits(&puts);
    if let Some((late, limit)) = overtaken(&puts, &limits) {
        return Some(Judged::Violated(tell(calls, &puts, late, limit)));
    }
    let rest = match explain(calls, &mut puts, &limits) {
        Ok(rest) => rest,
        Err(refutation) => return Some(Judged::Violated(refutation)),
    };
    if let Some((at, cover)) = never_empty(calls, &puts) {
        if puts.perhaps.is_empty() {
            return Some(Judged::Violated(found_nothing(calls, &puts, at, &cover)));
        }
        return relaxed(calls, &puts, rest);
    }
    Some(Judged::Holds)
}

/// For each element the rank before which its taking must have begun: the first end of a taking of one put in later.
fn limits(puts: &Puts) -> Vec<u32> {
    let mut least = vec![FOREVER; puts.pairs.len() + 1];
    for (number, pair) in puts.pairs.iter().enumerate().rev() {
        least[number] = least[number + 1].min(pair.taken.1);
    }
    let after = |end: u32| least[puts.pairs.partition_point(|other| other.put.0 < end)];
    puts.pairs.iter().map(|pair| after(pair.put.1)).collect()
}

/// An element whose taking began too late, and its limit.
fn overtaken(puts: &Puts, limits: &[u32]) -> Option<(usize, u32)> {
    let late = |&number: &usize| puts.pairs[number].calls.1 != NONE && puts.pairs[number].taken.0 > limits[number];
    (0..puts.pairs.len()).find(late).map(|number| (number, limits[number]))
}

fn overtaker(puts: &Puts, late: usize, limit: u32) -> usize {
    let overtakes = |other: &super::puts::Pair| other.taken.1 == limit && other.put.0 > puts.pairs[late].put.1;
    puts.pairs.iter().position(overtakes).unwrap_or(late)
}

fn tell(calls: &[Call], puts: &Puts, late: usize, limit: u32) -> Refutation {
    let other = overtaker(puts, late, limit);
    let element = |number: usize| calls[puts.pairs[number].calls.0 as usize].input;
    let text = format!(
        "the element {} was in before {} was put in, but {} was out before the dequeue of {} began",
        element(late),
        element(other),
        element(other),
        element(late)
    );
    let stuck = puts.pairs[late].calls.1 as usize;
    Refutation { calls: calls_of(puts, &[late, other]), stuck, states: Vec::new(), text }
}

/// Gives elements that were overtaken and that nobody took to unknown dequeues, and says which of those are left.
fn explain(calls: &[Call], puts: &mut Puts, limits: &[u32]) -> Result<Vec<u32>, Refutation> {
    let needs = |number: &usize| puts.pairs[*number].calls.1 == NONE && limits[*number] != FOREVER;
    let mut needy: Vec<usize> = (0..puts.pairs.len()).filter(needs).collect();
    needy.sort_unstable_by_key(|&number| limits[number]);
    for (place, &number) in needy.iter().enumerate() {
        let Some(&start) = puts.perhaps.get(place).filter(|&&start| start < limits[number]) else {
            let mut few = calls_of(puts, &needy[..=place]);
            for &number in &needy[..=place] {
                few.extend(calls_of(puts, &[overtaker(puts, number, limits[number])]));
            }
            let unknown = |call: &Call| call.f == Function::Dequeue && !call.ok() && call.start < limits[number];
            few.extend((0..calls.len()).filter(|&at| unknown(&calls[at])));
            let other = overtaker(puts, number, limits[number]);
            let text = format!(
                "{} elements, among them {}, were put in before others that are out, and nobody took them but {place} calls of unknown outcome",
                place + 1,
                calls[puts.pairs[number].calls.0 as usize].input
            );
            let stuck = puts.pairs[other].calls.1 as usize;
            return Err(Refutation { calls: few, stuck, states: Vec::new(), text });
        };
        puts.pairs[number].taken.0 = start;
    }
    Ok(puts.perhaps.get(needy.len()..).unwrap_or_default().to_vec())
}

fn found_nothing(calls: &[Call], puts: &Puts, at: usize, cover: &[usize]) -> Refutation {
    let mut few = calls_of(puts, cover);
    few.push(at);
    let text = format!(
        "call {} found nothing, though at every moment while it was open one of {} elements was certainly in",
        calls[at].source,
        cover.len()
    );
    Refutation { calls: few, stuck: at, states: Vec::new(), text }
}

/// Something found nothing, and unknown dequeues are left that may have emptied the queue before.
fn relaxed(calls: &[Call], puts: &Puts, rest: Vec<u32>) -> Option<Judged> {
    let loose = |number: &usize| puts.pairs[*number].calls.1 == NONE;
    // More than can be: everything that nobody took is taken as early as can be.
    let mut most = Puts { pairs: puts.pairs.clone(), empties: puts.empties.clone(), perhaps: Vec::new() };
    for number in (0..puts.pairs.len()).filter(loose) {
        most.pairs[number].taken.0 = puts.perhaps[0];
    }
    if let Some((at, cover)) = never_empty(calls, &most) {
        return Some(Judged::Violated(found_nothing(calls, &most, at, &cover)));
    }
    // One that can be: first come, first served.
    let mut one = Puts { pairs: puts.pairs.clone(), empties: puts.empties.clone(), perhaps: Vec::new() };
    let untouched = |number: &usize| loose(number) && puts.pairs[*number].taken.0 == FOREVER;
    for (number, start) in (0..puts.pairs.len()).filter(untouched).zip(rest) {
        one.pairs[number].taken.0 = start;
    }
    never_empty(calls, &one).is_none().then_some(Judged::Holds)
}
