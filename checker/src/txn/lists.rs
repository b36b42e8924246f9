//! The order of a key's versions, from the lists that were read.
//!
//! Of each key the longest list so far is kept. Every list should be a beginning of it, or continue it; one that is neither is *odd* and
//! kept in full. When all are read, a key with odd lists is settled: the longest list of all wins, the first of several, and what
//! does not agree with it is odd.

use super::transactions::{LIMIT, NIL, NOBODY, ODD, OddRead, Step, Transactions};

/// What is known of a key's order.
#[derive(Default)]
pub(super) struct ListState {
    /// The longest list, as versions.
    pub versions: Vec<u32>,
    /// Its text, within its brackets, without space at its ends: a position and a length.
    pub text: (usize, usize),
    /// Whether some list contradicted it.
    pub odd: bool,
}

impl ListState {
    /// The version that a read of `list` by step `step` saw; keeps the list where it is odd. `placed` says of every version whether its
    /// key's longest list shows it.
    pub fn meet(&mut self, list: &[u32], step: u32, placed: &mut Placed, odd: &mut Vec<OddRead>) -> u32 {
        let Some(&last) = list.last() else { return NIL };
        let common = self.versions.len().min(list.len());
        if self.versions[..common] == list[..common] && self.extend(&list[common..], placed) {
            return last;
        }
        self.odd = true;
        odd.push(OddRead { step, versions: list.to_vec() });
        ODD
    }

    /// Makes the longest list longer, unless it would then show a version twice.
    pub fn extend(&mut self, more: &[u32], placed: &mut Placed) -> bool {
        for (at, &version) in more.iter().enumerate() {
            if !placed.set(version) {
                more[..at].iter().for_each(|&version| placed.clear(version));
                return false;
            }
        }
        self.versions.extend_from_slice(more);
        true
    }
}

/// Which versions the longest list of their key shows.
#[derive(Default)]
pub(super) struct Placed {
    flags: Vec<bool>,
}

impl Placed {
    /// Whether it was not set before.
    fn set(&mut self, version: u32) -> bool {
        let at = version as usize;
        if at >= self.flags.len() {
            self.flags.resize((at + 1).max(self.flags.len() * 2), false);
        }
        !std::mem::replace(&mut self.flags[at], true)
    }

    fn clear(&mut self, version: u32) {
        self.flags[version as usize] = false;
    }
}

/// Settles what each key's order is, and which reads contradict it.
pub(super) fn settle(out: &mut Transactions, mut lists: Vec<ListState>) {
    lists.resize_with(out.keys.len(), ListState::default);
    for (key, list) in lists.iter_mut().enumerate().filter(|(_, list)| list.odd) {
        settle_key(out, key as u32, &mut list.versions);
    }
    out.odd.sort_by_key(|odd| odd.step);
    let total: usize = lists.iter().map(|list| list.versions.len()).sum();
    out.order_first = Vec::with_capacity(lists.len() + 1);
    out.orders = Vec::with_capacity(total);
    out.place = vec![NOBODY; out.version_key.len()];
    for list in lists {
        out.order_first.push(out.orders.len() as u32);
        for (place, &version) in list.versions.iter().enumerate() {
            out.place[version as usize] = place as u32;
        }
        out.orders.extend_from_slice(&list.versions);
    }
    out.order_first.push(out.orders.len() as u32);
}

fn has_double(versions: &[u32]) -> bool {
    let mut sorted = versions.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// Chooses the longest of all lists of a key that show nothing twice, and tells the reads anew that don't fit.
fn settle_key(out: &mut Transactions, key: u32, versions: &mut Vec<u32>) {
    let (mut odd, others): (Vec<OddRead>, Vec<OddRead>) =
        std::mem::take(&mut out.odd).into_iter().partition(|it| out.steps[it.step as usize].key() == key);
    out.odd = others;
    let old = versions.clone();
    for it in &odd {
        if it.versions.len() > versions.len() && !has_double(&it.versions) {
            versions.clone_from(&it.versions);
        }
    }
    let fits = |list: &[u32], versions: &[u32]| versions.starts_with(list);
    if *versions != old {
        for at in 0..out.steps.len() {
            let step = out.steps[at];
            if step.key() != key || step.writes() || step.version >= LIMIT {
                continue;
            }
            let Some(end) = old.iter().position(|&version| version == step.version) else { continue };
            if !fits(&old[..=end], versions) {
                odd.push(OddRead { step: at as u32, versions: old[..=end].to_vec() });
                out.steps[at] = Step::read(key, ODD);
            }
        }
    }
    for it in odd {
        if fits(&it.versions, versions) {
            out.steps[it.step as usize] = Step::read(key, it.versions.last().copied().unwrap_or(NIL));
        } else {
            out.odd.push(it);
        }
    }
}
