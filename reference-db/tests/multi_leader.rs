//! Several leaders under faults that a seed decides: what each way of resolving conflicts keeps, and what it must be seen to lose.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt as _;
use refdb::config::MultiLeader;
use refdb::mode::Ticket;
use refdb::operation::{Context, Operation, Request};
use refdb::value::Value;
use world::several::{MS, TOPOLOGIES, alike, answer, cluster, ints, one, policy, rows, settle, shown, write};
use world::{ROUND, World, every, harm, seeds};

const KEYS: usize = 5;

/// A client at a leader, one operation at a time.
#[derive(Default)]
struct Client {
    busy: Option<(Ticket, Operation, Duration)>,
    contexts: BTreeMap<String, Context>,
    /// The values of each key that it was shown or wrote: only these may its writes replace.
    knows: BTreeMap<String, BTreeSet<i64>>,
}

#[derive(Default)]
struct Story {
    clients: Vec<Client>,
    /// Acknowledged writes and additions.
    kept: Vec<(String, i64)>,
    /// What a write was entitled to replace, and what a removal may have removed.
    gone: BTreeSet<i64>,
    removed: Vec<(String, i64)>,
    next: i64,
    sets: bool,
}

impl Story {
    fn begin(&mut self, world: &mut World, at: usize, leaders: usize) {
        let node = at % leaders;
        let key = format!("k{}", world.rng.random_range(0..KEYS));
        let client = &mut self.clients[at];
        if !world.up(node) {
            return;
        }
        let roll = world.rng.random_range(0..10);
        let own: Vec<i64> = client.knows.get(&key).into_iter().flatten().copied().collect();
        self.next += 1;
        let operation = match (self.sets, roll) {
            (_, 0..3) => Operation::Read { key },
            (true, 3..5) if !own.is_empty() => {
                let value = own[world.rng.random_range(0..own.len())];
                client.knows.entry(key.clone()).or_default().remove(&value);
                self.gone.insert(value);
                Operation::Remove { key, value: Value::Int(value) }
            }
            (true, _) => Operation::Add { key, value: Value::Int(self.next) },
            (false, _) => {
                self.gone.extend(own);
                Operation::Write { key, value: Value::Int(self.next) }
            }
        };
        let known = client.contexts.get(operation.key()).map(|known| (operation.key().to_string(), known.clone()));
        let request = Request { context: known.into_iter().collect(), ..one(operation.clone()) };
        client.busy = Some((world.ask(node, request), operation, world.now));
    }

    fn collect(&mut self, world: &mut World, at: usize) {
        let client = &mut self.clients[at];
        let Some((ticket, operation, since)) = client.busy.take() else { return };
        let Some(answered) = world.answers.remove(&ticket) else {
            if world.now - since < 900 * MS {
                client.busy = Some((ticket, operation, since));
            }
            return;
        };
        let Ok(mut reply) = answered.result else { return };
        let key = operation.key().to_string();
        if let Some(context) = reply.contexts.pop() {
            client.contexts.insert(key.clone(), context);
        }
        match operation {
            Operation::Write { value: Value::Int(value), .. } => {
                client.knows.entry(key.clone()).or_default().insert(value);
                self.kept.push((key, value));
            }
            Operation::Add { value: Value::Int(value), .. } => {
                client.knows.entry(key.clone()).or_default().insert(value);
                self.kept.push((key, value));
            }
            Operation::Remove { value: Value::Int(value), .. } => self.removed.push((key, value)),
            Operation::Read { .. } if !self.sets => {
                client.knows.insert(key, ints(&reply.results[0]));
            }
            _ => {}
        }
    }

    /// Six seconds of writes while one node after the other is harmed.
    fn told(world: &mut World, leaders: usize, sets: bool) -> Story {
        let mut story = Story { sets, ..Story::default() };
        story.clients.resize_with(leaders * 2, Client::default);
        world.loss = 20;
        for round in 0..600 {
            if round % 150 == 50 {
                let node = world.rng.random_range(0..world.machines.len());
                harm(world, node);
            }
            if round % 150 == 0 {
                world.heal();
                world.loss = 20;
            }
            for at in 0..story.clients.len() {
                story.collect(world, at);
                if story.clients[at].busy.is_none() && world.rng.random_range(0..4) == 0 {
                    story.begin(world, at, leaders);
                }
            }
            world.run(ROUND);
        }
        story
    }
}

#[test]
fn after_healing_all_replicas_hold_the_same() {
    for (conflicts, sets) in [
        ("lww", false),
        ("priority", false),
        ("priority", true),
        ("merge", true),
        ("merge", false),
        ("siblings", false),
    ] {
        every(0..4, |seed| {
            let topology = TOPOLOGIES[seed as usize % 4];
            // Where there is one path only, nothing overtakes.
            let ordering = if topology == "all-to-all" { "causal" } else { "none" };
            let flags = format!("--datacentres 4 --topology {topology} --ordering {ordering} --conflicts {conflicts}");
            let mut world = cluster(&flags, 6, seed);
            Story::told(&mut world, 4, sets);
            settle(&mut world);
            assert!(rows(&world, 0).len() == KEYS, "nothing was written");
            assert!(alike(&world), "{flags}");
        });
    }
}

#[test]
fn siblings_lose_no_acknowledged_write() {
    every(10..16, |seed| {
        let flags = format!("--datacentres 4 --topology {} --conflicts siblings", TOPOLOGIES[seed as usize % 4]);
        let mut world = cluster(&flags, 4, seed);
        let story = Story::told(&mut world, 4, false);
        settle(&mut world);
        let policy = policy(&flags, 4);
        for (key, value) in story.kept.iter().filter(|(_, value)| !story.gone.contains(value)) {
            assert!(ints(&shown(&world, &policy, 0, key)).contains(value), "{value} of {key} is lost");
        }
    });
}

