//! Every event of a history in the order of time, worked out once for all guarantees.
//!
//! Equal times are concurrent: what completes then is not before what is invoked then, and a compare-and-set reads before it has
//! written. Beginnings come sorted, as operations are; endings are almost sorted, each displaced by no more than what was
//! under way at the same time, and so are put in order by insertion. 8 bytes an event.

use super::{Facts, Read, Write};
use crate::history::Outcome;

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A write that did not fail was invoked.
    Invoked(u32),
    /// A read was invoked.
    Began(u32),
    /// A read completed.
    Completed(u32),
    /// A write was acknowledged.
    Acked(u32),
}

/// Time and rank among equal times.
type At = (u64, u8);

/// The events of `facts`, in order.
pub(super) fn of(facts: &Facts) -> Vec<What> {
    let beginnings = beginnings(&facts.writes, &facts.reads);
    let endings = endings(&facts.writes, &facts.reads);
    let mut events = Vec::with_capacity(beginnings.len() + endings.len());
    let mut next = beginnings.into_iter().peekable();
    for (at, what) in endings {
        while let Some((_, what)) = next.next_if(|(beginning, _)| *beginning < at) {
            events.push(what);
        }
        events.push(what);
    }
    events.extend(next.map(|(_, what)| what));
    events
}

fn beginnings(writes: &[Write], reads: &[Read]) -> Vec<(At, What)> {
    let mut all: Vec<(At, What)> = Vec::with_capacity(writes.len() + reads.len());
    let mut rest = reads.iter().enumerate().peekable();
    for (id, write) in writes.iter().enumerate().filter(|(_, write)| write.outcome != Outcome::Fail) {
        while let Some((id, read)) = rest.next_if(|(_, read)| read.invoked < write.invoked) {
            all.push(((read.invoked, 0), What::Began(id as u32)));
        }
        all.push(((write.invoked, 0), What::Invoked(id as u32)));
    }
    all.extend(rest.map(|(id, read)| ((read.invoked, 0), What::Began(id as u32))));
    in_order(all)
}

fn endings(writes: &[Write], reads: &[Read]) -> Vec<(At, What)> {
    let mut all: Vec<(At, What)> = Vec::with_capacity(writes.len() + reads.len());
    let mut rest = reads.iter().enumerate().peekable();
    for (id, write) in writes.iter().enumerate().filter(|(_, write)| write.acked != u64::MAX) {
        while let Some((id, read)) = rest.next_if(|(_, read)| read.invoked < write.invoked) {
            all.push(((read.completed, 1), What::Completed(id as u32)));
        }
        all.push(((write.acked, 2), What::Acked(id as u32)));
    }
    all.extend(rest.map(|(id, read)| ((read.completed, 1), What::Completed(id as u32))));
    in_order(all)
}

/// How many steps an event may be moved on average before the general way is taken.
const STEPS: usize = 24;

/// Stable.
fn in_order(mut all: Vec<(At, What)>) -> Vec<(At, What)> {
    let mut steps = all.len().saturating_mul(STEPS);
    for at in 1..all.len() {
        let event = all[at];
        let mut to = at;
        while to > 0 && all[to - 1].0 > event.0 {
            to -= 1;
        }
        if to < at {
            if at - to > steps {
                all.sort_by_key(|(at, _)| *at);
                return all;
            }
            steps -= at - to;
            all.copy_within(to..at, to + 1);
            all[to] = event;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_its_place_is_put_in_order_too() {
        let all: Vec<(At, What)> =
            (0..5_000_u32).map(|id| ((u64::from(id.wrapping_mul(2_654_435_761) % 97), 0), What::Began(id))).collect();
        let mut expected = all.clone();
        expected.sort_by_key(|(at, _)| *at);
        assert_eq!(in_order(all), expected);
    }
}
