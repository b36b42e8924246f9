//! The compact input: what clients called on one kind of object, as plain numbers.
//!
//! Whoever builds [`Calls`] has interned every name and value. Times are ranks: the positions of invocations and completions
//! in the one order in which they were recorded, so no two are equal and `a.end < b.start` says that a was over before b began.
//!
//! | function | object | input | output when ok |
//! |---|---|---|---|
//! | `Read` | register, map, counter | – | the value; for a counter the number itself |
//! | `Write` | register, map | the value | – |
//! | `Cas` | register, map | [`pair`]`(expected, new)` | 1, or 0 where it answered that something else was there |
//! | `Txn` | multi-register | [`pair`]`(first, count)` into [`Calls::steps`] | in its steps |
//! | `Add` | set, counter | the element; the number to add | [`NIL`], or for a set 1 if it was new and 0 if not |
//! | `Remove` | set | the element | [`NIL`], or 1 if it was there and 0 if not |
//! | `Contains` | set | the element | 1 or 0 |
//! | `ReadAll` | set, log | – | [`pair`]`(first, count)` into [`Calls::elements`] |
//! | `Append` | log | the element | – |
//! | `Enqueue`, `Push` | queue, stack | the element | – |
//! | `Dequeue`, `Pop` | queue, stack | – | the element, or [`NIL`] for "empty" |
//! | `Acquire`, `Release` | mutex | – | – |
//! | `Generate` | unique ids | – | the id |

use std::ops::Range;

/// No value: what a register holds at first, what an empty queue gives.
pub const NIL: i64 = u32::MAX as i64;

/// An end that was never seen.
pub const NEVER: u32 = u32::MAX;

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The table above says what each takes and gives.
pub enum Function {
    Read,
    Write,
    Cas,
    Txn,
    Add,
    Remove,
    Contains,
    ReadAll,
    Append,
    Enqueue,
    Dequeue,
    Push,
    Pop,
    Acquire,
    Release,
    Generate,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It took effect between start and end, and its output is what it saw.
    Ok,
    /// It may take effect at any time after its start, or never; its output means nothing.
    Info,
}

/// One call. 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The argument, see the table above.
    pub input: i64,
    /// The answer, see the table above.
    pub output: i64,
    /// Who called; a process has one call open at a time.
    pub process: u32,
    /// Rank of the invocation.
    pub start: u32,
    /// Rank of the completion; [`NEVER`] if the outcome is unknown.
    pub end: u32,
    /// The object called.
    pub key: u32,
    /// The caller's own number for this call, given back in proofs.
    pub source: u32,
    /// What was called.
    pub f: Function,
    /// What became of it.
    pub outcome: Outcome,
}

impl Call {
    /// Whether it certainly took effect.
    pub fn ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// The two halves of a [`pair`] in its input.
    pub fn input_pair(&self) -> (u32, u32) {
        unpair(self.input)
    }
}

/// One read or write inside a transaction over several registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The register.
    pub register: u32,
    /// The value written, or read.
    pub value: u32,
    /// Whether it writes.
    pub write: bool,
}

/// Two 32-bit numbers in one.
pub fn pair(high: u32, low: u32) -> i64 {
    ((u64::from(high) << 32) | u64::from(low)) as i64
}

/// What [`pair`] put together.
pub fn unpair(both: i64) -> (u32, u32) {
    let both = both as u64;
    ((both >> 32) as u32, both as u32)
}

/// Why calls cannot be judged as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallsError {
    /// Its end is not after its start, or an unknown outcome has an end.
    #[error("call {source_number} does not end after it starts")]
    Times {
        /// The call's source.
        source_number: u32,
    },
    /// A pair in it points outside of [`Calls::steps`] or [`Calls::elements`].
    #[error("call {source_number} refers to steps or elements that aren't there")]
    Range {
        /// The call's source.
        source_number: u32,
    },
    /// More than 2³² − 2 of something.
    #[error("more calls than can be numbered")]
    Count,
}

/// Calls grouped by key, within a key by start.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    calls: Vec<Call>,
    /// Where each key's calls begin; one more than there are keys that occur.
    bounds: Vec<u32>,
    steps: Vec<Step>,
    elements: Vec<u32>,
}

impl Calls {
    /// Groups and checks. O(n) if the calls come sorted by key and start, else O(n log n).
    pub fn new(mut calls: Vec<Call>, steps: Vec<Step>, elements: Vec<u32>) -> Result<Calls, CallsError> {
        let most = steps.len().max(elements.len());
        if calls.len() >= NEVER as usize / 2 || most >= NEVER as usize {
            return Err(CallsError::Count);
        }
        for call in &calls {
            let times = call.start < call.end && (call.ok() == (call.end != NEVER));
            if !times {
                return Err(CallsError::Times { source_number: call.source });
            }
            let within = match call.f {
                Function::Txn => inside(call.input, steps.len()),
                Function::ReadAll if call.ok() => inside(call.output, elements.len()),
                _ => true,
            };
            if !within {
                return Err(CallsError::Range { source_number: call.source });
            }
        }
        if !calls.is_sorted_by_key(|call| (call.key, call.start)) {
            calls.sort_unstable_by_key(|call| (call.key, call.start));
        }
        let mut bounds = Vec::new();
        let mut last = None;
        for (at, call) in calls.iter().enumerate() {
            if last != Some(call.key) {
                bounds.push(at as u32);
                last = Some(call.key);
            }
        }
        bounds.push(calls.len() as u32);
        Ok(Calls { calls, bounds, steps, elements })
    }

    /// All calls, by key and start.
    pub fn all(&self) -> &[Call] {
        &self.calls
    }

    /// How many keys occur.
    pub fn key_count(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// The calls on the `at`-th key that occurs.
    pub fn of(&self, at: usize) -> &[Call] {
        &self.calls[self.range(at)]
    }

    fn range(&self, at: usize) -> Range<usize> {
        self.bounds[at] as usize..self.bounds[at + 1] as usize
    }

    /// The reads and writes of a transaction.
    pub fn steps(&self, call: &Call) -> &[Step] {
        let (first, count) = unpair(call.input);
        &self.steps[first as usize..(first + count) as usize]
    }

    /// What a read of everything gave.
    pub fn elements(&self, call: &Call) -> &[u32] {
        let (first, count) = unpair(call.output);
        &self.elements[first as usize..(first + count) as usize]
    }
}

fn inside(both: i64, len: usize) -> bool {
    let (first, count) = unpair(both);
    u64::from(first) + u64::from(count) <= len as u64
}
