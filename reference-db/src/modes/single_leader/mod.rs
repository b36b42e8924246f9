//! One leader orders all writes; followers copy its log (DDIA, chapter 5, "Leaders and Followers").
//!
//! **Log.** Rows: each entry carries what its transaction's keys hold afterwards. An entry is applied when it is appended, on leader and
//! follower alike, with an undo image beside it, so that a tail which a failover discards can be taken back. Entries leave for the followers after
//! the leader's own fsync, in one message for a whole batch.
//!
//! What else can travel, and what that does to followers, is decided in [`statements`]; how it leaves where triggers wrote it down, in [`ship`]; where it is
//! no entries at all but the pages of SQLite's own log, in [`pages`].
//!
//! **Acknowledgement.** A position is *committed* once enough disks have it: the leader's alone (`async`), one named follower's too (`semi-sync`;
//! another takes its place when it lags for [`SYNC_PATIENCE`]), or every follower's (`sync`). A write is acknowledged when its position is
//! committed, and a leader answers a read only then too: a value that only the leader has may vanish with it. For the same reason a node that led
//! answers no read until a later leader has confirmed or taken back its newest entries.
//!
//! **Failover** ([`election`]). A node that has not heard its leader for the time-out canvasses the others. Whoever grants adopts the new term
//! first, and from then on refuses the old leader (fencing): what it reported is final. The candidate waits until all but one have answered, or until
//! a stated time has passed and a majority has, and hands the term to the most advanced log that it heard of. So with one node harmed an
//! acknowledged write survives; when the leader and its synchronous follower are away *together* it may not. The deposed leader's tail is taken
//! back when the new leader's first entry arrives, and kept in a file.
//!
//! With `--failover manual` the same canvass begins only when an operator asks, or when the node that led last starts again. A leader that must wait for
//! followers and hears none makes room. A node that starts grants nothing for one time-out: before, it may have confirmed a lease.
//!
//! With `--failover controller` the last node alone watches the leader (like: MySQL Orchestrator, Redis Sentinel with one sentinel). It follows too, so that it knows the leader
//! as the others do and asks them before it believes in a death; but it never leads and is no synchronous follower, so that no single fault takes the leader and its guard.
//! It needs no majority: two nodes of five may replace a leader that three still follow. While it is away nobody replaces anybody.
//!
//! **Tokens.** A session carries the position that it has seen, with its writes too, or a write would lead it over to a history without what it had read. A
//! token is refused as discarded only on the evidence of a committed entry of a later term.
//!
//! **Lag** ([`lag`]). A follower knows how long ago it had everything, by asking its leader; it never claims to be fresher than it knows.
//!
//! **Holds**: see [`crate::config`]. **Allows**: stale reads on followers; with `async`, loss of the tail; with `--fencing off`, two leaders ([`rivals`]).
//! A leader that is cut off and asynchronous goes on acknowledging until it hears of a higher term: fencing cannot stop that.
//!
//! Left out, though production would have it: parallel apply on followers, log shipping in a binary form, membership changes.

mod election;
mod entries;
mod lag;
mod message;
mod pages;
mod replication;
mod requests;
mod rivals;
mod ship;
mod statements;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use self::message::Message;
pub use self::pages::copy;
use super::Identity;
use crate::config::{Ack, Failover, SingleLeader};
use crate::mode::{Input, Output, Protocol, Status, Ticket};
use crate::operation::{Code, Refusal, Reply, Request};
use crate::store::{Change, Entry, Store, StoreError};
use crate::value::Cell;

/// How long the synchronous follower may lag before another takes its place.
pub const SYNC_PATIENCE: Duration = Duration::from_millis(120);
/// How long a request may wait for confirmation before its outcome is called unknown.
pub const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// How many entries are kept in memory for followers that are nearly up to date.
const CACHE: usize = 20_000;
/// How many entries the log keeps unless told otherwise; a follower further back gets a snapshot.
pub const KEEP: u64 = 50_000;
/// How soon after its start a node asks to lead that need not wait for anybody.
const FIRST: Duration = Duration::from_millis(5);
/// Without automatic failover nobody times out.
const NEVER: Duration = Duration::MAX;
/// Heartbeats in a failover time-out.
const BEATS: u32 = 6;

