//! What the kernel asks of the file system: everything is done at once in the backing directory, and the ledger keeps what undoes it.
//!
//! No write-back cache (a write is here before its caller goes on) and no direct I/O (SQLite's shared memory is a mapped file). Locks are the
//! kernel's own. What is not here the kernel answers itself: holes, copies within the kernel, extended attributes.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, FileExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::inodes::{Inodes, kind};
use super::ledger::Ledger;
use super::names::{ASIDE, Dir, check, cstring, open_at, path_of};
use super::trouble::{Sync, Trouble};

/// How long the kernel may believe what it was told: nothing changes the files but through it.
const BELIEF: Duration = Duration::from_secs(3_600);
/// There is one generation of inodes: a number is not given twice while the kernel knows it.
const GENERATION: Generation = Generation(0);

/// One mounted disk.
pub(super) struct Files {
    inodes: Mutex<Inodes>,
    ledger: Arc<Mutex<Ledger>>,
    trouble: Arc<Trouble>,
    /// Whether an fsync also waits for the real disk.
    real_fsync: bool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers with what came out.
macro_rules! answer {
    ($reply:ident, $outcome:expr, $value:pat => $well:expr) => {
        match $outcome {
            Ok($value) => $well,
            Err(error) => $reply.error(Errno::from(io::Error::from(error))),
        }
    };
}

impl Files {
    pub(super) fn new(root: Dir, ledger: Arc<Mutex<Ledger>>, trouble: Arc<Trouble>, real_fsync: bool) -> Files {
        Files { inodes: Mutex::new(Inodes::new(root)), ledger, trouble, real_fsync }
    }

    fn inodes(&self) -> MutexGuard<'_, Inodes> {
        held(&self.inodes)
    }

    /// A directory and a name in it, if it may be named at all.
    fn named(&self, parent: INodeNo, name: &OsStr) -> io::Result<(Dir, CString)> {
        if parent == INodeNo::ROOT && name == ASIDE {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        Ok((self.inodes().place(parent)?, cstring(name)?))
    }

    /// Makes something that has no content, notes its name, and looks it up.
    fn make(&self, parent: INodeNo, name: &OsStr, made: impl FnOnce(i32, &CString) -> i32) -> io::Result<FileAttr> {
        let (dir, name) = self.named(parent, name)?;
        check(made(dir.as_raw_fd(), &name))?;
        let mut ledger = held(&self.ledger);
        let number = ledger.number();
        ledger.names.made(number, &dir, &name);
        drop(ledger);
        self.inodes().lookup(&dir, &name)
    }

    fn resize(&self, inode: INodeNo, length: u64) -> io::Result<()> {
        let file = self.inodes().file(inode)?;
        let mut ledger = held(&self.ledger);
        ledger.before_resize(inode.0, &file, length)?;
        file.set_len(length)
    }

    fn change(&self, inode: INodeNo, mode: Option<u32>, owner: (Option<u32>, Option<u32>)) -> io::Result<()> {
        let path = path_of(&*self.inodes().place(inode)?);
        if let Some(mode) = mode {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if owner != (None, None) {
            std::os::unix::fs::chown(&path, owner.0, owner.1)?;
        }
        Ok(())
    }

    fn set_times(&self, inode: INodeNo, read: Option<TimeOrNow>, written: Option<TimeOrNow>) -> io::Result<()> {
        let path = CString::new(path_of(&*self.inodes().place(inode)?)).map_err(io::Error::other)?;
        let times = [timespec(read), timespec(written)];
        // SAFETY: a string that ends with zero and two times, all of which outlive the call.
        check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) })
    }

    /// Whether this fsync succeeds, and what it makes last.
    fn sync(&self, inode: INodeNo, directory: bool) -> io::Result<()> {
        if self.real_fsync {
            let place = self.inodes().place(inode)?;
            File::open(path_of(&place))?.sync_all()?;
        }
        let mut ledger = held(&self.ledger);
        match directory {
            true => ledger.names.synced()?,
            false => ledger.synced(inode.0),
        }
        Ok(())
    }

    /// Answers an fsync, late or with an error if the disk is in trouble. The wait has a thread of its own, so that other requests go on.
    fn answer_sync(&self, inode: INodeNo, directory: bool, reply: ReplyEmpty) {
        match self.trouble.of_sync() {
            Sync::Fails => reply.error(Errno::EIO),
            Sync::Late(delay) => {
                let outcome = self.sync(inode, directory);
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    answer!(reply, outcome, () => reply.ok());
                });
            }
            Sync::Well => answer!(reply, self.sync(inode, directory), () => reply.ok()),
        }
    }

    fn list(&self, inode: INodeNo) -> io::Result<Vec<(u64, FileType, OsString)>> {
        let place = self.inodes().place(inode)?;
        let mut found = vec![
            (inode.0, FileType::Directory, OsString::from(".")),
            (inode.0, FileType::Directory, OsString::from("..")),
        ];
        for entry in std::fs::read_dir(path_of(&place))? {
            let entry = entry?;
            if inode != INodeNo::ROOT || entry.file_name() != ASIDE {
                found.push((entry.ino(), kind(entry.file_type()?), entry.file_name()));
            }
        }
        Ok(found)
    }
}

