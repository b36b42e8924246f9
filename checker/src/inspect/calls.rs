//! From a log to calls on one kind of object.
//!
//! Names become numbers: small integers stay themselves, so that what the deciders say of values can be read as it is.

use rustc_hash::FxHashMap;

use crate::history::Outcome as Ended;
use crate::log::{Call as Logged, Log};
use crate::objects::ModelName;
use crate::objects::calls::{Call, Calls, Function, NEVER, NIL, Outcome, Step, pair};
use crate::value::Value;

/// A model by its name on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Which model decides it.
    pub model: ModelName,
}

/// The models of single objects.
pub const MODELS: &[Entry] = &[
    Entry { name: "register", about: "reads and writes", model: ModelName::Register },
    Entry {
        name: "cas-register",
        about: "reads, writes and compare-and-set, as in Knossos",
        model: ModelName::CasRegister,
    },
    Entry { name: "kv", about: "a map: a register for each key", model: ModelName::Map },
    Entry {
        name: "multi-register",
        about: "several registers read and written at once",
        model: ModelName::MultiRegister,
    },
    Entry { name: "linearizable-set", about: "a set: add, remove, contains, read", model: ModelName::Set },
    Entry { name: "linearizable-counter", about: "a counter: add, read", model: ModelName::Counter },
    Entry { name: "queue", about: "first in, first out: enqueue, dequeue", model: ModelName::Queue },
    Entry { name: "stack", about: "last in, first out: push, pop", model: ModelName::Stack },
    Entry { name: "mutex", about: "a lock: acquire, release, as in Knossos", model: ModelName::Mutex },
    Entry { name: "ids", about: "no identifier twice: generate", model: ModelName::Ids },
    Entry { name: "log", about: "a list that grows at its end: append, read", model: ModelName::Log },
];

/// The model that a log looks made for.
pub fn model_of(log: &Log) -> Option<&'static Entry> {
    let mut names: Vec<&str> = log.calls.iter().map(|call| &*call.f).collect();
    names.sort_unstable();
    names.dedup();
    let only = |allowed: &[&str]| names.iter().all(|name| allowed.contains(name));
    let has = |name: &str| names.contains(&name);
    let named = |name: &str| MODELS.iter().find(|entry| entry.name == name);
    if only(&["read", "write", "cas"]) && (has("write") || has("cas")) {
        let plain = log.calls.iter().all(|call| !matches!(call.value, Value::Map(_) | Value::Set(_)));
        return if plain { named(if has("cas") { "cas-register" } else { "register" }) } else { None };
    }
    if only(&["enqueue", "dequeue"]) {
        return named("queue");
    }
    if only(&["push", "pop"]) {
        return named("stack");
    }
    if only(&["acquire", "release"]) {
        return named("mutex");
    }
    if only(&["append", "read"]) && has("append") {
        return named("log");
    }
    None
}

/// Calls, and what their numbers stand for.
pub struct Named {
    /// The calls; the source of each is its place in the log.
    pub calls: Calls,
    /// What keys are called.
    pub keys: Vec<Value>,
    /// Values that are no small integers, from [`NAMED`] on.
    pub names: Vec<Value>,
}

/// Numbers from here on stand for names.
pub const NAMED: u32 = 1 << 30;

/// The calls of a log, for a model.
///
/// # Errors
///
/// A sentence: the operation that the model does not know, or cannot make sense of.
pub fn calls(log: &Log, model: ModelName) -> Result<Named, String> {
    let mut maker = Maker {
        keyed: keyed(log, model),
        model,
        keys: FxHashMap::default(),
        key_names: Vec::new(),
        names: Vec::new(),
        ids: FxHashMap::default(),
        processes: FxHashMap::default(),
        calls: Vec::with_capacity(log.calls.len()),
        steps: Vec::new(),
        elements: Vec::new(),
    };
    for (source, call) in log.calls.iter().enumerate() {
        maker.call(source as u32, call).map_err(|why| format!("event {}: {why}", call.index))?;
    }
    if maker.names.len() >= (u32::MAX - NAMED) as usize {
        return Err("more values than can be numbered".into());
    }
    let calls = Calls::new(maker.calls, maker.steps, maker.elements).map_err(|why| why.to_string())?;
    Ok(Named { calls, keys: maker.key_names, names: maker.names })
}

