//! A cluster in one thread: real protocols over real stores, with a clock, a network and faults that a seed decides.
//!
//! A node is stepped as the real one is: everything that is due, then `settle`, then a commit, and only then do its outputs leave. A paused node's inputs wait;
//! a killed node keeps what it had committed. So a seed is a whole history, and a failure is repeated by its number.

#![allow(dead_code, reason = "each test program uses a part of the world")]

pub mod several;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use refdb::config::ModeConfig;
use refdb::mode::{Input, Message, Output, Protocol, Status, Ticket};
use refdb::modes::{self, Identity, single_leader};
use refdb::operation::{Operation, Refusal, Reply, Request};
use refdb::store::{Fsync, Layout, PAGE_SIZE, Reader, Store, snapshot};
use refdb::value::Value;

/// How far the clock moves in one round.
pub const ROUND: Duration = Duration::from_millis(10);

/// A node: its disk always, the rest while it runs.
pub struct Machine {
    pub name: String,
    dir: tempfile::TempDir,
    running: Option<(Box<dyn Protocol>, Store)>,
    /// When its process began.
    began: Duration,
    /// Bytes in a page of its database, when that is made.
    pub page_size: u32,
    starts: u64,
    pub paused: bool,
    inbox: VecDeque<Input>,
    /// What it kept of discarded tails: the file's name and its lines.
    pub kept: Vec<(String, Vec<String>)>,
    pub said: Vec<String>,
}

/// A message under way.
struct Flying {
    due: Duration,
    order: u64,
    from: usize,
    to: usize,
    message: Message,
    /// The process that it was sent to: a connection does not outlive it.
    starts: u64,
}

/// An answer, when it came and from whom.
pub struct Answered {
    pub at: Duration,
    pub node: usize,
    pub result: Result<Reply, Refusal>,
}

/// The cluster.
pub struct World {
    pub now: Duration,
    pub machines: Vec<Machine>,
    pub rng: ChaCha8Rng,
    pub config: ModeConfig,
    keep_log: u64,
    flying: Vec<Flying>,
    order: u64,
    /// Links that let nothing through: from, to.
    pub cut: Vec<(usize, usize)>,
    /// Links that are slow, and by how much.
    pub slow: BTreeMap<(usize, usize), Duration>,
    /// Per mille of messages that vanish.
    pub loss: u32,
    /// The longest ordinary delay, milliseconds.
    pub delay: u64,
    next_ticket: u64,
    pub answers: BTreeMap<Ticket, Answered>,
    /// Every leader of a term that was ever seen.
    pub leaders: BTreeMap<u64, String>,
}

/// The configuration that these flags name.
pub fn config(flags: &str, nodes: usize) -> ModeConfig {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        mode: refdb::config::ModeArgs,
    }
    let words = std::iter::once("test").chain(flags.split_whitespace());
    let flags = <Flags as clap::Parser>::try_parse_from(words).expect("sensible flags");
    flags.mode.config(nodes).expect("sensible flags")
}

