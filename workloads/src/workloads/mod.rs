//! The table of workloads.

mod append;
mod auto_increment;
mod bank;
mod booking;
mod dialogue;
mod profile;
mod register;
mod session;
mod set;
mod statements;
mod watchers;
mod write_once;

use crate::workload::Workload;

/// Every workload, in the order in which `gainsay list` shows them.
pub const WORKLOADS: &[Workload] = &[
    register::WORKLOAD,
    append::WORKLOAD,
    set::WORKLOAD,
    set::INSERT_THEN_UPDATE,
    session::WORKLOAD,
    write_once::WORKLOAD,
    dialogue::WORKLOAD,
    watchers::WORKLOAD,
    profile::WORKLOAD,
    bank::WORKLOAD,
    booking::WORKLOAD,
    auto_increment::WORKLOAD,
    statements::WORKLOAD,
];
