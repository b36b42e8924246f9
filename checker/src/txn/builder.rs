//! Builds [`Transactions`] step by step, whatever they are read from.
//!
//! Names become numbers through tables that are dense where names are small integers, as generators make them: a lookup is then one
//! access near the last one, which is what reading a million transactions spends its time on. Everything else goes
//! through a hash map. Transactions are opened in the order of their invocations and filled when they complete; [`Builder::finish`] brings
//! their steps into that order.

use rustc_hash::FxHashMap;

use super::lists::{ListState, Placed, settle};
use super::transactions::{LIMIT, NOBODY, Name, OddRead, Shape, Step, TEXTS, Transactions, Txn};
use crate::history::Outcome;

/// A name or a value in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw<'t> {
    /// An integer.
    Int(i64),
    /// Anything else, as written.
    Text(&'t [u8]),
}

/// Why transactions cannot be built: there are more than numbers for them (four thousand million).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more than {LIMIT} transactions, steps or values")]
pub struct TooMany;

/// Integers below this have places in a table of their own.
const DENSE: i64 = 1 << 22;

/// Where in `Table::Dense` a key has nothing.
const NONE: u32 = u32::MAX;

/// Numbers for keys.
#[derive(Default)]
struct Keys {
    dense: Vec<u32>,
    sparse: FxHashMap<i64, u32>,
    texts: FxHashMap<Box<[u8]>, u32>,
    names: Vec<Name>,
}

impl Keys {
    #[inline]
    fn number(&mut self, raw: Raw<'_>) -> u32 {
        if let Raw::Int(value) = raw
            && let Some(&known) = self.dense.get(value as usize)
            && value >= 0
            && known != NONE
        {
            return known;
        }
        self.insert(raw)
    }

    #[cold]
    fn insert(&mut self, raw: Raw<'_>) -> u32 {
        let next = self.names.len() as u32;
        match raw {
            Raw::Int(value) if (0..DENSE).contains(&value) => {
                let at = value as usize;
                if at >= self.dense.len() {
                    self.dense.resize((at + 1).max(self.dense.len() * 2), NONE);
                }
                self.dense[at] = next;
            }
            Raw::Int(value) => {
                let known = *self.sparse.entry(value).or_insert(next);
                if known != next {
                    return known;
                }
            }
            Raw::Text(text) => {
                if let Some(&known) = self.texts.get(text) {
                    return known;
                }
                self.texts.insert(text.into(), next);
            }
        }
        self.names.push(name(raw));
        next
    }
}

/// A name for people.
fn name(raw: Raw<'_>) -> Name {
    match raw {
        Raw::Int(value) => Name::Int(value),
        Raw::Text(text) => Name::Text(String::from_utf8_lossy(text).into()),
    }
}

/// The versions of one key whose values are small integers, from `base` on.
#[derive(Default)]
struct Values {
    base: i64,
    dense: Vec<u32>,
    /// Whether some lie outside of the table, or did when they came.
    sparse: bool,
}

/// A transaction that is being filled: where its steps are among those of all.
#[derive(Clone, Copy, Default)]
struct Filled {
    first: u32,
    count: u32,
}

/// Builds transactions.
pub struct Builder {
    pub(super) out: Transactions,
    keys: Keys,
    values: Vec<Values>,
    sparse: FxHashMap<(u32, i64), u32>,
    texts: FxHashMap<(u32, Box<[u8]>), u32>,
    processes: FxHashMap<u64, u32>,
    filled: Vec<Filled>,
    current: u32,
    pub(super) lists: Vec<ListState>,
    pub(super) placed: Placed,
}

impl Builder {
    /// Of transactions of that shape.
    pub fn new(shape: Shape) -> Builder {
        Builder {
            out: Transactions::none(shape),
            keys: Keys::default(),
            values: Vec::new(),
            sparse: FxHashMap::default(),
            texts: FxHashMap::default(),
            processes: FxHashMap::default(),
            filled: Vec::new(),
            current: 0,
            lists: Vec::new(),
            placed: Placed::default(),
        }
    }

    /// What writes do.
    pub fn shape(&self) -> Shape {
        self.out.shape
    }

    /// The number of a process.
    pub fn process(&mut self, identity: u64) -> u32 {
        let next = self.out.processes.len() as u32;
        let number = *self.processes.entry(identity).or_insert(next);
        if number == next {
            self.out.processes.push(identity);
        }
        number
    }