impl World {
    pub fn new(flags: &str, nodes: usize, seed: u64) -> World {
        let machine = |number: usize| Machine {
            name: format!("n{number}"),
            dir: tempfile::tempdir().expect("a temporary directory"),
            running: None,
            began: Duration::ZERO,
            page_size: PAGE_SIZE,
            starts: 0,
            paused: false,
            inbox: VecDeque::new(),
            kept: Vec::new(),
            said: Vec::new(),
        };
        let mut world = World {
            now: Duration::from_secs(1),
            machines: (1..=nodes).map(machine).collect(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            config: config(flags, nodes),
            keep_log: single_leader::KEEP,
            flying: Vec::new(),
            order: 0,
            cut: Vec::new(),
            slow: BTreeMap::new(),
            loss: 0,
            delay: 12,
            next_ticket: 1,
            answers: BTreeMap::new(),
            leaders: BTreeMap::new(),
        };
        for node in 0..nodes {
            world.start(node);
        }
        world
    }

    /// The same with short logs.
    pub fn keeping(mut self, entries: u64) -> World {
        self.keep_log = entries;
        for node in 0..self.machines.len() {
            self.kill(node);
            self.start(node);
        }
        self
    }

    pub fn start(&mut self, node: usize) {
        let names: Vec<String> = self.machines.iter().map(|machine| machine.name.clone()).collect();
        let machine = &mut self.machines[node];
        if machine.running.is_some() {
            return;
        }
        machine.starts += 1;
        machine.began = self.now;
        let seed = machine.starts * 31 + node as u64;
        let identity = Identity { name: machine.name.clone(), nodes: names, seed, keep_log: self.keep_log };
        let layout = Layout { physical: self.config.physical(), page_size: machine.page_size };
        let mut store = Store::open_as(machine.dir.path(), Fsync::Never, layout).expect("a store");
        let protocol = modes::build(&self.config, identity, &mut store, Duration::ZERO).expect("a protocol");
        store.commit().expect("a commit");
        machine.running = Some((protocol, store));
    }

    /// Whatever was not committed is gone, and so is whatever was on its way to it.
    pub fn kill(&mut self, node: usize) {
        let machine = &mut self.machines[node];
        machine.running = None;
        machine.paused = false;
        machine.inbox.clear();
    }

    /// Its disk is gone too.
    pub fn wipe(&mut self, node: usize) {
        self.kill(node);
        self.machines[node].dir = tempfile::tempdir().expect("a temporary directory");
    }

    pub fn up(&self, node: usize) -> bool {
        self.machines[node].running.is_some()
    }

    pub fn status(&self, node: usize) -> Option<Status> {
        self.machines[node].running.as_ref().map(|(protocol, _)| protocol.status())
    }

    /// A counter of a running node; 0 where it has none of this name.
    pub fn metric(&self, node: usize, name: &str) -> u64 {
        let Some((protocol, _)) = &self.machines[node].running else { return 0 };
        protocol.metrics().iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value)
    }

    /// A copy of a node's directory as it is now; the node must be down.
    pub fn save(&self, node: usize) -> tempfile::TempDir {
        assert!(!self.up(node), "a copy of a running node's files is no consistent one");
        let copy = tempfile::tempdir().expect("a temporary directory");
        for file in std::fs::read_dir(self.machines[node].dir.path()).expect("its directory").flatten() {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("a copy");
        }
        copy
    }

    /// The node goes down and finds an old copy of its directory.
    pub fn restore(&mut self, node: usize, copy: tempfile::TempDir) {
        self.kill(node);
        self.machines[node].dir = copy;
    }

    /// Who leads the highest term.
    pub fn leader(&self) -> Option<usize> {
        let leads = |node: &usize| self.status(*node).is_some_and(|status| status.role == "leader");
        (0..self.machines.len()).filter(leads).max_by_key(|node| self.status(*node).map(|status| status.term))
    }

    pub fn cut_off(&mut self, node: usize) {
        for other in (0..self.machines.len()).filter(|other| *other != node) {
            self.cut.extend([(node, other), (other, node)]);
        }
    }

    /// One link is slow or cut, one way.
    pub fn harm_link(&mut self, from: usize, to: usize) {
        match self.rng.random_range(0..3) {
            0 => self.cut.push((from, to)),
            1 => self.cut.push((to, from)),
            _ => {
                let slow = Duration::from_millis(self.rng.random_range(50..400));
                self.slow.insert((from, to), slow);
            }
        }
    }

