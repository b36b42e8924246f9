//! A harness as small as can be, which the tests of the container execute, look at and kill.
//!
//! `contained PROCESSES SCRIPT...`: enters the container, then plays `SCRIPT`, one word after the other:
//! `tree` leaves a worker, a daemon that forked twice and a process in a group of its own; `exit=N` ends with N;
//! `signal=N` kills itself; `count` prints each SIGINT and SIGTERM it gets; `wait` waits for ever; `stubborn` starts a
//! child that ignores SIGTERM.

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use gainsay_nemesis::backends::{Wanted, choose, enter, probe};

static SEEN: [AtomicI32; 32] = [const { AtomicI32::new(0) }; 32];

extern "C" fn count(signal: i32) {
    SEEN[signal as usize].fetch_add(1, Ordering::SeqCst);
}

fn main() {
    let mut words = std::env::args().skip(1);
    let processes = words.next().expect("PROCESSES");
    let tag = words.next().expect("TAG");
    let wanted = Wanted { processes: processes.parse().expect("a choice of processes"), ..Wanted::default() };
    let chosen = choose(wanted, &probe()).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(99)
    });
    enter(&chosen).expect("entered");
    for word in words {
        play(&word, &tag);
    }
}

fn play(word: &str, tag: &str) {
    match word.split_once('=').unwrap_or((word, "")) {
        ("tree", _) => tree(tag),
        ("exit", code) => std::process::exit(code.parse().expect("a number")),
        ("signal", number) => {
            // SAFETY: no pointers.
            unsafe { libc::raise(number.parse().expect("a number")) };
        }
        ("count", _) => count_signals(),
        ("wait", _) => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        (other, _) => panic!("no such word: {other}"),
    }
    // A closed pipe is no reason to end: the tests kill readers, too.
    let _ = writeln!(std::io::stdout(), "{word} done");
    let _ = std::io::stdout().flush();
}

fn tree(tag: &str) {
    let sleeper = format!("exec -a {tag} sleep 1000");
    let scripts = [
        format!("{sleeper} & wait"),
        format!("setsid bash -c '({sleeper}) & (setsid bash -c \"{sleeper}\" &) ; exit 0' &"),
        format!("set -m; ({sleeper}) & wait"),
    ];
    for script in scripts {
        let shell = Command::new("bash").args(["-c", &script]).spawn().expect("bash starts");
        // The container reaps it, which is what is tested.
        std::mem::forget(shell);
    }
}

fn count_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler adds to an atomic and nothing else.
        unsafe { libc::signal(signal, count as *const () as libc::sighandler_t) };
    }
    println!("counting");
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let seen = |signal: i32| SEEN[signal as usize].load(Ordering::SeqCst);
    println!("int={} term={} hup={}", seen(libc::SIGINT), seen(libc::SIGTERM), seen(libc::SIGHUP));
}
