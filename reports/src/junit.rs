//! JUnit XML for CI: one test case for each guarantee asked for of each run, named by database, mode, workload and faults.
//!
//! A violation is a failure with the anomaly's sentence and the command that repeats it; unknown and vacuous are failures too, of
//! types of their own, since neither is green.

use gainsay_checker::finding::Outcome;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::page::RunPage;

/// The report of `pages` as XML.
///
/// # Errors
/// Only if the XML writer fails.
pub fn junit(pages: &[RunPage]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("gainsay");
    for page in pages {
        let meta = page.history.meta.as_ref();
        let name = match meta {
            Some(meta) => {
                let faults = if meta.faults.is_empty() { "no faults".to_string() } else { meta.faults.join("+") };
                format!("{} {} {} under {faults} seed {}", meta.database, meta.label, meta.workload, meta.seed)
            }
            None => page.directory.clone(),
        };
        let mut suite = TestSuite::new(name.clone());
        for finding in page.judgement.findings.iter().filter(|finding| finding.asked) {
            let mut case = TestCase::new(finding.guarantee.clone(), status(page, &finding.outcome));
            case.set_classname(name.clone());
            case.set_time(std::time::Duration::from_secs_f64(finding.took_ms.max(0.0) / 1e3));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn status(page: &RunPage, outcome: &Outcome) -> TestCaseStatus {
    let (kind, message, detail) = match outcome {
        Outcome::Held => return TestCaseStatus::success(),
        Outcome::Broken { violations, anomalies, .. } => {
            let first = anomalies.first().map(|anomaly| anomaly.sentence.clone()).unwrap_or_default();
            ("broken", format!("broken {violations} times"), first)
        }
        Outcome::Unknown { why } => ("unknown", why.clone(), String::new()),
        Outcome::Vacuous { why } => ("vacuous", why.clone(), String::new()),
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(message);
    let again = page.command.as_deref().map(|command| format!("\nrepeat with: {command}")).unwrap_or_default();
    status.set_description(format!("{detail}{again}\nreport: {}/report.html", page.directory));
    status
}
