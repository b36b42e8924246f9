//! Names that are not on the disk: created, removed and renamed since a directory was last synced. Off unless asked for.
//!
//! POSIX promises a name only after an fsync of its directory. File systems with a journal commit all names together and in order, so here too
//! an fsync of *any* directory makes every change up to now last. What is removed or replaced is moved aside instead, so that it can return.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Where removed things wait, in the root of the backing directory; never shown.
pub(super) const ASIDE: &str = ".gainsay-removed";

/// A directory, held open.
pub(super) type Dir = Arc<File>;

/// One change, with what undoes it.
enum Change {
    /// A file, link or node: to be removed.
    Made { dir: Dir, name: CString },
    /// A directory: to be removed.
    MadeDir { dir: Dir, name: CString },
    /// A thing that waits aside: to be moved back.
    Removed { dir: Dir, name: CString, aside: CString },
    /// To be renamed back.
    Renamed { from: (Dir, CString), to: (Dir, CString) },
}

/// The changes in their order.
pub(super) struct Names {
    root: Dir,
    /// Where things wait; absent when names last at once.
    aside: Option<Dir>,
    changes: Vec<(u64, Change)>,
    moved: u64,
}

impl Names {
    /// Keeps the changes below `root` if `undone`.
    pub(super) fn new(root: Dir, undone: bool) -> io::Result<Names> {
        let aside = match undone {
            false => None,
            true => {
                let name = cstring(OsStr::new(ASIDE))?;
                // SAFETY: a descriptor that is open and a string that ends with zero.
                match check(unsafe { libc::mkdirat(root.as_raw_fd(), name.as_ptr(), 0o700) }) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => Some(Arc::new(open_dir(&root, &name)?)),
                }
            }
        };
        Ok(Names { root, aside, changes: Vec::new(), moved: 0 })
    }

    /// Notes a new file, link or node.
    pub(super) fn made(&mut self, number: u64, dir: &Dir, name: &CString) {
        self.note(number, || Change::Made { dir: dir.clone(), name: name.clone() });
    }

    /// Notes a new directory.
    pub(super) fn made_dir(&mut self, number: u64, dir: &Dir, name: &CString) {
        self.note(number, || Change::MadeDir { dir: dir.clone(), name: name.clone() });
    }

    fn note(&mut self, number: u64, change: impl FnOnce() -> Change) {
        if self.aside.is_some() {
            self.changes.push((number, change()));
        }
    }

    /// Removes a name; what it named waits aside.
    pub(super) fn remove(&mut self, number: u64, dir: &Dir, name: &CString, directory: bool) -> io::Result<()> {
        let Some(aside) = self.aside.clone() else {
            let flags = if directory { libc::AT_REMOVEDIR } else { 0 };
            // SAFETY: as above.
            return check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), flags) });
        };
        if directory && !is_empty(dir, name)? {
            return Err(io::Error::from_raw_os_error(libc::ENOTEMPTY));
        }
        self.moved += 1;
        let place = CString::new(self.moved.to_string()).map_err(io::Error::other)?;
        rename(dir, name, &aside, &place, 0)?;
        self.changes.push((number, Change::Removed { dir: dir.clone(), name: name.clone(), aside: place }));
        Ok(())
    }

    /// Renames; what it replaces waits aside.
    pub(super) fn rename(
        &mut self,
        number: u64,
        from: (&Dir, &CString),
        to: (&Dir, &CString),
        flags: u32,
    ) -> io::Result<()> {
        if self.aside.is_none() {
            return rename(from.0, from.1, to.0, to.1, flags);
        }
        if flags & libc::RENAME_EXCHANGE != 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let (source, target) = (kind(from.0, from.1)?, kind(to.0, to.1));
        let replaces = target.is_ok();
        if let Ok(target) = target {
            if flags & libc::RENAME_NOREPLACE != 0 {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            if target.inode == source.inode {
                return Ok(());
            }
            match (source.directory, target.directory) {
                (true, false) => return Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
                (false, true) => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
                _ => self.remove(number, to.0, to.1, target.directory)?,
            }
        }
        if let Err(error) = rename(from.0, from.1, to.0, to.1, 0) {
            // Into itself, for instance: then nothing is replaced either.
            if replaces && let Some((_, removed)) = self.changes.pop() {
                self.undo(removed)?;
            }
            return Err(error);
        }
        let (from, to) = ((from.0.clone(), from.1.clone()), (to.0.clone(), to.1.clone()));
        self.changes.push((number, Change::Renamed { from, to }));
        Ok(())
    }

    /// All names are on the disk.
    pub(super) fn synced(&mut self) -> io::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.changes.clear();
        self.empty_aside()
    }

    /// Undoes every change with a greater number, the last first; returns how many.
    pub(super) fn undo_after(&mut self, number: u64) -> io::Result<u64> {
        let mut undone = 0;
        while let Some((_, change)) = self.changes.pop_if(|(of, _)| *of > number) {
            self.undo(change)?;
            undone += 1;
        }
        self.synced()?;
        Ok(undone)
    }

    fn undo(&self, change: Change) -> io::Result<()> {
        match change {
            // SAFETY: as above.
            Change::Made { dir, name } => check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), 0) }),
            Change::MadeDir { dir, name } => {
                // SAFETY: as above.
                check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) })
            }
            Change::Removed { dir, name, aside } => match &self.aside {
                Some(from) => rename(from, &aside, &dir, &name, 0),
                None => Ok(()),
            },
            Change::Renamed { from, to } => rename(&to.0, &to.1, &from.0, &from.1, 0),
        }
    }

    /// Forgets what waits aside.
    fn empty_aside(&self) -> io::Result<()> {
        let Some(aside) = &self.aside else { return Ok(()) };
        let path = path_of(aside);
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            // A directory was empty when it was moved here.
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if self.aside.is_some() {
            // Left behind it would only be an odd directory in the run's own.
            let _ = self.empty_aside();
            let name = cstring(OsStr::new(ASIDE));
            // SAFETY: as above.
            let _ =
                name.map(|name| unsafe { libc::unlinkat(self.root.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) });
        }
    }
}

