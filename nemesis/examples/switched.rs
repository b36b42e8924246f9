//! Plays with hosts from the command line: `switched NETWORK NODES` starts echo servers and measures what links do.

use std::time::{Duration, Instant};

use gainsay_nemesis::backends::{Wanted, choose, enter, probe};
use gainsay_nemesis::hosts::{Endpoint, Hosts, LinkRule};

fn main() {
    let mut words = std::env::args().skip(1);
    let wanted = Wanted { network: words.next().expect("NETWORK").parse().expect("a network"), ..Wanted::default() };
    let count: usize = words.next().expect("NODES").parse().expect("a number");
    let started = Instant::now();
    let chosen = choose(wanted, &probe()).expect("chosen");
    println!("{chosen:?} probed in {:?}", started.elapsed());
    enter(&chosen).expect("entered");
    let names: Vec<String> = (1..=count).map(|number| format!("n{number}")).collect();
    let dir = std::env::temp_dir();
    let started = Instant::now();
    let hosts = Hosts::new(&chosen, &names, &[7000], &dir).expect("hosts");
    println!("{count} nodes set up in {:?}", started.elapsed());
    println!("{}", hosts.describe());
    let limit = Duration::from_millis(500);
    let n1 = Endpoint::Node("n1".into());
    println!("{:?}", hosts.probe_link(&n1, "n2", 7000, limit));
    let rule = LinkRule { cut: true, ..LinkRule::default() };
    hosts.set_link(&n1, &Endpoint::Node("n2".into()), rule).expect("set");
    println!("{:?}", hosts.probe_link(&n1, "n2", 7000, limit));
}
