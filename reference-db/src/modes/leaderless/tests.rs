//! Whole nodes of the mode in one thread; [`policy`] is for the tests of its parts.

use std::time::Duration;

use clap::Parser;

use super::row::Row;
use super::{Compare, Message, Node};
use crate::config::{Leaderless, ModeArgs, Policy};
use crate::mode::{Input, Output, Protocol as _, Ticket};
use crate::modes::Identity;
use crate::operation::{Operation, Request};
use crate::store::{Fsync, Store};
use crate::value::Value;

/// The policies that these flags name, for a cluster of `nodes` nodes.
pub fn policy(flags: &str, nodes: usize) -> Leaderless {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mode: ModeArgs,
    }
    let words = ["test", "--mode", "leaderless"].into_iter().chain(flags.split_whitespace());
    let flags = Flags::try_parse_from(words).expect("sensible flags");
    match flags.mode.config(nodes).expect("sensible flags").policy {
        Policy::Leaderless(policy) => policy,
        other => panic!("{other:?}"),
    }
}

/// A node with its disk.
struct Machine {
    node: Node,
    store: Store,
    _dir: tempfile::TempDir,
}

fn machine(flags: &str, name: &str, nodes: &[&str]) -> Machine {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut store = Store::open(dir.path(), Fsync::Never).expect("a store");
    let nodes: Vec<String> = nodes.iter().map(|node| node.to_string()).collect();
    let policy = policy(flags, nodes.len());
    let identity = Identity { name: name.to_string(), nodes, seed: 7, keep_log: 100 };
    let node = Node::recover(policy, identity, &mut store).expect("a node");
    Machine { node, store, _dir: dir }
}

impl Machine {
    /// Takes a message; returns what it sends.
    fn hears(&mut self, now: Duration, from: &str, message: Message) -> Vec<Message> {
        let input = Input::Peer { from: from.to_string(), message: crate::mode::Message::Leaderless(message) };
        let out = self.node.step(&mut self.store, now, input).expect("the disk works");
        self.store.commit().expect("the disk works");
        sent(out)
    }

    fn holds(&mut self, keys: std::ops::Range<i64>) {
        for number in keys {
            let row = Row::Stamped { timestamp: number, writer: "w".to_string(), value: Some(Value::Int(number)) };
            self.node.merge(&mut self.store, &format!("k{number}"), &row).expect("the disk works");
        }
    }
}

fn sent(out: Vec<Output>) -> Vec<Message> {
    let ours = |output| match output {
        Output::Send(_, crate::mode::Message::Leaderless(message)) => Some(message),
        _ => None,
    };
    out.into_iter().filter_map(ours).collect()
}

/// One comparison that `a` begins with `b`: every message of it.
fn comparison(a: &mut Machine, b: &mut Machine, now: Duration) -> Vec<Message> {
    let mut out = Vec::new();
    a.node.now = now;
    a.node.compare(&mut out);
    let mut under_way: Vec<(bool, Message)> = sent(out).into_iter().map(|message| (true, message)).collect();
    let mut all = Vec::new();
    while let Some((to_b, message)) = under_way.pop() {
        all.push(message.clone());
        let answers = if to_b { b.hears(now, "a", message) } else { a.hears(now, "b", message) };
        under_way.extend(answers.into_iter().map(|answer| (!to_b, answer)));
    }
    all
}

#[test]
fn a_comparison_of_equals_is_one_message() {
    let (mut a, mut b) = (machine("", "a", &["a", "b"]), machine("", "b", &["a", "b"]));
    a.holds(0..500);
    b.holds(0..500);
    assert_eq!(comparison(&mut a, &mut b, Duration::from_secs(1)).len(), 1);
}

/// Replicas collect a tombstone at different times; whoever is first must not be told of it again.
#[test]
fn a_tombstone_that_one_side_has_collected_is_no_difference_and_is_not_taken_back() {
    let (mut a, mut b) = (machine("", "a", &["a", "b"]), machine("", "b", &["a", "b"]));
    let tombstone = Row::Stamped { timestamp: 1, writer: "w".to_string(), value: None };
    a.node.merge(&mut a.store, "k", &tombstone).expect("the disk works");
    assert_eq!(comparison(&mut a, &mut b, Duration::from_secs(1)).len(), 1);
    b.hears(Duration::from_secs(2), "a", Message::Mend { key: "k".to_string(), row: tombstone.clone() });
    assert_eq!(b.store.versioned("k").expect("the disk works"), None);
    b.holds(0..1);
    let older = Row::Stamped { timestamp: 0, writer: "w".to_string(), value: Some(Value::Int(0)) };
    b.node.merge(&mut b.store, "k", &older).expect("the disk works");
    comparison(&mut a, &mut b, Duration::from_secs(3));
    assert_eq!(b.node.row(&b.store, "k").expect("the disk works"), Some(tombstone), "what there is to bury is buried");
}

