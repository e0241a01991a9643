//! Certificates for single registries, kept as docker and podman keep them: a directory for each host (docker's documentation,
//! "Verify repository client with certificates"; containers-certs.d(5)).
//! In: a URL's host. Out: the authorities to trust there besides the system's, and our client certificate.

use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use reqwest::{Certificate, ClientBuilder, Identity};
use soci_format::limits::Limits;
use url::Url;

use super::address::is_docker_hub;

/// Where directories of hosts are looked for.
#[derive(Clone, Debug)]
pub(super) struct CertificateDirs {
    /// With a directory for each host.
    by_host: Vec<PathBuf>,
    /// May hold the files itself, then for every host: so skopeo reads `--cert-dir`.
    chosen: Option<PathBuf>,
}

/// The certificates for one host.
#[derive(Debug)]
pub(super) struct Certificates {
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
}

/// Why the certificates for a host cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("cannot read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: it has more than {} bytes", Limits::SETTINGS_BYTES, path = path.display())]
    TooLarge { path: PathBuf },
    #[error("{path} not found; {beside} requires it", path = missing.display(), beside = beside.display())]
    HalfAPair { missing: PathBuf, beside: PathBuf },
    #[error("{path} contains no certificate in PEM format", path = path.display())]
    NoCertificate { path: PathBuf },
    #[error("{path} and its .key contain no client certificate with its key in PEM format", path = path.display())]
    NoIdentity { path: PathBuf },
}

impl CertificateDirs {
    /// `chosen`, or else where podman, skopeo and docker look, in their order.
    pub(super) fn new(chosen: Option<&Path>) -> Self {
        if let Some(chosen) = chosen.map(Path::to_owned) {
            return Self {
                by_host: vec![chosen.clone()],
                chosen: Some(chosen),
            };
        }
        let home = env::home_dir().map(|home| home.join(".config/containers/certs.d"));
        let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        Self {
            by_host: home.into_iter().chain(system).collect(),
            chosen: None,
        }
    }

    /// The directory for the host of `url`, where there is one.
    pub(super) fn directory(&self, url: &Url) -> Option<PathBuf> {
        let host = url.host_str()?;
        let names = match url.port() {
            Some(port) => vec![format!("{host}:{port}")],
            // The default port is written or not.
            None if is_docker_hub(host) => vec![host.to_owned(), "docker.io".to_owned()],
            None => vec![host.to_owned(), format!("{host}:443")],
        };
        let of_host = self.by_host.iter().find_map(|place| {
            let mut directories = names.iter().map(|name| place.join(name));
            directories.find(|path| path.is_dir())
        });
        of_host.or_else(|| self.chosen.clone().filter(|path| holds_files(path)))
    }
}

impl Certificates {
    /// Reads the directory of a host: `*.crt` are authorities, a `*.cert` with the `*.key` of the same name is the client certificate.
    pub(super) fn read(directory: &Path) -> Result<Self, CertificateError> {
        let fail = |source| CertificateError::Read {
            path: directory.to_owned(),
            source,
        };
        let entries = fs::read_dir(directory).map_err(fail)?;
        let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut paths = paths.map_err(fail)?;
        // The first by name is used where there are several pairs.
        paths.sort();
        let mut authorities = Vec::new();
        let mut identity = None;
        for path in paths {
            let beside = |ending: &str| {
                let other = path.with_extension(ending);
                match other.exists() {
                    true => Ok(other),
                    false => Err(CertificateError::HalfAPair {
                        missing: other,
                        beside: path.clone(),
                    }),
                }
            };
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("crt") => {
                    let found = Certificate::from_pem_bundle(&contents(&path)?).unwrap_or_default();
                    if found.is_empty() {
                        return Err(CertificateError::NoCertificate { path });
                    }
                    authorities.extend(found);
                }
                Some("cert") => {
                    let key = beside("key")?;
                    let mut pem = contents(&path)?;
                    pem.push(b'\n');
                    pem.extend(contents(&key)?);
                    let found = Identity::from_pem(&pem);
                    let found =
                        found.map_err(|_| CertificateError::NoIdentity { path: path.clone() })?;
                    identity = identity.or(Some(found));
                }
                Some("key") => {
                    beside("cert")?;
                }
                _ => {}
            }
        }
        Ok(Self {
            authorities,
            identity,
        })
    }

    /// A client that uses them.
    pub(super) fn put_into(self, builder: ClientBuilder) -> ClientBuilder {
        let builder = builder.tls_certs_merge(self.authorities);
        match self.identity {
            Some(identity) => builder.identity(identity),
            None => builder,
        }
    }
}

fn holds_files(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let endings = entries.map(|entry| entry.path().extension().map(ToOwned::to_owned));
    endings
        .flatten()
        .any(|ending| ["crt", "cert", "key"].iter().any(|known| ending == *known))
}

fn contents(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(Limits::SETTINGS_BYTES + 1)
            .read_to_end(&mut bytes)
    });
    match read {
        Ok(_) if bytes.len() as u64 > Limits::SETTINGS_BYTES => Err(CertificateError::TooLarge {
            path: path.to_owned(),
        }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(CertificateError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
