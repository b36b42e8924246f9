//! Consensus under faults that a seed decides: every history must be linearizable, whatever a minority suffers.
//!
//! Lists make that cheap to judge, since a read shows every append before it in order. `GAINSAY_SEEDS` runs more seeds, `GAINSAY_SEED` a single one again.

mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use refdb::mode::{Input, Message, Ticket};
use refdb::modes::raft::{Kind, Wire};
use refdb::operation::{Operation, Outcome, Request};
use refdb::store::Snapshot;
use refdb::value::{Cell, Value};
use world::{ROUND, World, append, every, harm, list, read, seeds};

const MS: Duration = Duration::from_millis(1);

struct Busy {
    ticket: Ticket,
    key: String,
    /// What it appends; a read where there is nothing.
    value: Option<i64>,
    since: Duration,
    /// What had been shown of the key's list when it began.
    least: Vec<i64>,
    /// What had been acknowledged by then.
    known: Vec<i64>,
}

/// What the sessions did and what came of it.
#[derive(Default)]
struct Story {
    sessions: Vec<Option<Busy>>,
    acknowledged: Vec<(String, i64)>,
    /// Definitely not done.
    refused: Vec<(String, i64)>,
    /// Per key the longest list that an answered read has shown.
    shown: BTreeMap<String, Vec<i64>>,
    reads: usize,
    next: i64,
}

impl Story {
    fn new(sessions: usize) -> Story {
        Story { sessions: (0..sessions).map(|_| None).collect(), ..Story::default() }
    }

    fn step(&mut self, world: &mut World) {
        self.collect(world);
        for at in 0..self.sessions.len() {
            if self.sessions[at].is_none() && world.rng.random_range(0..3) == 0 {
                self.sessions[at] = self.begin(world);
            }
        }
    }

    fn begin(&mut self, world: &mut World) -> Option<Busy> {
        let key = format!("k{}", world.rng.random_range(0..3));
        let any = world.rng.random_range(0..world.machines.len());
        // Whoever believes that it leads is asked now and then, which is not always the leader.
        let believes = |node: &usize| world.status(*node).is_some_and(|status| status.role == "leader");
        let believers: Vec<usize> = (0..world.machines.len()).filter(believes).collect();
        let node = match (world.rng.random_range(0..4), believers.is_empty()) {
            (0, _) | (_, true) => any,
            _ => believers[world.rng.random_range(0..believers.len())],
        };
        if !world.up(node) {
            return None;
        }
        let value = (world.rng.random_range(0..2) == 0).then(|| {
            self.next += 1;
            self.next
        });
        let ticket = world.ask(node, value.map_or_else(|| read(&key), |value| append(&key, value)));
        let least = self.shown.get(&key).cloned().unwrap_or_default();
        let known = self.acknowledged.iter().filter(|(of, _)| *of == key).map(|(_, value)| *value).collect();
        Some(Busy { ticket, key, value, since: world.now, least, known })
    }

    fn collect(&mut self, world: &mut World) {
        // Those that were answered in one round began before any of them ended.
        let mut shown = Vec::new();
        for slot in &mut self.sessions {
            let Some(busy) = slot.take() else { continue };
            match (world.answers.remove(&busy.ticket).map(|answered| answered.result), busy.value) {
                (Some(Ok(_)), Some(value)) => self.acknowledged.push((busy.key, value)),
                (Some(Ok(reply)), None) => {
                    let now = list(&reply);
                    assert!(now.starts_with(&busy.least), "{} went back from {:?} to {now:?}", busy.key, busy.least);
                    let missed = busy.known.iter().find(|value| !now.contains(value));
                    assert!(missed.is_none(), "a read of {} missed the acknowledged append of {missed:?}", busy.key);
                    self.reads += 1;
                    shown.push((busy.key, now));
                }
                (Some(Err(refusal)), Some(value)) if refusal.definite => self.refused.push((busy.key, value)),
                (Some(Err(_)), _) => {}
                // Whoever waits too long gives up, not knowing.
                (None, _) if world.now - busy.since < 900 * MS => *slot = Some(busy),
                (None, _) => {}
            }
        }
        for (key, now) in shown {
            let longest = self.shown.entry(key).or_default();
            if now.len() > longest.len() {
                *longest = now;
            }
        }
    }

    /// Every read's list, in any order of time, is the beginning of the final one; every acknowledged append is there once, no refused one is.
    fn judge(&self, disk: &Snapshot) {
        let rows: BTreeMap<&String, Vec<i64>> = disk.rows.iter().map(|(key, cell)| (key, numbers(cell))).collect();
        let none = Vec::new();
        for (key, shown) in &self.shown {
            let held = rows.get(key).unwrap_or(&none);
            assert!(held.starts_with(shown), "{key} showed {shown:?} and holds {held:?}");
        }
        let times =
            |key: &String, value: &i64| rows.get(key).unwrap_or(&none).iter().filter(|held| *held == value).count();
        for (key, value) in &self.acknowledged {
            assert_eq!(times(key, value), 1, "the acknowledged append of {value} to {key}");
        }
        for (key, value) in &self.refused {
            assert_eq!(times(key, value), 0, "the refused append of {value} to {key}");
        }
    }
}

