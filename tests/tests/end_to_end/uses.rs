//! What people do with the program beside a plain run.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gainsay_tests::scene::{Verdict, events};
use serde_json::Value;

use super::{PROGRAM, alone, scene};

fn two_at_once(network: &str) {
    let scene = alone();
    let args = |seed: u64| {
        format!(
            "run --network {network} --nemesis kill,pause --time-limit 8s --rate 1000 --seed {seed} \
             --guarantees read-your-writes,monotonic-reads"
        )
    };
    let both = [1, 2].map(|seed| scene.program(args(seed).split_whitespace()).start());
    for run in both {
        run.wait().exits(0);
    }
    let dirs = scene.run_dirs();
    assert_eq!(dirs.len(), 2);
    let runs: Vec<Value> = dirs.iter().map(|dir| events(dir)[0]["value"]["run"].clone()).collect();
    assert_ne!(runs[0], runs[1], "each has an identity of its own");
    for dir in &dirs {
        // What one run's nodes told the other's clients would be values that nobody there wrote.
        let verdict = Verdict::read(dir);
        assert_eq!((verdict.result(), verdict.of("explainable")), ("held", "held"));
    }
    scene.nothing_left();
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    two_at_once("switch");
}

#[test]
fn two_runs_at_once_through_proxies_do_not_disturb_each_other() {
    two_at_once("proxy");
}

#[test]
fn json_is_one_line_on_standard_output_and_junit_is_written() {
    let scene = scene();
    let junit = scene.file("junit.xml");
    let args = format!("run --time-limit 3s --rate 500 --seed 2 --json --junit {}", junit.display());
    let ended = scene.run(&args);
    assert_eq!(ended.stdout.trim().lines().count(), 1, "{}", ended.stdout);
    let line: Value = serde_json::from_str(ended.stdout.trim()).expect("it is JSON");
    assert_eq!(line["directory"], scene.run_dir().display().to_string());
    assert_eq!(line["result"], scene.verdict().result());
    let xml = std::fs::read_to_string(&junit).expect("it is written");
    well_formed(&xml);
    assert!(xml.contains("<testcase") && xml.contains("read-your-writes"), "{xml}");
}

/// Fails unless every element of `xml` is closed in order.
fn well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare > before {}", &rest[start..]);
        let end = start + rest[start..].find('>').expect("a tag is closed");
        let tag = &rest[start + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
        } else if !tag.starts_with('?') && !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap_or_default());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
}

#[test]
fn a_standard_output_that_nobody_reads_does_not_matter() {
    let scene = scene();
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let program = scene.program("run --db noop --time-limit 1s --rate 500".split_whitespace());
    program.stdout(Stdio::from(writer)).start().wait().exits(0);
    assert_eq!(scene.verdict().result(), "held");
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let ended = scene.program(["list"]).stdout(Stdio::from(writer)).start().wait().exits(0);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_full_disk_is_said_and_is_no_verdict() {
    let scene = scene();
    let full = scene.file("full");
    std::fs::create_dir(&full).expect("a directory can be made");
    let target = std::ffi::CString::new(full.display().to_string()).expect("no zero byte");
    // SAFETY: all strings end with a zero byte and outlive the call.
    let mounted =
        unsafe { libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=2m".as_ptr().cast()) };
    if mounted != 0 {
        eprintln!("SKIPPED: a small file system cannot be mounted here: {}", std::io::Error::last_os_error());
        return;
    }
    let args = format!("run --db noop --time-limit 20s --rate max --store {}", full.display());
    let ended = scene.run(&args);
    // SAFETY: as above.
    unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    let ended = ended.exits(255).says(&["space"]);
    assert!(ended.took < Duration::from_secs(10), "it ends when it can no longer record: {:?}", ended.took);
}

#[test]
fn nodes_that_stay_can_be_reached_with_the_printed_lines() {
    let scene = scene();
    let args = "run --nemesis none --time-limit 1s --rate 200 --nodes 3 --leave-db-running";
    let run = scene.program(args.split_whitespace()).start();
    run.prints("the nodes stay until Ctrl-C");
    for node in ["n1", "n2", "n3"] {
        let line = run.prints(&format!("{node}: curl"));
        let url = line.split("http://").nth(1).expect("the line has a URL");
        let (address, path) = url.split_once('/').expect("the URL has a path");
        let mut stream = TcpStream::connect(address).expect("the address accepts");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit can be set");
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"node\":\"{node}\"")), "{answer}");
    }
    run.signal(libc::SIGINT);
    let ended = run.wait();
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)), "{ended:?}");
    scene.nothing_left();
}

