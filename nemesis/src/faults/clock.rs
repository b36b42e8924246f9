//! Clock: the real-time clock of a node is set ahead or behind; its monotonic clock goes on untouched, as when an
//! operator or a time server sets the clock of a machine.

use super::{Fault, Proof, Scene, each};
use crate::Error;
use crate::schedule::Params;
use crate::target::Body;

/// How far a measured offset may be from the wanted one: reading a clock in another process takes a moment.
const TOLERANCE_NS: u64 = 50_000_000;
/// Nanoseconds in a millisecond.
const MILLI: i64 = 1_000_000;

/// See the module.
pub struct Clock;

fn wanted(scene: Scene<'_>) -> i64 {
    match scene.params {
        Params::Clock { offset_ms } => offset_ms.saturating_mul(MILLI),
        _ => 0,
    }
}

/// Measures the clocks of all victims; the first that is not near the offset is returned.
fn off(scene: Scene<'_>, offset: i64) -> Result<Option<(&str, i64)>, Error> {
    for node in scene.victims {
        let seen = scene.body().probe_clock(node)?;
        if seen.abs_diff(offset) > TOLERANCE_NS {
            return Ok(Some((node, seen)));
        }
    }
    Ok(None)
}

impl Fault for Clock {
    fn unsupported(&self, body: &dyn Body) -> Option<String> {
        body.clock_unsupported()
    }

    fn describe(&self, scene: Scene<'_>) -> String {
        let ms = wanted(scene) / MILLI;
        let way = if ms < 0 { "behind" } else { "ahead" };
        format!("set the real-time clock of {} {} ms {way}", scene.victims.join(", "), ms.unsigned_abs())
    }

    fn inject(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| scene.body().set_clock_offset(node, wanted(scene)))
    }

    fn prove(&self, scene: Scene<'_>) -> Proof {
        let offset = wanted(scene);
        if offset.unsigned_abs() <= TOLERANCE_NS {
            return Proof::Indeterminate(format!("an offset of {} ms is too small to be measured", offset / MILLI));
        }
        match off(scene, offset) {
            Err(error) => Proof::Indeterminate(error.to_string()),
            Ok(Some((node, seen))) => Proof::NoEffect(format!(
                "a process with the clock of {node} is {} ms ahead, not {} ms",
                seen / MILLI,
                offset / MILLI
            )),
            Ok(None) => Proof::Proven(format!(
                "a process with the clock of {} reads {} ms ahead of ours",
                scene.victims.join(", "),
                offset / MILLI
            )),
        }
    }

    fn watch(&self, scene: Scene<'_>) -> Option<String> {
        let offset = wanted(scene);
        let gone = |node: &&String| scene.body().clock_offset(node) != offset;
        scene.victims.iter().find(gone).map(|node| format!("the offset of {node}'s clock was changed, and not by us"))
    }

    fn heal(&self, scene: Scene<'_>) -> Result<(), Error> {
        each(scene.victims, |node| scene.body().set_clock_offset(node, 0))
    }

    fn healed(&self, scene: Scene<'_>) -> Result<String, Error> {
        match off(scene, 0)? {
            Some((node, seen)) => Err(Error(format!("the clock of {node} is still {} ms ahead", seen / MILLI))),
            None => Ok(format!("the clock of {} is right again", scene.victims.join(", "))),
        }
    }
}
