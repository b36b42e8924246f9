//! Exit codes and error messages: what is refused, how it is said.

use super::scene;

/// Bad arguments: the code, the words of the message, and no panic, no run directory.
fn refused(args: &str, words: &[&str]) {
    let scene = scene();
    let ended = scene.run(args).exits(254).says(words);
    let message = ended.stderr.trim();
    assert!(!message.contains("panicked") && !message.contains("a bug of ours"), "{message}");
    assert!(message.lines().count() <= 12, "a message, not a page: {message}");
    assert!(scene.run_dirs().is_empty(), "{args}: nothing may be started");
}

#[test]
fn unknown_flags_are_refused() {
    refused("run --colour-of-the-bike red", &["--colour-of-the-bike"]);
    refused("rum", &["rum", "run"]);
    refused("list nonsense", &["nonsense", "allowed"]);
}

#[test]
fn misspelt_names_are_answered_with_the_nearest() {
    refused("run --nemesis partiton", &["--nemesis", "partiton", "did you mean partition?"]);
    refused("run --workload registr", &["--workload", "registr", "did you mean register?"]);
    refused("run --db refdbb", &["--db", "refdbb", "did you mean refdb?"]);
    refused("run --guarantees read-your-write", &["--guarantees", "did you mean read-your-writes?"]);
    refused("run --sabotage kil", &["--sabotage", "did you mean kill?"]);
    refused("run --targets primary", &["--targets", "primaries"]);
    refused("run --mode single-leeder", &["single-leeder", "single-leader"]);
}

#[test]
fn nonsense_is_refused_before_anything_starts() {
    refused("run --mode leaderless --ack async", &["--ack", "single-leader"]);
    refused("run --mode leaderless --w 6", &["--w 6", "between 1 and 5"]);
    refused("run --mode leaderless --workload append", &["append", "not possible"]);
    refused("run --nodes 1 --ack sync", &["--ack sync", "follower"]);
    refused("run --nodes 0", &["0 nodes"]);
    refused("run --nodes n1,n1", &["n1", "twice"]);
    refused("run --nodes n1,../n2", &["../n2"]);
    refused("run --time-limit soon", &["soon", "30s"]);
    refused("run --time-limit 1ms", &["--time-limit", "500ms"]);
    refused("run --rate -3", &["-3"]);
    refused("run --concurrency 0", &["0"]);
    refused("run --db exec", &["--client"]);
    refused("run --client cat", &["--client", "--db exec"]);
    refused("run --schedule /no/such/schedule.json", &["/no/such/schedule.json"]);
    refused("check /no/such/history", &["/no/such/history"]);
    refused("report /no/such/run", &["/no/such/run"]);
    refused("compare /no/such/run", &["/no/such/run"]);
}

#[test]
fn a_client_command_with_an_open_quote_is_refused() {
    let scene = scene();
    let ended = scene.program(["run", "--db", "exec", "--client", "python3 'x"]).start().wait();
    ended.exits(254).says(&["--client", "never closed"]);
}

#[test]
fn a_store_that_cannot_be_written_is_a_failure_of_the_surroundings() {
    let scene = scene();
    let blocked = scene.file("a-file");
    std::fs::write(&blocked, "not a directory").expect("a file can be written");
    let below = blocked.join("store").display().to_string();
    let ended = scene.program(["run", "--time-limit", "1s", "--store", &below]).start().wait();
    ended.exits(255).says(&["cannot write to the store", "--store"]);
    scene.nothing_left();
}

#[test]
fn the_program_alone_says_all_on_one_screen() {
    let scene = scene();
    let ended = scene.run("").exits(0);
    assert!(ended.stdout.lines().count() <= 24 && ended.stdout.lines().all(|line| line.chars().count() <= 100));
    assert!(["gainsay demo", "gainsay run", "gainsay check"].iter().all(|verb| ended.stdout.contains(verb)));
}

#[test]
fn help_and_version_are_no_errors() {
    for args in ["--help", "run --help", "check --help", "--version", "refdb --help"] {
        let ended = scene().run(args).exits(0);
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{args}");
    }
}

#[test]
fn the_tables_are_listed_and_one_alone() {
    let scene = scene();
    let all = scene.run("list").exits(0).stdout;
    for name in ["refdb", "exec", "single-leader", "leaderless", "register", "append", "partition", "read-your-writes"]
    {
        assert!(all.contains(name), "{name} in\n{all}");
    }
    let faults = scene.run("list faults").exits(0).stdout;
    assert!(faults.contains("partition") && !faults.contains("single-leader"), "{faults}");
}
