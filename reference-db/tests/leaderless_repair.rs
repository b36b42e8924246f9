//! Leaderless replication, situation by situation: stand-ins and their hints, tombstones, old copies, datacentres, and what planted bugs do.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use refdb::config::Policy;
use refdb::modes::leaderless::{Placement, row::Row, shown};
use refdb::operation::{Code, Context, Operation, Outcome, Refusal, Reply, Request};
use refdb::value::Value;
use world::{World, read};

const MS: Duration = Duration::from_millis(1);
/// Longer than any request takes.
const ANSWER: Duration = Duration::from_millis(1_500);
/// Long enough for everything that happens in the background.
const SETTLE: Duration = Duration::from_secs(20);
/// Nothing but hints brings rows home.
const ONLY_HINTS: &str = "--mode leaderless --n 3 --w 2 --r 2 --sloppy on --read-repair off --anti-entropy off";

fn ask(world: &mut World, node: usize, request: Request) -> Result<Reply, Refusal> {
    let ticket = world.ask(node, request);
    assert!(world.until(ANSWER, |world| world.answers.contains_key(&ticket)), "no answer");
    world.answers.remove(&ticket).expect("it is there").result
}

fn put(key: &str, value: Option<i64>, context: Option<Context>) -> Request {
    let key = key.to_string();
    let context = context.map(|context| (key.clone(), context)).into_iter().collect();
    let op = match value {
        Some(value) => Operation::Write { key, value: Value::Int(value) },
        None => Operation::Delete { key },
    };
    Request { ops: vec![op], context, ..Request::default() }
}

/// Writes, and returns what the session knows afterwards.
fn write(world: &mut World, node: usize, key: &str, value: Option<i64>, context: Option<Context>) -> Option<Context> {
    ask(world, node, put(key, value, context)).expect("a quorum").contexts.into_iter().next()
}

fn ints(outcome: &Outcome) -> BTreeSet<i64> {
    let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
    match outcome {
        Outcome::Value(value) => int(value).into_iter().collect(),
        Outcome::Siblings(values) => values.iter().filter_map(int).collect(),
        _ => BTreeSet::new(),
    }
}

fn reads(world: &mut World, node: usize, key: &str) -> (BTreeSet<i64>, Option<Context>) {
    let reply = ask(world, node, read(key)).expect("a quorum");
    (ints(&reply.results[0]), reply.contexts.into_iter().next())
}

/// What a node's disk holds of a key; nothing where it was never there, or was collected.
fn on_disk(world: &World, node: usize, key: &str) -> Option<BTreeSet<i64>> {
    let row = world.disk(node).versions.into_iter().find(|(known, _)| known == key)?.1;
    let row: Row = serde_json::from_str(&row).expect("a row");
    Some(ints(&shown(Some(row)).0))
}

/// The homes of a key, and the others in the order in which they stand in.
fn placed(world: &World, key: &str) -> (Vec<usize>, Vec<usize>) {
    let names: Vec<String> = world.machines.iter().map(|machine| machine.name.clone()).collect();
    let Policy::Leaderless(policy) = &world.config.policy else { panic!("another mode") };
    let order = Placement::new(policy, &names).preference(key, 0);
    let mut homes: Vec<usize> = order.iter().filter_map(|name| names.iter().position(|one| one == name)).collect();
    let others = homes.split_off(policy.n);
    (homes, others)
}

fn one(value: i64) -> Option<BTreeSet<i64>> {
    Some([value].into())
}

#[test]
fn a_hint_reaches_its_home_node_and_is_dropped() {
    let mut world = World::new(ONLY_HINTS, 5, 1);
    let (homes, others) = placed(&world, "k");
    world.kill(homes[2]);
    world.run(600 * MS);
    write(&mut world, homes[0], "k", Some(1), None);
    world.run(300 * MS);
    assert_eq!((on_disk(&world, others[0], "k"), world.disk(others[0]).hints), (one(1), 1));
    world.start(homes[2]);
    let gone = |world: &World| world.disk(others[0]).hints == 0;
    assert!(world.until(SETTLE, gone), "the hint is still there");
    assert_eq!(on_disk(&world, homes[2], "k"), one(1));
    assert_eq!(on_disk(&world, others[0], "k"), None, "the stand-in's work is done");
    assert_eq!(world.metric(others[0], "hints_delivered"), 1);
}

