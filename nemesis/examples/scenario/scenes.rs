//! What is claimed, and how it is seen.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use gainsay_nemesis::Error;
use gainsay_nemesis::hosts::{Endpoint, LinkProbe, LinkRule, NodeState, Viewpoint};

use crate::{LIMIT, PORT, Stage, await_that};

const SHORT: Duration = Duration::from_millis(400);

fn node(name: &str) -> Endpoint {
    Endpoint::Node(name.into())
}

fn cut_rule() -> LinkRule {
    LinkRule { cut: true, ..LinkRule::default() }
}

fn dial(stage: &Stage, to: &str) -> SocketAddr {
    (stage.hosts.address(Viewpoint::Client, to), PORT).into()
}

fn connect(stage: &Stage, to: &str) -> TcpStream {
    let stream = TcpStream::connect_timeout(&dial(stage, to), LIMIT).expect("connected");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn ask(stream: &mut TcpStream, limit: Duration, what: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(what).expect("written");
    hear(stream, limit, what.len())
}

fn hear(stream: &mut TcpStream, limit: Duration, length: usize) -> Option<Vec<u8>> {
    stream.set_read_timeout(Some(limit)).expect("a limit");
    let mut answer = vec![0; length];
    match stream.read_exact(&mut answer) {
        Ok(()) => Some(answer),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("an answer: {error}"),
    }
}

pub fn cut(stage: &Stage) {
    let hosts = &stage.hosts;
    hosts.enter_client_network().expect("entered");
    ["n1", "n2"].into_iter().for_each(|name| stage.start(name));
    stage.await_answer(&node("n1"), "n2");
    let mut stream = connect(stage, "n1");
    assert_eq!(ask(&mut stream, LIMIT, b"one").as_deref(), Some(&b"one"[..]));
    hosts.set_link(&node("n1"), &node("n2"), cut_rule()).expect("cut");
    hosts.set_link(&node("n2"), &node("n1"), cut_rule()).expect("cut");
    assert!(hosts.link(&node("n1"), &node("n2")).cut);
    assert_eq!(hosts.probe_link(&node("n1"), "n2", PORT, SHORT), LinkProbe::TimedOut);
    assert_eq!(hosts.probe_link(&node("n2"), "n1", PORT, SHORT), LinkProbe::TimedOut);
    assert_eq!(ask(&mut stream, LIMIT, b"two").as_deref(), Some(&b"two"[..]));
    hosts.set_link(&Endpoint::Client, &node("n1"), cut_rule()).expect("cut");
    assert_eq!(ask(&mut stream, SHORT, b"three"), None);
    let hung = TcpStream::connect_timeout(&dial(stage, "n1"), SHORT).expect_err("a cut link");
    assert_eq!(hung.kind(), ErrorKind::TimedOut);
    hosts.clear_links();
    let healed = Instant::now();
    assert_eq!(hear(&mut stream, LIMIT, 5).as_deref(), Some(&b"three"[..]));
    println!("held bytes arrive {:?} after the heal", healed.elapsed());
    stage.await_answer(&node("n1"), "n2");
    stage.await_answer(&node("n2"), "n1");
}

fn datagrams(stage: &Stage) -> UdpSocket {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a UDP port");
    socket.connect(dial(stage, "n1")).expect("connected");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
    socket
}

/// How many packets the node has seen, other than this question.
fn seen_by_node(socket: &UdpSocket) -> u64 {
    let mut answer = [0; 8];
    let mut seen = None;
    await_that("a count", || {
        socket.send(b"?").expect("sent");
        seen = socket.recv(&mut answer).ok();
        seen.is_some()
    });
    while socket.recv(&mut answer).is_ok() {}
    u64::from_le_bytes(answer)
}

/// Sends `count` packets and gives how many answers came.
fn exchange(socket: &UdpSocket, count: u64) -> u64 {
    let mut answer = [0; 8];
    let mut heard = 0;
    socket.set_nonblocking(true).expect("non-blocking");
    for _ in 0..count {
        socket.send(b"packet").expect("sent");
        std::thread::sleep(Duration::from_micros(50));
        while socket.recv(&mut answer).is_ok() {
            heard += 1;
        }
    }
    socket.set_nonblocking(false).expect("blocking");
    while socket.recv(&mut answer).is_ok() {
        heard += 1;
    }
    heard
}

pub fn one_way(stage: &Stage) {
    stage.hosts.enter_client_network().expect("entered");
    stage.start("n1");
    let socket = datagrams(stage);
    assert_eq!(exchange(&socket, 100), 100);
    let before = seen_by_node(&socket);
    stage.hosts.set_link(&node("n1"), &Endpoint::Client, cut_rule()).expect("cut");
    assert_eq!(exchange(&socket, 100), 0);
    stage.hosts.clear_links();
    assert_eq!(seen_by_node(&socket) - before, 100);
    stage.hosts.set_link(&Endpoint::Client, &node("n1"), cut_rule()).expect("cut");
    assert_eq!(exchange(&socket, 100), 0);
    stage.hosts.clear_links();
    assert_eq!(seen_by_node(&socket) - before, 100);
}

pub fn delay(stage: &Stage) {
    let hosts = &stage.hosts;
    hosts.enter_client_network().expect("entered");
    stage.start("n1");
    let delay = Duration::from_millis(50);
    let rule = LinkRule { delay, ..LinkRule::default() };
    hosts.set_link(&Endpoint::Client, &node("n1"), rule).expect("delayed");
    let around = delay..delay + Duration::from_millis(40);
    match hosts.probe_link(&Endpoint::Client, "n1", PORT, LIMIT) {
        LinkProbe::Connected(after) => assert!(around.contains(&after), "{after:?}"),
        other => panic!("{other:?}"),
    }
    let mut stream = connect(stage, "n1");
    ask(&mut stream, LIMIT, b"x");
    let start = Instant::now();
    ask(&mut stream, LIMIT, b"y").expect("an answer");
    assert!(around.contains(&start.elapsed()), "{:?}", start.elapsed());
    println!("50 ms came out as {:?}", start.elapsed());
    hosts.clear_links();
    let start = Instant::now();
    ask(&mut stream, LIMIT, b"z").expect("an answer");
    assert!(start.elapsed() < delay, "{:?}", start.elapsed());
}

pub fn loss(stage: &Stage) {
    stage.hosts.enter_client_network().expect("entered");
    stage.start("n1");
    let socket = datagrams(stage);
    let rule = LinkRule { loss: 0.05, ..LinkRule::default() };
    stage.hosts.set_link(&Endpoint::Client, &node("n1"), rule).expect("lossy");
    let heard = exchange(&socket, 4000);
    println!("loss of 5 %: {heard} of 4000 arrived");
    // Five standard deviations of a binomial on either side.
    assert!((3731..=3869).contains(&heard), "{heard}");
    let rule = LinkRule { duplicate: 0.05, ..LinkRule::default() };
    stage.hosts.set_link(&Endpoint::Client, &node("n1"), rule).expect("duplicating");
    let heard = exchange(&socket, 4000);
    println!("duplication of 5 %: {heard} arrived of 4000");
    assert!((4131..=4269).contains(&heard), "{heard}");
    // UDP's checksum finds each flipped bit: a damaged packet is a lost one.
    let rule = LinkRule { corrupt: 0.05, ..LinkRule::default() };
    stage.hosts.set_link(&Endpoint::Client, &node("n1"), rule).expect("corrupting");
    let heard = exchange(&socket, 4000);
    println!("corruption of 5 %: {heard} of 4000 arrived");
    assert!((3731..=3869).contains(&heard), "{heard}");
}

/// Sends so many bytes to a sink and waits until it has them all.
fn pour(stage: &Stage, bytes: usize) -> Duration {
    let mut stream = connect(stage, "n1");
    let chunk = vec![b'S'; 256 << 10];
    let start = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let now = left.min(chunk.len());
        stream.write_all(&chunk[..now]).expect("written");
        left -= now;
    }
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    stream.set_read_timeout(Some(LIMIT * 3)).expect("a limit");
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    start.elapsed()
}

