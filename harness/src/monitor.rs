//! Asks every node how it is, several times a second, for the report's lag, term and clock panels and to know who leads.
//!
//! The samples go to `samples.jsonl`, beside the history and not into it: no verdict depends on them.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::database::{Database, NodeStatus};
use crate::recorder::Recorder;

/// How often.
const EVERY: Duration = Duration::from_millis(150);
/// A node that does not answer in this time is sampled as silent.
const PATIENCE: Duration = Duration::from_millis(400);

/// One node at one moment: a line of `samples.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Nanoseconds since the start of the run.
    pub time: u64,
    /// The node.
    pub node: String,
    /// What it says of itself; absent where it did not answer.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub status: Option<NodeStatus>,
    /// Its wall clock minus ours, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ns: Option<i64>,
}

/// The newest answer of each node; cheap to clone.
#[derive(Clone, Default)]
pub struct Known {
    statuses: Arc<Mutex<HashMap<String, NodeStatus>>>,
}

impl Known {
    /// The nodes that say that they lead, those of the highest term first.
    pub fn leaders(&self) -> Vec<String> {
        let statuses = self.statuses.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut leaders: Vec<(u64, String)> = statuses
            .iter()
            .filter(|(_, status)| status.role == "leader")
            .map(|(name, status)| (status.term, name.clone()))
            .collect();
        leaders.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        leaders.into_iter().map(|(_, name)| name).collect()
    }

    fn learn(&self, node: &str, status: Option<NodeStatus>) {
        let mut statuses = self.statuses.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match status {
            Some(status) => statuses.insert(node.to_string(), status),
            None => statuses.remove(node),
        };
    }
}

/// Samples all nodes until `stop` is raised.
pub async fn watch(
    database: Arc<dyn Database>,
    nodes: Vec<String>,
    recorder: Recorder,
    file: std::path::PathBuf,
    known: Known,
    stop: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    while !stop.load(Ordering::Relaxed) {
        let mut asked = tokio::task::JoinSet::new();
        for node in nodes.clone() {
            let (database, recorder) = (database.clone(), recorder.clone());
            asked.spawn(async move { sample(&*database, &recorder, node).await });
        }
        while let Some(sample) = asked.join_next().await {
            let Ok(sample) = sample else { continue };
            known.learn(&sample.node, sample.status.clone());
            serde_json::to_writer(&mut out, &sample)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}

async fn sample(database: &dyn Database, recorder: &Recorder, node: String) -> Sample {
    let before = wall();
    let status = tokio::time::timeout(PATIENCE, database.status(&node)).await.ok().flatten();
    // The answer was given somewhere between question and arrival; its middle is the best guess.
    let middle = before + (wall() - before) / 2;
    let clock_offset_ns = status.as_ref().and_then(|status| status.clock_ns).map(|clock| clock - middle);
    Sample { time: recorder.now(), node, status, clock_offset_ns }
}

fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// Reads `samples.jsonl`; a line that was cut off is left out, and a missing file is an empty one.
pub fn read(path: &Path) -> Vec<Sample> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
