//! Small numbers for elements of any shape.
//!
//! A set of a million elements that is read a hundred times is a hundred million look-ups, so integers that lie densely are found in an
//! array, others by hash. Composite elements are equal where their canonical texts are: sets and maps in any order.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::intern::FastMap;
use crate::value::Value;

/// No element.
pub(crate) const NONE: u32 = u32::MAX;

/// Elements numbered in the order of their first appearance.
#[derive(Default)]
pub(crate) struct Elements<'a> {
    base: i64,
    dense: Vec<u32>,
    sparse: FastMap<i64, u32>,
    texts: FastMap<Arc<str>, u32>,
    others: FastMap<String, u32>,
    /// The elements, by number.
    pub(crate) values: Vec<&'a Value>,
}

impl<'a> Elements<'a> {
    /// Expects the integers among `values`: an array for them where they are dense.
    pub(crate) fn expecting(values: impl Iterator<Item = &'a Value>) -> Elements<'a> {
        let mut all = Elements::default();
        let (mut low, mut high, mut count) = (i64::MAX, i64::MIN, 0_u64);
        for it in values.filter_map(Value::int) {
            (low, high, count) = (low.min(it), high.max(it), count + 1);
        }
        if count > 0 && high.abs_diff(low) < 8 * count + 1024 {
            all.base = low;
            all.dense = vec![NONE; high.abs_diff(low) as usize + 1];
        }
        all
    }

    #[inline]
    fn slot(&self, it: i64) -> Option<usize> {
        let at = it.checked_sub(self.base)?;
        usize::try_from(at).ok().filter(|&at| at < self.dense.len())
    }

    /// The number of `value`, which is new if the value is.
    #[inline]
    pub(crate) fn id(&mut self, value: &'a Value) -> u32 {
        if let Value::Int(it) = value
            && let Some(at) = self.slot(*it)
            && self.dense[at] != NONE
        {
            return self.dense[at];
        }
        self.add(value)
    }

    fn add(&mut self, value: &'a Value) -> u32 {
        let new = self.values.len() as u32;
        let id = match value {
            Value::Int(it) => match self.slot(*it) {
                Some(at) => {
                    self.dense[at] = new;
                    new
                }
                None => *self.sparse.entry(*it).or_insert(new),
            },
            Value::Text(it) => match self.texts.get(it) {
                Some(&id) => id,
                None => *self.texts.entry(it.clone()).or_insert(new),
            },
            other => *self.others.entry(canonical(other)).or_insert(new),
        };
        if id == new {
            self.values.push(value);
        }
        id
    }

    /// The number of `value`, or [`NONE`].
    #[inline]
    pub(crate) fn find(&self, value: &Value) -> u32 {
        match value {
            Value::Int(it) => match self.slot(*it) {
                Some(at) => self.dense[at],
                None => self.sparse.get(it).copied().unwrap_or(NONE),
            },
            Value::Text(it) => self.texts.get(it).copied().unwrap_or(NONE),
            other => self.others.get(&canonical(other)).copied().unwrap_or(NONE),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

/// A text that two values share exactly if they are equal. As deep as values are nested, which is bounded where they are read.
pub(crate) fn canonical(value: &Value) -> String {
    let sorted = |mut texts: Vec<String>| {
        texts.sort_unstable();
        texts.join(",")
    };
    match value {
        Value::List(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Set(items) => format!("#{{{}}}", sorted(items.iter().map(canonical).collect())),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}:{}", canonical(key), canonical(value)));
            format!("{{{}}}", sorted(entries.collect()))
        }
        Value::Text(it) => format!("{it:?}"),
        plain => plain.to_string(),
    }
}

/// A value as JSON.
pub(crate) fn json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(it) => (*it).into(),
        Value::Int(it) => (*it).into(),
        Value::Float(it) => (*it).into(),
        Value::Text(it) => it.as_ref().into(),
        other => other.to_string().into(),
    }
}

/// How many elements a result lists one by one.
const LISTED: usize = 64;

/// The first few elements, in order.
pub(crate) fn listed<'a>(values: impl IntoIterator<Item = &'a Value>) -> Json {
    let mut values: Vec<&Value> = values.into_iter().collect();
    let few = |values: &[&Value]| values.iter().take(LISTED).map(|value| json(value)).collect::<Vec<_>>().into();
    if values.iter().all(|value| value.int().is_some()) {
        values.sort_unstable_by_key(|value| value.int());
        return few(&values);
    }
    few(&values)
}

/// Integers as Jepsen writes a set of them: `#{1..3 5}`; other elements one by one.
pub(crate) fn intervals<'a>(values: impl IntoIterator<Item = &'a Value>) -> Json {
    let values: Vec<&Value> = values.into_iter().collect();
    let ints: Option<Vec<i64>> = values.iter().map(|value| value.int()).collect();
    let Some(mut ints) = ints else {
        let texts: Vec<String> = values.iter().take(LISTED).map(|value| value.to_string()).collect();
        return format!("#{{{}}}", texts.join(" ")).into();
    };
    ints.sort_unstable();
    ints.dedup();
    let runs = ints.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let texts: Vec<String> = runs
        .take(LISTED)
        .map(|run| match run {
            [one] => one.to_string(),
            [first, .., last] => format!("{first}..{last}"),
            [] => String::new(),
        })
        .collect();
    format!("#{{{}}}", texts.join(" ")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Syntax;

    fn value(text: &str) -> Value {
        Value::parse(text.as_bytes(), Syntax::Edn).unwrap()
    }

    #[test]
    fn elements_of_any_shape_are_told_apart_and_found_again() {
        let values: Vec<Value> =
            ["1", "\"1\"", "[1 2]", "#{2 1}", "{:a 1 :b 2}", "-7000000000", "nil"].map(value).to_vec();
        let mut all = Elements::expecting(values.iter());
        let ids: Vec<u32> = values.iter().map(|value| all.id(value)).collect();
        assert_eq!(ids, (0..7).collect::<Vec<_>>());
        assert_eq!(all.find(&value("#{1 2}")), 3);
        assert_eq!(all.find(&value("{:b 2 :a 1}")), 4);
        assert_eq!(all.find(&value("2")), NONE);
        assert_eq!(all.find(&value("[\"1\" 2]")), NONE);
    }

    #[test]
    fn integers_are_written_as_intervals() {
        let values: Vec<Value> = [3, 1, 2, 9, i64::MAX].map(Value::Int).to_vec();
        assert_eq!(intervals(&values), Json::from(format!("#{{1..3 9 {}}}", i64::MAX)));
    }
}
