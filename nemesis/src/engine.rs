//! Plans a schedule and carries it out. A fault's life: it is announced, injected, proven by a probe, watched until its
//! end, healed, and the healing proven. The announcement precedes the harm and the last word follows the healing, so the
//! recorded window always encloses the real one. Faults never overlap, so every effect has one cause.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Error;
use crate::faults::{self, Fault, Proof, Scene};
use crate::link::NodeState;
use crate::schedule::{Planned, Schedule, Victims};
use crate::target::Target;

pub use crate::deck::plan;

/// How often a fault is looked at while it lasts.
const POLL: Duration = Duration::from_millis(50);
/// How often the stop flag is looked at while nothing is injected.
const IDLE_POLL: Duration = Duration::from_millis(10);
/// How long a fault may take to heal before the run is given up.
const HEAL_LIMIT: Duration = Duration::from_secs(15);
/// How long healing is given to show before it is tried again.
const HEAL_AGAIN: Duration = Duration::from_secs(2);
/// A fault that could last no longer than this before the end of the load is left out.
const SHORTEST: Duration = Duration::from_millis(500);
/// How long after the injection an effect is given to show before it is looked for a second time.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Something that happened to a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvent {
    /// The fault's id in the schedule.
    pub id: u64,
    /// Its kind, by name.
    pub kind: String,
    /// Its victims as resolved.
    pub nodes: Vec<String>,
    /// What happened.
    pub what: Happening,
}

/// The stations of a fault's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// It is about to be injected.
    Started {
        /// What is done to whom, in words.
        what: String,
    },
    /// A probe has seen the harm.
    Proven {
        /// What the probe saw.
        why: String,
    },
    /// A probe has seen that there is no harm.
    NoEffect {
        /// What the probe saw.
        why: String,
    },
    /// It is unknown whether there is harm.
    Indeterminate {
        /// What stood in the probe's way.
        why: String,
    },
    /// Somebody else undid the harm before its time.
    EndedEarly {
        /// What was seen.
        why: String,
    },
    /// It is healed.
    Ended {
        /// What proves it.
        why: String,
    },
}

/// Carries out a schedule, in the calling thread. Returns when every fault is over, `until` has come or `stop` is
/// raised; nothing is injected any more then. Kinds in `sabotage` are announced and probed but not injected, to show
/// that the probes can fail.
pub fn run(
    schedule: &Schedule,
    target: &dyn Target,
    start: Instant,
    until: Instant,
    stop: &AtomicBool,
    sabotage: &[String],
    sink: &mut dyn FnMut(FaultEvent),
) -> Result<(), Error> {
    schedule.check_nodes(target.nodes())?;
    let over = || stop.load(Ordering::Relaxed) || Instant::now() >= until;
    for planned in &schedule.faults {
        let onset = start + Duration::from_millis(planned.at_ms);
        while Instant::now() < onset && !over() {
            std::thread::sleep(IDLE_POLL.min(onset.saturating_duration_since(Instant::now())));
        }
        if over() || Instant::now() + SHORTEST > until {
            break;
        }
        let spared = sabotage.contains(&planned.kind);
        let injected = strike(planned, target, if spared { Hand::Held } else { Hand::Free }, &over, sink);
        if let Err(error) = injected {
            return heal_all(target).and(Err(error));
        }
    }
    heal_all(target)
}

/// Whether the injector really injects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    Free,
    Held,
}

/// One fault from its announcement to its last word.
fn strike(
    planned: &Planned,
    target: &dyn Target,
    hand: Hand,
    over: &dyn Fn() -> bool,
    sink: &mut dyn FnMut(FaultEvent),
) -> Result<(), Error> {
    let fault = faults::find(&planned.kind)?.fault;
    let chosen = resolve(planned, target.nodes(), &target.leaders());
    let scene = Scene { target, victims: &chosen.nodes, params: planned.params };
    let mut say = |what: Happening| {
        sink(FaultEvent { id: planned.id, kind: planned.kind.clone(), nodes: chosen.nodes.clone(), what });
    };
    say(Happening::Started { what: format!("{} ({})", fault.describe(scene), chosen.why) });
    let end = Instant::now() + Duration::from_millis(planned.lasts_ms);
    let injected = if hand == Hand::Free { fault.inject(scene) } else { Ok(()) };
    let proof = match injected {
        Ok(()) => look_twice(fault, scene, over),
        Err(error) => Proof::Indeterminate(format!("the injection failed: {error}")),
    };
    let watched = matches!(proof, Proof::Proven(_));
    say(match proof {
        Proof::Proven(why) => Happening::Proven { why },
        Proof::NoEffect(why) => Happening::NoEffect { why },
        Proof::Indeterminate(why) => Happening::Indeterminate { why },
    });
    while Instant::now() < end && !over() {
        if watched && let Some(why) = fault.watch(scene) {
            say(Happening::EndedEarly { why });
            break;
        }
        std::thread::sleep(POLL.min(end.saturating_duration_since(Instant::now())));
    }
    let why = heal(planned, fault, scene)?;
    say(Happening::Ended { why });
    Ok(())
}

