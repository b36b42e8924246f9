//! Whole nodes of the mode in one thread; [`policy`] is for the tests of its parts.

use clap::Parser;

use crate::config::{Leaderless, ModeArgs, Policy};

/// The policies that these flags name, for a cluster of `nodes` nodes.
pub fn policy(flags: &str, nodes: usize) -> Leaderless {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mode: ModeArgs,
    }
    let words = ["test", "--mode", "leaderless"].into_iter().chain(flags.split_whitespace());
    let flags = Flags::try_parse_from(words).expect("sensible flags");
    match flags.mode.config(nodes).expect("sensible flags").policy {
        Policy::Leaderless(policy) => policy,
        other => panic!("{other:?}"),
    }
}
