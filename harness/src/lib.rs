//! The run: it starts a database, drives clients at it while a nemesis injures it, writes down everything, judges, reports.
//!
//! ```text
//! Config ──▶ run.json ──▶ Cluster (hosts, processes, directories)
//! Generator ──▶ Draft ──▶ Client ──▶ Completion ─┐
//! Schedule  ──▶ Fault ──▶ Hosts  ──▶ effect     ─┴─▶ recorder ──▶ history.jsonl ──▶ verdict.json ──▶ report.html
//! ```
//!
//! A run directory is the interface between the stages: every stage after recording can be done again from its files.

pub mod cli;
mod cluster;
pub mod config;
pub mod database;
pub mod databases;
pub mod exit;
mod forward;
pub mod gallery;
pub mod input;
mod load;
mod monitor;
mod nemesis;
mod pacing;
mod progress;
mod recorder;
mod run;
mod signals;
pub mod store;
mod talk;
pub mod verdict;
