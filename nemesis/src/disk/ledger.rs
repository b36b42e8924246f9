//! What is written but not on the disk: for each file the blocks and the length that the last fsync left, and, for crashes that keep a
//! prefix, every single write in its order. Nothing here knows of FUSE: the model test drives it with plain files.
//!
//! Two records of the same thing, because they answer different questions at a bounded cost. The *blocks* grow no larger than the file did
//! until its last fsync, however often a block is written again. The *writes* would grow for ever in a database that never syncs, so the
//! oldest are let go beyond [`WRITES_LIMIT`] bytes; a prefix then is at least that long.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::names::Names;
use super::{Lost, Mode};

/// Bytes of a block, the unit in which a page cache is written back.
const BLOCK: u64 = 4096;
/// Bytes of a sector, the unit that a disk writes whole or not at all.
const SECTOR: u64 = 512;
/// How many bytes of overwritten content the list of writes may hold.
const WRITES_LIMIT: usize = 64 << 20;

/// One file since its last fsync.
struct Unsynced {
    file: Arc<File>,
    /// Its length at that time.
    length: u64,
    /// Blocks below that length as they were then, for those that changed; the last may be short.
    blocks: BTreeMap<u64, Vec<u8>>,
}

/// One change of a file, with what undoes it.
struct Write {
    number: u64,
    inode: u64,
    offset: u64,
    /// What the range held before, as far as the file reached.
    before: Vec<u8>,
    /// The length before.
    length: u64,
}

/// What would be lost now.
pub(super) struct Ledger {
    files: BTreeMap<u64, Unsynced>,
    writes: VecDeque<Write>,
    /// Bytes in `writes`.
    held: usize,
    /// The number of the next change of a file or a name.
    next: u64,
    /// Changes that were let go of, and are kept by every prefix.
    gone: u64,
    /// Names that are not on the disk.
    pub(super) names: Names,
    keeps_writes: bool,
}

impl Ledger {
    /// An empty ledger; `keeps_writes` lets a crash keep a prefix.
    pub(super) fn new(names: Names, keeps_writes: bool) -> Ledger {
        Ledger { files: BTreeMap::new(), writes: VecDeque::new(), held: 0, next: 0, gone: 0, names, keeps_writes }
    }

    /// The number of the change that is about to be made.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// To be called before `length` bytes at `offset` are written.
    pub(super) fn before_write(&mut self, inode: u64, file: &Arc<File>, offset: u64, length: u64) -> io::Result<()> {
        self.before(inode, file, offset, offset.saturating_add(length))
    }

    /// To be called before the file gets another length.
    pub(super) fn before_resize(&mut self, inode: u64, file: &Arc<File>, length: u64) -> io::Result<()> {
        self.before(inode, file, length, u64::MAX)
    }

    /// Keeps what the range from `first` to before `end` holds, as far as the file reaches.
    fn before(&mut self, inode: u64, file: &Arc<File>, first: u64, end: u64) -> io::Result<()> {
        let length = file.metadata()?.len();
        let unsynced =
            self.files.entry(inode).or_insert_with(|| Unsynced { file: file.clone(), length, blocks: BTreeMap::new() });
        // What lies beyond the present length and below the synced one was kept when the file was cut.
        let reach = end.min(length).min(unsynced.length);
        for block in first / BLOCK..reach.div_ceil(BLOCK) {
            if !unsynced.blocks.contains_key(&block) {
                let start = block * BLOCK;
                let content = read(file, start, BLOCK.min(unsynced.length - start))?;
                unsynced.blocks.insert(block, content);
            }
        }
        if self.keeps_writes {
            let before = read(file, first, end.min(length).saturating_sub(first))?;
            let number = self.number();
            self.keep(Write { number, inode, offset: first, before, length });
        }
        Ok(())
    }

    fn keep(&mut self, write: Write) {
        self.held += write.before.len() + size_of::<Write>();
        self.writes.push_back(write);
        while self.held > WRITES_LIMIT
            && let Some(oldest) = self.writes.pop_front()
        {
            self.held -= oldest.before.len() + size_of::<Write>();
            self.gone = oldest.number;
        }
    }

