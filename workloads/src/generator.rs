//! Decides the next operation of one client.

use std::time::Duration;

use gainsay_checker::{Function, OpEvent, Steps};
use rand_chacha::ChaCha8Rng;

/// What a generator knows of the world.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Time since the start of the run.
    pub now: Duration,
    /// Which client asks, from 0.
    pub client: usize,
    /// How many clients there are.
    pub clients: usize,
}

/// An operation that is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its name.
    pub function: Function,
    /// Its steps, reads without answers.
    pub steps: Steps,
}

/// A generator's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this now.
    Op(Draft),
    /// Nothing at the moment; ask again later.
    Wait,
    /// Nothing any more.
    Done,
}

/// Decides what one client does.
pub trait Generator: Send {
    /// The next operation. Called when the client is free; may be called again at once after `Wait`.
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next;

    /// Learns how the operation of the last `next` ended. Called once for each, before the next `next`.
    fn observe(&mut self, context: &Context, completion: &OpEvent);
}
