//! What a database says about where a value stands: a position in one log, or a vector.
//!
//! Versions are optional evidence. A checker may use them only after checking them against what clients saw
//! (one version one value; an acknowledged version equals the one read later).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A version reported with a read or an acknowledgement.
///
/// In JSON a position is `[term, index]`, a vector `{"seen": {"n1": 3}, "dots": [["n1", 4]]}`, a timestamp
/// `{"timestamp": 17, "writer": "n1"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Version {
    /// A position in a single log: (term, index). For a write its own position; for a read the applied position of the
    /// snapshot that answered. Compared as a pair.
    Position(u64, u64),
    /// A dotted version vector.
    Vector {
        /// The causal context: per actor the highest counter that is covered. Of a write: what it replaced.
        seen: std::collections::BTreeMap<Arc<str>, u64>,
        /// Of a write its own dot; of a read the dots of the siblings returned, in their order.
        dots: Vec<(Arc<str>, u64)>,
    },
    /// A last-write-wins timestamp: nanoseconds of the wall clock of whoever stamped it, ties broken by writer.
    Stamp {
        /// Nanoseconds since the epoch, by a clock that may be wrong.
        timestamp: i64,
        /// Who stamped it.
        writer: Arc<str>,
    },
}
