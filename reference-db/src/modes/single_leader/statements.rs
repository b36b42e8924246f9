//! Requests with statements, and what of them travels: the statement itself, or the rows that it changed (DDIA, chapter 5, "Implementation of
//! Replication Logs").
//!
//! | `--log` | a statement on users' tables | an operation on a key |
//! |---|---|---|
//! | `row` | its rows | what the key holds then |
//! | `statement` | its text, run again on each follower | the same: no operation asks anything but its key |
//! | `trigger` | its rows, as triggers wrote them down | the same |
//! | `wal` | the pages that it wrote ([`super::pages`]) | the same |
//! | `mixed` | its text; its rows where the clock, chance or the order of rows decides (like: MySQL's MIXED) | the same |
//!
//! The leader runs a statement once, inside a savepoint, and keeps what it did together with the entry; a follower runs what travelled. Definitions travel
//! as definitions in every format.

use super::{Node, wall_clock};
use crate::config::LogFormat;
use crate::mode::Output;
use crate::operation::{Code, Operation, Outcome, Refusal, apply};
use crate::store::sql::{self, Ran, SqlError};
use crate::store::{Change, Store, StoreError};
use crate::value::{Cell, Value};

use rand::RngExt as _;

/// What a transaction has done so far.
#[derive(Default)]
struct Done {
    changes: Vec<Change>,
    undo: Vec<Change>,
    results: Vec<Outcome>,
}

impl Node {
    /// Does all operations, some of which are statements, or none; what they changed becomes one entry.
    pub fn transact(
        &mut self,
        store: &mut Store,
        ops: &[Operation],
    ) -> Result<Result<Vec<Outcome>, Refusal>, StoreError> {
        store.attempt()?;
        let mut done = Done::default();
        for operation in ops {
            let refused = match operation {
                Operation::Sql { text } => self.statement(store, text, &mut done)?,
                _ => self.on_key(store, operation, &mut done)?,
            };
            if let Err(refusal) = refused {
                store.drop_all()?;
                return Ok(Err(refusal));
            }
        }
        store.keep(done.undo)?;
        let entry = self.entry(done.changes);
        self.write(store, entry)?;
        Ok(Ok(done.results))
    }

    /// Says so when a statement that ran on the leader failed here: this replica has differed from it before, or does now.
    pub fn note_failed_statements(&mut self, store: &Store, out: &mut Vec<Output>) {
        let failed = store.failed_statements();
        if failed > self.failed_statements {
            out.push(Output::Say(format!("{failed} statements of the log failed here, which had run on the leader")));
            self.failed_statements = failed;
        }
    }

    fn on_key(
        &mut self,
        store: &mut Store,
        operation: &Operation,
        done: &mut Done,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let held = store.get(operation.key())?;
        let applied = match apply(operation, held.clone()) {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(cell) = applied.change {
            let key = operation.key().to_string();
            store.put(&key, cell.as_ref())?;
            done.changes.push((key.clone(), cell));
            done.undo.push((key, held));
        }
        done.results.push(applied.outcome);
        Ok(Ok(()))
    }

    fn statement(&mut self, store: &mut Store, text: &str, done: &mut Done) -> Result<Result<(), Refusal>, StoreError> {
        let text = match self.said(text) {
            Ok(text) => text,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let ran = match store.run(&text) {
            Ok(ran) => ran,
            Err(SqlError::Refused(why)) => return Ok(Err(Refusal::definite(Code::BadRequest, why))),
            Err(SqlError::Store(error)) => return Err(error),
        };
        if ran.defines && self.by_triggers() {
            store.note_definitions(&ran.changes, &ran.undo)?;
        }
        let (changes, undo, outcome) = self.travels(&text, ran);
        done.changes.extend(changes);
        done.undo.extend(undo);
        done.results.push(outcome);
        Ok(Ok(()))
    }

    /// The statement as it is to run, here and wherever it is run again.
    fn said(&mut self, text: &str) -> Result<String, Refusal> {
        if self.policy.log != LogFormat::Statement || !self.policy.literals {
            return Ok(text.to_string());
        }
        if sql::defines(text) {
            return match sql::has_clock_or_chance(text) {
                true => Err(Refusal::definite(
                    Code::Unsupported,
                    "with --literals on no default and no trigger may ask the clock or chance: no literal reaches it when it runs; \
                     --log mixed or row carries its rows",
                )),
                false => Ok(text.to_string()),
            };
        }
        Ok(sql::with_literals(text, &sql::date(wall_clock()), || self.rng.random()))
    }

    /// What of a statement travels, how it is undone here, and what its client hears.
    fn travels(&self, text: &str, ran: Ran) -> (Vec<Change>, Vec<Change>, Outcome) {
        let as_text = match self.policy.log {
            LogFormat::Statement => true,
            LogFormat::Mixed => !ran.varies,
            _ => false,
        };
        let nothing = ran.changes.is_empty() && sql::only_asks(text);
        let changes = match as_text && !ran.defines && !nothing {
            true => vec![(sql::RUN.to_string(), Some(Cell::Register(Value::Text(text.to_string()))))],
            false => ran.changes,
        };
        let outcome = if ran.answers.is_empty() { Outcome::Done } else { Outcome::List(ran.answers) };
        (changes, ran.undo, outcome)
    }
}
