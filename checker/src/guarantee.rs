//! The guarantees that can be asked for, by name, each with the sentence that a newcomer understands.

/// A guarantee that a database may promise and a checker can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// The name in flags, files and reports.
    pub name: &'static str,
    /// What it promises, in one sentence.
    pub about: &'static str,
}

/// Every guarantee that can be decided, in the order in which reports show them.
pub const GUARANTEES: &[Guarantee] = &[
    Guarantee {
        name: "explainable",
        about: "Every value that was read was written, once, by a write that did not fail, and before it was read.",
    },
    Guarantee {
        name: "lost-writes",
        about: "A write that was acknowledged is there at the end, unless something later replaced it.",
    },
    Guarantee { name: "read-your-writes", about: "A session sees its own acknowledged writes." },
    Guarantee { name: "monotonic-reads", about: "A session never sees less than it has seen before." },
    Guarantee {
        name: "monotonic-writes",
        about: "The writes of a session take effect in the order in which it made them, for everybody.",
    },
    Guarantee {
        name: "writes-follow-reads",
        about: "Whoever sees a write also sees what its author had read before making it.",
    },
    Guarantee {
        name: "consistent-prefix",
        about: "Every read sees the result of a beginning of one order of all writes.",
    },
    Guarantee { name: "convergence", about: "After healing and settling all replicas hold the same." },
    Guarantee {
        name: "linearizable",
        about: "Each register behaves as if there were one copy and every operation took effect at one instant between its call and its answer.",
    },
];

/// The guarantee of that name.
pub fn named(name: &str) -> Option<&'static Guarantee> {
    GUARANTEES.iter().find(|guarantee| guarantee.name == name)
}
