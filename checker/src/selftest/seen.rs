//! What reads must see, worked out for all keys at once and key by key: the same verdicts, counts and evidence.
//!
//! The histories come from a log of all writes of which reads see beginnings, key by key, and now and then too short ones; larger than brute force could
//! judge, with many keys, sessions that do several things at once, reads of several keys, and outcomes that nobody knows.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Compared, Family};
use crate::action::{Action, Atom, Reading, Step};
use crate::checker::{Answer, Case};
use crate::checkers::CHECKERS;
use crate::event::{Function, Process};
use crate::evidence::Budget;
use crate::finding::Outcome as Verdict;
use crate::history::{History, Op, Outcome};
use crate::meta::Meta;
use crate::version::Version;
use crate::visibility::Way;

const GUARANTEES: &[&str] = &["monotonic-writes", "writes-follow-reads", "pram", "causal"];

pub(super) fn families() -> Vec<Family> {
    let lines = GUARANTEES.iter().map(|name| (format!("many keys, {name}"), "key by key")).collect();
    vec![Family::new(lines, compare)]
}

fn compare(seed: u64) -> Vec<Compared> {
    let history = Plan::drawn(seed).history();
    let mut case = Case::new(&history);
    GUARANTEES.iter().map(|name| both(&mut case, name)).collect()
}

/// What is said both ways about one guarantee.
fn both(case: &mut Case<'_>, name: &str) -> Compared {
    let Some(entry) = CHECKERS.iter().find(|entry| entry.name == name) else { return Compared::Undecided };
    let mut say = |way: Way| {
        case.way = way;
        (entry.build)().check(case, &Budget::default())
    };
    let (walked, clocked) = (say(Way::Walk), say(Way::Clocks));
    case.way = Way::default();
    match (&walked, &clocked) {
        (Answer::Judged { outcome, evidence, .. }, Answer::Judged { outcome: other, evidence: beside, .. })
            if told(outcome) == told(other) && evidence == beside =>
        {
            if matches!(outcome, Verdict::Broken { .. }) {
                Compared::Invalid
            } else {
                Compared::Valid
            }
        }
        (Answer::NotHere { .. }, Answer::NotHere { .. }) => Compared::Undecided,
        _ => Compared::Differ(format!("{}, and key by key {}", short(&clocked), short(&walked))),
    }
}

fn short(answer: &Answer) -> String {
    match answer {
        Answer::Judged { outcome, evidence, .. } => format!("{:?} of {evidence:?}", told(outcome)),
        Answer::NotHere { why } => why.clone(),
    }
}

/// What must be the same: how many violations and when, and how large the proofs are.
fn told(outcome: &Verdict) -> (u64, &[u64], Vec<usize>) {
    match outcome {
        Verdict::Broken { violations, times, anomalies } => {
            (*violations, times, anomalies.iter().map(|anomaly| anomaly.witnesses.len()).collect())
        }
        _ => (0, &[], Vec::new()),
    }
}

/// How a history is to be.
struct Plan {
    rng: ChaCha8Rng,
    lists: bool,
    /// Both, by key.
    mixed: bool,
    keys: u64,
    sessions: u64,
    count: u64,
    /// Of a thousand reads of a key so many are stale.
    stale: u32,
    /// Of a hundred reads so many ask for several keys.
    several: u32,
    /// Of a hundred operations so many begin before the session's last is over.
    overlapping: u32,
    /// Of a hundred writes so many report a position.
    ranked: u32,
    /// Of a hundred writes of registers so many delete.
    deletes: u32,
    /// Of a hundred writes so many write what was written before.
    repeats: u32,
    nodes: bool,
    real_time: bool,
}

impl Plan {
    fn drawn(seed: u64) -> Plan {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pick = |of: &[u32]| of[rng.random_range(0..of.len())];
        let kind = pick(&[0, 0, 0, 1, 1, 2]);
        Plan {
            lists: kind == 1,
            mixed: kind == 2,
            keys: u64::from(pick(&[1, 2, 3, 5, 8, 20])),
            sessions: u64::from(pick(&[1, 2, 3, 4, 6, 12])),
            count: u64::from(pick(&[6, 10, 20, 40, 80, 250])),
            stale: pick(&[0, 0, 10, 30, 100, 400]),
            several: pick(&[0, 0, 20, 60]),
            overlapping: pick(&[0, 0, 0, 30]),
            ranked: pick(&[0, 0, 100, 100, 80]),
            deletes: pick(&[0, 0, 0, 10]),
            repeats: pick(&[0, 0, 0, 0, 5]),
            nodes: pick(&[0, 1]) == 1,
            real_time: pick(&[0, 0, 0, 1]) == 1,
            rng,
        }
    }

