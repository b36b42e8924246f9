//! A row with its concurrent versions, and how two of them become one.
//!
//! A change carries its whole row, as the row log of a single leader does, and the row what it covers: a dotted version vector set (Preguiça et al.
//! 2010), as in the leaderless mode. Rows are *kept* by joining them, which is associative, commutative and idempotent; the policy only decides what of the
//! kept versions is *shown*. A version that loses stays until something covers it: would it be dropped at once, replicas that met three concurrent
//! writes in different orders would keep different ones, since "higher replica wins among concurrent ones" is not transitive.
//!
//! Two policies keep less, and nothing of versions: `lww` (like: Cassandra, DynamoDB global tables) keeps the highest time stamp, also against a write
//! that had read it; `arrival-order` keeps whatever came last.
//!
//! A merged set (like: Riak's sets, Bieniusa et al. 2012) has one part for each element; what is covered and not there was removed. With `tombstones=off`
//! it is one plain value, and a merge is the union of both, which is what brings removed items back into the shopping carts of Dynamo (2007).

use serde::{Deserialize, Serialize};

use crate::config::{Bug, Conflicts, MultiLeader};
use crate::modes::leaderless::row::{Dot, covers, join};
use crate::operation::{Context, Operation, Outcome, Version};
use crate::value::{Cell, Value};

/// Nanoseconds in the millisecond that a stamp counts.
const MILLI: i64 = 1_000_000;
/// What a datacentre is worth in a stamp.
const PLACE: i64 = 10_000;

/// A version of a row, or an element of a merged set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Who wrote it, and his how manieth change it was.
    #[serde(rename = "d")]
    pub dot: Dot,
    /// The datacentre that accepted it, from 0.
    #[serde(rename = "p")]
    pub datacentre: usize,
    /// When, by that leader's wall clock; see [`stamp`].
    #[serde(rename = "t")]
    pub stamp: i64,
    /// What the row held; `None` is a tombstone.
    #[serde(rename = "x")]
    pub cell: Option<Cell>,
}

/// A row. Parts are ascending by dot, so that equal rows have equal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What is kept.
    #[serde(rename = "s")]
    pub parts: Vec<Part>,
    /// What is covered.
    #[serde(rename = "c")]
    pub context: Context,
}

/// A write's place in the world.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Its dot.
    pub dot: Dot,
    /// The accepting datacentre.
    pub datacentre: usize,
    /// Its time stamp.
    pub stamp: i64,
}

/// A time stamp: whole milliseconds of the wall clock, and in the digits below what breaks ties: datacentre, then count.
pub fn stamp(clock_ns: i64, datacentre: usize, count: u64) -> i64 {
    let place = (datacentre as i64 % (MILLI / PLACE)) * PLACE;
    clock_ns.div_euclid(MILLI).saturating_mul(MILLI).saturating_add(place + count as i64 % PLACE)
}

impl Row {
    /// What a replica that holds `self` holds after `incoming` arrived.
    pub fn integrated(&self, policy: &MultiLeader, incoming: &Row) -> Row {
        match policy.conflicts {
            Conflicts::ArrivalOrder => incoming.clone(),
            Conflicts::Lww => self.later(incoming, policy.bug == Some(Bug::LeaveTie)),
            _ => self.joined(incoming, policy.bug),
        }
    }

    /// The higher stamp stays. Replicas agree on it only because no two stamps are equal.
    fn later(&self, incoming: &Row, coarse: bool) -> Row {
        let newest =
            |row: &Row| row.parts.iter().map(|part| if coarse { part.stamp / MILLI } else { part.stamp }).max();
        if newest(incoming) > newest(self) { incoming.clone() } else { self.clone() }
    }

