//! What a history says, in numbers: which write each read shows, and what nothing can explain.
//!
//! ```text
//! History ──▶ writes (by key and value) ──▶ the longest list of each key ──▶ reads as writes shown ──▶ checkers
//! ```
//!
//! A list that is a beginning of its key's longest list costs one comparison of memory and is kept as a length. Values
//! that no write explains are set down as [`Oddity`] and left out of everything that follows. A compare-and-set is a
//! read and a write; a read inside a transaction of a key that the transaction has already written is left out, as it
//! shows the transaction's own value. About 150 bytes an operation.

pub(crate) mod instants;
mod lists;
mod reads;
pub(crate) mod timeline;
pub(crate) mod versions;

use std::sync::{Arc, OnceLock};

use crate::action::{Action, Atom, Reading};
use crate::history::{History, Op, Outcome};
use crate::intern::{FastMap, Interner};

/// No such write, place or operation.
pub(crate) const NONE: u32 = u32::MAX;

/// What a write does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Set,
    Append,
    Add,
    Remove,
    Delete,
}

/// A step that changes a key.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) op: u32,
    pub(crate) step: u32,
    pub(crate) key: u32,
    pub(crate) deed: Deed,
    pub(crate) outcome: Outcome,
    pub(crate) invoked: u64,
    /// When it was acknowledged; `u64::MAX` if it was not.
    pub(crate) acked: u64,
    /// Where it stands in the order that the database reported, once that is trusted.
    pub(crate) rank: Option<(u64, u64)>,
    /// Its dot in a version vector, once that is trusted.
    pub(crate) dot: Option<(u32, u64)>,
    /// Another write of the same value to the same key, or [`NONE`].
    pub(crate) same: u32,
    /// The write that stands for all writes of its value.
    pub(crate) stands: u32,
    /// Its place in the key's longest list, or behind it.
    pub(crate) place: u32,
}

/// What a read showed of one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shown {
    /// No value: nothing written yet, or deleted.
    Nil,
    /// The value of this write.
    One(u32),
    /// A value that several writes wrote; the first of them.
    AnyOf(u32),
    /// This many elements of the key's longest list.
    Prefix(u32),
    /// These writes: elements of a list, in its order, or of a set, ascending.
    Many(Box<[u32]>),
    /// These writes, none of which replaced another; ascending.
    Siblings(Box<[u32]>),
    /// Something unexplainable, which is left out.
    Skip,
}

/// One key in one read.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) read: u32,
    pub(crate) op: u32,
    pub(crate) step: u32,
    pub(crate) key: u32,
    pub(crate) shown: Shown,
}

/// A read that succeeded: the keys it showed at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) op: u32,
    pub(crate) invoked: u64,
    pub(crate) completed: u64,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Register,
    List,
    Set,
    /// Writes of several kinds; nothing is decided about such a key.
    Mixed,
}

/// Where the order of a key's writes comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Observed,
    Reported,
    RealTime,
    Unknown,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::Observed => "observed",
            Order::Reported => "reported",
            Order::RealTime => "real time",
            Order::Unknown => "none",
        }
    }
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key<'h> {
    pub(crate) kind: Kind,
    pub(crate) order: Order,
    /// Its writes, ascending by invocation.
    pub(crate) writes: Vec<u32>,
    /// Its parts of reads, without the final ones, ascending by invocation.
    pub(crate) parts: Vec<u32>,
    /// Its parts of final reads.
    pub(crate) finals: Vec<u32>,
    /// Its deletes that did not fail, ascending by invocation.
    pub(crate) deletes: Vec<u32>,
    /// The longest list as it was read.
    pub(crate) text: &'h [Atom],
    /// The longest list, as writes; [`NONE`] for an element that nothing explains.
    pub(crate) longest: Vec<u32>,
    /// The writes by place: the longest list, then whatever no read of it showed.
    pub(crate) places: Vec<u32>,
    /// Whether some list is no beginning of the longest.
    pub(crate) scattered: bool,
    /// Whether some read showed siblings.
    pub(crate) siblings: bool,
}

/// Something that nothing can explain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Oddity {
    pub(crate) name: &'static str,
    pub(crate) key: u32,
    /// The operation that showed it.
    pub(crate) read: u32,
    pub(crate) step: u32,
    /// The value or element.
    pub(crate) value: Option<Atom>,
    /// The write that should not have been read, or another operation that contradicts.
    pub(crate) other: u32,
    /// In words, where the name is not enough.
    pub(crate) detail: String,
}

