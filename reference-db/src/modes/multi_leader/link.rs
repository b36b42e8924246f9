//! The streams between leaders, and from a leader to its followers.
//!
//! A leader numbers every change that it applies, its own and others', in a journal on its disk. On each link it sends what the topology says, in
//! that order; a message tells which numbers it spans, so that what was left out on purpose is no gap. The receiver says up to where it has
//! received and up to where it has applied on disk; the sender goes back when nothing new was confirmed for a while (go-back-N). So each link survives
//! loss, and a change is applied once. A receiver that holds changes back confirms only what comes before them: it forgets them when it ends.
//!
//! The journal is kept until every neighbour has applied it, and at least `keep-log` entries for followers; but no more than [`AWAY`] times as many for a neighbour that
//! stays away, or its absence would fill every disk. A follower further back is sent a copy of all rows, and so is a leader, which joins it to what it has
//! accepted since; as one that lost its disk does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::row::Row;
use super::{Change, Message, Node, fresh};
use crate::config::Bug;
use crate::mode::Output;
use crate::modes::leaderless::row::join;
use crate::operation::Context;
use crate::store::{Store, StoreError};

/// How often a silent link says where it is.
const BEAT: Duration = Duration::from_millis(60);
/// How long nothing new may be confirmed before the sender goes back: each time in vain twice as long, or a link that is only slow would carry everything
/// several times.
const RESEND: Duration = Duration::from_millis(200);
const RESEND_MOST: Duration = Duration::from_secs(2);
/// How many changes travel in one message, and how many may be unconfirmed.
const BATCH: u64 = 400;
const WINDOW: u64 = 4_000;
/// How many changes a receiver holds back for one link.
const HELD_BACK: usize = 50_000;
/// How many entries of the journal stay in memory.
const CACHE: usize = 8_192;
/// How many rows of a copy travel in one message, and how soon a copy is sent again.
const COPY_ROWS: usize = 1_000;
const COPY_AGAIN: Duration = Duration::from_secs(3);
/// How often the journal is trimmed, and how many entries make it worth while.
const TRIM_EVERY: Duration = Duration::from_secs(1);
const TRIM: u64 = 256;
/// How many times `keep-log` entries are kept for a leader that is away.
const AWAY: u64 = 20;

/// What a leader knows of a node that it sends to.
pub struct Outgoing {
    /// To whom.
    pub to: String,
    follower: bool,
    /// Sent up to here; unknown until the other side has said where it is.
    sent: Option<u64>,
    /// Received up to here by the other side, and applied on its disk.
    received: u64,
    kept: Option<u64>,
    progress: Duration,
    patience: Duration,
    said: Option<Duration>,
    copied: Option<Duration>,
}

impl Outgoing {
    /// A link of which nothing is known yet.
    pub fn new(to: &str, follower: bool) -> Outgoing {
        Outgoing {
            to: to.to_string(),
            follower,
            sent: None,
            received: 0,
            kept: None,
            progress: Duration::ZERO,
            patience: RESEND,
            said: None,
            copied: None,
        }
    }

    /// Up to where the other side has applied the journal, as far as it has said so.
    pub fn position(&self) -> u64 {
        self.kept.unwrap_or(0)
    }
}

/// What a node knows of a leader that sends to it. On disk: the journal and what is applied of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Incoming {
    /// Which journal the numbers belong to.
    journal: u64,
    /// Applied up to here.
    kept: u64,
    #[serde(skip)]
    received: u64,
    /// Held back, ascending.
    #[serde(skip)]
    held: VecDeque<(u64, Change)>,
}

impl Incoming {
    /// As it stands after a start.
    pub fn resumed(mut self) -> Incoming {
        self.received = self.kept;
        self
    }

    /// How many changes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// A copy of everything so far: the journal and the entry as of which it is, and its rows.
pub type Copy = ((u64, u64), Vec<(String, Row)>);

/// The journal: its identity, and its newest entries.
pub struct Journal {
    /// Differs when numbers are given out anew.
    pub id: u64,
    /// The newest number.
    pub last: u64,
    /// The oldest number that is kept.
    pub oldest: u64,
    /// The newest entries, ending with `last`.
    pub cache: VecDeque<Arc<Change>>,
    /// When it was trimmed.
    pub trimmed: Duration,
}

impl Journal {
    /// Appends an entry.
    pub fn append(&mut self, store: &mut Store, change: Change) -> Result<(), StoreError> {
        self.last += 1;
        store.journal_append(self.last, &serde_json::to_string(&change)?)?;
        self.cache.push_back(Arc::new(change));
        if self.cache.len() > CACHE {
            self.cache.pop_front();
        }
        Ok(())
    }

