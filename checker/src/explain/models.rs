//! Consistency models of transactions.

use super::Entry;

/// Stronger ones later.
pub(super) const ENTRIES: &[Entry] = &[];
