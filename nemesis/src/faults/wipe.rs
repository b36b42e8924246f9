//! Wipe: a node is killed and finds an empty disk when it starts again, as a follower that is added later, or one whose disk was replaced.
//! What it knew is gone, promises that it gave included; so no mode owes anything to a run with it beyond what it says of lost disks.

use super::{Fault, Proof, Scene, each, kill::Kill};
use crate::Error;
use crate::target::Body;

/// See the module.
pub struct Wipe;

impl Fault for Wipe {
    fn unsupported(&self, _body: &dyn Body) -> Option<String> {
        None
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!("kill {} and empty its disk", scene.victims.join(", "))
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| {
            scene.body().kill(node)?;
            scene.body().wipe_data(node).map(drop)
        })
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        for node in scene.victims {
            match scene.body().wiped(node) {
                None | Some(0) => return Proof::NoEffect(format!("{node} had no data")),
                Some(_) => {}
            }
        }
        match Kill.prove(scene) {
            Proof::Proven(why) => Proof::Proven(format!("{why}, and nothing is on its disk")),
            other => other,
        }
    }

    fn watch(&self, scene: Scene<'_>) -> Option<String> {
        Kill.watch(scene)
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        Kill.heal(scene)
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        Kill.healed(scene)
    }
}