fn numbers(cell: &Cell) -> Vec<i64> {
    let Cell::List(values) = cell else { return Vec::new() };
    values.iter().filter_map(|value| if let Value::Int(value) = value { Some(*value) } else { None }).collect()
}

fn work(world: &mut World, story: &mut Story, time: Duration) {
    for _ in 0..time.as_millis() / ROUND.as_millis() {
        world.round();
        story.step(world);
    }
}

/// Sessions at work while a minority is harmed, each round healed before the next, now and then all nodes killed at once; then all is well.
fn torture(flags: &str, nodes: usize, seed: u64) -> (World, Story) {
    let mut world = World::new(flags, nodes, seed).keeping(if seed.is_multiple_of(3) { 20 } else { 5_000 });
    let mut story = Story::new(5);
    work(&mut world, &mut story, 200 * MS);
    for _ in 0..4 {
        world.loss = if world.rng.random_range(0..3) == 0 { 30 } else { 0 };
        let mut victims: Vec<usize> = (0..nodes).collect();
        victims.shuffle(&mut world.rng);
        if let Some(leader) = world.leader().filter(|_| world.rng.random_range(0..3) > 0) {
            victims.retain(|node| *node != leader);
            victims.insert(0, leader);
        }
        let many = world.rng.random_range(1..=(nodes - 1) / 2);
        match world.rng.random_range(0..6) {
            0 => (0..nodes).for_each(|node| world.kill(node)),
            1 => {
                world.promote(victims[0]);
            }
            _ => victims[..many].iter().for_each(|node| harm(&mut world, *node)),
        }
        let (ill, well) = (world.rng.random_range(30..2_000), world.rng.random_range(300..1_500));
        work(&mut world, &mut story, ill * MS);
        world.heal();
        work(&mut world, &mut story, well * MS);
    }
    let quiet = world.until(20_000 * MS, |world| {
        let status: Vec<_> = (0..nodes).filter_map(|node| world.status(node)).collect();
        let alike = |one: &refdb::mode::Status| (one.position, one.term, one.leader.clone());
        world.leader().is_some() && status.iter().all(|one| alike(one) == alike(&status[0]))
    });
    assert!(quiet, "nobody leads, or somebody lags for ever");
    world.run(600 * MS);
    story.collect(&mut world);
    (world, story)
}

fn judged(flags: &str, nodes: usize, seed: u64) -> Story {
    let (world, story) = torture(flags, nodes, seed);
    let first = world.disk(0);
    for node in 1..nodes {
        let other = world.disk(node);
        assert_eq!((other.last, &other.rows), (first.last, &first.rows), "n{} differs from n1", node + 1);
    }
    story.judge(&first);
    story
}

#[test]
fn every_history_is_linearizable_while_a_majority_lives() {
    every(0..60, |seed| {
        let story = judged("--mode raft", if seed.is_multiple_of(2) { 5 } else { 3 }, seed);
        assert!(story.acknowledged.len() > 10 && story.reads > 10, "hardly anything was done");
    });
}

#[test]
fn every_history_is_linearizable_with_leases() {
    every(1_000..1_060, |seed| {
        let story = judged("--mode raft --reads lease", if seed.is_multiple_of(2) { 5 } else { 3 }, seed);
        assert!(story.acknowledged.len() > 10 && story.reads > 10, "hardly anything was done");
    });
}

#[test]
fn a_seed_is_a_whole_history() {
    every(3_000..3_006, |seed| {
        let (once, again) = (judged("--mode raft", 3, seed), judged("--mode raft", 3, seed));
        assert_eq!((once.acknowledged, once.shown), (again.acknowledged, again.shown));
    });
}

fn garbage(rng: &mut rand_chacha::ChaCha8Rng) -> Wire {
    const KINDS: [Kind; 10] = [
        Kind::Append,
        Kind::Appended,
        Kind::PreVote,
        Kind::PreVoted,
        Kind::Vote,
        Kind::Voted,
        Kind::Heartbeat,
        Kind::Heard,
        Kind::Transfer,
        Kind::CampaignNow,
    ];
    let mut number = || match rng.random_range(0..12) {
        0 => rng.random(),
        1 => u64::MAX,
        _ => rng.random_range(0..9),
    };
    let (term, log_term, index, commit) = (number(), number(), number(), number());
    let (commit_term, hint, context) = (number(), number(), number().to_string());
    let entries = (0..number() % 4).map(|_| (number() % 9, "[]".to_string())).collect();
    let (kind, reject) = (KINDS[number() as usize % 10], number() % 2 == 0);
    Wire { kind, term, log_term, index, commit, commit_term, entries, reject, hint, context }
}

