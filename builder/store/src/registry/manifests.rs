//! Manifests: reads them by tag or digest, and pushes them.
//! In: selectors, bytes. Out: bytes that match what they were asked for by. Parses nothing but media types.

use bytes::Bytes;
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName},
};
use serde::Deserialize;
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, Selector, media_type},
};

use super::{
    Repository, error::Error, error_body::bounded_line, exchange::Call, transport::RegistryResponse,
};

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A manifest as it came from a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Type as the registry says, digest and size of the bytes.
    pub descriptor: Descriptor,
    /// The manifest.
    pub bytes: Bytes,
}

/// What the registry said when it took a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedManifest {
    /// The subject, where the registry noted the manifest as its referrer; else the referrers tag is ours to keep.
    pub subject: Option<Digest>,
}

impl Repository {
    /// The digest of what is under `tag`; none where the tag, or the whole repository, does not exist.
    pub async fn resolve(&self, tag: &str) -> Result<Option<Digest>, Error> {
        match self
            .registry
            .open(&self.head_of(tag))
            .await
            .map(|answer| announced(&answer))
        {
            Ok(Some(digest)) => return Ok(Some(digest)),
            // Some registries refuse HEAD, with 404 too, or announce no digest: then the manifest itself tells.
            Ok(None) => {}
            Err(error) if self.registry.may_refuse_head(&error) => {}
            Err(error) => return Err(error),
        }
        let fetched = self.manifest(&Selector::Tag(tag.to_owned())).await?;
        Ok(fetched.map(|fetched| fetched.descriptor.digest))
    }

    /// The manifest that `selector` names, where there is one.
    pub async fn manifest(&self, selector: &Selector) -> Result<Option<Fetched>, Error> {
        let call = self.get_of(&selector.to_string());
        let (answer, bytes) = match self.registry.fetch(&call, Limits::MANIFEST_BYTES).await {
            Ok(fetched) => fetched,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let media_type = manifest_type(&answer, &bytes)?;
        let descriptor = Descriptor::of(&media_type, &bytes);
        let expected = match selector {
            Selector::Digest(digest) => Some(*digest),
            Selector::Tag(_) => announced(&answer),
        };
        match expected {
            Some(expected) if expected != descriptor.digest => Err(Error::Digest {
                request: answer.request,
                found: descriptor.digest,
                expected,
            }),
            None if !self.has_manifest(&descriptor.digest).await? => Err(answer.refuse(format!(
                "digest mismatch: received a manifest with digest {}, which the registry does not have; it was corrupted in transit",
                descriptor.digest
            ))),
            _ => Ok(Some(Fetched { descriptor, bytes })),
        }
    }

    /// Whether a manifest is there. Where the registry announces no digest with what a tag names, this tells that it came whole.
    async fn has_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        let name = digest.to_string();
        match self.registry.open(&self.head_of(&name)).await {
            Ok(_) => return Ok(true),
            Err(error) if self.registry.may_refuse_head(&error) => {}
            Err(error) => return Err(error),
        }
        let get = self.get_of(&name);
        match self.registry.fetch(&get, Limits::MANIFEST_BYTES).await {
            Ok((_, bytes)) => Ok(Digest::of(&bytes) == *digest),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn get_of(&self, name: &str) -> Call {
        self.call(Method::GET, "manifests", name)
            .with(ACCEPT, media_type::MANIFESTS.join(", "))
    }

    fn head_of(&self, name: &str) -> Call {
        self.call(Method::HEAD, "manifests", name)
            .with(ACCEPT, media_type::MANIFESTS.join(", "))
    }

    /// Pushes a manifest; all that it refers to must be there.
    pub async fn push_manifest(
        &self,
        selector: &Selector,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<PushedManifest, Error> {
        if bytes.len() as u64 > Limits::MANIFEST_BYTES {
            return Err(Error::ManifestTooLarge {
                size: bytes.len(),
                limit: Limits::MANIFEST_BYTES,
            });
        }
        let pushed = Digest::of(&bytes);
        let call = Call {
            body: Some(bytes),
            ..self.call(Method::PUT, "manifests", &selector.to_string())
        };
        let call = call.with(CONTENT_TYPE, media_type);
        let mut attempts = self.registry.attempts();
        loop {
            match self.put_manifest(&call, pushed).await {
                Ok(taken) => return Ok(taken),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// One try. What the registry took instead of our bytes may have our tag by now, so another try is due.
    async fn put_manifest(&self, call: &Call, pushed: Digest) -> Result<PushedManifest, Error> {
        let answer = self.registry.once(call).await?;
        match announced(&answer) {
            Some(found) if found != pushed => Err(Error::Altered {
                request: answer.request,
                found,
                pushed,
            }),
            _ => Ok(PushedManifest {
                subject: answer
                    .header(OCI_SUBJECT)
                    .and_then(|subject| subject.parse().ok()),
            }),
        }
    }
}

/// The digest that the registry announces.
pub(super) fn announced(answer: &RegistryResponse) -> Option<Digest> {
    answer.header(DOCKER_CONTENT_DIGEST)?.parse().ok()
}

/// The manifest's type as the registry says, or, where it says nothing of use, as the manifest itself does.
fn manifest_type(answer: &RegistryResponse, bytes: &[u8]) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct OwnMediaType {
        #[serde(rename = "mediaType")]
        media_type: String,
    }
    let stated = answer
        .header(CONTENT_TYPE)
        .map(|value| value.split(';').next().unwrap_or_default().trim())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let found = match stated.as_str() {
        "" | "application/json" | "application/octet-stream" => {
            serde_json::from_slice(bytes).map_or(stated, |own: OwnMediaType| own.media_type)
        }
        _ => stated,
    };
    if media_type::MANIFESTS.contains(&found.as_str()) {
        return Ok(found);
    }
    Err(answer.refuse(match found.as_str() {
        "" => "expected a manifest, got a response without a media type".to_owned(),
        other => format!(
            "expected a manifest, got media type {}",
            bounded_line(other)
        ),
    }))
}
