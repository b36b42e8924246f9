//! Which version of a key stands directly before which.
//!
//! Of lists the longest read says it all: a version comes after the one before it, and an append that no read shows comes after the last
//! one shown. Of registers nothing is known but what can be inferred (Elle, VLDB 2020, section 4.3), from the weakest assumption to the strongest:
//!
//! | source | v before v' when |
//! |---|---|
//! | initial state | v is the initial state |
//! | writes follow reads (`wfr-keys`) | a transaction read v and then wrote v' |
//! | sequential keys | a process touched v, and a later transaction of it v' |
//! | linearizable keys | a transaction that touched v completed before one that touched v' was invoked |
//!
//! The second holds wherever reading what is not committed (G1) is excluded: were v' before v, the writer of v would come before its reader by `wr` and after it by
//! `ww`. So it is always used, marked [`INFERRED`](super::dependencies::relation::INFERRED), and only a G0 may not rest on it unless asked for. A
//! source that makes a key's versions cyclic is reported and not used for that key.

use super::transactions::{LIMIT, NIL, NOBODY, Shape, Transactions};
use crate::history::Outcome;

/// What to assume of a register's versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assume {
    /// A transaction's write follows what it read of the key, also for the weakest models.
    pub writes_follow_reads: bool,
    /// Every key is sequentially consistent.
    pub sequential_keys: bool,
    /// Every key is linearizable.
    pub linearizable_keys: bool,
}

/// A key whose inferred order is circular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CyclicKey {
    /// The key.
    pub key: u32,
    /// The versions, each before the next and the last before the first.
    pub versions: Vec<u32>,
    /// The source that closed the circle.
    pub source: &'static str,
}

/// The order of versions.
pub struct Versions {
    /// For registers: where the predecessors of each version begin.
    first: Vec<u32>,
    before: Vec<u32>,
    /// Registers whose inference was circular.
    pub cyclic: Vec<CyclicKey>,
}

/// Marks a predecessor that is only inferred from a transaction's own read.
const SOFT: u32 = 1 << 31;

impl Versions {
    /// The order of the versions of `txns`.
    pub fn new(txns: &Transactions, assume: Assume) -> Versions {
        if txns.shape == Shape::Lists {
            return Versions { first: Vec::new(), before: Vec::new(), cyclic: Vec::new() };
        }
        infer(txns, assume)
    }

    /// Calls `each` with every version directly before `version` (perhaps [`NIL`]) and the mark of an inferred one.
    #[inline]
    pub fn before(&self, txns: &Transactions, key: u32, version: u32, each: &mut impl FnMut(u32, u8)) {
        if txns.shape == Shape::Lists {
            let order = txns.order(key);
            match txns.place[version as usize] {
                0 => each(NIL, 0),
                NOBODY => each(order.last().copied().unwrap_or(NIL), 0),
                place => each(order[place as usize - 1], 0),
            }
            return;
        }
        let (from, to) = (self.first[version as usize] as usize, self.first[version as usize + 1] as usize);
        if from == to {
            each(NIL, 0);
        }
        for &before in &self.before[from..to] {
            if before >= LIMIT {
                each(before, 0);
            } else {
                let inferred = if before & SOFT != 0 { super::dependencies::relation::INFERRED } else { 0 };
                each(before & !SOFT, inferred);
            }
        }
    }
}

/// A pair of versions of one key: the second comes after the first.
type Pair = (u32, u32);

fn infer(txns: &Transactions, assume: Assume) -> Versions {
    let versions = txns.version_key.len();
    let mut cyclic = Vec::new();
    let mut pairs = own_reads(txns);
    let soft = if assume.writes_follow_reads { 0 } else { SOFT };
    circles(txns, &mut pairs, &[], "writes follow reads", &mut cyclic);
    let mut all: Vec<Pair> = pairs.iter().map(|&(before, after)| (before | soft, after)).collect();
    for (used, source, find) in [
        (assume.sequential_keys, "sequential keys", by_process as fn(&Transactions) -> Vec<Pair>),
        (assume.linearizable_keys, "linearizable keys", by_real_time),
    ] {
        if used {
            let mut more = find(txns);
            circles(txns, &mut more, &pairs, source, &mut cyclic);
            pairs.extend_from_slice(&more);
            all.extend(more);
        }
    }
    all.sort_unstable_by_key(|&(before, after)| (after, before & !SOFT, before));
    all.dedup_by_key(|&mut (before, after)| (after, before & !SOFT));
    let mut first = vec![0; versions + 1];
    for &(_, after) in &all {
        first[after as usize + 1] += 1;
    }
    for at in 0..versions {
        first[at + 1] += first[at];
    }
    Versions { first, before: all.into_iter().map(|(before, _)| before).collect(), cyclic }
}

/// What a transaction read of a key before it wrote it, and each of its writes before the next.
fn own_reads(txns: &Transactions) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut touched: Vec<Pair> = Vec::new();
    for txn in 0..txns.len() as u32 {
        if txns.txns[txn as usize].outcome == Outcome::Fail {
            continue;
        }
        touched.clear();
        for step in txns.steps_of(txn) {
            let last = touched.iter_mut().find(|(key, _)| *key == step.key());
            if step.writes() {
                if let Some(&mut (_, before)) = last
                    && before < LIMIT
                    && before != step.version
                    && txns.writer[before as usize] != NOBODY
                {
                    pairs.push((before, step.version));
                }
            } else if step.version >= LIMIT || txns.txns[txn as usize].outcome != Outcome::Ok {
                // What a transaction of unknown outcome read means nothing.
                continue;
            }
            match touched.iter_mut().find(|(key, _)| *key == step.key()) {
                Some(known) => known.1 = step.version,
                None => touched.push((step.key(), step.version)),
            }
        }
    }
    pairs
}

