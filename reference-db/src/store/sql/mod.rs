//! Users' tables beside the keys, for the logs that carry statements: every table, index or trigger of theirs is named `u_…`, so that a
//! statement can be kept away from the node's own tables.
//!
//! **One form for all logs.** What a statement changes is a list of [`Change`]s under keys that begin with `sql/`, and so entries, undo images, snapshots,
//! dumps and change data capture need to know nothing of SQL:
//!
//! | key | holds |
//! |---|---|
//! | `sql/row/TABLE/ROWID` | the row's columns as SQL literals, `1,'text',NULL` |
//! | `sql/schema/KIND/NAME` | the statement that creates the table, index or trigger; in every format definitions travel so |
//! | `sql/run` | a statement that is to be run again where the entry is applied |
//!
//! **Capture** ([`run`]): temporary triggers write down the old row, and the new one is read back in the same transaction. SQLite's update hook would
//! not do: it is silent for the deletes inside REPLACE and for DELETE without WHERE, while a table with triggers has no shortcut for either.
//! Rows are applied with all triggers off: what they do has travelled as rows already.
//!
//! Left out: WITHOUT ROWID and AUTOINCREMENT tables, generated columns, views, virtual tables, ALTER TABLE, foreign keys; all but the last are refused.

mod guard;
mod run;
mod text;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _};

use super::{Change, StoreError};
use crate::value::{Cell, Value};

pub use self::guard::PREFIX;
pub(super) use self::run::ship;
pub use self::run::{Budget, Ran, SqlError, run};
pub use self::text::{date, defines, has_clock_or_chance, only_asks, with_literals};

/// What keys of users' tables begin with.
pub const KEYS: &str = "sql/";
/// The key of a statement that runs where its entry is applied.
pub const RUN: &str = "sql/run";

/// What a key under `sql/` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A row: its table and rowid.
    Row(&'a str, i64),
    /// A definition: `table`, `index` or `trigger`, and its name.
    Schema(&'a str, &'a str),
    /// A statement.
    Run,
}

/// What a key stands for; `None` for an ordinary key, and for one under `sql/` that nobody writes.
pub fn place(key: &str) -> Option<Place<'_>> {
    if key == RUN {
        return Some(Place::Run);
    }
    let (form, rest) = key.strip_prefix(KEYS)?.split_once('/')?;
    let (first, second) = rest.split_once('/')?;
    match form {
        "row" if guard::is_users(first) => Some(Place::Row(first, second.parse().ok()?)),
        "schema" if matches!(first, "table" | "index" | "trigger") && guard::is_users(second) => {
            Some(Place::Schema(first, second))
        }
        _ => None,
    }
}

fn row_key(table: &str, id: i64) -> String {
    format!("{KEYS}row/{table}/{id}")
}

pub(super) fn text_cell(text: String) -> Cell {
    Cell::Register(Value::Text(text))
}

pub(super) fn cell_text(cell: &Cell) -> &str {
    match cell {
        Cell::Register(Value::Text(text)) => text,
        _ => "",
    }
}

/// Makes a connection ready: triggers see the deletes inside REPLACE, what they capture stays in memory.
pub fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON; PRAGMA foreign_keys = OFF;
         CREATE TEMP TABLE IF NOT EXISTS captured (number INTEGER PRIMARY KEY, tbl TEXT, id INTEGER, old TEXT);",
    )?;
    tables(connection)?.iter().try_for_each(|table| run::watch(connection, table))
}

