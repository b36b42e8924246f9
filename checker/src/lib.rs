//! What a history is, which guarantees it satisfies, and the proof when it does not.
//!
//! ```text
//! history.jsonl ──▶ Event ──▶ History ──▶ Checker ──▶ Finding ──▶ Judgement (verdict.json)
//! ```
//!
//! This crate knows no socket, no clock and no thread pool: it takes what clients saw and decides. It can be used alone, by
//! other projects, on histories that other tools recorded.
//!
//! - [`event`] is one line of a history, [`json`] its text.
//! - [`History`] is the events paired into operations; it cannot be built from events that contradict each other.
//! - [`meta`] is what a run says about itself in its history's first line, so that a history copied alone gives the same
//!   verdict.
//! - [`finding`] is what a checker answers: held (on how much evidence), broken (with the few operations that prove it),
//!   unknown or vacuous (with the reason).
//! - [`judge()`] runs every [`Checker`] of the table and sums up.

pub mod action;
pub mod checker;
pub mod checkers;
mod circles;
pub mod drawn;
pub mod edn;
pub mod event;
pub mod evidence;
pub mod explain;
mod facts;
pub mod finding;
mod foreign;
pub mod formats;
pub mod generate;
mod graph;
pub mod guarantee;
pub mod history;
pub mod inspect;
mod intern;
pub mod jepsen;
pub mod json;
pub mod judge;
pub mod log;
pub mod meta;
pub mod objects;
mod proof;
pub mod selftest;
mod sharpness;
pub mod text;
pub mod txn;
pub mod value;
pub mod version;
mod visibility;

pub use action::{Action, Atom, Reading, Step, Steps};
pub use checker::{Answer, Case, Checker};
pub use event::{Event, Function, Kind, Note, OpEvent, Process};
pub use evidence::{Budget, SHARP_ENOUGH, upper_bound};
pub use finding::{Anomaly, Edge, Evidence, Finding, Judgement, Outcome as Verdict, Witness};
pub use guarantee::{GUARANTEES, Guarantee};
pub use history::{FaultWindow, History, HistoryError, Op, Outcome};
pub use judge::{Options, Vacuity, judge};
pub use meta::Meta;
pub use version::Version;
