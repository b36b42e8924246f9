//! Several leaders, one situation each; and the planted mistakes, which must show.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use refdb::config::MultiLeader;
use refdb::operation::{Code, Outcome, Request};
use refdb::value::Value;
use world::several::{LIMIT, MS, TOPOLOGIES, alike, answer, cluster, done, ints, policy, rows, settle, shown, write};
use world::{ROUND, World, read};

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
fn a_leader_that_was_away_for_too_long_is_sent_a_copy_and_loses_nothing_of_its_own() {
    for topology in TOPOLOGIES {
        let flags = format!("--datacentres 3 --topology {topology} --conflicts siblings");
        let mut world = cluster(&flags, 3, 9).keeping(10);
        world.run(300 * MS);
        done(&mut world, 0, write("before", 1));
        world.run(300 * MS);
        world.cut_off(1);
        done(&mut world, 1, write("own", 2));
        for at in 0..1_200 {
            done(&mut world, 0, write(&format!("k{}", at % 50), at));
        }
        world.run(Duration::from_secs(4));
        settle(&mut world);
        assert!((0..3).any(|node| world.said(node, "a copy")), "{topology}: it was never too far back");
        assert!(alike(&world), "{topology}");
        assert_eq!(rows(&world, 2).len(), 52, "{topology}");
    }
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
