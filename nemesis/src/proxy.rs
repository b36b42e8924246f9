//! TCP proxies, where namespaces are refused: one for every directed link and port, on loopback addresses.
//!
//! Node j is dialled as `127.R.i.j` by viewer i (0 the clients, i node i) and binds `127.R.j.j`; R is the run's own,
//! found free and held by a lock address, so that two runs at once do not meet. Whoever dials is known by what was
//! dialled, so each direction of each pair has a rule of its own.
//!
//! Less faithful than packets, and honest about it: a hole is bytes that are held, so nothing is retransmitted and
//! nothing can be lost, reordered or damaged. Two things are as on a real network, because clients decide by them:
//! connecting through a cut link hangs (the listener's backlog is full, the kernel drops SYNs), and connecting to a node that
//! is down is refused.

mod engine;
mod gate;
mod pair;
mod socket;

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Error;
use crate::hosts::{LinkProbe, LinkRule};
use crate::rulebook::Rulebook;
use engine::Engine;

/// The numbers a run may take: 127.0 is everybody's.
const RUNS: std::ops::RangeInclusive<u8> = 1..=254;
/// The port of the lock address.
const LOCK_PORT: u16 = 61_999;
/// How many nodes an address plan of one byte has room for.
const MAX_NODES: usize = 250;

/// The proxies of a run and the thread that serves them.
pub(crate) struct Proxy {
    plan: Plan,
    book: Arc<Rulebook>,
    probes: Probes,
    thread: Option<JoinHandle<()>>,
    /// Holds the run's number.
    _lock: TcpListener,
}

/// Where probes come from: the engine answers them when the far end is reached.
type Probes = Arc<Mutex<HashSet<SocketAddrV4>>>;

fn lock(probes: &Probes) -> MutexGuard<'_, HashSet<SocketAddrV4>> {
    probes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses of a run.
#[derive(Clone, Copy)]
struct Plan {
    run: u8,
}

impl Plan {
    /// Where `viewer` dials `target`; where `target` binds, if they are the same.
    fn address(self, viewer: usize, target: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.run, viewer as u8, target as u8)
    }

    fn bound(self, target: usize, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address(target, target), port)
    }
}

impl Proxy {
    /// Opens a listener per directed link and port.
    pub(crate) fn new(nodes: usize, ports: &[u16]) -> Result<Proxy, Error> {
        if nodes > MAX_NODES {
            return Err(Error(format!("the proxies have addresses for {MAX_NODES} nodes, not for {nodes}")));
        }
        let (plan, lock) = free_plan()?;
        let say = |error: io::Error| Error::new("starting the proxies", error);
        let book = Arc::new(Rulebook::new(nodes + 1).map_err(say)?);
        let probes = Probes::default();
        let mut engine = Engine::new(plan, nodes, ports, Arc::clone(&book), Arc::clone(&probes))?;
        let thread = std::thread::Builder::new().name("proxy".into()).spawn(move || engine.run()).map_err(say)?;
        Ok(Proxy { plan, book, probes, thread: Some(thread), _lock: lock })
    }

    /// Where `viewer` dials `target`.
    pub(crate) fn address(&self, viewer: usize, target: usize) -> Ipv4Addr {
        self.plan.address(viewer, target)
    }

    /// Puts rules in force; they are when this returns.
    pub(crate) fn set_rules(&self, rules: &[LinkRule]) -> Result<(), Error> {
        self.book.change(rules)
    }

    /// Connects along the proxied path, and waits for the byte that the proxy sends once it has reached the far end, so
    /// that a delay is measured and not the kernel's own handshake with the proxy.
    pub(crate) fn probe(&self, viewer: usize, target: usize, port: u16, timeout: Duration) -> LinkProbe {
        let start = Instant::now();
        let to = SocketAddrV4::new(self.address(viewer, target), port);
        let outcome = if viewer == target {
            TcpStream::connect_timeout(&to.into(), timeout).map(drop)
        } else {
            self.answered(to, start + timeout)
        };
        match outcome {
            Ok(()) => LinkProbe::Connected(start.elapsed()),
            Err(error) => match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => LinkProbe::Refused,
                _ => LinkProbe::TimedOut,
            },
        }
    }

    fn answered(&self, to: SocketAddrV4, until: Instant) -> io::Result<()> {
        let (socket, from) = socket::bound(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        lock(&self.probes).insert(from);
        let answer = socket::connect_until(socket, to, until).and_then(|mut stream| {
            let left = until.saturating_duration_since(Instant::now());
            stream.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            stream.read_exact(&mut [0])
        });
        lock(&self.probes).remove(&from);
        // A node that ends the connection at once has been reached all the same; one that refuses has it reset.
        answer
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.book.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Finds a number that no other run holds.
fn free_plan() -> Result<(Plan, TcpListener), Error> {
    let span = RUNS.end() - RUNS.start() + 1;
    let first: u8 = rand::random_range(0..span);
    for step in 0..span {
        let run = RUNS.start() + ((u16::from(first) + u16::from(step)) % u16::from(span)) as u8;
        let address = Ipv4Addr::new(127, run, 255, 254);
        if let Ok(lock) = TcpListener::bind((address, LOCK_PORT)) {
            return Ok((Plan { run }, lock));
        }
    }
    Err(Error(format!("every address 127.R.255.254:{LOCK_PORT} is taken: too many runs at once")))
}
