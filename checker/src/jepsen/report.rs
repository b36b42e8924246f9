//! What a checker is told, and what it answers.

use serde_json::{Map, Value as Json, json};

use crate::value::Value;

/// What a checker needs to know beside the history. The defaults are elle-cli's.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// long-fork: how many keys each read asks for; 0 takes it from the first read.
    pub group_size: usize,
    /// bank: whether an account may be overdrawn.
    pub negative_balances: bool,
    /// bank: the largest amount that a transfer may move.
    pub max_transfer: Option<i64>,
    /// bank: what all accounts hold together; otherwise what the first read shows.
    pub total_amount: Option<i64>,
    /// bank: the accounts; otherwise those that the first read shows.
    pub accounts: Option<Vec<Value>>,
    /// set-full: whether an element has to be in every read that begins after its addition was acknowledged.
    pub linearizable: bool,
    /// sequential: how many subkeys each key has.
    pub key_count: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            group_size: 0,
            negative_balances: false,
            max_transfer: None,
            total_amount: None,
            accounts: None,
            linearizable: false,
            key_count: 4,
        }
    }
}

/// Jepsen's `:valid?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// True.
    Holds,
    /// False.
    Violated,
    /// Neither can be told.
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// One kind of thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Jepsen's name of it.
    pub kind: &'static str,
    /// How many times it was found.
    pub count: u64,
    /// The case that the fewest operations prove.
    pub text: String,
    /// The indices of those operations.
    pub ops: Vec<u64>,
}

/// How much a verdict rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How many times the history could have shown a violation; at 0 a verdict that it holds is empty.
    pub opportunities: u64,
    /// What was counted, in the plural.
    pub unit: &'static str,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether the history is right.
    pub verdict: Verdict,
    /// What went wrong and where to look, or on what the answer rests.
    pub sentence: String,
    /// Each kind of problem once, the one with the smallest proof first. Empty unless violated.
    pub problems: Vec<Problem>,
    /// Jepsen's result keys.
    pub numbers: Map<String, Json>,
    /// What was counted.
    pub evidence: Evidence,
    /// What had to be assumed, and what else is worth knowing.
    pub notes: Vec<String>,
}

/// An answer in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) problems: Vec<Problem>,
    pub(crate) numbers: Map<String, Json>,
    pub(crate) evidence: Evidence,
    pub(crate) notes: Vec<String>,
    unknown: Option<String>,
}

impl Draft {
    /// Counted in `unit`.
    pub(crate) fn of(unit: &'static str) -> Draft {
        Draft { evidence: Evidence { opportunities: 0, unit }, ..Draft::default() }
    }

    /// Notes a case of `kind`; what describes it is asked for only where its proof is smaller than those known.
    pub(crate) fn problem(&mut self, kind: &'static str, ops: usize, case: impl FnOnce() -> (String, Vec<u64>)) {
        self.problems_of(kind, 1, ops, case);
    }

    /// The same of `count` cases, of which one is described.
    pub(crate) fn problems_of(
        &mut self,
        kind: &'static str,
        count: u64,
        ops: usize,
        case: impl FnOnce() -> (String, Vec<u64>),
    ) {
        if count == 0 {
            return;
        }
        match self.problems.iter_mut().find(|problem| problem.kind == kind) {
            Some(known) => {
                known.count += count;
                if ops < known.ops.len() {
                    (known.text, known.ops) = case();
                }
            }
            None => {
                let (text, ops) = case();
                self.problems.push(Problem { kind, count, text, ops });
            }
        }
    }

    /// The history does not allow an answer; a problem that was found says more.
    pub(crate) fn unknown(&mut self, why: impl Into<String>) {
        self.unknown.get_or_insert_with(|| why.into());
    }

    /// A result key.
    pub(crate) fn number(&mut self, key: &str, value: impl Into<Json>) {
        self.numbers.insert(key.into(), value.into());
    }

    /// The answer.
    pub(crate) fn report(mut self) -> Report {
        self.problems.sort_by_key(|problem| problem.ops.len());
        let Evidence { opportunities, unit } = self.evidence;
        let verdict = match (self.problems.is_empty(), self.unknown) {
            (false, _) => Verdict::Violated,
            (true, Some(why)) => Verdict::Unknown { why },
            (true, None) => Verdict::Holds,
        };
        let sentence = match &verdict {
            Verdict::Holds if opportunities == 0 => {
                format!("Nothing is wrong, which says nothing: there are no {unit} to judge.")
            }
            Verdict::Holds => format!("Nothing is wrong, by {opportunities} {unit}."),
            Verdict::Unknown { why } => format!("This history cannot tell: {why}."),
            Verdict::Violated => violated(&self.problems),
        };
        let valid = match &verdict {
            Verdict::Holds => json!(true),
            Verdict::Violated => json!(false),
            Verdict::Unknown { .. } => json!("unknown"),
        };
        self.numbers.insert("valid?".into(), valid);
        let Draft { problems, numbers, evidence, notes, .. } = self;
        Report { verdict, sentence, problems, numbers, evidence, notes }
    }
}

/// The smallest proof in full, the other kinds by name.
fn violated(problems: &[Problem]) -> String {
    let Some((first, others)) = problems.split_first() else { return String::new() };
    let mut sentence = first.text.clone();
    if first.count > 1 {
        sentence += &format!(" The same happened {} times ({}).", first.count, first.kind);
    }
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|problem| format!("{} {}", problem.count, problem.kind)).collect();
        sentence += &format!(" Also: {}.", others.join(", "));
    }
    sentence
}
