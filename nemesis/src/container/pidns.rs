//! Stub, init of a PID namespace, harness: when init ends, the kernel kills all that is left in the namespace.
//!
//! - The harness ends, however: init sees it and ends with its code, and the namespace goes.
//! - Init is killed: the kernel kills the namespace; the stub sees init's end.
//! - The stub is killed: init gets SIGKILL as its parent died. In a new PID namespace `getppid()` is 0, so init cannot
//!   see whether that already happened before it asked: the pipe that ends with the stub tells.

use std::os::fd::AsFd;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, fork};

use super::watch::{Ended, Watched, die_with_parent, exit_now};
use super::{life_line, mount_fresh_proc};
use crate::Error;

/// Returns in the harness alone.
pub(super) fn enter() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)
        .map_err(|error| Error::new("making a PID namespace", error.desc()))?;
    let (ends_with_stub, held_by_stub) = life_line()?;
    let watched = Watched::begin()?;
    // SAFETY: the caller promises a single thread, so that the child may go on as the whole program.
    match unsafe { fork() }.map_err(|error| Error::new("forking init", error.desc()))? {
        ForkResult::Parent { child } => {
            drop(ends_with_stub);
            let code = match watched.watch(child, None) {
                Ended::Child(code) => code,
                Ended::Other => libc::EXIT_FAILURE,
            };
            drop(held_by_stub);
            exit_now(code)
        }
        ForkResult::Child => {
            drop(held_by_stub);
            die_with_parent();
            init(watched, ends_with_stub.as_fd())
        }
    }
}

/// Forks the harness and guards it; whatever happens here, this process is the namespace's life.
fn init(watched: Watched, ends_with_stub: std::os::fd::BorrowedFd<'_>) -> Result<(), Error> {
    let harness = mount_fresh_proc().and_then(|()| {
        // SAFETY: a single thread still.
        unsafe { fork() }.map_err(|error| Error::new("forking the harness", error.desc()))
    });
    match harness {
        Ok(ForkResult::Child) => {
            die_with_parent();
            watched.restore()
        }
        Ok(ForkResult::Parent { child }) => match watched.watch(child, Some(ends_with_stub)) {
            Ended::Child(code) => exit_now(code),
            Ended::Other => exit_now(128 + libc::SIGKILL),
        },
        Err(error) => {
            eprintln!("gainsay: {error}");
            exit_now(libc::EXIT_FAILURE)
        }
    }
}
