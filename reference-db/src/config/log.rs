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
    /// The rows that SQL triggers on the leader wrote into a change table, shipped from there by a task of its own.
    Trigger,
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
    /// single-leader, log=trigger: only keys, and users' tables, whose names begin so are replicated; the rest stays where it was written
    #[arg(long, value_name = "PREFIX")]
    pub replicate: Option<String>,
    /// single-leader: the format of what travels: 1 is the old one, without the name of the node that led; nodes of both may be mixed [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub format_version: Option<u8>,
}

/// The newest format of what travels to followers. Version 2 adds to each entry who led when it was written. Whoever changes a table raises it: pages
/// carry tables as they are.
pub const NEWEST_FORMAT: u8 = 2;

impl LogArgs {
    /// Which of the flags are given.
    pub fn given(&self) -> [(&'static str, bool); 4] {
        [
            ("--log", self.log.is_some()),
            ("--literals", self.literals.is_some()),
            ("--replicate", self.replicate.is_some()),
            ("--format-version", self.format_version.is_some()),
        ]
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
        if self.replicate.is_some() && log != LogFormat::Trigger {
            return Err("--replicate goes with --log trigger: only triggers choose whose changes they see".to_string());
        }
        let blank = |prefix: &String| prefix.is_empty() || prefix.contains(char::is_whitespace);
        if let Some(prefix) = self.replicate.as_ref().filter(|prefix| blank(prefix)) {
            return Err(format!("--replicate {prefix:?}: a prefix has letters and no spaces"));
        }
        Ok(log)
    }

    /// The format's version.
    pub fn version(&self) -> u8 {
        self.format_version.unwrap_or(NEWEST_FORMAT)
    }

    /// Whether literals replace what asks the clock or chance.
    pub fn literals(&self) -> bool {
        self.literals.is_some_and(Switch::is_on)
    }
}

impl SingleLeader {
    /// What the label says of the log; nothing of the default.
    pub(super) fn log_label(&self) -> String {
        let mut label = match self.log {
            LogFormat::Row => String::new(),
            LogFormat::Statement => format!(" log=statement literals={}", switch(self.literals)),
            log => format!(" log={}", word(log)),
        };
        label.extend(self.replicate.iter().map(|prefix| format!(" replicate={prefix}")));
        if self.format_version != NEWEST_FORMAT {
            label += &format!(" format-version={}", self.format_version);
        }
        label
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
        flags.extend(self.replicate.clone().map(|prefix| ("--replicate", prefix)));
        if self.format_version != NEWEST_FORMAT {
            flags.push(("--format-version", self.format_version.to_string()));
        }
        flags
    }

    /// Whether replicas that have the same log hold the same.
    pub(super) fn log_converges(&self) -> bool {
        self.log != LogFormat::Statement || self.literals
    }
}
