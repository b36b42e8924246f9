//! Every wait and every random draw of the database is listed and justified in `docs/WAITS-AND-DRAWS.md`: no anomaly may come from a dice or a pause that was put there for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What waits or draws, as it is written in Rust.
const CALLS: &[&str] = &[
    "sleep(",
    "timeout(",
    "interval(",
    "park(",
    "yield_now(",
    "random(",
    "random_range(",
    "random_bool(",
    "random_ratio(",
    "shuffle(",
    "choose(",
    "rng()",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// How often each call occurs in each file, comments and tests left out.
fn in_the_code() -> BTreeMap<(String, String), usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut calls = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable source");
        let name = file.strip_prefix(&root).expect("below the root").display().to_string();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for call in CALLS {
                // `recv_timeout(` waits too; `is_timeout(` only asks, and `unpark(` is another word.
                let waits = |at: usize| {
                    let before = &line[..at];
                    !before.ends_with("fn ") && !before.ends_with("is_") && !before.ends_with(char::is_alphanumeric)
                };
                let times = line.match_indices(call).filter(|(at, _)| waits(*at)).count();
                if times > 0 {
                    *calls.entry((name.clone(), call.trim_end_matches(['(', ')']).to_string())).or_default() += times;
                }
            }
        }
    }
    calls
}

/// The rows `| file | call | times | why |`.
fn in_the_document() -> BTreeMap<(String, String), usize> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/WAITS-AND-DRAWS.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [file, call, times, why] = cells.as_slice() else { panic!("four cells a row: {line}") };
        assert!(why.len() > 20, "no reason given: {line}");
        let times = times.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(rows.insert((file.to_string(), call.to_string()), times).is_none(), "twice: {line}");
    }
    rows
}

#[test]
fn the_list_of_waits_and_draws_is_complete() {
    let (code, document) = (in_the_code(), in_the_document());
    let missing: Vec<_> = code.iter().filter(|(call, times)| document.get(*call) != Some(*times)).collect();
    let gone: Vec<_> = document.iter().filter(|(call, _)| !code.contains_key(*call)).collect();
    assert!(missing.is_empty(), "in the code, and not so in docs/WAITS-AND-DRAWS.md: {missing:?}");
    assert!(gone.is_empty(), "in docs/WAITS-AND-DRAWS.md, and no more in the code: {gone:?}");
}
