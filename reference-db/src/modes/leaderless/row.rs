//! A versioned row, and how two of them become one.
//!
//! Merging is associative, commutative and idempotent, so replicas that have seen the same rows hold the same, in whatever order they came.

use serde::{Deserialize, Serialize};

use crate::operation::Context;
use crate::value::Value;

/// Who wrote a value, and his how manieth it was.
pub type Dot = (String, u64);

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// Values that do not replace each other, each with its dot; `None` is a tombstone. The context covers their dots and everything that
    /// they replaced. Values are ascending by dot, so that equal rows have equal text.
    #[serde(rename = "v")]
    Vector {
        /// The siblings.
        #[serde(rename = "s")]
        siblings: Vec<(Dot, Option<Value>)>,
        /// What is covered.
        #[serde(rename = "c")]
        context: Context,
    },
    /// The last write by time stamp, ties by writer and value: replicas must agree even where a writer's clock went back.
    #[serde(rename = "t")]
    Stamped {
        /// Nanoseconds since the epoch.
        #[serde(rename = "t")]
        timestamp: i64,
        /// Who stamped it.
        #[serde(rename = "w")]
        writer: String,
        /// The value; `None` is a tombstone.
        #[serde(rename = "x")]
        value: Option<Value>,
    },
}

/// Whether `context` covers `dot`.
pub fn covers(context: &Context, dot: &Dot) -> bool {
    context.get(&dot.0).is_some_and(|counter| *counter >= dot.1)
}

/// Lets `into` cover whatever `other` covers.
pub fn join(into: &mut Context, other: &Context) {
    for (actor, counter) in other {
        let held = into.entry(actor.clone()).or_insert(0);
        *held = (*held).max(*counter);
    }
}

impl Row {
    /// A row without values, for merging a first write into.
    pub fn empty() -> Row {
        Row::Vector { siblings: Vec::new(), context: Context::new() }
    }

