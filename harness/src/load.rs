//! The clients: each asks its generator, records the invocation, sends, records what came back.
//!
//! An operation whose outcome is unknown ends its *process* (the next one has the identity `process + clients`, as in Jepsen) but
//! not its *session*: the person is still there. A session ends only when the database says that it cannot go on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gainsay_checker::{Atom, Kind, OpEvent, Process};
use gainsay_workloads::{Context, Draft, Generator, Next};
use hdrhistogram::Histogram;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::database::{Client, Completion, REQUEST_TIMEOUT};
use crate::recorder::Recorder;

/// An adapter must answer within its own time-out; this much later the answer is taken as unknown all the same.
const GRACE: Duration = Duration::from_millis(1_000);
/// After this many operations without a pause an unpaced client lets the others have their turn.
const TURN: u32 = 64;
/// How long a generator that has nothing to do now is left alone.
const IDLE: Duration = Duration::from_millis(5);

/// Everything one client needs.
pub struct Load {
    /// Which client, from 0.
    pub client: usize,
    /// How many there are.
    pub clients: usize,
    /// The user to whom its sessions belong.
    pub user: Option<usize>,
    /// What it does.
    pub generator: Box<dyn Generator>,
    /// How it reaches the database.
    pub connection: Box<dyn Client>,
    /// Where it writes down.
    pub recorder: Recorder,
    /// When its operations are due; `None` for as fast as it can.
    pub pace: Option<UnboundedReceiver<Instant>>,
    /// Raised when no further operation should begin.
    pub stop: Arc<AtomicBool>,
    /// No operation begins after this.
    pub until: Instant,
    /// Seeds its stream of random choices.
    pub seed: u64,
}

/// What a client can say afterwards.
pub struct Done {
    /// Every key that it tried to change.
    pub keys: HashSet<Atom>,
    /// How late an idle client's operations began, in nanoseconds: the pacing's own error.
    pub lateness: Histogram<u64>,
    /// How many operations it did.
    pub operations: u64,
}

impl Load {
    /// Runs until the time is over, the generator is done, or it is stopped.
    pub async fn run(mut self) -> Done {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.client as u64 + 1);
        let mut who =
            Identity { process: self.client as u64, session: self.client as u64, clients: self.clients as u64 };
        let mut done = Done { keys: HashSet::new(), lateness: lateness_histogram(), operations: 0 };
        let mut turn = 0;
        while let Some(due) = self.due(&mut done.lateness).await {
            if self.stop.load(Ordering::Relaxed) || self.recorder.failed() || Instant::now() >= self.until {
                break;
            }
            let context = self.context();
            match self.generator.next(&context, &mut rng) {
                Next::Done => break,
                Next::Wait => tokio::time::sleep(IDLE).await,
                Next::Op(draft) => {
                    self.operation(draft, due, &mut who, &mut done).await;
                }
            }
            turn += 1;
            if self.pace.is_none() && turn % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        done
    }

    fn context(&self) -> Context {
        Context { now: self.recorder.start().elapsed(), client: self.client, clients: self.clients }
    }

    /// When the next operation is due: `Some(None)` where nothing is paced, `None` when the load is over.
    async fn due(&mut self, lateness: &mut Histogram<u64>) -> Option<Option<Instant>> {
        let Some(pace) = &mut self.pace else { return Some(None) };
        match pace.try_recv() {
            Ok(due) => Some(Some(due)),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                let due = pace.recv().await?;
                lateness.saturating_record(due.elapsed().as_nanos() as u64);
                Some(Some(due))
            }
        }
    }

    async fn operation(&mut self, draft: Draft, due: Option<Instant>, who: &mut Identity, done: &mut Done) {
        for step in draft.steps.iter().filter(|step| step.action.writes()) {
            if !done.keys.contains(&step.key) {
                done.keys.insert(step.key.clone());
            }
        }
        done.operations += 1;
        let start = self.recorder.start();
        let invocation = OpEvent {
            index: 0,
            time: 0,
            intended: due.map(|due| due.saturating_duration_since(start).as_nanos() as u64),
            kind: Kind::Invoke,
            process: Process(who.process),
            function: draft.function,
            steps: draft.steps.clone(),
            session: Some(Atom::Int(who.session as i64)),
            user: self.user.map(|user| Atom::Int(user as i64)),
            node: None,
            version: None,
            error: None,
            last: false,
        };
        self.recorder.operation(invocation.clone());
        let completion = self.call(&draft).await;
        let over = completion.session_over;
        let event = completed(invocation, completion);
        self.generator.observe(&self.context(), &event);
        let kind = event.kind;
        self.recorder.operation(event);
        if kind == Kind::Info {
            who.process += who.clients;
        }
        if over {
            who.session += who.clients;
            self.connection.renew(who.session);
        }
    }

    async fn call(&mut self, draft: &Draft) -> Completion {
        match tokio::time::timeout(REQUEST_TIMEOUT + GRACE, self.connection.call(draft)).await {
            Ok(completion) => completion,
            Err(_) => Completion {
                kind: Kind::Info,
                steps: draft.steps.clone(),
                node: None,
                version: None,
                error: Some("timeout: the client did not answer in time".into()),
                session_over: false,
            },
        }
    }
}

struct Identity {
    process: u64,
    session: u64,
    clients: u64,
}

fn completed(invocation: OpEvent, completion: Completion) -> OpEvent {
    OpEvent {
        intended: None,
        kind: completion.kind,
        steps: if completion.kind == Kind::Ok { completion.steps } else { invocation.steps },
        node: completion.node,
        version: completion.version,
        error: completion.error,
        ..invocation
    }
}

/// Lateness from 1 µs to 10 s, two digits.
pub fn lateness_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 10_000_000_000, 2).expect("the bounds are in order and two digits are allowed")
}
