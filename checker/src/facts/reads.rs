//! Which writes each read shows.

use super::{Facts, Kind, NONE, Oddity, Part, Read, Shown, Values};
use crate::action::{Action, Atom, Reading};
use crate::history::Outcome;
use crate::intern::FastMap;

/// Resolves every read that succeeded, and the read half of every compare-and-set that did.
pub(super) fn resolve(facts: &mut Facts, step_keys: &[u32], values: &Values) {
    let latest: Vec<Vec<u64>> = facts.keys.iter().map(|key| latest_invocations(facts, key)).collect();
    let mut resolver = Resolver { values, latest, told: FastMap::default() };
    let history = facts.history;
    let mut next = 0;
    for (at, op) in history.ops.iter().enumerate() {
        let keys = &step_keys[next..next + op.steps.len()];
        next += op.steps.len();
        if op.outcome != Outcome::Ok {
            continue;
        }
        let from = facts.parts.len() as u32;
        let read = if op.last { facts.finals.len() } else { facts.reads.len() } as u32;
        for (step, it) in op.steps.iter().enumerate() {
            let old;
            let reading = match &it.action {
                Action::Read(Some(reading)) => reading,
                Action::Cas { old: None, .. } => &Reading::Nil,
                Action::Cas { old: Some(value), .. } => {
                    old = Reading::One(value.clone());
                    &old
                }
                _ => continue,
            };
            if op.steps[..step].iter().any(|before| before.key == it.key && before.action.writes()) {
                continue;
            }
            let key = keys[step];
            let mut part = Part { read, op: at as u32, step: step as u32, key, shown: Shown::Skip };
            part.shown = resolver.shown(facts, &part, reading);
            let id = facts.parts.len() as u32;
            let entry = &mut facts.keys[key as usize];
            if op.last {
                entry.finals.push(id)
            } else {
                entry.parts.push(id)
            }
            facts.parts.push(part);
        }
        let to = facts.parts.len() as u32;
        if from == to {
            continue;
        }
        let read = Read { op: at as u32, invoked: op.invoked, completed: op.completed, from, to };
        if op.last {
            facts.finals.push(read);
        } else {
            facts.several_keys |= to - from > 1;
            facts.reads.push(read);
        }
    }
}

/// For each length of the longest list, when the last of its elements was invoked.
fn latest_invocations(facts: &Facts, key: &super::Key) -> Vec<u64> {
    let mut latest = 0;
    key.longest
        .iter()
        .map(|&write| {
            if write != NONE {
                // Of several writes of one value the first might be the one.
                let first = facts.writers(write).map(|write| facts.writes[write as usize].invoked).min();
                latest = latest.max(first.unwrap_or(0));
            }
            latest
        })
        .collect()
}

struct Resolver<'v> {
    values: &'v Values,
    latest: Vec<Vec<u64>>,
    /// What was set down already, so that a thousand reads of one impossible value are one oddity.
    told: FastMap<(u32, &'static str, Atom), ()>,
}

