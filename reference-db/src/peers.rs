//! The stream between nodes.
//!
//! Each node dials every other and sends on that connection only; it receives on those that others dialled. Frames are a length and JSON. A
//! connection begins with a greeting that names the run, so that two clusters on one machine never talk to each other by mistake. Messages for a
//! peer that can't be reached are dropped: protocols bear loss. So are those that would make more than [`WAITING`] bytes wait for a peer that stands
//! still; and what has arrived is read only as fast as the node gets to it ([`ARRIVED`]), so that neither side's memory grows with the other's
//! slowness. A connection that gets nothing through for [`GIVE_UP`] is closed and dialled anew,
//! or the kernel's back-off after a long cut would delay the first message by seconds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::mode::{Input, Message, Order};
use crate::modes::single_leader;
use crate::node::Arrival;
use crate::store::{Reader, Store, StoreError, snapshot};

/// A frame may not be longer.
const FRAME: usize = 64 << 20;
/// How many messages may wait for a peer.
const QUEUE: usize = 4_096;
/// How many bytes may wait for a peer: as many as the longest frame has, or a copy in parts would never get through.
const WAITING: usize = FRAME;
/// How many KiB of a peer's messages may wait for the node.
const ARRIVED: u32 = 16 << 10;
/// How long a dial may take.
const DIAL: Duration = Duration::from_millis(400);
/// How long to wait between dials.
const REDIAL: Duration = Duration::from_millis(10);
/// How long data may stay unacknowledged by the peer's kernel.
const GIVE_UP: Duration = Duration::from_millis(900);
/// How many rows of a snapshot travel in one frame.
const SNAPSHOT_ROWS: usize = 2_000;

/// The first frame of a connection.
#[derive(Debug, Serialize, Deserialize)]
struct Greeting {
    run: String,
    from: String,
}

/// The way to the other nodes. Sending never blocks.
#[derive(Clone)]
pub struct Peers {
    queues: Arc<HashMap<String, Queue>>,
    /// The task that ships from the change table; begins with the first order.
    shipper: Arc<OnceLock<std::sync::mpsc::Sender<Order>>>,
    /// Bytes written to the peers' connections.
    sent: Arc<AtomicU64>,
    runtime: tokio::runtime::Handle,
}

/// What waits for a peer.
struct Queue {
    frames: mpsc::Sender<Frame>,
    /// Bytes of messages in it.
    waiting: Arc<AtomicUsize>,
    /// Whether a copy is in it, or on its way into it.
    copying: Arc<AtomicBool>,
}

enum Frame {
    One(Weighed),
    /// Never dropped once begun, so it waits for room.
    Many(Vec<Message>, Copying),
}

/// An encoded message, maybe for several peers; its bytes count until it has been taken.
struct Weighed {
    text: Arc<[u8]>,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Weighed {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.text.len(), Ordering::Relaxed);
    }
}

/// While it is there no other copy is made for the same peer.
struct Copying(Arc<AtomicBool>);

impl Drop for Copying {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Queue {
    /// Queues a message, or drops it where too much waits already.
    fn put(&self, text: Arc<[u8]>) {
        let before = self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        let message = Weighed { text, waiting: self.waiting.clone() };
        if before < WAITING {
            let _ = self.frames.try_send(Frame::One(message));
        }
    }
}

impl Peers {
    /// Begins to dial `peers`.
    pub fn start(run: &str, name: &str, peers: &[(String, SocketAddr)], runtime: &tokio::runtime::Handle) -> Peers {
        let mut queues = HashMap::new();
        let sent = Arc::new(AtomicU64::new(0));
        for (peer, address) in peers.iter().filter(|(peer, _)| peer != name) {
            let (frames, receiver) = mpsc::channel(QUEUE);
            let greeting = Greeting { run: run.to_string(), from: name.to_string() };
            runtime.spawn(dial(*address, greeting, receiver, sent.clone()));
            queues.insert(peer.clone(), Queue { frames, waiting: Arc::default(), copying: Arc::default() });
        }
        Peers { queues: Arc::new(queues), shipper: Arc::default(), sent, runtime: runtime.clone() }
    }

