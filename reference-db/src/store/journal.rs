//! A journal beside the rows: numbered lines that a mode appends, reads from a position on, and trims from the front.

use rusqlite::params;

use super::{Store, StoreError};

impl Store {
    /// The numbers of the oldest and the newest line, if there is any.
    pub fn journal_bounds(&self) -> Result<Option<(u64, u64)>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT min(number), max(number) FROM journal")?;
        let (oldest, newest): (Option<i64>, Option<i64>) = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(oldest.zip(newest).map(|(oldest, newest)| (oldest as u64, newest as u64)))
    }

    /// Appends a line.
    pub fn journal_append(&mut self, number: u64, line: &str) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?.execute(params![number as i64, line])?;
        Ok(())
    }

    /// At most `limit` lines from `first` on, ascending, each with its number.
    pub fn journal_lines(&self, first: u64, limit: usize) -> Result<Vec<(u64, String)>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT number, line FROM journal WHERE number >= ?1 ORDER BY number LIMIT ?2")?;
        let rows = query
            .query_map(params![first as i64, limit as i64], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets the lines below `first`.
    pub fn journal_trim(&mut self, first: u64) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("DELETE FROM journal WHERE number < ?1")?.execute([first as i64])?;
        Ok(())
    }

    /// Forgets the lines from `first` on.
    pub fn journal_cut(&mut self, first: u64) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("DELETE FROM journal WHERE number >= ?1")?.execute([first as i64])?;
        Ok(())
    }

    /// Forgets every versioned row and every line.
    pub fn clear_versioned(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        self.connection.prepare_cached("DELETE FROM versions")?.execute([])?;
        self.connection.prepare_cached("DELETE FROM journal")?.execute([])?;
        Ok(())
    }
}
