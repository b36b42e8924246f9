//! Histories and pages made by hand.

use gainsay_checker::history::Effect;
use gainsay_checker::{
    Action, FaultWindow, Function, History, Op, Options, Outcome, Process, Reading, Step, Version, judge,
};
use gainsay_reports::{RunPage, Sample};

/// What no page may contain as it is.
pub const HOSTILE: &str = "<script>alert(\"x\")</script>'&<b>";

/// Nanoseconds of so many milliseconds.
pub const fn ms(ms: u64) -> u64 {
    ms * 1_000_000
}

/// An operation on one key; `answer` after it was invoked, never where it is `None`.
pub fn op(index: u64, process: u64, key: &str, action: Action, outcome: Outcome, invoked: u64) -> Op {
    let function = match action {
        Action::Read(_) => Function::Read,
        Action::Append(_) => Function::Append,
        _ => Function::Write,
    };
    Op {
        index,
        process: Process(process),
        function,
        steps: [Step { key: key.into(), action }].into_iter().collect(),
        session: (process as i64).into(),
        user: None,
        node: Some("n1".into()),
        invoked,
        intended: None,
        completed: invoked + ms(1),
        outcome,
        version: None,
        error: None,
        last: false,
    }
}

/// A history whose run describes itself with this label.
pub fn history(label: &str, ops: Vec<Op>) -> History {
    let meta = serde_json::json!({
        "format": 1, "run": "r", "database": "made", "label": label, "workload": "register",
        "nodes": ["n1", "n2"], "seed": 7, "guarantees": ["read-your-writes", "lost-writes"], "faults": ["kill"],
    });
    let end = ops.iter().map(|op| op.completed).filter(|time| *time != u64::MAX).max().unwrap_or(0);
    History { meta: serde_json::from_value(meta).ok(), ops, end, ..History::default() }
}

/// A fault that took effect.
pub fn fault(kind: &str, what: &str, start: u64, end: u64) -> FaultWindow {
    FaultWindow {
        id: 1,
        kind: kind.to_string(),
        nodes: vec!["n1".to_string()],
        what: what.to_string(),
        start,
        end: Some(end),
        effect: Effect::Proven,
        proof: what.to_string(),
        early: None,
    }
}

/// The page of a history, judged.
pub fn page(history: History) -> RunPage {
    RunPage {
        judgement: judge(&history, &Options::default()),
        history,
        facts: vec![("database".to_string(), "made".to_string())],
        command: Some("gainsay run --seed 7".to_string()),
        notes: Vec::new(),
        samples: Vec::new(),
        directory: "runs/7".to_string(),
    }
}

/// A run in which n1 leads, is killed and loses what it acknowledged, and n2 leads after it; a session misses its own write.
pub fn eventful(label: &str, text: &str) -> RunPage {
    let key = format!("k{text}");
    let write = |index, time, value: &str, term| Op {
        version: Some(Version::Position(term, index)),
        ..op(index, 0, &key, Action::Write(value.into()), Outcome::Ok, time)
    };
    let read = |index, process, time, value: Option<&str>, last| Op {
        last,
        node: Some(format!("n2{text}").into()),
        ..op(
            index,
            process,
            &key,
            Action::Read(Some(value.map_or(Reading::Nil, |value| Reading::One(value.into())))),
            Outcome::Ok,
            time,
        )
    };
    let (old, lost, new) = (format!("old{text}"), format!("lost{text}"), format!("new{text}"));
    let mut ops = vec![
        write(0, ms(10), &old, 1),
        write(2, ms(900), &lost, 1),
        read(4, 0, ms(950), Some(&old), false),
        Op {
            error: Some(text.into()),
            ..op(6, 1, &key, Action::Write(format!("f{text}").as_str().into()), Outcome::Fail, ms(1_100))
        },
        Op {
            completed: u64::MAX,
            ..op(8, 2, &key, Action::Write(format!("i{text}").as_str().into()), Outcome::Info, ms(1_200))
        },
        write(10, ms(2_000), &new, 2),
    ];
    ops.push(read(12, 0, ms(3_000), Some(&old), true));
    let mut history = history(label, ops);
    history.faults = vec![fault("kill", &format!("n1 {text}"), ms(1_000), ms(2_500))];
    history.phases = vec![("load".to_string(), 0), ("heal".to_string(), ms(2_600))];
    let mut page = page(history);
    for (time, node, role, term) in [(100, "n1", "leader", 1), (100, "n2", "follower", 1), (1_500, "n2", "leader", 2)] {
        page.samples.push(Sample {
            time: ms(time),
            node: node.to_string(),
            role: Some(role.to_string()),
            term,
            position: 10 + term,
            clock_offset_ns: Some(-120_000_000_000),
        });
    }
    page
}
