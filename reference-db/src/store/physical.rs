//! A store whose log is physical: the pages that SQLite's own log carries (DDIA, chapter 5, "Write-ahead log (WAL) shipping"; like: PostgreSQL's
//! streaming replication).
//!
//! **Leading**, SQLite writes. After each commit the node reads from the `-wal` file which pages it appended ([`frames`]); checkpoints are its own, once
//! it has read them. A transaction that holds no entry is rolled back, so that every page on disk belongs to a position.
//!
//! **Following**, the node writes the pages of each commit into the file itself, in place, behind a redo file ([`redo`]). No SQLite connection outlives such a
//! write; those between two of them take the file for one that does not change, and [`gate`] keeps others away meanwhile. So the
//! file is the leader's, byte for byte. To begin with, and where the histories differ, it is replaced by a copy: SQLite cannot take pages back.
//!
//! **Here alone**: term, vote and whatever else is this node's own is in a second file, `local.sqlite`, which is committed first: a vote must not
//! be younger than the entries that follow from it.

pub mod frames;
pub mod gate;
pub mod redo;
pub mod segment;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, params};

use self::frames::{Frames, Written};
use self::gate::Gate;
use self::redo::Redo;
use self::segment::{Form, Segment};
use super::{Fsync, Store, StoreError};

/// The file of what is this node's own.
const LOCAL: &str = "local.sqlite";
/// A redo file longer than this is emptied, in bytes; so much is written twice at most when a node starts.
const REDO: u64 = 8 << 20;
/// SQLite checkpoints once its log is longer than this, in bytes.
const CHECKPOINT: u64 = 16 << 20;

/// Whether SQLite can have pages of so many bytes.
pub fn is_page_size(bytes: u32) -> bool {
    (512..=65_536).contains(&bytes) && bytes.is_power_of_two()
}

/// The part of a store that is there only where the log is physical.
pub(super) struct Physical {
    dir: PathBuf,
    fsync: Fsync,
    /// What is this node's own.
    local: Connection,
    local_dirty: bool,
    gate: Gate,
    redo: Redo,
    writer: Writer,
    /// Whether the open transaction holds an entry.
    appended: bool,
    page_size: u32,
    /// How tables lie in pages.
    version: u32,
}

/// Who writes the database file.
enum Writer {
    Sqlite(Frames),
    InPlace(File),
}

/// Whether a directory belongs to a node with a physical log.
pub(super) fn is_of(dir: &Path) -> bool {
    dir.join(LOCAL).exists()
}

impl Physical {
    /// Makes the files in `dir` whole, for SQLite to open.
    pub(super) fn open(dir: &Path, database: &Path, fsync: Fsync, version: u8) -> Result<Physical, StoreError> {
        if database.exists() && !is_of(dir) {
            return Err(StoreError::Foreign("--log wal"));
        }
        let local = Connection::open(dir.join(LOCAL))?;
        local.pragma_update(None, "journal_mode", "WAL")?;
        local.pragma_update(None, "synchronous", if fsync == Fsync::Always { "FULL" } else { "OFF" })?;
        local.execute_batch(
            "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
        )?;
        let (redo, found) = Redo::open(&dir.join("node.redo"))?;
        let gate = gate::of(database);
        // Whoever had the gate before is gone with its process, or with its part of a test.
        *gate.write().unwrap_or_else(PoisonError::into_inner) = false;
        let mut physical = Physical {
            dir: dir.to_path_buf(),
            fsync,
            local,
            local_dirty: false,
            gate,
            redo,
            writer: Writer::Sqlite(Frames::new(&wal(database))),
            appended: false,
            page_size: 0,
            version: u32::from(version),
        };
        physical.sync_dir()?;
        if !found.is_empty() {
            // Pages were written in place: no log of SQLite's was in force.
            forget_log(database)?;
            let file = OpenOptions::new().write(true).open(database)?;
            found.iter().try_for_each(|segment| write_pages(&file, segment))?;
            physical.sync(&file)?;
            physical.empty_redo()?;
        }
        Ok(physical)
    }

    /// Takes over the connection that SQLite writes with.
    pub(super) fn settle_in(&mut self, connection: &Connection, database: &Path) -> Result<(), StoreError> {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Nothing that is in the log now is to be read as news.
        checkpoint(connection, "TRUNCATE")?;
        self.page_size = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        self.writer = Writer::Sqlite(Frames::new(&wal(database)));
        Ok(())
    }

