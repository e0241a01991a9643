//! A registry as companies have it: behind a proxy, with a certificate of an own authority, and with a password; or for those only
//! who have a certificate themselves.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::FutureExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use soci_testing::{
    fake_registry::{Access, FakeRegistry},
    http::{Server, free_port},
    image::{Image, Layer},
    program::{Ended, Program},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional},
    net::TcpStream,
    runtime::Runtime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier},
};

/// A name that only the proxy knows.
const HOST: &str = "registry.example";

/// A registry at `https://registry.example`, for whoever uses its proxy and trusts its authority.
struct Network {
    registry: FakeRegistry,
    proxy: Server,
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
        let target = registry.host();
        let proxy = listen(&runtime, move |client| {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            async move { tunnel(client, &acceptor, &target).await }
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
        let proxy = format!("http://{}", self.proxy.address());
        let variables = [
            ("HTTPS_PROXY", proxy.as_str()),
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
async fn tunnel(client: TcpStream, acceptor: &TlsAcceptor, target: &str) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && client.read_line(&mut request).await? > 0 {}
    if !request.starts_with(&format!("CONNECT {HOST}:443 ")) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    pass_on(client, acceptor, target).await
}

/// Plays the TLS server in front of the registry.
async fn pass_on<S>(client: S, acceptor: &TlsAcceptor, target: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut plain = acceptor.accept(client).await?;
    let mut registry = TcpStream::connect(target).await?;
    copy_bidirectional(&mut plain, &mut registry).await?;
    Ok(())
}

/// Serves connections until the server is dropped; one that fails is the client's to complain about.
fn listen<H, F>(runtime: &Runtime, handler: H) -> Server
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let _entered = runtime.enter();
    let served = move |client| handler(client).map(drop);
    Server::connections(free_port().unwrap(), served).unwrap()
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

/// A registry at `https://127.0.0.1:<port>` for those who show a certificate, and a directory with one.
struct Guarded {
    registry: FakeRegistry,
    host: String,
    _server: Server,
    files: TempDir,
    _runtime: Runtime,
}

impl Guarded {
    fn start() -> Self {
        let registry = FakeRegistry::start();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let parameters = CertificateParams::new([name.to_owned()]).unwrap();
            (parameters.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, server_key) = signed("127.0.0.1");
        let (client, client_key) = signed("client");

        let files = TempDir::new().unwrap();
        for (name, text) in [
            ("own.crt", root.pem()),
            ("client.cert", client.pem()),
            ("client.key", client_key.serialize_pem()),
        ] {
            fs::write(files.path().join(name), text).unwrap();
        }
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        let server = ServerConfig::builder()
            .with_client_cert_verifier(clients.unwrap())
            .with_single_cert(vec![server.der().clone()], server_key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let runtime = Runtime::new().unwrap();
        let target = registry.host();
        let server = listen(&runtime, move |client| {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            async move { pass_on(client, &acceptor, &target).await }
        });
        Self {
            registry,
            host: server.address().to_string(),
            _server: server,
            files,
            _runtime: runtime,
        }
    }

    /// A directory with those files in a directory for the host.
    fn directory(&self, names: &[&str]) -> TempDir {
        let directory = TempDir::new().unwrap();
        let of_host = directory.path().join(&self.host);
        fs::create_dir(&of_host).unwrap();
        for name in names {
            fs::copy(self.files.path().join(name), of_host.join(name)).unwrap();
        }
        directory
    }

    fn index(&self, image: &str, directory: &Path) -> Ended {
        let arguments = ["index", image, "--json", "--min-layer-size", "0"];
        Program::new(arguments)
            .argument("--cert-dir")
            .argument(directory)
            .run()
    }
}

#[test]
fn with_certificates_for_a_registry() {
    let network = Guarded::start();
    let image = Image::of(&[Layer::noise(1, 300_000)]).push(&network.registry, "v1");
    let image = image.replace(&network.registry.host(), &network.host);

    let all = ["own.crt", "client.cert", "client.key"];
    let whole = network.directory(&all);
    let report = network.index(&image, whole.path()).exits(0).json();
    assert_eq!(report["outcome"], "indexed");
    // Files without a directory for the host are for every host.
    let report = network.index(&image, network.files.path()).exits(0).json();
    assert_eq!(report["outcome"], "already-there");

    // Podman's own place, without a flag.
    let home = TempDir::new().unwrap();
    let places = home.path().join(".config/containers");
    fs::create_dir_all(&places).unwrap();
    std::os::unix::fs::symlink(whole.path(), places.join("certs.d")).unwrap();
    let info = Program::new(["info", &image]).env("HOME", home.path());
    let _ = info.run().exits(0);

    let of_host = |directory: &TempDir, name| directory.path().join(&network.host).join(name);
    for (names, reason) in [
        (&["client.cert", "client.key"][..], "certificate"),
        (&["own.crt"], "connection failed"),
        (&["own.crt", "client.cert"], "client.key not found; "),
        (&["own.crt", "client.key"], "client.cert not found; "),
    ] {
        let directory = network.directory(names);
        let run = network.index(&image, directory.path());
        // A retry would find the same.
        assert!(!run.stderr.contains("attempts"), "{}", run.stderr);
        run.fails_with(&["cannot index", &network.host, reason]);
    }
    for (name, reason) in [
        ("own.crt", "own.crt contains no certificate in PEM format"),
        (
            "client.cert",
            "client.cert and its .key contain no client certificate",
        ),
        (
            "client.key",
            "client.cert and its .key contain no client certificate",
        ),
    ] {
        let directory = network.directory(&all);
        fs::write(of_host(&directory, name), "secret-key").unwrap();
        let run = network.index(&image, directory.path());
        run.fails_with(&["cannot use the certificates for", &network.host, reason]);
    }
    let absent = network.files.path().join("absent");
    let _ = network.index(&image, &absent).exits(2);
}
