//! Manifests, tags and referrers on the registry host.
//! In: requests with a known sender. Out: manifests from the registry behind, by the tags that we keep.

use std::collections::BTreeSet;

use http_body_util::{BodyExt, Limited};
use hyper::{Method, Response, header};
use reqwest::Body;
use serde_json::json;

use super::{
    answers::{self, Refused},
    asked::Asked,
};
use crate::{
    account::registry_host,
    digest::is_digest,
    ecr::{
        contents::Image,
        push::{self, MANIFEST_BYTES_MAX, Push},
    },
};

/// `GET` and `HEAD` of a manifest.
pub(super) async fn get(asked: Asked<'_>) -> Result<Response<Body>, Refused> {
    let found = asked.with(|contents| contents.find(asked.reference).cloned());
    let Some(image) = found else {
        return Err(Refused::new(
            404,
            "MANIFEST_UNKNOWN",
            "Requested image not found",
        ));
    };
    if !asked.accepts(&image.media_type) {
        let message = format!("The image is of type {}, not accepted", image.media_type);
        return Err(Refused::new(404, "MANIFEST_UNKNOWN", message));
    }
    let upstream = &asked.state.upstream;
    let bytes = upstream
        .manifest(asked.name, &image.digest, &image.media_type)
        .await?;
    let digest = [("docker-content-digest", image.digest)];
    let mut answer = answers::with_body(200, &image.media_type, bytes, digest);
    if asked.request.method() == Method::HEAD {
        *answer.body_mut() = Body::default();
    }
    Ok(answer)
}

/// `PUT` of a manifest.
pub(super) async fn put(asked: Asked<'_>) -> Result<Response<Body>, Refused> {
    let Asked {
        state,
        name,
        reference,
        repository,
        request,
    } = asked;
    let (head, body) = request.into_parts();
    let media_type = head.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let body = Limited::new(body, MANIFEST_BYTES_MAX + 1).collect().await;
    let body = body.map_err(|_| refused(&push::Refusal::TooLarge(MANIFEST_BYTES_MAX + 1)))?;
    let bytes = body.to_bytes();
    let push = Push {
        name,
        reference,
        media_type: media_type.unwrap_or_default(),
        immutable_tags: repository.immutable_tags,
    };
    let image = push
        .take(state, bytes)
        .await
        .map_err(|refusal| refused(&refusal))?;
    let location = format!(
        "https://{}/v2/{name}/manifests/{}",
        registry_host(),
        image.digest
    );
    let headers = [
        ("location", location),
        ("docker-content-digest", image.digest),
    ];
    let mut answer = answers::empty(201, headers);
    if let Some(Ok(subject)) = image.subject.map(|subject| subject.parse()) {
        answer.headers_mut().insert("oci-subject", subject);
    }
    Ok(answer)
}

/// `GET` of a digest's referrers; a digest that is not there has none.
pub(super) fn referrers(asked: &Asked<'_>) -> Result<Response<Body>, Refused> {
    let query = asked.request.uri().query().unwrap_or_default();
    let types: BTreeSet<String> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "artifactType")
        .map(|(_, value)| value.into_owned())
        .collect();
    if !is_digest(asked.reference) {
        return Err(Refused::new(
            400,
            "DIGEST_INVALID",
            "The subject is no digest",
        ));
    }
    let manifests: Vec<_> = asked.with(|contents| {
        let found = contents.referrers(asked.reference, &types).into_iter();
        found.map(descriptor).collect()
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let list = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let mut answer = answers::with_body(200, media_type, list.to_string().into(), []);
    if !types.is_empty() {
        let applied = header::HeaderValue::from_static("artifactType");
        answer.headers_mut().insert("oci-filters-applied", applied);
    }
    Ok(answer)
}

fn descriptor(image: &Image) -> serde_json::Value {
    let mut descriptor = json!({
        "mediaType": image.media_type,
        "digest": image.digest,
        "size": image.manifest_bytes,
    });
    if let Some(artifact_type) = &image.artifact_type {
        descriptor["artifactType"] = artifact_type.as_str().into();
    }
    if let Some(annotations) = &image.annotations {
        descriptor["annotations"] = annotations.clone();
    }
    descriptor
}

/// `GET` of the tags.
pub(super) fn tags(asked: &Asked<'_>) -> Response<Body> {
    let tags: Vec<String> = asked.with(|contents| contents.tags().map(str::to_owned).collect());
    let list = json!({"name": asked.name, "tags": tags}).to_string();
    answers::with_body(200, "application/json", list.into(), [])
}

/// A refused push in the protocol's form.
fn refused(refusal: &push::Refusal) -> Refused {
    let (status, code) = match refusal {
        push::Refusal::TooLarge(_) | push::Refusal::Invalid(_) => (400, "MANIFEST_INVALID"),
        push::Refusal::OtherDigest { .. } => (400, "DIGEST_INVALID"),
        push::Refusal::Immutable { .. } => (400, "TAG_INVALID"),
        push::Refusal::Layers(..) => (404, "BLOB_UNKNOWN"),
        push::Refusal::Images(..) => (404, "MANIFEST_UNKNOWN"),
        push::Refusal::Upstream(_) => (500, "UNKNOWN"),
    };
    Refused::new(status, code, refusal.to_string())
}

impl Asked<'_> {
    fn with<T>(&self, act: impl FnOnce(&mut crate::ecr::contents::Contents) -> T) -> T {
        self.state.with(self.name, act)
    }

    fn accepts(&self, media_type: &str) -> bool {
        let values = self.request.headers().get_all(header::ACCEPT);
        let mut accepted = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|one| one.split(';').next().unwrap_or_default().trim())
            .peekable();
        accepted.peek().is_none() || accepted.any(|one| one == media_type || one == "*/*")
    }
}
