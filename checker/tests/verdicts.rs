//! What counts, what is vacuous, and what the sentence says.

mod drawing;
mod healthy;

use gainsay_checker::history::Effect;
use gainsay_checker::{FaultWindow, History, Judgement, Options, Vacuity, Verdict, judge};
use healthy::{Holds, Positions, Shape};

fn run(guarantees: &[&str], faults: &[&str]) -> History {
    let shape = Shape { positions: Positions::Reported, ..Shape::of(5_000, Holds::Registers) };
    let mut history = healthy::history(shape, 1);
    let mut meta = drawing::draw("order: real-time\n").history.meta.unwrap();
    meta.guarantees = guarantees.iter().map(ToString::to_string).collect();
    meta.faults = faults.iter().map(ToString::to_string).collect();
    history.meta = Some(meta);
    history
}

fn kill(effect: Effect) -> FaultWindow {
    FaultWindow {
        id: 1,
        kind: "kill".into(),
        nodes: vec!["n1".into()],
        what: "n1".into(),
        start: 0,
        end: Some(1_000_000_000),
        effect,
        proof: "gone".into(),
        early: None,
    }
}

fn outcome<'j>(judgement: &'j Judgement, name: &str) -> &'j Verdict {
    &judgement.findings.iter().find(|finding| finding.guarantee == name).unwrap().outcome
}

#[test]
fn faults_that_never_took_effect_make_a_run_vacuous() {
    let mut history = run(&["monotonic-reads"], &["kill"]);
    history.faults = vec![kill(Effect::NoEffect)];
    let judgement = judge(&history, &Options::default());
    assert_eq!(judgement.result, "vacuous", "{}", judgement.headline);
    history.faults = vec![kill(Effect::Proven)];
    let judgement = judge(&history, &Options::default());
    assert_eq!(judgement.result, "held", "{}", judgement.headline);
    assert!(judgement.headline.starts_with("Held: monotonic-reads, on "));
}

#[test]
fn too_few_sharp_opportunities_are_vacuous_in_a_run_and_shown_for_a_file() {
    let mut history = drawing::draw("order: real-time\np0  [w x=1]  [r x=1]\n").history;
    history.meta.as_mut().unwrap().guarantees = vec!["read-your-writes".into()];
    assert_eq!(judge(&history, &Options::default()).result, "vacuous");
    let shown = Options { vacuity: Vacuity::Shown, ..Options::default() };
    assert_eq!(judge(&history, &shown).result, "held");
}

#[test]
fn without_final_reads_lost_writes_are_unknown_if_asked_for_and_left_out_otherwise() {
    let history = drawing::draw("p0  [w x=1]  [r x=1]\n").history;
    let asked =
        |name: &str| Options { guarantees: Some(vec![name.into()]), vacuity: Vacuity::Shown, ..Options::default() };
    let judgement = judge(&history, &asked("lost-writes"));
    assert!(matches!(outcome(&judgement, "lost-writes"), Verdict::Unknown { .. }));
    assert_eq!(judgement.result, "unknown");
    let judgement = judge(&history, &asked("read-your-writes"));
    assert!(judgement.findings.iter().all(|finding| finding.guarantee != "lost-writes"));
    assert_eq!(judge(&history, &asked("no-such-thing")).result, "unknown");
}

#[test]
fn what_was_not_asked_for_is_shown_and_does_not_count() {
    let history = drawing::draw("p0  [w x=1]\np1           [r x=1]  [r x=nil]\n").history;
    let options =
        |name: &str| Options { guarantees: Some(vec![name.into()]), vacuity: Vacuity::Shown, ..Options::default() };
    let judgement = judge(&history, &options("read-your-writes"));
    assert_eq!(judgement.result, "held");
    assert!(matches!(outcome(&judgement, "monotonic-reads"), Verdict::Broken { .. }));
    let besides = "Not promised, and broken: monotonic-reads (1)";
    assert!(judgement.headline.contains(besides), "{}", judgement.headline);
    let broken = judge(&history, &options("monotonic-reads"));
    assert_eq!(broken.result, "broken");
    assert!(!broken.headline.contains("Not promised, and broken: monotonic-reads"), "{}", broken.headline);
}

#[test]
fn the_sentence_names_the_first_violation_and_the_fault() {
    let drawing = drawing::draw(
        "p0  [append x 1 @n1]  [append x 2 @n1]\nn1                                         [final x=[2]]\n",
    );
    let mut history = drawing.history;
    history.faults = vec![kill(Effect::Proven)];
    let options = Options { guarantees: Some(vec!["lost-writes".into()]), ..Options::default() };
    assert_eq!(
        judge(&history, &options).headline,
        "Broken: 1 acknowledged write was lost; the first was append x 1 by session p0 at 0.019 s while kill n1 was active."
    );
    let ledger = judge(&history, &options).ledger.unwrap();
    assert_eq!((ledger.acknowledged, ledger.present, ledger.lost), (2, 1, 1));
}

#[test]
fn garbage_is_never_green() {
    let history = drawing::draw("p0  [w x=1]  [r x=9]\n").history;
    let options =
        Options { guarantees: Some(vec!["convergence".into()]), vacuity: Vacuity::Shown, ..Options::default() };
    assert_eq!(judge(&history, &options).result, "broken");
}

#[test]
fn an_empty_history_holds_nothing_and_breaks_nothing() {
    let judgement = judge(&History::default(), &Options { vacuity: Vacuity::Shown, ..Options::default() });
    assert_eq!(judgement.result, "held");
    assert!(judgement.findings.iter().all(|finding| matches!(finding.outcome, Verdict::Vacuous { .. })));
}