/// A position in the log: term, then index. Ordered as a pair.
pub type Position = (u64, u64);

/// What a node is at the moment.
enum Role {
    Follower,
    Candidate(election::Canvass),
    Leader(replication::Leading),
}

/// A read that waits until this replica has caught up with its token.
struct Waiting {
    ticket: Ticket,
    request: Request,
    deadline: Duration,
}

/// A copy of everything that is arriving.
struct Incoming {
    from: String,
    term: u64,
    last: Position,
    terms: Vec<(u64, u64)>,
    rows: Vec<(String, Cell)>,
    /// Where the log is physical, the file itself.
    file: Vec<u8>,
}

impl Incoming {
    fn is_of(&self, from: &str, term: u64) -> bool {
        self.from == from && self.term == term
    }
}

/// A node of the mode.
pub struct Node {
    policy: SingleLeader,
    me: Identity,
    rng: ChaCha8Rng,
    term: u64,
    voted: Option<String>,
    last: Position,
    /// Where each term of the log begins, ascending.
    terms: Vec<(u64, u64)>,
    /// Entries below this are no longer in the log.
    oldest: u64,
    /// The newest entries, contiguous, ending with `last`.
    cache: VecDeque<Entry>,
    committed: u64,
    role: Role,
    leader: Option<String>,
    /// When the leader was heard last.
    heard: Duration,
    election_due: Duration,
    waiting: Vec<Waiting>,
    incoming: Option<Incoming>,
    /// An operator's request to lead that is not answered yet.
    promotion: Option<(Ticket, Duration)>,
    /// This node led and was deposed or restarted: its newest entries may be known to nobody else, and no leader has confirmed them since.
    suspect: bool,
    /// The term that this node granted to somebody in this life, who may hand it over.
    may_lead: Option<u64>,
    /// Without automatic failover: it was the leader when it went down, and asks to be it again.
    resumes: bool,
    /// Until when no other term is granted: before its last start this node may have confirmed a leader's lease.
    bound_until: Duration,
    /// The latest wall-clock time of any entry, by whoever led then, nanoseconds since the epoch. A clock that is set back leaves it where it was.
    wall: i64,
    /// How far behind it knows itself to be.
    lag: lag::Lag,
    /// How many statements of the log failed here, though they had run on the leader.
    failed_statements: u64,
    /// The newest commits' pages, where the log is physical.
    pages: Option<pages::Kept>,
    /// Why nothing of what the leader sends is applied.
    refuses: Option<String>,
    /// With fencing off: since when a leader of a higher term has been in touch with this one.
    rival_since: Option<Duration>,
    /// With a kill switch: other leaders that were told to shut down in this term.
    shot: BTreeSet<String>,
    /// Told to shut down, which it does with its next tick.
    ends: bool,
}

impl Node {
    /// The node as its store left it.
    pub fn recover(policy: SingleLeader, me: Identity, store: &mut Store, now: Duration) -> Result<Node, StoreError> {
        let number = |name: &str| number_of(store, name);
        let (term, snapshot) = (number("term")?, (number("snapshot-term")?, number("snapshot-index")?));
        let voted = store.meta("vote")?.filter(|name| !name.is_empty());
        let oldest = store.oldest()?.unwrap_or(snapshot.1 + 1);
        let terms = store.terms()?;
        let mut node = Node {
            rng: ChaCha8Rng::seed_from_u64(me.seed),
            policy,
            me,
            term,
            voted,
            last: snapshot,
            terms,
            oldest,
            cache: VecDeque::new(),
            committed: 0,
            role: Role::Follower,
            leader: None,
            heard: now,
            election_due: now,
            waiting: Vec::new(),
            incoming: None,
            promotion: None,
            may_lead: None,
            resumes: false,
            bound_until: Duration::ZERO,
            rival_since: None,
            shot: BTreeSet::new(),
            ends: false,
            pages: None,
            refuses: None,
            failed_statements: 0,
            suspect: false,
            wall: i64::MIN,
            lag: lag::Lag::new(wall_clock()),
        };
        store.with_tables()?;
        if node.by_triggers() {
            store.capture(node.policy.replicate.as_deref().unwrap_or_default())?;
        } else {
            store.replicates_all()?;
        }
        node.reload(store)?;
        node.pages = store.is_physical().then(|| pages::Kept::after(node.last.1));
        // Its pages may have been written before the term was adopted.
        node.term = node.term.max(node.last.0);
        node.suspect = node.last.0 > 0 && number_of(store, "led")? == node.last.0;
        if node.policy.lease && term > 0 {
            node.bound_until = now + node.policy.failover_timeout;
        }
        let led = number_of(store, "led")?;
        node.resumes = node.policy.failover == Failover::Manual && term > 0 && led == term;
        node.election_due = now.saturating_add(node.first_patience());
        Ok(node)
    }

