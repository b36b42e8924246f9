//! Faults are proven, sabotage is noticed, schedules replay.

use std::collections::BTreeSet;

use gainsay_tests::scene::{Verdict, events, json};
use serde_json::Value;

use super::scene;

/// What was recorded of each fault.
fn effects(verdict: &Verdict) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let faults = verdict.0["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    faults.iter().map(|fault| (text(&fault["kind"]), text(&fault["effect"]))).collect()
}

fn sabotaged(kind: &str) {
    let scene = scene();
    let args = format!("run --nemesis {kind} --sabotage {kind} --time-limit 5s --rate 600 --seed 3");
    scene.run(&args).exits(3);
    let verdict = scene.verdict();
    let effects = effects(&verdict);
    assert!(!effects.is_empty() && effects.iter().all(|(of, how)| of == kind && how == "no-effect"), "{effects:?}");
    assert_eq!(verdict.result(), "vacuous");
    // That reads show only what was written needs no fault to be worth something.
    let promised = verdict.asked().into_iter().filter(|(guarantee, _)| guarantee != "explainable");
    assert!(promised.map(|(_, found)| found).all(|found| found == "vacuous"), "{:?}", verdict.asked());
}

#[test]
fn a_partition_that_cuts_nothing_makes_the_run_vacuous() {
    sabotaged("partition");
}

#[test]
fn a_kill_that_kills_nobody_makes_the_run_vacuous() {
    sabotaged("kill");
}

#[test]
fn a_pause_that_stops_nobody_makes_the_run_vacuous() {
    sabotaged("pause");
}

#[test]
fn a_clock_that_stays_right_makes_the_run_vacuous() {
    sabotaged("clock");
}

#[test]
fn every_kind_of_fault_is_proven_and_undone() {
    let scene = scene();
    scene.run("run --nemesis partition,kill,pause,clock --time-limit 8s --rate 600 --seed 5");
    let effects = effects(&scene.verdict());
    let kinds: BTreeSet<&str> = effects.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["partition", "kill", "pause", "clock"]), "{effects:?}");
    assert!(effects.iter().all(|(_, how)| how == "proven"), "{effects:?}");
    let phases: Vec<Value> = events(&scene.run_dir()).into_iter().filter(|event| event["f"] == "phase").collect();
    assert!(phases.iter().any(|phase| phase["value"] == "settled"), "{phases:?}");
    scene.nothing_left();
}

#[test]
fn a_schedule_replays_the_same_faults() {
    let scene = scene();
    scene.run("run --time-limit 5s --rate 600 --seed 21");
    let first = scene.run_dir();
    let schedule = first.join("schedule.json").display().to_string();
    scene.run(&format!("run --time-limit 5s --rate 600 --seed 99 --schedule {schedule}"));
    let dirs = scene.run_dirs();
    assert_eq!(dirs.len(), 2);
    let (planned, replayed) = (json(&dirs[0].join("schedule.json")), json(&dirs[1].join("schedule.json")));
    assert!(planned["faults"].as_array().is_some_and(|faults| faults.len() >= 2), "{planned}");
    assert_eq!(planned["faults"], replayed["faults"]);
    let faults = |at: usize| Verdict::read(&dirs[at]).0["faults"].as_array().cloned().unwrap_or_default();
    for (one, other) in faults(0).iter().zip(faults(1)) {
        assert_eq!(one["kind"], other["kind"]);
        let apart = one["start"].as_u64().unwrap_or(0).abs_diff(other["start"].as_u64().unwrap_or(u64::MAX));
        assert!(apart < 500_000_000, "{one} and {other} begin together");
    }
    // Victims given by name are the same; victims given by role are whoever has it.
    for (planned, (one, other)) in
        planned["faults"].as_array().into_iter().flatten().zip(faults(0).iter().zip(faults(1)))
    {
        if planned["victims"]["nodes"].is_array() {
            assert_eq!(one["nodes"], other["nodes"], "{planned}");
        }
    }
}

#[test]
fn a_schedule_that_names_a_stranger_is_refused() {
    let scene = scene();
    let path = scene.file("schedule.json");
    let schedule = r#"{"format":1,"seed":1,"faults":[{"at_ms":500,"id":1,"kind":"kill","lasts_ms":500,"victims":{"nodes":["n77"]}}]}"#;
    std::fs::write(&path, schedule).expect("a file can be written");
    let ended = scene.run(&format!("run --time-limit 2s --schedule {}", path.display()));
    ended.exits(254).says(&["n77"]);
    assert!(scene.run_dirs().is_empty(), "nothing may be started");
}
