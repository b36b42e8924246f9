//! Two shepherds where PID namespaces are refused: either is a subreaper, and either kills the whole tree below it.
//!
//! Outer shepherd (the process that was started), inner shepherd, harness. Orphans fall to the inner one, or, once
//! that is killed, to the outer one: a daemon that forked twice stays a descendant.
//!
//! - The harness ends: the inner one kills what is left below it and ends with its code.
//! - The inner one is killed: the outer one sees it, inherits the rest and kills it.
//! - The outer one is killed: the pipe ends, and the inner one kills all below it.
//!
//! Killing both at once is the one thing that leaves something behind; a PID namespace has no such hole.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid};

use super::life_line;
use super::watch::{Ended, Watched, die_with_parent, exit_now};
use crate::Error;

/// How long a shepherd kills before it gives up on a process that cannot die.
const KILL_LIMIT: Duration = Duration::from_secs(20);
/// How long a shepherd lets the kernel work between two walks.
const WALK_PAUSE: Duration = Duration::from_millis(2);

/// Returns in the harness alone.
pub(super) fn enter() -> Result<(), Error> {
    become_subreaper()?;
    let (ends_with_outer, held_by_outer) = life_line()?;
    let watched = Watched::begin()?;
    // SAFETY: the caller promises a single thread, so that the child may go on as the whole program.
    match unsafe { fork() }.map_err(|error| Error::new("forking the shepherd", error.desc()))? {
        ForkResult::Parent { child } => {
            drop(ends_with_outer);
            let code = match watched.watch(child, None) {
                Ended::Child(code) => code,
                Ended::Other => libc::EXIT_FAILURE,
            };
            kill_descendants();
            drop(held_by_outer);
            exit_now(code)
        }
        ForkResult::Child => {
            drop(held_by_outer);
            inner(watched, ends_with_outer.as_fd())
        }
    }
}

fn inner(watched: Watched, ends_with_outer: std::os::fd::BorrowedFd<'_>) -> Result<(), Error> {
    let harness = become_subreaper().and_then(|()| {
        // SAFETY: a single thread still.
        unsafe { fork() }.map_err(|error| Error::new("forking the harness", error.desc()))
    });
    match harness {
        Ok(ForkResult::Child) => {
            die_with_parent();
            watched.restore()
        }
        Ok(ForkResult::Parent { child }) => {
            let code = match watched.watch(child, Some(ends_with_outer)) {
                Ended::Child(code) => code,
                Ended::Other => 128 + libc::SIGKILL,
            };
            kill_descendants();
            exit_now(code)
        }
        Err(error) => {
            eprintln!("gainsay: {error}");
            exit_now(libc::EXIT_FAILURE)
        }
    }
}

fn become_subreaper() -> Result<(), Error> {
    // SAFETY: plain values.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(Error::new("becoming a subreaper", std::io::Error::last_os_error())),
    }
}

/// Kills and reaps everything below this process, again and again until a walk finds nothing: a process may fork
/// between the walk and its death, and its child is found by the next one.
fn kill_descendants() {
    let until = Instant::now() + KILL_LIMIT;
    while Instant::now() < until {
        let found = descendants_of(getpid().as_raw());
        for pid in &found {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
        if found.is_empty() {
            return;
        }
        std::thread::sleep(WALK_PAUSE);
    }
}

/// Every process whose chain of parents leads to `root`.
fn descendants_of(root: i32) -> Vec<i32> {
    let parents: HashMap<i32, i32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut found = HashSet::from([root]);
    loop {
        let before = found.len();
        found.extend(
            parents.iter().filter(|(_, parent)| found.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if found.len() == before {
            found.remove(&root);
            return found.into_iter().collect();
        }
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
