//! What a side of a scenario must show, and whether a run showed it.
//!
//! A claim that something breaks and a claim that something holds fail differently: a break that stays away says that the run had no
//! luck, a promise that breaks says that somebody is wrong. What too little was seen of is neither kept nor broken.

use gainsay_checker::checkers::staleness::measure;
use gainsay_checker::finding::{Anomaly, Finding, Outcome};
use gainsay_checker::{Case, History, Judgement, Outcome as Ended};

/// Fewer reads say nothing of how stale reads can be.
const FEWEST_READS: u64 = 300;

/// One thing that a side must show.
#[derive(Clone, Copy, Debug)]
pub enum Claim {
    /// The guarantee is violated.
    Breaks(&'static str),
    /// The guarantee holds, and there was enough to see.
    Holds(&'static str),
    /// For at least so many milliseconds no write is acknowledged.
    WritesStop(u64),
    /// No such silence lasts so many milliseconds.
    WritesGoOn(u64),
    /// The stalest read misses something that was acknowledged at least so many milliseconds before.
    StaleBy(u64),
    /// No read misses anything that was acknowledged so many milliseconds before.
    FreshWithin(u64),
    /// At least so many reads return concurrent values side by side: the price of losing none.
    Siblings(u64),
}

/// What was seen of a claim.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The guarantee or figure.
    pub what: String,
    /// Whether it should break.
    pub breaks: bool,
    /// How it came out.
    pub verdict: Verdict,
    /// In a few words.
    pub text: String,
    /// The proof, for a guarantee that broke.
    pub proof: Option<Anomaly>,
}

/// How a claim came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As claimed.
    Shown,
    /// A break stayed away.
    Unseen,
    /// What should have held is broken.
    Betrayed,
    /// What should have held could not be decided.
    Undecided,
}

impl Claim {
    /// Whether it says that something breaks.
    pub fn is_break(&self) -> bool {
        matches!(self, Claim::Breaks(_) | Claim::WritesStop(_) | Claim::StaleBy(_))
    }

    /// The guarantee that it is about, if it is about one.
    pub fn guarantee(&self) -> Option<&'static str> {
        match self {
            Claim::Breaks(name) | Claim::Holds(name) => Some(name),
            _ => None,
        }
    }

    /// In a few words, for tables.
    pub fn words(&self) -> String {
        match self {
            Claim::Breaks(name) | Claim::Holds(name) => name.to_string(),
            Claim::WritesStop(ms) => format!("writes stop for {:.1} s", *ms as f64 / 1e3),
            Claim::WritesGoOn(ms) => format!("writes never stop for {:.1} s", *ms as f64 / 1e3),
            Claim::StaleBy(ms) => format!("reads {:.1} s behind", *ms as f64 / 1e3),
            Claim::FreshWithin(ms) => format!("no read {:.1} s behind", *ms as f64 / 1e3),
            Claim::Siblings(_) => "siblings are kept".to_string(),
        }
    }

    /// What a run showed of it.
    pub fn seen(self, judgement: &Judgement, history: &History) -> Seen {
        match self {
            Claim::Breaks(name) | Claim::Holds(name) => {
                let finding = judgement.findings.iter().find(|finding| finding.guarantee == name);
                self.judged(finding)
            }
            Claim::WritesStop(ms) => self.silence(history, |longest| longest >= ms),
            Claim::WritesGoOn(ms) => self.silence(history, |longest| longest < ms),
            Claim::StaleBy(ms) => self.staleness(history, |behind| behind >= ms),
            Claim::FreshWithin(ms) => self.staleness(history, |behind| behind < ms),
            Claim::Siblings(least) => {
                let reads = judgement.counts.siblings;
                let verdict = if reads >= least { Verdict::Shown } else { Verdict::Undecided };
                self.answer(verdict, format!("{} reads returned several values", crate::verdict::grouped(reads)))
            }
        }
    }

    fn judged(self, finding: Option<&Finding>) -> Seen {
        let is_break = self.is_break();
        let Some(finding) = finding else {
            return self
                .answer(if is_break { Verdict::Unseen } else { Verdict::Undecided }, "was not judged".to_string());
        };
        let of = format!("{} {}", crate::verdict::grouped(finding.evidence.opportunities), finding.evidence.unit);
        match &finding.outcome {
            Outcome::Broken { violations, anomalies, .. } => {
                let verdict = if is_break { Verdict::Shown } else { Verdict::Betrayed };
                // A proof that lies within a fault shows best what the fault did.
                let proof = anomalies.iter().find(|anomaly| !anomaly.faults.is_empty()).or(anomalies.first());
                let text = format!("broken, {} of {of}", crate::verdict::grouped(*violations));
                Seen { proof: proof.cloned(), ..self.answer(verdict, text) }
            }
            Outcome::Held => {
                self.answer(if is_break { Verdict::Unseen } else { Verdict::Shown }, format!("held, 0 of {of}"))
            }
            Outcome::Unknown { why } | Outcome::Vacuous { why } => {
                self.answer(if is_break { Verdict::Unseen } else { Verdict::Undecided }, why.clone())
            }
        }
    }

    fn silence(self, history: &History, as_claimed: impl Fn(u64) -> bool) -> Seen {
        let longest = longest_silence(history);
        let verdict = self.measured(as_claimed(longest));
        self.answer(verdict, format!("for {:.1} s no write was acknowledged", longest as f64 / 1e3))
    }

    fn staleness(self, history: &History, as_claimed: impl Fn(u64) -> bool) -> Seen {
        let staleness = measure(&Case::new(history));
        let behind = staleness.nanoseconds.max / 1_000_000;
        let verdict =
            if staleness.reads < FEWEST_READS { Verdict::Undecided } else { self.measured(as_claimed(behind)) };
        let reads = crate::verdict::grouped(staleness.reads);
        self.answer(verdict, format!("the stalest of {reads} reads was {:.2} s behind", behind as f64 / 1e3))
    }

    fn measured(&self, as_claimed: bool) -> Verdict {
        match (as_claimed, self.is_break()) {
            (true, _) => Verdict::Shown,
            (false, true) => Verdict::Unseen,
            (false, false) => Verdict::Betrayed,
        }
    }

    fn answer(self, verdict: Verdict, text: String) -> Seen {
        Seen { what: self.words(), breaks: self.is_break(), verdict, text, proof: None }
    }
}

