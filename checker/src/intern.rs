//! Small numbers for keys, values and sessions, and the hash that finds them.
//!
//! Checkers work on `u32`s; names come back only for proofs. The hash is the multiply-and-rotate of the Rust compiler's
//! tables: inputs are our own identities, so nobody gains from colliding them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::action::Atom;

/// A hash map with the fast hash.
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHash>>;

/// Multiply and rotate.
#[derive(Clone, Copy, Default)]
pub(crate) struct FastHash(u64);

impl FastHash {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FastHash {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0_u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    fn finish(&self) -> u64 {
        // The table looks at the top bits and the bottom bits; the product's bottom bits are weak.
        self.0 ^ (self.0 >> 32)
    }
}

/// Names to dense numbers, in the order of their first appearance.
#[derive(Default)]
pub(crate) struct Interner {
    ids: FastMap<Atom, u32>,
    /// The names, by number.
    pub(crate) names: Vec<Atom>,
}

impl Interner {
    /// The number of `name`, which is new if the name is.
    pub(crate) fn id(&mut self, name: &Atom) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.ids.insert(name.clone(), id);
        self.names.push(name.clone());
        id
    }
}