pub fn rate(stage: &Stage) {
    stage.hosts.enter_client_network().expect("entered");
    stage.start("n1");
    let rule = LinkRule { rate_bits: Some(10_000_000), ..LinkRule::default() };
    stage.hosts.set_link(&Endpoint::Client, &node("n1"), rule).expect("slow");
    let bytes = 2_000_000;
    let took = pour(stage, bytes);
    let rate = bytes as f64 * 8.0 / took.as_secs_f64() / 1e6;
    println!("10 Mbit/s came out as {rate:.2}");
    // TCP may not fill the link on a busy machine; more than the link is never right.
    assert!((4.0..=10.5).contains(&rate), "{rate}");
}

/// A node that is down refuses, and a restarted one answers.
pub fn down(stage: &Stage) {
    stage.hosts.enter_client_network().expect("entered");
    stage.start("n1");
    stage.hosts.kill("n1").expect("killed");
    await_that("a refusal", || {
        let seen = TcpStream::connect_timeout(&dial(stage, "n1"), LIMIT);
        seen.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    let seen = stage.hosts.probe_link(&node("n2"), "n1", PORT, SHORT);
    assert_eq!(seen, LinkProbe::Refused);
    stage.hosts.restart("n1").expect("restarted");
    stage.await_answer(&Endpoint::Client, "n1");
    stage.await_answer(&node("n2"), "n1");
}

fn state_of(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    stat.rsplit(") ").next().expect("fields")[..1].to_owned()
}

pub fn pause(stage: &Stage) {
    let hosts = &stage.hosts;
    hosts.enter_client_network().expect("entered");
    stage.start("n1");
    let pid = hosts.pid("n1").expect("a process");
    let mut stream = connect(stage, "n1");
    ask(&mut stream, LIMIT, b"x").expect("an answer");
    hosts.pause("n1").expect("paused");
    assert_eq!(state_of(pid), "T");
    assert_eq!(hosts.state("n1"), NodeState::Paused);
    assert_eq!(ask(&mut stream, SHORT, b"x"), None);
    hosts.resume("n1").expect("resumed");
    assert_eq!(hosts.state("n1"), NodeState::Running);
    hear(&mut stream, LIMIT, 1).expect("an answer");
    hosts.pause("n1").expect("paused");
    // SAFETY: no pointers; somebody else lets the node go on.
    unsafe { libc::kill(pid, libc::SIGCONT) };
    await_that("the truth", || hosts.state("n1") == NodeState::Running);
    hosts.pause("n1").expect("paused");
    hosts.stop_all();
    assert_eq!(hosts.state("n1"), NodeState::Killed);
}

/// All processes whose command line has `word`.
fn with_word(word: &str) -> Vec<i32> {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() as i32)
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).starts_with(word))
        })
        .collect()
}

