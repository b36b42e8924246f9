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

#[test]
fn every_checker_of_workloads_guarantees_and_objects_is_explained() {
    let guarantees = gainsay_checker::checkers::CHECKERS.iter().map(|entry| entry.name);
    let models = gainsay_checker::inspect::models().into_iter().map(|(name, _)| name);
    for name in guarantees.chain(models) {
        assert!(gainsay_checker::explain::named(name).is_some(), "{name} is not explained");
    }
}

#[test]
fn no_two_entries_of_one_kind_share_a_name() {
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries() {
        // Some aliases are a name with `-item`, which says nothing.
        let names = gainsay_checker::explain::names(entry).map(|name| name.replace("-item", "").to_ascii_lowercase());
        for name in names.collect::<std::collections::BTreeSet<String>>() {
            assert!(seen.insert((format!("{:?}", entry.about), name.clone())), "{name} is explained twice");
        }
    }
}

#[test]
fn the_page_of_anomalies_says_what_the_table_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ANOMALIES.md");
    let wanted = gainsay_checker::explain::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/ANOMALIES.md is outdated: run this test with UPDATE_DOCS=1");
}
