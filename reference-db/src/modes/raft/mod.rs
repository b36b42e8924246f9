//! Consensus: a write is done when a majority has it on disk (Ongaro and Ousterhout 2014; Ongaro's dissertation). Like: etcd, TiKV, CockroachDB.
//!
//! **Library.** `raft` of TiKV (raft-rs), because it is a state machine without threads, sockets or clocks, as a mode is here: a seed repeats a whole history. `openraft` brings its own
//! tasks and timers, which would sit beside the node's thread and its group commit. raft-rs builds with Rust alone: its `protobuf-codec` brings a
//! `protoc` for its one schema (Linux on x86-64 and AArch64), where `prost-codec` asks for an installed one. Its decoder never sees what a peer sent: messages and
//! entries are JSON ([`wire`], [`log`]). Where it would end the process over a history that can't be, that is not passed on to it. Its election
//! time-outs are replaced by drawn ones of the node's seed, and its lease, which may outlast an election, by one of our own ([`read`]).
//!
//! **Order on disk.** Entries, term, vote, commit and the applied rows go into the node's one transaction, and what the library says afterwards leaves only when that is
//! fsynced: the leader's own vote for an entry counts no earlier than a follower's.
//!
//! **Writes** ([`write`]) are proposed at the leader and decided when they are applied, in log order, on every node alike; that includes compare-and-set. Who was
//! deposed before that answers *unknown*.
//!
//! **Reads** ([`read`]) are answered by the leader from applied rows, after a majority has confirmed that it still leads (`index`), or within a lease from the last such
//! confirmation (`lease`).
//!
//! **Elections**: pre-vote, so that a node that comes back deposes nobody; check-quorum, so that a leader without a majority steps down; an entry of the leader's
//! own opens each term. Time is the node's monotonic clock in ticks; those missed in a pause are made up for before anything else is heard.
//!
//! **Compaction**: a follower further back than `keep_log` gets a copy of the rows ([`copy`]).
//!
//! **Holds**: everything, as long as a majority keeps its disks. **Allows**: silence of a minority, and of everybody for an election.
//!
//! Left out: changes of membership, learners, follower reads, writes that leave before the leader's own fsync.

mod copy;
mod log;
mod read;
mod wire;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use raft::{RawNode, StateRole};

use self::copy::Copies;
use self::log::Log;
use self::read::Reads;
pub use self::wire::{Kind, Wire};
use self::write::Pending;
use super::Identity;
use super::leaderless::hash;
use crate::config::{Bug, Raft};
use crate::mode::{Input, Message as Packet, Output, Protocol, Status, Ticket};
use crate::operation::{Code, Refusal, Reply};
use crate::store::{Store, StoreError};

/// What the library counts as a moment.
const PERIOD: Duration = Duration::from_millis(10);
/// So many moments without a leader, and up to twice as many by chance, begin an election.
const ELECTION: usize = 60;
/// So many moments lie between heartbeats.
const HEARTBEAT: usize = 10;
/// How often the first node of a new cluster asks to lead it.
const FOUNDING: Duration = Duration::from_millis(50);
/// How often a leader is asked to hand over.
const ASKING: Duration = Duration::from_millis(100);
/// How long a request may wait before its outcome is called unknown.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of entries in one message, and messages on their way to one follower.
const MESSAGE: u64 = 1 << 20;
const WINDOW: usize = 256;

/// An operator's request.
struct Promotion {
    ticket: Ticket,
    deadline: Duration,
    ask_again: Duration,
}

/// A node of the mode.
pub struct Node {
    policy: Raft,
    me: Identity,
    raw: RawNode<Log>,
    /// Up to when moments have been counted.
    counted: Duration,
    /// Role, term and leader as they were said last.
    said: (StateRole, u64, u64),
    /// Writes of the current term that are not applied yet, in log order.
    writes: VecDeque<Pending>,
    reads: Reads,
    copies: Copies,
    /// An operator's request to lead that is not answered yet.
    promotion: Option<Promotion>,
    /// Until when it votes for nobody: in its last life it may have confirmed a lease.
    bound_until: Duration,
    /// When the founder asks next.
    founds: Option<Duration>,
}

