//! The thread that serves all proxies: accepts, connects on, moves bytes, and keeps each gate as its link is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{Gate, Stance};
use super::pair::{Lane, Outcome, interest};
use super::{Plan, Probes, lock, socket};
use crate::Error;
use crate::hosts::LinkRule;
use crate::rulebook::Rulebook;
use crate::wake::{self, Interest, Source, Waiter};

/// How often a node that is down is asked whether it is up.
const DOWN_RECHECK: Duration = Duration::from_millis(10);
/// How long accepting rests when descriptors have run out.
const ACCEPT_REST: Duration = Duration::from_millis(5);
/// How many connections a gate lets in before others have their turn.
const ACCEPTS: usize = 64;
/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// A node's port.
struct Target {
    side: usize,
    port: u16,
    is_up: bool,
}

/// How far the way on is.
enum Far {
    /// The SYN is under way.
    Due(Instant),
    Connecting(TcpStream),
    Connected(TcpStream),
}

/// A connection through a gate.
struct Pair {
    viewer: usize,
    target: usize,
    port: u16,
    is_probe: bool,
    near: TcpStream,
    far: Far,
    /// From near to far and from far to near.
    lanes: [Lane; 2],
    interests: [Interest; 2],
    timer: Option<Instant>,
}

/// All that the thread owns.
pub(super) struct Engine {
    plan: Plan,
    sides: usize,
    rules: Vec<LinkRule>,
    version: u64,
    book: Arc<Rulebook>,
    probes: Probes,
    waiter: Waiter,
    gates: Vec<Gate>,
    targets: Vec<Target>,
    recheck: Option<Instant>,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    buffer: Vec<u8>,
}

