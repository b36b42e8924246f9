//! Histories of other tools are recognised, and get their known verdicts.

use std::path::{Path, PathBuf};

use gainsay_checker::inspect::{Inspection, Request, Verdict, inspect};

fn corpora() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there, so no verdict of the corpora was compared", path.display());
    None
}

fn judged(text: &str, model: Option<&str>) -> Inspection {
    let request = Request { model: model.map(str::to_string), threads: 2, ..Request::default() };
    inspect(text.as_bytes(), &request).unwrap_or_else(|why| panic!("{why}"))
}

/// The request that elle-cli's options make.
fn request(model: &str, options: &str) -> Request {
    let mut request = Request { model: Some(model.to_string()), threads: 2, ..Request::default() };
    // As `gainsay check -m rw-register`: Elle only shows a value that nobody wrote.
    request.transactions.lenient = model == "rw-register";
    let words: Vec<&str> = options.split_whitespace().collect();
    for pair in words.windows(2) {
        match pair[0] {
            "--group-size" => request.workloads.group_size = pair[1].parse().expect("a number"),
            "--consistency-models" => request.transactions.models = vec![pair[1].to_string()],
            _ => {}
        }
    }
    request
}

#[test]
fn elle_clis_histories_get_elle_clis_verdicts() {
    let Some(corpora) = corpora() else { return };
    let table = std::fs::read_to_string(corpora.join("elle-cli/EXPECTED.tsv")).expect("the table can be read");
    let mut compared = 0;
    for line in table.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(file), Some(model), Some(verdict)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        let Ok(text) = std::fs::read(corpora.join("elle-cli").join(file)) else {
            eprintln!("SKIPPED: {file} is not there");
            continue;
        };
        let inspection = inspect(&text, &request(model, columns.next().unwrap_or_default()));
        let inspection = inspection.unwrap_or_else(|why| panic!("{file}: {why}"));
        let expected = if verdict == "valid" { Verdict::Holds } else { Verdict::Violated };
        assert_eq!(inspection.verdict(), expected, "{file} as {model}: {:?}", inspection.answers);
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} rows were compared");
}

#[test]
fn every_gadget_is_found_under_its_name() {
    let Some(corpora) = corpora() else { return };
    for (gadget, name) in [
        ("la-G0", "G0"),
        ("la-G1a", "G1a"),
        ("la-G1b", "G1b"),
        ("la-G1c", "G1c"),
        ("la-G-single", "G-single-item"),
        ("la-G2-item", "G2-item"),
        ("la-long-fork", "G-nonadjacent-item"),
        ("la-lost-update", "lost-update"),
        ("la-dirty-update", "dirty-update"),
        ("la-duplicate", "duplicate-elements"),
        ("la-future-read", "future-read"),
        ("la-garbage", "thin-air-read"),
        ("la-incompatible", "incompatible-order"),
        ("la-internal", "internal"),
        ("la-mono-read", "monotonic-reads-violation"),
        ("la-mono-write", "PRAM-violation"),
        ("la-stale-proc", "read-your-writes-violation"),
        ("la-stale-rt", "G-single-item-realtime"),
        ("la-wfr", "causal-violation"),
        ("rw-garbage", "thin-air-read"),
        ("rw-lost-update", "lost-update"),
        ("rw-G1c", "G1c"),
        ("rw-stale-rt", "G-single-item-realtime"),
    ] {
        let text = std::fs::read(corpora.join(format!("generated/{gadget}.edn"))).expect("the gadget can be read");
        let inspection = inspect(&text, &Request::default()).unwrap_or_else(|why| panic!("{gadget}: {why}"));
        let names: Vec<&String> =
            inspection.answers.iter().flat_map(|answer| &answer.problems).map(|it| &it.name).collect();
        assert!(names.iter().any(|it| *it == name), "{gadget}: {names:?}");
    }
}

#[test]
fn values_may_be_whatever_edn_has() {
    for value in ["1", "-7", "true", "false", ":word", "\"text\"", "1.5"] {
        let event = |kind: &str, read: &str| {
            format!("{{:type :{kind} :process 0 :f :txn :value [[:append :k {value}] [:r :k {read}]]}}\n")
        };
        let text = event("invoke", "nil") + &event("ok", &format!("[{value}]"));
        let inspection = judged(&text, Some("list-append"));
        assert_eq!(inspection.verdict(), Verdict::Holds, "{value}: {:?}", inspection.answers);
        let second = "{:type :invoke :process 1 :f :txn :value [[:append :k 2]]}\n{:type :ok :process 1 :f :txn :value [[:append :k 2]]}\n";
        let both = format!("{second}{text}").replace(&format!("[{value}]"), &format!("[2, {value}]"));
        assert_eq!(judged(&both, Some("list-append")).verdict(), Verdict::Holds, "{both}");
        let wrong = event("invoke", "nil") + &event("ok", "[:another]");
        assert_eq!(judged(&wrong, Some("list-append")).verdict(), Verdict::Violated, "{value}");
    }
}

