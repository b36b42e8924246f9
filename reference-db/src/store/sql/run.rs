//! Runs one statement, and knows afterwards what it changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection, ErrorCode, params};

use super::guard::{self, Seen};
use super::{Change, columns, definitions, held, literals, named, row_key, rows, text};
use crate::store::StoreError;
use crate::value::{Cell, Value};

/// How many steps of SQLite's machine pass between two looks at the budget.
const LOOK: i32 = 1_000;
/// How many looks a client's statement may take: about 0.3 s.
const LOOKS: u64 = 20_000;
/// How many rows a statement may answer.
const ANSWERS: usize = 1_000;

/// How long a statement may run. Counted in SQLite's own steps, so that load on the machine does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// As long as a client's may.
    Client,
    /// As long as it takes: the leader has let it pass.
    Unlimited,
}

/// Why a statement did not run.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It is not allowed, or SQLite found it wrong. Nothing is changed.
    #[error("{0}")]
    Refused(String),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> SqlError {
        let disk = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DiskFull
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::OutOfMemory
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::NotADatabase
            )
        );
        if disk { SqlError::Store(StoreError::Sqlite(error)) } else { SqlError::Refused(error.to_string()) }
    }
}

/// What a statement did.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// What it changed: what each key holds now.
    pub changes: Vec<Change>,
    /// What to set, last first, to undo it.
    pub undo: Vec<Change>,
    /// What it answered, each row as SQL literals.
    pub answers: Vec<Value>,
    /// Whether another node, or another moment, might make something else of it.
    pub varies: bool,
    /// Whether it creates or drops something.
    pub defines: bool,
}

/// Writes down from now on which rows of a table change, and what they held. Temporary triggers fire before a table's own.
pub fn watch(connection: &Connection, table: &str) -> Result<(), StoreError> {
    let old = literals(&columns(connection, table)?, "old.");
    let (on, quoted) = (named(table), table.replace('\'', "''"));
    let note = |id: &str, held: &str| {
        format!("BEGIN INSERT INTO captured (tbl, id, old) VALUES ('{quoted}', {id}, {held}); END;")
    };
    connection.execute_batch(&format!(
        "CREATE TEMP TRIGGER IF NOT EXISTS watch_insert_{table} AFTER INSERT ON main.{on} {inserted}
         CREATE TEMP TRIGGER IF NOT EXISTS watch_update_{table} BEFORE UPDATE ON main.{on} {changed}
         CREATE TEMP TRIGGER IF NOT EXISTS watch_move_{table} AFTER UPDATE ON main.{on}
         WHEN new.rowid <> old.rowid {inserted}
         CREATE TEMP TRIGGER IF NOT EXISTS watch_delete_{table} BEFORE DELETE ON main.{on} {changed}",
        inserted = note("new.rowid", "NULL"),
        changed = note("old.rowid", &old),
    ))?;
    Ok(())
}

/// Has a table's changes written to the change table from now on, as rows of the entry `next`. They fire after the row is changed and before what its own triggers do.
pub fn ship(connection: &Connection, table: &str, next: &str) -> Result<(), StoreError> {
    let columns = columns(connection, table)?;
    let (old, new) = (literals(&columns, "old."), literals(&columns, "new."));
    let (on, begin) = (named(table), row_key(&table.replace('\'', "''"), 0));
    let begin = begin.trim_end_matches('0');
    let note = |of: &str, old: &str, new: &str| {
        format!("INSERT INTO changed (idx, key, old, new) VALUES ({next}, '{begin}' || {of}.rowid, {old}, {new});")
    };
    let (came, went) = (note("new", "NULL", &new), note("old", &old, "NULL"));
    connection.execute_batch(&format!(
        "CREATE TEMP TRIGGER IF NOT EXISTS watch_ship_insert_{table} AFTER INSERT ON main.{on} BEGIN {came} END;
         CREATE TEMP TRIGGER IF NOT EXISTS watch_ship_update_{table} AFTER UPDATE ON main.{on}
         WHEN new.rowid = old.rowid BEGIN {changed} END;
         CREATE TEMP TRIGGER IF NOT EXISTS watch_ship_move_{table} AFTER UPDATE ON main.{on}
         WHEN new.rowid <> old.rowid BEGIN {went} {came} END;
         CREATE TEMP TRIGGER IF NOT EXISTS watch_ship_delete_{table} AFTER DELETE ON main.{on} BEGIN {went} END;",
        changed = note("new", &old, &new),
    ))?;
    Ok(())
}

/// Runs one statement inside the transaction that is open. If it fails, nothing of it is left.
pub fn run(connection: &mut Connection, text: &str, budget: Budget) -> Result<Ran, SqlError> {
    if let Some(why) = text::refusal(text) {
        return Err(SqlError::Refused(why));
    }
    connection.execute_batch("SAVEPOINT statement")?;
    let ran = guarded(connection, text, budget);
    let end = match ran {
        Ok(_) => "RELEASE statement",
        Err(_) => "ROLLBACK TO statement; RELEASE statement",
    };
    connection.execute_batch(end)?;
    ran
}

fn guarded(connection: &mut Connection, text: &str, budget: Budget) -> Result<Ran, SqlError> {
    connection.execute_batch("DELETE FROM temp.captured")?;
    let before = Before::read(connection, text)?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    connection.authorizer(Some(guard::authorizer(seen.clone())))?;
    let looks = AtomicU64::new(0);
    let over = move || budget == Budget::Client && looks.fetch_add(1, Ordering::Relaxed) >= LOOKS;
    connection.progress_handler(LOOK, Some(over))?;
    let answers = step(connection, text, &seen);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    connection.authorizer(None::<fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization>)?;
    let seen = seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    let answers = answers.map_err(|error| match seen.why.clone() {
        Some(why) => SqlError::Refused(why),
        None => error,
    })?;
    let mut ran = if seen.defines { before.compare(connection)? } else { captured(connection)? };
    ran.answers = answers;
    ran.varies = seen.varies || text::depends_on_order(text);
    ran.defines = seen.defines;
    Ok(ran)
}

