//! Who leads: time-outs, terms, and why an acknowledged write survives the loss of one node.
//!
//! A vote is two things at once. It is a *promise*: who grants a term adopts it on disk and refuses every lower one from then on, so the position that
//! it reports with the vote is final. And it is a *census*: the candidate hands the term to the most advanced log among those that granted.
//! A semi-synchronous write is on the leader and one follower; when all nodes but one have answered, that follower is among them, or the leader is.
//!
//! A question (`trial`) goes first and changes nothing, so that a node which alone has lost its leader disturbs nobody (Ongaro 2014, §9.6).

use std::collections::BTreeMap;
use std::time::Duration;

use super::replication::Leading;
use super::{Message, NEVER, Node, Position, Role};
use crate::config::{Ack, Failover, OnSyncLoss};
use crate::mode::{Output, Ticket};
use crate::operation::{Code, Refusal, Reply};
use crate::store::{Store, StoreError};

/// How long a trial waits for all but one before a majority will do.
const TRIAL: Duration = Duration::from_millis(60);
/// How often those that have not granted are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// For so many time-outs a leader may hear no follower at all before it makes room.
const DEAF: u32 = 2;
/// How often the founder of a cluster asks those that are still being started.
const FOUNDING: Duration = Duration::from_millis(15);
/// How long an operator's request to lead may take.
const PROMOTION_LIMIT: Duration = Duration::from_secs(5);

/// A canvass under way.
pub struct Canvass {
    trial: bool,
    force: bool,
    term: u64,
    since: Duration,
    /// When those that have not answered are asked again.
    again: Duration,
    /// The leader that an operator wants to be replaced, until it is known to have stepped down.
    deposes: Option<String>,
    answers: BTreeMap<String, Answer>,
}

impl Canvass {
    fn granted_by(&self, node: &str) -> bool {
        self.answers.get(node).is_some_and(|answer| answer.granted)
    }
}

/// What one node answered.
pub struct Answer {
    pub term: u64,
    pub granted: bool,
    pub alive: bool,
    pub last: Position,
}

impl Node {
    /// Time passed.
    pub fn tick(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if self.ends {
            out.push(Output::End);
        }
        self.expire_promotion(now, out);
        self.ask_how_far(now, out);
        match &self.role {
            Role::Leader(_) => {
                self.lead_on(now, out);
                self.withdraw(now, out);
            }
            Role::Follower if now >= self.election_due => self.time_out(store, now, out)?,
            Role::Follower => {}
            Role::Candidate(_) => self.count(store, now, out)?,
        }
        Ok(())
    }

    fn time_out(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        match self.policy.failover {
            Failover::Auto | Failover::Manual | Failover::Controller => self.canvass(store, now, true, false, out),
            // Without failover the first node leads whenever it runs, under a term of its own: nobody else ever begins one.
            Failover::Off => {
                let term = self.term + 1;
                let me = self.me.name.clone();
                self.adopt(store, term, Some(&me))?;
                self.lead(store, now, Duration::ZERO, out)
            }
        }
    }

    /// Asks everybody, first whether they would grant the next term, then for it.
    pub fn canvass(
        &mut self,
        store: &mut Store,
        now: Duration,
        trial: bool,
        force: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let term = self.term + 1;
        if !trial {
            let me = self.me.name.clone();
            self.adopt(store, term, Some(&me))?;
            out.push(Output::Say(format!("asks for term {term}, log at {:?}", self.last)));
        }
        let deposes = self.leader.take().filter(|_| force);
        let again = now + self.ask_again();
        self.role =
            Role::Candidate(Canvass { trial, force, term, since: now, again, deposes, answers: BTreeMap::new() });
        self.ask_others(now, out);
        self.count(store, now, out)
    }

    /// Asks those that have not granted yet: a question may have been lost with a broken connection, and its answer may be the one that counts.
    fn ask_others(&mut self, now: Duration, out: &mut Vec<Output>) {
        let again = now + self.ask_again();
        let Role::Candidate(canvass) = &mut self.role else { return };
        canvass.again = again;
        let (term, trial, force) = (canvass.term, canvass.trial, canvass.force);
        let silent: Vec<String> = match &self.role {
            Role::Candidate(canvass) => self.others().filter(|other| !canvass.granted_by(other)).cloned().collect(),
            _ => Vec::new(),
        };
        out.extend(silent.iter().map(|other| self.send(other, Message::Canvass { term, trial, force })));
    }

