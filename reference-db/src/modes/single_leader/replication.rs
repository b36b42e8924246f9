//! How the log gets to the followers, and what is committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Incoming, Message, Node, Pending, Position, Role, SYNC_PATIENCE};
use crate::config::{Ack, Bug, Failover, OnSyncLoss};
use crate::mode::Output;
use crate::store::physical::segment::{Form, Segment};
use crate::store::{Entry, Store, StoreError};

/// How many entries travel in one message.
const BATCH: usize = 512;
/// How many messages with entries leave for a follower at once.
const BATCHES: usize = 4;
/// How many entries may be under way to a follower.
const WINDOW: u64 = 4_096;
/// Without news of its entries for so many heartbeats a follower is sent them again.
const RESEND_BEATS: u32 = 3;
/// Who has nothing gets a copy instead of a longer history.
const NEWCOMER: u64 = 512;
/// A snapshot is not sent to the same follower again within this time.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(2);

/// What a leader knows of a follower.
pub struct Follower {
    /// Up to here its log equals ours, on its disk.
    pub matching: u64,
    /// The next entry to send.
    pub(super) next: u64,
    /// Where sending began when it was last decided anew: what `matching` was believed to be before the follower said so.
    began: u64,
    /// When it last confirmed anything.
    heard: Duration,
    /// When the newest message that it confirmed had been sent, by our clock.
    echo: Duration,
    /// When it last had everything, made progress, or was sent something after having had everything.
    pub(super) progress: Duration,
    snapshot_at: Option<Duration>,
    /// With `--log trigger`: what the shipping task was told to send last.
    pub(super) shipping: Option<super::ship::Shipping>,
    /// It has said that what we send does not fit it: it gets heartbeats only.
    pub unfit: bool,
}

/// What a leader keeps in mind.
pub struct Leading {
    pub followers: BTreeMap<String, Follower>,
    /// The synchronous follower.
    pub sync: Option<String>,
    /// Requests that wait for their position, ascending.
    pub pending: VecDeque<Pending>,
    /// Whom an operator wants as the next leader: no more writes until it has everything.
    pub handing_to: Option<(String, Duration)>,
    /// Since when it leads.
    pub since: Duration,
    /// Before then nothing is acknowledged.
    quiet_until: Duration,
    beat_due: Duration,
    downgraded: bool,
}

/// What an append carries.
pub enum Load {
    Entries(Vec<Entry>),
    Pages(Form, Vec<Arc<Segment>>),
}

/// An append as it arrived.
pub struct Batch {
    pub term: u64,
    pub previous: Position,
    pub load: Load,
    pub committed: u64,
    pub sent: Duration,
}

/// A refusal as it arrived.
pub struct Refusing {
    pub term: u64,
    pub hint: u64,
    pub snapshot: bool,
    pub sent: Duration,
}

impl Follower {
    /// Whether it is to get a copy: what it lacks is no longer in the log, which begins with `oldest`, or is all of a long one.
    pub(super) fn needs_copy(&self, oldest: u64, last: u64) -> bool {
        self.next < oldest || (self.next == 1 && last > NEWCOMER)
    }

    /// It answered a message that was sent at `sent`.
    pub fn spoke(&mut self, now: Duration, sent: Duration) {
        self.heard = now;
        self.echo = self.echo.max(sent.min(now));
    }

    /// Sends a copy of everything, unless one left a moment ago.
    fn offer_snapshot(&mut self, name: &str, term: u64, now: Duration, out: &mut Vec<Output>) {
        if self.snapshot_at.is_none_or(|at| now.saturating_sub(at) >= SNAPSHOT_PAUSE) {
            self.snapshot_at = Some(now);
            out.push(Output::Say(format!("sends {name} a snapshot")));
            out.push(Output::Snapshot(name.to_string(), term));
        }
    }
}

impl Leading {
    pub fn new(others: &[String], next: u64, now: Duration, quiet_until: Duration) -> Leading {
        let follower = || Follower {
            matching: 0,
            next,
            began: next,
            heard: Duration::ZERO,
            echo: Duration::ZERO,
            progress: now,
            snapshot_at: None,
            shipping: None,
            unfit: false,
        };
        Leading {
            followers: others.iter().map(|name| (name.clone(), follower())).collect(),
            // Whoever answers first becomes it: the one that the old leader had may be the one that died with it.
            sync: None,
            pending: VecDeque::new(),
            handing_to: None,
            since: now,
            quiet_until,
            beat_due: now,
            downgraded: false,
        }
    }

