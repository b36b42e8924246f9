//! A leader in each datacentre accepts writes; they tell each other afterwards (DDIA, chapter 5, "Multi-Leader Replication").
//!
//! Like: CouchDB, MySQL with Tungsten or circular replication, BDR for PostgreSQL, DynamoDB global tables. A client reads and writes in its own datacentre. The
//! leader does a transaction locally, answers, and sends each changed row as a change of its own; it never travels as a whole.
//!
//! **Propagation** ([`link`]): each leader sends to its neighbours in the topology, and to its followers, from a journal of what it has applied. A change
//! carries the leaders that it passed, and is not sent back to them. Nobody mends a topology: a dead node of a ring, or a dead hub, stops it.
//!
//! **Ordering.** Per author changes never overtake each other; those of different authors do where they come by different links. `none`
//! applies them as they come: an update of a row that is not there yet has no effect, as SQL's UPDATE has none, and is not tried again. `causal` holds a
//! change back until everything that its author had applied is applied here (version vectors; Ladin et al. 1992).
//!
//! **Conflicts** ([`row`]) are resolved row by row, never for a whole transaction. [`detect`] has none, by asking every datacentre before a write; `avoid`
//! has none while each record's home leader lives: when it is silent for the home time-out, the next leader takes its records over.
//!
//! **Holds**: see [`crate::config`]. **Allows**: stale reads; concurrent writes that overwrite each other, or stay side by side; half a transaction.
//!
//! Left out: failover to a follower, filters by table, getting back what a lost disk alone had acknowledged.

mod detect;
pub mod layout;
pub mod link;
mod requests;
pub mod row;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::layout::Layout;
use self::link::{Incoming, Journal, Outgoing};
use self::row::Row;
use super::Identity;
use crate::config::{Bug, Conflicts, MultiLeader, Ordering};
use crate::mode::{Input, Output, Protocol, Status};
use crate::modes::leaderless::row::Dot;
use crate::modes::leaderless::{hash, wall_clock};
use crate::operation::{Code, Context, Refusal};
use crate::store::{Store, StoreError};

/// How often leaders that share records tell each other that they live.
const ALIVE: Duration = Duration::from_millis(100);

/// A row that one transaction changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Who made it, and his how manieth it is; without gaps.
    #[serde(rename = "d")]
    pub dot: Dot,
    /// The row's key.
    #[serde(rename = "k")]
    pub key: String,
    /// Whether its author had no such row: an INSERT, otherwise an UPDATE.
    #[serde(rename = "i")]
    pub insert: bool,
    /// The row as its author wrote it.
    #[serde(rename = "r")]
    pub row: Row,
    /// What its author had applied.
    #[serde(rename = "a")]
    pub after: Context,
    /// The leaders that it passed, its author's first.
    #[serde(rename = "p")]
    pub passed: Vec<String>,
}

impl Change {
    /// The leader that accepted it.
    pub fn origin(&self) -> &str {
        self.passed.first().map_or("", String::as_str)
    }
}

/// What nodes tell each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// The changes for this link among the entries after `after` up to `upto`; without changes, where the sender is.
    Changes {
        /// Whose numbers they are.
        journal: u64,
        /// The number before the first.
        after: u64,
        /// The number of the last.
        upto: u64,
        /// The changes with their numbers.
        changes: Vec<(u64, Change)>,
    },
    /// The answer.
    Got {
        /// Whose numbers they are.
        journal: u64,
        /// Everything up to here has arrived.
        received: u64,
        /// Everything up to here is applied, on disk.
        kept: u64,
    },
    /// Some rows of a copy of everything.
    CopyRows {
        /// The journal, and the entry as of which the copy is.
        of: (u64, u64),
        /// How many rows come before these.
        first: usize,
        /// The rows.
        rows: Vec<(String, Row)>,
    },
    /// The copy is complete.
    CopyEnd {
        /// The journal, and the entry as of which the copy is.
        of: (u64, u64),
        /// How many rows it has.
        rows: usize,
        /// What is applied in it.
        applied: Context,
    },
    /// A leader lives.
    Alive,
    /// A leader wants to write these keys, of which it knows so much.
    Propose {
        /// The proposal: who, and his how manieth.
        id: Dot,
        /// The keys.
        keys: Vec<(String, Context)>,
    },
    /// Whether it may.
    Vote {
        /// The proposal.
        id: Dot,
        /// Whether nothing is in the way.
        granted: bool,
    },
    /// The proposal is over.
    Release {
        /// The proposal.
        id: Dot,
    },
}

