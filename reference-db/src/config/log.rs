//! What travels from a leader to its followers, and what that promises.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{SingleLeader, Switch, switch, word};

/// What travels from a leader to its followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// The rows that each transaction changed.
    Row,
    /// Statements; rows where the clock, chance or the order of rows decides what a statement does.
    Mixed,
    /// The text of each statement, run again on each follower.
    Statement,
    /// The pages of the database file that each commit wrote: followers are equal byte for byte, and of one format and page size.
    Wal,
}

/// The flags of the log.
#[derive(Args, Clone, Debug, Default)]
pub struct LogArgs {
    /// single-leader: what travels to the followers [default: row]
    ///
    /// row, mixed and statement differ only in statements on users' tables (operation sql): an operation on a key asks nothing but its key. With
    /// statement, what asks the clock or chance makes replicas diverge. With wal, followers are equal byte for byte, and one of another page
    /// size (--page-size) or format is refused
    #[arg(long, value_enum)]
    pub log: Option<LogFormat>,
    /// single-leader, log=statement: the leader writes literals in the place of random(), CURRENT_TIMESTAMP and 'now' [default: off]
    #[arg(long, value_enum)]
    pub literals: Option<Switch>,
}

impl LogArgs {
    /// Which of the flags are given.
    pub fn given(&self) -> [(&'static str, bool); 2] {
        [("--log", self.log.is_some()), ("--literals", self.literals.is_some())]
    }

    /// The format.
    ///
    /// # Errors
    /// One sentence, where flags contradict each other.
    pub fn format(&self) -> Result<LogFormat, String> {
        let log = self.log.unwrap_or(LogFormat::Row);
        if self.literals.is_some() && log != LogFormat::Statement {
            return Err("--literals goes with --log statement".to_string());
        }
        Ok(log)
    }

    /// Whether literals replace what asks the clock or chance.
    pub fn literals(&self) -> bool {
        self.literals.is_some_and(Switch::is_on)
    }
}

impl SingleLeader {
    /// What the label says of the log; nothing of the default.
    pub(super) fn log_label(&self) -> String {
        match self.log {
            LogFormat::Row => String::new(),
            LogFormat::Statement => format!(" log=statement literals={}", switch(self.literals)),
            log => format!(" log={}", word(log)),
        }
    }

    /// The flags that start a node with it; none for the default.
    pub(super) fn log_flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        if self.log != LogFormat::Row {
            flags.push(("--log", word(self.log)));
        }
        if self.log == LogFormat::Statement {
            flags.push(("--literals", switch(self.literals).to_string()));
        }
        flags
    }

    /// Whether replicas that have the same log hold the same.
    pub(super) fn log_converges(&self) -> bool {
        self.log != LogFormat::Statement || self.literals
    }
}
