//! Stores and clients' plans from which histories are drawn, one for each checker.

use super::drawn::{Asked, Luck, World};
use crate::value::Value;

fn text(it: impl Into<String>) -> Value {
    Value::Text(it.into().into())
}

fn int(it: usize) -> Value {
    Value::Int(it as i64)
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (text(*key), value.clone())).collect())
}

/// Elements that are added and read, for `set`, `set-full` and `causal-reverse`.
struct Elements {
    add: &'static str,
    /// What elements look like.
    shape: usize,
    next: usize,
    there: Vec<Value>,
    past: Vec<Vec<Value>>,
}

impl Elements {
    fn element(&self, it: usize) -> Value {
        match self.shape {
            0 => text(format!("e{it}")),
            1 => int(it * 1_000_000_007),
            2 => Value::Int(-(it as i64)),
            3 => Value::List(vec![text("pair"), int(it)]),
            4 => map(&[("id", int(it)), ("x", Value::Nil)]),
            _ => int(it),
        }
    }

    fn shown(&mut self, luck: &mut Luck) -> Vec<Value> {
        let mut shown = self.there.clone();
        if luck.fault() {
            match luck.dice.below(4) {
                0 => shown.push(self.element(self.next + if luck.dice.one_in(2) { 1 } else { 1000 })),
                1 if !shown.is_empty() => shown.push(shown[luck.dice.below(shown.len())].clone()),
                2 if !shown.is_empty() => {
                    shown.remove(luck.dice.below(shown.len()));
                }
                _ if !self.past.is_empty() => shown = self.past[luck.dice.below(self.past.len())].clone(),
                _ => {}
            }
        }
        shown
    }
}

impl World for Elements {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        if luck.dice.one_in(3) {
            return ("read", Value::Nil);
        }
        if self.next == 0 || !luck.dice.one_in(9) {
            self.next += 1;
        }
        (self.add, self.element(self.next - luck.dice.below(2).min(self.next - 1)))
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        if *f == "read" {
            return Some(Value::List(self.shown(luck)));
        }
        if !self.there.contains(value) && !luck.fault() {
            self.there.push(value.clone());
            self.past.push(self.there.clone());
        }
        if luck.fault() && !self.there.is_empty() {
            let at = luck.dice.below(self.there.len());
            self.there.remove(at);
        }
        Some(value.clone())
    }

    fn last(&self) -> Vec<Asked> {
        if self.next.is_multiple_of(5) { Vec::new() } else { vec![("read", Value::Nil)] }
    }
}

fn elements(add: &'static str, shape: usize) -> Box<dyn World> {
    Box::new(Elements { add, shape, next: 0, there: Vec::new(), past: Vec::new() })
}

/// Several of a kind, each value with its key.
struct Keyed(Vec<Box<dyn World>>);

impl Keyed {
    fn with(key: usize, value: Value) -> Value {
        Value::List(vec![int(key), value])
    }
}

impl World for Keyed {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        let key = luck.dice.below(self.0.len());
        let (f, value) = self.0[key].ask(luck);
        (f, Keyed::with(key, value))
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        let (key, value) = value.pair()?;
        let key = key.int()? as usize;
        self.0[key].apply(luck, &(f, value.clone())).map(|value| Keyed::with(key, value))
    }

    fn last(&self) -> Vec<Asked> {
        let mut all = Vec::new();
        for (key, world) in self.0.iter().enumerate() {
            all.extend(world.last().into_iter().map(|(f, value)| (f, Keyed::with(key, value))));
        }
        all
    }
}

struct Counter {
    now: i64,
    before: i64,
    sinks: bool,
}

impl World for Counter {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        if luck.dice.one_in(2) {
            return ("read", Value::Nil);
        }
        let by = luck.dice.below(6) as i64;
        ("add", Value::Int(if self.sinks && luck.dice.one_in(3) { -by } else { by }))
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        if *f == "read" {
            let shown = if luck.fault() { self.before + luck.dice.below(3) as i64 - 1 } else { self.now };
            return Some(Value::Int(shown));
        }
        if luck.dice.one_in(3) {
            self.before = self.now;
        }
        if !luck.fault() {
            self.now += value.int()?;
        }
        Some(value.clone())
    }
}

struct Bank(Vec<i64>);

