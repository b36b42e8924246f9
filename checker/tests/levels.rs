//! Every level against brute force: all tiny histories up to a size, and drawn ones.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gainsay_checker::Budget;
use gainsay_checker::formats::{awdit, dbcop, plume};
use gainsay_checker::history::Outcome;
use gainsay_checker::txn::brute::{self, sketch, source};
use gainsay_checker::txn::levels::{
    Decision, INITIAL, LEVELS, Level, Link, Proof, Ways, Why, Within, decide, decide_by,
};
use gainsay_checker::txn::{Shape, Transactions};

const WITHIN: [Within; 3] = [Within::Nothing, Within::Sessions, Within::RealTime];
const SHAPES: [Shape; 2] = [Shape::Registers, Shape::Lists];

/// Whether a link of a proof says what the history shows.
fn stands(txns: &Transactions, within: Within, link: &Link) -> bool {
    let &Link { from, to, why } = link;
    if why == Why::Initial {
        return from == INITIAL;
    }
    let writes =
        |t: u32, key: u32| t == INITIAL || txns.steps_of(t).iter().any(|step| step.writes() && step.key() == key);
    // What a read shows, the reader's own writes aside: the last of it, or nothing.
    let reads = |t: u32, key: u32, source: u32| {
        txns.steps_of(t).iter().filter(|step| step.reads() && step.key() == key).any(|step| {
            let shown = match (txns.shape, txns.version_key.get(step.version as usize)) {
                (_, None) => &[][..],
                (Shape::Registers, _) => &[step.version][..],
                (Shape::Lists, _) => &txns.order(key)[..=txns.place[step.version as usize] as usize],
            };
            let last = shown.iter().map(|&version| txns.writer[version as usize]).rfind(|&writer| writer != t);
            last.unwrap_or(INITIAL) == source
        })
    };
    let place = |t: u32, key: u32| {
        let writes = txns.steps_of(t).iter().filter(move |step| step.writes() && step.key() == key);
        writes.map(|step| txns.place[step.version as usize])
    };
    match why {
        Why::Initial => from == INITIAL,
        Why::Session => {
            let (a, b) = (txns.txns[from as usize], txns.txns[to as usize]);
            within != Within::Nothing && a.process == b.process && from < to && a.outcome == Outcome::Ok
        }
        Why::RealTime => within == Within::RealTime && txns.txns[from as usize].end < txns.txns[to as usize].start,
        Why::ReadsFrom { key } => reads(to, key, from),
        Why::Order { key } => {
            txns.shape == Shape::Lists && place(from, key).min().unwrap() < place(to, key).max().unwrap()
        }
        Why::Seen { by, key } => from != to && writes(from, key) && writes(to, key) && reads(by, key, to),
        Why::SeenUpdated { by, key } => {
            from != to && writes(from, key) && writes(to, key) && !reads(by, key, to) && !reads(by, key, INITIAL)
        }
        Why::Overwritten { source, key } => from != to && reads(from, key, source) && writes(to, key),
        Why::Updates { key, .. } => from != to && writes(from, key) && writes(to, key),
        Why::Conflict { key } => from != to && writes(from, key) && writes(to, key),
    }
}

/// Asks both about every level, and counts those that hold and those that don't.
fn compare(txns: &Transactions, what: &dyn std::fmt::Debug, counts: &mut [[u64; 2]; 6]) {
    for (at, level) in LEVELS.into_iter().enumerate() {
        for within in WITHIN {
            let truth = brute::holds(level, within, txns);
            counts[at][usize::from(truth)] += 1;
            let strong = at > 2;
            // What a large history takes is tried on small ones too: clocks instead of a matrix, and conclusions instead of luck.
            let ways = [(true, true, true), (false, false, true), (false, false, false), (false, true, false)]
                .map(|(greedy, matrix, windows)| Ways { greedy, matrix, windows });
            for ways in &ways[..if strong { 4 } else { 1 }] {
                let decision = decide_by(level, within, txns, &Budget::default(), *ways);
                let agrees = match &decision {
                    Decision::Holds => truth,
                    Decision::Violated(_) => !truth,
                    Decision::Unknown { .. } => false,
                };
                assert!(agrees, "{level:?} within {within:?}, {ways:?}: {decision:?}, in truth {truth}, of {what:?}");
                if let Decision::Violated(Proof::Cycle(links)) = &decision {
                    let wrong = links.iter().find(|link| !stands(txns, within, link));
                    let closed = links.iter().zip(links.iter().cycle().skip(1)).all(|(one, next)| one.to == next.from);
                    assert!(
                        !links.is_empty() && closed && wrong.is_none(),
                        "{level:?} within {within:?}: {wrong:?} in {links:?}, of {what:?}"
                    );
                }
            }
        }
    }
}

