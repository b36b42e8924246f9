//! The engine against a cluster that is a table in memory: what it says must be what happened to the table.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gainsay_nemesis::Error;
use gainsay_nemesis::engine::{self, FaultEvent, Happening};
use gainsay_nemesis::link::{Endpoint, LinkProbe, LinkRule, NodeState};
use gainsay_nemesis::schedule::{Params, Planned, Schedule, Shape, Victims};
use gainsay_nemesis::target::{Body, Target};

/// No test may take longer.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Table {
    states: HashMap<String, NodeState>,
    links: HashMap<(Endpoint, Endpoint), LinkRule>,
    clocks: HashMap<String, i64>,
    /// How many files the last wipe of a node took.
    wiped: HashMap<String, u64>,
    /// Nodes that were started as the newer version, in this order.
    upgraded: Vec<String>,
    /// Nodes whose restart is answered with an error this many times.
    stubborn: usize,
}

struct Fake {
    nodes: Vec<String>,
    leaders: Mutex<Vec<String>>,
    table: Mutex<Table>,
    /// As a network of proxies does.
    refuses_loss: AtomicBool,
}

impl Fake {
    fn new() -> Fake {
        Fake {
            nodes: ["n1", "n2", "n3"].map(String::from).to_vec(),
            leaders: Mutex::new(vec!["n2".into()]),
            table: Mutex::default(),
            refuses_loss: AtomicBool::new(false),
        }
    }

    fn put(&self, node: &str, state: NodeState) -> Result<(), Error> {
        self.table.lock().expect("no panic").states.insert(node.into(), state);
        Ok(())
    }

    /// The nodes that slow links lead from and to, sorted.
    fn slow_links(&self) -> Vec<(String, String)> {
        let table = self.table.lock().expect("no panic");
        let slow = table.links.iter().filter(|(_, rule)| !rule.delay.is_zero());
        let mut names: Vec<_> = slow
            .filter_map(|((from, to), _)| match (from, to) {
                (Endpoint::Node(from), Endpoint::Node(to)) => Some((from.clone(), to.clone())),
                _ => None,
            })
            .collect();
        names.sort();
        names
    }

    fn is_whole(&self) -> bool {
        let table = self.table.lock().expect("no panic");
        table.states.values().all(|s| *s == NodeState::Running)
            && table.links.values().all(|rule| *rule == LinkRule::default())
            && table.clocks.values().all(|offset| *offset == 0)
    }
}

impl Body for Fake {
    fn kill(&self, node: &str) -> Result<(), Error> {
        self.put(node, NodeState::Killed)
    }
    fn restart(&self, node: &str) -> Result<(), Error> {
        let mut table = self.table.lock().expect("no panic");
        if table.stubborn > 0 {
            table.stubborn -= 1;
            return Err(Error::new(format!("starting {node}"), "the port is taken"));
        }
        table.states.insert(node.into(), NodeState::Running);
        Ok(())
    }
    fn pause(&self, node: &str) -> Result<(), Error> {
        self.put(node, NodeState::Paused)
    }
    fn resume(&self, node: &str) -> Result<(), Error> {
        self.put(node, NodeState::Running)
    }
    fn state(&self, node: &str) -> NodeState {
        self.table.lock().expect("no panic").states.get(node).cloned().unwrap_or(NodeState::Running)
    }
    fn set_link(&self, from: &Endpoint, to: &Endpoint, rule: LinkRule) -> Result<(), Error> {
        self.table.lock().expect("no panic").links.insert((from.clone(), to.clone()), rule);
        Ok(())
    }
    fn clear_links(&self) {
        self.table.lock().expect("no panic").links.clear();
    }
    fn link_unsupported(&self, rule: &LinkRule) -> Option<String> {
        let refuses = self.refuses_loss.load(Ordering::Relaxed) && rule.loss > 0.0;
        refuses.then(|| "a proxy cannot lose packets".to_string())
    }
    fn probe_link(&self, from: &Endpoint, to: &str, _port: u16, timeout: Duration) -> LinkProbe {
        if !matches!(self.state(to), NodeState::Running | NodeState::Paused) {
            return LinkProbe::Refused;
        }
        let there = (from.clone(), Endpoint::Node(to.into()));
        let back = (there.1.clone(), there.0.clone());
        let table = self.table.lock().expect("no panic");
        let rules = [there, back].map(|link| table.links.get(&link).cloned().unwrap_or_default());
        drop(table);
        let delay = rules[0].delay + rules[1].delay;
        if rules.iter().any(|rule| rule.cut) || delay > timeout {
            return LinkProbe::TimedOut;
        }
        LinkProbe::Connected(delay)
    }
    fn clock_unsupported(&self) -> Option<String> {
        None
    }
    fn set_clock_offset(&self, node: &str, offset_ns: i64) -> Result<(), Error> {
        self.table.lock().expect("no panic").clocks.insert(node.into(), offset_ns);
        Ok(())
    }
    fn clock_offset(&self, node: &str) -> i64 {
        self.table.lock().expect("no panic").clocks.get(node).copied().unwrap_or(0)
    }
    fn probe_clock(&self, node: &str) -> Result<i64, Error> {
        Ok(self.clock_offset(node) + 1_000_000)
    }
    fn wipe_data(&self, node: &str) -> Result<u64, Error> {
        let mut table = self.table.lock().expect("no panic");
        let files = if table.wiped.contains_key(node) { 0 } else { 3 };
        table.wiped.insert(node.into(), files);
        Ok(files)
    }
    fn wiped(&self, node: &str) -> Option<u64> {
        self.table.lock().expect("no panic").wiped.get(node).copied()
    }
}

