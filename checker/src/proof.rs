//! Proofs in words: witnesses, sentences, and the few anomalies of many that are kept.

use std::fmt::Write as _;

use crate::action::{Action, Reading};
use crate::facts::Facts;
use crate::finding::{Anomaly, Edge, Outcome, PROOFS, TIMES, Witness};
use crate::history::{History, Op, Outcome as Ended};

/// Seconds with milliseconds.
pub(crate) fn seconds(nanoseconds: u64) -> String {
    format!("{:.3} s", nanoseconds as f64 / 1e9)
}

/// `session 7`, or `user 3 (session 7)`.
pub(crate) fn who(op: &Op) -> String {
    match &op.user {
        Some(user) => format!("user {user} (session {})", op.session),
        None => format!("session {}", op.session),
    }
}

/// The first letter large.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// `wrote x = 44`.
pub(crate) fn did(action: &Action, key: &crate::action::Atom) -> String {
    let key = crate::action::KeyName(key);
    match action {
        Action::Read(_) => format!("read {key}"),
        Action::Write(value) => format!("wrote {key} = {value}"),
        Action::Cas { old: Some(old), new } => format!("changed {key} from {old} to {new}"),
        Action::Cas { old: None, new } => format!("changed {key} from nothing to {new}"),
        Action::Append(value) => format!("appended {value} to {key}"),
        Action::Add(value) => format!("added {value} to {key}"),
        Action::Remove(value) => format!("removed {value} from {key}"),
        Action::Delete => format!("deleted {key}"),
    }
}

/// What a read got: `nothing`, `43`, `[1 2]`.
pub(crate) fn got(reading: Option<&Reading>) -> String {
    match reading {
        None | Some(Reading::Nil) => "nothing".to_string(),
        Some(reading) => reading.to_string(),
    }
}

/// `(acknowledged by n1 at 8.270 s)`.
pub(crate) fn acknowledged(op: &Op) -> String {
    let node = op.node.as_ref().map(|node| format!(" by {node}")).unwrap_or_default();
    match op.outcome {
        Ended::Ok => format!("(acknowledged{node} at {})", seconds(op.completed)),
        Ended::Fail => format!("(which failed at {})", seconds(op.completed)),
        Ended::Info => format!("(sent at {}, outcome unknown)", seconds(op.invoked)),
    }
}

/// ` from n3`, where the node is known.
pub(crate) fn from_node(op: &Op) -> String {
    op.node.as_ref().map(|node| format!(" from {node}")).unwrap_or_default()
}

/// The operation as a witness.
pub(crate) fn witness(op: &Op, role: &str) -> Witness {
    let mut text = String::new();
    for (at, step) in op.steps.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{step}", if at > 0 { ", " } else { "" });
    }
    Witness {
        index: op.index,
        text,
        role: role.to_string(),
        process: op.process.0,
        session: op.session.to_string(),
        user: op.user.as_ref().map(ToString::to_string),
        node: op.node.as_ref().map(ToString::to_string),
        invoked: op.invoked,
        completed: (op.completed != u64::MAX).then_some(op.completed),
        outcome: match op.outcome {
            Ended::Ok => "ok",
            Ended::Fail => "fail",
            Ended::Info => "info",
        }
        .to_string(),
        version: op.version.as_ref().map(version),
    }
}

fn version(version: &crate::version::Version) -> String {
    use crate::version::Version;
    match version {
        Version::Position(term, index) => format!("term {term}, position {index}"),
        Version::Stamp { timestamp, writer } => format!("timestamp {timestamp} by {writer}"),
        Version::Vector { seen, dots } => {
            let seen: Vec<String> = seen.iter().map(|(actor, count)| format!("{actor}:{count}")).collect();
            let dots: Vec<String> = dots.iter().map(|(actor, count)| format!("{actor}:{count}")).collect();
            format!("dots {} after {}", dots.join(" "), seen.join(" "))
        }
    }
}

/// An operation in a proof, by its position in the history's operations.
pub(crate) struct Part {
    pub(crate) op: u32,
    pub(crate) role: &'static str,
}

/// Witnesses beyond this make a proof harder to read, not better.
const WITNESSES: usize = 5;

/// Puts an anomaly together. Witnesses are sorted by invocation; edges name operations, and those without a witness are left out.
pub(crate) fn anomaly(
    history: &History,
    name: &str,
    text: String,
    key: Option<String>,
    parts: &[Part],
    edges: &[(u32, u32, String)],
    time: u64,
) -> Anomaly {
    let mut chosen: Vec<&Part> = Vec::new();
    for part in parts {
        if chosen.len() < WITNESSES && chosen.iter().all(|other| other.op != part.op) {
            chosen.push(part);
        }
    }
    chosen.sort_by_key(|part| part.op);
    let at = |op: u32| chosen.iter().position(|part| part.op == op);
    let edges = edges
        .iter()
        .filter_map(|(from, to, why)| Some(Edge { from: at(*from)?, to: at(*to)?, why: why.clone() }))
        .filter(|edge| edge.from != edge.to)
        .collect();
    let witnesses: Vec<Witness> =
        chosen.iter().map(|part| witness(&history.ops[part.op as usize], part.role)).collect();
    let from = witnesses.iter().map(|witness| witness.invoked).min().unwrap_or(time);
    Anomaly {
        name: name.to_string(),
        sentence: text,
        key,
        witnesses,
        edges,
        faults: history.faults_between(from, time.max(from)),
        time,
    }
}

/// The violations of one guarantee, of which a few are explained.
#[derive(Default)]
pub(crate) struct Proofs {
    violations: u64,
    anomalies: Vec<Anomaly>,
    times: Vec<u64>,
}

impl Proofs {
    pub(crate) fn violations(&self) -> u64 {
        self.violations
    }

    /// Counts a violation; `explain` is only asked while fewer than [`PROOFS`] of that name are kept. Violations come in the
    /// order of their times.
    pub(crate) fn add(&mut self, time: u64, name: &str, explain: impl FnOnce() -> Anomaly) {
        self.violations += 1;
        self.times.push(time);
        if self.anomalies.iter().filter(|anomaly| anomaly.name == name).count() < PROOFS {
            self.anomalies.push(explain());
        }
    }

    /// The broken verdict, if anything was violated.
    pub(crate) fn into_outcome(mut self) -> Option<Outcome> {
        if self.violations == 0 {
            return None;
        }
        self.times.sort_unstable();
        self.times.truncate(TIMES);
        Some(Outcome::Broken { violations: self.violations, anomalies: self.anomalies, times: self.times })
    }
}

/// The name of a key.
pub(crate) fn key_name(facts: &Facts, key: u32) -> String {
    crate::action::KeyName(&facts.key_names[key as usize]).to_string()
}
