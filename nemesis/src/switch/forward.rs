//! The thread between the TUN devices: read a packet, find its destination, apply the directed rule, write it.
//!
//! A rule is looked up in the thread's own copy; the shared one is read only when a counter says it changed, so a
//! network without faults pays one atomic load a turn. Whoever changes rules waits until the thread has seen them:
//! a cut is in force when the call that made it returns. Nothing turns while nothing is sent: the thread sleeps in
//! `epoll_wait` until a packet, a due packet's timer or a change of rules wakes it.

mod queue;
mod wait;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::netns::Side;
use crate::Error;
use crate::hosts::LinkRule;
use queue::{Held, Links};
use wait::{Source, Waiter};

/// How many packets of one device are read before the others have their turn.
const BATCH: usize = 64;
/// Room for the largest packet IPv4 has.
const PACKET_ROOM: usize = 65_536;
/// How long a change of rules waits for the thread to take it up.
const CHANGE_LIMIT: Duration = Duration::from_secs(5);

/// The forwarding thread, and how to tell it of new rules.
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    rules: Mutex<Vec<LinkRule>>,
    /// Counts changes of `rules`.
    version: AtomicU64,
    /// The version the thread works by.
    taken: Mutex<u64>,
    taken_changed: Condvar,
    stop: AtomicBool,
    wake: OwnedFd,
}

impl Forwarder {
    /// Starts forwarding between `sides`, every link passing.
    pub(super) fn start(sides: &[Side], seed: u64) -> Result<Forwarder, Error> {
        let say = |error: io::Error| Error::new("starting the packet switch", error);
        let shared = Arc::new(Shared {
            rules: Mutex::new(vec![LinkRule::default(); sides.len() * sides.len()]),
            version: AtomicU64::new(0),
            taken: Mutex::new(0),
            taken_changed: Condvar::new(),
            stop: AtomicBool::new(false),
            wake: wait::event().map_err(say)?,
        });
        let tuns = sides.iter().map(|side| side.tun.try_clone()).collect::<io::Result<Vec<_>>>().map_err(say)?;
        let mut hosts = [None; 256];
        for (index, side) in sides.iter().enumerate() {
            hosts[usize::from(side.address.octets()[3])] = Some(index as u16);
        }
        let mut turn = Turn {
            waiter: Waiter::new(&tuns, &shared.wake).map_err(say)?,
            links: Links::new(sides.len(), ChaCha8Rng::seed_from_u64(seed)),
            network: sides[0].address,
            version: 0,
            shared: Arc::clone(&shared),
            buffer: vec![0; PACKET_ROOM],
            tuns,
            hosts,
        };
        let thread = std::thread::Builder::new().name("switch".into()).spawn(move || turn.run()).map_err(say)?;
        Ok(Forwarder { shared, thread: Some(thread) })
    }

    /// Replaces all rules (row: from, column: to) and waits until they are in force.
    pub(super) fn set_rules(&self, rules: &[LinkRule]) -> Result<(), Error> {
        let version = {
            let mut current = lock(&self.shared.rules);
            current.clear();
            current.extend_from_slice(rules);
            self.shared.version.fetch_add(1, Ordering::Release) + 1
        };
        wait::ring(&self.shared.wake);
        let (taken, _) = self
            .shared
            .taken_changed
            .wait_timeout_while(lock(&self.shared.taken), CHANGE_LIMIT, |taken| *taken < version)
            .unwrap_or_else(PoisonError::into_inner);
        if *taken < version {
            return Err(Error::new("changing link rules", "the packet switch does not respond"));
        }
        Ok(())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        wait::ring(&self.shared.wake);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread owns.
struct Turn {
    shared: Arc<Shared>,
    version: u64,
    tuns: Vec<OwnedFd>,
    /// Which side has an address, by its last byte.
    hosts: [Option<u16>; 256],
    network: Ipv4Addr,
    links: Links,
    waiter: Waiter,
    buffer: Vec<u8>,
}

impl Turn {
    fn run(&mut self) {
        wait::sharpen_timers();
        let mut ready = Vec::new();
        while !self.shared.stop.load(Ordering::Acquire) {
            self.waiter.wait(self.links.next_due(), &mut ready);
            if self.shared.version.load(Ordering::Acquire) != self.version {
                self.take_rules();
            }
            for source in ready.drain(..) {
                match source {
                    Source::Side(side) => self.forward_from(side),
                    Source::Wake => wait::clear(&self.shared.wake),
                    Source::Timer => self.waiter.clear_timer(),
                }
            }
            self.deliver_due();
        }
    }

    fn take_rules(&mut self) {
        {
            let rules = lock(&self.shared.rules);
            self.version = self.shared.version.load(Ordering::Acquire);
            self.links.set_rules(&rules);
        }
        *lock(&self.shared.taken) = self.version;
        self.shared.taken_changed.notify_all();
    }

    fn forward_from(&mut self, from: usize) {
        for _ in 0..BATCH {
            let Some(length) = read(self.tuns[from].as_raw_fd(), &mut self.buffer) else {
                return;
            };
            let Some(to) = self.destination(&self.buffer[..length]) else {
                continue;
            };
            if self.links.passes(from, to) {
                write(self.tuns[to].as_raw_fd(), &self.buffer[..length]);
            } else {
                self.links.admit(from, to, &mut self.buffer[..length], Instant::now());
            }
        }
    }

    /// Only IPv4 within the switch's network goes anywhere: IPv6's own chatter has no addressee here.
    fn destination(&self, packet: &[u8]) -> Option<usize> {
        let [x, y, z, host] = *packet.get(16..20)?.first_chunk::<4>()?;
        let network = self.network.octets();
        (packet[0] >> 4 == 4 && [x, y, z] == network[..3]).then(|| self.hosts[usize::from(host)])?.map(usize::from)
    }

    fn deliver_due(&mut self) {
        if self.links.next_due().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(Held { to, packet, .. }) = self.links.take_due(now) {
            write(self.tuns[to].as_raw_fd(), &packet);
        }
    }
}

fn read(fd: RawFd, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the buffer is as long as is said.
    let read = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    (read > 0).then_some(read as usize)
}

/// A packet the receiver has no room for is lost, as on any network.
fn write(fd: RawFd, packet: &[u8]) {
    // SAFETY: the packet is as long as is said.
    unsafe { libc::write(fd, packet.as_ptr().cast(), packet.len()) };
}

/// A descriptor to wait on that the whole module names the same way.
fn raw(file: &impl AsFd) -> RawFd {
    file.as_fd().as_raw_fd()
}
