use super::*;
use crate::History;

/// Lines of kind, process, time and value, as JSON.
fn history(lines: &[(&str, u64, u64, &str, &str, &str)]) -> History {
    let mut text = String::new();
    for (index, (kind, process, time, f, value, rest)) in lines.iter().enumerate() {
        text.push_str(&format!(
            "{{\"index\":{index},\"time\":{time},\"type\":\"{kind}\",\"process\":{process},\"f\":\"{f}\",\"value\":[0,{value}]{rest}}}\n"
        ));
    }
    History::read_json(text.as_bytes()).unwrap()
}

fn one_stale_read(positions: bool) -> History {
    let version = |at: u64| if positions { format!(",\"version\":[1,{at}]") } else { String::new() };
    let (first, second, third) = (version(1), version(2), version(3));
    history(&[
        ("invoke", 0, 0, "write", "1", ""),
        ("ok", 0, 10, "write", "1", &first),
        ("invoke", 0, 20, "write", "2", ""),
        ("ok", 0, 30, "write", "2", &second),
        ("invoke", 0, 40, "write", "3", ""),
        ("ok", 0, 50, "write", "3", &third),
        ("invoke", 1, 100, "read", "null", ""),
        ("ok", 1, 110, "read", "1", ""),
        ("invoke", 1, 120, "read", "null", ""),
        ("ok", 1, 130, "read", "3", ""),
    ])
}

#[test]
fn a_read_is_as_stale_as_the_acknowledged_writes_that_it_missed() {
    for positions in [true, false] {
        let history = one_stale_read(positions);
        let found = measure(&Case::new(&history));
        assert_eq!((found.reads, found.stale, found.ordered), (2, 1, if positions { 2 } else { 0 }));
        assert_eq!((found.versions.max, found.nanoseconds.max, found.versions.p50), (2, 70, 0));
        assert_eq!(
            found.curve.iter().map(|since| (since.reads, since.stale)).collect::<Vec<_>>(),
            vec![(1, 1), (1, 0)]
        );
        assert_eq!(found.k, (!positions).then_some(Bounds { at_least: 3, at_most: 3 }));
    }
}

#[test]
fn a_list_is_stale_by_the_elements_it_lacks() {
    let history = history(&[
        ("invoke", 0, 0, "append", "1", ""),
        ("ok", 0, 10, "append", "1", ""),
        ("invoke", 0, 20, "append", "2", ""),
        ("ok", 0, 30, "append", "2", ""),
        ("invoke", 1, 40, "read", "null", ""),
        ("ok", 1, 50, "read", "[1]", ""),
        ("invoke", 1, 60, "read", "null", ""),
        ("ok", 1, 70, "read", "[1,2]", ""),
    ]);
    let found = measure(&Case::new(&history));
    assert_eq!((found.reads, found.stale, found.versions.max, found.nanoseconds.max), (2, 1, 1, 10));
}

#[test]
fn counts_over_suffixes_are_those_of_adding_up() {
    let mut tree = Suffixes::new(37);
    let mut plain = vec![None; 37];
    for step in 0..37_u64 {
        let at = (step * 11 % 37) as usize;
        tree.add(at, 100 - step);
        plain[at] = Some(100 - step);
        for from in 0..=37 {
            let rest: Vec<u64> = plain[from.min(37)..].iter().flatten().copied().collect();
            assert_eq!(tree.from(from), (rest.len() as u64, rest.iter().copied().min().unwrap_or(u64::MAX)));
        }
    }
}
