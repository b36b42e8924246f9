//! Run directories: where everything that a run leaves behind is.
//!
//! ```text
//! store/20261121T064755.123Z-refdb-register/
//!   run.json  history.jsonl  samples.jsonl  schedule.json  verdict.json  report.html  nodes/<name>/{log,data/}
//! store/latest -> the newest
//! ```
//!
//! A directory is created, never reused, so two runs at once cannot meet; `latest` is replaced by renaming, so it is never missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

/// How often a name that is taken is tried with another suffix.
const ATTEMPTS: u32 = 1_000;

/// A run's directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates a new directory in `store` and points `latest` at it.
    pub fn create(store: &Path, name: &str) -> anyhow::Result<RunDir> {
        fs::create_dir_all(store).with_context(|| unwritable(store))?;
        let store = store.canonicalize().with_context(|| unwritable(store))?;
        let base = format!("{}-{}", timestamp(SystemTime::now()), slug(name));
        for attempt in 0..ATTEMPTS {
            let path = store.join(if attempt == 0 { base.clone() } else { format!("{base}-{attempt}") });
            match fs::create_dir(&path) {
                Ok(()) => {
                    let dir = RunDir { path };
                    dir.link_latest(&store)?;
                    return Ok(dir);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| unwritable(&store)),
            }
        }
        anyhow::bail!("no free name like {base} in {}", store.display())
    }

    /// An existing directory.
    pub fn open(path: &Path) -> anyhow::Result<RunDir> {
        let path = path.canonicalize().with_context(|| format!("no run directory at {}", path.display()))?;
        anyhow::ensure!(
            path.join("history.jsonl").is_file(),
            "{} is no run directory: it has no history.jsonl",
            path.display()
        );
        Ok(RunDir { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A node's directory.
    pub fn node(&self, name: &str) -> PathBuf {
        self.path.join("nodes").join(name)
    }

    /// The log of each node that has one, with the node's name, in the order of names.
    pub fn logs(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let nodes = self.path.join("nodes");
        let Ok(entries) = fs::read_dir(&nodes) else { return Ok(Vec::new()) };
        let mut logs = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {}", nodes.display()))?;
            let log = entry.path().join("log");
            if log.is_file() {
                let text = fs::read(&log).with_context(|| format!("reading {}", log.display()))?;
                logs.push((entry.file_name().to_string_lossy().into_owned(), text));
            }
        }
        logs.sort();
        Ok(logs)
    }

    /// Writes a file through a temporary one, so that it is whole or not there.
    pub fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.file(name);
        let partial = self.file(&format!(".{name}.partial"));
        fs::write(&partial, content)
            .and_then(|()| fs::rename(&partial, &path))
            .with_context(|| format!("writing {}: is the disk full or read-only?", path.display()))
    }

    /// Writes `value` as indented JSON.
    pub fn write_json(&self, name: &str, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(value).with_context(|| format!("composing {name}"))?;
        text.push(b'\n');
        self.write(name, &text)
    }

    fn link_latest(&self, store: &Path) -> anyhow::Result<()> {
        let name = self.path.file_name().context("a run directory has a name")?;
        // Not by the process number: in PID namespaces of their own, two runs have the same one.
        let partial = store.join(format!(".latest-{}", name.display()));
        std::os::unix::fs::symlink(name, &partial)
            .and_then(|()| fs::rename(&partial, store.join("latest")))
            .with_context(|| format!("linking {}", store.join("latest").display()))
    }
}

fn unwritable(path: &Path) -> String {
    format!("cannot write to the store {}; choose another with --store DIR", path.display())
}

/// `text` as part of a file's name.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_string()
}

/// A moment in UTC as `20261121T064755.123Z`, the form that sorts.
pub fn timestamp(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days as i64);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{:03}Z", since.subsec_millis())
}

/// The Gregorian date of a day counted from 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_utc() {
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(1_795_243_675_123)), "20261121T064755.123Z");
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(951_782_400)), "20000229T000000.000Z");
    }

    #[test]
    fn two_runs_get_two_directories_and_latest_is_the_newer() {
        let store = tempfile::tempdir().expect("a temporary directory");
        let first = RunDir::create(store.path(), "refdb single-leader").expect("a directory");
        let second = RunDir::create(store.path(), "refdb single-leader").expect("a directory");
        assert_ne!(first.path(), second.path());
        let latest = store.path().join("latest").canonicalize().expect("a link");
        assert_eq!(latest, second.path());
    }
}
