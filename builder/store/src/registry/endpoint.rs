//! Endpoints: where the requests for a registry's host go, and what of a URL may be shown.
//! In: hosts and mirrors as the user wrote them. Out: base URLs. Sends nothing.

use std::{fmt, str::FromStr};

use url::{Host, Url};

use super::{Options, certificates::Places, error::Error};

/// Docker Hub's names, and the host that serves its API.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", DOCKER_HUB_API];
const DOCKER_HUB_API: &str = "registry-1.docker.io";

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
pub struct NotAMirror(String);

impl FromStr for Mirror {
    type Err = NotAMirror;

    fn from_str(text: &str) -> Result<Self, NotAMirror> {
        let refuse = || NotAMirror(text.to_owned());
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

/// The URL that `/v2/…` is appended to, for `host`.
pub(super) fn base_url(host: &str, options: &Options) -> Result<Url, Error> {
    if let Some(mirror) = options.mirrors.iter().find(|mirror| mirror.host == host) {
        let safe = options.plain_http || mirror.url.scheme() == "https" || is_loopback(&mirror.url);
        return safe
            .then(|| mirror.url.clone())
            .ok_or_else(|| Error::PlainHttp {
                host: host.to_owned(),
            });
    }
    let refuse = || Error::Host {
        host: host.to_owned(),
    };
    if host.contains(['/', '@', '?', '#', '\\']) {
        return Err(refuse());
    }
    let api_host = if is_docker_hub(host) {
        DOCKER_HUB_API
    } else {
        host
    };
    let mut url = Url::parse(&format!("https://{api_host}")).map_err(|_| refuse())?;
    // Whoever has certificates for a host on this machine wants them to be used.
    let has_certificates = || {
        let places = Places::new(options.certificates.as_deref());
        places.directory(&url).is_some()
    };
    if options.plain_http || (is_loopback(&url) && !has_certificates()) {
        url = Url::parse(&format!("http://{api_host}")).map_err(|_| refuse())?;
    }
    Ok(url)
}

/// Whether `host` is a name of Docker Hub.
pub(super) fn is_docker_hub(host: &str) -> bool {
    DOCKER_HUB.contains(&host)
}

/// Whether a request to `url` stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether both have the same scheme, host and port.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// What of a URL may be shown: host, port and path. Queries of presigned URLs and user names are secrets.
pub(super) struct Redacted<'a>(pub(super) &'a Url);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", RedactedHost(self.0), self.0.path())
    }
}

/// What of another host's URL may be shown: host and port.
pub(super) struct RedactedHost<'a>(pub(super) &'a Url);

impl fmt::Display for RedactedHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or_default())?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_and_those_told_so_use_plain_http() {
        let options = Options {
            mirrors: vec!["127.0.0.1:7=https://127.0.0.1:8/base".parse().unwrap()],
            ..Options::default()
        };
        for (host, expected) in [
            ("r.example", "https://r.example/"),
            ("r.example:5000", "https://r.example:5000/"),
            ("docker.io", "https://registry-1.docker.io/"),
            ("localhost:5000", "http://localhost:5000/"),
            ("127.9.9.9:5000", "http://127.9.9.9:5000/"),
            ("[::1]:5000", "http://[::1]:5000/"),
            ("localhost.example:5000", "https://localhost.example:5000/"),
            ("127.0.0.1.example", "https://127.0.0.1.example/"),
            ("127.0.0.1:7", "https://127.0.0.1:8/base"),
        ] {
            assert_eq!(base_url(host, &options).unwrap().as_str(), expected);
        }
        let plain = Options {
            plain_http: true,
            mirrors: vec!["r.example=http://m.example".parse().unwrap()],
            ..Options::default()
        };
        assert_eq!(
            base_url("r.example", &plain).unwrap().as_str(),
            "http://m.example/"
        );
        let unsafe_mirror = Options {
            plain_http: false,
            ..plain.clone()
        };
        assert!(base_url("r.example", &unsafe_mirror).is_err());
        assert_eq!(
            base_url("r.example:443", &plain).unwrap().as_str(),
            "http://r.example:443/"
        );
    }

    #[test]
    fn a_host_with_more_than_a_host_is_refused() {
        for host in [
            "",
            "user@r.example",
            "r.example/x",
            "r.example?x",
            "r example",
        ] {
            assert!(base_url(host, &Options::default()).is_err(), "{host}");
        }
    }

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

    #[test]
    fn what_is_shown_has_no_secret() {
        let url = Url::parse("https://user:pass@s.example:8443/a/b?X-Amz-Signature=1#f").unwrap();
        assert_eq!(Redacted(&url).to_string(), "s.example:8443/a/b");
    }
}
