//! Random histories for each checker: a store that works, and one that sometimes does not.
//!
//! Processes invoke operations, which take effect at one moment between their invocation and their completion; some fail without
//! effect, some never say how they ended. A faulty store now and then forgets, repeats, invents, shows what is old, or reports a
//! failure of what took place. The same seed draws the same history.

use std::sync::Arc;

use super::worlds::world;
use crate::history::Outcome;
use crate::log::{Call, Log};
use crate::value::Value;

/// Numbers by SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let it = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The dice, and whether the store has faults.
pub(super) struct Luck {
    pub(super) dice: Dice,
    pub(super) faulty: bool,
}

impl Luck {
    /// Whether something goes wrong now.
    pub(super) fn fault(&mut self) -> bool {
        self.faulty && self.dice.one_in(12)
    }
}

/// The function and the value of an operation.
pub(super) type Asked = (&'static str, Value);

/// A store with the clients' plan.
pub(super) trait World {
    /// The next operation.
    fn ask(&mut self, luck: &mut Luck) -> Asked;
    /// It takes effect; nothing where the store refuses it.
    fn apply(&mut self, luck: &mut Luck, asked: &Asked) -> Option<Value>;
    /// What is asked at the end, one after the other.
    fn last(&self) -> Vec<Asked> {
        Vec::new()
    }
    /// How many processes there are.
    fn processes(&self) -> usize {
        4
    }
}

/// An open operation: where it stands in the log, what was asked, and whether it took effect.
type Open = (usize, Asked, Stage);

enum Stage {
    Asked,
    Applied(Option<Value>),
}

struct Clock {
    rank: u32,
    log: Log,
}

impl Clock {
    fn invoke(&mut self, process: u64, (f, value): &Asked) -> usize {
        self.rank += 1;
        self.log.calls.push(Call {
            index: u64::from(self.rank) - 1,
            completion: None,
            process,
            f: Arc::from(*f),
            asked: value.clone(),
            value: value.clone(),
            start: self.rank,
            end: u32::MAX,
            invoked: u64::from(self.rank) * 700_000,
            completed: u64::MAX,
            outcome: Outcome::Info,
            error: None,
            session: None,
            node: None,
            last: false,
        });
        self.log.calls.len() - 1
    }

    fn complete(&mut self, at: usize, outcome: Outcome, value: Option<Value>) {
        self.rank += 1;
        let call = &mut self.log.calls[at];
        call.completion = Some(u64::from(self.rank) - 1);
        call.completed = u64::from(self.rank) * 700_000;
        call.outcome = outcome;
        if outcome != Outcome::Info {
            call.end = self.rank;
        }
        if let Some(value) = value {
            call.value = value;
        }
    }
}

fn run(world: &mut dyn World, luck: &mut Luck, ops: usize) -> Log {
    let mut clock = Clock { rank: 0, log: Log::default() };
    let count = world.processes();
    let mut open: Vec<(u64, Option<Open>)> = (0..count as u64).map(|process| (process, None)).collect();
    while clock.log.calls.len() < ops || open.iter().any(|(_, it)| it.is_some()) {
        let (process, slot) = &mut open[luck.dice.below(count)];
        match slot.take() {
            None if clock.log.calls.len() < ops => {
                let asked = world.ask(luck);
                *slot = Some((clock.invoke(*process, &asked), asked, Stage::Asked));
            }
            None => {}
            Some((at, asked, Stage::Asked)) => match luck.dice.below(12) {
                0 => {
                    if luck.fault() {
                        world.apply(luck, &asked);
                    }
                    clock.complete(at, Outcome::Fail, None);
                }
                1 => {
                    *process += count as u64;
                    clock.complete(at, Outcome::Info, None);
                }
                _ => {
                    let effect = world.apply(luck, &asked);
                    *slot = Some((at, asked, Stage::Applied(effect)));
                }
            },
            Some((at, _, Stage::Applied(None))) => clock.complete(at, Outcome::Fail, None),
            Some((at, _, Stage::Applied(_))) if luck.dice.one_in(14) => {
                *process += count as u64;
                clock.complete(at, Outcome::Info, None);
            }
            Some((at, _, Stage::Applied(value))) => clock.complete(at, Outcome::Ok, value),
        }
    }
    for asked in world.last() {
        let at = clock.invoke(open[0].0, &asked);
        let value = world.apply(luck, &asked);
        clock.complete(at, if value.is_some() { Outcome::Ok } else { Outcome::Fail }, value);
    }
    clock.log.events = clock.rank;
    clock.log
}

/// A history for the checker called `name`, of a store that has faults or has none; nothing for a name that is not known.
///
/// About `ops` operations.
pub fn draw(name: &str, seed: u64, ops: usize, faulty: bool) -> Option<Log> {
    let mut luck = Luck { dice: Dice(seed), faulty };
    let keyed = luck.dice.one_in(4);
    let mut world = world(name, &mut luck, keyed)?;
    Some(run(world.as_mut(), &mut luck, ops))
}
