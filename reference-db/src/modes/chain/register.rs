//! Which configuration follows: agreed on by a majority of all nodes, one decision for each epoch.
//!
//! like: Paxos (Lamport 2001), single decree. Van Renesse & Schneider leave the configuration to a master that never fails; this is that master, made of the same
//! nodes. A decree for each epoch is simpler than a leader with a log: there is one small value, changed rarely, each a step from the one before, so whoever
//! proposes one must know its predecessor and hands it over with the proposal. Epochs have no gaps, so a node that missed some needs only the newest.
//!
//! What is promised and accepted is on disk before it is told. Whoever has *accepted* a successor grants the old tail no lease any more, so once the successor is
//! decided no majority can, and what was granted runs out. A mere promise stops no lease: a proposal that comes to nothing harms nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use crate::store::{Store, StoreError};

/// Where the configuration is kept.
const DECIDED: &str = "chain-configuration";
/// Where the answers to proposals are kept.
const PROMISE: &str = "chain-promise";

/// What nodes tell each other to agree. `after` is the configuration that the decision follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Agreement {
    /// Who will hear of no lower ballot?
    Prepare {
        /// What the decision follows.
        after: Configuration,
        /// The ballot.
        ballot: u64,
    },
    /// I won't, and this I have accepted.
    Promised {
        /// The epoch to be decided.
        epoch: u64,
        /// The ballot.
        ballot: u64,
        /// The newest ballot that was accepted, and for what.
        accepted: Option<(u64, Configuration)>,
    },
    /// Accept this.
    Accept {
        /// What the decision follows.
        after: Configuration,
        /// The ballot.
        ballot: u64,
        /// The configuration.
        next: Configuration,
    },
    /// I have.
    Accepted {
        /// The epoch to be decided.
        epoch: u64,
        /// The ballot.
        ballot: u64,
    },
    /// A higher ballot is under way.
    Overtaken {
        /// The epoch to be decided.
        epoch: u64,
        /// The higher ballot.
        ballot: u64,
    },
    /// This is decided.
    Decided(Configuration),
}

/// What this node has promised about the epoch after the decided one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Promise {
    epoch: u64,
    ballot: u64,
    accepted: Option<(u64, Configuration)>,
}

/// A proposal of this node.
struct Proposal {
    ballot: u64,
    wanted: Configuration,
    /// What is being accepted, once a majority has promised.
    next: Option<Configuration>,
    promised: BTreeMap<String, Option<(u64, Configuration)>>,
    accepted: Vec<String>,
}

/// What an agreement's message leads to.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// An answer to whoever sent it.
    Answer(Agreement),
    /// A question to everybody, oneself included.
    AskAll(Agreement),
}

/// A node's part in the decisions.
pub struct Register {
    /// The newest configuration that this node knows to be decided.
    pub decided: Configuration,
    promise: Promise,
    proposal: Option<Proposal>,
    /// The highest ballot that was heard of for the next epoch.
    highest: u64,
    /// Since when a successor is accepted here and not decided.
    undecided_since: Option<Duration>,
    me: u64,
    nodes: u64,
}

impl Register {
    /// As the store left it; the first configuration where there is none.
    pub fn recover(store: &Store, nodes: &[String], me: &str) -> Result<Register, StoreError> {
        let decided = store.meta(DECIDED)?.map(|text| serde_json::from_str::<Configuration>(&text)).transpose()?;
        let promise = store.meta(PROMISE)?.map(|text| serde_json::from_str::<Promise>(&text)).transpose()?;
        let promise = promise.unwrap_or_default();
        let at = nodes.iter().position(|node| node == me).unwrap_or(0);
        let decided = decided.unwrap_or_else(|| Configuration::first(nodes));
        let open = promise.epoch > decided.epoch && promise.accepted.is_some();
        Ok(Register {
            decided,
            highest: promise.ballot,
            undecided_since: open.then_some(Duration::ZERO),
            promise,
            proposal: None,
            me: at as u64,
            nodes: nodes.len() as u64,
        })
    }

    /// Takes a decision. True if it is news.
    pub fn learn(&mut self, store: &mut Store, decided: &Configuration) -> Result<bool, StoreError> {
        if decided.epoch <= self.decided.epoch {
            return Ok(false);
        }
        store.set_meta(DECIDED, &serde_json::to_string(decided)?)?;
        self.decided = decided.clone();
        self.proposal = None;
        if self.promise.epoch <= decided.epoch {
            self.highest = 0;
            self.undecided_since = None;
        }
        Ok(true)
    }

    /// Whether this node has accepted a successor of `epoch`: then the tail of that epoch gets no lease from it.
    pub fn has_accepted_after(&self, epoch: u64) -> bool {
        self.decided.epoch > epoch || (self.promise.epoch > epoch && self.promise.accepted.is_some())
    }

