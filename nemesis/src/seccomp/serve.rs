//! Answers the questions of a filter: reads where a process wants to connect, and connects its socket elsewhere.

use std::collections::HashSet;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::Error;

/// How long, in milliseconds, the listener is waited for before the stop flag and the dead are looked at.
const TICK_MS: i32 = 50;
/// More blocking connects than this at once are refused, as a kernel short of memory would.
const MOST_BLOCKED: usize = 256;

/// Answers until every process under the filter has ended, or until dropped. Processes that still live when it is
/// dropped can no longer connect anywhere.
pub struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the serving thread and its helpers share.
struct Shared {
    listener: OwnedFd,
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
    /// Blocking connects under way.
    blocked: Mutex<Vec<Blocked>>,
    /// Sockets (process, descriptor) connected by us when the process had been interrupted and asks again.
    unheard: Mutex<HashSet<(u32, RawFd)>>,
}

struct Blocked {
    id: u64,
    process: OwnedFd,
    socket: RawFd,
}

impl Server {
    /// Why a connect that should have been redirected was refused instead, if any was; the last such.
    pub fn failure(&self) -> Option<String> {
        lock(&self.shared.failure).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics nowhere, and there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Serves a listener on a thread of its own. Addresses that the map returns unchanged are left to the process itself.
pub fn serve(
    listener: OwnedFd,
    map: impl Fn(SocketAddrV4) -> SocketAddrV4 + Send + Sync + 'static,
) -> Result<Server, Error> {
    let shared = Arc::new(Shared {
        listener,
        stop: AtomicBool::new(false),
        failure: Mutex::default(),
        blocked: Mutex::default(),
        unheard: Mutex::default(),
    });
    let for_thread = shared.clone();
    let thread = std::thread::Builder::new().name("connects".into()).spawn(move || answer_all(&for_thread, &map));
    let thread = thread.map_err(|e| Error::new("starting a thread that redirects connections", e))?;
    Ok(Server { shared, thread: Some(thread) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer_all(shared: &Arc<Shared>, map: &dyn Fn(SocketAddrV4) -> SocketAddrV4) {
    while !shared.stop.load(Ordering::Relaxed) {
        let mut ready = libc::pollfd { fd: shared.listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        let count = unsafe { libc::poll(&raw mut ready, 1, TICK_MS) };
        abandon_the_dead(shared, Dead::Processes);
        if count > 0 && ready.revents & libc::POLLIN != 0 {
            answer_one(shared, map);
        } else if count > 0 {
            // Nobody is left under the filter.
            break;
        }
    }
    abandon_the_dead(shared, Dead::Everybody);
}

fn answer_one(shared: &Arc<Shared>, map: &dyn Fn(SocketAddrV4) -> SocketAddrV4) {
    // SAFETY: the kernel fills a zeroed structure, and refuses others.
    let question = unsafe {
        let mut question: libc::seccomp_notif = zeroed();
        if libc::ioctl(shared.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut question) != 0 {
            return; // the process ended, or was interrupted, between the two calls
        }
        question
    };
    let Some(meant) = read_address(&question) else { return shared.go_on(question.id) };
    let to = map(meant.v4);
    if to == meant.v4 {
        return shared.go_on(question.id);
    }
    match fetch(shared, &question) {
        Ok(Fetched::Gone) => {}
        Ok(Fetched::Other) => shared.go_on(question.id),
        Ok(Fetched::Stream(socket, process, tgid)) => {
            connect(shared, &question, socket, process, tgid, meant.redirected(to));
        }
        Err(error) => {
            // Rather no connection than one that bypasses the proxies unseen.
            *lock(&shared.failure) = Some(format!("redirecting a connect from {} to {to}: {error}", meant.v4));
            shared.reply(question.id, libc::EACCES);
        }
    }
}

impl Shared {
    /// Lets the process make the call itself.
    fn go_on(&self, id: u64) {
        self.send(libc::seccomp_notif_resp {
            id,
            val: 0,
            error: 0,
            flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        });
    }

    /// Makes the call return: 0, or an errno. False if the process no longer waits for it.
    fn reply(&self, id: u64, errno: i32) -> bool {
        self.send(libc::seccomp_notif_resp { id, val: 0, error: -errno, flags: 0 })
    }

    fn send(&self, mut answer: libc::seccomp_notif_resp) -> bool {
        // SAFETY: a valid descriptor and a structure of the kernel's layout.
        unsafe { libc::ioctl(self.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) == 0 }
    }

    /// Whether the process still waits: what was read from it before belongs to this very call.
    fn waits(&self, mut id: u64) -> bool {
        // SAFETY: a valid descriptor and a number.
        unsafe { libc::ioctl(self.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id) == 0 }
    }
}

/// An address that the kernel understands.
#[derive(Clone, Copy)]
pub struct Address {
    v4: SocketAddrV4,
    bytes: [u8; size_of::<libc::sockaddr_in6>()],
    length: u32,
}

const V4_LENGTH: usize = size_of::<libc::sockaddr_in>();
const V6_LENGTH: usize = size_of::<libc::sockaddr_in6>();

impl Address {
    /// An address of IPv4. Allocates nothing.
    pub fn from_v4(v4: SocketAddrV4) -> Address {
        let mut bytes = [0; V6_LENGTH];
        bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        bytes[2..4].copy_from_slice(&v4.port().to_be_bytes());
        bytes[4..8].copy_from_slice(&v4.ip().octets());
        Address { v4, bytes, length: V4_LENGTH as u32 }
    }

    /// Reads IPv4, also in the guise of IPv6 that sockets for both use.
    fn parse(bytes: [u8; V6_LENGTH], length: usize) -> Option<Address> {
        let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        let ip = match family {
            libc::AF_INET if length >= V4_LENGTH => Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]),
            libc::AF_INET6 if length >= V6_LENGTH - size_of::<u32>() => {
                let octets: [u8; 16] = bytes[8..24].try_into().ok()?;
                Ipv6Addr::from(octets).to_ipv4_mapped()?
            }
            _ => return None,
        };
        Some(Address { v4: SocketAddrV4::new(ip, port), bytes, length: length.min(V6_LENGTH) as u32 })
    }

    /// Another place, in the same family, as the socket is of that family.
    fn redirected(mut self, to: SocketAddrV4) -> Address {
        if i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]])) == libc::AF_INET {
            return Address::from_v4(to);
        }
        self.bytes[2..4].copy_from_slice(&to.port().to_be_bytes());
        self.bytes[20..24].copy_from_slice(&to.ip().octets());
        Address { v4: to, ..self }
    }

