//! A cluster of real nodes for as long as somebody looks at it.

// Each example asks for a part of it.
#![allow(dead_code)]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use refdb::client::Pool;
use refdb::config::{ModeArgs, ModeConfig};

/// Whatever went wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long nodes may take until they answer.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Processes that end with this.
pub struct Processes(pub Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Starts a process that says nothing.
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// An address that nobody listens at.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// The nodes of a mode, their processes and how to reach them.
pub struct Cluster {
    /// Its processes, in the order of their names; they end with it.
    pub processes: Processes,
    /// Where clients reach them.
    pub addresses: Vec<SocketAddr>,
    /// The way to them.
    pub pool: Arc<Pool>,
    /// The mode.
    pub config: ModeConfig,
}

impl Cluster {
    /// Starts so many nodes n1, n2, … with these flags of `refdb`, and waits until all of them answer.
    pub async fn start(dir: &Path, flags: &str, count: usize) -> Result<Cluster, Failure> {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            mode: ModeArgs,
        }
        let words = std::iter::once("refdb").chain(flags.split_whitespace());
        let config = Flags::try_parse_from(words)?.mode.config(count)?;
        let ports: Vec<_> = (1..=count).map(|at| (format!("n{at}"), free(), free())).collect();
        let peers: Vec<String> = ports.iter().map(|(name, _, others)| format!("{name}={others}")).collect();
        let program = std::env::current_exe()?.with_file_name("../refdb");
        let mut processes = Processes(Vec::new());
        for (name, clients, others) in &ports {
            let mut command = Command::new(&program);
            command.args(["--name", name, "--peers", &peers.join(","), "--listen", &clients.to_string()]);
            command.args(["--peer-listen", &others.to_string(), "--dir"]).arg(dir.join(name)).args(config.flags());
            processes.0.push(spawn(&mut command)?);
        }
        let addresses = ports.iter().map(|(_, clients, _)| *clients).collect();
        let nodes = ports.iter().map(|(name, clients, _)| (name.clone(), *clients)).collect();
        let pool = Arc::new(Pool::new(nodes, Duration::from_secs(5))?);
        let since = Instant::now();
        for (name, ..) in &ports {
            while pool.health(name).await.is_err() {
                if since.elapsed() > LIMIT {
                    return Err(format!("{name} does not answer after {} s", LIMIT.as_secs()).into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(Cluster { processes, addresses, pool, config })
    }
}
