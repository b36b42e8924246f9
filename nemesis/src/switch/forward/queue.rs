//! What a rule does to a packet, and the packets that are held.
//!
//! Jitter does not reorder: a link keeps its order unless its rule says `reorder`, so that each fault does one thing.
//! A reordered packet is held [`REORDER_HOLD`] longer, and those behind it overtake. What is in flight when a link is cut
//! is lost with it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::hosts::LinkRule;

/// How much longer a reordered packet takes.
const REORDER_HOLD: Duration = Duration::from_millis(5);
/// How far a slow link's queue may reach before it drops. Packets are large here, and a queue of few would starve TCP.
const RATE_QUEUE: Duration = Duration::from_secs(1);
/// How many bytes all links together may hold.
const HELD_LIMIT: usize = 256 << 20;
/// Bytes of an IPv4 header without options: damaged there, a packet would not even be delivered.
const HEADER: usize = 20;

/// A packet that waits for its time.
pub(super) struct Held {
    due: Instant,
    /// Ties leave in the order they came.
    sequence: u64,
    from: usize,
    pub(super) to: usize,
    pub(super) packet: Vec<u8>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

#[derive(Clone)]
struct Link {
    rule: LinkRule,
    passes: bool,
    /// When a slow link has sent what it has.
    free_at: Option<Instant>,
    /// When the last packet in order leaves.
    last_due: Option<Instant>,
}

/// The rules of all directed links and the packets they hold.
pub(super) struct Links {
    sides: usize,
    links: Vec<Link>,
    heap: BinaryHeap<Reverse<Held>>,
    held_bytes: usize,
    sequence: u64,
    random: ChaCha8Rng,
}

impl Links {
    pub(super) fn new(sides: usize, random: ChaCha8Rng) -> Links {
        let pass = Link { rule: LinkRule::default(), passes: true, free_at: None, last_due: None };
        Links { sides, links: vec![pass; sides * sides], heap: BinaryHeap::new(), held_bytes: 0, sequence: 0, random }
    }

    pub(super) fn set_rules(&mut self, rules: &[LinkRule]) {
        for (link, rule) in self.links.iter_mut().zip(rules) {
            if link.rule != *rule {
                link.passes = *rule == LinkRule::default();
                link.rule = rule.clone();
                link.free_at = None;
                link.last_due = None;
            }
        }
        self.revise_held(Instant::now());
    }

    /// Packets in flight are lost with a cut and arrive with a heal: neither waits for what an earlier rule decided.
    fn revise_held(&mut self, now: Instant) {
        let held = std::mem::take(&mut self.heap);
        for Reverse(mut held) in held {
            let link = &mut self.links[held.from * self.sides + held.to];
            if link.rule.cut {
                self.held_bytes -= held.packet.len();
                continue;
            }
            if link.passes {
                held.due = held.due.min(now);
            }
            link.last_due = link.last_due.max(Some(held.due));
            self.heap.push(Reverse(held));
        }
    }

    /// Whether a packet goes straight on: no rule, and nothing of an earlier rule still on its way before it.
    pub(super) fn passes(&mut self, from: usize, to: usize) -> bool {
        let link = &mut self.links[from * self.sides + to];
        if !link.passes {
            return false;
        }
        match link.last_due {
            None => true,
            Some(due) if due <= Instant::now() => {
                link.last_due = None;
                true
            }
            Some(_) => false,
        }
    }

    /// Loses, damages, repeats and holds a packet as its link's rule says.
    pub(super) fn admit(&mut self, from: usize, to: usize, packet: &mut [u8], now: Instant) {
        let rule = self.links[from * self.sides + to].rule.clone();
        if rule.cut || self.strikes(rule.loss) {
            return;
        }
        if self.strikes(rule.corrupt) && packet.len() > HEADER {
            let at = self.random.random_range(HEADER..packet.len());
            packet[at] ^= 1 << self.random.random_range(0..8);
        }
        let copies = if self.strikes(rule.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if let Some(due) = self.due(from, to, &rule, packet.len(), now) {
                self.hold(due, from, to, packet);
            }
        }
    }

    /// When a packet is to leave; never, if a slow link's queue is full.
    fn due(&mut self, from: usize, to: usize, rule: &LinkRule, bytes: usize, now: Instant) -> Option<Instant> {
        let jitter = rule.jitter.mul_f64(self.random.random::<f64>());
        let reordered = self.strikes(rule.reorder);
        let link = &mut self.links[from * self.sides + to];
        let sent = match rule.rate_bits {
            None => now,
            Some(rate) => {
                let start = link.free_at.unwrap_or(now).max(now);
                if start.duration_since(now) > RATE_QUEUE {
                    return None;
                }
                let sent = start + transmission(bytes, rate);
                link.free_at = Some(sent);
                sent
            }
        };
        let due = sent + rule.delay + jitter;
        if reordered {
            return Some(due + REORDER_HOLD);
        }
        let due = link.last_due.map_or(due, |last| last.max(due));
        link.last_due = Some(due);
        Some(due)
    }

