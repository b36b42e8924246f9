//! How much a verdict rests on: bounds on the frequency of what was not, or seldom, seen.
//!
//! Zero of n gives 1 − 0.05^(1/n); x of n the upper end of the one-sided Clopper–Pearson interval at 95 %, found by halving
//! on the binomial sum. Both are for independent opportunities, which neighbours in one run are not; bounds over runs are
//! computed with the same functions by whoever has several.

use std::time::Duration;

/// Fewer sharp opportunities than this say nothing: the bound would be above 1 %.
pub const SHARP_ENOUGH: u64 = 300;

/// What is left for chance.
const DOUBT: f64 = 0.05;

/// How long and how far a checker may search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Wall time for each checker.
    pub time: Duration,
    /// How many configurations a search may visit for each key.
    pub configurations: u64,
    /// How many bytes of configurations a search may hold.
    pub bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { time: Duration::from_secs(10), configurations: 20_000_000, bytes: 256 << 20 }
    }
}

/// The 95 % upper bound on a frequency of which `seen` of `of` were observed; nothing where there were no opportunities.
///
/// Exact (Clopper–Pearson, one-sided) for small counts; beyond a million opportunities with violations the sum is cut off where its terms
/// vanish.
pub fn upper_bound(seen: u64, of: u64) -> Option<f64> {
    if of == 0 {
        return None;
    }
    if seen == 0 {
        return Some(1.0 - DOUBT.powf(1.0 / of as f64));
    }
    if seen >= of {
        return Some(1.0);
    }
    let (mut low, mut high) = (seen as f64 / of as f64, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if at_most(seen, of, middle) > DOUBT { low = middle } else { high = middle }
    }
    Some(high)
}

/// The probability of at most `seen` successes in `of` trials.
fn at_most(seen: u64, of: u64, p: f64) -> f64 {
    if p >= 1.0 {
        return 0.0;
    }
    // From the largest term downwards, each a ratio of the one before, in logarithms first so that nothing underflows.
    let mut log_term = log_choose(of, seen) + seen as f64 * p.ln() + (of - seen) as f64 * (-p).ln_1p();
    let mut sum = 0.0;
    let odds = ((1.0 - p) / p).ln();
    for k in (0..=seen).rev() {
        let term = log_term.exp();
        sum += term;
        if sum > 0.0 && term < sum * 1e-17 {
            break;
        }
        if k > 0 {
            log_term += (k as f64).ln() - ((of - k + 1) as f64).ln() + odds;
        }
    }
    sum
}

fn log_choose(n: u64, k: u64) -> f64 {
    log_factorial(n) - log_factorial(k) - log_factorial(n - k)
}

/// Stirling's series, exact enough from 16 on; the product below.
fn log_factorial(n: u64) -> f64 {
    if n < 16 {
        return (2..=n).map(|i| (i as f64).ln()).sum();
    }
    let x = n as f64;
    let tail = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI * x).ln() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_of_three_hundred_is_below_one_percent_and_zero_of_ten_is_a_quarter() {
        assert!(upper_bound(0, 300).unwrap() < 0.01);
        assert!(upper_bound(0, 298).unwrap() > 0.01);
        assert!((upper_bound(0, 10).unwrap() - 0.2589).abs() < 1e-4);
        assert_eq!(upper_bound(0, 0), None);
    }

    #[test]
    fn clopper_pearson_agrees_with_published_values() {
        // One-sided 95 %: the beta quantiles B(0.95; x + 1, n - x).
        assert!((upper_bound(1, 10).unwrap() - 0.394_163).abs() < 1e-5);
        assert!((upper_bound(5, 10).unwrap() - 0.777_559).abs() < 1e-5);
        assert!((upper_bound(1, 20).unwrap() - 0.216_106).abs() < 1e-5);
        assert_eq!(upper_bound(10, 10), Some(1.0));
    }

    #[test]
    fn bounds_rise_with_what_was_seen_and_fall_with_opportunities() {
        assert!(upper_bound(14, 8_310).unwrap() > 14.0 / 8_310.0);
        assert!(upper_bound(14, 8_310).unwrap() < upper_bound(15, 8_310).unwrap());
        let many = upper_bound(300_000, 1_000_000).unwrap();
        assert!(many > 0.3 && many < 0.302, "{many}");
    }
}
