//! How stale reads were, as far as their coordinator can know: what the replicas that answered too late for the answer held beyond it.
//!
//! The late answers may also hold writes that began after the answer had left, so this bounds staleness from above; only the checker, which
//! knows when everything happened, is exact. like: the measurements behind probabilistically bounded staleness (Bailis et al. 2012).

use std::collections::BTreeSet;

use super::row::Row;

/// Counted over all reads of a coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staleness {
    /// Reads of one key of which all asked replicas answered in the end.
    pub checked: u64,
    /// Those that some replica could have answered better.
    pub stale: u64,
    /// The versions that they lacked, in all.
    pub versions_behind: u64,
    /// The most that any of them lacked.
    pub most_behind: u64,
}

impl Staleness {
    /// Notes a read that was answered with `shown` when the replicas held `all`. Returns how many versions it was behind.
    pub fn note<'a>(&mut self, shown: Option<&Row>, all: impl Iterator<Item = &'a Row>) -> u64 {
        let missed: BTreeSet<_> = all.flat_map(|row| row.news(shown)).collect();
        let behind = missed.len() as u64;
        self.checked += 1;
        self.stale += u64::from(behind > 0);
        self.versions_behind += behind;
        self.most_behind = self.most_behind.max(behind);
        behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn a_version_that_two_late_replicas_hold_is_missed_once() {
        let stamped =
            |timestamp| Row::Stamped { timestamp, writer: "w".to_string(), value: Some(Value::Int(timestamp)) };
        let mut staleness = Staleness::default();
        assert_eq!(staleness.note(Some(&stamped(3)), [stamped(3), stamped(1)].iter()), 0);
        assert_eq!(staleness.note(Some(&stamped(1)), [stamped(1), stamped(3), stamped(3), stamped(2)].iter()), 2);
        assert_eq!(staleness.note(None, [stamped(1)].iter()), 1);
        let expected = Staleness { checked: 3, stale: 2, versions_behind: 3, most_behind: 2 };
        assert_eq!(staleness, expected);
    }
}
