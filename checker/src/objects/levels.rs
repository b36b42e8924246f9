//! Objects whose answers give every call its place: logs, sets that only grow, unique ids.
//!
//! The longest read of a log is the order of its elements, and every other read must be a beginning of it. Reads of a set that
//! only grows must include each other. So every call has a *level*: the append of the first element 1, a read of one element 2,
//! the append of the second 3 and so on; what nobody read comes last. Calls on one level may stand in any order. The calls are
//! linearizable if and only if no call began after one of a higher level had returned: one walk over starts and ends.
//!
//! O(n log n + elements read). An unknown append that was read happened and ended never; one that wasn't is left out.

use super::calls::{Call, Calls, Function, NEVER};
use super::{Judged, Refutation};
use crate::intern::FastMap;

/// A call's place: its level, or none if it need not have happened.
pub(super) type Levels = Vec<Option<u64>>;

/// Levels, a proof that there are none, or no answer because elements were put in twice or the set shrinks.
pub(super) type Placed = Option<Result<Levels, Refutation>>;

/// Decides by levels.
pub(super) fn decide(calls: &[Call], placed: Placed) -> Option<Judged> {
    Some(match placed? {
        Err(refutation) => Judged::Violated(refutation),
        Ok(levels) => match conflict(calls, &levels) {
            None => Judged::Holds,
            Some((high, low)) => {
                let mut few = vec![high, low];
                // What shows their places: the longest read.
                let longest = calls.iter().enumerate().filter(|(_, call)| call.f == Function::ReadAll && call.ok());
                few.extend(longest.max_by_key(|(_, call)| call.output as u32).map(|(at, _)| at));
                let text = format!(
                    "call {} had returned before call {} began, but what was read says that it came after",
                    calls[high].source, calls[low].source
                );
                Judged::Violated(Refutation { calls: few, stuck: low, states: Vec::new(), text })
            }
        },
    })
}

/// A call that returned before another one of a lower level began, and that one.
fn conflict(calls: &[Call], levels: &Levels) -> Option<(usize, usize)> {
    let mut ends: Vec<(u32, u32)> = calls
        .iter()
        .enumerate()
        .filter(|(at, call)| call.ok() && levels[*at].is_some())
        .map(|(at, call)| (call.end, at as u32))
        .collect();
    ends.sort_unstable();
    let mut gone = 0;
    let mut highest: Option<(u64, usize)> = None;
    for (at, call) in calls.iter().enumerate() {
        let Some(level) = levels[at] else { continue };
        while gone < ends.len() && ends[gone].0 < call.start {
            let ended = ends[gone].1 as usize;
            highest = highest.max(levels[ended].map(|level| (level, ended)));
            gone += 1;
        }
        if let Some((high, ended)) = highest.filter(|&(high, _)| high > level) {
            debug_assert!(high > level);
            return Some((ended, at));
        }
    }
    None
}

/// The one call that puts in each element; `None` if some element has two.
fn writers(calls: &[Call], f: Function) -> Option<FastMap<u32, u32>> {
    let mut writers = FastMap::default();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.f == f) {
        if writers.insert(call.input as u32, at as u32).is_some() {
            return None;
        }
    }
    Some(writers)
}

fn refuted(few: Vec<usize>, stuck: usize, text: String) -> Placed {
    Some(Err(Refutation { calls: few, stuck, states: Vec::new(), text }))
}

