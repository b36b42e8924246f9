//! Steps on registers, numbered as they come.
//!
//! Small integers, which keys, values and sessions of these formats mostly are, are numbered by a table, others by a hash map.

use crate::history::Outcome;
use crate::intern::FastMap;
use crate::txn::transactions::{LIMIT, NIL, NOBODY, Name, Shape, Step, Transactions, Txn};

const NONE: u32 = u32::MAX;

/// Integers to dense numbers, in the order of their first appearance.
#[derive(Default)]
pub(crate) struct Numbers {
    small: Vec<u32>,
    large: FastMap<i64, u32>,
}

impl Numbers {
    /// The number of `name`, or `next` if it is new.
    #[inline]
    fn of(&mut self, name: i64, next: u32, floor: usize) -> u32 {
        if let Some(known) =
            usize::try_from(name).ok().and_then(|at| self.small.get(at)).filter(|&&known| known != NONE)
        {
            return *known;
        }
        self.other(name, next, floor)
    }

    fn other(&mut self, name: i64, next: u32, floor: usize) -> u32 {
        if let Some(&known) = self.large.get(&name) {
            return known;
        }
        // A table grows at most fourfold at a time, so it cannot be much larger than what it holds.
        let bound = self.small.len().saturating_mul(4).max(floor);
        match usize::try_from(name).ok().filter(|&at| at < bound) {
            Some(at) => {
                if at >= self.small.len() {
                    let length = (at + 1).max(self.small.len() * 2).min(bound);
                    self.small.resize(length, NONE);
                }
                self.small[at] = next;
            }
            None => drop(self.large.insert(name, next)),
        }
        next
    }
}

/// A session and its transaction under way.
#[derive(Clone, Copy)]
struct Session {
    /// What the file calls the transaction.
    name: i64,
    txn: u32,
}

/// What has been read so far.
pub(crate) struct Registers {
    txns: Transactions,
    keys: Numbers,
    sessions: Numbers,
    current: Vec<Session>,
    values: Vec<Numbers>,
    /// The transaction of each step, where they are interleaved.
    owners: Vec<u32>,
    interleaved: bool,
}

impl Registers {
    /// `steps`: about how many there will be.
    pub(crate) fn new(steps: usize) -> Registers {
        let mut txns = Transactions::none(Shape::Registers);
        txns.steps.reserve(steps);
        Registers {
            txns,
            keys: Numbers::default(),
            sessions: Numbers::default(),
            current: Vec::new(),
            values: Vec::new(),
            owners: Vec::with_capacity(steps),
            interleaved: false,
        }
    }

    /// The transaction that `session` calls `name`: the one under way if it is that, or a new one. Nothing if there are too many.
    #[inline]
    pub(crate) fn txn(&mut self, session: i64, name: i64, committed: bool) -> Option<u32> {
        let process = self.sessions.of(session, self.current.len() as u32, 1 << 10);
        if process as usize == self.current.len() {
            self.txns.processes.push(session as u64);
            self.current.push(Session { name, txn: NOBODY });
        }
        let current = &mut self.current[process as usize];
        if current.name == name && current.txn != NOBODY {
            return Some(current.txn);
        }
        let txn = self.txns.txns.len() as u32;
        *current = Session { name, txn };
        let outcome = if committed { Outcome::Ok } else { Outcome::Fail };
        let index = u32::try_from(name).unwrap_or(txn);
        self.txns.txns.push(Txn {
            process,
            start: 0,
            end: u32::MAX,
            first: self.txns.steps.len() as u32,
            index,
            outcome,
        });
        (txn < LIMIT).then_some(txn)
    }

    #[inline]
    fn key(&mut self, name: i64) -> u32 {
        let key = self.keys.of(name, self.txns.keys.len() as u32, 1 << 16);
        if key as usize == self.txns.keys.len() {
            self.txns.keys.push(Name::Int(name));
            self.values.push(Numbers::default());
        }
        key
    }

    #[inline]
    fn version(&mut self, key: u32, value: i64) -> u32 {
        let next = self.txns.version_key.len() as u32;
        let version = self.values[key as usize].of(value, next, 32);
        if version == next {
            self.txns.version_key.push(key);
            self.txns.version_value.push(value);
            self.txns.writer.push(NOBODY);
        }
        version
    }

