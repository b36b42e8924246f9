//! Every drawing under `tests/histories` gets the verdicts written below it.
//!
//! The folder is the strongest of the guarantees that hold, the file's name the situation. `REDRAW=1 cargo test` writes the verdicts
//! anew, to be reviewed like code.

mod drawing;

use std::path::{Path, PathBuf};

use gainsay_checker::{Judgement, Options, Vacuity, Verdict, judge};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            found.push(path);
        }
    }
}

fn verdicts(judgement: &Judgement) -> Vec<(String, String)> {
    judgement
        .findings
        .iter()
        .filter_map(|finding| {
            let verdict = match &finding.outcome {
                Verdict::Held => "held".to_string(),
                Verdict::Vacuous { .. } => return None,
                Verdict::Unknown { why } => format!("unknown, {why}"),
                Verdict::Broken { violations, anomalies, .. } => {
                    let mut names: Vec<&str> = anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect();
                    names.dedup();
                    format!("broken {violations}, {}", names.join(", "))
                }
            };
            Some((finding.guarantee.clone(), verdict))
        })
        .collect()
}

#[test]
fn every_drawing_gets_the_verdicts_written_below_it() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories"), &mut found);
    assert!(found.len() >= 20, "the drawings are missing");
    let mut wrong = Vec::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let drawing = drawing::draw(&text);
        let judgement = judge(&drawing.history, &Options { vacuity: Vacuity::Shown, ..Options::default() });
        let verdicts = verdicts(&judgement);
        if std::env::var_os("REDRAW").is_some() {
            let picture = text.split_once("\n---").map_or(text.trim_end(), |(picture, _)| picture);
            let below: String = verdicts.iter().map(|(name, verdict)| format!("{name}: {verdict}\n")).collect();
            std::fs::write(&path, format!("{picture}\n---\n{below}")).unwrap();
        } else if verdicts != drawing.expected {
            wrong.push(format!("{}\n  expected {:?}\n  got      {verdicts:?}", path.display(), drawing.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