/// Whether every value is a pair of key and value.
fn keyed(log: &Log, model: ModelName) -> bool {
    if matches!(model, ModelName::Mutex | ModelName::MultiRegister | ModelName::Ids) {
        return false;
    }
    let pair = |value: &Value| value.pair().is_some();
    !log.calls.is_empty()
        && log.calls.iter().all(|call| match &*call.f {
            "cas" => call.asked.pair().is_some_and(|(_, second)| pair(second)),
            _ => pair(&call.asked) || (call.asked.is_nil() && pair(&call.value)),
        })
}

struct Maker {
    keyed: bool,
    model: ModelName,
    /// By their debugging text, which tells `"1"` from `1`.
    keys: FxHashMap<String, u32>,
    key_names: Vec<Value>,
    names: Vec<Value>,
    ids: FxHashMap<String, u32>,
    processes: FxHashMap<u64, u32>,
    calls: Vec<Call>,
    steps: Vec<Step>,
    elements: Vec<u32>,
}

impl Maker {
    fn id(&mut self, value: &Value) -> u32 {
        match value {
            Value::Nil => NIL as u32,
            Value::Int(it) if (0..i64::from(NAMED)).contains(it) => *it as u32,
            other => {
                let next = NAMED + self.names.len() as u32;
                let id = *self.ids.entry(format!("{other:?}")).or_insert(next);
                if id == next {
                    self.names.push(other.clone());
                }
                id
            }
        }
    }

    fn key(&mut self, key: &Value) -> u32 {
        let next = self.key_names.len() as u32;
        let number = *self.keys.entry(format!("{key:?}")).or_insert(next);
        if number == next {
            self.key_names.push(key.clone());
        }
        number
    }

    fn call(&mut self, source: u32, it: &Logged) -> Result<(), String> {
        if it.outcome == Ended::Fail || it.last {
            return Ok(());
        }
        let ok = it.outcome == Ended::Ok;
        let (key, asked, answer) = if self.keyed {
            let of = |value: &Value| value.pair().map(|(key, value)| (key.clone(), value.clone()));
            let (key, asked) =
                of(&it.asked).or_else(|| of(&it.value)).ok_or("the value is no pair of key and value")?;
            let answer = of(&it.value).map_or(Value::Nil, |(_, value)| value);
            (key, asked, answer)
        } else {
            (Value::Text("x".into()), it.asked.clone(), it.value.clone())
        };
        // Reads of unknown outcome say nothing.
        let asks = matches!(&*it.f, "read" | "contains" | "generate");
        if asks && !ok {
            return Ok(());
        }
        let key = self.key(&key);
        let Some((f, input, output)) = self.function(&it.f, &asked, &answer, ok)? else { return Ok(()) };
        let next = self.processes.len() as u32;
        let process = *self.processes.entry(it.process).or_insert(next);
        let (outcome, end) = if ok { (Outcome::Ok, it.end) } else { (Outcome::Info, NEVER) };
        self.calls.push(Call { input, output, process, start: it.start, end, key, source, f, outcome });
        Ok(())
    }

