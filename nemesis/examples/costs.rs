//! What redirection costs a program: the start of one, and a connect of one. Prints figures; `cargo run --release --example costs`.

use std::net::{SocketAddrV4, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gainsay_nemesis::vdso::{self, ClockPage};
use gainsay_nemesis::{Error, seccomp};

/// How many programs are started, and how many connections made.
const STARTS: u32 = 300;
const CONNECTS: u32 = 2_000;

fn main() -> Result<(), Error> {
    let dir = tempfile::tempdir().map_err(|error| Error::new("making a directory", error))?;
    let page = ClockPage::create(dir.path().join("clock"))?;
    println!("start and end of a program, plain: {:?}", starts(spawned)?);
    println!("start and end of a program, clock redirected: {:?}", starts(|command| vdso::spawn(command, &page))?);
    connects()
}

fn spawned(command: &mut Command) -> Result<std::process::Child, Error> {
    command.spawn().map_err(|error| Error::new("starting true", error))
}

fn starts(start: impl Fn(&mut Command) -> Result<std::process::Child, Error>) -> Result<Duration, Error> {
    let begun = Instant::now();
    for _ in 0..STARTS {
        start(&mut Command::new("true"))?.wait().map_err(|error| Error::new("waiting for true", error))?;
    }
    Ok(begun.elapsed() / STARTS)
}

fn connects() -> Result<(), Error> {
    let failed = |error| Error::new("listening", error);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let there = SocketAddrV4::new([127, 0, 0, 1].into(), port);
    let script = format!(
        "import socket, time\na = time.monotonic()\nfor _ in range({CONNECTS}): socket.create_connection(('127.0.0.1', {port})).close()\n\
         print(f'{{(time.monotonic() - a) / {CONNECTS} * 1e6:.1f}} us')"
    );
    let mut plain = Command::new("python3");
    plain.args(["-c", &script]).stdout(Stdio::inherit());
    println!("connect, plain, then asked about and let through:");
    spawned(&mut plain)?.wait().map_err(|error| Error::new("waiting for python3", error))?;
    let mut asked = Command::new("python3");
    asked.args(["-c", &script]).stdout(Stdio::inherit());
    let (mut child, _server) = seccomp::spawn(&mut asked, move |meant| if meant == there { meant } else { there })?;
    child.wait().map_err(|error| Error::new("waiting for python3", error))?;
    Ok(())
}
