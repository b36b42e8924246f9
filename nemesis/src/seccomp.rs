//! Sends a node's connections where we want them, whatever address the node believes to connect to.
//!
//! Databases tell each other their addresses, so proxies that are only configured would be bypassed. A seccomp filter
//! stops every `connect` of the node and its children and asks us; where the address is to be another, we fetch the
//! socket and connect it ourselves. The file description is shared, so a non-blocking socket stays one, and the node's
//! own memory keeps the address that it meant. All other system calls run at full speed. No privilege is needed.
//!
//! Not seen: connects through io_uring, and TCP fast open (`sendto` with `MSG_FASTOPEN`). A node that asks for the peer's
//! address of a connected socket is told the proxy's.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Error;

mod serve;

pub use serve::{Server, serve};

/// How long the child may take to hand over its listener.
const HANDOVER_LIMIT: Duration = Duration::from_secs(5);

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCH: u32 = 0;

const fn load(offset: u32) -> libc::sock_filter {
    libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: offset }
}

/// Goes on if equal, otherwise skips some instructions.
const fn unless_equal(value: u32, skip: u8) -> libc::sock_filter {
    libc::sock_filter { code: 0x15, jt: 0, jf: skip, k: value }
}

const fn answer(action: u32) -> libc::sock_filter {
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: action }
}

/// Asks us about `connect` and allows everything else. The fields of `seccomp_data`: number at 0, architecture at 4.
const FILTER: [libc::sock_filter; 6] = [
    load(4),
    unless_equal(ARCH, 3),
    load(0),
    unless_equal(libc::SYS_connect as u32, 1),
    answer(libc::SECCOMP_RET_USER_NOTIF),
    answer(libc::SECCOMP_RET_ALLOW),
];

/// A pair of sockets over which a child hands us its listener. Prepared before the fork.
pub struct Redirect {
    ours: OwnedFd,
    childs: OwnedFd,
}

/// What a child needs to install the filter; plain numbers, as nothing may be allocated between fork and exec.
#[derive(Clone, Copy)]
pub struct Installer {
    socket: RawFd,
}

impl Redirect {
    /// Prepares a hand-over.
    pub fn prepare() -> Result<Redirect, Error> {
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
        let (ours, childs) = pair.map_err(|e| Error::new("preparing to redirect connections", e))?;
        Ok(Redirect { ours, childs })
    }

    /// What the child calls between fork and exec. Only valid while this value lives.
    pub fn installer(&self) -> Installer {
        Installer { socket: self.childs.as_raw_fd() }
    }

    /// The child's listener, once the child has installed it.
    pub fn listener(self) -> Result<OwnedFd, Error> {
        // Without our copy of the child's end, a child that dies is seen at once.
        drop(self.childs);
        let failed = |e: io::Error| Error::new("waiting for a child's connections to be redirected", e);
        let limit = libc::timeval { tv_sec: HANDOVER_LIMIT.as_secs() as i64, tv_usec: 0 };
        // SAFETY: a valid socket and a value of the size that the option has.
        let set = unsafe {
            libc::setsockopt(
                self.ours.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const limit).cast(),
                size_of::<libc::timeval>() as u32,
            )
        };
        if set != 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        receive(self.ours.as_raw_fd()).map_err(failed)
    }
}

impl Installer {
    /// Installs the filter in the calling process and hands its listener to the parent. Async-signal-safe.
    pub fn install_in_child(self) -> io::Result<()> {
        let program = libc::sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
        let mut listener = filter(&program);
        // Without privilege the kernel asks for this promise first; with it, the node need not give it.
        if listener < 0 && errno() == libc::EACCES {
            // SAFETY: takes numbers only.
            if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
            listener = filter(&program);
        }
        if listener < 0 {
            return Err(io::Error::last_os_error());
        }
        let sent = send(self.socket, listener);
        // SAFETY: the descriptor is ours and not used again.
        unsafe { libc::close(listener) };
        sent
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn filter(program: &libc::sock_fprog) -> RawFd {
    // SAFETY: the program points to a constant array of the stated length.
    unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            std::ptr::from_ref(program),
        ) as RawFd
    }
}

