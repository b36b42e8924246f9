//! A node's data on disk: SQLite, in write-ahead mode, one writer.
//!
//! Tables: `kv` holds what each key holds; `log` the entries with their undo images, so that a deposed leader's tail can be taken back; `terms` where
//! each term begins; `meta` the term, the vote and other small things; `versions` the versioned rows of modes where several nodes accept writes,
//! `hints` for whom some of them are kept; `journal` the changes of multi-leader modes, or
//! the log of the mode raft; `changed` what triggers captured for `--log trigger`.
//!
//! A store whose log is physical ([`physical`]) has what is this node's own in a second file, and `log` without undo images.
//!
//! Everything between [`Store::commit`]s is one SQLite transaction. With `synchronous=FULL` a commit in WAL mode is one fsync; with
//! `synchronous=OFF` the operating system decides when.

mod changed;
pub mod changes;
mod journal;
pub mod physical;
pub mod sql;
mod tables;
mod versioned;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

pub use self::changed::{Reader, Subset};
use crate::value::Cell;

/// The disk, or SQLite, refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own error.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this version can't read.
    #[error("the store holds something that is not understood: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A file could not be read or written.
    #[error("the store's files: {0}")]
    File(#[from] std::io::Error),
    /// The directory belongs to a node of another kind.
    #[error("this directory was not written with {0}; begin with an empty one")]
    Foreign(&'static str),
}

/// How a database is laid out on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes in a page of a new database; one that is there keeps its own.
    pub page_size: u32,
    /// Where the log is physical, `--log wal`: the version of how tables lie in pages.
    pub physical: Option<u8>,
}

/// SQLite's own default.
pub const PAGE_SIZE: u32 = 4_096;

impl Default for Layout {
    fn default() -> Layout {
        Layout { page_size: PAGE_SIZE, physical: None }
    }
}

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Every commit is fsynced.
    Always,
    /// The operating system writes when it likes.
    Never,
}

/// One key's change within an entry: what it holds afterwards.
pub type Change = (String, Option<Cell>);

