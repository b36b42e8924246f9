//! The README's table of flawed policies, each found by name; and a planted bug, found by the command that finds them all.

use gainsay_tests::scene::Verdict;

use super::scene;

/// A flaw shows when timing lets it; this many runs, with different seeds, must be enough.
const RUNS: u64 = 3;

/// A line of the table: the guarantees that must be found broken, and the flags.
fn planted() -> Vec<(Vec<String>, String)> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let table = readme.split("| what is wrong | found as | flags |").nth(1).expect("the table of planted flaws");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<String>>();
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        (code(cells[1]), code(cells[2]).concat())
    })
    .collect()
}

/// Runs until everything that the line names was found broken.
fn is_found(guarantees: &[String], flags: &str) {
    let scene = scene();
    let mut missing: Vec<&String> = guarantees.iter().collect();
    for seed in 1..=RUNS {
        scene.run(&format!("run {flags} --time-limit 12s --seed {seed}"));
        let latest = scene.run_dirs().pop().expect("a run directory");
        let verdict = Verdict::read(&latest);
        missing.retain(|guarantee| verdict.of(guarantee) != "broken");
        if missing.is_empty() {
            return;
        }
    }
    panic!("{flags}: {missing:?} did not break in {RUNS} runs");
}

#[test]
fn the_readme_has_a_table_of_planted_flaws() {
    let planted = planted();
    assert!(planted.len() >= 5 && planted.iter().all(|(found, flags)| !found.is_empty() && flags.starts_with("--")));
}

#[test]
fn every_planted_flaw_of_single_leader_modes_is_found() {
    for (guarantees, flags) in planted().iter().filter(|(_, flags)| !flags.contains("--mode")) {
        is_found(guarantees, flags);
    }
}

#[test]
fn every_planted_flaw_of_multi_leader_modes_is_found() {
    for (guarantees, flags) in planted().iter().filter(|(_, flags)| flags.contains("multi-leader")) {
        is_found(guarantees, flags);
    }
}

#[test]
fn every_planted_flaw_of_leaderless_modes_is_found() {
    for (guarantees, flags) in planted().iter().filter(|(_, flags)| flags.contains("leaderless")) {
        is_found(guarantees, flags);
    }
}

#[test]
fn a_planted_bug_is_found_and_its_control_holds() {
    let scene = scene();
    let ended = scene.run("selftest bugs --only drop-sibling --time-limit 6s --json");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report: serde_json::Value = serde_json::from_str(ended.stdout.trim()).expect("a line of JSON");
    assert_eq!(report["found"], true, "{report}");
    assert_eq!(report["guarantee"], "lost-writes");
    assert_eq!(report["control"]["state"], "held", "{report}");
    scene.nothing_left();
}

#[test]
fn an_unknown_bug_is_a_usage_error() {
    let ended = scene().run("selftest bugs --only no-such-bug");
    assert_eq!(ended.code, Some(254), "{ended:?}");
}
