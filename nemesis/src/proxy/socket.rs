//! The few things about sockets that the standard library does not offer.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

/// A non-blocking TCP socket.
pub(super) fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain values; the new descriptor is owned by nobody else.
    let raw = unsafe { libc::socket(libc::AF_INET, kind, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A socket at `address`, and the address it really has.
pub(super) fn bound(address: SocketAddrV4) -> io::Result<(OwnedFd, SocketAddrV4)> {
    let socket = open()?;
    bind(&socket, address)?;
    let address = local_address(&socket)?;
    Ok((socket, address))
}

/// Binds, and takes over what a former run left in TIME_WAIT.
pub(super) fn bind(socket: &OwnedFd, address: SocketAddrV4) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1_i32)?;
    let (address, length) = raw(address);
    // SAFETY: the address outlives the call.
    done(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })
}

/// Binds to an address and leaves the port to the kernel until the socket connects.
pub(super) fn bind_source(socket: &OwnedFd, address: Ipv4Addr) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1_i32)?;
    bind(socket, SocketAddrV4::new(address, 0))
}

/// Begins to connect; says whether that is done already.
pub(super) fn connect(socket: &OwnedFd, to: SocketAddrV4) -> io::Result<bool> {
    let (to, length) = raw(to);
    // SAFETY: the address outlives the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const to).cast(), length) };
    match done(result) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Connects, or gives up at `until`. The stream blocks.
pub(super) fn connect_until(socket: OwnedFd, to: SocketAddrV4, until: Instant) -> io::Result<TcpStream> {
    if !connect(&socket, to)? {
        let mut wait = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        let left = until.saturating_duration_since(Instant::now());
        let limit = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
        // SAFETY: one entry that outlives the call.
        if unsafe { libc::poll(&raw mut wait, 1, limit) } == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    let stream = TcpStream::from(socket);
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Listens with room for `backlog` connections and one; may be called again to change that.
pub(super) fn listen(socket: &OwnedFd, backlog: i32) -> io::Result<()> {
    // SAFETY: plain values.
    done(unsafe { libc::listen(socket.as_raw_fd(), backlog) })
}

/// Ends listening; the socket stays bound, so connecting to it is refused.
pub(super) fn unlisten(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain values.
    done(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RD) })
}

/// Takes a connection and tells where it comes from.
pub(super) fn accept(socket: &OwnedFd) -> io::Result<(TcpStream, SocketAddrV4)> {
    // SAFETY: all zeroes is a value.
    let mut from: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: room for an IPv4 address, as is said.
    let raw = unsafe { libc::accept4(socket.as_raw_fd(), (&raw mut from).cast(), &raw mut length, flags) };
    done(raw)?;
    // SAFETY: a new descriptor, owned by nobody else.
    let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(raw) });
    Ok((stream, cooked(from)))
}

/// The address of a socket.
pub(super) fn local_address(socket: &OwnedFd) -> io::Result<SocketAddrV4> {
    // SAFETY: all zeroes is a value.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: room for an IPv4 address, as is said.
    done(unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) })?;
    Ok(cooked(address))
}

/// Lets closing a stream reset the connection.
pub(super) fn reset_on_close(stream: &TcpStream) {
    let now = libc::linger { l_onoff: 1, l_linger: 0 };
    // A stream that refuses is closed the ordinary way, which the peer also understands.
    let _ = set(stream, libc::SOL_SOCKET, libc::SO_LINGER, now);
}

fn set<T>(socket: &impl AsRawFd, level: i32, name: i32, value: T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is as long as is said and outlives the call.
    done(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) })
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn raw(address: SocketAddrV4) -> (libc::sockaddr_in, libc::socklen_t) {
    let raw = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    (raw, size_of::<libc::sockaddr_in>() as libc::socklen_t)
}

fn cooked(address: libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()), u16::from_be(address.sin_port))
}
