//! Generators are pure, so a loop can test them: no cluster, no clock.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Process, Reading, Steps};
use gainsay_workloads::{Capabilities, Context, Draft, Generator, Next, Params, WORKLOADS};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

const EVERYTHING: Capabilities = Capabilities { cas: true, lists: true, sets: true, deletes: true, atomic_reads: true };
const CLIENTS: usize = 6;

/// One copy of everything, which does one operation after the other.
#[derive(Default)]
struct World(HashMap<Atom, Reading>);

impl World {
    /// Does a draft as a whole, or not at all where a comparison fails.
    fn does(&mut self, draft: &Draft) -> (Kind, Steps) {
        let held = |world: &World, key: &Atom| world.0.get(key).cloned().unwrap_or(Reading::Nil);
        let mismatch = draft.steps.iter().any(|step| match (&step.action, held(self, &step.key)) {
            (Action::Cas { old: Some(old), .. }, Reading::One(value)) => value != *old,
            (Action::Cas { old, .. }, Reading::Nil) => old.is_some(),
            (Action::Cas { .. }, _) => true,
            _ => false,
        });
        if mismatch {
            return (Kind::Fail, draft.steps.clone());
        }
        let mut steps = draft.steps.clone();
        for step in &mut steps {
            let was = held(self, &step.key);
            let now = match &mut step.action {
                Action::Read(seen) => {
                    *seen = Some(was);
                    continue;
                }
                Action::Write(value) | Action::Cas { new: value, .. } => Reading::One(value.clone()),
                Action::Append(value) | Action::Add(value) => {
                    let mut values = if let Reading::Many(values) = was { values } else { Vec::new() };
                    values.push(value.clone());
                    Reading::Many(values)
                }
                Action::Remove(value) => {
                    let values = if let Reading::Many(values) = was { values } else { Vec::new() };
                    Reading::Many(values.into_iter().filter(|held| held != value).collect())
                }
                Action::Delete => Reading::Nil,
            };
            self.0.insert(step.key.clone(), now);
        }
        (Kind::Ok, steps)
    }
}

fn completion(kind: Kind, draft: &Draft, steps: Steps) -> OpEvent {
    OpEvent {
        index: 0,
        time: 0,
        intended: None,
        kind,
        process: Process(0),
        function: draft.function,
        steps,
        session: None,
        user: None,
        node: None,
        version: None,
        error: None,
        last: false,
    }
}

/// What each client does when all take turns on one copy.
fn everybodys(workload: &gainsay_workloads::Workload, seed: u64, count: usize) -> Vec<Vec<Draft>> {
    let build = |client: usize| {
        let params = Params { client, clients: CLIENTS, can: EVERYTHING, ops_per_key: workload.ops_per_key };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(client as u64 + 1);
        ((workload.build)(&params), rng, Vec::with_capacity(count))
    };
    let mut clients: Vec<(Box<dyn Generator>, ChaCha8Rng, Vec<Draft>)> = (0..CLIENTS).map(build).collect();
    let mut world = World::default();
    for _ in 0..count {
        for (client, (generator, rng, drafts)) in clients.iter_mut().enumerate() {
            let context = Context { now: Duration::ZERO, client, clients: CLIENTS };
            let Next::Op(draft) = generator.next(&context, rng) else { panic!("{} has nothing to do", workload.name) };
            let (kind, steps) = world.does(&draft);
            generator.observe(&context, &completion(kind, &draft, steps));
            drafts.push(draft);
        }
    }
    clients.into_iter().map(|(_, _, drafts)| drafts).collect()
}

fn drafts(workload: &gainsay_workloads::Workload, seed: u64, client: usize, count: usize) -> Vec<Draft> {
    everybodys(workload, seed, count).swap_remove(client)
}

#[test]
fn a_seed_keeps_its_meaning() {
    for workload in WORKLOADS {
        assert_eq!(drafts(workload, 7, 1, 500), drafts(workload, 7, 1, 500), "{}", workload.name);
        assert_ne!(drafts(workload, 7, 1, 500), drafts(workload, 8, 1, 500), "{}", workload.name);
    }
}

#[test]
fn no_value_is_written_twice() {
    for workload in WORKLOADS {
        let mut written: HashSet<(Atom, Atom)> = HashSet::new();
        for draft in everybodys(workload, 3, 2_000).into_iter().flatten() {
            for step in &draft.steps {
                if let Some(value) = step.action.written() {
                    assert!(written.insert((step.key.clone(), value.clone())), "{}: {step}", workload.name);
                }
            }
        }
        assert!(written.len() > 1_000, "{}", workload.name);
    }
}

#[test]
fn keys_retire_and_are_shared() {
    for workload in WORKLOADS {
        let keys = |client: usize| -> HashSet<Atom> {
            drafts(workload, 5, client, 3_000).into_iter().flat_map(|draft| draft.steps).map(|step| step.key).collect()
        };
        let (mine, yours) = (keys(0), keys(1));
        assert!(mine.len() > 20, "{}: {} keys", workload.name, mine.len());
        assert!(mine.intersection(&yours).count() > 10, "{}", workload.name);
    }
}

#[test]
fn every_workload_reads_and_writes() {
    for workload in WORKLOADS {
        let drafts: Vec<Draft> = everybodys(workload, 1, 500).into_iter().take(2).flatten().collect();
        let reads = drafts.iter().filter(|draft| !draft.steps.iter().any(|step| step.action.writes())).count();
        // Whoever looks whether something is there or free looks more often than he finds.
        let most = if matches!(workload.name, "dialogue" | "booking") { 920 } else { 700 };
        assert!((300..=most).contains(&reads), "{}: {reads} reads of 1000", workload.name);
    }
}

#[test]
fn without_atomic_reads_nothing_is_read_together() {
    for workload in WORKLOADS {
        let can = Capabilities { atomic_reads: false, ..EVERYTHING };
        if (workload.refuses)(&can).is_some() {
            continue;
        }
        let params = Params { client: 0, clients: CLIENTS, can, ops_per_key: 100 };
        let mut generator = (workload.build)(&params);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let context = Context { now: Duration::ZERO, client: 0, clients: CLIENTS };
        for _ in 0..500 {
            if let Next::Op(draft) = generator.next(&context, &mut rng) {
                assert_ne!(draft.function, Function::Txn, "{}", workload.name);
            }
        }
    }
}
