//! Real programs whose connections are sent elsewhere. A program that is not installed is skipped aloud.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gainsay_nemesis::seccomp::{self, Server};

/// No test waits longer.
const LIMIT: Duration = Duration::from_secs(20);

/// An address of the loopback network at which nobody listens.
const MEANT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 9, 2, 2), 7001);

/// Greets everybody who connects, until the test ends.
fn greeter() -> SocketAddrV4 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let SocketAddr::V4(address) = listener.local_addr().expect("bound") else { panic!("IPv4 was asked for") };
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"hello");
        }
    });
    address
}

/// A port whose queue is full: a connect to it hangs.
fn hanging() -> (TcpListener, Vec<std::net::TcpStream>, SocketAddrV4) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    // SAFETY: changes the backlog of a listening socket.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let SocketAddr::V4(address) = listener.local_addr().expect("bound") else { panic!("IPv4 was asked for") };
    let mut fill = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address.into(), Duration::from_millis(200)) {
        fill.push(stream);
        assert!(fill.len() < 10, "the queue never fills");
    }
    (listener, fill, address)
}

fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if !there {
        eprintln!("skipped: no {program}");
    }
    there
}

/// Starts a program under a map that knows one address.
fn start(program: &str, arguments: &[&str], to: SocketAddrV4) -> (Child, Server) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    seccomp::spawn(&mut command, move |meant| if meant == MEANT { to } else { meant }).expect("it starts")
}

/// What a program prints under the map.
fn output(program: &str, arguments: &[&str], to: SocketAddrV4) -> String {
    let (mut child, server) = start(program, arguments, to);
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().expect("it is ours").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{program} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    assert_eq!(server.failure(), None);
    text.trim().to_string()
}

fn python(script: &str, to: SocketAddrV4) -> Option<String> {
    has("python3").then(|| output("python3", &["-c", script], to))
}

#[test]
fn this_machine_is_asked_by_doing() {
    assert_eq!(seccomp::supported(), Ok(()));
}

#[test]
fn a_blocking_client_arrives_where_the_map_says() {
    let script = "import socket; s = socket.create_connection(('127.9.2.2', 7001)); print(s.recv(9).decode())";
    if let Some(said) = python(script, greeter()) {
        assert_eq!(said, "hello");
    }
}

#[test]
fn a_non_blocking_client_stays_non_blocking() {
    let script = "
import errno, select, socket
s = socket.socket(); s.setblocking(False)
began = s.connect_ex(('127.9.2.2', 7001))
select.select([], [s], [], 5)
s.setblocking(True)
print(began in (0, errno.EINPROGRESS), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.recv(9).decode())";
    if let Some(said) = python(script, greeter()) {
        assert_eq!(said, "True 0 hello");
    }
}

#[test]
fn a_socket_for_both_families_is_redirected() {
    let script = "
import socket
s = socket.socket(socket.AF_INET6); s.connect(('::ffff:127.9.2.2', 7001)); print(s.recv(9).decode())";
    if let Some(said) = python(script, greeter()) {
        assert_eq!(said, "hello");
    }
}

#[test]
fn threads_and_children_are_redirected_too() {
    let script = "
import os, socket, subprocess, sys, threading
code = 'import socket; s = socket.create_connection((\"127.9.2.2\", 7001)); print(s.recv(9).decode(), flush=True)'
t = threading.Thread(target=lambda: exec(code)); t.start(); t.join()
subprocess.run([sys.executable, '-c', code])";
    if let Some(said) = python(script, greeter()) {
        assert_eq!(said, "hello\nhello");
    }
}

#[test]
fn errors_are_those_of_the_place_that_is_really_connected_to() {
    let nobody = SocketAddrV4::new(Ipv4Addr::new(127, 9, 9, 9), 7009);
    let script = "
import errno, socket
print(errno.errorcode[socket.socket().connect_ex(('127.9.2.2', 7001))])
print(errno.errorcode[socket.socket(socket.AF_UNIX).connect_ex('/no/such/socket')])
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('127.9.2.2', 7001)); print(u.getpeername()[0])";
    if let Some(said) = python(script, nobody) {
        assert_eq!(said, "ECONNREFUSED\nENOENT\n127.9.2.2");
    }
}