/// An entry of the log: the rows that one transaction changed. Its end is its commit record.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Its position, from 1.
    pub index: u64,
    /// The term of the leader that wrote it.
    pub term: u64,
    /// The rows, none for the entry that opens a term.
    pub changes: Vec<Change>,
    /// The leader's wall clock when it wrote it, nanoseconds since the epoch.
    #[serde(default)]
    pub wall: i64,
    /// The node that led when it was written; from version 2 of the format on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A node's data.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    dirty: bool,
    /// Whether keys under `sql/` are rows of users' tables.
    tables: bool,
    /// The undo image of what is applied already and is to be the next entry.
    staged: Option<Vec<Change>>,
    /// How many statements of the log failed here.
    failed: u64,
    /// With `--log trigger`: what captures this node's own writes.
    capture: Option<changed::Capture>,
    physical: Option<physical::Physical>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, cell TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS log (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, changes TEXT NOT NULL, undo TEXT NOT NULL, wall INTEGER NOT NULL, origin TEXT);
    CREATE TABLE IF NOT EXISTS terms (term INTEGER PRIMARY KEY, first INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS versions (key TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS hints (home TEXT, key TEXT, PRIMARY KEY (home, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, line TEXT NOT NULL);";

impl Store {
    /// Opens or creates the database in `dir`.
    pub fn open(dir: &Path, fsync: Fsync) -> Result<Store, StoreError> {
        Store::open_as(dir, fsync, Layout::default())
    }

    /// Opens or creates the database in `dir` in a layout of the caller's choice.
    ///
    /// # Errors
    /// The disk's; and where the directory was written in the other kind of layout.
    pub fn open_as(dir: &Path, fsync: Fsync, layout: Layout) -> Result<Store, StoreError> {
        let path = dir.join("node.sqlite");
        let mut physical = match layout.physical {
            Some(version) => Some(physical::Physical::open(dir, &path, fsync, version)?),
            None if physical::is_of(dir) => return Err(StoreError::Foreign("this log format")),
            None => None,
        };
        let connection = writer(&path, fsync, layout.page_size)?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(changed::SCHEMA)?;
        // A directory of a node that knew no origin.
        if connection.prepare("SELECT origin FROM log").is_err() {
            connection.execute_batch("ALTER TABLE log ADD COLUMN origin TEXT")?;
        }
        if let Some(physical) = &mut physical {
            physical.settle_in(&connection, &path)?;
        }
        Ok(Store { connection, path, dirty: false, tables: false, staged: None, failed: 0, capture: None, physical })
    }

    /// Where the database is, for a second connection that reads a snapshot.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is anything to commit.
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.dirty {
            self.hand_to_sqlite()?;
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.dirty = true;
        }
        Ok(())
    }

    /// Ends the transaction; returns when it is as durable as was asked for.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let mut ending = "COMMIT";
        if let Some(physical) = &mut self.physical {
            physical.commit()?;
            ending = physical.ending();
        }
        if self.dirty {
            self.connection.prepare_cached(ending)?.execute([])?;
            self.dirty = false;
        }
        Ok(())
    }

    /// What a key holds.
    pub fn get(&self, key: &str) -> Result<Option<Cell>, StoreError> {
        Ok(self.text(key)?.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    fn text(&self, key: &str) -> Result<Option<String>, StoreError> {
        if self.is_sql(key) {
            let cell = sql::held(&self.connection, key)?;
            return Ok(cell.map(|cell| serde_json::to_string(&cell)).transpose()?);
        }
        let mut query = self.connection.prepare_cached("SELECT cell FROM kv WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Sets what a key holds.
    pub fn put(&mut self, key: &str, cell: Option<&Cell>) -> Result<(), StoreError> {
        self.begin()?;
        if self.is_sql(key) {
            return sql::set(&self.connection, key, cell);
        }
        match cell {
            Some(cell) => {
                let text = serde_json::to_string(cell)?;
                let set = "INSERT INTO kv VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET cell = excluded.cell";
                self.connection.prepare_cached(set)?.execute([key, &text])?;
            }
            None => {
                self.connection.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([key])?;
            }
        }
        Ok(())
    }

    /// A small thing by name.
    pub fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let connection = self.physical.as_ref().map_or(&self.connection, physical::Physical::local);
        let mut query = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Keeps a small thing.
    pub fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        if let Some(physical) = &mut self.physical {
            return physical.set_meta(name, value);
        }
        self.begin()?;
        self.connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute([name, value])?;
        Ok(())
    }

    /// Appends an entry and applies it, remembering what its keys held.
    pub fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.begin()?;
        self.captures(false)?;
        let mut undo = match self.staged.take() {
            Some(undo) => serde_json::to_string(&undo)?,
            None => self.take_effect(&entry.changes)?,
        };
        if let Some(physical) = &mut self.physical {
            // Statements say what they undo in any case.
            undo = "[]".to_string();
            physical.note_entry();
        }
        let changes = serde_json::to_string(&entry.changes)?;
        self.connection.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            entry.index as i64,
            entry.term as i64,
            changes,
            undo,
            entry.wall,
            entry.origin
        ])?;
        Ok(())
    }

    /// Applies changes. Answers the undo image, a list of changes as JSON.
    fn take_effect(&mut self, changes: &[Change]) -> Result<String, StoreError> {
        if changes.iter().any(|(key, _)| self.is_sql(key)) {
            return Ok(serde_json::to_string(&self.apply_sql(changes)?)?);
        }
        // Put together from cells that are JSON already.
        let mut undo = String::from("[");
        for (key, cell) in changes {
            // Pages are replaced by a copy, never taken back.
            if self.physical.is_none() {
                let held = self.text(key)?;
                let comma = if undo.len() > 1 { "," } else { "" };
                undo += &format!("{comma}[{},{}]", serde_json::to_string(key)?, held.as_deref().unwrap_or("null"));
            }
            self.put(key, cell.as_ref())?;
        }
        undo.push(']');
        Ok(undo)
    }

    /// Takes back every entry from `first` on, newest first; returns them, oldest first.
    pub fn truncate(&mut self, first: u64) -> Result<Vec<Entry>, StoreError> {
        self.begin()?;
        self.captures(false)?;
        let rows: Vec<(u64, u64, String, String, i64, Option<String>)> = {
            let mut query = self.connection.prepare_cached(
                "SELECT idx, term, changes, undo, wall, origin FROM log WHERE idx >= ?1 ORDER BY idx DESC",
            )?;
            let rows = query.query_map([first as i64], |row| {
                let (index, term): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok((index as u64, term as u64, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let mut entries = Vec::with_capacity(rows.len());
        for (index, term, changes, undo, wall, origin) in rows {
            let undo: Vec<Change> = match undo.is_empty() {
                true => changed::of_entry(&self.connection, index)?.into_iter().map(|(old, _)| old).collect(),
                false => serde_json::from_str(&undo)?,
            };
            let changes = changed::changes_of(&self.connection, index, &changes)?;
            for (key, cell) in undo.iter().rev() {
                self.put(key, cell.as_ref())?;
            }
            entries.push(Entry { index, term, changes, wall, origin });
        }
        changed::forget(&self.connection, first, false)?;
        self.connection.prepare_cached("DELETE FROM log WHERE idx >= ?1")?.execute([first as i64])?;
        self.connection.prepare_cached("DELETE FROM terms WHERE first >= ?1")?.execute([first as i64])?;
        entries.reverse();
        Ok(entries)
    }

    /// At most `limit` entries from `first` on, ascending. Empty where they have been compacted away or don't exist.
    pub fn entries(&self, first: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        entries_of(&self.connection, first, limit)
    }

    /// Term and index of the newest entry, if any.
    ///
    /// # Errors
    /// The disk's.
    pub fn newest(&self) -> Result<Option<(u64, u64)>, StoreError> {
        newest(&self.connection)
    }

    /// The index of the oldest entry that is kept, if any.
    pub fn oldest(&self) -> Result<Option<u64>, StoreError> {
        let oldest: Option<i64> =
            self.connection.prepare_cached("SELECT min(idx) FROM log")?.query_row([], |row| row.get(0))?;
        Ok(oldest.map(|index| index as u64))
    }

    /// Forgets entries below `first`.
    pub fn compact(&mut self, first: u64) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("DELETE FROM log WHERE idx < ?1")?.execute([first as i64])?;
        changed::forget(&self.connection, first, true)
    }

    /// Where each term begins, ascending.
    pub fn terms(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT term, first FROM terms ORDER BY term")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes where a term begins.
    pub fn begin_term(&mut self, term: u64, first: u64) -> Result<(), StoreError> {
        self.begin()?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO terms VALUES (?1, ?2)")?
            .execute(params![term as i64, first as i64])?;
        Ok(())
    }

    /// Replaces everything by a snapshot that ends with entry `index` of `term`.
    pub fn install(&mut self, rows: &[(String, Cell)], terms: &[(u64, u64)]) -> Result<(), StoreError> {
        self.begin()?;
        self.captures(false)?;
        self.clear_copied()?;
        for table in ["log", "changed", "terms"] {
            self.connection.execute(&format!("DELETE FROM {table}"), [])?;
        }
        for (key, cell) in rows {
            self.put(key, Some(cell))?;
        }
        for (term, first) in terms {
            self.begin_term(*term, *first)?;
        }
        Ok(())
    }
}

fn entries_of(connection: &Connection, first: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let mut query = connection
        .prepare_cached("SELECT idx, term, changes, wall, origin FROM log WHERE idx >= ?1 ORDER BY idx LIMIT ?2")?;
    let mut rows = query.query(params![first as i64, limit as i64])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (index, term) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
        let changes = changed::changes_of(connection, index, row.get_ref(2)?.as_str().unwrap_or_default())?;
        entries.push(Entry { index, term, changes, wall: row.get(3)?, origin: row.get(4)? });
    }
    if entries.first().is_some_and(|entry| entry.index != first) {
        entries.clear();
    }
    Ok(entries)
}

/// The connection that a node writes with.
fn writer(path: &Path, fsync: Fsync, page_size: u32) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", page_size)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if fsync == Fsync::Always { "FULL" } else { "OFF" })?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn newest(connection: &Connection) -> Result<Option<(u64, u64)>, StoreError> {
    let mut query = connection.prepare_cached("SELECT term, idx FROM log ORDER BY idx DESC LIMIT 1")?;
    let newest = query.query_row([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)));
    Ok(newest.optional()?)
}

fn all_versioned(connection: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = connection.prepare_cached("SELECT key, row FROM versions ORDER BY key")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A consistent copy of a node's database, tied to an exact position.
#[derive(Debug)]
pub struct Snapshot {
    /// Term and index of the last entry in it.
    pub last: (u64, u64),
    /// Where each term begins.
    pub terms: Vec<(u64, u64)>,
    /// What each key holds.
    pub rows: Vec<(String, Cell)>,
    /// The versioned rows.
    pub versions: Vec<(String, String)>,
    /// How many hints there are.
    pub hints: u64,
    /// Which of the keys and tables are replicated.
    pub subset: Subset,
}

impl Snapshot {
    /// What of it another node is to have.
    pub fn replicated(self) -> Snapshot {
        let subset = self.subset.clone();
        Snapshot { rows: self.rows.into_iter().filter(|(key, _)| subset.has(key)).collect(), ..self }
    }
}

/// Reads a snapshot on a connection of its own, beside the writer: the position is read inside the same transaction as the rows.
pub fn snapshot(path: &Path) -> Result<Snapshot, StoreError> {
    let gate = physical::gate::of(path);
    let in_place = physical::gate::enter(&gate);
    let connection = physical::gate::reader(path, *in_place)?;
    connection.execute_batch("BEGIN")?;
    let position = |name: &str| -> Result<u64, StoreError> {
        let text: Option<String> =
            connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    };
    let last = match newest(&connection)? {
        Some(last) => last,
        None => (position("snapshot-term")?, position("snapshot-index")?),
    };
    let mut terms = Vec::new();
    let mut query = connection.prepare("SELECT term, first FROM terms ORDER BY term")?;
    for row in query.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))? {
        terms.push(row?);
    }
    let mut rows = Vec::new();
    let mut query = connection.prepare("SELECT key, cell FROM kv ORDER BY key")?;
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (key, cell) = row?;
        rows.push((key, serde_json::from_str(&cell)?));
    }
    rows.extend(sql::everything(&connection)?);
    let hints: i64 = connection.query_row("SELECT count(*) FROM hints", [], |row| row.get(0))?;
    let subset = changed::subset(&connection)?;
    Ok(Snapshot { last, terms, rows, versions: all_versioned(&connection)?, hints: hints as u64, subset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_another_version_is_read() {
        let read = |text: &str| serde_json::from_str::<Entry>(text).expect("an entry");
        let old = read(r#"{"index":1,"term":1,"changes":[]}"#);
        assert_eq!((old.wall, old.origin), (0, None));
        let newer = read(r#"{"index":1,"term":1,"changes":[],"origin":"n1","colour":{"of":["tomorrow"]}}"#);
        assert_eq!(newer.origin.as_deref(), Some("n1"));
    }

    #[test]
    fn a_directory_of_the_old_version_is_opened() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let connection = Connection::open(dir.path().join("node.sqlite")).expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE log (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, changes TEXT NOT NULL, undo TEXT NOT NULL,
                 wall INTEGER NOT NULL); INSERT INTO log VALUES (1, 1, '[]', '[]', 5);",
            )
            .expect("an old log");
        drop(connection);
        let mut store = Store::open(dir.path(), Fsync::Never).expect("a store");
        let entry = Entry { index: 2, term: 1, changes: Vec::new(), wall: 6, origin: Some("n1".to_string()) };
        store.append(&entry).expect("it is appended");
        let entries = store.entries(1, 9).expect("both");
        assert_eq!((entries[0].origin.as_deref(), &entries[1]), (None, &entry));
    }
}
