//! The disks of nodes and the copies of their data: what outlives a node's process, and how it is harmed while the node is down.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Hosts;
use crate::Error;
use crate::backends::Disks;
use crate::disk::{Disk, Lost, Options};

/// A disk, and what was lost on it last.
type Mounted = (Arc<Disk>, Option<Lost>);

/// The disks that are mounted, and what was lost on them last.
pub(super) struct NodeDisks {
    available: Disks,
    mounted: Mutex<HashMap<String, Mounted>>,
    /// How many files the last restore of a node changed.
    restored: Mutex<HashMap<String, u64>>,
    /// How many files the last wipe of a node took.
    wiped: Mutex<HashMap<String, u64>>,
}

impl NodeDisks {
    pub(super) fn new(available: Disks) -> NodeDisks {
        NodeDisks { available, mounted: Mutex::default(), restored: Mutex::default(), wiped: Mutex::default() }
    }

    fn mounted(&self) -> MutexGuard<'_, HashMap<String, Mounted>> {
        self.mounted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wiped(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.wiped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restored(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.restored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosts {
    /// Gives a node a disk of its own, mounted over its data directory, which keeps what is written.
    ///
    /// # Errors
    ///
    /// FUSE was not chosen, or is refused.
    pub fn mount_disk(&self, node: &str, data: &Path, options: Options) -> Result<(), Error> {
        if self.disks.available == Disks::None {
            return Err(Error(format!("{node} can have no disk of its own: disk=none")));
        }
        let disk = Disk::mount(data, options)?;
        self.disks.mounted().insert(node.to_owned(), (Arc::new(disk), None));
        Ok(())
    }

    pub(crate) fn disk(&self, node: &str) -> Result<Arc<Disk>, Error> {
        let found = self.disks.mounted().get(node).map(|(disk, _)| disk.clone());
        found.ok_or_else(|| Error(format!("{node} has no disk of its own")))
    }

    pub(crate) fn disk_unsupported(&self) -> Option<String> {
        self.disks
            .mounted()
            .is_empty()
            .then(|| "the nodes have no disks of their own: --disk none, or FUSE is refused here".into())
    }

    pub(crate) fn lose_power(&self, node: &str, seed: u64) -> Result<Lost, Error> {
        let disk = self.disk(node)?;
        self.kill(node)?;
        let lost = disk.crash(seed)?;
        if let Some((_, last)) = self.disks.mounted().get_mut(node) {
            *last = Some(lost);
        }
        Ok(lost)
    }

    pub(crate) fn lost(&self, node: &str) -> Option<Lost> {
        self.disks.mounted().get(node).and_then(|(_, lost)| *lost)
    }

    fn data(&self, node: &str) -> Result<PathBuf, Error> {
        self.node(node)?.directory().ok_or_else(|| Error(format!("{node} was never started")))
    }

    fn copy(&self, node: &str) -> PathBuf {
        self.dir.join("nodes").join(node).join("copy")
    }

    pub(crate) fn copy_data(&self, node: &str) -> Result<u64, Error> {
        self.disks.restored().remove(node);
        let (data, copy) = (self.data(node)?, self.copy(node));
        replace_tree(&data, &copy).map_err(|error| Error::new(format!("copying the data of {node}"), error))
    }

    pub(crate) fn restore_data(&self, node: &str) -> Result<u64, Error> {
        let (data, copy) = (self.data(node)?, self.copy(node));
        let attempt = |error: io::Error| Error::new(format!("putting back the old data of {node}"), error);
        let changed = differing(&data, &copy).map_err(attempt)?;
        let put = |into: &Path| replace_tree(&copy, into).map(drop).map_err(attempt);
        match self.disk(node) {
            Ok(disk) => disk.replace(put)?,
            Err(_) => put(&data)?,
        }
        self.disks.restored().insert(node.to_owned(), changed);
        Ok(changed)
    }

    pub(crate) fn wipe_data(&self, node: &str) -> Result<u64, Error> {
        let data = self.data(node)?;
        let attempt = |error: io::Error| Error::new(format!("emptying the disk of {node}"), error);
        let files = tree(&data).map_err(attempt)?.values().filter(|is| is.is_file()).count() as u64;
        let empty = |dir: &Path| clear_tree(dir).map_err(attempt);
        match self.disk(node) {
            Ok(disk) => disk.replace(empty)?,
            Err(_) => empty(&data)?,
        }
        self.disks.wiped().insert(node.to_owned(), files);
        Ok(files)
    }

    pub(crate) fn wiped(&self, node: &str) -> Option<u64> {
        self.disks.wiped().get(node).copied()
    }

    pub(crate) fn restored(&self, node: &str) -> Option<u64> {
        self.disks.restored().get(node).copied()
    }
}

/// Every file below `root`, by its path from there; directories end in nothing and have no length.
fn tree(root: &Path) -> io::Result<BTreeMap<PathBuf, fs::Metadata>> {
    let mut found = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let (path, is) = (dir.join(entry.file_name()), entry.metadata()?);
            if is.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, is);
        }
    }
    Ok(found)
}

/// Removes whatever is in a directory.
fn clear_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Makes `to` hold what `from` does and nothing else; how many files that are. Sockets and the like are left out: they mean nothing in a copy.
fn replace_tree(from: &Path, to: &Path) -> io::Result<u64> {
    fs::create_dir_all(to)?;
    clear_tree(to)?;
    let mut files = 0;
    // In the order of paths a directory comes before what is in it.
    for (path, is) in tree(from)? {
        if is.is_dir() {
            fs::create_dir_all(to.join(&path))?;
        } else if is.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(from.join(&path))?, to.join(&path))?;
        } else if is.is_file() {
            fs::copy(from.join(&path), to.join(&path))?;
            files += 1;
        }
    }
    Ok(files)
}

/// How many files are in one of the trees alone, or differ.
fn differing(a: &Path, b: &Path) -> io::Result<u64> {
    let (left, right) = (tree(a)?, tree(b)?);
    let mut count = right.iter().filter(|(path, is)| is.is_file() && !left.contains_key(*path)).count() as u64;
    for (path, is) in left.iter().filter(|(_, is)| is.is_file()) {
        let same = match right.get(path) {
            Some(other) if other.len() == is.len() => same_content(&a.join(path), &b.join(path))?,
            _ => false,
        };
        count += u64::from(!same);
    }
    Ok(count)
}

fn same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (io::BufReader::new(fs::File::open(a)?), fs::File::open(b)?);
    let (mut left, mut right) = ([0; 8192], [0; 8192]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        if b.read_exact(&mut right[..read]).is_err() || left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
