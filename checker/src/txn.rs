//! Transactional consistency: what Elle decides, and more.

pub mod builder;
pub mod components;
pub mod dependencies;
mod lists;
pub mod read;
pub mod transactions;
pub mod versions;

pub use builder::{Builder, Raw};
pub use transactions::{Name, Shape, Step, Transactions, Txn};
