//! Restore: a node comes back with its data as they were a while ago, as when an operator puts back a backup or a snapshot of its machine.
//!
//! The copy is taken while the node is down, so it is one that a careful operator would take; then the node goes on, is stopped again, and finds the
//! copy in the place of its data. Both stops are kills, and belong to the fault. It is proven by the files that differed from the copy: without
//! any, time has not gone back.

use std::time::Duration;

use super::{Fault, Proof, Scene, each, kill::Kill};
use crate::Error;
use crate::schedule::Params;
use crate::target::Body;

/// How old a copy is if nothing else is said.
const AGE: Duration = Duration::from_millis(1_000);

/// See the module.
pub struct Restore;

fn age(scene: Scene<'_>) -> Duration {
    match scene.params {
        Params::Restore { age_ms } => Duration::from_millis(age_ms),
        _ => AGE,
    }
}

impl Fault for Restore {
    fn unsupported(&self, _body: &dyn Body) -> Option<String> {
        None
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!(
            "stop {}, copy its data, and {} ms later put the copy in the place of its data",
            scene.victims.join(", "),
            age(scene).as_millis()
        )
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        let body = scene.body();
        each(scene.victims, |node| {
            body.kill(node)?;
            body.copy_data(node)?;
            body.restart(node)
        })?;
        std::thread::sleep(age(scene));
        each(scene.victims, |node| {
            body.kill(node)?;
            body.restore_data(node).map(drop)
        })
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        let mut seen = Vec::new();
        for node in scene.victims {
            match scene.body().restored(node) {
                None => return Proof::NoEffect(format!("{node} has the data that it had")),
                Some(0) => return Proof::NoEffect(format!("{node} had written nothing since the copy")),
                Some(files) => seen.push(format!(
                    "{node} is down with data of {} ms ago, {files} files differed",
                    age(scene).as_millis()
                )),
            }
        }
        Proof::Proven(seen.join(", "))
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
