//! The smallest k for which one register is k-atomic: some order of its operations extends real time and every read returns one of
//! the last k values (Aiyer, Alvisi, Bazzi 2005; Golab, Li, Shah 2011).
//!
//! Decided for k of one and two by walking through the events with all states that are still possible; a state is which of the open
//! operations took effect and what the last two values are. Reads take effect as soon as they can, since they change nothing. A write of unknown
//! outcome that nobody read is left out, as it could only make things worse, and one that was read must have happened before the first of
//! its reads ended. So only the number of operations under way at once costs. Beyond two there are bounds.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use crate::intern::FastHash;

/// One operation on a register whose values are unique; 0 is the initial value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) invoked: u64,
    /// Of a write of unknown outcome: when the first of its readers ended.
    pub(super) returned: u64,
    pub(super) value: u32,
    pub(super) write: bool,
}

/// How many states may be looked at for one register.
pub(super) const STATES: usize = 200_000;
/// How many operations may be under way at once.
const OPEN: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// Which of the open operations took effect, by slot.
    done: u64,
    /// The last value and the one before it.
    last: [u32; 2],
}

type States = HashSet<State, BuildHasherDefault<FastHash>>;

/// Whether the register is `k`-atomic, for `k` of 1 or 2; nothing where that would take too long.
pub(super) fn atomic(calls: &[Call], k: usize) -> Option<bool> {
    let mut events: Vec<(u64, bool, u32)> = Vec::with_capacity(calls.len() * 2);
    for (id, call) in (0_u32..).zip(calls) {
        events.push((call.invoked, false, id));
        events.push((call.returned, true, id));
    }
    // What is invoked when something else ends is concurrent with it.
    events.sort_unstable();
    let mut slots: Vec<Option<u32>> = Vec::new();
    let mut states: States = [State { done: 0, last: [0, 0] }].into_iter().collect();
    let mut budget = STATES;
    for (_, ends, id) in events {
        if !ends {
            match slots.iter().position(Option::is_none) {
                Some(free) => slots[free] = Some(id),
                None if slots.len() < OPEN => slots.push(Some(id)),
                None => return None,
            }
            continue;
        }
        let slot = slots.iter().position(|open| *open == Some(id))?;
        states = with_done(calls, &slots, slot, states, k, &mut budget)?;
        slots[slot] = None;
        if states.is_empty() {
            return Some(false);
        }
    }
    Some(true)
}

/// The states in which the operation of `slot` has taken effect, without it.
fn with_done(
    calls: &[Call],
    slots: &[Option<u32>],
    slot: usize,
    states: States,
    k: usize,
    budget: &mut usize,
) -> Option<States> {
    let bit = 1_u64 << slot;
    let mut found = States::default();
    let mut seen = States::default();
    let mut queue: Vec<State> = states.into_iter().map(|state| with_reads(calls, slots, state, k)).collect();
    while let Some(state) = queue.pop() {
        if state.done & bit != 0 {
            found.insert(State { done: state.done & !bit, ..state });
            continue;
        }
        if !seen.insert(state) {
            continue;
        }
        *budget = budget.checked_sub(1)?;
        for (at, open) in slots.iter().enumerate() {
            let Some(call) = open.map(|id| calls[id as usize]) else { continue };
            if call.write && state.done & (1 << at) == 0 {
                let next = State { done: state.done | (1 << at), last: [call.value, state.last[0]] };
                queue.push(with_reads(calls, slots, next, k));
            }
        }
    }
    Some(found)
}

/// The state after all open reads that can take effect in it.
fn with_reads(calls: &[Call], slots: &[Option<u32>], mut state: State, k: usize) -> State {
    for (at, open) in slots.iter().enumerate() {
        let Some(call) = open.map(|id| calls[id as usize]) else { continue };
        if !call.write && state.last[..k].contains(&call.value) {
            state.done |= 1 << at;
        }
    }
    state
}

/// A k that is large enough: each write at the end of its first operation, each read as soon as it can be.
pub(super) fn enough(calls: &[Call]) -> u64 {
    let values = calls.iter().map(|call| call.value as usize + 1).max().unwrap_or(1);
    let mut at = vec![u64::MAX; values];
    let mut invoked = vec![0; values];
    for call in calls {
        let value = call.value as usize;
        at[value] = at[value].min(call.returned);
        if call.write {
            invoked[value] = call.invoked;
        }
    }
    // The initial value was there before everything.
    at[0] = 0;
    let mut instants: Vec<(u64, u32)> = Vec::new();
    for call in calls.iter().filter(|call| call.write) {
        let value = call.value as usize;
        at[value] = at[value].max(invoked[value]);
        instants.push((at[value], call.value));
    }
    instants.sort_unstable();
    let newer = |call: &Call| {
        let write = (at[call.value as usize], call.value);
        let from = instants.partition_point(|&other| other <= write);
        let upto = instants.partition_point(|&(time, _)| time < call.invoked);
        upto.saturating_sub(from) as u64
    };
    1 + calls.iter().filter(|call| !call.write).map(newer).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn drawn(rng: &mut ChaCha8Rng) -> Vec<Call> {
        let writes = rng.random_range(1..=4_u32);
        let reads = rng.random_range(1..=3_u32);
        let mut span = || {
            let invoked = rng.random_range(0..10);
            (invoked, invoked + rng.random_range(1..6))
        };
        let mut calls: Vec<Call> = (1..=writes)
            .map(|value| {
                let (invoked, returned) = span();
                Call { invoked, returned, value, write: true }
            })
            .collect();
        for _ in 0..reads {
            let (invoked, returned) = span();
            calls.push(Call { invoked, returned, value: 0, write: false });
        }
        for at in writes as usize..calls.len() {
            let value = rng.random_range(0..=writes);
            // Nobody reads what is sent later.
            let sent = value == 0 || calls[value as usize - 1].invoked <= calls[at].returned;
            calls[at].value = if sent { value } else { 0 };
        }
        calls
    }

    /// The smallest k over all orders.
    fn brute(calls: &[Call]) -> u64 {
        let mut best = u64::MAX;
        let mut stack: Vec<(u32, Vec<u32>, u64)> = vec![(0, vec![0], 1)];
        while let Some((done, written, k)) = stack.pop() {
            if done.count_ones() as usize == calls.len() {
                best = best.min(k);
                continue;
            }
            for (at, call) in calls.iter().enumerate().filter(|(at, _)| done & (1 << at) == 0) {
                let first = |(other, it): (usize, &Call)| done & (1 << other) != 0 || it.returned >= call.invoked;
                if !calls.iter().enumerate().all(first) {
                    continue;
                }
                let mut written = written.clone();
                let mut k = k;
                if call.write {
                    written.push(call.value);
                } else {
                    match written.iter().rev().position(|&value| value == call.value) {
                        Some(back) => k = k.max(back as u64 + 1),
                        None => continue,
                    }
                }
                stack.push((done | (1 << at), written, k));
            }
        }
        best
    }

    #[test]
    fn one_and_two_are_decided_as_by_trying_all_orders() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut seen = [0; 4];
        for _ in 0..3_000 {
            let calls = drawn(&mut rng);
            let smallest = brute(&calls);
            assert_eq!(atomic(&calls, 1), Some(smallest == 1), "{calls:?}");
            assert_eq!(atomic(&calls, 2), Some(smallest <= 2), "{calls:?}");
            assert!(enough(&calls) >= smallest, "{calls:?}");
            seen[smallest.min(3) as usize] += 1;
        }
        assert!(seen[1..].iter().all(|&count| count > 20), "{seen:?}");
    }
}
