//! Power: a node's machine goes dark. Its processes are killed, what they had not fsynced is lost, and healing starts the node again with what is
//! left. Losing power proves what killing cannot: that what was acknowledged had been synced.
//!
//! It is proven when no process is left and the disk has been put back to what was synced. That nothing was unsynced is no reproach: a database
//! that syncs before it answers has little to lose, and that is the point. The proof says how much it was.

use super::{Fault, Proof, Scene, each, kill::Kill};
use crate::Error;
use crate::schedule::Params;
use crate::target::Body;

/// See the module.
pub struct Power;

impl Fault for Power {
    fn unsupported(&self, body: &dyn Body) -> Option<String> {
        body.disk_unsupported()
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!("take the power from {}: kill it and lose what it did not sync", scene.victims.join(", "))
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        let seed = match scene.params {
            Params::Power { seed } => seed,
            _ => 0,
        };
        each(scene.victims, |node| scene.body().lose_power(node, seed).map(drop))
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        match Kill.prove(scene) {
            Proof::Proven(dead) => {
                let mut took = Vec::new();
                for node in scene.victims {
                    let Some(lost) = scene.body().lost(node) else {
                        return Proof::NoEffect(format!("{dead}, but its disk was left as it was"));
                    };
                    took.push(match (lost.blocks, lost.names) {
                        (0, 0) => format!("{node} had synced everything"),
                        (blocks, 0) => format!("{node} lost {blocks} unsynced blocks of {} files", lost.files),
                        (blocks, names) => {
                            format!("{node} lost {blocks} unsynced blocks of {} files and {names} names", lost.files)
                        }
                    });
                }
                Proof::Proven(format!("{dead}; {}", took.join(", ")))
            }
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
