//! Deletes a resource's index from ECR (`RemovalPolicy` is `destroy`).
//! In: the physical id, the input image, the repository. Out: what was deleted, or what was kept and
//! why. Never deletes the input image or anything that another tag uses.

use std::collections::BTreeSet;

use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier};
use soci_format::{
    digest::Digest,
    index::{INDEX_DIGEST, is_soci_index},
    oci::{Descriptor, Manifest, Selector},
};
use soci_store::store::{self, ReadImages};

use crate::{
    call::{CallError, Named, with_retries},
    image::Images,
    physical_id::PhysicalId,
    properties::Input,
};

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A manifest cannot be read.
    #[error("cannot read the images to delete")]
    Read(#[from] store::Error),
    /// A call failed.
    #[error("cannot delete the index")]
    Call(#[from] CallError),
    /// ECR rejected the deletion of an image.
    #[error("ECR did not delete {what}: {why}")]
    Refused {
        /// What.
        what: String,
        /// ECR's code and reason.
        why: String,
    },
}

impl Error {
    fn is_gone(&self) -> bool {
        match self {
            Self::Call(error) => error.is_not_found(),
            Self::Read(store::Error::Elsewhere(error)) => error
                .downcast_ref::<CallError>()
                .is_some_and(CallError::is_not_found),
            _ => false,
        }
    }
}

/// Deletes the index that `id` identifies and returns what it did, as text.
///
/// # Errors
/// If something could not be deleted.
pub async fn remove(
    images: &Images,
    id: &PhysicalId,
    input: Option<&Input>,
) -> Result<String, Error> {
    let removed = match id {
        PhysicalId::V2 { tag, output, .. } => remove_v2(images, tag, *output, input).await,
        PhysicalId::V1 { indexes, .. } => remove_v1(images, indexes).await,
    };
    match removed {
        Err(error) if error.is_gone() => Ok("the repository no longer exists".to_owned()),
        other => other,
    }
}

async fn remove_v1(images: &Images, indexes: &[Digest]) -> Result<String, Error> {
    let removed = remove_untagged(images, indexes.iter().copied()).await?;
    Ok(format!(
        "deleted {removed} of {} SOCI indexes",
        indexes.len()
    ))
}

async fn remove_v2(
    images: &Images,
    tag: &str,
    output: Digest,
    input: Option<&Input>,
) -> Result<String, Error> {
    let Some(found) = images.select(&Selector::Tag(tag.to_owned())).await? else {
        return Ok(format!("tag {tag} no longer exists"));
    };
    if found.descriptor.digest != output {
        return Ok(format!("kept tag {tag}: it now points to another image"));
    }
    let input = match input {
        Some(Input::Tag(input)) => images.select(&Selector::Tag(input.clone())).await?,
        Some(Input::Digest(input)) => images.select(&Selector::Digest(*input)).await?,
        None => None,
    };
    let tags = images.tags(&output).await?.unwrap_or_default();
    let has_other_tags = tags.iter().any(|other| other != tag);
    let children = made_children(&found.manifest);
    let is_input = input
        .as_ref()
        .is_some_and(|input| input.descriptor.digest == output);
    // An image without a SOCI index is an original that only got the output tag, whatever the input tag points to now.
    let is_original = is_input || children.is_empty();
    if is_original && !has_other_tags {
        return Ok(format!(
            "kept tag {tag}: it is the only tag of an image that this resource did not create"
        ));
    }
    // By tag and digest, so that a tag that has just been moved is not deleted.
    let id = ImageIdentifier::builder()
        .image_tag(tag)
        .image_digest(output.to_string());
    if images.delete(vec![id.build()]).await? == 0 {
        return Ok(format!("tag {tag} was moved or deleted in the meantime"));
    }
    if has_other_tags {
        return Ok(format!(
            "deleted tag {tag} and kept the image, which has other tags"
        ));
    }
    let mut kept = BTreeSet::new();
    if let Some(input) = &input {
        kept.insert(input.descriptor.digest);
        if let Manifest::Index(index) = &input.manifest {
            kept.extend(index.manifests.iter().map(|entry| entry.digest));
        }
    }
    let children = children.into_iter().filter(|child| !kept.contains(child));
    let removed = remove_untagged(images, children).await?;
    Ok(format!("deleted tag {tag} and {removed} of its manifests"))
}

/// The entries of an output image that the builder created: SOCI indexes, and manifests annotated with one.
fn made_children(manifest: &Manifest) -> Vec<Digest> {
    let Manifest::Index(index) = manifest else {
        return Vec::new();
    };
    let is_made =
        |entry: &&Descriptor| is_soci_index(entry) || entry.annotations.contains_key(INDEX_DIGEST);
    index
        .manifests
        .iter()
        .filter(is_made)
        .map(|entry| entry.digest)
        .collect()
}

/// Deletes the untagged ones and returns their number. ECR keeps manifests that another image index references.
async fn remove_untagged(
    images: &Images,
    digests: impl Iterator<Item = Digest>,
) -> Result<usize, Error> {
    let mut untagged = Vec::new();
    for digest in digests {
        if images
            .tags(&digest)
            .await?
            .is_some_and(|tags| tags.is_empty())
        {
            untagged.push(
                ImageIdentifier::builder()
                    .image_digest(digest.to_string())
                    .build(),
            );
        }
    }
    if untagged.is_empty() {
        return Ok(0);
    }
    images.delete(untagged).await
}

impl Images {
    /// The tags of a manifest; `None` if it does not exist.
    async fn tags(&self, digest: &Digest) -> Result<Option<Vec<String>>, CallError> {
        let described = with_retries(&self.retry_window, &self.log, || async {
            self.ecr
                .describe_images()
                .registry_id(&self.repository.account)
                .repository_name(&self.repository.name)
                .image_ids(
                    ImageIdentifier::builder()
                        .image_digest(digest.to_string())
                        .build(),
                )
                .send()
                .await
                .named("ECR DescribeImages")
        });
        match described.await {
            Ok(described) => {
                let details = described.image_details.unwrap_or_default();
                let tags = details
                    .into_iter()
                    .next()
                    .map(|image| image.image_tags.unwrap_or_default());
                Ok(tags)
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes images and returns their number.
    async fn delete(&self, ids: Vec<ImageIdentifier>) -> Result<usize, Error> {
        let count = ids.len();
        let deleted = with_retries(&self.retry_window, &self.log, || async {
            self.ecr
                .batch_delete_image()
                .registry_id(&self.repository.account)
                .repository_name(&self.repository.name)
                .set_image_ids(Some(ids.clone()))
                .send()
                .await
                .named("ECR BatchDeleteImage")
        });
        let deleted = deleted.await?;
        for failure in deleted.failures() {
            let code = failure.failure_code();
            if matches!(
                code,
                Some(
                    ImageFailureCode::ImageNotFound
                        | ImageFailureCode::ImageTagDoesNotMatchDigest
                        | ImageFailureCode::ImageReferencedByManifestList
                )
            ) {
                continue;
            }
            let id = failure.image_id();
            let name = id.and_then(|id| id.image_tag().or(id.image_digest()));
            let code = code.map_or("no code", ImageFailureCode::as_str);
            return Err(Error::Refused {
                what: name.unwrap_or("an image").to_owned(),
                why: format!("{code}: {}", failure.failure_reason().unwrap_or_default()),
            });
        }
        Ok(count.saturating_sub(deleted.failures().len()))
    }
}
