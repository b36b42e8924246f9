//! The disk against a model that keeps every file twice, as it is and as it was synced: random operations and crashes from a seed, first through the
//! ledger alone, then through a mount. The same seed does the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ledger::Ledger;
use super::names::Names;
use super::{Disk, Mode, Options};

/// How many files there are at once, at most.
const FILES: usize = 4;
/// No file reaches further.
const REACH: u64 = 40_000;

/// What is tested: files by name.
trait Store {
    fn create(&mut self, name: &str) -> io::Result<()>;
    fn write(&mut self, name: &str, offset: u64, data: &[u8]) -> io::Result<()>;
    fn resize(&mut self, name: &str, length: u64) -> io::Result<()>;
    fn sync(&mut self, name: &str) -> io::Result<()>;
    fn sync_names(&mut self) -> io::Result<()>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    fn crash(&mut self, seed: u64) -> io::Result<()>;
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    fn names(&self) -> io::Result<Vec<String>>;
}

/// The ledger over plain files, without a kernel in between.
struct Bare {
    dir: PathBuf,
    ledger: Ledger,
    mode: Mode,
    files: BTreeMap<String, Arc<File>>,
}

impl Store for Bare {
    fn create(&mut self, name: &str) -> io::Result<()> {
        let file = File::options().read(true).write(true).create_new(true).open(self.dir.join(name))?;
        self.files.insert(name.into(), Arc::new(file));
        Ok(())
    }

    fn write(&mut self, name: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        let file = &self.files[name];
        self.ledger.before_write(file.metadata()?.ino(), file, offset, data.len() as u64)?;
        file.write_all_at(data, offset)
    }

    fn resize(&mut self, name: &str, length: u64) -> io::Result<()> {
        let file = &self.files[name];
        self.ledger.before_resize(file.metadata()?.ino(), file, length)?;
        file.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.ledger.synced(self.files[name].metadata()?.ino());
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.ledger.names.synced()
    }

    fn remove(&mut self, _: &str) -> io::Result<()> {
        unreachable!("names are tested on a mount")
    }

    fn rename(&mut self, _: &str, _: &str) -> io::Result<()> {
        unreachable!("names are tested on a mount")
    }

    fn crash(&mut self, seed: u64) -> io::Result<()> {
        self.ledger.crash(self.mode, seed).map(drop)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.dir.join(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }
}

/// The mounted disk, as a process sees it.
struct Mounted(Disk);

impl Mounted {
    fn open(&self, name: &str) -> io::Result<File> {
        File::options().read(true).write(true).open(self.0.place().join(name))
    }
}

impl Store for Mounted {
    fn create(&mut self, name: &str) -> io::Result<()> {
        File::options().write(true).create_new(true).open(self.0.place().join(name)).map(drop)
    }

    fn write(&mut self, name: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        let file = self.open(name)?;
        // Every second write is to mapped memory where the file reaches so far: the kernel writes it back when it likes, an fsync or the end at the latest.
        if offset.is_multiple_of(2) && file.metadata()?.len() >= offset + data.len() as u64 {
            return write_mapped(&file, offset, data);
        }
        file.write_all_at(data, offset)
    }

    fn resize(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.open(name)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.open(name)?.sync_data()
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(self.0.place())?.sync_all()
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.place().join(name))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.place().join(from), self.0.place().join(to))
    }

    fn crash(&mut self, seed: u64) -> io::Result<()> {
        self.0.crash(seed).map(drop).map_err(io::Error::other)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.0.place().join(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names =
            std::fs::read_dir(self.0.place())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }
}

/// Writes through a mapping, in a process of its own as nodes are: a page fault holds the memory of its process until the disk, which this process
/// serves, has answered.
fn write_mapped(file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
    let length = std::num::NonZeroUsize::new(offset as usize + data.len()).ok_or(io::ErrorKind::InvalidInput)?;
    let access = nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE;
    // SAFETY: the child only maps, copies and ends, none of which takes a lock that another thread might have held; the mapping is fresh, and the file
    // reaches so far and is cut by nobody meanwhile.
    let child = match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => child,
        nix::unistd::ForkResult::Child => unsafe {
            let Ok(map) = nix::sys::mman::mmap(None, length, access, nix::sys::mman::MapFlags::MAP_SHARED, file, 0)
            else {
                libc::_exit(1);
            };
            std::ptr::copy_nonoverlapping(data.as_ptr(), map.as_ptr().cast::<u8>().add(offset as usize), data.len());
            libc::_exit(0);
        },
    };
    match nix::sys::wait::waitpid(child, None)? {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
        other => Err(io::Error::other(format!("the child that maps the file: {other:?}"))),
    }
}

