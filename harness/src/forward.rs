//! `--leave-db-running`: the nodes stay, and a person outside their network reaches them.
//!
//! Nodes live in networks of their own, where no shell is. So for each node a port of this machine's loopback is opened *before* the
//! run's threads enter the clients' network, and carried over by them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::run::Plan;
use crate::signals::Interrupt;
use crate::talk;

/// At most so many nodes get a port.
const MOST: usize = 64;
/// How often the end is looked for.
const POLL: Duration = Duration::from_millis(100);

/// Listeners on this machine's loopback, not yet carried anywhere.
pub struct Forwards {
    listeners: Vec<std::net::TcpListener>,
}

impl Forwards {
    /// Opens listeners in the network of the calling thread; as many as can be had.
    pub fn open() -> Forwards {
        let open = |_| std::net::TcpListener::bind(("127.0.0.1", 0));
        Forwards { listeners: (0..MOST).map(open).take_while(Result::is_ok).flatten().collect() }
    }

    /// Prints how to reach each node, and carries connections until Ctrl-C.
    pub async fn serve(self, plan: &Plan, cluster: &Arc<Cluster>, interrupt: &Interrupt) -> anyhow::Result<()> {
        let Some(hosts) = cluster.hosts() else { return Ok(()) };
        let port = plan.database.ports().first().copied().unwrap_or_default();
        for (node, listener) in cluster.nodes().iter().zip(self.listeners) {
            let to = SocketAddr::new(hosts.address(gainsay_nemesis::hosts::Viewpoint::Client, node), port);
            let local = listener.local_addr()?;
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(carry(listener, to));
            let line = plan.database.curl(&local.to_string()).unwrap_or_else(|| format!("{local}"));
            talk::result(&format!("{node}: {line}"));
        }
        talk::result("the nodes stay until Ctrl-C");
        while !interrupt.raised() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

async fn carry(listener: tokio::net::TcpListener, to: SocketAddr) {
    while let Ok((mut outside, _)) = listener.accept().await {
        tokio::spawn(async move {
            // A node that is down refuses; the person sees the connection close.
            if let Ok(mut inside) = tokio::net::TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}
