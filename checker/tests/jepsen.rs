//! Jepsen's checkers: known histories, each kind of problem with its near miss, and a second implementation.

use std::path::PathBuf;

use gainsay_checker::jepsen::{MODELS, Options, Report, Verdict, draw, model, plain};
use gainsay_checker::log::Log;
use gainsay_checker::text::Syntax;

fn judged(name: &str, edn: &str) -> Report {
    judged_with(name, edn, &Options::default())
}

fn judged_with(name: &str, edn: &str, options: &Options) -> Report {
    let log = Log::read(edn.as_bytes(), Syntax::Edn).unwrap_or_else(|why| panic!("{name}: {why}"));
    let entry = model(name).unwrap_or_else(|| panic!("no model is called {name}"));
    (entry.check)(&log, options)
}

/// The kinds of problem that were found, in alphabetical order; `unknown` where there is no answer.
fn kinds(report: &Report) -> Vec<&'static str> {
    if let Verdict::Unknown { .. } = report.verdict {
        return vec!["unknown"];
    }
    assert_eq!(report.verdict == Verdict::Holds, report.problems.is_empty());
    let mut kinds: Vec<_> = report.problems.iter().map(|problem| problem.kind).collect();
    kinds.sort_unstable();
    kinds
}

/// A history in short: `process mark f value`, where the mark is that of an invocation (`!`) or of a completion (`+` succeeded, `-` failed,
/// `?` unknown). Indices count from 0.
fn edn(short: &str) -> String {
    let mut text = String::new();
    for event in short.split(';').map(str::trim).filter(|event| !event.is_empty()) {
        let mut words = event.splitn(3, ' ');
        let (who, f, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or("nil"));
        let (process, mark) = who.split_at(who.len() - 1);
        let kind = match mark {
            "!" => "invoke",
            "+" => "ok",
            "-" => "fail",
            "?" => "info",
            other => panic!("what is {other}?"),
        };
        text += &format!("{{:type :{kind} :process {process} :f :{f} :value {value}}}\n");
    }
    text
}

/// Each history with the kinds of problem that it shows.
fn shows(name: &str, cases: &[(&str, &[&str])]) {
    for (short, expected) in cases {
        let report = judged(name, &edn(short));
        assert_eq!(kinds(&report), *expected, "{name}: {short}\n{report:?}");
        for problem in &report.problems {
            assert!(!problem.text.is_empty() && problem.count > 0);
            assert!(problem.ops.is_sorted() && !problem.ops.is_empty(), "{problem:?}");
        }
    }
}

/// The folder `shared/corpora` beside this repository or above it.
fn corpora() -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|folder| folder.join("shared/corpora")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("NOT TESTED: shared/corpora is not there, so elle-cli's histories were not judged");
    }
    found
}

#[test]
fn histories_of_elle_cli_get_their_published_verdicts() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("elle-cli");
    let mut judged = 0;
    for line in std::fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [path, name, expected, options @ ..] = columns.as_slice() else { continue };
        let Some(entry) = model(name) else { continue };
        let words: Vec<&str> = options.iter().flat_map(|it| it.split_whitespace()).collect();
        let mut options = Options::default();
        for pair in words.chunks(2) {
            match pair {
                ["--group-size", size] => options.group_size = size.parse().unwrap(),
                ["--total-amount", total] => options.total_amount = Some(total.parse().unwrap()),
                ["--allow-negative-balances", ..] => options.negative_balances = true,
                other => panic!("{path}: what is {other:?}?"),
            }
        }
        let syntax = if path.ends_with("json") { Syntax::Json } else { Syntax::Edn };
        let log = Log::read(&std::fs::read(folder.join(path)).unwrap(), syntax).unwrap();
        let report = (entry.check)(&log, &options);
        eprintln!("{path}: {} {:?}", report.sentence, report.notes);
        assert_eq!(report.verdict == Verdict::Holds, *expected == "valid", "{path}: {report:?}");
        assert_eq!(report.verdict == Verdict::Violated, *expected == "invalid", "{path}: {report:?}");
        let found: Vec<&str> = MODELS.iter().filter(|it| (it.recognises)(&log)).map(|it| it.name).collect();
        // A history without a read, and one whose reads have another shape than its additions, look like nothing.
        assert!(found.contains(name) || found.is_empty(), "{path} looks like {found:?}");
        judged += 1;
    }
    assert!(judged >= 11, "only {judged} histories were found");
}

