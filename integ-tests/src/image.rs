//! Small real images of chosen layers.
//! In: files, platforms, media types. Out: manifests and blobs, and a push of them by a plain client of the registry host.

use std::{io::Write, net::SocketAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{account::registry_host, cloud::Cloud, digest::digest, iam::Caller};

/// Whose media types an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// OCI's.
    Oci,
    /// Docker's, which buildah and docker push to ECR.
    Docker,
}

impl Types {
    fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn layer(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }
}

/// A layer: a tar archive in gzip.
#[derive(Clone, Debug)]
pub struct Layer {
    bytes: Bytes,
    /// Digest of the archive as it is without gzip.
    diff_id: String,
}

impl Layer {
    /// A layer of these files.
    ///
    /// # Panics
    /// Where a name cannot stand in a tar archive.
    pub fn files<N: AsRef<str>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, B)>) -> Self {
        let archive = || -> std::io::Result<Vec<u8>> {
            let mut archive = tar::Builder::new(Vec::new());
            for (name, bytes) in files {
                let mut header = tar::Header::new_ustar();
                header.set_size(bytes.as_ref().len() as u64);
                header.set_mode(0o755);
                archive.append_data(&mut header, name.as_ref(), bytes.as_ref())?;
            }
            archive.into_inner()
        };
        let archive = archive().unwrap_or_else(|error| panic!("cannot make a layer: {error}"));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let compressed = gzip.write_all(&archive).and_then(|()| gzip.finish());
        Self {
            bytes: compressed.unwrap_or_default().into(),
            diff_id: digest(&archive),
        }
    }

    /// One file of so many bytes that no compression makes smaller; another seed, another layer.
    pub fn noise(seed: u64, size_bytes: usize) -> Self {
        let mut bytes = vec![0; size_bytes];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        Self::files([(format!("noise-{seed}"), bytes)])
    }

    /// Its digest.
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// Its size as stored.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// An image: manifests, children first and the root last, and all blobs.
#[derive(Clone, Debug)]
pub struct Image {
    types: Types,
    blobs: Vec<Bytes>,
    manifests: Vec<(&'static str, Bytes)>,
}

impl Image {
    /// An image for linux/amd64.
    pub fn of(types: Types, layers: &[Layer]) -> Self {
        Self::for_platform(types, "linux/amd64", layers)
    }

