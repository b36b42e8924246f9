//! The log as others read it: change data capture (like: Debezium over a row log; DDIA, chapter 5, "Logical (row-based) log replication").
//!
//! A reader that applies the rows of each transaction in order has a copy, of users' tables too. It remembers the index of the last commit record that it has
//! seen and goes on from there. Only what is committed is told, so no failover takes any of it back, where the mode promises that of an acknowledged write.

use std::path::Path;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{StoreError, changed, physical, sql};
use crate::value::Cell;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A statement as it travels where rows do not: `--log statement`, `mixed`.
    Statement {
        /// The leader's term.
        term: u64,
        /// The transaction's index.
        index: u64,
        /// The statement.
        statement: String,
    },
    /// The end of a transaction.
    Commit {
        /// The leader's term.
        term: u64,
        /// The transaction's index: where to go on.
        index: u64,
        /// The leader's wall clock, nanoseconds since the epoch.
        commit: i64,
        /// The node that led, where the log's format says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<String>,
    },
    /// A row: what its key holds now.
    Row {
        /// The leader's term.
        term: u64,
        /// The transaction's index.
        index: u64,
        /// The key; of users' tables `sql/row/TABLE/ROWID` or `sql/schema/KIND/NAME`.
        key: String,
        /// What it holds; nothing where it is gone.
        value: Option<Cell>,
    },
}

/// The lines of at most `limit` transactions after index `after` and up to index `committed`, read beside the writer. `Err(oldest)` inside where the
/// log no longer reaches back so far: a copy then begins with a dump.
///
/// # Errors
/// The disk's.
pub fn read(path: &Path, after: u64, limit: usize, committed: u64) -> Result<Result<Vec<Line>, u64>, StoreError> {
    let gate = physical::gate::of(path);
    let in_place = physical::gate::enter(&gate);
    let connection = physical::gate::reader(path, *in_place)?;
    connection.execute_batch("BEGIN")?;
    let oldest: Option<i64> = connection.query_row("SELECT min(idx) FROM log", [], |row| row.get(0))?;
    let snapshot: Option<i64> = connection.query_row(
        "SELECT max(CAST(value AS INTEGER)) FROM meta WHERE name = 'snapshot-index'",
        [],
        |row| row.get(0),
    )?;
    let first = oldest.unwrap_or(snapshot.unwrap_or(0).saturating_add(1)) as u64;
    if after.saturating_add(1) < first {
        return Ok(Err(first));
    }
    let mut query = connection.prepare(
        "SELECT idx, term, changes, wall, origin FROM log WHERE idx > ?1 AND idx <= ?2 ORDER BY idx LIMIT ?3",
    )?;
    let (after, until) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(committed).unwrap_or(i64::MAX));
    let rows = query.query_map(params![after, until, limit as i64], |row| {
        let (index, term): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((index as u64, term as u64, row.get::<_, String>(2)?, row.get::<_, i64>(3)?, row.get(4)?))
    })?;
    let mut lines = Vec::new();
    for row in rows {
        let (index, term, changes, commit, origin) = row?;
        let changes = changed::changes_of(&connection, index, &changes)?;
        lines.extend(changes.into_iter().map(|(key, value)| match (key == sql::RUN, &value) {
            (true, Some(cell)) => Line::Statement { term, index, statement: sql::cell_text(cell).to_string() },
            _ => Line::Row { term, index, key, value },
        }));
        lines.push(Line::Commit { term, index, commit, origin });
    }
    Ok(Ok(lines))
}
