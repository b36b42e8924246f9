//! Transactional consistency: what Elle decides, and more.

#[doc(hidden)]
pub mod brute;
pub mod builder;
pub mod check;
pub mod components;
pub mod cycles;
pub mod dependencies;
pub mod lattice;
pub mod levels;
mod lists;
pub mod local;
pub mod picture;
pub mod pieces;
pub mod questions;
pub mod read;
pub mod scans;
pub mod sessions;
pub mod steps;
pub mod transactions;
pub mod versions;
pub mod witness;
pub mod words;

pub use builder::{Builder, Raw};
pub use transactions::{Name, Shape, Step, Transactions, Txn};
