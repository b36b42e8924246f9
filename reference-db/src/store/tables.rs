//! The store's side of users' tables: where a key under `sql/` leads, and transactions of statements.

use super::sql::{self, Budget, Place, SqlError};
use super::{Change, Store, StoreError};
use crate::value::Cell;

impl Store {
    /// Has keys under `sql/` be rows of users' tables from now on.
    ///
    /// # Errors
    /// The disk's.
    pub fn with_tables(&mut self) -> Result<(), StoreError> {
        self.tables = true;
        sql::prepare(&self.connection)
    }

    /// Whether a key leads to users' tables.
    pub fn is_sql(&self, key: &str) -> bool {
        self.tables && key.starts_with(sql::KEYS)
    }

    /// How many statements of the log failed here since the process began. Replicas differ then.
    pub fn failed_statements(&self) -> u64 {
        self.failed
    }

    /// Begins a transaction of a client inside the open one; ends with [`Store::keep`] or [`Store::drop_all`].
    ///
    /// # Errors
    /// The disk's.
    pub fn attempt(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        self.captures(true)?;
        self.connection.execute_batch("SAVEPOINT client")?;
        Ok(())
    }

    /// Keeps what was done since [`Store::attempt`]; the next entry that is appended is taken to be it, with this undo image.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&mut self, undo: Vec<Change>) -> Result<(), StoreError> {
        self.connection.execute_batch("RELEASE client")?;
        self.staged = Some(undo);
        Ok(())
    }

    /// Takes back what was done since [`Store::attempt`].
    ///
    /// # Errors
    /// The disk's.
    pub fn drop_all(&mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("ROLLBACK TO client; RELEASE client")?;
        Ok(())
    }

    /// Runs a client's statement.
    ///
    /// # Errors
    /// Refused with nothing changed, or the disk's.
    pub fn run(&mut self, text: &str) -> Result<sql::Ran, SqlError> {
        self.begin()?;
        sql::run(&mut self.connection, text, Budget::Client)
    }

    /// Applies an entry that concerns users' tables; answers how to undo it. Rows that follow each other are one step: one may take the
    /// unique value that another gives up, so what they held is read before any is set.
    pub(super) fn apply_sql(&mut self, changes: &[Change]) -> Result<Vec<Change>, StoreError> {
        let mut undo = Vec::new();
        let is_single = |change: &Change| matches!(sql::place(&change.0), Some(Place::Run | Place::Schema(..)));
        for step in changes.chunk_by(|a, b| !is_single(a) && !is_single(b)) {
            match step {
                [(key, cell)] if sql::place(key) == Some(Place::Run) => undo.extend(self.run_again(cell.as_ref())?),
                rows => {
                    for (key, _) in rows {
                        undo.push((key.clone(), self.get(key)?));
                    }
                    rows.iter().try_for_each(|(key, cell)| self.put(key, cell.as_ref()))?;
                }
            }
        }
        Ok(undo)
    }

    /// A statement that ran on the leader. Where it fails here, this replica differs from its leader already; the log goes on, as the failure is counted.
    fn run_again(&mut self, cell: Option<&Cell>) -> Result<Vec<Change>, StoreError> {
        let text = cell.map(sql::cell_text).unwrap_or_default();
        match sql::run(&mut self.connection, text, Budget::Unlimited) {
            Ok(ran) => Ok(ran.undo),
            Err(SqlError::Refused(_)) => {
                self.failed += 1;
                Ok(Vec::new())
            }
            Err(SqlError::Store(error)) => Err(error),
        }
    }
}
