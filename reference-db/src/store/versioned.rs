//! The versioned rows of leaderless modes, and the hints that say for whom some of them are kept.

use rusqlite::{OptionalExtension as _, params};

use super::{Store, StoreError};

impl Store {
    /// The versioned row of a key.
    ///
    /// # Errors
    /// The disk's.
    pub fn versioned(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT row FROM versions WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Sets the versioned row of a key.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_versioned(&mut self, key: &str, row: &str) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("INSERT OR REPLACE INTO versions VALUES (?1, ?2)")?.execute([key, row])?;
        Ok(())
    }

    /// Forgets the versioned row of a key.
    ///
    /// # Errors
    /// The disk's.
    pub fn drop_versioned(&mut self, key: &str) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("DELETE FROM versions WHERE key = ?1")?.execute([key])?;
        Ok(())
    }

    /// Every versioned row, ascending by key.
    ///
    /// # Errors
    /// The disk's.
    pub fn all_versioned(&self) -> Result<Vec<(String, String)>, StoreError> {
        super::all_versioned(&self.connection)
    }

    /// Notes that the row of `key` is kept for `home`.
    ///
    /// # Errors
    /// The disk's.
    pub fn add_hint(&mut self, home: &str, key: &str) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("INSERT OR IGNORE INTO hints VALUES (?1, ?2)")?.execute(params![home, key])?;
        Ok(())
    }

    /// Forgets that the row of `key` is kept for `home`.
    ///
    /// # Errors
    /// The disk's.
    pub fn drop_hint(&mut self, home: &str, key: &str) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("DELETE FROM hints WHERE home = ?1 AND key = ?2")?.execute([home, key])?;
        Ok(())
    }

    /// Every hint: for whom, and the key.
    ///
    /// # Errors
    /// The disk's.
    pub fn hints(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT home, key FROM hints ORDER BY home, key")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