/// Everything that checkers want to know of a history, in numbers.
pub(crate) struct Facts<'h> {
    pub(crate) history: &'h History,
    pub(crate) keys: Vec<Key<'h>>,
    pub(crate) key_names: Vec<Atom>,
    pub(crate) session_names: Vec<Atom>,
    /// The session of each operation.
    pub(crate) sessions: Vec<u32>,
    pub(crate) writes: Vec<Write>,
    /// Reads without the final ones, ascending by invocation.
    pub(crate) reads: Vec<Read>,
    /// The final reads.
    pub(crate) finals: Vec<Read>,
    pub(crate) parts: Vec<Part>,
    /// Whether some read that is not final asks for several keys.
    pub(crate) several_keys: bool,
    pub(crate) oddities: Vec<Oddity>,
    /// How many values and elements the reads showed.
    pub(crate) shown: u64,
    /// The removes of each element, by the add that stands for it.
    pub(crate) removes: FastMap<u32, Vec<u32>>,
    /// The add that stands for the element that a remove takes away.
    pub(crate) removed: FastMap<u32, u32>,
    /// The actors of version vectors.
    pub(crate) actors: FastMap<Arc<str>, u32>,
    /// What was not used and why.
    pub(crate) notes: Vec<String>,
    timeline: OnceLock<Vec<timeline::What>>,
    instants: OnceLock<Option<instants::Instants>>,
}

impl<'h> Facts<'h> {
    /// Everything in `history`.
    pub(crate) fn of(history: &'h History) -> Facts<'h> {
        let mut keys = Interner::default();
        let mut sessions = Interner::default();
        let mut facts = Facts {
            history,
            keys: Vec::new(),
            key_names: Vec::new(),
            session_names: Vec::new(),
            sessions: Vec::with_capacity(history.ops.len()),
            writes: Vec::new(),
            reads: Vec::new(),
            finals: Vec::new(),
            parts: Vec::new(),
            several_keys: false,
            oddities: Vec::new(),
            shown: 0,
            removes: FastMap::default(),
            removed: FastMap::default(),
            actors: FastMap::default(),
            notes: Vec::new(),
            timeline: OnceLock::new(),
            instants: OnceLock::new(),
        };
        let mut values = Values::default();
        // The key of each step, and whether anything can be a list.
        let mut step_keys: Vec<u32> = Vec::with_capacity(history.ops.len());
        let mut lists = false;
        for (at, op) in history.ops.iter().enumerate() {
            facts.sessions.push(sessions.id(&op.session));
            for (step, it) in op.steps.iter().enumerate() {
                let key = keys.id(&it.key);
                step_keys.push(key);
                lists |= matches!(it.action, Action::Read(Some(Reading::Many(_))));
                if key as usize == facts.keys.len() {
                    facts.keys.push(Key::new());
                }
                if it.action.writes() {
                    facts.write(at, op, step, key, &it.action, &mut values);
                }
            }
        }
        facts.key_names = keys.names;
        facts.session_names = sessions.names;
        for last in values.writes() {
            if facts.writes[last as usize].same == NONE {
                continue;
            }
            let same: Vec<u32> = facts.writers(last).collect();
            for write in same {
                facts.writes[write as usize].stands = last;
            }
        }
        facts.find_removes(&values);
        if lists {
            lists::find_longest(&mut facts, &step_keys, &values);
        }
        reads::resolve(&mut facts, &step_keys, &values);
        lists::drop_contradictions(&mut facts);
        lists::give_places(&mut facts);
        versions::trust(&mut facts, &values);
        facts
    }

    fn write(&mut self, at: usize, op: &Op, step: usize, key: u32, action: &Action, values: &mut Values) {
        let (deed, kind) = match action {
            Action::Write(_) | Action::Cas { .. } => (Deed::Set, Kind::Register),
            Action::Delete => (Deed::Delete, Kind::Register),
            Action::Append(_) => (Deed::Append, Kind::List),
            Action::Add(_) => (Deed::Add, Kind::Set),
            Action::Remove(_) => (Deed::Remove, Kind::Set),
            Action::Read(_) => return,
        };
        let id = self.writes.len() as u32;
        let entry = &mut self.keys[key as usize];
        if entry.writes.is_empty() {
            entry.kind = kind;
        } else if entry.kind != kind {
            entry.kind = Kind::Mixed;
        }
        entry.writes.push(id);
        if deed == Deed::Delete && op.outcome != Outcome::Fail {
            entry.deletes.push(id);
        }
        let mut same = NONE;
        if let Some(value) = action.written() {
            same = values.insert(key, value, id).unwrap_or(NONE);
        }
        self.writes.push(Write {
            op: at as u32,
            step: step as u32,
            key,
            deed,
            outcome: op.outcome,
            invoked: op.invoked,
            acked: if op.outcome == Outcome::Ok { op.completed } else { u64::MAX },
            rank: None,
            dot: None,
            same,
            stands: id,
            place: NONE,
        });
    }

    fn find_removes(&mut self, values: &Values) {
        for (id, write) in self.writes.iter().enumerate().filter(|(_, write)| write.deed == Deed::Remove) {
            let Some(value) = self.value_of(id as u32) else { continue };
            if let Some(add) = values.get(write.key, value) {
                self.removed.insert(id as u32, add);
                if write.outcome != Outcome::Fail {
                    self.removes.entry(add).or_default().push(id as u32);
                }
            }
        }
    }

    /// Whether no other write wrote the same value to the same key.
    pub(crate) fn sole(&self, write: u32) -> bool {
        let entry = &self.writes[write as usize];
        entry.stands == write && entry.same == NONE
    }

    /// All events in the order of time, worked out when they are first asked for.
    pub(crate) fn timeline(&self) -> &[timeline::What] {
        self.timeline.get_or_init(|| timeline::of(self))
    }

    /// An instant for every write and read, if the first guess explains everything; worked out when it is first asked for.
    pub(crate) fn instants(&self) -> Option<&instants::Instants> {
        self.instants.get_or_init(|| instants::of(self)).as_ref()
    }

    /// The operation of a write.
    pub(crate) fn op_of(&self, write: u32) -> &'h Op {
        &self.history.ops[self.writes[write as usize].op as usize]
    }