#[test]
fn what_the_map_does_not_know_goes_its_own_way() {
    let there = greeter();
    let script =
        format!("import socket; print(socket.create_connection(('127.0.0.1', {})).recv(9).decode())", there.port());
    if let Some(said) = python(&script, MEANT) {
        assert_eq!(said, "hello");
    }
}

#[test]
fn an_event_loop_is_redirected() {
    if has("node") {
        let script =
            "require('net').connect(7001, '127.9.2.2').on('data', d => { console.log(`${d}`); process.exit() })";
        assert_eq!(output("node", &["-e", script], greeter()), "hello");
    }
}

#[test]
fn a_process_killed_in_a_hanging_connect_leaves_no_connect_behind() {
    if !has("python3") {
        return;
    }
    let (_listener, _fill, there) = hanging();
    let script = "import socket; print('now', flush=True); socket.socket().connect(('127.9.2.2', 7001))";
    let (mut child, server) = start("python3", &["-c", script], there);
    let mut line = [0; 4];
    child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("it says that it connects");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(child.try_wait().expect("it is ours"), None, "the connect does not hang");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(threads_named("connect"), 0, "a thread still connects for the dead");
}

/// How many threads of this process have a name. Other tests connect for a moment only, so the least of a while counts.
fn threads_named(name: &str) -> usize {
    let count = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("procfs").flatten();
        tasks.filter(|t| std::fs::read_to_string(t.path().join("comm")).is_ok_and(|comm| comm.trim() == name)).count()
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut least = count();
    while least > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
        least = least.min(count());
    }
    least
}

#[test]
fn a_client_stopped_in_a_hanging_connect_goes_on_with_it() {
    if !has("python3") {
        return;
    }
    let (listener, _fill, there) = hanging();
    let script = "
import socket
print('now', flush=True)
s = socket.socket(); s.connect(('127.9.2.2', 7001)); print(s.recv(9).decode())";
    let (mut child, _server) = start("python3", &["-c", script], there);
    let mut line = [0; 4];
    child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("it says that it connects");
    std::thread::sleep(Duration::from_millis(200));
    let signal = |signal| {
        // SAFETY: signals a child of ours that was not waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    };
    signal(libc::SIGSTOP);
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it exists");
    let deadline = Instant::now() + LIMIT;
    while !stat().contains(") T ") {
        assert!(Instant::now() < deadline, "a process in a redirected connect cannot be stopped");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"hello");
        }
    });
    // The kernel sends its next attempt within about a second, so the connection stands while the client is stopped.
    std::thread::sleep(Duration::from_millis(1_500));
    signal(libc::SIGCONT);
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it is ours").success());
    assert_eq!(said.trim(), "hello");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_node_can_have_a_clock_and_connections_of_its_own_at_once() {
    use std::os::unix::process::CommandExt as _;

    use gainsay_nemesis::vdso::{self, ClockPage};
    if !has("python3") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let page = ClockPage::create(dir.path().join("clock")).expect("a clock page");
    page.set(-3_600_000_000_000);
    let there = greeter();
    let redirect = seccomp::Redirect::prepare().expect("a pair of sockets");
    let installer = redirect.installer();
    let script = "import socket, time; s = socket.create_connection(('127.9.2.2', 7001)); print(s.recv(9).decode(), int(time.time()))";
    // python3 may be a script that executes another program, which would lose its clock: ask for the real one.
    let real = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().expect("python3");
    let mut direct = Command::new(String::from_utf8(real.stdout).expect("a path").trim());
    direct.args(["-c", script]).stdout(Stdio::piped());
    // SAFETY: the installer is async-signal-safe.
    unsafe { direct.pre_exec(move || installer.install_in_child()) };
    let mut child = vdso::spawn(&mut direct, &page).expect("it starts");
    let _server = redirect.listener().and_then(|fd| seccomp::serve(fd, move |to| if to == MEANT { there } else { to }));
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it is ours").success());
    let (greeting, time) = said.trim().split_once(' ').expect("two words");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert_eq!(greeting, "hello");
    assert!((now - 3_600).abs_diff(time.parse().expect("seconds")) <= 2, "{said}");
}