    /// Whether it says only that something was deleted.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Row::Vector { siblings, .. } => siblings.iter().all(|(_, value)| value.is_none()),
            Row::Stamped { value, .. } => value.is_none(),
        }
    }

    /// The versions in this row that `known` neither holds nor has replaced; a time stamp counts as its writer's dot.
    pub fn news(&self, known: Option<&Row>) -> Vec<Dot> {
        match (self, known) {
            (Row::Vector { siblings, .. }, Some(Row::Vector { context, .. })) => {
                siblings.iter().map(|(dot, _)| dot).filter(|dot| !covers(context, dot)).cloned().collect()
            }
            (Row::Vector { siblings, .. }, _) => siblings.iter().map(|(dot, _)| dot.clone()).collect(),
            (Row::Stamped { timestamp, writer, .. }, known) => {
                let newer = match known {
                    Some(Row::Stamped { timestamp: held, writer: holder, .. }) => (timestamp, writer) > (held, holder),
                    _ => true,
                };
                newer.then(|| (writer.clone(), *timestamp as u64)).into_iter().collect()
            }
        }
    }

    /// Drops all siblings but the last, as a merge that knows no siblings would.
    pub fn keep_one(&mut self) {
        if let Row::Vector { siblings, .. } = self {
            siblings.drain(..siblings.len().saturating_sub(1));
        }
    }

    /// What is in either row and not replaced in the other.
    pub fn merged(&self, other: &Row) -> Row {
        match (self, other) {
            (
                Row::Vector { siblings: ours, context: our_context },
                Row::Vector { siblings: theirs, context: their_context },
            ) => {
                let kept = |dot: &Dot, in_other: &[(Dot, Option<Value>)], context: &Context| {
                    in_other.iter().any(|(other, _)| other == dot) || !covers(context, dot)
                };
                let mut siblings: Vec<(Dot, Option<Value>)> =
                    ours.iter().filter(|(dot, _)| kept(dot, theirs, their_context)).cloned().collect();
                for (dot, value) in theirs {
                    if kept(dot, ours, our_context) && !siblings.iter().any(|(known, _)| known == dot) {
                        siblings.push((dot.clone(), value.clone()));
                    }
                }
                siblings.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                let mut context = our_context.clone();
                join(&mut context, their_context);
                Row::Vector { siblings, context }
            }
            (
                Row::Stamped { timestamp: ours, writer: our_writer, value: our_value },
                Row::Stamped { timestamp: theirs, writer: their_writer, value: their_value },
            ) => {
                if (theirs, their_writer, their_value) > (ours, our_writer, our_value) {
                    other.clone()
                } else {
                    self.clone()
                }
            }
            // A cluster has one kind of version; should two meet, what is here stays.
            _ => self.clone(),
        }
    }

    /// The row after a write with this dot that replaces what `seen` covers.
    pub fn written(&self, dot: Dot, value: Option<Value>, seen: &Context) -> Row {
        let Row::Vector { siblings, context } = self else { return self.clone() };
        let mut siblings: Vec<(Dot, Option<Value>)> =
            siblings.iter().filter(|(known, _)| !covers(seen, known)).cloned().collect();
        let mut context = context.clone();
        join(&mut context, seen);
        let counter = context.entry(dot.0.clone()).or_insert(0);
        *counter = (*counter).max(dot.1);
        siblings.push((dot, value));
        siblings.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Row::Vector { siblings, context }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(actor: &str, counter: u64) -> Dot {
        (actor.to_string(), counter)
    }

    fn context(dots: &[(&str, u64)]) -> Context {
        dots.iter().map(|(actor, counter)| (actor.to_string(), *counter)).collect()
    }

    fn values(row: &Row) -> Vec<i64> {
        let Row::Vector { siblings, .. } = row else { panic!("a vector") };
        siblings
            .iter()
            .filter_map(|(_, value)| match value {
                Some(Value::Int(value)) => Some(*value),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_write_stands_beside_what_its_session_had_not_read() {
        let first = Row::empty().written(dot("a", 1), Some(Value::Int(1)), &Context::new());
        let blind = first.written(dot("a", 2), Some(Value::Int(2)), &Context::new());
        assert_eq!(values(&blind), [1, 2]);
        let aware = blind.written(dot("a", 3), Some(Value::Int(3)), &context(&[("a", 2)]));
        assert_eq!(values(&aware), [3]);
    }

    #[test]
    fn news_are_what_a_row_neither_holds_nor_replaced() {
        let old = Row::empty().written(dot("a", 1), Some(Value::Int(1)), &Context::new());
        let new = old.written(dot("b", 1), Some(Value::Int(2)), &context(&[("a", 1)]));
        assert_eq!(new.news(Some(&old)), [dot("b", 1)]);
        assert!(old.news(Some(&new)).is_empty());
        assert_eq!(old.news(None), [dot("a", 1)]);
        let stamped = |timestamp| Row::Stamped { timestamp, writer: "w".to_string(), value: None };
        assert_eq!((stamped(2).news(Some(&stamped(1))).len(), stamped(1).news(Some(&stamped(2))).len()), (1, 0));
    }

    #[test]
    fn what_was_replaced_does_not_come_back() {
        let old = Row::empty().written(dot("a", 1), Some(Value::Int(1)), &Context::new());
        let new = old.written(dot("b", 1), Some(Value::Int(2)), &context(&[("a", 1)]));
        assert_eq!(values(&new.merged(&old)), [2]);
        assert_eq!(values(&old.merged(&new)), [2]);
    }

    /// All rows that three replicas can reach with four writes, each merged with each: order and repetition never matter.
    #[test]
    fn merging_is_associative_commutative_and_idempotent() {
        let mut rows = vec![Row::empty()];
        for _ in 0..4 {
            let mut grown = Vec::new();
            for row in &rows {
                for actor in ["a", "b", "c"] {
                    let Row::Vector { context: all, .. } = row else { panic!("a vector") };
                    let counter = all.get(actor).copied().unwrap_or(0) + 1;
                    for seen in [Context::new(), all.clone()] {
                        // A dot is one write: it has one value, whatever else its row holds.
                        let value = Value::Text(format!("{actor}{counter}"));
                        grown.push(row.written(dot(actor, counter), Some(value), &seen));
                    }
                }
            }
            rows.extend(grown);
            rows.truncate(60);
        }
        for a in &rows {
            assert_eq!(a.merged(a), *a);
            for b in &rows {
                assert_eq!(a.merged(b), b.merged(a));
                for c in rows.iter().step_by(7) {
                    assert_eq!(a.merged(b).merged(c), a.merged(&b.merged(c)));
                }
            }
        }
    }
}
