//! Taking a manifest: what ECR looks at before it does.
//! In: bytes, and where they are to go. Out: the image as it was stored, or why not.

use bytes::Bytes;

use super::{contents::Image, events::Action, state::State, upstream};
use crate::{account::ACCOUNT_ID, digest::is_digest};

/// ECR's limit.
pub(crate) const MANIFEST_BYTES_MAX: usize = 4_194_304;

/// Why a manifest is not taken. The texts are ECR's where they are known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("The image manifest has {0} bytes; at most {MANIFEST_BYTES_MAX} are allowed")]
    TooLarge(usize),
    #[error("Invalid parameter: {0}")]
    Invalid(String),
    #[error("The image digest {found} does not match the digest {stated}")]
    OtherDigest { found: String, stated: String },
    #[error(
        "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the \
         tag is immutable."
    )]
    Immutable { tag: String, name: String },
    #[error("{}", missing("Layers", .0, .1))]
    Layers(Vec<String>, String),
    #[error("{}", missing("Images", .0, .1))]
    Images(Vec<String>, String),
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
}

fn missing(what: &str, digests: &[String], name: &str) -> String {
    format!(
        "{what} with digests '[{}]' required for pushing image into repository with name '{name}' in the registry \
         with id '{ACCOUNT_ID}' do not exist",
        digests.join(", ")
    )
}

/// A manifest on its way into a repository.
pub(crate) struct Push<'a> {
    pub(crate) name: &'a str,
    /// A tag or the digest.
    pub(crate) reference: &'a str,
    /// As the client says; empty where it says nothing.
    pub(crate) media_type: &'a str,
    pub(crate) immutable_tags: bool,
}

impl Push<'_> {
    pub(crate) async fn take(&self, state: &State, bytes: Bytes) -> Result<Image, Refusal> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(Refusal::TooLarge(bytes.len()));
        }
        let image = Image::read(&bytes, self.media_type).map_err(Refusal::Invalid)?;
        let tag = (!is_digest(self.reference)).then_some(self.reference);
        if tag.is_none() && self.reference != image.digest {
            return Err(Refusal::OtherDigest {
                found: image.digest,
                stated: self.reference.to_owned(),
            });
        }
        // Before all else that costs something, and again when it is stored: two may push at once.
        self.check_tag(state, tag)?;
        let absent: Vec<String> = state.with(self.name, |contents| {
            let children = image.children.iter();
            let absent = children.filter(|child| contents.image(child).is_none());
            absent.cloned().collect()
        });
        if !absent.is_empty() {
            return Err(Refusal::Images(absent, self.name.to_owned()));
        }
        let mut absent = Vec::new();
        for blob in &image.blobs {
            if state.upstream.blob_size(self.name, blob).await?.is_none() {
                absent.push(blob.clone());
            }
        }
        if !absent.is_empty() {
            return Err(Refusal::Layers(absent, self.name.to_owned()));
        }
        state
            .upstream
            .put_manifest(self.name, &image.digest, &image.media_type, bytes)
            .await?;
        self.check_tag(state, tag)?;
        state.with(self.name, |contents| {
            contents.put(image.clone(), tag);
            state.events.report(Action::Push, self.name, &image, tag);
        });
        Ok(image)
    }

    /// Refuses a tag that is there, even with the same digest.
    fn check_tag(&self, state: &State, tag: Option<&str>) -> Result<(), Refusal> {
        let taken = |tag: &&str| state.with(self.name, |contents| contents.tagged(tag).is_some());
        match tag.filter(taken) {
            Some(tag) if self.immutable_tags => Err(Refusal::Immutable {
                tag: tag.to_owned(),
                name: self.name.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