    /// At most `limit` entries after `number`, which is not older than the journal.
    fn after(&self, store: &Store, number: u64, limit: u64) -> Result<Vec<(u64, Arc<Change>)>, StoreError> {
        let cached = self.last - self.cache.len() as u64;
        if number >= cached {
            let entries = self.cache.iter().skip((number - cached) as usize).take(limit as usize);
            return Ok((number + 1..).zip(entries.cloned()).collect());
        }
        let mut entries = Vec::new();
        for (number, line) in store.journal_lines(number + 1, limit as usize)? {
            entries.push((number, Arc::new(serde_json::from_str(&line)?)));
        }
        Ok(entries)
    }
}

impl Node {
    /// Whether an entry of the journal is for this link.
    fn wanted(&self, link: &Outgoing, change: &Change) -> bool {
        if link.follower {
            return true;
        }
        let known = change.passed.contains(&link.to) && !self.uncut(change);
        !known && (self.layout.forwards() || change.origin() == self.me.name)
    }

    /// The planted mistake: a change that comes round again is taken for a new one.
    pub fn uncut(&self, change: &Change) -> bool {
        self.policy.bug == Some(Bug::KeepLoop) && change.origin() == self.layout.leader(0)
    }

    /// Sends on every link what is new, or where it is.
    pub fn send_changes(&mut self, store: &Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let mut links = std::mem::take(&mut self.outgoing);
        for link in &mut links {
            self.send_on(store, now, link, out)?;
        }
        self.outgoing = links;
        Ok(())
    }

    fn send_on(
        &self,
        store: &Store,
        now: Duration,
        link: &mut Outgoing,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        while let Some(sent) =
            link.sent.filter(|sent| *sent < self.journal.last && sent - link.received.min(*sent) < WINDOW)
        {
            if sent + 1 < self.journal.oldest {
                self.send_copy(store, now, link, out)?;
                break;
            }
            let entries = self.journal.after(store, sent, BATCH)?;
            let Some(upto) = entries.last().map(|(number, _)| *number) else { break };
            let wanted = entries.into_iter().filter(|(_, change)| self.wanted(link, change));
            let changes = wanted.map(|(number, change)| (number, change.as_ref().clone())).collect();
            if sent <= link.received {
                link.progress = now;
            }
            out.push(send(&link.to, Message::Changes { journal: self.journal.id, after: sent, upto, changes }));
            (link.sent, link.said) = (Some(upto), Some(now));
        }
        if link.said.is_none_or(|said| now >= said + BEAT) {
            link.said = Some(now);
            let here = link.sent.unwrap_or(self.journal.last);
            let message = Message::Changes { journal: self.journal.id, after: here, upto: here, changes: Vec::new() };
            out.push(send(&link.to, message));
        }
        Ok(())
    }

    /// Everything that this leader holds, for a node whose next change is no longer in the journal.
    fn send_copy(
        &self,
        store: &Store,
        now: Duration,
        link: &mut Outgoing,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if link.copied.is_some_and(|copied| now < copied + COPY_AGAIN) {
            return Ok(());
        }
        link.copied = Some(now);
        let of = (self.journal.id, self.journal.last);
        let (mut first, mut rows) = (0, Vec::new());
        for (key, text) in store.all_versioned()? {
            rows.push((key, serde_json::from_str(&text)?));
            if rows.len() >= COPY_ROWS {
                let part = std::mem::take(&mut rows);
                first += part.len();
                out.push(send(&link.to, Message::CopyRows { of, first: first - part.len(), rows: part }));
            }
        }
        let count = first + rows.len();
        out.push(send(&link.to, Message::CopyRows { of, first, rows }));
        out.push(send(&link.to, Message::CopyEnd { of, rows: count, applied: self.applied.clone() }));
        out.push(Output::Say(format!("sends {} a copy as of {}", link.to, self.journal.last)));
        Ok(())
    }

    /// The other side of a link says where it is.
    pub fn confirmed(
        &mut self,
        now: Duration,
        from: &str,
        journal: u64,
        received: u64,
        kept: u64,
        out: &mut Vec<Output>,
    ) {
        if journal != self.journal.id {
            return;
        }
        if received > self.journal.last {
            // It has more than there is: this disk lost its tail, and the numbers since are other changes.
            self.journal.id = fresh(&self.me.name);
            self.forget_positions();
            out.push(Output::Say("lost the tail of its journal and numbers it anew".to_string()));
            return;
        }
        let bug = self.policy.bug == Some(Bug::DropChange);
        let Some(link) = self.outgoing.iter_mut().find(|link| link.to == from) else { return };
        if received != link.received {
            (link.progress, link.patience) = (now, RESEND);
        }
        (link.received, link.kept) = (received, Some(kept));
        match link.sent {
            None => link.sent = Some(received),
            Some(sent) if sent < received => link.sent = Some(received),
            Some(sent) if received < sent && now >= link.progress + link.patience => {
                (link.progress, link.patience) = (now, (link.patience * 2).min(RESEND_MOST));
                link.sent = Some(received);
                if bug && !link.follower {
                    // The planted mistake: the position is counted as if the first of them had arrived.
                    let skipped =
                        Message::Changes { journal, after: received, upto: received + 1, changes: Vec::new() };
                    out.push(send(&link.to, skipped));
                    link.sent = Some(received + 1);
                }
            }
            Some(_) => {}
        }
    }

