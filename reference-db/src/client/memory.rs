//! What a session, or a user with all devices, remembers of what was written and read.
//!
//! **Tokens.** A session's operations come one after the other, so its newest position stands for all. Devices of one user overlap: while one carries (2, 50), the
//! other may be answered at (3, 40), which need not contain it. So a memory keeps the newest position of *each term* until an answer to a request that carried it
//! proves that the history at the answer's position contains it. One in which two positions exclude each other is refused by every node.
//!
//! **A discarded token** ends the session of every device: whoever goes on without it would silently have lost what the user saw. The first device to be told
//! begins the memory anew; the others notice by its generation.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A position in the leader's log: term, then index.
type Position = (u64, u64);

/// So many keys are remembered one by one; whoever changed more may have changed any.
const OWN_KEYS: usize = 20_000;

/// What is remembered. Clones are the same memory, as an account's token store is one for all devices.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Of each term, the newest index that was seen.
    seen: BTreeMap<u64, u64>,
    own: HashSet<String>,
    generation: u64,
}

/// What a request carries, and what became of the memory since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The newest position.
    pub newest: Option<Position>,
    /// Those of earlier terms that are not known to be contained in it.
    pub earlier: Vec<Position>,
    /// Which life of the memory they are from.
    pub generation: u64,
}

impl Memory {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next request must carry.
    pub fn carried(&self) -> Carried {
        let inner = self.inner();
        let mut positions: Vec<Position> = inner.seen.iter().map(|(term, index)| (*term, *index)).collect();
        let newest = positions.pop();
        Carried { newest, earlier: positions, generation: inner.generation }
    }

    /// An answer at `position` to a request that carried `carried`: what was carried is part of that history.
    pub fn answered(&self, carried: &Carried, (term, index): Position) {
        let mut inner = self.inner();
        if inner.generation != carried.generation {
            return;
        }
        for (carried_term, carried_index) in carried.earlier.iter().chain(&carried.newest) {
            if *carried_term < term && inner.seen.get(carried_term) == Some(carried_index) {
                inner.seen.remove(carried_term);
            }
        }
        let newest = inner.seen.entry(term).or_default();
        *newest = index.max(*newest);
    }

    /// The tokens of this generation are worth nothing any more.
    pub fn discard(&self, generation: u64) {
        let mut inner = self.inner();
        if inner.generation == generation {
            inner.generation += 1;
            inner.seen.clear();
        }
    }

    /// Which life this is: it changes when tokens are discarded.
    pub fn generation(&self) -> u64 {
        self.inner().generation
    }

    /// Remembers that these keys may change, before anybody is asked to change them.
    pub fn changes<'a>(&self, keys: impl Iterator<Item = &'a str>) {
        let mut inner = self.inner();
        for key in keys {
            if inner.own.len() < OWN_KEYS && !inner.own.contains(key) {
                inner.own.insert(key.to_string());
            }
        }
    }

    /// Whether any of these keys may have been changed by whoever this memory belongs to.
    pub fn may_have_changed<'a>(&self, mut keys: impl Iterator<Item = &'a str>) -> bool {
        let inner = self.inner();
        inner.own.len() >= OWN_KEYS || keys.any(|key| inner.own.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_replaces_what_its_request_carried() {
        let memory = Memory::default();
        memory.answered(&memory.carried(), (2, 50));
        let carried = memory.carried();
        assert_eq!(carried.newest, Some((2, 50)));
        memory.answered(&carried, (3, 60));
        assert_eq!(memory.carried(), Carried { newest: Some((3, 60)), ..Carried::default() });
    }

    #[test]
    fn an_answer_that_overlapped_another_replaces_nothing_that_it_did_not_carry() {
        let memory = Memory::default();
        let early = memory.carried();
        memory.answered(&memory.carried(), (2, 50));
        memory.answered(&early, (3, 40));
        let carried = memory.carried();
        assert_eq!((carried.newest, carried.earlier.as_slice()), (Some((3, 40)), [(2, 50)].as_slice()));
        memory.answered(&carried, (3, 70));
        assert_eq!(memory.carried().earlier, [], "a node that knew both answered");
    }

    #[test]
    fn an_answer_from_behind_does_not_take_the_memory_back() {
        let memory = Memory::default();
        let early = memory.carried();
        memory.answered(&early, (2, 50));
        memory.answered(&early, (2, 40));
        assert_eq!(memory.carried().newest, Some((2, 50)));
    }

    #[test]
    fn what_was_asked_before_a_discard_says_nothing_afterwards() {
        let memory = Memory::default();
        memory.answered(&memory.carried(), (2, 50));
        let old = memory.carried();
        memory.discard(old.generation);
        memory.discard(old.generation);
        assert_eq!(memory.generation(), old.generation + 1, "two devices that are told at once begin one new life");
        memory.answered(&old, (2, 51));
        assert_eq!(memory.carried().newest, None);
    }

    #[test]
    fn whoever_changed_too_much_may_have_changed_anything() {
        let memory = Memory::default();
        memory.changes(["mine"].into_iter());
        assert!(memory.may_have_changed(["theirs", "mine"].into_iter()));
        assert!(!memory.may_have_changed(["theirs"].into_iter()));
        let many: Vec<String> = (0..OWN_KEYS).map(|key| key.to_string()).collect();
        memory.changes(many.iter().map(String::as_str));
        assert!(memory.may_have_changed(["theirs"].into_iter()));
    }
}
