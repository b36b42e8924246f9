//! The words in which faults speak of links and programs; what they mean is decided where hosts are.

pub use crate::hosts::{Endpoint, LinkProbe, LinkRule, NodeState};