impl Target for Fake {
    fn nodes(&self) -> &[String] {
        &self.nodes
    }
    fn body(&self) -> &dyn Body {
        self
    }
    fn leaders(&self) -> Vec<String> {
        self.leaders.lock().expect("no panic").clone()
    }
    fn switch_over(&self, node: &str) -> Result<(), Error> {
        *self.leaders.lock().expect("no panic") = vec![node.to_string()];
        Ok(())
    }
    fn upgrade(&self, node: &str) -> Result<(), Error> {
        let mut table = self.table.lock().expect("no panic");
        table.upgraded.push(node.into());
        table.states.insert(node.into(), NodeState::Running);
        Ok(())
    }
    fn ports(&self) -> &[u16] {
        &[8001, 8002]
    }
}

fn fault(kind: &str, lasts_ms: u64, victims: Victims, params: Params) -> Schedule {
    let mut schedule = Schedule::empty(1);
    schedule.faults.push(Planned { id: 1, kind: kind.into(), at_ms: 20, lasts_ms, victims, params });
    schedule
}

/// Runs a schedule; `during` is told every event as it comes.
fn run(fake: &Fake, schedule: &Schedule, sabotage: &[&str], mut during: impl FnMut(&FaultEvent)) -> Vec<FaultEvent> {
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let mut sink = |event: FaultEvent| {
        during(&event);
        events.push(event);
    };
    let sabotage: Vec<String> = sabotage.iter().map(|s| s.to_string()).collect();
    let start = Instant::now();
    engine::run(schedule, fake, start, start + LIMIT, &stop, &sabotage, &mut sink).expect("it heals");
    assert!(fake.is_whole(), "something is left behind");
    events
}

fn names(events: &[FaultEvent]) -> Vec<&'static str> {
    let name = |event: &FaultEvent| match event.what {
        Happening::Started { .. } => "started",
        Happening::Proven { .. } => "proven",
        Happening::NoEffect { .. } => "no effect",
        Happening::Indeterminate { .. } => "indeterminate",
        Happening::EndedEarly { .. } => "ended early",
        Happening::Ended { .. } => "ended",
    };
    events.iter().map(name).collect()
}

const EVERY: [(&str, Params); 7] = [
    ("partition", Params::Partition(Shape::Isolate)),
    ("kill", Params::Nothing),
    ("pause", Params::Nothing),
    ("clock", Params::Clock { offset_ms: -5_000 }),
    ("packet", Params::Packet { delay_ms: 100, jitter_ms: 25, loss_percent: 5, among: false }),
    ("wipe", Params::Nothing),
    ("upgrade", Params::Nothing),
];

#[test]
fn every_fault_is_announced_before_it_is_done_then_proven_and_healed() {
    for (kind, params) in EVERY {
        let fake = Fake::new();
        let events = run(&fake, &fault(kind, 200, Victims::Leader, params), &[], |event| {
            if let Happening::Started { .. } = event.what {
                assert!(fake.is_whole(), "{kind} was done before it was announced");
            }
            if let Happening::Proven { .. } = event.what {
                assert!(!fake.is_whole(), "{kind} is proven, but nothing is harmed");
            }
        });
        assert_eq!(names(&events), ["started", "proven", "ended"], "{kind}: {events:?}");
        assert_eq!(events[0].nodes, ["n2"], "{kind} strikes the leader");
    }
}

#[test]
fn a_single_link_is_slowed_and_no_other() {
    let fake = Fake::new();
    let params = Params::Packet { delay_ms: 100, jitter_ms: 25, loss_percent: 0, among: true };
    let pair = Victims::Nodes(vec!["n1".into(), "n3".into()]);
    let events = run(&fake, &fault("packet", 200, pair, params), &[], |event| {
        if let Happening::Proven { .. } = event.what {
            assert_eq!(fake.slow_links(), [("n1".to_string(), "n3".to_string()), ("n3".to_string(), "n1".to_string())]);
        }
    });
    assert_eq!(names(&events), ["started", "proven", "ended"], "{events:?}");
}

