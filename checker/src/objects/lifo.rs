//! Stacks onto which every element was pushed once: decrease and conquer (Lee & Mathur, OOPSLA 2025).
//!
//! An element was certainly in from the end of its push to the start of its pop. At a moment that no element covers so, the
//! stack may be empty, and what is before and after can be judged apart. An element whose pop began before its push ended
//! never covers anything: both can take effect at one moment, wherever that is. While the stack is never empty the same element
//! is at the bottom, so somebody's push must fit before all that ended and somebody's pop after all that began; any element for which
//! that is so may be taken away, since below everything it hinders nobody. Then the rest is judged, which may fall apart again.
//!
//! ```text
//!   push(1)|--|                                   |--|pop→1     1 is at the bottom: take it away
//!               push(2)|--|  |--|pop→2                          2 alone, 3 alone: fine
//!                                   push(3)|--| |----|pop→3
//! ```
//!
//! Elements are numbered by the end of their push, so what is judged together is a range of numbers. Trees over the numbers
//! know where a range falls apart and who can be at the bottom: O(n log n). Where nobody can, and for pops that found nothing, see the
//! queue. An unknown pop may have taken what nobody else took: one way is tried, and whether too much would be enough; between the
//! two the search decides.

use super::calls::{Call, Function};
use super::puts::{FOREVER, NONE, Pair, Puts, calls_of, never_empty, pair_up};
use super::{Judged, Refutation};

/// Decides, or answers `None` where elements were pushed twice or too little is known.
pub(super) fn decide(calls: &[Call]) -> Option<Judged> {
    let puts = match pair_up(calls, Function::Push, Function::Pop)? {
        Ok(puts) => puts,
        Err(refutation) => return Some(Judged::Violated(refutation)),
    };
    if puts.perhaps.is_empty() {
        return Some(refute(calls, &puts).map_or(Judged::Holds, Judged::Violated));
    }
    if refute(calls, &guess(&puts)).is_none() {
        return Some(Judged::Holds);
    }
    // More than can be: whatever nobody took may have been taken by the first unknown pop.
    let mut most = Puts { pairs: puts.pairs.clone(), empties: puts.empties.clone(), perhaps: Vec::new() };
    for pair in most.pairs.iter_mut().filter(|pair| pair.calls.1 == NONE) {
        pair.taken.0 = puts.perhaps[0];
    }
    refute(calls, &most).map(Judged::Violated)
}

/// One way in which unknown pops may have taken what nobody else took: those first that stood on something that is out.
///
/// An element pushed after another one was in must be out, if it was in before the pop of that began, when that pop has ended;
/// the first such end is its limit. The earlier an unknown pop began, the less it hinders.
fn guess(puts: &Puts) -> Puts {
    let mut guessed = Puts { pairs: puts.pairs.clone(), empties: puts.empties.clone(), perhaps: Vec::new() };
    let mut loose = limits(puts);
    loose.sort_unstable();
    for (&(_, number), &start) in loose.iter().zip(&puts.perhaps) {
        guessed.pairs[number].taken.0 = start;
    }
    guessed
}

/// Elements that nobody took, each with its limit.
fn limits(puts: &Puts) -> Vec<(u32, usize)> {
    let pairs = &puts.pairs;
    let mut below: Vec<u32> =
        (0..pairs.len() as u32).filter(|&number| pairs[number as usize].calls.1 != NONE).collect();
    // The least end of a pop among those that began after some rank: a Fenwick tree over their starts, the last first.
    let mut starts: Vec<u32> = below.iter().map(|&number| pairs[number as usize].taken.0).collect();
    starts.sort_unstable();
    below.sort_unstable_by_key(|&number| pairs[number as usize].put.1);
    let mut least = vec![FOREVER; starts.len() + 1];
    let (mut next, mut found) = (0, Vec::new());
    for (number, pair) in pairs.iter().enumerate().filter(|(_, pair)| pair.calls.1 == NONE) {
        while next < below.len() && pairs[below[next] as usize].put.1 < pair.put.0 {
            let under = &pairs[below[next] as usize];
            let mut at = starts.len() - starts.partition_point(|&start| start < under.taken.0);
            while at < least.len() {
                least[at] = least[at].min(under.taken.1);
                at += at & at.wrapping_neg();
            }
            next += 1;
        }
        let mut at = starts.len() - starts.partition_point(|&start| start < pair.put.1);
        let mut limit = FOREVER;
        while at > 0 {
            limit = limit.min(least[at]);
            at -= at & at.wrapping_neg();
        }
        found.push((limit, number));
    }
    found
}

