//! The thread between the TUN devices: read a packet, find its destination, apply the directed rule, write it.
//!
//! Nothing turns while nothing is sent: the thread sleeps until a packet, a held packet's time or a change of rules
//! wakes it.

mod queue;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::netns::Side;
use crate::Error;
use crate::hosts::LinkRule;
use crate::rulebook::Rulebook;
use crate::wake::{self, Interest, Source, Waiter};
pub(crate) use queue::transmission;
use queue::{Held, Links};

/// How many packets of one device are read before the others have their turn.
const BATCH: usize = 64;
/// Room for the largest packet IPv4 has.
const PACKET_ROOM: usize = 65_536;

/// The forwarding thread, and how to tell it of new rules.
pub(super) struct Forwarder {
    shared: Arc<Rulebook>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Starts forwarding between `sides`, every link passing.
    pub(super) fn start(sides: &[Side], seed: u64) -> Result<Forwarder, Error> {
        let say = |error: io::Error| Error::new("starting the packet switch", error);
        let shared = Arc::new(Rulebook::new(sides.len()).map_err(say)?);
        let tuns = sides.iter().map(|side| side.tun.try_clone()).collect::<io::Result<Vec<_>>>().map_err(say)?;
        let mut hosts = [None; 256];
        for (index, side) in sides.iter().enumerate() {
            hosts[usize::from(side.address.octets()[3])] = Some(index as u16);
        }
        let waiter = Waiter::new(&shared.wake).map_err(say)?;
        for (index, tun) in tuns.iter().enumerate() {
            waiter.change(tun, index as u64, Interest::NONE, Interest::READ).map_err(say)?;
        }
        let mut turn = Turn {
            waiter,
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
        self.shared.change(rules)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Turn {
    shared: Arc<Rulebook>,
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
        wake::sharpen_timers();
        let mut ready = Vec::new();
        while !self.shared.is_stopped() {
            self.waiter.wait(self.links.next_due(), &mut ready);
            let links = &mut self.links;
            self.shared.take_newer(&mut self.version, |rules| links.set_rules(rules));
            for source in ready.drain(..) {
                match source {
                    Source::File(side) => self.forward_from(side as usize),
                    Source::Wake => wake::clear(&self.shared.wake),
                    Source::Timer => self.waiter.clear_timer(),
                }
            }
            self.deliver_due();
        }
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