    /// For how long a successor has been accepted here without being decided: whoever proposed it may be gone.
    pub fn undecided_for(&self, now: Duration) -> Option<Duration> {
        self.undecided_since.map(|since| now.saturating_sub(since))
    }

    /// What this node has accepted as the successor.
    pub fn accepted(&self) -> Option<Configuration> {
        let current = self.promise.epoch == self.decided.epoch + 1;
        self.promise.accepted.as_ref().filter(|_| current).map(|(_, next)| next.clone())
    }

    /// Begins to propose `wanted`, or begins anew under a higher ballot. The ballot is promised here at once, so that no later life uses it again.
    pub fn propose(&mut self, store: &mut Store, wanted: Configuration) -> Result<Effect, StoreError> {
        let epoch = self.decided.epoch + 1;
        let round = self.highest / self.nodes + 1;
        let ballot = round * self.nodes + self.me;
        let accepted = self.promise.accepted.clone().filter(|_| self.promise.epoch == epoch);
        self.keep(store, Promise { epoch, ballot, accepted })?;
        self.proposal = Some(Proposal { ballot, wanted, next: None, promised: BTreeMap::new(), accepted: Vec::new() });
        Ok(Effect::AskAll(Agreement::Prepare { after: self.decided.clone(), ballot }))
    }

    /// A message arrived whose `after`, if any, was learned already.
    pub fn receive(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        message: Agreement,
    ) -> Result<Option<Effect>, StoreError> {
        match message {
            Agreement::Prepare { after, ballot } => self.prepare(store, after.epoch + 1, ballot).map(Some),
            Agreement::Accept { after, ballot, next } => {
                self.accept(store, now, (after.epoch + 1, ballot), next).map(Some)
            }
            Agreement::Promised { epoch, ballot, accepted } => Ok(self.promised(from, (epoch, ballot), accepted)),
            Agreement::Accepted { epoch, ballot } => Ok(self.counted(from, (epoch, ballot))),
            Agreement::Overtaken { epoch, ballot } => {
                if epoch == self.decided.epoch + 1 {
                    self.highest = self.highest.max(ballot);
                }
                Ok(None)
            }
            Agreement::Decided(_) => Ok(None),
        }
    }

    fn prepare(&mut self, store: &mut Store, epoch: u64, ballot: u64) -> Result<Effect, StoreError> {
        if let Some(refusal) = self.refuse(epoch, ballot) {
            return Ok(Effect::Answer(refusal));
        }
        let accepted = self.promise.accepted.take().filter(|_| self.promise.epoch == epoch);
        self.keep(store, Promise { epoch, ballot, accepted: accepted.clone() })?;
        Ok(Effect::Answer(Agreement::Promised { epoch, ballot, accepted }))
    }

    fn accept(
        &mut self,
        store: &mut Store,
        now: Duration,
        (epoch, ballot): (u64, u64),
        next: Configuration,
    ) -> Result<Effect, StoreError> {
        if let Some(refusal) = self.refuse(epoch, ballot) {
            return Ok(Effect::Answer(refusal));
        }
        self.keep(store, Promise { epoch, ballot, accepted: Some((ballot, next)) })?;
        self.undecided_since.get_or_insert(now);
        Ok(Effect::Answer(Agreement::Accepted { epoch, ballot }))
    }

    /// Why a ballot is not served, if it is not.
    fn refuse(&self, epoch: u64, ballot: u64) -> Option<Agreement> {
        if epoch <= self.decided.epoch {
            return Some(Agreement::Decided(self.decided.clone()));
        }
        let overtaken = self.promise.epoch == epoch && ballot < self.promise.ballot;
        overtaken.then_some(Agreement::Overtaken { epoch, ballot: self.promise.ballot })
    }

    fn keep(&mut self, store: &mut Store, promise: Promise) -> Result<(), StoreError> {
        self.highest = self.highest.max(promise.ballot);
        store.set_meta(PROMISE, &serde_json::to_string(&promise)?)?;
        self.promise = promise;
        Ok(())
    }

    /// The proposal under way, if an answer belongs to it.
    fn ours(&mut self, (epoch, ballot): (u64, u64)) -> Option<&mut Proposal> {
        let next = self.decided.epoch + 1;
        self.proposal.as_mut().filter(|proposal| epoch == next && ballot == proposal.ballot)
    }

    fn promised(&mut self, from: &str, at: (u64, u64), accepted: Option<(u64, Configuration)>) -> Option<Effect> {
        let majority = self.majority();
        let after = self.decided.clone();
        let proposal = self.ours(at)?;
        if proposal.next.is_some() {
            return None;
        }
        proposal.promised.insert(from.to_string(), accepted);
        if proposal.promised.len() < majority {
            return None;
        }
        // What may have been decided already is what must be proposed.
        let newest = proposal.promised.values().flatten().max_by_key(|(ballot, _)| *ballot);
        let next = newest.map_or_else(|| proposal.wanted.clone(), |(_, next)| next.clone());
        proposal.next = Some(next.clone());
        Some(Effect::AskAll(Agreement::Accept { after, ballot: at.1, next }))
    }

