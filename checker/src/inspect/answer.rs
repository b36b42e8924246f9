//! One shape for every answer, for people and for JSON.

use serde::Serialize;

use super::calls::{Entry, Named};
use crate::evidence::{Budget, upper_bound};
use crate::finding::Outcome as Judged;
use crate::history::History;
use crate::jepsen;
use crate::judge::{Options as JudgeOptions, Vacuity, judge};
use crate::log::Log;
use crate::objects::{Decision, Verdict as Decided};
use crate::txn::Transactions;
use crate::txn::check::{Anomaly, Answer as Checked, Case as Shown, Options as TxnOptions, Report};
use crate::txn::dependencies::Dependencies;
use crate::txn::versions::Versions;
use crate::txn::words::tell;

/// Everything that was found out about a file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Inspection {
    /// How the file was written.
    pub format: &'static str,
    /// One for each thing that it was judged for.
    pub answers: Vec<Answer>,
}

impl Inspection {
    /// The verdict over all answers: a violation wins, then what is unknown.
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| self.answers.iter().any(|answer| answer.verdict == verdict);
        if has(Verdict::Violated) {
            Verdict::Violated
        } else if has(Verdict::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Holds
        }
    }
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not, and there is proof.
    Violated,
    /// It could not be decided.
    Unknown,
}

/// A kind of problem.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// Its name.
    pub name: String,
    /// How many times it was found.
    pub count: u64,
    /// Whether what was asked for prohibits it.
    pub counts: bool,
    /// The smallest cases.
    pub cases: Vec<Case>,
}

/// A case of a problem.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Case {
    /// The operations: what each is called here, and what it did.
    pub operations: Vec<(String, String)>,
    /// Why they contradict each other, a sentence each.
    pub because: Vec<String>,
    /// A picture, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub svg: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// What was asked: a model or a guarantee.
    pub model: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was found, in a sentence.
    pub sentence: String,
    /// Every kind of problem, those that count first.
    pub problems: Vec<Problem>,
    /// Transactions: the weakest models that are violated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<&'static str>,
    /// Transactions: the stronger ones that fall with them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_not: Vec<&'static str>,
    /// Transactions: the strongest that still hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<&'static str>,
    /// How often a violation could have been seen.
    pub opportunities: u64,
    /// What was counted.
    pub unit: String,
    /// The 95 % upper bound on its frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<f64>,
    /// Other figures, by the names that Jepsen gives them.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub numbers: serde_json::Map<String, serde_json::Value>,
    /// What had to be assumed.
    pub notes: Vec<String>,
}

/// Which bound a search met.
fn bound(why: crate::objects::Why) -> &'static str {
    match why {
        crate::objects::Why::Configurations => "the budget of configurations was used up",
        crate::objects::Why::Time => "the budget of time was used up",
        crate::objects::Why::Bytes => "the budget of memory was used up",
        crate::objects::Why::Open => "more calls were open at once than a search can hold",
    }
}

/// Every anomaly with its cases told and drawn.
fn problems(txns: &Transactions, report: &Report, options: &TxnOptions) -> Vec<Problem> {
    let versions = Versions::new(txns, options.assume);
    let dependencies = Dependencies::new(txns, &versions);
    let case = |case: &Shown| {
        let told = tell(&dependencies, case);
        Case { operations: told.txns, because: told.because, svg: crate::txn::picture::draw(&dependencies, case) }
    };
    let problem = |anomaly: &Anomaly| Problem {
        name: anomaly.name.clone(),
        count: anomaly.count,
        counts: anomaly.counts,
        cases: anomaly.cases.iter().map(case).collect(),
    };
    report.anomalies.iter().map(problem).collect()
}

