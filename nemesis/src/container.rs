//! The container of processes: whatever is killed, nothing of a run is left behind.
//!
//! Process groups and `PR_SET_PDEATHSIG` both leave daemons alive; a PID namespace leaves none, and where there is no
//! such thing two subreapers that watch each other leave none either. In both, the process that was started stays
//! as the *stub*, a second one guards, and the harness itself is a third, *forked* and not executed again: an exec
//! in a user namespace that maps the same uid loses its capabilities.

mod pidns;
mod shepherd;
mod watch;

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::Error;
use crate::backends::{Chosen, Disks, Network, Privilege, Processes};

/// Enters the chosen container; returns in the harness alone, as a new process with the same files and arguments.
///
/// The processes above never return: they end with the harness's own exit code, or 128 + n after a signal n. They
/// forward SIGINT, SIGTERM and SIGHUP if a process sent them; the terminal's own reach the harness directly.
///
/// Call it while the process has a single thread.
///
/// # Errors
///
/// The container was refused after the probe had allowed it.
pub fn enter(chosen: &Chosen) -> Result<(), Error> {
    if threads() > 1 {
        return Err(Error::new("entering the container of processes", "the process already has several threads"));
    }
    ignore_terminal_stop();
    let mounts = chosen.disk == Disks::Fuse;
    let namespaces = chosen.processes == Processes::Pidns || chosen.network == Network::Switch || mounts;
    if namespaces && chosen.privilege == Privilege::UserNamespace {
        map_same_user()?;
    }
    if mounts {
        // Mounts then end with the processes that see them, whoever is killed.
        own_mounts()?;
    }
    match chosen.processes {
        Processes::Pidns => pidns::enter(),
        Processes::Shepherd => shepherd::enter(),
    }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Ctrl-Z would stop the switch and the harness while the nodes run on, and fail over for nothing.
fn ignore_terminal_stop() {
    // SAFETY: sets a disposition, no handler.
    unsafe { libc::signal(libc::SIGTSTP, libc::SIG_IGN) };
}

/// Enters a user namespace in which every id that counts stays what it was: PostgreSQL refuses to run as root.
pub(crate) fn map_same_user() -> Result<(), Error> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| {
        let why = match error {
            nix::Error::ENOSPC => "the limit user.max_user_namespaces is reached or zero: raise it with sysctl".into(),
            nix::Error::EPERM => "not permitted: allow it (sysctl kernel.unprivileged_userns_clone=1, or the container's seccomp profile), or run through sudo".into(),
            error => error.desc().to_owned(),
        };
        Error::new("a user namespace is refused", why)
    })?;
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|error| Error::new(format!("writing {path}"), error))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))
}

/// Enters a mount namespace whose mounts nobody else sees.
pub(crate) fn own_mounts() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| Error::new("a mount namespace is refused", error.desc()))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|error| Error::new("making mounts private", error.desc()))
}

/// Shows the processes of the new PID namespace in `/proc`, for this mount namespace alone.
pub(crate) fn mount_fresh_proc() -> Result<(), Error> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|error| Error::new("a fresh /proc is refused (making mounts private)", error.desc()))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(|error| {
        Error::new("a fresh /proc is refused (a container that masks parts of /proc does so; unmask it)", error.desc())
    })
}

/// A pipe nobody writes to: its end is the end of whoever holds the writer.
fn life_line() -> Result<(io::PipeReader, io::PipeWriter), Error> {
    io::pipe().map_err(|error| Error::new("making the pipe that ends with the stub", error))
}
