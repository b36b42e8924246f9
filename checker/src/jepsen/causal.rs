//! A register that one client reads and writes in turn: initially, after a first write, after a second.
//!
//! Jepsen's `tests.causal`. The operations of each key are a causal order by themselves (read-init, write 1, read, write 2, read), each
//! linked to the position at which the one before was executed, and have to be seen as executed in that order. Acknowledged
//! operations are replayed in the order of their completions: a link must be `init` or the position seen last, a write is the next number,
//! a read shows the last write, or nothing at all. Where Jepsen forgets operations of unknown outcome, a write of unknown outcome may
//! have taken effect at any time after it began, and the position after such an operation is unknown.
//!
//! Links and positions are entries `link` and `position` of an operation's value, beside `value`. Values without them are replayed by value
//! alone, and a note says so.
//!
//! Cost: one pass over the operations.

use super::elements::json;
use super::keyed::{Row, judge, sample};
use super::report::{Draft, Options, Report};
use crate::intern::FastMap;
use crate::log::Log;
use crate::value::Value;

pub(super) fn check(log: &Log, options: &Options) -> Report {
    judge(log, options, &[], causal)
}

pub(super) fn recognises(log: &Log) -> bool {
    let rows = sample(log, &[]);
    rows.iter().any(|row| row.is("read-init"))
        && rows.iter().all(|row| ["read-init", "read", "write"].contains(&&*row.call.f))
}

/// What is known of the register.
struct Register<'a> {
    /// The last number written.
    writes: i64,
    position: Option<&'a Value>,
    /// Writes of unknown outcome by what they would write: when the first of each began, and its index.
    unsure: FastMap<i64, (u32, u64)>,
    /// Whether an operation of unknown outcome came after the last one replayed.
    blurred: bool,
    /// The operation that gave it its value, and the one that was executed last.
    by: Option<u64>,
    last: Option<u64>,
}

/// What an operation read or wrote.
fn plain(value: &Value) -> &Value {
    value.get("value").unwrap_or(value)
}

/// A step that does not fit, with the operations that show it.
type Misfit = (&'static str, String, Vec<u64>);

impl<'a> Register<'a> {
    fn step(&mut self, row: &Row<'a>) -> Result<(), Misfit> {
        let value = plain(row.value);
        let link = row.value.get("link").filter(|link| !link.is_nil() && !self.blurred);
        if let Some(link) = link {
            self.linked(row, link)?;
        }
        if row.is("write") {
            self.write(row, value)?;
        } else if !value.is_nil() {
            self.read(row, value)?;
        }
        self.position = row.value.get("position");
        (self.last, self.blurred) = (Some(row.index()), false);
        Ok(())
    }

    /// The write of unknown outcome that may have written `value` before `row` ended.
    fn possible(&self, value: i64, row: &Row<'_>) -> Option<u64> {
        self.unsure.get(&value).filter(|(begun, _)| *begun < row.call.end).map(|(_, index)| *index)
    }

    /// Whether writes of unknown outcome may have brought the register to `value` before `row` ended; `value` is not below what it holds.
    fn reaches(&self, value: i64, row: &Row<'_>) -> bool {
        (self.writes..value).all(|before| self.possible(before + 1, row).is_some())
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
        let fits = value.int().filter(|&it| match it {
            it if it > self.writes => self.reaches(it - 1, row),
            // One of unknown outcome that was seen already is tried again.
            it => it == self.writes && self.possible(it, row).is_some(),
        });
        let Some(written) = fits else {
            let text = format!("Operation {} writes {value} where {next} was to be written.", row.index());
            return Err(("write", text, vec![row.index()]));
        };
        (self.writes, self.by) = (written, Some(row.index()));
        Ok(())
    }

    fn read(&mut self, row: &Row<'_>, value: &Value) -> Result<(), Misfit> {
        if value.int() == Some(self.writes) {
            return Ok(());
        }
        if let Some(shown) = value.int().filter(|&it| it > self.writes && self.reaches(it, row)) {
            (self.writes, self.by) = (shown, self.possible(shown, row));
            return Ok(());
        }
        let (text, ops) = match self.by {
            Some(by) => (
                format!(
                    "Operation {} read {value}, but in the order in which its client issued them, operation {by} had written {}.",
                    row.index(),
                    self.writes
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
    let unsure = || rows.iter().filter(|row| !row.ok() && !row.failed());
    let mut writes: FastMap<i64, (u32, u64)> = FastMap::default();
    for row in unsure().filter(|row| row.is("write")) {
        if let Some(value) = plain(row.given()).int() {
            writes.entry(value).or_insert((row.call.start, row.index()));
        }
    }
    let mut begun: Vec<u32> = unsure().map(|row| row.call.start).collect();
    begun.sort_unstable();
    let mut begun = begun.into_iter().peekable();
    let mut register = Register { writes: 0, position: None, unsure: writes, blurred: false, by: None, last: None };
    for row in done {
        while begun.next_if(|&rank| rank < row.call.end).is_some() {
            register.blurred = true;
        }
        draft.evidence.opportunities += 1;
        if let Err((kind, text, ops)) = register.step(row) {
            draft.number("error", text.clone());
            draft.problem(kind, ops.len(), || (text, ops));
            break;
        }
    }
    draft.number("model", json(&Value::Int(register.writes)));
    draft.number("linked-count", linked);
    draft
}