impl Answer {
    pub(super) fn new(model: &str, verdict: Verdict, sentence: String) -> Answer {
        Answer {
            model: model.to_string(),
            verdict,
            sentence,
            problems: Vec::new(),
            not: Vec::new(),
            also_not: Vec::new(),
            left: Vec::new(),
            opportunities: 0,
            unit: String::new(),
            upper_bound: None,
            numbers: serde_json::Map::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn on(mut self, opportunities: u64, unit: &str, seen: u64) -> Answer {
        self.upper_bound = upper_bound(seen.min(opportunities), opportunities);
        self.opportunities = opportunities;
        self.unit = unit.to_string();
        self
    }

    pub(super) fn of_transactions(txns: &Transactions, name: &str, report: &Report, options: &TxnOptions) -> Answer {
        let verdict = match &report.answer {
            Checked::Holds => Verdict::Holds,
            Checked::Violated => Verdict::Violated,
            Checked::Unknown(_) => Verdict::Unknown,
        };
        let asked = options.models.join(" and ");
        let counted = report.anomalies.iter().filter(|anomaly| anomaly.counts);
        let names: Vec<String> = counted.map(|anomaly| format!("{} ({})", anomaly.name, anomaly.count)).collect();
        let [committed, failed, unknown] = report.outcomes;
        let sentence = match &report.answer {
            Checked::Holds => format!("{asked} holds"),
            Checked::Violated => format!("not {asked}: {}", names.join(", ")),
            Checked::Unknown(why) => format!("{asked} is not known to hold: {why}"),
        };
        let mut answer = Answer::new(name, verdict, sentence);
        if !report.anomalies.is_empty() {
            answer.problems = problems(txns, report, options);
        }
        answer.not.clone_from(&report.not);
        answer.also_not.clone_from(&report.also_not);
        answer.left.clone_from(&report.left);
        answer.notes.clone_from(&report.notes);
        answer.numbers.insert("committed".into(), committed.into());
        answer.numbers.insert("failed".into(), failed.into());
        answer.numbers.insert("unknown".into(), unknown.into());
        let broken: u64 = report.anomalies.iter().filter(|anomaly| anomaly.counts).map(|anomaly| anomaly.count).sum();
        answer.on(committed as u64, "committed transactions", broken)
    }

    pub(super) fn of_workload(name: &str, report: jepsen::Report) -> Answer {
        let verdict = match &report.verdict {
            jepsen::Verdict::Holds => Verdict::Holds,
            jepsen::Verdict::Violated => Verdict::Violated,
            jepsen::Verdict::Unknown { .. } => Verdict::Unknown,
        };
        let mut answer = Answer::new(name, verdict, report.sentence);
        for problem in report.problems {
            let events: Vec<String> = problem.ops.iter().map(u64::to_string).collect();
            let mut because = vec![problem.text];
            if !events.is_empty() {
                because.push(format!("Look at event {}.", events.join(", ")));
            }
            answer.problems.push(Problem {
                name: problem.kind.to_string(),
                count: problem.count,
                counts: true,
                cases: vec![Case { operations: Vec::new(), because, svg: None }],
            });
        }
        answer.numbers = report.numbers;
        answer.notes = report.notes;
        let seen = answer.problems.iter().map(|problem| problem.count).sum();
        answer.on(report.evidence.opportunities, report.evidence.unit, seen)
    }

    pub(super) fn of_object(log: &Log, entry: &Entry, named: &Named, decision: &Decision, sequential: bool) -> Answer {
        let kind = if sequential { "sequential" } else { "linearizable" };
        let (verdict, sentence) = match &decision.verdict {
            Decided::Holds => (Verdict::Holds, format!("{kind}: some order explains every call")),
            Decided::Violated(_) if decision.keys > 1 => (
                Verdict::Violated,
                format!("not {kind}: on {} of {} keys no order explains the calls", decision.violations, decision.keys),
            ),
            Decided::Violated(_) => (Verdict::Violated, format!("not {kind}: no order explains the calls")),
            Decided::Unknown(stopped) => {
                let key = named.keys.get(stopped.key as usize).map(ToString::to_string).unwrap_or_default();
                let why = format!(
                    "not decided: {} on key {key}, after {} of its {} calls; {} of {} keys hold",
                    bound(stopped.why),
                    stopped.decided,
                    stopped.of,
                    decision.held,
                    decision.keys
                );
                (Verdict::Unknown, why)
            }
        };
        let mut answer = Answer::new(entry.name, verdict, sentence);
        let mut cases = Vec::new();
        for proof in &decision.violated {
            let operations = proof.calls.iter().filter_map(|&source| log.calls.get(source as usize)).map(|call| {
                let ended =
                    call.completion.map_or_else(|| "never completed".to_string(), |end| format!("completed at {end}"));
                let asked = if call.asked.is_nil() || call.asked == call.value {
                    String::new()
                } else {
                    format!(" {}", call.asked)
                };
                let what = format!(
                    "process {}, invoked at event {}, {ended}: {}{asked} → {}",
                    call.process, call.index, call.f, call.value
                );
                (if call.index == log.calls[proof.stuck as usize].index { "✗" } else { "·" }.to_string(), what)
            });
            let mut because = vec![named.words(log, &proof.text)];
            if !proof.states.is_empty() {
                let states: Vec<String> = proof.states.iter().map(|state| named.words(log, state)).collect();
                because.push(format!(
                    "Just before the call marked ✗ returned, the object could have been: {}.",
                    states.join("; ")
                ));
            }
            if decision.keys > 1 {
                let key = named.keys.get(proof.key as usize).map(ToString::to_string).unwrap_or_default();
                because.insert(0, format!("On key {key}."));
            }
            cases.push(Case { operations: operations.collect(), because, svg: None });
        }
        cases.sort_by_key(|case| case.operations.len());
        if !cases.is_empty() {
            answer.problems.push(Problem {
                name: format!("non{kind}"),
                count: decision.violations,
                counts: true,
                cases,
            });
        }
        answer.on(decision.keys, "keys", decision.violations)
    }

    pub(super) fn of_sessions(history: &History, budget: &Budget) -> Vec<Answer> {
        let options = JudgeOptions { guarantees: None, budget: *budget, vacuity: Vacuity::Shown };
        let judged = judge(history, &options);
        let findings =
            judged.findings.into_iter().filter(|finding| finding.asked && finding.guarantee != "linearizable");
        findings
            .map(|finding| {
                let (verdict, sentence) = match &finding.outcome {
                    Judged::Held => (Verdict::Holds, "held".to_string()),
                    Judged::Broken { violations, .. } => (Verdict::Violated, format!("broken: {violations}")),
                    Judged::Unknown { why } | Judged::Vacuous { why } => (Verdict::Unknown, why.clone()),
                };
                let mut answer = Answer::new(&finding.guarantee, verdict, sentence);
                let mut seen = 0;
                if let Judged::Broken { violations, anomalies, .. } = finding.outcome {
                    seen = violations;
                    let cases = anomalies.into_iter().map(|anomaly| {
                        let operations = anomaly
                            .witnesses
                            .iter()
                            .map(|it| (format!("event {}", it.index), format!("session {}: {}", it.session, it.text)));
                        let mut because = vec![anomaly.sentence.clone()];
                        because.extend(anomaly.edges.iter().map(|edge| edge.why.clone()));
                        Case { operations: operations.collect(), because, svg: None }
                    });
                    answer.problems.push(Problem {
                        name: finding.guarantee.clone(),
                        count: violations,
                        counts: true,
                        cases: cases.collect(),
                    });
                }
                answer.on(finding.evidence.opportunities, &finding.evidence.unit, seen)
            })
            .collect()
    }
}