    /// How many followers confirmed a message that was sent within `span`.
    pub fn confirmed_by(&self, now: Duration, span: Duration) -> usize {
        self.followers
            .values()
            .filter(|follower| !follower.echo.is_zero() && now.saturating_sub(follower.echo) < span)
            .count()
    }

    /// Has a request wait for its position. A read may wait for less than those that came before it.
    pub fn wait(&mut self, pending: Pending) {
        let at = self.pending.partition_point(|earlier| earlier.position <= pending.position);
        self.pending.insert(at, pending);
    }

    /// Answers whoever has waited for too long.
    fn expire(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.pending.iter().all(|pending| now < pending.deadline) {
            return;
        }
        for pending in std::mem::take(&mut self.pending) {
            if now < pending.deadline {
                self.pending.push_back(pending);
            } else {
                out.push(Output::Reply(pending.ticket, Err(pending.late())));
            }
        }
    }

    /// The time since which `count` followers have certainly followed.
    fn followed_since(&self, count: usize) -> Duration {
        let mut echoes: Vec<Duration> = self.followers.values().map(|follower| follower.echo).collect();
        echoes.sort_unstable_by(|a, b| b.cmp(a));
        if count == 0 { Duration::MAX } else { echoes.get(count - 1).copied().unwrap_or(Duration::ZERO) }
    }
}

impl Node {
    /// A leader's message arrived.
    pub fn appended_by(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        batch: Batch,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if batch.term == self.term && self.is_leader() {
            return Ok(());
        }
        self.meets_leader(from, out);
        let refuse = |term, hint, snapshot| Message::Refused { term, hint, snapshot, sent: batch.sent };
        let heeds = self.policy.bug != Some(Bug::IgnoreTerm);
        if (batch.term < self.term && heeds) || (batch.term > self.term && !self.yields_to_rival(now)) {
            out.push(self.send(from, refuse(self.term, 0, false)));
            return Ok(());
        }
        if batch.term > self.term {
            self.step_down(now, &format!("{from} leads term {}", batch.term), out);
            self.adopt(store, batch.term, None)?;
        }
        self.role = Role::Follower;
        if self.leader.as_deref() != Some(from) {
            out.push(Output::Say(format!("follows {from} in term {}", self.term)));
            self.leader = Some(from.to_string());
        }
        self.heard = now;
        self.resumes = false;
        self.rest(now);
        if let Some(why) = self.misfit(store, from, &batch.load) {
            if self.refuses.as_ref() != Some(&why) {
                out.push(Output::Say(why.clone()));
            }
            self.refuses = Some(why.clone());
            out.push(self.send(from, Message::Unfit { term: self.term, why, sent: batch.sent }));
            return Ok(());
        }
        self.refuses = None;
        let (term, index) = batch.previous;
        let bare = store.is_physical() && self.last.1 == 0;
        if index > self.last.1 || bare {
            // Pages go on a file that came from a leader.
            out.push(self.send(from, refuse(self.term, self.last.1, bare)));
            return Ok(());
        }
        if self.term_at(index) != term {
            let begins = self.terms.iter().rev().find(|(_, first)| *first <= index).map_or(0, |(_, first)| first - 1);
            out.push(self.send(from, refuse(self.term, begins, begins + 1 < self.oldest || store.is_physical())));
            return Ok(());
        }
        let matching = match batch.load {
            Load::Entries(entries) => self.take_entries(store, index, entries, out)?,
            Load::Pages(_, segments) => self.take_pages(store, index, segments)?,
        };
        let matching = match matching {
            Ok(matching) => matching,
            Err(hint) => {
                out.push(self.send(from, refuse(self.term, hint, true)));
                return Ok(());
            }
        };
        self.committed = self.committed.max(batch.committed.min(matching));
        self.suspect &= matching < self.last.1;
        let term = if heeds { self.term } else { batch.term };
        out.push(self.send(from, Message::Appended { term, matching, sent: batch.sent }));
        Ok(())
    }