    /// What is in either and not replaced in the other.
    fn joined(&self, other: &Row, bug: Option<Bug>) -> Row {
        let forgets = bug == Some(Bug::ForgetTombstone);
        let kept = |part: &Part, elsewhere: &Row| {
            forgets && matches!(part.cell, Some(Cell::Set(_)))
                || elsewhere.parts.contains(part)
                || !covers(&elsewhere.context, &part.dot)
        };
        let mut parts: Vec<Part> = self.parts.iter().filter(|part| kept(part, other)).cloned().collect();
        for part in other.parts.iter().filter(|part| kept(part, self)) {
            if !parts.contains(part) {
                parts.push(part.clone());
            }
        }
        if bug == Some(Bug::DropSibling) && parts.len() > 1 {
            parts.truncate(1);
        }
        let mut context = self.context.clone();
        join(&mut context, &other.context);
        sorted(parts, context)
    }

    /// The row after a write that makes it hold `cell`. With siblings it replaces what its session had `seen`, otherwise all that this leader holds.
    pub fn written(&self, policy: &MultiLeader, mark: Mark, cell: Option<Cell>, seen: &Context) -> Row {
        let replaced =
            |part: &Part| policy.conflicts != Conflicts::Siblings || covers(seen, &part.dot) || part.dot == mark.dot;
        let mut parts: Vec<Part> = self.parts.iter().filter(|part| !replaced(part)).cloned().collect();
        let mut context = self.context.clone();
        join(&mut context, seen);
        cover(&mut context, &mark.dot);
        parts.push(Part { dot: mark.dot, datacentre: mark.datacentre, stamp: mark.stamp, cell });
        sorted(parts, context)
    }

    /// The row after an element of a merged set was added or removed; other operations make no such row.
    pub fn element(&self, mark: Mark, operation: &Operation) -> Option<Row> {
        let (Operation::Add { value, .. } | Operation::Remove { value, .. }) = operation else { return None };
        let element = Cell::Set(vec![value.clone()]);
        let other = |part: &&Part| part.cell.as_ref().is_some_and(|cell| *cell != element);
        let mut parts: Vec<Part> = self.parts.iter().filter(other).cloned().collect();
        let mut context = self.context.clone();
        cover(&mut context, &mark.dot);
        if matches!(operation, Operation::Add { .. }) {
            let Mark { dot, datacentre, stamp } = mark;
            parts.push(Part { dot, datacentre, stamp, cell: Some(element) });
        }
        Some(sorted(parts, context))
    }

    /// What the row holds as one cell, for policies that show one; of siblings, the first.
    pub fn cell(&self, policy: &MultiLeader) -> Option<Cell> {
        let shown = match policy.conflicts {
            Conflicts::Merge => return merged(&self.parts),
            Conflicts::ArrivalOrder | Conflicts::Siblings => self.parts.first(),
            Conflicts::Priority => self.parts.iter().max_by_key(|part| (part.datacentre, &part.dot)),
            Conflicts::Lww | Conflicts::Detect | Conflicts::Avoid => {
                self.parts.iter().max_by_key(|part| (part.stamp, &part.dot))
            }
        };
        shown.and_then(|part| part.cell.clone())
    }

    /// What a client is shown.
    pub fn outcome(&self, policy: &MultiLeader) -> Outcome {
        if policy.conflicts != Conflicts::Siblings {
            return self.cell(policy).into();
        }
        let mut values: Vec<Value> = self.parts.iter().filter_map(register).cloned().collect();
        match values.len() {
            0 => Outcome::Nil,
            1 => Outcome::Value(values.remove(0)),
            _ => Outcome::Siblings(values),
        }
    }

    /// Where what is shown stands, as far as the policy keeps count.
    pub fn version(&self, policy: &MultiLeader) -> Option<Version> {
        match policy.conflicts {
            Conflicts::Lww => self.parts.first().map(|part| stamped(part.stamp, &part.dot)),
            Conflicts::Siblings | Conflicts::Merge if self.parts.iter().all(|part| !is_set(part)) => {
                let living = self.parts.iter().filter(|part| part.cell.is_some());
                Some(Version::Vector {
                    seen: self.context.clone(),
                    dots: living.map(|part| part.dot.clone()).collect(),
                })
            }
            _ => None,
        }
    }
}

