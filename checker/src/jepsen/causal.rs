//! A register that one client reads and writes in turn: initially, after a first write, after a second.
//!
//! Jepsen's `tests.causal`. The operations of each key are a causal order by themselves (read-init, write 1, read, write 2, read), each
//! linked to the position at which the one before was executed, and have to be seen as executed in that order. Acknowledged
//! operations are replayed in the order of their completions: a link must be `init` or the position seen last, a write is the next number,
//! a read shows the last write, or nothing at all.
//!
//! Links and positions are entries `link` and `position` of an operation's value, beside `value`. Values without them are replayed by value
//! alone, and a note says so.
//!
//! Cost: one pass over the operations.

use super::elements::json;
use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    judge(log, options, &[], causal)
}

pub(super) fn recognises(log: &Log) -> bool {
    let rows = sample(log, &[]);
    rows.iter().any(|row| row.is("read-init")) && rows.iter().all(|row| ["read-init", "read", "write"].contains(&&*row.call.f))
}

/// What is known of the register.
struct Register<'a> {
    value: i64,
    writes: i64,
    position: Option<&'a Value>,
    /// The operation that gave it its value, and the one that was executed last.
    by: Option<u64>,
    last: Option<u64>,
}

/// A step that does not fit, with the operations that show it.
type Misfit = (&'static str, String, Vec<u64>);

impl<'a> Register<'a> {
    fn step(&mut self, row: &Row<'a>) -> Result<(), Misfit> {
        let plain = row.value.get("value");
        let value = plain.unwrap_or(row.value);
        if let Some(link) = row.value.get("link").filter(|link| !link.is_nil()) {
            self.linked(row, link)?;
        }
        if row.is("write") {
            self.write(row, value)?;
        } else if !value.is_nil() {
            self.read(row, value)?;
        }
        self.position = row.value.get("position");
        self.last = Some(row.index());
        Ok(())
    }

    fn linked(&self, row: &Row<'_>, link: &Value) -> Result<(), Misfit> {
        if link.text() == Some("init") || Some(link) == self.position {
            return Ok(());
        }
        let position = self.position.map_or("none".into(), Value::to_string);
        let text = format!(
            "Operation {} depends on position {link}, but the operation before it was executed at {position}.",
            row.index()
        );
        Err(("link", text, self.last.into_iter().chain([row.index()]).collect()))
    }

    fn write(&mut self, row: &Row<'_>, value: &Value) -> Result<(), Misfit> {
        let next = self.writes.saturating_add(1);
        if value.int() != Some(next) {
            let text = format!("Operation {} writes {value} where {next} was to be written.", row.index());
            return Err(("write", text, vec![row.index()]));
        }
        (self.value, self.writes, self.by) = (next, next, Some(row.index()));
        Ok(())
    }

    fn read(&self, row: &Row<'_>, value: &Value) -> Result<(), Misfit> {
        if value.int() == Some(self.value) {
            return Ok(());
        }
        let (text, ops) = match self.by {
            Some(by) => (
                format!(
                    "Operation {} read {value}, but in the order in which its client issued them, operation {by} had written {}.",
                    row.index(),
                    self.value
                ),
                vec![by, row.index()],
            ),
            None => (format!("Operation {} read {value} before anything was written.", row.index()), vec![row.index()]),
        };
        Err(("read", text, ops))
    }
}

fn causal(rows: &[Row<'_>], _: &Options) -> Draft {
    let mut draft = Draft::of("operations replayed");
    let mut done: Vec<&Row<'_>> = rows.iter().filter(|row| row.ok()).collect();
    done.sort_by_key(|row| row.call.end);
    let linked = done.iter().filter(|row| row.value.get("link").is_some()).count();
    if linked == 0 && !done.is_empty() {
        draft.notes.push("no operation names the position that it is linked to: only values were replayed".into());
    }
    let mut register = Register { value: 0, writes: 0, position: None, by: None, last: None };
    for row in done {
        draft.evidence.opportunities += 1;
        if let Err((kind, text, ops)) = register.step(row) {
            draft.number("error", text.clone());
            draft.problem(kind, ops.len(), || (text, ops));
            break;
        }
    }
    draft.number("model", json(&Value::Int(register.value)));
    draft.number("linked-count", linked);
    draft
}
