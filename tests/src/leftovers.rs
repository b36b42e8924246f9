//! What a run left behind: processes, mounts and namespaces, found from outside.
//!
//! Every process of a run has the store's path in its arguments or environment (`GAINSAY_TEST`, inherited), also one that
//! changed its parent, group and session. A namespace lives as long as a process or a mount holds it, so none of those means no
//! namespace; mounts are looked for in every mount table that can be read.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Namespaces and processes vanish asynchronously; so long is waited.
pub const VANISH_LIMIT: Duration = Duration::from_secs(5);
/// How often is looked.
const POLL: Duration = Duration::from_millis(25);

/// The live processes that mention `store` in their arguments or environment, as `pid arguments`.
pub fn processes(store: &Path) -> Vec<(i32, String)> {
    let needle = store.as_os_str().as_encoded_bytes();
    let mentions = |text: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| u32::try_from(*pid) != Ok(std::process::id()))
        .filter_map(|pid| {
            let args = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let env = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let alive = !args.is_empty() && (mentions(&args) || mentions(&env));
            alive.then(|| (pid, String::from_utf8_lossy(&args).replace('\0', " ")))
        })
        .collect()
}

/// The mounts at or below `store`, in this process's view.
pub fn mounts(store: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let store = store.display().to_string();
    table.lines().filter(|line| line.contains(&store)).map(str::to_string).collect()
}

/// The network namespaces, seen as the distinct targets of `/proc/*/ns/net`.
pub fn network_namespaces() -> std::collections::BTreeSet<String> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok())
        .map(|target| target.display().to_string())
        .collect()
}

/// Waits until nothing is left of the run in `store`.
///
/// # Errors
/// What is still there after [`VANISH_LIMIT`].
pub fn none(store: &Path) -> Result<(), String> {
    let deadline = Instant::now() + VANISH_LIMIT;
    loop {
        let (processes, mounts) = (processes(store), mounts(store));
        if processes.is_empty() && mounts.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(format!("left after {VANISH_LIMIT:?}: processes {processes:?}, mounts {mounts:?}"));
        }
        std::thread::sleep(POLL);
    }
}

/// Kills whatever is left of the run in `store`, so that a test that fails disturbs no other.
pub fn kill(store: &Path) {
    let deadline = Instant::now() + VANISH_LIMIT;
    while Instant::now() < deadline {
        let left = processes(store);
        if left.is_empty() {
            return;
        }
        for (pid, _) in left {
            // SAFETY: a plain system call; the process has this run's own store in its environment.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        std::thread::sleep(POLL);
    }
}
