//! What checkers of sessions, objects, replicas and workloads decide.

use super::Entry;

/// In the order in which reports show them.
pub(super) const ENTRIES: &[Entry] = &[];
