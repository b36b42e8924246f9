//! What only a physical log does: it refuses pages that do not fit, and copies whole files.

mod world;

use std::time::Duration;

use refdb::modes::single_leader::Message;
use refdb::store::physical::segment::Form;
use world::{World, append};

const SECOND: Duration = Duration::from_secs(1);

fn led(flags: &str) -> World {
    let mut world = World::new(flags, 3, 1);
    assert!(world.until(SECOND * 5, |world| world.leader().is_some()), "somebody leads");
    world
}

/// Appends at the leader, each with a moment of its own.
fn write(world: &mut World, values: std::ops::Range<i64>) {
    for value in values {
        let leader = world.leader().expect("somebody leads");
        world.ask(leader, append("list", value));
        world.round();
    }
}

/// A follower begins anew, with pages of another size.
fn with_other_pages(flags: &str) -> (World, usize) {
    let mut world = World::new(flags, 3, 1).keeping(10);
    assert!(world.until(SECOND * 5, |world| world.leader().is_some()), "somebody leads");
    write(&mut world, 0..20);
    let other = (world.leader().expect("somebody leads") + 1) % 3;
    world.wipe(other);
    world.machines[other].page_size = 8_192;
    world.start(other);
    for _ in 0..10 {
        write(&mut world, 20..40);
        world.run(SECOND / 3);
    }
    (world, other)
}

#[test]
fn a_follower_of_another_page_size_is_refused_in_clear_words_and_the_others_go_on() {
    let (mut world, other) = with_other_pages("--log wal");
    let status = world.status(other).expect("it runs");
    let why = status.refuses.expect("it says why");
    for part in ["pages of 4096 bytes", "pages of 8192 bytes", "the same on all nodes"] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!((status.role.as_str(), status.position, status.ready), ("follower", 0, false));
    assert!(world.said(other, &why) && world.machines[other].said.iter().filter(|line| **line == why).count() == 1);
    let leader = world.leader().expect("somebody leads");
    let told = format!("n{} applies nothing", other + 1);
    assert_eq!(world.machines[leader].said.iter().filter(|line| line.contains(&told)).count(), 1);
    let third = 3 - leader - other;
    let [ours, theirs] = [leader, third].map(|node| world.status(node).map(|status| status.position));
    assert!(ours == theirs && ours > Some(200), "{ours:?} and {theirs:?}");
    // With the right pages it is one of them again.
    world.wipe(other);
    world.machines[other].page_size = 4_096;
    world.start(other);
    let position = |world: &World, node| world.status(node).map(|status| (status.position, status.refuses));
    assert!(world.until(SECOND * 5, |world| position(world, other) == position(world, third)));
}

#[test]
fn the_row_log_does_not_care_about_the_page_size() {
    let (mut world, other) = with_other_pages("--log row");
    world.run(SECOND * 3);
    assert_eq!(world.status(other).and_then(|status| status.refuses), None);
    let [ours, theirs] = [(other + 1) % 3, other].map(|node| world.disk(node));
    assert!(ours.last == theirs.last && ours.rows == theirs.rows && ours.last.1 > 200, "{:?}", theirs.last);
    let page_size = |node| std::fs::read(world.database(node)).expect("its file")[16..18].to_vec();
    assert_ne!(page_size(other), page_size((other + 1) % 3));
}

#[test]
fn pages_of_another_format_version_are_refused_and_nothing_of_them_is_written() {
    let mut world = led("--log wal");
    write(&mut world, 0..20);
    world.run(SECOND);
    let leader = world.leader().expect("somebody leads");
    let (other, status) = ((leader + 1) % 3, world.status(leader).expect("it runs"));
    let before = world.disk(other).rows;
    let form = Form { page_size: 4_096, version: u32::MAX };
    let previous = (status.position_term, status.position);
    let (segments, committed, sent) = (Vec::new(), 0, Duration::ZERO);
    world.inject(leader, other, Message::Pages { term: status.term, previous, form, segments, committed, sent });
    world.round();
    assert!(world.said(other, "pages of 4096 bytes in format 4294967295") && world.disk(other).rows == before);
}

#[test]
fn a_node_that_expects_entries_says_that_it_gets_pages() {
    let mut world = led("--log row");
    let leader = world.leader().expect("somebody leads");
    let (other, status) = ((leader + 1) % 3, world.status(leader).expect("it runs"));
    let form = Form { page_size: 4_096, version: 1 };
    let (segments, committed, sent) = (Vec::new(), 0, Duration::ZERO);
    let message = Message::Pages { term: status.term, previous: (0, 0), form, segments, committed, sent };
    world.inject(leader, other, message);
    world.round();
    assert!(world.said(other, "sends pages, as with --log wal"));
}

#[test]
fn a_follower_that_was_away_gets_the_commits_since_and_one_without_a_disk_a_copy() {
    let mut world = led("--log wal --failover manual");
    write(&mut world, 0..20);
    world.run(SECOND);
    let leader = world.leader().expect("somebody leads");
    let away = (leader + 1) % 3;
    let copies =
        |world: &World| world.machines[away].said.iter().filter(|line| line.contains("installed a copy")).count();
    assert_eq!(copies(&world), 1, "it began with one");
    let caught_up = |world: &mut World| {
        world.until(SECOND * 5, |world| {
            world.status(leader).map(|status| status.position) == world.status(away).map(|status| status.position)
        })
    };
    world.kill(away);
    write(&mut world, 20..60);
    world.start(away);
    assert!(caught_up(&mut world) && copies(&world) == 1, "it needed none");
    world.wipe(away);
    write(&mut world, 60..80);
    world.start(away);
    assert!(caught_up(&mut world) && copies(&world) == 2, "it needed one");
    assert_eq!(world.disk(away).rows, world.disk(leader).rows);
}
