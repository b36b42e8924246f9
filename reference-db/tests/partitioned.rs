//! Shards under faults that a seed decides: dialogues whose question and answer live on different shards.
//!
//! `GAINSAY_SEEDS` runs more seeds, `GAINSAY_SEED` a single one again.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use refdb::config::Policy;
use refdb::mode::Ticket;
use refdb::modes::partitioned::Placement;
use refdb::modes::partitioned::dependencies::{self, Dependencies, beside};
use refdb::operation::{Operation, Outcome, Request, Version};
use refdb::value::Value;
use world::{ROUND, World, every, list};

const MS: Duration = Duration::from_millis(1);

enum Did {
    Ask(u64),
    /// Reads a question to answer it, after the answer of the same dialogue if that was read first.
    Listen(u64, Option<usize>),
    Answer(u64),
    /// Reads the answers first, then the question.
    Look(u64),
}

/// A session that does one thing at a time and carries what it has seen of each shard.
#[derive(Default)]
struct Session {
    busy: Option<(Ticket, usize, Did, Duration)>,
    seen: Dependencies,
    /// A dialogue whose question it has read, or of which it has read so many answers.
    heard: Option<u64>,
    answers: Option<(u64, usize)>,
}

struct Story {
    sessions: Vec<Session>,
    placement: Placement,
    causal: bool,
    asked: u64,
    value: i64,
    /// Answers that were read before a question that was not there.
    orphans: u64,
    looks: u64,
}

impl Story {
    fn new(world: &World, sessions: usize) -> Story {
        let Policy::Partitioned(policy) = &world.config.policy else { panic!("the mode was named") };
        let names: Vec<String> = world.machines.iter().map(|machine| machine.name.clone()).collect();
        Story {
            sessions: (0..sessions).map(|_| Session::default()).collect(),
            placement: Placement::new(policy, &names),
            causal: policy.causal_tokens,
            asked: 0,
            value: 0,
            orphans: 0,
            looks: 0,
        }
    }

    fn step(&mut self, world: &mut World) {
        for at in 0..self.sessions.len() {
            self.collect(world, at);
            if self.sessions[at].busy.is_none() {
                self.begin(world, at);
            }
        }
    }

    fn begin(&mut self, world: &mut World, at: usize) {
        let recent = self.asked.saturating_sub(world.rng.random_range(0..4));
        let (heard, answers) = (self.sessions[at].heard.take(), self.sessions[at].answers.take());
        let did = match (heard, answers, world.rng.random_range(0..10)) {
            (Some(dialogue), _, _) => Did::Answer(dialogue),
            (None, Some((dialogue, count)), _) => Did::Listen(dialogue, Some(count)),
            (None, None, 0..2) => {
                self.asked += 1;
                Did::Ask(self.asked)
            }
            (None, None, 2..5) => Did::Listen(recent, None),
            (None, None, _) => Did::Look(recent),
        };
        let key = match did {
            Did::Ask(dialogue) | Did::Listen(dialogue, _) => format!("{dialogue}/question"),
            Did::Answer(dialogue) | Did::Look(dialogue) => format!("{dialogue}/answer"),
        };
        let shard = self.placement.shard_of(&key);
        let replicas = self.placement.replicas(shard);
        let writes = matches!(did, Did::Ask(_) | Did::Answer(_));
        // Leaders don't change here: the first replica leads.
        let name = if writes { &replicas[0] } else { &replicas[world.rng.random_range(0..replicas.len())] };
        let node = world.machines.iter().position(|machine| machine.name == *name).expect("a node");
        self.value += 1;
        let mut ops = vec![match writes {
            true => Operation::Append { key: key.clone(), value: Value::Int(self.value) },
            false => Operation::Read { key: key.clone() },
        }];
        let seen = &self.sessions[at].seen;
        let mut request = Request { wait_ms: Some(100), ..Request::default() };
        if self.causal {
            ops.extend((!writes).then(|| Operation::Read { key: beside(&key) }));
            // Nobody fails over here, so there is one term.
            request.token =
                seen.get(&shard).and_then(|terms| terms.last_key_value()).map(|(term, index)| (*term, *index));
            request.depends = if writes { seen.clone() } else { Dependencies::new() };
        }
        request.ops = ops;
        let ticket = world.ask(node, request);
        self.sessions[at].busy = Some((ticket, shard, did, world.now));
    }