/// Looks for the effect; what is not proven at once is given a moment and a second look.
fn look_twice(fault: &dyn Fault, scene: Scene<'_>, over: &dyn Fn() -> bool) -> Proof {
    let first = fault.prove(scene);
    if matches!(first, Proof::Proven(_)) || over() {
        return first;
    }
    std::thread::sleep(SECOND_LOOK);
    fault.prove(scene)
}

/// Heals until the healing is proven.
fn heal(planned: &Planned, fault: &dyn Fault, scene: Scene<'_>) -> Result<String, Error> {
    let begun = Instant::now();
    let deadline = begun + HEAL_LIMIT;
    let mut again = begun;
    let mut last = Error("nothing was tried".into());
    let mut refused = None;
    while Instant::now() < deadline {
        if Instant::now() >= again {
            again = Instant::now() + HEAL_AGAIN;
            refused = fault.heal(scene).err();
        }
        match fault.healed(scene) {
            Ok(why) => return Ok(format!("{why}, {} ms after the healing began", begun.elapsed().as_millis())),
            Err(error) => last = error,
        }
        if let Some(error) = refused.take() {
            last = Error::new(last, error);
        }
        std::thread::sleep(POLL);
    }
    let (id, kind, limit) = (planned.id, &planned.kind, HEAL_LIMIT.as_secs());
    Err(Error::new(format!("fault {id} ({kind}) could not be healed within {limit} s"), last))
}

/// Undoes everything that could still be injected, whatever the schedule says. Nodes that ended by themselves stay so.
pub fn heal_all(target: &dyn Target) -> Result<(), Error> {
    let body = target.body();
    body.clear_links();
    let mut first = Ok(());
    for node in target.nodes() {
        let clock = if body.clock_offset(node) == 0 { Ok(()) } else { body.set_clock_offset(node, 0) };
        let process = match body.state(node) {
            NodeState::Paused => body.resume(node),
            NodeState::Killed => body.restart(node),
            NodeState::Running | NodeState::NotStarted | NodeState::Exited { .. } => Ok(()),
        };
        first = first.and(clock).and(process);
    }
    first
}

/// The victims of a fault, and why it is them.
struct Chosen {
    nodes: Vec<String>,
    why: String,
}

/// Finds out who plays the planned role now. Roles that nobody is known to play fall to nodes chosen by the fault's id.
fn resolve(planned: &Planned, nodes: &[String], claims: &[String]) -> Chosen {
    let claims: Vec<&String> = claims.iter().filter(|name| nodes.contains(name)).collect();
    let leader = claims.first().copied();
    let stand_in = nodes.get(planned.id as usize % nodes.len().max(1));
    let first = leader.or(stand_in);
    let quiet: Vec<&String> = nodes.iter().filter(|n| !claims.contains(n)).collect();
    let rest = if leader.is_some() && !quiet.is_empty() {
        quiet
    } else {
        nodes.iter().filter(|n| Some(*n) != first).collect()
    };
    let known = if leader.is_some() { "" } else { ", chosen as nobody is known to lead" };
    let (nodes, why): (Vec<&String>, String) = match &planned.victims {
        Victims::Leader => (first.into_iter().collect(), format!("the leader{known}")),
        Victims::Leaders if claims.is_empty() => (first.into_iter().collect(), format!("all leaders{known}")),
        Victims::Leaders => (claims, "every node that says it leads".to_string()),
        Victims::LeaderAnd(n) => {
            (first.into_iter().chain(rest.into_iter().take(*n)).collect(), format!("the leader and {n} more{known}"))
        }
        Victims::Follower(k) => {
            let one = rest.get(k % rest.len().max(1)).copied().or(first);
            (
                one.into_iter().collect(),
                if leader.is_some() { "not the leader".to_string() } else { known[2..].to_string() },
            )
        }
        Victims::Followers(n) => (rest.into_iter().take(*n).collect(), format!("{n} that do not lead{known}")),
        Victims::Nodes(names) => {
            let named: Vec<&String> = nodes.iter().filter(|n| names.contains(n)).collect();
            let leads = leader.filter(|l| names.contains(l)).map_or(String::new(), |l| format!(", {l} leads"));
            (named, format!("as scheduled{leads}"))
        }
    };
    Chosen { nodes: nodes.into_iter().cloned().collect(), why }
}
