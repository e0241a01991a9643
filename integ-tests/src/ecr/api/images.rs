//! Images and layers in ECR's API.
//! In: calls on a repository that is there, by someone who may. Out: outputs in AWS's form.

use serde_json::{Value, json};

use super::page::page;
use crate::{
    account::{ACCOUNT_ID, Repository},
    cloud::call::{Call, Refused, seconds},
    digest::{digest, is_digest},
    ecr::{
        contents::{Contents, Image},
        push::{self, Push},
        state::State,
    },
};

/// Why an image id leads nowhere: AWS's code and words.
type NotFound = (&'static str, &'static str);

/// What an image id names: digest, tag or both.
pub(in crate::ecr) fn find<'a>(contents: &'a Contents, id: &Value) -> Result<&'a Image, NotFound> {
    let (digest, tag) = (id["imageDigest"].as_str(), id["imageTag"].as_str());
    let not_found = ("ImageNotFound", "Requested image not found");
    let invalid = (
        "InvalidImageDigest",
        "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
    );
    match (digest, tag) {
        (None, None) => Err((
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )),
        (Some(digest), _) if !is_digest(digest) => Err(invalid),
        (Some(digest), None) => contents.image(digest).ok_or(not_found),
        (digest, Some(tag)) => {
            let image = contents.find(tag).ok_or(not_found)?;
            match digest {
                Some(digest) if digest != image.digest => Err((
                    "ImageTagDoesNotMatchDigest",
                    "Requested image tag does not match the digest",
                )),
                _ => Ok(image),
            }
        }
    }
}

/// `BatchGetImage`.
pub(super) async fn get(state: &State, call: &Call) -> Result<Value, Refused> {
    let name = call.text("repositoryName");
    let accepted = call.texts("acceptedMediaTypes");
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in ids(call)? {
        let found = state.with(name, |contents| find(contents, id).cloned());
        let found = found.and_then(|image| {
            let fits = accepted.is_empty() || accepted.contains(&image.media_type);
            let not_found = ("ImageNotFound", "Requested image not found");
            fits.then_some(image).ok_or(not_found)
        });
        let found = found.and_then(|image| {
            let is_archived = state.with(name, |contents| contents.is_archived(&image.digest));
            let inaccessible = ("ImageInaccessible", "Requested image is archived");
            (!is_archived).then_some(image).ok_or(inaccessible)
        });
        match found {
            Ok(image) => {
                let upstream = &state.upstream;
                let bytes = upstream
                    .manifest(name, &image.digest, &image.media_type)
                    .await?;
                images.push(json!({
                    "registryId": ACCOUNT_ID,
                    "repositoryName": name,
                    "imageId": image_id(&image.digest, id["imageTag"].as_str()),
                    "imageManifest": String::from_utf8_lossy(&bytes),
                    "imageManifestMediaType": image.media_type,
                }));
            }
            Err((code, reason)) => {
                failures.push(json!({"imageId": id, "failureCode": code, "failureReason": reason}))
            }
        }
    }
    Ok(json!({"images": images, "failures": failures}))
}

/// `DescribeImages`: of these ids, or of all.
pub(super) fn describe(state: &State, call: &Call) -> Result<Value, Refused> {
    let name = call.text("repositoryName");
    let all = state.with(name, |contents| {
        if call.input["imageIds"].is_null() {
            let all = contents.images();
            return Ok(all.map(|image| detail(name, contents, image)).collect());
        }
        let found = ids(call)?.iter().map(|id| match find(contents, id) {
            Ok(image) => Ok(detail(name, contents, image)),
            Err(_) => Err(Refused::new(
                "ImageNotFoundException",
                format!(
                    "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the \
                     repository with name '{name}' in the registry with id '{ACCOUNT_ID}'",
                    id["imageDigest"].as_str().unwrap_or("null"),
                    id["imageTag"].as_str().unwrap_or("null"),
                ),
            )),
        });
        found.collect::<Result<Vec<_>, _>>()
    })?;
    let (details, next) = page(state, call, &all)?;
    Ok(json!({"imageDetails": details, "nextToken": next}))
}

fn detail(name: &str, contents: &Contents, image: &Image) -> Value {
    let mut detail = json!({
        "registryId": ACCOUNT_ID,
        "repositoryName": name,
        "imageDigest": image.digest,
        "imageSizeInBytes": image.content_bytes + image.manifest_bytes,
        "imagePushedAt": seconds(image.pushed_at),
        "imageManifestMediaType": image.media_type,
    });
    let tags = contents.tags_of(&image.digest);
    if !tags.is_empty() {
        detail["imageTags"] = tags.into();
    }
    if let Some(artifact_type) = &image.artifact_type {
        detail["artifactMediaType"] = artifact_type.as_str().into();
    }
    detail
}

/// `ListImages`: one id per tag, one per untagged image.
pub(super) fn list(state: &State, call: &Call) -> Result<Value, Refused> {
    let status = call.input["filter"]["tagStatus"].as_str().unwrap_or("ANY");
    let all: Vec<Value> = state.with(call.text("repositoryName"), |contents| {
        let ids = contents.images().flat_map(|image| {
            let tags = contents.tags_of(&image.digest);
            let untagged = tags.is_empty() && status != "TAGGED";
            let tagged = tags.into_iter().filter(|_| status != "UNTAGGED");
            let tagged = tagged.map(|tag| image_id(&image.digest, Some(&tag)));
            let untagged = untagged.then(|| image_id(&image.digest, None));
            tagged.chain(untagged).collect::<Vec<_>>()
        });
        ids.collect()
    });
    let (ids, next) = page(state, call, &all)?;
    Ok(json!({"imageIds": ids, "nextToken": next}))
}

