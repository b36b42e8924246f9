//! What shards without a common order can do to their users: answers before their questions.

use super::claim::Claim::{Breaks, Holds};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// One node is far away for most of the time: its shard's followers lag, and so do its copies of the others.
const SLOW_NODE: Faults = Faults::Every(
    3_500,
    &[Strike { at_ms: 500, lasts_ms: 2_600, whom: Whom::Nodes(&["n2"]), deed: Deed::Slow(90, 10) }],
);

const DIALOGUE: &str = "--workload dialogue --nodes 3 --rate 500";

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "answer-first",
        figure: "5-5",
        about: "A question is written to one shard and its answer to another; a third person reads the answer and no question.",
        under: "slow links of one node",
        setting: DIALOGUE,
        faults: SLOW_NODE,
        breaks: Some(Side {
            mode: "--mode partitioned --shards 3 --reads any",
            claims: &[Breaks("consistent-prefix")],
        }),
        holds: Side { mode: "--mode partitioned --shards 1 --reads any", claims: &[Holds("consistent-prefix")] },
        prevented_by: "One log for both: within a shard everybody sees a beginning of one order, however old. Fresher followers only make it rarer.",
    },
    Scenario {
        name: "placement",
        figure: "",
        about: "The same dialogue, with what belongs together on one shard: no order across shards is needed for it.",
        under: "slow links of one node",
        setting: DIALOGUE,
        faults: SLOW_NODE,
        breaks: Some(Side {
            mode: "--mode partitioned --shards 3 --placement hash --reads any",
            claims: &[Breaks("consistent-prefix")],
        }),
        holds: Side {
            mode: "--mode partitioned --shards 3 --placement causal --reads any",
            claims: &[Holds("consistent-prefix")],
        },
        prevented_by: "Placing keys by what they belong to. It helps only what is placed together: an answer in another dialogue may still come first.",
    },
    Scenario {
        name: "causal-tokens",
        figure: "",
        about: "Each value carries what its writer had seen of other shards; a reader waits until a replica has that too.",
        under: "slow links of one node",
        setting: DIALOGUE,
        faults: SLOW_NODE,
        breaks: Some(Side {
            mode: "--mode partitioned --shards 3 --causal-tokens off --reads any",
            claims: &[Breaks("causal")],
        }),
        holds: Side {
            mode: "--mode partitioned --shards 3 --causal-tokens on --reads any",
            claims: &[Holds("causal")],
        },
        prevented_by: "Explicit dependencies. What nobody's write depends on has no order still: two readers may see two concurrent writes in two orders.",
    },
];