#[test]
fn check_report_and_compare_work_on_a_finished_run() {
    let scene = scene();
    scene.run("run --time-limit 2s --rate 400 --seed 2");
    let dir = scene.run_dir();
    for file in ["report.html", "verdict.json"] {
        std::fs::remove_file(dir.join(file)).expect("the run wrote it");
    }
    let path = dir.display().to_string();
    scene.run(&format!("report {path}")).exits(0);
    let page = std::fs::read_to_string(dir.join("report.html")).expect("it is rendered again");
    assert!(page.contains("<html") && page.contains("read-your-writes"));
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "it needs nothing from elsewhere");
    let ended = scene.run(&format!("check {path}"));
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)) && dir.join("verdict.json").is_file(), "{ended:?}");
    let output = scene.file("compare.html");
    scene.run(&format!("compare {path} {path} --output {}", output.display())).exits(0);
    assert!(std::fs::read_to_string(&output).is_ok_and(|page| page.contains("single-leader")));
}

/// The folder of examples, if there is a Python to run them.
fn example() -> Option<PathBuf> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("examples/client.py");
    assert!(client.is_file(), "{}", client.display());
    let python = std::process::Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no python3");
        return None;
    }
    Some(client)
}

fn foreign(workload: &str, nemesis: &str, kept: &[&str]) {
    let Some(client) = example() else { return };
    let scene = alone();
    let client = format!("python3 '{}'", client.display());
    let start = format!(
        "'{PROGRAM}' refdb --name {{name}} --run exec --dir {{dir}} --listen {{ip}}:7000 --peer-listen {{ip}}:7001 \
         --peers {{peers:7001}} --ack async"
    );
    let args = ["run", "--db", "exec", "--client", &client, "--start", &start, "--workload", workload];
    let load = ["--nemesis", nemesis, "--time-limit", "8s", "--rate", "300", "--nodes", "3", "--seed", "5"];
    let ended = scene.program(args.into_iter().chain(load)).start().wait();
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)), "{ended:?}");
    let verdict = scene.verdict();
    for guarantee in kept {
        assert_ne!(verdict.of(guarantee), "broken", "{:#}", verdict.finding(guarantee));
    }
    let counts = &verdict.0["counts"];
    assert!(counts["ok"].as_u64() > Some(1_000), "most operations succeed: {counts}");
    assert!(counts["info"].as_u64() < Some(200), "few outcomes are unknown: {counts}");
    let faults = verdict.0["faults"].as_array().cloned().unwrap_or_default();
    assert!(faults.iter().all(|fault| fault["effect"] == "proven"), "{faults:?}");
    let finals =
        events(&scene.run_dir()).iter().filter(|event| event["final"] == true && event["type"] == "ok").count();
    assert!(finals >= 3, "every node is read in the end: {finals}");
    scene.nothing_left();
}

#[test]
fn a_foreign_database_is_tested_through_the_example_client() {
    foreign("register", "clock,pause", &["explainable", "lost-writes", "convergence"]);
}

#[test]
fn a_foreign_database_with_lists_is_tested_through_the_example_client() {
    foreign("append", "partition,kill", &["explainable"]);
}

#[test]
fn a_client_that_does_not_speak_the_protocol_is_named_and_nothing_runs() {
    let scene = scene();
    let ended =
        scene.program(["run", "--db", "exec", "--client", "cat", "--nodes", "1", "--start", "sleep 60"]).start().wait();
    ended.exits(255).says(&["n1"]);
    scene.nothing_left();
}

#[test]
fn an_ordinary_user_gets_a_verdict_and_is_told_how_faults_are_injected() {
    // SAFETY: a plain system call without arguments.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("SKIPPED: every other test of this process ran as an ordinary user");
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    const NOBODY: u32 = 65_534;
    let scene = scene();
    let program = scene.file("gainsay");
    std::fs::copy(PROGRAM, &program).expect("the program can be copied");
    std::fs::set_permissions(scene.store(), std::fs::Permissions::from_mode(0o777)).expect("a directory of ours");
    let copied = gainsay_tests::program::Program::new(
        &program,
        scene.store(),
        "run --time-limit 5s --rate 500 --seed 3".split_whitespace(),
    );
    let ended = copied.user(NOBODY).start().wait();
    assert!(ended.code.is_some_and(|code| (0..=3).contains(&code)), "{ended:?}");
    assert!(ended.stderr.contains("faults by: network"), "{}", ended.stderr);
    let faults = scene.verdict().0["faults"].as_array().cloned().unwrap_or_default();
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault["effect"] == "proven"), "{faults:?}");
    scene.nothing_left();
}
