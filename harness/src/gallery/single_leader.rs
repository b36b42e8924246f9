//! What one leader with followers can do to its users: lag, lost tails, two leaders, silence.
//!
//! Three nodes unless a scenario needs more. Lag is made by slowing the links of one follower, as a distant datacentre would.

use gainsay_nemesis::schedule::Shape;

use super::claim::Claim::{Breaks, Holds, WritesGoOn, WritesStop};
use super::faults::{Deed, Faults, Strike, Whom};
use super::{Scenario, Side};

/// One follower is far away for most of the time.
const SLOW_FOLLOWER: Faults =
    Faults::Every(4_000, &[Strike { at_ms: 700, lasts_ms: 2_800, whom: Whom::Follower(0), deed: Deed::Slow(150, 18) }]);

/// The leader is cut off from the others, but not from clients.
const LEADER_CUT_OFF: Faults = Faults::Every(
    4_000,
    &[Strike { at_ms: 800, lasts_ms: 2_000, whom: Whom::Leader, deed: Deed::Cut(Shape::Isolate) }],
);

/// The leader stops as if by a long collection of garbage, and goes on as if nothing had happened.
const LEADER_PAUSED: Faults =
    Faults::Every(3_500, &[Strike { at_ms: 800, lasts_ms: 1_600, whom: Whom::Leader, deed: Deed::Pause }]);

/// The same, a single time: nobody may be left to be paused again.
const LEADER_PAUSED_ONCE: Faults =
    Faults::Every(3_600_000, &[Strike { at_ms: 800, lasts_ms: 1_600, whom: Whom::Leader, deed: Deed::Pause }]);

