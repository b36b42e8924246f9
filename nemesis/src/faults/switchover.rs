//! Switchover: an operator makes a node the leader while the old one lives, as before maintenance. It harms no machine; what it tests is that a
//! planned change of leader loses nothing. There is nothing to heal: leadership stays where it was put.

use super::{Fault, Proof, Scene};
use crate::Error;
use crate::target::Body;

/// See the module.
pub struct Switchover;

/// Who is to lead: the first victim.
fn heir<'a>(scene: Scene<'a>) -> &'a str {
    scene.victims.first().map_or("nobody", String::as_str)
}

fn leads(scene: Scene<'_>) -> bool {
    scene.target.leaders().first().is_some_and(|leader| leader == heir(scene))
}

impl Fault for Switchover {
    fn unsupported(&self, _body: &dyn Body) -> Option<String> {
        None
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        format!("make {} the leader, planned", heir(scene))
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        if leads(scene) {
            return Err(Error(format!("{} leads already", heir(scene))));
        }
        scene.target.switch_over(heir(scene))
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        if leads(scene) {
            Proof::Proven(format!("{} says that it leads", heir(scene)))
        } else {
            Proof::NoEffect(format!("{} does not say that it leads", heir(scene)))
        }
    }

    fn watch(&self, _scene: Scene<'_>) -> Option<String> {
        None
    }

    fn heal(&self, _scene: Scene<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn healed(&self, _scene: Scene<'_>) -> Result<String, Error> {
        Ok("nothing is to be undone".to_string())
    }
}
