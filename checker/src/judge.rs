//! The verdict over all guarantees.
//!
//! Runs every checker of the table over one history. Of the guarantees asked for, broken wins over unknown, unknown over vacuous, vacuous over
//! held; all others that can be judged are shown and do not count. Everything that decides is in the history, so a history copied
//! alone gives the verdict of its run; all but `took_ms` is the same every time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::action::{Action, Reading};
use crate::checker::{Answer, Case};
use crate::checkers::convergence::divergence_ms;
use crate::checkers::{Asked, CHECKERS, Entry};
use crate::evidence::{Budget, SHARP_ENOUGH};
use crate::finding::{Anomaly, Counts, Evidence, Finding, Judgement, Ledger, Outcome};
use crate::history::{Effect, History, Outcome as Ended};
use crate::proof::seconds;

/// The version of `verdict.json` that this crate writes.
pub const FORMAT: u32 = 1;

/// What is asked, and how hard to look.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The guarantees that count. `None`: those that the history's description asks for; without a description, all that can be
    /// judged. `all` among them means every guarantee.
    pub guarantees: Option<Vec<String>>,
    /// How long and how far to search.
    pub budget: Budget,
    /// Whether too little evidence makes a guarantee vacuous.
    pub vacuity: Vacuity,
}

/// Whether too little evidence makes a guarantee vacuous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vacuity {
    /// For runs: fewer than [`SHARP_ENOUGH`] sharp opportunities, or no fault that provably took effect where faults were asked for.
    #[default]
    Judged,
    /// For bare files: opportunities are shown, and nothing that is merely unseen counts.
    Shown,
}

/// Judges `history`.
pub fn judge(history: &History, options: &Options) -> Judgement {
    let case = Case::new(history);
    let mut findings = Vec::new();
    let mut ledger: Option<Ledger> = None;
    let stores = history.meta.as_ref().is_none_or(|meta| meta.stores);
    let answers = if stores { answers(&case, &options.budget) } else { Vec::new() };
    for (entry, (answer, took_ms)) in CHECKERS.iter().zip(answers) {
        let asked = is_asked(entry, history, options);
        let (outcome, evidence) = match answer {
            Answer::Judged { outcome, evidence, ledger: columns } => {
                ledger = ledger.or(columns.map(|columns| *columns));
                (outcome, evidence)
            }
            Answer::NotHere { why } if asked == Count::Named => (Outcome::Unknown { why }, Evidence::default()),
            Answer::NotHere { .. } => continue,
        };
        let counts = asked != Count::No;
        let outcome =
            if options.vacuity == Vacuity::Judged { enough(entry, history, outcome, &evidence) } else { outcome };
        findings.push(Finding { guarantee: entry.name.to_string(), asked: counts, outcome, evidence, took_ms });
    }
    unheard_of(history, options, &mut findings);
    let (result, headline) = sum_up(history, &findings, options.vacuity, stores);
    let mut notes = history.notes.clone();
    notes.extend(case.notes().iter().take(NOTES).cloned());
    missing_replicas(history, &mut notes);
    Judgement {
        format: FORMAT,
        result,
        headline,
        findings,
        ledger,
        divergence_ms: divergence_ms(history),
        counts: counts(history),
        faults: history.faults.clone(),
        notes,
    }
}

/// What every checker of the table says, in its order, and how many milliseconds each took. Checkers do not know of each other, so they
/// run beside each other, as far as there are processors; a small history is not worth a thread.
fn answers(case: &Case<'_>, budget: &Budget) -> Vec<(Answer, f64)> {
    let answer = |entry: &Entry| {
        let started = Instant::now();
        let answer = (entry.build)().check(case, budget);
        (answer, started.elapsed().as_secs_f64() * 1e3)
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let taken = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let entries = taken.map_while(|at| CHECKERS.get(at).map(|entry| (at, answer(entry))));
        entries.collect::<Vec<_>>()
    };
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    let helpers = if case.history().ops.len() < WORTH_A_THREAD { 0 } else { processors.min(CHECKERS.len()) - 1 };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(more) => all.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, answer)| answer).collect()
}

/// Operations from which checkers run in several threads.
const WORTH_A_THREAD: usize = 5_000;