    /// Somebody asks for a term.
    pub fn canvassed_by(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        (asked, trial, force): (u64, bool, bool),
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let alive = !force && self.hears_a_leader(now);
        let again = asked == self.term && self.voted.as_deref() == Some(from);
        let bound = !force && !again && now < self.bound_until;
        let yields = !self.is_leader() || self.is_fenced() || force;
        let granted = (asked > self.term || again) && !alive && !bound && yields;
        if granted && !trial && !again {
            self.step_down(now, &format!("{from} asks for term {asked}"), out);
            self.adopt(store, asked, Some(from))?;
            self.may_lead = Some(asked);
            self.resumes = false;
        }
        let answer = Message::Canvassed { asked, trial, term: self.term, granted, alive, last: self.last };
        out.push(self.send(from, answer));
        Ok(())
    }

    /// Whether this node has reason to believe that a leader lives: it is one that a majority confirms, or it heard one within the time-out.
    fn hears_a_leader(&self, now: Duration) -> bool {
        let timeout = self.policy.failover_timeout;
        match &self.role {
            Role::Leader(leading) => leading.confirmed_by(now, timeout) + 1 >= self.majority(),
            Role::Follower => self.leader.is_some() && now.saturating_sub(self.heard) < timeout,
            Role::Candidate(_) => false,
        }
    }

    /// An answer arrived.
    pub fn answered(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        (asked, trial): (u64, bool),
        answer: Answer,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let theirs = answer.term;
        match &mut self.role {
            Role::Candidate(canvass) if canvass.term == asked && canvass.trial == trial => {
                canvass.answers.insert(from.to_string(), answer);
            }
            _ => return Ok(()),
        }
        if theirs > self.term && theirs >= asked && !trial {
            // Another candidate was faster; let it win.
            self.adopt(store, theirs, None)?;
            self.give_up(now);
            return Ok(());
        }
        if theirs > self.term && trial {
            self.adopt(store, theirs, None)?;
        }
        self.count(store, now, out)
    }

    fn give_up(&mut self, now: Duration) {
        self.role = Role::Follower;
        if self.founds() || self.resumes || self.watches() {
            self.election_due = now + self.patience() / 2;
        } else {
            self.election_due = NEVER;
        }
    }

    fn ask_again(&self) -> Duration {
        if self.founds() { FOUNDING } else { ASK_AGAIN }
    }

    /// Whether this node is to found the cluster: nobody has led yet, and the others are still being started.
    fn founds(&self) -> bool {
        self.term == 0 && self.me.nodes.first() == Some(&self.me.name)
    }

    /// Decides whether enough has been heard.
    fn count(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Role::Candidate(canvass) = &self.role else { return Ok(()) };
        let granted = 1 + canvass.answers.values().filter(|answer| answer.granted).count();
        let heard_of_leader = canvass.answers.values().any(|answer| answer.alive);
        let waited = now.saturating_sub(canvass.since);
        let nodes = self.me.nodes.len();
        let patience = if canvass.trial { TRIAL } else { self.policy.failover_timeout };
        // Whom an operator replaces is worth waiting for: once it has stepped down, its lease is over.
        let stands = canvass.deposes.as_ref().is_some_and(|leader| !canvass.granted_by(leader)) && waited < TRIAL;
        let enough = (granted + 1 >= nodes && !stands) || waited >= patience;
        let (trial, force, ask) = (canvass.trial, canvass.force, now >= canvass.again);
        if heard_of_leader && !force {
            self.give_up(now);
        } else if enough && granted >= self.needed() {
            if trial { self.canvass(store, now, false, force, out)? } else { self.decide(store, now, out)? }
        } else if waited >= self.policy.failover_timeout * 2 {
            self.give_up(now);
        } else if ask {
            self.ask_others(now, out);
        }
        Ok(())
    }

    /// How many must grant a term, this node among them. A controller that replaces a leader is content with one follower.
    fn needed(&self) -> usize {
        if self.controller() == Some(&self.me.name) { 2 } else { self.majority() }
    }

    /// The term is ours: the most advanced log of those that granted it shall lead. An operator's choice stands if it loses nothing.
    fn decide(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let Role::Candidate(canvass) = &self.role else { return Ok(()) };
        let leased = self.policy.lease && canvass.deposes.as_ref().is_some_and(|leader| !canvass.granted_by(leader));
        let quiet = if leased { self.policy.failover_timeout } else { Duration::ZERO };
        let controller = self.controller();
        let granted =
            canvass.answers.iter().filter(|(name, answer)| answer.granted && controller.is_none_or(|it| it != *name));
        let best = granted.max_by_key(|(_, answer)| answer.last).map(|(name, answer)| (name.clone(), answer.last));
        let never = controller == Some(&self.me.name);
        match best {
            Some((name, last)) if never || last > self.last => {
                out.push(Output::Say(format!("hands term {} to {name}, whose log is at {last:?}", self.term)));
                out.push(self.send(&name, Message::Lead { term: self.term, quiet }));
                self.role = Role::Follower;
                self.heard = now;
                self.rest(now);
                Ok(())
            }
            _ if never => {
                self.give_up(now);
                Ok(())
            }
            _ => self.lead(store, now, quiet, out),
        }
    }

