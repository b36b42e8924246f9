//! The measure of the deciders: small histories decided by trying every order, and makers of histories.
//!
//! Shares nothing with the deciders but the types of the input: the objects' rules are written here a second time, all keys
//! are one object, and no argument of any paper is used.

mod remembered;

pub use remembered::remembered;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::calls::{Call, Calls, Function, NEVER, NIL, Outcome, Step, pair, unpair};
use super::model::ModelName;

/// An object of any kind, as simple as can be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Object {
    registers: BTreeMap<u32, u32>,
    set: BTreeSet<u32>,
    list: VecDeque<u32>,
    sum: i64,
    held: bool,
}

/// What a call gave when it was carried out.
#[derive(Clone, Debug, PartialEq)]
enum Gave {
    Number(i64),
    List(Vec<u32>),
    Steps(Vec<u32>),
    /// It can't be carried out now.
    Blocked,
}

impl Object {
    /// Carries out a call whatever its output is said to be.
    fn carry_out(&mut self, model: ModelName, call: &Call, steps: &[Step]) -> Gave {
        let register = |object: &Self, key: u32| object.registers.get(&key).copied().unwrap_or(NIL as u32);
        let input = call.input as u32;
        Gave::Number(match (model, call.f) {
            (ModelName::Counter, Function::Read) => self.sum,
            (ModelName::Counter, Function::Add) => {
                self.sum += call.input;
                NIL
            }
            (_, Function::Read) => i64::from(register(self, 0)),
            (_, Function::Write) => {
                self.registers.insert(0, input);
                NIL
            }
            (_, Function::Cas) => {
                let (from, to) = unpair(call.input);
                let met = register(self, 0) == from;
                if met {
                    self.registers.insert(0, to);
                }
                i64::from(met)
            }
            (_, Function::Txn) => {
                let mut values = Vec::new();
                for step in steps {
                    if step.write {
                        self.registers.insert(step.register, step.value);
                    }
                    values.push(register(self, step.register));
                }
                return Gave::Steps(values);
            }
            (_, Function::Add) => i64::from(self.set.insert(input)),
            (_, Function::Remove) => i64::from(self.set.remove(&input)),
            (_, Function::Contains) => i64::from(self.set.contains(&input)),
            (ModelName::Set, Function::ReadAll) => return Gave::List(self.set.iter().copied().collect()),
            (_, Function::ReadAll) => return Gave::List(self.list.iter().copied().collect()),
            (_, Function::Append | Function::Enqueue | Function::Push) => {
                self.list.push_back(input);
                NIL
            }
            (_, Function::Dequeue) => self.list.pop_front().map_or(NIL, i64::from),
            (_, Function::Pop) => self.list.pop_back().map_or(NIL, i64::from),
            (_, Function::Acquire | Function::Release) => {
                if self.held == (call.f == Function::Acquire) {
                    return Gave::Blocked;
                }
                self.held = !self.held;
                NIL
            }
            // The output is the effect: an id is taken once.
            (_, Function::Generate) => match call.ok() && !self.set.insert(call.output as u32) {
                true => return Gave::Blocked,
                false => call.output,
            },
        })
    }
}

/// Whether the call may have had its output, given what it gave.
fn agrees(calls: &Calls, call: &Call, gave: &Gave) -> bool {
    match gave {
        Gave::Blocked => false,
        _ if !call.ok() => true,
        Gave::Number(number) => match call.f {
            Function::Add | Function::Remove => call.output == NIL || call.output == *number,
            Function::Write | Function::Append | Function::Enqueue | Function::Push => true,
            Function::Acquire | Function::Release => true,
            _ => call.output == *number,
        },
        Gave::List(list) => calls.elements(call) == list.as_slice(),
        Gave::Steps(values) => calls.steps(call).iter().zip(values).all(|(step, value)| step.value == *value),
    }
}

/// How many calls at most are decided here.
pub const MOST: usize = 12;

struct Trial<'a> {
    model: ModelName,
    calls: &'a Calls,
    /// For each call, those that must come before it, if they do at all.
    before: Vec<u32>,
    must: u32,
}

impl Trial<'_> {
    fn try_all(&self, done: u32, objects: &BTreeMap<u32, Object>) -> bool {
        if done & self.must == self.must {
            return true;
        }
        let all = self.calls.all();
        (0..all.len()).any(|at| {
            if done & (1 << at) != 0 || self.before[at] & !done != 0 {
                return false;
            }
            let call = &all[at];
            let mut objects = objects.clone();
            let steps = if call.f == Function::Txn { self.calls.steps(call) } else { &[] };
            let gave = objects.entry(call.key).or_default().carry_out(self.model, call, steps);
            agrees(self.calls, call, &gave) && self.try_all(done | (1 << at), &objects)
        })
    }
}