/// A node of the mode.
pub struct Node {
    policy: MultiLeader,
    me: Identity,
    layout: Layout,
    datacentre: usize,
    /// This process's name in version vectors: another at each start, so that a number that a lost disk forgets is never given out twice.
    actor: String,
    /// How many changes this process has made.
    counter: u64,
    /// Of each author, how many of its changes are applied.
    applied: Context,
    journal: Journal,
    outgoing: Vec<Outgoing>,
    incoming: BTreeMap<String, Incoming>,
    /// Whom to tell where this side is.
    answering: Vec<String>,
    /// A copy of everything that is arriving.
    copy: Option<link::Copy>,
    /// Something of `applied`, `incoming` or the journal's identity is not in the store yet.
    dirty: bool,
    /// When each other leader was heard.
    heard: HashMap<String, Duration>,
    alive_due: Duration,
    agreement: detect::Agreement,
}

impl Node {
    /// The node as its store left it.
    pub fn recover(policy: MultiLeader, me: Identity, store: &mut Store, now: Duration) -> Result<Node, StoreError> {
        let layout = Layout::new(&me.nodes, policy.datacentres, policy.topology);
        let datacentre = layout.datacentre(&me.name);
        let starts: u64 = store.meta("starts")?.and_then(|text| text.parse().ok()).unwrap_or(0) + 1;
        store.set_meta("starts", &starts.to_string())?;
        let actor = format!("{}.{starts}.{:04x}", me.name, fresh(&me.name) & 0xffff);
        let mut outgoing = Vec::new();
        if layout.leads(&me.name) {
            let followers = layout.members(datacentre).into_iter().skip(1);
            outgoing.extend(layout.neighbours(datacentre).into_iter().map(|to| Outgoing::new(to, false)));
            outgoing.extend(followers.map(|to| Outgoing::new(to, true)));
        }
        let bounds = store.journal_bounds()?;
        let number = |name: &str| -> Result<u64, StoreError> {
            Ok(store.meta(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
        };
        // A journal that was trimmed to nothing goes on where it was.
        let last = bounds.map_or(number("journal-last")?, |(_, newest)| newest);
        let id = match number("journal")? {
            0 => fresh(&me.name),
            id => id,
        };
        let journal = Journal {
            id,
            last,
            oldest: bounds.map_or(last + 1, |(oldest, _)| oldest),
            cache: VecDeque::new(),
            trimmed: now,
        };
        let applied: Context = stored(store, "applied")?;
        let incoming: BTreeMap<String, Incoming> = stored(store, "incoming")?;
        let heard = me.nodes.iter().map(|node| (node.clone(), now)).collect();
        Ok(Node {
            policy,
            me,
            layout,
            datacentre,
            actor,
            counter: 0,
            applied,
            journal,
            outgoing,
            incoming: incoming.into_iter().map(|(name, link)| (name, link.resumed())).collect(),
            answering: Vec::new(),
            copy: None,
            dirty: true,
            heard,
            alive_due: now,
            agreement: detect::Agreement::default(),
        })
    }

    /// Whether this node leads its datacentre.
    fn leads(&self) -> bool {
        self.layout.leads(&self.me.name)
    }

    /// Whether the actor is this node, at this start or an earlier one.
    fn own(&self, actor: &str) -> bool {
        actor.strip_prefix(self.me.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
    }

    fn row(&self, store: &Store, key: &str) -> Result<Option<Row>, StoreError> {
        Ok(store.versioned(key)?.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    fn seen(&self, dot: &Dot) -> bool {
        self.applied.get(&dot.0).is_some_and(|count| *count >= dot.1)
    }

    /// Whether a change can be applied, or is known and can be forgotten.
    fn due(&self, change: &Change) -> bool {
        // A follower is sent what its leader applied, in that order.
        if !self.leads() || self.policy.ordering == Ordering::None || self.policy.bug == Some(Bug::IgnoreCause) {
            return true;
        }
        let next = self.applied.get(&change.dot.0).copied().unwrap_or(0) + 1;
        // What this node lost with its own disk it need not wait for.
        let known = |(actor, count): (&String, &u64)| {
            *actor == change.dot.0 || self.own(actor) || self.applied.get(actor).is_some_and(|have| have >= count)
        };
        self.seen(&change.dot) || (change.dot.1 == next && change.after.iter().all(known))
    }

    /// A change of another leader.
    fn apply(&mut self, store: &mut Store, change: Change, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let again = self.seen(&change.dot) || change.passed.contains(&self.me.name);
        if again && !self.uncut(&change) {
            return Ok(());
        }
        let held = self.row(store, &change.key)?;
        let row = match &held {
            None => change.insert.then(|| change.row.clone()),
            Some(held) => Some(held.integrated(&self.policy, &change.row)),
        };
        match &row {
            None => {
                let Change { key, dot, .. } = &change;
                out.push(Output::Say(format!(
                    "update of {key} by {} ({}) came before its insert: no effect",
                    dot.0, dot.1
                )));
            }
            Some(row) if held.as_ref() != Some(row) => {
                store.set_versioned(&change.key, &serde_json::to_string(row)?)?
            }
            Some(_) => {}
        }
        self.note(store, change)
    }

    /// Counts a change as applied, and passes it on.
    fn note(&mut self, store: &mut Store, mut change: Change) -> Result<(), StoreError> {
        self.dirty = true;
        row::cover(&mut self.applied, &change.dot);
        if !change.passed.contains(&self.me.name) {
            change.passed.push(self.me.name.clone());
        }
        if self.leads() {
            self.journal.append(store, change)?;
        }
        Ok(())
    }

    fn receive(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.heard.insert(from.to_string(), now);
        match message {
            Message::Changes { journal, after, upto, changes } => self.arrived(from, journal, (after, upto), changes),
            Message::Got { journal, received, kept } => self.confirmed(now, from, journal, received, kept, out),
            Message::CopyRows { of, first, rows } => self.copying(of, first, rows),
            Message::CopyEnd { of, rows, applied } => self.copied(store, from, of, rows, applied)?,
            Message::Alive => {}
            Message::Propose { id, keys } => self.proposed(store, now, from, id, &keys, out)?,
            Message::Vote { id, granted } => self.voted(store, from, &id, granted, out)?,
            Message::Release { id } => self.agreement.released(&id),
        }
        Ok(())
    }

    fn tick(&mut self, store: &mut Store, now: Duration, out: &mut Vec<Output>) -> Result<(), StoreError> {
        self.expire(now, out);
        self.trim(store, now)?;
        if self.policy.conflicts == Conflicts::Avoid && self.leads() && now >= self.alive_due {
            self.alive_due = now + ALIVE;
            for other in self.layout.leaders().iter().filter(|other| **other != self.me.name) {
                out.push(link::send(other, Message::Alive));
            }
        }
        Ok(())
    }

    fn save(&mut self, store: &mut Store) -> Result<(), StoreError> {
        if std::mem::take(&mut self.dirty) {
            store.set_meta("applied", &serde_json::to_string(&self.applied)?)?;
            store.set_meta("incoming", &serde_json::to_string(&self.incoming)?)?;
            store.set_meta("journal", &self.journal.id.to_string())?;
            store.set_meta("journal-last", &self.journal.last.to_string())?;
        }
        Ok(())
    }
}

impl Protocol for Node {
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Tick => self.tick(store, now, &mut out)?,
            Input::Client { ticket, request } => self.request(store, now, ticket, request, &mut out)?,
            Input::Peer { from, message: crate::mode::Message::MultiLeader(message) } => {
                self.receive(store, now, &from, message, &mut out)?;
            }
            Input::Peer { .. } => {}
            Input::Promote { ticket } | Input::Replica { ticket, .. } => {
                let text = "each datacentre has its leader, and clients coordinate nothing in this mode";
                out.push(Output::Reply(ticket, Err(Refusal::definite(Code::Unsupported, text))));
            }
        }
        Ok(out)
    }

    fn settle(&mut self, store: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        self.deliver(store, &mut out)?;
        self.confirm(&mut out);
        self.save(store)?;
        self.send_changes(store, now, &mut out)?;
        Ok(out)
    }

    fn status(&self) -> Status {
        Status {
            role: if self.leads() { "leader" } else { "follower" }.to_string(),
            leader: Some(self.layout.leader(self.datacentre).to_string()),
            position: self.applied.values().sum(),
            applied: self.applied.clone(),
            committed: self.journal.last,
            followers: self.outgoing.iter().map(|link| (link.to.clone(), link.position())).collect(),
            ready: true,
            ..Status::default()
        }
    }
}

fn stored<T: Default + for<'de> Deserialize<'de>>(store: &Store, name: &str) -> Result<T, StoreError> {
    Ok(store.meta(name)?.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

/// A number that no other start of any node has.
fn fresh(name: &str) -> u64 {
    hash(&[name, &wall_clock().to_string(), &std::process::id().to_string()]).max(1)
}
