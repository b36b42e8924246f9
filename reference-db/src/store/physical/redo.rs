//! A follower's redo file: the commits that are on their way into its database file.
//!
//! Pages are written in place, and a node may die between two of them. So a commit is here first, whole, and on disk where `--fsync always` asks for
//! that; a node that starts writes everything that it finds here into the database once more. A torn record ends the file: nobody was told of it.
//! The file is emptied when the database itself has been synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::frames::checksum;
use super::segment::{Bytes, Segment};

/// What a record begins with.
const MAGIC: u32 = 0x6761_696e;
/// Magic, length and checksum.
const HEADER: usize = 16;
/// What a record says before its pages.
const NUMBERS: u32 = 48;
/// No commit is longer; a length beyond it is no length.
const LONGEST: u32 = 1 << 30;

/// The file, open for appending.
#[derive(Debug)]
pub struct Redo {
    file: File,
    length: u64,
}

impl Redo {
    /// Opens or creates the file and reads the whole commits in it, oldest first.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(path: &Path) -> io::Result<(Redo, Vec<Segment>)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let bytes = std::fs::read(path)?;
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some((segment, end)) = record(&bytes, at) {
            found.push(segment);
            at = end;
        }
        // What lies behind a torn record could pass for the next one some day.
        file.set_len(at as u64)?;
        Ok((Redo { file, length: at as u64 }, found))
    }

    /// Appends commits; they are on disk afterwards if `sync`.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, segments: &[impl AsRef<Segment>], sync: bool) -> io::Result<()> {
        let mut bytes = Vec::new();
        for segment in segments {
            put(&mut bytes, segment.as_ref());
        }
        self.file.write_all_at(&bytes, self.length)?;
        if sync {
            self.file.sync_data()?;
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Empties it: what it held is in the database, on disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn empty(&mut self, sync: bool) -> io::Result<()> {
        if self.length > 0 || self.file.metadata()?.len() > 0 {
            self.file.set_len(0)?;
            if sync {
                self.file.sync_all()?;
            }
            self.length = 0;
        }
        Ok(())
    }
}

fn put(bytes: &mut Vec<u8>, segment: &Segment) {
    let begin = bytes.len();
    bytes.extend_from_slice(&[0; HEADER]);
    for number in [segment.first, segment.last, segment.term, segment.wall as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let page = segment.pages.first().map_or(0, |(_, page)| page.len());
    for number in [segment.size, segment.pages.len() as u32, page as u32, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for (number, page) in &segment.pages {
        // Eight bytes, as the checksum goes by eights.
        bytes.extend_from_slice(&u64::from(*number).to_le_bytes());
        bytes.extend_from_slice(page);
    }
    let length = (bytes.len() - begin - HEADER) as u32;
    let sum = checksum([MAGIC, length], &bytes[begin + HEADER..], false);
    for (at, number) in [MAGIC, length, sum[0], sum[1]].into_iter().enumerate() {
        bytes[begin + at * 4..begin + at * 4 + 4].copy_from_slice(&number.to_le_bytes());
    }
}

/// The record that begins at `at`, and where it ends.
fn record(bytes: &[u8], at: usize) -> Option<(Segment, usize)> {
    let header = bytes.get(at..at + HEADER)?;
    let [magic, length, first, second] = [0, 4, 8, 12].map(|at| small(header, at));
    let end = at + HEADER + length as usize;
    let body = bytes.get(at + HEADER..end).filter(|_| magic == MAGIC && (NUMBERS..LONGEST).contains(&length))?;
    if checksum([MAGIC, length], body, false) != [first, second] {
        return None;
    }
    let [first, last, term, wall] = [0, 8, 16, 24].map(|at| large(body, at));
    let [size, count, page] = [32, 36, 40].map(|at| small(body, at));
    let mut pages = Vec::new();
    for number in 0..count as usize {
        let begin = NUMBERS as usize + number * (8 + page as usize);
        let page = body.get(begin + 8..begin + 8 + page as usize)?;
        pages.push((large(body.get(begin..begin + 8)?, 0) as u32, Bytes::from(page)));
    }
    Some((Segment::new((first, last), term, wall as i64, size, pages), end))
}

fn small(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn large(bytes: &[u8], at: usize) -> u64 {
    u64::from(small(bytes, at)) | u64::from(small(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn segment(index: u64, pages: u32) -> Arc<Segment> {
        let page = |number: u32| (number, Bytes::from(vec![(index as u8).wrapping_add(number as u8); 512].as_slice()));
        let pages = (1..=pages).map(page).collect();
        Arc::new(Segment::new((index, index + 2), 7, -5, 9, pages))
    }

    #[test]
    fn whole_commits_are_found_again_and_a_torn_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("redo");
        let (mut redo, found) = Redo::open(&path).expect("a file");
        assert!(found.is_empty());
        redo.append(&[segment(1, 3), segment(4, 1)], true).expect("it appends");
        let two = redo.length();
        redo.append(&[segment(7, 4)], true).expect("it appends");
        let bytes = std::fs::read(&path).expect("the file");
        for length in (two as usize..bytes.len()).step_by(37) {
            std::fs::write(&path, &bytes[..length]).expect("a torn file");
            let (redo, found) = Redo::open(&path).expect("a file");
            assert_eq!((redo.length(), found), (two, vec![(*segment(1, 3)).clone(), (*segment(4, 1)).clone()]));
        }
        std::fs::write(&path, &bytes).expect("the whole file");
        let (mut redo, found) = Redo::open(&path).expect("a file");
        assert_eq!(found.len(), 3);
        redo.empty(true).expect("it empties");
        assert!(Redo::open(&path).expect("a file").1.is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("redo");
        Redo::open(&path).expect("a file").0.append(&[segment(1, 1)], false).expect("it appends");
        let bytes = std::fs::read(&path).expect("the file");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] = changed[at].wrapping_add(0x81);
            std::fs::write(&path, changed).expect("a changed file");
            assert!(Redo::open(&path).expect("a file").1.is_empty(), "byte {at}");
        }
    }
}
