//! How stale leaderless reads are beside how stale they are predicted to be: probabilistically bounded staleness (Bailis et al., VLDB 2012, section 5).
//!
//! ```text
//! cargo build --release -p refdb && cargo run --release -p refdb --example pbs -- [PROBES]
//! ```
//!
//! A probe writes a fresh key to all three replicas, takes it for committed at the w-th confirmation, waits t, asks all three and keeps the first r answers.
//! It is *consistent* when one of them has the write. Each of the paper's four delays (WARS: write, acknowledgement, read, response) is drawn from an
//! exponential distribution and spent by the client before it sends or after it received, as the paper's authors did to Cassandra. The prediction draws
//! them anew from what the probes of the line spent, each replica's apart.
//!
//! Without such delays no read is ever stale here: a replica answers in the order of arrival, so that a read waits behind a write that still waits for its disk.

mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, Failure};
use rand::RngExt as _;
use refdb::client::Pool;
use refdb::modes::leaderless::row::Row;
use refdb::operation::ReplicaRequest;
use refdb::value::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

const REPLICAS: usize = 3;
/// How many probes are under way at a time.
const AT_ONCE: usize = 25;
const QUORUMS: [(usize, usize); 3] = [(1, 1), (1, 2), (2, 1)];
/// Mean delays, milliseconds: of a write's way there, and of the three others.
const DELAYS: [(f64, f64); 3] = [(20.0, 2.0), (10.0, 5.0), (5.0, 10.0)];
const WAITS_MS: [u64; 6] = [0, 1, 5, 10, 20, 50];
const DRAWS: usize = 100_000;

/// What a message cost on its way there and back, milliseconds.
#[derive(Clone, Copy, Default)]
struct Trip {
    there: f64,
    back: f64,
}

/// What a probe saw.
struct Probe {
    writes: [Trip; REPLICAS],
    reads: [Trip; REPLICAS],
    /// From the commit to the read, as it came about, milliseconds.
    waited: f64,
    consistent: bool,
}

/// An answer of a replica: which, what the way to it cost, what it holds.
type Answer = (usize, Trip, Result<Option<Row>, String>);

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn drawn(mean_ms: f64) -> Duration {
    let share: f64 = rand::rng().random_range(f64::MIN_POSITIVE..1.0);
    Duration::from_secs_f64(-share.ln() * mean_ms / 1e3)
}

/// Sends to all replicas at once, with mean delays there and back; answers come as they arrive.
fn ask_all(pool: &Arc<Pool>, request: &ReplicaRequest, (there, back): (f64, f64)) -> UnboundedReceiver<Answer> {
    let (answers, receiver) = unbounded_channel();
    let since = Instant::now();
    for replica in 0..REPLICAS {
        let (pool, request, answers) = (pool.clone(), request.clone(), answers.clone());
        tokio::spawn(async move {
            tokio::time::sleep(drawn(there)).await;
            let there = millis(since);
            let answer = pool.replica(&format!("n{}", replica + 1), &request).await;
            tokio::time::sleep(drawn(back)).await;
            let trip = Trip { there, back: millis(since) - there };
            let _ = answers.send((replica, trip, answer.map(|reply| reply.row).map_err(|refusal| refusal.message)));
        });
    }
    receiver
}

async fn probe(
    pool: Arc<Pool>,
    key: String,
    (w, r): (usize, usize),
    (writes, others): (f64, f64),
    wait: Duration,
) -> Result<Probe, Failure> {
    let mut seen = Probe { writes: Default::default(), reads: Default::default(), waited: 0.0, consistent: false };
    let row = Row::Stamped { timestamp: 1, writer: "probe".to_string(), value: Some(Value::Int(1)) };
    let put = ReplicaRequest::Put { key: key.clone(), row, home: None };
    let mut written = ask_all(&pool, &put, (writes, others));
    for _ in 0..w {
        let (replica, trip, answer) = written.recv().await.ok_or("a replica gave no answer")?;
        answer?;
        seen.writes[replica] = trip;
    }
    let committed = Instant::now();
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    seen.waited = millis(committed);
    let mut read = ask_all(&pool, &ReplicaRequest::Get { key }, (others, others));
    for nth in 0..REPLICAS {
        let (replica, trip, answer) = read.recv().await.ok_or("a replica gave no answer")?;
        seen.reads[replica] = trip;
        seen.consistent |= nth < r && answer?.is_some();
    }
    for _ in w..REPLICAS {
        let (replica, trip, answer) = written.recv().await.ok_or("a replica gave no answer")?;
        answer?;
        seen.writes[replica] = trip;
    }
    Ok(seen)
}

