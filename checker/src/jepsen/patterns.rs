//! Lines in the logs of nodes that should not be there.
//!
//! Jepsen's `checker/log-file-pattern`: a regular expression that must match no line. Jepsen hands it to `grep -P`; here it is of
//! the `regex` kind, which has neither look-around nor back-references and takes linear time for it.

use regex::bytes::Regex;
use serde_json::{Value as Json, json};

use super::report::{Draft, Report};

/// How many matching lines are listed, and how long each may be.
const LISTED: usize = 64;
const LENGTH: usize = 512;

/// Looks for `pattern` in each line of `logs`, pairs of a node's name and its log. Lines need not be UTF-8.
///
/// `numbers` are Jepsen's `count` and `matches`. Cost: linear in the text.
///
/// # Errors
///
/// What is wrong with the pattern.
pub fn log_file_pattern(pattern: &str, logs: &[(&str, &[u8])]) -> Result<Report, regex::Error> {
    let pattern = Regex::new(pattern)?;
    let mut draft = Draft::of("lines of logs");
    let (mut count, mut matches) = (0_u64, Vec::new());
    for (node, text) in logs {
        for (number, line) in (1..).zip(text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n')) {
            draft.evidence.opportunities += 1;
            if !pattern.is_match(line.strip_suffix(b"\r").unwrap_or(line)) {
                continue;
            }
            count += 1;
            let text = String::from_utf8_lossy(&line[..line.len().min(LENGTH)]).into_owned();
            draft.problem("match", 0, || {
                (format!("Line {number} of the log of {node} matches {pattern}: {text}"), vec![])
            });
            if matches.len() < LISTED {
                matches.push(json!({ "node": node, "line": text }));
            }
        }
    }
    draft.number("count", count);
    draft.number("matches", Json::Array(matches));
    Ok(draft.report())
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_matching_line_is_reported_with_its_node() {
        let logs: [(&str, &[u8]); 2] =
            [("n1", b"all is well\n"), ("n2", b"fine\npanic: invariant 7 \xff violated\r\nafter\n")];
        let report = log_file_pattern(r"panic: (\w+ )+", &logs).unwrap();
        assert_eq!(report.verdict, Verdict::Violated);
        assert!(report.sentence.starts_with("Line 2 of the log of n2 matches"), "{}", report.sentence);
        assert_eq!((&report.numbers["count"], report.evidence.opportunities), (&json!(1), 4));
        assert_eq!(log_file_pattern(r"violated$", &logs).unwrap().verdict, Verdict::Violated);
    }

    #[test]
    fn a_pattern_that_matches_nowhere_holds_and_one_that_is_none_is_refused() {
        assert_eq!(log_file_pattern("^well", &[("n1", b"all is well")]).unwrap().verdict, Verdict::Holds);
        assert!(log_file_pattern("(", &[]).is_err());
        assert_eq!(log_file_pattern("x", &[]).unwrap().evidence.opportunities, 0);
    }
}