    /// A follower confirmed.
    pub fn confirmed(&mut self, now: Duration, from: &str, term: u64, matching: u64, sent: Duration) {
        let (mine, last) = (self.term, self.last.1);
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(follower) = leading.followers.get_mut(from).filter(|_| term == mine) else { return };
        follower.spoke(now, sent);
        follower.unfit = false;
        if matching > follower.matching || matching >= last {
            follower.progress = now;
        }
        follower.matching = follower.matching.max(matching);
        follower.next = follower.next.max(matching + 1);
        follower.shipping.take_if(|shipping| shipping.is_over(matching));
    }

    /// A follower refused.
    pub fn refused(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        refusal: Refusing,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if refusal.term > self.term {
            // Fenced: this leader's term is over. Without fencing it learns that late, but it does: or the follower would be left behind for ever.
            if self.is_leader() && self.yields_to_rival(now) {
                self.step_down(now, &format!("{from} is in term {}", refusal.term), out);
                self.adopt(store, refusal.term, None)?;
            }
            return Ok(());
        }
        if refusal.term < self.term {
            // A leader of an earlier term that does not yield yet.
            return Ok(());
        }
        let term = self.term;
        let Role::Leader(leading) = &mut self.role else { return Ok(()) };
        let Some(follower) = leading.followers.get_mut(from) else { return Ok(()) };
        follower.spoke(now, refusal.sent);
        // Less than it once confirmed: it has lost its disk, and begins anew.
        follower.matching = follower.matching.min(refusal.hint);
        follower.next = refusal.hint + 1;
        follower.began = follower.next;
        follower.unfit = false;
        follower.shipping.iter_mut().for_each(super::ship::Shipping::fail);
        if refusal.snapshot && store.is_physical() {
            // Nothing but heartbeats until it has the copy: every commit in between would be refused.
            (follower.next, follower.began) = (1, 1);
        }
        if refusal.snapshot {
            follower.offer_snapshot(from, term, now, out);
        }
        Ok(())
    }

    /// A snapshot of the leader's begins to arrive, as rows or as a file.
    pub fn snapshot_begins(
        &mut self,
        now: Duration,
        from: &str,
        (term, last): (u64, Position),
        terms: Vec<(u64, u64)>,
    ) {
        if term == self.term && self.leader.as_deref() == Some(from) && !self.is_leader() {
            self.heard = now;
            let from = from.to_string();
            self.incoming = Some(Incoming { from, term, last, terms, rows: Vec::new(), file: Vec::new() });
        }
    }

    /// The snapshot that has arrived whole, if it is of use.
    pub(super) fn arrived(&mut self, from: &str, term: u64) -> Option<Incoming> {
        let incoming = self.incoming.take_if(|incoming| incoming.is_of(from, term))?;
        // One that was read after its sender had followed somebody else holds entries of a term that is not known here.
        let useless = self.is_leader() || term != self.term || incoming.last.0 > term || self.contains(incoming.last);
        (!useless).then_some(incoming)
    }

    /// A snapshot has arrived whole: it replaces everything.
    pub fn install(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        term: u64,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(Incoming { last, terms, rows, .. }) = self.arrived(from, term) else { return Ok(()) };
        store.install(&rows, &terms)?;
        store.set_meta("snapshot-term", &last.0.to_string())?;
        store.set_meta("snapshot-index", &last.1.to_string())?;
        out.push(Output::Say(format!("installed a snapshot of {} keys as of {last:?}", rows.len())));
        self.terms = terms;
        self.last = last;
        self.oldest = last.1 + 1;
        self.cache.clear();
        // When its last entry was written is not in a snapshot; the next entry will tell.
        self.wall = i64::MIN;
        self.suspect = false;
        self.heard = now;
        out.push(self.send(from, Message::Appended { term: self.term, matching: last.1, sent: Duration::ZERO }));
        Ok(())
    }