/// The places of a log's calls.
pub(super) fn log(all: &Calls, calls: &[Call]) -> Placed {
    if calls.iter().any(|call| !matches!(call.f, Function::Append | Function::ReadAll)) {
        return None;
    }
    let writers = writers(calls, Function::Append)?;
    let reads = || calls.iter().enumerate().filter(|(_, call)| call.f == Function::ReadAll && call.ok());
    let mut longest: Option<usize> = None;
    for (at, call) in reads() {
        let (Some(best), list) = (longest, all.elements(call)) else {
            longest = Some(at);
            continue;
        };
        let order = all.elements(&calls[best]);
        let (short, long) = if list.len() > order.len() { (order, list) } else { (list, order) };
        if long[..short.len()] != *short {
            let text = format!(
                "calls {} and {} read lists of which neither is the beginning of the other",
                calls[best].source, call.source
            );
            return refuted(vec![best, at], at, text);
        }
        if list.len() > order.len() {
            longest = Some(at);
        }
    }
    let order = longest.map_or(&[][..], |at| all.elements(&calls[at]));
    let mut levels: Levels = vec![None; calls.len()];
    for (place, element) in order.iter().enumerate() {
        let reader = longest.unwrap_or(0);
        let Some(&writer) = writers.get(element) else {
            let text = format!("call {} read the element {element}, which nobody appended", calls[reader].source);
            return refuted(vec![reader], reader, text);
        };
        if levels[writer as usize].replace(2 * place as u64 + 1).is_some() {
            let text =
                format!("call {} read the element {element} twice, and it was appended once", calls[reader].source);
            return refuted(vec![reader, writer as usize], reader, text);
        }
    }
    for (at, call) in calls.iter().enumerate() {
        if call.f == Function::ReadAll && call.ok() {
            levels[at] = Some(2 * all.elements(call).len() as u64);
        } else if call.f == Function::Append && call.ok() {
            levels[at] = levels[at].or(Some(2 * order.len() as u64 + 1));
        }
    }
    Some(Ok(levels))
}

/// The places of the calls on a set to which elements are only added, each once.
pub(super) fn grown(all: &Calls, calls: &[Call]) -> Placed {
    let grows = |call: &Call| match call.f {
        Function::Add => !call.ok() || call.output != 0,
        Function::ReadAll => true,
        _ => false,
    };
    if !calls.iter().all(grows) {
        return None;
    }
    let writers = writers(calls, Function::Add)?;
    let mut reads: Vec<(Vec<u32>, usize)> = Vec::new();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.f == Function::ReadAll && call.ok()) {
        let mut list: Vec<u32> = all.elements(call).to_vec();
        list.sort_unstable();
        list.dedup();
        reads.push((list, at));
    }
    reads.sort_by_key(|(list, _)| list.len());
    let mut levels: Levels = vec![None; calls.len()];
    let mut level = 0;
    let mut before: Option<&(Vec<u32>, usize)> = None;
    for read in &reads {
        let (list, at) = read;
        let mut known = 0;
        for element in list {
            let Some(&writer) = writers.get(element) else {
                let text = format!("call {} read the element {element}, which nobody added", calls[*at].source);
                return refuted(vec![*at], *at, text);
            };
            let slot = &mut levels[writer as usize];
            known += usize::from(slot.is_some());
            slot.get_or_insert(level + 1);
        }
        let last = before.map_or(0, |(list, _)| list.len());
        if let Some((other, other_at)) = before.filter(|_| known < last) {
            let missing = other.iter().find(|element| list.binary_search(element).is_err()).copied().unwrap_or(0);
            let text = format!(
                "calls {} and {} read sets of which neither includes the other: {missing} is missing in the larger one",
                calls[*other_at].source, calls[*at].source
            );
            return refuted(vec![*other_at, *at], *at, text);
        }
        level += if list.len() > last || before.is_none() { 2 } else { 0 };
        levels[*at] = Some(level);
        before = Some(read);
    }
    for (at, call) in calls.iter().enumerate() {
        if call.f == Function::Add && call.ok() {
            levels[at] = levels[at].or(Some(level + 1));
        }
    }
    Some(Ok(levels))
}

/// Whether every id was given out once.
pub(super) fn ids(calls: &[Call]) -> Judged {
    let mut given: FastMap<i64, u32> = FastMap::default();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.ok() && call.end != NEVER) {
        if let Some(other) = given.insert(call.output, at as u32) {
            let other = other as usize;
            let text = format!("calls {} and {} both got the id {}", calls[other].source, call.source, call.output);
            return Judged::Violated(Refutation { calls: vec![other, at], stuck: at, states: Vec::new(), text });
        }
    }
    Judged::Holds
}
