//! Histories of transactions as drawings, for examples that are read and tested alike.
//!
//! ```text
//! p0  [x+1 y+1]
//! p1             [x:1 y:]
//! ```
//!
//! A line is a process, columns are time. `[` begins a transaction; `]` ends one that committed, `!` one that failed, `?` one of unknown outcome. Inside,
//! `x+1` appends 1 to the list x, `x=1` writes 1 to the register x, `x:1,2` read a list, `x:1` a list of one element or a register,
//! and `x:` nothing.

use crate::event::Kind;
use crate::generate::Written;
use crate::value::Value;

/// The events of a drawing, in the order of their columns; those of one column in the order of the lines.
///
/// # Errors
///
/// A sentence with the line that is no drawing.
pub fn events(drawing: &str) -> Result<Vec<Written>, String> {
    let lists = !drawing.contains('=');
    let mut found: Vec<(usize, usize, Written)> = Vec::new();
    for (at, line) in drawing.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let wrong = |what: &str| format!("{what} in {line:?}");
        let name = line.split_whitespace().next().ok_or_else(|| wrong("no process"))?;
        let process: u64 = name.trim_start_matches('p').parse().map_err(|_| wrong("no process"))?;
        let mut rest = line.find('[');
        while let Some(open) = rest {
            let close = line[open..].find([']', '!', '?']).ok_or_else(|| wrong("a transaction has no end"))? + open;
            let kind = match line.as_bytes()[close] {
                b']' => Kind::Ok,
                b'!' => Kind::Fail,
                _ => Kind::Info,
            };
            let steps: Vec<&str> = line[open + 1..close].split_whitespace().collect();
            let value = |answered: bool| -> Result<Value, String> {
                steps
                    .iter()
                    .map(|step| parse(step, lists, answered).ok_or_else(|| wrong(step)))
                    .collect::<Result<_, _>>()
                    .map(Value::List)
            };
            let event = |kind, value| Written { index: 0, time: 0, kind, process, f: "txn", value };
            found.push((open, at, event(Kind::Invoke, value(false)?)));
            found.push((close, at, event(kind, value(kind == Kind::Ok)?)));
            rest = line[close..].find('[').map(|next| close + next);
        }
    }
    found.sort_by_key(|(column, line, _)| (*column, *line));
    let numbered =
        found.into_iter().zip(0..).map(|((_, _, event), index)| Written { index, time: index * 1_000_000, ..event });
    Ok(numbered.collect())
}

fn parse(step: &str, lists: bool, answered: bool) -> Option<Value> {
    let at = step.find(['+', '=', ':'])?;
    let (key, rest) = (Value::Text(step[..at].into()), &step[at + 1..]);
    let (name, value) = match step.as_bytes()[at] {
        b'+' => ("append", Value::Int(rest.parse().ok()?)),
        b'=' => ("w", Value::Int(rest.parse().ok()?)),
        _ if !answered => ("r", Value::Nil),
        _ if lists => {
            let elements = rest.split(',').filter(|it| !it.is_empty());
            ("r", Value::List(elements.map(|it| it.parse().ok().map(Value::Int)).collect::<Option<_>>()?))
        }
        _ if rest.is_empty() => ("r", Value::Nil),
        _ => ("r", Value::Int(rest.parse().ok()?)),
    };
    Some(Value::List(vec![Value::Text(name.into()), key, value]))
}

/// A drawing as EDN.
///
/// # Errors
///
/// Those of [`events`].
pub fn edn(drawing: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for event in events(drawing)? {
        crate::generate::write_edn(&mut out, &event);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Syntax;
    use crate::txn::Transactions;

    #[test]
    fn a_drawing_is_the_history_that_it_shows() {
        let text = edn("p0  [x+1 y+1]\np1         [x:1 y:!\np2  [x+2               ?").unwrap();
        let txns = Transactions::read(&text, Syntax::Edn).unwrap();
        assert_eq!(txns.len(), 3);
        assert!(txns.txns[0].start < txns.txns[1].start && txns.txns[2].start < txns.txns[0].end);
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        assert!(events("p0 [x+1").is_err());
        assert!(events("x [x+1]").is_err());
        assert!(events("p0 [x]").is_err());
    }
}