    /// Sends every follower what it lacks, heartbeats when they are due, and moves the committed position on.
    pub fn replicate(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        if !self.is_leader() {
            return Ok(());
        }
        self.advance();
        self.ship(now, out);
        let by_triggers = self.by_triggers();
        let (last, beat) = (self.last.1, self.heartbeat());
        let Role::Leader(leading) = &mut self.role else { return Ok(()) };
        let beats = now >= leading.beat_due;
        if beats {
            leading.beat_due = now + beat;
        }
        let (term, oldest) = (self.term, self.pages.as_ref().map_or(self.oldest, |pages| pages.oldest(last)));
        let mut batches: Vec<(String, u64, usize)> = Vec::new();
        for (name, follower) in &mut leading.followers {
            let under_way = follower.next > follower.matching + 1;
            if beats && under_way && now.saturating_sub(follower.progress) > beat * RESEND_BEATS {
                follower.next = if follower.matching > 0 { follower.matching + 1 } else { follower.began };
                follower.progress = now;
            }
            if follower.unfit {
                if beats {
                    batches.push((name.clone(), last + 1, 0));
                }
                continue;
            }
            let between =
                self.pages.as_ref().is_some_and(|pages| follower.next <= last && !pages.begins(follower.next));
            if (follower.needs_copy(oldest, last) || between) && !follower.heard.is_zero() {
                // Heartbeats go on beside it, from the newest entry: their refusal keeps the follower in touch.
                follower.offer_snapshot(name, term, now, out);
                if beats {
                    batches.push((name.clone(), last + 1, 0));
                }
                continue;
            }
            if !under_way && follower.next <= last && !by_triggers {
                follower.progress = now;
            }
            let begin = batches.len();
            let window = if by_triggers { 0 } else { follower.began.max(follower.matching + 1) + WINDOW };
            while follower.next <= last && follower.next < window && batches.len() - begin < BATCHES {
                let count = match &self.pages {
                    Some(pages) => pages.reach(follower.next, BATCH),
                    None => ((last - follower.next + 1) as usize).min(BATCH),
                };
                if count == 0 {
                    break;
                }
                batches.push((name.clone(), follower.next, count));
                follower.next += count as u64;
            }
            if beats && batches.len() == begin {
                batches.push((name.clone(), follower.next, 0));
            }
        }
        // Most followers are at the same place and get the same message.
        let mut together: BTreeMap<(u64, usize), Vec<String>> = BTreeMap::new();
        for (name, from, count) in batches {
            together.entry((from, count)).or_default().push(name);
        }
        for ((from, count), names) in together {
            if let Some(message) = self.batch(store, now, from, count)? {
                out.push(Output::SendAll(names, crate::mode::Message::Leader(message)));
            }
        }
        Ok(())
    }

    /// The message with `count` entries from `from` on; `None` where they are gone, which the follower's refusal will show.
    fn batch(&self, store: &Store, now: Duration, from: u64, count: usize) -> Result<Option<Message>, StoreError> {
        let (term, committed) = (self.term, self.committed);
        let previous = (self.term_at(from - 1), from - 1);
        if let Some(pages) = &self.pages {
            let (form, segments) = (store.form(), pages.of(from, count));
            return Ok(Some(Message::Pages { term, previous, form, segments, committed, sent: now }));
        }
        let entries: Vec<Entry> = match self.cache.front() {
            Some(front) if front.index <= from => {
                let skip = (from - front.index) as usize;
                self.cache.iter().skip(skip).take(count).cloned().collect()
            }
            _ => store.entries(from, count)?,
        };
        if count > 0 && entries.is_empty() && from >= self.oldest {
            return Ok(None);
        }
        Ok(Some(Message::Append { term, previous, entries, committed, sent: now }))
    }

    /// Moves the committed position on, as the policy of acknowledgement says.
    fn advance(&mut self) {
        let last = self.last.1;
        let Role::Leader(leading) = &mut self.role else { return };
        let matching = |name: &Option<String>| {
            name.as_ref().and_then(|name| leading.followers.get(name)).map_or(0, |follower| follower.matching)
        };
        let sent = |name: &Option<String>| {
            name.as_ref().and_then(|name| leading.followers.get(name)).map_or(0, |follower| follower.next - 1)
        };
        let reached = match self.policy.ack {
            _ if leading.followers.is_empty() => last,
            Ack::Async => last,
            Ack::SemiSync if leading.downgraded => last,
            Ack::SemiSync if self.policy.bug == Some(Bug::AckEarly) => sent(&leading.sync),
            Ack::SemiSync => matching(&leading.sync),
            Ack::Sync => leading.followers.values().map(|follower| follower.matching).min().unwrap_or(last),
        };
        self.committed = self.committed.max(reached.min(last));
    }