impl Engine {
    /// Binds every gate; all refuse until their node is up.
    pub(super) fn new(
        plan: Plan,
        nodes: usize,
        ports: &[u16],
        book: Arc<Rulebook>,
        probes: Probes,
    ) -> Result<Engine, Error> {
        let mut gates = Vec::new();
        let mut targets = Vec::new();
        for target in 1..=nodes {
            for &port in ports {
                targets.push(Target { side: target, port, is_up: false });
                for viewer in (0..=nodes).filter(|viewer| *viewer != target) {
                    let address = SocketAddrV4::new(plan.address(viewer, target), port);
                    gates.push(
                        Gate::new(viewer, target, address)
                            .map_err(|error| Error::new(format!("binding the proxy {address}"), error))?,
                    );
                }
            }
        }
        let waiter = Waiter::new(&book.wake).map_err(|error| Error::new("starting the proxies", error))?;
        Ok(Engine {
            plan,
            sides: nodes + 1,
            rules: vec![LinkRule::default(); (nodes + 1) * (nodes + 1)],
            version: 0,
            book,
            probes,
            waiter,
            gates,
            targets,
            recheck: Some(Instant::now()),
            pairs: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Serves until the book says stop.
    pub(super) fn run(&mut self) {
        wake::sharpen_timers();
        let mut ready = Vec::new();
        while !self.book.is_stopped() {
            let due = self.timers.peek().map(|Reverse((due, _))| *due);
            let due = [due, self.recheck].into_iter().flatten().min();
            self.waiter.wait(due, &mut ready);
            self.take_rules();
            for source in ready.drain(..) {
                match source {
                    Source::Wake => wake::clear(&self.book.wake),
                    Source::Timer => self.waiter.clear_timer(),
                    Source::File(number) => match (number as usize).checked_sub(self.gates.len()) {
                        None => self.accept(number as usize),
                        Some(end) => self.pump(end / 2),
                    },
                }
            }
            self.run_timers();
        }
    }

    /// Gates change before the change is confirmed; held bytes move after.
    fn take_rules(&mut self) {
        let (book, before) = (Arc::clone(&self.book), self.version);
        let mut version = before;
        book.take_newer(&mut version, |rules| {
            self.rules = rules.to_vec();
            self.set_gates();
        });
        self.version = version;
        if version != before {
            (0..self.pairs.len()).for_each(|pair| self.pump(pair));
        }
    }

    fn set_gates(&mut self) {
        for (number, gate) in self.gates.iter_mut().enumerate() {
            let (from, to) = (gate.viewer, gate.target);
            let cut = self.rules[from * self.sides + to].cut || self.rules[to * self.sides + from].cut;
            let is_up = self.targets.iter().any(|target| target.is_up && (target.side, target.port) == (to, gate.port));
            let stance = match (cut, is_up) {
                (true, _) => Stance::Hanging,
                (false, true) => Stance::Open,
                (false, false) => Stance::Refusing,
            };
            if let Err(error) = gate.take(stance, &self.waiter, number as u64) {
                eprintln!("gainsay: a proxy of port {} cannot become {stance:?}: {error}", gate.port);
            }
        }
    }

    fn run_timers(&mut self) {
        let now = Instant::now();
        if self.recheck.is_some_and(|due| due <= now) {
            self.recheck_targets(now);
        }
        while let Some(Reverse((due, pair))) = self.timers.peek().copied() {
            if due > now {
                return;
            }
            self.timers.pop();
            if let Some(Some(pair)) = self.pairs.get_mut(pair) {
                pair.timer = None;
            }
            self.pump(pair);
        }
    }

    /// Asks each node that is down. A connection is all that tells: the first one a node gets says nothing and ends.
    fn recheck_targets(&mut self, now: Instant) {
        let mut changed = false;
        for target in self.targets.iter_mut().filter(|target| !target.is_up) {
            target.is_up = is_listening(self.plan.bound(target.side, target.port));
            changed |= target.is_up;
        }
        let all_up = self.targets.iter().all(|target| target.is_up);
        self.recheck = (!all_up).then(|| now + DOWN_RECHECK);
        if changed {
            self.set_gates();
        }
    }

    fn mark_down(&mut self, side: usize, port: u16) {
        for target in &mut self.targets {
            if (target.side, target.port) == (side, port) {
                target.is_up = false;
            }
        }
        self.recheck.get_or_insert_with(|| Instant::now() + DOWN_RECHECK);
        self.set_gates();
    }

    fn accept(&mut self, gate: usize) {
        for _ in 0..ACCEPTS {
            match self.gates[gate].accept() {
                Ok((near, from)) => self.admit(gate, near, from),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                    std::thread::sleep(ACCEPT_REST);
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn admit(&mut self, gate: usize, near: TcpStream, from: SocketAddrV4) {
        let _ = near.set_nodelay(true);
        let Gate { viewer, target, port, .. } = self.gates[gate];
        let rule = &self.rules[viewer * self.sides + target];
        let travel = rule.delay + rule.jitter.mul_f64(rand::random());
        let pair = Pair {
            viewer,
            target,
            port,
            is_probe: lock(&self.probes).contains(&from),
            near,
            far: Far::Due(Instant::now() + travel),
            lanes: Default::default(),
            interests: [Interest::NONE; 2],
            timer: None,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        self.pairs[index] = Some(pair);
        self.pump(index);
    }

    fn pump(&mut self, index: usize) {
        let Some(mut pair) = self.pairs.get_mut(index).and_then(Option::take) else {
            return;
        };
        let now = Instant::now();
        let forth = &self.rules[pair.viewer * self.sides + pair.target];
        let back = &self.rules[pair.target * self.sides + pair.viewer];
        match pair.turn(self.plan, forth, back, now, &mut self.buffer) {
            Ok(true) => {}
            Ok(false) => return self.free.push(index),
            Err(error) => {
                socket::reset_on_close(&pair.near);
                self.free.push(index);
                if error.kind() == ErrorKind::ConnectionRefused {
                    self.mark_down(pair.target, pair.port);
                }
                return;
            }
        }
        if let Some(due) = pair.next_due(forth, back)
            && pair.timer.is_none_or(|timer| due < timer)
        {
            pair.timer = Some(due);
            self.timers.push(Reverse((due, index)));
        }
        if pair.register(&self.waiter, (self.gates.len() + 2 * index) as u64).is_ok() {
            self.pairs[index] = Some(pair);
        } else {
            self.free.push(index);
        }
    }
}

impl Pair {
    /// Does what can be done now; says whether the pair lives on. An error is the way on's.
    fn turn(
        &mut self,
        plan: Plan,
        forth: &LinkRule,
        back: &LinkRule,
        now: Instant,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        self.advance(plan, forth, back, now)?;
        let Far::Connected(far) = &mut self.far else {
            return Ok(true);
        };
        let [there, here] = &mut self.lanes;
        let outcomes =
            [there.pump(&mut self.near, far, forth, now, buffer), here.pump(far, &mut self.near, back, now, buffer)];
        match outcomes[0] {
            Outcome::Going => {}
            Outcome::Reset => socket::reset_on_close(far),
            Outcome::ReceiverGone => {
                there.lose_sink();
                here.lose_source(back, now);
            }
        }
        match outcomes[1] {
            Outcome::Going => {}
            Outcome::Reset => socket::reset_on_close(&self.near),
            Outcome::ReceiverGone => {
                here.lose_sink();
                there.lose_source(forth, now);
            }
        }
        let reset = outcomes.contains(&Outcome::Reset);
        let ended = there.has_ended() && here.has_ended();
        Ok(!(reset || ended))
    }

    /// Goes on connecting. A connection takes both directions of a link.
    fn advance(&mut self, plan: Plan, forth: &LinkRule, back: &LinkRule, now: Instant) -> io::Result<()> {
        if let Far::Due(due) = self.far
            && due <= now
            && !forth.cut
            && !back.cut
        {
            self.far = self.begin(plan)?;
        }
        let arrived = match &self.far {
            Far::Connecting(stream) => is_connected(stream)?,
            Far::Due(_) | Far::Connected(_) => false,
        };
        if arrived {
            self.far = match std::mem::replace(&mut self.far, Far::Due(now)) {
                Far::Connecting(stream) => Far::Connected(stream),
                other => other,
            };
            if self.is_probe {
                self.lanes[1].answer_probe(back, now);
            }
        }
        Ok(())
    }

    fn begin(&self, plan: Plan) -> io::Result<Far> {
        let socket: OwnedFd = socket::open()?;
        if self.viewer > 0 {
            // Who connects is seen by the address, as on a network; without it the connection is as good.
            let _ = socket::bind_source(&socket, plan.address(self.viewer, self.viewer));
        }
        socket::connect(&socket, plan.bound(self.target, self.port))?;
        let stream = TcpStream::from(socket);
        let _ = stream.set_nodelay(true);
        Ok(Far::Connecting(stream))
    }

    fn next_due(&self, forth: &LinkRule, back: &LinkRule) -> Option<Instant> {
        match self.far {
            Far::Due(due) => (!forth.cut && !back.cut).then_some(due),
            Far::Connecting(_) => None,
            Far::Connected(_) => {
                let [there, here] = &self.lanes;
                [there.next_due(forth), here.next_due(back)].into_iter().flatten().min()
            }
        }
    }

    fn register(&mut self, waiter: &Waiter, number: u64) -> io::Result<()> {
        let [there, here] = &self.lanes;
        let (near, far) = match &self.far {
            Far::Due(_) => (Interest::NONE, None),
            Far::Connecting(stream) => (Interest::NONE, Some((stream, Interest { read: false, write: true }))),
            Far::Connected(stream) => (interest(there, here), Some((stream, interest(here, there)))),
        };
        waiter.change(&self.near, number, self.interests[0], near)?;
        self.interests[0] = near;
        if let Some((stream, wanted)) = far {
            waiter.change(stream, number + 1, self.interests[1], wanted)?;
            self.interests[1] = wanted;
        }
        Ok(())
    }
}

/// Whether a connection has been made; an error if it was refused.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream.peer_addr().is_ok()),
    }
}

/// Whether somebody listens at a loopback address: there, the answer has come by the time the call returns.
fn is_listening(address: SocketAddrV4) -> bool {
    socket::open()
        .and_then(|socket| {
            socket::connect(&socket, address)?;
            is_connected(&TcpStream::from(socket))
        })
        .unwrap_or(false)
}
