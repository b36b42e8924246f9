//! A history alone gives the verdict of its run; one that was tampered with does not pass.

use std::path::Path;

use gainsay_tests::scene::{Scene, Verdict};
use serde_json::Value;

use super::scene;

/// A run of a few seconds that is recorded once for a test.
fn recorded() -> (Scene, String) {
    let scene = scene();
    scene.run("run --ack async --reads any --time-limit 4s --seed 11");
    let text = std::fs::read_to_string(scene.run_dir().join("history.jsonl")).expect("a history is recorded");
    (scene, text)
}

fn checked(scene: &Scene, path: &Path, expected: &[i32]) -> Verdict {
    let ended = scene.program(["check", "--json", &path.display().to_string()]).start().wait();
    assert!(ended.code.is_some_and(|code| expected.contains(&code)), "{ended:?}");
    Verdict(serde_json::from_str(ended.stdout.trim()).expect("--json prints JSON"))
}

fn findings(verdict: &Verdict) -> Vec<Value> {
    verdict.without_timings()["findings"].as_array().cloned().unwrap_or_default()
}

#[test]
fn check_gives_the_verdict_of_the_run_from_its_directory_and_from_its_history_alone() {
    let (scene, _) = recorded();
    let dir = scene.run_dir();
    let run = Verdict::read(&dir);
    let again = checked(&scene, &dir, &[0, 3]);
    assert_eq!(findings(&run), findings(&again));
    let elsewhere = scene.file("copied.jsonl");
    std::fs::copy(dir.join("history.jsonl"), &elsewhere).expect("a history can be copied");
    let copied = checked(&scene, &elsewhere, &[0]);
    // A bare file is never vacuous; all that was seen is the same.
    for (run, copied) in findings(&run).iter().zip(findings(&copied)) {
        assert_eq!(run["guarantee"], copied["guarantee"]);
        assert_eq!(run["evidence"], copied["evidence"]);
        assert_eq!(run["anomalies"], copied["anomalies"]);
        assert!(run["verdict"] == copied["verdict"] || run["verdict"] == "vacuous", "{run} became {copied}");
    }
}

#[test]
fn a_history_cut_off_in_the_middle_of_a_line_is_still_judged() {
    let (scene, text) = recorded();
    let settled = text.find("\"value\":\"heal\"").expect("the run healed");
    for cut in [text.len() / 3, settled - 9, text.len() - 7] {
        let mut cut = cut;
        while text.as_bytes()[cut] == b'\n' || text.as_bytes()[cut - 1] == b'\n' {
            cut += 1;
        }
        let path = scene.file("cut.jsonl");
        std::fs::write(&path, &text[..cut]).expect("a file can be written");
        let verdict = checked(&scene, &path, &[0, 2]);
        assert!(verdict.0["counts"]["operations"].as_u64() > Some(300), "{:?}", verdict.0["counts"]);
        assert_ne!(verdict.result(), "broken", "what was cut off cannot break a promise: {verdict:?}");
    }
}

#[test]
fn a_history_with_one_altered_line_is_found_broken() {
    let (scene, text) = recorded();
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let is_read = |line: &String| {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        event["type"] == "ok" && event["f"] == "read" && event["value"][1].is_i64()
    };
    let reads: Vec<usize> = (0..lines.len()).filter(|at| is_read(&lines[*at])).collect();
    let at = reads[reads.len() / 2];
    let mut event: Value = serde_json::from_str(&lines[at]).expect("it was just read");
    event["value"][1] = 987_654_321.into();
    lines[at] = event.to_string();
    let path = scene.file("altered.jsonl");
    std::fs::write(&path, lines.join("\n") + "\n").expect("a file can be written");
    let verdict = checked(&scene, &path, &[1]);
    assert_eq!(verdict.of("explainable"), "broken");
    assert!(verdict.finding("explainable").to_string().contains("987654321"), "{:?}", verdict.finding("explainable"));
}

#[test]
fn an_acknowledged_write_removed_from_every_final_read_is_found_lost() {
    let scene = scene();
    scene.run("run --nemesis none --time-limit 3s --seed 11");
    let dir = scene.run_dir();
    let text = std::fs::read_to_string(dir.join("history.jsonl")).expect("a history is recorded");
    assert_ne!(scene.verdict().of("lost-writes"), "broken");
    let key = text.lines().rev().find_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["final"] == true && event["type"] == "ok" && event["value"][1].is_i64())
            .then(|| event["value"][0].clone())
    });
    let key = key.expect("a final read shows a value");
    let altered: Vec<String> = text
        .lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).expect("a line is JSON");
            if event["final"] == true && event["type"] == "ok" && event["value"][0] == key {
                event["value"][1] = Value::Null;
            }
            event.to_string()
        })
        .collect();
    let path = scene.file("altered.jsonl");
    std::fs::write(&path, altered.join("\n") + "\n").expect("a file can be written");
    assert_eq!(checked(&scene, &path, &[1]).of("lost-writes"), "broken");
}

#[test]
fn what_is_no_history_is_refused_in_one_sentence() {
    let scene = scene();
    let path = scene.file("binary");
    std::fs::write(&path, [0_u8, 159, 146, 150, 10, 7]).expect("a file can be written");
    let ended = scene.program(["check", &path.display().to_string()]).start().wait().exits(254);
    assert!(!ended.stderr.contains("a bug of ours"), "{}", ended.stderr);
}
