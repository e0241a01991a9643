//! Certificates for this machine only: an authority of our own, and servers that it vouches for.
//! In: host names. Out: the authority's file, for `SSL_CERT_FILE`, and acceptors. Knows nothing of what is served.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, crypto::aws_lc_rs},
};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A certificate could not be used.
    #[error("cannot use the certificate")]
    Server(#[from] rustls::Error),
    /// The authority's file could not be written.
    #[error("cannot write the authority's certificate")]
    File(#[from] io::Error),
}

/// An authority. Its file lies there as long as it lives.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
    _folder: TempDir,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub fn new() -> Result<Self, Error> {
        let mut own = CertificateParams::default();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL (Python, among others) finds an issuer by its name: an empty one is none.
        own.distinguished_name
            .push(DnType::CommonName, "local cloud");
        let key = KeyPair::generate()?;
        // Builds on Lambda compute have a user of their own, and must be able to read it.
        let folder = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?;
        let file = folder.path().join("authority.pem");
        fs::write(&file, own.self_signed(&key)?.pem())?;
        Ok(Self {
            issuer: Issuer::new(own, key),
            file,
            _folder: folder,
        })
    }

    /// Its certificate, as a file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Takes TLS connections to these hosts.
    ///
    /// # Errors
    /// Where a name cannot stand in a certificate.
    pub fn acceptor(&self, hosts: &[&str]) -> Result<TlsAcceptor, Error> {
        let key = KeyPair::generate()?;
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(hosts)?.signed_by(&key, &self.issuer)?;
        // Named, because a second cryptography library in the same program makes rustls ask which.
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())?;
        Ok(TlsAcceptor::from(Arc::new(server)))
    }
}
