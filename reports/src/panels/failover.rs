//! What each change of leader cost: how long until there was a new one, until it served, and what was lost on the way.
//!
//! Leaders are known from what the nodes said when they were asked, several times a second, so a leader is seen later than it was elected.
//! First write and first read come from the history, by the term in the versions that the database reported, and are exact.

use std::collections::{BTreeMap, HashMap};

use gainsay_checker::finding::Outcome as Verdict;
use gainsay_checker::{FaultWindow, Op, Outcome, Version};
use maud::{Markup, html};

use crate::page::RunPage;
use crate::words;

/// A fault that ended longer before the new leader was seen is not what deposed the old one, nanoseconds.
const AFTERMATH: u64 = 3_000_000_000;
/// More rows than this say nothing more; the rest is counted.
const ROWS: usize = 20;

pub fn render(page: &RunPage) -> Option<Markup> {
    let changes = changes(page);
    if changes.is_empty() {
        return None;
    }
    let after = |change: &Change, time: Option<u64>| match (time, change.fault) {
        (Some(time), Some(fault)) => format!("+{}", words::millis(time.saturating_sub(fault.start) as f64 / 1e6)),
        (Some(time), None) => format!("at {}", words::seconds(time)),
        (None, _) => "not seen".to_string(),
    };
    Some(html! {
        h2 { "Failover" small { "each change of leader; times count from the beginning of the fault" } }
        div.scroll { table {
            tr {
                th { "leader" } th { "after" } th.n { "seen to lead" } th.n { "first write" } th.n { "first read" }
                th.n { "longest gap between writes" } th.n { "acknowledged before, lost" }
            }
            @for change in changes.iter().take(ROWS) {
                tr {
                    td.t { (change.old) " → " (change.new) span.sub { ", term " (change.term) } }
                    td { @match change.fault { Some(fault) => { (fault.kind) " " (fault.nodes.join(" ")) " at " (words::seconds(fault.start)) } None => { "no fault" } } }
                    td.n { (after(change, Some(change.seen))) }
                    td.n { (after(change, change.write)) }
                    td.n { (after(change, change.read)) }
                    td.n { (change.gap.map_or("–".to_string(), |gap| words::millis(gap as f64 / 1e6))) }
                    td class=(if change.lost.is_some_and(|lost| lost > 0) { "n v broken" } else { "n" }) { (change.lost.map_or("not known".to_string(), words::count)) }
                }
            }
        } }
        @if changes.len() > ROWS { p.sub { "Showing " (ROWS) " of " (changes.len()) " changes of leader." } }
        p.sub { "Nodes are asked several times a second, so a leader may have led for a moment before it was seen to; first write and read are exact, by the term that the database reported with them." }
    })
}

/// A change of leader.
struct Change<'a> {
    old: &'a str,
    new: &'a str,
    term: u64,
    /// When the new leader was first seen to lead, by asking it or by what it served.
    seen: u64,
    fault: Option<&'a FaultWindow>,
    write: Option<u64>,
    read: Option<u64>,
    /// The longest time without an acknowledged write between the fault and the first write of the new term.
    gap: Option<u64>,
    lost: Option<u64>,
}

fn changes(page: &RunPage) -> Vec<Change<'_>> {
    let end = page.load_end();
    let mut leaders: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
    for sample in page.samples.iter().filter(|sample| sample.time <= end && sample.role.as_deref() == Some("leader")) {
        leaders.entry(sample.term).or_insert((&sample.node, sample.time));
    }
    let terms: Vec<(u64, &str, u64)> = leaders.into_iter().map(|(term, (node, seen))| (term, node, seen)).collect();
    if terms.len() < 2 {
        return Vec::new();
    }
    let firsts = Firsts::of(page);
    let lost = lost(page, &firsts);
    let pairs = terms.windows(2).map(|pair| {
        let ((before, old, _), (term, new, sampled)) = (pair[0], pair[1]);
        let write = firsts.write.get(&term).copied();
        let read = firsts.read.get(&term).copied();
        let seen = [write, read].into_iter().flatten().fold(sampled, u64::min);
        let fault = cause(&page.judgement.faults, old, seen);
        Change {
            old,
            new,
            term,
            seen,
            fault,
            write,
            read,
            gap: write.and_then(|write| firsts.gap(fault.map_or(seen, |fault| fault.start), write)),
            lost: lost.as_ref().map(|lost| lost.get(&before).copied().unwrap_or(0)),
        }
    });
    pairs.collect()
}

/// The fault that most likely deposed `old`: one that harmed it, else the last that began before.
fn cause<'a>(faults: &'a [FaultWindow], old: &str, seen: u64) -> Option<&'a FaultWindow> {
    let near =
        |fault: &&FaultWindow| fault.start <= seen && fault.end.is_none_or(|end| end.saturating_add(AFTERMATH) >= seen);
    let harmed = |fault: &&FaultWindow| fault.nodes.iter().any(|node| node == old);
    let last = |all: &mut dyn Iterator<Item = &'a FaultWindow>| all.max_by_key(|fault| fault.start);
    last(&mut faults.iter().filter(near).filter(harmed)).or_else(|| last(&mut faults.iter().filter(near)))
}

/// The first acknowledged write and read of each term, and when writes were acknowledged.
#[derive(Default)]
struct Firsts {
    write: BTreeMap<u64, u64>,
    read: BTreeMap<u64, u64>,
    /// When each write was acknowledged, ascending, with the term that it reported.
    acknowledged: Vec<(u64, Option<u64>)>,
}

impl Firsts {
    fn of(page: &RunPage) -> Firsts {
        let mut firsts = Firsts::default();
        for op in page.load().filter(|op| op.outcome == Outcome::Ok) {
            let term = term(op);
            let writes = RunPage::writes(op);
            if writes {
                firsts.acknowledged.push((op.completed, term));
            }
            if let Some(term) = term {
                let first = if writes { &mut firsts.write } else { &mut firsts.read };
                first.entry(term).and_modify(|time| *time = op.completed.min(*time)).or_insert(op.completed);
            }
        }
        firsts.acknowledged.sort_unstable();
        firsts
    }

    /// The longest time without an acknowledged write that overlaps `from..=to`.
    fn gap(&self, from: u64, to: u64) -> Option<u64> {
        let before = self.acknowledged.partition_point(|(time, _)| *time <= from).saturating_sub(1);
        let after = self.acknowledged.partition_point(|(time, _)| *time <= to);
        let times = self.acknowledged.get(before..after)?;
        times.windows(2).map(|pair| pair[1].0 - pair[0].0).max()
    }
}

fn term(op: &Op) -> Option<u64> {
    match op.version {
        Some(Version::Position(term, _)) => Some(term),
        _ => None,
    }
}

/// By term, how many of its acknowledged writes were lost; `None` where that was not judged, or not each loss is known.
fn lost(page: &RunPage, firsts: &Firsts) -> Option<HashMap<u64, u64>> {
    let times: &[u64] = match &page.finding("lost-writes")?.outcome {
        Verdict::Held => &[],
        Verdict::Broken { times, violations, .. } if times.len() as u64 == *violations => times,
        _ => return None,
    };
    let terms: HashMap<u64, Option<u64>> = firsts.acknowledged.iter().copied().collect();
    let mut lost = HashMap::new();
    for time in times {
        // A loss that cannot be told to a term makes every number here a guess.
        *lost.entry((*terms.get(time)?)?).or_insert(0) += 1;
    }
    Some(lost)
}
