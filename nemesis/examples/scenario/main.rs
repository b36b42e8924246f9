//! Scenes with real nodes, which the tests execute in processes of their own: a container is entered once, by a
//! process with a single thread. `scenario NETWORK PROCESSES SCENE` ends with 0 if what the scene claims was seen, with 99 if
//! this machine refuses what it needs.

mod echo;
mod scenes;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gainsay_nemesis::backends::{Chosen, Wanted, choose, enter, probe};
use gainsay_nemesis::hosts::{Endpoint, Hosts, LinkProbe, Spawn, Viewpoint};

/// The port of every node.
pub const PORT: u16 = 7410;
/// How long anything that is to happen may take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Hosts whose nodes are echo servers.
pub struct Stage {
    /// By which backends.
    pub chosen: Chosen,
    /// The nodes.
    pub hosts: Hosts,
    /// Where they run.
    pub dir: tempfile::TempDir,
}

impl Stage {
    fn new(chosen: Chosen, nodes: usize) -> Stage {
        let dir = tempfile::tempdir().expect("a directory");
        let names: Vec<String> = (1..=nodes).map(|number| format!("n{number}")).collect();
        let hosts = Hosts::new(&chosen, &names, &[PORT], dir.path()).expect("hosts");
        Stage { chosen, hosts, dir }
    }

    /// A node's program.
    pub fn program(&self, program: &str, args: &[&str]) -> Spawn {
        Spawn {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            env: vec![],
            cwd: self.dir.path().into(),
            log: self.dir.path().join("log"),
        }
    }

    /// Starts an echo server and waits until it answers.
    pub fn start(&self, node: &str) {
        let own: PathBuf = std::env::current_exe().expect("this program");
        let address = self.hosts.address(Viewpoint::Node(node), node).to_string();
        let spawn = self.program(own.to_str().expect("a path in UTF-8"), &["serve", &address]);
        self.hosts.spawn(node, &spawn).expect("spawned");
        self.await_answer(&Endpoint::Client, node);
    }

    /// Waits until a connection comes about.
    pub fn await_answer(&self, from: &Endpoint, to: &str) {
        await_that("a connection", || {
            let probe = self.hosts.probe_link(from, to, PORT, Duration::from_millis(300));
            matches!(probe, LinkProbe::Connected(_))
        });
    }
}

/// Waits for a condition, with a limit.
pub fn await_that(what: &str, mut seen: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !seen() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", address] => echo::serve(address.parse::<IpAddr>().expect("an address"), PORT),
        [network, processes, scene] => play(network, processes, scene),
        _ => panic!("scenario NETWORK PROCESSES SCENE"),
    }
}

fn play(network: &str, processes: &str, scene: &str) {
    let wanted = Wanted {
        network: network.parse().expect("a network"),
        processes: processes.parse().expect("a container"),
        ..Wanted::default()
    };
    let chosen = match choose(wanted, &probe()) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(99)
        }
    };
    enter(&chosen).expect("entered");
    let started = Instant::now();
    let mut stage = Stage::new(chosen, 3);
    let set_up = started.elapsed();
    match scene {
        "cut" => scenes::cut(&stage),
        "oneway" => scenes::one_way(&stage),
        "delay" => scenes::delay(&stage),
        "loss" => scenes::loss(&stage),
        "rate" => scenes::rate(&stage),
        "down" => scenes::down(&stage),
        "pause" => scenes::pause(&stage),
        "kill" => scenes::kill(&stage),
        "exit" => scenes::exit(&stage),
        "hook" => scenes::hook(&mut stage),
        "unsupported" => scenes::unsupported(&stage),
        "idle" => scenes::idle(&stage),
        "figures" => {
            println!("set-up of 3 nodes and the clients: {set_up:?}");
            scenes::figures(&stage);
        }
        other => panic!("no such scene: {other}"),
    }
}
