//! Writers in lanes: one a process, and one each for those whose outcome is unknown, since nothing follows from where they stand in their process.
//!
//! The writers of a key stand together by lane, so that one search finds the last one that a clock has seen.

use crate::history::Outcome;
use crate::txn::levels::facts::Facts;
use crate::txn::transactions::NOBODY;

/// The writers of one key in one lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) lane: u32,
    first: u32,
    end: u32,
}

/// Who stands where.
pub(crate) struct Lanes {
    lane: Vec<u32>,
    position: Vec<u32>,
    lengths: Vec<u32>,
    writers: Vec<u32>,
    group_first: Vec<u32>,
    groups: Vec<Group>,
}

impl Lanes {
    /// Cost: linear.
    pub(crate) fn of(facts: &Facts, processes: usize) -> Lanes {
        let n = facts.txns.len();
        let (mut lane, mut position) = (vec![NOBODY; n], vec![0; n]);
        let mut lengths = vec![0_u32; processes];
        for t in (0..n as u32).filter(|&t| !facts.writes(t).is_empty()) {
            let txn = facts.txns.txns[t as usize];
            if txn.outcome == Outcome::Ok {
                lane[t as usize] = txn.process;
            } else {
                lane[t as usize] = lengths.len() as u32;
                lengths.push(0);
            }
            let length = &mut lengths[lane[t as usize] as usize];
            position[t as usize] = *length;
            *length += 1;
        }
        let mut lanes =
            Lanes { lane, position, lengths, writers: Vec::new(), group_first: vec![0], groups: Vec::new() };
        lanes.group(facts);
        lanes
    }

    fn group(&mut self, facts: &Facts) {
        let mut first = vec![0_u32; self.lengths.len() + 1];
        for (lane, length) in self.lengths.iter().enumerate() {
            first[lane + 1] = first[lane] + length;
        }
        let mut by_lane = vec![0_u32; *first.last().expect("there is always a first") as usize];
        for (t, &lane) in self.lane.iter().enumerate().filter(|(_, lane)| **lane != NOBODY) {
            by_lane[(first[lane as usize] + self.position[t]) as usize] = t as u32;
        }
        let mut next = vec![0_u32];
        for key in 0..facts.txns.keys.len() as u32 {
            next.push(next[key as usize] + facts.writers(key).len() as u32);
        }
        self.writers = vec![0; *next.last().expect("there is always a first") as usize];
        let ends = next.clone();
        for t in by_lane {
            for &key in facts.writes(t) {
                let slot = &mut next[key as usize];
                self.writers[*slot as usize] = t;
                *slot += 1;
            }
        }
        for key in 0..facts.txns.keys.len() {
            let begin = self.groups.len();
            for at in ends[key]..ends[key + 1] {
                let lane = self.lane[self.writers[at as usize] as usize];
                match self.groups[begin..].last_mut() {
                    Some(group) if group.lane == lane => group.end = at + 1,
                    _ => self.groups.push(Group { lane, first: at, end: at + 1 }),
                }
            }
            self.group_first.push(self.groups.len() as u32);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The lane of a transaction that wrote something.
    pub(crate) fn lane(&self, txn: u32) -> Option<u32> {
        Some(self.lane[txn as usize]).filter(|&lane| lane != NOBODY)
    }

    /// How many of its lane are before it.
    pub(crate) fn position(&self, txn: u32) -> u32 {
        self.position[txn as usize]
    }

    /// Whether it is the last of its lane.
    pub(crate) fn ends(&self, txn: u32) -> bool {
        self.position[txn as usize] + 1 == self.lengths[self.lane[txn as usize] as usize]
    }

    /// The writers of a key, lane by lane.
    pub(crate) fn groups(&self, key: u32) -> &[Group] {
        &self.groups[self.group_first[key as usize] as usize..self.group_first[key as usize + 1] as usize]
    }

    /// The transactions of a group, ascending.
    pub(crate) fn writers(&self, group: &Group) -> &[u32] {
        &self.writers[group.first as usize..group.end as usize]
    }
}
