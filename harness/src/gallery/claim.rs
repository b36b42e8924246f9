//! What a side of a scenario must show, and whether a run showed it.
//!
//! A claim that something breaks and a claim that something holds fail differently: a break that stays away says that the run had no
//! luck, a promise that breaks says that somebody is wrong. What too little was seen of is neither kept nor broken.

use gainsay_checker::checkers::staleness::measure;
use gainsay_checker::finding::{Anomaly, Finding, Outcome};
use gainsay_checker::{Case, History, Judgement, Outcome as Ended};

/// With fewer reads the stalest tenth says nothing.
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
    /// Of ten reads, one misses something that was acknowledged at least so many milliseconds before.
    StaleBy(u64),
    /// Nine of ten reads miss nothing that was acknowledged so many milliseconds before.
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
            Claim::StaleBy(ms) => format!("one read of ten {:.1} s behind", *ms as f64 / 1e3),
            Claim::FreshWithin(ms) => format!("nine reads of ten not {:.1} s behind", *ms as f64 / 1e3),
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
        let behind = staleness.nanoseconds.p90 / 1_000_000;
        let verdict =
            if staleness.reads < FEWEST_READS { Verdict::Undecided } else { self.measured(as_claimed(behind)) };
        let reads = crate::verdict::grouped(staleness.reads);
        self.answer(verdict, format!("9 of 10 reads at most {:.2} s behind, {reads} measured", behind as f64 / 1e3))
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
