//! Whether what is read is what was written, where numbers and forms are unusual.

use gainsay_checker::text::Syntax;
use gainsay_checker::txn::Transactions;
use gainsay_checker::txn::check::{Answer, Options, check};

fn edn(events: &[(&str, u64, &str)]) -> String {
    let line = |(kind, process, value): &(&str, u64, &str)| {
        format!("{{:type :{kind}, :process {process}, :f :txn, :value {value}}}\n")
    };
    events.iter().map(line).collect()
}

/// Writes of one register and a read, one after the other.
fn written_then_read(values: &[i64], read: i64) -> String {
    let steps = values.iter().map(|value| format!("[[:w 1 {value}]]")).chain([format!("[[:r 1 {read}]]")]);
    steps.map(|steps| edn(&[("invoke", 0, &steps), ("ok", 0, &steps)])).collect()
}

#[test]
fn a_value_is_the_same_version_wherever_the_others_of_its_key_lie() {
    for values in [[0, 100, 60, 62], [0, 70, 63, 64], [10, 5, 500, 60], [i64::MAX, 1, 2, -1], [-5, 80, 50, 55]] {
        for &last in &values {
            let others = values.iter().copied().filter(|&value| value != last);
            let order: Vec<i64> = std::iter::once(values[0]).chain([last]).chain(others).collect();
            for order in [order, values.to_vec()] {
                let mut order = order;
                let mut seen = Vec::new();
                order.retain(|value| {
                    !seen.contains(value) && {
                        seen.push(*value);
                        true
                    }
                });
                let txns = Transactions::read(written_then_read(&order, last).as_bytes(), Syntax::Edn).unwrap();
                assert_eq!(txns.version_key.len(), 4, "{order:?}, and {last} was read");
            }
        }
    }
}

#[test]
fn an_operation_without_a_value_may_end_in_any_way() {
    for kind in ["ok", "fail", "info"] {
        let text = format!("{{:type :invoke, :process 0, :f :txn}}\n{{:type :{kind}, :process 0, :f :txn}}\n");
        let txns = Transactions::read(text.as_bytes(), Syntax::Edn).unwrap();
        assert_eq!((txns.len(), txns.steps.len()), (1, 0), "{kind}");
        assert_eq!(check(&txns, &Options::default()).answer, Answer::Holds);
    }
}

#[test]
fn an_index_that_does_not_fit_is_refused() {
    let line = |index: u64, kind: &str| {
        format!("{{:index {index}, :type :{kind}, :process 0, :f :txn, :value [[:w 1 {index}]]}}\n")
    };
    for lines in [[0, 1, 1 << 32, (1 << 32) + 1], [1 << 32, (1 << 32) + 1, 2, 3]] {
        let kinds = ["invoke", "ok", "invoke", "ok"];
        let text: String = lines.iter().zip(kinds).map(|(&index, kind)| line(index, kind)).collect();
        let why = Transactions::read(text.as_bytes(), Syntax::Edn).unwrap_err().to_string();
        assert!(why.contains("index"), "{why}");
    }
}

#[test]
fn a_discarded_form_is_no_deeper_than_others() {
    let deep = |open: &str| gainsay_checker::edn::parse(format!("[{}1", open.repeat(100_000)).as_bytes());
    assert!(deep("#_[").unwrap_err().contains("deep"));
    assert!(deep("[#_").unwrap_err().contains("deep"));
    assert_eq!(gainsay_checker::edn::parse(b"[1 #_[#_2 3] #_ 4 \x0c 5]").unwrap(), [serde_json::json!([1, 5])]);
}

#[test]
fn a_number_and_its_text_are_two_values_and_two_keys() {
    use gainsay_checker::inspect::calls;
    use gainsay_checker::log::Log;
    use gainsay_checker::objects::ModelName;
    let event = |value: &str| {
        let event = |kind| format!("{{:type :{kind}, :process 0, :f :write, :value [{value}]}}\n");
        event("invoke") + &event("ok")
    };
    let text = ["-5 1", "\"-5\" 1", "1 -7", "1 \"-7\""].map(event).concat();
    let log = Log::read(text.as_bytes(), Syntax::Edn).unwrap();
    let named = calls(&log, ModelName::Register).unwrap();
    assert_eq!((named.keys.len(), named.names.len()), (3, 2));
}
