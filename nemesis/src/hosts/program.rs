//! Starting a node's program: everything is prepared before the fork, as the child of a process with threads may not
//! even allocate.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;

use super::{AfterExec, BeforeExec, family};
use crate::Error;

/// What a node runs.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// The program: a path, or a name that is looked up in `PATH`. A relative path begins where the harness stands.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Added to the harness's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// What it prints is appended here.
    pub log: PathBuf,
}

/// How far the child came, for the error that it cannot word itself.
const STAGES: [&str; 7] = [
    "beginning a session",
    "entering its network",
    "changing its directory",
    "redirecting its output",
    "asking to be traced",
    "preparing its exec",
    "executing it",
];

/// What the child needs, all of it allocated before the fork.
struct Prepared {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    log: File,
    null: File,
}

/// Runs `spawn` as `node`; the process it gives is running its program when this returns.
pub(super) fn start(
    node: &str,
    spawn: &Spawn,
    mark: &[u8],
    namespace: Option<BorrowedFd<'_>>,
    before: Option<&BeforeExec>,
    after: Option<&AfterExec>,
) -> Result<i32, Error> {
    let attempt = format!("starting {node} ({})", spawn.program.display());
    let prepared = prepare(spawn, mark).map_err(|error| Error::new(&attempt, error))?;
    let args = pointers(&prepared.args);
    let env = pointers(&prepared.env);
    let (mut reader, writer) = io::pipe().map_err(|error| Error::new(&attempt, error))?;
    let child = Child {
        prepared: &prepared,
        args: &args,
        env: &env,
        namespace: namespace.map_or(-1, |namespace| namespace.as_raw_fd()),
        report: writer.as_raw_fd(),
        before,
        traced: after.is_some(),
        node,
    };
    // SAFETY: the child calls nothing but async-signal-safe functions until it executes the program or ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: in the child of a fork.
        unsafe { child.go() }
    }
    if pid < 0 {
        return Err(Error::new(&attempt, io::Error::last_os_error()));
    }
    drop(writer);
    let mut report = Vec::new();
    let read = reader.read_to_end(&mut report);
    let failed = match (read, report.as_slice()) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(_), []) => None,
        (Ok(_), [stage, code @ ..]) => {
            let code = code.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
            let stage = STAGES.get(usize::from(*stage)).copied().unwrap_or("starting it");
            Some(format!("{stage}: {}", io::Error::from_raw_os_error(code)))
        }
    };
    let failed = failed.or_else(|| after.and_then(|after| trace(node, pid, after).err()));
    match failed {
        None => Ok(pid),
        Some(why) => {
            discard(pid);
            Err(Error::new(&attempt, why))
        }
    }
}

/// Ends a child that did not become a node.
fn discard(pid: i32) {
    // SAFETY: a child of this process that nobody has reaped, so the number is still its own.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, ptr::null_mut(), libc::__WALL);
    }
}

/// Calls the hook while the child stands at its exec. ptrace belongs to a thread: this is the one that forked.
fn trace(node: &str, pid: i32, after: &AfterExec) -> Result<(), String> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    if waited != pid || !libc::WIFSTOPPED(status) {
        return Err(format!("it did not stop at its exec (status {status:#x})"));
    }
    after(node, pid).map_err(|error| error.0)?;
    // SAFETY: no pointers that the kernel reads.
    match unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) } {
        -1 => Err(format!("detaching from it: {}", io::Error::last_os_error())),
        _ => Ok(()),
    }
}

