//! Digests of what a node holds, for each peer of the keys that both are homes of: one root, a digest for each of 256 ranges of the keys' hashes, one for
//! each key. A Merkle tree of three levels (like: Dynamo §4.7, Riak's active anti-entropy), kept in step with every write.
//!
//! A level is the sum of the one below, so one row's change is one subtraction and one addition. A digest of 0 stands for "nothing here": tombstones have it too,
//! or a replica that has collected one would be told of it again by every other, for ever.

use std::collections::BTreeMap;

use super::placement::hash;

/// Into how many ranges keys fall.
pub const RANGES: usize = 256;

/// The digests of one node.
pub struct Tree {
    ranges: BTreeMap<String, Vec<u64>>,
    /// By range, so that a comparison of few ranges looks at few keys.
    keys: Vec<BTreeMap<String, Leaf>>,
}

struct Leaf {
    digest: u64,
    /// The other homes of the key.
    sharers: Vec<String>,
}

impl Tree {
    /// Of a node that holds nothing.
    pub fn new() -> Tree {
        Tree { ranges: BTreeMap::new(), keys: (0..RANGES).map(|_| BTreeMap::new()).collect() }
    }

    /// Notes what this node holds of `key`; `sharers` says who else is a home, and is asked once a key.
    pub fn set(&mut self, key: &str, digest: u64, sharers: impl FnOnce() -> Vec<String>) {
        let range = range(key);
        let known = self.keys[range].entry(key.to_string());
        let leaf = known.or_insert_with(|| Leaf { digest: 0, sharers: sharers() });
        let old = std::mem::replace(&mut leaf.digest, digest);
        for peer in &leaf.sharers {
            let digests = self.ranges.entry(peer.clone()).or_insert_with(|| vec![0; RANGES]);
            digests[range] = digests[range].wrapping_sub(old).wrapping_add(digest);
        }
    }

    /// Notes that this node holds nothing of `key` any more.
    pub fn forget(&mut self, key: &str) {
        self.set(key, 0, Vec::new);
        self.keys[range(key)].remove(key);
    }

    /// The digest of everything shared with `peer`.
    pub fn root(&self, peer: &str) -> u64 {
        let fold = |root: u64, digest: &u64| (root ^ digest).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        self.ranges
            .get(peer)
            .map_or_else(|| vec![0; RANGES].iter().fold(0, fold), |digests| digests.iter().fold(0, fold))
    }

    /// The digests of all ranges shared with `peer`.
    pub fn ranges(&self, peer: &str) -> Vec<u64> {
        self.ranges.get(peer).cloned().unwrap_or_else(|| vec![0; RANGES])
    }

    /// The ranges in which `theirs` differ from what is shared with `peer`, ascending.
    pub fn differing(&self, peer: &str, theirs: &[u64]) -> Vec<usize> {
        let ours = self.ranges(peer);
        (0..RANGES).filter(|range| theirs.get(*range).is_some_and(|digest| *digest != ours[*range])).collect()
    }

    /// The keys of one range that are shared with `peer`, ascending, each with its digest.
    pub fn keys(&self, peer: &str, range: usize) -> impl Iterator<Item = (&str, u64)> {
        let leaves = self.keys.get(range).into_iter().flatten();
        let shared = leaves.filter(move |(_, leaf)| leaf.sharers.iter().any(|sharer| sharer == peer));
        shared.map(|(key, leaf)| (key.as_str(), leaf.digest))
    }

    /// What this node holds of `key`; 0 where that is nothing.
    pub fn digest(&self, key: &str) -> u64 {
        self.keys[range(key)].get(key).map_or(0, |leaf| leaf.digest)
    }
}

/// Which range a key falls into.
pub fn range(key: &str) -> usize {
    (hash(&[key]) % RANGES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(rows: &[(&str, u64)], peer: &str) -> Tree {
        let mut tree = Tree::new();
        for (key, digest) in rows {
            tree.set(key, *digest, || vec![peer.to_string()]);
        }
        tree
    }

    #[test]
    fn equal_rows_have_equal_roots_whatever_happened_before() {
        let a = tree(&[("x", 1), ("y", 2)], "b");
        let mut b = tree(&[("y", 7), ("x", 5), ("z", 3)], "a");
        assert_ne!(a.root("b"), b.root("a"));
        b.forget("z");
        b.set("y", 2, Vec::new);
        b.set("x", 1, Vec::new);
        assert_eq!(a.root("b"), b.root("a"));
        assert!(a.differing("b", &b.ranges("a")).is_empty());
    }

    #[test]
    fn one_changed_key_changes_its_range_only() {
        let a = tree(&[("x", 1), ("y", 2)], "b");
        let b = tree(&[("x", 1), ("y", 3)], "a");
        assert_eq!(a.differing("b", &b.ranges("a")), [range("y")]);
        assert_eq!(a.keys("b", range("y")).collect::<Vec<_>>(), [("y", 2)]);
        assert_eq!(a.keys("c", range("y")).count(), 0);
    }

    #[test]
    fn what_was_collected_counts_as_never_there() {
        let (mut a, b) = (tree(&[("x", 0)], "b"), Tree::new());
        assert_eq!(a.root("b"), b.root("a"));
        a.forget("x");
        assert_eq!((a.root("b"), a.digest("x")), (b.root("a"), 0));
    }
}
