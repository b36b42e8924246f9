//! Several leaders under faults that a seed decides: what each way of resolving conflicts keeps, and what it must be seen to lose.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt as _;
use refdb::config::{ModeConfig, MultiLeader, Policy};
use refdb::mode::Ticket;
use refdb::modes::multi_leader::row::Row;
use refdb::operation::{Code, Context, Operation, Outcome, Reply, Request};
use refdb::value::Value;
use world::{ROUND, World, config, every, harm, read, seeds};

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(20);
const KEYS: usize = 5;

fn policy(flags: &str, nodes: usize) -> MultiLeader {
    let ModeConfig { policy: Policy::MultiLeader(policy), .. } = config(&format!("--mode multi-leader {flags}"), nodes)
    else {
        panic!("the mode was named")
    };
    policy
}

fn cluster(flags: &str, nodes: usize, seed: u64) -> World {
    World::new(&format!("--mode multi-leader {flags}"), nodes, seed)
}

fn write(key: &str, value: i64) -> Request {
    one(Operation::Write { key: key.to_string(), value: Value::Int(value) })
}

fn one(operation: Operation) -> Request {
    Request { ops: vec![operation], ..Request::default() }
}

fn answer(world: &mut World, ticket: Ticket) -> Result<Reply, Code> {
    assert!(world.until(LIMIT, |world| world.answers.contains_key(&ticket)), "no answer");
    world.answers.remove(&ticket).expect("it is there").result.map_err(|refusal| refusal.code)
}

fn done(world: &mut World, node: usize, request: Request) -> Reply {
    let ticket = world.ask(node, request);
    answer(world, ticket).unwrap_or_else(|code| panic!("refused: {code:?}"))
}

/// Every row of a node as text.
fn rows(world: &World, node: usize) -> BTreeMap<String, String> {
    world.disk(node).versions.into_iter().collect()
}

fn shown(world: &World, policy: &MultiLeader, node: usize, key: &str) -> Outcome {
    let text = rows(world, node).remove(key);
    let row: Row = text.map_or_else(Row::default, |text| serde_json::from_str(&text).expect("a row"));
    row.outcome(policy)
}

fn everywhere(world: &World) -> bool {
    let applied = |node: usize| world.status(node).map(|status| status.applied);
    (1..world.machines.len()).all(|node| applied(node).is_some() && applied(node) == applied(0))
}

fn alike(world: &World) -> bool {
    (1..world.machines.len()).all(|node| rows(world, node) == rows(world, 0))
}

fn settle(world: &mut World) {
    world.heal();
    let settled = world.until(LIMIT, everywhere);
    let counts: Vec<_> =
        (0..world.machines.len()).map(|node| world.status(node).map(|status| status.position)).collect();
    assert!(settled, "not every change is everywhere: {counts:?}");
}

