//! Late and failing fsyncs: a disk that is overloaded, and one that is dying. What was not synced must not be acknowledged: a node waits, refuses, or
//! ends. A node that ended by itself is started again when the disk is well.

use std::time::Duration;

use super::{Fault, Proof, Scene, each, kill::Kill};
use crate::Error;
use crate::link::NodeState;
use crate::schedule::Params;
use crate::target::Body;

/// How late an fsync comes if nothing else is said.
const DELAY: Duration = Duration::from_millis(200);
/// How long a node may go without an fsync before the probe calls it idle.
const WAIT: Duration = Duration::from_secs(1);
/// How often the probe looks.
const POLL: Duration = Duration::from_millis(10);

/// A kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Every fsync comes late.
    Slow,
    /// Every fsync fails with EIO.
    Error,
}

fn delay(scene: Scene<'_>) -> Duration {
    match scene.params {
        Params::Slow { delay_ms } => Duration::from_millis(delay_ms),
        _ => DELAY,
    }
}

impl Fault for Disk {
    fn unsupported(&self, body: &dyn Body) -> Option<String> {
        body.disk_unsupported()
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        let victims = scene.victims.join(", ");
        match self {
            Disk::Slow => format!("every fsync of {victims} takes {} ms longer", delay(scene).as_millis()),
            Disk::Error => format!("every fsync of {victims} fails"),
        }
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| match self {
            Disk::Slow => scene.body().delay_fsync(node, delay(scene)),
            Disk::Error => scene.body().fail_fsync(node, true),
        })
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        let mut seen = Vec::new();
        for node in scene.victims {
            // Only what is met from now on counts: an earlier fault of this node has met some too.
            let before = scene.body().troubled_fsyncs(node);
            let until = std::time::Instant::now() + WAIT;
            let met = loop {
                let met = scene.body().troubled_fsyncs(node) - before;
                let ended = matches!(scene.body().state(node), NodeState::Exited { .. });
                if met > 0 || ended || std::time::Instant::now() >= until {
                    break if ended { met.max(1) } else { met };
                }
                std::thread::sleep(POLL);
            };
            match met {
                0 => return Proof::NoEffect(format!("{node} synced nothing within {} ms", WAIT.as_millis())),
                _ if *self == Disk::Slow => seen.push(format!("an fsync of {node} came late")),
                _ => seen.push(format!("an fsync of {node} failed")),
            }
        }
        Proof::Proven(seen.join(", "))
    }

    fn watch(&self, _scene: Scene<'_>) -> Option<String> {
        None
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| match self {
            Disk::Slow => scene.body().delay_fsync(node, Duration::ZERO),
            Disk::Error => scene.body().fail_fsync(node, false),
        })?;
        Kill.heal(scene)
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        Kill.healed(scene).map(|_| format!("the disk of {} is well, clients are accepted", scene.victims.join(", ")))
    }
}
