//! What CI reads.

mod made;

use gainsay_checker::finding::{Evidence, Outcome};
use gainsay_checker::{Finding, History};
use gainsay_reports::junit::junit;
use made::{HOSTILE, eventful, page};

#[test]
fn a_violation_fails_with_its_sentence_and_the_command_that_repeats_it() {
    let run = eventful("single-leader ack=async", "");
    let xml = junit(std::slice::from_ref(&run)).expect("writes");
    let Some(Outcome::Broken { anomalies, .. }) = run.finding("read-your-writes").map(|finding| &finding.outcome)
    else {
        panic!("the session misses its own write");
    };
    assert!(xml.contains("<failure") && xml.contains("type=\"broken\""), "{xml}");
    assert!(xml.contains(&anomalies[0].sentence) && xml.contains("gainsay run --seed 7"), "{xml}");
    assert!(xml.contains("made single-leader ack=async register under kill seed 7"), "{xml}");
}

#[test]
fn unknown_and_vacuous_are_not_green() {
    let mut run = page(History::default());
    let finding = |guarantee: &str, outcome| Finding {
        guarantee: guarantee.to_string(),
        asked: true,
        outcome,
        evidence: Evidence::default(),
        took_ms: 1.0,
    };
    run.judgement.findings = vec![
        finding("a", Outcome::Unknown { why: "the budget ran out".to_string() }),
        finding("b", Outcome::Vacuous { why: "nothing to see".to_string() }),
        finding("c", Outcome::Held),
    ];
    let xml = junit(&[run]).expect("writes");
    assert!(xml.contains("tests=\"3\"") && xml.contains("failures=\"2\""), "{xml}");
    assert!(xml.contains("type=\"unknown\"") && xml.contains("type=\"vacuous\""), "{xml}");
    assert_eq!(xml.matches("gainsay run --seed 7").count(), 2, "{xml}");
}

#[test]
fn hostile_text_leaves_the_xml_well_formed() {
    let mut run = eventful(HOSTILE, HOSTILE);
    run.command = Some(format!("{HOSTILE} ]]> \u{0} \u{1b}"));
    let xml = junit(&[run]).expect("writes");
    let report = quick_junit::Report::deserialize_from_str(&xml).expect("the XML is read back");
    let cases: usize = report.test_suites.iter().map(|suite| suite.test_cases.len()).sum();
    assert!(cases > 0 && !xml.contains("<script>"), "{xml}");
}
