//! `--failover controller`, one situation each.

mod world;

use std::time::Duration;

use refdb::mode::Ticket;
use refdb::operation::{Code, Reply};
use world::{World, append, every, list, read};

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(10);

fn led(flags: &str, nodes: usize, seed: u64) -> (World, usize) {
    let mut world = World::new(&format!("--failover controller {flags}"), nodes, seed);
    let ready = |world: &World| (0..nodes).all(|node| world.status(node).is_some_and(|status| status.position > 0));
    assert!(world.until(LIMIT, ready), "nobody leads");
    world.run(400 * MS);
    let leader = world.leader().expect("somebody leads");
    (world, leader)
}

fn answer(world: &mut World, ticket: Ticket) -> Result<Reply, Code> {
    assert!(world.until(LIMIT, |world| world.answers.contains_key(&ticket)), "no answer");
    world.answers.remove(&ticket).expect("it is there").result.map_err(|refusal| refusal.code)
}

#[test]
fn the_controller_replaces_a_dead_leader_by_the_most_advanced_follower_and_never_leads() {
    every(0..20, |seed| {
        let (mut world, old) = led("", 4, seed);
        assert_eq!(old, 0, "the first node founds");
        for value in 0..30 {
            let write = world.ask(old, append("k", value));
            answer(&mut world, write).expect("it is acknowledged");
        }
        world.kill(old);
        let led = world.until(LIMIT, |world| world.leader().is_some_and(|leader| leader != old));
        assert!(led, "nobody takes over");
        let new = world.leader().expect("somebody leads");
        assert_ne!(new, 3, "the controller leads");
        let ticket = world.ask(new, read("k"));
        let seen = list(&answer(&mut world, ticket).expect("it answers"));
        assert_eq!(seen, (0..30).collect::<Vec<_>>(), "an acknowledged write is lost");
    });
}

#[test]
fn without_the_controller_nobody_replaces_anybody() {
    let (mut world, old) = led("", 3, 1);
    world.kill(2);
    world.run(500 * MS);
    world.kill(old);
    world.run(8_000 * MS);
    assert_eq!(world.leader(), None);
    world.heal();
    assert!(world.until(LIMIT, |world| world.leader().is_some()), "the controller is back, and nobody leads");
}

#[test]
fn a_leader_that_followers_still_hear_is_not_replaced_when_the_controller_loses_it() {
    let (mut world, old) = led("", 4, 2);
    world.cut.extend([(old, 3), (3, old)]);
    world.run(6_000 * MS);
    assert_eq!((world.leader(), world.leaders.len()), (Some(old), 1));
}

#[test]
fn cut_off_with_one_follower_the_controller_makes_a_second_leader() {
    let (mut world, old) = led("", 5, 3);
    for inside in [3, 4] {
        for outside in 0..3 {
            world.cut.extend([(inside, outside), (outside, inside)]);
        }
    }
    assert!(world.until(LIMIT, |world| world.leader() == Some(3)), "the follower beside it");
    let (one, other) = (world.ask(old, append("k", 1)), world.ask(3, append("k", 2)));
    answer(&mut world, one).expect("the old leader still has followers");
    world.run(1_000 * MS);
    assert!(
        world.answers.remove(&other).is_none_or(|answer| answer.result.is_err()),
        "the controller confirms nothing"
    );
    world.heal();
    world.run(2_000 * MS);
    assert_eq!((world.leader(), world.status(old).expect("it runs").role), (Some(3), "follower".to_string()));
}
