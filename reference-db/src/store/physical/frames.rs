//! What a commit appended to SQLite's `-wal` file: a header of 32 bytes, then frames of 24 bytes and a page each (SQLite's "Database File Format",
//! section 4).
//!
//! The end of the log is not the end of the file: after a checkpoint SQLite writes from the beginning again, and frames of an earlier round follow. A
//! frame counts only with the salts of the header and a checksum over everything before it; a transaction only with its commit frame.
//! Whoever reads after each commit, before the next one begins, misses nothing, since only a writer begins a new round.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The file's header, in bytes.
const HEADER: usize = 32;
/// A frame's header, in bytes.
const FRAME: usize = 24;
/// What the file begins with; the last bit says that checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// The pages that transactions wrote, by number, and how many pages the database has afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Pages in the database.
    pub size: u32,
    /// Each page as the last of the transactions left it.
    pub pages: BTreeMap<u32, Vec<u8>>,
}

/// Reads a `-wal` file on, transaction by transaction.
#[derive(Debug)]
pub struct Frames {
    path: PathBuf,
    file: Option<File>,
    round: Round,
}

/// How far one round of the file has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    salts: [u32; 2],
    sum: [u32; 2],
    /// Where the next frame begins; 0 before the header has been read.
    at: u64,
    page: usize,
    big: bool,
}

impl Frames {
    /// From the beginning of the file at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Frames {
        Frames { path: path.to_path_buf(), file: None, round: Round::default() }
    }

    /// Everything that has been committed since the last call; `None` if nothing was.
    ///
    /// # Errors
    /// The disk's. A file that is missing, torn or of no sense holds nothing.
    pub fn read(&mut self) -> io::Result<Option<Written>> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        let Some(file) = &self.file else { return Ok(None) };
        let Some(round) = Round::begin(file)? else { return Ok(None) };
        if self.round.at == 0 || self.round.salts != round.salts {
            self.round = round;
        }
        let (mut at, mut open, mut done) = (self.round, BTreeMap::new(), None);
        while let Some((number, size, page)) = at.next(file)? {
            open.insert(number, page);
            if size > 0 {
                let written: &mut Written = done.get_or_insert_default();
                written.size = size;
                written.pages.append(&mut open);
                self.round = at;
            }
        }
        Ok(done)
    }
}

impl Round {
    /// What the file's header says.
    fn begin(file: &File) -> io::Result<Option<Round>> {
        let mut header = [0; HEADER];
        if !filled(file, &mut header, 0)? {
            return Ok(None);
        }
        let magic = word(&header, 0);
        let big = magic & 1 == 1;
        let sum = checksum([0, 0], &header[..24], big);
        let page = word(&header, 8) as usize;
        let sound = magic & !1 == MAGIC && sum == [word(&header, 24), word(&header, 28)];
        if !sound || !super::is_page_size(page as u32) {
            return Ok(None);
        }
        Ok(Some(Round { salts: [word(&header, 16), word(&header, 20)], sum, at: HEADER as u64, page, big }))
    }

    /// The next frame, if there is a whole one: its page's number, the database's size if it ends a transaction, the page.
    fn next(&mut self, file: &File) -> io::Result<Option<(u32, u32, Vec<u8>)>> {
        let (mut header, mut page) = ([0; FRAME], vec![0; self.page]);
        if !filled(file, &mut header, self.at)? || !filled(file, &mut page, self.at + FRAME as u64)? {
            return Ok(None);
        }
        let sum = checksum(checksum(self.sum, &header[..8], self.big), &page, self.big);
        let sound =
            [word(&header, 8), word(&header, 12)] == self.salts && sum == [word(&header, 16), word(&header, 20)];
        let number = word(&header, 0);
        if !sound || number == 0 {
            return Ok(None);
        }
        self.sum = sum;
        self.at += (FRAME + self.page) as u64;
        Ok(Some((number, word(&header, 4), page)))
    }
}

