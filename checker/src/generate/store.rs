//! The store that generated histories run against, and the keys in use.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use crate::value::Value;

/// One copy of everything; a transaction is applied at once.
#[derive(Default)]
pub struct Store {
    lists: FxHashMap<i64, Vec<Value>>,
    registers: FxHashMap<i64, Value>,
}

impl Store {
    /// What a register holds.
    pub fn register(&self, key: i64) -> Value {
        self.registers.get(&key).cloned().unwrap_or_default()
    }

    /// Applies `[[name key value] …]` and answers with the same steps, reads filled in. Nothing where a compare-and-set fails; then
    /// nothing is changed (it is the only step of its operation).
    pub fn apply(&mut self, steps: &Value) -> Option<Value> {
        let mut answer = Vec::new();
        for step in steps.items().unwrap_or_default() {
            let [name, key, value] = step.items().unwrap_or_default() else { continue };
            let (Some(name), Some(at)) = (name.text(), key.int()) else { continue };
            let value = match name {
                "append" => {
                    self.lists.entry(at).or_default().push(value.clone());
                    value.clone()
                }
                "w" => {
                    self.registers.insert(at, value.clone());
                    value.clone()
                }
                "cas" => {
                    let (old, new) = value.pair()?;
                    if self.register(at) != *old {
                        return None;
                    }
                    self.registers.insert(at, new.clone());
                    value.clone()
                }
                _ => match self.lists.get(&at) {
                    Some(list) => Value::List(list.clone()),
                    None => self.register(at),
                },
            };
            answer.push(Value::List(vec![Value::Text(name.into()), key.clone(), value]));
        }
        Some(Value::List(answer))
    }
}

/// The name of an operation of one step.
pub fn single_name(steps: &Value) -> &'static str {
    let name =
        steps.items().and_then(|steps| steps.first()).and_then(|step| step.items()).and_then(|step| step.first());
    match name.and_then(Value::text) {
        Some("w") => "write",
        Some("cas") => "cas",
        Some("append") => "append",
        _ => "read",
    }
}

/// `[key value]` of an operation of one step.
pub fn single_value(steps: Value) -> Value {
    let Value::List(mut steps) = steps else { return steps };
    match steps.pop() {
        Some(Value::List(mut step)) if step.len() == 3 => {
            step.remove(0);
            Value::List(step)
        }
        other => other.unwrap_or_default(),
    }
}

/// The keys in use: when one has been written often enough, a fresh one takes its place.
pub struct Keys {
    active: Vec<(i64, u64)>,
    next: i64,
    most: u64,
}

impl Keys {
    /// `count` keys, each written at most `most` times.
    pub fn new(count: u64, most: u64) -> Keys {
        Keys { active: (0..count as i64).map(|key| (key, 0)).collect(), next: count as i64, most }
    }

    /// Draws a slot, low ones more often: each half as often as the one before, as far as there are few; else all alike.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> usize {
        if self.active.len() <= 16 {
            // The shape of Elle's generator: an exponential distribution.
            let bits: u64 = rng.random();
            return (bits.trailing_zeros() as usize) % self.active.len();
        }
        rng.random_range(0..self.active.len())
    }

    /// The key in a slot.
    pub fn key(&self, slot: usize) -> i64 {
        self.active[slot].0
    }

    /// The next value to write to the key in a slot, from 1; the last one retires the key.
    pub fn next_value(&mut self, slot: usize) -> i64 {
        let (_, written) = &mut self.active[slot];
        *written += 1;
        let value = *written as i64;
        if *written >= self.most {
            self.active[slot] = (self.next, 0);
            self.next += 1;
        }
        value
    }
}
