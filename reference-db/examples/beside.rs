//! Throughput of writes beside real databases doing the same work, one after the other on this machine: three nodes, their data in a temporary directory,
//! 32 clients, small values, every write on the disks of a majority before it is acknowledged.
//!
//! ```text
//! cargo build --release -p refdb && cargo run --release -p refdb --example beside -- [SECONDS]
//! ```
//!
//! With flags after the time, each in quotes, only the reference database is measured, once with each of them, and how many bytes the nodes send each other for a
//! write: `beside -- 10 "--log row" "--log wal"`.
//!
//! etcd is asked through its JSON gateway, by the same HTTP client as the reference database; Redis speaks its own protocol, with `appendfsync always` and
//! `WAIT 1`. What is not installed is said and left out.

mod cluster;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, Failure, LIMIT, Processes, free, spawn};
use refdb::client::{Operation, Session};
use refdb::value::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CLIENTS: usize = 32;
const KEYS: u64 = 1_000;

/// Somebody who writes, once.
trait Writer: Send + 'static {
    fn write(&mut self, key: u64, value: u64) -> impl Future<Output = Result<(), Failure>> + Send;
}

struct Refdb(Session);

impl Writer for Refdb {
    async fn write(&mut self, key: u64, value: u64) -> Result<(), Failure> {
        let op = Operation::Write { key: format!("k{key}"), value: Value::Int(value as i64) };
        self.0.execute(vec![op]).await.map(drop).map_err(|failed| failed.refusal.message.into())
    }
}

struct Etcd(reqwest::Client, String);

impl Writer for Etcd {
    async fn write(&mut self, key: u64, value: u64) -> Result<(), Failure> {
        // Its gateway wants base64; digits of a fixed width in a fixed alphabet are written directly.
        let body = format!(
            "{{\"key\":\"{}\",\"value\":\"{}\"}}",
            base64(&format!("k{key:05}")),
            base64(&format!("{value:09}"))
        );
        let answer = self.0.post(&self.1).body(body).send().await?;
        if !answer.status().is_success() {
            return Err(answer.text().await?.into());
        }
        answer.bytes().await?;
        Ok(())
    }
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert!(text.len().is_multiple_of(3), "no padding is written here");
    let of = |bytes: &[u8]| {
        let word = bytes.iter().fold(0_usize, |word, &byte| word << 8 | usize::from(byte));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[word >> shift & 63]))
    };
    text.as_bytes().chunks(3).flat_map(of).collect()
}

struct Redis(tokio::net::TcpStream);

impl Writer for Redis {
    async fn write(&mut self, key: u64, value: u64) -> Result<(), Failure> {
        let text = format!("SET k{key} {value}\r\nWAIT 1 5000\r\n");
        self.0.write_all(text.as_bytes()).await?;
        let (mut seen, mut chunk) = (Vec::new(), [0; 256]);
        while seen.iter().filter(|&&byte| byte == b'\n').count() < 2 {
            match self.0.read(&mut chunk).await? {
                0 => return Err("the connection is closed".into()),
                length => seen.extend_from_slice(&chunk[..length]),
            }
        }
        if seen.starts_with(b"+OK\r\n:") && !seen.ends_with(b":0\r\n") {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&seen).into())
        }
    }
}

/// Writes with all clients for the time, and says what came of it.
async fn measure<W: Writer>(name: &str, time: Duration, writers: Vec<W>) -> f64 {
    let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let tasks: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(client, mut writer)| {
            let (stop, failed) = (stop.clone(), failed.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let since = Instant::now();
                    let key = (number * CLIENTS as u64 + client as u64) % KEYS;
                    match writer.write(key, number).await {
                        Ok(()) => latencies.push(since.elapsed().as_micros() as u64),
                        Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                    }
                    number += 1;
                }
                latencies
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap_or_default());
    }
    let rate = all.len() as f64 / began.elapsed().as_secs_f64();
    all.sort_unstable();
    let at = |share: f64| all.get((all.len() as f64 * share) as usize).copied().unwrap_or_default() as f64 / 1e3;
    println!(
        "{name:<44} {rate:>8.0} writes/s   p50 {:>6.2} ms   p99 {:>6.2} ms   failed {}",
        at(0.5),
        at(0.99),
        failed.load(Ordering::Relaxed)
    );
    rate
}

