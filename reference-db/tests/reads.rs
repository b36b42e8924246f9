//! Read policies, one situation each: what a replica answers to tokens, wall-clock tokens and a limit of its lag.

mod world;

use std::time::Duration;

use refdb::mode::Ticket;
use refdb::operation::{Code, Reply, Request, Version};
use world::{World, append, every, list, read};

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(10);

fn led(flags: &str, nodes: usize, seed: u64) -> (World, usize) {
    let mut world = World::new(flags, nodes, seed);
    let ready = |world: &World| (0..nodes).all(|node| world.status(node).is_some_and(|status| status.position > 0));
    assert!(world.until(LIMIT, ready), "nobody leads");
    world.run(300 * MS);
    let leader = world.leader().expect("somebody leads");
    (world, leader)
}

fn answer(world: &mut World, ticket: Ticket) -> Result<Reply, Code> {
    assert!(world.until(LIMIT, |world| world.answers.contains_key(&ticket)), "no answer");
    world.answers.remove(&ticket).expect("it is there").result.map_err(|refusal| refusal.code)
}

fn ask(world: &mut World, node: usize, request: Request) -> Result<Reply, Code> {
    let ticket = world.ask(node, request);
    answer(world, ticket)
}

fn within(limit_ms: u64) -> Request {
    Request { max_lag_ms: Some(limit_ms), ..read("k") }
}

/// Asks until the follower has learnt how fresh it is.
fn warm(world: &mut World, node: usize) {
    let deadline = world.now + LIMIT;
    while ask(world, node, within(100)).is_err() {
        assert!(world.now < deadline, "the follower never knows that it is fresh");
        world.run(20 * MS);
    }
}

#[test]
fn a_follower_that_is_cut_off_refuses_once_its_lag_is_over_the_limit() {
    let (mut world, leader) = led("--ack async --failover off", 3, 1);
    let follower = (leader + 1) % 3;
    warm(&mut world, follower);
    world.cut.push((leader, follower));
    assert!(ask(&mut world, follower, within(2_000)).is_ok(), "it knows that it had everything a moment ago");
    world.run(500 * MS);
    assert_eq!(ask(&mut world, follower, within(200)).expect_err("it lags"), Code::Behind);
    assert!(ask(&mut world, leader, within(200)).is_ok(), "the leader lags behind nobody");
    world.heal();
    world.run(100 * MS);
    warm(&mut world, follower);
}

#[test]
fn a_slow_link_counts_as_lag_although_its_messages_keep_arriving() {
    let (mut world, leader) = led("--ack async --failover off", 3, 2);
    let follower = (leader + 1) % 3;
    warm(&mut world, follower);
    world.slow.insert((leader, follower), 400 * MS);
    world.run(1_500 * MS);
    for value in 0..20 {
        ask(&mut world, leader, append("k", value)).expect("it is acknowledged");
        assert_eq!(ask(&mut world, follower, within(200)).expect_err("it lags"), Code::Behind);
    }
    assert!(ask(&mut world, follower, within(1_000)).is_ok());
}

#[test]
fn the_status_says_how_far_behind_a_follower_knows_itself_to_be() {
    let (mut world, leader) = led("--ack async --failover off", 3, 5);
    let follower = (leader + 1) % 3;
    let lag = |world: &World, node| world.status(node).expect("it runs").lag_ms;
    let after = |world: &mut World, time: Duration| {
        world.run(time);
        lag(world, follower).expect("it has known for long")
    };
    assert!(after(&mut world, 1_000 * MS) < 400, "nothing is slow");
    world.slow.insert((leader, follower), 600 * MS);
    let slow = after(&mut world, 3_000 * MS);
    assert!((600..1_200).contains(&slow), "{slow} ms behind on a link of 600 ms");
    world.heal();
    assert!(after(&mut world, 2_000 * MS) < 400, "the link is as fast as before");
    world.cut.push((leader, follower));
    let cut = after(&mut world, 2_000 * MS);
    assert!((2_000..2_400).contains(&cut), "{cut} ms behind after 2 s without its leader");
    assert_eq!(lag(&world, leader), None, "a leader lags behind nobody");
}

#[test]
fn followers_of_a_replaced_leader_do_not_take_its_word_for_being_fresh() {
    let (mut world, old) = led("--ack async", 5, 3);
    let friend = (old + 1) % 5;
    warm(&mut world, friend);
    for inside in [old, friend] {
        for outside in (0..5).filter(|node| *node != old && *node != friend) {
            world.cut.extend([(inside, outside), (outside, inside)]);
        }
    }
    world.run(1_500 * MS);
    assert_ne!(world.leader(), Some(old), "the others have a leader by now");
    assert_eq!(ask(&mut world, friend, within(500)).expect_err("nobody can know"), Code::Behind);
}