    /// The file is on the disk as it is now.
    pub(super) fn synced(&mut self, inode: u64) {
        if self.files.remove(&inode).is_some() && !self.writes.is_empty() {
            self.writes.retain(|write| write.inode != inode);
            self.held = self.writes.iter().map(|write| write.before.len() + size_of::<Write>()).sum();
        }
    }

    /// The file has no name left and nobody has it open: there is nothing to lose.
    pub(super) fn removed(&mut self, inode: u64) {
        self.synced(inode);
    }

    /// Everything is on the disk as it is now.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.files.clear();
        self.writes.clear();
        self.held = 0;
        self.names.synced()
    }

    /// The machine loses its power: everything that is not on the disk goes back, or what `mode` says of it. Nothing may use the files meanwhile.
    pub(super) fn crash(&mut self, mode: Mode, seed: u64) -> io::Result<Lost> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let files = std::mem::take(&mut self.files);
        let writes = std::mem::take(&mut self.writes);
        self.held = 0;
        let mut lost = Lost { files: files.len() as u64, ..Lost::default() };
        let names = match mode {
            Mode::Lose => {
                for file in files.values() {
                    lost.blocks += file.lose()?;
                }
                self.names.undo_after(0)?
            }
            Mode::Torn => {
                for file in files.values() {
                    lost.blocks += file.tear(&mut rng)?;
                }
                self.names.undo_after(0)?
            }
            Mode::Prefix => {
                let last = rng.random_range(self.gone..=self.next);
                for write in writes.iter().rev().take_while(|write| write.number > last) {
                    let Some(file) = files.get(&write.inode) else { continue };
                    file.file.set_len(write.length)?;
                    file.file.write_all_at(&write.before, write.offset)?;
                    lost.blocks += (write.before.len() as u64).div_ceil(BLOCK).max(1);
                }
                self.names.undo_after(last)?
            }
        };
        lost.names = names;
        self.gone = self.next;
        Ok(lost)
    }
}

impl Unsynced {
    /// How many blocks differ from what is on the disk, at most.
    fn count(&self, now: u64) -> u64 {
        self.blocks.len() as u64 + now.div_ceil(BLOCK).saturating_sub(self.length.div_ceil(BLOCK))
    }

    /// All goes back; returns how many blocks that were.
    fn lose(&self) -> io::Result<u64> {
        let lost = self.count(self.file.metadata()?.len());
        self.file.set_len(self.length)?;
        for (block, content) in &self.blocks {
            self.file.write_all_at(content, block * BLOCK)?;
        }
        Ok(lost)
    }

    /// Each sector, and the length, is the old one or the new one by chance; a sector of a new block that was never written is zero.
    fn tear(&self, rng: &mut ChaCha8Rng) -> io::Result<u64> {
        let now = self.file.metadata()?.len();
        let lost = self.count(now);
        let length = if rng.random_bool(0.5) { self.length } else { now };
        // A length that grows back shows zeroes where nothing was written back.
        self.file.set_len(length)?;
        let mut old = |start: u64, content: &[u8]| match length.saturating_sub(start).min(SECTOR) as usize {
            0 => Ok(()),
            _ if rng.random_bool(0.5) => Ok(()),
            room => {
                let mut sector = [0; SECTOR as usize];
                sector[..content.len()].copy_from_slice(content);
                self.file.write_all_at(&sector[..room], start)
            }
        };
        for (block, content) in &self.blocks {
            for (nth, sector) in content.chunks(SECTOR as usize).enumerate() {
                old(block * BLOCK + nth as u64 * SECTOR, sector)?;
            }
        }
        for sector in self.length.div_ceil(SECTOR)..length.div_ceil(SECTOR) {
            old(sector * SECTOR, &[])?;
        }
        Ok(lost)
    }
}

/// Reads exactly so much, or up to the file's end.
fn read(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < content.len() {
        match file.read_at(&mut content[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content)
}
