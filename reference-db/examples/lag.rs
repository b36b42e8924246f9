//! How long an idle cluster without faults takes until the last replica shows an acknowledged write, mode by mode.
//!
//! ```text
//! cargo build --release -p refdb && cargo run --release -p refdb --example lag -- [WRITES]
//! ```
//!
//! One write at a time, from one client; from its acknowledgement on each replica is asked again and again until it shows it.
//! What is stated includes the reading: half a millisecond at the least.

mod cluster;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{Cluster, Failure, LIMIT};
use refdb::client::{Operation, Pool, Session};
use refdb::operation::{Outcome, ReplicaRequest, Request};
use refdb::value::Value;

const MODES: [(&str, usize); 11] = [
    ("--ack async --reads any", 3),
    ("--ack semi-sync --reads any", 3),
    ("--ack async --reads any --log statement", 3),
    ("--mode multi-leader --topology all-to-all", 3),
    ("--mode multi-leader --topology circular", 3),
    ("--mode multi-leader --topology star", 3),
    ("--mode multi-leader --topology all-to-all --ordering causal", 3),
    ("--mode multi-leader --datacentres 2 --followers 1", 4),
    ("--mode leaderless --n 3 --w 1 --r 1 --coordinator node", 3),
    ("--mode leaderless --n 3 --w 1 --r 1 --coordinator client", 3),
    ("--mode partitioned --shards 3 --reads any", 3),
];

/// Waits until the node shows the value.
async fn shown(pool: &Pool, leaderless: bool, node: &str, key: &str, value: i64) -> Result<(), Failure> {
    let since = Instant::now();
    let value = Value::Int(value);
    while since.elapsed() < LIMIT {
        let has = if leaderless {
            let row = pool.replica(node, &ReplicaRequest::Get { key: key.to_string() }).await;
            row.ok().and_then(|reply| reply.row).is_some()
        } else {
            let ops = vec![Operation::Read { key: key.to_string() }];
            let request = Request { ops, ..Request::default() };
            let reply = pool.ask(node, &request).await.ok();
            matches!(reply.as_ref().and_then(|reply| reply.results.first()), Some(Outcome::Value(seen)) if *seen == value)
        };
        if has {
            return Ok(());
        }
    }
    Err(format!("{node} does not show {key} after {} s", LIMIT.as_secs()).into())
}

async fn measure(flags: &str, count: usize, writes: i64) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let cluster = Cluster::start(dir.path(), flags, count).await?;
    let mut session = Session::new(cluster.pool.clone(), &cluster.config, "probe", 1);
    let (mut lags, since) = (Vec::new(), Instant::now());
    for number in 0.. {
        let key = format!("k{number}");
        let op = Operation::Write { key: key.clone(), value: Value::Int(number) };
        match session.execute(vec![op]).await {
            Ok(_) => {}
            // Who leads is not settled at once.
            Err(_) if lags.is_empty() && since.elapsed() < LIMIT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Err(failed) => return Err(failed.refusal.message.into()),
        }
        let acknowledged = Instant::now();
        let nodes: Vec<String> = cluster.pool.nodes().map(str::to_string).collect();
        let waits: Vec<_> = nodes
            .into_iter()
            .map(|node| {
                let (pool, key, leaderless): (Arc<Pool>, _, _) =
                    (cluster.pool.clone(), key.clone(), flags.contains("leaderless"));
                tokio::spawn(async move { shown(&pool, leaderless, &node, &key, number).await })
            })
            .collect();
        for wait in waits {
            wait.await??;
        }
        lags.push(acknowledged.elapsed().as_secs_f64() * 1e3);
        if lags.len() as i64 == writes {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lags.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| lags[(lags.len() as f64 * share) as usize];
    println!("{flags:<62} median {:>6.2} ms   p99 {:>6.2} ms", at(0.5), at(0.99));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let writes = std::env::args().nth(1).map_or(Ok(300), |writes| writes.parse::<i64>())?;
    for (flags, count) in MODES {
        if let Err(error) = measure(flags, count, writes).await {
            println!("{flags:<62} {error}");
        }
    }
    Ok(())
}
