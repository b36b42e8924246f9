//! Which opportunities are sharp: those where the database could really have failed.
//!
//! A guarantee that is only ever tested on one healthy node proves nothing. An opportunity is sharp if another node
//! served it than before, or if a fault was active or had just ended.

use std::time::Duration;

use crate::history::{Effect, History, Op};
use crate::intern::FastMap;

/// How long after a fault its consequences are still looked for.
pub const AFTERMATH: Duration = Duration::from_secs(5);

/// The times at which faults were active or had just ended.
pub(crate) struct Sharpness {
    /// Disjoint, ascending.
    spans: Vec<(u64, u64)>,
    /// By operation: the number of its node from 1, 0 for none, and whether a fault was near, in the last bit.
    ops: Vec<u32>,
    nodes: bool,
}

impl Sharpness {
    pub(crate) fn of(history: &History) -> Sharpness {
        let after = AFTERMATH.as_nanos() as u64;
        let mut spans: Vec<(u64, u64)> = Vec::new();
        let mut faults: Vec<(u64, u64)> = history
            .faults
            .iter()
            .filter(|fault| fault.effect != Effect::NoEffect)
            .map(|fault| (fault.start, fault.end.unwrap_or(u64::MAX).saturating_add(after)))
            .collect();
        faults.sort_unstable();
        for (start, end) in faults {
            match spans.last_mut() {
                Some(last) if last.1 >= start => last.1 = last.1.max(end),
                _ => spans.push((start, end)),
            }
        }
        let mut sharpness = Sharpness { spans, ops: Vec::new(), nodes: false };
        sharpness.ops = sharpness.of_ops(history);
        sharpness.nodes = sharpness.ops.iter().any(|&op| op >> 1 != 0);
        sharpness
    }

    fn of_ops<'h>(&self, history: &'h History) -> Vec<u32> {
        let mut nodes: FastMap<&'h str, u32> = FastMap::default();
        let of = |op: &'h Op| {
            let next = nodes.len() as u32 + 1;
            let node = op.node.as_deref().map_or(0, |node| *nodes.entry(node).or_insert(next));
            node << 1 | u32::from(self.near_fault(op.invoked, op.completed))
        };
        history.ops.iter().map(of).collect()
    }

    /// What [`Sharpness::sharp`] says, of operations by their numbers.
    #[inline]
    pub(crate) fn sharp_at(&self, op: u32, before: Option<u32>) -> bool {
        let now = self.ops[op as usize];
        let then = before.map_or(0, |before| self.ops[before as usize]);
        now & 1 == 1 || (now >> 1 != 0 && then >> 1 != 0 && now >> 1 != then >> 1)
    }

    /// Whether it is known of any operation which node served it.
    pub(crate) fn knows_nodes(&self) -> bool {
        self.nodes
    }

    /// Whether a fault was active or had just ended at some time in `from..=to`.
    pub(crate) fn near_fault(&self, from: u64, to: u64) -> bool {
        let next = self.spans.partition_point(|&(_, end)| end < from);
        self.spans.get(next).is_some_and(|&(start, _)| start <= to)
    }

    /// Whether `op` is sharp, given the operation that it should agree with.
    pub(crate) fn sharp(&self, op: &Op, before: Option<&Op>) -> bool {
        let moved = before.is_some_and(|before| matches!((&op.node, &before.node), (Some(a), Some(b)) if a != b));
        moved || self.near_fault(op.invoked, op.completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::FaultWindow;

    #[test]
    fn what_a_fault_touches_or_has_just_touched_is_near_it() {
        let window = |start: u64, end: u64, effect| FaultWindow {
            id: 0,
            kind: "kill".into(),
            nodes: vec![],
            what: String::new(),
            start: start * 1_000_000_000,
            end: Some(end * 1_000_000_000),
            effect,
            proof: String::new(),
            early: None,
        };
        let history = History {
            faults: vec![
                window(10, 20, Effect::Proven),
                window(12, 14, Effect::Proven),
                window(40, 41, Effect::NoEffect),
            ],
            ..History::default()
        };
        let sharpness = Sharpness::of(&history);
        let near = |second: u64| sharpness.near_fault(second * 1_000_000_000, second * 1_000_000_000 + 5);
        assert_eq!([9, 10, 20, 24, 26, 40].map(near), [false, true, true, true, false, false]);
    }
}