    /// What is called, with its argument and answer.
    fn function(
        &mut self,
        f: &str,
        asked: &Value,
        answer: &Value,
        ok: bool,
    ) -> Result<Option<(Function, i64, i64)>, String> {
        let given = if asked.is_nil() { answer } else { asked };
        let argument = |maker: &mut Maker| i64::from(maker.id(given));
        Ok(Some(match (self.model, f) {
            (ModelName::Register | ModelName::CasRegister | ModelName::Map, "read" | "r" | "get") => {
                (Function::Read, 0, i64::from(self.id(answer)))
            }
            (ModelName::Register | ModelName::CasRegister | ModelName::Map, "write" | "w" | "put") => {
                (Function::Write, argument(self), NIL)
            }
            (ModelName::CasRegister | ModelName::Map | ModelName::Register, "cas") => {
                let (old, new) = given.pair().ok_or_else(|| format!("cas needs [old new], not {given}"))?;
                let (old, new) = (self.id(old), self.id(new));
                (Function::Cas, pair(old, new), 1)
            }
            (ModelName::MultiRegister, "txn" | "read" | "write" | "") => {
                let first = self.steps.len() as u32;
                let source = if ok { answer } else { given };
                self.transaction(source, ok)?;
                (Function::Txn, pair(first, self.steps.len() as u32 - first), NIL)
            }
            (ModelName::Set, "add") => (Function::Add, argument(self), NIL),
            (ModelName::Set, "remove") => (Function::Remove, argument(self), NIL),
            (ModelName::Set, "contains") => {
                let (element, there) = answer.pair().ok_or("contains answers [element there]")?;
                (Function::Contains, i64::from(self.id(element)), i64::from(*there == Value::Bool(true)))
            }
            (ModelName::Set | ModelName::Log, "read") => (Function::ReadAll, 0, self.list(answer)?),
            (ModelName::Log, "append") => (Function::Append, argument(self), NIL),
            (ModelName::Counter, "add" | "inc" | "increment") => {
                let amount = if given.is_nil() { Some(1) } else { given.int() };
                (Function::Add, amount.ok_or_else(|| format!("{given} cannot be added"))?, NIL)
            }
            (ModelName::Counter, "dec" | "decrement") => {
                let amount = if given.is_nil() { Some(1) } else { given.int() };
                (Function::Add, -amount.ok_or_else(|| format!("{given} cannot be subtracted"))?, NIL)
            }
            (ModelName::Counter, "read") => {
                (Function::Read, 0, answer.int().ok_or_else(|| format!("a counter was read as {answer}"))?)
            }
            (ModelName::Queue, "enqueue") => (Function::Enqueue, argument(self), NIL),
            (ModelName::Queue, "dequeue") => (Function::Dequeue, 0, if ok { i64::from(self.id(answer)) } else { NIL }),
            (ModelName::Stack, "push") => (Function::Push, argument(self), NIL),
            (ModelName::Stack, "pop") => (Function::Pop, 0, if ok { i64::from(self.id(answer)) } else { NIL }),
            (ModelName::Mutex, "acquire") => (Function::Acquire, 0, NIL),
            (ModelName::Mutex, "release") => (Function::Release, 0, NIL),
            (ModelName::Ids, "generate") => (Function::Generate, 0, i64::from(self.id(answer))),
            (_, other) => return Err(format!("operation {other:?} is not one of this model")),
        }))
    }

    fn list(&mut self, answer: &Value) -> Result<i64, String> {
        let first = self.elements.len() as u32;
        let items = match answer {
            Value::Nil => &[],
            other => other.items().ok_or_else(|| format!("a read returned {other}, which is no list"))?,
        };
        for item in items {
            let id = self.id(item);
            self.elements.push(id);
        }
        Ok(pair(first, items.len() as u32))
    }

    /// `[[:r k v] [:w k v] …]`.
    fn transaction(&mut self, value: &Value, ok: bool) -> Result<(), String> {
        let steps = value.items().ok_or_else(|| format!("{value} is no list of steps [f key value]"))?;
        for step in steps {
            let Some([name, key, value]) = step.items() else {
                return Err(format!("{step} is no step [f key value]"));
            };
            let write = match name.text() {
                Some("r" | "read") => false,
                Some("w" | "write") => true,
                _ => return Err(format!("step {name} is not known among r and w")),
            };
            if !write && !ok {
                continue;
            }
            let (register, value) = (self.key(key), self.id(value));
            self.steps.push(Step { register, value, write });
        }
        Ok(())
    }
}

impl Named {
    /// A sentence of a decider in which numbers that stand for names are replaced, and calls are named by their events.
    pub fn words(&self, log: &Log, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 16);
        let mut rest = text;
        while let Some(at) = rest.find(|it: char| it.is_ascii_digit()) {
            let (before, after) = rest.split_at(at);
            let end = after.find(|it: char| !it.is_ascii_digit()).unwrap_or(after.len());
            let number: u64 = after[..end].parse().unwrap_or(u64::MAX);
            let of_call = before.ends_with("call ")
                || before.ends_with("calls ")
                || (before.ends_with(" and ") && out.contains("calls ") && !out.contains("value"));
            if of_call && let Some(call) = log.calls.get(number as usize) {
                let before = before.trim_end_matches("calls ").trim_end_matches("call ");
                out.push_str(before);
                out.push_str(&format!("event {}", call.completion.unwrap_or(call.index)));
            } else {
                out.push_str(before);
                match usize::try_from(number)
                    .ok()
                    .and_then(|it| it.checked_sub(NAMED as usize))
                    .and_then(|it| self.names.get(it))
                {
                    Some(name) => out.push_str(&name.to_string()),
                    None if number == NIL as u64 => out.push_str("nil"),
                    None => out.push_str(&after[..end]),
                }
            }
            rest = &after[end..];
        }
        out.push_str(rest);
        out
    }
}
