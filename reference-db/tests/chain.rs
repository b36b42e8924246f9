//! A chain under faults that a seed decides: what must hold in every history.
//!
//! `GAINSAY_SEEDS` runs more seeds, `GAINSAY_SEED` a single one again.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use refdb::mode::Ticket;
use world::{ROUND, World, append, every, harm, list, read};

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(20);
/// A client gives up after so long.
const PATIENCE: Duration = Duration::from_millis(900);

/// What must be visible in a list from some moment on.
#[derive(Clone, Default)]
struct Known {
    acknowledged: Vec<i64>,
    longest: Vec<i64>,
}

struct Asked {
    ticket: Ticket,
    key: String,
    appends: Option<i64>,
    since: Duration,
    /// What was known when it was asked.
    known: Known,
}

/// Clients of which each does one thing at a time, and a judge who has seen every answer: real time is known here.
struct Story {
    clients: Vec<Option<Asked>>,
    known: BTreeMap<String, Known>,
    next: i64,
    /// Reads that missed what was known.
    stale: u64,
    done: u64,
}

impl Story {
    fn new(clients: usize) -> Story {
        let clients = (0..clients).map(|_| None).collect();
        Story { clients, known: BTreeMap::new(), next: 0, stale: 0, done: 0 }
    }

    fn step(&mut self, world: &mut World) {
        for at in 0..self.clients.len() {
            match self.clients[at].take() {
                Some(asked) => self.clients[at] = self.collect(world, asked),
                None if world.rng.random_range(0..3) == 0 => self.clients[at] = self.begin(world),
                None => {}
            }
        }
    }

    /// Asks whoever believes to be the one that serves it, where there are several any of them.
    fn begin(&mut self, world: &mut World) -> Option<Asked> {
        let key = format!("k{}", world.rng.random_range(0..3));
        let appends = (world.rng.random_range(0..2) == 0).then(|| {
            self.next += 1;
            self.next
        });
        let role = if appends.is_some() { "head" } else { "tail" };
        let serves = |node: &usize| {
            world
                .status(*node)
                .is_some_and(|status| status.role == role || status.role == "head" && status.followers.is_empty())
        };
        let serving: Vec<usize> = (0..world.machines.len()).filter(serves).collect();
        let node = *serving.get(world.rng.random_range(0..serving.len().max(1)))?;
        let known = self.known.entry(key.clone()).or_default().clone();
        let request = appends.map_or_else(|| read(&key), |value| append(&key, value));
        let ticket = world.ask(node, request);
        Some(Asked { ticket, key, appends, since: world.now, known })
    }

    fn collect(&mut self, world: &mut World, asked: Asked) -> Option<Asked> {
        let Some(answered) = world.answers.remove(&asked.ticket) else {
            return (world.now - asked.since < PATIENCE).then_some(asked);
        };
        let Ok(reply) = answered.result else { return None };
        self.done += 1;
        let known = self.known.entry(asked.key.clone()).or_default();
        match asked.appends {
            Some(value) => known.acknowledged.push(value),
            None => {
                let seen = list(&reply);
                let (longest, shorter) =
                    if seen.len() > known.longest.len() { (&seen, &known.longest) } else { (&known.longest, &seen) };
                assert!(longest.starts_with(shorter), "{} has no order: {seen:?}, {:?}", asked.key, known.longest);
                let misses = asked.known.acknowledged.iter().any(|value| !seen.contains(value));
                self.stale += u64::from(misses || seen.len() < asked.known.longest.len());
                if seen.len() > known.longest.len() {
                    known.longest = seen;
                }
            }
        }
        None
    }
}

fn work(world: &mut World, story: &mut Story, time: Duration) {
    for _ in 0..time.as_millis() / ROUND.as_millis() {
        world.round();
        story.step(world);
    }
}

fn whole(world: &World) -> bool {
    let nodes = world.machines.len();
    let statuses: Vec<_> = (0..nodes).filter_map(|node| world.status(node)).collect();
    statuses.len() == nodes
        && statuses.iter().filter(|status| status.role == "outside" || status.role == "joining").count() == 0
        && statuses.iter().all(|status| (status.position, status.term) == (statuses[0].position, statuses[0].term))
}

/// Heals everything and looks at every disk: all alike, nothing missing that was acknowledged or seen.
fn settle(world: &mut World, story: &Story) {
    world.heal();
    let settled = world.until(LIMIT, whole);
    let roles: Vec<_> = (0..world.machines.len()).map(|node| world.status(node)).collect();
    assert!(settled, "the chain is not whole again: {roles:?}");
    let first = world.disk(0).rows;
    for node in 1..world.machines.len() {
        assert_eq!(world.disk(node).rows, first, "n{} differs", node + 1);
    }
    for (key, known) in &story.known {
        let ticket = (0..world.machines.len())
            .find(|node| world.status(*node).is_some_and(|status| status.role == "tail"))
            .map(|node| world.ask(node, read(key)))
            .expect("a tail");
        assert!(world.until(LIMIT, |world| world.answers.contains_key(&ticket)), "the tail does not answer");
        let held = world.answers.remove(&ticket).and_then(|answered| answered.result.ok()).expect("an answer");
        let held = list(&held);
        assert!(held.starts_with(&known.longest), "{key}: {held:?} was {:?}", known.longest);
        let lost: Vec<_> = known.acknowledged.iter().filter(|value| !held.contains(value)).collect();
        assert!(lost.is_empty(), "{key} lost {lost:?}");
    }
}

