//! Whatever is killed, nothing is left; and the stub ends as the harness did.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything that is to happen may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Stub, init (or inner shepherd), harness.
const CHAIN: usize = 3;

static RUNS: AtomicU32 = AtomicU32::new(0);

/// A running example, killed with all it started when the test ends, however it ends.
struct Run {
    tag: String,
    stub: Child,
}

impl Run {
    fn start(processes: &str, script: &[&str]) -> Run {
        let test = std::env::current_exe().expect("this program");
        let profile = test.parent().and_then(|deps| deps.parent()).expect("a target directory");
        let example: PathBuf = profile.join("examples/contained");
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let tag = format!("gainsay-contained-{}-{number}", std::process::id());
        let stub = Command::new(example)
            .args([processes, &tag])
            .args(script)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the example is built");
        Run { tag, stub }
    }

    /// Waits for a line; none comes where the machine refuses the container.
    fn hears(&mut self, line: &str) -> bool {
        let stdout = self.stub.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout);
        let mut heard = String::new();
        while lines.read_line(&mut heard).expect("a line") > 0 {
            if heard.trim() == line {
                self.stub.stdout = Some(lines.into_inner());
                return true;
            }
            heard.clear();
        }
        assert_eq!(self.status().code(), Some(99), "it ended without a word");
        eprintln!("SKIPPED: this machine refuses the container, see above");
        false
    }

    fn status(&mut self) -> ExitStatus {
        await_that("the stub's end", || self.stub.try_wait().expect("a child").is_some());
        self.stub.wait().expect("a child")
    }

    /// Stub, init and harness, outermost first.
    fn chain(&self) -> Vec<i32> {
        let mut chain = vec![self.stub.id() as i32];
        while chain.len() < CHAIN {
            let last = chain[chain.len() - 1];
            let children = fs::read_to_string(format!("/proc/{last}/task/{last}/children"));
            let child = children.expect("children").split_whitespace().next().map(str::to_owned);
            chain.push(child.expect("a child").parse().expect("a number"));
        }
        chain
    }

    fn left(&self) -> Vec<i32> {
        fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&self.tag))
            })
            .collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.stub.kill();
        let _ = self.stub.wait();
        for pid in self.left() {
            send(pid, libc::SIGKILL);
        }
    }
}

fn send(pid: i32, signal: i32) {
    // SAFETY: no pointers.
    unsafe { libc::kill(pid, signal) };
}

fn await_that(what: &str, mut seen: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !seen() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills one of the chain, and gives the stub's status where it was not the stub.
fn killing_leaves_nothing(processes: &str, victim: usize) {
    let mut run = Run::start(processes, &["tree", "wait"]);
    if !run.hears("tree done") {
        return;
    }
    // Stub, init and harness, the worker, both daemons, the process of another group, and the shells above them.
    let sleepers = |run: &Run| {
        let is_sleeper =
            |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(run.tag.as_bytes()));
        run.left().iter().filter(|pid| is_sleeper(pid)).count()
    };
    await_that("worker, daemons and group", || sleepers(&run) == 4);
    send(run.chain()[victim], libc::SIGKILL);
    let start = Instant::now();
    let status = run.status();
    await_that("nothing to be left", || run.left().is_empty());
    eprintln!("{processes}, {victim} killed: nothing left after {:?}", start.elapsed());
    if victim > 0 {
        assert_eq!(status.code(), Some(128 + libc::SIGKILL));
    }
}

#[test]
fn killing_the_stub_of_a_pid_namespace_leaves_nothing() {
    killing_leaves_nothing("pidns", 0);
}

#[test]
fn killing_the_init_of_a_pid_namespace_leaves_nothing() {
    killing_leaves_nothing("pidns", 1);
}

#[test]
fn killing_the_harness_in_a_pid_namespace_leaves_nothing() {
    killing_leaves_nothing("pidns", 2);
}

#[test]
fn killing_the_outer_shepherd_leaves_nothing() {
    killing_leaves_nothing("shepherd", 0);
}

#[test]
fn killing_the_inner_shepherd_leaves_nothing() {
    killing_leaves_nothing("shepherd", 1);
}

#[test]
fn killing_the_harness_of_the_shepherds_leaves_nothing() {
    killing_leaves_nothing("shepherd", 2);
}

#[test]
fn the_stub_ends_as_the_harness_did() {
    for processes in ["pidns", "shepherd"] {
        for (word, code) in [("exit=0", 0), ("exit=7", 7), ("signal=15", 128 + 15), ("signal=9", 128 + 9)] {
            let mut run = Run::start(processes, &["tree", word]);
            if run.hears("tree done") {
                assert_eq!(run.status().code(), Some(code), "{processes} {word}");
                await_that("nothing to be left", || run.left().is_empty());
            }
        }
    }
}

fn counted(processes: &str, act: impl FnOnce(&Run)) -> Option<String> {
    let mut run = Run::start(processes, &["count"]);
    if !run.hears("counting") {
        return None;
    }
    act(&run);
    let mut rest = String::new();
    run.stub.stdout.take()?.read_to_string(&mut rest).expect("output");
    rest.lines().next().map(str::to_owned)
}

#[test]
fn a_signal_sent_to_the_stub_reaches_the_harness_once() {
    for processes in ["pidns", "shepherd"] {
        let counts = counted(processes, |run| {
            send(run.stub.id() as i32, libc::SIGINT);
            send(run.stub.id() as i32, libc::SIGTERM);
        });
        assert_eq!(counts.unwrap_or_else(|| "int=1 term=1 hup=0".into()), "int=1 term=1 hup=0", "{processes}");
    }
}

#[test]
fn a_stop_from_the_terminal_stops_nobody() {
    for processes in ["pidns", "shepherd"] {
        let counts = counted(processes, |run| send(-(run.stub.id() as i32), libc::SIGTSTP));
        assert_eq!(counts.unwrap_or_else(|| "int=0 term=0 hup=0".into()), "int=0 term=0 hup=0", "{processes}");
    }
}

/// A terminal of our own: the byte of Ctrl-C, written to its other end, signals the whole foreground group.
#[test]
fn one_ctrl_c_counts_once() {
    for processes in ["pidns", "shepherd"] {
        let script = format!(
            "import os,pty,sys,time\n\
             pid,fd=pty.fork()\n\
             if pid==0: os.execv(sys.argv[1],[sys.argv[1],'{processes}','ctrl-c','count'])\n\
             seen=b''\n\
             pressed=False\n\
             try:\n\
             \x20 while True:\n\
             \x20   seen+=os.read(fd,4096)\n\
             \x20   if b'counting' in seen and not pressed:\n\
             \x20     os.write(fd,b'\\x03'); pressed=True\n\
             except OSError: pass\n\
             print(seen.decode())\n"
        );
        let test = std::env::current_exe().expect("this program");
        let profile = test.parent().and_then(|deps| deps.parent()).expect("a target directory");
        let Ok(output) = Command::new("python3").args(["-c", &script]).arg(profile.join("examples/contained")).output()
        else {
            eprintln!("SKIPPED: no python3 to make a terminal with");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("int=1 term=0") || !said.contains("counting"), "{processes}: {said}");
    }
}