    /// How many bytes have been written to the peers' connections.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Queues a message; drops it when the queue is full.
    pub fn send(&self, to: &str, message: &Message) {
        if let Some(queue) = self.queues.get(to) {
            queue.put(encoded(message));
        }
    }

    /// Queues one message for several.
    pub fn send_all(&self, to: &[String], message: &Message) {
        send_to(&self.queues, to, message);
    }

    /// Has the shipping task read what is ordered, on a connection of its own, and send it. What it cannot read or send is ordered again.
    pub fn ship(&self, order: Order, database: &Path) {
        let orders = self.shipper.get_or_init(|| {
            let (orders, inbox) = std::sync::mpsc::channel::<Order>();
            let (database, queues) = (database.to_path_buf(), self.queues.clone());
            self.runtime.spawn_blocking(move || ship_all(&database, &queues, &inbox));
            orders
        });
        // The task ends only with the node.
        let _ = orders.send(order);
    }

    /// Copies the database beside its writer and sends the copy, unless one still waits for that peer.
    pub fn send_snapshot(&self, to: &str, term: u64, store: &Store) {
        let Some(queue) = self.queues.get(to) else { return };
        if queue.copying.swap(true, Ordering::Relaxed) {
            return;
        }
        let (frames, copying) = (queue.frames.clone(), Copying(queue.copying.clone()));
        let (database, physical, form) = (store.path().to_path_buf(), store.is_physical(), store.form());
        self.runtime.spawn_blocking(move || {
            let copy =
                if physical { single_leader::copy(&database, form, term) } else { copy_of_rows(&database, term) };
            let Ok(messages) = copy else { return };
            let messages = messages.into_iter().map(Message::Leader).collect();
            let _ = frames.blocking_send(Frame::Many(messages, copying));
        });
    }
}

/// The messages that carry a copy of the rows to a follower.
fn copy_of_rows(database: &Path, term: u64) -> Result<Vec<single_leader::Message>, StoreError> {
    let copy = snapshot(database)?.replicated();
    let mut messages = vec![single_leader::Message::SnapshotBegin { term, last: copy.last, terms: copy.terms }];
    let mut rows = copy.rows.into_iter().peekable();
    while rows.peek().is_some() {
        messages.push(single_leader::Message::SnapshotRows { term, rows: rows.by_ref().take(SNAPSHOT_ROWS).collect() });
    }
    messages.push(single_leader::Message::SnapshotEnd { term });
    Ok(messages)
}

fn send_to(queues: &HashMap<String, Queue>, to: &[String], message: &Message) {
    let text = encoded(message);
    for queue in to.iter().filter_map(|to| queues.get(to)) {
        queue.put(text.clone());
    }
}

/// The shipping task.
fn ship_all(database: &Path, queues: &HashMap<String, Queue>, orders: &std::sync::mpsc::Receiver<Order>) {
    let mut reader = None;
    while let Ok(order) = orders.recv() {
        if reader.is_none() {
            reader = Reader::open(database).ok();
        }
        match reader.as_ref().map(|reader| order.filled(reader)) {
            Some(Ok(Some((to, message)))) => send_to(queues, &to, &message),
            Some(Ok(None)) => {}
            Some(Err(_)) | None => reader = None,
        }
    }
}

async fn dial(address: SocketAddr, greeting: Greeting, mut queue: mpsc::Receiver<Frame>, sent: Arc<AtomicU64>) {
    loop {
        if let Ok(Ok(stream)) = tokio::time::timeout(DIAL, TcpStream::connect(address)).await
            && prepare(&stream).is_ok()
        {
            // What was queued while nobody could be reached is stale.
            while queue.try_recv().is_ok() {}
            if send_all(stream, &greeting, &mut queue, &sent).await == Ended::Closed {
                return;
            }
        }
        tokio::time::sleep(REDIAL).await;
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let patience = GIVE_UP.as_millis() as u32;
    nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::TcpUserTimeout, &patience)?;
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Ended {
    /// The node is going down.
    Closed,
    /// The connection broke.
    Broken,
}

async fn send_all(
    mut stream: TcpStream,
    greeting: &Greeting,
    queue: &mut mpsc::Receiver<Frame>,
    sent: &AtomicU64,
) -> Ended {
    let mut text = Vec::new();
    encode(&mut text, greeting);
    let (mut closed_by_peer, mut probe) = (false, [0_u8; 1]);
    loop {
        if stream.write_all(&text).await.is_err() || closed_by_peer {
            return Ended::Broken;
        }
        sent.fetch_add(text.len() as u64, Ordering::Relaxed);
        text.clear();
        tokio::select! {
            frame = queue.recv() => match frame {
                None => return Ended::Closed,
                Some(frame) => {
                    put(&mut text, frame);
                    // Whatever else waits leaves in the same write.
                    while text.len() < 1 << 20 {
                        let Ok(frame) = queue.try_recv() else { break };
                        put(&mut text, frame);
                    }
                }
            },
            // The peer never writes here; a readable stream means that it is gone.
            _ = stream.read(&mut probe) => closed_by_peer = true,
        }
    }
}

fn put(text: &mut Vec<u8>, frame: Frame) {
    match frame {
        Frame::One(message) => text.extend_from_slice(&message.text),
        Frame::Many(messages, copying) => {
            messages.iter().for_each(|message| encode(text, message));
            drop(copying);
        }
    }
}

fn encoded(message: &Message) -> Arc<[u8]> {
    let mut text = Vec::new();
    encode(&mut text, message);
    text.into()
}

fn encode(text: &mut Vec<u8>, value: &impl Serialize) {
    let begin = text.len();
    text.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut *text, value).expect("messages are plain data, which is always JSON");
    let length = (text.len() - begin - 4) as u32;
    text[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

/// Takes the other nodes' connections and passes their messages on, until the process ends.
pub async fn listen(
    listener: TcpListener,
    run: String,
    names: Vec<String>,
    arrivals: std::sync::mpsc::Sender<Arrival>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(receive(stream, run.clone(), names.clone(), arrivals.clone()));
            }
            // Out of descriptors, most likely; others will be freed.
            Err(_) => tokio::time::sleep(REDIAL).await,
        }
    }
}

async fn receive(stream: TcpStream, run: String, names: Vec<String>, arrivals: std::sync::mpsc::Sender<Arrival>) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut text = Vec::new();
    let Some(greeting) = frame::<Greeting>(&mut reader, &mut text).await else { return };
    if greeting.run != run || !names.contains(&greeting.from) {
        return;
    }
    let room = Arc::new(Semaphore::new(ARRIVED as usize));
    while let Some(message) = frame::<Message>(&mut reader, &mut text).await {
        let weight = (text.len() as u32 >> 10).clamp(1, ARRIVED);
        let Ok(room) = room.clone().acquire_many_owned(weight).await else { return };
        let input = Input::Peer { from: greeting.from.clone(), message };
        if arrivals.send(Arrival::Peer(input, room)).is_err() {
            return;
        }
    }
}

/// The next frame; `None` when the connection is over or makes no sense.
async fn frame<T: for<'de> Deserialize<'de>>(reader: &mut BufReader<TcpStream>, text: &mut Vec<u8>) -> Option<T> {
    let length = reader.read_u32().await.ok()? as usize;
    if length > FRAME {
        return None;
    }
    text.resize(length, 0);
    reader.read_exact(text).await.ok()?;
    serde_json::from_slice(text).ok()
}
