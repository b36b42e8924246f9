//! What somebody must have seen of one key.

use std::rc::Rc;

/// A set of writes of one key, as small as the key's kind allows.
///
/// Of a list of which every read is a beginning, the largest place says everything. Of a register only the writes
/// that nothing in the set is known to follow matter; of a set, of scattered lists and of siblings, all. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// One more than the largest place; 0 for none.
    pub(crate) top: u32,
    many: Option<Rc<Vec<u32>>>,
}

impl Seen {
    pub(crate) const EMPTY: Seen = Seen { top: 0, many: None };

    pub(crate) fn upto(top: u32) -> Seen {
        Seen { top, many: None }
    }

    /// These writes, which must ascend.
    pub(crate) fn of(writes: Vec<u32>) -> Seen {
        Seen { top: 0, many: (!writes.is_empty()).then(|| Rc::new(writes)) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.top == 0 && self.many.is_none()
    }

    /// The writes, ascending.
    pub(crate) fn writes(&self) -> &[u32] {
        self.many.as_ref().map_or(&[], |many| many.as_slice())
    }

    pub(crate) fn insert(&mut self, write: u32) {
        let Some(many) = &mut self.many else {
            self.many = Some(Rc::new(vec![write]));
            return;
        };
        if let Err(at) = many.binary_search(&write) {
            Rc::make_mut(many).insert(at, write);
        }
    }

    pub(crate) fn join(&mut self, other: &Seen) {
        self.top = self.top.max(other.top);
        let Some(theirs) = &other.many else { return };
        let Some(ours) = &mut self.many else {
            self.many = Some(theirs.clone());
            return;
        };
        if Rc::ptr_eq(ours, theirs) || contains_all(ours, theirs) {
            return;
        }
        if contains_all(theirs, ours) {
            *ours = theirs.clone();
            return;
        }
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
                None => break,
            }
        }
        *ours = Rc::new(merged);
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