#[test]
fn a_merged_set_keeps_what_was_added_and_not_what_was_removed() {
    every(20..24, |seed| {
        let flags = format!("--datacentres 4 --topology {} --conflicts merge", TOPOLOGIES[seed as usize % 4]);
        let mut world = cluster(&flags, 4, seed);
        let story = Story::told(&mut world, 4, true);
        settle(&mut world);
        let policy = policy(&flags, 4);
        for (key, value) in story.kept.iter().filter(|(_, value)| !story.gone.contains(value)) {
            assert!(ints(&shown(&world, &policy, 0, key)).contains(value), "{value} of {key} is lost");
        }
        for (key, value) in &story.removed {
            assert!(!ints(&shown(&world, &policy, 0, key)).contains(value), "{value} of {key} came back");
        }
    });
}

fn resurrections(flags: &str) -> usize {
    seeds(20..23)
        .map(|seed| {
            let mut world = cluster(flags, 3, seed);
            let story = Story::told(&mut world, 3, true);
            settle(&mut world);
            let policy = policy(flags, 3);
            let back = |(key, value): &&(String, i64)| ints(&shown(&world, &policy, 0, key)).contains(value);
            story.removed.iter().filter(back).count()
        })
        .sum()
}

#[test]
fn without_tombstones_removed_items_come_back() {
    assert!(resurrections("--conflicts merge --tombstones off") > 0);
    assert!(resurrections("--conflicts merge --bug forget-tombstone") > 0);
}

#[test]
fn arrival_order_does_not_converge() {
    let diverged = seeds(0..3).filter(|seed| {
        let mut world = cluster("--conflicts arrival-order", 3, *seed);
        Story::told(&mut world, 3, false);
        settle(&mut world);
        !alike(&world)
    });
    assert!(diverged.count() > 0);
}

/// A client at each leader counts one register up by compare-and-set. Returns the values that somebody was told to have replaced, ascending.
fn counted(world: &mut World, policy: &MultiLeader, mut harmed: impl FnMut(&mut World, usize)) -> Vec<i64> {
    let mut clients: [Option<(Ticket, i64)>; 3] = [None; 3];
    let mut replaced = Vec::new();
    world.run(300 * MS);
    for node in 0..3 {
        let ticket = world.ask(node, write("k", 0));
        if answer(world, ticket).is_ok() {
            break;
        }
    }
    for round in 0..1_200 {
        harmed(world, round);
        for (at, client) in clients.iter_mut().enumerate() {
            if let Some((ticket, held)) = *client {
                let answered = world.answers.remove(&ticket);
                if answered.as_ref().is_some_and(|answered| answered.result.is_ok()) {
                    replaced.push(held);
                }
                if answered.is_some() || !world.up(at) {
                    *client = None;
                }
            } else if let Some(held) = ints(&shown(world, policy, at, "k")).first().copied().filter(|_| world.up(at)) {
                let (key, old, value) = ("k".to_string(), Some(Value::Int(held)), Value::Int(held + 1));
                *client = Some((world.ask(at, one(Operation::Cas { key, old, value })), held));
            }
        }
        world.run(ROUND);
    }
    settle(world);
    let reached: BTreeSet<i64> = (0..3).flat_map(|node| ints(&shown(world, policy, node, "k"))).collect();
    assert_eq!(reached.len(), 1, "replicas differ: {reached:?}");
    replaced.sort_unstable();
    assert!(replaced.len() > 10, "only {} writes in all", replaced.len());
    replaced
}

fn twice(replaced: &[i64]) -> usize {
    replaced.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

fn one_after_the_other(world: &mut World, round: usize) {
    if round % 200 == 100 {
        let node = world.rng.random_range(0..world.machines.len());
        harm(world, node);
    }
    if round % 200 == 180 {
        world.heal();
    }
}

#[test]
fn with_detection_no_two_writers_of_a_value_are_told_that_it_worked() {
    every(40..46, |seed| {
        let flags = "--conflicts detect";
        let mut world = cluster(flags, 3, seed);
        assert_eq!(twice(&counted(&mut world, &policy(flags, 3), one_after_the_other)), 0);
    });
}

#[test]
fn without_detection_they_are() {
    let flags = "--conflicts lww";
    let mut world = cluster(flags, 3, 40);
    assert!(twice(&counted(&mut world, &policy(flags, 3), |_, _| {})) > 0);
}

#[test]
fn with_homes_there_is_no_conflict_until_a_home_moves() {
    let flags = "--conflicts avoid --home-timeout 1s";
    let policy = policy(flags, 3);
    let mut world = cluster(flags, 3, 50);
    let short = |world: &mut World, round: usize| {
        let node = round / 100 % 3;
        if round % 100 == 10 {
            world.cut_off(node);
        }
        if round % 100 == 80 {
            world.heal();
        }
    };
    assert_eq!(twice(&counted(&mut world, &policy, short)), 0);
    let moved = seeds(50..53).map(|seed| {
        let mut world = cluster(flags, 3, seed);
        let long = |world: &mut World, round: usize| {
            let node = round / 300 % 3;
            if round % 300 == 10 {
                world.cut_off(node);
            }
            if round % 300 == 200 {
                world.heal();
            }
        };
        twice(&counted(&mut world, &policy, long))
    });
    assert!(moved.sum::<usize>() > 0, "no home moved, or nobody noticed");
}

#[test]
fn with_causal_order_no_change_ever_comes_before_what_it_builds_on() {
    every(30..33, |seed| {
        let mut world = cluster("--datacentres 4 --conflicts lww", 5, seed);
        Story::told(&mut world, 4, false);
        settle(&mut world);
        assert!((0..5).all(|node| !world.said(node, "before its insert")));
    });
}
