//! Durations on the command line, as Go's programs read them: `30s`, `5m`, `1h30m`, `1.5s`.
//! In: text. Out: a duration longer than nothing.

use std::time::Duration;

/// The units; `ms` is looked for before `m`.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];

/// Reads numbers with their units, one after the other.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let malformed = || "not a duration; write for example 30s, 5m or 1h30m".to_owned();
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
        let (number, after) = rest.split_at(end.ok_or_else(malformed)?);
        let number: f64 = number.parse().map_err(|_| malformed())?;
        let unit = UNITS.iter().find(|(unit, _)| after.starts_with(unit));
        let (unit, factor) = unit.ok_or_else(malformed)?;
        seconds += number * factor;
        rest = &after[unit.len()..];
    }
    match Duration::try_from_secs_f64(seconds) {
        _ if text.is_empty() => Err(malformed()),
        Ok(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("1m500ms", 60_500),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in [
            "",
            "0",
            "0s",
            "0h0m",
            "5",
            "s",
            "-1s",
            "5x",
            "1m5",
            ".",
            "1..2s",
            "5 s",
            "999999999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