fn torture(flags: &str, nodes: usize, seed: u64) -> (World, Story) {
    let mut world = World::new(flags, nodes, seed).keeping(if seed.is_multiple_of(3) { 20 } else { 5_000 });
    let mut story = Story::new(4);
    work(&mut world, &mut story, 400 * MS);
    for round in 0..6 {
        let node = world.rng.random_range(0..nodes);
        harm(&mut world, node);
        if nodes > 3 && round % 2 == 1 {
            let other = world.rng.random_range(0..nodes);
            harm(&mut world, other);
        }
        world.loss = if round % 3 == 0 { 20 } else { 0 };
        let lasts = world.rng.random_range(200..2_500) * MS;
        work(&mut world, &mut story, lasts);
        if seed % 4 == 1 && round == 3 {
            (0..nodes).for_each(|node| world.kill(node));
            work(&mut world, &mut story, 100 * MS);
        }
        world.heal();
        let rest = world.rng.random_range(0..2_000) * MS;
        work(&mut world, &mut story, rest);
    }
    (world, story)
}

#[test]
fn a_leased_chain_is_linearizable_and_loses_nothing() {
    every(0..60, |seed| {
        let (mut world, story) = torture("--mode chain", if seed % 2 == 0 { 3 } else { 5 }, seed);
        assert_eq!(story.stale, 0, "reads missed what was known");
        assert!(story.done > 100, "only {} operations", story.done);
        settle(&mut world, &story);
    });
}

#[test]
fn without_a_lease_nothing_is_lost_either() {
    every(0..20, |seed| {
        let (mut world, story) = torture("--mode chain --lease off", 3, seed);
        settle(&mut world, &story);
    });
}

/// The tail is paused, or cut off, until the others have gone on without it. Answers how many reads missed something.
fn tail_away(flags: &str, paused: bool) -> u64 {
    let mut world = World::new(flags, 3, 1);
    let mut story = Story::new(4);
    work(&mut world, &mut story, 500 * MS);
    for _ in 0..5 {
        if paused {
            world.machines[2].paused = true;
        } else {
            world.cut_off(2);
        }
        work(&mut world, &mut story, 1_800 * MS);
        world.heal();
        work(&mut world, &mut story, 1_500 * MS);
    }
    settle(&mut world, &story);
    story.stale
}

#[test]
fn a_tail_that_was_repaired_around_answers_stale_reads_only_without_a_lease() {
    assert_eq!(tail_away("--mode chain", true), 0);
    assert_eq!(tail_away("--mode chain", false), 0);
    assert!(tail_away("--mode chain --lease off", false) > 0);
}

#[test]
fn a_dead_node_is_removed_wherever_it_stands_and_returns_as_the_tail() {
    for victim in 0..3 {
        let mut world = World::new("--mode chain", 3, 7);
        let mut story = Story::new(3);
        work(&mut world, &mut story, 400 * MS);
        world.kill(victim);
        work(&mut world, &mut story, 2_500 * MS);
        let done = story.done;
        work(&mut world, &mut story, 500 * MS);
        assert!(story.done > done + 10, "the chain stands still without n{}", victim + 1);
        world.start(victim);
        assert!(world.until(LIMIT, whole), "n{} did not return", victim + 1);
        assert_eq!(world.status(victim).expect("it runs").role, "tail");
        settle(&mut world, &story);
    }
}

#[test]
fn a_chain_that_was_repaired_and_died_as_a_whole_is_repaired_again() {
    let mut world = World::new("--mode chain", 3, 11);
    let mut story = Story::new(3);
    work(&mut world, &mut story, 400 * MS);
    world.kill(1);
    work(&mut world, &mut story, 2_000 * MS);
    world.heal();
    assert!(world.until(LIMIT, whole), "it is not whole again");
    (0..3).for_each(|node| world.kill(node));
    world.heal();
    work(&mut world, &mut story, 1_000 * MS);
    world.kill(0);
    let removed = |world: &World| world.status(2).is_some_and(|status| status.leader.as_deref() != Some("n1"));
    assert!(world.until(5_000 * MS, removed), "the head is dead and nobody removes it");
    settle(&mut world, &story);
}

#[test]
fn acknowledging_at_the_head_is_found() {
    let stale: u64 = (0..5)
        .map(|seed| {
            let mut world = World::new("--mode chain --bug ack-at-head", 3, seed);
            let mut story = Story::new(4);
            work(&mut world, &mut story, 1_000 * MS);
            story.stale
        })
        .sum();
    assert!(stale > 0, "the tail showed everything in time");
}

#[test]
fn skipping_what_the_dead_node_had_not_passed_on_is_found() {
    let found = (0..8).any(|seed| {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new("--mode chain --bug skip-resend", 3, seed);
            let mut story = Story::new(6);
            world.slow.insert((1, 2), 80 * MS);
            work(&mut world, &mut story, 500 * MS);
            world.kill(1);
            work(&mut world, &mut story, 2_500 * MS);
            // The next append of a key carries the whole list, and covers the hole.
            assert_eq!(story.stale, 0);
            settle(&mut world, &story);
        });
        outcome.is_err()
    });
    assert!(found, "nothing is missing");
}
