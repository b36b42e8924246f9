//! Everything that decides a run, in one value that is written to `run.json`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A run's settings after all defaults are filled in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunConfig {
    /// The database's name in the table.
    pub database: String,
    /// Its mode and policies, as the adapter spells them.
    pub label: String,
    /// The workload's name.
    pub workload: String,
    /// The names of the nodes.
    pub nodes: Vec<String>,
    /// How many clients.
    pub clients: usize,
    /// Operations a second over all clients; `None` for as fast as they can.
    pub rate: Option<f64>,
    /// How long load lasts.
    #[serde(with = "seconds")]
    pub time_limit: Duration,
    /// How many operations a key gets before it retires.
    pub ops_per_key: u64,
    /// The kinds of fault.
    pub nemesis: Vec<String>,
    /// Whom the faults hit.
    pub targets: String,
    /// From the beginning of one fault to the beginning of the next.
    #[serde(with = "optional_seconds")]
    pub nemesis_interval: Option<Duration>,
    /// The nodes' own disks, where a fault needs them.
    #[serde(default)]
    pub disk: Option<gainsay_nemesis::disk::Options>,
    /// Kinds of fault whose injector does nothing.
    pub sabotage: Vec<String>,
    /// A schedule to replay instead of planning one.
    pub schedule: Option<PathBuf>,
    /// The guarantees asked for.
    pub guarantees: Vec<String>,
    /// Guarantees that are promised but that the workload cannot exercise.
    pub not_exercised: Vec<String>,
    /// The seed of every random choice.
    pub seed: u64,
    /// Where run directories go.
    pub store: PathBuf,
    /// Keep the nodes when the run is over.
    pub leave_db_running: bool,
    /// The command that repeats the run.
    pub command: String,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_some(&value.as_secs_f64()),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)).transpose()
    }
}

/// What `run.json` holds: the settings, and what became of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunFile {
    /// The version of this file's format.
    pub format: u32,
    /// The run's identity, which its nodes know too.
    pub run: String,
    /// Gainsay's version.
    pub version: String,
    /// When it began, UTC.
    pub started: String,
    /// The settings.
    pub config: RunConfig,
    /// The machine.
    pub machine: Machine,
    /// Which techniques inject the faults, and why not better ones.
    pub backends: serde_json::Value,
    /// `running`, `complete`, `interrupted` or `failed: …`.
    pub state: String,
    /// How the harness itself did; absent until the load is over.
    pub harness: Option<HarnessFigures>,
    /// Whether there is anything a person should know about the run.
    pub notes: Vec<String>,
}

/// Where it ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Machine {
    /// The kernel.
    pub kernel: String,
    /// How many processors it may use.
    pub processors: usize,
    /// Whether it ran as root.
    pub root: bool,
    /// The median time of an fsync in the run's directory, milliseconds.
    pub fsync_ms: f64,
}

/// How well the harness measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HarnessFigures {
    /// Operations of the load.
    pub operations: u64,
    /// Operations a second.
    pub rate: f64,
    /// How late idle clients began, milliseconds: median.
    pub pacing_ms_p50: f64,
    /// The same: 99th percentile.
    pub pacing_ms_p99: f64,
    /// From the first process to all nodes healthy, milliseconds.
    pub startup_ms: f64,
    /// From the end of the last fault to settled replicas, milliseconds.
    pub settle_ms: Option<f64>,
}

/// Looks at the machine; `dir` is where fsync is timed.
pub fn machine(dir: &std::path::Path) -> Machine {
    let kernel = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    Machine {
        kernel: kernel.unwrap_or_else(|_| "unknown".to_string()),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        root: nix::unistd::geteuid().is_root(),
        fsync_ms: fsync_ms(dir).unwrap_or(f64::NAN),
    }
}

/// How many writes are timed.
const SAMPLES: usize = 21;

fn fsync_ms(dir: &std::path::Path) -> std::io::Result<f64> {
    use std::io::Write as _;
    let path = dir.join(".fsync");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        file.write_all(&[0; 4096])?;
        let before = std::time::Instant::now();
        file.sync_data()?;
        times.push(before.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort();
    Ok(times[SAMPLES / 2].as_secs_f64() * 1e3)
}
