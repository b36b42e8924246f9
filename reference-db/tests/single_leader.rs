//! Single leader under faults that a seed decides: what must hold in every history.
//!
//! `GAINSAY_SEEDS` runs more seeds, `GAINSAY_SEED` a single one again.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use refdb::mode::Ticket;
use refdb::operation::{Code, Request, Version};
use world::{ROUND, World, append, every, harm, list, read, seeds};

const MS: Duration = Duration::from_millis(1);

/// One session: it appends and reads with a token, one operation at a time.
#[derive(Default)]
struct Session {
    busy: Option<(Ticket, Did, Duration)>,
    token: Option<(u64, u64)>,
    /// How long each list was when this session saw it last.
    seen: BTreeMap<String, Vec<i64>>,
    ended: u64,
}

enum Did {
    Append(String, i64),
    Read(String),
}

/// What the sessions did and what came of it.
#[derive(Default)]
struct Story {
    sessions: Vec<Session>,
    acknowledged: Vec<(String, i64)>,
    next: i64,
    discarded_tokens: u64,
}

impl Story {
    fn new(sessions: usize) -> Story {
        Story { sessions: (0..sessions).map(|_| Session::default()).collect(), ..Story::default() }
    }

    fn step(&mut self, world: &mut World) {
        for at in 0..self.sessions.len() {
            self.collect(world, at);
            if self.sessions[at].busy.is_none() && world.rng.random_range(0..3) == 0 {
                self.begin(world, at);
            }
        }
    }

    fn begin(&mut self, world: &mut World, at: usize) {
        let key = format!("k{}", world.rng.random_range(0..3));
        let nodes = world.machines.len();
        let (node, did, request) = if world.rng.random_range(0..2) == 0 {
            self.next += 1;
            let any = world.rng.random_range(0..nodes);
            let node = if world.rng.random_range(0..4) == 0 { any } else { world.leader().unwrap_or(any) };
            // A write carries the token too: a session must not go over to a history that lacks what it saw.
            let request = Request { token: self.sessions[at].token, ..append(&key, self.next) };
            (node, Did::Append(key, self.next), request)
        } else {
            let request = Request { token: self.sessions[at].token, wait_ms: Some(20), ..read(&key) };
            (world.rng.random_range(0..nodes), Did::Read(key), request)
        };
        if world.up(node) {
            let ticket = world.ask(node, request);
            self.sessions[at].busy = Some((ticket, did, world.now));
        }
    }

    fn collect(&mut self, world: &mut World, at: usize) {
        let session = &mut self.sessions[at];
        let Some((ticket, did, since)) = session.busy.take() else { return };
        let Some(answered) = world.answers.remove(&ticket) else {
            // Whoever waits too long gives up, not knowing.
            if world.now - since < 900 * MS {
                session.busy = Some((ticket, did, since));
            }
            return;
        };
        match (answered.result, did) {
            (Ok(reply), did) => {
                if let Some(Version::Position { term, index }) = reply.version {
                    session.token = session.token.max(Some((term, index)));
                }
                match did {
                    Did::Append(key, value) => {
                        self.acknowledged.push((key.clone(), value));
                        session.seen.entry(key).or_default();
                    }
                    Did::Read(key) => {
                        let (now, before) = (list(&reply), session.seen.entry(key.clone()).or_default());
                        assert!(now.starts_with(before), "{key} went back from {before:?} to {now:?}");
                        *before = now;
                    }
                }
            }
            (Err(refusal), _) if refusal.code == Code::TokenDiscarded => {
                self.discarded_tokens += 1;
                *session = Session { ended: session.ended + 1, ..Session::default() };
            }
            (Err(_), _) => {}
        }
    }
}

/// Sessions at work while one node after the other is harmed, each healed before the next; then all is well for a while.
fn torture(flags: &str, nodes: usize, seed: u64) -> (World, Story) {
    let mut world = World::new(flags, nodes, seed).keeping(if seed.is_multiple_of(3) { 20 } else { 5_000 });
    let mut story = Story::new(4);
    let work = |world: &mut World, story: &mut Story, time: Duration| {
        for _ in 0..time.as_millis() / ROUND.as_millis() {
            world.round();
            story.step(world);
        }
    };
    work(&mut world, &mut story, 150 * MS);
    for _ in 0..3 {
        let any = world.rng.random_range(0..nodes);
        let node = if world.rng.random_range(0..3) > 0 { world.leader().unwrap_or(any) } else { any };
        harm(&mut world, node);
        let (ill, well) = (world.rng.random_range(30..1_400), world.rng.random_range(500..1_200));
        work(&mut world, &mut story, ill * MS);
        world.heal();
        work(&mut world, &mut story, well * MS);
    }
    // Without fencing an old leader takes ten time-outs to yield, and there may be two of them.
    let quiet = world.until(20_000 * MS, |world| {
        let status: Vec<_> = (0..nodes).filter_map(|node| world.status(node)).collect();
        world.leader().is_some()
            && status.iter().all(|one| one.position == status[0].position && one.leader == status[0].leader)
    });
    assert!(quiet, "nobody leads, or somebody lags for ever");
    world.run(600 * MS);
    for _ in 0..200 {
        world.round();
        for at in 0..story.sessions.len() {
            story.collect(&mut world, at);
        }
    }
    (world, story)
}