    /// Connects a socket; allocates nothing.
    pub fn connect(&self, socket: RawFd) -> i32 {
        // SAFETY: the bytes are as long as said; a wrong descriptor is an error of the kernel's.
        unsafe { libc::connect(socket, self.bytes.as_ptr().cast(), self.length) }
    }
}

/// Where the process means to connect; nothing if it is no address that could be mapped.
fn read_address(question: &libc::seccomp_notif) -> Option<Address> {
    let (at, length) = (question.data.args[1], question.data.args[2] as usize);
    let mut bytes = [0_u8; V6_LENGTH];
    let length = length.min(V6_LENGTH);
    let ours = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let theirs = libc::iovec { iov_base: at as *mut libc::c_void, iov_len: length };
    // SAFETY: our side is a local buffer of the stated length; the kernel checks the other side.
    let read = unsafe { libc::process_vm_readv(question.pid as i32, &raw const ours, 1, &raw const theirs, 1, 0) };
    if usize::try_from(read) != Ok(length) {
        return None;
    }
    Address::parse(bytes, length)
}

enum Fetched {
    /// The process ended or was interrupted.
    Gone,
    /// Not a stream: resolvers connect datagram sockets to compare addresses.
    Other,
    /// The socket, its process, and the process's id.
    Stream(OwnedFd, OwnedFd, u32),
}

