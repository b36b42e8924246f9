//! What modes break and keep, by name.

use super::{alone, scene};

#[test]
fn asynchronous_replication_breaks_read_your_writes_and_loses_acknowledged_writes() {
    let scene = alone();
    scene.run("run --ack async --reads any --time-limit 12s --seed 7").exits(0);
    let verdict = scene.verdict();
    assert_eq!(verdict.of("read-your-writes"), "broken", "{verdict:?}");
    assert_eq!(verdict.of("lost-writes"), "broken", "{verdict:?}");
    assert_eq!(verdict.of("explainable"), "held", "whatever it breaks, nothing may be made up: {verdict:?}");
    assert!(verdict.asked().iter().all(|(_, found)| found != "broken"), "neither was promised: {:?}", verdict.asked());
    let anomaly = &verdict.finding("read-your-writes")["anomalies"][0];
    assert!(
        anomaly["witnesses"].as_array().is_some_and(|proof| proof.len() >= 2),
        "a proof names operations: {anomaly}"
    );
    let dir = scene.run_dir().display().to_string();
    scene.run(&format!("check {dir} --guarantees all")).exits(1);
    scene.nothing_left();
}

#[test]
fn what_is_asked_for_and_broken_ends_with_one() {
    let scene = alone();
    scene.run("run --ack async --reads any --guarantees all --time-limit 6s --seed 7").exits(1);
    assert_eq!(scene.verdict().result(), "broken");
}

#[test]
fn semi_synchronous_replication_with_fencing_and_token_keeps_its_promises() {
    let scene = alone();
    scene.run("run --ack semi-sync --reads token --fencing on --time-limit 12s --seed 7").exits(0);
    let verdict = scene.verdict();
    let asked = verdict.asked();
    assert!(asked.len() >= 4 && asked.iter().all(|(_, found)| found == "held"), "not vacuously either: {asked:?}");
    for (guarantee, _) in &asked {
        let evidence = &verdict.finding(guarantee)["evidence"];
        assert!(evidence["opportunities"].as_u64() >= Some(300), "{guarantee}: {evidence}");
    }
    let proven = scene_faults(&verdict.0);
    assert!(proven >= 3, "faults took effect: {:?}", verdict.0["faults"]);
}

/// How many faults provably took effect.
fn scene_faults(verdict: &serde_json::Value) -> usize {
    let faults = verdict["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    faults.iter().filter(|fault| fault["effect"] == "proven").count()
}

#[test]
fn leaderless_replication_with_version_vectors_loses_nothing_and_shows_siblings() {
    let scene = alone();
    scene.run("run --mode leaderless --versions vectors --time-limit 10s --seed 7");
    let verdict = scene.verdict();
    assert_eq!(verdict.of("lost-writes"), "held", "{verdict:?}");
    assert!(verdict.0["counts"]["siblings"].as_u64() >= Some(100), "{:?}", verdict.0["counts"]);
}

#[test]
fn a_database_that_does_nothing_is_measured_quickly() {
    let scene = scene();
    let ended = scene.run("run --db noop --time-limit 1s --rate 5000").exits(0);
    assert!(ended.took < std::time::Duration::from_secs(5), "{:?}", ended.took);
    assert!(scene.verdict().0["counts"]["ok"].as_u64() > Some(2_000), "{:?}", scene.verdict());
}
