//! Directed links: who may be at either end, what may be done to one, and what a probe of one found.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// From where an address is to be dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Viewpoint<'a> {
    /// From the clients.
    Client,
    /// From a node.
    Node(&'a str),
}

/// An end of a link.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Endpoint {
    /// The clients, all of them.
    Client,
    /// A node.
    Node(String),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Endpoint::Client => "clients",
            Endpoint::Node(name) => name,
        })
    }
}

/// What happens to packets from one end of a link to the other; the default lets all pass.
///
/// Chances are from 0 to 1, for each packet by itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LinkRule {
    /// Nothing passes.
    pub cut: bool,
    /// Added to the time of travel.
    pub delay: Duration,
    /// At most this much more, uniformly.
    pub jitter: Duration,
    /// The chance of being lost.
    pub loss: f64,
    /// The chance of arriving twice.
    pub duplicate: f64,
    /// The chance of being overtaken.
    pub reorder: f64,
    /// The chance that a bit flips. TCP's checksum finds it: to a program it looks like loss.
    pub corrupt: f64,
    /// The most bits a second, if limited.
    pub rate_bits: Option<u64>,
}

impl LinkRule {
    /// The rule under which nothing passes.
    pub fn cut() -> LinkRule {
        LinkRule { cut: true, ..LinkRule::default() }
    }

    /// The parts a TCP proxy has no packets for.
    pub(crate) fn packet_faults(&self) -> Vec<&'static str> {
        [
            ("loss", self.loss),
            ("duplication", self.duplicate),
            ("reordering", self.reorder),
            ("corruption", self.corrupt),
        ]
        .into_iter()
        .filter(|(_, chance)| *chance > 0.0)
        .map(|(name, _)| name)
        .collect()
    }

    /// What is wrong with the numbers themselves, if anything is.
    pub(crate) fn nonsense(&self) -> Option<String> {
        let chances = [self.loss, self.duplicate, self.reorder, self.corrupt];
        if chances.iter().any(|chance| !(0.0..=1.0).contains(chance)) {
            return Some("a chance of a link rule is not between 0 and 1".into());
        }
        (self.rate_bits == Some(0)).then(|| "a link of rate 0 is a cut link: say cut".into())
    }
}

/// What an attempt to connect found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkProbe {
    /// A connection, after this long.
    Connected(Duration),
    /// Nobody listens: the link works.
    Refused,
    /// No answer within the limit.
    TimedOut,
}