    /// The owner of a term hands it to us. Only who granted that term in this life and has not led it yet takes it: a message that arrives twice, or
    /// after a restart, begins nothing.
    pub fn told_to_lead(
        &mut self,
        store: &mut Store,
        now: Duration,
        (term, quiet): (u64, Duration),
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let ours = term == self.term && self.may_lead == Some(term) && !self.is_leader();
        if ours { self.lead(store, now, quiet, out) } else { Ok(()) }
    }

    /// Begins to lead the current term, with an entry that marks its beginning. Nothing is acknowledged before `quiet` is over: that long a deposed
    /// leader that has not been heard of may still answer reads under its lease.
    fn lead(
        &mut self,
        store: &mut Store,
        now: Duration,
        quiet: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let entry = self.entry(Vec::new());
        out.push(Output::Say(format!("leads term {} from entry {}", self.term, entry.index)));
        let others: Vec<String> = self.others().cloned().collect();
        self.role = Role::Leader(Leading::new(&others, entry.index, now, now + quiet));
        self.may_lead = None;
        self.resumes = false;
        self.leader = Some(self.me.name.clone());
        self.incoming = None;
        self.suspect = false;
        store.set_meta("led", &self.term.to_string())?;
        self.find_oldest(store)?;
        self.write(store, entry)?;
        if let Some((ticket, _)) = self.promotion.take() {
            out.push(Output::Reply(ticket, Ok(self.empty_reply())));
        }
        Ok(())
    }

    fn empty_reply(&self) -> Reply {
        Reply { node: self.me.name.clone(), results: Vec::new(), version: None, contexts: Vec::new() }
    }

    /// An operator asks this node to lead: planned, through the living leader, or in its absence by canvass.
    pub fn promote(
        &mut self,
        store: &mut Store,
        now: Duration,
        ticket: Ticket,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if self.is_leader() {
            out.push(Output::Reply(ticket, Ok(self.empty_reply())));
            return Ok(());
        }
        let controls = self.controller() == Some(&self.me.name);
        if self.policy.failover == Failover::Off || controls {
            let why =
                if controls { "the controller never leads" } else { "with --failover off nobody can be promoted" };
            let refusal = Refusal::definite(Code::Unsupported, why);
            out.push(Output::Reply(ticket, Err(refusal)));
            return Ok(());
        }
        self.promotion = Some((ticket, now + PROMOTION_LIMIT));
        match self.leader.clone() {
            Some(leader) if self.hears_a_leader(now) => {
                out.push(self.send(&leader, Message::Handover));
                Ok(())
            }
            _ => self.canvass(store, now, false, true, out),
        }
    }

    /// The leader has drained: everything that it acknowledged is here.
    pub fn take_over(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let asking = matches!(&self.role, Role::Candidate(canvass) if canvass.force);
        let wanted = self.promotion.is_some() && !self.is_leader() && !asking;
        if wanted { self.canvass(store, now, false, true, out) } else { Ok(()) }
    }

    /// A leader that no follower answers any more makes room where it can only do harm: it holds those that still hear *it* back from electing one that
    /// can be spoken to. One that may acknowledge alone, or may not be replaced, stays.
    fn withdraw(&mut self, now: Duration, out: &mut Vec<Output>) {
        let Role::Leader(leading) = &self.role else { return };
        let replaceable = self.policy.failover == Failover::Auto && self.is_fenced() && self.me.nodes.len() > 2;
        let waits = self.policy.ack != Ack::Async && self.policy.on_sync_loss == OnSyncLoss::Wait;
        let alone = now.saturating_sub(leading.since) >= self.policy.failover_timeout * DEAF
            && leading.confirmed_by(now, self.policy.failover_timeout * DEAF) == 0;
        if replaceable && waits && alone {
            self.step_down(now, "no follower answers", out);
        }
    }

    fn expire_promotion(&mut self, now: Duration, out: &mut Vec<Output>) {
        if let Some((ticket, deadline)) = self.promotion
            && now >= deadline
        {
            self.promotion = None;
            let refusal = Refusal::unknown(Code::Timeout, "the promotion did not finish in time");
            out.push(Output::Reply(ticket, Err(refusal)));
        }
    }
}
