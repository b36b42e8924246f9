//! What a directed link between two parties does to packets, and what a probe over it finds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Endpoint {
    /// The place where all clients live.
    Client,
    /// A node, by name.
    Node(String),
}

/// What happens to the packets of one directed link. The default lets everything pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LinkRule {
    /// Nothing passes.
    pub cut: bool,
    /// Every packet is late by this much.
    pub delay: Duration,
    /// The delay varies by up to this much either way.
    pub jitter: Duration,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Share of packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of packets overtaken by the next one, 0 to 1.
    pub reorder: f64,
    /// Share of packets with a flipped bit, 0 to 1.
    pub corrupt: f64,
    /// Bits per second, if limited.
    pub rate_bits: Option<u64>,
}

impl LinkRule {
    /// The rule under which nothing passes.
    pub fn cut() -> LinkRule {
        LinkRule { cut: true, ..LinkRule::default() }
    }
}

/// What became of one attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkProbe {
    /// The connection stood after this long.
    Connected(Duration),
    /// The other end answered that nobody listens.
    Refused,
    /// Nothing came back within the limit.
    TimedOut,
}

/// What a node's program does at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It was never started.
    NotStarted,
    /// It runs.
    Running,
    /// It is stopped by a signal and can be continued.
    Paused,
    /// It was killed by the nemesis.
    Killed,
    /// It ended by itself.
    Exited {
        /// How: the exit code or the signal, in words.
        status: String,
    },
}
