//! Who may look at a database file while its node writes pages into it.
//!
//! SQLite knows nothing of pages that are written behind its back. So whoever reads beside the node holds its gate for as long as it reads, and the node
//! shuts it while it writes: a reader sees whole commits only (like: PostgreSQL's recovery conflicts, where replay waits for queries). With SQLite
//! as the only writer the gate stands open, and readers see SQLite's snapshots.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// A file's gate; inside, whether its pages are written in place, so that there is no `-wal` file to heed.
pub type Gate = Arc<RwLock<bool>>;

static GATES: LazyLock<Mutex<HashMap<PathBuf, Gate>>> = LazyLock::new(Mutex::default);

/// The gate of a file; the same for everybody in this process.
pub fn of(path: &Path) -> Gate {
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    gates.retain(|known, gate| known == path || Arc::strong_count(gate) > 1);
    gates.entry(path.to_path_buf()).or_default().clone()
}

/// Lets a reader in; the file stays as it is until the answer is dropped.
pub fn enter(gate: &Gate) -> RwLockReadGuard<'_, bool> {
    gate.read().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that only reads.
///
/// # Errors
/// SQLite's.
pub fn reader(path: &Path, in_place: bool) -> Result<Connection, StoreError> {
    let connection = if in_place {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{}?immutable=1", escaped(path)), flags)?
    } else {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
    };
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

/// A path as part of an URI.
fn escaped(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_marks_of_its_own_is_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a b?c=1&d#e%20ü");
        Connection::open(&path).and_then(|db| db.execute_batch("CREATE TABLE t (a)")).expect("a database");
        let reader = reader(&path, true).expect("it opens");
        let tables: i64 =
            reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).expect("a count");
        assert_eq!(tables, 1);
    }
}