/// The scenarios.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "own-writes",
        figure: "5-3",
        about: "A user writes, reads from a follower that does not have it yet, and thinks that it was lost.",
        under: "slow links of one follower",
        setting: "--workload append --nodes 3 --rate 400",
        faults: SLOW_FOLLOWER,
        breaks: Some(Side {
            mode: "--ack async --reads any",
            claims: &[Breaks("read-your-writes"), Holds("consistent-prefix")],
        }),
        holds: Side { mode: "--ack async --reads token", claims: &[Holds("read-your-writes")] },
        prevented_by: "A token: the session remembers the position of its last write, and reads only where that has arrived.",
    },
    Scenario {
        name: "back-in-time",
        figure: "5-4",
        about: "A user reads from one replica, then from one that lags behind it, and sees things vanish.",
        under: "slow links of one follower",
        setting: "--workload append --nodes 3 --rate 400",
        faults: SLOW_FOLLOWER,
        breaks: Some(Side { mode: "--ack async --reads any", claims: &[Breaks("monotonic-reads")] }),
        holds: Side { mode: "--ack async --reads sticky", claims: &[Holds("monotonic-reads")] },
        prevented_by: "Each session stays with one replica, for as long as that replica lives and loses nothing; a token also where it does not.",
    },
    Scenario {
        name: "sticky",
        figure: "",
        about: "A session stays with one replica, until a failover takes from that replica what the session has already seen.",
        under: "the leader cut off, again and again",
        setting: "--workload append --nodes 3 --rate 400",
        faults: LEADER_CUT_OFF,
        breaks: Some(Side {
            mode: "--ack async --reads sticky",
            claims: &[Breaks("monotonic-reads"), Breaks("read-your-writes")],
        }),
        holds: Side {
            mode: "--ack async --reads token",
            claims: &[Holds("monotonic-reads"), Holds("read-your-writes")],
        },
        prevented_by: "A token: what it names and nobody has any more is answered with an error instead of old data. The writes are lost all the same.",
    },
    Scenario {
        name: "token",
        figure: "",
        about: "A token protects the device that holds it; the user's other device reads the past.",
        under: "slow links of one follower",
        setting: "--workload session --nodes 3 --concurrency 50 --rate 250",
        faults: SLOW_FOLLOWER,
        breaks: Some(Side {
            mode: "--ack async --reads token",
            claims: &[Breaks("read-your-writes-user"), Holds("read-your-writes"), Holds("monotonic-reads")],
        }),
        holds: Side { mode: "--ack semi-sync --reads leader", claims: &[Holds("read-your-writes-user")] },
        prevented_by: "Reads at the leader, or a token that all devices of the user share.",
    },
    Scenario {
        name: "lost-tail",
        figure: "",
        about: "A leader acknowledges writes that nobody else has; another one takes over, and they are gone.",
        under: "the leader cut off, again and again",
        setting: "--workload append --nodes 3 --rate 400",
        faults: LEADER_CUT_OFF,
        breaks: Some(Side { mode: "--ack async --reads any", claims: &[Breaks("lost-writes")] }),
        holds: Side { mode: "--ack semi-sync --reads any", claims: &[Holds("lost-writes")] },
        prevented_by: "An acknowledgement that waits for a follower's disk. Fencing does not: a leader that is cut off asks nobody before it acknowledges.",
    },
    Scenario {
        name: "key-reuse",
        figure: "",
        about: "A failover loses the last rows and the numbers that they had; the next rows get the same numbers, and whoever kept one is shown another user's row.",
        under: "the leader cut off, again and again",
        setting: "--workload auto-increment --nodes 3 --rate 700",
        faults: LEADER_CUT_OFF,
        breaks: Some(Side {
            mode: "--ack async --reads leader",
            claims: &[Breaks("ids-unique"), Breaks("lost-writes")],
        }),
        holds: Side { mode: "--ack semi-sync --reads leader", claims: &[Holds("ids-unique"), Holds("lost-writes")] },
        prevented_by: "An acknowledgement that waits for a follower's disk, or numbers that nobody gives out twice, such as random ones: GitHub showed private rows to strangers in 2012 because Redis still knew the old numbers.",
    },
    Scenario {
        name: "quiet-downgrade",
        figure: "",
        about: "A semi-synchronous leader whose follower is away goes on alone without saying so, and dies with what it promised.",
        under: "the leader cut off, again and again",
        setting: "--workload append --nodes 3 --rate 400",
        faults: LEADER_CUT_OFF,
        breaks: Some(Side {
            mode: "--ack semi-sync --on-sync-loss async --reads any",
            claims: &[Breaks("lost-writes")],
        }),
        holds: Side { mode: "--ack semi-sync --on-sync-loss wait --reads any", claims: &[Holds("lost-writes")] },
        prevented_by: "Waiting: without a synchronous follower nothing is acknowledged, and clients notice.",
    },
    Scenario {
        name: "semi-sync",
        figure: "",
        about: "The leader and its synchronous follower are cut off together, and confirm each other what the rest will never know.",
        under: "the leader and another node cut off together",
        setting: "--workload register --nodes 5 --rate 400",
        faults: Faults::Every(
            6_000,
            &[Strike { at_ms: 800, lasts_ms: 2_000, whom: Whom::LeaderAnd(1), deed: Deed::Cut(Shape::Halves) }],
        ),
        breaks: Some(Side { mode: "--ack semi-sync --reads leader", claims: &[Breaks("lost-writes")] }),
        holds: Side { mode: "--ack sync --reads leader", claims: &[Holds("lost-writes")] },
        prevented_by: "Waiting for all followers, which stops writes as soon as one is away. Semi-synchronous replication is made for the loss of one node.",
    },
    Scenario {
        name: "split-brain",
        figure: "",
        about: "A leader comes back from a pause, does not know that it was replaced, and two nodes accept writes.",
        under: "the leader paused and resumed",
        setting: "--workload register --nodes 3 --rate 400",
        faults: LEADER_PAUSED,
        breaks: Some(Side {
            mode: "--ack async --fencing off --lease off --reads leader",
            claims: &[Breaks("lost-writes"), Breaks("linearizable")],
        }),
        holds: Side {
            mode: "--ack semi-sync --fencing on --lease on --reads leader",
            claims: &[Holds("lost-writes"), Holds("linearizable")],
        },
        prevented_by: "Fencing: whoever knows the newer term refuses the old leader, which then steps down. For certain only with an acknowledgement that waits for a follower: until it hears of the new term, an asynchronous leader acknowledges alone.",
    },
    Scenario {
        name: "kill-switch",
        figure: "",
        about: "A leader comes back from a pause and hears of its successor; each shuts the other down, and where there were two leaders there is none.",
        under: "the leader paused and resumed, once",
        setting: "--workload register --nodes 3 --rate 400",
        faults: LEADER_PAUSED_ONCE,
        breaks: Some(Side {
            mode: "--ack async --fencing off --kill-switch on --reads leader",
            claims: &[WritesStop(3_000)],
        }),
        holds: Side { mode: "--ack async --fencing on --reads leader", claims: &[WritesGoOn(3_000)] },
        prevented_by: "Fencing: terms say who of two leaders is the later one, and only the earlier steps down. Or a majority that must agree before anybody is shut down.",
    },
    Scenario {
        name: "stale-leader",
        figure: "",
        about: "A leader that was replaced without knowing it goes on answering those who only read.",
        under: "the leader cut off, again and again",
        setting: "--workload watchers --nodes 3 --concurrency 80 --rate 500",
        faults: Faults::Every(
            2_600,
            &[Strike { at_ms: 600, lasts_ms: 1_600, whom: Whom::Leader, deed: Deed::Cut(Shape::Isolate) }],
        ),
        breaks: Some(Side {
            mode: "--ack semi-sync --reads leader --lease off",
            claims: &[Breaks("linearizable"), Holds("lost-writes")],
        }),
        holds: Side {
            mode: "--ack semi-sync --reads leader --lease on",
            claims: &[Holds("linearizable"), Holds("lost-writes")],
        },
        prevented_by: "A lease: a leader answers reads only for as long as followers have promised to elect nobody else. Fencing does not help: reads ask nobody.",
    },
    Scenario {
        name: "leader-reads",
        figure: "",
        about: "Everything is right as long as the one leader lives; when it dies, nobody writes.",
        under: "the leader killed for 3 s",
        setting: "--workload register --nodes 3 --rate 400",
        faults: Faults::Every(5_000, &[Strike { at_ms: 1_000, lasts_ms: 3_000, whom: Whom::Leader, deed: Deed::Kill }]),
        breaks: Some(Side {
            mode: "--ack semi-sync --reads leader --failover off",
            claims: &[WritesStop(2_500), Holds("linearizable")],
        }),
        holds: Side {
            mode: "--ack semi-sync --reads leader --failover auto",
            claims: &[WritesGoOn(2_500), Holds("linearizable")],
        },
        prevented_by: "Failover, which costs a time-out and an election, and needs a follower that has every acknowledged write.",
    },
    Scenario {
        name: "sync",
        figure: "",
        about: "A leader that waits for all followers stops when one of them is away.",
        under: "one follower paused for 2.5 s",
        setting: "--workload append --nodes 3 --rate 400",
        faults: Faults::Every(
            4_500,
            &[Strike { at_ms: 1_000, lasts_ms: 2_500, whom: Whom::Follower(0), deed: Deed::Pause }],
        ),
        breaks: Some(Side { mode: "--ack sync --reads any", claims: &[WritesStop(1_500), Holds("lost-writes")] }),
        holds: Side { mode: "--ack semi-sync --reads any", claims: &[WritesGoOn(1_500), Holds("lost-writes")] },
        prevented_by: "Waiting for one follower instead of all; another takes its place when it is away.",
    },
    Scenario {
        name: "too-short-time-out",
        figure: "",
        about: "A leader that is busy for half a second is taken for dead; when it goes on, it acknowledges what nobody will keep.",
        under: "the leader paused for 0.5 s, again and again",
        setting: "--workload append --nodes 3 --rate 400",
        faults: Faults::Every(2_000, &[Strike { at_ms: 700, lasts_ms: 500, whom: Whom::Leader, deed: Deed::Pause }]),
        breaks: Some(Side {
            mode: "--ack async --reads any --failover-timeout 150ms",
            claims: &[Breaks("lost-writes")],
        }),
        holds: Side { mode: "--ack async --reads any --failover-timeout 2s", claims: &[Holds("lost-writes")] },
        prevented_by: "A time-out that outlasts ordinary pauses. It makes every real failover longer; and with --ack async a real one still loses what was not sent.",
    },
];