/// Repeats until a write succeeds.
async fn ready<W: Writer>(mut make: impl AsyncFnMut() -> Result<W, Failure>) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        let tried = match make().await {
            Ok(mut writer) => writer.write(0, 0).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(()) => return Ok(()),
            Err(error) if since.elapsed() > LIMIT => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn refdb(dir: &Path, flags: &str, time: Duration) -> Result<f64, Failure> {
    let cluster = Cluster::start(dir, flags, 3).await?;
    let session = |name: &str| Refdb(Session::new(cluster.pool.clone(), &cluster.config, name, 1));
    ready(async || Ok(session("first"))).await?;
    let writers = (0..CLIENTS).map(|client| session(&client.to_string())).collect();
    let before = sent(&cluster.addresses).await?;
    let began = Instant::now();
    let rate = measure(&format!("refdb {flags}"), time, writers).await;
    let writes = rate * began.elapsed().as_secs_f64();
    println!("{:<44} {:>8.0} bytes between nodes a write", "", (sent(&cluster.addresses).await? - before) / writes);
    Ok(rate)
}

/// The bytes that the nodes have sent each other.
async fn sent(addresses: &[SocketAddr]) -> Result<f64, Failure> {
    let mut sum = 0.0;
    for clients in addresses {
        let text = reqwest::get(format!("http://{clients}/v1/metrics")).await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix("refdb_peer_bytes_sent_total "));
        sum += line.unwrap_or("0").parse::<f64>()?;
    }
    Ok(sum)
}

async fn etcd(dir: &Path, time: Duration) -> Result<f64, Failure> {
    let ports: Vec<_> = (0..3).map(|_| (free(), free())).collect();
    let cluster: Vec<String> =
        ports.iter().enumerate().map(|(at, ports)| format!("n{at}=http://{}", ports.1)).collect();
    let mut processes = Processes(Vec::new());
    for (at, (clients, others)) in ports.iter().enumerate() {
        let (clients, others, name) = (format!("http://{clients}"), format!("http://{others}"), format!("n{at}"));
        let mut command = Command::new("etcd");
        command.args(["--name", &name, "--data-dir"]).arg(dir.join(format!("etcd-{at}")));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &others, "--initial-advertise-peer-urls", &others]);
        command.args(["--initial-cluster", &cluster.join(",")]);
        processes.0.push(spawn(&mut command)?);
    }
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let url = |at: usize| format!("http://{}/v3/kv/put", ports[at].0);
    ready(async || Ok(Etcd(http.clone(), url(0)))).await?;
    // Only its leader takes writes without passing them on, as the reference database's clients ask only its leader.
    let mut best = 0;
    for (at, (clients, _)) in ports.iter().enumerate() {
        let status = http.post(format!("http://{clients}/v3/maintenance/status")).body("{}").send().await?;
        let status: serde_json::Value = serde_json::from_str(&status.text().await?)?;
        if status["leader"] == status["header"]["member_id"] {
            best = at;
        }
    }
    let writers = (0..CLIENTS).map(|_| Etcd(http.clone(), url(best))).collect();
    Ok(measure("etcd, three nodes", time, writers).await)
}

async fn redis(dir: &Path, time: Duration) -> Result<f64, Failure> {
    let ports: Vec<_> = (0..3).map(|_| free()).collect();
    let mut processes = Processes(Vec::new());
    for (at, port) in ports.iter().enumerate() {
        let home = dir.join(format!("redis-{at}"));
        std::fs::create_dir_all(&home)?;
        let mut command = Command::new("redis-server");
        command
            .args([
                "--port",
                &port.port().to_string(),
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--dir",
            ])
            .arg(&home);
        if at > 0 {
            command.args(["--replicaof", "127.0.0.1", &ports[0].port().to_string()]);
        }
        processes.0.push(spawn(&mut command)?);
    }
    let connect = async || -> Result<Redis, Failure> {
        let stream = tokio::net::TcpStream::connect(ports[0]).await?;
        stream.set_nodelay(true)?;
        Ok(Redis(stream))
    };
    ready(connect).await?;
    let mut writers = Vec::new();
    for _ in 0..CLIENTS {
        writers.push(connect().await?);
    }
    Ok(measure("Redis, a leader and two replicas, WAIT 1", time, writers).await)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |seconds| seconds.parse())?;
    let time = Duration::from_secs(seconds);
    let dir = tempfile::tempdir()?;
    let said =
        |name: &str, came: Result<f64, Failure>| came.map_err(|error| println!("{name}: left out, {error}")).ok();
    let flags: Vec<String> = std::env::args().skip(2).collect();
    if !flags.is_empty() {
        for (at, flags) in flags.iter().enumerate() {
            said(flags, refdb(&dir.path().join(at.to_string()), flags, time).await);
        }
        return Ok(());
    }
    let semi_sync = said("refdb", refdb(&dir.path().join("single"), "--ack semi-sync", time).await);
    let redis = said("Redis", redis(dir.path(), time).await);
    let raft = said("refdb", refdb(&dir.path().join("raft"), "--mode raft", time).await);
    let etcd = said("etcd", etcd(dir.path(), time).await);
    for (name, ours, theirs) in [("single-leader : Redis", semi_sync, redis), ("raft : etcd", raft, etcd)] {
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            println!("{name} = {:.2}", ours / theirs);
        }
    }
    Ok(())
}
