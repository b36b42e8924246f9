//! However a run ends, it leaves a history that can be judged, and nothing else.

use gainsay_tests::scene::{Scene, events};

use super::scene;

/// A run that is long enough to be ended from outside.
const LONG: &str = "run --time-limit 60s --rate 500 --seed 4";

/// `check` must work on whatever was recorded; before the load there may be nothing.
fn history_can_be_judged(scene: &Scene) {
    let dir = scene.run_dir();
    if !dir.join("history.jsonl").exists() {
        return;
    }
    let ended = scene.program(["check", &dir.display().to_string()]).start().wait();
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)), "{ended:?}");
}

#[test]
fn one_interrupt_ends_in_order_with_a_verdict() {
    let scene = scene();
    let run = scene.program(LONG.split_whitespace()).start();
    run.says("load and faults");
    std::thread::sleep(std::time::Duration::from_secs(2));
    run.signal(libc::SIGINT);
    let ended = run.wait();
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)), "a verdict: {ended:?}");
    assert!(ended.took < std::time::Duration::from_secs(30), "{:?}", ended.took);
    let dir = scene.run_dir();
    let settled = events(&dir).iter().any(|event| event["f"] == "phase" && event["value"] == "settled");
    assert!(settled, "it healed and settled before it ended");
    assert!(dir.join("verdict.json").is_file() && dir.join("report.html").is_file());
    assert_eq!(gainsay_tests::scene::json(&dir.join("run.json"))["state"], "interrupted");
    scene.nothing_left();
}

#[test]
fn an_interrupt_of_the_whole_group_as_a_terminal_sends_it_counts_once() {
    let scene = scene();
    let run = scene.program(LONG.split_whitespace()).start();
    run.says("load and faults");
    // SAFETY: a plain system call; the run leads a group of its own.
    assert_eq!(unsafe { libc::kill(-run.pid(), libc::SIGINT) }, 0);
    let ended = run.wait();
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)), "a verdict: {ended:?}");
    assert!(scene.run_dir().join("verdict.json").is_file(), "{}", ended.stderr);
    scene.nothing_left();
}

#[test]
fn two_interrupts_end_at_once_and_leave_nothing() {
    for processes in ["pidns", "shepherd"] {
        let scene = scene();
        let run = scene.program(format!("{LONG} --processes {processes}").split_whitespace()).start();
        run.says("load and faults");
        run.signal(libc::SIGINT);
        run.says("stopping in order");
        std::thread::sleep(std::time::Duration::from_millis(200));
        let asked = std::time::Instant::now();
        run.signal(libc::SIGINT);
        run.wait().exits(255).says(&["stopped at once"]);
        assert!(asked.elapsed() < std::time::Duration::from_secs(3), "{:?}", asked.elapsed());
        scene.nothing_left();
        history_can_be_judged(&scene);
    }
}

/// Kills the program as `phase` begins.
fn killed(phase: &str, flags: &str) {
    let scene = scene();
    let args = format!("run --time-limit 3s --rate 500 --seed 4 {flags}");
    let run = scene.program(args.split_whitespace()).start();
    run.says(phase);
    if phase == "load and faults" {
        std::thread::sleep(std::time::Duration::from_millis(1_200));
    }
    run.signal(libc::SIGKILL);
    let ended = run.wait();
    assert_eq!(ended.code, None, "{ended:?}");
    if let Err(left) = gainsay_tests::leftovers::none(scene.store()) {
        panic!("{phase}, {flags}: {left}");
    }
    history_can_be_judged(&scene);
}

fn killed_in_every_phase(flags: &str) {
    for phase in ["starting the nodes", "load and faults", "settling"] {
        killed(phase, flags);
    }
}

#[test]
fn nothing_outlives_a_kill_in_a_pid_namespace_with_the_switch() {
    killed_in_every_phase("--processes pidns --network switch");
}

#[test]
fn nothing_outlives_a_kill_in_a_pid_namespace_with_proxies() {
    killed_in_every_phase("--processes pidns --network proxy");
}

#[test]
fn nothing_outlives_a_kill_under_the_shepherd_with_the_switch() {
    killed_in_every_phase("--processes shepherd --network switch");
}

#[test]
fn nothing_outlives_a_kill_under_the_shepherd_with_proxies() {
    killed_in_every_phase("--processes shepherd --network proxy");
}

#[test]
fn the_namespaces_of_a_run_go_with_it() {
    let scene = super::alone();
    let before = gainsay_tests::leftovers::network_namespaces();
    let run = scene.program("run --time-limit 30s --rate 300 --network switch".split_whitespace()).start();
    run.says("load and faults");
    let during: Vec<String> = gainsay_tests::leftovers::network_namespaces().difference(&before).cloned().collect();
    assert!(during.len() >= 5, "each node has a network of its own: {during:?}");
    run.signal(libc::SIGKILL);
    run.wait();
    scene.nothing_left();
    let after = gainsay_tests::leftovers::network_namespaces();
    let left: Vec<&String> = during.iter().filter(|namespace| after.contains(*namespace)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_leftover_would_be_found() {
    let scene = scene();
    let shell = std::path::Path::new("/bin/sh");
    let daemon = ["-c", "setsid sleep 60 </dev/null >/dev/null 2>&1 &"];
    gainsay_tests::program::Program::new(shell, scene.store(), daemon).start().wait().exits(0);
    let found = gainsay_tests::leftovers::processes(scene.store());
    assert!(found.iter().any(|(_, args)| args.contains("sleep 60")), "{found:?}");
}
