//! Writes the history while the run goes on.
//!
//! One first-in-first-out queue: an event gets its time inside the queue's lock, so the file's order is the order of
//! time, and a client queues its invocation *before* it sends the request. Every prefix of the file is therefore causally closed,
//! whatever dies when. The queue is bounded: a writer that cannot keep up slows the clients down, and memory stays as it is.
//!
//! The lock is held for a clock reading and a push. A thread of its own swaps the queue for an empty one, gives each event its index
//! and writes. When writing fails (a full disk), the run is told, and everything that was written can still be checked.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gainsay_checker::{Event, Note, OpEvent, json};

/// How many events may wait for the writer. At about 200 bytes each this bounds the queue's memory to a few megabytes.
const QUEUE: usize = 1 << 15;
/// How long the writer waits for company before it writes what there is, so that a killed run loses next to nothing.
const LINGER: Duration = Duration::from_millis(5);
/// How much text is gathered before it is handed to the kernel.
const CHUNK: usize = 1 << 18;

/// Takes events from every client and the nemesis. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    queue: Mutex<Queue>,
    /// Signalled when there is something to write, or when the queue is closed.
    filled: Condvar,
    /// Signalled when there is room again.
    drained: Condvar,
    failed: AtomicBool,
    written: AtomicU64,
}

struct Queue {
    events: Vec<Event>,
    closed: bool,
    writer_waits: bool,
}

/// The writing thread; [`Writer::finish`] waits until everything is on file.
pub struct Writer {
    recorder: Recorder,
    thread: Option<JoinHandle<std::io::Result<u64>>>,
    path: PathBuf,
}

impl Recorder {
    /// Creates the file and starts its writer. Times count from `start`.
    pub fn create(path: &Path, start: Instant) -> std::io::Result<(Recorder, Writer)> {
        let file = File::create(path)?;
        let shared = Arc::new(Shared {
            start,
            queue: Mutex::new(Queue { events: Vec::with_capacity(QUEUE), closed: false, writer_waits: false }),
            filled: Condvar::new(),
            drained: Condvar::new(),
            failed: AtomicBool::new(false),
            written: AtomicU64::new(0),
        });
        let recorder = Recorder { shared };
        let writer = recorder.clone();
        let thread = std::thread::Builder::new().name("recorder".to_string()).spawn(move || writer.write(file))?;
        Ok((recorder.clone(), Writer { recorder, thread: Some(thread), path: path.to_path_buf() }))
    }

    /// When the run began.
    pub fn start(&self) -> Instant {
        self.shared.start
    }

    /// Nanoseconds since the start of the run.
    pub fn now(&self) -> u64 {
        nanos(self.shared.start)
    }

    /// Whether the file can no longer be written.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// How many events are in the file.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Queues a client's event and returns its time.
    pub fn operation(&self, event: OpEvent) -> u64 {
        let mut queue = self.room();
        let time = nanos(self.shared.start);
        queue.events.push(Event::Op(OpEvent { time, ..event }));
        self.wake(queue);
        time
    }

    /// Queues a note and returns its time.
    pub fn note(&self, f: &str, value: serde_json::Value) -> u64 {
        let mut queue = self.room();
        let time = nanos(self.shared.start);
        queue.events.push(Event::Note(Note { index: 0, time, f: f.to_string(), value }));
        self.wake(queue);
        time
    }

    /// The queue, once it has room.
    fn room(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.lock();
        while queue.events.len() >= QUEUE && !queue.closed && !self.failed() {
            let waited = self.shared.drained.wait_timeout(queue, LINGER);
            queue = waited.map_or_else(|broken| broken.into_inner().0, |(queue, _)| queue);
        }
        if self.failed() {
            queue.events.clear();
        }
        queue
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Pushing an event cannot leave the queue half changed, so a poisoned lock is still sound.
        self.shared.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.writer_waits {
            queue.writer_waits = false;
            drop(queue);
            self.shared.filled.notify_one();
        }
    }

