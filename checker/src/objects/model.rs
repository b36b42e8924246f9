//! What an object does when called one at a time: the sequential rules, one type for each kind of object.
//!
//! A [`Model`] is all that the search needs to know. Every rule here is deterministic in the input: of a call whose outcome is
//! unknown only the effect counts, never the output. Where an effect would change nothing, an unknown call need not have
//! happened, so [`Model::step`] answers `None` for it.

use std::fmt::Debug;
use std::hash::Hash;

use super::calls::{Call, Calls, Function, NIL};
use crate::intern::FastMap;

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelName {
    /// Reads and writes, each key a register of its own.
    Register,
    /// The same with compare-and-set.
    CasRegister,
    /// A map from keys to values: a register for each key.
    Map,
    /// Registers read and written together in transactions.
    MultiRegister,
    /// Elements added, removed, asked for one by one or all at once.
    Set,
    /// Numbers added to a sum.
    Counter,
    /// First in, first out.
    Queue,
    /// Last in, first out.
    Stack,
    /// A lock that whoever wishes may release, as in Knossos.
    Mutex,
    /// Never the same id twice.
    Ids,
    /// A list that grows at its end and is read as a whole.
    Log,
}

impl ModelName {
    /// Every model.
    pub const ALL: [ModelName; 11] = [
        ModelName::Register,
        ModelName::CasRegister,
        ModelName::Map,
        ModelName::MultiRegister,
        ModelName::Set,
        ModelName::Counter,
        ModelName::Queue,
        ModelName::Stack,
        ModelName::Mutex,
        ModelName::Ids,
        ModelName::Log,
    ];
}

/// The rule of one kind of object.
pub trait Model: Sync {
    /// What the object can be.
    type State: Clone + Eq + Hash + Debug;

    /// What it is before the first call.
    fn initial(&self) -> Self::State;

    /// What it is after `call`; `None` if the call cannot have had its output here, or, its outcome being unknown, does nothing.
    fn step(&self, state: &Self::State, call: &Call) -> Option<Self::State>;

    /// Whether the call never changes the object, whatever the object is.
    fn observes(&self, call: &Call) -> bool;

    /// Whether the call is possible everywhere and leaves the same object everywhere: what was before it can't be told after.
    fn blind(&self, _call: &Call) -> bool {
        false
    }

    /// For each call whose outcome is unknown, the last rank at which somebody can need its effect; 0 if nobody ever does.
    /// What it says of the other calls is not asked.
    fn needed_until(&self, calls: &[Call]) -> Vec<u32> {
        let last = calls.iter().filter(|call| call.ok()).map(|call| call.end).max().unwrap_or(0);
        vec![last; calls.len()]
    }

    /// The value, where the object is a register.
    fn register(&self, _state: &Self::State) -> Option<u32> {
        None
    }

    /// Bytes on the heap for a state, about.
    fn weight(&self, _state: &Self::State) -> usize {
        0
    }
}

/// A register with reads, writes and compare-and-set. The state is the value.
#[derive(Clone, Copy, Debug)]
pub struct Register;

impl Model for Register {
    type State = u32;

    fn initial(&self) -> u32 {
        NIL as u32
    }

    fn step(&self, &state: &u32, call: &Call) -> Option<u32> {
        match call.f {
            Function::Read => (call.output == i64::from(state)).then_some(state),
            Function::Write => Some(call.input as u32),
            Function::Cas => {
                let (from, to) = call.input_pair();
                match (call.ok(), state == from) {
                    (true, met) => (met == (call.output != 0)).then_some(if met { to } else { state }),
                    (false, met) => (met && from != to).then_some(to),
                }
            }
            _ => None,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        match call.f {
            Function::Read => true,
            Function::Cas => {
                let (from, to) = call.input_pair();
                from == to || (call.ok() && call.output == 0)
            }
            _ => false,
        }
    }

    fn blind(&self, call: &Call) -> bool {
        call.f == Function::Write
    }

    fn register(&self, &state: &u32) -> Option<u32> {
        Some(state)
    }

    fn needed_until(&self, calls: &[Call]) -> Vec<u32> {
        // A value is needed until the last call that expects it is over; one that expects it only perhaps, until its own effect is
        // not needed. A mismatch needs any value but one, so then every unknown effect stays.
        let mut until: FastMap<u32, u32> = FastMap::default();
        let mut perhaps: FastMap<u32, Vec<u32>> = FastMap::default();
        let mut any = 0;
        for call in calls {
            let expects = match call.f {
                Function::Read if call.ok() => call.output as u32,
                Function::Cas => {
                    let (from, to) = call.input_pair();
                    if !call.ok() {
                        perhaps.entry(to).or_default().push(from);
                        continue;
                    }
                    if call.output == 0 {
                        any = any.max(call.end);
                        continue;
                    }
                    from
                }
                _ => continue,
            };
            let slot = until.entry(expects).or_default();
            *slot = (*slot).max(call.end);
        }
        let mut work: Vec<u32> = until.keys().copied().collect();
        while let Some(value) = work.pop() {
            let end = until[&value];
            for &from in perhaps.get(&value).map_or(&[][..], |froms| froms) {
                let slot = until.entry(from).or_default();
                if *slot < end {
                    *slot = end;
                    work.push(from);
                }
            }
        }
        let effect = |call: &Call| if call.f == Function::Cas { call.input_pair().1 } else { call.input as u32 };
        calls.iter().map(|call| until.get(&effect(call)).copied().unwrap_or(0).max(any)).collect()
    }
}

/// Registers read and written together. The state is every register's value.
#[derive(Clone, Debug)]
pub struct MultiRegister<'a> {
    calls: &'a Calls,
    width: usize,
}

