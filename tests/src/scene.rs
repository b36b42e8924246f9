//! A place to run in: a store of its own, gone when the test ends; and a turn, as two cores carry two runs.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::leftovers;
use crate::program::{Ended, Program};

/// So many heavy tests run at once.
const AT_ONCE: usize = 2;

static TURNS: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// The right to use the machine; given back when dropped.
pub struct Turn {
    places: usize,
}

impl Turn {
    fn take(places: usize) -> Turn {
        let mut taken = taken();
        while *taken + places > AT_ONCE {
            taken = TURNS.1.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += places;
        Turn { places }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *taken() -= self.places;
        TURNS.1.notify_all();
    }
}

fn taken() -> MutexGuard<'static, usize> {
    TURNS.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test's surroundings.
pub struct Scene {
    program: PathBuf,
    dir: tempfile::TempDir,
    _turn: Turn,
}

impl Scene {
    /// A store, and half of the machine.
    pub fn new(program: &str) -> Scene {
        Scene::with(program, 1)
    }

    /// A store, and the machine alone.
    pub fn alone(program: &str) -> Scene {
        Scene::with(program, AT_ONCE)
    }

    fn with(program: &str, places: usize) -> Scene {
        let turn = Turn::take(places);
        let dir = tempfile::Builder::new().prefix("gainsay-e2e-").tempdir().expect("a temporary directory can be made");
        Scene { program: PathBuf::from(program), dir, _turn: turn }
    }

    /// The store.
    pub fn store(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the store.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, in this store.
    pub fn program<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        Program::new(&self.program, self.store(), args)
    }

    /// Runs the program with these arguments, separated by spaces, to its end.
    pub fn run(&self, args: &str) -> Ended {
        self.program(args.split_whitespace()).start().wait()
    }

    /// The one run directory of the store.
    pub fn run_dir(&self) -> PathBuf {
        let mut dirs = self.run_dirs();
        assert_eq!(dirs.len(), 1, "one run directory: {dirs:?}");
        dirs.remove(0)
    }

    /// Every run directory of the store.
    pub fn run_dirs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.store()).into_iter().flatten().flatten();
        let mut dirs: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .filter(|path| path.join("run.json").is_file())
            .collect();
        dirs.sort();
        dirs
    }

    /// The run's verdict.
    pub fn verdict(&self) -> Verdict {
        Verdict::read(&self.run_dir())
    }

    /// Fails unless nothing is left of the runs in this store.
    pub fn nothing_left(&self) {
        if let Err(left) = leftovers::none(self.store()) {
            panic!("{left}");
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        leftovers::kill(self.store());
    }
}

/// A `verdict.json`.
#[derive(Clone, Debug)]
pub struct Verdict(pub Value);

impl Verdict {
    /// That of a run directory.
    pub fn read(dir: &Path) -> Verdict {
        Verdict(json(&dir.join("verdict.json")))
    }

    /// `held`, `broken`, `unknown` or `vacuous` for the whole.
    pub fn result(&self) -> &str {
        self.0["result"].as_str().unwrap_or_default()
    }

    /// The finding on one guarantee.
    pub fn finding(&self, guarantee: &str) -> &Value {
        let findings = self.0["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let finding = findings.iter().find(|finding| finding["guarantee"] == guarantee);
        finding.unwrap_or_else(|| panic!("no finding on {guarantee} in {findings:#?}"))
    }

    /// What was found of one guarantee.
    pub fn of(&self, guarantee: &str) -> &str {
        self.finding(guarantee)["verdict"].as_str().unwrap_or_default()
    }

    /// The guarantees asked for, with what was found.
    pub fn asked(&self) -> Vec<(String, String)> {
        let findings = self.0["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let asked = findings.iter().filter(|finding| finding["asked"] == true);
        asked.map(|finding| (text(&finding["guarantee"]), text(&finding["verdict"]))).collect()
    }

    /// The whole, but for how long the checkers took.
    pub fn without_timings(&self) -> Value {
        let mut value = self.0.clone();
        for finding in value["findings"].as_array_mut().into_iter().flatten() {
            finding.as_object_mut().map(|finding| finding.remove("took-ms"));
        }
        value
    }
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{} is no JSON: {error}", path.display()))
}

/// The lines of a history that can be read.
pub fn events(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("history.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
