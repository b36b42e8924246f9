//! `check` on histories of other tools, `explain`, `convert`, `generate`: as a user types them.

use super::scene;

const LOST: &str = "{:index 0 :type :invoke :process 0 :f :txn :value [[:r x nil] [:append x 1]]}
{:index 1 :type :invoke :process 1 :f :txn :value [[:r x nil] [:append x 2]]}
{:index 2 :type :ok :process 0 :f :txn :value [[:r x []] [:append x 1]]}
{:index 3 :type :ok :process 1 :f :txn :value [[:r x []] [:append x 2]]}
{:index 4 :type :invoke :process 0 :f :txn :value [[:r x nil]]}
{:index 5 :type :ok :process 0 :f :txn :value [[:r x [1 2]]]}
";

#[test]
fn elle_clis_flags_give_elle_clis_line_and_exit_code() {
    let scene = scene();
    let path = scene.file("lost.edn");
    std::fs::write(&path, LOST).expect("a file can be written");
    let path = path.display().to_string();
    let ended = scene.program(["check", "-m", "list-append", &path]).start().wait().exits(1);
    assert!(ended.stdout.starts_with(&format!("{path}\tfalse\n")), "{}", ended.stdout);
    assert!(ended.stdout.contains("both read the same state of key x"), "{}", ended.stdout);
    let weaker = ["check", "--model", "list-append", "-c", "read-committed", "-s", "1000", "-p", "svg", &path];
    let ended = scene.program(weaker).start().wait().exits(0);
    assert!(ended.stdout.starts_with(&format!("{path}\ttrue\n")), "{}", ended.stdout);
    scene.program(["check", "-m", "list-append", "-c", "read-comitted", &path]).start().wait().exits(254);
    scene.program(["check", "-m", "list-apend", &path]).start().wait().exits(254);
}

#[test]
fn a_history_without_a_model_is_recognised_and_its_proof_is_written_to_files() {
    let scene = scene();
    let path = scene.file("lost.edn");
    std::fs::write(&path, LOST).expect("a file can be written");
    let out = scene.file("explained");
    let arguments = ["check", "--json", "-d", &out.display().to_string(), &path.display().to_string()];
    let ended = scene.program(arguments).start().wait().exits(1);
    let json: serde_json::Value = serde_json::from_str(ended.stdout.trim()).expect("--json prints JSON");
    assert_eq!(json["valid"], false);
    assert_eq!(json["answers"][0]["model"], "list-append");
    assert!(out.join("lost-update.txt").is_file());
    let svg = std::fs::read_to_string(out.join("G-single-item/1.svg")).expect("a picture is written");
    assert!(svg.starts_with("<svg"));
}

#[test]
fn generated_histories_hold_and_planted_ones_do_not_in_every_format() {
    let scene = scene();
    let plain = scene.file("plain.json").display().to_string();
    let generate = ["generate", "-m", "rw-register", "--ops", "300", "--seed", "7", "-f", "json", "-o", &plain];
    scene.program(generate).start().wait().exits(0);
    scene.program(["check", &plain]).start().wait().exits(0);
    for to in ["edn", "plume", "dbcop"] {
        let converted = scene.file(&format!("converted.{to}")).display().to_string();
        scene.program(["convert", &plain, "--to", to, "-o", &converted]).start().wait().exits(0);
        let ended = scene.program(["check", &converted]).start().wait().exits(0);
        assert!(ended.stdout.contains("rw-register"), "{to}: {}", ended.stdout);
    }
    let spoilt = scene.file("spoilt.edn").display().to_string();
    scene.program(["generate", "--ops", "300", "--anomaly", "G1c", "-o", &spoilt]).start().wait().exits(0);
    let ended = scene.program(["check", &spoilt]).start().wait().exits(1);
    assert!(ended.stdout.contains("G1c (1 case)"), "{}", ended.stdout);
    scene.program(["generate", "--anomaly", "G1d"]).start().wait().exits(254);
}

#[test]
fn explain_says_what_an_anomaly_means() {
    let scene = scene();
    let ended = scene.program(["explain", "lost-update"]).start().wait().exits(0);
    assert!(ended.stdout.contains("p0  ["), "{}", ended.stdout);
    scene.program(["explain", "lost-updat"]).start().wait().exits(254);
}

#[test]
fn the_self_test_of_the_checkers_passes_on_a_few_histories() {
    let scene = scene();
    let arguments = ["selftest", "checker", "--histories", "40", "--only", "lists, s"];
    let ended = scene.program(arguments).start().wait().exits(0);
    assert!(ended.stdout.contains("brute force"), "{}", ended.stdout);
}
