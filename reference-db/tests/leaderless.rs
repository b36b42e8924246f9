//! Leaderless replication under faults that a seed decides: what must hold in every history.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt as _;
use refdb::config::Policy;
use refdb::mode::Ticket;
use refdb::modes::leaderless::{Placement, row::Row, shown};
use refdb::operation::{Context, Operation, Outcome, Reply, Request};
use refdb::value::Value;
use world::{ROUND, World, every, harm, read};

const MS: Duration = Duration::from_millis(1);
const KEYS: usize = 6;

/// One session, one operation at a time, with what it has been shown of each key.
#[derive(Default)]
struct Session {
    busy: Option<(Ticket, String, Option<i64>, Duration)>,
    contexts: BTreeMap<String, Context>,
    /// The values that it was shown or wrote itself: only these may its writes replace.
    knows: BTreeMap<String, BTreeSet<i64>>,
}

#[derive(Default)]
struct Story {
    sessions: Vec<Session>,
    acknowledged: Vec<(String, i64)>,
    /// Values that a write was entitled to replace.
    replaced: BTreeSet<i64>,
    next: i64,
}

fn values(outcome: Option<&Outcome>) -> BTreeSet<i64> {
    let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
    match outcome {
        Some(Outcome::Value(value)) => int(value).into_iter().collect(),
        Some(Outcome::Siblings(values)) => values.iter().filter_map(int).collect(),
        _ => BTreeSet::new(),
    }
}

impl Story {
    fn step(&mut self, world: &mut World) {
        for at in 0..self.sessions.len() {
            self.collect(world, at);
            if self.sessions[at].busy.is_none() && world.rng.random_range(0..3) == 0 {
                self.begin(world, at);
            }
        }
    }

    fn begin(&mut self, world: &mut World, at: usize) {
        let key = format!("k{}", world.rng.random_range(0..KEYS));
        let node = world.rng.random_range(0..world.machines.len());
        if !world.up(node) {
            return;
        }
        let session = &mut self.sessions[at];
        if world.rng.random_range(0..3) == 0 {
            let ticket = world.ask(node, read(&key));
            session.busy = Some((ticket, key, None, world.now));
            return;
        }
        self.next += 1;
        let known = session.knows.entry(key.clone()).or_default();
        self.replaced.extend(known.iter());
        let context = session.contexts.get(&key).map(|context| (key.clone(), context.clone())).into_iter().collect();
        let write = Operation::Write { key: key.clone(), value: Value::Int(self.next) };
        let ticket = world.ask(node, Request { ops: vec![write], context, ..Request::default() });
        session.busy = Some((ticket, key, Some(self.next), world.now));
    }

    fn collect(&mut self, world: &mut World, at: usize) {
        let session = &mut self.sessions[at];
        let Some((ticket, key, wrote, since)) = session.busy.take() else { return };
        let Some(answered) = world.answers.remove(&ticket) else {
            if world.now - since < 900 * MS {
                session.busy = Some((ticket, key, wrote, since));
            }
            return;
        };
        let Ok(Reply { results, contexts, .. }) = answered.result else { return };
        if let Some(context) = contexts.into_iter().next() {
            session.contexts.insert(key.clone(), context);
        }
        match wrote {
            Some(value) => {
                self.acknowledged.push((key.clone(), value));
                session.knows.entry(key).or_default().insert(value);
            }
            None => {
                session.knows.insert(key, values(results.first()));
            }
        }
    }
}

fn torture(flags: &str, nodes: usize, seed: u64) -> (World, Story) {
    let mut world = World::new(flags, nodes, seed);
    let mut story = Story { sessions: (0..6).map(|_| Session::default()).collect(), ..Story::default() };
    let work = |world: &mut World, story: &mut Story, time: Duration| {
        for _ in 0..time.as_millis() / ROUND.as_millis() {
            world.round();
            story.step(world);
        }
    };
    for _ in 0..3 {
        let node = world.rng.random_range(0..nodes);
        harm(&mut world, node);
        let (ill, well) = (world.rng.random_range(30..1_000), world.rng.random_range(50..500));
        work(&mut world, &mut story, ill * MS);
        world.heal();
        work(&mut world, &mut story, well * MS);
    }
    world.run(800 * MS);
    for at in 0..story.sessions.len() {
        story.collect(&mut world, at);
    }
    (world, story)
}

