//! What reaches a node from the network, by name, for seeded tests and fuzz targets alike: bytes that are a request, and messages of peers in every mode.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use clap::Parser as _;
use refdb::config::ModeArgs;
use refdb::mode::{Input, Message, Output, Protocol, Ticket};
use refdb::modes::{self, Identity, single_leader};
use refdb::operation::{Operation, Request, parse_replica_request, parse_request};
use refdb::store::{Fsync, Layout, Store};
use refdb::value::Value;

/// Every entry.
#[allow(dead_code, reason = "the fuzz targets name theirs")]
pub const NAMES: [&str; 3] = ["request", "replica", "message"];

/// One of each mode, with the policies that exchange most.
pub const MODES: [&str; 10] = [
    "--ack semi-sync",
    "--ack semi-sync --log trigger --replicate a",
    "--log wal",
    "--ack sync --reads max-lag=200ms",
    "--mode leaderless --n 2 --w 2 --r 1 --sloppy on",
    "--mode multi-leader --conflicts siblings",
    "--mode multi-leader --conflicts detect",
    "--mode raft",
    "--mode chain",
    "--mode partitioned --causal-tokens on",
];

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// A node with its disk.
pub struct Machine {
    protocol: Box<dyn Protocol>,
    store: Store,
    now: Duration,
    _dir: tempfile::TempDir,
}

impl Machine {
    fn start(flags: &str, name: &str) -> Machine {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            mode: ModeArgs,
        }
        let words = std::iter::once("test").chain(flags.split_whitespace());
        let config = Flags::try_parse_from(words).expect("flags").mode.config(NODES.len()).expect("sensible flags");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let layout = Layout { physical: config.physical(), ..Layout::default() };
        let mut store = Store::open_as(dir.path(), Fsync::Never, layout).expect("a store");
        let nodes = NODES.map(str::to_string).to_vec();
        let identity = Identity { name: name.to_string(), nodes, seed: 7, keep_log: 20 };
        let protocol = modes::build(&config, identity, &mut store, Duration::ZERO).expect("a node");
        store.commit().expect("a commit");
        Machine { protocol, store, now: Duration::ZERO, _dir: dir }
    }

    /// As the node's thread does: steps, settles, commits.
    pub fn step(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        self.now += Duration::from_millis(10);
        let mut out = Vec::new();
        for input in inputs {
            let said = format!("{input:?}");
            out.extend(
                self.protocol
                    .step(&mut self.store, self.now, input)
                    .unwrap_or_else(|error| panic!("{said} ends the node: {error}")),
            );
        }
        out.extend(self.protocol.settle(&mut self.store, self.now).expect("it settles"));
        self.store.commit().expect("it commits");
        out.extend(self.protocol.committed(&mut self.store, self.now).expect("it goes on"));
        out
    }
}

/// Three nodes that talk for a while: the messages that they sent, and one of the nodes as it is then.
pub fn conversation(flags: &str) -> (Vec<(String, Message)>, Machine) {
    let mut machines: Vec<Machine> = NODES.iter().map(|name| Machine::start(flags, name)).collect();
    let mut inboxes: Vec<Vec<Input>> = NODES.iter().map(|_| Vec::new()).collect();
    let mut sent = Vec::new();
    let mut ticket = 0;
    for round in 0..150_u64 {
        for at in 0..machines.len() {
            let mut inputs = std::mem::take(&mut inboxes[at]);
            inputs.push(Input::Tick);
            if round % 3 == 0 {
                ticket += 1;
                let op = Operation::Write { key: format!("k{}", round % 5), value: Value::Int(round as i64) };
                let request = Request { ops: vec![op], ..Request::default() };
                inputs.push(Input::Client { ticket: Ticket(ticket), request });
            }
            for output in machines[at].step(inputs) {
                let (to, message) = match output {
                    Output::Snapshot(to, term) if machines[at].store.is_physical() => {
                        let copy = single_leader::copy(machines[at].store.path(), machines[at].store.form(), term)
                            .expect("a copy");
                        let from = || NODES[at].to_string();
                        let peer = NODES.iter().position(|name| *name == to).expect("a node");
                        let copy: Vec<_> = copy.into_iter().map(|part| (from(), Message::Leader(part))).collect();
                        inboxes[peer].extend(copy.iter().cloned().map(|(from, message)| Input::Peer { from, message }));
                        sent.extend(copy);
                        continue;
                    }
                    Output::Send(to, message) => (vec![to], message),
                    Output::SendAll(to, message) => (to, message),
                    _ => continue,
                };
                for to in to {
                    let Some(peer) = NODES.iter().position(|name| *name == to) else { continue };
                    inboxes[peer].push(Input::Peer { from: NODES[at].to_string(), message: message.clone() });
                }
                sent.push((NODES[at].to_string(), message));
            }
        }
    }
    (sent, machines.swap_remove(1))
}

thread_local! {
    static MACHINES: RefCell<HashMap<usize, Machine>> = RefCell::new(HashMap::new());
}

/// Runs the entry of that name on these bytes: it must neither panic nor end the node.
pub fn run(name: &str, bytes: &[u8]) {
    match name {
        "request" => drop(parse_request(bytes)),
        "replica" => drop(parse_replica_request(bytes)),
        _ => {
            let Some((&mode, text)) = bytes.split_first() else { return };
            let Ok(message) = serde_json::from_slice::<Message>(text) else { return };
            // Nodes trust each other's counters to be counted: sixteen digits are never reached, and what lies beyond need only be read.
            if text.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > 16) {
                return;
            }
            let mode = usize::from(mode) % MODES.len();
            MACHINES.with_borrow_mut(|machines| {
                let machine = machines.entry(mode).or_insert_with(|| conversation(MODES[mode]).1);
                machine.step(vec![Input::Peer { from: "n1".to_string(), message }, Input::Tick]);
            });
        }
    }
}
