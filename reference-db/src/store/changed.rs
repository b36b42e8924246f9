//! The change table of `--log trigger`: what SQL triggers wrote down of each row that a transaction changed, inside that same transaction.
//!
//! like: Slony's `sl_log`, Bucardo's delta tables, pgactive's queue. A row of the table is a key, what it held and what it holds; the entry that
//! it belongs to is the one after the log's last, so the log itself needs only the entry's number. How a leader takes a tail back is in the same table. Its triggers
//! are temporary: SQLite fires them before a table's own, so that the order is that of the changes; and they end when the node stops leading, so
//! that what a follower applies is never captured a second time.
//!
//! **Subset.** With a prefix, only keys and tables whose names begin with it are captured, and so only they are shipped, taken back
//! or replaced by a copy; all else stays where it was written. An index or trigger goes with its table.
//!
//! **Definitions** fire no trigger, so they are written down by hand (like: Slony's EXECUTE SCRIPT).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::sql::{self, Place};
use super::{Change, Entry, Store, StoreError};
use crate::value::Cell;

/// The change table. Rows of one entry are in the order of their numbers.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS changed (number INTEGER PRIMARY KEY, idx INTEGER NOT NULL, key TEXT NOT NULL, old TEXT, new TEXT);
    CREATE INDEX IF NOT EXISTS changed_by_entry ON changed (idx);";

/// The number of the entry that is being written. A log that a copy has replaced is empty.
const NEXT: &str = "(SELECT coalesce((SELECT max(idx) FROM log), \
                    (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'snapshot-index'), 0) + 1)";

/// Under this name the prefix is kept, for whoever copies the database.
const SUBSET: &str = "replicate";

/// Which changes the triggers write down.
#[derive(Clone, Debug, Default)]
pub struct Subset {
    prefix: String,
    /// Indexes and triggers of tables that do not belong to it.
    elsewhere: Vec<String>,
}

impl Subset {
    /// Whether a key belongs to it.
    pub fn has(&self, key: &str) -> bool {
        match sql::place(key) {
            Some(Place::Row(table, _) | Place::Schema("table", table)) => table.starts_with(&self.prefix),
            Some(Place::Schema(..)) => !self.elsewhere.iter().any(|other| other == key),
            Some(Place::Run) => true,
            None => key.starts_with(&self.prefix),
        }
    }

    /// With what is known now of indexes and triggers.
    fn of(connection: &Connection, prefix: String) -> Result<Subset, StoreError> {
        if prefix.is_empty() {
            return Ok(Subset::default());
        }
        let mut query = connection.prepare_cached(
            "SELECT 'sql/schema/' || type || '/' || name FROM main.sqlite_schema
             WHERE type IN ('index', 'trigger') AND substr(tbl_name, 1, length(?1)) <> ?1",
        )?;
        let elsewhere = query.query_map([&prefix], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(query);
        Ok(Subset { prefix, elsewhere })
    }
}

/// What captures, and whether it does at the moment.
#[derive(Debug)]
pub(super) struct Capture {
    prefix: String,
    on: bool,
}

impl Store {
    /// Has triggers capture what this node writes as a leader; of keys and tables whose names begin with `prefix`.
    ///
    /// # Errors
    /// The disk's.
    pub fn capture(&mut self, prefix: &str) -> Result<(), StoreError> {
        self.capture = Some(Capture { prefix: prefix.to_string(), on: false });
        self.set_meta(SUBSET, prefix)
    }

    /// Has every key and table be replicated, whatever was chosen before.
    ///
    /// # Errors
    /// The disk's.
    pub fn replicates_all(&mut self) -> Result<(), StoreError> {
        if self.meta(SUBSET)?.is_some_and(|prefix| !prefix.is_empty()) { self.set_meta(SUBSET, "") } else { Ok(()) }
    }

    /// Creates or drops the triggers, as this node's own writes or a leader's are to follow. Nothing without [`Store::capture`].
    pub(super) fn captures(&mut self, on: bool) -> Result<(), StoreError> {
        let Some(capture) = self.capture.as_mut().filter(|capture| capture.on != on) else { return Ok(()) };
        capture.on = on;
        if !on {
            return drop_triggers(&self.connection);
        }
        watch_keys(&self.connection, &capture.prefix)?;
        self.capture_tables()
    }

    /// Captures tables that have come since.
    fn capture_tables(&mut self) -> Result<(), StoreError> {
        let Some(capture) = self.capture.as_ref().filter(|capture| capture.on) else { return Ok(()) };
        for table in sql::tables(&self.connection)?.iter().filter(|table| table.starts_with(&capture.prefix)) {
            sql::ship(&self.connection, table, NEXT)?;
        }
        Ok(())
    }

    /// Notes definitions, and the rows that came or went with them: `undo` says of each change what its key held.
    ///
    /// # Errors
    /// The disk's.
    pub fn note_definitions(&mut self, changes: &[Change], undo: &[Change]) -> Result<(), StoreError> {
        let Some(capture) = &self.capture else { return Ok(()) };
        let subset = Subset::of(&self.connection, capture.prefix.clone())?;
        let insert = format!("INSERT INTO changed (idx, key, old, new) VALUES ({NEXT}, ?1, ?2, ?3)");
        for ((key, new), (_, old)) in changes.iter().zip(undo) {
            if subset.has(key) {
                let text = |cell: &Option<Cell>| cell.as_ref().map(|cell| sql::cell_text(cell).to_string());
                self.connection.prepare_cached(&insert)?.execute(params![key, text(old), text(new)])?;
            }
        }
        self.capture_tables()
    }