impl World for Bank {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        if luck.dice.one_in(2) {
            return ("read", Value::Nil);
        }
        let mut account = || int(luck.dice.below(self.0.len()));
        let (from, to) = (account(), account());
        ("transfer", map(&[("from", from), ("to", to), ("amount", int(1 + luck.dice.below(5)))]))
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        if *f == "read" {
            let mut shown: Vec<(Value, Value)> =
                self.0.iter().enumerate().map(|(at, it)| (int(at), Value::Int(*it))).collect();
            if luck.fault() {
                match luck.dice.below(3) {
                    0 => shown.push((int(99), Value::Int(0))),
                    1 => shown[0].1 = Value::Nil,
                    _ => shown[0].1 = Value::Int(self.0[0] + 1),
                }
            }
            return Some(Value::Map(shown));
        }
        let part = |name| value.get(name).and_then(Value::int);
        let (from, to, amount) = (part("from")? as usize, part("to")? as usize, part("amount")?);
        if self.0[from] < amount && !luck.fault() {
            return None;
        }
        self.0[from] -= amount;
        if !(luck.faulty && luck.dice.one_in(60)) {
            self.0[to] += amount;
        }
        Some(value.clone())
    }
}

struct Queue {
    next: usize,
    waiting: Vec<Value>,
    drained: bool,
}

impl World for Queue {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        match luck.dice.below(5) {
            0 | 1 => ("dequeue", Value::Nil),
            _ => {
                self.next += usize::from(!luck.dice.one_in(10));
                ("enqueue", int(self.next))
            }
        }
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        if luck.fault() && !self.waiting.is_empty() {
            let at = luck.dice.below(self.waiting.len());
            let it = self.waiting.remove(at);
            if luck.dice.one_in(2) {
                self.waiting.extend([it.clone(), it]);
            }
        }
        match *f {
            "enqueue" => {
                self.waiting.push(value.clone());
                Some(value.clone())
            }
            "drain" => Some(Value::List(std::mem::take(&mut self.waiting))),
            _ if luck.fault() => Some(int(self.next + if luck.dice.one_in(2) { 1 } else { 1000 })),
            _ if self.waiting.is_empty() => Some(Value::Nil),
            _ => Some(self.waiting.remove(0)),
        }
    }

    fn last(&self) -> Vec<Asked> {
        if self.drained { vec![("drain", Value::Nil)] } else { Vec::new() }
    }
}

struct Ids(usize);

impl World for Ids {
    fn ask(&mut self, _: &mut Luck) -> Asked {
        ("generate", Value::Nil)
    }

    fn apply(&mut self, luck: &mut Luck, _: &Asked) -> Option<Value> {
        self.0 += usize::from(!luck.fault());
        Some(int(self.0))
    }
}

/// Groups of keys, each key written once.
struct Groups {
    size: usize,
    next: usize,
    there: Vec<usize>,
}

impl World for Groups {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        let step = |f: &str, key: usize, value: Value| Value::List(vec![text(f), int(key), value]);
        if luck.dice.one_in(3) {
            self.next += 1;
            return ("write", Value::List(vec![step("w", self.next - 1, int(1))]));
        }
        let group = luck.dice.below(self.next / self.size + 1) * self.size;
        ("read", Value::List((group..group + self.size).map(|key| step("r", key, Value::Nil)).collect()))
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        let mut steps = value.items()?.to_vec();
        let hidden = luck.fault();
        for step in &mut steps {
            let Value::List(parts) = step else { return None };
            let key = parts[1].int()? as usize;
            if *f == "write" {
                self.there.push(key);
            } else if (self.there.contains(&key) && !(hidden && luck.dice.one_in(2)))
                || (luck.fault() && luck.dice.one_in(9))
            {
                parts[2] = int(1);
            }
        }
        Some(Value::List(steps))
    }
}

/// Keys of which one process writes the parts in order.
struct Parts(Vec<Value>);

const PARTS: usize = 4;

impl World for Parts {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        if luck.dice.one_in(2) {
            return ("read", int(self.0.len() / PARTS));
        }
        // A part that may not be there is written again before the next.
        ("write", text(format!("{}_{}", self.0.len() / PARTS, self.0.len() % PARTS)))
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        if *f == "write" {
            self.0.push(value.clone());
            return Some(value.clone());
        }
        let hidden = if luck.fault() { luck.dice.below(PARTS) } else { PARTS };
        let part =
            |part: usize| Some(text(format!("{value}_{part}"))).filter(|it| part != hidden && self.0.contains(it));
        let parts = (0..PARTS).rev().map(|it| part(it).unwrap_or(Value::Nil));
        Some(Value::List(vec![value.clone(), Value::List(parts.collect())]))
    }

    // With several processes, parts would be written out of order.
    fn processes(&self) -> usize {
        1
    }
}

/// Rows with rising values and times.
struct Rows(Vec<Value>);

impl World for Rows {
    fn ask(&mut self, luck: &mut Luck) -> Asked {
        if luck.dice.one_in(8) { ("read", Value::Nil) } else { ("add", Value::Nil) }
    }

