//! Real programs under a redirected clock. A program that is not installed is skipped aloud.
#![cfg(target_arch = "x86_64")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use gainsay_nemesis::vdso::{self, ClockPage};
use tempfile::TempDir;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Starting and asking a program never takes longer.
const NEAR: u64 = 2 * SECOND as u64;

fn page() -> (TempDir, ClockPage) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let page = ClockPage::create(dir.path().join("clock")).expect("a clock page");
    (dir, page)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64
}

fn is_ahead(shown: i64, offset: i64) -> bool {
    (shown - now()).abs_diff(offset) < NEAR
}

fn python() -> Option<PathBuf> {
    let found = ["/usr/bin/python3", "/usr/local/bin/python3"].map(PathBuf::from).into_iter().find(|p| p.exists());
    let asked = || {
        let out = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
        Some(PathBuf::from(String::from_utf8(out.stdout).ok()?.trim()))
    };
    let found = found.or_else(asked).filter(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: no python3");
    }
    found
}

/// A program that answers each line with a line; killed when dropped.
struct Talk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn start(command: &mut Command, page: Option<&ClockPage>) -> Talk {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match page {
            Some(page) => vdso::spawn(command, page).expect("it starts redirected"),
            None => command.spawn().expect("it starts"),
        };
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Talk { child, input, output }
    }

    fn ask(&mut self, line: &str) -> Vec<i64> {
        writeln!(self.input, "{line}").expect("it listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("it answers");
        answer.split_whitespace().map(|word| word.parse().expect("a number")).collect()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers with: real, coarse, gettimeofday and time (all in ns), monotonic, boottime; then the cost of a call.
const CLOCKS: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long long ns(clockid_t c) { struct timespec t; clock_gettime(c, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
int main(void) {
    char line[64];
    setbuf(stdout, NULL);
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'c') {
            long n = 5000000; long long a = ns(CLOCK_MONOTONIC);
            for (long i = 0; i < n; i++) ns(CLOCK_REALTIME);
            long long b = ns(CLOCK_MONOTONIC);
            for (long i = 0; i < n; i++) ns(CLOCK_MONOTONIC);
            long long c = ns(CLOCK_MONOTONIC);
            printf("%lld %lld\n", (b - a) * 100 / n, (c - b) * 100 / n);
            continue;
        }
        struct timeval tv; gettimeofday(&tv, NULL);
        time_t kept, told = time(&kept);
        if (kept != told || tv.tv_usec < 0 || tv.tv_usec > 999999) abort();
        printf("%lld %lld %lld %lld %lld %lld\n", ns(CLOCK_REALTIME), ns(CLOCK_REALTIME_COARSE),
               tv.tv_sec * 1000000000LL + tv.tv_usec * 1000LL, told * 1000000000LL, ns(CLOCK_MONOTONIC), ns(CLOCK_BOOTTIME));
    }
}
"#;

fn compiled(dir: &TempDir, flags: &[&str]) -> Option<PathBuf> {
    let source = dir.path().join("clocks.c");
    std::fs::write(&source, CLOCKS).expect("a file");
    let binary = dir.path().join("clocks");
    let built = Command::new("cc").args(flags).arg("-O2").arg("-o").arg(&binary).arg(&source).output();
    if built.is_ok_and(|out| out.status.success()) {
        return Some(binary);
    }
    eprintln!("skipped: no C compiler, or no {flags:?}");
    None
}

fn every_clock_of_c(flags: &[&str]) {
    let (dir, page) = page();
    let Some(binary) = compiled(&dir, flags) else { return };
    let mut plain = Talk::start(&mut Command::new(&binary), None);
    let mut talk = Talk::start(&mut Command::new(&binary), Some(&page));
    for offset in [0, HOUR, -HOUR, 1_500_000_000, -1_500_000_000, 999_999_999, -1, 288 * SECOND, 0] {
        page.set(offset);
        assert_eq!(page.get(), offset);
        let seen = talk.ask("t");
        for (clock, shown) in seen[..4].iter().enumerate() {
            assert!(is_ahead(*shown, offset), "clock {clock} is off by {} instead of {offset}", shown - now());
        }
        let told = seen[3] / SECOND;
        assert!((seen[1] / SECOND).abs_diff(told) <= 1 && (seen[2] / SECOND).abs_diff(told) <= 1, "{seen:?}");
        let true_times = plain.ask("t");
        for clock in [4, 5] {
            assert!((true_times[clock] - seen[clock]).abs_diff(0) < NEAR, "steady clock {clock} was moved");
        }
    }
}

#[test]
fn a_dynamic_c_program_is_redirected_and_its_monotonic_clock_is_not() {
    every_clock_of_c(&[]);
}

#[test]
fn a_static_c_program_is_redirected() {
    every_clock_of_c(&["-static"]);
}

#[test]
fn the_probe_measures_the_offset_of_a_page() {
    let (_dir, page) = page();
    for offset in [0, 5 * SECOND, -288 * SECOND] {
        page.set(offset);
        let seen = vdso::probe(&page).expect("date or python3 is there");
        assert!(seen.abs_diff(offset) < 50_000_000, "{seen} instead of {offset}");
    }
}

#[test]
fn this_machine_is_asked_by_doing() {
    assert_eq!(vdso::supported(), Ok(()));
}

#[test]
fn a_running_python_sees_the_clock_change_and_its_monotonic_clock_stand() {
    let Some(python) = python() else { return };
    let (_dir, page) = page();
    let script = "import sys, time\nfor line in sys.stdin: print(time.time_ns(), time.monotonic_ns(), flush=True)";
    let mut talk = Talk::start(Command::new(python).args(["-c", script]), Some(&page));
    let first = talk.ask("t");
    assert!(is_ahead(first[0], 0));
    page.set(-HOUR);
    let second = talk.ask("t");
    assert!(is_ahead(second[0], -HOUR));
    assert!((second[1] - first[1]).abs_diff(0) < NEAR);
    page.set(0);
    assert!(is_ahead(talk.ask("t")[0], 0));
}

#[test]
fn forks_keep_the_clock_and_executed_programs_lose_it() {
    let (_dir, page) = page();
    page.set(HOUR);
    let shown = |mut command: Command| -> i64 {
        let mut child = vdso::spawn(command.stdout(Stdio::piped()), &page).expect("it starts");
        let mut text = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        assert!(child.wait().expect("it ends").success());
        text.trim().parse().expect("nanoseconds")
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", "true; date +%s%N; true"]);
    assert!(is_ahead(shown(shell), 0), "exec maps a fresh vDSO: if this changes, the module must say so");
    let mut date = Command::new("date");
    date.arg("+%s%N");
    assert!(is_ahead(shown(date), HOUR));
    let Some(python) = python() else { return };
    let mut forked = Command::new(python);
    forked.args(["-c", "import os, time\nif os.fork() == 0: print(time.time_ns())\nelse: os.wait()"]);
    assert!(is_ahead(shown(forked), HOUR));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let (_dir, page) = page();
    let error = vdso::spawn(&mut Command::new("/no/such/program"), &page).expect_err("it is not there").to_string();
    assert!(error.contains("/no/such/program"), "{error}");
}