/// What each replica of each key holds.
fn held(world: &World) -> BTreeMap<String, Vec<(Outcome, String)>> {
    let names: Vec<String> = world.machines.iter().map(|machine| machine.name.clone()).collect();
    let Policy::Leaderless(policy) = &world.config.policy else { panic!("another mode") };
    let placement = Placement::new(policy, &names);
    let mut keys: BTreeMap<String, Vec<(Outcome, String)>> = BTreeMap::new();
    for (node, name) in names.iter().enumerate() {
        let rows: BTreeMap<String, String> = world.disk(node).versions.into_iter().collect();
        for key in (0..KEYS).map(|number| format!("k{number}")) {
            if placement.is_home(&key, name) {
                let text = rows.get(&key).cloned().unwrap_or_default();
                let row: Option<Row> = serde_json::from_str(&text).ok();
                keys.entry(key).or_default().push((shown(row).0, text));
            }
        }
    }
    keys
}

fn converges(world: &mut World) {
    let same = |world: &World| {
        let waiting: u64 = (0..world.machines.len()).map(|node| world.disk(node).hints).sum();
        waiting == 0 && held(world).values().all(|held| held.iter().all(|one| one.1 == held[0].1))
    };
    for _ in 0..40 {
        world.run(400 * MS);
        if same(world) {
            return;
        }
    }
    panic!("replicas do not converge: {:?}", held(world));
}

/// The acknowledged writes that are on no home and that nobody was entitled to replace.
fn lost(world: &World, story: &Story) -> Vec<(String, i64)> {
    let held = held(world);
    let there = |key: &String, value: &i64| held[key].iter().any(|one| values(Some(&one.0)).contains(value));
    let lost = |(key, value): &&(String, i64)| !there(key, value) && !story.replaced.contains(value);
    story.acknowledged.iter().filter(lost).cloned().collect()
}

/// Convergence, and no acknowledged write lost, in every history of these seeds.
fn keeps_everything(flags: &str, nodes: usize, seeds: std::ops::Range<u64>) {
    every(seeds, |seed| {
        let (mut world, story) = torture(&format!("--mode leaderless {flags}"), nodes, seed);
        assert!(!story.acknowledged.is_empty(), "nothing was acknowledged");
        converges(&mut world);
        let lost = lost(&world, &story);
        assert!(lost.is_empty(), "acknowledged, never replaced, and lost: {lost:?}");
    });
}

#[test]
fn vectors_lose_no_acknowledged_write_that_nobody_knowingly_replaced() {
    keeps_everything("", 3, 0..20);
    keeps_everything("--n 3", 5, 20..40);
}

#[test]
fn sloppy_quorums_with_hints_lose_no_acknowledged_write() {
    keeps_everything("--n 3 --sloppy on", 6, 300..330);
}

/// Without repair and comparison a write that reached its quorum only is on fewer homes, but on one at least.
#[test]
fn hints_alone_bring_every_acknowledged_write_to_a_home() {
    every(330..360, |seed| {
        let flags = "--mode leaderless --n 3 --sloppy on --read-repair off --anti-entropy off";
        let (mut world, story) = torture(flags, 6, seed);
        let waiting = |world: &World| (0..6).any(|node| world.disk(node).hints > 0);
        assert!(world.until(10_000 * MS, |world| !waiting(world)), "hints are left");
        let lost = lost(&world, &story);
        assert!(lost.is_empty(), "acknowledged, never replaced, and lost: {lost:?}");
    });
}

#[test]
fn datacentres_lose_no_acknowledged_write() {
    keeps_everything("--datacentres 2 --n 3", 6, 400..420);
    keeps_everything("--datacentres 2 --n 2 --sloppy on", 6, 420..435);
}

/// Private copies of coordinators are dropped many times within the history.
#[test]
fn a_coordinator_that_drops_its_copies_loses_nothing() {
    keeps_everything("--n 1 --w 1 --r 1 --tombstone-grace 300ms", 4, 450..470);
}