/// The promises of the mode that broke although `claims` does not speak of them.
pub fn betrayed(judgement: &Judgement, claims: &[Claim]) -> Vec<Seen> {
    let spoken = |name: &str| claims.iter().any(|claim| claim.guarantee() == Some(name));
    let findings = judgement.findings.iter().filter(|finding| finding.asked && !spoken(&finding.guarantee));
    let broken = findings.filter(|finding| matches!(finding.outcome, Outcome::Broken { .. }));
    broken.map(|finding| Seen { what: finding.guarantee.clone(), ..Claim::Holds("").judged(Some(finding)) }).collect()
}

/// The longest time under load without an acknowledged write, milliseconds.
fn longest_silence(history: &History) -> u64 {
    let from = history.phase("load").unwrap_or(0);
    let until = history.phase("heal").unwrap_or(history.end);
    let acknowledged = history.ops.iter().filter(|op| {
        op.outcome == Ended::Ok && op.steps.iter().any(|step| step.action.writes()) && op.completed <= until
    });
    let mut times: Vec<u64> = acknowledged.map(|op| op.completed).collect();
    times.extend([from, until]);
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use gainsay_checker::{Evidence, Judgement};

    fn finding(outcome: Outcome) -> Finding {
        let evidence = Evidence { opportunities: 1_000, unit: "reads".to_string(), ..Evidence::default() };
        Finding { guarantee: "lost-writes".to_string(), asked: true, outcome, evidence, took_ms: 0.0 }
    }

    fn broken() -> Outcome {
        Outcome::Broken { violations: 3, anomalies: Vec::new(), times: Vec::new() }
    }

    fn judgement(outcome: Outcome) -> Judgement {
        Judgement {
            format: 1,
            result: String::new(),
            headline: String::new(),
            findings: vec![finding(outcome)],
            ledger: None,
            divergence_ms: None,
            counts: Default::default(),
            faults: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A history with writes acknowledged at these milliseconds of a load that lasts from 0 to 10 s.
    fn writes(at: &[u64]) -> History {
        let lines: Vec<String> = at
            .iter()
            .enumerate()
            .flat_map(|(n, ms)| {
                let event = |kind: &str, index: usize| {
                    format!(
                        r#"{{"index":{index},"time":{},"type":"{kind}","process":{n},"f":"write","value":["x",{n}]}}"#,
                        ms * 1_000_000
                    )
                };
                [event("invoke", 2 * n), event("ok", 2 * n + 1)]
            })
            .collect();
        let mut history = History::read_any(lines.join("\n").as_bytes()).expect("a history");
        history.phases = vec![("load".to_string(), 0), ("heal".to_string(), 10_000_000_000)];
        history
    }

    #[test]
    fn what_must_break_and_what_must_hold_fail_differently() {
        let none = History::default();
        let verdict = |claim: Claim, outcome: Outcome| claim.seen(&judgement(outcome), &none).verdict;
        let vacuous = || Outcome::Vacuous { why: "too little".to_string() };
        assert_eq!(verdict(Claim::Breaks("lost-writes"), broken()), Verdict::Shown);
        assert_eq!(verdict(Claim::Breaks("lost-writes"), Outcome::Held), Verdict::Unseen);
        assert_eq!(verdict(Claim::Holds("lost-writes"), Outcome::Held), Verdict::Shown);
        assert_eq!(verdict(Claim::Holds("lost-writes"), broken()), Verdict::Betrayed);
        assert_eq!(verdict(Claim::Holds("lost-writes"), vacuous()), Verdict::Undecided);
        assert_eq!(verdict(Claim::Holds("convergence"), Outcome::Held), Verdict::Undecided, "it was not judged");
    }

    #[test]
    fn a_promise_that_no_claim_speaks_of_still_counts() {
        assert_eq!(betrayed(&judgement(broken()), &[Claim::Holds("convergence")]).len(), 1);
        assert!(betrayed(&judgement(broken()), &[Claim::Breaks("lost-writes")]).is_empty());
        assert!(betrayed(&judgement(Outcome::Held), &[]).is_empty());
    }

    #[test]
    fn silence_is_measured_from_the_beginning_of_the_load_to_its_end() {
        assert_eq!(longest_silence(&writes(&[1_000, 4_000, 6_000])), 4_000);
        assert_eq!(longest_silence(&writes(&[5_500, 9_000])), 5_500);
        assert_eq!(longest_silence(&writes(&[])), 10_000);
        let seen = |claim: Claim| claim.seen(&judgement(Outcome::Held), &writes(&[1_000, 4_000, 6_000])).verdict;
        assert_eq!(seen(Claim::WritesStop(3_900)), Verdict::Shown);
        assert_eq!(seen(Claim::WritesStop(4_100)), Verdict::Unseen);
        assert_eq!(seen(Claim::WritesGoOn(3_900)), Verdict::Betrayed);
    }

    #[test]
    fn staleness_of_too_few_reads_decides_nothing() {
        let seen = Claim::FreshWithin(500).seen(&judgement(Outcome::Held), &writes(&[1_000]));
        assert_eq!(seen.verdict, Verdict::Undecided);
    }
}