/// The share of reads that WARS predicts to be consistent.
fn predicted(probes: &[Probe], (w, r): (usize, usize)) -> f64 {
    let mut rng = rand::rng();
    let mut consistent = 0;
    for _ in 0..DRAWS {
        let mut draw = || &probes[rng.random_range(0..probes.len())];
        let waited = draw().waited;
        let writes: [Trip; REPLICAS] = std::array::from_fn(|replica| draw().writes[replica]);
        let reads: [Trip; REPLICAS] = std::array::from_fn(|replica| draw().reads[replica]);
        let mut acknowledged = writes.map(|trip| trip.there + trip.back);
        acknowledged.sort_unstable_by(f64::total_cmp);
        let begins = acknowledged[w - 1] + waited;
        let mut first: [usize; REPLICAS] = std::array::from_fn(|replica| replica);
        first.sort_unstable_by(|&a, &b| (reads[a].there + reads[a].back).total_cmp(&(reads[b].there + reads[b].back)));
        consistent += usize::from(first[..r].iter().any(|&at| begins + reads[at].there >= writes[at].there));
    }
    consistent as f64 / DRAWS as f64
}

/// All probes of a line.
async fn line(
    pool: &Arc<Pool>,
    probes: usize,
    quorum: (usize, usize),
    delays: (f64, f64),
    wait: Duration,
) -> Result<Vec<Probe>, Failure> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (mut under_way, mut seen) = (JoinSet::new(), Vec::new());
    for _ in 0..probes {
        if under_way.len() >= AT_ONCE {
            seen.extend(under_way.join_next().await.transpose()?.transpose()?);
        }
        let key = format!("p{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        under_way.spawn(probe(pool.clone(), key, quorum, delays, wait));
    }
    while let Some(done) = under_way.join_next().await {
        seen.push(done??);
    }
    Ok(seen)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let probes = std::env::args().nth(1).map_or(Ok(1_000), |probes| probes.parse::<usize>())?;
    let dir = tempfile::tempdir()?;
    let flags = "--mode leaderless --n 3 --w 1 --r 1 --read-repair off --anti-entropy off --versions lww";
    let cluster = Cluster::start(dir.path(), flags, REPLICAS).await?;
    println!("{}", cluster.config.label());
    println!("n w r   mean delays ms   wait ms   consistent: seen   predicted   off by");
    let (mut squares, mut lines) = (0.0, 0);
    for quorum in QUORUMS {
        for delays in DELAYS {
            for wait in WAITS_MS {
                let seen = line(&cluster.pool, probes, quorum, delays, Duration::from_millis(wait)).await?;
                let share = seen.iter().filter(|probe| probe.consistent).count() as f64 / seen.len().max(1) as f64;
                let predicted = predicted(&seen, quorum);
                println!(
                    "{REPLICAS} {} {}   {:>5} and {:>4}   {wait:>7}   {:>14.2} %   {:>7.2} %   {:>+6.2}",
                    quorum.0,
                    quorum.1,
                    delays.0,
                    delays.1,
                    share * 100.0,
                    predicted * 100.0,
                    (predicted - share) * 100.0
                );
                squares += (predicted - share).powi(2);
                lines += 1;
            }
        }
    }
    println!("root mean square of the differences: {:.2} %", (squares / f64::from(lines)).sqrt() * 100.0);
    Ok(())
}
