//! One booking: at most one booking of a room and time is confirmed.
//!
//! Judged on the workload `booking`: a booking is a row of its own, `room-N/by-WHOM`, and the constraint is across such rows, which is why no rule for
//! conflicts in one row can keep it. What counts is what people were told: a booking that was confirmed, lost with its leader and given to
//! somebody else is booked twice, though one row is left. like: the meeting room booked twice (DDIA, chapter 5, "What is a conflict?").

use std::collections::BTreeMap;

use crate::action::{Action, Atom};
use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::finding::Anomaly;
use crate::history::{Op, Outcome};
use crate::proof::{self, Part, Proofs, acknowledged, sentence, who};

pub(super) struct OneBooking;

impl Checker for OneBooking {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let ops = &case.history().ops;
        let mut wanted: BTreeMap<u64, u64> = BTreeMap::new();
        let mut confirmed: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (at, op) in ops.iter().enumerate() {
            let Some(room) = booked(op) else { continue };
            *wanted.entry(room).or_default() += 1;
            if op.outcome == Outcome::Ok {
                confirmed.entry(room).or_default().push(at as u32);
            }
        }
        if wanted.is_empty() {
            return Answer::NotHere { why: "there are no bookings in it (keys room-N/by-WHOM)".to_string() };
        }
        let mut twice: Vec<(u64, u64, u32, u32)> = Vec::new();
        for (room, mut by) in confirmed.iter().map(|(room, by)| (*room, by.clone())) {
            by.sort_by_key(|&op| ops[op as usize].completed);
            let pairs = by.windows(2).map(|pair| (ops[pair[1] as usize].completed, room, by[0], pair[1]));
            twice.extend(pairs);
        }
        twice.sort_unstable();
        let mut proofs = Proofs::default();
        for (time, room, first, second) in twice {
            proofs.add(time, "booked-twice", || explain(case, room, first, second, time));
        }
        let sharp = |by: &&Vec<u32>| by.iter().any(|&op| case.sharpness.sharp(&ops[op as usize], None));
        Tally {
            unit: "rooms that were booked",
            order: "none".to_string(),
            opportunities: confirmed.len() as u64,
            sharp: confirmed.values().filter(sharp).count() as u64,
            proofs,
        }
        .answer()
    }
}

/// The room that an operation books.
fn booked(op: &Op) -> Option<u64> {
    let mut rows = op.steps.iter().filter(|step| matches!(step.action, Action::Write(_)));
    rows.find_map(|step| {
        let Atom::Text(key) = &step.key else { return None };
        key.strip_prefix("room-")?.split_once("/by-")?.0.parse().ok()
    })
}

fn explain(case: &Case<'_>, room: u64, first: u32, second: u32, time: u64) -> Anomaly {
    let ops = &case.history().ops;
    let [one, other] = [first, second].map(|op| &ops[op as usize]);
    let text = format!(
        "room {room} was booked for {} {}, and for {} {} as well.",
        who(one),
        acknowledged(one),
        who(other),
        acknowledged(other)
    );
    let parts = [Part { op: first, role: "confirmed booking" }, Part { op: second, role: "second confirmed booking" }];
    let edges = [(first, second, "both were told that the room is theirs".to_string())];
    proof::anomaly(case.history(), "booked-twice", sentence(&text), Some(format!("room-{room}")), &parts, &edges, time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome as Verdict;
    use crate::history::History;

    /// Clients 1, 2, … book room 0; how each attempt ended.
    fn violations(endings: &[&str]) -> u64 {
        let lines: Vec<String> = endings
            .iter()
            .enumerate()
            .flat_map(|(n, ending)| {
                let event = |kind: &str, index: usize| {
                    format!(
                        r#"{{"index":{index},"time":{index},"type":"{kind}","process":{n},"f":"write","value":["room-0/by-{n}",{n}]}}"#
                    )
                };
                [event("invoke", 2 * n), event(ending, 2 * n + 1)]
            })
            .collect();
        let history = History::read_any(lines.join("\n").as_bytes()).expect("a history");
        match OneBooking.check(&Case::new(&history), &Budget::default()) {
            Answer::Judged { outcome: Verdict::Broken { violations, .. }, .. } => violations,
            Answer::Judged { outcome: Verdict::Held, .. } => 0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_confirmations_of_one_room_are_one_too_many() {
        assert_eq!(violations(&["ok", "fail", "info"]), 0);
        assert_eq!(violations(&["ok", "ok"]), 1);
        assert_eq!(violations(&["ok", "ok", "ok"]), 2);
    }
}
