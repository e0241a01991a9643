//! A registry as companies have it: behind a proxy, with a certificate of an own authority, and with a password.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "support/mod.rs"]
mod support;

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::{
    fake_registry::{Access, FakeRegistry},
    image::{Image, Layer},
    program::{Ended, Program},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// A name that only the proxy knows.
const HOST: &str = "registry.example";

/// A registry at `https://registry.example`, for whoever uses its proxy and trusts its authority.
struct Network {
    registry: FakeRegistry,
    proxy: String,
    authority: PathBuf,
    _files: TempDir,
    /// Ends the proxy with the test.
    _runtime: Runtime,
}

impl Network {
    fn start() -> Self {
        let registry = FakeRegistry::start().guarded(Access::Basic("me", "secret-word"));
        let (acceptor, authority_pem) = certificates();
        let files = TempDir::new().unwrap();
        let authority = files.path().join("authority.pem");
        fs::write(&authority, authority_pem).unwrap();

        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let target = registry.host();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, target) = (acceptor.clone(), target.clone());
                tokio::spawn(async move { tunnel(client, &acceptor, &target).await });
            }
        });
        Self {
            registry,
            proxy,
            authority,
            _files: files,
            _runtime: runtime,
        }
    }

    /// The program, told of everything but what `without` names.
    fn index(&self, image: &str, without: &str) -> Ended {
        let variables = [
            ("HTTPS_PROXY", self.proxy.as_str()),
            ("SSL_CERT_FILE", self.authority.to_str().unwrap()),
            ("SOCI_REGISTRY_USERNAME", "me"),
            ("SOCI_REGISTRY_PASSWORD", "secret-word"),
        ];
        let arguments = ["index", image, "--json", "--min-layer-size", "0"];
        variables
            .into_iter()
            .filter(|(name, _)| *name != without)
            .fold(Program::new(arguments), |program, (name, value)| {
                program.env(name, value)
            })
            .run()
    }
}

/// A certificate for [`HOST`], and the authority that signed it.
fn certificates() -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([HOST.to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(server)), authority_pem)
}

/// Plays the proxy for one `CONNECT`, and behind it the TLS server.
async fn tunnel(client: TcpStream, acceptor: &TlsAcceptor, target: &str) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && client.read_line(&mut request).await? > 0 {}
    if !request.starts_with(&format!("CONNECT {HOST}:443 ")) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut plain = acceptor.accept(client).await?;
    let mut registry = TcpStream::connect(target).await?;
    copy_bidirectional(&mut plain, &mut registry).await?;
    Ok(())
}

#[test]
fn through_a_proxy_with_an_own_authority_and_a_password() {
    let network = Network::start();
    let image = Image::of(&[Layer::noise(1, 300_000)]).push(&network.registry, "v1");
    let image = image.replace(&network.registry.host(), HOST);

    let report = network.index(&image, "").exits(0).json();
    assert_eq!(report["outcome"], "indexed");
    assert_eq!(report["output_tag"], "v1-soci");

    network
        .index(&image, "SSL_CERT_FILE")
        .fails_with(&["cannot index", HOST, "certificate"]);
    network
        .index(&image, "SOCI_REGISTRY_PASSWORD")
        .fails_with(&["cannot index", HOST, "set both or none"]);
}
