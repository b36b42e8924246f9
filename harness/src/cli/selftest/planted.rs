//! The table of planted bugs: where each can show, under what, and what must be found.
//!
//! The guarantee is one that the mode keeps under the same faults without the bug, so that finding it broken says something of the bug and not of
//! the mode. Whether the bug shows without faults says what the faults are for. like: the broken nodes of Maelstrom's demos, and the bugs that
//! Jepsen's reports named.

use clap::ValueEnum as _;
use gainsay_nemesis::schedule::Shape;
use refdb::config::Bug;

use crate::gallery::{Deed, Faults, Strike, Whom};

/// A mistake and the run that must find it.
#[derive(Debug)]
pub struct Row {
    /// The mistake.
    pub bug: Bug,
    /// What is wrong, in half a sentence.
    pub about: &'static str,
    /// The mode, as flags of `gainsay run`, without the mistake.
    pub mode: &'static str,
    /// Nodes, workload and load, as flags of `gainsay run`.
    pub setting: &'static str,
    /// What is done to the nodes.
    pub harm: Harm,
    /// The same in a few words.
    pub under: &'static str,
    /// The guarantee that must be found broken.
    pub breaks: &'static str,
    /// Whether it is expected to show without faults too.
    pub alone: bool,
}

/// What is done to the nodes of a row.
#[derive(Debug)]
pub enum Harm {
    /// These strikes.
    Strikes(Faults),
    /// Faults of this kind at random. For kinds that not every build has: without it nothing can meet the mistake.
    Kind(&'static str),
}

impl Row {
    /// The mistake's name on the command line.
    pub fn name(&self) -> String {
        self.bug.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    /// The fault without which nothing can meet the mistake and that cannot be injected.
    pub fn lacks(&self) -> Option<&'static str> {
        match self.harm {
            Harm::Kind(kind) if !gainsay_nemesis::FAULTS.iter().any(|fault| fault.name == kind) => Some(kind),
            _ => None,
        }
    }
}

const fn every(period_ms: u64, strikes: &'static [Strike]) -> Harm {
    Harm::Strikes(Faults::Every(period_ms, strikes))
}

const fn strike(at_ms: u64, lasts_ms: u64, whom: Whom, deed: Deed) -> Strike {
    Strike { at_ms, lasts_ms, whom, deed }
}

const LEADER_CUT_OFF: Harm = every(3_500, &[strike(700, 1_800, Whom::Leader, Deed::Cut(Shape::Isolate))]);
const LEADER_PAUSED: Harm = every(2_600, &[strike(600, 1_300, Whom::Leader, Deed::Pause)]);
const ONE_SLOW: Harm = every(3_500, &[strike(500, 2_600, Whom::Nodes(&["n2"]), Deed::Slow(90, 10))]);
const ONE_SLOW_LINK: Harm = every(3_500, &[strike(600, 2_400, Whom::Nodes(&["n1", "n3"]), Deed::SlowAmong(150, 50))]);
const RESTORED_IN_TURN: Harm = every(
    2_400,
    &[
        strike(200, 1_000, Whom::Nodes(&["n2"]), Deed::Restore(600)),
        strike(1_300, 1_000, Whom::Nodes(&["n3"]), Deed::Restore(600)),
    ],
);
const ONE_CUT_OFF: Harm = every(3_000, &[strike(600, 1_500, Whom::Nodes(&["n2"]), Deed::Cut(Shape::Isolate))]);

/// Every planted bug, mode by mode.
pub const ROWS: &[Row] = &[
    Row {
        bug: Bug::AckEarly,
        about: "a leader takes what it sent for what its follower has on disk",
        mode: "--ack semi-sync --reads any",
        setting: "--workload append --nodes 3 --rate 400",
        harm: LEADER_CUT_OFF,
        under: "the leader cut off",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::ApplyOutOfOrder,
        about: "a follower applies a batch with two workers, in no order",
        mode: "--ack semi-sync --reads any",
        setting: "--workload register --nodes 3 --rate 800 --ops-per-key 10",
        harm: ONE_SLOW,
        under: "one node's links slow",
        breaks: "convergence",
        alone: true,
    },
    Row {
        bug: Bug::IgnoreTerm,
        about: "nobody compares terms before taking entries",
        mode: "--ack semi-sync --reads leader",
        setting: "--workload register --nodes 3 --rate 600 --ops-per-key 10",
        harm: LEADER_PAUSED,
        under: "the leader paused and resumed",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::ForgetTailDiscard,
        about: "a deposed leader drops its tail from the log and leaves it in the rows",
        mode: "--ack async --reads any",
        setting: "--workload register --nodes 3 --rate 600 --ops-per-key 4",
        harm: LEADER_CUT_OFF,
        under: "the leader cut off",
        breaks: "convergence",
        alone: false,
    },
    Row {
        bug: Bug::EarlyVisible,
        about: "a leader shows what no follower has confirmed",
        mode: "--ack semi-sync --reads leader",
        setting: "--workload register --nodes 3 --concurrency 20 --rate 1000",
        harm: LEADER_CUT_OFF,
        under: "the leader cut off",
        breaks: "linearizable",
        alone: false,
    },
    Row {
        bug: Bug::SkipFsync,
        about: "a node says that it syncs and does not",
        mode: "--ack async --failover off --reads leader",
        setting: "--workload register --nodes 1 --rate 400",
        harm: Harm::Kind("power"),
        under: "the power fails",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::AckAtHead,
        about: "the head of a chain acknowledges what only its own disk has",
        mode: "--mode chain",
        setting: "--workload register --nodes 3 --rate 400",
        harm: ONE_SLOW,
        under: "one node's links slow",
        breaks: "read-your-writes",
        alone: true,
    },
    Row {
        bug: Bug::SkipResend,
        about: "after a repair the chain does not pass on what the dead node had not",
        mode: "--mode chain",
        setting: "--workload append --nodes 4 --concurrency 40 --rate 2000",
        harm: every(
            5_600,
            &[
                strike(600, 1_200, Whom::Nodes(&["n2"]), Deed::Pause),
                strike(3_400, 1_200, Whom::Nodes(&["n3"]), Deed::Pause),
            ],
        ),
        under: "a node in the middle paused, then another",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::ForgetDependency,
        about: "values are stored without what their writers had seen on other shards",
        mode: "--mode partitioned --shards 3 --causal-tokens on --reads any",
        setting: "--workload dialogue --nodes 3 --concurrency 18 --rate 900",
        harm: ONE_SLOW,
        under: "one node's links slow",
        breaks: "causal",
        alone: false,
    },
    Row {
        bug: Bug::DropSibling,
        about: "merging concurrent versions keeps one",
        mode: "--mode leaderless --n 3",
        setting: "--workload register --nodes 5 --rate 600",
        harm: ONE_SLOW,
        under: "one node's links slow",
        breaks: "lost-writes",
        alone: true,
    },
    Row {
        bug: Bug::CountPartialWrite,
        about: "a write that reached too few replicas is acknowledged",
        mode: "--mode leaderless --n 3",
        setting: "--workload register --nodes 5 --concurrency 30 --rate 900",
        harm: every(3_500, &[strike(600, 2_200, Whom::Nodes(&["n1", "n2"]), Deed::Cut(Shape::Halves))]),
        under: "two nodes cut off together",
        breaks: "read-your-writes",
        alone: false,
    },
    Row {
        bug: Bug::ForgetHint,
        about: "a stand-in drops what it holds for a node that was away",
        mode: "--mode leaderless --n 3 --sloppy on",
        setting: "--workload register --nodes 6 --rate 400 --ops-per-key 10",
        harm: every(3_500, &[strike(600, 2_000, Whom::Nodes(&["n1", "n2", "n3", "n4"]), Deed::Cut(Shape::Halves))]),
        under: "four of six nodes cut off together",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::DropTombstone,
        about: "repair takes a tombstone for a key that was never written",
        mode: "--mode leaderless --n 3",
        setting: "--workload profile --nodes 3 --rate 600",
        harm: ONE_CUT_OFF,
        under: "one node cut off",
        breaks: "lost-writes",
        alone: true,
    },
    Row {
        bug: Bug::ReuseActor,
        about: "a node that is restored from an old copy gives out its numbers again",
        mode: "--mode leaderless --n 3",
        setting: "--workload register --nodes 3 --concurrency 100 --rate 600 --ops-per-key 180",
        harm: RESTORED_IN_TURN,
        under: "two nodes restored from old copies in turn",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::KeepLoop,
        about: "the first datacentre's changes are not recognised when they come round again",
        mode: "--mode multi-leader --topology circular --conflicts arrival-order",
        setting: "--workload watchers --nodes 3 --rate 600 --ops-per-key 6",
        harm: ONE_SLOW,
        under: "one datacentre's links slow",
        breaks: "convergence",
        alone: false,
    },
    Row {
        bug: Bug::DropChange,
        about: "after a reconnect one change is skipped",
        mode: "--mode multi-leader --conflicts lww",
        setting: "--workload register --nodes 3 --rate 400 --ops-per-key 4",
        harm: ONE_CUT_OFF,
        under: "one datacentre cut off",
        breaks: "convergence",
        alone: false,
    },
    Row {
        bug: Bug::IgnoreCause,
        about: "a change does not wait for what its author had seen",
        mode: "--mode multi-leader --datacentres 5 --conflicts merge --ordering causal",
        setting: "--workload insert-then-update --nodes 5 --rate 600 --ops-per-key 20",
        harm: ONE_SLOW_LINK,
        under: "one slow link between two datacentres",
        breaks: "causal",
        alone: false,
    },
    Row {
        bug: Bug::ForgetTombstone,
        about: "a merge of sets forgets what was removed",
        mode: "--mode multi-leader --conflicts merge",
        setting: "--workload set --nodes 3 --rate 500 --ops-per-key 10",
        harm: ONE_SLOW,
        under: "one datacentre's links slow",
        breaks: "lost-writes",
        alone: true,
    },
    Row {
        bug: Bug::LeaveTie,
        about: "equal time stamps are not told apart",
        mode: "--mode multi-leader --conflicts lww",
        setting: "--workload register --nodes 3 --concurrency 20 --rate 1500 --ops-per-key 10",
        harm: ONE_SLOW,
        under: "one datacentre's links slow",
        breaks: "convergence",
        alone: true,
    },
    Row {
        bug: Bug::ForgetVote,
        about: "term and vote are not written: a node that restarts votes again",
        mode: "--mode raft",
        setting: "--workload register --nodes 3 --concurrency 20 --rate 1000 --ops-per-key 10",
        harm: every(
            2_600,
            &[
                strike(700, 250, Whom::Leader, Deed::Cut(Shape::Isolate)),
                strike(950, 250, Whom::Nodes(&["n1", "n2", "n3"]), Deed::Kill),
            ],
        ),
        under: "the leader cut off, then all nodes killed and restarted",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::AckBeforeCommit,
        about: "a write is acknowledged when the leader's own disk has it",
        mode: "--mode raft",
        setting: "--workload append --nodes 3 --rate 400",
        harm: LEADER_CUT_OFF,
        under: "the leader cut off",
        breaks: "lost-writes",
        alone: false,
    },
    Row {
        bug: Bug::StaleReadIndex,
        about: "a leader answers reads without asking whether it still leads",
        mode: "--mode raft",
        setting: "--workload watchers --nodes 3 --concurrency 80 --rate 800",
        harm: every(2_500, &[strike(600, 1_600, Whom::Leader, Deed::Cut(Shape::Isolate))]),
        under: "the leader cut off",
        breaks: "linearizable",
        alone: false,
    },
    Row {
        bug: Bug::ApplyUncommitted,
        about: "entries are applied when they are appended",
        mode: "--mode raft",
        setting: "--workload register --nodes 3 --rate 600 --ops-per-key 4",
        harm: LEADER_CUT_OFF,
        under: "the leader cut off",
        breaks: "convergence",
        alone: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_one_row() {
        for bug in Bug::value_variants() {
            assert_eq!(ROWS.iter().filter(|row| row.bug == *bug).count(), 1, "{bug:?}");
        }
    }

    /// A line of the README's table: name, what is wrong, under what, by which guarantee; then figures.
    fn documented() -> Vec<[String; 4]> {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
        let table = readme.split("| bug | what is wrong | under | found as |").nth(1).expect("the table of bugs");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")));
        cells.map(|mut cells| std::array::from_fn(|_| cells.next().unwrap_or_default())).collect()
    }

    #[test]
    fn the_readme_has_the_rows_of_the_table() {
        let rows: Vec<[String; 4]> =
            ROWS.iter().map(|row| [row.name(), row.about.into(), row.under.into(), row.breaks.into()]).collect();
        assert_eq!(documented(), rows);
    }

    #[test]
    fn every_row_breaks_what_a_checker_judges_and_its_workload_exercises() {
        for row in ROWS {
            assert!(gainsay_checker::checkers::CHECKERS.iter().any(|checker| checker.name == row.breaks), "{row:?}");
            let words: Vec<&str> = row.setting.split_whitespace().collect();
            let at = words.iter().position(|word| *word == "--workload").expect("a workload");
            assert!(gainsay_workloads::named(words[at + 1]).is_some(), "{row:?}");
        }
    }
}