    /// Reads the log's newest entries into memory.
    fn reload(&mut self, store: &Store) -> Result<(), StoreError> {
        self.cache.clear();
        let mut from = self.oldest;
        loop {
            let entries = store.entries(from, CACHE)?;
            let Some(newest) = entries.last() else { return Ok(()) };
            self.last = (newest.term, newest.index);
            from = newest.index + 1;
            self.wall = entries.iter().map(|entry| entry.wall).max().unwrap_or(i64::MIN).max(self.wall);
            self.cache.extend(entries);
            while self.cache.len() > CACHE {
                self.cache.pop_front();
            }
        }
    }

    /// At the very first start the first node canvasses at once, so that a new cluster need not wait for a time-out. Without automatic failover
    /// only the leader of the last term that this node knows of asks to lead again.
    fn first_patience(&mut self) -> Duration {
        let first = self.me.nodes.first() == Some(&self.me.name);
        let founds = first && self.term == 0;
        match self.policy.failover {
            Failover::Auto | Failover::Manual | Failover::Controller if founds => FIRST,
            _ if self.watches() => self.patience(),
            Failover::Manual if self.resumes => FIRST,
            Failover::Off if first => FIRST,
            _ => NEVER,
        }
    }

    /// Waits for a leader from now on.
    fn rest(&mut self, now: Duration) {
        let patience = if self.watches() { self.patience() } else { NEVER };
        self.election_due = now.saturating_add(patience);
    }

    /// How long to wait for a leader: the time-out, and up to half as much by chance so that candidates do not meet.
    fn patience(&mut self) -> Duration {
        let timeout = self.policy.failover_timeout;
        timeout + timeout.mul_f64(self.rng.random_range(0.0..0.5))
    }

    /// The node that alone watches the leader, if it is one node.
    fn controller(&self) -> Option<&String> {
        self.me.nodes.last().filter(|_| self.policy.failover == Failover::Controller)
    }

    /// Whether this node replaces a leader that it does not hear.
    fn watches(&self) -> bool {
        self.policy.failover == Failover::Auto || self.controller() == Some(&self.me.name)
    }

    fn heartbeat(&self) -> Duration {
        self.policy.failover_timeout / BEATS
    }

    fn majority(&self) -> usize {
        self.me.nodes.len() / 2 + 1
    }

    fn others(&self) -> impl Iterator<Item = &String> {
        self.me.nodes.iter().filter(|node| **node != self.me.name)
    }

    fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The term of entry `index`, which must not be beyond the last; 0 for index 0.
    fn term_at(&self, index: u64) -> u64 {
        if index == 0 {
            return 0;
        }
        let after = self.terms.partition_point(|(_, first)| *first <= index);
        after.checked_sub(1).map_or(0, |at| self.terms[at].0)
    }

    /// Adopts a term, with or without a vote, before anything of it is told.
    fn adopt(&mut self, store: &mut Store, term: u64, vote: Option<&str>) -> Result<(), StoreError> {
        self.term = term;
        self.voted = vote.map(str::to_string);
        store.set_meta("term", &term.to_string())?;
        store.set_meta("vote", vote.unwrap_or_default())
    }