#[test]
fn time_stamps_converge_with_stand_ins_and_datacentres_too() {
    every(120..135, |seed| {
        let (mut world, _) = torture("--mode leaderless --n 2 --versions lww --datacentres 2 --sloppy on", 7, seed);
        converges(&mut world);
    });
}

/// Clocks may lie and messages may be late: with one write a key there is nothing to overwrite.
#[test]
fn keys_written_once_are_never_lost_whatever_stamps_them() {
    every(600..620, |seed| {
        let mut world = World::new("--mode leaderless --n 3 --versions lww", 5, seed);
        let mut asked = Vec::new();
        for number in 0..60 {
            if number % 20 == 5 {
                let node = world.rng.random_range(0..5);
                harm(&mut world, node);
            }
            if number % 20 == 15 {
                world.heal();
            }
            let (key, node) = (format!("once{number}"), world.rng.random_range(0..5));
            let write = Operation::Write { key: key.clone(), value: Value::Int(number) };
            let ticket = world.ask(node, Request { ops: vec![write], ..Request::default() });
            asked.push((ticket, key));
            world.run(50 * MS);
        }
        world.heal();
        world.run(10_000 * MS);
        let disks: Vec<BTreeSet<String>> =
            (0..5).map(|node| world.disk(node).versions.into_iter().map(|(key, _)| key).collect()).collect();
        let acknowledged =
            asked.iter().filter(|(ticket, _)| world.answers.get(ticket).is_some_and(|answer| answer.result.is_ok()));
        let mut count = 0;
        for (_, key) in acknowledged {
            count += 1;
            assert_eq!(disks.iter().filter(|keys| keys.contains(key)).count(), 3, "{key} is not on its homes");
        }
        assert!(count > 20, "only {count} writes were acknowledged");
    });
}

#[test]
fn planted_bugs_lose_acknowledged_writes() {
    for flags in ["--n 3 --sloppy on --bug forget-hint", "--bug drop-sibling"] {
        let loses = |seed| {
            let (mut world, story) = torture(&format!("--mode leaderless {flags}"), 6, seed);
            world.run(5_000 * MS);
            !lost(&world, &story).is_empty()
        };
        assert!((500..540).any(loses), "{flags} is never seen");
    }
}

#[test]
fn time_stamps_converge() {
    every(100..120, |seed| {
        let (mut world, story) = torture("--mode leaderless --n 3 --versions lww", 5, seed);
        converges(&mut world);
        let held = held(&world);
        assert!(story.acknowledged.iter().all(|(key, _)| !values(Some(&held[key][0].0)).is_empty()));
    });
}

#[test]
fn without_repair_and_comparison_replicas_stay_apart() {
    let apart = (200..210).any(|seed| {
        let (mut world, _) = torture("--mode leaderless --read-repair off --anti-entropy off --versions lww", 3, seed);
        world.run(4_000 * MS);
        held(&world).values().any(|held| held.iter().any(|one| one.1 != held[0].1))
    });
    assert!(apart, "the world is too kind to show anything");
}

/// Two sessions write through one coordinator without having read each other. The second one's next write must not replace the first one's.
#[test]
fn a_session_never_replaces_what_it_was_not_shown() {
    let mut world = World::new("--mode leaderless", 3, 1);
    let mut write = |value: i64, context: Option<Context>| {
        let ops = vec![Operation::Write { key: "k".to_string(), value: Value::Int(value) }];
        let context = context.map(|context| ("k".to_string(), context)).into_iter().collect();
        let ticket = world.ask(0, Request { ops, context, ..Request::default() });
        assert!(world.until(500 * MS, |world| world.answers.contains_key(&ticket)), "no answer");
        let answered = world.answers.remove(&ticket).expect("it is there");
        answered.result.expect("a quorum").contexts.into_iter().next()
    };
    write(1, None);
    let second = write(2, None);
    write(3, second);
    let ticket = world.ask(0, read("k"));
    assert!(world.until(500 * MS, |world| world.answers.contains_key(&ticket)), "no answer");
    let reply = world.answers.remove(&ticket).expect("it is there").result.expect("a quorum");
    assert!(values(reply.results.first()).contains(&1), "1 was never read by anybody, and is gone: {reply:?}");
}
