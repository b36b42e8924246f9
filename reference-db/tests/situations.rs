//! Single leader, one situation each.

mod world;

use std::time::Duration;

use refdb::mode::Ticket;
use refdb::modes::single_leader::Message;
use refdb::operation::{Code, Reply, Request};
use world::{World, append, list, read};

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(10);

fn led(flags: &str, nodes: usize) -> (World, usize) {
    let mut world = World::new(flags, nodes, 7);
    let ready = |world: &World| {
        (0..world.machines.len())
            .all(|node| world.status(node).is_some_and(|status| status.ready && status.position > 0))
    };
    assert!(world.until(LIMIT, ready), "nobody leads");
    world.run(300 * MS);
    let leader = world.leader().expect("somebody leads");
    (world, leader)
}

fn acknowledged(world: &mut World, node: usize, value: i64) -> Reply {
    let ticket = world.ask(node, append("k", value));
    answer(world, ticket).unwrap_or_else(|code| panic!("{value} was refused: {code:?}"))
}

fn answer(world: &mut World, ticket: Ticket) -> Result<Reply, Code> {
    assert!(world.until(LIMIT, |world| world.answers.contains_key(&ticket)), "no answer");
    world.answers.remove(&ticket).expect("it is there").result.map_err(|refusal| refusal.code)
}

fn values(world: &World, node: usize) -> Vec<i64> {
    let rows = world.disk(node).rows;
    let cell = rows.into_iter().find(|(key, _)| key == "k").map(|(_, cell)| cell);
    let reply = Reply { node: String::new(), results: vec![cell.into()], version: None, contexts: Vec::new() };
    list(&reply)
}

fn replaced(world: &mut World, old: usize) -> usize {
    let led = world.until(LIMIT, |world| world.leader().is_some_and(|leader| leader != old));
    assert!(led, "nobody takes over");
    world.leader().expect("somebody leads")
}

#[test]
fn a_deposed_leader_discards_and_keeps_its_tail() {
    let (mut world, old) = led("--ack async", 3);
    acknowledged(&mut world, old, 1);
    world.run(200 * MS);
    world.cut_off(old);
    acknowledged(&mut world, old, 2);
    let new = replaced(&mut world, old);
    acknowledged(&mut world, new, 3);
    world.heal();
    world.run(1_000 * MS);
    assert_eq!(values(&world, old), [1, 3], "the tail is gone");
    let (name, lines) = world.machines[old].kept.first().expect("it was kept");
    assert!(name.starts_with("discarded-") && lines.len() == 1, "{name}: {lines:?}");
}

#[test]
fn an_old_leader_that_resumes_acknowledges_nothing() {
    let (mut world, old) = led("", 3);
    acknowledged(&mut world, old, 1);
    world.machines[old].paused = true;
    let new = replaced(&mut world, old);
    acknowledged(&mut world, new, 2);
    let write = world.ask(old, append("k", 3));
    let leased = world.ask(old, Request { leader: true, ..read("k") });
    world.machines[old].paused = false;
    assert!(answer(&mut world, write).is_err());
    assert!(answer(&mut world, leased).is_err(), "a stale read");
    world.run(1_000 * MS);
    assert_eq!(values(&world, old), [1, 2]);
}

#[test]
fn the_most_advanced_log_is_handed_the_term() {
    let (mut world, old) = led("--ack async", 5);
    let ahead = (old + 3) % 5;
    for other in (0..5).filter(|other| *other != old && *other != ahead) {
        world.cut.push((old, other));
    }
    acknowledged(&mut world, old, 1);
    world.run(100 * MS);
    world.kill(old);
    world.cut.clear();
    let new = replaced(&mut world, old);
    assert_eq!(new, ahead);
    assert!((0..5).any(|node| world.said(node, "hands term")) || world.leaders.len() == 2);
    assert_eq!(values(&world, new), [1]);
}

#[test]
fn a_late_or_repeated_word_to_lead_begins_nothing() {
    let (mut world, leader) = led("", 3);
    let term = world.status(leader).expect("it runs").term;
    let follower = (leader + 1) % 3;
    let lead = || Message::Lead { term, quiet: Duration::ZERO };
    world.kill(follower);
    world.start(follower);
    world.inject(leader, follower, lead());
    world.run(500 * MS);
    world.inject(follower, leader, lead());
    world.run(500 * MS);
    assert_eq!(world.leader(), Some(leader), "the world itself checks that no term has two leaders");
    acknowledged(&mut world, leader, 1);
}