/// How many notes about versions that were not used are kept: they repeat themselves key after key.
const NOTES: usize = 10;

/// Whether a finding counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// Asked for by name: what cannot be judged is unknown.
    Named,
    /// Counts if it can be judged.
    IfJudged,
    /// Shown only.
    No,
}

fn is_asked(entry: &Entry, history: &History, options: &Options) -> Count {
    if entry.asked == Asked::Always {
        return Count::IfJudged;
    }
    let promised = history.meta.as_ref().map(|meta| &meta.guarantees);
    let Some(names) = options.guarantees.as_ref().or(promised) else {
        return if entry.asked == Asked::OnRequest { Count::IfJudged } else { Count::No };
    };
    if names.iter().any(|name| name == entry.name) {
        Count::Named
    } else if names.iter().any(|name| name == "all") && entry.asked == Asked::OnRequest {
        Count::IfJudged
    } else {
        Count::No
    }
}

/// Guarantees that were asked for and that nobody knows are unknown, not forgotten.
fn unheard_of(history: &History, options: &Options, findings: &mut Vec<Finding>) {
    let promised = history.meta.as_ref().map(|meta| &meta.guarantees);
    let names = options.guarantees.as_ref().or(promised).into_iter().flatten();
    for name in names.filter(|name| *name != "all" && CHECKERS.iter().all(|entry| entry.name != *name)) {
        let why = format!("no checker decides {name}");
        let evidence = Evidence::default();
        let outcome = Outcome::Unknown { why };
        findings.push(Finding { guarantee: name.clone(), asked: true, outcome, evidence, took_ms: 0.0 });
    }
}

/// A guarantee that held on too little is vacuous.
fn enough(entry: &Entry, history: &History, outcome: Outcome, evidence: &Evidence) -> Outcome {
    if outcome != Outcome::Held || entry.asked == Asked::Always {
        return outcome;
    }
    let asked = history.meta.as_ref().map(|meta| meta.faults.as_slice()).unwrap_or_default();
    let proven = history.faults.iter().any(|fault| fault.effect == Effect::Proven);
    if !asked.is_empty() && !proven {
        return Outcome::Vacuous {
            why: format!("faults were asked for ({}), and none of them provably took effect", asked.join(", ")),
        };
    }
    if evidence.sharp < SHARP_ENOUGH {
        let what = if evidence.sharp == evidence.opportunities {
            ""
        } else {
            " where another node served or a fault was near"
        };
        return Outcome::Vacuous {
            why: format!(
                "only {} of {} opportunities were sharp ({}{what}); below {SHARP_ENOUGH} nothing can be said",
                thousands(evidence.sharp),
                thousands(evidence.opportunities),
                evidence.unit,
            ),
        };
    }
    outcome
}

fn sum_up(history: &History, findings: &[Finding], vacuity: Vacuity, stores: bool) -> (String, String) {
    if !stores {
        return ("vacuous".into(), "Not judged: the database stores nothing and is only measured.".into());
    }
    let asked = || findings.iter().filter(|finding| finding.asked);
    let broken: Vec<&Finding> = asked().filter(|finding| matches!(finding.outcome, Outcome::Broken { .. })).collect();
    if let Some(first) = broken.first() {
        return ("broken".into(), broken_headline(history, first, &broken));
    }
    for finding in asked() {
        if let Outcome::Unknown { why } = &finding.outcome {
            return ("unknown".into(), format!("Unknown: {} could not be decided: {why}.", finding.guarantee));
        }
    }
    if vacuity == Vacuity::Judged {
        for finding in asked() {
            if let Outcome::Vacuous { why } = &finding.outcome {
                return ("vacuous".into(), format!("Vacuous: nothing can be said of {}: {why}.", finding.guarantee));
            }
        }
    }
    let held: Vec<&Finding> = asked().filter(|finding| finding.outcome == Outcome::Held).collect();
    let least =
        held.iter().filter(|finding| finding.guarantee != "explainable").map(|f| f.evidence.opportunities).min();
    let besides = not_promised(findings);
    let Some(least) = least else {
        let nothing = "Held: nothing that was asked for was violated, and there was next to nothing to see.";
        return ("held".into(), format!("{nothing}{besides}"));
    };
    let named = held.iter().map(|finding| finding.guarantee.as_str()).filter(|name| *name != "explainable");
    let names: Vec<&str> = named.collect();
    ("held".into(), format!("Held: {}, on {} opportunities or more each.{besides}", names.join(", "), thousands(least)))
}