    /// The next entry of this leader. Only its date is from the wall clock, and only `wall-clock-token` heeds it.
    fn entry(&self, changes: Vec<Change>) -> Entry {
        let origin = (self.policy.format_version > 1).then(|| self.me.name.clone());
        Entry { index: self.last.1 + 1, term: self.term, changes, wall: wall_clock(), origin }
    }

    /// Writes an entry to the log and applies it.
    fn write(&mut self, store: &mut Store, entry: Entry) -> Result<(), StoreError> {
        if self.terms.last().is_none_or(|(term, _)| *term < entry.term) {
            self.terms.push((entry.term, entry.index));
            store.begin_term(entry.term, entry.index)?;
        }
        match self.by_triggers() && self.is_leader() {
            true => store.append_captured(&entry)?,
            false => store.append(&entry)?,
        }
        self.last = (entry.term, entry.index);
        self.wall = self.wall.max(entry.wall);
        self.cache.push_back(entry);
        if self.cache.len() > CACHE {
            self.cache.pop_front();
        }
        Ok(())
    }

    /// Forgets what no follower is likely to ask for.
    fn compact(&mut self, store: &mut Store) -> Result<(), StoreError> {
        if store.is_physical() && !(self.is_leader() && store.dirty()) {
            return Ok(());
        }
        let keep = self.me.keep_log;
        let first = self.last.1.saturating_sub(keep);
        if first > self.oldest + keep / 10 {
            store.compact(first)?;
            self.oldest = first;
            while self.cache.front().is_some_and(|entry| entry.index < first) {
                self.cache.pop_front();
            }
        }
        Ok(())
    }

    /// Gives up leading; whoever waited for a confirmation learns that nobody knows.
    fn step_down(&mut self, now: Duration, why: &str, out: &mut Vec<Output>) {
        if let Role::Leader(leading) = std::mem::replace(&mut self.role, Role::Follower) {
            out.push(Output::Say(format!("no longer leader of term {}: {why}", self.term)));
            self.suspect = true;
            for pending in leading.pending {
                out.push(Output::Reply(pending.ticket, Err(pending.abandoned())));
            }
        }
        self.leader = None;
        self.heard = now;
        self.rival_since = None;
        self.shot.clear();
        self.rest(now);
    }

    fn send(&self, to: &str, message: Message) -> Output {
        Output::Send(to.to_string(), crate::mode::Message::Leader(message))
    }
}