#[test]
fn a_switchover_makes_its_victim_lead_and_leaves_it_so() {
    let fake = Fake::new();
    let events = run(&fake, &fault("switchover", 100, Victims::Nodes(vec!["n3".into()]), Params::Nothing), &[], |_| {});
    assert_eq!(names(&events), ["started", "proven", "ended"], "{events:?}");
    assert_eq!(fake.leaders(), ["n3"]);
    let again = run(&fake, &fault("switchover", 100, Victims::Leader, Params::Nothing), &["switchover"], |_| {});
    assert_eq!(again[0].nodes, ["n3"], "who leads already cannot be made the leader");
    let idle = run(
        &fake,
        &fault("switchover", 100, Victims::Nodes(vec!["n1".into()]), Params::Nothing),
        &["switchover"],
        |_| {},
    );
    assert_eq!(names(&idle), ["started", "no effect", "ended"], "{idle:?}");
}

#[test]
fn what_is_ended_for_an_upgrade_comes_back_as_the_newer_version() {
    let (fake, three) = (Fake::new(), Victims::Nodes(vec!["n1".into(), "n3".into()]));
    run(&fake, &fault("upgrade", 100, three, Params::Nothing), &[], |event| {
        if let Happening::Proven { .. } = event.what {
            assert!(fake.table.lock().expect("no panic").upgraded.is_empty(), "not before it is down");
        }
    });
    assert_eq!(fake.table.lock().expect("no panic").upgraded, ["n1", "n3"]);
    let idle = run(&fake, &fault("upgrade", 100, Victims::Leader, Params::Nothing), &["upgrade"], |_| {});
    assert_eq!(names(&idle), ["started", "no effect", "ended"], "{idle:?}");
    assert_eq!(fake.table.lock().expect("no panic").upgraded.len(), 2, "who was not ended is not upgraded");
}

#[test]
fn wiping_an_empty_disk_has_no_effect() {
    let fake = Fake::new();
    let first = run(&fake, &fault("wipe", 100, Victims::Leader, Params::Nothing), &[], |_| {});
    assert_eq!(names(&first), ["started", "proven", "ended"], "{first:?}");
    let again = run(&fake, &fault("wipe", 100, Victims::Leader, Params::Nothing), &[], |_| {});
    assert_eq!(names(&again)[..2], ["started", "no effect"], "{again:?}");
}

#[test]
fn a_sabotaged_injector_is_found_out_by_the_probe() {
    for (kind, params) in EVERY {
        let fake = Fake::new();
        let events = run(&fake, &fault(kind, 200, Victims::Leader, params), &[kind], |_| {
            assert!(fake.is_whole(), "sabotaged {kind} did something");
        });
        assert_eq!(names(&events), ["started", "no effect", "ended"], "{kind}: {events:?}");
    }
}

#[test]
fn what_somebody_else_undoes_ends_early() {
    type Undo = fn(&Fake);
    let undo: [(&str, Undo); 3] = [
        ("pause", |fake| fake.resume("n2").expect("in memory")),
        ("kill", |fake| fake.restart("n2").expect("in memory")),
        ("clock", |fake| fake.set_clock_offset("n2", 0).expect("in memory")),
    ];
    for (kind, undo) in undo {
        let params = EVERY.iter().find(|(k, _)| *k == kind).expect("in the list").1;
        let fake = Fake::new();
        let begun = Instant::now();
        let events = run(&fake, &fault(kind, 20_000, Victims::Leader, params), &[], |event| {
            if let Happening::Proven { .. } = event.what {
                undo(&fake);
            }
        });
        assert_eq!(names(&events), ["started", "proven", "ended early", "ended"], "{kind}: {events:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{kind} was noticed too late");
    }
}

#[test]
fn stop_heals_at_once_and_injects_no_more() {
    let fake = Fake::new();
    let mut schedule = fault("pause", 10_000, Victims::Leader, Params::Nothing);
    schedule.faults.push(Planned { id: 2, at_ms: 10_500, ..schedule.faults[0].clone() });
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let mut sink = |event: FaultEvent| {
        stop.fetch_or(matches!(event.what, Happening::Proven { .. }), Ordering::Relaxed);
        events.push(event);
    };
    let start = Instant::now();
    engine::run(&schedule, &fake, start, start + LIMIT, &stop, &[], &mut sink).expect("it heals");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(fake.is_whole());
    assert_eq!(names(&events), ["started", "proven", "ended"]);
}