    fn collect(&mut self, world: &mut World, at: usize) {
        let Some((ticket, shard, did, since)) = self.sessions[at].busy.take() else { return };
        let session = &mut self.sessions[at];
        let Some(answered) = world.answers.remove(&ticket) else {
            if world.now - since < 2_000 * MS {
                session.busy = Some((ticket, shard, did, since));
            }
            return;
        };
        let Ok(reply) = answered.result else { return };
        if let Some(Version::Position { term, index }) = reply.version {
            dependencies::add(&mut session.seen, shard, (term, index));
        }
        if let Some(Outcome::Value(value)) = reply.results.get(1) {
            dependencies::merge(&mut session.seen, &dependencies::read(value));
        }
        let count = list(&reply).len();
        match did {
            Did::Ask(_) | Did::Answer(_) => {}
            Did::Listen(dialogue, answers) => {
                self.looks += u64::from(answers.is_some());
                self.orphans += u64::from(answers.is_some_and(|answers| answers > 0) && count == 0);
                session.heard = (count > 0 && answers.is_none()).then_some(dialogue);
            }
            Did::Look(dialogue) => session.answers = Some((dialogue, count)),
        }
    }
}

/// How many answers were seen without their question, and how often both were looked for, while one node after the other is far away.
fn orphans(flags: &str, seed: u64) -> (u64, u64) {
    let mut world = World::new(&format!("--mode partitioned --fsync never --failover off {flags}"), 3, seed);
    let ready = world.until(20 * 1_000 * MS, |world| (0..3).all(|node| world.status(node).is_some_and(|s| s.ready)));
    assert!(ready, "some shard has no leader");
    let mut story = Story::new(&world, 5);
    for _ in 0..4 {
        let node = world.rng.random_range(0..3);
        for other in (0..3).filter(|other| *other != node) {
            world.slow.extend([((node, other), 120 * MS), ((other, node), 120 * MS)]);
        }
        for _ in 0..1_500 / ROUND.as_millis() {
            world.round();
            story.step(&mut world);
        }
        world.slow.clear();
    }
    settle(&mut world);
    (story.orphans, story.looks)
}

/// Every shard ends alike on all nodes that hold it.
fn settle(world: &mut World) {
    world.heal();
    let alike = |world: &World| {
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        (0..world.machines.len())
            .filter_map(|node| world.status(node))
            .all(|status| status.applied.into_iter().all(|(shard, at)| *known.entry(shard).or_insert(at) == at))
    };
    assert!(world.until(20 * 1_000 * MS, alike), "shards differ");
}

#[test]
fn an_answer_comes_before_its_question_only_across_shards_and_without_tokens() {
    every(0..8, |seed| {
        let (orphaned, looks) = orphans("--shards 3 --causal-tokens on", seed);
        assert!(looks > 50, "only {looks} looks");
        assert_eq!(orphaned, 0, "the token was not waited for");
    });
    let broken: u64 = (0..8).map(|seed| orphans("--shards 3", seed).0).sum();
    assert!(broken > 0, "every question was there in time");
}

#[test]
fn a_forgotten_dependency_is_found() {
    let orphaned: u64 =
        (0..8).map(|seed| orphans("--shards 3 --causal-tokens on --bug forget-dependency", seed).0).sum();
    assert!(orphaned > 0, "every question was there in time");
}

#[test]
fn shards_survive_that_all_nodes_die_at_once() {
    let mut world = World::new("--mode partitioned --shards 4 --fsync never", 4, 5);
    let mut story = Story::new(&world, 4);
    for round in 0..600 {
        world.round();
        story.step(&mut world);
        if round == 300 {
            (0..4).for_each(|node| world.kill(node));
            (0..4).for_each(|node| world.start(node));
        }
    }
    settle(&mut world);
    assert!(world.disk(0).rows.is_empty(), "the main database of a node holds no shard");
}

#[test]
fn a_request_of_several_shards_is_refused_by_the_node() {
    let mut world = World::new("--mode partitioned --shards 3 --fsync never", 3, 1);
    let ops = (0..20).map(|n| Operation::Read { key: format!("{n}/question") }).collect();
    let ticket = world.ask(0, Request { ops, ..Request::default() });
    world.run(50 * MS);
    let refusal = world.answers.remove(&ticket).expect("an answer").result.expect_err("it has no order");
    assert!(refusal.definite && refusal.message.contains("several"), "{refusal}");
}