impl<'a> MultiRegister<'a> {
    /// As many registers as the steps name; steps with a register beyond 2²⁰ make every transaction impossible.
    pub fn new(calls: &'a Calls) -> Self {
        let named = calls.all().iter().filter(|call| call.f == Function::Txn).flat_map(|call| calls.steps(call));
        let width = named.map(|step| step.register as usize + 1).max().unwrap_or(0).min(1 << 20);
        MultiRegister { calls, width }
    }
}

impl Model for MultiRegister<'_> {
    type State = Box<[u32]>;

    fn initial(&self) -> Box<[u32]> {
        vec![NIL as u32; self.width].into()
    }

    fn step(&self, state: &Box<[u32]>, call: &Call) -> Option<Box<[u32]>> {
        if call.f != Function::Txn {
            return None;
        }
        let mut after = state.clone();
        for step in self.calls.steps(call) {
            let value = after.get_mut(step.register as usize)?;
            if step.write {
                *value = step.value;
            } else if call.ok() && *value != step.value {
                return None;
            }
        }
        (call.ok() || after != *state).then_some(after)
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == Function::Txn && self.calls.steps(call).iter().all(|step| !step.write)
    }

    fn weight(&self, state: &Box<[u32]>) -> usize {
        4 * state.len()
    }
}

/// A set. The state is its elements in order.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a>(pub &'a Calls);

impl Model for Set<'_> {
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, call: &Call) -> Option<Vec<u32>> {
        let element = call.input as u32;
        let place = || state.binary_search(&element);
        let said = |truth: bool| !call.ok() || call.output == NIL || (call.output != 0) == truth;
        match call.f {
            Function::Add => match place() {
                Ok(_) => (call.ok() && said(false)).then(|| state.clone()),
                Err(at) => said(true).then(|| {
                    let mut after = state.clone();
                    after.insert(at, element);
                    after
                }),
            },
            Function::Remove => match place() {
                Ok(at) => said(true).then(|| {
                    let mut after = state.clone();
                    after.remove(at);
                    after
                }),
                Err(_) => (call.ok() && said(false)).then(|| state.clone()),
            },
            Function::Contains => (call.ok() && said(place().is_ok())).then(|| state.clone()),
            Function::ReadAll if call.ok() => {
                let mut seen = self.0.elements(call).to_vec();
                seen.sort_unstable();
                seen.dedup();
                (seen == *state).then(|| state.clone())
            }
            _ => None,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        match call.f {
            Function::Contains | Function::ReadAll => true,
            Function::Add | Function::Remove => call.ok() && call.output == 0,
            _ => false,
        }
    }

    fn weight(&self, state: &Vec<u32>) -> usize {
        4 * state.capacity()
    }
}

/// One element of a set that is never read as a whole: there or not. Each element is an object of its own then.
#[derive(Clone, Copy, Debug)]
pub struct Element;

impl Model for Element {
    type State = bool;

    fn initial(&self) -> bool {
        false
    }

    fn step(&self, &there: &bool, call: &Call) -> Option<bool> {
        let said = |truth: bool| call.output == NIL || (call.output != 0) == truth;
        let (after, answer) = match call.f {
            Function::Add => (true, !there),
            Function::Remove => (false, there),
            Function::Contains => (there, there),
            _ => return None,
        };
        if call.ok() { said(answer).then_some(after) } else { (after != there).then_some(after) }
    }

    fn observes(&self, call: &Call) -> bool {
        match call.f {
            Function::Contains => true,
            Function::Add | Function::Remove => call.ok() && call.output == 0,
            _ => false,
        }
    }

    fn blind(&self, call: &Call) -> bool {
        matches!(call.f, Function::Add | Function::Remove) && call.ok() && call.output == NIL
    }
}

/// A sum.
#[derive(Clone, Copy, Debug)]
pub struct Counter;