    /// A leader's tick: a lagging synchronous follower is replaced, requests that waited too long are answered.
    pub fn lead_on(&mut self, now: Duration, out: &mut Vec<Output>) {
        let last = self.last.1;
        let (ack, on_loss, committed) = (self.policy.ack, self.policy.on_sync_loss, self.committed);
        let mut take_over = None;
        let controller = self.controller().cloned();
        let Role::Leader(leading) = &mut self.role else { return };
        if ack == Ack::SemiSync {
            replace_sync(leading, last, now, (on_loss, controller.as_ref()), out);
        }
        leading.expire(now, out);
        if let Some((heir, deadline)) = leading.handing_to.clone() {
            let has_all = leading.followers.get(&heir).is_some_and(|follower| follower.matching >= last);
            if has_all && committed >= last {
                take_over = Some(heir);
            } else if now >= deadline {
                leading.handing_to = None;
            }
        }
        if let Some(heir) = take_over {
            out.push(self.send(&heir, Message::TakeOver));
        }
    }

    /// Answers whoever waited for what is committed now.
    pub fn release(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.advance();
        let lease = self.lease_until();
        let committed = self.committed;
        let Role::Leader(leading) = &mut self.role else { return };
        if now < leading.quiet_until {
            return;
        }
        // What waits here is at or after the entry that opened this term: nothing of an earlier term is told before that one is safe too.
        while leading.pending.front().is_some_and(|pending| pending.position <= committed) {
            let Some(pending) = leading.pending.pop_front() else { break };
            out.push(match lease {
                Some(until) if pending.leased => Output::ReplyBefore(pending.ticket, Ok(pending.reply), until),
                _ => Output::Reply(pending.ticket, Ok(pending.reply)),
            });
        }
    }

    /// Until when nobody else can lead: those who followed our newest confirmed message will not grant another term before their time-out,
    /// and every majority has one of them. A quarter is left for clocks that run at different speeds. `None`: no lease is needed.
    pub fn lease_until(&self) -> Option<Duration> {
        let Role::Leader(leading) = &self.role else { return None };
        if !self.policy.lease || self.policy.failover == Failover::Off {
            return None;
        }
        let since = leading.followed_since(self.majority() - 1);
        Some(since.saturating_add(self.policy.failover_timeout * 3 / 4))
    }

    /// An operator wants `heir` to lead: no more writes from now on, until it has everything or the time is over.
    pub fn hand_over_to(&mut self, now: Duration, heir: &str) {
        if let Role::Leader(leading) = &mut self.role {
            leading.handing_to = Some((heir.to_string(), now + SNAPSHOT_PAUSE));
        }
    }
}

/// Replaces a synchronous follower that has lagged for too long by the most advanced one that answers.
fn replace_sync(
    leading: &mut Leading,
    last: u64,
    now: Duration,
    (on_loss, controller): (OnSyncLoss, Option<&String>),
    out: &mut Vec<Output>,
) {
    let lags = |follower: &Follower| follower.matching < last && now.saturating_sub(follower.progress) > SYNC_PATIENCE;
    let current = leading.sync.as_ref().and_then(|name| leading.followers.get(name));
    if current.is_some_and(|follower| !lags(follower)) {
        // A follower that was merely sent its entries again has confirmed nothing yet.
        let confirms = current.is_some_and(|follower| now.saturating_sub(follower.heard) <= SYNC_PATIENCE);
        if leading.downgraded && confirms {
            leading.downgraded = false;
            out.push(Output::Say("semi-synchronous again".to_string()));
        }
        return;
    }
    let may = leading.followers.iter().filter(|(name, _)| Some(*name) != controller);
    let answering = may.filter(|(_, follower)| !lags(follower) && !follower.heard.is_zero());
    match answering.max_by_key(|(_, follower)| follower.matching).map(|(name, _)| name.clone()) {
        Some(name) => {
            out.push(Output::Say(format!("{name} is the synchronous follower now")));
            leading.sync = Some(name);
        }
        None if on_loss == OnSyncLoss::Async && !leading.downgraded => {
            leading.downgraded = true;
            out.push(Output::Say("no follower confirms: goes on asynchronously".to_string()));
        }
        None => {}
    }
}
