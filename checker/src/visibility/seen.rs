//! What somebody must have seen of one key.

use std::rc::Rc;

/// A set of writes of one key, as small as the key's kind allows.
///
/// Of a list of which every read is a beginning, the largest place says everything. Of a register only the writes
/// that nothing in the set is known to follow matter, mostly one; of a set, of scattered lists and of siblings, all. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// One more than the largest place; 0 for none.
    pub(crate) top: u32,
    writes: Writes,
}

/// Ascending writes.
#[derive(Clone, Debug, Default, PartialEq)]
enum Writes {
    #[default]
    None,
    One(u32),
    /// At least two.
    Many(Rc<Vec<u32>>),
}

impl Seen {
    pub(crate) const EMPTY: Seen = Seen { top: 0, writes: Writes::None };

    pub(crate) fn upto(top: u32) -> Seen {
        Seen { top, writes: Writes::None }
    }

    pub(crate) fn one(write: u32) -> Seen {
        Seen { top: 0, writes: Writes::One(write) }
    }

    /// These writes, which must ascend.
    pub(crate) fn of(writes: Vec<u32>) -> Seen {
        let writes = match writes.as_slice() {
            [] => Writes::None,
            &[write] => Writes::One(write),
            _ => Writes::Many(Rc::new(writes)),
        };
        Seen { top: 0, writes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.top == 0 && matches!(self.writes, Writes::None)
    }

    /// The writes, ascending.
    #[inline]
    pub(crate) fn writes(&self) -> &[u32] {
        match &self.writes {
            Writes::None => &[],
            Writes::One(write) => std::slice::from_ref(write),
            Writes::Many(many) => many,
        }
    }

    pub(crate) fn insert(&mut self, write: u32) {
        match &mut self.writes {
            Writes::None => self.writes = Writes::One(write),
            Writes::One(one) if *one == write => {}
            Writes::One(one) => {
                let both = vec![(*one).min(write), (*one).max(write)];
                self.writes = Writes::Many(Rc::new(both));
            }
            Writes::Many(many) => {
                if let Err(at) = many.binary_search(&write) {
                    Rc::make_mut(many).insert(at, write);
                }
            }
        }
    }

    #[inline]
    pub(crate) fn join(&mut self, other: &Seen) {
        self.top = self.top.max(other.top);
        match (&self.writes, &other.writes) {
            (_, Writes::None) => {}
            (Writes::None, theirs) => self.writes = theirs.clone(),
            (_, &Writes::One(write)) => self.insert(write),
            (Writes::One(write), theirs) => {
                let write = *write;
                self.writes = theirs.clone();
                self.insert(write);
            }
            (Writes::Many(ours), Writes::Many(theirs)) => {
                if Rc::ptr_eq(ours, theirs) || contains_all(ours, theirs) {
                    return;
                }
                self.writes = if contains_all(theirs, ours) {
                    Writes::Many(theirs.clone())
                } else {
                    Writes::Many(Rc::new(union(ours, theirs)))
                };
            }
        }
    }
}

/// What is in either, ascending.
fn union(ours: &[u32], theirs: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(ours.len() + theirs.len());
    let (mut a, mut b) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x < y => a.next(),
            (Some(x), Some(y)) if x == y => {
                b.next();
                a.next()
            }
            (_, Some(_)) => b.next(),
            (_, None) => a.next(),
        };
        match next {
            Some(&write) => merged.push(write),
            None => return merged,
        }
    }
}

/// Whether ascending `all` contains ascending `some`.
fn contains_all(all: &[u32], some: &[u32]) -> bool {
    if some.len() > all.len() {
        return false;
    }
    if let [one] = some {
        return all.binary_search(one).is_ok();
    }
    let mut rest = all.iter();
    some.iter().all(|write| rest.any(|other| other == write))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_is_a_sorted_union() {
        let mut seen = Seen::of(vec![1, 4, 6]);
        seen.join(&Seen::of(vec![2, 4, 9]));
        assert_eq!(seen.writes(), &[1, 2, 4, 6, 9]);
        seen.join(&Seen::of(vec![2, 9]));
        seen.insert(3);
        seen.insert(3);
        assert_eq!(seen.writes(), &[1, 2, 3, 4, 6, 9]);
        seen.join(&Seen::upto(3));
        assert_eq!(seen.top, 3);
    }
}