#[test]
fn the_comments_history_of_elle_cli_shows_430_without_425() {
    let Some(corpora) = corpora() else { return };
    // Its operations overlap and name no process; the read is one client's and the writes another's.
    let text = std::fs::read_to_string(corpora.join("elle-cli/custom/comments.edn")).unwrap();
    let text = text.replace(":f :write", ":process 1 :f :write").replace(":f :read", ":process 0 :f :read");
    let report = judged("comments", &text);
    assert_eq!(kinds(&report), ["missing"]);
    assert_eq!(report.problems[0].ops, [1, 2, 4]);
    assert!(report.sentence.contains("425") && report.sentence.contains("430"), "{}", report.sentence);
}

#[test]
fn second_implementations_agree_on_random_histories() {
    let mut wrong = Vec::new();
    for name in plain::NAMES {
        let (mut violated, mut unknown) = (0, 0);
        for seed in 0..2_000 {
            match plain::compare(name, seed, 6 + (seed as usize * 7) % 60) {
                Ok(Verdict::Violated) => violated += 1,
                Ok(Verdict::Unknown { .. }) => unknown += 1,
                Ok(Verdict::Holds) => {}
                Err(why) => wrong.push(why),
            }
        }
        eprintln!("{name}: {violated} violated, {unknown} unknown of 2000");
        if !(150..=1_000).contains(&violated) || unknown >= 1_000 {
            wrong.push(format!("{name}: {violated} violated and {unknown} unknown of 2000 compare too little"));
        }
    }
    assert!(wrong.is_empty(), "{} differences, such as\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn a_final_read_of_a_set_shows_what_was_acknowledged_and_nothing_that_nobody_added() {
    shows(
        "set",
        &[
            ("0! add 1; 0+ add 1; 0! read; 0+ read #{1}", &[]),
            ("0! add 1; 0+ add 1; 0! read; 0+ read #{}", &["lost"]),
            // Acknowledged only after the read began: it may come before the addition.
            ("0! add 1; 1! read; 0+ add 1; 1+ read #{}", &[]),
            // Unknown: it may be there, or not.
            ("0! add 1; 0? add 1; 1! read; 1+ read #{1}", &[]),
            ("0! add 1; 0? add 1; 1! read; 1+ read #{}", &[]),
            ("0! add 1; 0- add 1; 1! read; 1+ read #{1}", &["revived"]),
            ("0! add 1; 0- add 1; 0! add 1; 0? add 1; 1! read; 1+ read #{1}", &[]),
            ("0! add 1; 0+ add 1; 1! read; 1+ read #{1 2}", &["unexpected"]),
            // Only the last read counts, and one that failed says nothing.
            ("0! add 1; 0+ add 1; 1! read; 1+ read #{}; 1! read; 1+ read #{1}; 1! read; 1- read #{}", &[]),
            // Nobody had begun to add it; what is open may be there.
            ("1! read; 1+ read #{1}; 0! add 1; 0+ add 1", &["premature"]),
            ("1! read; 0! add 1; 1+ read #{1}; 0+ add 1", &[]),
            ("0! add 1; 0+ add 1", &["unknown"]),
            ("0! add 1; 0+ add 1; 1! read; 1? read nil", &["unknown"]),
            ("", &["unknown"]),
            // Completions without invocations count from the beginning.
            ("0+ add 1; 0+ read #{1}", &[]),
            ("0+ read #{2}; 0+ add 2", &[]),
            ("0+ add {:a 1, :b 2}; 0! read; 0+ read #{{:b 2, :a 1}}", &[]),
        ],
    );
}

#[test]
fn an_element_that_was_known_stays_in_a_set_read_all_along() {
    let cases: &[(&str, &[&str])] = &[
        ("0! add 1; 0+ add 1; 0! read; 0+ read [1]", &[]),
        ("0! add 1; 0+ add 1; 0! read; 0+ read []", &["lost"]),
        ("0! add 1; 0+ add 1; 0! read; 0+ read [1]; 0! read; 0+ read []", &["lost"]),
        // Known from a read, since the addition's outcome is not.
        ("0! add 1; 0? add 1; 1! read; 1+ read [1]; 1! read; 1+ read []", &["lost"]),
        // The read that misses it began before the addition was acknowledged.
        ("0! add 1; 1! read; 0+ add 1; 1+ read []", &["unknown"]),
        // It appears late: stale, which only a linearizable set forbids.
        ("0! add 1; 0+ add 1; 1! read; 1+ read []; 1! read; 1+ read [1]", &[]),
        ("0! add 1; 0- add 1; 1! read; 1+ read [1]", &["revived"]),
        ("0! add 1; 0+ add 1; 1! read; 1+ read [1 7]", &["unexpected"]),
        ("1! read; 1+ read [1]; 0! add 1; 0+ add 1; 1! read; 1+ read [1]", &["premature"]),
        ("1! read; 0! add 1; 1+ read [1]; 0+ add 1", &[]),
        ("0! add 1; 0+ add 1; 1! read; 1+ read [1 1]", &["duplicated"]),
        ("0! add 1; 0+ add 1; 1! read; 1? read nil", &["unknown"]),
        // A read that was invoked first and ends last shows more than the one inside it, which is thereby the later.
        ("0! add 1; 0+ add 1; 0! read; 1! read; 1+ read []; 0+ read [1]", &["lost"]),
        ("0! add 1; 0+ add 1; 0! read; 1! read; 1+ read [1]; 0+ read []", &[]),
    ];
    shows("set-full", cases);
    let stale = edn(cases[5].0);
    let report = judged_with("set-full", &stale, &Options { linearizable: true, ..Options::default() });
    assert_eq!(kinds(&report), ["stale"]);
    assert_eq!((&report.numbers["stale-count"], &report.numbers["stable-count"]), (&1.into(), &1.into()));
}

#[test]
fn latencies_of_a_set_are_milliseconds_from_known_to_the_last_miss() {
    let event = |kind: &str, f: &str, value: &str, ms: u64| {
        format!("{{:type :{kind} :process 0 :f :{f} :value {value} :time {}}}\n", ms * 1_000_000)
    };
    let mut text = event("invoke", "add", "1", 0) + &event("ok", "add", "1", 5);
    text += &(event("invoke", "read", "nil", 25) + &event("ok", "read", "[]", 26));
    text += &(event("invoke", "read", "nil", 30) + &event("ok", "read", "[1]", 31));
    let report = judged("set-full", &text);
    assert_eq!(report.numbers["stable-latencies"]["1"], 20);
    assert_eq!(report.numbers["worst-stale"][0]["stable-latency"], 20);
}

#[test]
fn what_goes_into_a_queue_comes_out() {
    shows(
        "total-queue",
        &[
            ("0! enqueue 1; 0+ enqueue 1; 0! dequeue; 0+ dequeue 1", &[]),
            ("0! enqueue 1; 0+ enqueue 1; 0! drain; 0+ drain [1]", &[]),
            ("0! enqueue 1; 0+ enqueue 1; 0! drain; 0+ drain []", &["lost"]),
            ("0! enqueue 1; 0+ enqueue 1; 0! dequeue; 0+ dequeue nil", &["lost"]),
            // Nobody looked again: it may still be there.
            ("0! enqueue 1; 0+ enqueue 1", &["unknown"]),
            ("0! enqueue 1; 1! drain; 0+ enqueue 1; 1+ drain []", &["unknown"]),
            // A dequeue whose outcome is unknown may have taken it; one that failed has not.
            ("0! enqueue 1; 0+ enqueue 1; 1! dequeue; 1? dequeue nil; 0! drain; 0+ drain []", &["unknown"]),
            ("0! enqueue 1; 0+ enqueue 1; 1! dequeue; 1- dequeue nil; 0! drain; 0+ drain []", &["lost"]),
            ("0! enqueue 1; 0+ enqueue 1; 1! drain; 1? drain nil; 0! drain; 0+ drain []", &["unknown"]),
            ("0! dequeue; 0+ dequeue 7", &["unexpected"]),
            ("0! dequeue; 0+ dequeue 7; 1! enqueue 7; 1+ enqueue 7", &["premature"]),
            ("0! dequeue; 1! enqueue 7; 0+ dequeue 7; 1+ enqueue 7", &[]),
            ("0! enqueue 1; 0- enqueue 1; 0! dequeue; 0+ dequeue 1", &["revived"]),
            ("0! enqueue 1; 0? enqueue 1; 1! dequeue; 1+ dequeue 1", &[]),
            // At least once.
            ("0! enqueue 1; 0+ enqueue 1; 0! dequeue; 0+ dequeue 1; 0! dequeue; 0+ dequeue 1", &[]),
        ],
    );
    let report = judged(
        "total-queue",
        &edn(
            "0! enqueue 1; 0+ enqueue 1; 0! drain; 0+ drain [1 1]; 0! enqueue 2; 0? enqueue 2; 1! drain; 1+ drain [2]",
        ),
    );
    assert_eq!((&report.numbers["duplicated-count"], &report.numbers["recovered-count"]), (&1.into(), &1.into()));
}

#[test]
fn a_counter_lies_between_what_was_acknowledged_and_what_was_tried() {
    shows(
        "counter",
        &[
            ("0! add 2; 0+ add 2; 0! read; 0+ read 2", &[]),
            ("0! add 2; 0+ add 2; 0! read; 0+ read 1", &["out-of-bounds"]),
            ("0! add 2; 0+ add 2; 0! read; 0+ read 3", &["out-of-bounds"]),
            // What is open, or unknown, may count or not.
            ("0! add 2; 1! read; 1+ read 2; 0+ add 2", &[]),
            ("0! add 2; 1! read; 1+ read 0; 0+ add 2", &[]),
            ("0! add 2; 0? add 2; 1! read; 1+ read 2", &[]),
            // Only a failed addition would explain it.
            ("0! add 2; 0- add 2; 1! read; 1+ read 2", &["out-of-bounds"]),
            ("0! add 2; 1! read; 1+ read 2; 0- add 2", &["out-of-bounds"]),
            // A read of unknown outcome, and one that failed, say nothing.
            ("0! add 2; 0+ add 2; 1! read; 1? read 7; 2! read; 2- read 7", &[]),
            ("0! add -2; 0+ add -2; 0! read; 0+ read -2", &[]),
            ("0! read; 1! add -5; 2! add 9; 2+ add 9; 0+ read -5", &[]),
            ("0! read; 1! add -5; 2! add 9; 2+ add 9; 0+ read -6", &["out-of-bounds"]),
            (
                "0! add 9223372036854775807; 0+ add 9223372036854775807; 0! add 1; 0+ add 1; 0! read; 0+ read 5",
                &["out-of-bounds"],
            ),
            // What an addition adds cannot be told.
            ("0! add x; 0+ add x; 0! read; 0+ read 1", &["unknown"]),
        ],
    );
}

#[test]
fn every_read_of_the_bank_shows_the_same_total() {
    shows(
        "bank",
        &[
            (
                "0! read; 0+ read {0 10, 1 0}; 0! transfer {:from 0 :to 1 :amount 5}; 0? transfer {:from 0 :to 1 :amount 5}; 1! read; 1+ read {0 5, 1 5}",
                &[],
            ),
            ("0! read; 0+ read {0 10, 1 0}; 0! read; 0+ read {0 5, 1 0}", &["wrong-total"]),
            ("0! read; 0+ read {0 10, 1 0}; 0! read; 0+ read {0 11, 1 -1}", &["negative-value"]),
            ("0! read; 0+ read {0 10, 1 0}; 0! read; 0+ read {0 10, 1 nil}", &["nil-balance"]),
            ("0! read; 0+ read {0 10, 1 0}; 0! read; 0+ read {0 10, 1 0, 2 0}", &["unexpected-key"]),
            // A nil that nobody vouches for is no balance.
            ("0! read; 0+ read {0 10, 1 0}; 0! read; 0? read {0 10, 1 nil}", &[]),
            ("0! read; 0+ read {0 10, 1 0}; 0! read; 0+ read nil", &["unknown"]),
        ],
    );
    let text = edn("0! read; 0+ read {0 10, 1 -2}");
    let overdraft = Options { negative_balances: true, ..Options::default() };
    assert_eq!(kinds(&judged_with("bank", &text, &overdraft)), [""; 0]);
    let total = Options { total_amount: Some(9), ..overdraft };
    assert_eq!(kinds(&judged_with("bank", &text, &total)), ["wrong-total"]);
}

#[test]
fn identifiers_are_given_once() {
    shows(
        "unique-ids",
        &[
            ("0! generate; 0+ generate 1; 0! generate; 0+ generate 2", &[]),
            ("0! generate; 0+ generate 1; 0! generate; 0+ generate 1", &["duplicated"]),
            ("0! generate; 0+ generate 1; 0! generate; 0? generate 1", &[]),
            ("0! generate; 0+ generate [1 2]; 0! generate; 0+ generate [1 3]", &[]),
        ],
    );
}

#[test]
fn two_reads_order_two_writes_alike() {
    let read = |who: u32, x: &str, y: &str| {
        format!("{who}! read [[:r x nil] [:r y nil]]; {who}+ read [[:r x {x}] [:r y {y}]]; ")
    };
    let write =
        |who: u32, key: &str, mark: char| format!("{who}! write [[:w {key} 1]]; {who}{mark} write [[:w {key} 1]]; ");
    let both = write(0, "x", '+') + &write(1, "y", '+');
    for (text, expected) in [
        (both.clone() + &read(0, "1", "nil") + &read(1, "nil", "1"), &["fork"][..]),
        (both.clone() + &read(0, "1", "nil") + &read(1, "1", "1") + &read(0, "nil", "nil"), &[]),
        (write(0, "x", '-') + &write(1, "y", '+') + &read(0, "1", "nil"), &["revived"]),
        (write(0, "x", '?') + &write(1, "y", '+') + &read(2, "1", "nil"), &[]),
        (both.clone() + &read(0, "2", "nil"), &["unexpected"]),
        (both.clone() + &write(0, "x", '+') + &read(0, "1", "nil") + &read(1, "nil", "1"), &["unknown"]),
        // The nil of a read whose outcome is unknown is none.
        (both.clone() + &read(0, "1", "nil") + &read(1, "nil", "1").replace("1+", "1?"), &[]),
        (both + &read(0, "1", "nil") + "0! read [[:r x nil]]; 0+ read [[:r x 1]]", &["unknown"]),
    ] {
        shows("long-fork", &[(&text, expected)]);
    }
}

#[test]
fn a_write_is_not_visible_without_those_acknowledged_before_it_began() {
    shows(
        "causal-reverse",
        &[
            ("0! write 1; 0+ write 1; 0! write 2; 0+ write 2; 0! read; 0+ read [1 2]", &[]),
            ("0! write 1; 0+ write 1; 0! write 2; 0+ write 2; 0! read; 0+ read [2]", &["missing"]),
            ("0! write 1; 0+ write 1; 0! write 2; 0+ write 2; 0! read; 0+ read [1]", &[]),
            // Both open at once: either may come first.
            ("0! write 1; 1! write 2; 0+ write 1; 1+ write 2; 0! read; 0+ read [2]", &[]),
            ("0! write 1; 0? write 1; 1! write 2; 1+ write 2; 1! read; 1+ read [2]", &[]),
            ("0! write 1; 0+ write 1; 1! write 2; 1? write 2; 0! read; 0+ read [2]", &["missing"]),
            ("0! write 1; 0- write 1; 0! read; 0+ read [1]", &["revived"]),
        ],
    );
}

#[test]
fn parts_are_seen_in_the_order_in_which_they_were_written() {
    shows(
        "sequential",
        &[
            ("0! read 5; 0+ read [5 [5_3 5_2 5_1 5_0]]", &[]),
            ("0! read 5; 0+ read [5 [nil nil 5_1 5_0]]", &[]),
            ("0! read 5; 0+ read [5 [5_3 nil 5_1 5_0]]", &["bad"]),
            ("0! read 5; 0+ read [5 [nil 5_2 5_1 nil]]", &["bad"]),
            ("0! read 5; 0? read [5 [5_3 nil nil nil]]", &[]),
        ],
    );
    let report = judged(
        "sequential",
        &edn("0! read 5; 0+ read [5 [5_3 5_2 5_1 5_0]]; 0! read 6; 0+ read [6 [nil nil nil nil]]"),
    );
    assert_eq!(["all-count", "some-count", "none-count"].map(|key| report.numbers[key].as_u64()), [Some(1); 3]);
}

#[test]
fn rows_rise_in_value_and_time() {
    let add = |value: u32, mark: char| format!("0! add; 0{mark} add {{:val {value}}}; ");
    let read = |rows: &str| {
        let rows: Vec<String> = rows
            .split_whitespace()
            .map(|row| row.split_once('@').map(|(value, time)| format!("{{:val {value} :sts \"{time}\"}}")).unwrap())
            .collect();
        format!("1! read; 1+ read [{}]", rows.join(" "))
    };
    let two = add(1, '+') + &add(2, '+');
    for (text, expected) in [
        (two.clone() + &read("1@8 2@90"), &[][..]),
        (two.clone() + &read("1@8"), &["lost"]),
        (two.clone() + &read("2@7 1@8"), &["value-reorders"]),
        (two.clone() + &read("1@9 2@8"), &["order-by-errors"]),
        (two.clone() + &read("1@8 1@8 2@9"), &["duplicates"]),
        (two.clone() + &read("1@8 2@9 4@10"), &["skipped"]),
        // One insert of unknown outcome may have drawn the value that is left out.
        (two.clone() + "2! add; 2? add nil; " + &read("1@8 2@9 4@10"), &[]),
        (two.clone() + &add(3, '-') + &read("1@8 2@9 3@10"), &["revived"]),
        (two, &["unknown"]),
    ] {
        shows("monotonic", &[(&text, expected)]);
    }
}

#[test]
fn a_causal_register_is_seen_in_the_order_of_its_operations() {
    shows(
        "causal",
        &[
            (
                "0! read-init; 0+ read-init 0; 0! write 1; 0+ write 1; 0! read; 0+ read 1; 0! write 2; 0+ write 2; 0! read; 0+ read 2",
                &[],
            ),
            ("0! read-init; 0+ read-init 3", &["read"]),
            ("0! write 1; 0+ write 1; 0! read; 0+ read 0", &["read"]),
            ("0! write 1; 0+ write 1; 0! read; 0+ read nil", &[]),
            ("0! write 2; 0+ write 2", &["write"]),
            // A write of unknown outcome may surface late, or never; one that failed does not.
            ("0! write 1; 0? write 1; 1! read; 1+ read 0; 1! read; 1+ read 1", &[]),
            ("0! write 1; 0? write 1; 1! read; 1+ read 1; 1! read; 1+ read 0", &["read"]),
            ("0! write 1; 0- write 1; 0! read; 0+ read 1", &["read"]),
            (
                "0! write 1; 0+ write {:value 1 :link :init :position 5}; 0! read; 0+ read {:value 1 :link 5 :position 6}",
                &[],
            ),
            (
                "0! write 1; 0+ write {:value 1 :link :init :position 5}; 0! read; 0+ read {:value 1 :link 4 :position 6}",
                &["link"],
            ),
        ],
    );
}

#[test]
fn one_of_two_inserts_that_exclude_each_other_succeeds() {
    let pair = "0! insert [1 [1 nil]]; 1! insert [1 [nil 2]]; ";
    for (ends, expected) in [
        ("0+ insert [1 [1 nil]]; 1+ insert [1 [nil 2]]", &["G2"][..]),
        ("0+ insert [1 [1 nil]]; 1- insert [1 [nil 2]]", &[]),
        ("0+ insert [1 [1 nil]]; 1? insert [1 [nil 2]]", &[]),
        ("0+ insert [1 [1 nil]]; 1- insert [1 [nil 2]]; 0! insert [2 [3 nil]]; 0+ insert [2 [3 nil]]", &[]),
    ] {
        shows("adya", &[(&format!("{pair}{ends}"), expected)]);
    }
}

#[test]
fn keyed_histories_are_judged_key_by_key() {
    let one = "0! add [x 1]; 0+ add [x 1]; 0! add [y 1]; 0+ add [y 1]; 0! read [x nil]; 0+ read [x [1]]; ";
    let report = judged("set", &edn(&format!("{one}0! read [y nil]; 0+ read [y []]")));
    assert_eq!(kinds(&report), ["lost"]);
    assert_eq!(
        (report.problems[0].ops.as_slice(), &report.numbers["failures"]),
        (&[2, 6][..], &serde_json::json!(["y"]))
    );
    assert!(report.sentence.starts_with("Key y:"), "{}", report.sentence);
    assert!(report.notes.iter().any(|note| note.contains("each of the 2 keys")), "{:?}", report.notes);
    // A key that is never read leaves the others' answer.
    let report = judged("set", &edn(one));
    assert_eq!((kinds(&report).len(), report.evidence.opportunities), (0, 1));
    // A set of pairs, of which two are read, is no pair of a key and a set.
    let report =
        judged("set", &edn("0! add [1 2]; 0+ add [1 2]; 0! add [1 3]; 0+ add [1 3]; 0! read; 0+ read [[1 2] [1 3]]"));
    assert_eq!((kinds(&report).len(), report.evidence.opportunities), (0, 2));
    let report = judged("counter", &edn("0! add [x 1]; 0+ add [x 1]; 0! read [x nil]; 0+ read [x 2]"));
    assert_eq!(kinds(&report), ["out-of-bounds"]);
}

#[test]
fn a_drawn_history_looks_like_what_it_was_drawn_for() {
    for name in plain::NAMES {
        for seed in 0..20 {
            let log = draw(name, seed, 80, false).unwrap();
            let found: Vec<&str> = MODELS.iter().filter(|it| (it.recognises)(&log)).map(|it| it.name).collect();
            let full = if *name == "set" { "set-full" } else { name };
            assert!(found.contains(&full), "{name}, seed {seed}: {found:?}");
            assert!(found.iter().all(|it| it == name || it.starts_with("set")), "{name}, seed {seed}: {found:?}");
        }
    }
    let empty = Log::default();
    assert!(MODELS.iter().all(|it| !(it.recognises)(&empty)));
}

#[test]
fn a_bank_is_recognised_by_transfers_or_by_balances_that_are_numbers() {
    let bank = model("bank").expect("it is in the table");
    for (short, expected) in [
        ("0! read; 0+ read {1 10 2 20}", true),
        ("0! read; 0+ read {1 nil 2 20}", false),
        ("0! transfer {:from 1 :to 2 :amount 5}; 1! read; 1+ read {1 nil 2 20}", true),
        ("0! transfer {:from 1 :to 2 :amount 5}; 1! read", false),
        ("0! write 3; 1! read; 1+ read {1 10 2 20}", false),
    ] {
        let log = Log::read(edn(short).as_bytes(), Syntax::Edn).expect("it is EDN");
        assert_eq!((bank.recognises)(&log), expected, "{short}");
    }
}

#[test]
fn no_checker_panics_on_another_checkers_histories() {
    for entry in MODELS {
        for name in plain::NAMES {
            for seed in 0..8 {
                let report = (entry.check)(&draw(name, seed, 40, true).unwrap(), &Options::default());
                assert!(!report.sentence.is_empty());
            }
        }
        assert!(!(entry.check)(&Log::default(), &Options::default()).sentence.is_empty());
    }
}

#[test]
#[ignore = "a minute"]
fn second_implementations_agree_on_a_million_random_histories() {
    for name in plain::NAMES {
        for seed in 1_000_000..1_090_000 {
            plain::compare(name, seed, 4 + (seed as usize * 11) % 50).unwrap();
        }
    }
}

#[test]
fn every_kind_of_problem_occurs_in_drawn_histories() {
    let expected: &[(&str, &[&str])] = &[
        ("set", &["lost", "premature", "revived", "unexpected"]),
        ("set-full", &["duplicated", "lost", "premature", "revived", "stale", "unexpected"]),
        ("total-queue", &["lost", "premature", "revived", "unexpected"]),
        ("counter", &["out-of-bounds"]),
        ("bank", &["negative-value", "nil-balance", "unexpected-key", "wrong-total"]),
        ("unique-ids", &["duplicated"]),
        ("long-fork", &["fork", "revived", "unexpected"]),
        ("causal-reverse", &["missing", "revived"]),
        ("sequential", &["bad"]),
        ("monotonic", &["duplicates", "lost", "order-by-errors", "value-reorders"]),
        ("causal", &["link", "read", "write"]),
        ("adya", &["G2"]),
    ];
    for (name, expected) in expected {
        let options = Options { linearizable: true, ..Options::default() };
        let mut found = std::collections::BTreeSet::new();
        for seed in 0..3_000 {
            let report = (model(name).unwrap().check)(&draw(name, seed, 40, true).unwrap(), &options);
            found.extend(report.problems.iter().map(|problem| problem.kind));
        }
        assert_eq!(&found.into_iter().collect::<Vec<_>>(), expected, "{name}");
    }
}
