//! A packet switch in user space: a network namespace and a TUN device per node, and one thread that forwards.
//!
//! Every packet between two nodes passes the harness, so a rule per *directed* link can drop, hold, repeat or damage
//! it; the kernel's own TCP at both ends does the rest, which is why a cut here looks like a cut of a real cable.
//! The clients share a namespace of their own, so that links between clients and nodes are links like the others.

mod forward;
mod netns;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub(crate) use netns::{Side, join, open_tun};

use crate::Error;
use crate::hosts::{LinkProbe, LinkRule};
use forward::Forwarder;
pub(crate) use forward::transmission;

/// The last byte of the clients' address.
const CLIENT_HOST: u8 = 1;
/// The last byte of the first node's address.
const FIRST_NODE_HOST: u8 = 10;
/// How many nodes an address plan of one last byte has room for.
const MAX_NODES: usize = 240;

/// The namespaces and the thread between them. Side 0 is the clients', side `i + 1` node i's.
pub(crate) struct Switch {
    sides: Vec<Side>,
    forwarder: Forwarder,
}

impl Switch {
    /// Makes a namespace for the clients and one for each node, and begins to forward.
    pub(crate) fn new(nodes: usize, seed: u64) -> Result<Switch, Error> {
        if nodes > MAX_NODES {
            return Err(Error(format!("the switch has addresses for {MAX_NODES} nodes, not for {nodes}")));
        }
        let [x, y, ..] = seed.to_le_bytes();
        let sides = (0..=nodes)
            .map(|side| {
                let host = match side {
                    0 => CLIENT_HOST,
                    node => FIRST_NODE_HOST + (node - 1) as u8,
                };
                netns::create(Ipv4Addr::new(10, x, y, host))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let forwarder = Forwarder::start(&sides, seed)?;
        Ok(Switch { sides, forwarder })
    }

    /// The address of a side, the same from everywhere.
    pub(crate) fn address(&self, side: usize) -> Ipv4Addr {
        self.sides[side].address
    }

    /// The namespace of a side.
    pub(crate) fn namespace(&self, side: usize) -> BorrowedFd<'_> {
        self.sides[side].namespace.as_fd()
    }

    /// Connects from one side's namespace to another side's port.
    pub(crate) fn probe(&self, from: usize, to: usize, port: u16, timeout: Duration) -> LinkProbe {
        let to = SocketAddr::from((self.address(to), port));
        let namespace = self.namespace(from);
        std::thread::scope(|scope| {
            let probing = std::thread::Builder::new().name("probe".into()).spawn_scoped(scope, move || {
                join(namespace)?;
                Ok::<_, Error>(connect(to, timeout))
            });
            // A probe that could not even begin has seen no answer.
            probing.ok().and_then(|thread| thread.join().ok()?.ok()).unwrap_or(LinkProbe::TimedOut)
        })
    }

    /// Puts rules in force; they are when this returns.
    pub(crate) fn set_rules(&self, rules: &[LinkRule]) -> Result<(), Error> {
        self.forwarder.set_rules(rules)
    }
}

fn connect(to: SocketAddr, timeout: Duration) -> LinkProbe {
    let start = Instant::now();
    match TcpStream::connect_timeout(&to, timeout) {
        Ok(_) => LinkProbe::Connected(start.elapsed()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => LinkProbe::Refused,
        Err(_) => LinkProbe::TimedOut,
    }
}
