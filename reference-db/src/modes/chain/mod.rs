//! A chain: writes enter at its head and pass down, its tail acknowledges them and answers all reads.
//!
//! like: chain replication (van Renesse & Schneider 2004), as in Azure Storage's stream layer (Calder et al. 2011). Reads at every node (CRAQ) are left out.
//!
//! **Order.** The head executes transactions and numbers them; each node writes an entry to its disk before it passes it on. So each log is a beginning of the log
//! before it, what the tail has everybody has, and a read at the tail shows nothing that can be lost. The tail tells the head directly how far it is, and the news
//! climbs the chain too, since a link between head and tail may be cut while all others work.
//!
//! **Repair** ([`configuration`], [`register`], [`liveness`]). Who stands where is a numbered configuration that a majority of all nodes agrees on: the chain alone
//! cannot tell a dead neighbour from a cut link. The node before a dead one sends on from what the node behind it has; a dead head's successor writes on;
//! a dead tail's predecessor has everything that was acknowledged. Who returns follows the tail first, then joins, and is the tail once it has everything.
//!
//! **Reads.** A tail that was repaired around does not know it. With `--lease on` it answers only while a majority said lately that it had accepted no
//! successor of its configuration, by its own monotonic clock; a new tail is quiet until such a promise must have run out, unless the old tail, now the node before
//! it, says that it has let go. With `--lease off` neither waits.
//!
//! **Holds**: see [`crate::config`]. **Allows**: with `--lease off`, stale reads. Writes and reads stop while a node of the chain is dead, until it is removed.
//! A node that comes back without its disk is outside the assumptions, as in any majority.

mod configuration;
mod forward;
mod liveness;
mod log;
mod register;
mod requests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use self::configuration::Configuration;
use self::forward::{Downstream, Incoming};
use self::log::Log;
pub use self::register::Agreement;
use self::register::Register;
use self::requests::Pending;
use super::Identity;
use crate::config::Chain;
use crate::mode::{Input, Output, Protocol, Status};
use crate::modes::single_leader::Position;
use crate::operation::{Code, Refusal};
use crate::store::{Entry, Store, StoreError};

/// How long a neighbour may be silent before it is repaired around.
pub const SILENCE: Duration = Duration::from_millis(600);
/// How often nodes let themselves be heard.
const BEAT: Duration = Duration::from_millis(100);

/// What nodes tell each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// To the next: entries after `previous`; without entries, a sign of life.
    Append {
        /// The sender's epoch.
        epoch: u64,
        /// The position before the first entry.
        previous: Position,
        /// The entries.
        entries: Vec<Entry>,
        /// From the tail of the configuration before: it answers nothing any more, and its own quiet lasts as long.
        quiet: Option<Duration>,
    },
    /// To the one before: everything up to `matching` is on this disk.
    Appended {
        /// The sender's epoch.
        epoch: u64,
        /// Up to where the logs are equal.
        matching: u64,
    },
    /// To the one before: the entries did not fit.
    Refused {
        /// The sender's epoch.
        epoch: u64,
        /// The newest entry that may be common.
        hint: u64,
        /// Whether only a copy of everything can help.
        snapshot: bool,
    },
    /// Tail to head, and each to the one before: everything up to here is acknowledged.
    Stable {
        /// The sender's epoch.
        epoch: u64,
        /// The index.
        stable: u64,
    },
    /// To everybody: I am here, and this is the configuration that I know.
    Beat {
        /// The configuration.
        configuration: Configuration,
        /// When it was sent, by the sender's monotonic clock.
        sent: Duration,
    },
    /// The answer.
    Echo {
        /// The epoch of the beat.
        epoch: u64,
        /// When that was sent.
        sent: Duration,
        /// Whether the answerer has accepted no successor.
        grants: bool,
    },
    /// About the configuration.
    Agree(Agreement),
}

/// A node of the mode.
pub struct Node {
    policy: Chain,
    me: Identity,
    rng: ChaCha8Rng,
    register: Register,
    log: Log,
    /// Up to where every node of the chain has everything, as far as this one knows.
    stable: u64,
    /// To whom this node sends.
    downstream: Option<Downstream>,
    incoming: Option<Incoming>,
    /// Whether everything that the one before does not have was taken back in this epoch. Nodes of the chain have nothing of the kind.
    aligned: bool,
    /// Clients that wait at the head, by ascending position.
    writes: VecDeque<Pending>,
    /// Clients that wait at the tail, by ascending position.
    reads: VecDeque<Pending>,
    /// Before then the tail answers nothing.
    quiet_until: Duration,
    /// Whether this node was the tail right before this epoch, so that it can tell its successor that it has let go.
    released: bool,
    /// The last entry when this epoch was learned: everything that earlier tails acknowledged is up to here.
    inherited: u64,
    /// When each node was heard last.
    heard: BTreeMap<String, Duration>,
    /// When the newest beat of this epoch that a node granted a lease for was sent.
    granted: BTreeMap<String, Duration>,
    beat_due: Duration,
    ticked: Duration,
    propose_due: Duration,
    /// What the tail told the head last, and when.
    told: (u64, Duration),
    repairs: u64,
}

