//! Writes that last-write-wins dropped: acknowledged, and overwritten by a write that did not know of them.
//!
//! A finding of its own, neither held nor lost: the mode says that it does this. Judged where timestamps were reported and trusted. A
//! write counts if the next timestamp of its key belongs to a write that was under way at the same time
//! (`overwritten-by-concurrent`), or to one that was already over when it was sent (`overwritten-by-earlier`: a clock was wrong, and the
//! write never counted).

use crate::checker::{Answer, Case, Checker, Tally};
use crate::evidence::Budget;
use crate::facts::{Facts, Order};
use crate::proof::{self, Part, Proofs, acknowledged, did, key_name, sentence, who};
use crate::version::Version;

pub(in crate::checkers) struct Overwritten;

impl Checker for Overwritten {
    fn check(&self, case: &Case<'_>, _: &Budget) -> Answer {
        let facts = &case.facts;
        let mut found: Vec<(u64, u32, u32, &'static str)> = Vec::new();
        let (mut opportunities, mut sharp) = (0, 0);
        for key in facts.keys.iter().filter(|key| key.order == Order::Reported) {
            let mut ranked: Vec<u32> = key.writes.iter().copied().filter(|&write| stamped(facts, write)).collect();
            ranked.sort_by_key(|&write| facts.writes[write as usize].rank);
            for pair in ranked.windows(2) {
                let (first, next) = (&facts.writes[pair[0] as usize], &facts.writes[pair[1] as usize]);
                opportunities += 1;
                sharp += u64::from(case.sharpness.sharp(facts.op_of(pair[1]), Some(facts.op_of(pair[0]))));
                if next.acked < first.invoked {
                    found.push((first.acked, pair[0], pair[1], "overwritten-by-earlier"));
                } else if next.invoked <= first.acked {
                    found.push((first.acked, pair[0], pair[1], "overwritten-by-concurrent"));
                }
            }
        }
        if opportunities == 0 {
            return Answer::NotHere { why: "no timestamps were reported".to_string() };
        }
        found.sort_unstable();
        let mut proofs = Proofs::default();
        for (time, loser, winner, name) in found {
            proofs.add(time, name, || explain(facts, loser, winner, name, time));
        }
        let unit = "acknowledged writes that another one replaced";
        Tally { unit, order: "reported".to_string(), opportunities, sharp, proofs }.answer()
    }
}

fn stamped(facts: &Facts, write: u32) -> bool {
    let entry = &facts.writes[write as usize];
    entry.acked != u64::MAX && entry.rank.is_some() && matches!(facts.op_of(write).version, Some(Version::Stamp { .. }))
}

fn explain(facts: &Facts, loser: u32, winner: u32, name: &'static str, time: u64) -> crate::finding::Anomaly {
    let told = |write: u32| {
        let op = facts.op_of(write);
        let step = &op.steps[facts.writes[write as usize].step as usize];
        format!("{} {} {}", who(op), did(&step.action, &step.key), acknowledged(op))
    };
    let how = if name == "overwritten-by-earlier" {
        "which was over before, but had a later timestamp"
    } else {
        "which was under way at the same time and got the later timestamp"
    };
    let text = format!("{}; last-write-wins dropped it in favour of {}, {how}.", sentence(&told(loser)), told(winner));
    let (a, b) = (facts.writes[loser as usize].op, facts.writes[winner as usize].op);
    let parts = [Part { op: a, role: "acknowledged write that was dropped" }, Part { op: b, role: "write that won" }];
    let edges = [(b, a, "has the later timestamp".to_string())];
    let key = Some(key_name(facts, facts.writes[loser as usize].key));
    proof::anomaly(facts.history, name, text, key, &parts, &edges, time)
}