/// What a name stands for.
struct Kind {
    inode: u64,
    directory: bool,
}

fn kind(dir: &Dir, name: &CString) -> io::Result<Kind> {
    // SAFETY: plain data for which all zeroes is a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: as above, and `stat` outlives the call.
    check(unsafe { libc::fstatat(dir.as_raw_fd(), name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW) })?;
    Ok(Kind { inode: stat.st_ino, directory: stat.st_mode & libc::S_IFMT == libc::S_IFDIR })
}

fn is_empty(dir: &Dir, name: &CString) -> io::Result<bool> {
    let opened = open_dir(dir, name)?;
    Ok(std::fs::read_dir(path_of(&opened))?.next().is_none())
}

fn rename(from: &Dir, name: &CString, to: &Dir, new: &CString, flags: u32) -> io::Result<()> {
    // SAFETY: two descriptors that are open, two strings that end with zero.
    check(unsafe { libc::renameat2(from.as_raw_fd(), name.as_ptr(), to.as_raw_fd(), new.as_ptr(), flags) })
}

/// Opens a directory as a place for names alone.
pub(super) fn open_dir(dir: &File, name: &CString) -> io::Result<File> {
    open_at(dir, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
}

/// Opens or creates `name` within `dir`.
pub(super) fn open_at(dir: &File, name: &CString, flags: i32, mode: u32) -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: as above.
    let fd = unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
    check(fd)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// The path by which the kernel finds what a descriptor holds open, whatever is mounted above it.
pub(super) fn path_of(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A name as system calls take it.
pub(super) fn cstring(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(io::Error::other)
}

/// The error of a system call that returned less than zero.
pub(super) fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