impl Node {
    /// The node as its store left it.
    pub fn recover(policy: Raft, me: Identity, store: &mut Store, now: Duration) -> Result<Node, StoreError> {
        let log = Log::recover(store, (1..=me.nodes.len() as u64).collect())?;
        let new = log.last() == 0 && raft::Storage::initial_state(&log).is_ok_and(|state| state.hard_state.term == 0);
        let config = raft::Config {
            // A planted bug may have applied more than was committed.
            applied: log.applied().1.min(log.committed()),
            election_tick: ELECTION,
            heartbeat_tick: HEARTBEAT,
            max_size_per_msg: MESSAGE,
            max_inflight_msgs: WINDOW,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            ..raft::Config::new(number(&me, &me.name))
        };
        let silent = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, log, &silent).map_err(damaged)?;
        let founds = (new && me.nodes.first() == Some(&me.name)).then_some(now);
        let bound_until = if policy.lease && !new { now + PERIOD * ELECTION as u32 } else { now };
        Ok(Node {
            said: (raw.raft.state, raw.raft.term, 0),
            policy,
            me,
            raw,
            counted: now,
            writes: VecDeque::new(),
            reads: Reads::default(),
            copies: Copies::default(),
            promotion: None,
            bound_until,
            founds,
        })
    }

    fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    fn has_bug(&self, bug: Bug) -> bool {
        self.policy.bug == Some(bug)
    }

    /// A node's name; numbers count from 1, 0 is nobody.
    fn name(&self, number: u64) -> Option<&String> {
        self.me.nodes.get(number.checked_sub(1)? as usize)
    }

    /// Whom it follows, as far as it knows.
    fn leader(&self) -> Option<String> {
        self.name(self.raw.raft.leader_id).cloned()
    }

    /// Counts the moments since the last time. After a pause they come first: a node that has slept must not take an old message for a fresh one.
    fn catch_up(&mut self, now: Duration) {
        let missed = now.saturating_sub(self.counted).as_millis() / PERIOD.as_millis();
        if missed == 0 {
            return;
        }
        self.counted += PERIOD * missed.min(u128::from(u32::MAX)) as u32;
        for _ in 0..missed.min(2 * ELECTION as u128) {
            // As good as drawn anew for each election, and the same whenever the seed is.
            let raft = &mut self.raw.raft;
            let moment = [self.me.seed, raft.term, raft.raft_log.last_index()].map(|number| number.to_string());
            let drawn = hash(&moment.each_ref().map(String::as_str)) as usize % ELECTION;
            raft.set_randomized_election_timeout(ELECTION + drawn);
            self.raw.tick();
        }
    }

    /// A new cluster need not wait for a time-out: its first node asks until somebody leads.
    fn found(&mut self, now: Duration) {
        let Some(due) = self.founds else { return };
        if self.raw.raft.term > 0 {
            self.founds = None;
        } else if now >= due {
            self.founds = Some(now + FOUNDING);
            // Refused only where it makes no sense, such as on a leader.
            let _ = self.raw.campaign();
        }
    }

    fn hear(&mut self, now: Duration, from: &str, wire: Wire, out: &mut Vec<Output>) {
        let (sender, mine) = (number(&self.me, from), number(&self.me, &self.me.name));
        if sender == 0 || (matches!(wire.kind, Kind::Vote | Kind::PreVote) && now < self.bound_until) {
            return;
        }
        if !wire.plausible(self.raw.raft.raft_log.last_index()) || self.contradicts(&wire) {
            out.push(Output::Say(format!("{from} speaks of another history: {:?} after {}", wire.kind, wire.index)));
            return;
        }
        if wire.kind == Kind::Transfer {
            // Whoever leads no more can't hand over, and the library ends the process where it would pass the wish on.
            if !self.is_leader() || wire.term != self.raw.raft.term {
                return;
            }
            self.reads.forgo_lease();
        }
        // The library refuses what comes from nobody it knows.
        let _ = self.raw.step(wire.message(sender, mine));
    }

    /// Whether it would replace an entry that is committed here.
    fn contradicts(&self, wire: &Wire) -> bool {
        let log = &self.raw.raft.raft_log;
        let committed = log.first_index()..log.committed + 1;
        let entries = wire.entries.iter().zip(wire.index + 1..);
        let mut known = entries.filter(|(_, index)| committed.contains(index));
        // A deposed leader's are not taken anyway, and the answer tells it so.
        wire.kind == Kind::Append
            && wire.term >= self.raw.raft.term
            && log.match_term(wire.index, wire.log_term)
            && known.any(|((term, _), index)| !log.match_term(index, *term))
    }

    /// Says who leads, once for each change, and ends what belonged to the role that is over.
    fn note_role(&mut self, out: &mut Vec<Output>) {
        let raft = &self.raw.raft;
        let now = (raft.state, raft.term, raft.leader_id);
        if now == self.said {
            return;
        }
        if (now.0, now.1) != (self.said.0, self.said.1) {
            self.abandon(out);
        }
        let term = now.1;
        let text = match (now.0, self.leader()) {
            (StateRole::Leader, _) => format!("leads term {term}"),
            (StateRole::Follower, Some(leader)) => format!("follows {leader} in term {term}"),
            (StateRole::Follower, None) => format!("follows nobody in term {term}"),
            (StateRole::Candidate, _) => format!("is a candidate for term {term}"),
            (StateRole::PreCandidate, _) => format!("asks whether it could win term {}", term + 1),
        };
        self.said = now;
        out.push(Output::Say(text));
    }

    /// The term in which this node led is over.
    fn abandon(&mut self, out: &mut Vec<Output>) {
        let text = "this node stopped leading before a majority had confirmed";
        for pending in self.writes.drain(..) {
            out.push(Output::Reply(pending.ticket, Err(Refusal::unknown(Code::Deposed, text))));
        }
        for ticket in self.reads.abandon() {
            out.push(Output::Reply(ticket, Err(Refusal::definite(Code::Deposed, text))));
        }
    }

    /// Why a request can't be served here.
    fn not_leader(&self) -> Refusal {
        match self.leader().filter(|leader| *leader != self.me.name) {
            Some(leader) => Refusal {
                leader: Some(leader.clone()),
                ..Refusal::definite(Code::NotLeader, format!("{} does not lead, {leader} does", self.me.name))
            },
            None => Refusal::definite(Code::NoLeader, format!("{} knows no leader at the moment", self.me.name)),
        }
    }

    /// An operator's wish: the leader is asked to hand over; without one there is an election anyway.
    fn ask_to_lead(&mut self, now: Duration) {
        let Some(promotion) = &mut self.promotion else { return };
        if now < promotion.ask_again {
            return;
        }
        promotion.ask_again = now + ASKING;
        match self.raw.raft.leader_id {
            // Refused only on a leader.
            0 => drop(self.raw.campaign()),
            _ if self.is_leader() => {}
            _ => self.raw.transfer_leader(number(&self.me, &self.me.name)),
        }
    }

    fn answer_promotion(&mut self, now: Duration, out: &mut Vec<Output>) {
        let Some(Promotion { ticket, deadline, .. }) = self.promotion else { return };
        let reply = if self.is_leader() {
            Ok(Reply { node: self.me.name.clone(), results: Vec::new(), version: None, contexts: Vec::new() })
        } else if now >= deadline {
            Err(Refusal::unknown(Code::Timeout, format!("{} could not win an election in time", self.me.name)))
        } else {
            return;
        };
        self.promotion = None;
        out.push(Output::Reply(ticket, reply));
    }

    /// Carries out what the library wants until it wants nothing more. Everything goes into one transaction, which is committed before any output leaves.
    fn drain(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            let mut messages = ready.take_messages();
            messages.extend(ready.take_persisted_messages());
            let copy = ready.snapshot().get_metadata();
            if copy.index > 0 {
                self.install(store, (copy.term, copy.index), out)?;
            }
            self.apply(store, ready.committed_entries().last().map_or(0, |entry| entry.index), out)?;
            self.raw.mut_store().append(store, ready.take_entries())?;
            if let Some(hard) = ready.hs() {
                if !self.has_bug(Bug::ForgetVote) {
                    self.raw.mut_store().keep_vote(store, hard)?;
                }
                self.raw.mut_store().keep_commit(store, hard.commit)?;
            }
            for confirmed in ready.take_read_states() {
                self.reads.confirm(&confirmed.request_ctx, confirmed.index);
            }
            let mut rest = self.raw.advance_append(ready);
            if let Some(commit) = rest.commit_index() {
                self.raw.mut_store().keep_commit(store, commit)?;
            }
            messages.extend(rest.take_messages());
            let appended = if self.has_bug(Bug::ApplyUncommitted) { self.raw.store().last() } else { 0 };
            self.apply(store, rest.committed_entries().last().map_or(0, |entry| entry.index).max(appended), out)?;
            self.raw.advance_apply();
            for message in messages {
                self.send(now, message, out);
            }
        }
        Ok(())
    }

    fn send(&mut self, now: Duration, message: raft::eraftpb::Message, out: &mut Vec<Output>) {
        let Some(to) = self.name(message.to).cloned() else { return };
        if message.msg_type == raft::eraftpb::MessageType::MsgSnapshot {
            self.copies.sent(message.to, now);
            out.push(Output::Snapshot(to, message.term));
        } else if let Some(wire) = Wire::new(message) {
            out.push(Output::Send(to, Packet::Raft(wire)));
        }
    }
}

