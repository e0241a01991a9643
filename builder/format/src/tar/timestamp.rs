//! Points in time, as tar headers and PAX records write them and as the table of contents wants them.

use std::fmt;

/// A point in time: seconds since 1970 in UTC, and the nanoseconds after that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, rounded down; below zero before 1970.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanos: u32,
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// RFC 3339 has four digits for the year: from 0000-01-01T00:00:00Z up to, but not with, 10000-01-01T00:00:00Z.
const WRITABLE: std::ops::Range<i64> = -62_167_219_200..253_402_300_800;

impl Timestamp {
    /// Reads the decimal number of seconds that a PAX record holds, such as `1700000000.25` or `-0.5`. Digits past
    /// the ninth after the point are dropped, towards zero.
    pub(super) fn from_decimal(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let nanos = fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
        // The sign is looked up in the text, because the seconds of "-0.5" have lost theirs.
        Some(if whole.starts_with('-') && nanos > 0 {
            Self {
                seconds: seconds.wrapping_sub(1),
                nanos: NANOS_PER_SECOND - nanos,
            }
        } else {
            Self { seconds, nanos }
        })
    }

    /// The time in RFC 3339, in UTC, with the digits after the point that it needs; empty where the year has not
    /// four digits.
    pub(crate) fn to_rfc3339(self) -> String {
        self.to_string()
    }
}

/// Writes what [`Timestamp::to_rfc3339`] gives.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !WRITABLE.contains(&self.seconds) {
            return Ok(());
        }
        let (year, month, day) = civil(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar, also before it was in use.
///
/// Years are counted from 1 March here: the leap day then is the last day of a year, and the months before it have
/// a length that one division gives. The calendar repeats after 400 years.
fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    const DAYS_FROM_MARCH_OF_YEAR_0: i64 = 719_468;

    let day = day + DAYS_FROM_MARCH_OF_YEAR_0;
    let (cycle, day) = (
        day.div_euclid(DAYS_PER_400_YEARS),
        day.rem_euclid(DAYS_PER_400_YEARS),
    );
    // Without the leap days of each 4th, but not each 100th, but again the 400th year, every year has 365 days.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    // March is month 0; January and February belong to the calendar year that follows.
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seconds: i64, nanos: u32) -> String {
        Timestamp { seconds, nanos }.to_rfc3339()
    }

    #[test]
    fn known_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-2_203_891_200, "1900-03-01T00:00:00Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
            (-62_162_035_201, "0000-02-29T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(written(seconds, 0), expected, "{seconds}");
        }
    }

    #[test]
    fn years_without_four_digits_are_empty() {
        for seconds in [-62_167_219_201, 253_402_300_800, i64::MIN, i64::MAX] {
            assert_eq!(written(seconds, 5), "", "{seconds}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let first = WRITABLE.start / SECONDS_PER_DAY;
        let (mut year, mut month, mut day) = (0, 1, 1);
        for number in first..WRITABLE.end / SECONDS_PER_DAY {
            assert_eq!(civil(number), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }

    #[test]
    fn fractions_lose_their_zeros() {
        assert_eq!(written(0, 250_000_000), "1970-01-01T00:00:00.25Z");
        assert_eq!(written(0, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(written(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("12", Some((12, 0))),
            ("+12", Some((12, 0))),
            ("12.", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.1234567899", Some((12, 123_456_789))),
            ("-1", Some((-1, 0))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-1.0000000009", Some((-1, 0))),
            ("9223372036854775807", Some((i64::MAX, 0))),
            ("9223372036854775808", None),
            ("", None),
            (".5", None),
            ("-", None),
            ("1.5.2", None),
            ("1.-5", None),
            ("1.5 ", None),
            (" 1", None),
            ("1e3", None),
            ("0x10", None),
        ] {
            let found = Timestamp::from_decimal(text.as_bytes());
            assert_eq!(found.map(|t| (t.seconds, t.nanos)), expected, "{text:?}");
        }
        assert_eq!(Timestamp::from_decimal(b"1\xff"), None);
    }
}
