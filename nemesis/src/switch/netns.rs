//! A network namespace with a loopback and a TUN device, made by a thread that enters it and ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::sched::{CloneFlags, setns, unshare};

use crate::Error;

/// The name of the device in each namespace.
const DEVICE: &str = "gainsay0";
/// Large packets make bulk transfers cheap: a system call moves 64 KiB instead of 1.5. Offloads would be cheaper still,
/// but with them a lost packet would be a lost burst.
pub(super) const MTU: usize = 65_000;

/// One side of the switch.
pub(crate) struct Side {
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// Its network namespace.
    pub(crate) namespace: OwnedFd,
    /// The switch's end of its TUN device, non-blocking.
    pub(super) tun: OwnedFd,
}

/// Makes a namespace whose device has `address`.
pub(super) fn create(address: Ipv4Addr) -> Result<Side, Error> {
    let within = move || -> Result<Side, Error> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| Error::new("making a network namespace", error.desc()))?;
        let namespace =
            File::open("/proc/thread-self/ns/net").map_err(|error| Error::new("opening a network namespace", error))?;
        let tun = open_tun()?;
        configure(address)?;
        Ok(Side { address, namespace: namespace.into(), tun })
    };
    std::thread::Builder::new()
        .name("netns".into())
        .spawn(within)
        .map_err(|error| Error::new("starting a thread for a network namespace", error))?
        .join()
        .map_err(|_| Error::new("making a network namespace", "its thread panicked"))?
}

/// Moves the calling thread into a namespace.
pub(crate) fn join(namespace: BorrowedFd<'_>) -> Result<(), Error> {
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| Error::new("entering a network namespace", error.desc()))
}

/// Opens a TUN device in the calling thread's network namespace.
pub(crate) fn open_tun() -> Result<OwnedFd, Error> {
    let advice = "a TUN device is refused (opening /dev/net/tun; load the module tun, or give this user or container access to the device)";
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(|error| Error::new(advice, error))?;
    let mut request = request(DEVICE);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    control(file.as_fd(), libc::TUNSETIFF, &mut request)
        .map_err(|error| Error::new("a TUN device is refused (TUNSETIFF)", error))?;
    Ok(file.into())
}

fn configure(address: Ipv4Addr) -> Result<(), Error> {
    // SAFETY: plain values; the new descriptor is owned by nobody else.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if raw < 0 {
        return Err(Error::new("opening a socket to configure a device", io::Error::last_os_error()));
    }
    // SAFETY: as above.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    up(socket.as_fd(), "lo")?;
    set(socket.as_fd(), libc::SIOCSIFADDR, "the address", |request| {
        request.ifr_ifru.ifru_addr = socket_address(address);
    })?;
    set(socket.as_fd(), libc::SIOCSIFNETMASK, "the network mask", |request| {
        request.ifr_ifru.ifru_addr = socket_address(Ipv4Addr::new(255, 255, 255, 0));
    })?;
    set(socket.as_fd(), libc::SIOCSIFMTU, "the packet size", |request| {
        request.ifr_ifru.ifru_mtu = MTU as i32;
    })?;
    up(socket.as_fd(), DEVICE)
}

fn set(
    socket: BorrowedFd<'_>,
    code: libc::Ioctl,
    what: &str,
    fill: impl FnOnce(&mut libc::ifreq),
) -> Result<(), Error> {
    let mut request = request(DEVICE);
    fill(&mut request);
    control(socket, code, &mut request).map_err(|error| Error::new(format!("setting {what} of a TUN device"), error))
}

fn up(socket: BorrowedFd<'_>, device: &str) -> Result<(), Error> {
    let mut request = request(device);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    control(socket, libc::SIOCSIFFLAGS, &mut request)
        .map_err(|error| Error::new(format!("bringing up the device {device}"), error))
}

fn control(file: BorrowedFd<'_>, code: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every code used here takes a pointer to an `ifreq`, which outlives the call.
    match unsafe { libc::ioctl(file.as_raw_fd(), code, request as *mut libc::ifreq) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn request(device: &str) -> libc::ifreq {
    // SAFETY: plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
        sin_zero: [0; 8],
    };
    // SAFETY: both are 16 plain bytes; the kernel reads the one as the other.
    unsafe { std::mem::transmute(address) }
}
