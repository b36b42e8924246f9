//! What strangers may send to a node: each gets a clear answer, and nobody else notices.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// One node, alone.
struct Node {
    process: Child,
    clients: SocketAddr,
    peers: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl Node {
    fn start() -> Node {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (clients, peers) = (free(), free());
        let mut command = Command::new(env!("CARGO_BIN_EXE_refdb"));
        command.args(["--name", "n1", "--ack", "async", "--dir"]).arg(dir.path().join("n1"));
        command.args(["--listen", &clients.to_string(), "--peer-listen", &peers.to_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("refdb starts");
        let node = Node { process, clients, peers, _dir: dir };
        let since = Instant::now();
        while !TcpStream::connect(clients).is_ok_and(|_| node.write_is_fine()) {
            assert!(since.elapsed() < LIMIT, "the node does not take writes");
            std::thread::sleep(Duration::from_millis(20));
        }
        node
    }

    /// What the node answers to these bytes, up to the end of the connection or of the announced body.
    fn answer(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.clients).expect("the node listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        // A node that refuses early may close before everything is sent.
        let _ = stream.write_all(request);
        answer_on(&mut stream)
    }

    fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: n1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        self.answer(&[head.as_bytes(), body].concat())
    }

    fn write_is_fine(&self) -> bool {
        self.post("/v1/txn", br#"{"ops":[{"op":"write","key":"k","value":1},{"op":"read","key":"k"}]}"#).0 == 200
    }
}

fn answer_on(stream: &mut TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    let mut chunk = [0_u8; 4096];
    while let Ok(length) = stream.read(&mut chunk) {
        text.extend_from_slice(&chunk[..length]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let whole = all.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let announced =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            announced.is_some_and(|length: usize| body.len() >= length)
        });
        if length == 0 || whole {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_string()))
}

#[test]
fn nonsense_gets_its_status_and_one_sentence_and_the_node_goes_on() {
    let node = Node::start();
    let long_key = format!(r#"{{"ops":[{{"op":"read","key":"{}"}}]}}"#, "k".repeat(100_000));
    let huge = vec![b' '; 3 << 20];
    for (path, body, status, part) in [
        ("/v1/txn", b"" as &[u8], 400, "no request"),
        ("/v1/txn", b"{\"ops\":", 400, "no request"),
        ("/v1/txn", b"\xff\xfe", 400, "no request"),
        ("/v1/txn", b"{\"ops\":[]}", 400, "no operation"),
        ("/v1/txn", b"{\"ops\":[{\"op\":\"read\",\"key\":\"k\"}],\"colour\":1}", 400, "colour"),
        ("/v1/txn", b"{\"ops\":[{\"op\":\"write\",\"key\":\"k\"}]}", 400, "value"),
        ("/v1/txn", b"{\"ops\":[{\"op\":\"write\",\"key\":\"k\",\"value\":[1]}]}", 400, "no request"),
        ("/v1/txn", long_key.as_bytes(), 400, "100000 bytes"),
        ("/v1/txn", &huge, 400, "longer than"),
        ("/v1/replica", b"{\"get\":\"k\",\"put\":\"k\"}", 400, "no request"),
        ("/v1/nowhere", b"{}", 404, "/v1/nowhere"),
        ("/v1/status", b"{}", 405, "use GET"),
    ] {
        let (got, text) = node.post(path, body);
        assert_eq!(got, status, "{path} {part}: {text}");
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} {part}: {error} in {text:?}"));
        assert_eq!(answer["error"]["definite"], true, "{text}");
        assert!(answer["error"]["message"].as_str().is_some_and(|message| message.contains(part)), "{part}: {text}");
    }
    let (status, text) = node.answer(b"DELETE /v1/txn HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n");
    assert!(status == 405 && text.contains("use POST"), "{status} {text}");
    for garbage in
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" as &[u8], b"HELO there\r\n\r\n", &[0; 4096], b"GET / HTTP/9.9\r\n\r\n"]
    {
        let (status, _) = node.answer(garbage);
        assert!(status == 0 || status == 400 || status == 505, "{status}");
    }
    assert!(node.write_is_fine());
}

#[test]
fn strangers_at_the_port_for_nodes_are_not_listened_to() {
    let node = Node::start();
    let frame = |text: &str| [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let greeted = frame(r#"{"run":"default","from":"n1"}"#);
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 64],
        frame(r#"{"run":"another","from":"n1"}"#),
        frame(r#"{"run":"default","from":"n9"}"#),
        frame("[[[["),
        [greeted.clone(), frame(r#"{"Leader":{"Nonsense":1}}"#)].concat(),
        [greeted.clone(), vec![0x7f, 0xff, 0xff, 0xff]].concat(),
    ] {
        let mut stream = TcpStream::connect(node.peers).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        // Closed or reset, but never answered.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert!(node.write_is_fine());
}

#[test]
fn half_closed_and_slow_connections_end_by_themselves() {
    let node = Node::start();
    let head = b"POST /v1/txn HTTP/1.1\r\nHost: n1\r\nContent-Length: 500\r\n\r\n";
    let mut half = TcpStream::connect(node.clients).expect("the node listens");
    half.set_read_timeout(Some(LIMIT)).expect("a time limit");
    half.write_all(&[head as &[u8], b"{\"ops\""].concat()).expect("it takes the beginning");
    half.shutdown(Shutdown::Write).expect("it can be closed");
    let (status, _) = answer_on(&mut half);
    assert!(status == 400 || status == 0, "{status}");
    let mut slow = TcpStream::connect(node.clients).expect("the node listens");
    slow.set_read_timeout(Some(LIMIT)).expect("a time limit");
    slow.write_all(&[head as &[u8], b"{"].concat()).expect("it takes the beginning");
    let (status, text) = answer_on(&mut slow);
    assert!(status == 504 && text.contains("did not arrive within"), "{status} {text}");
    assert!(node.write_is_fine());
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_from_writing() {
    let files = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, hard) = nix::sys::resource::getrlimit(files).expect("limits can be read");
    nix::sys::resource::setrlimit(files, hard, hard).expect("up to the hard limit");
    // Both ends count, each in its own process; some descriptors are needed for other things.
    let count = 10_000.min(hard.saturating_sub(500)) as usize;
    if count < 10_000 {
        eprintln!("SKIPPED in part: this machine allows {hard} descriptors, so {count} connections instead of 10,000");
    }
    let node = Node::start();
    let mut idle = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(node.clients).expect("one more connection");
        if number % 2 == 0 {
            stream.write_all(b"POST /v1/txn HTTP/1.1\r\nHost: n1\r\nContent-Le").expect("half a request");
        }
        idle.push(stream);
    }
    for _ in 0..20 {
        assert!(node.write_is_fine());
    }
    drop(idle);
    assert!(node.write_is_fine());
}