fn exists(model: ModelName, calls: &Calls, before: impl Fn(&Call, &Call) -> bool) -> bool {
    let all = calls.all();
    assert!(all.len() <= MOST, "brute force is for {MOST} calls at most");
    let mask =
        |f: &dyn Fn(&Call) -> bool| (0..all.len()).filter(|&at| f(&all[at])).fold(0, |mask, at| mask | (1 << at));
    let before = all.iter().map(|call| mask(&|other| other.ok() && before(other, call))).collect();
    Trial { model, calls, before, must: mask(&|call| call.ok()) }.try_all(0, &BTreeMap::new())
}

/// Whether some order of all calls respects real time and the objects' rules.
///
/// # Panics
///
/// With more than [`MOST`] calls.
pub fn linearizable(model: ModelName, calls: &Calls) -> bool {
    exists(model, calls, |a, b| a.end < b.start)
}

/// Whether some order of all calls respects each process's order and the objects' rules.
///
/// # Panics
///
/// With more than [`MOST`] calls.
pub fn sequential(model: ModelName, calls: &Calls) -> bool {
    exists(model, calls, |a, b| a.process == b.process && a.end < b.start)
}

/// What histories shall be made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many calls.
    pub calls: usize,
    /// How many are open at once at most.
    pub processes: u32,
    /// How many keys.
    pub keys: u32,
    /// How many values; elements of logs, sets, queues and stacks, and registers of transactions, likewise.
    pub values: u32,
    /// Of a million calls, how many have an unknown outcome.
    pub unknown: u32,
    /// Of a million calls, how many get an output drawn at random.
    pub wrong: u32,
    /// Whether no value is put in twice.
    pub unique: bool,
}

/// A small generator of numbers (splitmix64), the same everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Draw(pub u64);

impl Draw {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.number()) * u128::from(n)) >> 64) as u32
    }

    fn chance(&mut self, of_a_million: u32) -> bool {
        self.below(1_000_000) < of_a_million
    }
}

/// A history by random clients on a right object, then spoilt as the shape asks.
pub fn random(model: ModelName, shape: &Shape, seed: u64) -> Calls {
    Maker {
        model,
        shape,
        draw: Draw(seed),
        objects: vec![Object::default(); shape.keys.max(1) as usize],
        fresh: 0,
        calls: Vec::new(),
        steps: Vec::new(),
        elements: Vec::new(),
    }
    .make()
}

struct Maker<'a> {
    model: ModelName,
    shape: &'a Shape,
    draw: Draw,
    objects: Vec<Object>,
    fresh: u32,
    calls: Vec<Call>,
    steps: Vec<Step>,
    elements: Vec<u32>,
}