fn refute(calls: &[Call], puts: &Puts) -> Option<Refutation> {
    if let Some((at, cover)) = never_empty(calls, puts) {
        let mut few = calls_of(puts, &cover);
        few.push(at);
        let text = format!(
            "call {} found nothing, though at every moment while it was open one of {} elements was certainly in",
            calls[at].source,
            cover.len()
        );
        return Some(Refutation { calls: few, stuck: at, states: Vec::new(), text });
    }
    let mut staying: Vec<Pair> = puts.pairs.iter().copied().filter(Pair::stays).collect();
    staying.sort_unstable_by_key(|pair| pair.put.1);
    let bad = bottomless(&staying)?;
    let few = fewest(bad);
    let numbers: Vec<usize> = (0..few.len()).collect();
    let few = Puts { pairs: few, ..Puts::default() };
    let calls_in = calls_of(&few, &numbers);
    let stuck = calls_in.iter().copied().max_by_key(|&at| calls[at].end.min(FOREVER - 1))?;
    let elements: Vec<String> =
        few.pairs.iter().map(|pair| calls[pair.calls.0 as usize].input.to_string()).take(8).collect();
    let text = format!(
        "one of the elements {} must have been at the bottom, pushed before the others and popped after them, and none can have been",
        elements.join(", ")
    );
    Some(Refutation { calls: calls_in, stuck, states: Vec::new(), text })
}

/// Elements by the end of their push, each of which stays, that can't have been on one stack; `None` if there are none.
fn bottomless(staying: &[Pair]) -> Option<Vec<Pair>> {
    // What falls apart from the start is judged apart, with trees of its own.
    let mut first = 0;
    let mut reach = 0;
    for at in 0..=staying.len() {
        if at == staying.len() || (at > first && staying[at].put.1 > reach) {
            if at - first > 1
                && let Some(bad) = Region::new(&staying[first..at]).bad()
            {
                return Some(bad);
            }
            first = at;
            reach = 0;
        }
        if at < staying.len() {
            reach = reach.max(staying[at].taken.0);
        }
    }
    None
}

/// The same violation with fewer elements, as far as little time allows.
fn fewest(mut bad: Vec<Pair>) -> Vec<Pair> {
    let mut work: usize = 4_000_000;
    let mut size = bad.len().div_ceil(2).max(1);
    loop {
        let (mut at, mut gone) = (0, false);
        while at < bad.len() && bad.len() > 1 {
            if work < bad.len() * 8 {
                return bad;
            }
            work -= bad.len() * 8;
            let mut fewer = bad.clone();
            fewer.drain(at..(at + size).min(bad.len()));
            match bottomless(&fewer) {
                Some(fewer) => (bad, gone) = (fewer, true),
                None => at += size,
            }
        }
        match (size, gone) {
            (1, false) => return bad,
            (1, true) => {}
            _ => size = size.div_ceil(2),
        }
    }
}

/// Elements that cover a time without a gap, to be taken away one by one.
struct Region<'a> {
    pairs: &'a [Pair],
    alive: Vec<bool>,
    /// For each number how many living ones of lower number are certainly in when its push ends.
    cover: Cover,
    /// The start of the pop of the living.
    pops: Most,
    /// How early the pushes of those began that were not yet candidates for the bottom, the other way round.
    early: Most,
    /// The end of the pop of candidates.
    candidates: Most,
}

impl<'a> Region<'a> {
    fn new(pairs: &'a [Pair]) -> Self {
        let len = pairs.len();
        let mut counts = vec![0_i32; len + 1];
        for number in 0..len {
            let (from, to) = Self::covered(pairs, number);
            counts[from] += 1;
            counts[to] -= 1;
        }
        let mut sum = 0;
        let cover = counts[..len].iter().map(|change| {
            sum += change;
            sum
        });
        let cover = Cover::new(cover);
        Region {
            pairs,
            alive: vec![true; len],
            cover,
            pops: Most::new(pairs.iter().map(|pair| pair.taken.0)),
            early: Most::new(pairs.iter().map(|pair| FOREVER - pair.put.0)),
            candidates: Most::new(pairs.iter().map(|_| 0)),
        }
    }

    /// The numbers at whose push's end the element is certainly in.
    fn covered(pairs: &[Pair], number: usize) -> (usize, usize) {
        let until = pairs[number].taken.0;
        (number + 1, pairs.partition_point(|other| other.put.1 < until).max(number + 1))
    }

    /// Elements of which none can be at the bottom.
    fn bad(mut self) -> Option<Vec<Pair>> {
        self.cover.settle(0);
        let mut work = vec![(0, self.pairs.len())];
        while let Some((from, to)) = work.pop() {
            if let Some(gap) = self.cover.zero(from + 1, to) {
                self.cover.settle(gap);
                work.push((gap, to));
                work.push((from, gap));
                continue;
            }
            let last = self.pops.most(from, to);
            if last.0 == 0 {
                continue;
            }
            // The first living one: all before it are gone, and it fell apart from them, or it is the first of the range.
            let Some(first) = (from..to).find(|&number| self.alive[number]) else { continue };
            if !self.take_bottom(first, from, to, last.0) {
                return Some(
                    (from..to).filter(|&number| self.alive[number]).map(|number| self.pairs[number]).collect(),
                );
            }
            work.push((from, to));
        }
        None
    }