    /// An image for a platform.
    pub fn for_platform(types: Types, platform: &str, layers: &[Layer]) -> Self {
        let mut config = platform_json(platform);
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        config["config"] = json!({});
        let config = Bytes::from(config.to_string());
        let listed = layers.iter();
        let listed = listed.map(|layer| descriptor(types.layer(), &layer.bytes));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": types.manifest(),
            "config": descriptor(types.config(), &config),
            "layers": listed.collect::<Vec<_>>(),
        });
        let layers = layers.iter().map(|layer| layer.bytes.clone());
        Self {
            types,
            blobs: std::iter::once(config.clone()).chain(layers).collect(),
            manifests: vec![(types.manifest(), manifest.to_string().into())],
        }
    }

    /// An image of several platforms.
    pub fn index(types: Types, images: &[(&str, &[Layer])]) -> Self {
        let mut index = Self {
            types,
            blobs: Vec::new(),
            manifests: Vec::new(),
        };
        let mut entries = Vec::new();
        for (platform, layers) in images {
            let image = Self::for_platform(types, platform, layers);
            let (media_type, bytes) = image.root();
            let mut entry = descriptor(media_type, bytes);
            entry["platform"] = platform_json(platform);
            entries.push(entry);
            index.blobs.extend(image.blobs);
            index.manifests.extend(image.manifests);
        }
        let root = json!({"schemaVersion": 2, "mediaType": types.index(), "manifests": entries});
        index
            .manifests
            .push((types.index(), root.to_string().into()));
        index
    }

    /// Its digest.
    pub fn digest(&self) -> String {
        digest(self.root().1)
    }

    /// Whose media types it has.
    pub fn types(&self) -> Types {
        self.types
    }

    fn root(&self) -> (&'static str, &Bytes) {
        let (media_type, bytes) = &self.manifests[self.manifests.len() - 1];
        (media_type, bytes)
    }

    /// Pushes it as the deployer, and gives its reference with the tag.
    ///
    /// # Errors
    /// Where the registry host refuses something.
    pub async fn push(&self, cloud: &Cloud, repository: &str, tag: &str) -> Result<String, Error> {
        let client = Client::new(cloud)?;
        for blob in &self.blobs {
            client.put_blob(repository, blob).await?;
        }
        let (_, children) = self
            .manifests
            .split_last()
            .unwrap_or((&self.manifests[0], &[]));
        for (media_type, bytes) in children {
            let digest = digest(bytes);
            client
                .put_manifest(repository, &digest, media_type, bytes)
                .await?;
        }
        let (media_type, bytes) = self.root();
        client
            .put_manifest(repository, tag, media_type, bytes)
            .await?;
        Ok(format!("{}/{repository}:{tag}", registry_host()))
    }
}

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host was not reached.
    #[error("the registry host cannot be reached")]
    Unreached(#[from] reqwest::Error),
    /// The host refused.
    #[error("the registry host answers {status} to {what}: {words}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The authority's file could not be read.
    #[error("the authority's certificate cannot be read")]
    Authority(#[from] std::io::Error),
}

/// A plain client of the registry host, as the deployer.
pub struct Client {
    http: reqwest::Client,
    authorization: String,
}

impl Client {
    /// Of this cloud; trusts its authority, and finds the host without the proxy.
    ///
    /// # Errors
    /// Where the authority's certificate cannot be used.
    pub fn new(cloud: &Cloud) -> Result<Self, Error> {
        Self::with_token(cloud, &cloud.ecr().token(Caller::Deployer))
    }

    /// The same with another token.
    ///
    /// # Errors
    /// Where the authority's certificate cannot be used.
    pub fn with_token(cloud: &Cloud, token: &str) -> Result<Self, Error> {
        let authority = reqwest::Certificate::from_pem(&std::fs::read(cloud.ca_file())?)?;
        let address: SocketAddr = cloud.ecr().host_address();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([authority])
            .resolve(&registry_host(), address)
            .build()?;
        let token = BASE64_STANDARD.encode(format!("AWS:{token}"));
        Ok(Self {
            http,
            authorization: format!("Basic {token}"),
        })
    }

    /// A request for a path below `/v2/`, or, where it is one, an address.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.starts_with("https://") {
            true => path.to_owned(),
            false => format!("https://{}/v2/{path}", registry_host()),
        };
        self.http
            .request(method, url)
            .header("authorization", &self.authorization)
    }

    /// Pushes a blob, unless it is there.
    ///
    /// # Errors
    /// Where the host refuses.
    pub async fn put_blob(&self, repository: &str, bytes: &Bytes) -> Result<(), Error> {
        let digest = digest(bytes);
        let there = self.request(
            reqwest::Method::HEAD,
            &format!("{repository}/blobs/{digest}"),
        );
        if there.send().await?.status().is_success() {
            return Ok(());
        }
        let begin = format!("{repository}/blobs/uploads/");
        let begin = self.request(reqwest::Method::POST, &begin).send().await?;
        let begun = accepted("POST of a blob", begin).await?;
        let location = begun.headers().get("location");
        let location = location.and_then(|value| value.to_str().ok());
        let location = location.unwrap_or_default();
        let sign = if location.contains('?') { '&' } else { '?' };
        let put = format!("{location}{sign}digest={digest}");
        let put = self.request(reqwest::Method::PUT, &put).body(bytes.clone());
        accepted("PUT of a blob", put.send().await?).await.map(drop)
    }

    /// Pushes a manifest.
    ///
    /// # Errors
    /// Where the host refuses.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: &Bytes,
    ) -> Result<reqwest::Response, Error> {
        let path = format!("{repository}/manifests/{reference}");
        let put = self.request(reqwest::Method::PUT, &path);
        let put = put.header("content-type", media_type).body(bytes.clone());
        accepted("PUT of a manifest", put.send().await?).await
    }
}

async fn accepted(what: &str, answer: reqwest::Response) -> Result<reqwest::Response, Error> {
    match answer.status().is_success() {
        true => Ok(answer),
        false => Err(Error::Refused {
            what: what.to_owned(),
            status: answer.status().as_u16(),
            words: answer.text().await.unwrap_or_default(),
        }),
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn platform_json(platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut json = json!({"os": parts.next(), "architecture": parts.next()});
    if let Some(variant) = parts.next() {
        json["variant"] = variant.into();
    }
    json
}
