//! Endpoints: where the requests for a registry's host go.
//! In: hosts and mirrors as the user wrote them. Out: base URLs. Sends nothing.

use url::Url;

use super::{
    address::{DOCKER_HUB_API, is_docker_hub, is_loopback},
    certificates::CertificateDirs,
    error::Error,
    options::Options,
};

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
        let directories = CertificateDirs::new(options.certificates.as_deref());
        directories.directory(&url).is_some()
    };
    if options.plain_http || (is_loopback(&url) && !has_certificates()) {
        url = Url::parse(&format!("http://{api_host}")).map_err(|_| refuse())?;
    }
    Ok(url)
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
}