fn timespec(time: Option<TimeOrNow>) -> libc::timespec {
    let (tv_sec, tv_nsec) = match time {
        None => (0, libc::UTIME_OMIT),
        Some(TimeOrNow::Now) => (0, libc::UTIME_NOW),
        Some(TimeOrNow::SpecificTime(time)) => {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            (since.as_secs() as i64, i64::from(since.subsec_nanos()))
        }
    };
    libc::timespec { tv_sec, tv_nsec }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.named(parent, name).and_then(|(dir, name)| self.inodes().lookup(&dir, &name));
        answer!(reply, found, attributes => reply.entry(&BELIEF, &attributes, GENERATION));
    }

    fn forget(&self, _: &Request, inode: INodeNo, times: u64) {
        let gone = self.inodes().forget(inode, times);
        if let Some(inode) = gone {
            held(&self.ledger).removed(inode);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let stat = self.inodes().stat(inode);
        answer!(reply, stat, attributes => reply.attr(&BELIEF, &attributes));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut done = self.change(inode, mode, (uid, gid));
        if let Some(size) = size {
            done = done.and_then(|()| self.resize(inode, size));
        }
        if atime.is_some() || mtime.is_some() {
            done = done.and_then(|()| self.set_times(inode, atime, mtime));
        }
        let stat = done.and_then(|()| self.inodes().stat(inode));
        answer!(reply, stat, attributes => reply.attr(&BELIEF, &attributes));
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        let target = self.inodes().place(inode).and_then(|place| {
            let mut text = vec![0_u8; libc::PATH_MAX as usize];
            // SAFETY: an empty name means the descriptor itself; the buffer is as long as is said.
            let length =
                unsafe { libc::readlinkat(place.as_raw_fd(), c"".as_ptr(), text.as_mut_ptr().cast(), text.len()) };
            text.truncate(usize::try_from(length).map_err(|_| io::Error::last_os_error())?);
            Ok(OsString::from_vec(text))
        });
        answer!(reply, target, target => reply.data(target.as_bytes()));
    }

    fn mknod(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32, reply: ReplyEntry) {
        // SAFETY: a descriptor that is open and a string that ends with zero.
        let made = self.make(parent, name, |dir, name| unsafe {
            libc::mknodat(dir, name.as_ptr(), mode & !umask, libc::dev_t::from(rdev))
        });
        answer!(reply, made, attributes => reply.entry(&BELIEF, &attributes, GENERATION));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.named(parent, name).and_then(|(dir, name)| {
            // SAFETY: as above.
            check(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode & !umask) })?;
            let mut ledger = held(&self.ledger);
            let number = ledger.number();
            ledger.names.made_dir(number, &dir, &name);
            drop(ledger);
            self.inodes().lookup(&dir, &name)
        });
        answer!(reply, made, attributes => reply.entry(&BELIEF, &attributes, GENERATION));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.remove(parent, name, false), () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.remove(parent, name, true), () => reply.ok());
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let made = cstring(target.as_os_str()).and_then(|target| {
            // SAFETY: as above.
            self.make(parent, name, |dir, name| unsafe { libc::symlinkat(target.as_ptr(), dir, name.as_ptr()) })
        });
        answer!(reply, made, attributes => reply.entry(&BELIEF, &attributes, GENERATION));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let done = self.named(parent, name).and_then(|from| {
            let to = self.named(new_parent, new_name)?;
            let mut ledger = held(&self.ledger);
            let number = ledger.number();
            ledger.names.rename(number, (&from.0, &from.1), (&to.0, &to.1), flags.bits())
        });
        answer!(reply, done, () => reply.ok());
    }

    fn link(&self, _: &Request, inode: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let place =
            self.inodes().place(inode).and_then(|place| cstring(OsStr::new(&path_of(&place))).map(|at| (place, at)));
        let made = place.and_then(|(_held, at)| {
            // SAFETY: as above; following leads from the link in /proc to what is held open.
            self.make(parent, name, |dir, name| unsafe {
                libc::linkat(libc::AT_FDCWD, at.as_ptr(), dir, name.as_ptr(), libc::AT_SYMLINK_FOLLOW)
            })
        });
        answer!(reply, made, attributes => reply.entry(&BELIEF, &attributes, GENERATION));
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let opened = self.inodes().open(inode, writes);
        answer!(reply, opened, () => reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let created = self.named(parent, name).and_then(|(dir, name)| {
            let exclusive = flags & libc::O_EXCL;
            let file = open_at(&dir, &name, libc::O_RDWR | libc::O_CREAT | exclusive, mode & !umask)?;
            let mut ledger = held(&self.ledger);
            let number = ledger.number();
            ledger.names.made(number, &dir, &name);
            drop(ledger);
            self.inodes().created(&dir, &name, file)
        });
        let flags = FopenFlags::FOPEN_KEEP_CACHE;
        answer!(reply, created, attributes => reply.created(&BELIEF, &attributes, GENERATION, FileHandle(0), flags));
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = self.inodes().file(inode);
        let content = file.and_then(|file| {
            let mut content = vec![0; size as usize];
            let mut filled = 0;
            while filled < content.len() {
                match file.read_at(&mut content[filled..], offset + filled as u64)? {
                    0 => break,
                    more => filled += more,
                }
            }
            content.truncate(filled);
            Ok(content)
        });
        answer!(reply, content, content => reply.data(&content));
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let file = self.inodes().file(inode);
        let written = file.and_then(|file| {
            let mut ledger = held(&self.ledger);
            ledger.before_write(inode.0, &file, offset, data.len() as u64)?;
            file.write_all_at(data, offset)
        });
        answer!(reply, written, () => reply.written(data.len() as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.inodes().release(inode);
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.answer_sync(inode, false, reply);
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.answer_sync(inode, true, reply);
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        answer!(reply, self.list(inode), found => {
            for (at, (inode, kind, name)) in found.into_iter().enumerate().skip(offset as usize) {
                if reply.add(INodeNo(inode), at as u64 + 1, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let root = self.inodes().place(INodeNo::ROOT);
        let stat = root.and_then(|root| nix::sys::statvfs::statvfs(path_of(&root).as_str()).map_err(io::Error::from));
        answer!(reply, stat, stat => {
            let (size, names) = (stat.fragment_size() as u32, stat.name_max() as u32);
            let (blocks, free, available) = (stat.blocks(), stat.blocks_free(), stat.blocks_available());
            reply.statfs(blocks, free, available, stat.files(), stat.files_free(), size, names, size);
        });
    }

    fn fallocate(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let done = self.inodes().file(inode).and_then(|file| {
            let keep = libc::FALLOC_FL_KEEP_SIZE;
            let mut ledger = held(&self.ledger);
            match mode {
                0 => ledger.before_resize(inode.0, &file, offset.saturating_add(length).max(file.metadata()?.len()))?,
                mode if mode == keep => {}
                mode if mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) != 0 => {
                    ledger.before_write(inode.0, &file, offset, length)?;
                }
                _ => return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
            }
            // SAFETY: a descriptor that is open, and plain values.
            check(unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as i64, length as i64) })
        });
        answer!(reply, done, () => reply.ok());
    }
}

impl Files {
    fn remove(&self, parent: INodeNo, name: &OsStr, directory: bool) -> io::Result<()> {
        let (dir, name) = self.named(parent, name)?;
        let mut ledger = held(&self.ledger);
        let number = ledger.number();
        ledger.names.remove(number, &dir, &name, directory)
    }
}