/// A file, now and on the disk.
#[derive(Clone, Default)]
struct Twice {
    now: Vec<u8>,
    synced: Vec<u8>,
}

/// What must be so.
#[derive(Default)]
struct Model {
    files: Vec<Twice>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Each unsynced change with what its file held before.
    writes: Vec<(usize, Vec<u8>)>,
}

impl Model {
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.names[name];
        self.writes.push((file, self.files[file].now.clone()));
        change(&mut self.files[file].now);
    }

    fn sync(&mut self, name: &str) {
        let file = self.names[name];
        self.files[file].synced = self.files[file].now.clone();
        self.writes.retain(|(of, _)| *of != file);
    }

    /// What each file would hold if only the first `kept` of the unsynced changes were on the disk.
    fn prefix(&self, kept: usize) -> Vec<Vec<u8>> {
        let mut contents: Vec<Vec<u8>> = self.files.iter().map(|file| file.now.clone()).collect();
        for (file, before) in self.writes[kept..].iter().rev() {
            contents[*file].clone_from(before);
        }
        contents
    }

    /// Compares after a crash, then goes on from what is there.
    fn crashed(&mut self, store: &dyn Store, mode: Mode, names_undone: bool, context: &str) {
        if names_undone {
            self.names = self.synced_names.clone();
        }
        let expected: Vec<String> = self.names.keys().cloned().collect();
        assert_eq!(store.names().expect("names"), expected, "{context}: names");
        let found: Vec<(usize, Vec<u8>)> =
            self.names.iter().map(|(name, file)| (*file, store.read(name).expect("readable"))).collect();
        match mode {
            Mode::Lose => {
                for (file, content) in &found {
                    assert!(
                        *content == self.files[*file].synced,
                        "{context}: {}",
                        differs(content, &self.files[*file].synced)
                    );
                }
            }
            Mode::Torn => found.iter().for_each(|(file, content)| self.files[*file].could_tear_to(content, context)),
            Mode::Prefix => {
                let same = |contents: &Vec<Vec<u8>>| found.iter().all(|(file, content)| *content == contents[*file]);
                let kept = (0..=self.writes.len()).find(|kept| same(&self.prefix(*kept)));
                assert!(kept.is_some(), "{context}: no prefix of the writes explains what is there");
            }
        }
        for (file, content) in found {
            self.files[file] = Twice { now: content.clone(), synced: content };
        }
        self.writes.clear();
        self.synced_names = self.names.clone();
    }
}

impl Twice {
    fn could_tear_to(&self, content: &[u8], context: &str) {
        assert!([self.now.len(), self.synced.len()].contains(&content.len()), "{context}: a length of neither time");
        let sector = |of: &[u8], at: usize, length: usize| {
            let mut sector = of.get(at..of.len().min(at + length)).unwrap_or_default().to_vec();
            sector.resize(length, 0);
            sector
        };
        for at in (0..content.len()).step_by(512) {
            let length = (content.len() - at).min(512);
            let is = &content[at..at + length];
            let known = is == sector(&self.now, at, length) || is == sector(&self.synced, at, length);
            assert!(known, "{context}: the sector at {at} is neither old nor new");
        }
    }
}

fn differs(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).position(|(a, b)| a != b);
    format!("{} bytes instead of {}, first difference at {at:?}", a.len(), b.len())
}

/// Does random things to both, and compares after each crash.
fn play(store: &mut dyn Store, options: Options, moves_names: bool, seed: u64, steps: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut model = Model::default();
    for step in 0..steps {
        let context = format!("seed {seed}, step {step}, {:?}", options.mode);
        let names: Vec<String> = model.names.keys().cloned().collect();
        let fresh =
            (0..=FILES).map(|n| format!("f{n}")).find(|name| !names.contains(name)).expect("more names than files");
        let any = (!names.is_empty()).then(|| names[rng.random_range(0..names.len())].clone());
        let (Some(any), false) = (any, names.len() < FILES && rng.random_bool(0.1)) else {
            store.create(&fresh).expect("created");
            model.files.push(Twice::default());
            model.names.insert(fresh, model.files.len() - 1);
            continue;
        };
        match rng.random_range(0..100) {
            0..55 => {
                let length = model.files[model.names[&any]].now.len() as u64;
                let offset = if rng.random_bool(0.4) { length } else { rng.random_range(0..REACH / 2) };
                let longest = if rng.random_bool(0.2) { 12_000 } else { 700 };
                let data = vec![rng.random_range(1..=255); rng.random_range(1..longest)];
                if offset + data.len() as u64 > REACH {
                    continue;
                }
                store.write(&any, offset, &data).expect("written");
                model.change(&any, |now| {
                    let end = offset as usize + data.len();
                    now.resize(now.len().max(end), 0);
                    now[offset as usize..end].copy_from_slice(&data);
                });
            }
            55..67 => {
                let length = if rng.random_bool(0.3) { 0 } else { rng.random_range(0..REACH) };
                store.resize(&any, length).expect("resized");
                model.change(&any, |now| now.resize(length as usize, 0));
            }
            67..77 => {
                store.sync(&any).expect("synced");
                model.sync(&any);
            }
            77..82 => {
                store.sync_names().expect("synced");
                model.synced_names = model.names.clone();
            }
            82..87 if moves_names => {
                store.remove(&any).expect("removed");
                model.names.remove(&any);
            }
            87..92 if moves_names => {
                let to = if rng.random_bool(0.5) { fresh } else { names[rng.random_range(0..names.len())].clone() };
                store.rename(&any, &to).expect("renamed");
                let file = model.names.remove(&any).expect("it was there");
                model.names.insert(to, file);
            }
            92..96 => {
                store.crash(rng.random()).expect("crashed");
                model.crashed(store, options.mode, options.names, &context);
            }
            _ => {
                let is = store.read(&any).expect("readable");
                let now = &model.files[model.names[&any]].now;
                assert!(is == *now, "{context}: {any} reads {}", differs(&is, now));
            }
        }
    }
}

