//! A clock of its own for each node, by redirecting the vDSO.
//!
//! Programs read the time through a few functions that the kernel maps into every process. The process is stopped at its
//! exec, before its first instruction; a page of code and a page shared with the harness are mapped into it; the symbols
//! of those functions are pointed at the code, which calls the original and adds the offset found on the shared page.
//! Whoever looks the functions up later (libc, Go's runtime, static programs) finds ours. From then on setting a clock is
//! one store.
//!
//! Not redirected: monotonic clocks (on purpose), raw `clock_gettime` system calls, waits until an absolute real time
//! (the kernel measures them by the true clock), timestamps of files, 32-bit programs, and programs that a node executes:
//! forks keep the redirection, `exec` maps a fresh vDSO.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Error;

#[cfg(target_arch = "x86_64")]
mod elf;
#[cfg(target_arch = "x86_64")]
mod hook;
#[cfg(target_arch = "x86_64")]
mod tracee;

/// The size of the shared file: one page.
const PAGE: usize = 4096;
/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;
/// The nanoseconds of the packed offset take so many bits; seconds take the rest.
const NANO_BITS: u32 = 30;
/// A process that shows its clock must be done by then.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// The offset by which `supported` tries the redirection, and how near the answer must be.
const TRIAL: Duration = Duration::from_secs(3_600);

/// An offset that processes share with us through a page of a real file.
///
/// Seconds and nanoseconds are packed into one word, so that a reader never sees half of a change and needs no division.
pub struct ClockPage {
    path: PathBuf,
    word: NonNull<AtomicI64>,
}

// SAFETY: the word is only touched as an atomic, and the mapping lives as long as the page.
unsafe impl Send for ClockPage {}
// SAFETY: as above.
unsafe impl Sync for ClockPage {}

impl ClockPage {
    /// Makes the file (readable by every user, as nodes may run as another) and maps it; the offset is 0.
    pub fn create(path: impl AsRef<Path>) -> Result<ClockPage, Error> {
        let path = path.as_ref();
        let failed = |e: std::io::Error| Error::new(format!("making the clock page {}", path.display()), e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o644);
        let file = options.open(path).map_err(failed)?;
        file.set_len(PAGE as u64).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let size = std::num::NonZeroUsize::new(PAGE).expect("a page is not empty");
        let access = nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE;
        // SAFETY: a fresh shared mapping of a file that is as long as the mapping.
        let mapped =
            unsafe { nix::sys::mman::mmap(None, size, access, nix::sys::mman::MapFlags::MAP_SHARED, &file, 0) };
        let word = mapped.map_err(|e| Error::new(format!("mapping the clock page {}", path.display()), e))?.cast();
        Ok(ClockPage { path, word })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets how many nanoseconds the clocks of all redirected processes are ahead of the true one (behind, if negative).
    pub fn set(&self, offset_ns: i64) {
        let packed = (offset_ns.div_euclid(SECOND) << NANO_BITS) | offset_ns.rem_euclid(SECOND);
        self.word().store(packed, Ordering::Release);
    }

    /// The offset that was last set.
    pub fn get(&self) -> i64 {
        let packed = self.word().load(Ordering::Acquire);
        (packed >> NANO_BITS) * SECOND + (packed & ((1 << NANO_BITS) - 1))
    }

    fn word(&self) -> &AtomicI64 {
        // SAFETY: the mapping is page-aligned, a page long, and lives as long as self.
        unsafe { self.word.as_ref() }
    }
}

impl Drop for ClockPage {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives self. An error would leave one page mapped.
        let _ = unsafe { nix::sys::mman::munmap(self.word.cast(), PAGE) };
    }
}

/// Redirects the clock of a process to a page. The process must be stopped at its exec and traced by the calling
/// thread; it stays stopped, to be detached by the caller.
#[cfg(target_arch = "x86_64")]
pub fn redirect(pid: i32, page: &ClockPage) -> Result<(), Error> {
    let mut tracee = tracee::Tracee::stopped(Pid::from_raw(pid))?;
    let (base, image) = tracee.vdso()?;
    let clocks = elf::Clocks::find(&image).map_err(|why| Error::new(format!("the vDSO of process {pid}"), why))?;
    let data = tracee.map_file(page.path(), PAGE)?;
    let code = tracee.map_code(PAGE)?;
    let built = hook::build(base + clocks.clock_gettime, base + clocks.gettimeofday, data);
    tracee.write(code, &built.bytes)?;
    for symbol in &clocks.symbols {
        let hook = code + built.entry(symbol.clock);
        // Symbols hold offsets from the vDSO's base; the sum wraps around to wherever the code is.
        tracee.write(base + symbol.value_at, &hook.wrapping_sub(base).to_le_bytes())?;
    }
    tracee.restore()
}

