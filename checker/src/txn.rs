//! Transactional consistency: what Elle decides, and more.

pub mod transactions;

pub use transactions::{Name, Shape, Step, Transactions, Txn};
