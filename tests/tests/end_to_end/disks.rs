//! Disks that lose what was not synced, and nodes that come back from an old copy. Where FUSE is refused the runs say so and prove nothing.

use gainsay_tests::scene::json;

use super::scene;

/// A single node that acknowledges alone: what it loses nobody else has.
const ALONE: &str = "run --nodes 1 --ack async --failover off --rate 300 --time-limit 8s --seed 2";

/// Whether this machine can mount a disk; said loudly where it can't.
fn refused(said: &str) -> bool {
    let refused = said.contains("disks can't fail here");
    if refused {
        eprintln!("SKIPPED: {said}");
    }
    refused
}

#[test]
fn losing_power_loses_what_was_not_synced_and_nothing_else() {
    let sides = [
        ("--nemesis power", "held"),
        ("--nemesis power --fsync never", "broken"),
        ("--nemesis power --bug skip-fsync", "broken"),
    ];
    for (flags, expected) in sides {
        let scene = scene();
        let ended = scene.run(&format!("{ALONE} --guarantees lost-writes {flags}"));
        if refused(&ended.stderr) {
            return;
        }
        let verdict = scene.verdict();
        assert_eq!(verdict.of("lost-writes"), expected, "{flags}: {}", ended.stderr);
        let faults = verdict.0["faults"].as_array().cloned().unwrap_or_default();
        assert!(
            faults.iter().all(|fault| fault["kind"] == "power" && fault["effect"] == "proven"),
            "{flags}: {faults:?}"
        );
        assert_eq!(json(&scene.run_dir().join("run.json"))["backends"]["disk"], "fuse");
        scene.nothing_left();
    }
}

#[test]
fn killing_alone_never_finds_an_fsync_that_is_skipped() {
    let scene = scene();
    scene.run(&format!("{ALONE} --guarantees lost-writes --nemesis kill --bug skip-fsync"));
    assert_eq!(scene.verdict().of("lost-writes"), "held");
}

#[test]
fn a_disk_that_fails_is_not_answered_for() {
    let scene = scene();
    let ended = scene.run(&format!("{ALONE} --guarantees lost-writes --nemesis disk-error,disk-slow,power"));
    if refused(&ended.stderr) {
        return;
    }
    assert_eq!(scene.verdict().of("lost-writes"), "held", "{}", ended.stderr);
}

#[test]
fn without_fuse_the_fault_is_refused_with_what_to_change() {
    let scene = scene();
    let ended = scene.run(&format!("{ALONE} --nemesis power --disk none"));
    ended.exits(254).says(&["--nemesis power: disks can't fail here", "leave power out of --nemesis"]);
}

#[test]
fn mounts_go_with_a_harness_that_is_killed() {
    for processes in ["pidns", "shepherd"] {
        let scene = scene();
        let args = format!("run --nodes 3 --time-limit 60s --nemesis power --processes {processes}");
        let run = scene.program(args.split_whitespace()).start();
        run.says("load and faults");
        std::thread::sleep(std::time::Duration::from_secs(1));
        run.signal(libc::SIGKILL);
        run.wait();
        scene.nothing_left();
    }
}