/// Gets a copy of the process's socket.
fn fetch(shared: &Shared, question: &libc::seccomp_notif) -> io::Result<Fetched> {
    let tgid = match process_of(question.pid) {
        Ok(tgid) => tgid,
        Err(_) if !shared.waits(question.id) => return Ok(Fetched::Gone),
        Err(error) => return Err(error),
    };
    // SAFETY: system calls on numbers; the descriptors they return are fresh and ours.
    let process = unsafe { owned(libc::syscall(libc::SYS_pidfd_open, tgid, 0)) };
    if !shared.waits(question.id) {
        return Ok(Fetched::Gone);
    }
    let process = process?;
    // SAFETY: as above.
    let socket = unsafe { owned(libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), question.data.args[0], 0)) };
    let socket = match socket {
        Ok(socket) => socket,
        Err(_) if !shared.waits(question.id) => return Ok(Fetched::Gone),
        // Not a descriptor at all: the kernel shall say so itself.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(Fetched::Other),
        Err(error) => return Err(error),
    };
    let (mut kind, mut length) = (0_i32, size_of::<i32>() as u32);
    // SAFETY: the option is a number, and there is room for one.
    let asked = unsafe {
        let (kind, length) = ((&raw mut kind).cast(), &raw mut length);
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TYPE, kind, length)
    };
    if asked != 0 || kind != libc::SOCK_STREAM {
        return Ok(Fetched::Other);
    }
    Ok(Fetched::Stream(socket, process, tgid))
}

/// Takes a descriptor that a system call returned.
///
/// # Safety
/// The descriptor must be fresh, and nobody else's.
unsafe fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: by the caller's word.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

/// The process to which a thread belongs.
fn process_of(thread: u32) -> io::Result<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|id| id.trim().parse().ok()).ok_or_else(|| io::Error::other("its status names no process"))
}

/// Connects at once what does not block; gives everything else a thread.
fn connect(
    shared: &Arc<Shared>,
    question: &libc::seccomp_notif,
    socket: OwnedFd,
    process: OwnedFd,
    tgid: u32,
    to: Address,
) {
    let id = question.id;
    let key = (tgid, question.data.args[0] as RawFd);
    // SAFETY: asks a valid descriptor for its flags.
    let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
    if flags & libc::O_NONBLOCK != 0 {
        lock(&shared.unheard).remove(&key);
        shared.reply(id, outcome(to.connect(socket.as_raw_fd())));
        return;
    }
    let mut blocked = lock(&shared.blocked);
    if blocked.len() >= MOST_BLOCKED {
        drop(blocked);
        shared.reply(id, libc::ENOBUFS);
        return;
    }
    blocked.push(Blocked { id, process, socket: socket.as_raw_fd() });
    drop(blocked);
    let for_thread = shared.clone();
    let work = move || {
        let errno = outcome(to.connect(socket.as_raw_fd()));
        let was_unheard = lock(&for_thread.unheard).remove(&key);
        let errno = if errno == libc::EISCONN && was_unheard { 0 } else { errno };
        // Off the list before the descriptor is closed: its number may be given to another file at once.
        lock(&for_thread.blocked).retain(|b| b.id != id);
        if !for_thread.reply(id, errno) && errno == 0 {
            lock(&for_thread.unheard).insert(key);
        }
        drop(socket);
    };
    if let Err(error) = std::thread::Builder::new().name("connect".into()).spawn(work) {
        *lock(&shared.failure) = Some(format!("starting a thread for a blocking connect: {error}"));
        lock(&shared.blocked).retain(|b| b.id != id);
        shared.reply(id, libc::ENOBUFS);
    }
}

/// The errno of a call that has just returned, 0 if it succeeded.
fn outcome(result: i32) -> i32 {
    if result == 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dead {
    Processes,
    Everybody,
}

/// Ends blocking connects for which nobody waits any more: a process that is dead closed its socket, we did not.
fn abandon_the_dead(shared: &Shared, which: Dead) {
    for blocked in lock(&shared.blocked).iter() {
        let mut ended = libc::pollfd { fd: blocked.process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry; and the socket is open, as its thread takes it off the list before closing it.
        unsafe {
            if which == Dead::Everybody || libc::poll(&raw mut ended, 1, 0) > 0 {
                libc::shutdown(blocked.socket, libc::SHUT_RDWR);
            }
        }
    }
}
