//! Finding out by doing: every ability is tried in a forked child, which hands its refusal back through a pipe.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::Privilege;
use crate::container::{map_same_user, mount_fresh_proc, own_mounts};
use crate::disk::{Disk, Options};
use crate::switch::open_tun;

/// An ability, or one line that says why it is refused.
pub type Ability = Result<(), String>;

/// What this machine allows.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whether namespaces can be made as the process is, or need a user namespace.
    pub privilege: Privilege,
    /// A user namespace whose owner really has capabilities.
    pub user_namespace: Ability,
    /// A network namespace.
    pub network_namespace: Ability,
    /// A TUN device in a network namespace.
    pub tun_device: Ability,
    /// A mount namespace with a fresh `/proc`.
    pub fresh_proc: Ability,
    /// A PID namespace.
    pub pid_namespace: Ability,
    /// Stopping and changing a child through ptrace.
    pub ptrace: Ability,
    /// A seccomp filter with a listener.
    pub seccomp_listener: Ability,
    /// A FUSE file system in a mount namespace.
    pub fuse_mount: Ability,
}

/// The setting that Ubuntu 24.04 brought: user namespaces come without capabilities.
const APPARMOR_SYSCTL: &str = "kernel.apparmor_restrict_unprivileged_userns";

impl Probe {
    /// Succeeds if all of `abilities` do, or gives the first refusal.
    pub(super) fn all<const N: usize>(&self, abilities: [&Ability; N]) -> Ability {
        abilities.into_iter().cloned().collect()
    }

    /// Adds to a refusal what would lift it, as far as this machine tells.
    pub(super) fn advise(&self, refusal: &str) -> String {
        match (&self.privilege, &self.user_namespace) {
            (Privilege::UserNamespace, Err(why)) if why != refusal => {
                format!("{refusal} ({why})")
            }
            _ => refusal.to_owned(),
        }
    }
}

/// Tries every ability. Call it while the process has a single thread.
pub fn probe() -> Probe {
    let user_namespace = attempt(try_user_namespace);
    let direct = attempt(|| new_namespace(CloneFlags::CLONE_NEWNET, "a network namespace"));
    let privilege = match (&direct, &user_namespace) {
        (Err(_), Ok(())) => Privilege::UserNamespace,
        (Err(_), Err(_)) if !nix::unistd::geteuid().is_root() => Privilege::UserNamespace,
        _ => Privilege::Own,
    };
    let within = |what: fn() -> Ability| {
        attempt(move || {
            enter_privilege(privilege)?;
            what()
        })
    };
    Probe {
        privilege,
        user_namespace,
        network_namespace: within(|| new_namespace(CloneFlags::CLONE_NEWNET, "a network namespace")),
        tun_device: within(try_tun),
        fresh_proc: within(try_fresh_proc),
        pid_namespace: within(try_pid_namespace),
        ptrace: attempt(try_ptrace),
        seccomp_listener: attempt(try_seccomp_listener),
        fuse_mount: within(try_fuse_mount),
    }
}

/// Runs `what` in a child, so that nothing it does or breaks stays.
fn attempt(what: impl FnOnce() -> Ability) -> Ability {
    let (mut reader, mut writer) = io::pipe().map_err(|error| format!("no pipe to probe with: {error}"))?;
    // SAFETY: the caller promises a single thread, so the child may allocate; it leaves by `_exit` alone.
    match unsafe { fork() } {
        Err(error) => Err(format!("no child to probe with: {error}")),
        Ok(ForkResult::Child) => {
            drop(reader);
            let code = match what() {
                Ok(()) => 0,
                Err(why) => {
                    let _ = writer.write_all(why.as_bytes());
                    1
                }
            };
            exit_now(code)
        }
        Ok(ForkResult::Parent { child }) => {
            drop(writer);
            let mut why = String::new();
            let _ = reader.read_to_string(&mut why);
            match reap(child) {
                Ok(WaitStatus::Exited(_, 0)) => Ok(()),
                Ok(WaitStatus::Exited(..)) => Err(why),
                Ok(status) => Err(format!("the attempt ended with {status:?}")),
                Err(error) => Err(format!("the attempt was lost: {error}")),
            }
        }
    }
}

fn reap(child: Pid) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(child, None) {
            Err(nix::Error::EINTR) => {}
            other => return other,
        }
    }
}

fn exit_now(code: i32) -> ! {
    // SAFETY: ends this process at once; no destructor of the parent's state may run twice.
    unsafe { libc::_exit(code) }
}

fn new_namespace(flag: CloneFlags, what: &str) -> Ability {
    unshare(flag).map_err(|error| refusal(what, error))
}