    /// What is this node's own, small things by name among it.
    pub(super) fn local(&self) -> &Connection {
        &self.local
    }

    pub(super) fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        if !self.local_dirty {
            self.local.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.local_dirty = true;
        }
        self.local.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![name, value])?;
        Ok(())
    }

    /// Commits what is this node's own.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        if self.local_dirty {
            self.local.prepare_cached("COMMIT")?.execute([])?;
            self.local_dirty = false;
        }
        Ok(())
    }

    /// Notes that the open transaction holds an entry.
    pub(super) fn note_entry(&mut self) {
        self.appended = true;
    }

    /// How the transaction that is open ends: one without an entry leaves no trace.
    pub(super) fn ending(&mut self) -> &'static str {
        if std::mem::take(&mut self.appended) { "COMMIT" } else { "ROLLBACK" }
    }

    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.writer, Writer::InPlace(_))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.fsync == Fsync::Always { file.sync_all() } else { Ok(()) }
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.fsync == Fsync::Always { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    fn empty_redo(&mut self) -> io::Result<()> {
        let sync = self.fsync == Fsync::Always;
        self.redo.empty(sync)
    }
}

impl Store {
    /// Whether the log is physical.
    pub fn is_physical(&self) -> bool {
        self.physical.is_some()
    }

    /// The form of the database file's pages.
    pub fn form(&self) -> Form {
        self.physical
            .as_ref()
            .map_or_else(Form::default, |physical| Form { page_size: physical.page_size, version: physical.version })
    }

    /// The pages of whatever was committed since the last call; checkpoints when it is time to. `None` where SQLite wrote nothing.
    ///
    /// # Errors
    /// The disk's.
    pub fn written(&mut self) -> Result<Option<Written>, StoreError> {
        let Some(Physical { writer: Writer::Sqlite(frames), .. }) = &mut self.physical else { return Ok(None) };
        let written = frames.read()?;
        if written.is_some() && std::fs::metadata(wal(&self.path))?.len() > CHECKPOINT {
            checkpoint(&self.connection, "PASSIVE")?;
        }
        Ok(written)
    }

    /// Writes the pages of commits, oldest first, each following the one before; returns when they are as durable as was asked for.
    ///
    /// # Errors
    /// The disk's; and where pages make no database.
    pub fn write_segments(&mut self, segments: &[Arc<Segment>]) -> Result<(), StoreError> {
        self.hand_to_pages()?;
        let path = self.path.clone();
        let Some(Physical { fsync, gate, redo, writer: Writer::InPlace(file), .. }) = &mut self.physical else {
            return Ok(());
        };
        let sync = *fsync == Fsync::Always;
        redo.append(segments, sync)?;
        let gate = gate.clone();
        let shut = gate.write().unwrap_or_else(PoisonError::into_inner);
        self.connection = Connection::open_in_memory()?;
        segments.iter().try_for_each(|segment| write_pages(file, segment))?;
        if redo.length() > REDO {
            if sync {
                file.sync_all()?;
            }
            redo.empty(sync)?;
        }
        self.connection = gate::reader(&path, true)?;
        drop(shut);
        Ok(())
    }

    /// Replaces the whole database by a copy.
    ///
    /// # Errors
    /// The disk's; and where the bytes are no database.
    pub fn install_file(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hand_to_pages()?;
        let path = self.path.clone();
        let Some(physical) = &mut self.physical else { return Ok(()) };
        let copy = physical.dir.join("arriving.sqlite");
        let mut file = File::create(&copy)?;
        file.write_all(bytes)?;
        physical.sync(&file)?;
        let gate = physical.gate.clone();
        let shut = gate.write().unwrap_or_else(PoisonError::into_inner);
        self.connection = Connection::open_in_memory()?;
        if let Writer::InPlace(old) = &physical.writer {
            physical.sync(old)?;
        }
        physical.empty_redo()?;
        std::fs::rename(&copy, &path)?;
        physical.sync_dir()?;
        physical.writer = Writer::InPlace(OpenOptions::new().write(true).open(&path)?);
        self.connection = gate::reader(&path, true)?;
        drop(shut);
        Ok(())
    }

