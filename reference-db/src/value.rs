//! Values, and what a key can hold.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An integer or a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(value) => write!(f, "{value}"),
            Value::Text(value) => f.write_str(value),
        }
    }
}

/// What a key holds. A key that holds nothing has no cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// One value.
    #[serde(rename = "r")]
    Register(Value),
    /// Values in order, duplicates allowed.
    #[serde(rename = "l")]
    List(Vec<Value>),
    /// Values without order or duplicates, in the order of their first addition.
    #[serde(rename = "s")]
    Set(Vec<Value>),
}