/// Nanoseconds since the epoch, as this machine has it.
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// A number among the small things; 0 where there is none.
fn number_of(store: &Store, name: &str) -> Result<u64, StoreError> {
    Ok(store.meta(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// A request at the leader that waits until a position is committed.
struct Pending {
    position: u64,
    ticket: Ticket,
    reply: Reply,
    writes: bool,
    leased: bool,
    deadline: Duration,
}

impl Pending {
    fn abandoned(&self) -> Refusal {
        let text = "this node stopped leading before enough others had confirmed";
        if self.writes { Refusal::unknown(Code::Deposed, text) } else { Refusal::definite(Code::Deposed, text) }
    }

    fn late(&self) -> Refusal {
        let text = format!("not confirmed within {} s", CONFIRM_LIMIT.as_secs());
        if self.writes { Refusal::unknown(Code::Timeout, text) } else { Refusal::definite(Code::Timeout, text) }
    }
}

impl Protocol for Node {
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Tick => self.tick(store, now, &mut out)?,
            Input::Client { ticket, request } => self.request(store, now, ticket, request, &mut out)?,
            Input::Promote { ticket } => self.promote(store, now, ticket, &mut out)?,
            Input::Peer { from, message: crate::mode::Message::Leader(message) } => {
                self.receive(store, now, &from, message, &mut out)?;
            }
            Input::Replica { ticket, .. } => out.push(Output::no_coordination(ticket)),
            Input::Peer { .. } => {}
        }
        Ok(out)
    }

    fn settle(&mut self, store: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        self.note_failed_statements(store, &mut out);
        self.note_arrivals();
        self.serve_waiting(store, now, &mut out)?;
        if self.pages.is_none() {
            self.replicate(store, now, &mut out)?;
            self.release(now, &mut out);
        }
        self.compact(store)?;
        Ok(out)
    }

    fn committed(&mut self, store: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        if self.pages.is_some() {
            self.keep_pages(store)?;
            self.replicate(store, now, &mut out)?;
            self.release(now, &mut out);
        }
        Ok(out)
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let pages = self.pages.as_ref().map(|pages| ("pages_written", pages.written()));
        std::iter::once(("failed_statements", self.failed_statements)).chain(pages).collect()
    }

    fn status(&self) -> Status {
        let (role, followers, sync_follower) = match &self.role {
            Role::Follower => ("follower", BTreeMap::new(), None),
            Role::Candidate(_) => ("candidate", BTreeMap::new(), None),
            Role::Leader(leading) => {
                let followers =
                    leading.followers.iter().map(|(name, follower)| (name.clone(), follower.matching)).collect();
                let sync = (self.policy.ack == Ack::SemiSync).then(|| leading.sync.clone()).flatten();
                ("leader", followers, sync)
            }
        };
        let leader = if self.is_leader() { Some(self.me.name.clone()) } else { self.leader.clone() };
        Status {
            role: role.to_string(),
            term: self.term,
            ready: leader.is_some() && (self.is_leader() || self.last.1 > 0),
            leader,
            position: self.last.1,
            position_term: self.last.0,
            committed: self.committed,
            followers,
            sync_follower,
            lag_ms: if self.is_leader() { None } else { self.lag.milliseconds() },
            refuses: self.refuses.clone(),
            ..Status::default()
        }
    }
}

impl Node {
    fn receive(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match message {
            Message::Append { term, previous, entries, committed, sent } => {
                let load = replication::Load::Entries(entries);
                let batch = replication::Batch { term, previous, load, committed, sent };
                self.appended_by(store, now, from, batch, out)
            }
            Message::Pages { term, previous, form, segments, committed, sent } => {
                let load = replication::Load::Pages(form, segments);
                let batch = replication::Batch { term, previous, load, committed, sent };
                self.appended_by(store, now, from, batch, out)
            }
            Message::Unfit { term, why, sent } => {
                self.found_unfit(now, from, (term, sent), &why, out);
                Ok(())
            }
            Message::CopyBegin { term, last, form } => {
                self.copy_begins(store, now, from, (term, last, form));
                Ok(())
            }
            Message::CopyPart { term, bytes } => {
                self.copy_goes_on(now, from, term, &bytes);
                Ok(())
            }
            Message::CopyEnd { term, sum } => self.install_copy(store, now, from, (term, sum), out),
            Message::Appended { term, matching, sent } => {
                self.confirmed(now, from, term, matching, sent);
                Ok(())
            }
            Message::Refused { term, hint, snapshot, sent } => {
                self.refused(store, now, from, replication::Refusing { term, hint, snapshot, sent }, out)
            }
            Message::Canvass { term, trial, force } => self.canvassed_by(store, now, from, (term, trial, force), out),
            Message::Canvassed { asked, trial, term, granted, alive, last } => {
                let answer = election::Answer { term, granted, alive, last };
                self.answered(store, now, from, (asked, trial), answer, out)
            }
            Message::Lead { term, quiet } => self.told_to_lead(store, now, (term, quiet), out),
            Message::Ask { life, asked } => {
                self.asked_how_far(now, from, (life, asked), out);
                Ok(())
            }
            Message::Told { term, last, life, asked } => {
                self.told_how_far(from, (term, last), (life, asked));
                Ok(())
            }
            Message::ShutDown => {
                self.told_to_shut_down(from, out);
                Ok(())
            }
            Message::Handover => {
                self.hand_over_to(now, from);
                Ok(())
            }
            Message::TakeOver => self.take_over(store, now, out),
            Message::SnapshotBegin { term, last, terms } => {
                self.snapshot_begins(now, from, (term, last), terms);
                Ok(())
            }
            Message::SnapshotRows { term, rows } => {
                if let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.is_of(from, term)) {
                    self.heard = now;
                    incoming.rows.extend(rows);
                }
                Ok(())
            }
            Message::SnapshotEnd { term } => self.install(store, now, from, term, out),
        }
    }
}