    fn often(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent.min(100), 100)
    }

    fn is_list(&self, key: u64) -> bool {
        self.lists || (self.mixed && key % 2 == 1)
    }

    fn history(mut self) -> History {
        let mut plans = self.times();
        plans.sort_by_key(|plan| plan.2);
        let mut log: Vec<Vec<Option<i64>>> = vec![Vec::new(); self.keys as usize];
        let mut ops: Vec<Op> = Vec::new();
        for (number, &(session, invoked, _, completed)) in plans.iter().enumerate() {
            let mut op = self.operation(number as u64, &mut log);
            (op.session, op.invoked, op.completed) = (Atom::Int(session as i64), invoked, completed);
            ops.push(op);
        }
        ops.sort_by_key(|op| op.invoked);
        ops.iter_mut().enumerate().for_each(|(index, op)| op.index = index as u64);
        let end = ops.iter().map(|op| op.completed).max().unwrap_or(0);
        let meta = self.real_time.then(|| Meta { order_is_real_time: true, ..meta() });
        History { meta, ops, end, ..History::default() }
    }

    /// Session, invocation, effect and completion of each operation.
    fn times(&mut self) -> Vec<(u64, u64, u64, u64)> {
        let (mut clocks, count) = (vec![0_u64; self.sessions as usize], self.count);
        let plan = |_| {
            let session = self.rng.random_range(0..self.sessions);
            let clock = clocks[session as usize];
            let early = if self.often(self.overlapping) { 4 } else { 0 };
            let invoked = (clock + self.rng.random_range(0..6)).saturating_sub(early);
            let effect = invoked + self.rng.random_range(0..5);
            let completed = effect + self.rng.random_range(0..5);
            clocks[session as usize] = clock.max(completed + self.rng.random_range(0..2));
            (session, invoked, effect, completed)
        };
        (0..count).map(plan).collect()
    }

    fn operation(&mut self, number: u64, log: &mut [Vec<Option<i64>>]) -> Op {
        let write = self.rng.random_ratio(1, 2);
        let outcome = match self.rng.random_range(0..20) {
            0 => Outcome::Info,
            1 => Outcome::Fail,
            _ => Outcome::Ok,
        };
        let steps: Vec<Step> = if write {
            let key = self.rng.random_range(0..self.keys);
            let effect = outcome == Outcome::Ok || (outcome == Outcome::Info && self.rng.random());
            vec![self.write(key, number as i64, effect, &mut log[key as usize])]
        } else {
            let parts = if self.often(self.several) { self.rng.random_range(2..=4) } else { 1 };
            (0..parts).map(|_| self.read(log)).collect()
        };
        let node = self.nodes.then(|| Arc::from(["n1", "n2", "n3"][self.rng.random_range(0..3)]));
        let version = (write && self.often(self.ranked)).then_some(Version::Position(1, number));
        Op {
            index: number,
            process: Process(number),
            function: Function::Txn,
            steps: steps.into_iter().collect(),
            session: Atom::Int(0),
            user: None,
            node,
            invoked: 0,
            intended: None,
            completed: 0,
            outcome,
            version,
            error: None,
            last: false,
        }
    }

    fn write(&mut self, key: u64, value: i64, effect: bool, log: &mut Vec<Option<i64>>) -> Step {
        let value = match log.last() {
            Some(&Some(before)) if self.often(self.repeats) => before,
            _ => value,
        };
        let (action, put) = if self.is_list(key) {
            (Action::Append(value.into()), Some(value))
        } else if self.often(self.deletes) {
            (Action::Delete, None)
        } else if self.often(10) {
            (Action::Cas { old: log.last().copied().flatten().map(Atom::Int), new: value.into() }, Some(value))
        } else {
            (Action::Write(value.into()), Some(value))
        };
        if effect {
            log.push(put);
        }
        Step { key: Atom::Int(key as i64), action }
    }

    fn read(&mut self, log: &[Vec<Option<i64>>]) -> Step {
        let key = self.rng.random_range(0..self.keys);
        let log = &log[key as usize];
        let lag = if self.rng.random_ratio(self.stale, 1000) { self.rng.random_range(1..4) } else { 0 };
        let seen = &log[..log.len().saturating_sub(lag)];
        let reading = if self.is_list(key) {
            Reading::Many(seen.iter().copied().flatten().map(Atom::Int).collect())
        } else {
            seen.last().copied().flatten().map_or(Reading::Nil, |value| Reading::One(value.into()))
        };
        Step { key: Atom::Int(key as i64), action: Action::Read(Some(reading)) }
    }
}

fn meta() -> Meta {
    Meta {
        format: crate::meta::FORMAT,
        run: String::new(),
        database: String::new(),
        label: String::new(),
        workload: String::new(),
        nodes: Vec::new(),
        seed: 0,
        guarantees: Vec::new(),
        not_exercised: Vec::new(),
        faults: Vec::new(),
        order_is_real_time: false,
        set_rule: Default::default(),
        stores: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_at_once_say_what_each_key_says() {
        for seed in 0..3_000 {
            for (came, name) in compare(seed).into_iter().zip(GUARANTEES) {
                if let Compared::Differ(how) = came {
                    panic!("{name}, seed {seed}: {how}");
                }
            }
        }
    }
}
