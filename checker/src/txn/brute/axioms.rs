//! The weak levels on histories of any size, by their axiom alone.
//!
//! Whenever a transaction reads a key from one writer and sees another, the other comes before the first (Biswas & Enea, OOPSLA 2019,
//! section 2). Up to causal consistency what is seen does not depend on the commit order, so that the axiom is applied once and what is left
//! is whether the demands have a circle. Nothing is clever: a matrix, and every pair is looked at. Cost: cubic.

use super::{Source, shown_by, source_of, writes, written};
use crate::history::Outcome;
use crate::txn::levels::Level;
use crate::txn::transactions::{NOBODY, ODD, Shape, Transactions};

/// Whether some commit order explains the history, no order asked for; nothing at levels where what is seen depends on it, and of lists that
/// contradict each other.
pub fn weakly(level: Level, txns: &Transactions) -> Option<bool> {
    let odd = txns.steps.iter().any(|step| !step.writes() && step.version == ODD);
    if level > Level::Causal || odd {
        return None;
    }
    let n = txns.len();
    let ok = |t: usize| txns.txns[t].outcome == Outcome::Ok;
    let mut sources = vec![vec![false; n]; n];
    for t in (0..n).filter(|&t| ok(t)) {
        for at in txns.step_range(t as u32) {
            match source_of(txns, t, at, shown_by(txns, at)) {
                Source::Nobody => {}
                Source::Txn(from) if txns.txns[from].outcome != Outcome::Fail => sources[t][from] = true,
                Source::Txn(_) | Source::Missing => return Some(false),
            }
        }
    }
    // Of those with an unknown outcome, the ones that somebody saw took place.
    let mut counts: Vec<bool> = (0..n).map(ok).collect();
    for at in (0..n).filter(|&t| ok(t)).flat_map(|t| txns.step_range(t as u32)) {
        for writer in shown_by(txns, at).iter().map(|&version| txns.writer[version as usize]) {
            if writer == NOBODY || txns.txns[writer as usize].outcome == Outcome::Fail {
                return Some(false);
            }
            counts[writer as usize] = true;
        }
    }
    let mut demands = sources.clone();
    if txns.shape == Shape::Lists {
        ordered(txns, &counts, &mut demands);
    }
    let seen = if level == Level::Causal { closed(sources.clone()) } else { sources };
    for t in (0..n).filter(|&t| ok(t)) {
        if !applied(level, txns, t, &counts, &seen[t], &mut demands) {
            return Some(false);
        }
    }
    let after = closed(demands);
    Some((0..n).all(|t| !after[t][t]))
}

/// What lists show of the order: each append after the one before it, those that nobody saw after all others.
fn ordered(txns: &Transactions, counts: &[bool], demands: &mut [Vec<bool>]) {
    for key in 0..txns.keys.len() as u32 {
        let writers = txns.order(key).iter().map(|&version| txns.writer[version as usize]);
        let writers: Vec<usize> = writers.filter(|&writer| writer != NOBODY).map(|writer| writer as usize).collect();
        for pair in writers.windows(2).filter(|pair| pair[0] != pair[1]) {
            demands[pair[1]][pair[0]] = true;
        }
        let Some(&last) = writers.last() else { continue };
        for t in (0..txns.len()).filter(|&t| counts[t] && t != last && !writers.contains(&t) && writes(txns, t, key)) {
            demands[t][last] = true;
        }
    }
}

/// Adds what the reads of `t` demand; false if one of them can't be.
fn applied(
    level: Level,
    txns: &Transactions,
    t: usize,
    counts: &[bool],
    seen: &[bool],
    demands: &mut [Vec<bool>],
) -> bool {
    let range = txns.step_range(t as u32);
    let mut met = vec![false; txns.len()];
    for at in range.clone() {
        let step = txns.steps[at];
        if !step.reads() {
            continue;
        }
        let (key, shown) = (step.key(), shown_by(txns, at));
        let own: Vec<u32> = written(&txns.steps[range.start..at], key).collect();
        // A register shows the last own write; a list all of them, at its end.
        let others = match txns.shape {
            Shape::Registers if !own.is_empty() => {
                if shown.last() != own.last() {
                    return false;
                }
                continue;
            }
            Shape::Registers => shown,
            Shape::Lists => match shown.strip_suffix(own.as_slice()) {
                Some(others) => others,
                None => return false,
            },
        };
        let from = others.last().map(|&version| txns.writer[version as usize] as usize);
        // Own writes from later on, and what a writer replaced or added to itself.
        let whole = |&version: &u32| {
            let writer = txns.writer[version as usize];
            let all = written(txns.steps_of(writer), key);
            let left = match txns.shape {
                Shape::Registers => all.last() == Some(version),
                Shape::Lists => all.eq(others.iter().copied().filter(|&it| txns.writer[it as usize] == writer)),
            };
            left && writer != t as u32
        };
        if !others.iter().all(whole) {
            return false;
        }
        if let Source::Txn(from) = source_of(txns, t, at, shown) {
            met[from] = true;
        }
        let sees = |other: usize| if level == Level::ReadCommitted { met[other] } else { seen[other] };
        for other in (0..txns.len()).filter(|&it| counts[it] && it != t && Some(it) != from && writes(txns, it, key)) {
            match from {
                None if sees(other) => return false,
                Some(from) if sees(other) => demands[from][other] = true,
                _ => {}
            }
            // Who appends and then reads says that nothing else stands before.
            let unseen = txns.shape == Shape::Lists && !own.is_empty();
            if unseen && !written(txns.steps_of(other as u32), key).any(|version| others.contains(&version)) {
                demands[other][t] = true;
            }
        }
    }
    true
}

/// What comes before, transitively.
fn closed(mut before: Vec<Vec<bool>>) -> Vec<Vec<bool>> {
    let n = before.len();
    for middle in 0..n {
        let earlier = before[middle].clone();
        for later in before.iter_mut().filter(|later| later[middle]) {
            later.iter_mut().zip(&earlier).for_each(|(known, &more)| *known |= more);
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::brute::{Tried, source};
    use crate::txn::levels::Within;

    #[test]
    fn the_axiom_says_what_every_commit_order_says() {
        let mut seen = [[0; 2]; 3];
        for (shape, seed) in (0..6_000).flat_map(|seed| [(Shape::Lists, seed), (Shape::Registers, seed)]) {
            let txns = source::drawn(seed, shape, 6);
            if !txns.doubles.is_empty() {
                continue;
            }
            let tried = Tried::new(&txns);
            for (level, seen) in [Level::ReadCommitted, Level::ReadAtomic, Level::Causal].into_iter().zip(&mut seen) {
                let Some(weakly) = weakly(level, &txns) else { continue };
                let holds = tried.holds(level, Within::Nothing);
                assert_eq!(weakly, holds, "{shape:?} {seed} {level:?}: {:?} {:?}", txns.txns, txns.steps);
                seen[usize::from(holds)] += 1;
            }
        }
        assert!(seen.iter().all(|[violated, held]| violated * 20 > *held && held * 20 > *violated), "{seen:?}");
    }
}