    /// Ends every fault.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.slow.clear();
        self.loss = 0;
        for node in 0..self.machines.len() {
            self.machines[node].paused = false;
            self.start(node);
        }
    }

    /// Asks a node; the answer appears in `answers`, or never.
    pub fn ask(&mut self, node: usize, request: Request) -> Ticket {
        let ticket = self.ticket();
        self.input(node, Input::Client { ticket, request });
        ticket
    }

    pub fn promote(&mut self, node: usize) -> Ticket {
        let ticket = self.ticket();
        self.input(node, Input::Promote { ticket });
        ticket
    }

    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub fn input(&mut self, node: usize, input: Input) {
        if self.up(node) {
            self.machines[node].inbox.push_back(input);
        }
    }

    /// Hands a node a message as if another had sent it.
    pub fn inject(&mut self, from: usize, to: usize, message: single_leader::Message) {
        let from = self.machines[from].name.clone();
        self.input(to, Input::Peer { from, message: Message::Leader(message) });
    }

    /// One round: the clock moves, what is due arrives, every running node takes a batch.
    pub fn round(&mut self) {
        self.now += ROUND;
        let now = self.now;
        self.flying.sort_by_key(|flying| (flying.due, flying.order));
        let later = self.flying.split_off(self.flying.partition_point(|flying| flying.due <= now));
        for flying in std::mem::replace(&mut self.flying, later) {
            let from = self.machines[flying.from].name.clone();
            if self.machines[flying.to].starts == flying.starts && !self.cut.contains(&(flying.from, flying.to)) {
                self.input(flying.to, Input::Peer { from, message: flying.message });
            }
        }
        for node in 0..self.machines.len() {
            self.batch(node);
        }
        self.witness();
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.round();
        }
    }

    /// Runs until `done`, at most for `limit`.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + limit;
        while self.now < until {
            if done(self) {
                return true;
            }
            self.round();
        }
        done(self)
    }

    fn batch(&mut self, node: usize) {
        let now = self.now;
        let machine = &mut self.machines[node];
        if machine.paused {
            return;
        }
        let Some((protocol, store)) = &mut machine.running else { return };
        let at = now - machine.began;
        let mut out = Vec::new();
        for input in machine.inbox.drain(..).chain([Input::Tick]) {
            out.extend(protocol.step(store, at, input).expect("the disk works"));
        }
        out.extend(protocol.settle(store, at).expect("the disk works"));
        store.commit().expect("the disk works");
        out.extend(protocol.committed(store, at).expect("the disk works"));
        for output in out {
            self.carry_out(node, at, output);
        }
    }

    fn carry_out(&mut self, node: usize, at: Duration, output: Output) {
        match output {
            Output::Reply(ticket, result) => self.answered(node, ticket, result),
            Output::ReplyBefore(ticket, result, until) => {
                let late = || Refusal::definite(refdb::operation::Code::LeaseExpired, "late");
                self.answered(node, ticket, if at < until { result } else { Err(late()) });
            }
            Output::Row(ticket, _) => panic!("nobody asked a replica for {ticket:?}"),
            Output::SendAll(names, message) => {
                for to in names {
                    self.carry_out(node, at, Output::Send(to, message.clone()));
                }
            }
            Output::Send(to, message) => {
                let to = self.machines.iter().position(|machine| machine.name == to).expect("a node");
                if to == node {
                    let from = self.machines[node].name.clone();
                    self.machines[node].inbox.push_back(Input::Peer { from, message });
                } else if self.loss == 0 || self.rng.random_range(0..1_000) >= self.loss {
                    self.fly(node, to, message);
                }
            }
            Output::Ship(order) => {
                let reader = Reader::open(&self.database(node)).expect("a reader");
                if let Some((to, message)) = order.filled(&reader).expect("the disk works") {
                    self.carry_out(node, at, Output::SendAll(to, message));
                }
            }
            Output::Snapshot(to, term) => self.copy(node, &to, term),
            Output::Say(text) => self.machines[node].said.push(text),
            Output::Keep(name, lines) => self.machines[node].kept.push((name, lines)),
            Output::End => self.kill(node),
        }
    }

    fn copy(&mut self, node: usize, to: &str, term: u64) {
        let to = self.machines.iter().position(|machine| machine.name == to).expect("a node");
        let Some((_, store)) = &self.machines[node].running else { return };
        if store.is_physical() {
            for message in single_leader::copy(store.path(), store.form(), term).expect("a copy") {
                self.fly(node, to, Message::Leader(message));
            }
            return;
        }
        let copy = snapshot(store.path()).expect("a snapshot").replicated();
        let rows = copy.rows;
        for message in [
            single_leader::Message::SnapshotBegin { term, last: copy.last, terms: copy.terms },
            single_leader::Message::SnapshotRows { term, rows },
            single_leader::Message::SnapshotEnd { term },
        ] {
            self.fly(node, to, Message::Leader(message));
        }
    }

    /// Messages of one link keep their order, as on a connection.
    fn fly(&mut self, from: usize, to: usize, message: Message) {
        let starts = self.machines[to].starts;
        let slow = self.slow.get(&(from, to)).copied().unwrap_or_default();
        let due = self.now + slow + Duration::from_millis(self.rng.random_range(0..=self.delay));
        let before = self.flying.iter().filter(|flying| flying.from == from && flying.to == to);
        let due = before.map(|flying| flying.due).max().unwrap_or_default().max(due);
        self.order += 1;
        self.flying.push(Flying { due, order: self.order, from, to, message, starts });
    }

    fn answered(&mut self, node: usize, ticket: Ticket, result: Result<Reply, Refusal>) {
        let earlier = self.answers.insert(ticket, Answered { at: self.now, node, result });
        assert!(earlier.is_none(), "{ticket:?} was answered twice");
    }

    /// No term has two leaders. Several leaders, in modes that have them, have no terms.
    fn witness(&mut self) {
        for node in 0..self.machines.len() {
            let Some(status) = self.status(node).filter(|status| status.role == "leader" && status.term > 0) else {
                continue;
            };
            let name = self.machines[node].name.clone();
            let leader = self.leaders.entry(status.term).or_insert_with(|| name.clone());
            assert_eq!(*leader, name, "two leaders of term {}", status.term);
        }
    }

    /// What the node's disk holds.
    /// Where a node's database is.
    pub fn database(&self, node: usize) -> std::path::PathBuf {
        self.machines[node].dir.path().join("node.sqlite")
    }

    pub fn disk(&self, node: usize) -> refdb::store::Snapshot {
        snapshot(&self.machines[node].dir.path().join("node.sqlite")).expect("a snapshot")
    }

    /// Whether a node has said so.
    pub fn said(&self, node: usize, part: &str) -> bool {
        self.machines[node].said.iter().any(|line| line.contains(part))
    }
}

