//! A listener that is open, refuses, or hangs, as the link and the node behind it are.
//!
//! Hanging takes a full backlog: the listener is given room for one connection, a filler of our own takes it, and the
//! kernel drops the SYN of whoever comes next, as a hole in the network would; after a heal its retransmission comes
//! through. Refusing takes a socket that is bound and does not listen.

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;

use super::socket;
use crate::wake::{Interest, Waiter};

/// Connections that may wait at an open gate.
const BACKLOG: i32 = 1024;

/// What connecting does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stance {
    /// It succeeds.
    Open,
    /// It hangs.
    Hanging,
    /// It is refused.
    Refusing,
}

/// The listener of a directed link and port.
pub(super) struct Gate {
    pub(super) viewer: usize,
    pub(super) target: usize,
    pub(super) port: u16,
    address: SocketAddrV4,
    socket: OwnedFd,
    stance: Stance,
    filler: Option<OwnedFd>,
    /// Fillers that got in and must be told from connections.
    fillers: HashSet<SocketAddrV4>,
}

impl Gate {
    /// Binds a gate that refuses.
    pub(super) fn new(viewer: usize, target: usize, address: SocketAddrV4) -> io::Result<Gate> {
        let socket = socket::open()?;
        socket::bind(&socket, address)?;
        Ok(Gate {
            viewer,
            target,
            port: address.port(),
            address,
            socket,
            stance: Stance::Refusing,
            filler: None,
            fillers: HashSet::new(),
        })
    }

    /// Takes a stance; events of the gate have `number`.
    pub(super) fn take(&mut self, stance: Stance, waiter: &Waiter, number: u64) -> io::Result<()> {
        if stance == self.stance {
            return Ok(());
        }
        let interest = |stance| match stance {
            Stance::Open => Interest::READ,
            Stance::Hanging | Stance::Refusing => Interest::NONE,
        };
        waiter.change(&self.socket, number, interest(self.stance), interest(stance))?;
        self.stance = stance;
        match stance {
            Stance::Open => {
                self.release_filler();
                socket::listen(&self.socket, BACKLOG)
            }
            Stance::Refusing => {
                self.filler = None;
                self.fillers.clear();
                socket::unlisten(&self.socket)
            }
            Stance::Hanging => self.fill(),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        socket::listen(&self.socket, 0)?;
        let filler = socket::open()?;
        socket::connect(&filler, self.address)?;
        self.fillers.insert(socket::local_address(&filler)?);
        self.filler = Some(filler);
        Ok(())
    }

    /// A filler that never got in must not be mistaken for the connection that gets its port one day.
    fn release_filler(&mut self) {
        let Some(filler) = self.filler.take() else {
            return;
        };
        let address = socket::local_address(&filler);
        let got_in = TcpStream::from(filler).peer_addr().is_ok();
        if let (Ok(address), false) = (address, got_in) {
            self.fillers.remove(&address);
        }
    }

    /// The next connection that waits, if any.
    pub(super) fn accept(&mut self) -> io::Result<(TcpStream, SocketAddrV4)> {
        loop {
            let (stream, from) = socket::accept(&self.socket)?;
            if !self.fillers.remove(&from) {
                return Ok((stream, from));
            }
        }
    }
}