pub fn kill(stage: &Stage) {
    let word = format!("gainsay-kill-{}", std::process::id());
    let sleeper = format!("exec -a {word} sleep 1000");
    // With job control `wait` also returns when a child is stopped: it must go on, or the node would end while it is being paused.
    let script = format!(
        "trap '' TERM; ({sleeper}) & setsid bash -c '({sleeper}) & (setsid bash -c \"{sleeper}\" &)'; set -m; ({sleeper}) & while :; do wait; done"
    );
    let hosts = &stage.hosts;
    for round in 0..3 {
        if round == 0 {
            hosts.spawn("n1", &stage.program("bash", &["-c", &script])).expect("spawned");
        } else {
            hosts.restart("n1").expect("restarted");
        }
        await_that("four processes", || with_word(&word).len() == 4);
        if round == 1 {
            hosts.pause("n1").expect("paused");
            assert!(with_word(&word).into_iter().all(|pid| state_of(pid) == "T"));
        }
        let start = Instant::now();
        if round < 2 {
            hosts.kill("n1").expect("killed");
            println!("killed in {:?}", start.elapsed());
        } else {
            hosts.stop_all();
            println!("stopped in {:?}", start.elapsed());
        }
        assert!(with_word(&word).is_empty(), "{:?}", with_word(&word));
        assert_eq!(hosts.state("n1"), NodeState::Killed);
        assert_eq!(hosts.pid("n1"), None);
    }
}

pub fn exit(stage: &Stage) {
    let hosts = &stage.hosts;
    assert_eq!(hosts.state("n1"), NodeState::NotStarted);
    let script = "trap; echo $0 $WORD; exit 3";
    let mut spawn = stage.program("bash", &["-c", script, "argument"]);
    spawn.env.push(("WORD".into(), "environment".into()));
    hosts.spawn("n1", &spawn).expect("spawned");
    let ended = NodeState::Exited { status: "exit status: 3".into() };
    await_that("its end", || hosts.state("n1") == ended);
    let log = fs::read_to_string(&spawn.log).expect("a log");
    assert_eq!(log, "argument environment\n");
    let missing = stage.program("/no/such/program", &[]);
    let error = hosts.spawn("n2", &missing).expect_err("nothing to execute").to_string();
    assert!(error.contains("n2") && error.contains("/no/such/program"), "{error}");
    assert_eq!(hosts.state("n2"), NodeState::NotStarted);
    assert!(hosts.restart("n3").is_err());
    // Signals that the harness blocks or ignores are the node's to take.
    let look = |node: &str, program: &str, args: &[&str]| {
        let mut spawn = stage.program(program, args);
        spawn.log = stage.dir.path().join(program);
        hosts.spawn(node, &spawn).expect("spawned");
        await_that("its end", || matches!(hosts.state(node), NodeState::Exited { .. }));
        fs::read_to_string(&spawn.log).expect("a log")
    };
    let signals = look("n2", "grep", &["-E", "SigBlk|SigIgn", "/proc/self/status"]);
    assert_eq!(signals.matches("0000000000000000").count(), 2, "{signals}");
    // The three of every process, and the directory that is being listed.
    let open = look("n3", "ls", &["/proc/self/fd"]);
    assert_eq!(open.lines().count(), 4, "{open}");
}

