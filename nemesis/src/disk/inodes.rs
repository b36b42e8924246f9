//! Which inode is which file of the backing directory. The kernel names files by number, so each one it knows is held open (`O_PATH`), which also keeps
//! the number from being given to another file. The numbers are those of the backing file system.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};

use super::names::{Dir, open_at, path_of};

/// A file that the kernel knows.
struct Inode {
    /// Holds it, whatever it is.
    place: Dir,
    /// To read and write it; absent while nobody has it open.
    file: Option<Arc<File>>,
    /// How many hold it open.
    opened: u64,
    /// How many times the kernel was told of it.
    known: u64,
}

/// All files that the kernel knows.
pub(super) struct Inodes {
    root: Dir,
    inodes: HashMap<u64, Inode>,
}

fn stale() -> io::Error {
    io::Error::from_raw_os_error(libc::ESTALE)
}

impl Inodes {
    /// Knows the root alone.
    pub(super) fn new(root: Dir) -> Inodes {
        Inodes { root, inodes: HashMap::new() }
    }

    /// What holds a file.
    pub(super) fn place(&self, inode: INodeNo) -> io::Result<Dir> {
        match inode {
            INodeNo::ROOT => Ok(self.root.clone()),
            INodeNo(number) => self.inodes.get(&number).map(|inode| inode.place.clone()).ok_or_else(stale),
        }
    }

    /// What stat says of a file.
    pub(super) fn stat(&self, inode: INodeNo) -> io::Result<FileAttr> {
        attributes(inode, &*self.place(inode)?)
    }

    /// Finds a name and remembers that the kernel knows it.
    pub(super) fn lookup(&mut self, dir: &Dir, name: &CString) -> io::Result<FileAttr> {
        let place = open_at(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        self.learn(place)
    }

    fn learn(&mut self, place: File) -> io::Result<FileAttr> {
        let number = place.metadata()?.ino();
        let known = Inode { place: Arc::new(place), file: None, opened: 0, known: 0 };
        let inode = self.inodes.entry(number).or_insert(known);
        inode.known += 1;
        attributes(INodeNo(number), &inode.place)
    }

    /// Remembers a file that has just been made, open to read and write.
    pub(super) fn created(&mut self, dir: &Dir, name: &CString, file: File) -> io::Result<FileAttr> {
        let attributes = self.lookup(dir, name)?;
        if let Some(inode) = self.inodes.get_mut(&attributes.ino.0) {
            inode.file.get_or_insert_with(|| Arc::new(file));
            inode.opened += 1;
        }
        Ok(attributes)
    }

    /// The kernel forgets so many times. The file's number if nothing of it is left.
    pub(super) fn forget(&mut self, inode: INodeNo, times: u64) -> Option<u64> {
        let known = self.inodes.get_mut(&inode.0)?;
        known.known = known.known.saturating_sub(times);
        if known.known > 0 {
            return None;
        }
        let gone = self.inodes.remove(&inode.0)?;
        gone.place.metadata().is_ok_and(|stat| stat.nlink() == 0).then_some(inode.0)
    }

    /// Opens a file; a file that must not be written is opened to be read.
    pub(super) fn open(&mut self, inode: INodeNo, writes: bool) -> io::Result<()> {
        let known = self.inodes.get_mut(&inode.0).ok_or_else(stale)?;
        if known.file.is_none() {
            let path = path_of(&known.place);
            let file = match OpenOptions::new().read(true).write(true).open(&path) {
                Err(_) if !writes => File::open(&path)?,
                other => other?,
            };
            known.file = Some(Arc::new(file));
        }
        known.opened += 1;
        Ok(())
    }

    /// One that held it open lets go.
    pub(super) fn release(&mut self, inode: INodeNo) {
        if let Some(known) = self.inodes.get_mut(&inode.0) {
            known.opened = known.opened.saturating_sub(1);
            if known.opened == 0 {
                known.file = None;
            }
        }
    }

    /// A file to read and write, opened for this once if nobody has it open.
    pub(super) fn file(&self, inode: INodeNo) -> io::Result<Arc<File>> {
        let known = self.inodes.get(&inode.0).ok_or_else(stale)?;
        match &known.file {
            Some(file) => Ok(file.clone()),
            None => OpenOptions::new().read(true).write(true).open(path_of(&known.place)).map(Arc::new),
        }
    }
}

fn attributes(inode: INodeNo, place: &File) -> io::Result<FileAttr> {
    let stat = place.metadata()?;
    let time = |seconds: i64, nanos: i64| {
        let of_second = Duration::from_nanos(nanos.unsigned_abs());
        match u64::try_from(seconds) {
            Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + of_second,
            Err(_) => {
                UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())).unwrap_or(UNIX_EPOCH) + of_second
            }
        }
    };
    let changed: SystemTime = time(stat.ctime(), stat.ctime_nsec());
    Ok(FileAttr {
        ino: inode,
        size: stat.size(),
        blocks: stat.blocks(),
        atime: time(stat.atime(), stat.atime_nsec()),
        mtime: time(stat.mtime(), stat.mtime_nsec()),
        ctime: changed,
        crtime: changed,
        kind: kind(stat.file_type()),
        perm: (stat.mode() & 0o7777) as u16,
        nlink: stat.nlink() as u32,
        uid: stat.uid(),
        gid: stat.gid(),
        rdev: stat.rdev() as u32,
        blksize: 4096,
        flags: 0,
    })
}

/// FUSE's word for a kind of file.
pub(super) fn kind(of: std::fs::FileType) -> FileType {
    match of {
        kind if kind.is_dir() => FileType::Directory,
        kind if kind.is_symlink() => FileType::Symlink,
        kind if kind.is_fifo() => FileType::NamedPipe,
        kind if kind.is_socket() => FileType::Socket,
        kind if kind.is_char_device() => FileType::CharDevice,
        kind if kind.is_block_device() => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}
