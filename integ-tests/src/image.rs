//! Small real images, and a push of them by a plain client of the registry host.

use std::net::SocketAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use soci_testing::image as made;

use crate::{account::registry_host, cloud::Cloud, digest::digest, iam::Caller};

pub use soci_testing::image::{Layer, Types};

/// An image.
#[derive(Clone)]
pub struct Image(made::Image);

impl Image {
    /// An image for linux/amd64.
    pub fn of(types: Types, layers: &[Layer]) -> Self {
        Self(made::Image::of_types(types, "linux/amd64", layers))
    }

    /// An image of several platforms.
    pub fn index(types: Types, images: &[(&str, &[Layer])]) -> Self {
        let images = images.iter().map(|(platform, layers)| {
            let image = made::Image::of_types(types, platform, *layers);
            (*platform, image)
        });
        Self(made::Image::list_of_types(types, images))
    }

    /// Its digest.
    pub fn digest(&self) -> String {
        self.0.digest().to_string()
    }

    /// Pushes it as the deployer, and gives its reference with the tag.
    ///
    /// # Errors
    /// Where the registry host refuses something.
    pub async fn push(&self, cloud: &Cloud, repository: &str, tag: &str) -> Result<String, Error> {
        let client = Client::new(cloud)?;
        for (_, blob) in self.0.blobs() {
            client.put_blob(repository, blob).await?;
        }
        for (media_type, bytes) in self.0.manifests() {
            let digest = digest(bytes);
            let name = if digest == self.digest() {
                tag
            } else {
                &digest
            };
            client
                .put_manifest(repository, name, media_type, bytes)
                .await?;
        }
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
