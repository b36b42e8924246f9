//! Starting a node from a command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;

use crate::config::{FsyncPolicy, ModeArgs, ModeConfig};
use crate::http::{self, Context};
use crate::modes::{self, Identity, leaderless, single_leader};
use crate::node::{Arrival, Node, Published, say};
use crate::peers::{self, Peers};
use crate::store::{Fsync, Layout, PAGE_SIZE, Store, physical};

/// A node of the reference database.
#[derive(Parser, Debug)]
#[command(name = "refdb", version)]
struct Arguments {
    /// This node's name
    #[arg(long)]
    name: String,
    /// The run's identity; nodes of other runs are refused
    #[arg(long, default_value = "default")]
    run: String,
    /// Where the data is kept
    #[arg(long)]
    dir: PathBuf,
    /// Where clients are served
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// Where other nodes are served
    #[arg(long, value_name = "IP:PORT")]
    peer_listen: SocketAddr,
    /// Every other node and where this one dials it: n2=IP:PORT,n3=IP:PORT
    #[arg(long, value_delimiter = ',', value_name = "NAME=IP:PORT", value_parser = parse_peer)]
    peers: Vec<(String, SocketAddr)>,
    /// Seeds the node's random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// single-leader, raft: how many entries the log keeps; a follower further back gets a snapshot
    #[arg(long, default_value_t = single_leader::KEEP, value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(10..))]
    keep_log: u64,
    /// Bytes in a page of a new database file: a power of two from 512 to 65536. With --log wal all nodes' pages must be equally long
    #[arg(long, default_value_t = PAGE_SIZE, value_name = "BYTES", value_parser = parse_page_size)]
    page_size: u32,
    #[command(flatten)]
    mode: ModeArgs,
}

fn parse_peer(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=IP:PORT"))?;
    let address = address.parse().map_err(|_| format!("{address:?} is not IP:PORT"))?;
    Ok((name.to_string(), address))
}

fn parse_page_size(text: &str) -> Result<u32, String> {
    let bytes = text.parse().ok().filter(|bytes| physical::is_page_size(*bytes));
    bytes.ok_or_else(|| format!("{text:?} is no power of two from 512 to 65536"))
}

/// Runs a node with these arguments, the program's name first. Returns the exit code: 0 after SIGTERM, 1 when something failed, 2 for bad arguments.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> i32 {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    let mut nodes: Vec<String> = arguments.peers.iter().map(|(name, _)| name.clone()).collect();
    if !nodes.contains(&arguments.name) {
        nodes.push(arguments.name.clone());
    }
    nodes.sort_by_key(|name| natural(name));
    let config = match arguments.mode.config(nodes.len()) {
        Ok(config) => config,
        Err(why) => {
            eprintln!("refdb: {why}");
            return 2;
        }
    };
    match serve(&arguments, nodes, &config) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("refdb: {error:#}");
            1
        }
    }
}

/// n2 before n10.
fn natural(name: &str) -> (String, u64) {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    (name[..name.len() - digits.len()].to_string(), digits.parse().unwrap_or(0))
}

fn serve(arguments: &Arguments, nodes: Vec<String>, config: &ModeConfig) -> anyhow::Result<()> {
    let began = Instant::now();
    raise_descriptors();
    std::fs::create_dir_all(&arguments.dir).with_context(|| format!("creating {}", arguments.dir.display()))?;
    let syncs = config.fsync == FsyncPolicy::Always && !config.skips_fsync();
    let fsync = if syncs { Fsync::Always } else { Fsync::Never };
    let layout = Layout { page_size: arguments.page_size, physical: config.physical() };
    let mut store = Store::open_as(&arguments.dir, fsync, layout)
        .with_context(|| format!("opening {}", arguments.dir.display()))?;
    let seed = leaderless::hash(&[&arguments.name, &arguments.seed.to_string()]);
    let identity = Identity { name: arguments.name.clone(), nodes: nodes.clone(), seed, keep_log: arguments.keep_log };
    let protocol = modes::build(config, identity, &mut store, began.elapsed()).context("reading the store")?;
    store.commit().context("writing the store")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (arrivals, inbox) = std::sync::mpsc::channel();
    let published = Arc::new(Mutex::new(Published { status: protocol.status(), ..Published::default() }));
    let context = Arc::new(Context {
        run: arguments.run.clone(),
        name: arguments.name.clone(),
        nodes: nodes.clone(),
        policy: config.policy.clone(),
        began,
        database: store.path().to_path_buf(),
        arrivals: arrivals.clone(),
        published: published.clone(),
    });
    runtime.block_on(listen(arguments, nodes, context, arrivals))?;
    let peers = Peers::start(&arguments.run, &arguments.name, &arguments.peers, runtime.handle());
    say(&arguments.name, began, &format!("{} on {}", config.label(), arguments.listen));
    let node =
        Node { protocol, store, peers, name: arguments.name.clone(), dir: arguments.dir.clone(), began, published };
    let outcome = node.run(&inbox).context("the disk refused; nothing was told that is not on it");
    say(&arguments.name, began, "ends");
    runtime.shutdown_background();
    outcome
}

/// Many clients need many descriptors: as many as the machine allows. Where it refuses, what there is has to do.
fn raise_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

async fn listen(
    arguments: &Arguments,
    nodes: Vec<String>,
    context: Arc<Context>,
    arrivals: std::sync::mpsc::Sender<Arrival>,
) -> anyhow::Result<()> {
    let bind = async |address: SocketAddr| {
        let listener = tokio::net::TcpListener::bind(address).await;
        listener.with_context(|| format!("listening on {address}: is another program using the port?"))
    };
    let clients = bind(arguments.listen).await?;
    let others = bind(arguments.peer_listen).await?;
    tokio::spawn(peers::listen(others, arguments.run.clone(), nodes, arrivals.clone()));
    tokio::spawn(async move {
        let clients = axum::serve::ListenerExt::tap_io(clients, |stream| {
            let _ = stream.set_nodelay(true);
        });
        let _ = axum::serve(clients, http::router(context)).await;
    });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = arrivals.send(Arrival::Stop);
    });
    Ok(())
}