#[test]
fn a_home_that_falls_silent_within_a_write_gets_a_stand_in_too() {
    let mut world = World::new(ONLY_HINTS, 5, 2);
    let (homes, others) = placed(&world, "k");
    world.run(300 * MS);
    world.machines[homes[1]].paused = true;
    write(&mut world, homes[0], "k", Some(1), None);
    world.run(500 * MS);
    assert_eq!((on_disk(&world, others[0], "k"), world.disk(others[0]).hints), (one(1), 1));
}

#[test]
fn a_hint_outlives_its_stand_in_s_death() {
    let mut world = World::new(ONLY_HINTS, 5, 3);
    let (homes, others) = placed(&world, "k");
    world.kill(homes[2]);
    world.run(600 * MS);
    write(&mut world, homes[0], "k", Some(1), None);
    world.run(300 * MS);
    world.kill(others[0]);
    world.start(homes[2]);
    world.run(1_000 * MS);
    assert_eq!(on_disk(&world, homes[2], "k"), None);
    world.start(others[0]);
    assert!(world.until(SETTLE, |world| on_disk(world, homes[2], "k") == one(1)), "the hint was forgotten");
}

#[test]
fn a_row_that_changes_under_way_is_handed_over_as_it_is_in_the_end() {
    let mut world = World::new(ONLY_HINTS, 5, 4);
    let (homes, others) = placed(&world, "k");
    world.kill(homes[2]);
    world.run(600 * MS);
    let known = write(&mut world, homes[0], "k", Some(1), None);
    // The home's thanks are slow; before they come, the coordinator, which doesn't hear the home, writes again.
    world.slow.insert((homes[2], others[0]), 700 * MS);
    world.cut.push((homes[2], homes[0]));
    world.start(homes[2]);
    assert!(world.until(SETTLE, |world| on_disk(world, homes[2], "k") == one(1)), "the hint never went over");
    write(&mut world, homes[0], "k", Some(2), known);
    assert!(world.until(100 * MS, |world| on_disk(world, others[0], "k") == one(2)), "the stand-in was not asked");
    assert_eq!((on_disk(&world, homes[2], "k"), world.disk(others[0]).hints), (one(1), 1));
    assert!(world.until(SETTLE, |world| world.disk(others[0]).hints == 0), "the hint is still there");
    assert_eq!(on_disk(&world, homes[2], "k"), one(2));
}

#[test]
fn without_hints_the_stand_in_just_keeps_its_row() {
    let mut world = World::new(&format!("{ONLY_HINTS} --hints off"), 5, 5);
    let (homes, others) = placed(&world, "k");
    world.kill(homes[2]);
    world.run(600 * MS);
    write(&mut world, homes[0], "k", Some(1), None);
    world.start(homes[2]);
    world.run(4_000 * MS);
    assert_eq!((on_disk(&world, homes[2], "k"), on_disk(&world, others[0], "k")), (None, one(1)));
    assert_eq!(world.disk(others[0]).hints, 0);
}

#[test]
fn stand_ins_accept_writes_though_every_home_is_dead_and_bring_them_home() {
    let mut world = World::new(ONLY_HINTS, 6, 6);
    let (homes, others) = placed(&world, "k");
    homes.iter().for_each(|home| world.kill(*home));
    world.run(600 * MS);
    write(&mut world, others[0], "k", Some(1), None);
    assert_eq!(reads(&mut world, others[1], "k").0, [1].into());
    world.heal();
    let home = |world: &World| homes.iter().all(|home| on_disk(world, *home, "k") == one(1));
    assert!(world.until(SETTLE, home), "not every home has it");
}

#[test]
fn a_strict_quorum_refuses_what_a_sloppy_one_takes() {
    let mut world = World::new("--mode leaderless --n 3 --w 2 --r 2", 6, 7);
    let (homes, others) = placed(&world, "k");
    homes[1..].iter().for_each(|home| world.kill(*home));
    let refusal = ask(&mut world, others[0], put("k", Some(1), None)).expect_err("one home is no quorum");
    assert_eq!((refusal.code, refusal.definite), (Code::QuorumNotReached, false));
    world.heal();
    let home = |world: &World| homes.iter().all(|home| on_disk(world, *home, "k") == one(1));
    assert!(world.until(SETTLE, home), "a partial write is not taken back, so it spreads");
}

