//! A release of soci-builder on this machine: the archive and its checksums, as .github/workflows/release.yml publishes them.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{Request, StatusCode};
use local_cloud::{cloud::given::zip, digest::digest};
use soci_testing::{
    http::{Reply, Server},
    program::built,
    scratch::scratch,
};

/// The version that is released here.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A server with a release; stopped on drop.
pub(crate) struct Release {
    server: Server,
    /// The archive's name.
    pub(crate) archive: String,
    /// Its checksum.
    pub(crate) checksum: String,
}

impl Release {
    /// Serves a release for this machine; `what` becomes of the archive after its checksum was taken.
    pub(crate) async fn serve(what: impl FnOnce(Bytes) -> Bytes) -> Self {
        Self::of("unknown-linux-gnu.tar.gz", program(), what).await
    }

    /// Serves a release for Windows, whose program runs here.
    pub(crate) async fn for_windows() -> Self {
        Self::of("pc-windows-msvc.zip", zipped_program(), |archive| archive).await
    }

    async fn of(system: &str, contents: Bytes, what: impl FnOnce(Bytes) -> Bytes) -> Self {
        let archive = format!("soci-builder-{}-{system}", std::env::consts::ARCH);
        let checksum = digest(&contents).replace("sha256:", "");
        let mut files = BTreeMap::new();
        let at = |name: &str| format!("/v{VERSION}/{name}");
        files.insert(
            at("SHA256SUMS"),
            Bytes::from(format!("{checksum}  {archive}\n")),
        );
        files.insert(at(&archive), what(contents));
        let files = Arc::new(files);
        let server = Server::start(move |request: Request<Bytes>| {
            let file = files.get(request.uri().path()).cloned();
            async move {
                match file {
                    Some(file) => Reply::new(StatusCode::OK, file),
                    None => Reply::new(StatusCode::NOT_FOUND, ""),
                }
            }
        });
        let server = server.await.unwrap();
        Self {
            server,
            archive,
            checksum,
        }
    }

    /// Where its versions are.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// The archive, made once for all tests.
fn program() -> Bytes {
    static MADE: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    let make = || {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        let program = stripped();
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        archive
            .append_data(&mut header, "soci-builder", program.as_slice())
            .unwrap();
        archive.into_inner().unwrap().finish().unwrap().into()
    };
    MADE.get_or_init(make).clone()
}

fn zipped_program() -> Bytes {
    zip(&[("soci-builder.exe", 0o755, &stripped())]).unwrap()
}

fn stripped() -> Vec<u8> {
    let folder = scratch();
    let path = folder.path().join("soci-builder");
    let mut strip = Command::new("strip");
    let status = strip
        .arg("-o")
        .arg(&path)
        .arg(built("soci-builder"))
        .status();
    assert!(status.unwrap().success());
    fs::read(path).unwrap()
}