#[test]
fn the_end_of_the_load_heals_at_once() {
    let fake = Fake::new();
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let start = Instant::now();
    let schedule = fault("kill", 20_000, Victims::Leader, Params::Nothing);
    let until = start + Duration::from_millis(900);
    engine::run(&schedule, &fake, start, until, &stop, &[], &mut |event| events.push(event)).expect("it heals");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(names(&events), ["started", "proven", "ended"]);
}

#[test]
fn victims_are_found_by_their_role_at_the_moment_of_injection() {
    let who = |victims: Victims, leaders: &[&str]| {
        let fake = Fake::new();
        *fake.leaders.lock().expect("no panic") = leaders.iter().map(|l| l.to_string()).collect();
        let events = run(&fake, &fault("pause", 50, victims, Params::Nothing), &[], |_| {});
        let Happening::Started { what } = &events[0].what else { panic!("{events:?}") };
        (events[0].nodes.join(","), what.clone())
    };
    assert_eq!(who(Victims::Leader, &["n3", "n1"]).0, "n3");
    assert_eq!(who(Victims::Leaders, &["n3", "n1"]).0, "n3,n1");
    assert_eq!(who(Victims::Follower(1), &["n1"]).0, "n3");
    assert_eq!(who(Victims::Follower(3), &["n1"]).0, "n3", "the count wraps around");
    assert_eq!(who(Victims::LeaderAnd(1), &["n3"]).0, "n3,n1");
    assert_eq!(who(Victims::Nodes(vec!["n2".into()]), &["n3"]).0, "n2");
    let (nodes, what) = who(Victims::Leader, &[]);
    assert_eq!(nodes, "n2");
    assert!(what.contains("nobody is known to lead"), "{what}");
}

#[test]
fn a_partition_cuts_the_planned_links_and_spares_clients() {
    let cut = |shape: Shape| {
        let fake = Fake::new();
        let mut seen = HashSet::new();
        run(&fake, &fault("partition", 100, Victims::Leader, Params::Partition(shape)), &[], |event| {
            if let Happening::Proven { .. } = event.what {
                let table = fake.table.lock().expect("no panic");
                for ((from, to), _) in table.links.iter().filter(|(_, rule)| rule.cut) {
                    let (Endpoint::Node(from), Endpoint::Node(to)) = (from, to) else { panic!("clients are cut") };
                    seen.insert(format!("{from}>{to}"));
                }
            }
        });
        let mut seen: Vec<String> = seen.into_iter().collect();
        seen.sort_unstable();
        seen.join(" ")
    };
    assert_eq!(cut(Shape::Isolate), "n1>n2 n2>n1 n2>n3 n3>n2");
    assert_eq!(cut(Shape::OneWayOut), "n2>n1 n2>n3");
    assert_eq!(cut(Shape::OneWayIn), "n1>n2 n3>n2");
    assert_eq!(cut(Shape::Halves), "n1>n2 n2>n1 n2>n3 n3>n2");
}

#[test]
fn a_hanging_node_is_not_taken_for_a_cut_link() {
    let fake = Fake::new();
    let schedule = fault("partition", 100, Victims::Leader, Params::Partition(Shape::Isolate));
    let events = run(&fake, &schedule, &[], |event| {
        if let Happening::Started { .. } = event.what {
            let hang = LinkRule::cut();
            fake.set_link(&Endpoint::Client, &Endpoint::Node("n2".into()), hang).expect("in memory");
        }
    });
    assert_eq!(names(&events), ["started", "indeterminate", "ended"], "{events:?}");
}

#[test]
fn loss_that_the_network_cannot_do_is_left_out_aloud() {
    let fake = Fake::new();
    fake.refuses_loss.store(true, Ordering::Relaxed);
    assert_eq!(gainsay_nemesis::faults::unsupported("packet", &fake), None);
    let events = run(&fake, &fault("packet", 100, Victims::Leader, EVERY[4].1), &[], |_| {});
    let Happening::Started { what } = &events[0].what else { panic!("{events:?}") };
    assert!(what.contains("no loss (a proxy cannot lose packets)"), "{what}");
}

#[test]
fn a_restart_that_fails_once_is_tried_again() {
    let fake = Fake::new();
    fake.table.lock().expect("no panic").stubborn = 1;
    let events = run(&fake, &fault("kill", 100, Victims::Leader, Params::Nothing), &[], |_| {});
    assert_eq!(names(&events), ["started", "proven", "ended"], "{events:?}");
}

#[test]
fn a_schedule_that_names_an_unknown_node_harms_nobody() {
    let fake = Fake::new();
    let schedule = fault("kill", 100, Victims::Nodes(vec!["n9".into()]), Params::Nothing);
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let mut events = 0;
    let error = engine::run(&schedule, &fake, start, start + LIMIT, &stop, &[], &mut |_| events += 1);
    assert!(error.expect_err("n9 is unknown").to_string().contains("\"n9\""));
    assert_eq!(events, 0);
}
