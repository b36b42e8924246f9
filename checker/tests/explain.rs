//! Every explanation's drawing shows what it says.

use gainsay_checker::explain::{About, entries};
use gainsay_checker::text::Syntax;
use gainsay_checker::txn::Transactions;
use gainsay_checker::txn::check::{Options, check};
use gainsay_checker::txn::lattice;

fn found(drawing: &str, wfr: bool) -> Vec<String> {
    let text = gainsay_checker::drawn::edn(drawing).unwrap_or_else(|why| panic!("{why}"));
    let txns = Transactions::read(&text, Syntax::Edn).unwrap_or_else(|why| panic!("{why}\n{drawing}"));
    let mut options = Options::default();
    options.assume.writes_follow_reads = wfr;
    check(&txns, &options).anomalies.into_iter().map(|anomaly| anomaly.name.replace("-item", "")).collect()
}

#[test]
fn every_anomaly_is_found_in_its_drawing() {
    for entry in entries().filter(|entry| entry.about == About::Anomaly && !entry.drawing.is_empty()) {
        let names = found(entry.drawing, true);
        assert!(names.contains(&entry.name.replace("-item", "")), "{}: {names:?}\n{}", entry.name, entry.drawing);
    }
}

#[test]
fn every_model_is_broken_by_its_drawing_and_those_that_it_does_not_imply_may_hold() {
    for entry in entries().filter(|entry| entry.about == About::Model && !entry.drawing.is_empty()) {
        let names = found(entry.drawing, true);
        assert!(names.iter().any(|name| lattice::prohibits(entry.name, name)), "{}: {names:?}", entry.name);
        let model = lattice::named(entry.name).unwrap_or_else(|| panic!("{} is no model", entry.name));
        for weaker in model.implies {
            let broken = names.iter().any(|name| lattice::prohibits(weaker, name));
            assert!(!broken, "the drawing of {} breaks {weaker} too: {names:?}", entry.name);
        }
    }
}

#[test]
fn every_anomaly_that_a_model_prohibits_and_every_model_is_explained() {
    for model in lattice::MODELS {
        assert!(gainsay_checker::explain::named(model.name).is_some(), "{} is not explained", model.name);
        for anomaly in model.prohibits {
            assert!(gainsay_checker::explain::named(anomaly).is_some(), "{anomaly} is not explained");
        }
    }
}
