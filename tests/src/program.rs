//! The program under test, started and watched.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::leftovers;

/// No run of a test lasts longer.
pub const LIMIT: Duration = Duration::from_secs(90);
/// How often an end is looked for.
const POLL: Duration = Duration::from_millis(10);

/// What is to be started.
pub struct Program {
    command: Command,
    store: PathBuf,
}

impl Program {
    /// `program` with `args`, to keep its runs in `store`.
    pub fn new<S: AsRef<str>>(program: &Path, store: &Path, args: impl IntoIterator<Item = S>) -> Program {
        let mut command = Command::new(program);
        command.args(args.into_iter().map(|arg| arg.as_ref().to_string()));
        // The marker by which every process of the run is found, however it changes its name, parent and session.
        command.env("GAINSAY_TEST", store).env("GAINSAY_STORE", store).env_remove("NO_COLOR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).current_dir(store);
        Program { command, store: store.to_path_buf() }
    }

    /// Adds a variable to its environment.
    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.command.env(name, value);
        self
    }

    /// Starts it in another directory.
    pub fn directory(mut self, dir: &Path) -> Program {
        self.command.current_dir(dir);
        self
    }

    /// Runs it as another user. Only root can.
    pub fn user(mut self, id: u32) -> Program {
        self.command.uid(id).gid(id).env("HOME", &self.store);
        self
    }

    /// Gives it a standard output that nobody reads.
    pub fn stdout(mut self, to: Stdio) -> Program {
        self.command.stdout(to);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("the program can be started");
        let stderr = Lines::follow(child.stderr.take());
        let stdout = Lines::follow(child.stdout.take());
        Running { child, stdout, stderr, began: Instant::now() }
    }
}

/// A running program. Dropping it kills it.
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    began: Instant,
}

impl Running {
    /// The process that was started.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process numbers fit")
    }

    /// Sends a signal to the process that was started, as `kill` in a shell does.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child is not reaped yet, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0, "signal {signal} can be sent");
    }

    /// Waits until a line on stderr contains `text`.
    pub fn says(&self, text: &str) -> String {
        self.stderr.wait_for(text, LIMIT).unwrap_or_else(|seen| panic!("stderr never said {text:?}, but:\n{seen}"))
    }

    /// Waits until a line on stdout contains `text`.
    pub fn prints(&self, text: &str) -> String {
        self.stdout.wait_for(text, LIMIT).unwrap_or_else(|seen| {
            panic!("stdout never said {text:?}, but:\n{seen}\nand stderr:\n{}", self.stderr.text())
        })
    }

    /// Waits until it ends.
    pub fn wait(mut self) -> Ended {
        let deadline = self.began + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end within {LIMIT:?}; stderr:\n{}", self.stderr.text());
            std::thread::sleep(POLL);
        };
        self.stdout.finish();
        self.stderr.finish();
        Ended {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            took: self.began.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // What else it left is for the scene to end, after the test has looked for it.
        let _ = self.child.wait();
    }
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ended {
    /// Fails unless the exit code is this one.
    pub fn exits(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "exit code; stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless stderr contains each of `texts`.
    pub fn says(self, texts: &[&str]) -> Ended {
        for text in texts {
            assert!(self.stderr.contains(text), "stderr says {text:?}; it says:\n{}", self.stderr);
        }
        self
    }
}

/// The lines of a stream, read as they come.
struct Lines {
    shared: Arc<(Mutex<(String, bool)>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn follow(stream: Option<impl Read + Send + 'static>) -> Lines {
        let shared = Arc::new((Mutex::new((String::new(), stream.is_none())), Condvar::new()));
        let theirs = shared.clone();
        let thread = stream.map(|stream| {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = Vec::new();
                loop {
                    line.clear();
                    let read = reader.read_until(b'\n', &mut line).unwrap_or(0);
                    let mut seen = theirs.0.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.0.push_str(&String::from_utf8_lossy(&line));
                    seen.1 = read == 0;
                    theirs.1.notify_all();
                    if read == 0 {
                        break;
                    }
                }
            })
        });
        Lines { shared, thread }
    }

    fn text(&self) -> String {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The first line that contains `text`; all that was seen, if none comes.
    fn wait_for(&self, text: &str, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        let mut seen = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = seen.0.lines().find(|line| line.contains(text)) {
                return Ok(line.to_string());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if seen.1 || left.is_zero() {
                return Err(seen.0.clone());
            }
            seen = self.shared.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn finish(&mut self) {
        // Whoever holds the stream open after the program's end is a leftover; a test for those must not hang on it.
        let deadline = Instant::now() + leftovers::VANISH_LIMIT;
        let mut seen = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !seen.1 && Instant::now() < deadline {
            seen = self.shared.1.wait_timeout(seen, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        let ended = seen.1;
        drop(seen);
        if let (true, Some(thread)) = (ended, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
