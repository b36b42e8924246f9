//! A healthy history is found healthy; with one line altered so that a guarantee is broken, it is found broken.

mod healthy;

use gainsay_checker::{Action, Atom, Event, History, Judgement, Kind, Options, Reading, Vacuity, Verdict, judge};
use healthy::{Holds, Positions, Shape};

fn verdict(events: Vec<Event>) -> Judgement {
    let history = History::from_events(events).unwrap();
    judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() })
}

fn broken(judgement: &Judgement) -> Vec<&str> {
    let found = judgement.findings.iter().filter(|finding| matches!(finding.outcome, Verdict::Broken { .. }));
    found.map(|finding| finding.guarantee.as_str()).collect()
}

fn shape(holds: Holds) -> Shape {
    Shape { several: 100, positions: Positions::Reported, ..Shape::of(3_000, holds) }
}

/// The reads of the history that succeeded, as positions among the events.
fn reads(events: &[Event]) -> Vec<usize> {
    let read = |event: &Event| match event {
        Event::Op(op) => op.kind == Kind::Ok && !op.last && matches!(op.steps[0].action, Action::Read(Some(_))),
        Event::Note(_) => false,
    };
    (0..events.len()).filter(|&at| read(&events[at])).collect()
}

fn reading(events: &mut [Event], at: usize) -> &mut Reading {
    let Event::Op(op) = &mut events[at] else { panic!("a note") };
    let Action::Read(Some(reading)) = &mut op.steps[0].action else { panic!("no read") };
    reading
}

#[test]
fn healthy_histories_are_found_healthy() {
    for holds in [Holds::Registers, Holds::CasRegisters, Holds::Lists, Holds::Sets] {
        for positions in [Positions::Reported, Positions::Hidden] {
            for seed in 0..3 {
                let judgement = verdict(healthy::events(Shape { positions, ..shape(holds) }, seed));
                assert_eq!(broken(&judgement), Vec::<&str>::new(), "{holds:?}, seed {seed}: {}", judgement.headline);
                assert_eq!(judgement.result, "held", "{holds:?}, seed {seed}: {}", judgement.headline);
            }
        }
    }
}

/// For each of many reads, one at a time: a list without its last element is what somebody could have seen before, or a violation.
#[test]
fn a_dropped_element_is_found() {
    let events = healthy::events(shape(Holds::Lists), 1);
    let mut found = 0;
    let all = reads(&events);
    let long: Vec<usize> = all
        .into_iter()
        .filter(|&at| matches!(reading(&mut events.clone()[at..=at], 0), Reading::Many(list) if list.len() > 6))
        .collect();
    for &at in long.iter().step_by(long.len() / 20) {
        let mut altered = events.clone();
        if let Reading::Many(list) = reading(&mut altered, at) {
            list.remove(2);
        }
        found += usize::from(!broken(&verdict(altered)).is_empty());
    }
    assert!(found >= 20, "only {found} were found");
}

#[test]
fn a_swapped_value_is_found() {
    let mut events = healthy::events(shape(Holds::Registers), 2);
    let at = reads(&events)[700];
    *reading(&mut events, at) = Reading::One(Atom::Int(-5));
    assert_eq!(broken(&verdict(events)), vec!["explainable"]);
}

/// A session that read a register twice and got two values gets the first one again later.
#[test]
fn a_stale_read_is_found() {
    let events = healthy::events(shape(Holds::Registers), 3);
    let mut found = 0;
    let all = reads(&events);
    let who = |at: usize| match &events[at] {
        Event::Op(op) => (op.session.clone(), op.steps[0].key.clone()),
        Event::Note(_) => panic!("a note"),
    };
    for (nth, &at) in all.iter().enumerate().skip(200).step_by(40) {
        let earlier: Vec<usize> = all[..nth].iter().copied().filter(|&other| who(other) == who(at)).collect();
        let [first, .., last] = earlier.as_slice() else { continue };
        let (old, new) = (reading(&mut events.clone(), *first).clone(), reading(&mut events.clone(), *last).clone());
        if old == new || old == Reading::Nil || old == *reading(&mut events.clone(), at) {
            continue;
        }
        let mut altered = events.clone();
        *reading(&mut altered, at) = old;
        let judgement = verdict(altered);
        let names = broken(&judgement);
        assert!(names.contains(&"linearizable") && names.contains(&"monotonic-reads"), "{names:?}");
        found += 1;
    }
    assert!(found >= 3, "only {found} could be altered");
}

#[test]
fn the_same_history_gets_the_same_verdict() {
    let mut events = healthy::events(shape(Holds::Registers), 4);
    for at in reads(&events).into_iter().step_by(50) {
        *reading(&mut events, at) = Reading::Nil;
    }
    let plain = |judgement: Judgement| {
        let mut judgement = judgement;
        judgement.findings.iter_mut().for_each(|finding| finding.took_ms = 0.0);
        serde_json::to_string(&judgement).unwrap()
    };
    let first = plain(verdict(events.clone()));
    assert_eq!(first, plain(verdict(events.clone())));
    // Through the file as well.
    let mut text = Vec::new();
    events.iter().for_each(|event| gainsay_checker::json::write_event(&mut text, event));
    let history = History::read_json(text.as_slice()).unwrap();
    assert_eq!(History::count_json(text.as_slice()).unwrap(), history.ops.len() as u64);
    assert_eq!(first, plain(judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() })));
    let mut edn = Vec::new();
    events.iter().for_each(|event| gainsay_checker::edn::write_event(&mut edn, event));
    let history = History::read_any(&edn).unwrap();
    assert_eq!(first, plain(judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() })));
}

#[test]
fn a_hundred_thousand_sessions_of_two_operations_are_judged() {
    let shape = Shape { ops_per_session: 2, ..Shape::of(200_000, Holds::Registers) };
    let judgement = verdict(healthy::events(shape, 5));
    assert_eq!(judgement.result, "held", "{}", judgement.headline);
    for finding in &judgement.findings {
        eprintln!("{}: {:.0} ms, {:?}", finding.guarantee, finding.took_ms, finding.evidence.opportunities);
    }
}