#[test]
fn an_answer_within_the_limit_shows_all_that_was_acknowledged_so_long_before() {
    every(0..30, |seed| {
        let (mut world, leader) = led("--ack async --failover off", 3, seed);
        let limit = 150 * MS;
        let mut acknowledged: Vec<(Duration, i64)> = Vec::new();
        let (mut answered, mut next) = (0, 0);
        let mut open: Vec<(Ticket, Duration)> = Vec::new();
        for round in 0..300 {
            let follower = (leader + 1 + round % 2) % 3;
            if round % 90 == 30 {
                world.harm_link(leader, follower);
            }
            if round % 90 == 80 {
                world.heal();
            }
            next += 1;
            let write = world.ask(leader, append("k", next));
            open.push((world.ask(follower, within(limit.as_millis() as u64)), world.now));
            world.round();
            if world.answers.remove(&write).is_some_and(|answer| answer.result.is_ok()) {
                acknowledged.push((world.now, next));
            }
            open.retain(|(ticket, asked)| {
                let Some(answer) = world.answers.remove(ticket) else { return true };
                let Ok(reply) = answer.result else { return false };
                answered += 1;
                let seen = list(&reply);
                let owed = acknowledged.iter().filter(|(at, _)| *at + limit < *asked);
                let missing: Vec<_> = owed.filter(|(_, value)| !seen.contains(value)).collect();
                assert!(missing.is_empty(), "asked at {asked:?}: {missing:?} are missing");
                false
            });
        }
        assert!(answered > 50, "only {answered} reads were answered");
    });
}

#[test]
fn a_second_token_is_waited_for_like_the_first() {
    let (mut world, leader) = led("--ack async --failover off", 3, 4);
    let follower = (leader + 1) % 3;
    let first = ask(&mut world, leader, append("k", 1)).expect("it is acknowledged");
    world.run(200 * MS);
    world.cut.push((leader, follower));
    let second = ask(&mut world, leader, append("k", 2)).expect("it is acknowledged");
    let position = |reply: &Reply| reply.version.as_ref().and_then(Version::position).expect("a position");
    let request = Request { token: Some(position(&first)), also: vec![position(&second)], ..read("k") };
    assert_eq!(ask(&mut world, follower, request.clone()).expect_err("it is behind"), Code::Behind);
    world.heal();
    world.run(1_000 * MS);
    assert_eq!(list(&ask(&mut world, follower, request).expect("it has both")), [1, 2]);
}

#[test]
fn a_replica_waits_until_it_has_something_as_late_as_the_clock_of_the_write() {
    let (mut world, leader) = led("--ack async --failover off", 3, 5);
    let follower = (leader + 1) % 3;
    world.cut.push((leader, follower));
    let dated = ask(&mut world, leader, Request { dated: true, ..append("k", 1) }).expect("it is acknowledged");
    let Some(Version::Dated { wall, .. }) = dated.version else { panic!("it was to be dated: {dated:?}") };
    let request = Request { after_wall: Some(wall), ..read("k") };
    assert_eq!(ask(&mut world, follower, request.clone()).expect_err("it is behind"), Code::Behind);
    assert_eq!(list(&ask(&mut world, leader, request.clone()).expect("it leads")), [1]);
    world.heal();
    world.run(1_000 * MS);
    assert_eq!(list(&ask(&mut world, follower, request).expect("it has caught up")), [1]);
    // A clock that was set back: the follower has something later, and not the write.
    world.cut.push((leader, follower));
    ask(&mut world, leader, append("k", 2)).expect("it is acknowledged");
    let request = Request { after_wall: Some(wall - 1_000_000_000), ..read("k") };
    assert_eq!(
        list(&ask(&mut world, follower, request).expect("by its clock it is fresh")),
        [1],
        "stale, as clocks have it"
    );
}

#[test]
fn a_read_at_the_leader_waits_for_unconfirmed_writes_of_its_own_keys_only() {
    let (mut world, leader) = led("--ack semi-sync --failover off", 3, 6);
    ask(&mut world, leader, append("k", 1)).expect("it is acknowledged");
    ask(&mut world, leader, append("other", 1)).expect("it is acknowledged");
    world.run(200 * MS);
    world.cut_off(leader);
    let stuck = world.ask(leader, append("k", 2));
    world.run(100 * MS);
    let at_leader = |key: &str| Request { leader: true, ..read(key) };
    let (same, other) = (world.ask(leader, at_leader("k")), world.ask(leader, at_leader("other")));
    world.run(100 * MS);
    let answered = world.answers.remove(&other).expect("nothing stands in its way").result.expect("it leads");
    assert_eq!(list(&answered), [1]);
    assert!(!world.answers.contains_key(&same), "what nobody has confirmed may vanish");
    world.heal();
    answer(&mut world, stuck).expect("it is acknowledged now");
    assert_eq!(list(&answer(&mut world, same).expect("it is answered now")), [1, 2]);
}