fn prepare(spawn: &Spawn, mark: &[u8]) -> io::Result<Prepared> {
    let log =
        OpenOptions::new().create(true).append(true).open(&spawn.log).map_err(|error| named(&spawn.log, &error))?;
    let program = CString::new(find(&spawn.program)?.into_os_string().into_vec())?;
    let mut args = vec![CString::new(spawn.program.as_os_str().as_bytes())?];
    for arg in &spawn.args {
        args.push(CString::new(arg.as_bytes())?);
    }
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    env.extend(spawn.env.iter().cloned());
    env.remove(OsStr::new(family::MARK));
    let mut pairs = vec![CString::new(mark)?];
    for (name, value) in env {
        pairs.push(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?);
    }
    Ok(Prepared {
        program,
        args,
        env: pairs,
        cwd: CString::new(spawn.cwd.as_os_str().as_bytes())?,
        log,
        null: File::open("/dev/null")?,
    })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The file to execute: its directory changes before the exec, so a relative path is made whole first.
fn find(program: &Path) -> io::Result<PathBuf> {
    if program.as_os_str().as_bytes().contains(&b'/') {
        return std::path::absolute(program);
    }
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .map_or_else(|| Err(io::Error::new(io::ErrorKind::NotFound, "no such program in PATH")), std::path::absolute)
}

/// A list as `execve` takes it. The pointers live as long as `strings`.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// The child's view of what was prepared.
struct Child<'a> {
    prepared: &'a Prepared,
    args: &'a [*const libc::c_char],
    env: &'a [*const libc::c_char],
    namespace: RawFd,
    report: RawFd,
    before: Option<&'a BeforeExec>,
    traced: bool,
    node: &'a str,
}

impl Child<'_> {
    /// # Safety
    ///
    /// To be called in the child of a fork, once.
    unsafe fn go(&self) -> ! {
        // SAFETY: system calls alone, on memory that was prepared before the fork.
        unsafe {
            reset_signals();
            self.check(0, libc::setsid());
            if self.namespace >= 0 {
                self.check(1, libc::setns(self.namespace, libc::CLONE_NEWNET));
            }
            self.check(2, libc::chdir(self.prepared.cwd.as_ptr()));
            self.check(3, libc::dup2(self.prepared.null.as_raw_fd(), 0));
            self.check(3, libc::dup2(self.prepared.log.as_raw_fd(), 1));
            self.check(3, libc::dup2(self.prepared.log.as_raw_fd(), 2));
            libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int);
            if self.traced {
                self.check(4, libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) as libc::c_int);
            }
            if let Some(before) = self.before
                && let Err(code) = before(self.node)
            {
                self.fail(5, code);
            }
            let path = self.prepared.program.as_ptr();
            libc::execve(path, self.args.as_ptr(), self.env.as_ptr());
            self.fail(6, *libc::__errno_location())
        }
    }

    unsafe fn check(&self, stage: u8, result: libc::c_int) {
        if result < 0 {
            // SAFETY: as for `go`.
            unsafe { self.fail(stage, *libc::__errno_location()) }
        }
    }

    unsafe fn fail(&self, stage: u8, code: i32) -> ! {
        let [a, b, c, d] = code.to_ne_bytes();
        let report = [stage, a, b, c, d];
        // SAFETY: five bytes, and the end of the child.
        unsafe {
            libc::write(self.report, report.as_ptr().cast(), report.len());
            libc::_exit(127)
        }
    }
}

/// The kernel's `struct sigaction` that says "default": handler, flags, restorer and mask, all zero.
static DEFAULT_ACTION: [u64; 4] = [0; 4];
/// The kernel's last signal.
const LAST_SIGNAL: libc::c_int = 64;
/// Bytes of the kernel's signal set.
const SIGNAL_SET: usize = 8;

/// A harness blocks and ignores signals that its nodes must see. The system call itself: the C library refuses to
/// reset two signals it holds its own, and whoever started the harness may have ignored them.
unsafe fn reset_signals() {
    let none = 0_u64;
    // SAFETY: sets defaults and an empty mask; signals that have no disposition refuse, which is as well.
    unsafe {
        for signal in 1..=LAST_SIGNAL {
            let action = &raw const DEFAULT_ACTION;
            libc::syscall(libc::SYS_rt_sigaction, signal, action, 0, SIGNAL_SET);
        }
        let mask = &raw const none;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, mask, 0, SIGNAL_SET);
    }
}