#[test]
fn a_planned_switchover_loses_nothing_and_the_chosen_node_leads() {
    for flags in ["", "--failover manual", "--ack async --failover manual"] {
        let (mut world, old) = led(flags, 5);
        for value in 0..20 {
            acknowledged(&mut world, old, value);
        }
        let heir = (old + 2) % 5;
        world.slow.insert((old, heir), 40 * MS);
        let racing: Vec<Ticket> = (20..30).map(|value| world.ask(old, append("k", value))).collect();
        let promoted = world.promote(heir);
        answer(&mut world, promoted).expect("it leads");
        assert_eq!(world.leader(), Some(heir), "{flags}");
        world.run(500 * MS);
        let kept = values(&world, heir);
        assert!((0..20).all(|value| kept.contains(&value)), "{flags}: {kept:?}");
        for (ticket, value) in racing.into_iter().zip(20..) {
            assert!(answer(&mut world, ticket).is_err() || kept.contains(&value), "{flags}: {value} is lost");
        }
    }
}

#[test]
fn a_restarted_node_does_not_depose_whom_an_operator_chose() {
    let (mut world, old) = led("--failover manual", 3);
    let heir = (old + 1) % 3;
    let promoted = world.promote(heir);
    answer(&mut world, promoted).expect("it leads");
    acknowledged(&mut world, heir, 1);
    world.kill(old);
    world.start(old);
    world.run(3_000 * MS);
    assert_eq!(world.leader(), Some(heir));
    world.kill(heir);
    world.run(3_000 * MS);
    assert_eq!(world.leader(), None, "without an operator nobody takes over");
    world.start(heir);
    assert!(world.until(LIMIT, |world| world.leader() == Some(heir)), "the leader that was down leads again");
}

#[test]
fn a_cut_off_leader_without_fencing_goes_on_and_yields_in_the_end() {
    let (mut world, old) = led("--ack async --fencing off", 3);
    world.cut_off(old);
    let new = replaced(&mut world, old);
    acknowledged(&mut world, new, 1);
    acknowledged(&mut world, old, 2);
    world.heal();
    world.run(1_000 * MS);
    acknowledged(&mut world, old, 3);
    acknowledged(&mut world, new, 4);
    world.run(8_000 * MS);
    assert_eq!(values(&world, old), values(&world, new), "one of the two histories remains");
    assert_eq!(values(&world, new), [1, 4]);
}

#[test]
fn a_lost_snapshot_is_sent_again() {
    let mut world = World::new("", 3, 3).keeping(20);
    assert!(world.until(LIMIT, |world| world.leader().is_some()));
    world.run(300 * MS);
    let leader = world.leader().expect("somebody leads");
    let lost = (leader + 1) % 3;
    world.wipe(lost);
    for value in 0..100 {
        acknowledged(&mut world, leader, value);
    }
    world.start(lost);
    world.until(LIMIT, |world| world.said(leader, "a snapshot"));
    // It dies while the copy is on its way, and what was sent to it is gone.
    world.kill(lost);
    world.start(lost);
    let same =
        |world: &World| world.status(lost).map(|one| one.position) == world.status(leader).map(|one| one.position);
    assert!(world.until(LIMIT, same), "it never gets another");
    assert_eq!(values(&world, lost), values(&world, leader));
}

#[test]
fn a_leader_that_hears_nobody_makes_room() {
    let (mut world, old) = led("", 3);
    for other in (0..3).filter(|other| *other != old) {
        world.cut.push((other, old));
    }
    let new = replaced(&mut world, old);
    acknowledged(&mut world, new, 1);
}

#[test]
fn without_its_synchronous_follower_writes_wait_or_go_on_quietly_as_told() {
    for (flags, done) in [("--failover off", false), ("--failover off --on-sync-loss async", true)] {
        let (mut world, leader) = led(flags, 3);
        for other in (0..3).filter(|other| *other != leader) {
            world.kill(other);
        }
        let ticket = world.ask(leader, append("k", 1));
        assert_eq!(answer(&mut world, ticket).is_ok(), done, "{flags}");
        assert_eq!(world.said(leader, "goes on asynchronously"), done);
    }
}

