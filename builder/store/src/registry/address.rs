//! Addresses: how hosts and URLs are classified, and which parts of a URL may be shown. Pure.

use std::fmt;

use url::{Host, Url};

/// Docker Hub's names, and the host that serves its API.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", DOCKER_HUB_API];
pub(super) const DOCKER_HUB_API: &str = "registry-1.docker.io";

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
    fn what_is_shown_has_no_secret() {
        let url = Url::parse("https://user:pass@s.example:8443/a/b?X-Amz-Signature=1#f").unwrap();
        assert_eq!(Redacted(&url).to_string(), "s.example:8443/a/b");
    }
}
