//! Upgrade: a node is asked to end, as an operator would, and is started again as the database's newer version, on the data of the old one. It
//! harms nothing by itself; what it tests is whether two versions bear each other. It is not undone: a node stays upgraded.

use super::kill::{Kill, start_again};
use super::{Fault, Proof, Scene, each};
use crate::Error;
use crate::target::Body;

/// See the module.
pub struct Upgrade;

impl Fault for Upgrade {
    fn unsupported(&self, _body: &dyn Body) -> Option<String> {
        None
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!("end {}, to be started as the new version", scene.victims.join(", "))
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| scene.body().end(node))
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        Kill.prove(scene)
    }

    fn watch(&self, scene: Scene<'_>) -> Option<String> {
        Kill.watch(scene)
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        start_again(scene, |node| scene.target.upgrade(node))
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        Kill.healed(scene).map(|why| format!("{why}, as the new version"))
    }
}