#[test]
fn synchronous_writes_wait_for_every_follower() {
    let (mut world, leader) = led("--ack sync", 3);
    world.kill((leader + 1) % 3);
    let ticket = world.ask(leader, append("k", 1));
    world.run(2_000 * MS);
    assert!(!world.answers.contains_key(&ticket));
    world.start((leader + 1) % 3);
    answer(&mut world, ticket).expect("all have it now");
}

#[test]
fn nobody_can_be_promoted_where_failover_is_off() {
    let (mut world, leader) = led("--failover off", 3);
    let ticket = world.promote((leader + 1) % 3);
    assert_eq!(answer(&mut world, ticket), Err(Code::Unsupported));
}

#[test]
fn a_follower_confirms_only_what_its_disk_has() {
    let (mut world, leader) = led("--failover off", 2);
    let follower = 1 - leader;
    world.machines[follower].paused = true;
    let ticket = world.ask(leader, append("k", 1));
    world.run(300 * MS);
    assert!(!world.answers.contains_key(&ticket), "nobody has confirmed it");
    world.kill(follower);
    world.start(follower);
    assert_eq!(values(&world, follower), Vec::<i64>::new(), "what had arrived was not on its disk");
    answer(&mut world, ticket).expect("it is sent again");
    assert_eq!(values(&world, follower), [1]);
}

#[test]
fn a_token_of_a_discarded_tail_is_refused_with_its_own_error() {
    let (mut world, old) = led("--ack async", 3);
    world.cut_off(old);
    let reply = acknowledged(&mut world, old, 1);
    let Some(refdb::operation::Version::Position { term, index }) = reply.version else { panic!("no position") };
    let new = replaced(&mut world, old);
    acknowledged(&mut world, new, 2);
    for request in [read("k"), append("k", 3)] {
        let ticket = world.ask(new, Request { token: Some((term, index)), ..request });
        assert_eq!(answer(&mut world, ticket), Err(Code::TokenDiscarded));
    }
}

#[test]
fn a_follower_that_begins_empty_while_writes_go_on_ends_equal_in_full() {
    let (world, leader) = led("--ack async --failover off", 3);
    let mut world = world.keeping(30);
    assert!(world.until(LIMIT, |world| world.leader() == Some(leader)), "nobody leads");
    let follower = (leader + 1) % 3;
    let mut longest = Duration::ZERO;
    for value in 0..400 {
        match value {
            100 => world.wipe(follower),
            150 => world.start(follower),
            _ => {}
        }
        let before = world.now;
        acknowledged(&mut world, leader, value);
        longest = longest.max(world.now - before);
    }
    assert!(longest < 100 * MS, "writes stopped for {longest:?}");
    assert!(world.said(follower, "installed a snapshot"), "it came without one, with a log this short");
    let equal = |world: &World| world.disk(follower).last == world.disk(leader).last;
    assert!(world.until(LIMIT, equal), "it never catches up");
    assert_eq!(world.disk(follower).rows, world.disk(leader).rows);
}

#[test]
fn two_leaders_with_a_kill_switch_leave_nobody_to_lead() {
    let (mut world, old) = led("--ack async --fencing off --kill-switch on", 3);
    world.cut_off(old);
    let new = replaced(&mut world, old);
    assert!(world.status(old).is_some(), "cut off, it knows of no other");
    acknowledged(&mut world, old, 1);
    acknowledged(&mut world, new, 2);
    // Links only: whoever was shut down stays so.
    world.cut.clear();
    world.run(5_000 * MS);
    let up: Vec<_> = (0..3).filter(|&node| world.status(node).is_some()).collect();
    assert_eq!(up, [3 - old - new], "each told the other to shut down");
    assert_eq!(world.leader(), None, "one of three is no majority");
    for shot in [old, new] {
        let said = &world.machines[shot].said;
        assert!(said.iter().any(|line| line.starts_with("shuts down: ")), "{said:?}");
    }
}

#[test]
fn without_the_kill_switch_two_leaders_go_on_beside_each_other() {
    let (mut world, old) = led("--ack async --fencing off", 3);
    world.cut_off(old);
    let new = replaced(&mut world, old);
    world.cut.clear();
    world.run(1_000 * MS);
    acknowledged(&mut world, old, 1);
    acknowledged(&mut world, new, 2);
}