fn bare(mode: Mode) {
    for seed in 1..=60 {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Arc::new(File::open(dir.path()).expect("it is there"));
        let names = Names::new(root, false).expect("nothing to make");
        let ledger = Ledger::new(names, mode == Mode::Prefix);
        let mut store = Bare { dir: dir.path().to_owned(), ledger, mode, files: BTreeMap::new() };
        play(&mut store, Options { mode, ..Options::default() }, false, seed, 300);
    }
}

/// A disk at `place`, or a loud word that this machine has none.
fn mounted(place: &Path, options: Options) -> Option<Disk> {
    Disk::mount(place, options).inspect_err(|error| eprintln!("SKIPPED: {error}")).ok()
}

fn on_a_mount(options: Options) {
    for seed in 1..=12 {
        let dir = tempfile::tempdir().expect("a directory");
        let Some(disk) = mounted(dir.path(), options) else { return };
        play(&mut Mounted(disk), options, true, seed, 200);
    }
}

#[test]
fn what_is_lost_is_what_was_not_synced() {
    bare(Mode::Lose);
}

#[test]
fn torn_files_hold_whole_sectors_of_either_time() {
    bare(Mode::Torn);
}

#[test]
fn a_prefix_is_some_first_part_of_the_writes_in_their_order() {
    bare(Mode::Prefix);
}

#[test]
fn a_mounted_disk_loses_what_was_not_synced() {
    on_a_mount(Options::default());
}

#[test]
fn a_mounted_disk_tears_sectors() {
    on_a_mount(Options { mode: Mode::Torn, ..Options::default() });
}

#[test]
fn names_return_unless_a_directory_was_synced() {
    on_a_mount(Options { names: true, ..Options::default() });
}

#[test]
fn what_a_disk_held_is_there_when_it_is_taken_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(disk) = mounted(dir.path(), Options { names: true, ..Options::default() }) else { return };
    std::fs::create_dir(dir.path().join("d")).expect("made");
    std::fs::write(dir.path().join("d/f"), "kept").expect("written");
    std::os::unix::fs::symlink("d/f", dir.path().join("s")).expect("linked");
    std::fs::hard_link(dir.path().join("d/f"), dir.path().join("h")).expect("linked");
    assert_eq!(std::fs::read_link(dir.path().join("s")).expect("a link"), Path::new("d/f"));
    assert!(std::fs::remove_dir(dir.path().join("d")).is_err(), "it is not empty");
    drop(disk);
    assert_eq!(std::fs::read(dir.path().join("h")).expect("readable"), b"kept");
    assert_eq!(std::fs::read(dir.path().join("s")).expect("readable"), b"kept");
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 3, "nothing waits aside");
}

#[test]
fn an_fsync_in_trouble_fails_or_comes_late_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(disk) = mounted(dir.path(), Options::default()) else { return };
    let file = File::create(dir.path().join("f")).expect("created");
    disk.fail_fsync(true);
    assert_eq!(file.sync_all().expect_err("it fails").raw_os_error(), Some(libc::EIO));
    disk.fail_fsync(false);
    let late = std::time::Duration::from_millis(60);
    disk.delay_fsync(late);
    let began = std::time::Instant::now();
    file.sync_all().expect("late, but well");
    assert!(began.elapsed() >= late);
    assert_eq!(disk.troubled_fsyncs(), 2);
}