/// Users' tables, by name.
pub(super) fn tables(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut query = connection.prepare(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND substr(name, 1, 2) = ?1 ORDER BY name",
    )?;
    let names = query.query_map([PREFIX], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The columns of a table, and whether each is generated.
fn columns(connection: &Connection, table: &str) -> Result<Vec<(String, bool)>, StoreError> {
    let mut query = connection.prepare_cached("SELECT name, hidden FROM pragma_table_xinfo(?1) ORDER BY cid")?;
    let rows = query.query_map([table], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? != 0)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn named(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The expression that writes a whole row as literals; `of` is `new.`, `old.` or nothing.
fn literals(columns: &[(String, bool)], of: &str) -> String {
    let each = columns.iter().map(|(name, _)| {
        let value = format!("{of}{}", named(name));
        // `quote` ends a text at its first NUL.
        format!(
            "CASE WHEN typeof({value}) = 'text' AND instr({value}, char(0)) \
             THEN 'CAST(X''' || hex({value}) || ''' AS TEXT)' ELSE quote({value}) END"
        )
    });
    each.collect::<Vec<_>>().join("||','||")
}

/// What a key of users' tables holds.
pub fn held(connection: &Connection, key: &str) -> Result<Option<Cell>, StoreError> {
    let text: Option<String> = match place(key) {
        Some(Place::Row(table, id)) => {
            let columns = columns(connection, table)?;
            if columns.is_empty() {
                return Ok(None);
            }
            let query = format!("SELECT {} FROM main.{} WHERE rowid = ?1", literals(&columns, ""), named(table));
            connection.prepare_cached(&query)?.query_row([id], |row| row.get(0)).optional()?
        }
        Some(Place::Schema(kind, name)) => {
            let query = "SELECT sql FROM main.sqlite_schema WHERE type = ?1 AND name = ?2";
            connection.prepare_cached(query)?.query_row([kind, name], |row| row.get(0)).optional()?
        }
        Some(Place::Run) | None => None,
    };
    Ok(text.map(text_cell))
}

/// Sets a row or a definition as another node has it: with all triggers off.
pub fn set(connection: &Connection, key: &str, cell: Option<&Cell>) -> Result<(), StoreError> {
    match place(key) {
        Some(Place::Row(table, id)) => without_triggers(connection, || set_row(connection, table, id, cell)),
        Some(Place::Schema(kind, name)) => define(connection, kind, name, cell),
        Some(Place::Run) | None => Ok(()),
    }
}

fn without_triggers(connection: &Connection, work: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let done = work();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    done
}

fn set_row(connection: &Connection, table: &str, id: i64, cell: Option<&Cell>) -> Result<(), StoreError> {
    let columns = columns(connection, table)?;
    if columns.is_empty() {
        return Ok(());
    }
    let table = named(table);
    connection.prepare_cached(&format!("DELETE FROM main.{table} WHERE rowid = ?1"))?.execute([id])?;
    if let Some(cell) = cell {
        let names: Vec<String> = columns.iter().map(|(name, _)| named(name)).collect();
        let (names, values) = (names.join(","), cell_text(cell));
        // Whatever this row's unique values belong to at the moment is changed by the same entry, later.
        connection
            .execute(&format!("INSERT OR REPLACE INTO main.{table} (rowid,{names}) VALUES ({id},{values})"), [])?;
    }
    Ok(())
}

fn define(connection: &Connection, kind: &str, name: &str, cell: Option<&Cell>) -> Result<(), StoreError> {
    connection.execute_batch(&format!("DROP {kind} IF EXISTS main.{}", named(name)))?;
    if let Some(cell) = cell {
        connection.execute_batch(cell_text(cell))?;
        if kind == "table" {
            run::watch(connection, name)?;
        }
    }
    Ok(())
}

/// Every definition of users' tables, in an order in which they can be created.
fn definitions(connection: &Connection) -> Result<Vec<(String, Cell)>, StoreError> {
    let mut query = connection.prepare(
        "SELECT type, name, sql FROM main.sqlite_schema WHERE substr(name, 1, 2) = ?1 AND sql IS NOT NULL
         ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 ELSE 3 END, name",
    )?;
    let rows = query.query_map([PREFIX], |row| {
        let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((format!("{KEYS}schema/{kind}/{name}"), text_cell(row.get(2)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every row of a table.
fn rows(connection: &Connection, table: &str) -> Result<Vec<(String, Cell)>, StoreError> {
    let columns = columns(connection, table)?;
    let query = format!("SELECT rowid, {} FROM main.{} ORDER BY rowid", literals(&columns, ""), named(table));
    let mut query = connection.prepare(&query)?;
    let rows = query.query_map([], |row| Ok((row_key(table, row.get(0)?), text_cell(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Everything of users' tables, in an order in which it can be set again: tables, rows, indexes, triggers.
pub fn everything(connection: &Connection) -> Result<Vec<(String, Cell)>, StoreError> {
    let is_table = |(key, _): &(String, Cell)| matches!(place(key), Some(Place::Schema("table", _)));
    let (mut all, others): (Vec<_>, Vec<_>) = definitions(connection)?.into_iter().partition(is_table);
    for table in tables(connection)? {
        all.extend(rows(connection, &table)?);
    }
    all.extend(others);
    Ok(all)
}

/// Drops all of users' tables whose names begin so.
pub fn clear(connection: &Connection, prefix: &str) -> Result<(), StoreError> {
    let drop = |table: &String| set(connection, &format!("{KEYS}schema/table/{table}"), None);
    tables(connection)?.iter().filter(|table| table.starts_with(prefix)).try_for_each(drop)
}