    fn strikes(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.random::<f64>() < probability
    }

    fn hold(&mut self, due: Instant, from: usize, to: usize, packet: &[u8]) {
        if self.held_bytes + packet.len() > HELD_LIMIT {
            return;
        }
        self.held_bytes += packet.len();
        self.sequence += 1;
        self.heap.push(Reverse(Held { due, sequence: self.sequence, from, to, packet: packet.to_vec() }));
    }

    /// When the next held packet is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(held)| held.due)
    }

    /// Takes the next packet that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Held> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(held) = self.heap.pop()?;
        self.held_bytes -= held.packet.len();
        Some(held)
    }
}

/// How long a link of `rate` bits a second is busy with `bytes`.
pub(crate) fn transmission(bytes: usize, rate: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 * 8.0 / rate.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn links(rule: LinkRule) -> Links {
        let mut links = Links::new(2, ChaCha8Rng::seed_from_u64(7));
        let pass = LinkRule::default();
        links.set_rules(&[pass.clone(), rule, pass.clone(), pass]);
        links
    }

    fn sent(links: &mut Links, count: usize, now: Instant) -> Vec<(Duration, u8)> {
        for number in 0..count {
            let mut packet = vec![number as u8; 100];
            links.admit(0, 1, &mut packet, now);
        }
        let mut out = Vec::new();
        while let Some(held) = links.take_due(now + Duration::from_secs(3600)) {
            out.push((held.due - now, held.packet[0]));
        }
        out
    }

    #[test]
    fn jitter_varies_the_time_and_keeps_the_order() {
        let delay = Duration::from_millis(50);
        let mut links = links(LinkRule { delay, jitter: Duration::from_millis(20), ..LinkRule::default() });
        let out = sent(&mut links, 100, Instant::now());
        assert!(out.iter().map(|(_, number)| *number).eq(0..100));
        assert!(out.iter().all(|(after, _)| (delay..delay + Duration::from_millis(20)).contains(after)));
        assert_ne!(out[0].0, out[99].0);
    }

    #[test]
    fn a_reordered_packet_is_overtaken() {
        let mut links = links(LinkRule { reorder: 0.2, ..LinkRule::default() });
        let out = sent(&mut links, 100, Instant::now());
        assert_eq!(out.len(), 100);
        assert!(out.windows(2).any(|pair| pair[0].1 > pair[1].1));
    }

    #[test]
    fn loss_and_duplication_strike_as_often_as_the_rule_says() {
        let mut lossy = links(LinkRule { loss: 0.1, ..LinkRule::default() });
        let arrived = sent(&mut lossy, 10_000, Instant::now()).len();
        assert!((8_850..=9_150).contains(&arrived), "{arrived}");
        let mut twice = links(LinkRule { duplicate: 0.1, ..LinkRule::default() });
        let arrived = sent(&mut twice, 10_000, Instant::now()).len();
        assert!((10_850..=11_150).contains(&arrived), "{arrived}");
    }

    #[test]
    fn a_slow_link_spaces_packets_and_drops_what_its_queue_has_no_room_for() {
        let mut links = links(LinkRule { rate_bits: Some(8_000), ..LinkRule::default() });
        let out = sent(&mut links, 100, Instant::now());
        assert_eq!(out[0].0, Duration::from_millis(100));
        assert_eq!(out[1].0, Duration::from_millis(200));
        assert_eq!(out.len(), 11);
    }

    #[test]
    fn what_is_in_flight_arrives_with_a_heal() {
        let mut links = links(LinkRule { delay: Duration::from_secs(1), ..LinkRule::default() });
        links.admit(0, 1, &mut [1; 100], Instant::now());
        links.set_rules(&vec![LinkRule::default(); 4]);
        assert!(links.take_due(Instant::now()).is_some());
        assert!(links.passes(0, 1));
    }

    #[test]
    fn what_is_in_flight_is_lost_with_a_cut() {
        let mut links = links(LinkRule { delay: Duration::from_secs(1), ..LinkRule::default() });
        links.admit(0, 1, &mut [1; 100], Instant::now());
        assert!(links.next_due().is_some());
        let pass = LinkRule::default();
        let cut = LinkRule { cut: true, ..LinkRule::default() };
        links.set_rules(&[pass.clone(), cut, pass.clone(), pass]);
        assert!(links.next_due().is_none());
    }
}