    /// From SQLite to pages: whatever SQLite has in its log goes into the file, and the log goes away.
    fn hand_to_pages(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        let path = self.path.clone();
        let Some(physical) = self.physical.as_mut().filter(|physical| !physical.is_in_place()) else { return Ok(()) };
        let gate = physical.gate.clone();
        let mut shut = gate.write().unwrap_or_else(PoisonError::into_inner);
        checkpoint(&self.connection, "TRUNCATE")?;
        self.connection = Connection::open_in_memory()?;
        forget_log(&path)?;
        physical.sync_dir()?;
        physical.writer = Writer::InPlace(OpenOptions::new().write(true).open(&path)?);
        *shut = true;
        self.connection = gate::reader(&path, true)?;
        Ok(())
    }

    /// From pages to SQLite, which writes from now on.
    pub(super) fn hand_to_sqlite(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let Some(physical) = &mut self.physical else { return Ok(()) };
        let Writer::InPlace(file) = &physical.writer else { return Ok(()) };
        let gate = physical.gate.clone();
        let mut shut = gate.write().unwrap_or_else(PoisonError::into_inner);
        // What a redo file holds would be written over what SQLite writes.
        physical.sync(file)?;
        physical.empty_redo()?;
        self.connection = Connection::open_in_memory()?;
        self.connection = super::writer(&path, physical.fsync, physical.page_size)?;
        physical.settle_in(&self.connection, &path)?;
        *shut = false;
        drop(shut);
        if self.tables { super::sql::prepare(&self.connection) } else { Ok(()) }
    }
}

/// SQLite's log of a database.
fn wal(database: &Path) -> PathBuf {
    database.with_extension("sqlite-wal")
}

/// Removes SQLite's log, whose frames would be put over pages that are newer.
fn forget_log(database: &Path) -> io::Result<()> {
    for path in [wal(database), database.with_extension("sqlite-shm")] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Moves what is in the log into the file: with `TRUNCATE` all of it or an error, with `PASSIVE` what no reader needs.
fn checkpoint(connection: &Connection, how: &str) -> Result<(), StoreError> {
    let busy: i64 = connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| row.get(0))?;
    if busy != 0 && how == "TRUNCATE" { Err(io::Error::from(io::ErrorKind::ResourceBusy).into()) } else { Ok(()) }
}

fn write_pages(file: &File, segment: &Segment) -> io::Result<()> {
    let Some(length) = segment.pages.first().map(|(_, page)| page.len() as u64) else { return Ok(()) };
    for (number, page) in &segment.pages {
        file.write_all_at(page, (u64::from(*number) - 1) * length)?;
    }
    file.set_len(u64::from(segment.size) * length)
}

/// A consistent copy of a database file with a physical log, tied to an exact position.
#[derive(Debug)]
pub struct FileCopy {
    /// Term and index of the last entry in it.
    pub last: (u64, u64),
    /// The file.
    pub bytes: Vec<u8>,
}