    /// Changes of a peer, or where it is.
    pub fn arrived(&mut self, from: &str, journal: u64, (after, upto): (u64, u64), changes: Vec<(u64, Change)>) {
        let link = self.incoming.entry(from.to_string()).or_default();
        if link.journal != journal {
            *link = Incoming { journal, ..Incoming::default() };
        }
        if after <= link.received && link.held.len() < HELD_BACK {
            for (number, change) in changes {
                if number > link.received && number <= upto {
                    link.held.push_back((number, change));
                }
            }
            link.received = link.received.max(upto);
        }
        if !self.answering.iter().any(|name| name == from) {
            self.answering.push(from.to_string());
        }
    }

    /// Applies whatever need not be held back any longer.
    pub fn deliver(&mut self, store: &mut Store, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let senders: Vec<String> =
            self.incoming.iter().filter(|(_, link)| link.held() > 0).map(|(name, _)| name.clone()).collect();
        let mut progress = true;
        while progress {
            progress = false;
            for sender in &senders {
                while let Some(change) = self.next_due(sender) {
                    self.apply(store, change, out)?;
                    progress = true;
                }
            }
        }
        Ok(())
    }

    fn next_due(&mut self, sender: &str) -> Option<Change> {
        let (_, front) = self.incoming.get(sender)?.held.front()?;
        if !self.due(front) {
            return None;
        }
        self.incoming.get_mut(sender)?.held.pop_front().map(|(_, change)| change)
    }

    /// Tells every sender that was heard where this side is, once what it sent is applied.
    pub fn confirm(&mut self, out: &mut Vec<Output>) {
        for sender in std::mem::take(&mut self.answering) {
            let Some(link) = self.incoming.get_mut(&sender) else { continue };
            let kept = link.held.front().map_or(link.received, |(number, _)| number - 1);
            self.dirty |= kept != link.kept;
            link.kept = kept;
            out.push(send(&sender, Message::Got { journal: link.journal, received: link.received, kept }));
        }
    }

    /// A part of a copy of everything; parts of different copies are never mixed.
    pub fn copying(&mut self, of: (u64, u64), first: usize, rows: Vec<(String, Row)>) {
        if first == 0 {
            self.copy = Some((of, rows));
        } else if let Some((copy, held)) = &mut self.copy
            && *copy == of
            && held.len() == first
        {
            held.extend(rows);
        }
    }

    /// A copy of everything is complete, if every part of it arrived; otherwise another will come.
    pub fn copied(
        &mut self,
        store: &mut Store,
        from: &str,
        of: (u64, u64),
        count: usize,
        applied: Context,
    ) -> Result<(), StoreError> {
        let Some((_, rows)) = self.copy.take().filter(|(copy, rows)| *copy == of && rows.len() == count) else {
            return Ok(());
        };
        let news = applied.iter().any(|(actor, count)| self.applied.get(actor).is_none_or(|have| have < count));
        let leads = self.leads();
        if !leads {
            store.clear_versioned()?;
            self.applied.clear();
        }
        for (key, row) in &rows {
            let held = if leads { self.row(store, key)? } else { None };
            let row = held.map_or_else(|| row.clone(), |held| held.integrated(&self.policy, row));
            store.set_versioned(key, &serde_json::to_string(&row)?)?;
        }
        join(&mut self.applied, &applied);
        self.dirty = true;
        let (journal, number) = of;
        let link = Incoming { journal, kept: number, received: number, held: VecDeque::new() };
        self.incoming.insert(from.to_string(), link);
        self.answering.push(from.to_string());
        // What came in a copy is in no journal: whoever is sent changes from here needs a copy too.
        if leads && news { self.renumber(store) } else { Ok(()) }
    }

    /// Begins a journal that has forgotten everything so far.
    fn renumber(&mut self, store: &mut Store) -> Result<(), StoreError> {
        self.journal.id = fresh(&self.me.name);
        self.journal.last = self.journal.last.max(1);
        self.journal.oldest = self.journal.last + 1;
        self.journal.cache.clear();
        self.forget_positions();
        store.journal_trim(self.journal.oldest)
    }

    fn forget_positions(&mut self) {
        self.dirty = true;
        for link in &mut self.outgoing {
            (link.sent, link.received, link.kept, link.copied) = (None, 0, None, None);
        }
    }

    /// Forgets what every neighbour has applied, except the newest entries.
    pub fn trim(&mut self, store: &mut Store, now: Duration) -> Result<(), StoreError> {
        if now < self.journal.trimmed + TRIM_EVERY {
            return Ok(());
        }
        self.journal.trimmed = now;
        let neighbours = self.outgoing.iter().filter(|link| !link.follower).map(Outgoing::position).min();
        let newest = |count: u64| self.journal.last.saturating_sub(count);
        let needed = neighbours.unwrap_or(u64::MAX).max(newest(self.me.keep_log.saturating_mul(AWAY)));
        let needed = needed.min(newest(self.me.keep_log));
        if needed + 1 > self.journal.oldest + TRIM {
            self.journal.oldest = needed + 1;
            store.journal_trim(needed + 1)?;
        }
        Ok(())
    }
}

/// A message of this mode.
pub fn send(to: &str, message: Message) -> Output {
    Output::Send(to.to_string(), crate::mode::Message::MultiLeader(message))
}