    /// The same, for whoever keeps the table: identities below `few` index the numbers that were given so far.
    #[inline]
    pub(super) fn process_fast(&mut self, identity: u64, few: u64, table: &mut Vec<u32>) -> u32 {
        if identity >= few {
            return self.process(identity);
        }
        let at = identity as usize;
        if at >= table.len() {
            table.resize(at + 1, NONE);
        }
        if table[at] == NONE {
            table[at] = self.process(identity);
        }
        table[at]
    }

    /// Opens a transaction, at its invocation, as one whose outcome is unknown; its number.
    pub fn open(&mut self, process: u32, start: u32, index: u32, invoked: u64) -> u32 {
        let outcome = Outcome::Info;
        self.out.txns.push(Txn { process, start, end: u32::MAX, first: 0, index, outcome });
        self.out.times.push((invoked, u64::MAX));
        self.filled.push(Filled::default());
        self.out.txns.len() as u32 - 1
    }

    /// Says how a transaction ended. Its `end` should be `u32::MAX` where that is unknown.
    pub fn close(&mut self, txn: u32, end: u32, index: u32, completed: u64, outcome: Outcome) {
        let it = &mut self.out.txns[txn as usize];
        it.end = if outcome == Outcome::Info { u32::MAX } else { end };
        it.index = index;
        it.outcome = outcome;
        self.out.times[txn as usize].1 = completed;
    }

    /// Begins to fill a transaction; the steps that follow are its steps, in their order. Once for each.
    pub fn fill(&mut self, txn: u32) {
        self.current = txn;
        self.filled[txn as usize] = Filled { first: self.out.steps.len() as u32, count: 0 };
    }

    /// Takes back the steps of the transaction being filled, except that names keep their numbers.
    pub(super) fn empty(&mut self) {
        let txn = self.current;
        let first = self.filled[txn as usize].first as usize;
        for step in self.out.steps.drain(first..) {
            if step.writes() && self.out.writer[step.version as usize] == txn {
                self.out.writer[step.version as usize] = NOBODY;
            }
        }
        self.out.doubles.retain(|&(who, _)| who != txn);
        self.filled[txn as usize].count = 0;
    }

    /// The number of a key.
    #[inline]
    pub fn key(&mut self, raw: Raw<'_>) -> u32 {
        let key = self.keys.number(raw);
        if key as usize >= self.values.len() {
            self.values.resize_with(key as usize + 1, Values::default);
            if self.out.shape == Shape::Lists {
                self.lists.resize_with(key as usize + 1, ListState::default);
            }
        }
        key
    }

    /// The number of the version that `value` is of `key`.
    #[inline]
    pub fn version(&mut self, key: u32, value: Raw<'_>) -> u32 {
        if let Raw::Int(value) = value {
            let values = &self.values[key as usize];
            if let Some(&known) = values.dense.get(value.wrapping_sub(values.base) as usize)
                && known != NONE
            {
                return known;
            }
        }
        self.new_version(key, value)
    }

    fn new_version(&mut self, key: u32, raw: Raw<'_>) -> u32 {
        let next = self.out.version_key.len() as u32;
        let digits;
        let raw = match raw {
            Raw::Int(value) if value < TEXTS => {
                digits = value.to_string();
                Raw::Text(digits.as_bytes())
            }
            raw => raw,
        };
        let value = match raw {
            Raw::Int(value) => {
                let values = &mut self.values[key as usize];
                // The table may have grown over a value that did not fit when it first came.
                if values.sparse
                    && let Some(&known) = self.sparse.get(&(key, value))
                {
                    return known;
                }
                if let Some(place) = values.place(value) {
                    *place = next;
                } else {
                    values.sparse = true;
                    let known = *self.sparse.entry((key, value)).or_insert(next);
                    if known != next {
                        return known;
                    }
                }
                value
            }
            Raw::Text(text) => {
                if let Some(&known) = self.texts.get(&(key, text.into())) {
                    return known;
                }
                self.texts.insert((key, text.into()), next);
                self.out.texts.push(String::from_utf8_lossy(text).into());
                i64::MIN + self.out.texts.len() as i64 - 1
            }
        };
        self.out.version_key.push(key);
        self.out.version_value.push(value);
        self.out.writer.push(NOBODY);
        next
    }