/// Copies the file beside its writer: the position is read inside the same transaction as the pages.
///
/// # Errors
/// The disk's.
pub fn copy_file(path: &Path) -> Result<FileCopy, StoreError> {
    let gate = gate::of(path);
    let in_place = gate::enter(&gate);
    let mut connection = gate::reader(path, *in_place)?;
    connection.execute_batch("BEGIN")?;
    let last = super::newest(&connection)?.unwrap_or((0, 0));
    let bytes = connection.serialize("main")?.to_vec();
    Ok(FileCopy { last, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Entry, Layout, snapshot};
    use crate::value::{Cell, Value};

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::open_as(dir.path(), Fsync::Never, Layout { physical: Some(2), ..Layout::default() }).expect("a store")
    }

    fn write(store: &mut Store, index: u64) {
        let cell = Cell::Register(Value::Text(format!("{index}{}", "x".repeat(200))));
        let changes = vec![(format!("k{}", index * 7 % 400), Some(cell))];
        store.append(&Entry { index, term: 1, changes, wall: 0, origin: None }).expect("it appends");
    }

    /// Commits, and answers what travels.
    fn commit(store: &mut Store, first: u64, last: u64) -> Arc<Segment> {
        store.commit().expect("it commits");
        let Written { size, pages } = store.written().expect("it reads").expect("pages");
        let pages = pages.into_iter().map(|(number, page)| (number, page.as_slice().into())).collect();
        Arc::new(Segment::new((first, last), 1, 0, size, pages))
    }

    fn file(dir: &tempfile::TempDir) -> Vec<u8> {
        std::fs::read(dir.path().join("node.sqlite")).expect("the file")
    }

    fn pair() -> (tempfile::TempDir, Store, tempfile::TempDir, Store) {
        let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let [mut leader, mut follower] = [store(&dirs[0]), store(&dirs[1])];
        write(&mut leader, 1);
        leader.commit().expect("it commits");
        let copy = copy_file(leader.path()).expect("a copy");
        assert_eq!(copy.last, (1, 1));
        follower.install_file(&copy.bytes).expect("it is installed");
        leader.written().expect("it reads");
        let [first, second] = dirs;
        (first, leader, second, follower)
    }

    #[test]
    fn a_follower_is_the_leader_byte_for_byte_and_its_readers_see_each_commit() {
        let (first, mut leader, second, mut follower) = pair();
        for index in 2..300 {
            write(&mut leader, index);
            let segment = commit(&mut leader, index, index);
            assert!(segment.fits(4_096));
            follower.write_segments(&[segment]).expect("it is written");
            assert_eq!(follower.newest().expect("it reads"), Some((1, index)));
            let [ours, theirs] =
                [&leader, &follower].map(|store| store.get(&format!("k{}", index * 7 % 400)).expect("it reads"));
            assert_eq!(ours, theirs);
            if index % 50 == 0 {
                let [ours, theirs] = [&leader, &follower].map(|store| snapshot(store.path()).expect("a snapshot"));
                assert_eq!((ours.last, ours.rows), (theirs.last, theirs.rows));
            }
        }
        drop((leader, follower));
        assert!(file(&first) == file(&second));
    }

    #[test]
    fn pages_that_were_under_way_when_a_node_died_are_written_again() {
        let (_first, mut leader, second, mut follower) = pair();
        let before = file(&second);
        for index in 2..50 {
            write(&mut leader, index);
            let segment = commit(&mut leader, index, index);
            follower.write_segments(&[segment]).expect("it is written");
        }
        let after = file(&second);
        drop(follower);
        // Half of the pages had not reached the file.
        let mut torn = after.clone();
        torn[..before.len() / 2].copy_from_slice(&before[..before.len() / 2]);
        std::fs::write(second.path().join("node.sqlite"), torn).expect("a torn file");
        let follower = store(&second);
        assert_eq!(follower.newest().expect("it reads"), Some((1, 49)));
        drop(follower);
        assert!(file(&second) == after);
    }

    #[test]
    fn a_follower_leads_and_follows_again() {
        let (first, mut leader, second, mut follower) = pair();
        let mut index = 2;
        for _ in 0..6 {
            for _ in 0..30 {
                write(&mut leader, index);
                let segment = commit(&mut leader, index, index);
                follower.write_segments(&[segment]).expect("it is written");
                index += 1;
            }
            std::mem::swap(&mut leader, &mut follower);
        }
        drop((leader, follower));
        assert!(file(&first) == file(&second));
        let mut again = store(&first);
        write(&mut again, index);
        assert!(commit(&mut again, index, index).pages.len() < 10, "only what is new is read");
    }

    #[test]
    fn a_transaction_without_an_entry_and_what_is_this_nodes_own_leave_no_page_behind() {
        let (_first, mut leader, _second, _follower) = pair();
        leader.with_tables().expect("tables");
        leader.set_meta("vote", "n2").expect("it is set");
        leader.attempt().expect("it begins");
        leader.run("create table u_t (a)").map_err(|_| ()).expect("it runs");
        leader.drop_all().expect("it is taken back");
        leader.commit().expect("it commits");
        assert_eq!(leader.written().expect("it reads"), None);
        assert_eq!(leader.meta("vote").expect("it reads").as_deref(), Some("n2"));
    }

    #[test]
    fn a_directory_of_another_kind_is_refused_and_a_page_size_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Store::open(dir.path(), Fsync::Never).expect("a store"));
        let physical = |page_size| Layout { page_size, physical: Some(2) };
        assert!(matches!(Store::open_as(dir.path(), Fsync::Never, physical(4_096)), Err(StoreError::Foreign(_))));
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Store::open_as(dir.path(), Fsync::Never, physical(8_192)).expect("a store").form().page_size, 8_192);
        assert_eq!(Store::open_as(dir.path(), Fsync::Never, physical(1_024)).expect("a store").form().page_size, 8_192);
        assert!(matches!(Store::open(dir.path(), Fsync::Never), Err(StoreError::Foreign(_))));
    }
}