fn ints(outcome: &Outcome) -> BTreeSet<i64> {
    let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
    match outcome {
        Outcome::Value(value) => int(value).into_iter().collect(),
        Outcome::Siblings(values) | Outcome::Set(values) => values.iter().filter_map(int).collect(),
        _ => BTreeSet::new(),
    }
}

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

    /// Nine seconds of writes while one node after the other is harmed.
    fn told(world: &mut World, leaders: usize, sets: bool) -> Story {
        let mut story = Story { sets, ..Story::default() };
        story.clients.resize_with(leaders * 2, Client::default);
        world.loss = 20;
        for round in 0..900 {
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

const TOPOLOGIES: [&str; 4] = ["all-to-all", "circular", "star", "tree"];

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

/// The first leader inserts, the second updates, and the third hears of the insert late.
fn overtaken(flags: &str) -> (World, MultiLeader) {
    let mut world = cluster(flags, 3, 1);
    world.run(300 * MS);
    world.slow.insert((0, 2), Duration::from_secs(1));
    done(&mut world, 0, write("k", 1));
    let seen = |world: &World| rows(world, 1).contains_key("k");
    assert!(world.until(LIMIT, seen), "the insert never came");
    let reply = done(&mut world, 1, read("k"));
    let context = BTreeMap::from([("k".to_string(), reply.contexts.first().cloned().unwrap_or_default())]);
    done(&mut world, 1, Request { context, ..write("k", 2) });
    settle(&mut world);
    (world, policy(flags, 3))
}

#[test]
fn an_update_that_overtakes_its_insert_is_lost() {
    let (world, policy) = overtaken("--ordering none --conflicts lww");
    assert!(world.said(2, "before its insert"));
    assert_eq!(shown(&world, &policy, 1, "k"), Outcome::Value(Value::Int(2)));
    assert_eq!(shown(&world, &policy, 2, "k"), Outcome::Value(Value::Int(1)));
}

#[test]
fn with_causal_order_no_update_comes_before_its_insert() {
    for conflicts in ["lww", "priority", "merge", "siblings"] {
        let (world, policy) = overtaken(&format!("--ordering causal --conflicts {conflicts}"));
        assert_eq!(shown(&world, &policy, 2, "k"), Outcome::Value(Value::Int(2)));
    }
    every(30..33, |seed| {
        let mut world = cluster("--datacentres 4 --conflicts lww", 5, seed);
        Story::told(&mut world, 4, false);
        settle(&mut world);
        assert!((0..5).all(|node| !world.said(node, "before its insert")));
    });
    let (world, _) = overtaken("--conflicts lww --bug ignore-cause");
    assert!(world.said(2, "before its insert"), "the planted mistake has no effect");
}

#[test]
fn a_dead_node_of_a_ring_or_the_hub_of_a_star_stops_propagation() {
    for (topology, dead, from, to, still) in
        [("circular", 2, 1, 3, 0), ("star", 0, 1, 2, 0), ("all-to-all", 2, 1, 3, 1)]
    {
        let flags = format!("--datacentres 4 --topology {topology} --conflicts lww");
        let mut world = cluster(&flags, 4, 3);
        world.run(300 * MS);
        world.kill(dead);
        done(&mut world, from, write("k", 1));
        world.run(Duration::from_secs(5));
        assert_eq!(usize::from(rows(&world, to).contains_key("k")), still, "{topology}");
        settle(&mut world);
        assert!(alike(&world), "{topology}");
    }
}

#[test]
fn a_restarted_node_catches_up_and_has_what_it_acknowledged() {
    let mut world = cluster("--datacentres 2 --conflicts lww", 6, 5).keeping(20);
    world.run(300 * MS);
    for (stopped, value) in [(1, 1), (4, 100), (0, 200)] {
        done(&mut world, 0, write("own", value));
        world.kill(stopped);
        for at in 0..600 {
            let node = if stopped == 0 { 1 } else { 0 };
            done(&mut world, node, write(&format!("k{}", at % 50), at));
        }
        world.run(Duration::from_secs(4));
        settle(&mut world);
        assert!(alike(&world), "after {stopped} was away");
        assert!(rows(&world, stopped).contains_key("own"));
    }
    assert!(world.said(0, "a copy"), "the follower was never too far back");
}

#[test]
fn a_leader_that_lost_its_disk_is_sent_a_copy_and_so_are_those_behind_it() {
    for topology in TOPOLOGIES {
        let mut world =
            cluster(&format!("--datacentres 3 --topology {topology} --conflicts siblings"), 5, 6).keeping(20);
        world.run(300 * MS);
        for at in 0..400 {
            done(&mut world, at % 3, write(&format!("k{}", at % 50), at as i64));
        }
        world.run(Duration::from_secs(4));
        settle(&mut world);
        world.wipe(1);
        world.start(1);
        done(&mut world, 1, write("meanwhile", 1));
        done(&mut world, 0, write("elsewhere", 2));
        settle(&mut world);
        assert!(alike(&world), "{topology}");
        assert_eq!(rows(&world, 1).len(), 52, "{topology}");
        done(&mut world, 1, write("afterwards", 3));
        settle(&mut world);
        assert!(alike(&world) && rows(&world, 2).contains_key("afterwards"), "{topology}");
    }
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
fn with_detection_a_datacentre_that_is_away_stops_writes() {
    let mut world = cluster("--conflicts detect", 3, 1);
    world.run(300 * MS);
    done(&mut world, 0, write("k", 1));
    world.kill(2);
    let ticket = world.ask(0, write("k", 2));
    assert_eq!(answer(&mut world, ticket), Err(Code::Timeout));
    settle(&mut world);
    done(&mut world, 0, write("k", 3));
}

#[test]
fn an_uncut_loop_brings_old_values_back() {
    for (bug, comes_back) in [("", false), (" --bug keep-loop", true)] {
        let flags = format!("--topology circular --conflicts arrival-order --ordering none{bug}");
        let mut world = cluster(&flags, 3, 60);
        world.run(300 * MS);
        done(&mut world, 0, write("k", 1));
        // The second write must not catch up with the first, or no batch would end with the older value.
        assert!(world.until(LIMIT, |world| rows(world, 1).contains_key("k")), "it never came");
        done(&mut world, 0, write("k", 2));
        let before = world.status(0).expect("it runs").committed;
        let mut shown_again = false;
        for _ in 0..200 {
            world.round();
            shown_again |= ints(&shown(&world, &policy(&flags, 3), 0, "k")) == [1].into();
        }
        assert_eq!(shown_again, comes_back, "{flags}");
        assert_eq!(world.status(0).expect("it runs").committed > before + 10, comes_back, "nothing circulates");
    }
}

#[test]
fn a_change_that_is_dropped_on_reconnect_never_arrives() {
    for (flags, arrives) in [("--ordering none", true), ("--ordering none --bug drop-change", false)] {
        let mut world = cluster(&format!("--datacentres 2 --conflicts lww {flags}"), 2, 61);
        world.run(300 * MS);
        world.cut_off(0);
        for value in 0..5 {
            done(&mut world, 0, write(&format!("k{value}"), value));
        }
        world.run(Duration::from_secs(2));
        world.heal();
        world.run(Duration::from_secs(2));
        assert_eq!(alike(&world), arrives, "{flags}");
    }
}

#[test]
fn a_dropped_sibling_is_a_lost_write() {
    for (bug, kept) in [("", 2), (" --bug drop-sibling", 1)] {
        let flags = format!("--conflicts siblings{bug}");
        let mut world = cluster(&flags, 3, 62);
        world.run(300 * MS);
        for node in 0..2 {
            let ticket = world.ask(node, write("k", node as i64));
            assert!(world.until(LIMIT, |world| node == 0 || world.answers.contains_key(&ticket)));
        }
        settle(&mut world);
        assert_eq!(ints(&shown(&world, &policy(&flags, 3), 2, "k")).len(), kept);
    }
}

#[test]
fn equal_time_stamps_need_a_tie_breaker() {
    let differ = |bug: &str| {
        let flags = format!("--conflicts lww{bug}");
        let mut world = cluster(&flags, 3, 63);
        world.run(300 * MS);
        for key in 0..50 {
            for node in 0..3 {
                world.ask(node, write(&format!("k{key}"), node as i64));
            }
            world.run(ROUND);
        }
        settle(&mut world);
        !alike(&world)
    };
    assert!(!differ(""));
    assert!(differ(" --bug leave-tie"));
}

/// Two transactions write the same two rows at once, and each row is decided for itself.
#[test]
fn half_a_transaction_may_be_overwritten() {
    let flags = "--datacentres 2 --conflicts lww";
    let pair = |first: &str, second: &str, value: i64| Request {
        ops: [first, second].map(|key| write(key, value).ops.remove(0)).to_vec(),
        ..Request::default()
    };
    let mut world = cluster(flags, 2, 64);
    world.run(300 * MS);
    world.ask(0, pair("a", "b", 1));
    world.ask(1, pair("b", "c", 2));
    world.round();
    settle(&mut world);
    let held = |key| ints(&shown(&world, &policy(flags, 2), 0, key));
    assert_eq!((held("a"), held("b"), held("c")), ([1].into(), [2].into(), [2].into()));
}