    /// Takes away an element of the range that can be at the bottom, if there is one.
    fn take_bottom(&mut self, first: usize, from: usize, to: usize, last: u32) -> bool {
        let begins = self.pairs[first].put.1;
        loop {
            let (early, number) = self.early.most(from, to);
            if early == 0 || FOREVER - early > begins {
                break;
            }
            self.early.set(number, 0);
            self.candidates.set(number, self.pairs[number].taken.1);
        }
        let (end, number) = self.candidates.most(from, to);
        if end == 0 || end < last {
            return false;
        }
        self.alive[number] = false;
        self.candidates.set(number, 0);
        self.pops.set(number, 0);
        let (from, to) = Self::covered(self.pairs, number);
        self.cover.less(from, to);
        true
    }
}

/// A tree of maxima over numbers; 0 is nothing.
struct Most {
    size: usize,
    tree: Vec<u32>,
}

impl Most {
    fn new(values: impl ExactSizeIterator<Item = u32>) -> Self {
        let size = values.len().next_power_of_two();
        let mut tree = vec![0; 2 * size];
        for (at, value) in values.enumerate() {
            tree[size + at] = value;
        }
        for at in (1..size).rev() {
            tree[at] = tree[2 * at].max(tree[2 * at + 1]);
        }
        Most { size, tree }
    }

    fn set(&mut self, at: usize, value: u32) {
        let mut at = at + self.size;
        self.tree[at] = value;
        while at > 1 {
            at /= 2;
            let value = self.tree[2 * at].max(self.tree[2 * at + 1]);
            if self.tree[at] == value {
                break;
            }
            self.tree[at] = value;
        }
    }

    /// The largest in a range that isn't empty, and where.
    fn most(&self, from: usize, to: usize) -> (u32, usize) {
        let (mut low, mut high) = (from + self.size, to + self.size);
        let (mut most, mut node) = (0, low);
        while low < high {
            if low % 2 == 1 {
                if self.tree[low] > most {
                    (most, node) = (self.tree[low], low);
                }
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                if self.tree[high] > most {
                    (most, node) = (self.tree[high], high);
                }
            }
            low /= 2;
            high /= 2;
        }
        while node < self.size {
            node = if self.tree[2 * node] == most { 2 * node } else { 2 * node + 1 };
        }
        (most, node - self.size)
    }
}

/// Counts that fall, range by range, and where they reach 0. Each node holds its least less what is added above.
struct Cover {
    size: usize,
    least: Vec<i32>,
    added: Vec<i32>,
}

/// High enough that it never falls to 0.
const SETTLED: i32 = i32::MAX / 2;

impl Cover {
    fn new(counts: impl ExactSizeIterator<Item = i32>) -> Self {
        let size = counts.len().next_power_of_two();
        let mut least = vec![SETTLED; 2 * size];
        for (at, count) in counts.enumerate() {
            least[size + at] = count;
        }
        for at in (1..size).rev() {
            least[at] = least[2 * at].min(least[2 * at + 1]);
        }
        Cover { size, least, added: vec![0; size] }
    }

    fn apply(&mut self, node: usize, change: i32) {
        self.least[node] += change;
        if node < self.size {
            self.added[node] += change;
        }
    }

    fn build(&mut self, leaf: usize) {
        let mut node = leaf / 2;
        while node >= 1 {
            self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]) + self.added[node];
            node /= 2;
        }
    }

    /// One less from `from` to before `to`.
    fn less(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let (mut low, mut high) = (from + self.size, to + self.size);
        while low < high {
            if low % 2 == 1 {
                self.apply(low, -1);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                self.apply(high, -1);
            }
            low /= 2;
            high /= 2;
        }
        self.build(from + self.size);
        self.build(to - 1 + self.size);
    }

    /// Never to be found again.
    fn settle(&mut self, at: usize) {
        self.apply(at + self.size, SETTLED);
        self.build(at + self.size);
    }

    /// A place in the range where the count is 0.
    fn zero(&self, from: usize, to: usize) -> Option<usize> {
        if from >= to {
            return None;
        }
        let (mut low, mut high) = (from + self.size, to + self.size);
        while low < high {
            if low % 2 == 1 {
                if let Some(found) = self.zero_below(low) {
                    return Some(found);
                }
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                if let Some(found) = self.zero_below(high) {
                    return Some(found);
                }
            }
            low /= 2;
            high /= 2;
        }
        None
    }

    fn zero_below(&self, node: usize) -> Option<usize> {
        let mut above = 0;
        let mut up = node / 2;
        while up >= 1 {
            above += self.added[up];
            up /= 2;
        }
        if self.least[node] + above != 0 {
            return None;
        }
        let mut node = node;
        while node < self.size {
            above += self.added[node];
            node = if self.least[2 * node] + above == 0 { 2 * node } else { 2 * node + 1 };
        }
        Some(node - self.size)
    }
}