#[test]
fn sloppy_quorums_need_not_overlap() {
    let mut world = World::new(ONLY_HINTS, 6, 8);
    let (homes, others) = placed(&world, "k");
    write(&mut world, homes[0], "k", Some(1), None);
    for home in &homes {
        for other in &others {
            world.cut.extend([(*home, *other), (*other, *home)]);
        }
    }
    world.run(600 * MS);
    write(&mut world, others[0], "k", Some(2), None);
    assert_eq!(reads(&mut world, homes[0], "k").0, [1].into(), "w + r > n, and yet the acknowledged write is not seen");
}

#[test]
fn a_deleted_key_stays_deleted_when_a_replica_was_away_for_less_than_the_grace() {
    for (seed, flags) in ["--versions vectors", "--versions lww"].into_iter().enumerate() {
        let mut world = World::new(&format!("--mode leaderless --tombstone-grace 8s {flags}"), 3, seed as u64);
        let known = write(&mut world, 0, "k", Some(1), None);
        world.run(500 * MS);
        world.kill(2);
        write(&mut world, 0, "k", None, known);
        world.run(3_000 * MS);
        world.start(2);
        let buried = |world: &World| (0..3).all(|node| on_disk(world, node, "k") == Some(BTreeSet::new()));
        assert!(world.until(4_000 * MS, buried), "not every replica has the tombstone");
        let gone = |world: &World| (0..3).all(|node| on_disk(world, node, "k").is_none());
        assert!(world.until(SETTLE, gone), "tombstones are never collected");
        world.run(4_000 * MS);
        assert!(gone(&world), "somebody brought it back");
        assert_eq!(reads(&mut world, 1, "k").0, BTreeSet::new());
    }
}

#[test]
fn a_tombstone_kept_for_a_home_outlives_its_grace() {
    let mut world = World::new("--mode leaderless --n 3 --sloppy on --tombstone-grace 1s", 5, 25);
    let (homes, others) = placed(&world, "k");
    let known = write(&mut world, homes[0], "k", Some(1), None);
    assert!(world.until(SETTLE, |world| on_disk(world, homes[2], "k") == one(1)), "the write never arrived");
    world.kill(homes[2]);
    world.run(600 * MS);
    write(&mut world, homes[0], "k", None, known);
    world.run(4_000 * MS);
    assert_eq!((on_disk(&world, homes[0], "k"), on_disk(&world, others[0], "k")), (None, Some(BTreeSet::new())));
    world.start(homes[2]);
    let gone = |world: &World| (0..5).all(|node| on_disk(world, node, "k").is_none());
    assert!(world.until(SETTLE, gone), "the home was away for longer than the grace, but somebody kept word for it");
}

#[test]
fn a_tombstone_collected_too_early_lets_the_key_come_back() {
    let mut world = World::new("--mode leaderless --tombstone-grace 500ms", 3, 10);
    let known = write(&mut world, 0, "k", Some(1), None);
    world.run(500 * MS);
    world.kill(2);
    write(&mut world, 0, "k", None, known);
    world.run(3_000 * MS);
    assert_eq!((on_disk(&world, 0, "k"), on_disk(&world, 1, "k")), (None, None));
    world.start(2);
    let back = |world: &World| (0..3).all(|node| on_disk(world, node, "k") == one(1));
    assert!(world.until(SETTLE, back), "nothing came back");
}

/// A coordinator that is no home keeps a private copy of what it wrote. It must not outlive the tombstone.
#[test]
fn a_coordinator_s_own_copy_brings_nothing_back() {
    let mut world = World::new("--mode leaderless --n 3 --tombstone-grace 2s", 5, 11);
    let (homes, others) = placed(&world, "k");
    write(&mut world, others[0], "k", Some(1), None);
    let (_, known) = reads(&mut world, homes[0], "k");
    write(&mut world, homes[0], "k", None, known);
    let gone = |world: &World| homes.iter().all(|home| on_disk(world, *home, "k").is_none());
    assert!(world.until(SETTLE, gone), "tombstones are never collected");
    write(&mut world, others[0], "k", Some(2), None);
    world.run(2_000 * MS);
    assert_eq!(reads(&mut world, homes[1], "k").0, [2].into());
}

