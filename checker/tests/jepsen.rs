//! Jepsen's checkers: known histories, each kind of problem with its near miss, and a second implementation.

use std::path::PathBuf;

use gainsay_checker::jepsen::{MODELS, Options, Report, Verdict, model, plain};
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
    assert!(judged >= 12, "only {judged} histories were found");
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
    for name in plain::NAMES {
        let (mut violated, mut unknown) = (0, 0);
        for seed in 0..2_000 {
            match plain::compare(name, seed, 6 + (seed as usize * 7) % 60) {
                Ok(Verdict::Violated) => violated += 1,
                Ok(Verdict::Unknown { .. }) => unknown += 1,
                Ok(Verdict::Holds) => {}
                Err(why) => panic!("{why}"),
            }
        }
        eprintln!("{name}: {violated} violated, {unknown} unknown of 2000");
        assert!((200..=1_000).contains(&violated), "{name}: {violated} violated");
        assert!(unknown < 1_000, "{name}: {unknown} unknown");
    }
}
