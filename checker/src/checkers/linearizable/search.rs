//! Any register: the configurations that are still possible, carried through the events in time.
//!
//! A configuration is the register's value and which of the open operations have taken effect. Just-in-time linearization (Lowe 2017):
//! operations are made to take effect only when one returns that has not, so most events cost nothing. What keeps the set small:
//!
//! - a read takes effect as soon as the value fits, which never hurts;
//! - of two configurations that differ only in unknown operations, the one that has used fewer wins, which drops the other;
//! - of several unknown operations with one effect the first is used first;
//! - an unknown operation whose value nobody can read any more is forgotten.
//!
//! Memory follows the number of open operations, not the length of the history. An operation that fits nowhere is set down and left out, and
//! the walk goes on, so that each violation counts.

use std::time::Instant;

use smallvec::SmallVec;

use super::{Misfit, Move, NIL, OutOfBudget, Step};
use crate::evidence::Budget;
use crate::facts::Facts;
use crate::finding::Anomaly;
use crate::intern::FastMap;
use crate::proof::{self, Part, acknowledged, did, from_node, seconds, sentence, who};

/// Which of the open operations have taken effect, by slot.
type Bits = SmallVec<[u64; 2]>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Config {
    value: u32,
    /// Of operations that return.
    sure: Bits,
    /// Of operations of unknown outcome.
    maybe: Bits,
}

/// An open operation in its slot.
#[derive(Clone, Copy, Debug)]
struct Open {
    step: u32,
    what: Move,
}

/// Configurations that may be alive at once, whatever the budget: about 100 bytes each.
const ALIVE: usize = 1_000_000;
/// The clock is looked at after this many new configurations.
const LOOK: u64 = 4_096;

struct Walk<'s> {
    steps: &'s [Step],
    sure: Vec<Option<Open>>,
    maybe: Vec<Option<Open>>,
    alive: Vec<Config>,
    made: u64,
    limit: u64,
    deadline: Instant,
}

/// The operations that fit nowhere.
pub(super) fn misfits(
    facts: &Facts,
    key: usize,
    steps: &[Step],
    budget: &Budget,
    deadline: Instant,
) -> Result<Vec<Misfit>, OutOfBudget> {
    let needed = needed_until(steps);
    let mut events: Vec<(u64, u8, u32)> = Vec::with_capacity(steps.len() * 2);
    for (at, step) in steps.iter().enumerate() {
        let effect = if let Move::Write(value) | Move::Cas(_, value) = step.what { value } else { NIL };
        let useless = step.returned == u64::MAX && needed.get(&effect).is_none_or(|&until| until < step.invoked);
        if !useless {
            events.push((step.invoked, 0, at as u32));
        }
        if step.returned != u64::MAX {
            events.push((step.returned, 1, at as u32));
        }
    }
    events.sort_unstable();
    let start = Config { value: NIL, sure: Bits::new(), maybe: Bits::new() };
    let mut walk = Walk {
        steps,
        sure: Vec::new(),
        maybe: Vec::new(),
        alive: vec![start],
        made: 0,
        limit: budget.configurations,
        deadline,
    };
    let mut slots: FastMap<u32, usize> = FastMap::default();
    let mut found = Vec::new();
    for (time, class, at) in events {
        if class == 0 {
            walk.open(at, &mut slots);
            continue;
        }
        let Some(slot) = slots.remove(&at) else { continue };
        let possible: Vec<u32> = walk.values();
        if !walk.give_back(slot)? {
            let context = walk.context(at);
            let (op, key) = (steps[at as usize].op, key as u32);
            found.push(Misfit {
                time,
                op,
                explain: Box::new(move |facts| explain(facts, key, op, &possible, &context)),
            });
            walk.leave_out(slot, steps[at as usize].what);
        }
        walk.forget(time, &needed);
    }
    let _ = facts;
    Ok(found)
}

/// Until when somebody may still need each value: the last return of what reads it, for ever if an unknown operation may.
fn needed_until(steps: &[Step]) -> FastMap<u32, u64> {
    let mut needed: FastMap<u32, u64> = FastMap::default();
    for step in steps {
        if let Move::Read(value) | Move::Cas(value, _) = step.what {
            let until = needed.entry(value).or_insert(0);
            *until = (*until).max(step.returned);
        }
    }
    needed
}

fn bit(bits: &Bits, slot: usize) -> bool {
    bits.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
}

fn set(bits: &mut Bits, slot: usize) {
    if bits.len() <= slot / 64 {
        bits.resize(slot / 64 + 1, 0);
    }
    bits[slot / 64] |= 1 << (slot % 64);
}

fn clear(bits: &mut Bits, slot: usize) {
    if let Some(word) = bits.get_mut(slot / 64) {
        *word &= !(1 << (slot % 64));
    }
    // Equal sets must look equal.
    while bits.last() == Some(&0) {
        bits.pop();
    }
}

