//! A disk that loses what was not fsynced, as a machine's does when its power goes.
//!
//! ```text
//! node ─▶ FUSE ─▶ backing directory   every write at once
//!           └───▶ ledger              what the last fsync left of each file; a crash puts it back
//! ```
//!
//! SIGKILL alone loses nothing that was handed to the kernel: the page cache survives the process. Here a *crash* takes the mount away, puts back
//! what was not synced, and mounts again with a cold cache. What a process has synced stays, whether or not the real disk has it: only this crash is
//! ever survived, so the real fsync is skipped unless asked for, which also makes the mount quicker than the disk below.
//!
//! What it doesn't do: lose what *was* synced, and write back by itself. A real kernel writes back after half a minute; a database that relies on that
//! loses more here, never less. `sync` and `syncfs` aren't passed on by FUSE and make nothing last. Modes and owners of files last at once.
//!
//! like: LazyFS (prefix, torn writes), CrashMonkey, ALICE (Pillai et al., OSDI 2014, section 2: what file systems may lose).

mod files;
mod inodes;
mod ledger;
mod names;
mod trouble;

#[cfg(test)]
mod model;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fuser::{Config, Session, SessionACL};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use crate::Error;
use files::Files;
use ledger::Ledger;
use names::Names;
use trouble::Trouble;

/// How long a mount may be busy after its last process has gone.
const UNMOUNT_LIMIT: Duration = Duration::from_secs(5);
/// How often it is tried.
const POLL: Duration = Duration::from_millis(1);

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing.
    Lose,
    /// Each 512-byte sector, and each file's length, by chance.
    Torn,
    /// The first of the writes, in their order over all files, up to a point drawn by chance.
    Prefix,
}

/// How a disk behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Options {
    /// What a crash leaves.
    pub mode: Mode,
    /// Whether names that were created, removed or changed since the last fsync of a directory are undone too.
    pub names: bool,
    /// Whether an fsync also waits for the real disk, as long as that takes.
    pub real_fsync: bool,
}

impl std::str::FromStr for Mode {
    type Err = Error;

    fn from_str(word: &str) -> Result<Mode, Error> {
        match word {
            "lose" => Ok(Mode::Lose),
            "torn" => Ok(Mode::Torn),
            "prefix" => Ok(Mode::Prefix),
            other => Err(Error(format!("{other:?} is no way to lose power: it is one of lose, torn, prefix"))),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { mode: Mode::Lose, names: false, real_fsync: false }
    }
}

/// What a crash took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Lost {
    /// Files with anything unsynced.
    pub files: u64,
    /// Blocks of 4 KiB that were unsynced (with [`Mode::Prefix`]: of the writes that were undone).
    pub blocks: u64,
    /// Names that were put back.
    pub names: u64,
}

/// A mounted disk. Dropping it takes the mount away; what it holds stays in the directory below.
pub struct Disk {
    place: PathBuf,
    root: Arc<File>,
    ledger: Arc<Mutex<Ledger>>,
    trouble: Arc<Trouble>,
    options: Options,
    /// The thread that serves the mount, while there is one.
    server: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Disk {
    /// Mounts over a directory, which keeps what is written and shows it again once the disk is dropped.
    ///
    /// # Errors
    ///
    /// There is no such directory, or FUSE is refused.
    pub fn mount(place: &Path, options: Options) -> Result<Disk, Error> {
        let attempt = || format!("mounting a disk at {}", place.display());
        let place = place.canonicalize().map_err(|error| Error::new(attempt(), error))?;
        let root = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&place);
        let root = Arc::new(root.map_err(|error| Error::new(attempt(), error))?);
        let names = Names::new(root.clone(), options.names).map_err(|error| Error::new(attempt(), error))?;
        let ledger = Arc::new(Mutex::new(Ledger::new(names, options.mode == Mode::Prefix)));
        let disk = Disk { place, root, ledger, trouble: Arc::default(), options, server: Mutex::default() };
        disk.serve()?;
        Ok(disk)
    }

    fn serve(&self) -> Result<(), Error> {
        let attempt =
            |error: &dyn std::fmt::Display| Error::new(format!("mounting a disk at {}", self.place.display()), error);
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.map_err(|error| attempt(&format!("/dev/fuse: {error}")))?;
        let kind = self.root.metadata().map_err(|error| attempt(&error))?.mode();
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let fd = device.as_raw_fd();
        let data = format!("fd={fd},rootmode={kind:o},user_id={uid},group_id={gid},allow_other,default_permissions");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("gainsay"), &self.place, Some("fuse.gainsay"), flags, Some(data.as_str()))
            .map_err(|error| attempt(&error.desc()))?;
        let files = Files::new(self.root.clone(), self.ledger.clone(), self.trouble.clone(), self.options.real_fsync);
        let server = Session::from_fd(files, OwnedFd::from(device), SessionACL::All, Config::default())
            .and_then(|session| std::thread::Builder::new().name("disk".to_string()).spawn(move || session.run()));
        match server {
            Ok(server) => {
                *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
                Ok(())
            }
            Err(error) => {
                let _ = umount2(&self.place, MntFlags::MNT_DETACH);
                Err(attempt(&error))
            }
        }
    }

    /// Takes the mount away once nobody uses it. What mapped files still hold in memory is written first, as unsynced as it is.
    fn unmount(&self) -> Result<(), Error> {
        let Some(server) = self.server.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let until = Instant::now() + UNMOUNT_LIMIT;
        let attempt = || format!("taking away the disk at {}", self.place.display());
        while let Err(error) = umount2(&self.place, MntFlags::empty()) {
            if error != nix::Error::EBUSY || Instant::now() >= until {
                // The thread goes on serving whoever is still there.
                let _ = umount2(&self.place, MntFlags::MNT_DETACH);
                return Err(Error::new(attempt(), error.desc()));
            }
            std::thread::sleep(POLL);
        }
        match server.join() {
            Ok(served) => served.map_err(|error| Error::new(attempt(), error)),
            Err(_) => Err(Error::new(attempt(), "its thread panicked")),
        }
    }

    /// The power goes: what was not synced is lost, as the mode says, and the disk is mounted again. Nothing may use it meanwhile.
    ///
    /// # Errors
    ///
    /// Something still uses the disk, or the directory below refuses.
    pub fn crash(&self, seed: u64) -> Result<Lost, Error> {
        self.unmount()?;
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = ledger.crash(self.options.mode, seed);
        drop(ledger);
        let lost = lost.map_err(|error| Error::new(format!("putting back {}", self.place.display()), error));
        self.serve().and(lost)
    }

    /// Lets `change` do what it likes to the directory below while the disk is away; all of it is on the disk afterwards.
    ///
    /// # Errors
    ///
    /// Something still uses the disk, or what `change` says.
    pub fn replace(&self, change: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
        self.unmount()?;
        let changed = change(&self.place);
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = ledger.settle().map_err(|error| Error::new("forgetting what was unsynced", error));
        drop(ledger);
        self.serve().and(settled).and(changed)
    }

    /// Makes every fsync take so much longer, until told otherwise.
    pub fn delay_fsync(&self, delay: Duration) {
        self.trouble.delay(delay);
    }

    /// Makes every fsync fail with EIO, or no longer.
    pub fn fail_fsync(&self, fails: bool) {
        self.trouble.fail(fails);
    }

    /// How many fsyncs were delayed or failed so far.
    pub fn troubled_fsyncs(&self) -> u64 {
        self.trouble.met()
    }

    /// Where it is mounted.
    pub fn place(&self) -> &Path {
        &self.place
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("gainsay: {error}");
        }
    }
}