fn enough(counts: &[[u64; 2]; 6]) {
    eprintln!("violated, held, by level: {counts:?}");
    for [violated, held] in counts {
        let least = (violated + held) / 20;
        assert!(*violated >= least && *held >= least, "too few of one kind: {counts:?}");
    }
}

#[test]
fn every_history_of_three_steps_is_judged_as_brute_force_does() {
    for shape in SHAPES {
        let mut counts = [[0; 2]; 6];
        for steps in 1..=3 {
            source::each(shape, source::Size { steps, txns: 4, processes: 3 }, |history| {
                compare(&sketch::transactions(shape, history), &history, &mut counts);
                true
            });
        }
        enough(&counts);
    }
}

#[test]
fn histories_of_four_and_five_steps_are_judged_as_brute_force_does() {
    for shape in SHAPES {
        let mut counts = [[0; 2]; 6];
        for (steps, stride) in [(4, 17), (5, 397)] {
            let begun = Instant::now();
            let mut at = 0_u64;
            source::each(shape, source::Size { steps, txns: 4, processes: 3 }, |history| {
                at += 1;
                if at.is_multiple_of(stride) {
                    compare(&sketch::transactions(shape, history), &history, &mut counts);
                }
                begun.elapsed() < Duration::from_secs(3)
            });
        }
        enough(&counts);
    }
}

#[test]
fn drawn_histories_are_judged_as_brute_force_does() {
    let seeds = std::env::var("LEVELS_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(4_000);
    for shape in SHAPES {
        let mut counts = [[0; 2]; 6];
        for seed in 0_u64..seeds {
            let most = if seed.is_multiple_of(4) { 8 } else { 5 };
            let history = source::drawn_sketch(seed, shape, most);
            compare(&sketch::transactions(shape, &history), &(seed, &history), &mut counts);
        }
        enough(&counts);
    }
}

/// The files of a folder of the corpora; none, with a word, where they are not.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let root = if root.exists() { root } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora") };
    let mut files = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    if files.is_empty() {
        eprintln!("NOTHING WAS CHECKED: there is no corpus {folder} at {}", root.display());
    }
    files.sort();
    files
}

fn holds(level: Level, within: Within, txns: &Transactions) -> bool {
    match decide(level, within, txns, &Budget::default()) {
        Decision::Holds => true,
        Decision::Violated(_) => false,
        Decision::Unknown { why } => panic!("{level:?} within {within:?} is unknown: {why}"),
    }
}

/// How many of the levels hold within sessions.
fn strength(txns: &Transactions) -> usize {
    LEVELS.iter().take_while(|&&level| holds(level, Within::Sessions, txns)).count()
}

#[test]
fn the_corpus_of_awdit_gets_the_level_of_its_folder() {
    for file in corpus("awdit") {
        let txns = awdit::read(&std::fs::read(&file).unwrap()).unwrap();
        let folder = file.components().rev().nth(if file.to_str().unwrap().contains("generated") { 2 } else { 1 });
        let expected = match folder.unwrap().as_os_str().to_str().unwrap() {
            "none" => 0,
            "read-committed" => 1,
            "read-atomic" => 2,
            _ => 3,
        };
        let begun = Instant::now();
        let found = (0..3).take_while(|&at| holds(LEVELS[at], Within::Sessions, &txns)).count();
        assert_eq!(found, expected, "{}", file.display());
        eprintln!("{}: {found} in {:?}", file.display(), begun.elapsed());
    }
}