/// A time stamp as it is reported.
pub fn stamped(timestamp: i64, dot: &Dot) -> Version {
    Version::Stamp { timestamp, writer: dot.0.clone() }
}

/// Lets `context` cover `dot`.
pub fn cover(context: &mut Context, dot: &Dot) {
    let held = context.entry(dot.0.clone()).or_insert(0);
    *held = (*held).max(dot.1);
}

fn sorted(mut parts: Vec<Part>, context: Context) -> Row {
    // Parts of one dot are the elements that one transaction added.
    parts.sort_by(|a, b| a.dot.cmp(&b.dot).then_with(|| values(a).cmp(values(b))));
    Row { parts, context }
}

fn register(part: &Part) -> Option<&Value> {
    match &part.cell {
        Some(Cell::Register(value)) => Some(value),
        _ => None,
    }
}

fn is_set(part: &Part) -> bool {
    matches!(part.cell, Some(Cell::Set(_)))
}

fn values(part: &Part) -> &[Value] {
    match &part.cell {
        Some(Cell::Register(value)) => std::slice::from_ref(value),
        Some(Cell::Set(values) | Cell::List(values)) => values,
        None => &[],
    }
}

/// Sets are united; plain values are sorted and concatenated, as "B/C" (DDIA, "Converging toward a consistent state").
fn merged(parts: &[Part]) -> Option<Cell> {
    let mut all: Vec<Value> = parts.iter().flat_map(values).cloned().collect();
    all.sort();
    all.dedup();
    if parts.iter().any(is_set) {
        return Some(Cell::Set(all));
    }
    match all.len() {
        0 => None,
        1 => all.pop().map(Cell::Register),
        _ => Some(Cell::Register(Value::Text(all.iter().map(Value::to_string).collect::<Vec<_>>().join("/")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Ordering, ReadPolicy, Topology};

    fn policy(conflicts: Conflicts) -> MultiLeader {
        MultiLeader {
            datacentres: 3,
            followers: 0,
            topology: Topology::AllToAll,
            ordering: Ordering::Causal,
            conflicts,
            tombstones: true,
            home_timeout: std::time::Duration::from_secs(1),
            reads: ReadPolicy::Any,
            bug: None,
        }
    }

    fn mark(datacentre: usize, count: u64) -> Mark {
        let actor = ["a", "b", "c"][datacentre];
        Mark { dot: (actor.to_string(), count), datacentre, stamp: stamp(5 * MILLI, datacentre, count) }
    }

    fn put(row: &Row, policy: &MultiLeader, datacentre: usize, count: u64) -> Row {
        let value = Value::Text(format!("{datacentre}.{count}"));
        row.written(policy, mark(datacentre, count), Some(Cell::Register(value)), &Context::new())
    }

    fn value(row: &Row, policy: &MultiLeader) -> String {
        match row.cell(policy) {
            Some(Cell::Register(value)) => value.to_string(),
            other => panic!("no plain value: {other:?}"),
        }
    }

    fn add(row: &Row, mark: Mark, value: i64) -> Row {
        row.element(mark, &Operation::Add { key: "k".to_string(), value: Value::Int(value) }).expect("an element")
    }

    fn remove(row: &Row, mark: Mark, value: i64) -> Row {
        row.element(mark, &Operation::Remove { key: "k".to_string(), value: Value::Int(value) }).expect("an element")
    }

    /// Rows that three leaders can reach: each with every other, in each order and twice.
    #[test]
    fn joining_is_associative_commutative_and_idempotent() {
        let policy = policy(Conflicts::Priority);
        let mut rows = vec![Row::default()];
        for at in 0..60 {
            let row = rows[at / 3].clone();
            let (datacentre, count) = (at % 3, at as u64 + 1);
            rows.push(match at % 4 {
                0 => put(&row, &policy, datacentre, count),
                1 => add(&row, mark(datacentre, count), 1),
                2 => remove(&row, mark(datacentre, count), 1),
                _ => row.joined(&rows[at / 2], None),
            });
        }
        for a in &rows {
            assert_eq!(a.joined(a, None), *a);
            for b in &rows {
                assert_eq!(a.joined(b, None), b.joined(a, None));
                for c in rows.iter().step_by(5) {
                    assert_eq!(a.joined(b, None).joined(c, None), a.joined(&b.joined(c, None), None));
                }
            }
        }
    }

    /// `x` loses to `z`, `y` replaced `x`, and `w` replaced `z` at the lowest datacentre: which of `y` and `w` stays must not depend on who was met first.
    #[test]
    fn with_priorities_the_order_of_arrival_does_not_matter() {
        let policy = policy(Conflicts::Priority);
        let x = put(&Row::default(), &policy, 0, 1);
        let z = put(&Row::default(), &policy, 2, 1);
        let y = put(&x, &policy, 1, 1);
        let w = put(&x.joined(&z, None), &policy, 0, 2);
        assert_eq!(value(&x.joined(&z, None), &policy), "2.1");
        let early = x.joined(&z, None).joined(&y, None).joined(&w, None);
        let late = w.joined(&y, None);
        assert_eq!(value(&early, &policy), value(&late, &policy));
        assert_eq!(value(&late, &policy), "1.1");
    }

    #[test]
    fn the_last_write_wins_also_against_one_that_had_read_it() {
        let policy = policy(Conflicts::Lww);
        let late = Row::default().written(&policy, Mark { stamp: 9, ..mark(0, 1) }, None, &Context::new());
        let slow_clock = late.written(&policy, Mark { stamp: 8, ..mark(1, 1) }, None, &Context::new());
        assert_eq!(late.integrated(&policy, &slow_clock), late);
    }

    #[test]
    fn no_two_stamps_of_one_millisecond_are_equal() {
        let mut stamps: Vec<i64> =
            (0..64).flat_map(|place| (0..100).map(move |count| stamp(7 * MILLI + 123, place, count))).collect();
        stamps.sort_unstable();
        stamps.dedup();
        assert_eq!(stamps.len(), 6_400);
        assert!(stamps[6_399] < stamp(8 * MILLI, 0, 0));
    }

    #[test]
    fn merged_values_are_sorted_and_the_next_writer_replaces_them() {
        let policy = policy(Conflicts::Merge);
        let both = put(&Row::default(), &policy, 2, 1).joined(&put(&Row::default(), &policy, 0, 1), None);
        assert_eq!(value(&both, &policy), "0.1/2.1");
        assert_eq!(value(&put(&both, &policy, 1, 1).joined(&both, None), &policy), "1.1");
    }

    #[test]
    fn an_element_that_was_added_again_survives_the_removal_of_the_old_one() {
        let policy = policy(Conflicts::Merge);
        let first = add(&Row::default(), mark(0, 1), 7);
        let removed = remove(&first, mark(1, 1), 7);
        let again = add(&first, mark(2, 1), 7);
        assert_eq!(removed.joined(&first, None).cell(&policy), None);
        assert_eq!(removed.joined(&again, None).cell(&policy), Some(Cell::Set(vec![Value::Int(7)])));
    }

    #[test]
    fn siblings_are_replaced_by_whoever_read_them() {
        let policy = policy(Conflicts::Siblings);
        let both = put(&Row::default(), &policy, 0, 1).joined(&put(&Row::default(), &policy, 1, 1), None);
        assert!(matches!(both.outcome(&policy), Outcome::Siblings(values) if values.len() == 2));
        let blind = put(&both, &policy, 2, 1);
        assert!(matches!(blind.outcome(&policy), Outcome::Siblings(values) if values.len() == 3));
        let aware = both.written(&policy, mark(2, 1), Some(Cell::Register(Value::Int(1))), &both.context);
        assert_eq!(aware.joined(&both, None).outcome(&policy), Outcome::Value(Value::Int(1)));
    }
}
