//! Registers, with compare-and-set or without, in which no value was put in twice: zones (Gibbons & Korach 1997, section 4).
//!
//! All calls on one value follow each other without another value between them: its writer, then its readers. A
//! compare-and-set that succeeded glues the value it took to the value it gave, so values come in blocks, each begun by a write
//! or by the initial value. Within a block the order is known. Between blocks A must come before B if something in A ended
//! before something in B began: with f the first end and s the last start in a block, if f(A) < s(B). Blocks can be put in order
//! unless that holds both ways for two of them: in a longer circle the block with the least f and the one before it are such a
//! pair already.
//!
//! ```text
//!        w(1)|----|                           zone of 1: from the end of w(1), its f, to the start of r(1), its s
//!                     w(2)|---|               zone of 2: ends before it starts, and lies within: 1 ≺ 2 ≺ 1
//!                                 r(1)|----|
//! ```
//!
//! A writer whose outcome is unknown happened if somebody needed its value, and ended never; else it is left out.
//! O(n log n) for sorting the blocks, 20 bytes a value.

use super::calls::{Call, Function, NEVER, NIL};
use super::{Judged, Refutation};
use crate::intern::FastMap;

const NONE: u32 = u32::MAX;

/// Whose calls these are: value to number, 0 for the initial value.
enum Names {
    Direct { least: u32 },
    Hashed(FastMap<u32, u32>),
}

/// The values, by number.
struct Values {
    names: Names,
    writer: Vec<u32>,
    /// The first end and the last start of its readers.
    read_end: Vec<u32>,
    read_start: Vec<u32>,
    /// The compare-and-set that took it.
    taker: Vec<u32>,
}

/// Decides, or answers `None` if some value was put in twice, the initial value was put in again, or a compare-and-set saw a
/// mismatch or changed nothing.
pub(super) fn decide(calls: &[Call]) -> Option<Judged> {
    let mut values = Values::written(calls)?;
    let found =
        values.read(calls).and_then(|()| values.glue(calls)).and_then(|blocks| conflict(&values, calls, blocks));
    Some(match found {
        Ok(()) => Judged::Holds,
        Err(refutation) => Judged::Violated(refutation),
    })
}

/// The value that a call puts in.
fn given(call: &Call) -> Option<u32> {
    match call.f {
        Function::Write => Some(call.input as u32),
        Function::Cas => Some(call.input_pair().1),
        _ => None,
    }
}

/// The value that a call must have found.
fn expected(call: &Call) -> Option<u32> {
    match call.f {
        Function::Read => Some(call.output as u32),
        Function::Cas => Some(call.input_pair().0),
        _ => None,
    }
}

impl Values {
    /// Every value's writer.
    fn written(calls: &[Call]) -> Option<Values> {
        let (mut least, mut most, mut writers) = (u32::MAX, 0, 0_usize);
        for call in calls {
            let fits = match call.f {
                Function::Cas => (!call.ok() || call.output != 0) && call.input_pair().0 != call.input_pair().1,
                Function::Read | Function::Write => true,
                _ => false,
            };
            if !fits {
                return None;
            }
            if let Some(value) = given(call) {
                if value == NIL as u32 {
                    return None;
                }
                (least, most, writers) = (least.min(value), most.max(value), writers + 1);
            }
        }
        let range = if writers == 0 { 0 } else { (most - least) as usize + 1 };
        let direct = range <= 4 * writers + 64;
        let mut writer = vec![NONE; if direct { range + 1 } else { 1 }];
        let mut names = Names::Direct { least };
        if !direct {
            names = Names::Hashed(FastMap::with_capacity_and_hasher(writers, Default::default()));
        }
        for (at, call) in calls.iter().enumerate() {
            let Some(value) = given(call) else { continue };
            let number = match &mut names {
                Names::Direct { least } => (value - *least) as usize + 1,
                Names::Hashed(map) => {
                    let fresh = writer.len();
                    if map.insert(value, fresh as u32).is_some() {
                        return None;
                    }
                    writer.push(NONE);
                    fresh
                }
            };
            if writer[number] != NONE {
                return None;
            }
            writer[number] = at as u32;
        }
        let len = writer.len();
        let taker = if calls.iter().any(|call| call.f == Function::Cas) { vec![NONE; len] } else { Vec::new() };
        Some(Values { names, writer, read_end: vec![NEVER; len], read_start: vec![0; len], taker })
    }