/// Whether the file has enough bytes there.
fn filled(file: &File, into: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(into, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's checksum of a multiple of eight bytes, going on from `sum`.
pub fn checksum(mut sum: [u32; 2], bytes: &[u8], big: bool) -> [u32; 2] {
    let word = |four: &[u8]| {
        let four = [four[0], four[1], four[2], four[3]];
        if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    };
    for eight in bytes.chunks_exact(8) {
        sum[0] = sum[0].wrapping_add(word(&eight[..4])).wrapping_add(sum[1]);
        sum[1] = sum[1].wrapping_add(word(&eight[4..])).wrapping_add(sum[0]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    struct Log {
        dir: tempfile::TempDir,
        connection: Connection,
    }

    fn log() -> Log {
        let dir = tempfile::tempdir().expect("a directory");
        let connection = Connection::open(dir.path().join("db")).expect("a database");
        connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
        connection.pragma_update(None, "wal_autocheckpoint", 0).expect("no checkpoint");
        connection.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)").expect("a table");
        Log { dir, connection }
    }

    impl Log {
        fn path(&self) -> PathBuf {
            self.dir.path().join("db-wal")
        }

        fn write(&self, from: usize, rows: usize) {
            let mut text = String::from("BEGIN;");
            for row in from..from + rows {
                text += &format!("INSERT OR REPLACE INTO t VALUES ({row}, '{}');", "x".repeat(300));
            }
            self.connection.execute_batch(&(text + "COMMIT")).expect("a transaction");
        }

        fn checkpoint(&self, how: &str) {
            self.connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).expect("a checkpoint");
        }
    }

    #[test]
    fn the_pages_that_were_read_are_those_of_the_file_after_a_checkpoint() {
        let log = log();
        let mut frames = Frames::new(&log.path());
        let mut built: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut size = 0;
        for round in 0..40 {
            log.write(round * 7, 20);
            let written = frames.read().expect("it reads").expect("a commit");
            size = written.size;
            built.extend(written.pages);
            if round % 9 == 8 {
                log.checkpoint(if round % 2 == 0 { "PASSIVE" } else { "TRUNCATE" });
            }
            assert_eq!(frames.read().expect("it reads"), None, "nothing is read twice");
        }
        log.checkpoint("TRUNCATE");
        let file = std::fs::read(log.dir.path().join("db")).expect("the file");
        assert_eq!(file.len(), size as usize * 4096);
        for (number, page) in file.chunks(4096).enumerate() {
            assert_eq!(built.get(&(number as u32 + 1)).map(Vec::as_slice), Some(page), "page {}", number + 1);
        }
    }

    #[test]
    fn frames_of_an_earlier_round_behind_the_end_are_not_read() {
        let log = log();
        let mut frames = Frames::new(&log.path());
        log.write(0, 2_000);
        let long = frames.read().expect("it reads").expect("a commit");
        log.checkpoint("PASSIVE");
        log.write(5, 1);
        let length = std::fs::metadata(log.path()).expect("the log").len();
        let short = frames.read().expect("it reads").expect("a commit");
        assert!(short.pages.len() < 5 && long.pages.len() > 50, "{} and {}", short.pages.len(), long.pages.len());
        assert!(length > 50 * 4_096, "the earlier round is still there: {length}");
        // Whoever comes later sees the same end.
        assert_eq!(Frames::new(&log.path()).read().expect("it reads"), Some(short));
    }

    #[test]
    fn a_torn_or_changed_transaction_ends_the_log() {
        let log = log();
        log.write(0, 3);
        let whole = Frames::new(&log.path()).read().expect("it reads").expect("commits");
        log.write(100, 50);
        let bytes = std::fs::read(log.path()).expect("the log");
        let copy = log.dir.path().join("torn");
        let begin = HEADER + (whole.pages.len() * 2) * (FRAME + 4_096);
        for length in (begin..bytes.len()).step_by(997) {
            std::fs::write(&copy, &bytes[..length]).expect("a torn copy");
            let read = Frames::new(&copy).read().expect("it reads").expect("the first commits");
            assert_eq!(read.size, whole.size, "{length} bytes of {}", bytes.len());
        }
        for at in [0, 9, 17, 26] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&copy, changed).expect("a changed copy");
            assert_eq!(Frames::new(&copy).read().expect("it reads"), None, "the header, byte {at}");
        }
        let mut changed = bytes.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        std::fs::write(&copy, changed).expect("a changed copy");
        assert_eq!(Frames::new(&copy).read().expect("it reads").expect("the first commits").size, whole.size);
    }

    #[test]
    fn what_is_not_committed_is_read_only_once_it_is() {
        let log = log();
        let mut frames = Frames::new(&log.path());
        frames.read().expect("it reads");
        log.connection.execute_batch("PRAGMA cache_size = 5; BEGIN").expect("a transaction");
        for row in 0..2_000 {
            log.connection.execute("INSERT INTO t VALUES (?1, hex(randomblob(100)))", [row]).expect("a row");
        }
        assert!(std::fs::metadata(log.path()).expect("the log").len() > 100_000, "pages have spilled");
        assert_eq!(frames.read().expect("it reads"), None);
        log.connection.execute_batch("COMMIT").expect("a commit");
        let written = frames.read().expect("it reads").expect("a commit");
        assert!(written.pages.len() > 90, "{}", written.pages.len());
    }
}