pub fn hook(stage: &mut Stage) {
    let seen = Arc::new(AtomicI32::new(0));
    let hooked = Arc::clone(&seen);
    stage.hosts.set_after_exec(Box::new(move |name, pid| {
        let stands = state_of(pid) == "t" && name == "n1";
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if !stands || command.trim() != "scenario" {
            return Err(Error::new("looking at the exec", command));
        }
        hooked.store(pid, Ordering::SeqCst);
        Ok(())
    }));
    stage.hosts.set_before_exec(Box::new(|name| if name == "n3" { Err(libc::EACCES) } else { Ok(()) }));
    stage.hosts.enter_client_network().expect("entered");
    stage.start("n1");
    assert_eq!(stage.hosts.pid("n1"), Some(seen.load(Ordering::SeqCst)));
    let sleeper = stage.program("sleep", &["1000"]);
    let error = stage.hosts.spawn("n2", &sleeper).expect_err("the hook refuses").to_string();
    assert!(error.contains("looking at the exec"), "{error}");
    assert_eq!(stage.hosts.state("n2"), NodeState::NotStarted);
    let error = stage.hosts.spawn("n3", &sleeper).expect_err("the hook refuses").to_string();
    assert!(error.contains("preparing its exec"), "{error}");
}

pub fn unsupported(stage: &Stage) {
    let rule = LinkRule { loss: 0.1, corrupt: 0.1, ..LinkRule::default() };
    let error =
        stage.hosts.set_link(&Endpoint::Client, &node("n1"), rule).expect_err("proxies lose nothing").to_string();
    assert!(error.contains("loss, corruption") && error.contains("network=switch"), "{error}");
    assert_eq!(stage.hosts.link(&Endpoint::Client, &node("n1")), LinkRule::default());
    assert!(stage.hosts.set_link(&Endpoint::Client, &node("n9"), LinkRule::default()).is_err());
}

fn processor_time() -> Duration {
    // SAFETY: all zeroes is a value, and the call fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// A network in which nothing happens costs nothing, not even with a cut in it and bytes held back.
pub fn idle(stage: &Stage) {
    stage.hosts.enter_client_network().expect("entered");
    ["n1", "n2", "n3"].into_iter().for_each(|name| stage.start(name));
    let mut stream = connect(stage, "n1");
    ask(&mut stream, LIMIT, b"x").expect("an answer");
    stage.hosts.set_link(&Endpoint::Client, &node("n1"), cut_rule()).expect("cut");
    stream.write_all(b"held").expect("written");
    let ends = connect(stage, "n2");
    drop(ends);
    let before = processor_time();
    std::thread::sleep(Duration::from_secs(1));
    let spent = processor_time() - before;
    println!("a second of idling: {spent:?}");
    assert!(spent < Duration::from_millis(30), "{spent:?}");
}

pub fn figures(stage: &Stage) {
    println!("{:?} {:?}", stage.chosen.network, stage.chosen.processes);
    stage.hosts.enter_client_network().expect("entered");
    let start = Instant::now();
    stage.start("n1");
    println!("a node answers after {:?}", start.elapsed());
    let mut stream = connect(stage, "n1");
    let mut times: Vec<Duration> = (0..20_000)
        .map(|_| {
            let start = Instant::now();
            ask(&mut stream, LIMIT, b"x").expect("an answer");
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("round trip: p50 {:?}, p99 {:?}", times[10_000], times[19_800]);
    let bytes = 1 << 30;
    let took = pour(stage, bytes);
    println!("throughput: {:.1} Gbit/s", bytes as f64 * 8.0 / took.as_secs_f64() / 1e9);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                stage.hosts.enter_client_network().expect("entered");
                let mut stream = connect(stage, "n1");
                for _ in 0..2000 {
                    ask(&mut stream, LIMIT, &[7; 200]).expect("an answer");
                }
            });
        }
    });
    println!("50 connections: {:.0} requests/s", 100_000.0 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    for _ in 0..1000 {
        ask(&mut connect(stage, "n1"), LIMIT, b"x").expect("an answer");
    }
    println!("new connections: {:?} each", start.elapsed() / 1000);
}