fn same_everywhere(world: &World) {
    let first = world.disk(0);
    for node in 1..world.machines.len() {
        let other = world.disk(node);
        assert_eq!((other.last, &other.rows), (first.last, &first.rows), "n{} differs from n1", node + 1);
    }
}

fn all_there(world: &World, story: &Story) {
    let held: BTreeMap<String, refdb::value::Cell> = world.disk(0).rows.into_iter().collect();
    for (key, value) in &story.acknowledged {
        let there = matches!(held.get(key), Some(refdb::value::Cell::List(values)) if values.contains(&refdb::value::Value::Int(*value)));
        assert!(there, "the acknowledged append of {value} to {key} is lost");
    }
}

#[test]
fn with_one_node_harmed_at_a_time_semi_synchronous_loses_nothing() {
    every(0..40, |seed| {
        let (world, story) = torture("--ack semi-sync", if seed.is_multiple_of(2) { 5 } else { 3 }, seed);
        assert!(story.acknowledged.len() > 10, "hardly anything was acknowledged");
        same_everywhere(&world);
        all_there(&world, &story);
    });
}

#[test]
fn with_one_node_harmed_at_a_time_synchronous_loses_nothing() {
    every(1_000..1_020, |seed| {
        let (world, story) = torture("--ack sync", 3, seed);
        same_everywhere(&world);
        all_there(&world, &story);
    });
}

#[test]
fn asynchronous_replicas_agree_in_the_end_and_tokens_never_go_back() {
    every(2_000..2_020, |seed| {
        let (world, _) = torture("--ack async --reads token", 5, seed);
        same_everywhere(&world);
    });
}

#[test]
fn an_unfenced_cluster_agrees_in_the_end() {
    every(3_000..3_012, |seed| {
        let (mut world, _) = torture("--ack async --fencing off", 3, seed);
        world.run(8_000 * MS);
        same_everywhere(&world);
    });
}

#[test]
fn asynchronous_replication_does_lose_acknowledged_writes() {
    let lost = seeds(2_000..2_020).filter(|seed| {
        let (world, story) = torture("--ack async", 5, *seed);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| all_there(&world, &story))).is_err()
    });
    assert!(lost.count() > 0, "the world is too kind to show anything");
}

/// The files themselves, once every node is down and its SQLite has written its log into its file.
fn same_files(mut world: World) {
    (0..world.machines.len()).for_each(|node| world.kill(node));
    let files: Vec<Vec<u8>> =
        (0..world.machines.len()).map(|node| std::fs::read(world.database(node)).expect("its file")).collect();
    for (node, file) in files.iter().enumerate() {
        assert_eq!(file.len(), files[0].len(), "n{} and n1", node + 1);
        for (page, (ours, first)) in file.chunks(4_096).zip(files[0].chunks(4_096)).enumerate() {
            assert!(ours == first, "page {} of n{} is not that of n1", page + 1, node + 1);
        }
    }
}

#[test]
fn with_a_physical_log_nothing_is_lost_either_and_the_files_are_equal_page_by_page() {
    every(4_000..4_020, |seed| {
        let flags = if seed.is_multiple_of(4) { "--log wal --ack sync" } else { "--log wal" };
        let (world, story) = torture(flags, if seed.is_multiple_of(2) { 5 } else { 3 }, seed);
        assert!(story.acknowledged.len() > 10, "hardly anything was acknowledged");
        same_everywhere(&world);
        all_there(&world, &story);
        same_files(world);
    });
}

#[test]
fn a_discarded_tail_of_pages_goes_with_the_file_and_is_kept_beside_it() {
    let kept = seeds(2_000..2_020).filter(|seed| {
        let (world, _) = torture("--log wal --ack async", 5, *seed);
        same_everywhere(&world);
        let kept = world.machines.iter().any(|machine| !machine.kept.is_empty());
        same_files(world);
        kept
    });
    assert!(kept.count() > 0, "no failover discarded anything");
}
