//! Real runs of the real program, watched from outside. One binary, so that at most two runs share two cores.

mod arguments;
mod disks;
mod endings;
mod faults;
mod gallery;
mod histories;
mod inspected;
mod planted;
mod uses;
mod verdicts;

use gainsay_tests::scene::Scene;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_gainsay-under-test");

/// Half of the machine and a store.
fn scene() -> Scene {
    Scene::new(PROGRAM)
}

/// The whole machine and a store.
fn alone() -> Scene {
    Scene::alone(PROGRAM)
}
