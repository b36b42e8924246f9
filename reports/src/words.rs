//! Numbers and times as people write them.

pub use gainsay_checker::judge::thousands as count;

/// Nanoseconds as seconds with three digits: `8.271 s`. The space does not break.
pub fn seconds(nanos: u64) -> String {
    format!("{:.3}\u{a0}s", nanos as f64 / 1e9)
}

/// Milliseconds with as many digits as matter: `72 µs`, `0.42 ms`, `13 ms`, `1.2 s`.
pub fn millis(ms: f64) -> String {
    if ms < 0.1 {
        format!("{:.0}\u{a0}µs", ms * 1e3)
    } else if ms < 10.0 {
        format!("{ms:.2}\u{a0}ms")
    } else if ms < 1_000.0 {
        format!("{ms:.0}\u{a0}ms")
    } else {
        format!("{:.2}\u{a0}s", ms / 1e3)
    }
}

/// A share as a percentage that never says 0 or 100 when it is not.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 {
        "<\u{a0}0.01\u{a0}%".to_string()
    } else if percent < 1.0 {
        format!("{percent:.2}\u{a0}%")
    } else if percent < 99.95 || share >= 1.0 {
        format!("{percent:.1}\u{a0}%")
    } else {
        format!("{percent:.3}\u{a0}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(millis(0.4239), "0.42\u{a0}ms");
        assert_eq!(millis(0.0724), "72\u{a0}µs");
        assert_eq!(millis(1_234.0), "1.23\u{a0}s");
        assert_eq!(percent(0.9999), "99.990\u{a0}%");
        assert_eq!(percent(0.000_04), "<\u{a0}0.01\u{a0}%");
    }
}
