//! What was found in a history, in words on the terminal, and in files.

use std::path::Path;

use anyhow::Context as _;
use gainsay_checker::inspect::{Answer, Case, Inspection, Verdict};
use gainsay_checker::judge::thousands;

use crate::talk;

/// How many cases of a problem are printed.
const SHOWN: usize = 1;

/// Prints every answer: what was asked, what came of it, and the smallest proof of each problem.
pub fn print(inspection: &Inspection) {
    for answer in &inspection.answers {
        let code = match answer.verdict {
            Verdict::Holds => "32",
            Verdict::Violated => "31",
            Verdict::Unknown => "33",
        };
        talk::result(&format!("\n{}: {}", talk::paint("1", &answer.model), talk::paint(code, &answer.sentence)));
        if answer.opportunities > 0 {
            let bound = match (answer.verdict, answer.upper_bound) {
                (Verdict::Holds, Some(bound)) => format!("; a violation is rarer than {} (95 %)", percent(bound)),
                _ => String::new(),
            };
            let unit = if answer.opportunities == 1 { answer.unit.trim_end_matches('s') } else { &answer.unit };
            talk::result(&format!("  on {} {unit}{bound}", thousands(answer.opportunities)));
        }
        models(answer);
        problems(answer);
        for note in &answer.notes {
            talk::result(&format!("  note: {note}"));
        }
    }
    let explained = inspection.answers.iter().flat_map(|answer| &answer.problems).find(|problem| problem.counts);
    if let Some(problem) = explained {
        talk::result(&format!("\n`gainsay explain {}` says what it means.", problem.name));
    }
}

/// Prints each problem with its smallest case; one that the same operations prove is only named.
fn problems(answer: &Answer) {
    let mut printed: Vec<(&str, Vec<&String>)> = Vec::new();
    for problem in &answer.problems {
        let counts = if problem.counts { "" } else { ", not among what was asked" };
        let cases =
            if problem.count == 1 { "1 case".to_string() } else { format!("{} cases", thousands(problem.count)) };
        let title = format!("\n  {} ({cases}{counts})", talk::paint("1", &problem.name));
        let mut proof: Vec<&String> =
            problem.cases.iter().take(SHOWN).flat_map(|case| &case.operations).map(|(_, what)| what).collect();
        proof.sort_unstable();
        let same = printed.iter().find(|(_, known)| !proof.is_empty() && *known == proof);
        if let Some((name, _)) = same {
            talk::result(&format!("{title}: shown by the operations of {name}"));
            continue;
        }
        talk::result(&title);
        for case in problem.cases.iter().take(SHOWN) {
            talk::result(case_text(case, "    ").trim_end());
        }
        printed.push((&problem.name, proof));
    }
}

fn models(answer: &Answer) {
    if !answer.not.is_empty() {
        talk::result(&format!("  ruled out: {}", answer.not.join(", ")));
        if !answer.also_not.is_empty() {
            talk::result(&format!("  and with them: {}", answer.also_not.join(", ")));
        }
        talk::result(&format!("  still possible: {}", answer.left.join(", ")));
    }
}

fn percent(bound: f64) -> String {
    if bound < 1e-4 { format!("1 in {}", thousands((1.0 / bound) as u64)) } else { format!("{:.2} %", bound * 100.0) }
}

fn case_text(case: &Case, indent: &str) -> String {
    let mut out = String::new();
    for (name, what) in &case.operations {
        out.push_str(&format!("{indent}{name}  {what}\n"));
    }
    for line in &case.because {
        out.push_str(&format!("{indent}- {line}\n"));
    }
    out
}

/// Writes `NAME.txt` for each problem with all of its cases, and their pictures as `NAME/1.svg`, ….
pub fn write(directory: &Path, inspection: &Inspection, most_bytes: usize) -> anyhow::Result<()> {
    let made = |path: &Path| format!("making {}", path.display());
    std::fs::create_dir_all(directory).with_context(|| made(directory))?;
    for problem in inspection.answers.iter().flat_map(|answer| &answer.problems) {
        let mut text =
            format!("{}: {} cases, the smallest {} here\n", problem.name, problem.count, problem.cases.len());
        for (at, case) in problem.cases.iter().enumerate() {
            text.push_str(&format!("\n{}.\n{}", at + 1, case_text(case, "  ")));
            if let Some(svg) = &case.svg {
                let pictures = directory.join(&problem.name);
                std::fs::create_dir_all(&pictures).with_context(|| made(&pictures))?;
                let path = pictures.join(format!("{}.svg", at + 1));
                if svg.len() > most_bytes {
                    talk::line(&format!(
                        "{}: {} bytes are more than --max-plot-bytes, left out",
                        path.display(),
                        svg.len()
                    ));
                    continue;
                }
                std::fs::write(&path, svg).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        let path = directory.join(format!("{}.txt", problem.name));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