/// Whether everything in `few` is in `many`.
fn within(few: &Bits, many: &Bits) -> bool {
    few.iter().enumerate().all(|(at, word)| word & !many.get(at).copied().unwrap_or(0) == 0)
}

impl Walk<'_> {
    fn open(&mut self, at: u32, slots: &mut FastMap<u32, usize>) {
        let step = &self.steps[at as usize];
        let unknown = step.returned == u64::MAX;
        let table = if unknown { &mut self.maybe } else { &mut self.sure };
        let slot = table.iter().position(Option::is_none).unwrap_or(table.len());
        if slot == table.len() {
            table.push(None);
        }
        table[slot] = Some(Open { step: at, what: step.what });
        if unknown {
            return;
        }
        slots.insert(at, slot);
        if let Move::Read(value) = step.what {
            for config in self.alive.iter_mut().filter(|config| config.value == value) {
                set(&mut config.sure, slot);
            }
        }
    }

    /// The values that the register may have now.
    fn values(&self) -> Vec<u32> {
        let mut values: Vec<u32> = self.alive.iter().map(|config| config.value).collect();
        values.sort_unstable();
        values.dedup();
        values.truncate(4);
        values
    }

    /// The operation in `slot` returns: it must have taken effect. Answers whether it can have.
    fn give_back(&mut self, slot: usize) -> Result<bool, OutOfBudget> {
        let mut done: Pool = Pool::default();
        let mut seen: FastMap<Config, ()> = FastMap::default();
        let mut queue: Vec<Config> = Vec::new();
        let alive = std::mem::take(&mut self.alive);
        for config in &alive {
            if bit(&config.sure, slot) { done.add(config.clone()) } else { queue.push(config.clone()) }
        }
        while let Some(config) = queue.pop() {
            if seen.insert(config.clone(), ()).is_some() {
                continue;
            }
            self.spend(done.len() + queue.len())?;
            for next in self.after(&config) {
                if bit(&next.sure, slot) {
                    done.add(next);
                } else if !seen.contains_key(&next) {
                    queue.push(next);
                }
            }
        }
        if done.len() == 0 {
            self.alive = alive;
            return Ok(false);
        }
        self.sure[slot] = None;
        self.alive = done.into_configs();
        self.alive.iter_mut().for_each(|config| clear(&mut config.sure, slot));
        self.dedup();
        Ok(true)
    }

    fn spend(&mut self, alive: usize) -> Result<(), OutOfBudget> {
        self.made += 1;
        if self.made > self.limit {
            return Err(OutOfBudget(format!("the search visited {} configurations without an answer", self.limit)));
        }
        if alive > ALIVE {
            return Err(OutOfBudget(format!("more than {ALIVE} configurations were possible at once")));
        }
        if self.made.is_multiple_of(LOOK) && Instant::now() > self.deadline {
            return Err(OutOfBudget("the time for the search ran out".to_string()));
        }
        Ok(())
    }

    /// What one more operation taking effect can lead to.
    fn after(&self, config: &Config) -> Vec<Config> {
        let mut next = Vec::new();
        for (slot, open) in self.sure.iter().enumerate() {
            let Some(open) = open.filter(|_| !bit(&config.sure, slot)) else { continue };
            if let Some(value) = effect(open.what, config.value) {
                let mut config = Config { value, ..config.clone() };
                set(&mut config.sure, slot);
                next.push(self.with_reads(config));
            }
        }
        for (slot, open) in self.maybe.iter().enumerate() {
            let Some(open) = open.filter(|_| !bit(&config.maybe, slot)) else { continue };
            let twin = self.maybe.iter().enumerate().any(|(other, twin)| {
                !bit(&config.maybe, other) && twin.is_some_and(|twin| twin.what == open.what && twin.step < open.step)
            });
            if let Some(value) = effect(open.what, config.value).filter(|&value| !twin && value != config.value) {
                let mut config = Config { value, ..config.clone() };
                set(&mut config.maybe, slot);
                next.push(self.with_reads(config));
            }
        }
        next
    }

    /// Open reads of the value take effect at once.
    fn with_reads(&self, mut config: Config) -> Config {
        for (slot, open) in self.sure.iter().enumerate() {
            if open.is_some_and(|open| open.what == Move::Read(config.value)) {
                set(&mut config.sure, slot);
            }
        }
        config
    }

    /// After a violation: the operation did what it says, outside of the order.
    fn leave_out(&mut self, slot: usize, what: Move) {
        self.sure[slot] = None;
        if let Move::Write(value) | Move::Cas(_, value) = what {
            let alive = std::mem::take(&mut self.alive);
            self.alive = alive.into_iter().map(|config| self.with_reads(Config { value, ..config })).collect();
        }
        self.dedup();
    }

    /// Forgets unknown operations whose value nobody can need after `time`.
    fn forget(&mut self, time: u64, needed: &FastMap<u32, u64>) {
        let mut any = false;
        for slot in 0..self.maybe.len() {
            let Some(Open { what: Move::Write(value) | Move::Cas(_, value), .. }) = self.maybe[slot] else { continue };
            if needed.get(&value).is_none_or(|&until| until < time) {
                self.maybe[slot] = None;
                self.alive.iter_mut().for_each(|config| clear(&mut config.maybe, slot));
                any = true;
            }
        }
        if any {
            self.dedup();
        }
    }

    fn dedup(&mut self) {
        if self.alive.len() > 1 {
            let mut pool = Pool::default();
            std::mem::take(&mut self.alive).into_iter().for_each(|config| pool.add(config));
            self.alive = pool.into_configs();
        }
    }

    /// The operations around a violation: those open, and the last that returned before it began.
    fn context(&self, at: u32) -> Vec<u32> {
        let begun = self.steps[at as usize].invoked;
        let mut ops: Vec<u32> = Vec::new();
        let before = self.steps.iter().filter(|step| step.returned < begun);
        ops.extend(before.max_by_key(|step| (step.returned, step.op)).map(|step| step.op));
        let wrote = self.steps.iter().filter(|step| step.returned < begun && !matches!(step.what, Move::Read(_)));
        ops.extend(wrote.max_by_key(|step| (step.returned, step.op)).map(|step| step.op));
        let open = self.sure.iter().chain(&self.maybe).flatten().filter(|open| open.step != at);
        ops.extend(open.map(|open| self.steps[open.step as usize].op));
        ops.truncate(4);
        ops
    }
}