impl Model for Counter {
    type State = i64;

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, &state: &i64, call: &Call) -> Option<i64> {
        match call.f {
            Function::Read => (call.ok() && call.output == state).then_some(state),
            Function::Add if call.ok() || call.input != 0 => Some(state.wrapping_add(call.input)),
            _ => None,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == Function::Read || call.input == 0
    }

    fn needed_until(&self, calls: &[Call]) -> Vec<u32> {
        let reads = calls.iter().filter(|call| call.f == Function::Read && call.ok());
        vec![reads.map(|call| call.end).max().unwrap_or(0); calls.len()]
    }
}

/// Until when an element that was perhaps put in is needed: until the last call that took it out is over.
fn needless_elements(calls: &[Call], put: Function, take: Function) -> Vec<u32> {
    let mut until: FastMap<i64, u32> = FastMap::default();
    let mut last = 0;
    for call in calls.iter().filter(|call| call.ok()) {
        last = last.max(call.end);
        if call.f == take {
            let slot = until.entry(call.output).or_default();
            *slot = (*slot).max(call.end);
        }
    }
    let needed = |call: &Call| if call.f == put { until.get(&call.input).copied().unwrap_or(0) } else { last };
    calls.iter().map(needed).collect()
}

/// A queue, first in, first out. The state is its elements, the first one first.
#[derive(Clone, Copy, Debug)]
pub struct Queue;

impl Model for Queue {
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, call: &Call) -> Option<Vec<u32>> {
        match call.f {
            Function::Enqueue => Some(with(state, call.input as u32)),
            Function::Dequeue => match state.split_first() {
                Some((&first, rest)) => (!call.ok() || call.output == i64::from(first)).then(|| rest.to_vec()),
                None => (call.ok() && call.output == NIL).then(Vec::new),
            },
            _ => None,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == Function::Dequeue && call.ok() && call.output == NIL
    }

    fn needed_until(&self, calls: &[Call]) -> Vec<u32> {
        needless_elements(calls, Function::Enqueue, Function::Dequeue)
    }

    fn weight(&self, state: &Vec<u32>) -> usize {
        4 * state.capacity()
    }
}

/// A stack, last in, first out. The state is its elements, the top last.
#[derive(Clone, Copy, Debug)]
pub struct Stack;

impl Model for Stack {
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, call: &Call) -> Option<Vec<u32>> {
        match call.f {
            Function::Push => Some(with(state, call.input as u32)),
            Function::Pop => match state.split_last() {
                Some((&top, rest)) => (!call.ok() || call.output == i64::from(top)).then(|| rest.to_vec()),
                None => (call.ok() && call.output == NIL).then(Vec::new),
            },
            _ => None,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == Function::Pop && call.ok() && call.output == NIL
    }

    fn needed_until(&self, calls: &[Call]) -> Vec<u32> {
        needless_elements(calls, Function::Push, Function::Pop)
    }

    fn weight(&self, state: &Vec<u32>) -> usize {
        4 * state.capacity()
    }
}

fn with(state: &[u32], element: u32) -> Vec<u32> {
    let mut after = Vec::with_capacity(state.len() + 1);
    after.extend_from_slice(state);
    after.push(element);
    after
}

/// A lock. The state is whether it is held.
#[derive(Clone, Copy, Debug)]
pub struct Mutex;

impl Model for Mutex {
    type State = bool;

    fn initial(&self) -> bool {
        false
    }

    fn step(&self, &held: &bool, call: &Call) -> Option<bool> {
        match call.f {
            Function::Acquire => (!held).then_some(true),
            Function::Release => held.then_some(false),
            _ => None,
        }
    }

    fn observes(&self, _call: &Call) -> bool {
        false
    }
}

/// Ids given out. The state is the ids, in order.
#[derive(Clone, Copy, Debug)]
pub struct Ids;

impl Model for Ids {
    type State = Vec<i64>;

    fn initial(&self) -> Vec<i64> {
        Vec::new()
    }

    fn step(&self, state: &Vec<i64>, call: &Call) -> Option<Vec<i64>> {
        if call.f != Function::Generate || !call.ok() {
            return None;
        }
        let at = state.binary_search(&call.output).err()?;
        let mut after = state.clone();
        after.insert(at, call.output);
        Some(after)
    }

    fn observes(&self, _call: &Call) -> bool {
        false
    }

    fn weight(&self, state: &Vec<i64>) -> usize {
        8 * state.capacity()
    }
}

/// A list that grows at its end. The state is the list.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a>(pub &'a Calls);

impl Model for Log<'_> {
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, call: &Call) -> Option<Vec<u32>> {
        match call.f {
            Function::Append => Some(with(state, call.input as u32)),
            Function::ReadAll => (call.ok() && self.0.elements(call) == state.as_slice()).then(|| state.clone()),
            _ => None,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == Function::ReadAll
    }

    fn weight(&self, state: &Vec<u32>) -> usize {
        4 * state.capacity()
    }
}