/// Prepares and runs; `seen` is complete when anything is done.
fn step(connection: &Connection, text: &str, seen: &Mutex<Seen>) -> Result<Vec<Value>, SqlError> {
    let mut batch = Batch::new(connection, text);
    let Some(mut statement) = batch.next()? else {
        return Err(SqlError::Refused("there is no statement".to_string()));
    };
    if batch.next()?.is_some() {
        return Err(SqlError::Refused("there are several statements; send them as several operations".to_string()));
    }
    if let Some(why) = seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).why.clone() {
        return Err(SqlError::Refused(why));
    }
    if statement.parameter_count() > 0 {
        return Err(SqlError::Refused("the statement has parameters, and there is nothing to put there".to_string()));
    }
    let width = statement.column_count();
    let mut rows = statement.query([])?;
    let mut answers = Vec::new();
    while let Some(row) = rows.next()? {
        if answers.len() >= ANSWERS {
            return Err(SqlError::Refused(format!("the statement answers more than {ANSWERS} rows")));
        }
        let cells = (0..width).map(|column| Ok(literal(row.get_ref(column)?))).collect::<Result<Vec<_>, SqlError>>()?;
        answers.push(Value::Text(cells.join(",")));
    }
    Ok(answers)
}

fn literal(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => "NULL".to_string(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes).replace('\'', "''")),
        ValueRef::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("X'{digits}'")
        }
    }
}

/// The rows that the triggers noted: what they held first, what they hold now.
fn captured(connection: &Connection) -> Result<Ran, SqlError> {
    let mut ran = Ran::default();
    let mut known = std::collections::HashSet::new();
    let mut query = connection.prepare_cached("SELECT tbl, id, old FROM temp.captured ORDER BY number")?;
    let mut noted = query.query(params![])?;
    while let Some(row) = noted.next()? {
        let key = row_key(&row.get::<_, String>(0)?, row.get(1)?);
        if !known.insert(key.clone()) {
            continue;
        }
        let old: Option<String> = row.get(2)?;
        let (old, new) = (old.map(super::text_cell), held(connection, &key)?);
        if old != new {
            ran.changes.push((key.clone(), new));
            ran.undo.push((key, old));
        }
    }
    Ok(ran)
}

/// What there was before a statement that creates or drops something.
struct Before {
    definitions: Vec<(String, Cell)>,
    rows: Vec<(String, Vec<(String, Cell)>)>,
}

impl Before {
    /// Reads it, if the statement may be one: the authorizer speaks only when it is too late to read.
    fn read(connection: &Connection, text: &str) -> Result<Before, SqlError> {
        let mut before = Before { definitions: Vec::new(), rows: Vec::new() };
        let Some(verb) = text::verb(text).filter(|verb| matches!(verb.as_str(), "create" | "drop")) else {
            return Ok(before);
        };
        before.definitions = definitions(connection)?;
        if verb == "drop" {
            for table in super::tables(connection)? {
                if text::names(text, &table) {
                    let held = rows(connection, &table)?;
                    before.rows.push((table, held));
                }
            }
        }
        Ok(before)
    }

    /// What came and what went. A dropped table's rows go first, a created one's come last.
    fn compare(self, connection: &Connection) -> Result<Ran, SqlError> {
        let after = definitions(connection)?;
        let mut ran = Ran::default();
        let gone = |held: &[(String, Cell)], key: &str| held.iter().all(|(name, _)| name != key);
        let schema = |table: &str| format!("{}schema/table/{table}", super::KEYS);
        for (table, rows) in self.rows {
            if gone(&after, &schema(&table)) {
                for (key, cell) in rows {
                    ran.changes.push((key.clone(), None));
                    ran.undo.push((key, Some(cell)));
                }
            }
        }
        for (key, cell) in self.definitions.iter().rev().filter(|(key, _)| gone(&after, key)) {
            ran.changes.push((key.clone(), None));
            ran.undo.push((key.clone(), Some(cell.clone())));
        }
        for (key, cell) in after.iter().filter(|(key, _)| gone(&self.definitions, key)) {
            ran.changes.push((key.clone(), Some(cell.clone())));
            ran.undo.push((key.clone(), None));
            if let Some(super::Place::Schema("table", table)) = super::place(key) {
                fits(connection, table)?;
                watch(connection, table)?;
                for (key, cell) in rows(connection, table)? {
                    ran.changes.push((key.clone(), Some(cell)));
                    ran.undo.push((key, None));
                }
            }
        }
        Ok(ran)
    }
}

/// Whether a new table is of a kind whose rows can be named and copied.
fn fits(connection: &Connection, table: &str) -> Result<(), SqlError> {
    let refuse = |why: &str| Err(SqlError::Refused(format!("{table}: {why}")));
    let columns = columns(connection, table)?;
    if columns.iter().any(|(_, generated)| *generated) {
        return refuse("generated columns are not replicated");
    }
    if columns.iter().any(|(name, _)| name.eq_ignore_ascii_case("rowid")) {
        return refuse("no column may be called rowid: it names the rows in the log");
    }
    let without: i64 = connection.query_row("SELECT wr FROM pragma_table_list(?1)", [table], |row| row.get(0))?;
    if without != 0 {
        return refuse("WITHOUT ROWID: the rowid names the rows in the log");
    }
    Ok(())
}
