//! Histories of other projects with known answers, where they are at hand.

use std::path::PathBuf;

use gainsay_checker::{Action, History, Options, Vacuity, Verdict, judge};

/// The folder `shared/corpora` beside this repository or above it.
fn corpora() -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|folder| folder.join("shared/corpora")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("NOT TESTED: shared/corpora is not there, so the histories of other projects were not judged");
    }
    found
}

#[test]
fn knossos_histories_get_the_published_verdicts() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("elle-cli");
    let table = std::fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap();
    let mut judged = 0;
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [path, "cas-register", expected, ..] = columns.as_slice() else { continue };
        let bytes = std::fs::read(folder.join(path)).unwrap();
        let history = History::read_any(&bytes).unwrap_or_else(|why| panic!("{path}: {why}"));
        let judgement = judge(&history, &Options { vacuity: Vacuity::Shown, ..Options::default() });
        let verdict = judgement.findings.iter().find(|finding| finding.guarantee == "linearizable");
        let broken = matches!(verdict.map(|finding| &finding.outcome), Some(Verdict::Broken { .. }));
        let held = matches!(verdict.map(|finding| &finding.outcome), Some(Verdict::Held));
        let garbage = judgement
            .findings
            .iter()
            .any(|finding| finding.guarantee == "explainable" && matches!(finding.outcome, Verdict::Broken { .. }));
        match *expected {
            "valid" => assert!(held && !garbage, "{path}: {}", judgement.headline),
            _ => assert!(broken || garbage, "{path}: {}", judgement.headline),
        }
        eprintln!("{path}: {} ({:?} ms)", judgement.headline, verdict.map(|finding| finding.took_ms));
        judged += 1;
    }
    assert!(judged >= 6, "only {judged} histories were found");
}

#[test]
fn a_history_goes_through_edn_and_back() {
    let Some(corpora) = corpora() else { return };
    let bytes = std::fs::read(corpora.join("elle-cli/knossos/cas-register/good/memstress3-9.edn")).unwrap();
    let history = History::read_any(&bytes).unwrap();
    assert!(history.ops.iter().any(|op| op.steps.iter().any(|step| matches!(step.action, Action::Cas { .. }))));
    let json = History::read_any(
        &std::fs::read(corpora.join("elle-cli/knossos/cas-register/good/memstress3-9.json")).unwrap(),
    );
    assert_eq!(json.unwrap().ops, history.ops);
}
