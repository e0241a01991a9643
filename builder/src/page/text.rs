//! Figures as the page shows them.

use bytesize::ByteSize;
use soci_format::plural::word;

/// Sizes are what manifests and ztocs claim, and may be anything.
pub(super) fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// `12.3 MiB`.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

/// `12,345,678`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 span`, `12,345 spans`.
pub(super) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), word(number, one, more))
}

/// `4.1 %`; all and nothing only where it is so.
pub(super) fn percent(part: u64, of: u64) -> String {
    match share(part, of) {
        ..0.05 if part > 0 => "less than 0.1 %".to_owned(),
        99.95.. if part < of => "more than 99.9 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

/// Percent, without a sign.
pub(super) fn share(part: u64, of: u64) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}

/// `840 ms`, `1.9 s`, `12 min`.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        ..0.9995 => format!("{:.0} ms", seconds * 1_000.0),
        ..99.95 => format!("{seconds:.1} s"),
        ..5_970.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// `12–14`, counted from 0; one span as its number.
pub(super) fn span_range(first: usize, end: usize) -> String {
    match end - first {
        1 => first.to_string(),
        _ => format!("{first}–{}", end - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let counts = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        let times = [0.0, 0.0214, 0.9996, 59.96, 99.96, 6_000.0].map(time);
        assert_eq!(
            times,
            ["0 ms", "21 ms", "1.0 s", "60.0 s", "2 min", "1.7 h"]
        );
        let percents = [(0, 0), (1, 2_001), (1, 3), (1_999, 2_000), (7, 7)];
        assert_eq!(
            percents.map(|(part, of)| percent(part, of)),
            [
                "0.0 %",
                "less than 0.1 %",
                "33.3 %",
                "more than 99.9 %",
                "100.0 %"
            ]
        );
        assert_eq!(
            (span_range(3, 4), span_range(3, 6)),
            ("3".to_owned(), "3–5".to_owned())
        );
    }
}