#[test]
fn nothing_that_a_peer_sends_ends_the_process() {
    for seed in seeds(4_000..4_040) {
        let mut world = World::new("--mode raft", 3, seed).keeping(10);
        for round in 0..200 {
            let (from, to) = (format!("n{}", world.rng.random_range(1..=4)), world.rng.random_range(0..3));
            let message = Message::Raft(garbage(&mut world.rng));
            world.input(to, Input::Peer { from, message });
            // What is said of several leaders of a term no longer holds among liars.
            world.leaders.clear();
            if round % 3 == 0 {
                world.ask(to, append("k", round));
            }
            world.round();
        }
    }
}

/// Whether any of the usual seeds convicts the bug.
fn is_found(bug: &str) -> bool {
    let flags = format!("--mode raft --bug {bug}");
    seeds(2_000..2_060).any(|seed| catch_unwind(AssertUnwindSafe(|| judged(&flags, 3, seed))).is_err())
}

#[test]
fn an_acknowledgement_before_the_commit_is_found() {
    assert!(is_found("ack-before-commit"));
}

#[test]
fn a_read_without_confirmation_is_found() {
    assert!(is_found("stale-read-index"));
}

#[test]
fn rows_with_uncommitted_entries_are_found() {
    assert!(is_found("apply-uncommitted"));
}

#[test]
fn a_forgotten_vote_is_found() {
    assert!(is_found("forget-vote"));
}

#[test]
fn a_transaction_is_done_whole_or_not_at_all() {
    let mut world = World::new("--mode raft", 3, 7);
    assert!(world.until(3_000 * MS, |world| world.leader().is_some()));
    let leader = world.leader().expect("it was just seen");
    let (x, y) = ("x".to_string(), "y".to_string());
    let write = Operation::Write { key: x.clone(), value: Value::Int(1) };
    let cas = |old: i64| Operation::Cas { key: x.clone(), old: Some(Value::Int(old)), value: Value::Int(2) };
    let ask = |world: &mut World, ops: Vec<Operation>| {
        let ticket = world.ask(leader, Request { ops, ..Request::default() });
        assert!(world.until(1_000 * MS, |world| world.answers.contains_key(&ticket)));
        world.answers.remove(&ticket).expect("it was just seen").result
    };
    assert!(ask(&mut world, vec![write]).is_ok());
    let both = vec![Operation::Write { key: y.clone(), value: Value::Int(9) }, cas(5)];
    assert!(ask(&mut world, both).is_err_and(|refusal| refusal.definite));
    assert_eq!(ask(&mut world, vec![Operation::Read { key: y.clone() }]).expect("a read").results, [Outcome::Nil]);
    let both = vec![cas(1), Operation::Read { key: x }, Operation::Write { key: y, value: Value::Int(3) }];
    let done = ask(&mut world, both).expect("what it expects is there");
    assert_eq!(done.results, [Outcome::Done, Outcome::Value(Value::Int(2)), Outcome::Done]);
}

#[test]
fn a_follower_far_behind_gets_a_copy_and_the_rest() {
    let mut world = World::new("--mode raft", 3, 11).keeping(10);
    assert!(world.until(3_000 * MS, |world| world.leader().is_some()));
    let leader = world.leader().expect("it was just seen");
    let away = (leader + 1) % 3;
    world.kill(away);
    for value in 0..60 {
        world.ask(leader, append("k", value));
        world.run(30 * MS);
    }
    world.heal();
    let caught_up =
        |world: &World| world.status(away).map(|one| one.position) == world.status(leader).map(|one| one.position);
    assert!(world.until(8_000 * MS, |world| world.metric(away, "copies_installed") > 0 && caught_up(world)));
    assert_eq!(world.disk(away).rows, world.disk(leader).rows);
}

#[test]
fn an_operator_moves_the_leadership() {
    let mut world = World::new("--mode raft", 3, 13);
    assert!(world.until(3_000 * MS, |world| world.leader().is_some()));
    let heir = (world.leader().expect("it was just seen") + 1) % 3;
    let ticket = world.promote(heir);
    assert!(world.until(2_000 * MS, |world| world.answers.contains_key(&ticket)));
    assert!(world.answers[&ticket].result.is_ok() && world.leader() == Some(heir));
}

#[test]
fn a_leader_without_a_majority_answers_nothing_and_says_that_it_does_not_know() {
    let mut world = World::new("--mode raft", 3, 17);
    assert!(world.until(3_000 * MS, |world| world.leader().is_some()));
    let leader = world.leader().expect("it was just seen");
    world.run(200 * MS);
    world.cut_off(leader);
    let (write, look) = (world.ask(leader, append("k", 1)), world.ask(leader, read("k")));
    assert!(world.until(3_000 * MS, |world| world.answers.contains_key(&write) && world.answers.contains_key(&look)));
    let write = &world.answers[&write].result;
    assert!(write.as_ref().is_err_and(|refusal| !refusal.definite), "{write:?}");
    assert!(world.answers[&look].result.as_ref().is_err_and(|refusal| refusal.definite));
    assert!(world.leader() != Some(leader));
}