/// Writes through a node before and after it is restored from an old copy; what a replica then holds.
fn restored(flags: &str) -> BTreeSet<i64> {
    let mut world = World::new(&format!("--mode leaderless {flags}"), 3, 12);
    world.kill(0);
    let copy = world.save(0);
    world.start(0);
    let mut known = write(&mut world, 0, "k", Some(1), None);
    for value in 2..6 {
        known = write(&mut world, 0, "k", Some(value), known);
    }
    world.run(500 * MS);
    world.restore(0, copy);
    world.start(0);
    // A session that has read nothing: its write stands beside the others.
    write(&mut world, 0, "k", Some(100), None);
    let same = |world: &World| (1..3).all(|node| on_disk(world, node, "k") == on_disk(world, 0, "k"));
    world.run(1_000 * MS);
    assert!(world.until(SETTLE, same), "replicas do not converge");
    on_disk(&world, 1, "k").expect("a row")
}

#[test]
fn a_node_restored_from_an_old_copy_drops_no_write() {
    assert_eq!(restored(""), [5, 100].into());
}

/// A write is on two of three nodes; one of them forgets it. Then two are left that a quorum can read and that know nothing.
#[test]
fn a_node_restored_from_an_old_copy_breaks_the_quorums_overlap() {
    let mut world = World::new("--mode leaderless --read-repair off --anti-entropy off", 3, 23);
    world.kill(0);
    let copy = world.save(0);
    world.start(0);
    world.kill(2);
    write(&mut world, 1, "k", Some(1), None);
    world.restore(0, copy);
    world.start(0);
    world.start(2);
    world.kill(1);
    assert_eq!(reads(&mut world, 2, "k").0, BTreeSet::new(), "w + r > n, and yet the acknowledged write is not seen");
}

/// Reads mend what they read; what nobody reads stays on the few replicas that have it, and goes with them.
#[test]
fn a_rarely_read_key_dies_with_the_replicas_that_have_it_unless_replicas_compare() {
    let survivors = |flags: &str| {
        let mut world = World::new(&format!("--mode leaderless {flags}"), 3, 24);
        world.kill(2);
        write(&mut world, 0, "read", Some(1), None);
        write(&mut world, 0, "unread", Some(1), None);
        world.start(2);
        reads(&mut world, 0, "read");
        world.run(6_000 * MS);
        world.wipe(0);
        world.wipe(1);
        (on_disk(&world, 2, "read"), on_disk(&world, 2, "unread"))
    };
    assert_eq!(survivors("--anti-entropy off"), (one(1), None));
    assert_eq!(survivors(""), (one(1), one(1)));
}

#[test]
fn bug_reuse_actor_drops_an_acknowledged_write_after_a_restore() {
    assert_eq!(restored("--bug reuse-actor"), [5].into());
}

#[test]
fn bug_reuse_actor_does_no_harm_without_a_restore() {
    let mut world = World::new("--mode leaderless --bug reuse-actor", 3, 13);
    for value in 1..4 {
        write(&mut world, 0, "k", Some(value), None);
        world.kill(0);
        world.start(0);
    }
    assert_eq!(reads(&mut world, 1, "k").0, [1, 2, 3].into());
}

#[test]
fn bug_forget_hint_loses_what_only_stand_ins_had() {
    let mut world = World::new(&format!("{ONLY_HINTS} --bug forget-hint"), 6, 14);
    let (homes, others) = placed(&world, "k");
    homes.iter().for_each(|home| world.kill(*home));
    world.run(600 * MS);
    write(&mut world, others[0], "k", Some(1), None);
    world.heal();
    world.run(3_000 * MS);
    assert!((0..6).all(|node| on_disk(&world, node, "k").is_none()));
}

#[test]
fn bug_drop_tombstone_brings_deleted_keys_back_within_the_grace() {
    let mut world = World::new("--mode leaderless --bug drop-tombstone", 3, 15);
    let known = write(&mut world, 0, "k", Some(1), None);
    world.run(500 * MS);
    world.kill(2);
    write(&mut world, 0, "k", None, known);
    world.start(2);
    let back = |world: &World| (0..3).all(|node| on_disk(world, node, "k") == one(1));
    assert!(world.until(SETTLE, back), "nothing came back");
}

#[test]
fn bug_drop_sibling_loses_a_concurrent_write() {
    let written = |flags: &str| {
        let mut world = World::new(flags, 3, 16);
        write(&mut world, 0, "k", Some(1), None);
        write(&mut world, 1, "k", Some(2), None);
        world.run(2_000 * MS);
        reads(&mut world, 2, "k").0.len()
    };
    assert_eq!((written("--mode leaderless"), written("--mode leaderless --bug drop-sibling")), (2, 1));
}

