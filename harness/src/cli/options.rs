//! Values of flags: durations, counts relative to the nodes, lists of names; and errors that help.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

/// The arguments make no sense; the exit code tells it apart from a failure of the harness.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// An error that ends with the code for bad arguments.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(text.into()))
}

/// `30s`, `500ms`, `2m`, or a plain number of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("{text:?} is no duration; write 30s, 500ms or 2m")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no duration; write 30s, 500ms or 2m"))?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| format!("{text:?} is too long"))
}

/// A count, or a multiple of the number of nodes: `10`, `2n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Count {
    /// So many.
    Absolute(usize),
    /// So many for each node.
    PerNode(f64),
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no count; write 10, or 2n for two a node");
        match text.strip_suffix('n') {
            Some("") => Ok(Count::PerNode(1.0)),
            Some(factor) => {
                let factor: f64 = factor.parse().map_err(|_| wrong())?;
                if factor > 0.0 && factor <= 1_000.0 { Ok(Count::PerNode(factor)) } else { Err(wrong()) }
            }
            None => match text.parse() {
                Ok(count @ 1..=100_000) => Ok(Count::Absolute(count)),
                _ => Err(wrong()),
            },
        }
    }
}

impl Count {
    /// The count for this many nodes; at least one.
    pub fn of(self, nodes: usize) -> usize {
        match self {
            Count::Absolute(count) => count,
            Count::PerNode(factor) => ((nodes as f64 * factor).round() as usize).max(1),
        }
    }
}

/// A rate: operations a second, or `max` for as fast as the clients can.
pub fn rate(text: &str) -> Result<f64, String> {
    match text {
        "max" | "0" => Ok(0.0),
        _ => match text.parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate <= 1e7 => Ok(rate),
            _ => Err(format!("{text:?} is no rate; write operations a second, or max")),
        },
    }
}

/// Nodes: a count, or names.
pub fn nodes(text: &str) -> Result<Vec<String>, String> {
    if let Ok(count) = text.parse::<usize>() {
        return if (1..=64).contains(&count) {
            Ok((1..=count).map(|n| format!("n{n}")).collect())
        } else {
            Err(format!("{count} nodes; between 1 and 64 are possible"))
        };
    }
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_string()).collect();
    let fits =
        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if let Some(odd) = names.iter().find(|name| !fits(name)) {
        return Err(format!("{odd:?} is no name for a node; letters, digits, - and _ are allowed"));
    }
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(format!("{name} is named twice"));
        }
    }
    Ok(names)
}

/// Checks `names` (comma separated) against a table; `none` and `all` are understood.
pub fn names(flag: &str, text: &str, allowed: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut chosen: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none") {
        if name == "all" {
            return Ok(allowed.iter().map(|name| name.to_string()).collect());
        }
        one(flag, name, allowed)?;
        if !chosen.iter().any(|known| known == name) {
            chosen.push(name.to_string());
        }
    }
    Ok(chosen)
}

/// Checks one name against a table.
pub fn one(flag: &str, name: &str, allowed: &[&str]) -> anyhow::Result<()> {
    if allowed.contains(&name) {
        return Ok(());
    }
    let near = nearest(name, allowed.iter().copied()).map(|near| format!("; did you mean {near}?"));
    Err(usage(format!("{flag}: {name:?} is not known{}\nallowed: {}", near.unwrap_or_default(), allowed.join(", "))))
}

/// The name of a table that is spelled most like `name`, if it is close.
pub fn nearest<'a>(name: &str, allowed: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = allowed.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|(far, _)| *far);
    near.filter(|(far, _)| *far <= 3).map(|(_, candidate)| candidate)
}

/// Edit distance (Wagner and Fischer 1974).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Rewrites `--mode "single-leader ack=async reads=any"` as the flags that it stands for.
pub fn expand_labels(args: Vec<OsString>) -> Vec<OsString> {
    let mut expanded = Vec::with_capacity(args.len());
    let mut after_mode = false;
    for arg in args {
        let text = arg.to_str().unwrap_or_default();
        let label = if after_mode { Some(text) } else { text.strip_prefix("--mode=") };
        match label {
            Some(label) if label.contains(' ') => {
                let mut words = label.split_whitespace();
                if !after_mode {
                    expanded.push("--mode".into());
                }
                expanded.extend(words.next().map(OsString::from));
                for word in words {
                    match word.split_once('=') {
                        Some((name, value)) => expanded.extend([format!("--{name}").into(), value.into()]),
                        None => expanded.push(word.into()),
                    }
                }
                after_mode = false;
            }
            _ => {
                after_mode = text == "--mode";
                expanded.push(arg);
            }
        }
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("soon").is_err() && duration("3 days").is_err() && duration("").is_err());
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = names("--nemesis", "partiton", &["partition", "kill"]).expect_err("it is misspelt").to_string();
        assert!(error.contains("did you mean partition?") && error.contains("allowed: partition, kill"), "{error}");
    }

    #[test]
    fn a_label_stands_for_flags() {
        let args = ["gainsay", "run", "--mode", "single-leader ack=async reads=any", "--seed", "1"].map(OsString::from);
        let expanded = expand_labels(args.to_vec());
        let words: Vec<&str> = expanded.iter().filter_map(|arg| arg.to_str()).collect();
        assert_eq!(words.join(" "), "gainsay run --mode single-leader --ack async --reads any --seed 1");
    }

    #[test]
    fn clients_are_counted_by_node() {
        assert_eq!("2n".parse::<Count>().map(|count| count.of(5)), Ok(10));
        assert_eq!("7".parse::<Count>().map(|count| count.of(5)), Ok(7));
        assert!("0".parse::<Count>().is_err() && "n2".parse::<Count>().is_err());
    }
}
