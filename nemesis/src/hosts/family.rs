//! Which processes belong to a node: those it started, and those that tried to get away.
//!
//! A node's first process leads a session and group of its own; a worker may change its group, a daemon its session and
//! its parent. Every one of them inherits the environment, and in it a mark with the run and the node. All three
//! are looked at: the group, the chain of parents, the mark. A process that did all of it and wiped its environment
//! as well is caught by the container of processes at the run's end.

use std::collections::{HashMap, HashSet};
use std::fs;

/// The variable that marks a node's processes.
pub(super) const MARK: &str = "GAINSAY_NODE";

/// A process as `/proc/<pid>/stat` shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) state: u8,
    parent: i32,
    group: i32,
}

impl Process {
    /// Whether it has ended and only waits for its parent to notice.
    pub(super) fn is_gone(self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether it is stopped.
    pub(super) fn is_stopped(self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// Reads one process.
pub(super) fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    Some(Process {
        pid,
        state: *fields.next()?.as_bytes().first()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// What is known of the first process's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leader {
    /// Nobody has reaped it: the number is its own.
    Held(i32),
    /// It is reaped: the number is free, unless its group still has members.
    Reaped(i32),
}

/// The live processes of the node that `leader` was the first of, marked `mark`.
pub(super) fn members(leader: Leader, mark: &[u8]) -> Vec<Process> {
    let processes: HashMap<i32, Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, process(pid)?)))
        .collect();
    let own = std::process::id() as i32;
    let group = match leader {
        Leader::Held(pid) => Some(pid),
        // The kernel gives no new process the number of a living group, so such a process means the group has gone.
        Leader::Reaped(pid) => Some(pid).filter(|pid| !processes.contains_key(pid)),
    };
    let mut found: HashSet<i32> = processes
        .values()
        .filter(|process| process.pid != own)
        .filter(|process| Some(process.group) == group || is_marked(process.pid, mark))
        .map(|process| process.pid)
        .collect();
    while let Some(child) = processes
        .values()
        .find(|process| process.pid != own && found.contains(&process.parent) && !found.contains(&process.pid))
    {
        found.insert(child.pid);
    }
    found.into_iter().filter_map(|pid| processes.get(&pid).copied()).filter(|process| !process.is_gone()).collect()
}

fn is_marked(pid: i32, mark: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == mark))
}