#[test]
fn bug_count_partial_write_acknowledges_what_a_quorum_does_not_see() {
    let lonely = |flags: &str| {
        let mut world = World::new(flags, 3, 17);
        world.cut_off(0);
        let answer = ask(&mut world, 0, put("k", Some(1), None));
        (answer.is_ok(), reads(&mut world, 1, "k").0)
    };
    assert_eq!(lonely("--mode leaderless"), (false, BTreeSet::new()));
    assert_eq!(lonely("--mode leaderless --bug count-partial-write"), (true, BTreeSet::new()));
}

#[test]
fn a_datacentre_cut_off_keeps_its_quorums_and_learns_the_rest_later() {
    let mut world = World::new("--mode leaderless --datacentres 2 --n 3", 6, 18);
    for (one, other) in (0..3).flat_map(|one| (3..6).map(move |other| (one, other))) {
        world.cut.extend([(one, other), (other, one)]);
    }
    write(&mut world, 0, "k", Some(1), None);
    write(&mut world, 4, "k", Some(2), None);
    assert_eq!(reads(&mut world, 2, "k").0, [1].into());
    assert_eq!(reads(&mut world, 5, "k").0, [2].into());
    world.heal();
    let both = |world: &World| (0..6).all(|node| on_disk(world, node, "k") == Some([1, 2].into()));
    assert!(world.until(SETTLE, both), "the datacentres do not converge");
}

#[test]
fn datacentres_are_told_at_once_but_not_waited_for() {
    let mut world = World::new("--mode leaderless --datacentres 2 --n 2 --anti-entropy off", 4, 19);
    for (near, far) in (0..2).flat_map(|near| (2..4).map(move |far| (near, far))) {
        world.slow.insert((near, far), 300 * MS);
    }
    let before = world.now;
    write(&mut world, 0, "k", Some(1), None);
    assert!(world.now - before < 200 * MS, "it waited for the far datacentre");
    assert_eq!(reads(&mut world, 3, "k").0, BTreeSet::new());
    world.run(500 * MS);
    assert_eq!(reads(&mut world, 3, "k").0, [1].into());
}

#[test]
fn a_read_that_a_late_replica_could_have_answered_better_is_counted() {
    let mut world = World::new("--mode leaderless --w 1 --r 1 --read-repair off --anti-entropy off", 3, 20);
    world.slow.extend([((0, 1), 100 * MS), ((0, 2), 100 * MS)]);
    write(&mut world, 0, "k", Some(1), None);
    assert_eq!(reads(&mut world, 1, "k").0, BTreeSet::new());
    world.run(500 * MS);
    let counted = |name: &str| world.metric(1, name);
    assert_eq!((counted("reads_checked"), counted("reads_stale"), counted("versions_behind")), (1, 1, 1));
}

/// Two devices fill one cart through one server (DDIA, figure 5-13): each write says what it has read, and each takes over what it is shown.
#[test]
fn one_server_with_version_numbers_loses_nothing_from_the_cart() {
    let mut world = World::new("--mode leaderless --n 1 --w 1 --r 1", 1, 21);
    // Carts as bit sets: milk 1, eggs 2, flour 4, ham 8.
    write(&mut world, 0, "cart", Some(1), None);
    write(&mut world, 0, "cart", Some(2), None);
    let (both, seen) = reads(&mut world, 0, "cart");
    assert_eq!(both, [1, 2].into(), "neither device knew of the other");
    // The first device adds flour to both; the second, which has read them too, adds ham meanwhile.
    let merged: i64 = both.iter().sum();
    write(&mut world, 0, "cart", Some(merged | 4), seen.clone());
    write(&mut world, 0, "cart", Some(merged | 8), seen);
    let (carts, seen) = reads(&mut world, 0, "cart");
    assert_eq!(carts, [7, 11].into(), "what was read is replaced, what was not stands beside");
    write(&mut world, 0, "cart", Some(carts.iter().fold(0, |all, cart| all | cart)), seen);
    assert_eq!(reads(&mut world, 0, "cart").0, [15].into());
}

#[test]
fn a_request_of_very_many_reads_goes_round_not_down() {
    let mut world = World::new("--mode leaderless --n 1 --w 1 --r 1", 1, 22);
    let ops = (0..100_000).map(|number| Operation::Read { key: format!("k{number}") }).collect();
    let reply = ask(&mut world, 0, Request { ops, ..Request::default() }).expect("answers");
    assert_eq!(reply.results.len(), 100_000);
}