/// Redirects the clock of a process to a page.
#[cfg(not(target_arch = "x86_64"))]
pub fn redirect(pid: i32, _page: &ClockPage) -> Result<(), Error> {
    Err(Error::new(format!("redirecting the clock of process {pid}"), "only done on x86_64 so far"))
}

/// Starts a program whose clock is redirected from its first instruction. It runs when this returns.
pub fn spawn(command: &mut Command, page: &ClockPage) -> Result<Child, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    // SAFETY: one system call between fork and exec; it touches no memory.
    unsafe {
        command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from));
    }
    let mut child = command.spawn().map_err(|e| Error::new(format!("starting {name}"), e))?;
    let patched = at_exec(&name, Pid::from_raw(child.id() as i32), page);
    if patched.is_err() {
        // It must not go on with the true clock, nor stay behind as a zombie.
        let _ = child.kill();
        let _ = child.wait();
    }
    patched.map(|()| child)
}

/// Waits for the stop at exec, redirects, lets go.
fn at_exec(name: &str, pid: Pid, page: &ClockPage) -> Result<(), Error> {
    let failed = |e: nix::Error| Error::new(format!("tracing {name}"), e);
    match waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(failed)? {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
        other => return Err(Error::new(format!("tracing {name}"), format!("it did not stop at its exec: {other:?}"))),
    }
    redirect(pid.as_raw(), page)?;
    ptrace::detach(pid, None).map_err(failed)
}

/// Measures by how many nanoseconds the clock of a process redirected to this page is ahead of ours, by starting one.
/// The error of the measurement is at most half of the time that the process takes, a millisecond or so; on a busy machine the quickest of
/// several counts.
pub fn probe(page: &ClockPage) -> Result<i64, Error> {
    let mut best = measure(page)?;
    for _ in 1..MEASUREMENTS {
        if best.1 <= PRECISE_NS {
            break;
        }
        let next = measure(page)?;
        if next.1 < best.1 {
            best = next;
        }
    }
    Ok(best.0)
}

/// How often the clock is measured when the machine is too busy for one measurement to be precise.
const MEASUREMENTS: usize = 6;
/// A process that took no longer than this, in nanoseconds, has measured precisely enough.
const PRECISE_NS: i64 = 20_000_000;

/// One measurement: the offset, and how long the process took.
fn measure(page: &ClockPage) -> Result<(i64, i64), Error> {
    let mut last =
        Error("no program that shows the time in nanoseconds is installed: date and python3 were tried".into());
    for (program, arguments) in SHOW_TIME {
        let before = now();
        let text = match output(program, arguments, page) {
            Ok(text) => text,
            Err(error) => {
                last = error;
                continue;
            }
        };
        let after = now();
        match text.trim().parse::<i64>() {
            Ok(shown) if text.trim().len() >= NANO_DIGITS => {
                return Ok((shown - before - (after - before) / 2, after - before));
            }
            _ => last = Error(format!("{program} showed {:?} for a time in nanoseconds", text.trim())),
        }
    }
    Err(last)
}

/// Programs that print the real time in nanoseconds, the quickest first.
const SHOW_TIME: &[(&str, &[&str])] = &[
    ("/bin/date", &["+%s%N"]),
    ("/usr/bin/date", &["+%s%N"]),
    ("/usr/bin/python3", &["-c", "import time; print(time.time_ns())"]),
    ("python3", &["-c", "import time; print(time.time_ns())"]),
];

/// A time in nanoseconds has this many digits until the year 2286; fewer means that a `date` knows no nanoseconds.
const NANO_DIGITS: usize = 19;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What a redirected program prints, within the limit.
fn output(program: &str, arguments: &[&str], page: &ClockPage) -> Result<String, Error> {
    use std::io::Read as _;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn(&mut command, page)?;
    let deadline = Instant::now() + PROBE_LIMIT;
    let failed = |e: std::io::Error| Error::new(format!("waiting for {program}"), e);
    // A line is far shorter than what a pipe holds, so the program ends without being read.
    while child.try_wait().map_err(failed)?.is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::new(format!("waiting for {program}"), format!("it takes longer than {PROBE_LIMIT:?}")));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let mut text = String::new();
    let mut pipe = child.stdout.take().ok_or_else(|| Error::new(format!("reading {program}"), "no pipe"))?;
    pipe.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Tries a redirection on a real process and says why it does not work, if it does not.
pub fn supported() -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err(format!("clocks are only redirected on x86_64, this machine is {}", std::env::consts::ARCH));
    }
    let dir = tempfile::tempdir().map_err(|e| format!("making a temporary directory: {e}"))?;
    let page = ClockPage::create(dir.path().join("clock")).map_err(|e| e.to_string())?;
    let trial = TRIAL.as_nanos() as i64;
    page.set(trial);
    let seen = probe(&page).map_err(|e| e.to_string())?;
    if seen.abs_diff(trial) < SECOND as u64 {
        return Ok(());
    }
    Err(format!("a process whose clock was set an hour ahead reads {} s ahead", seen / SECOND))
}
