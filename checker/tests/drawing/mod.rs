//! Histories drawn as text: columns are time.
//!
//! ```text
//! # A comment.
//! order: real-time          claims, one a line: order, set-rule (by-order, observed-remove, remove-wins), users (p0=ann p1=ann)
//! p0    [w x=1]
//! p1             [r x=nil @n2]
//! n1                           [final x=1]
//! ---
//! read-your-writes: held
//! ```
//!
//! `[ ]` succeeded, `!` for `]` failed, `?` is unknown. Operations: `w x=1`, `r x=1 y=nil` (several keys at once), `r x=[1 2]` a list or set,
//! `r x=<1 2>` siblings, `cas x 1 2`, `del x`, `append x 1`, `add x 1`, `rm x 1`, `final x=1` by the row's node. Behind them:
//! `@n2` the node, `#1.7` a position, `~17` a timestamp, `.a:3` dots and `^a:2` what they cover. Rows `p0` and `p0/2` are two processes of
//! one session.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use gainsay_checker::{
    Action, Atom, Event, Function, History, Kind, Meta, OpEvent, Process, Reading, Step, Steps, Version,
};

/// A drawing: its history and the verdicts expected below it.
pub struct Drawing {
    pub history: History,
    pub expected: Vec<(String, String)>,
}

/// Reads a drawing; panics with the line that is wrong.
pub fn draw(text: &str) -> Drawing {
    let (picture, below) = text.split_once("\n---").unwrap_or((text, ""));
    let mut meta = meta();
    let mut claimed = false;
    let mut users: BTreeMap<String, String> = BTreeMap::new();
    let mut events: Vec<(usize, u8, OpEvent)> = Vec::new();
    let mut rows = 0;
    for line in picture.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some((name, value)) = claim(line) {
            claimed |= name != "users";
            match (name, value) {
                ("order", "real-time") => meta.order_is_real_time = true,
                ("set-rule", rule) => meta.set_rule = serde_json::from_value(rule.into()).unwrap(),
                ("users", list) => users.extend(
                    list.split_whitespace()
                        .map(|pair| pair.split_once('=').unwrap())
                        .map(|(a, b)| (a.into(), b.into())),
                ),
                _ => panic!("what does {line:?} claim?"),
            }
            continue;
        }
        row(line, rows, &users, &mut events);
        rows += 1;
    }
    // At one column invocations come first: what completes there is concurrent with what begins there.
    events.sort_by_key(|(column, class, _)| (*column, *class));
    let events = events.into_iter().enumerate().map(|(index, (_, _, mut event))| {
        event.index = index as u64;
        Event::Op(event)
    });
    let mut history = History::from_events(events).unwrap_or_else(|why| panic!("{why} in\n{text}"));
    if claimed {
        history.meta = Some(meta);
    }
    let expected = below
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, verdict)| (name.trim().to_string(), verdict.trim().to_string()))
        .collect();
    Drawing { history, expected }
}

fn claim(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    (!line.contains('[') && name.chars().all(|c| c.is_ascii_alphabetic() || c == '-')).then(|| (name, value.trim()))
}

fn meta() -> Meta {
    Meta {
        format: 1,
        run: "drawn".into(),
        database: "drawn".into(),
        label: "drawn".into(),
        workload: "drawn".into(),
        nodes: vec![],
        seed: 0,
        guarantees: vec![],
        not_exercised: vec![],
        faults: vec![],
        order_is_real_time: false,
        set_rule: Default::default(),
        stores: true,
    }
}

fn row(line: &str, number: usize, users: &BTreeMap<String, String>, events: &mut Vec<(usize, u8, OpEvent)>) {
    let name = line.split_whitespace().next().unwrap();
    let session = name.split('/').next().unwrap();
    let mut at = 0;
    // A list inside a reading has brackets too: an operation opens at depth 0.
    while let Some(open) = line[at..].find('[').map(|found| at + found) {
        let mut depth = 0;
        let close = line[open..]
            .char_indices()
            .find(|&(_, c)| {
                match c {
                    '[' => depth += 1,
                    ']' => depth -= 1,
                    '!' | '?' if depth == 1 => depth = 0,
                    _ => {}
                }
                depth == 0
            })
            .map(|(offset, _)| open + offset)
            .unwrap_or_else(|| panic!("{line:?} does not close"));
        let kind = match line.as_bytes()[close] {
            b'!' => Kind::Fail,
            b'?' => Kind::Info,
            _ => Kind::Ok,
        };
        let mut event = operation(&line[open + 1..close], name);
        event.process = Process(number as u64 * 1_000 + if kind == Kind::Info { open as u64 } else { 0 });
        event.session = Some(Atom::from(session));
        event.user = users.get(session).map(|user| Atom::from(user.as_str()));
        let column = |column: usize| (column as u64) * 1_000_000;
        let mut invoke = event.clone();
        (invoke.kind, invoke.time, invoke.version) = (Kind::Invoke, column(open), None);
        (event.kind, event.time) = (kind, column(close));
        events.push((open, 0, invoke));
        events.push((close, 1, event));
        at = close + 1;
    }
}

