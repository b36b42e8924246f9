//! What several leaders can do to their users: conflicts that somebody loses, changes that overtake each other, rings that break.
//!
//! Three datacentres with one node each unless a scenario needs more. Keys retire early, so that there are enough final contents to compare.

use gainsay_nemesis::schedule::Shape;

use super::claim::Claim::{Breaks, FreshWithin, Holds, Siblings, StaleBy, WritesGoOn, WritesStop};
use super::faults::{Deed, Faults, Strike, TO_THE_END, Whom};
use super::{Scenario, Side};

/// One datacentre is far away for most of the time.
const SLOW: Faults = Faults::Every(
    3_500,
    &[Strike { at_ms: 600, lasts_ms: 2_400, whom: Whom::Nodes(&["n2"]), deed: Deed::Slow(80, 10) }],
);

/// The link between two datacentres is slow, so that what a third makes of a change arrives before it.
const ONE_SLOW_LINK: Faults = Faults::Every(
    3_500,
    &[Strike { at_ms: 600, lasts_ms: 2_400, whom: Whom::Nodes(&["n1", "n3"]), deed: Deed::SlowAmong(150, 50) }],
);

/// One datacentre is cut off from the others, not from its clients.
const CUT_OFF: Faults = Faults::Every(
    4_000,
    &[Strike { at_ms: 800, lasts_ms: 2_500, whom: Whom::Nodes(&["n2"]), deed: Deed::Cut(Shape::Isolate) }],
);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "title",
        figure: "5-7",
        about: "Two users change the title of a page in two datacentres; both are told that it is done, and one title is gone.",
        under: "one datacentre's clock set ahead by a minute",
        setting: "--workload register --nodes 3 --rate 400 --ops-per-key 10",
        faults: Faults::Every(
            3_500,
            &[Strike { at_ms: 600, lasts_ms: 2_200, whom: Whom::Nodes(&["n2"]), deed: Deed::Clock(60_000) }],
        ),
        breaks: Some(Side {
            mode: "--mode multi-leader --conflicts lww",
            claims: &[Breaks("overwritten-by-concurrent"), Breaks("lost-writes"), Holds("convergence")],
        }),
        holds: Side {
            mode: "--mode multi-leader --conflicts siblings",
            claims: &[Holds("lost-writes"), Holds("convergence"), Siblings(1)],
        },
        prevented_by: "Keeping both as siblings until somebody who has seen both decides. True clocks only decide which of two concurrent writes is dropped.",
    },
    Scenario {
        name: "arrival",
        figure: "",
        about: "Each datacentre lets the change win that arrives last, and they arrive in different orders: replicas differ for good.",
        under: "slow links of one datacentre",
        setting: "--workload register --nodes 3 --rate 400 --ops-per-key 10",
        faults: SLOW,
        breaks: Some(Side { mode: "--mode multi-leader --conflicts arrival-order", claims: &[Breaks("convergence")] }),
        holds: Side { mode: "--mode multi-leader --conflicts lww", claims: &[Holds("convergence")] },
        prevented_by: "Any rule that does not depend on the order of arrival: the latest time stamp, the higher datacentre, a merge. Which writes are dropped is another question.",
    },
    Scenario {
        name: "priority",
        figure: "",
        about: "The datacentre of higher rank wins every conflict, and what others wrote meanwhile is overwritten.",
        under: "slow links of one datacentre",
        setting: "--workload register --nodes 3 --rate 400 --ops-per-key 10",
        faults: SLOW,
        breaks: Some(Side {
            mode: "--mode multi-leader --conflicts priority",
            claims: &[Breaks("lost-writes"), Holds("convergence")],
        }),
        holds: Side {
            mode: "--mode multi-leader --conflicts siblings",
            claims: &[Holds("lost-writes"), Holds("convergence")],
        },
        prevented_by: "Keeping both as siblings. A rank, like a clock, makes replicas agree; it does not make them right.",
    },
    Scenario {
        name: "cart",
        figure: "",
        about: "Shopping carts are merged by uniting them, and what was taken out comes back.",
        under: "slow links of one datacentre",
        setting: "--workload set --nodes 3 --rate 500 --ops-per-key 10",
        faults: SLOW,
        breaks: Some(Side {
            mode: "--mode multi-leader --conflicts merge --tombstones off",
            claims: &[Breaks("lost-writes"), Holds("convergence")],
        }),
        holds: Side {
            mode: "--mode multi-leader --conflicts merge --tombstones on",
            claims: &[Holds("lost-writes"), Holds("convergence")],
        },
        prevented_by: "Tombstones: a set that remembers what was removed can tell a removal from an addition that it has not seen yet.",
    },
    Scenario {
        name: "overtaking",
        figure: "5-9",
        about: "A change overtakes the one that it depends on, finds nothing to change, and has no effect.",
        under: "one slow link between two of five datacentres",
        setting: "--workload insert-then-update --nodes 5 --rate 600 --ops-per-key 20",
        faults: ONE_SLOW_LINK,
        breaks: Some(Side {
            mode: "--mode multi-leader --datacentres 5 --conflicts merge --ordering none",
            claims: &[Breaks("lost-writes"), Breaks("causal")],
        }),
        holds: Side {
            mode: "--mode multi-leader --datacentres 5 --conflicts merge --ordering causal",
            claims: &[Holds("lost-writes"), Holds("causal"), Holds("convergence")],
        },
        prevented_by: "Version vectors on changes: one waits until those have arrived that its author had seen. Time stamps do not do it, clocks being what they are.",
    },
    Scenario {
        name: "broken-ring",
        figure: "5-8",
        about: "Changes travel around a ring; one node dies, and what its predecessor has to say reaches nobody beyond it.",
        under: "one of five datacentres killed",
        setting: "--workload register --nodes 5 --rate 200 --ops-per-key 2000",
        faults: Faults::Every(
            5_000,
            &[Strike { at_ms: 800, lasts_ms: TO_THE_END, whom: Whom::Nodes(&["n3"]), deed: Deed::Kill }],
        ),
        breaks: Some(Side {
            mode: "--mode multi-leader --datacentres 5 --conflicts lww --topology circular",
            claims: &[StaleBy(300)],
        }),
        holds: Side {
            mode: "--mode multi-leader --datacentres 5 --conflicts lww --topology all-to-all",
            claims: &[FreshWithin(300)],
        },
        prevented_by: "More than one path between any two nodes: all to all, where changes may overtake each other instead.",
    },
    Scenario {
        name: "dead-hub",
        figure: "5-8",
        about: "All changes pass through one datacentre; it dies, and each of the others is alone.",
        under: "the hub killed",
        setting: "--workload register --nodes 5 --rate 200 --ops-per-key 2000",
        faults: Faults::Every(
            5_000,
            &[Strike { at_ms: 800, lasts_ms: TO_THE_END, whom: Whom::Nodes(&["n1"]), deed: Deed::Kill }],
        ),
        breaks: Some(Side {
            mode: "--mode multi-leader --datacentres 5 --conflicts lww --topology star",
            claims: &[StaleBy(300)],
        }),
        holds: Side {
            mode: "--mode multi-leader --datacentres 5 --conflicts lww --topology all-to-all",
            claims: &[FreshWithin(300)],
        },
        prevented_by: "Paths that do not all share one node. A ring loses as much by the death of any node, a star only by that of its hub.",
    },
    Scenario {
        name: "siblings",
        figure: "",
        about: "Two people book one room in two datacentres; each booking is a row of its own, so no conflict is seen, and both are confirmed.",
        under: "slow links of one datacentre",
        setting: "--workload booking --nodes 3 --rate 400",
        faults: SLOW,
        breaks: Some(Side {
            mode: "--mode multi-leader --conflicts siblings",
            claims: &[Breaks("one-booking"), Holds("lost-writes"), Holds("convergence")],
        }),
        holds: Side { mode: "--ack semi-sync --reads leader", claims: &[Holds("one-booking"), Holds("lost-writes")] },
        prevented_by: "One leader that compares and sets: whoever comes second is told. Siblings keep everything that was written in a row; a constraint across rows is not in a row.",
    },
    Scenario {
        name: "half-a-transaction",
        figure: "",
        about: "Two transfers meet in two datacentres; conflicts are resolved row by row, so of one transfer a half survives, and money is made or lost.",
        under: "slow links of one datacentre",
        setting: "--workload bank --nodes 3 --rate 400",
        faults: SLOW,
        breaks: Some(Side {
            mode: "--mode multi-leader --conflicts lww",
            claims: &[Breaks("totals"), Holds("convergence")],
        }),
        holds: Side { mode: "--ack semi-sync --reads any", claims: &[Holds("totals"), Holds("convergence")] },
        prevented_by: "One order of whole transactions: a follower may be behind, but it is behind by whole transfers. A better rule for rows does not help, since the rule does not know what belongs together.",
    },
    Scenario {
        name: "detect",
        figure: "",
        about: "Conflicts are refused when they happen, which takes everybody's consent to every write.",
        under: "one datacentre cut off for 2.5 s",
        setting: "--workload register --nodes 3 --rate 400 --ops-per-key 20",
        faults: CUT_OFF,
        breaks: Some(Side { mode: "--mode multi-leader --conflicts detect", claims: &[WritesStop(1_500)] }),
        holds: Side {
            mode: "--mode multi-leader --conflicts siblings",
            claims: &[WritesGoOn(1_500), Holds("lost-writes")],
        },
        prevented_by: "Accepting writes in each datacentre and resolving conflicts later; then they have to be resolved.",
    },
    Scenario {
        name: "home-moves",
        figure: "",
        about: "Conflicts are avoided by giving each record a home; when a home seems dead its records move, and it is not dead.",
        under: "one datacentre cut off for 3 s",
        setting: "--workload set --nodes 3 --rate 400 --ops-per-key 200",
        faults: Faults::Every(
            4_000,
            &[Strike { at_ms: 800, lasts_ms: 3_000, whom: Whom::Nodes(&["n2"]), deed: Deed::Cut(Shape::Isolate) }],
        ),
        breaks: Some(Side {
            mode: "--mode multi-leader --conflicts avoid --home-timeout 1s",
            claims: &[Breaks("lost-writes")],
        }),
        holds: Side {
            mode: "--mode multi-leader --conflicts avoid --home-timeout 60s",
            claims: &[Holds("lost-writes")],
        },
        prevented_by: "Leaving homes where they are: whoever cannot reach a record's home cannot write it, until the home is back.",
    },
];
