//! Mirrors: registries that answer in place of others.
//! In: `HOST=URL`. Out: both, checked. Sends nothing.

use std::str::FromStr;

use url::Url;

/// Sends a host's requests elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The host, as it stands in image references; credentials are still looked up for it.
    pub host: String,
    /// What `/v2/…` is appended to.
    pub url: Url,
}

/// A text that names no mirror.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a mirror; write HOST=URL, where the URL starts with https:// or http://")]
pub struct InvalidMirror(String);

impl FromStr for Mirror {
    type Err = InvalidMirror;

    fn from_str(text: &str) -> Result<Self, InvalidMirror> {
        let refuse = || InvalidMirror(text.to_owned());
        let (host, url) = text.split_once('=').ok_or_else(refuse)?;
        let url = Url::parse(url).map_err(|_| refuse())?;
        let usable = !host.is_empty()
            && matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none();
        if !usable {
            return Err(refuse());
        }
        Ok(Self {
            host: host.to_owned(),
            url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_host_and_a_url() {
        for text in [
            "r.example",
            "=https://m.example",
            "r.example=m.example",
            "r.example=ftp://m.example",
            "r.example=https://user:password@m.example",
        ] {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
    }
}
