//! A repository as it is, asked without a proxy between.
//! In: its address. Out: tags, manifests, blobs, and what is missing below a manifest. Also puts what is to be there before.

use bytes::Bytes;
use reqwest::{
    Client, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::{Value, json};
use soci_format::{digest::Digest, oci::media_type};

/// A repository.
pub(crate) struct Direct<'a> {
    http: &'a Client,
    url: String,
}

/// A manifest.
pub(crate) struct Stored {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

impl Stored {
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

impl<'a> Direct<'a> {
    pub(crate) fn new(http: &'a Client, host: &str, repository: &str) -> Self {
        Self {
            http,
            url: format!("http://{host}/v2/{repository}"),
        }
    }

    pub(crate) async fn tags(&self) -> Vec<String> {
        let (_, bytes) = self.get("tags/list").await.unwrap();
        let list: Value = serde_json::from_slice(&bytes).unwrap();
        let tags = list["tags"].as_array().unwrap().iter();
        tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    /// The manifest under a tag or a digest.
    pub(crate) async fn manifest(&self, name: &str) -> Option<Stored> {
        let (media_type, bytes) = self.get(&format!("manifests/{name}")).await?;
        Some(Stored { media_type, bytes })
    }

    /// The entries of the list of referrers, from the registry or from the tag in its place.
    pub(crate) async fn referrers(&self, subject: &Digest) -> Vec<Value> {
        let found = match self.get(&format!("referrers/{subject}")).await {
            Some((_, bytes)) => serde_json::from_slice(&bytes).unwrap(),
            None => {
                let tagged = self.manifest(&format!("sha256-{}", subject.hex())).await;
                tagged.map(|list| list.json()).unwrap_or_default()
            }
        };
        let found: Value = found;
        found["manifests"].as_array().cloned().unwrap_or_default()
    }

    /// What is missing or wrong below a manifest.
    pub(crate) async fn missing_below(&self, root: &Stored) -> Vec<String> {
        let mut missing = Vec::new();
        let mut manifests = vec![root.json()];
        while let Some(manifest) = manifests.pop() {
            let named = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
            for child in named("manifests") {
                let name = child["digest"].as_str().unwrap_or_default();
                match self.manifest(name).await {
                    Some(found) if is(&child, &found.bytes) => manifests.push(found.json()),
                    found => missing.push(format!(
                        "manifest {child}: {:?}",
                        found.map(|found| found.bytes)
                    )),
                }
            }
            let config = manifest.get("config").cloned();
            for blob in named("layers").into_iter().chain(config) {
                let name = blob["digest"].as_str().unwrap_or_default();
                match self.get(&format!("blobs/{name}")).await {
                    Some((_, bytes)) if is(&blob, &bytes) => {}
                    found => {
                        let found = found.map(|(_, bytes)| bytes.len());
                        missing.push(format!("blob {blob}: {found:?} bytes"));
                    }
                }
            }
        }
        missing
    }

    pub(crate) async fn put_blob(&self, bytes: Bytes) {
        let digest = Digest::of(&bytes);
        let start = self.http.post(format!("{}/blobs/uploads/", self.url));
        let start = start.send().await.unwrap();
        let location = start.headers()["location"].to_str().unwrap();
        let mut url = start.url().join(location).unwrap();
        let query = format!("{}&digest={digest}", url.query().unwrap_or_default());
        url.set_query(Some(&query));
        let answer = self.http.put(url).body(bytes).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }

    pub(crate) async fn put_manifest(&self, name: &str, media_type: &str, bytes: Bytes) {
        let url = format!("{}/manifests/{name}", self.url);
        let put = self.http.request(Method::PUT, url);
        let put = put.header(CONTENT_TYPE, media_type).body(bytes);
        let answer = put.send().await.unwrap();
        assert_eq!(
            answer.status(),
            StatusCode::CREATED,
            "{}",
            answer.text().await.unwrap()
        );
    }

    /// Signs a manifest as somebody else would; where the registry keeps no lists, in the tag for that.
    pub(crate) async fn sign(&self, subject: &Digest) {
        let signed = self.manifest(&subject.to_string()).await.unwrap();
        let config = Bytes::from_static(b"{}");
        let config_json = json!({
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": Digest::of(&config),
            "size": config.len(),
        });
        self.put_blob(config).await;
        let signature = Bytes::from(
            json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_MANIFEST,
                "artifactType": "application/vnd.example.signature",
                "config": config_json,
                "layers": [config_json],
                "subject": {"mediaType": signed.media_type, "digest": subject, "size": signed.bytes.len()},
            })
            .to_string(),
        );
        let digest = Digest::of(&signature);
        let entry = json!({
            "mediaType": media_type::OCI_MANIFEST,
            "digest": digest,
            "size": signature.len(),
            "artifactType": "application/vnd.example.signature",
        });
        self.put_manifest(&digest.to_string(), media_type::OCI_MANIFEST, signature)
            .await;
        if self.referrers(subject).await.is_empty() {
            let list = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry]});
            let tag = format!("sha256-{}", subject.hex());
            self.put_manifest(&tag, media_type::OCI_INDEX, list.to_string().into())
                .await;
        }
    }

    async fn get(&self, path: &str) -> Option<(String, Bytes)> {
        let get = self.http.get(format!("{}/{path}", self.url));
        let get = get.header(ACCEPT, media_type::MANIFESTS.join(", "));
        let answer = get.send().await.unwrap();
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let media_type = answer.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next());
        let media_type = media_type.unwrap_or_default().to_owned();
        Some((media_type, answer.bytes().await.unwrap()))
    }
}

/// Whether bytes are what a descriptor says.
fn is(descriptor: &Value, bytes: &Bytes) -> bool {
    descriptor["digest"] == Digest::of(bytes).to_string() && descriptor["size"] == bytes.len()
}
