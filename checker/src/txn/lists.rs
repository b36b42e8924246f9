//! The order of a key's versions, from the lists that were read.
//!
//! Of each key the longest list so far is kept. Every list should be a beginning of it, or continue it; one that is neither is *odd* and
//! kept in full. When all are read, a key with odd lists is settled: the longest list of all wins, the first of several, and what
//! does not agree with it is odd.

use super::transactions::{NIL, NOBODY, ODD, OddRead, Step, Transactions};

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
    /// The version that a read of `list` by step `step` saw; keeps the list where it is odd.
    pub fn meet(&mut self, list: &[u32], step: u32, odd: &mut Vec<OddRead>) -> u32 {
        let Some(&last) = list.last() else { return NIL };
        let common = self.versions.len().min(list.len());
        if self.versions[..common] != list[..common] {
            self.odd = true;
            odd.push(OddRead { step, versions: list.to_vec() });
            return ODD;
        }
        if list.len() > common {
            self.versions.extend_from_slice(&list[common..]);
        }
        last
    }
}

/// Settles what each key's order is, and which reads contradict it.
pub(super) fn settle(out: &mut Transactions, mut lists: Vec<ListState>) {
    lists.resize_with(out.keys.len(), ListState::default);
    for key in 0..lists.len() {
        // A list that shows an element twice has no last version that names its length.
        let twice = has_double(&lists[key].versions);
        if lists[key].odd || twice {
            settle_key(out, key as u32, &mut lists[key].versions, twice);
        }
    }
    out.odd.sort_by_key(|odd| odd.step);
    let total: usize = lists.iter().map(|list| list.versions.len()).sum();
    out.order_first = Vec::with_capacity(lists.len() + 1);
    out.orders = Vec::with_capacity(total);
    out.place = vec![NOBODY; out.version_key.len()];
    for list in lists {
        out.order_first.push(out.orders.len() as u32);
        for &version in &list.versions {
            let place = &mut out.place[version as usize];
            // What stands twice counts where it stood first.
            if *place == NOBODY {
                *place = out.orders.len() as u32 - out.order_first[out.order_first.len() - 1];
                out.orders.push(version);
            }
        }
    }
    out.order_first.push(out.orders.len() as u32);
}

fn has_double(versions: &[u32]) -> bool {
    // Versions get their numbers when they are first seen, so in a healthy list most rise; sorting is only for the others.
    if versions.windows(2).all(|pair| pair[0] < pair[1]) {
        return false;
    }
    let mut sorted = versions.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// Chooses the longest of all lists of a key, without what stands in it twice, and tells the reads anew that don't fit.
fn settle_key(out: &mut Transactions, key: u32, versions: &mut Vec<u32>, twice: bool) {
    let mut odd: Vec<OddRead> = Vec::new();
    out.odd.retain(|it| {
        let ours = out.steps[it.step as usize].key() == key;
        if ours {
            odd.push(it.clone());
        }
        !ours
    });
    let old = versions.clone();
    if let Some(longest) = odd.iter().map(|it| &it.versions).max_by(|a, b| a.len().cmp(&b.len()).then(std::cmp::Ordering::Greater))
        && longest.len() > versions.len()
    {
        *versions = longest.clone();
    }
    let fits = |list: &[u32], versions: &[u32]| versions.starts_with(list) && !has_double(list);
    let moved = *versions != old;
    if moved || twice {
        for at in 0..out.steps.len() {
            let step = out.steps[at];
            if step.key() != key || step.writes() || step.version >= ODD - 1 {
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