    /// The number of a value that was put in.
    fn number(&self, value: u32) -> Option<usize> {
        if value == NIL as u32 {
            return Some(0);
        }
        let number = match &self.names {
            Names::Direct { least } => value.checked_sub(*least)? as usize + 1,
            Names::Hashed(map) => *map.get(&value)? as usize,
        };
        (*self.writer.get(number)? != NONE).then_some(number)
    }

    fn taker(&self, number: usize) -> u32 {
        self.taker.get(number).copied().unwrap_or(NONE)
    }

    /// Every value's readers and takers.
    fn read(&mut self, calls: &[Call]) -> Result<(), Refutation> {
        let mut perhaps = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            if !call.ok() {
                if call.f == Function::Cas {
                    perhaps.push(at);
                }
                continue;
            }
            let Some(value) = expected(call) else { continue };
            let number = self.number(value).ok_or_else(|| nowhere(calls, at, value))?;
            if call.f == Function::Cas {
                self.take(calls, number, at)?;
                continue;
            }
            self.read_end[number] = self.read_end[number].min(call.end);
            self.read_start[number] = self.read_start[number].max(call.start);
        }
        self.perhaps(calls, &perhaps)
    }

    fn take(&mut self, calls: &[Call], number: usize, at: usize) -> Result<(), Refutation> {
        let other = std::mem::replace(&mut self.taker[number], at as u32);
        if other == NONE {
            return Ok(());
        }
        let mut few = vec![other as usize, at];
        let first = few.clone();
        first.iter().for_each(|&at| self.vouch(calls, at, &mut few));
        let text = format!(
            "calls {} and {} both replaced the value {}, which was put in once at most",
            calls[other as usize].source,
            calls[at].source,
            value_text(expected(&calls[at]).unwrap_or(NIL as u32))
        );
        Err(Refutation { calls: few, stuck: at, states: Vec::new(), text })
    }

    /// Adds to `few` what shows that the call at `at` took effect.
    fn vouch(&self, calls: &[Call], mut at: usize, few: &mut Vec<usize>) {
        while !calls[at].ok() {
            let Some(number) = given(&calls[at]).and_then(|value| self.number(value)) else { return };
            let value = given(&calls[at]);
            let reader = calls.iter().position(|call| call.ok() && expected(call) == value);
            let next = reader.or((self.taker(number) != NONE).then_some(self.taker(number) as usize));
            let Some(next) = next.filter(|next| !few.contains(next)) else { return };
            few.push(next);
            at = next;
        }
    }

    /// Unknown compare-and-sets took effect where the value they give is needed, and then need the one they take.
    fn perhaps(&mut self, calls: &[Call], perhaps: &[usize]) -> Result<(), Refutation> {
        let mut work: Vec<usize> = Vec::new();
        for &at in perhaps {
            let number = given(&calls[at]).and_then(|value| self.number(value));
            if number.is_some_and(|number| self.read_end[number] != NEVER || self.taker(number) != NONE) {
                work.push(at);
            }
        }
        // Taken once for each: that a value is needed is found before or on the way, by the first call that takes it.
        while let Some(at) = work.pop() {
            let value = expected(&calls[at]).unwrap_or(NIL as u32);
            let number = self.number(value).ok_or_else(|| nowhere(calls, at, value))?;
            let needed = self.read_end[number] != NEVER || self.taker(number) != NONE;
            self.take(calls, number, at)?;
            let writer = self.writer[number];
            if !needed && writer != NONE && !calls[writer as usize].ok() && calls[writer as usize].f == Function::Cas {
                work.push(writer as usize);
            }
        }
        Ok(())
    }

    /// Follows each block from its first value on and answers (first end, last start, first value) of each.
    fn glue(&self, calls: &[Call]) -> Result<Vec<Block>, Refutation> {
        let mut blocks = Vec::with_capacity(self.writer.len());
        let mut placed = 0_usize;
        let mut wanted = 0_usize;
        for number in 0..self.writer.len() {
            let writer = self.writer[number];
            let begins = number == 0 || (writer != NONE && calls[writer as usize].f == Function::Write);
            if !self.happened(calls, number) {
                continue;
            }
            wanted += 1;
            if begins {
                let (block, length) = self.follow(calls, number)?;
                placed += length;
                blocks.push(block);
            }
        }
        if placed < wanted { Err(self.circle(calls)) } else { Ok(blocks) }
    }

    /// Whether the value was there for certain.
    fn happened(&self, calls: &[Call], number: usize) -> bool {
        let writer = self.writer[number];
        number == 0
            || (writer != NONE
                && (calls[writer as usize].ok() || self.read_end[number] != NEVER || self.taker(number) != NONE))
    }

    /// The steps of a block in order: (first end, last start, value, whether by readers).
    fn parts<'a>(&'a self, calls: &'a [Call], first: usize) -> impl Iterator<Item = Part> + 'a {
        let mut number = first;
        let mut stage = 0;
        std::iter::from_fn(move || {
            loop {
                stage += 1;
                match stage {
                    1 if self.writer[number] != NONE => {
                        let call = &calls[self.writer[number] as usize];
                        return Some(Part { end: call.end, start: call.start, number, read: false });
                    }
                    1 => {}
                    2 if self.read_end[number] != NEVER => {
                        let (end, start) = (self.read_end[number], self.read_start[number]);
                        return Some(Part { end, start, number, read: true });
                    }
                    2 => {}
                    _ => {
                        let taker = self.taker(number);
                        if taker == NONE {
                            return None;
                        }
                        number = given(&calls[taker as usize]).and_then(|value| self.number(value))?;
                        stage = 0;
                    }
                }
            }
        })
    }

    fn follow(&self, calls: &[Call], first: usize) -> Result<(Block, usize), Refutation> {
        // Before everything, for the initial value; ranks are shifted by one to make room.
        let mut block = Block { end: u64::from(NEVER) + 1, start: 0, first: first as u32 };
        if first == 0 {
            block.end = 0;
        }
        let mut length = usize::from(first == 0);
        for part in self.parts(calls, first) {
            let (end, start) = (u64::from(part.end) + 1, u64::from(part.start) + 1);
            if end < block.start {
                return Err(self.inside(calls, first, part, block.start - 1));
            }
            block.end = block.end.min(end);
            block.start = block.start.max(start);
            length += usize::from(!part.read);
        }
        Ok((block, length))
    }

    /// Within a block a later part ended before an earlier one began.
    fn inside(&self, calls: &[Call], first: usize, late: Part, start: u64) -> Refutation {
        let ended = self.who(calls, late, true);
        let mut few = vec![ended];
        let mut began = ended;
        for part in self.parts(calls, first) {
            if part.number == late.number && part.read == late.read {
                break;
            }
            if u64::from(part.start) == start {
                began = self.who(calls, part, false);
                few.push(began);
            } else if began != ended && !part.read {
                few.push(self.writer[part.number] as usize);
            }
        }
        few.extend((self.writer[late.number] != NONE).then_some(self.writer[late.number] as usize));
        let writers = few.clone();
        writers.iter().for_each(|&at| self.vouch(calls, at, &mut few));
        let text = format!(
            "call {} had returned before call {} began, but it needs what that one, or what followed from it, left",
            calls[ended].source, calls[began].source
        );
        Refutation { calls: few, stuck: ended, states: Vec::new(), text }
    }

    /// The call that gave a part its first end, or its last start.
    fn who(&self, calls: &[Call], part: Part, end: bool) -> usize {
        if !part.read {
            return self.writer[part.number] as usize;
        }
        let found = calls.iter().position(|call| {
            call.f == Function::Read && call.ok() && if end { call.end == part.end } else { call.start == part.start }
        });
        found.unwrap_or(0)
    }

    /// Compare-and-sets that need each other.
    fn circle(&self, calls: &[Call]) -> Refutation {
        let mut reached = vec![false; self.writer.len()];
        for number in 0..self.writer.len() {
            let writer = self.writer[number];
            if self.happened(calls, number)
                && (number == 0 || (writer != NONE && calls[writer as usize].f == Function::Write))
            {
                self.parts(calls, number).for_each(|part| reached[part.number] = true);
                reached[number] = true;
            }
        }
        let lost = (0..reached.len()).find(|&number| !reached[number] && self.happened(calls, number)).unwrap_or(0);
        // From any such value backwards one comes into the circle, and then round it.
        let back = |number: usize| expected(&calls[self.writer[number] as usize]).and_then(|value| self.number(value));
        let mut number = lost;
        for _ in 0..reached.len() {
            number = back(number).unwrap_or(number);
        }
        let (round, mut few) = (number, Vec::new());
        loop {
            few.push(self.writer[number] as usize);
            number = back(number).unwrap_or(round);
            if number == round {
                break;
            }
        }
        let stuck = few[0];
        let text = format!("{} compare-and-sets each need the value that another of them gave", few.len());
        Refutation { calls: few, stuck, states: Vec::new(), text }
    }
}

