//! What a value depends on: how much of each other shard its writer had seen.
//!
//! It is a row of its own under a key that users cannot have, written by the same transaction as the value, so it travels, survives and is taken back with it. A
//! register's dependencies are its last writer's; whoever adds to a list or a set adds to its dependencies, since a reader sees all its elements.

use std::collections::BTreeMap;

use crate::operation::{Operation, Request};
use crate::store::{Store, StoreError};
use crate::value::{Cell, Value};

/// Of each shard, up to which index of which terms. Positions of two terms can't be compared without asking: a failover may have discarded the earlier one, and
/// whoever forgot it for the later one would never learn that.
pub type Dependencies = BTreeMap<usize, BTreeMap<u64, u64>>;

/// No user's key begins with a control character that the harness or a person would type.
const BESIDE: &str = "\u{1}depends/";

/// The key under which the dependencies of `key` are kept.
pub fn beside(key: &str) -> String {
    format!("{BESIDE}{key}")
}

/// The user's key that a key belongs to: itself, unless dependencies are kept under it.
pub fn subject(key: &str) -> &str {
    key.strip_prefix(BESIDE).unwrap_or(key)
}

/// Whether dependencies are kept under this key.
pub fn is_beside(key: &str) -> bool {
    key.starts_with(BESIDE)
}

/// Adds a position.
pub fn add(into: &mut Dependencies, shard: usize, (term, index): (u64, u64)) {
    let newest = into.entry(shard).or_default().entry(term).or_default();
    *newest = (*newest).max(index);
}

/// The newest of both for each shard and term.
pub fn merge(into: &mut Dependencies, other: &Dependencies) {
    for (shard, terms) in other {
        terms.iter().for_each(|(term, index)| add(into, *shard, (*term, *index)));
    }
}

/// What a row of dependencies says; nothing where it is none.
pub fn read(value: &Value) -> Dependencies {
    match value {
        Value::Text(text) => serde_json::from_str(text).unwrap_or_default(),
        Value::Int(_) => Dependencies::new(),
    }
}

/// Adds to a request that writes the rows that keep what it depends on. A dependency on `shard` itself needs none: the shard's own log keeps that order.
pub fn store_beside(store: &Store, shard: usize, request: &mut Request) -> Result<(), StoreError> {
    let mut asked = std::mem::take(&mut request.depends);
    asked.remove(&shard);
    let mut rows: BTreeMap<String, Dependencies> = BTreeMap::new();
    for op in request.ops.iter().filter(|op| op.writes() && !is_beside(op.key())) {
        let row = beside(op.key());
        let mut depends = match (rows.remove(&row), op) {
            (Some(depends), _) => depends,
            // What replaces a register stands alone.
            (None, Operation::Write { .. } | Operation::Delete { .. } | Operation::Cas { .. }) => Dependencies::new(),
            (None, _) => match store.get(&row)? {
                Some(Cell::Register(value)) => read(&value),
                _ => Dependencies::new(),
            },
        };
        merge(&mut depends, &asked);
        rows.insert(row, depends);
    }
    for (key, depends) in rows {
        let value = Value::Text(serde_json::to_string(&depends)?);
        request.ops.push(Operation::Write { key, value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Fsync;

    fn written(store: &Store, op: Operation, depends: Dependencies) -> Dependencies {
        let mut request = Request { ops: vec![op], depends, ..Request::default() };
        store_beside(store, 0, &mut request).expect("the disk works");
        match request.ops.get(1) {
            Some(Operation::Write { key, value }) if key == &beside("k") => read(value),
            other => panic!("{other:?}"),
        }
    }

    fn of(positions: &[(usize, u64, u64)]) -> Dependencies {
        let mut depends = Dependencies::new();
        positions.iter().for_each(|(shard, term, index)| add(&mut depends, *shard, (*term, *index)));
        depends
    }

    #[test]
    fn a_list_gathers_dependencies_and_a_register_has_its_writers() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path(), Fsync::Never).expect("a store");
        let text = serde_json::to_string(&of(&[(1, 1, 9), (2, 1, 3)])).expect("JSON");
        store.put(&beside("k"), Some(&Cell::Register(Value::Text(text)))).expect("the disk works");
        let (key, value) = ("k".to_string(), Value::Int(1));
        let depends = of(&[(0, 1, 1), (1, 1, 4), (2, 2, 1)]);
        let list = written(&store, Operation::Append { key: key.clone(), value: value.clone() }, depends.clone());
        let all = of(&[(1, 1, 9), (2, 1, 3), (2, 2, 1)]);
        assert_eq!(list, all, "its own shard is in order anyway, and two terms can't be compared");
        let register = written(&store, Operation::Write { key, value }, depends);
        assert_eq!(register, of(&[(1, 1, 4), (2, 2, 1)]));
    }

    #[test]
    fn a_read_stores_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Fsync::Never).expect("a store");
        let mut request = Request { ops: vec![Operation::Read { key: "k".to_string() }], ..Request::default() };
        store_beside(&store, 0, &mut request).expect("the disk works");
        assert_eq!(request.ops.len(), 1);
    }
}