/// A node's number in the library: its place among the names, from 1; 0 for a stranger.
fn number(me: &Identity, name: &str) -> u64 {
    me.nodes.iter().position(|node| node == name).map_or(0, |at| at as u64 + 1)
}

/// The library refused what the store holds.
fn damaged(error: raft::Error) -> StoreError {
    StoreError::Damaged(<serde_json::Error as serde::de::Error>::custom(error))
}

impl Protocol for Node {
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        self.catch_up(now);
        // Before anything of the new role can wait for an answer.
        self.note_role(&mut out);
        match input {
            Input::Tick => {
                self.found(now);
                self.ask_to_lead(now);
                self.mind_copies(now);
            }
            Input::Client { ticket, request } => self.request(now, ticket, request, &mut out),
            Input::Peer { from, message: Packet::Raft(wire) } => self.hear(now, &from, wire, &mut out),
            Input::Peer { from, message: Packet::Leader(message) } => {
                self.receive_copy(store, now, &from, message, &mut out)?;
            }
            Input::Promote { ticket } => {
                if let Some(earlier) = self.promotion.take() {
                    let text = "another request to lead took this one's place";
                    out.push(Output::Reply(earlier.ticket, Err(Refusal::unknown(Code::Timeout, text))));
                }
                self.promotion = Some(Promotion { ticket, deadline: now + PATIENCE, ask_again: now });
                self.ask_to_lead(now);
            }
            Input::Replica { ticket, .. } => out.push(Output::no_coordination(ticket)),
            Input::Peer { .. } => {}
        }
        self.note_role(&mut out);
        Ok(out)
    }

    fn settle(&mut self, store: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        self.drain(store, now, &mut out)?;
        self.note_role(&mut out);
        self.ask_whether_it_leads(now);
        self.drain(store, now, &mut out)?;
        self.note_role(&mut out);
        self.serve_reads(store, now, &mut out)?;
        self.give_up_late(now, &mut out);
        self.answer_promotion(now, &mut out);
        self.raw.mut_store().compact(store, self.me.keep_log)?;
        Ok(out)
    }

    fn status(&self) -> Status {
        let raft = &self.raw.raft;
        let role = match raft.state {
            StateRole::Leader => "leader",
            StateRole::Follower => "follower",
            StateRole::Candidate | StateRole::PreCandidate => "candidate",
        };
        let (term, position) = self.raw.store().applied();
        let mut followers = BTreeMap::new();
        if self.is_leader() {
            let known = raft.prs().iter().filter(|(number, _)| **number != raft.id);
            followers
                .extend(known.filter_map(|(number, progress)| Some((self.name(*number)?.clone(), progress.matched))));
        }
        Status {
            role: role.to_string(),
            term: raft.term,
            leader: self.leader(),
            position,
            position_term: term,
            committed: raft.raft_log.committed,
            followers,
            ready: raft.leader_id > 0 && position > 0,
            ..Status::default()
        }
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let (rounds, leased) = self.reads.counted();
        vec![("read_rounds", rounds), ("leased_reads", leased), ("copies_installed", self.copies.installed())]
    }
}
