//! Kill: SIGKILL to the whole tree of a node's processes; healing starts the node again with the same command and data.
//! What was not handed to the kernel is lost, the page cache is not: this is a crash of the program, not of the machine.

use super::{Connect, Fault, PROBE_LIMIT, Proof, Scene, clients_reach, connects, each};
use crate::Error;
use crate::link::{Endpoint, LinkProbe, NodeState};
use crate::target::Body;

/// See the module.
pub struct Kill;

/// Starts the victims that are down, and lets those go on that stand still.
pub(super) fn start_again(scene: Scene<'_>, start: impl Fn(&str) -> Result<(), Error>) -> Result<(), Error> {
    each(scene.victims, |node| match scene.body().state(node) {
        NodeState::Killed | NodeState::Exited { .. } => start(node),
        NodeState::Paused => scene.body().resume(node),
        NodeState::Running | NodeState::NotStarted => Ok(()),
    })
}

impl Fault for Kill {
    fn unsupported(&self, _body: &dyn Body) -> Option<String> {
        None
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!("kill {} with SIGKILL", scene.victims.join(", "))
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| scene.body().kill(node))
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        for node in scene.victims {
            match scene.body().state(node) {
                NodeState::Killed => {}
                NodeState::Running | NodeState::Paused => return Proof::NoEffect(format!("{node} still runs")),
                other => return Proof::Indeterminate(format!("{node} was not killed by us: {other:?}")),
            }
        }
        let port = scene.client_port();
        let tries: Vec<Connect<'_>> =
            scene.victims.iter().map(|to| Connect { from: Endpoint::Client, to, port }).collect();
        for (try_, answer) in tries.iter().zip(connects(scene.body(), &tries, PROBE_LIMIT)) {
            if let LinkProbe::Connected(_) = answer {
                return Proof::NoEffect(format!("{} is killed, yet something accepts on port {port}", try_.to));
            }
        }
        Proof::Proven(format!("no process of {} is left, nothing accepts on port {port}", scene.victims.join(", ")))
    }

    fn watch(&self, scene: Scene<'_>) -> Option<String> {
        let back = |node: &&String| matches!(scene.body().state(node), NodeState::Running | NodeState::Paused);
        scene.victims.iter().find(back).map(|node| format!("{node} runs again, and not by our hand"))
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        start_again(scene, |node| scene.body().restart(node))
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        for node in scene.victims {
            let state = scene.body().state(node);
            if state != NodeState::Running {
                return Err(Error(format!("{node} does not run again: {state:?}")));
            }
        }
        clients_reach(scene, scene.victims).map_err(Error)?;
        Ok(format!("{} runs again and accepts clients", scene.victims.join(", ")))
    }
}