#[test]
fn a_large_difference_is_worked_off_in_bounded_pieces() {
    let (mut a, mut b) = (machine("", "a", &["a", "b"]), machine("", "b", &["a", "b"]));
    a.holds(0..2_000);
    b.holds(1_500..4_500);
    for round in 1..200 {
        let messages = comparison(&mut a, &mut b, Duration::from_secs(round));
        for message in &messages {
            match message {
                Message::Compare(Compare::Rows { rows, want }) => assert!(rows.len() <= 400 && want.len() <= 400),
                // The bound, and the rest of the range in which it was reached.
                Message::Compare(Compare::Keys { keys, .. }) => assert!(keys.len() <= 2_100, "{}", keys.len()),
                _ => {}
            }
        }
        if messages.len() == 1 {
            assert!(round > 4, "{round} rounds cannot have moved 4,000 rows");
            assert_eq!(b.store.all_versioned().expect("rows").len(), 4_500);
            assert_eq!(a.store.all_versioned().expect("rows"), b.store.all_versioned().expect("rows"));
            return;
        }
    }
    panic!("they never agree");
}

#[test]
fn only_rows_that_differ_travel() {
    let (mut a, mut b) = (machine("", "a", &["a", "b"]), machine("", "b", &["a", "b"]));
    a.holds(0..5_000);
    b.holds(0..4_999);
    let rows = comparison(&mut a, &mut b, Duration::from_secs(1)).into_iter().map(|message| match message {
        Message::Compare(Compare::Rows { rows, .. }) => rows.len(),
        _ => 0,
    });
    assert_eq!(rows.sum::<usize>(), 1);
}

#[test]
fn a_write_goes_to_all_homes_though_the_coordinators_own_copy_is_enough_for_the_client() {
    let mut a = machine("--n 3 --w 1 --r 1", "a", &["a", "b", "c"]);
    for number in 0..20 {
        let ops = vec![Operation::Write { key: format!("k{number}"), value: Value::Int(1) }];
        let input = Input::Client { ticket: Ticket(number), request: Request { ops, ..Request::default() } };
        let out = a.node.step(&mut a.store, Duration::from_secs(1), input).expect("the disk works");
        assert!(out.iter().any(|output| matches!(output, Output::Reply(_, Ok(_)))));
        assert_eq!(sent(out).iter().filter(|message| matches!(message, Message::Put { .. })).count(), 2, "k{number}");
    }
}

#[test]
fn an_answer_to_an_earlier_start_confirms_nothing() {
    let mut a = machine("--w 2", "a", &["a", "b", "c"]);
    let ops = vec![Operation::Write { key: "k".to_string(), value: Value::Int(1) }];
    let input = Input::Client { ticket: Ticket(1), request: Request { ops, ..Request::default() } };
    let out = a.node.step(&mut a.store, Duration::from_secs(1), input).expect("the disk works");
    let Some(Message::Put { task, .. }) = sent(out).into_iter().next() else { panic!("no write was sent") };
    let late = |task| Message::Stored { task };
    let replies = |machine: &mut Machine, task| {
        let message = crate::mode::Message::Leaderless(late(task));
        let input = Input::Peer { from: "b".to_string(), message };
        let out = machine.node.step(&mut machine.store, Duration::from_secs(1), input).expect("the disk works");
        out.iter().filter(|output| matches!(output, Output::Reply(_, Ok(_)))).count()
    };
    assert_eq!(replies(&mut a, 1), 0, "a first start's first task would have been 1");
    assert_eq!(replies(&mut a, task), 1);
    assert_eq!(replies(&mut a, task), 0, "it is answered once");
}

#[test]
fn nothing_that_a_stranger_sends_ends_the_process() {
    let mut a = machine("--n 2 --sloppy on", "a", &["a", "b", "c"]);
    let row = Row::Stamped { timestamp: 1, writer: String::new(), value: None };
    for message in [
        Message::Compare(Compare::Ranges(vec![1; 3])),
        Message::Compare(Compare::Ranges(vec![1; 1_000])),
        Message::Compare(Compare::Keys { ranges: vec![7, 999_999], keys: vec![("x".to_string(), 3)] }),
        Message::Compare(Compare::Rows { rows: vec![("x".to_string(), Row::empty())], want: vec!["y".to_string()] }),
        Message::Put { task: u64::MAX, key: "x".to_string(), row: row.clone(), home: Some("nobody".to_string()) },
        Message::Deliver { batch: 0, rows: vec![("x".to_string(), row.clone())] },
        Message::Delivered { batch: u64::MAX },
        Message::Stored { task: 0 },
        Message::Got { task: u64::MAX, row: Some(row) },
    ] {
        a.hears(Duration::from_secs(1), "stranger", message);
    }
    a.node.step(&mut a.store, Duration::from_secs(2), Input::Tick).expect("the disk works");
}