    /// Adds a read of `version`, or of `NIL` or `UNKNOWN`, to the transaction being filled.
    #[inline]
    pub fn read(&mut self, key: u32, version: u32) {
        self.step(Step::read(key, version));
    }

    /// Adds a read of a list that was given in full. Only for lists.
    pub fn read_list(&mut self, key: u32, versions: &[u32]) {
        let step = self.out.steps.len() as u32;
        let version = self.lists[key as usize].meet(versions, step, &mut self.placed, &mut self.out.odd);
        self.step(Step::read(key, version));
    }

    /// Adds a write that makes `version` to the transaction being filled.
    #[inline]
    pub fn write(&mut self, key: u32, version: u32) {
        let txn = self.current;
        let writer = &mut self.out.writer[version as usize];
        if *writer == NOBODY {
            *writer = txn;
        } else {
            self.out.doubles.push((txn, version));
        }
        self.step(Step::write(key, version));
    }

    #[inline]
    fn step(&mut self, step: Step) {
        self.out.steps.push(step);
        self.filled[self.current as usize].count += 1;
    }

    /// The transactions.
    ///
    /// # Errors
    ///
    /// More than numbers suffice for.
    pub fn finish(mut self) -> Result<Transactions, TooMany> {
        let most = self.out.txns.len().max(self.out.steps.len()).max(self.out.version_key.len());
        // A step keeps in the highest bit of its key whether it writes.
        if most >= LIMIT as usize || self.keys.names.len() > 1 << 31 {
            return Err(TooMany);
        }
        self.out.keys = std::mem::take(&mut self.keys.names);
        self.in_order();
        prefer_writers_that_did_not_fail(&mut self.out);
        if self.out.shape == Shape::Lists {
            settle(&mut self.out, std::mem::take(&mut self.lists));
        }
        Ok(self.out)
    }

    /// Brings the steps into the order of the transactions.
    fn in_order(&mut self) {
        let in_order = self.filled.windows(2).all(|pair| pair[0].first + pair[0].count == pair[1].first);
        let mut first = 0;
        if in_order {
            for (txn, filled) in self.out.txns.iter_mut().zip(&self.filled) {
                txn.first = filled.first;
            }
            return;
        }
        let mut steps = Vec::with_capacity(self.out.steps.len());
        // Odd reads know their step by its number, which changes.
        let moved: FxHashMap<u32, usize> = self.out.odd.iter().enumerate().map(|(at, odd)| (odd.step, at)).collect();
        for (txn, filled) in self.out.txns.iter_mut().zip(&self.filled) {
            txn.first = first;
            let from = filled.first as usize;
            if !moved.is_empty() {
                for step in 0..filled.count {
                    if let Some(&at) = moved.get(&(filled.first + step)) {
                        self.out.odd[at].step = first + step;
                    }
                }
            }
            steps.extend_from_slice(&self.out.steps[from..from + filled.count as usize]);
            first += filled.count;
        }
        self.out.steps = steps;
        self.out.odd.sort_by_key(|odd: &OddRead| odd.step);
    }
}

/// Of several writers of a version the first that may have taken effect is *the* writer.
fn prefer_writers_that_did_not_fail(out: &mut Transactions) {
    for at in 0..out.doubles.len() {
        let (txn, version) = out.doubles[at];
        let writer = out.writer[version as usize];
        let failed = |txn: u32| out.txns[txn as usize].outcome == Outcome::Fail;
        if failed(writer) && !failed(txn) {
            out.writer[version as usize] = txn;
            out.doubles[at].0 = writer;
        }
    }
}

impl Values {
    /// The place for a value, if it lies where the table may grow to.
    fn place(&mut self, value: i64) -> Option<&mut u32> {
        if self.dense.is_empty() {
            self.base = value;
        }
        let at = value.checked_sub(self.base)?;
        // Values that come in order, with gaps, double the table at most a few times beyond what it holds.
        let room = (self.dense.len() as i64) * 4 + 64;
        if at < 0 || at >= room {
            return None;
        }
        let at = at as usize;
        if at >= self.dense.len() {
            self.dense.resize(at + 1, NONE);
        }
        Some(&mut self.dense[at])
    }
}