fn effect(what: Move, value: u32) -> Option<u32> {
    match what {
        Move::Read(wanted) => (wanted == value).then_some(value),
        Move::Write(new) => Some(new),
        Move::Cas(old, new) => (old == value).then_some(new),
    }
}

/// Configurations of which none is worse than another.
#[derive(Default)]
struct Pool {
    by_sure: FastMap<(u32, Bits), Vec<Bits>>,
    order: Vec<(u32, Bits)>,
    count: usize,
}

impl Pool {
    fn len(&self) -> usize {
        self.count
    }

    fn add(&mut self, config: Config) {
        let key = (config.value, config.sure);
        if !self.by_sure.contains_key(&key) {
            self.order.push(key.clone());
        }
        let known = self.by_sure.entry(key).or_default();
        if known.iter().any(|used| within(used, &config.maybe)) {
            return;
        }
        let before = known.len();
        known.retain(|used| !within(&config.maybe, used));
        self.count = self.count + 1 + known.len() - before;
        known.push(config.maybe);
    }

    /// In the order in which they came, so that the same history takes the same way every time.
    fn into_configs(mut self) -> Vec<Config> {
        let mut configs = Vec::with_capacity(self.count);
        for key in self.order {
            for maybe in self.by_sure.remove(&key).unwrap_or_default() {
                configs.push(Config { value: key.0, sure: key.1.clone(), maybe });
            }
        }
        configs
    }
}

fn explain(facts: &Facts, key: u32, op: u32, possible: &[u32], context: &[u32]) -> Anomaly {
    let at = &facts.history.ops[op as usize];
    let name = proof::key_name(facts, key);
    let value = |value: &u32| match value {
        0 => "nothing".to_string(),
        write => facts.value_of(write - 1).map_or_else(String::new, ToString::to_string),
    };
    let step = at.steps.iter().find(|step| step.key == facts.key_names[key as usize]).unwrap_or(&at.steps[0]);
    let what = match &step.action {
        crate::action::Action::Read(reading) => {
            format!(
                "{} read {name}{} at {} and got {}",
                who(at),
                from_node(at),
                seconds(at.completed),
                proof::got(reading.as_ref())
            )
        }
        action => format!("{} {} {}", who(at), did(action, &step.key), acknowledged(at)),
    };
    let values: Vec<String> = possible.iter().map(value).collect();
    let text = format!(
        "{}, which fits nowhere: in every order of what came before, {name} could only be {} or what was being written at that time.",
        sentence(&what),
        values.join(" or ")
    );
    let mut parts = vec![Part { op, role: "operation that fits nowhere" }];
    let mut edges = Vec::new();
    for &other in context {
        let before = facts.history.ops[other as usize].completed < at.invoked;
        parts.push(Part {
            op: other,
            role: if before { "had completed before it began" } else { "was under way at the same time" },
        });
        if before {
            edges.push((other, op, "completed before the other began".to_string()));
        }
    }
    proof::anomaly(facts.history, "nonlinearizable", text, Some(name), &parts, &edges, at.completed)
}