/// A block's first end and last start, each one more than the rank, and its first value.
#[derive(Clone, Copy, Debug)]
struct Block {
    end: u64,
    start: u64,
    first: u32,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    end: u32,
    start: u32,
    number: usize,
    read: bool,
}

/// Two blocks of which neither can come first.
fn conflict(values: &Values, calls: &[Call], mut blocks: Vec<Block>) -> Result<(), Refutation> {
    blocks.sort_unstable_by_key(|block| block.end);
    let mut reach: Option<Block> = None;
    for block in blocks {
        if let Some(open) = reach.filter(|open| block.end < open.start && open.end < block.start) {
            return Err(between(values, calls, open, block));
        }
        if block.end < block.start {
            reach = Some(block);
        }
    }
    Ok(())
}

fn between(values: &Values, calls: &[Call], a: Block, b: Block) -> Refutation {
    let mut few = Vec::new();
    let mut ends = |block: Block| {
        let parts: Vec<Part> = values.parts(calls, block.first as usize).collect();
        let at_end = parts.iter().position(|part| u64::from(part.end) + 1 == block.end);
        let at_start = parts.iter().position(|part| u64::from(part.start) + 1 == block.start);
        // From the one to the other nothing may be missing, or they would not be one block.
        let (from, to) = (at_end.unwrap_or(0), at_start.unwrap_or(0));
        for part in &parts[from.min(to)..=from.max(to)] {
            few.extend((values.writer[part.number] != NONE).then(|| values.writer[part.number] as usize));
        }
        let end = at_end.map(|at| values.who(calls, parts[at], true));
        let start = at_start.map(|at| values.who(calls, parts[at], false));
        few.extend(end);
        few.extend(start);
        (end, start)
    };
    let (end_a, start_a) = ends(a);
    let (end_b, start_b) = ends(b);
    let stuck = [start_a, start_b].into_iter().flatten().max_by_key(|&at| calls[at].start).unwrap_or(0);
    let writers = few.clone();
    writers.iter().for_each(|&at| values.vouch(calls, at, &mut few));
    let source = |at: Option<usize>| at.map_or("the beginning".to_string(), |at| format!("call {}", calls[at].source));
    let value = |block: Block| match values.writer[block.first as usize] {
        NONE => "the initial value".to_string(),
        writer => format!("the value {}", value_text(given(&calls[writer as usize]).unwrap_or(NIL as u32))),
    };
    let text = format!(
        "neither {} nor {}, each with what followed it, can come first: {} was over before {} began, and {} before {}",
        value(a),
        value(b),
        source(end_a),
        source(start_b),
        source(end_b),
        source(start_a)
    );
    Refutation { calls: few, stuck, states: Vec::new(), text }
}

fn value_text(value: u32) -> String {
    if value == NIL as u32 { "nil".to_string() } else { value.to_string() }
}

fn nowhere(calls: &[Call], at: usize, value: u32) -> Refutation {
    let text = format!("call {} saw the value {}, which nobody put in", calls[at].source, value_text(value));
    Refutation { calls: vec![at], stuck: at, states: Vec::new(), text }
}