    fn apply(&mut self, luck: &mut Luck, (f, _): &Asked) -> Option<Value> {
        if *f == "read" {
            return Some(Value::List(self.0.clone()));
        }
        if luck.faulty && luck.dice.one_in(40) && self.0.len() > 1 {
            let at = luck.dice.below(self.0.len() - 1);
            match luck.dice.below(3) {
                0 => self.0.swap(at, at + 1),
                1 => self.0.insert(at, self.0[at].clone()),
                _ => drop(self.0.remove(at)),
            }
        }
        let part = |name: &str| self.0.iter().filter_map(|row| row.get(name)?.int()).max().unwrap_or(-1);
        let (top, time) = (part("val"), part("sts"));
        let time = if luck.faulty && luck.dice.one_in(40) { time - 3 } else { time + luck.dice.below(3) as i64 };
        let row = map(&[("val", Value::Int(top + 1)), ("sts", Value::Int(time))]);
        self.0.push(row.clone());
        Some(row)
    }

    fn last(&self) -> Vec<Asked> {
        vec![("read", Value::Nil)]
    }
}

/// A register that is read, written, read, written and read, with links.
struct Chain {
    at: usize,
    value: usize,
    position: usize,
}

impl World for Chain {
    fn ask(&mut self, _: &mut Luck) -> Asked {
        // What may not have taken effect is asked again.
        match self.at % 2 {
            0 if self.at == 0 => ("read-init", Value::Nil),
            0 => ("read", Value::Nil),
            _ => ("write", map(&[("value", int(self.at / 2 + 1))])),
        }
    }

    fn apply(&mut self, luck: &mut Luck, (f, value): &Asked) -> Option<Value> {
        let link = match self.position {
            0 => text("init"),
            it => int(it - usize::from(luck.fault())),
        };
        self.position += 1;
        self.at += 1;
        if *f == "write" {
            self.value = value.get("value")?.int()? as usize;
        }
        let shown = int(self.value.saturating_sub(usize::from(luck.fault())));
        Some(map(&[("value", shown), ("link", link), ("position", int(self.position))]))
    }

    fn processes(&self) -> usize {
        1
    }
}

/// Two inserts of each key, of which one is refused.
struct Inserts {
    next: usize,
    done: Vec<usize>,
}

impl World for Inserts {
    fn ask(&mut self, _: &mut Luck) -> Asked {
        self.next += 1;
        let (key, id) = ((self.next - 1) / 2, int(self.next));
        let ids = if self.next % 2 == 1 { vec![Value::Nil, id] } else { vec![id, Value::Nil] };
        ("insert", Value::List(vec![int(key), Value::List(ids)]))
    }

    fn apply(&mut self, luck: &mut Luck, (_, value): &Asked) -> Option<Value> {
        let key = value.pair()?.0.int()? as usize;
        if self.done.contains(&key) && !luck.fault() {
            return None;
        }
        self.done.push(key);
        Some(value.clone())
    }
}

/// The store for the checker called `name`; where it can be, `keyed` makes it three of a kind.
pub(super) fn world(name: &str, luck: &mut Luck, keyed: bool) -> Option<Box<dyn World>> {
    let shape = luck.dice.below(8);
    let several = |world: &dyn Fn() -> Box<dyn World>| -> Box<dyn World> {
        if keyed { Box::new(Keyed((0..3).map(|_| world()).collect())) } else { world() }
    };
    Some(match name {
        "set" | "set-full" => several(&|| elements("add", shape)),
        "causal-reverse" | "comments" => several(&|| elements("write", if shape > 2 { 7 } else { shape })),
        "counter" if luck.dice.one_in(2) => several(&|| Box::new(Counter { now: 0, before: 0, sinks: true })),
        "counter" => several(&|| Box::new(Counter { now: 0, before: 0, sinks: false })),
        "total-queue" if luck.dice.one_in(3) => Box::new(Queue { next: 0, waiting: Vec::new(), drained: false }),
        "total-queue" => several(&|| Box::new(Queue { next: 0, waiting: Vec::new(), drained: true })),
        "bank" => Box::new(Bank(vec![10, 5, 0, 3])),
        "unique-ids" => Box::new(Ids(0)),
        "long-fork" => Box::new(Groups { size: 2 + luck.dice.below(3), next: 0, there: Vec::new() }),
        "sequential" => Box::new(Parts(Vec::new())),
        "monotonic" => Box::new(Rows(Vec::new())),
        "causal" => Box::new(Chain { at: 0, value: 0, position: 0 }),
        "adya" => Box::new(Inserts { next: 0, done: Vec::new() }),
        _ => return None,
    })
}