/// What broke although nobody asked for it: a mode that promises little must not look as good as one that promises much.
fn not_promised(findings: &[Finding]) -> String {
    let broken: Vec<String> = findings
        .iter()
        .filter(|finding| !finding.asked && crate::guarantee::named(&finding.guarantee).is_some())
        .filter_map(|finding| match &finding.outcome {
            Outcome::Broken { violations, .. } => Some(format!("{} ({})", finding.guarantee, thousands(*violations))),
            Outcome::Held | Outcome::Unknown { .. } | Outcome::Vacuous { .. } => None,
        })
        .collect();
    if broken.is_empty() { String::new() } else { format!(" Not promised, and broken: {}.", broken.join(", ")) }
}

fn broken_headline(history: &History, first: &Finding, broken: &[&Finding]) -> String {
    let Outcome::Broken { violations, anomalies, .. } = &first.outcome else { return String::new() };
    let what = match first.guarantee.as_str() {
        "lost-writes" => plural(*violations, "acknowledged write was lost", "acknowledged writes were lost"),
        "convergence" => plural(*violations, "key differs between replicas", "keys differ between replicas"),
        "explainable" => {
            plural(*violations, "thing was read that nothing explains", "things were read that nothing explains")
        }
        name => plural(*violations, &format!("read violates {name}"), &format!("reads violate {name}")),
    };
    let others: Vec<&str> = broken[1..].iter().map(|finding| finding.guarantee.as_str()).collect();
    let more = if others.is_empty() { String::new() } else { format!(". Also broken: {}", others.join(", ")) };
    let example = anomalies.iter().min_by_key(|anomaly| anomaly.time).map(|anomaly| located(history, anomaly));
    format!("Broken: {what}{}{more}.", example.unwrap_or_default())
}

/// `; the first was append x 44 by session 7 at 8.270 s while kill n1 was active`.
fn located(history: &History, anomaly: &Anomaly) -> String {
    let Some(witness) = anomaly.witnesses.iter().find(|witness| witness.completed == Some(anomaly.time)) else {
        return String::new();
    };
    let active = history.faults.iter().find(|fault| anomaly.faults.contains(&fault.id));
    let fault = active.map(|fault| {
        let what = if fault.what.is_empty() { fault.nodes.join(" ") } else { fault.what.clone() };
        let time = fault.start <= anomaly.time && fault.end.is_none_or(|end| end >= anomaly.time);
        format!(" {} {} {what} was active", if time { "while" } else { "near the time when" }, fault.kind)
    });
    format!(
        "; the first was {} by session {} at {}{}",
        witness.text,
        witness.session,
        seconds(anomaly.time),
        fault.unwrap_or_default()
    )
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// `8,310`.
/// A count as people write it: `31,204`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn counts(history: &History) -> Counts {
    let mut counts = Counts::default();
    for op in history.ops.iter().filter(|op| !op.last) {
        counts.operations += 1;
        match op.outcome {
            Ended::Ok => counts.ok += 1,
            Ended::Fail => counts.fail += 1,
            Ended::Info => counts.info += 1,
        }
        let siblings = |step: &&crate::action::Step| matches!(step.action, Action::Read(Some(Reading::Siblings(_))));
        counts.siblings += u64::from(op.outcome == Ended::Ok && op.steps.iter().any(|step| siblings(&step)));
    }
    counts
}

/// A replica that gave no final read was not judged, which must not go unsaid.
fn missing_replicas(history: &History, notes: &mut Vec<String>) {
    let Some(meta) = &history.meta else { return };
    let read = |node: &String| {
        history.ops.iter().any(|op| op.last && op.outcome == Ended::Ok && op.node.as_deref() == Some(node.as_str()))
    };
    if history.ops.iter().any(|op| op.last) {
        let missing: Vec<&str> = meta.nodes.iter().filter(|node| !read(node)).map(String::as_str).collect();
        if !missing.is_empty() {
            notes.push(format!("no final read of {} succeeded: what it holds was not judged", missing.join(", ")));
        }
    }
}