    fn write(&self, mut file: File) -> std::io::Result<u64> {
        let mut index = 0;
        let mut batch = Vec::with_capacity(QUEUE);
        let mut text = Vec::with_capacity(CHUNK * 2);
        loop {
            let closed = self.take(&mut batch);
            for event in batch.drain(..) {
                let event = numbered(event, index);
                index += 1;
                json::write_event(&mut text, &event);
                if text.len() >= CHUNK {
                    self.put(&mut file, &mut text)?;
                }
            }
            self.put(&mut file, &mut text)?;
            self.shared.written.store(index, Ordering::Relaxed);
            if closed {
                file.sync_all()?;
                return Ok(index);
            }
        }
    }

    fn put(&self, file: &mut File, text: &mut Vec<u8>) -> std::io::Result<()> {
        let result = file.write_all(text);
        text.clear();
        if result.is_err() {
            self.shared.failed.store(true, Ordering::Relaxed);
            self.shared.drained.notify_all();
        }
        result
    }

    /// Waits for events, lets a few more join them, and swaps the queue for an empty one. True once it is closed and empty.
    fn take(&self, batch: &mut Vec<Event>) -> bool {
        let mut queue = self.lock();
        while queue.events.is_empty() && !queue.closed {
            queue.writer_waits = true;
            queue = self.shared.filled.wait(queue).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        if queue.events.len() < QUEUE / 4 && !queue.closed {
            drop(queue);
            std::thread::sleep(LINGER);
            queue = self.lock();
        }
        std::mem::swap(&mut queue.events, batch);
        let closed = queue.closed;
        drop(queue);
        self.shared.drained.notify_all();
        closed
    }
}

impl Writer {
    /// Waits until everything that was queued is on file; returns the number of events.
    ///
    /// # Errors
    /// When the file could not be written, with its path.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        self.close();
        let thread = self.thread.take().expect("the writer is finished once");
        let outcome = thread.join().map_err(|_| anyhow::anyhow!("the recorder's thread panicked"))?;
        outcome.map_err(|error| anyhow::anyhow!("writing {}: {error}", self.path.display()))
    }

    fn close(&self) {
        self.recorder.lock().closed = true;
        self.recorder.shared.filled.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn nanos(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

fn numbered(event: Event, index: u64) -> Event {
    match event {
        Event::Op(op) => Event::Op(OpEvent { index, ..op }),
        Event::Note(note) => Event::Note(Note { index, ..note }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gainsay_checker::{Action, Atom, Function, History, Kind, Process, Step};
    use smallvec::smallvec;

    fn event(process: u64, kind: Kind) -> OpEvent {
        OpEvent {
            index: 0,
            time: 0,
            intended: None,
            kind,
            process: Process(process),
            function: Function::Write,
            steps: smallvec![Step { key: Atom::Int(1), action: Action::Write(Atom::Int(2)) }],
            session: None,
            user: None,
            node: None,
            version: None,
            error: None,
            last: false,
        }
    }

    #[test]
    fn everything_queued_by_many_threads_is_on_file_in_the_order_of_time() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("history.jsonl");
        let (recorder, writer) = Recorder::create(&path, Instant::now()).expect("a file");
        std::thread::scope(|scope| {
            for process in 0..8 {
                let recorder = recorder.clone();
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        recorder.operation(event(process, Kind::Invoke));
                        recorder.operation(event(process, Kind::Ok));
                    }
                });
            }
        });
        assert_eq!(writer.finish().expect("the file is written"), 320_000);
        let file = std::io::BufReader::new(File::open(&path).expect("the file"));
        let history = History::read_json(file).expect("a sound history");
        assert_eq!(history.ops.len(), 160_000);
    }

    #[test]
    fn a_full_disk_is_reported_and_blocks_nobody() {
        let (recorder, writer) = Recorder::create(Path::new("/dev/full"), Instant::now()).expect("the device");
        for _ in 0..3 * QUEUE {
            recorder.operation(event(1, Kind::Invoke));
        }
        let error = writer.finish().expect_err("nothing can be written there").to_string();
        assert!(error.contains("/dev/full"), "{error}");
        assert!(recorder.failed());
    }
}