impl Resolver<'_> {
    fn shown(&mut self, facts: &mut Facts, part: &Part, reading: &Reading) -> Shown {
        let kind = facts.keys[part.key as usize].kind;
        facts.shown += match reading {
            Reading::Nil | Reading::One(_) => 1,
            Reading::Many(elements) | Reading::Siblings(elements) => elements.len() as u64,
        };
        match (kind, reading) {
            (Kind::Mixed, _) => Shown::Skip,
            (Kind::Register, Reading::Nil) => Shown::Nil,
            (Kind::Register, Reading::One(value)) => self.one(facts, part, value),
            (Kind::Register, Reading::Siblings(values)) => {
                facts.keys[part.key as usize].siblings = true;
                Shown::Siblings(self.several(facts, part, values, Sorted::ById))
            }
            (Kind::List, Reading::Nil) => Shown::Prefix(0),
            (Kind::List, Reading::Many(elements)) => self.list(facts, part, elements),
            (Kind::Set, Reading::Nil) => Shown::Many(Box::default()),
            (Kind::Set, Reading::Many(elements)) => Shown::Many(self.several(facts, part, elements, Sorted::ById)),
            (_, Reading::One(value)) => {
                self.tell(facts, part, "value-nobody-wrote", value, NONE);
                Shown::Skip
            }
            (_, Reading::Many(values) | Reading::Siblings(values)) => {
                for value in values {
                    self.tell(facts, part, "value-nobody-wrote", value, NONE);
                }
                Shown::Skip
            }
        }
    }

    /// The write of `value`, if one can be it: not failed, and invoked before the read completed.
    fn candidate(&mut self, facts: &mut Facts, part: &Part, value: &Atom) -> Option<(u32, bool)> {
        let Some(last) = self.values.get(part.key, value) else {
            self.tell(facts, part, "value-nobody-wrote", value, NONE);
            return None;
        };
        let completed = facts.history.ops[part.op as usize].completed;
        let (mut found, mut several, mut failed) = (None, false, true);
        for write in facts.writers(last) {
            let entry = &facts.writes[write as usize];
            failed &= entry.outcome == Outcome::Fail;
            if entry.outcome != Outcome::Fail && entry.invoked <= completed && entry.op != part.op {
                several = found.is_some();
                found = Some(write);
            }
        }
        if found.is_none() {
            self.tell(facts, part, if failed { "failed-write-read" } else { "read-before-written" }, value, last);
        }
        found.map(|write| (write, several))
    }

    fn one(&mut self, facts: &mut Facts, part: &Part, value: &Atom) -> Shown {
        match self.candidate(facts, part, value) {
            None => Shown::Skip,
            Some((write, false)) => Shown::One(write),
            Some((write, true)) => Shown::AnyOf(self.values.get(part.key, value).unwrap_or(write)),
        }
    }

    fn several(&mut self, facts: &mut Facts, part: &Part, values: &[Atom], sorted: Sorted) -> Box<[u32]> {
        let mut writes = Vec::with_capacity(values.len());
        let mut seen: FastMap<&Atom, ()> = FastMap::default();
        for value in values {
            if seen.insert(value, ()).is_some() {
                let other = self.values.get(part.key, value).unwrap_or(NONE);
                self.tell(facts, part, "element-twice", value, other);
            } else if let Some((write, _)) = self.candidate(facts, part, value) {
                // An element stands for itself, whichever of several writes brought it: the last one represents them.
                writes.push(self.values.get(part.key, value).unwrap_or(write));
            }
        }
        if sorted == Sorted::ById {
            writes.sort_unstable();
        }
        writes.into_boxed_slice()
    }

    fn list(&mut self, facts: &mut Facts, part: &Part, elements: &[Atom]) -> Shown {
        let key = part.key as usize;
        let length = elements.len();
        let completed = facts.history.ops[part.op as usize].completed;
        if !facts.keys[key].text.starts_with(elements) {
            facts.keys[key].scattered = true;
            return Shown::Many(self.several(facts, part, elements, Sorted::AsShown));
        }
        if length == 0 || self.latest[key][length - 1] <= completed {
            return Shown::Prefix(length as u32);
        }
        // Something in it was invoked too late; the search says what.
        self.several(facts, part, elements, Sorted::AsShown);
        Shown::Skip
    }

    fn tell(&mut self, facts: &mut Facts, part: &Part, name: &'static str, value: &Atom, other: u32) {
        if matches!(&facts.key_names[part.key as usize], Atom::Text(key) if key.starts_with(COMPUTED)) {
            return;
        }
        let known = facts.oddities.iter().take(64).any(|odd| {
            odd.name == name && odd.key == part.key && odd.value.as_ref() == Some(value) && odd.read == part.op
        });
        if !known && self.told.insert((part.key, name, value.clone()), ()).is_none() {
            let value = Some(value.clone());
            let (key, read, step) = (part.key, part.op, part.step);
            facts.oddities.push(Oddity { name, key, read, step, value, other, detail: String::new() });
        }
    }
}

/// Keys that begin so hold what statements made of them: no value in them need be one that somebody wrote, only replicas are compared.
const COMPUTED: &str = "sql/";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sorted {
    ById,
    AsShown,
}

#[cfg(test)]
mod tests {
    use crate::history::History;
    use crate::judge::{Options, judge};

    #[test]
    fn what_a_statement_computed_need_not_have_been_written() {
        for (key, result) in [("sql/row/t/1", false), ("row", true)] {
            let text = format!(
                "{{:process 0 :type :invoke :f :write :value [\"{key}\" \"update t\"]}}\n{{:process 0 :type :ok :f :write :value [\"{key}\" \"update t\"]}}\n\
                 {{:process 0 :type :invoke :f :read :value [\"{key}\" nil]}}\n{{:process 0 :type :ok :f :read :value [\"{key}\" \"1|x\"]}}"
            );
            let history = History::read_any(text.as_bytes()).expect("a history");
            let judgement = judge(&history, &Options::default());
            let odd = judgement
                .findings
                .iter()
                .find(|finding| finding.guarantee == "explainable")
                .expect("it is always asked");
            assert_eq!(matches!(odd.outcome, crate::finding::Outcome::Broken { .. }), result, "{key}");
        }
    }
}
