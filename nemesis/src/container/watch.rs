//! What stub, init and shepherds have in common: wait for one child and for the other's end, and pass signals on.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Error;

/// Signals a user ends a run with.
const FORWARDED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signals a watcher waits for, blocked in it and in no descendant.
pub(super) struct Watched {
    before: SigSet,
    descriptor: OwnedFd,
}

/// Why a watch ended.
pub(super) enum Ended {
    /// The child did, with this exit code.
    Child(i32),
    /// The process at the other end of the pipe did.
    Other,
}

impl Watched {
    /// Blocks the signals and opens a descriptor to read them from. To be called before the fork, so that none is lost.
    pub(super) fn begin() -> Result<Watched, Error> {
        let mut mask: SigSet = FORWARDED.into_iter().collect();
        mask.add(Signal::SIGCHLD);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut before))
            .map_err(|error| Error::new("blocking signals", error.desc()))?;
        // SAFETY: the mask outlives the call, and the new descriptor is owned by nobody else.
        let raw = unsafe { libc::signalfd(-1, mask.as_ref(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if raw < 0 {
            return Err(Error::new("opening a signal descriptor", io::Error::last_os_error()));
        }
        // SAFETY: as above.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Watched { before, descriptor })
    }

    /// Gives the harness the mask the user's shell gave the stub.
    pub(super) fn restore(self) -> Result<(), Error> {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None)
            .map_err(|error| Error::new("restoring the signal mask", error.desc()))
    }

    /// Waits until `child` ends or the pipe does, reaping orphans and forwarding signals meanwhile.
    pub(super) fn watch(&self, child: Pid, other: Option<BorrowedFd<'_>>) -> Ended {
        loop {
            if let Some(code) = reap_until(child) {
                return Ended::Child(code);
            }
            let mut waits =
                [poll_in(self.descriptor.as_raw_fd()), poll_in(other.map_or(-1, |other| other.as_raw_fd()))];
            // SAFETY: two initialised entries; a negative descriptor is skipped by the kernel.
            unsafe { libc::poll(waits.as_mut_ptr(), 2, -1) };
            if waits[1].revents != 0 {
                return Ended::Other;
            }
            self.forward(child);
        }
    }

    /// Passes on what a process sent. The terminal's own signals reach the whole foreground group, the harness too:
    /// forwarding them as well would make one Ctrl-C count as two.
    fn forward(&self, child: Pid) {
        while let Some((number, code)) = self.next() {
            if code > 0 {
                continue;
            }
            if let Some(signal) = FORWARDED.into_iter().find(|signal| *signal as u32 == number) {
                let _ = nix::sys::signal::kill(child, signal);
            }
        }
    }

    fn next(&self) -> Option<(u32, i32)> {
        // SAFETY: plain data for which all zeroes is a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is as long as is said.
        let read = unsafe { libc::read(self.descriptor.as_raw_fd(), (&raw mut info).cast(), size) };
        (read == size as isize).then_some((info.ssi_signo, info.ssi_code))
    }
}

fn poll_in(fd: i32) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// Reaps whatever has ended; gives the exit code of `child` if it is among them.
fn reap_until(child: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(nix::Error::EINTR) => {}
            // Without any child there is nothing to wait for: the child was lost to somebody else's wait.
            Err(_) => return Some(libc::EXIT_FAILURE),
        }
    }
}

/// Asks for SIGKILL when the parent dies, which the pipe makes up for if it died before this call.
pub(super) fn die_with_parent() {
    // SAFETY: plain values.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

/// Ends this process as the harness did.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process without running the harness's destructors, which are its own to run.
    unsafe { libc::_exit(code) }
}