#[test]
fn the_generated_corpus_breaks_where_its_gadget_does() {
    for file in corpus("generated").into_iter().filter(|file| file.to_str().unwrap().ends_with(".plume.txt")) {
        let txns = plume::read(&std::fs::read(&file).unwrap()).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let gadget = name.trim_start_matches("rw-").trim_end_matches(".plume.txt");
        // How many of the levels hold, weakest first.
        let expected = match gadget {
            "G1a" | "G1b" | "G1c" | "garbage" | "future-read" | "internal" => 0,
            "G0" | "G-single" | "stale-proc" => 1,
            "mono-read" | "mono-write" | "wfr" => 2,
            "long-fork" => 3,
            "lost-update" => 4,
            "G2-item" => 5,
            // What these are about shows in lists or times only.
            "dirty-update" | "duplicate" | "incompatible" | "stale-rt" => 6,
            other => panic!("no verdict is known for {other}"),
        };
        assert_eq!(strength(&txns), expected, "{gadget}");
    }
}

#[test]
fn what_a_format_writes_it_reads_again_with_the_same_verdicts() {
    for seed in 0..300 {
        let txns = source::drawn(seed, Shape::Registers, 6);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        plume::write(&txns, &mut first).unwrap();
        dbcop::write(&txns, &mut second).unwrap();
        let (first, second) = (plume::read(&first).unwrap(), dbcop::read(&second).unwrap());
        for level in LEVELS {
            let expected = holds(level, Within::Sessions, &txns);
            // A session goes on after an unknown outcome, which neither format can say, so only what holds in order is compared.
            if txns.txns.iter().all(|txn| txn.outcome != Outcome::Info) {
                assert_eq!(holds(level, Within::Sessions, &first), expected, "plume, seed {seed}, {level:?}");
                assert_eq!(holds(level, Within::Sessions, &second), expected, "dbcop, seed {seed}, {level:?}");
            }
        }
    }
}

#[test]
fn a_line_that_is_no_step_is_refused_with_its_number_and_what_was_expected() {
    let wrong = |text: &str| plume::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        wrong("w(1,2,3,4)\n\nx(1)"),
        "line 3: r(key,value,session,transaction) or w(…) expected, found \"x(1)\""
    );
    assert_eq!(wrong("w(1,,3,4)"), "line 1: a value expected, found \",3,4)\"");
    assert_eq!(wrong("w(1,99999999999999999999,3,4)"), "line 1: a value expected, found \"99999999999999999999,3,4)\"");
    assert_eq!(wrong("w(1,2,3,4) 5"), "line 1: the end of the line expected, found \"5\"");
    let wrong = |text: &str| awdit::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(wrong("w 1 2\n-\n"), "line 2: ----- or ===== expected, found \"\"");
    assert!(dbcop::read(b"{\n\"data\": 3}").unwrap_err().to_string().starts_with("line 2: "));
}

#[test]
fn a_seed_is_a_history_and_a_comparison() {
    assert_eq!((0..200).find_map(|seed| brute::disagreement(seed, Shape::Registers)), None);
    assert_eq!((0..200).find_map(|seed| brute::disagreement(seed, Shape::Lists)), None);
}

#[test]
fn a_lost_own_write_is_seen_though_the_initial_state_was_read() {
    let txns = plume::read(b"w(1,1,0,0)\nr(1,0,0,1)\n").unwrap();
    assert!(holds(Level::ReadCommitted, Within::Sessions, &txns));
    assert!(!holds(Level::ReadAtomic, Within::Sessions, &txns));
    assert!(!holds(Level::Causal, Within::Sessions, &txns));
    assert!(holds(Level::Serializable, Within::Nothing, &txns));
}

#[test]
fn a_value_that_two_wrote_is_not_known_to_be_read_from_either() {
    let txns = plume::read(b"w(1,1,0,0)\nw(1,1,1,1)\nr(1,1,2,2)\n").unwrap();
    let decision = decide(Level::Serializable, Within::Sessions, &txns, &Budget::default());
    assert!(matches!(decision, Decision::Unknown { .. }), "{decision:?}");
}

#[test]
fn reading_ones_own_first_write_before_the_second_is_legal() {
    let txns = plume::read(b"w(1,1,0,0)\nr(1,1,0,0)\nw(1,2,0,0)\nr(1,2,1,1)\n").unwrap();
    assert_eq!(strength(&txns), 6);
}
