//! The registry host of the small cloud: what the builder function reads and pushes, in the same place where ECR's API finds it.

use bytes::Bytes;
use hyper::{Method, Response, header::HeaderValue};
use serde_json::json;
use soci_format::digest::Digest;

use super::{State, images::Image};

/// What a request is for, as tests name it.
pub(super) fn operation(method: &Method, path: &str) -> &'static str {
    let is_manifest = path.contains("/manifests/");
    match method.as_str() {
        "GET" | "HEAD" if is_manifest => "GetManifest",
        "PUT" if is_manifest => "PutManifest",
        "GET" if path.contains("/referrers/") => "GetReferrers",
        "GET" => "GetBlob",
        "HEAD" => "HeadBlob",
        "POST" => "StartUpload",
        _ => "PutUpload",
    }
}

impl State {
    pub(super) fn registry(
        &mut self,
        operation: &str,
        (path, query): (&str, &str),
        media_type: &str,
        body: &Bytes,
    ) -> Response<Bytes> {
        let name = path.rsplit('/').next().unwrap();
        match operation {
            "GetManifest" => match self.images.get(name) {
                Some(image) => {
                    let mut response = reply(200, image.text.clone());
                    header(&mut response, "content-type", &image.descriptor.media_type);
                    header(&mut response, "docker-content-digest", &image.digest());
                    response
                }
                None => reply(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            },
            "PutManifest"
                if self.are_tags_immutable
                    && !name.contains(':')
                    && self.images.contains_key(name) =>
            {
                let text = "The image tag already exists and cannot be overwritten because the tag is immutable.";
                reply(
                    400,
                    json!({"errors": [{"code": "TAG_INVALID", "message": text}]}).to_string(),
                )
            }
            "PutManifest" => {
                let image = Image::new(media_type, body.to_vec(), Vec::new());
                let mut response = reply(201, "");
                header(&mut response, "docker-content-digest", &image.digest());
                self.images.insert(image.digest(), image.clone());
                self.images.insert(name.to_owned(), image);
                response
            }
            "GetBlob" | "HeadBlob" => match self.blobs.get(name) {
                Some(blob) => {
                    self.bytes_served += blob.len();
                    reply(200, blob.clone())
                }
                None => reply(404, r#"{"errors":[{"code":"BLOB_UNKNOWN"}]}"#),
            },
            "StartUpload" => {
                let mut response = reply(202, "");
                let location = format!("/v2/team/app/blobs/uploads/{}", self.calls.len());
                header(&mut response, "location", &location);
                response
            }
            // All of it with the digest, or first the bytes and then that.
            "PutUpload" => {
                let Some((_, digest)) = query.split_once("digest=") else {
                    self.uploaded.insert(name.to_owned(), body.to_vec());
                    return reply(202, "");
                };
                let bytes = match body.is_empty() {
                    true => self.uploaded.remove(name).unwrap_or_default(),
                    false => body.to_vec(),
                };
                let digest = digest.replace("%3A", ":");
                if Digest::of(&bytes).to_string() != digest {
                    return reply(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                self.blobs.insert(digest, bytes);
                reply(201, "")
            }
            // Its list of referrers is a tag, as in most registries.
            "GetReferrers" => reply(404, r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
            other => panic!("{other} is not expected"),
        }
    }
}

fn reply(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    response
}

fn header(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    response.headers_mut().insert(name, value);
}
