//! Generators are pure, so a loop can test them: no cluster, no clock.

use std::collections::HashSet;
use std::time::Duration;

use gainsay_checker::{Atom, Function};
use gainsay_workloads::{Capabilities, Context, Draft, Next, Params, WORKLOADS};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

const EVERYTHING: Capabilities = Capabilities { cas: true, lists: true, sets: true, deletes: true, atomic_reads: true };
const CLIENTS: usize = 6;

fn drafts(workload: &gainsay_workloads::Workload, seed: u64, client: usize, count: usize) -> Vec<Draft> {
    let params = Params { client, clients: CLIENTS, can: EVERYTHING, ops_per_key: workload.ops_per_key };
    let mut generator = (workload.build)(&params);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let context = Context { now: Duration::ZERO, client, clients: CLIENTS };
    (0..count)
        .map(|_| match generator.next(&context, &mut rng) {
            Next::Op(draft) => draft,
            other => panic!("{} answered {other:?}", workload.name),
        })
        .collect()
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
        for client in 0..CLIENTS {
            for draft in drafts(workload, 3, client, 2_000) {
                for step in &draft.steps {
                    if let Some(value) = step.action.written() {
                        assert!(written.insert((step.key.clone(), value.clone())), "{}: {step}", workload.name);
                    }
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
        let drafts: Vec<Draft> = [0, 1].into_iter().flat_map(|client| drafts(workload, 1, client, 500)).collect();
        let reads = drafts.iter().filter(|draft| !draft.steps.iter().any(|step| step.action.writes())).count();
        // Nobody learns of a question here, so none is answered.
        let most = if workload.name == "dialogue" { 920 } else { 700 };
        assert!((300..=most).contains(&reads), "{}: {reads} reads of 1000", workload.name);
    }
}

#[test]
fn without_atomic_reads_nothing_is_read_together() {
    for workload in WORKLOADS {
        let can = Capabilities { atomic_reads: false, ..EVERYTHING };
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