impl Maker<'_> {
    fn make(mut self) -> Calls {
        let processes = self.shape.processes.max(1);
        // What each client is at: nothing, a call that has not taken effect, one that has.
        let mut at: Vec<Option<(Call, bool)>> = vec![None; processes as usize];
        let mut number: Vec<u32> = (0..processes).collect();
        let (mut rank, mut made) = (0, 0);
        while made < self.shape.calls || at.iter().any(Option::is_some) {
            let client = self.draw.below(processes) as usize;
            match at[client].take() {
                None if made < self.shape.calls => {
                    let mut call = self.invent();
                    (call.process, call.start, call.source) = (number[client], rank, made as u32);
                    (rank, made) = (rank + 1, made + 1);
                    at[client] = Some((call, false));
                }
                None => {}
                Some((mut call, done)) => {
                    let lost = !done && self.draw.chance(self.shape.unknown);
                    if lost {
                        if self.draw.chance(500_000) {
                            self.effect(&mut call);
                        }
                        (call.outcome, call.end, call.output) = (Outcome::Info, NEVER, NIL);
                        number[client] += processes;
                        self.calls.push(call);
                    } else if !done {
                        // A call that the object refuses is tried again later, or given up when others can't go on either.
                        let done = self.effect(&mut call);
                        if done || self.draw.chance(700_000) {
                            at[client] = Some((call, done));
                        }
                    } else {
                        call.end = rank;
                        rank += 1;
                        self.spoil(&mut call);
                        self.calls.push(call);
                    }
                }
            }
        }
        Calls::new(self.calls, self.steps, self.elements).expect("ranks rise and ranges are those just pushed")
    }

    fn value(&mut self) -> u32 {
        if self.shape.unique {
            self.fresh += 1;
            self.fresh
        } else {
            1 + self.draw.below(self.shape.values)
        }
    }

    fn invent(&mut self) -> Call {
        let half = self.draw.chance(500_000);
        let f = match self.model {
            ModelName::Register | ModelName::Map if half => Function::Read,
            ModelName::Register | ModelName::Map => Function::Write,
            ModelName::CasRegister => [Function::Read, Function::Write, Function::Cas][self.draw.below(3) as usize],
            ModelName::MultiRegister => Function::Txn,
            // Where values are unique and their number is even, sets only grow; large ones are read as a whole only then.
            ModelName::Set if self.shape.unique && self.shape.values.is_multiple_of(2) => {
                let read = half && (self.shape.calls < 2000 || self.draw.chance(2_000));
                [Function::Add, Function::ReadAll][usize::from(read)]
            }
            ModelName::Set => match self.draw.below(8) {
                0 if self.shape.calls < 2000 => Function::ReadAll,
                draw => [Function::Add, Function::Remove, Function::Contains][draw as usize % 3],
            },
            ModelName::Counter => [Function::Add, Function::Read][usize::from(half)],
            ModelName::Queue => [Function::Enqueue, Function::Dequeue][usize::from(half)],
            ModelName::Stack => [Function::Push, Function::Pop][usize::from(half)],
            ModelName::Mutex => [Function::Acquire, Function::Release][usize::from(half)],
            ModelName::Ids => Function::Generate,
            ModelName::Log if half && (self.shape.calls < 2000 || self.draw.chance(2_000)) => Function::ReadAll,
            ModelName::Log => Function::Append,
        };
        let key = self.draw.below(self.shape.keys.max(1));
        let input = match f {
            Function::Write | Function::Append | Function::Enqueue | Function::Push => i64::from(self.value()),
            Function::Cas => {
                let from = self.draw.below(self.shape.values + 1);
                pair(if from == 0 { NIL as u32 } else { from }, self.value())
            }
            Function::Add if self.model == ModelName::Counter => i64::from(1 + self.draw.below(self.shape.values)),
            Function::Add => i64::from(self.value()),
            Function::Remove | Function::Contains => {
                let of = if self.shape.unique { self.fresh + 1 } else { self.shape.values };
                i64::from(1 + self.draw.below(of))
            }
            Function::Txn => self.transaction(),
            _ => NIL,
        };
        Call { input, output: NIL, process: 0, start: 0, end: NEVER, key, source: 0, f, outcome: Outcome::Ok }
    }

    fn transaction(&mut self) -> i64 {
        let (first, count) = (self.steps.len() as u32, 1 + self.draw.below(3));
        for _ in 0..count {
            let (register, write) = (self.draw.below(2), self.draw.chance(500_000));
            let value = if write { self.value() } else { NIL as u32 };
            self.steps.push(Step { register, value, write });
        }
        pair(first, count)
    }

    /// The call takes effect; false if the object refuses it.
    fn effect(&mut self, call: &mut Call) -> bool {
        if call.f == Function::Cas && self.draw.chance(if self.shape.unique { 1_000_000 } else { 700_000 }) {
            let now = self.objects[call.key as usize].registers.get(&0).copied().unwrap_or(NIL as u32);
            call.input = pair(now, unpair(call.input).1);
        }
        if call.f == Function::Generate {
            call.output = i64::from(self.value());
        }
        let (first, count) = if call.f == Function::Txn { unpair(call.input) } else { (0, 0) };
        let range = first as usize..(first + count) as usize;
        let object = &mut self.objects[call.key as usize];
        match object.carry_out(self.model, call, &self.steps[range.clone()]) {
            Gave::Blocked => return false,
            Gave::Number(number) => call.output = number,
            Gave::List(list) => {
                call.output = pair(self.elements.len() as u32, list.len() as u32);
                self.elements.extend(list);
            }
            Gave::Steps(values) => {
                for (step, value) in self.steps[range].iter_mut().zip(values) {
                    step.value = value;
                }
            }
        }
        true
    }

    /// Gives a wrong output, or takes one away where that is allowed.
    fn spoil(&mut self, call: &mut Call) {
        if matches!(call.f, Function::Add | Function::Remove) && self.draw.chance(300_000) {
            call.output = NIL;
        }
        if !self.draw.chance(self.shape.wrong) {
            return;
        }
        let value = self.draw.below(if self.shape.unique { self.fresh } else { self.shape.values } + 1);
        let other = if value == 0 { NIL } else { i64::from(value) };
        match call.f {
            Function::Read if self.model == ModelName::Counter => call.output += i64::from(self.draw.below(3)) - 1,
            Function::Read | Function::Dequeue | Function::Pop => call.output = other,
            Function::Generate => call.output = i64::from(value),
            Function::Acquire => call.f = Function::Release,
            Function::Release => call.f = Function::Acquire,
            Function::Cas if self.shape.unique => call.input = pair(other as u32, unpair(call.input).1),
            Function::Cas | Function::Add | Function::Remove | Function::Contains
                if self.model != ModelName::Counter =>
            {
                call.output = i64::from(self.draw.below(2));
            }
            Function::ReadAll => {
                let (first, count) = unpair(call.output);
                let list = &mut self.elements[first as usize..(first + count) as usize];
                if count > 1 && self.model == ModelName::Log {
                    list.swap(0, count as usize - 1);
                } else if count > 0 {
                    call.output = pair(first, count - 1);
                }
            }
            Function::Txn => {
                let (first, count) = unpair(call.input);
                let step = &mut self.steps[(first + self.draw.below(count)) as usize];
                if !step.write {
                    step.value = other as u32;
                }
            }
            _ => {}
        }
    }
}