/// Says what was refused; a full quota of namespaces shows as ENOSPC, which nobody would read as one.
fn refusal(what: &str, error: nix::Error) -> String {
    match error {
        nix::Error::ENOSPC => {
            format!("{what} is refused: the limit in /proc/sys/user is reached or zero")
        }
        nix::Error::EPERM => format!(
            "{what} is refused: not permitted; run as root or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1)"
        ),
        error => format!("{what} is refused: {}", error.desc()),
    }
}

fn enter_privilege(privilege: Privilege) -> Ability {
    match privilege {
        Privilege::Own => Ok(()),
        Privilege::UserNamespace => map_same_user().map_err(|error| error.0),
    }
}

fn try_user_namespace() -> Ability {
    map_same_user().map_err(|error| error.0)?;
    let capable = unshare(CloneFlags::CLONE_NEWNS);
    capable.map_err(|error| {
        let path = format!("/proc/sys/{}", APPARMOR_SYSCTL.replace('.', "/"));
        let restricted = fs::read_to_string(path).is_ok_and(|text| text.trim() == "1");
        if restricted {
            format!(
                "a user namespace comes without capabilities: AppArmor restricts it; run `sudo sysctl {APPARMOR_SYSCTL}=0`, or run through sudo"
            )
        } else {
            format!("a user namespace comes without capabilities: {}; run through sudo", error.desc())
        }
    })
}

fn try_tun() -> Ability {
    new_namespace(CloneFlags::CLONE_NEWNET, "a network namespace")?;
    open_tun().map(drop).map_err(|error| error.0)
}

fn try_fresh_proc() -> Ability {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
        .map_err(|error| refusal("a mount and PID namespace", error))?;
    attempt(|| {
        mount_fresh_proc().map_err(|error| error.0)?;
        if Path::new("/proc/1/stat").exists() && !Path::new("/proc/self").exists() {
            return Err("the fresh /proc shows another PID namespace".into());
        }
        Ok(())
    })
}

fn try_pid_namespace() -> Ability {
    new_namespace(CloneFlags::CLONE_NEWPID, "a PID namespace")?;
    attempt(|| match nix::unistd::getpid().as_raw() {
        1 => Ok(()),
        pid => Err(format!("the first of a PID namespace is {pid}, not 1")),
    })
}

/// Stops a child, reads its registers and writes a word of its memory, which is what redirecting a clock takes.
fn try_ptrace() -> Ability {
    use nix::sys::{ptrace, signal::Signal};
    static WORD: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
    let say = |what: &str, error: nix::Error| {
        format!(
            "ptrace is refused ({what}: {}); allow it (sysctl kernel.yama.ptrace_scope below 3, or SYS_PTRACE in the container's profile)",
            error.desc()
        )
    };
    // SAFETY: a single thread, see `attempt`.
    match unsafe { fork() }.map_err(|error| say("fork", error))? {
        ForkResult::Child => {
            let code = ptrace::traceme().map_or(2, |()| 0);
            if code == 0 {
                // SAFETY: stops this child for its parent, which kills it.
                unsafe { libc::raise(libc::SIGSTOP) };
            }
            exit_now(code)
        }
        ForkResult::Parent { child } => {
            let seen = match reap(child) {
                Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => ptrace::getregs(child)
                    .map_err(|error| say("registers", error))
                    .and_then(|_| ptrace::write(child, WORD.as_ptr().cast(), 2).map_err(|error| say("memory", error))),
                Ok(WaitStatus::Exited(..)) => Err(say("attach", nix::Error::EPERM)),
                other => Err(format!("ptrace shows no stopped child but {other:?}")),
            };
            let _ = nix::sys::signal::kill(child, Signal::SIGKILL);
            seen
        }
    }
}

/// Mounts a disk over the directory of temporary files, which nobody else sees, and looks through it.
fn try_fuse_mount() -> Ability {
    own_mounts().map_err(|error| error.0)?;
    let place = std::env::temp_dir();
    let say = |why: &dyn std::fmt::Display| {
        format!(
            "a FUSE mount is refused ({why}); it takes the module fuse (modprobe fuse), /dev/fuse, and leave to mount (in a container: --device /dev/fuse --cap-add SYS_ADMIN)"
        )
    };
    let disk = Disk::mount(&place, Options::default()).map_err(|error| say(&error))?;
    fs::read_dir(&place).and_then(|mut entries| entries.next().transpose()).map_err(|error| say(&error))?;
    drop(disk);
    Ok(())
}

fn try_seccomp_listener() -> Ability {
    let say = |what: &str| {
        let error = io::Error::last_os_error();
        format!("a seccomp listener is refused ({what}: {error}); loosen the container's seccomp profile")
    };
    let allow =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: (&raw const allow).cast_mut() };
    // SAFETY: plain flags, no pointers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(say("no new privileges"));
    }
    // SAFETY: `program` points at one instruction that lives until the call returns.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    if listener < 0 {
        return Err(say("filter"));
    }
    Ok(())
}