/// The first and the last version of each key that a committed transaction touched: (key, first, last).
fn touched(txns: &Transactions, txn: u32, out: &mut Vec<(u32, u32, u32)>) {
    out.clear();
    if txns.txns[txn as usize].outcome != Outcome::Ok {
        return;
    }
    for step in txns.steps_of(txn).iter().filter(|step| step.version < LIMIT) {
        match out.iter_mut().find(|(key, _, _)| *key == step.key()) {
            Some(known) => known.2 = step.version,
            None => out.push((step.key(), step.version, step.version)),
        }
    }
}

/// Versions in the order in which a process touched them.
fn by_process(txns: &Transactions) -> Vec<Pair> {
    let mut latest: rustc_hash::FxHashMap<(u32, u32), u32> = rustc_hash::FxHashMap::default();
    let (mut pairs, mut keys) = (Vec::new(), Vec::new());
    for txn in 0..txns.len() as u32 {
        let process = txns.txns[txn as usize].process;
        touched(txns, txn, &mut keys);
        for &(key, first, last) in &keys {
            if let Some(before) = latest.insert((process, key), last)
                && before != first
            {
                pairs.push((before, first));
            }
        }
    }
    pairs
}

/// Versions in the order of real time: for each key a transaction's first version after the last of those that completed before it and
/// that no other such follows. As many pairs as transactions times those concurrent with each.
fn by_real_time(txns: &Transactions) -> Vec<Pair> {
    let mut by_key: Vec<Vec<(u32, u32, u32, u32)>> = vec![Vec::new(); txns.keys.len()];
    let mut keys = Vec::new();
    for txn in 0..txns.len() as u32 {
        touched(txns, txn, &mut keys);
        let it = txns.txns[txn as usize];
        for &(key, first, last) in &keys {
            by_key[key as usize].push((it.start, it.end, first, last));
        }
    }
    let mut pairs = Vec::new();
    for calls in by_key {
        // Open ends, oldest first: those completed before this start that are not followed by another completed one.
        let mut frontier: Vec<(u32, u32, u32)> = Vec::new();
        let mut waiting: std::collections::BinaryHeap<std::cmp::Reverse<(u32, u32, u32)>> = Default::default();
        for (start, end, first, last) in calls {
            while let Some(&std::cmp::Reverse((ended, began, version))) = waiting.peek() {
                if ended >= start {
                    break;
                }
                waiting.pop();
                frontier.retain(|&(before_end, _, _)| before_end >= began);
                frontier.push((ended, began, version));
            }
            pairs.extend(frontier.iter().map(|&(_, _, before)| (before, first)).filter(|(a, b)| a != b));
            if end < LIMIT {
                waiting.push(std::cmp::Reverse((end, start, last)));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Takes out of `pairs` those of keys whose versions they make circular together with `known`, and reports one circle for each such key.
fn circles(txns: &Transactions, pairs: &mut Vec<Pair>, known: &[Pair], source: &'static str, out: &mut Vec<CyclicKey>) {
    let versions = txns.version_key.len();
    let mut after: Vec<Vec<u32>> = Vec::new();
    // Kahn's algorithm over all keys at once: what cannot be taken away lies on a circle, or behind one.
    let mut waits = vec![0_u32; versions];
    after.resize_with(versions, Vec::new);
    for &(before, later) in pairs.iter().chain(known) {
        after[before as usize].push(later);
        waits[later as usize] += 1;
    }
    let mut free: Vec<u32> = (0..versions as u32).filter(|&version| waits[version as usize] == 0).collect();
    let mut taken = 0;
    while let Some(version) = free.pop() {
        taken += 1;
        for &later in &after[version as usize] {
            waits[later as usize] -= 1;
            if waits[later as usize] == 0 {
                free.push(later);
            }
        }
    }
    if taken == versions {
        return;
    }
    let mut bad: Vec<u32> =
        (0..versions).filter(|&version| waits[version] > 0).map(|version| txns.version_key[version]).collect();
    bad.sort_unstable();
    bad.dedup();
    for &key in &bad {
        if let Some(circle) = circle(txns, key, &after, &waits) {
            out.push(CyclicKey { key, versions: circle, source });
        }
    }
    pairs.retain(|&(before, _)| bad.binary_search(&txns.version_key[before as usize]).is_err());
}

/// A shortest circle among the versions of `key` that were left.
fn circle(txns: &Transactions, key: u32, after: &[Vec<u32>], waits: &[u32]) -> Option<Vec<u32>> {
    const STARTS: usize = 200;
    let left = (0..waits.len()).filter(|&version| waits[version] > 0 && txns.version_key[version] == key);
    let mut best: Option<Vec<u32>> = None;
    for start in left.take(STARTS) {
        let start = start as u32;
        let mut from: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(version) = queue.pop_front() {
            if after[version as usize].contains(&start) {
                let mut path = vec![version];
                while let Some(&before) = path.last().and_then(|last| from.get(last)) {
                    path.push(before);
                }
                path.reverse();
                if best.as_ref().is_none_or(|best| path.len() < best.len()) {
                    best = Some(path);
                }
                break;
            }
            for &later in &after[version as usize] {
                if waits[later as usize] > 0 && later != start && !from.contains_key(&later) {
                    from.insert(later, version);
                    queue.push_back(later);
                }
            }
        }
    }
    best
}
