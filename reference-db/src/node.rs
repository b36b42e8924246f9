//! The thread that owns a node's protocol and its store.
//!
//! It gathers whatever has arrived, steps through it, commits once, and only then carries the outputs out. A request that comes while the disk is busy
//! waits for the next batch, and shares its fsync with whoever waits too (group commit).

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::mode::{Input, Output, Protocol, Status, TICK, Ticket};
use crate::modes::leaderless::row::Row;
use crate::operation::{Code, Refusal, Reply};
use crate::peers::Peers;
use crate::store::{Store, StoreError};

/// At most so many inputs share a commit.
const BATCH: usize = 1_024;

/// An answer on its way to a client.
pub type Answer = oneshot::Sender<Result<Answered, Refusal>>;

/// What clients are answered.
pub enum Answered {
    /// An ordinary reply.
    Reply(Reply),
    /// What a replica holds.
    Row(Option<Row>),
}

/// What reaches the node's thread.
pub enum Arrival {
    /// A message of another node, with the room that it takes until then.
    Peer(Input, tokio::sync::OwnedSemaphorePermit),
    /// A request, with whom to answer.
    Request(crate::operation::Request, Answer),
    /// A request to this very replica.
    Replica(crate::operation::ReplicaRequest, Answer),
    /// An operator asks this node to lead.
    Promote(Answer),
    /// The process is to end.
    Stop,
}

/// What the node says of itself, renewed with each tick, and before it says something or answers a client: whoever has an answer finds what it speaks of in the status of
/// the node that gave it.
#[derive(Default)]
pub struct Published {
    /// The protocol's words.
    pub status: Status,
    /// Counters, by name.
    pub metrics: HashMap<&'static str, u64>,
}

/// The node's thread.
pub struct Node {
    /// How the nodes agree.
    pub protocol: Box<dyn Protocol>,
    /// The data.
    pub store: Store,
    /// The way to the other nodes.
    pub peers: Peers,
    /// This node's name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// When the process began; the protocol's time counts from there.
    pub began: Instant,
    /// For the status page.
    pub published: Arc<Mutex<Published>>,
}

impl Node {
    /// Runs until told to stop, or until the disk fails.
    pub fn run(mut self, arrivals: &Receiver<Arrival>) -> Result<(), StoreError> {
        let mut answers: HashMap<Ticket, Answer> = HashMap::new();
        let mut next = 1;
        let mut tick_due = Instant::now();
        let mut out = Vec::new();
        let mut own: Vec<Input> = Vec::new();
        loop {
            let patience = tick_due.saturating_duration_since(Instant::now());
            let mut arrival = match arrivals.recv_timeout(if own.is_empty() { patience } else { Duration::ZERO }) {
                Ok(arrival) => Some(arrival),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for input in own.drain(..) {
                let now = self.began.elapsed();
                out.extend(self.protocol.step(&mut self.store, now, input)?);
            }
            let (mut steps, mut stop) = (0, false);
            while let Some(arrived) = arrival.take() {
                let input = match arrived {
                    Arrival::Peer(input, _room) => input,
                    Arrival::Request(request, answer) => {
                        answers.insert(Ticket(next), answer);
                        next += 1;
                        Input::Client { ticket: Ticket(next - 1), request }
                    }
                    Arrival::Replica(request, answer) => {
                        answers.insert(Ticket(next), answer);
                        next += 1;
                        Input::Replica { ticket: Ticket(next - 1), request }
                    }
                    Arrival::Promote(answer) => {
                        answers.insert(Ticket(next), answer);
                        next += 1;
                        Input::Promote { ticket: Ticket(next - 1) }
                    }
                    Arrival::Stop => {
                        stop = true;
                        break;
                    }
                };
                let now = self.began.elapsed();
                out.extend(self.protocol.step(&mut self.store, now, input)?);
                steps += 1;
                if steps < BATCH {
                    arrival = arrivals.try_recv().ok();
                }
            }
            let ticked = Instant::now() >= tick_due;
            if ticked {
                out.extend(self.protocol.step(&mut self.store, self.began.elapsed(), Input::Tick)?);
                tick_due = Instant::now() + TICK;
            }
            out.extend(self.protocol.settle(&mut self.store, self.began.elapsed())?);
            let dirty = self.store.dirty();
            self.store.commit()?;
            out.extend(self.protocol.committed(&mut self.store, self.began.elapsed())?);
            let news = ticked || out.iter().any(is_news);
            self.publish(steps as u64, dirty, news);
            stop |= out.contains(&Output::End);
            for output in out.drain(..) {
                self.carry_out(output, &mut answers, &mut own);
            }
            if stop {
                return Ok(());
            }
        }
    }

    fn carry_out(&mut self, output: Output, answers: &mut HashMap<Ticket, Answer>, own: &mut Vec<Input>) {
        match output {
            Output::Reply(ticket, result) => answer(answers, ticket, result.map(Answered::Reply)),
            Output::Row(ticket, row) => answer(answers, ticket, Ok(Answered::Row(row))),
            Output::ReplyBefore(ticket, result, until) => {
                let in_time = self.began.elapsed() < until;
                let late = || Refusal::definite(Code::LeaseExpired, "this node can't be sure that it still leads");
                let result = if in_time { result } else { Err(late()) };
                answer(answers, ticket, result.map(Answered::Reply));
            }
            Output::Send(to, message) if to == self.name => own.push(Input::Peer { from: to, message }),
            Output::Send(to, message) => self.peers.send(&to, &message),
            Output::SendAll(to, message) => self.peers.send_all(&to, &message),
            Output::Ship(order) => self.peers.ship(order, self.store.path()),
            Output::Snapshot(to, term) => self.peers.send_snapshot(&to, term, &self.store),
            Output::Say(text) => say(&self.name, self.began, &text),
            Output::Keep(name, lines) => self.keep(&name, &lines),
            Output::End => {}
        }
    }

    /// A discarded tail, for the post-mortem. It is no part of the database; failing to write it stops nothing.
    fn keep(&self, name: &str, lines: &[String]) {
        let path = self.dir.join(name);
        let written = std::fs::File::create(&path).and_then(|mut file| {
            lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
            file.sync_all()
        });
        if let Err(error) = written {
            say(&self.name, self.began, &format!("could not keep {}: {error}", path.display()));
        }
    }

    fn publish(&self, steps: u64, committed: bool, news: bool) {
        let mut published = self.published.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if news {
            published.status = self.protocol.status();
            published.metrics.extend(self.protocol.metrics());
            published.metrics.insert("peer_bytes_sent", self.peers.sent_bytes());
        }
        *published.metrics.entry("inputs").or_default() += steps;
        *published.metrics.entry("batches").or_default() += 1;
        *published.metrics.entry("commits").or_default() += u64::from(committed);
    }
}

/// Whether the status has to be renewed before this leaves. Whatever changes a role is said too; of what others sent, positions may be a tick old.
fn is_news(output: &Output) -> bool {
    matches!(output, Output::Say(_) | Output::Reply(..) | Output::ReplyBefore(..) | Output::Row(..))
}

fn answer(answers: &mut HashMap<Ticket, Answer>, ticket: Ticket, result: Result<Answered, Refusal>) {
    if let Some(answer) = answers.remove(&ticket) {
        // A client that went away needs no answer.
        let _ = answer.send(result);
    }
}

/// A line in the node's log: its own time since the start, its wall clock, its name.
pub fn say(name: &str, began: Instant, text: &str) {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let line = format!("{:10.4} {:.3} {name} {text}", began.elapsed().as_secs_f64(), wall.as_secs_f64());
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
