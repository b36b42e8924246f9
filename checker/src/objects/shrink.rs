//! Makes a violation that the search found small.
//!
//! Calls are weakened, never just left out: a call that changes the object becomes one that may take effect at any time or
//! never, so whatever is still violated is violated by the other calls alone. Only observers may go altogether, and what began
//! after the stuck call had returned. Halves first, then smaller pieces (delta debugging, Zeller 1999), as long as the search
//! stays cheap. Tried first is what came last, with every effect of what came before possible as often as wanted: that is cheap, and
//! most violations are near.

use std::time::{Duration, Instant};

use super::Refutation;
use super::calls::{Call, NEVER, Outcome};
use super::model::Model;
use super::search::{Found, Limits, decide, refuted};
use super::sequential;
use crate::intern::FastMap;

/// How many configurations all attempts may visit together, and how long they may take.
const VISITS: u64 = 400_000;
const TIME: Duration = Duration::from_millis(500);

/// The calls of a small violation within `calls`, of which the one at `stuck` can't be placed.
pub(super) fn shrink<M: Model>(
    model: &M,
    calls: &[Call],
    stuck: usize,
    states: Vec<String>,
    limits: Limits,
) -> Refutation {
    let end = calls[stuck].end;
    let truncated: Vec<Call> = calls.iter().take_while(|call| call.start < end).copied().collect();
    let limits = Limits { until: limits.until.min(Instant::now() + TIME), ..limits };
    let endless = |calls: &[Call], limits: Limits| refuted(model, calls, limits);
    let exact = |calls: &[Call], limits: Limits| {
        let (found, visited) = decide(model, calls, limits);
        (matches!(found, Found::Stuck { .. }), visited)
    };
    let mut attempt = Attempt { model, decided: endless, endless: true, calls: truncated, visits: VISITS, limits };
    let kept = attempt.window(stuck).map(|mut kept| {
        attempt.reduce(&mut kept, stuck);
        kept
    });
    let kept = kept.unwrap_or_else(|| {
        let mut attempt =
            Attempt { decided: exact, endless: false, calls: attempt.calls, visits: VISITS, model, limits };
        let mut kept: Vec<bool> = attempt.calls.iter().map(|call| call.ok()).collect();
        if attempt.violated(&kept) {
            attempt.reduce(&mut kept, stuck);
        }
        kept
    });
    let few: Vec<usize> = (0..kept.len()).filter(|&at| kept[at]).collect();
    let text = format!(
        "call {} can't be placed: nothing that the other {} calls of the proof allow gives what it saw, wherever the calls left out took effect",
        calls[stuck].source,
        few.len().saturating_sub(1)
    );
    Refutation { calls: few, stuck, states, text }
}

/// The calls of a small violation of sequential consistency.
pub(super) fn shrink_order<M: Model>(model: &M, calls: &[Call], stuck: usize, limits: Limits) -> Refutation {
    let decided = |calls: &[Call], limits: Limits| {
        let priority: Vec<u32> = calls.iter().map(|call| call.end).collect();
        let (order, visited) = sequential::search(model, calls, &priority, limits);
        (matches!(order, sequential::Order::None { .. }), visited)
    };
    let mut attempt = Attempt {
        model,
        decided,
        endless: false,
        calls: calls.to_vec(),
        visits: VISITS,
        limits: Limits { until: limits.until.min(Instant::now() + TIME), ..limits },
    };
    let mut kept: Vec<bool> = attempt.calls.iter().map(|call| call.ok()).collect();
    if attempt.violated(&kept) {
        attempt.reduce(&mut kept, stuck);
    }
    let few: Vec<usize> = (0..kept.len()).filter(|&at| kept[at]).collect();
    let text = format!(
        "no order of these {} calls keeps each process's own order and gives call {} what it saw, wherever the calls left out took effect",
        few.len(),
        calls[stuck].source
    );
    Refutation { calls: few, stuck, states: Vec::new(), text }
}

struct Attempt<'a, M, F> {
    model: &'a M,
    /// Whether calls are violated, and how many configurations it took to know.
    decided: F,
    /// Whether one call of unknown outcome stands for all with the same effect.
    endless: bool,
    calls: Vec<Call>,
    visits: u64,
    limits: Limits,
}

impl<M: Model, F: Fn(&[Call], Limits) -> (bool, u64)> Attempt<'_, M, F> {
    /// The last calls before the stuck one returned, as many as are violated by themselves.
    fn window(&mut self, stuck: usize) -> Option<Vec<bool>> {
        let mut order: Vec<usize> = (0..self.calls.len()).filter(|&at| self.calls[at].ok()).collect();
        order.sort_unstable_by_key(|&at| std::cmp::Reverse(self.calls[at].end.min(self.calls[stuck].end)));
        let mut width = 4;
        loop {
            let mut kept = vec![false; self.calls.len()];
            order.iter().take(width).for_each(|&at| kept[at] = true);
            kept[stuck] = true;
            if self.violated(&kept) {
                return Some(kept);
            }
            if width >= order.len() || self.visits == 0 || Instant::now() > self.limits.until {
                return None;
            }
            width *= 2;
        }
    }

    /// Whether the kept calls are violated by themselves; false also if that costs too much to know.
    fn violated(&mut self, kept: &[bool]) -> bool {
        let mut calls = Vec::with_capacity(self.calls.len());
        let mut met: FastMap<(u8, i64), ()> = FastMap::default();
        for (call, &kept) in self.calls.iter().zip(kept) {
            if kept {
                calls.push(*call);
            } else if !self.model.observes(call)
                && (!self.endless || met.insert((call.f as u8, call.input), ()).is_none())
            {
                let start = if call.ok() || self.endless { 0 } else { call.start };
                calls.push(Call { start, end: NEVER, outcome: Outcome::Info, ..*call });
            }
        }
        calls.sort_by_key(|call| call.start);
        // What may happen endlessly must refute at once, or it won't.
        let each = if self.endless { 500 + 8 * calls.len() as u64 } else { VISITS / 8 }.min(self.visits);
        let (violated, visited) = (self.decided)(&calls, Limits { configurations: each, ..self.limits });
        self.visits = self.visits.saturating_sub(visited + calls.len() as u64);
        violated
    }

    fn reduce(&mut self, kept: &mut [bool], stuck: usize) {
        let mut size = kept.len().div_ceil(2).max(1);
        loop {
            let candidates: Vec<usize> = (0..kept.len()).filter(|&at| kept[at] && at != stuck).collect();
            let mut gone = false;
            for chunk in candidates.chunks(size) {
                if self.visits == 0 || Instant::now() > self.limits.until {
                    return;
                }
                chunk.iter().for_each(|&at| kept[at] = false);
                if self.violated(kept) {
                    gone = true;
                } else {
                    chunk.iter().for_each(|&at| kept[at] = true);
                }
            }
            match (size, gone) {
                (1, false) => return,
                (1, true) => {}
                _ => size = size.div_ceil(2),
            }
        }
    }
}
