//! The response URL. It is a secret: whoever has it can respond in our place. In: the event's text. Out: the URL for
//! the PUT, and when it was created. `Debug` and `Display` omit the path and the query.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use url::Url;

/// How long a response URL is valid (observed).
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// The response URL.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(Url);

impl ResponseUrl {
    /// Parses the URL; `None` if it is not an HTTP URL. (An error could reveal parts of it.)
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_http = ["https", "http"].contains(&url.scheme());
        // The host is printed. If the slash after it is missing, it would contain the secret.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let has_name = url.host_str().is_some_and(|host| host.bytes().all(is_name));
        (is_http && has_name).then_some(Self(url))
    }

    /// The URL itself, for the PUT only.
    #[must_use]
    pub fn secret(&self) -> &Url {
        &self.0
    }

    /// When the event was created: the signature's date, or two hours before its expiry. `None` if it has neither.
    #[must_use]
    pub fn made(&self) -> Option<SystemTime> {
        let query = |name: &str| {
            let mut pairs = self.0.query_pairs();
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        if let Some((_, date)) = query("X-Amz-Date") {
            return basic_date(&date);
        }
        let (_, expires) = query("Expires")?;
        let made = expires
            .parse::<u64>()
            .ok()?
            .checked_sub(LIFETIME.as_secs())?;
        UNIX_EPOCH.checked_add(Duration::from_secs(made))
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}/…?***", self.0.scheme())
    }
}

impl fmt::Display for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// `20261122T181523Z`.
fn basic_date(text: &str) -> Option<SystemTime> {
    let digits = text.strip_suffix('Z')?.replacen('T', "", 1);
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = (1970..year).filter(|&year| is_leap(year)).count() as u64
        + u64::from(is_leap(year) && month > 2);
    let month = usize::try_from(month).ok()?;
    let days = (year - 1970) * 365 + leap_days + before[month - 1] + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "https://cfn.s3.amazonaws.com/arn%3Aaws/x?X-Amz-Algorithm=A&X-Amz-Date=20261122T181523Z&X-Amz-Signature=c0ffee";

    fn at(url: &str) -> Option<u64> {
        let made = ResponseUrl::parse(url).unwrap().made()?;
        Some(made.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn debug_and_display_print_no_secret() {
        let url = ResponseUrl::parse(SIGNED).unwrap();
        assert_eq!(format!("{url:?}"), "https://cfn.s3.amazonaws.com/…?***");
        assert_eq!(url.to_string(), format!("{url:?}"));
        assert_eq!(
            ResponseUrl::parse("https://cfn&X-Amz-Signature=c0ffee"),
            None
        );
        let user = ResponseUrl::parse("https://user:pass@cfn.example/a").unwrap();
        assert_eq!(format!("{user:?}"), "https://cfn.example/…?***");
    }

    #[test]
    fn the_creation_time_is_parsed() {
        // date -u -d 2026-11-22T18:15:23Z +%s, and so on.
        assert_eq!(at(SIGNED), Some(1_795_371_323));
        assert_eq!(
            at("https://h/?x-amz-date=20240229T235959Z"),
            Some(1_709_251_199)
        );
        assert_eq!(
            at("https://h/?X-Amz-Date=20240301T000000Z"),
            Some(1_709_251_200)
        );
        assert_eq!(
            at("https://h/?AWSAccessKeyId=A&Expires=1795378523&Signature=s"),
            Some(1_795_371_323)
        );
    }

    #[test]
    fn invalid_dates_are_ignored() {
        for url in [
            "https://h/",
            "https://h/?X-Amz-Date=",
            "https://h/?X-Amz-Date=2026-11-22T18:15:23Z",
            "https://h/?X-Amz-Date=20261322T181523Z",
            "https://h/?X-Amz-Date=20260022T181523Z",
            "https://h/?Expires=soon",
            "https://h/?Expires=12",
            "https://h/?Expires=99999999999999999999999",
        ] {
            assert_eq!(at(url), None, "{url}");
        }
    }

    #[test]
    fn an_invalid_url_is_rejected() {
        for text in ["", "cfn.example", "file:///etc/passwd", "data:,x"] {
            assert!(ResponseUrl::parse(text).is_none(), "{text:?}");
        }
    }
}
