//! One node's processes: started, stopped, continued, killed, and what the kernel says they are.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::family::{Leader, MARK, Process, members, process};
use super::program::Spawn;
use crate::Error;

/// How long a killed or paused node may take to be so.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);
/// The first pause between two looks; it doubles.
const FIRST_LOOK: Duration = Duration::from_micros(50);
/// The longest pause between two looks.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// What a node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It has not been started.
    NotStarted,
    /// It runs.
    Running,
    /// It is stopped, by whomever.
    Paused,
    /// It was killed by the nemesis and not started again.
    Killed,
    /// It ended by itself.
    Exited {
        /// How, in words.
        status: String,
    },
}

/// A node and its processes.
pub(super) struct Node {
    pub(super) name: String,
    mark: Vec<u8>,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    spawn: Option<Spawn>,
    /// The first process, from its start until the next one's; its children are found by it.
    leader: Option<i32>,
    end: Option<End>,
}

#[derive(Clone)]
enum End {
    Killed,
    ByItself(String),
}

impl Node {
    pub(super) fn new(name: &str, seed: u64) -> Node {
        Node { name: name.to_owned(), mark: format!("{MARK}={seed:016x}/{name}").into_bytes(), life: Mutex::default() }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the program, the last one if none is given, with `execute`.
    pub(super) fn start(
        &self,
        spawn: Option<&Spawn>,
        execute: impl FnOnce(&Spawn, &[u8]) -> Result<i32, Error>,
    ) -> Result<(), Error> {
        let mut life = self.life();
        life.look();
        if life.leader.is_some() && life.end.is_none() {
            return Err(Error(format!("{} runs already", self.name)));
        }
        if let Some(spawn) = spawn {
            life.spawn = Some(spawn.clone());
        }
        let spawn = life.spawn.as_ref().ok_or_else(|| Error(format!("{} was never started", self.name)))?;
        life.leader = Some(execute(spawn, &self.mark)?);
        life.end = None;
        Ok(())
    }

    pub(super) fn state(&self) -> NodeState {
        let mut life = self.life();
        life.look();
        match (&life.end, life.leader) {
            (Some(End::Killed), _) => NodeState::Killed,
            (Some(End::ByItself(status)), _) => NodeState::Exited { status: status.clone() },
            (None, None) => NodeState::NotStarted,
            (None, Some(pid)) => match process(pid) {
                Some(process) if process.is_stopped() => NodeState::Paused,
                _ => NodeState::Running,
            },
        }
    }

    /// Where the program runs, which is where its data are.
    pub(super) fn directory(&self) -> Option<std::path::PathBuf> {
        self.life().spawn.as_ref().map(|spawn| spawn.cwd.clone())
    }

    pub(super) fn pid(&self) -> Option<i32> {
        let mut life = self.life();
        life.look();
        life.leader.filter(|_| life.end.is_none())
    }

    /// Kills until nothing is left. A process may fork as it is killed, so each look kills again.
    pub(super) fn kill(&self) -> Result<(), Error> {
        let mut life = self.life();
        life.look();
        let Some(leader) = life.leader else {
            return Ok(());
        };
        if life.end.is_none() {
            // All in one look, before the chains of parents break.
            let found = members(Leader::Held(leader), &self.mark);
            found.iter().for_each(|process| send(process.pid, libc::SIGKILL));
            send(leader, libc::SIGKILL);
            reap(leader);
            life.end = Some(End::Killed);
        }
        let gone = await_limit(SIGNAL_LIMIT, || {
            let left = members(Leader::Reaped(leader), &self.mark);
            left.iter().for_each(|process| send(process.pid, libc::SIGKILL));
            left.is_empty()
        });
        if gone { Ok(()) } else { Err(Error::new(format!("killing {}", self.name), "some of its processes do not go")) }
    }

    pub(super) fn pause(&self) -> Result<(), Error> {
        self.signal_all(libc::SIGSTOP, "pausing", Process::is_stopped)
    }

    pub(super) fn resume(&self) -> Result<(), Error> {
        self.signal_all(libc::SIGCONT, "resuming", |process| !process.is_stopped())
    }

    fn signal_all(&self, signal: i32, attempt: &str, reached: fn(Process) -> bool) -> Result<(), Error> {
        let mut life = self.life();
        life.look();
        let attempt = format!("{attempt} {}", self.name);
        let Some(leader) = life.leader.filter(|_| life.end.is_none()) else {
            return Err(Error::new(attempt, "it does not run"));
        };
        let done = await_limit(SIGNAL_LIMIT, || {
            let left: Vec<_> =
                members(Leader::Held(leader), &self.mark).into_iter().filter(|process| !reached(*process)).collect();
            left.iter().for_each(|process| send(process.pid, signal));
            left.is_empty()
        });
        life.look();
        match (&life.end, done) {
            (Some(_), _) => Err(Error::new(attempt, "it ended meanwhile")),
            (None, false) => Err(Error::new(attempt, "a process did not follow the signal")),
            (None, true) => Ok(()),
        }
    }

    /// Sends SIGTERM to the whole group; a paused program must go on to hear it.
    pub(super) fn ask_to_stop(&self) {
        let mut life = self.life();
        life.look();
        let Some(leader) = life.leader else {
            return;
        };
        if life.end.is_none() {
            for signal in [libc::SIGTERM, libc::SIGCONT] {
                send(-leader, signal);
            }
        }
    }

    /// Whether anything of the node lives. What ended after it was asked to counts as killed.
    pub(super) fn has_processes(&self) -> bool {
        let mut life = self.life();
        let Some(leader) = life.leader else {
            return false;
        };
        if life.end.is_none() && try_reap(leader).is_some() {
            life.end = Some(End::Killed);
        }
        life.end.is_none() || !members(Leader::Reaped(leader), &self.mark).is_empty()
    }
}

impl Life {
    /// Notices that the first process ended by itself.
    fn look(&mut self) {
        if let (Some(leader), None) = (self.leader, &self.end)
            && let Some(status) = try_reap(leader)
        {
            self.end = Some(End::ByItself(status.to_string()));
        }
    }
}

fn send(pid: i32, signal: i32) {
    // SAFETY: no pointers.
    unsafe { libc::kill(pid, signal) };
}

fn try_reap(pid: i32) -> Option<ExitStatus> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let reaped = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
    (reaped == pid).then(|| ExitStatus::from_raw(status))
}

fn reap(pid: i32) {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
}

/// Looks until `reached`, or gives up.
pub(super) fn await_limit(limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    let mut pause = FIRST_LOOK;
    loop {
        if reached() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(pause);
        pause = (pause * 2).min(LAST_LOOK);
    }
}