#[test]
fn a_model_that_an_anomaly_has_ruled_out_is_not_decided_again() {
    // Each reads what the other wrote: no model of sessions can hold, and none has anything of its own to add.
    let text = "{:type :invoke :process 0 :f :txn :value [[:append 1 1] [:r 2 nil]]}\n\
        {:type :invoke :process 1 :f :txn :value [[:append 2 1] [:r 1 nil]]}\n\
        {:type :ok :process 0 :f :txn :value [[:append 1 1] [:r 2 [1]]]}\n\
        {:type :ok :process 1 :f :txn :value [[:append 2 1] [:r 1 [1]]]}\n";
    let inspection = judged(text, Some("list-append"));
    let names: Vec<&str> = inspection.answers[0].problems.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["G1c"]);
}

#[test]
fn a_huge_component_is_told_by_two_transactions() {
    let Some(corpora) = corpora() else { return };
    let text = std::fs::read(corpora.join("elle/huge-scc.edn")).expect("the history can be read");
    let inspection = inspect(&text, &Request::default()).expect("it is a history");
    let problem = &inspection.answers[0].problems[0];
    assert_eq!(problem.cases[0].operations.len(), 2, "{problem:?}");
    assert!(problem.cases[0].svg.as_ref().is_some_and(|svg| svg.starts_with("<svg")));
}

#[test]
fn what_a_history_can_be_judged_for_is_recognised() {
    for (text, models) in [
        ("{:type :invoke :process 0 :f :acquire}\n{:type :ok :process 0 :f :acquire}", &["mutex"] as &[&str]),
        ("{:type :invoke :process 0 :f :enqueue :value 1}\n{:type :ok :process 0 :f :enqueue :value 1}", &["queue"]),
        ("{:type :invoke :process 0 :f :push :value 1}\n{:type :ok :process 0 :f :push :value 1}", &["stack"]),
        (
            "{:type :invoke :process 0 :f :txn :value [[:w 1 1]]}\n{:type :ok :process 0 :f :txn :value [[:w 1 1]]}",
            &["rw-register"],
        ),
        ("INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t1\n", &["register"]),
        ("r(1,0,0,0)\nw(1,1,0,1)\n", &["rw-register"]),
    ] {
        let inspection = judged(text, None);
        let names: Vec<&str> = inspection.answers.iter().map(|answer| answer.model.as_str()).collect();
        assert!(models.iter().all(|model| names.contains(model)), "{text}: {names:?}");
        assert_eq!(inspection.verdict(), Verdict::Holds, "{text}");
    }
}

#[test]
fn a_register_that_reads_what_is_gone_is_not_linearizable_and_says_which_call() {
    let text = "{:type :invoke :process 0 :f :write :value 1}\n{:type :ok :process 0 :f :write :value 1}\n\
        {:type :invoke :process 0 :f :write :value 2}\n{:type :ok :process 0 :f :write :value 2}\n\
        {:type :invoke :process 1 :f :read :value nil}\n{:type :ok :process 1 :f :read :value 1}\n";
    let inspection = judged(text, Some("register"));
    assert_eq!(inspection.verdict(), Verdict::Violated);
    let case = &inspection.answers[0].problems[0].cases[0];
    assert!(case.operations.iter().any(|(_, what)| what.contains("read → 1")), "{case:?}");
    assert_eq!(judged(text, Some("cas-register")).verdict(), Verdict::Violated);
}

#[test]
fn what_cannot_be_judged_is_refused_in_a_sentence() {
    let refused = |text: &str, model: Option<&str>| {
        let request = Request { model: model.map(str::to_string), ..Request::default() };
        inspect(text.as_bytes(), &request).expect_err("it cannot be judged").to_string()
    };
    assert!(refused("{:type :ok :process 0 :f :dance :value 1}", None).contains("dance"));
    assert!(refused("", None).contains("no operation"));
    assert!(
        refused("{:type :ok :process 0 :f :txn :value [[:append 1 1]]}", Some("rw-register")).contains("list-append")
    );
    assert!(refused("{:type :ok :process 0 :f :read}", Some("regster")).contains("no model is called"));
    assert!(refused("{:type :ok, :process 0 :f :txn :value [[:w 1]]}", None).starts_with("line 1"));
}