/// `ListImageReferrers`.
pub(super) fn referrers(state: &State, call: &Call) -> Result<Value, Refused> {
    let subject = call.input["subjectId"]["imageDigest"].as_str();
    let subject = subject
        .filter(|subject| is_digest(subject))
        .ok_or_else(|| {
            Refused::new(
                "InvalidParameterException",
                "The subject's digest is invalid",
            )
        })?;
    let types = call.input["filter"]["artifactTypes"].as_array();
    let types = types.into_iter().flatten().filter_map(Value::as_str);
    let types = types.map(str::to_owned).collect();
    let all: Vec<Value> = state.with(call.text("repositoryName"), |contents| {
        let found = contents.referrers(subject, &types).into_iter();
        found
            .map(|image| {
                json!({
                    "digest": image.digest,
                    "mediaType": image.media_type,
                    "artifactType": image.artifact_type,
                    "size": image.manifest_bytes,
                    "annotations": image.annotations.clone().unwrap_or_else(|| json!({})),
                    "artifactStatus": "ACTIVE",
                })
            })
            .collect()
    });
    let (referrers, next) = page(state, call, &all)?;
    Ok(json!({"referrers": referrers, "nextToken": next}))
}

/// `BatchCheckLayerAvailability`.
pub(super) async fn layers(state: &State, call: &Call) -> Result<Value, Refused> {
    let name = call.text("repositoryName");
    let (mut layers, mut failures) = (Vec::new(), Vec::new());
    for digest in call.texts("layerDigests") {
        if !is_digest(&digest) {
            failures.push(json!({
                "layerDigest": digest,
                "failureCode": "InvalidLayerDigest",
                "failureReason": "Invalid request parameters: the layer digest is invalid",
            }));
            continue;
        }
        if state.with(name, |contents| contents.is_blob_archived(&digest)) {
            layers.push(json!({"layerDigest": digest, "layerAvailability": "ARCHIVED"}));
            continue;
        }
        layers.push(match state.upstream.blob_size(name, &digest).await? {
            Some(size) => json!({
                "layerDigest": digest,
                "layerAvailability": "AVAILABLE",
                "layerSize": size,
            }),
            None => json!({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}),
        });
    }
    Ok(json!({"layers": layers, "failures": failures}))
}

/// `GetDownloadUrlForLayer`.
pub(super) async fn address(state: &State, call: &Call) -> Result<Value, Refused> {
    let (name, digest) = (call.text("repositoryName"), call.text("layerDigest"));
    if state.upstream.blob_size(name, digest).await?.is_none() {
        let message = format!(
            "The layer with digest '{digest}' does not exist in the repository with name '{name}' in the registry \
             with id '{ACCOUNT_ID}'"
        );
        return Err(Refused::new("LayersNotFoundException", message));
    }
    if !state.with(name, |contents| contents.needs(digest)) {
        return Err(Refused::new(
            "LayerInaccessibleException",
            "The specified layer is not available because it is not associated with an image. Unassociated image \
             layers may be cleaned up at any time.",
        ));
    }
    let address = state.sign(name, digest);
    Ok(json!({"downloadUrl": address, "layerDigest": digest}))
}

/// `PutImage`.
pub(super) async fn put(
    state: &State,
    call: &Call,
    repository: &Repository,
) -> Result<Value, Refused> {
    let name = call.text("repositoryName");
    let manifest = call.text("imageManifest").to_owned();
    let digest = digest(manifest.as_bytes());
    let tag = call.input["imageTag"].as_str();
    let already = state.with(name, |contents| match tag {
        Some(tag) => contents.tagged(tag) == Some(&digest),
        None => contents.image(&digest).is_some(),
    });
    if already {
        let message = format!(
            "Image with digest '{digest}' and tag '{}' already exists in the repository with name '{name}' in \
             registry with id '{ACCOUNT_ID}'",
            tag.unwrap_or("null")
        );
        return Err(Refused::new("ImageAlreadyExistsException", message));
    }
    let push = Push {
        name,
        reference: tag.unwrap_or(&digest),
        media_type: call.text("imageManifestMediaType"),
        immutable_tags: repository.immutable_tags,
    };
    let pushed = push.take(state, manifest.clone().into()).await;
    let image = pushed.map_err(|refusal| {
        let code = match &refusal {
            push::Refusal::TooLarge(_) | push::Refusal::Invalid(_) => "InvalidParameterException",
            push::Refusal::OtherDigest { .. } => "ImageDigestDoesNotMatchException",
            push::Refusal::Immutable { .. } => "ImageTagAlreadyExistsException",
            push::Refusal::Layers(..) => "LayersNotFoundException",
            push::Refusal::Images(..) => "ReferencedImagesNotFoundException",
            push::Refusal::Upstream(_) => "ServerException",
        };
        Refused::new(code, refusal.to_string())
    })?;
    Ok(json!({"image": {
        "registryId": ACCOUNT_ID,
        "repositoryName": name,
        "imageId": image_id(&image.digest, tag),
        "imageManifest": manifest,
        "imageManifestMediaType": image.media_type,
    }}))
}

/// An image id in AWS's form.
pub(in crate::ecr) fn image_id(digest: &str, tag: Option<&str>) -> Value {
    match tag {
        Some(tag) => json!({"imageDigest": digest, "imageTag": tag}),
        None => json!({"imageDigest": digest}),
    }
}

/// The image ids of a call; 1 to 100.
pub(in crate::ecr) fn ids(call: &Call) -> Result<&[Value], Refused> {
    match call.input["imageIds"].as_array() {
        Some(ids) if (1..=100).contains(&ids.len()) => Ok(ids),
        _ => Err(Refused::new(
            "InvalidParameterException",
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have 1 to 100 elements'",
        )),
    }
}