    /// A step of `txn`: what it read (nothing is the initial state) or wrote. False if there are too many.
    #[inline]
    pub(crate) fn step(&mut self, txn: u32, key: i64, writes: bool, value: Option<i64>) -> bool {
        let key = self.key(key);
        let version = value.map_or(NIL, |value| self.version(key, value));
        self.interleaved |= txn as usize + 1 != self.txns.txns.len();
        self.owners.push(txn);
        self.txns.steps.push(if writes { Step::write(key, version) } else { Step::read(key, version) });
        if writes {
            self.wrote(txn, version);
        }
        self.txns.steps.len() < LIMIT as usize && key < 1 << 31
    }

    /// The first that did not fail is the writer.
    #[inline]
    fn wrote(&mut self, txn: u32, version: u32) {
        let writer = &mut self.txns.writer[version as usize];
        if *writer == NOBODY {
            *writer = txn;
            return;
        }
        let failed = |txn: u32| self.txns.txns[txn as usize].outcome == Outcome::Fail;
        let other = if failed(*writer) && !failed(txn) { std::mem::replace(writer, txn) } else { txn };
        self.txns.doubles.push((other, version));
    }

    /// All of it. Where a key's `initial` value was also written, its reads are of that write.
    pub(crate) fn finish(mut self, initial: Option<i64>) -> Transactions {
        if let Some(initial) = initial {
            self.written_initials(initial);
        }
        if self.interleaved {
            self.gather();
        }
        let count = self.txns.writer.len();
        self.txns.place = vec![NOBODY; count];
        self.txns.order_first = vec![0; self.txns.keys.len() + 1];
        self.txns
    }

    fn written_initials(&mut self, initial: i64) {
        let all = self.txns.version_value.iter().enumerate();
        let written: FastMap<u32, u32> = all
            .filter(|(_, value)| **value == initial)
            .map(|(version, _)| (self.txns.version_key[version], version as u32))
            .collect();
        if written.is_empty() {
            return;
        }
        for step in self.txns.steps.iter_mut().filter(|step| !step.writes() && step.version == NIL) {
            if let Some(&version) = written.get(&step.key()) {
                step.version = version;
            }
        }
    }

    /// Puts the steps of each transaction together.
    fn gather(&mut self) {
        let mut next = vec![0_u32; self.txns.txns.len() + 1];
        self.owners.iter().for_each(|&txn| next[txn as usize + 1] += 1);
        for txn in 0..self.txns.txns.len() {
            next[txn + 1] += next[txn];
            self.txns.txns[txn].first = next[txn];
        }
        let steps = std::mem::take(&mut self.txns.steps);
        self.txns.steps = vec![Step::read(0, NIL); steps.len()];
        for (step, &txn) in steps.into_iter().zip(&self.owners) {
            let slot = &mut next[txn as usize];
            self.txns.steps[*slot as usize] = step;
            *slot += 1;
        }
    }
}

/// What a key is called in a file: its own name, or its number if one of them is no integer.
pub(crate) struct Names<'a> {
    txns: &'a Transactions,
    keys: bool,
    values: bool,
}

impl<'a> Names<'a> {
    /// `reserved`: a value that stands for the initial state, so that versions must not have it.
    pub(crate) fn of(txns: &'a Transactions, reserved: Option<i64>) -> Names<'a> {
        let keys = txns.keys.iter().all(|name| matches!(name, Name::Int(_)));
        let fits = |&value: &i64| value >= crate::txn::transactions::TEXTS && Some(value) != reserved;
        Names { txns, keys, values: txns.version_value.iter().all(fits) }
    }

    pub(crate) fn key(&self, key: u32) -> i64 {
        match &self.txns.keys[key as usize] {
            Name::Int(name) if self.keys => *name,
            _ => i64::from(key),
        }
    }

    pub(crate) fn value(&self, version: u32) -> i64 {
        if self.values { self.txns.version_value[version as usize] } else { i64::from(version) + 1 }
    }
}

/// Which transactions a format without unknown outcomes shows as committed: those that are, and those of unknown outcome that a committed one reads from.
pub(crate) fn committed(txns: &Transactions) -> Vec<bool> {
    let ok = |t: u32| txns.txns[t as usize].outcome == Outcome::Ok;
    let mut committed: Vec<bool> = (0..txns.len() as u32).map(ok).collect();
    for t in (0..txns.len() as u32).filter(|&t| ok(t)) {
        for step in txns.steps_of(t).iter().filter(|step| step.reads() && step.version < LIMIT) {
            let writer = txns.writer[step.version as usize];
            if writer != NOBODY && txns.may_count(writer) {
                committed[writer as usize] = true;
            }
        }
    }
    committed
}