    fn counted(&mut self, from: &str, at: (u64, u64)) -> Option<Effect> {
        let majority = self.majority();
        let proposal = self.ours(at)?;
        if !proposal.accepted.iter().any(|known| known == from) {
            proposal.accepted.push(from.to_string());
        }
        let next = proposal.next.clone()?;
        (proposal.accepted.len() >= majority).then_some(Effect::AskAll(Agreement::Decided(next)))
    }

    /// How many nodes are more than half.
    pub fn majority(&self) -> usize {
        self.nodes as usize / 2 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Fsync;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn names() -> Vec<String> {
        NAMES.map(str::to_string).to_vec()
    }

    fn hand(register: &mut Register, store: &mut Store, from: &str, message: Agreement) -> Option<Effect> {
        let after = match &message {
            Agreement::Prepare { after, .. } | Agreement::Accept { after, .. } | Agreement::Decided(after) => {
                Some(after)
            }
            _ => None,
        };
        if let Some(after) = after {
            register.learn(store, after).expect("the disk works");
        }
        register.receive(store, Duration::ZERO, from, message).expect("the disk works")
    }

    /// Two of three propose different successors; messages are lost, repeated and reordered, nodes start again from their disks.
    #[test]
    fn an_epoch_has_one_configuration_whatever_is_lost() {
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let dirs = NAMES.map(|_| tempfile::tempdir().expect("a directory"));
            let open = |at: usize| {
                let store = Store::open(dirs[at].path(), Fsync::Never).expect("a store");
                let register = Register::recover(&store, &names(), NAMES[at]).expect("a register");
                (store, register)
            };
            let mut nodes: Vec<(Store, Register)> = (0..3).map(open).collect();
            let mut flying: Vec<(usize, usize, Agreement)> = Vec::new();
            let mut decided: BTreeMap<u64, Configuration> = BTreeMap::new();
            for _ in 0..600 {
                match rng.random_range(0..30) {
                    0 => {
                        let at = rng.random_range(0..3);
                        nodes[at].0.commit().expect("the disk works");
                        nodes[at] = open(at);
                    }
                    1 | 2 => {
                        let at = rng.random_range(0..2);
                        let after = nodes[at].1.decided.clone();
                        let wanted =
                            Configuration { epoch: after.epoch + 1, chain: vec![NAMES[at].to_string()], joining: None };
                        let (store, register) = &mut nodes[at];
                        let effect = register.propose(store, wanted).expect("the disk works");
                        store.commit().expect("the disk works");
                        let Effect::AskAll(message) = effect else { continue };
                        flying.extend((0..3).map(|to| (at, to, message.clone())));
                    }
                    _ if flying.is_empty() => {}
                    _ => {
                        let at = rng.random_range(0..flying.len());
                        let again = rng.random_range(0..10) == 0;
                        let (from, to, message) = if again { flying[at].clone() } else { flying.swap_remove(at) };
                        if rng.random_range(0..10) == 0 {
                            continue;
                        }
                        if let Agreement::Decided(configuration) = &message {
                            let known = decided.entry(configuration.epoch).or_insert_with(|| configuration.clone());
                            assert_eq!(known, configuration, "seed {seed}");
                        }
                        let (store, register) = &mut nodes[to];
                        let effect = hand(register, store, NAMES[from], message);
                        store.commit().expect("the disk works");
                        match effect {
                            Some(Effect::Answer(answer)) => flying.push((to, from, answer)),
                            Some(Effect::AskAll(question)) => {
                                flying.extend((0..3).map(|other| (to, other, question.clone())));
                            }
                            None => {}
                        }
                    }
                }
            }
            assert!(!decided.is_empty(), "seed {seed} decided nothing");
        }
    }

    #[test]
    fn an_accepted_successor_ends_the_lease_and_a_promise_does_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path(), Fsync::Never).expect("a store");
        let mut register = Register::recover(&store, &names(), "a").expect("a register");
        let after = register.decided.clone();
        let next = Configuration { epoch: 2, chain: vec!["a".to_string()], joining: None };
        hand(&mut register, &mut store, "b", Agreement::Prepare { after: after.clone(), ballot: 4 });
        assert!(!register.has_accepted_after(1));
        hand(&mut register, &mut store, "b", Agreement::Accept { after: after.clone(), ballot: 4, next: next.clone() });
        assert!(register.has_accepted_after(1));
        let lower = hand(&mut register, &mut store, "c", Agreement::Prepare { after, ballot: 3 });
        assert_eq!(lower, Some(Effect::Answer(Agreement::Overtaken { epoch: 2, ballot: 4 })));
        store.commit().expect("the disk works");
        let again = Register::recover(&store, &names(), "a").expect("a register");
        assert_eq!(again.accepted(), Some(next));
    }
}