    /// Appends an entry of this node's own: what its changes do is captured, or was while its statements ran.
    ///
    /// # Errors
    /// The disk's.
    pub fn append_captured(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.begin()?;
        self.captures(true)?;
        if self.staged.take().is_none() {
            entry.changes.iter().try_for_each(|(key, cell)| self.put(key, cell.as_ref()))?;
        }
        self.connection.prepare_cached("INSERT INTO log VALUES (?1, ?2, '', '', ?3, ?4)")?.execute(params![
            entry.index as i64,
            entry.term as i64,
            entry.wall,
            entry.origin
        ])?;
        Ok(())
    }

    /// What a copy from a leader replaces: everything, or the subset.
    pub(super) fn clear_copied(&self) -> Result<(), StoreError> {
        let prefix = self.capture.as_ref().map_or("", |capture| capture.prefix.as_str());
        self.connection.execute("DELETE FROM kv WHERE substr(key, 1, length(?1)) = ?1", [prefix])?;
        if self.tables {
            sql::clear(&self.connection, prefix)?;
        }
        Ok(())
    }
}

/// The triggers of the keys' own table.
fn watch_keys(connection: &Connection, prefix: &str) -> Result<(), StoreError> {
    let prefix = prefix.replace('\'', "''");
    let trigger = |event: &str, of: &str, old: &str, new: &str| {
        format!(
            "CREATE TEMP TRIGGER IF NOT EXISTS watch_ship_{event}_kv AFTER {event} ON main.kv
             WHEN substr({of}.key, 1, length('{prefix}')) = '{prefix}'
             BEGIN INSERT INTO changed (idx, key, old, new) VALUES ({NEXT}, {of}.key, {old}, {new}); END;"
        )
    };
    connection.execute_batch(&trigger("insert", "new", "NULL", "new.cell"))?;
    connection.execute_batch(&trigger("update", "new", "old.cell", "new.cell"))?;
    connection.execute_batch(&trigger("delete", "old", "old.cell", "NULL"))?;
    Ok(())
}

fn drop_triggers(connection: &Connection) -> Result<(), StoreError> {
    let mut query = connection
        .prepare("SELECT name FROM temp.sqlite_schema WHERE type = 'trigger' AND name LIKE 'watch_ship_%'")?;
    let names = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    names.iter().try_for_each(|name| connection.execute_batch(&format!("DROP TRIGGER temp.\"{name}\"")))?;
    Ok(())
}

/// What the triggers wrote of an entry: of each row what it held, and what it holds.
pub(super) fn of_entry(connection: &Connection, index: u64) -> Result<Vec<(Change, Change)>, StoreError> {
    let mut query = connection.prepare_cached("SELECT key, old, new FROM changed WHERE idx = ?1 ORDER BY number")?;
    let rows = query.query_map([index as i64], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let mut changes = Vec::new();
    for row in rows {
        let (key, old, new) = row?;
        let cell = |text: Option<String>| match sql::place(&key) {
            Some(_) => Ok(text.map(sql::text_cell)),
            None => text.map(|text| serde_json::from_str(&text)).transpose(),
        };
        changes.push(((key.clone(), cell(old)?), (key.clone(), cell(new)?)));
    }
    Ok(changes)
}

/// What an entry changed: as its log has it, or as the triggers wrote it where the log has nothing.
pub(super) fn changes_of(connection: &Connection, index: u64, logged: &str) -> Result<Vec<Change>, StoreError> {
    if logged.is_empty() {
        return Ok(of_entry(connection, index)?.into_iter().map(|(_, new)| new).collect());
    }
    Ok(serde_json::from_str(logged)?)
}

/// Forgets what was captured of the entries below `first`, or from it on.
pub(super) fn forget(connection: &Connection, first: u64, below: bool) -> Result<(), StoreError> {
    let query = if below { "DELETE FROM changed WHERE idx < ?1" } else { "DELETE FROM changed WHERE idx >= ?1" };
    connection.prepare_cached(query)?.execute([first as i64])?;
    Ok(())
}

/// The subset that a database replicates.
pub(super) fn subset(connection: &Connection) -> Result<Subset, StoreError> {
    let query = "SELECT value FROM meta WHERE name = ?1";
    let prefix: Option<String> = connection.query_row(query, [SUBSET], |row| row.get(0)).optional()?;
    Subset::of(connection, prefix.unwrap_or_default())
}

/// Reads the change table beside the writer, on a connection of its own.
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the database at `path`.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        // Such a log is not physical: SQLite writes the file.
        Ok(Reader { connection: super::physical::gate::reader(path, false)? })
    }

    /// At most `limit` committed entries from `first` on, ascending, as [`Store::entries`] has them.
    ///
    /// # Errors
    /// The disk's.
    pub fn entries(&self, first: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.connection.execute_batch("BEGIN")?;
        let entries = super::entries_of(&self.connection, first, limit);
        self.connection.execute_batch("COMMIT")?;
        entries
    }
}