/// Room for one descriptor in a control message, aligned as its header must be.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// Sends a descriptor with one byte. Async-signal-safe.
fn send(socket: RawFd, fd: RawFd) -> io::Result<()> {
    let mut byte = [0_u8];
    let mut control = Control([0; 24]);
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: all pointers are to locals that outlive the call; the control buffer holds one header and one descriptor.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        if libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) != 1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Receives what `send` sent.
fn receive(socket: RawFd) -> io::Result<OwnedFd> {
    let mut byte = [0_u8];
    let mut control = Control([0; 24]);
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: as in `send`; the descriptor is fresh and nobody else's.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        match libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) {
            -1 => return Err(io::Error::last_os_error()),
            0 => return Err(io::Error::other("the child ended before it installed its filter")),
            _ => {}
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::Error::other("the child sent no listener"));
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned()))
    }
}

/// Starts a program whose connections, and those of all its children, are redirected while the server lives.
pub fn spawn(
    command: &mut Command,
    map: impl Fn(SocketAddrV4) -> SocketAddrV4 + Send + Sync + 'static,
) -> Result<(Child, Server), Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let redirect = Redirect::prepare()?;
    let installer = redirect.installer();
    // SAFETY: the installer is async-signal-safe.
    unsafe {
        command.pre_exec(move || installer.install_in_child());
    }
    let mut child = command.spawn().map_err(|e| Error::new(format!("starting {name}"), e))?;
    match redirect.listener().and_then(|listener| serve(listener, map)) {
        Ok(server) => Ok((child, server)),
        Err(error) => {
            // It must not connect past the proxies, nor stay behind as a zombie.
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Tries it: a child connects to a port where nobody listens, and must arrive at one where we do.
pub fn supported() -> Result<(), String> {
    if ARCH == 0 {
        return Err(format!("connections are not redirected on {}", std::env::consts::ARCH));
    }
    let text = |e: io::Error| format!("opening a port for the trial: {e}");
    let heard = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
    let std::net::SocketAddr::V4(there) = heard.local_addr().map_err(text)? else {
        return Err("an address of IPv4 was asked for, another was given".into());
    };
    // Nobody listens on port 1 of this address of the loopback network.
    let nowhere = SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, 254), 1);
    let redirect = Redirect::prepare().map_err(|e| e.to_string())?;
    let installer = redirect.installer();
    // SAFETY: the child only makes system calls and ends without unwinding.
    match unsafe { libc::fork() } {
        -1 => Err(format!("forking for the trial: {}", io::Error::last_os_error())),
        0 => {
            let code = trial_in_child(installer, nowhere);
            // SAFETY: ends the child at once, without running anything of the parent's.
            unsafe { libc::_exit(code) }
        }
        child => {
            let server = redirect.listener().and_then(|fd| serve(fd, move |to| if to == nowhere { there } else { to }));
            let ended = waitpid(Pid::from_raw(child), None);
            let server = server.map_err(|e| e.to_string())?;
            match ended {
                Ok(WaitStatus::Exited(_, 0)) => Ok(()),
                other => Err(format!("a redirected connect failed ({other:?}): {:?}", server.failure())),
            }
        }
    }
}

/// Installs the filter and connects; the exit code is the errno, or 0.
fn trial_in_child(installer: Installer, to: SocketAddrV4) -> i32 {
    if let Err(error) = installer.install_in_child() {
        return error.raw_os_error().unwrap_or(255);
    }
    // SAFETY: system calls on numbers and on a local of the stated size.
    unsafe {
        libc::alarm(HANDOVER_LIMIT.as_secs() as u32);
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let address = serve::Address::from_v4(to);
        if fd < 0 || address.connect(fd) != 0 { errno() } else { 0 }
    }
}
