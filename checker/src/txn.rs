//! Transactional consistency: what Elle decides, and more.

#[doc(hidden)]
pub mod brute;
pub mod levels;
pub mod transactions;

pub use transactions::{Name, Shape, Step, Transactions, Txn};