fn operation(text: &str, row: &str) -> OpEvent {
    let words = words(text);
    let mut event = OpEvent {
        index: 0,
        time: 0,
        intended: None,
        kind: Kind::Ok,
        process: Process(0),
        function: Function::Read,
        steps: Steps::new(),
        session: None,
        user: None,
        node: None,
        version: None,
        error: None,
        last: false,
    };
    let mut arguments: Vec<&str> = Vec::new();
    let (mut dots, mut seen) = (Vec::new(), BTreeMap::new());
    for word in &words[1..] {
        match word.split_at(1) {
            ("@", node) => event.node = Some(Arc::from(node)),
            ("#", position) => {
                let (term, index) = position.split_once('.').unwrap();
                event.version = Some(Version::Position(term.parse().unwrap(), index.parse().unwrap()));
            }
            ("~", stamp) => {
                let timestamp = stamp.parse().unwrap();
                event.version = Some(Version::Stamp { timestamp, writer: Arc::from("w") });
            }
            (".", list) => dots.extend(list.split(',').map(counter)),
            ("^", list) => seen.extend(list.split(',').map(counter)),
            _ => arguments.push(word),
        }
    }
    if !dots.is_empty() || !seen.is_empty() {
        event.version = Some(Version::Vector { seen, dots });
    }
    let atom = |word: &str| word.parse().map(Atom::Int).unwrap_or_else(|_| Atom::from(word));
    let (function, action) = match (words[0].as_str(), arguments.as_slice()) {
        ("r" | "final", readings) => {
            if words[0] == "final" {
                event.last = true;
                event.node = Some(Arc::from(row));
            }
            event.function = if readings.len() > 1 { Function::Txn } else { Function::Read };
            event.steps = readings
                .iter()
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, "nil"));
                    Step { key: Atom::from(key), action: Action::Read(Some(reading(value))) }
                })
                .collect();
            return event;
        }
        ("w", [pair]) => (Function::Write, Action::Write(atom(pair.split_once('=').unwrap().1))),
        ("cas", [_, "nil", new]) => (Function::Cas, Action::Cas { old: None, new: atom(new) }),
        ("cas", [_, old, new]) => (Function::Cas, Action::Cas { old: Some(atom(old)), new: atom(new) }),
        ("del", [_]) => (Function::Delete, Action::Delete),
        ("append", [_, value]) => (Function::Append, Action::Append(atom(value))),
        ("add", [_, value]) => (Function::Add, Action::Add(atom(value))),
        ("rm", [_, value]) => (Function::Remove, Action::Remove(atom(value))),
        _ => panic!("what is {text:?}?"),
    };
    let key = Atom::from(arguments[0].split('=').next().unwrap());
    event.function = function;
    event.steps = [Step { key, action }].into_iter().collect();
    event
}

fn counter(text: &str) -> (Arc<str>, u64) {
    let (actor, count) = text.split_once(':').unwrap();
    (Arc::from(actor), count.parse().unwrap())
}

fn reading(text: &str) -> Reading {
    let atoms = |text: &str| -> Vec<Atom> {
        let inner = &text[1..text.len() - 1];
        inner.split_whitespace().map(|word| word.parse().map(Atom::Int).unwrap_or_else(|_| Atom::from(word))).collect()
    };
    match text.as_bytes()[0] {
        b'[' => Reading::Many(atoms(text)),
        b'<' => Reading::Siblings(atoms(text)),
        _ if text == "nil" => Reading::Nil,
        _ => Reading::One(text.parse().map(Atom::Int).unwrap_or_else(|_| Atom::from(text))),
    }
}

/// Splits at spaces outside of brackets.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0;
    for c in text.trim().chars() {
        match c {
            '[' | '<' => depth += 1,
            ']' | '>' => depth -= 1,
            ' ' if depth == 0 => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        words.last_mut().unwrap().push(c);
    }
    words.retain(|word| !word.is_empty());
    words
}
