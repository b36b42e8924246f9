//! Whether memory and disk of nodes stay bounded: every mode at once on this machine, each with clients that write as fast as they can, for as long as is said;
//! the last node of each stands still from a third to a half of the time, so that what is kept for it is seen too.
//!
//! ```text
//! cargo build --release -p refdb && cargo run --release -p refdb --example endure -- [SECONDS] ["FLAGS" …]
//! ```
//!
//! Twelve lines for each mode: writes acknowledged so far, memory of its largest node and its directories' sum, both in MiB. A thousand keys with small values
//! are overwritten again and again: what grows with time and not with the keys is kept without need.

mod cluster;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, Failure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use refdb::client::{Operation, Session};
use refdb::value::Value;

const CLIENTS: usize = 32;
const KEYS: u64 = 1_000;
const LINES: u32 = 12;

const MODES: [&str; 9] = [
    "--ack async",
    "--ack semi-sync",
    "--ack semi-sync --log wal",
    "--ack async --log trigger",
    "--mode chain",
    "--mode partitioned --shards 3",
    "--mode multi-leader --conflicts siblings",
    "--mode leaderless --versions vectors",
    "--mode raft",
];

/// The memory that a process has, in MiB.
fn memory(process: u32) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// What the files below have, in MiB.
fn disk(dir: &Path) -> f64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0.0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk(&entry.path()),
        Ok(about) => about.len() as f64 / f64::from(1 << 20),
        Err(_) => 0.0,
    };
    entries.flatten().map(of).sum()
}

/// A client that writes for ever. Where concurrent writes become siblings it also reads, which resolves them.
async fn write(mut session: Session, client: usize, reads: bool, done: Arc<AtomicU64>) {
    for number in 0_u64.. {
        let key = format!("k{}", (number * CLIENTS as u64 + client as u64) % KEYS);
        let read = reads && number.is_multiple_of(4);
        let op =
            if read { Operation::Read { key } } else { Operation::Write { key, value: Value::Int(number as i64) } };
        match session.execute(vec![op]).await {
            Ok(_) => drop(done.fetch_add(u64::from(!read), Ordering::Relaxed)),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn endure(flags: String, time: Duration) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let cluster = Cluster::start(dir.path(), &flags, 3).await?;
    let processes: Vec<u32> = cluster.processes.0.iter().map(std::process::Child::id).collect();
    let done = Arc::new(AtomicU64::new(0));
    let reads = flags.contains("siblings") || flags.contains("vectors");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let session = Session::new(cluster.pool.clone(), &cluster.config, &client.to_string(), client as u64);
            tokio::spawn(write(session, client, reads, done.clone()))
        })
        .collect();
    let last = Pid::from_raw(*processes.last().ok_or("no node")? as i32);
    let began = Instant::now();
    for line in 1..=LINES {
        tokio::time::sleep_until((began + time * line / LINES).into()).await;
        let largest = processes
            .iter()
            .map(|&process| memory(process))
            .try_fold(0.0, |largest: f64, memory| memory.map(|memory| largest.max(memory)))?;
        println!(
            "{flags:<42} {:>6} s {:>12} writes {largest:>8.1} MiB memory {:>9.1} MiB disk",
            began.elapsed().as_secs(),
            done.load(Ordering::Relaxed),
            disk(dir.path())
        );
        match line {
            4 => kill(last, Signal::SIGSTOP)?,
            6 => kill(last, Signal::SIGCONT)?,
            _ => {}
        }
    }
    for client in clients {
        client.abort();
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let seconds = std::env::args().nth(1).map_or(Ok(3600), |seconds| seconds.parse())?;
    let mut flags: Vec<String> = std::env::args().skip(2).collect();
    if flags.is_empty() {
        flags = MODES.map(String::from).to_vec();
    }
    let all: Vec<_> =
        flags.into_iter().map(|flags| tokio::spawn(endure(flags, Duration::from_secs(seconds)))).collect();
    let ended = async {
        for one in all {
            if let Err(error) = one.await? {
                println!("ended early: {error}");
            }
        }
        Ok(())
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    // Its nodes end with it, also when it is told to.
    tokio::select! {
        ended = ended => ended,
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
