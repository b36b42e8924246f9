//! Exit codes: a contract with scripts and CI.

use gainsay_checker::Judgement;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every guarantee asked for held; `demo` showed what it promises.
    Held,
    /// A guarantee was violated; a promise of `demo` was broken.
    Broken,
    /// A checker ran out of budget; in `demo`, an expected break stayed away.
    Unknown,
    /// Too little evidence to say anything.
    Vacuous,
    /// The arguments make no sense.
    Usage,
    /// The harness or its surroundings failed: no verdict.
    Failed,
}

impl Exit {
    /// The code.
    pub fn code(self) -> i32 {
        match self {
            Exit::Held => 0,
            Exit::Broken => 1,
            Exit::Unknown => 2,
            Exit::Vacuous => 3,
            Exit::Usage => 254,
            Exit::Failed => 255,
        }
    }

    /// The exit that a run's verdict asks for.
    pub fn of(judgement: &Judgement) -> Exit {
        match judgement.result.as_str() {
            "held" => Exit::Held,
            "broken" => Exit::Broken,
            "vacuous" => Exit::Vacuous,
            _ => Exit::Unknown,
        }
    }

    /// The exit of several runs: a violation wins over everything, then a failure of the harness, then unknown, then vacuous.
    pub fn worst(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::Held => 0,
            Exit::Vacuous => 1,
            Exit::Unknown => 2,
            Exit::Failed => 3,
            Exit::Usage => 4,
            Exit::Broken => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_wins_over_everything_then_a_failure_then_unknown_then_vacuous() {
        let order = [Exit::Held, Exit::Vacuous, Exit::Unknown, Exit::Failed, Exit::Broken];
        for (i, weaker) in order.into_iter().enumerate() {
            for stronger in order.into_iter().skip(i) {
                assert_eq!(weaker.worst(stronger), stronger);
                assert_eq!(stronger.worst(weaker), stronger);
            }
        }
    }
}