impl Node {
    /// The node as its store left it.
    pub fn recover(policy: Chain, me: Identity, store: &mut Store, now: Duration) -> Result<Node, StoreError> {
        let register = Register::recover(store, &me.nodes, &me.name)?;
        let log = Log::recover(store, me.keep_log)?;
        // A tail that starts again may have been quiet when it went down.
        let quiet_until = if policy.lease && register.decided.epoch > 1 { now + SILENCE } else { now };
        let heard = me.nodes.iter().map(|node| (node.clone(), now)).collect();
        Ok(Node {
            rng: ChaCha8Rng::seed_from_u64(me.seed),
            policy,
            stable: 0,
            downstream: None,
            incoming: None,
            aligned: false,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            quiet_until,
            released: false,
            inherited: log.last.1,
            heard,
            granted: BTreeMap::new(),
            beat_due: now,
            ticked: now,
            propose_due: now,
            told: (0, now),
            repairs: 0,
            register,
            log,
            me,
        })
    }

    fn configuration(&self) -> &Configuration {
        &self.register.decided
    }

    fn epoch(&self) -> u64 {
        self.register.decided.epoch
    }

    fn is_head(&self) -> bool {
        self.configuration().head() == self.me.name
    }

    fn is_tail(&self) -> bool {
        self.configuration().tail() == self.me.name
    }

    fn is_complete(&self) -> bool {
        self.configuration().contains(&self.me.name)
    }

    fn others(&self) -> Vec<String> {
        self.me.nodes.iter().filter(|node| **node != self.me.name).cloned().collect()
    }

    fn send(&self, to: &str, message: Message) -> Output {
        Output::Send(to.to_string(), crate::mode::Message::Chain(message))
    }

    fn role(&self) -> &'static str {
        let configuration = self.configuration();
        match () {
            () if self.is_head() => "head",
            () if self.is_tail() => "tail",
            () if self.is_complete() => "middle",
            () if configuration.concerns(&self.me.name) => "joining",
            () => "outside",
        }
    }

    /// A decided configuration was heard of.
    fn learn(
        &mut self,
        store: &mut Store,
        now: Duration,
        decided: &Configuration,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let before = self.configuration().clone();
        if !self.register.learn(store, decided)? {
            return Ok(());
        }
        self.repairs += 1;
        out.push(Output::Say(decided.to_string()));
        let follows = before.epoch + 1 == decided.epoch;
        let was_tail = before.tail() == self.me.name;
        if self.is_tail() && !(was_tail && follows) && self.policy.lease {
            self.quiet_until = now + SILENCE;
        }
        self.released = was_tail && follows && !self.is_tail();
        self.inherited = self.log.last.1;
        self.aligned = false;
        self.incoming = None;
        self.granted.clear();
        self.propose_due = now;
        self.beat_due = now;
        self.told = (0, now);
        self.redirect(&before, now);
        self.abandon(out);
        Ok(())
    }
}

impl Protocol for Node {
    fn step(&mut self, store: &mut Store, now: Duration, input: Input) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        match input {
            Input::Tick => self.tick(store, now, &mut out)?,
            Input::Client { ticket, request } => self.request(store, now, ticket, &request, &mut out)?,
            Input::Peer { from, message: crate::mode::Message::Chain(message) } => {
                self.heard.insert(from.clone(), now);
                self.receive(store, now, &from, message, &mut out)?;
            }
            // A copy of everything travels in the same words whatever the mode.
            Input::Peer { from, message: crate::mode::Message::Leader(message) } => {
                self.heard.insert(from.clone(), now);
                self.copied(store, &from, message, &mut out)?;
            }
            Input::Promote { ticket } => {
                let why = "a chain has no leader to choose: its order is repaired by itself";
                out.push(Output::Reply(ticket, Err(Refusal::definite(Code::Unsupported, why))));
            }
            Input::Replica { ticket, .. } => out.push(Output::no_coordination(ticket)),
            Input::Peer { .. } => {}
        }
        Ok(out)
    }

    fn settle(&mut self, store: &mut Store, now: Duration) -> Result<Vec<Output>, StoreError> {
        let mut out = Vec::new();
        self.forward(store, now, &mut out)?;
        self.acknowledge(now, &mut out);
        self.release(now, &mut out);
        self.log.compact(store)?;
        Ok(out)
    }

    fn status(&self) -> Status {
        let downstream = self.downstream.iter().map(|next| (next.name.clone(), next.matching));
        Status {
            role: self.role().to_string(),
            term: self.epoch(),
            ready: self.is_complete() && (!self.is_tail() || !self.policy.lease || self.lease_until() > self.ticked),
            leader: Some(self.configuration().head().to_string()),
            position: self.log.last.1,
            position_term: self.log.last.0,
            committed: self.stable,
            followers: downstream.collect(),
            ..Status::default()
        }
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![("configurations", self.repairs)]
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
            Message::Append { epoch, previous, entries, quiet } => {
                let batch = forward::Batch { epoch, previous, entries, quiet };
                self.appended_by(store, now, from, batch, out)
            }
            Message::Appended { epoch, matching } => {
                self.confirmed(now, from, epoch, matching);
                Ok(())
            }
            Message::Refused { epoch, hint, snapshot } => {
                self.refused(now, from, epoch, (hint, snapshot), out);
                Ok(())
            }
            Message::Stable { epoch, stable } => {
                let known = self.configuration();
                let knows = known.tail() == from || known.successor(&self.me.name) == Some(from);
                // A tail knows best itself.
                if epoch == known.epoch && knows && !self.is_tail() {
                    self.stable = self.stable.max(stable.min(self.log.last.1));
                }
                Ok(())
            }
            Message::Beat { configuration, sent } => self.beaten(store, now, from, (&configuration, sent), out),
            Message::Echo { epoch, sent, grants } => {
                if grants && epoch == self.epoch() {
                    let newest = self.granted.entry(from.to_string()).or_default();
                    *newest = (*newest).max(sent.min(now));
                }
                Ok(())
            }
            Message::Agree(agreement) => self.agree(store, now, from, agreement, out),
        }
    }
}
