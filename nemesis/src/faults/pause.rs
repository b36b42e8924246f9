//! Pause: SIGSTOP to the whole tree of a node's processes. The kernel goes on accepting connections for it, so peers and
//! clients see a node that is there and says nothing. After SIGCONT it goes on as if no time had passed.

use super::{Fault, Proof, Scene, clients_reach, each};
use crate::Error;
use crate::link::NodeState;
use crate::target::Body;

/// See the module.
pub struct Pause;

impl Fault for Pause {
    fn unsupported(&self, _body: &dyn Body) -> Option<String> {
        None
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!("stop {} with SIGSTOP", scene.victims.join(", "))
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| scene.body().pause(node))
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        for node in scene.victims {
            match scene.body().state(node) {
                NodeState::Paused => {}
                NodeState::Running => return Proof::NoEffect(format!("{node} still runs")),
                other => return Proof::Indeterminate(format!("{node} cannot be stopped: {other:?}")),
            }
        }
        Proof::Proven(format!("the kernel says that every process of {} is stopped", scene.victims.join(", ")))
    }

    fn watch(&self, scene: Scene<'_>) -> Option<String> {
        scene.victims.iter().find_map(|node| match scene.body().state(node) {
            NodeState::Paused => None,
            NodeState::Running => Some(format!("{node} was continued, and not by us")),
            other => Some(format!("{node} is no longer stopped: {other:?}")),
        })
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| match scene.body().state(node) {
            NodeState::Paused => scene.body().resume(node),
            _ => Ok(()),
        })
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        for node in scene.victims {
            let state = scene.body().state(node);
            if state != NodeState::Running {
                return Err(Error(format!("{node} does not run again: {state:?}")));
            }
        }
        clients_reach(scene, scene.victims).map_err(Error)?;
        Ok(format!("{} goes on and accepts clients", scene.victims.join(", ")))
    }
}
