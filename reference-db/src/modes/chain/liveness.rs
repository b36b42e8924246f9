//! Who is alive, how long the tail may answer, and when another configuration is proposed.
//!
//! Each node lets all others hear it and is answered. The answers of a majority are the tail's lease; silence of a neighbour is what repair begins with.
//! Only nodes of the chain propose: they alone know that they are complete.

use std::time::Duration;

use rand::RngExt as _;

use super::configuration::Configuration;
use super::register::{Agreement, Effect};
use super::{BEAT, Message, Node, SILENCE};
use crate::mode::Output;
use crate::store::{Store, StoreError};

/// A proposal that comes to nothing is made again after at least so long, and up to twice that by chance, so that two proposers do not meet for ever.
const PROPOSE_AGAIN: Duration = Duration::from_millis(120);
/// A successor that was accepted and not decided for so long is proposed again by whoever accepted it.
const FINISH: Duration = Duration::from_millis(250);
/// A node that took no step for so long was paused: the silence was its own.
const AWAY: Duration = Duration::from_millis(200);
/// Who lacks no more entries than this joins.
const NEAR: u64 = 64;

impl Node {
    /// Time passed.
    pub fn tick(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if now.saturating_sub(self.ticked) > AWAY {
            self.heard.values_mut().for_each(|heard| *heard = now);
        }
        self.ticked = now;
        if now >= self.beat_due {
            self.beat_due = now + BEAT;
            let beat = Message::Beat { configuration: self.configuration().clone(), sent: now };
            out.push(Output::SendAll(self.others(), crate::mode::Message::Chain(beat)));
        }
        self.choose_learner(now);
        self.expire(now, out);
        if now >= self.propose_due
            && self.is_complete()
            && let Some(wanted) = self.wanted(now)
        {
            self.propose_due = now + PROPOSE_AGAIN + PROPOSE_AGAIN.mul_f64(self.rng.random_range(0.0..1.0));
            let effect = self.register.propose(store, wanted)?;
            self.carry(&self.me.name.clone(), effect, out);
        }
        Ok(())
    }

    /// Whether a node was silent too long.
    pub fn is_dead(&self, node: &str, now: Duration) -> bool {
        self.heard.get(node).is_none_or(|heard| now.saturating_sub(*heard) > SILENCE)
    }

    /// The configuration that should come next, as far as this node of the chain can see.
    fn wanted(&self, now: Duration) -> Option<Configuration> {
        if self.register.undecided_for(now).is_some_and(|since| since >= FINISH) {
            return self.register.accepted();
        }
        let configuration = self.configuration();
        let repaired = configuration.without_dead_neighbours(&self.me.name, |node| self.is_dead(node, now));
        if repaired.is_some() || !self.is_tail() {
            return repaired;
        }
        let next = self.downstream.as_ref().filter(|next| next.confirmed)?;
        match &configuration.joining {
            // It has what earlier tails acknowledged, and this one acknowledges nothing that it lacks.
            Some(_) => configuration.with_joined().filter(|_| next.matching >= self.inherited),
            None => configuration.with_joining(&next.name).filter(|_| next.matching + NEAR >= self.log.last.1),
        }
    }

    /// Somebody is alive.
    pub fn beaten(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        (theirs, sent): (&Configuration, Duration),
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.learn(store, now, theirs, out)?;
        if theirs.epoch < self.epoch() {
            let decided = Agreement::Decided(self.configuration().clone());
            out.push(self.send(from, Message::Agree(decided)));
        }
        let grants = !self.register.has_accepted_after(theirs.epoch);
        out.push(self.send(from, Message::Echo { epoch: theirs.epoch, sent, grants }));
        Ok(())
    }

    /// Until when no successor of this configuration can be decided without a majority having granted this tail's beats before: a new tail is quiet for
    /// [`SILENCE`] after the decision, and a quarter is left for clocks that run at different speeds.
    pub fn lease_until(&self) -> Duration {
        if self.register.has_accepted_after(self.epoch()) {
            return Duration::ZERO;
        }
        let mut sent: Vec<Duration> = self.granted.values().copied().collect();
        sent.sort_unstable_by(|a, b| b.cmp(a));
        match self.register.majority() - 1 {
            0 => Duration::MAX,
            others => sent.get(others - 1).map_or(Duration::ZERO, |sent| *sent + SILENCE * 3 / 4),
        }
    }

    /// A message about the configuration.
    pub fn agree(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        agreement: Agreement,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if let Agreement::Prepare { after: known, .. }
        | Agreement::Accept { after: known, .. }
        | Agreement::Decided(known) = &agreement
        {
            self.learn(store, now, known, out)?;
        }
        if let Some(effect) = self.register.receive(store, now, from, agreement)? {
            self.carry(from, effect, out);
        }
        Ok(())
    }

    fn carry(&self, from: &str, effect: Effect, out: &mut Vec<Output>) {
        match effect {
            Effect::Answer(answer) => out.push(self.send(from, Message::Agree(answer))),
            Effect::AskAll(question) => {
                let message = Message::Agree(question);
                out.push(self.send(&self.me.name, message.clone()));
                out.push(Output::SendAll(self.others(), crate::mode::Message::Chain(message)));
            }
        }
    }
}