    /// The value that a write writes, adds, appends or removes.
    pub(crate) fn value_of(&self, write: u32) -> Option<&'h Atom> {
        let write = &self.writes[write as usize];
        match &self.history.ops[write.op as usize].steps[write.step as usize].action {
            Action::Remove(value) => Some(value),
            action => action.written(),
        }
    }

    /// What the read returned.
    pub(crate) fn reading(&self, part: &Part) -> Option<&'h Reading> {
        match &self.history.ops[part.op as usize].steps[part.step as usize].action {
            Action::Read(reading) => reading.as_ref(),
            _ => None,
        }
    }

    /// The parts of a read.
    pub(crate) fn parts_of(&self, read: &Read) -> &[Part] {
        &self.parts[read.from as usize..read.to as usize]
    }

    /// The writes that a part shows, in any order; nothing where several writes wrote the value.
    pub(crate) fn shown_by<'a>(&'a self, part: &'a Part) -> &'a [u32] {
        match &part.shown {
            Shown::One(write) => std::slice::from_ref(write),
            Shown::Prefix(length) => &self.keys[part.key as usize].longest[..*length as usize],
            Shown::Many(writes) | Shown::Siblings(writes) => writes,
            Shown::Nil | Shown::AnyOf(_) | Shown::Skip => &[],
        }
    }

    /// Whether `a` is known to count before `b`, two writes of one key.
    pub(crate) fn before(&self, a: u32, b: u32) -> bool {
        let (first, second) = (&self.writes[a as usize], &self.writes[b as usize]);
        match self.keys[first.key as usize].order {
            Order::Reported => matches!((first.rank, second.rank), (Some(a), Some(b)) if a < b),
            Order::RealTime => first.acked < second.invoked,
            Order::Observed => first.place < second.place,
            Order::Unknown => false,
        }
    }

    /// All writes of the value that `first` wrote, latest first.
    pub(crate) fn writers(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(first), |&write| Some(self.writes[write as usize].same).filter(|&next| next != NONE))
    }
}

impl Key<'_> {
    fn new() -> Self {
        Key {
            kind: Kind::Register,
            order: Order::Unknown,
            writes: Vec::new(),
            parts: Vec::new(),
            finals: Vec::new(),
            deletes: Vec::new(),
            text: &[],
            longest: Vec::new(),
            places: Vec::new(),
            scattered: false,
            siblings: false,
        }
    }
}

/// The last write of each value, which links to the one before it. A small table for each key: keys live for a while, and what is
/// asked for one after the other lies close together.
#[derive(Default)]
struct Values {
    keys: Vec<FastMap<Atom, u32>>,
}

impl Values {
    fn get(&self, key: u32, value: &Atom) -> Option<u32> {
        self.keys.get(key as usize)?.get(value).copied()
    }

    /// Sets the last write of a value, and answers the one before it.
    fn insert(&mut self, key: u32, value: &Atom, write: u32) -> Option<u32> {
        if self.keys.len() <= key as usize {
            self.keys.resize_with(key as usize + 1, FastMap::default);
        }
        self.keys[key as usize].insert(value.clone(), write)
    }

    fn writes(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.iter().flat_map(|values| values.values().copied())
    }
}
