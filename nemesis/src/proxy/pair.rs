//! A connection and its continuation: two lanes of bytes, each with its link's rule.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use crate::hosts::LinkRule;
use crate::switch::transmission;
use crate::wake::Interest;

/// How many bytes a lane holds before it stops reading.
const LANE_LIMIT: usize = 4 << 20;
/// How much is read of a slow lane at once, so that it flows and does not gush.
const SLOW_READ: usize = 4 << 10;
/// How many reads a lane makes before others have their turn.
const READS: usize = 8;

/// What travels on a lane.
enum Parcel {
    Bytes(Vec<u8>),
    /// The sender has no more to say.
    End,
    /// The sender is gone.
    Reset,
}

/// One direction.
#[derive(Default)]
pub(super) struct Lane {
    queue: VecDeque<(Instant, Parcel)>,
    queued: usize,
    /// How much of the first parcel is written.
    written: usize,
    free_at: Option<Instant>,
    last_due: Option<Instant>,
    /// Nothing more is read.
    source_ended: bool,
    /// Nothing more is written.
    ended: bool,
    /// The receiver has no room.
    blocked: bool,
}

/// What became of a lane in a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on.
    Going,
    /// The sender's reset has arrived: the receiver is to be reset.
    Reset,
    /// The receiver is gone: the sender is to hear of it by the other lane.
    ReceiverGone,
}

impl Lane {
    /// Moves what may move from `source` to `sink`.
    pub(super) fn pump(
        &mut self,
        source: &mut TcpStream,
        sink: &mut TcpStream,
        rule: &LinkRule,
        now: Instant,
        buffer: &mut [u8],
    ) -> Outcome {
        let outcome = self.flush(sink, rule, now);
        if outcome != Outcome::Going {
            return outcome;
        }
        let limit = rule.rate_bits.map_or(buffer.len(), |_| SLOW_READ);
        for _ in 0..READS {
            if !self.wants_read() {
                break;
            }
            match source.read(&mut buffer[..limit]) {
                Ok(0) => self.push_last(Parcel::End, rule, now),
                Ok(length) => self.push(Parcel::Bytes(buffer[..length].to_vec()), rule, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.push_last(Parcel::Reset, rule, now),
            }
            let outcome = self.flush(sink, rule, now);
            if outcome != Outcome::Going {
                return outcome;
            }
        }
        Outcome::Going
    }

    fn push(&mut self, parcel: Parcel, rule: &LinkRule, now: Instant) {
        let bytes = match &parcel {
            Parcel::Bytes(bytes) => bytes.len(),
            Parcel::End | Parcel::Reset => 0,
        };
        let mut due = now;
        if let Some(rate) = rule.rate_bits {
            due = self.free_at.unwrap_or(now).max(now) + transmission(bytes, rate);
            self.free_at = Some(due);
        }
        due += rule.delay + rule.jitter.mul_f64(rand::random());
        let due = self.last_due.map_or(due, |last| last.max(due));
        self.last_due = Some(due);
        self.queued += bytes;
        self.queue.push_back((due, parcel));
    }

    fn push_last(&mut self, parcel: Parcel, rule: &LinkRule, now: Instant) {
        self.source_ended = true;
        self.push(parcel, rule, now);
    }

    /// Sends one byte and the end, as the answer to a probe.
    pub(super) fn answer_probe(&mut self, rule: &LinkRule, now: Instant) {
        self.push(Parcel::Bytes(vec![1]), rule, now);
        self.push_last(Parcel::End, rule, now);
    }

    /// Lets the receiver of this lane know that the sender is gone.
    pub(super) fn lose_source(&mut self, rule: &LinkRule, now: Instant) {
        if !self.source_ended {
            self.push_last(Parcel::Reset, rule, now);
        }
    }

    /// Nothing can be delivered any more.
    pub(super) fn lose_sink(&mut self) {
        self.queue.clear();
        self.queued = 0;
        self.source_ended = true;
        self.ended = true;
        self.blocked = false;
    }

    fn flush(&mut self, sink: &mut TcpStream, rule: &LinkRule, now: Instant) -> Outcome {
        self.blocked = false;
        let passes = *rule == LinkRule::default();
        while let Some((due, parcel)) = self.queue.front() {
            if rule.cut || (!passes && *due > now) {
                break;
            }
            match parcel {
                Parcel::Reset => return Outcome::Reset,
                Parcel::End => {
                    let _ = sink.shutdown(Shutdown::Write);
                    self.ended = true;
                    self.queue.clear();
                    break;
                }
                Parcel::Bytes(bytes) => match sink.write(&bytes[self.written..]) {
                    Ok(length) => {
                        self.written += length;
                        self.queued -= length;
                        if self.written == bytes.len() {
                            self.written = 0;
                            self.queue.pop_front();
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.blocked = true;
                        break;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return Outcome::ReceiverGone,
                },
            }
        }
        Outcome::Going
    }

    fn wants_read(&self) -> bool {
        !self.source_ended && self.queued < LANE_LIMIT
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// When the next parcel is due, if time is what it waits for.
    pub(super) fn next_due(&self, rule: &LinkRule) -> Option<Instant> {
        if rule.cut || self.blocked {
            return None;
        }
        self.queue.front().map(|(due, _)| *due)
    }
}

/// What to wait for at the end that `from` reads and `to` writes.
pub(super) fn interest(from: &Lane, to: &Lane) -> Interest {
    Interest { read: from.wants_read(), write: to.blocked }
}