/// An append to a list.
pub fn append(key: &str, value: i64) -> Request {
    Request { ops: vec![Operation::Append { key: key.to_string(), value: Value::Int(value) }], ..Request::default() }
}

/// A read.
pub fn read(key: &str) -> Request {
    Request { ops: vec![Operation::Read { key: key.to_string() }], ..Request::default() }
}

/// The seeds to run: the usual ones, or `GAINSAY_SEEDS` many from the first of them, or the one called `GAINSAY_SEED`.
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("GAINSAY_SEED"), number("GAINSAY_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => usual.start..usual.start + count,
        (None, None) => usual,
    }
}

/// Runs every seed, and names the one that fails.
pub fn every(usual: Range<u64>, check: impl Fn(u64)) {
    for seed in seeds(usual) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed)));
        assert!(outcome.is_ok(), "seed {seed} fails; GAINSAY_SEED={seed} repeats it");
    }
}

/// The faults of one node at a time.
pub fn harm(world: &mut World, node: usize) {
    let others: Vec<usize> = (0..world.machines.len()).filter(|other| *other != node).collect();
    match world.rng.random_range(0..7) {
        0 | 1 => world.kill(node),
        2 => world.machines[node].paused = true,
        3 => world.cut_off(node),
        4 => world.cut.extend(others.iter().map(|other| (node, *other))),
        5 => world.cut.extend(others.iter().map(|other| (*other, node))),
        _ => {
            for other in others {
                world.slow.insert((node, other), Duration::from_millis(150));
                world.slow.insert((other, node), Duration::from_millis(150));
            }
        }
    }
}

/// The list in an answer.
pub fn list(reply: &Reply) -> Vec<i64> {
    match reply.results.first() {
        Some(refdb::operation::Outcome::List(values)) => values
            .iter()
            .filter_map(|value| match value {
                Value::Int(value) => Some(*value),
                Value::Text(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
