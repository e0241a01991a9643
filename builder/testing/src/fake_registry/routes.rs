//! The distribution specification: what a proper answer to each request is.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use soci_format::{digest::Digest, oci::is_tag};

use super::{
    QUERY_SECRET, Recorded, State,
    answer::{Answer, empty, error, of, spoil, with},
    faults::{Fault, Route},
};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The two addresses that this registry is reached at.
#[derive(Clone)]
pub(super) struct Addresses {
    pub(super) home: String,
    pub(super) storage: String,
}

/// Answers a request, spoiled by the next fault for its route.
pub(super) fn answer(
    shared: &Arc<Mutex<State>>,
    addresses: &Addresses,
    request: &Recorded,
) -> Answer {
    let mut state = shared.lock().unwrap();
    state.requests.push(request.clone());
    let fault = state.next_fault(request.route);
    if matches!(fault, Some(Fault::ExpireTokens)) {
        state.access.expire();
    }
    let open = matches!(request.route, Route::Storage | Route::Token | Route::EcrApi);
    if !open
        && let Some(challenge) =
            state
                .access
                .check(request.route, &request.headers, &addresses.home)
    {
        return match state.settings.silent_doors {
            Some(status) if request.path != "/v2/" => error(status, "NAME_UNKNOWN", ""),
            _ => challenge,
        };
    }
    if let ("HEAD", Some(status)) = (request.method.as_str(), state.settings.refused_head) {
        return error(status, "UNSUPPORTED", "no HEAD here");
    }
    // A request that is refused changes nothing.
    if let Some(fault @ Fault::Status { .. }) = fault {
        return match (request.route, fault) {
            (
                Route::EcrApi,
                Fault::Status {
                    status,
                    code,
                    message,
                    ..
                },
            ) => {
                let body = json!({"__type": code, "message": message}).to_string();
                with(
                    of(status, body),
                    "content-type",
                    "application/x-amz-json-1.1",
                )
            }
            (_, fault) => spoil(empty(200), fault),
        };
    }
    let ignore_range = matches!(fault, Some(Fault::IgnoreRange));
    let (repository, name) = split(&request.path);
    let repository = repository.strip_suffix("/blobs").unwrap_or(repository);
    let mut answer = match request.route {
        Route::ReadManifest => state.manifest(repository, name),
        Route::PushManifest => state.push(repository, name, request, fault.as_ref()),
        Route::HeadBlob => state.blob(name, None),
        Route::ReadBlob if state.settings.redirect_blobs => {
            state.redirects += 1;
            let to = &addresses.storage;
            let number = state.redirects;
            let location = format!("http://{to}/storage/blobs/{name}?{QUERY_SECRET}-{number}");
            with(empty(307), "location", location)
        }
        Route::ReadBlob | Route::Storage => {
            let range = request.header("range").filter(|_| !ignore_range);
            state.blob(name, range)
        }
        Route::StartUpload => state.start_upload(repository, &addresses.home),
        Route::PatchUpload => state.patch_upload(request),
        Route::FinishUpload => state.finish_upload(request, fault.as_ref()),
        Route::Referrers => state.referrers(repository, name, &request.query),
        Route::Tags => state.tags(repository),
        Route::Token => state.access.token(
            &request.method,
            &request.headers,
            &request.query,
            &request.body,
        ),
        Route::EcrApi => state.access.ecr_token(),
        Route::Unknown => error(404, "UNSUPPORTED", "no such route"),
    };
    let (lengths, line) = (state.settings.lengths, state.settings.line);
    drop(state);
    if let Some(fault) = fault {
        answer = spoil(answer, fault);
    }
    if !lengths {
        answer.body_mut().unannounced();
    }
    if matches!(request.route, Route::ReadBlob | Route::Storage)
        && let Ok(digest) = name.parse()
    {
        answer.body_mut().counted(shared, digest);
        if let Some(line) = line.filter(|_| answer.status().is_success()) {
            answer.body_mut().over(line);
        }
    }
    answer
}

/// Repository and last segment of `/v2/<repository>/<kind>/<last>`.
fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix("/v2/").unwrap_or(path);
    let (rest, last) = path.rsplit_once('/').unwrap_or(("", path));
    let (repository, _) = rest.rsplit_once('/').unwrap_or((rest, ""));
    (repository, last)
}

impl State {
    fn find(&self, repository: &str, name: &str) -> Option<Digest> {
        let tag = (repository.to_owned(), name.to_owned());
        name.parse().ok().or_else(|| self.tags.get(&tag).copied())
    }

    fn manifest(&self, repository: &str, name: &str) -> Answer {
        let found = self.find(repository, name).and_then(|digest| {
            let (media_type, bytes) = self.manifests.get(&(repository.to_owned(), digest))?;
            Some((digest, media_type, bytes))
        });
        let Some((digest, media_type, bytes)) = found else {
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown");
        };
        let media_type = format!("{media_type}; charset=utf-8");
        let answer = with(of(200, bytes.clone()), "content-type", media_type);
        self.sign(answer, digest)
    }

    fn sign(&self, answer: Answer, digest: Digest) -> Answer {
        if self.settings.content_digest {
            with(answer, "docker-content-digest", digest.to_string())
        } else {
            answer
        }
    }

    fn push(
        &mut self,
        repository: &str,
        name: &str,
        request: &Recorded,
        fault: Option<&Fault>,
    ) -> Answer {
        let bytes = match fault {
            Some(Fault::Damaged(other)) => other.clone(),
            _ => request.body.clone(),
        };
        let tag = name.parse::<Digest>().is_err().then_some(name);
        if tag.is_none() && name != Digest::of(&bytes).to_string() {
            return error(400, "DIGEST_INVALID", "digest does not match");
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return error(404, "UNSUPPORTED", "neither a digest nor a tag");
        }
        if tag.is_some() && self.settings.immutable_tags && self.find(repository, name).is_some() {
            let message = format!(
                "The image tag '{name}' already exists in the '{repository}' repository and cannot be overwritten because the tag is immutable."
            );
            return error(400, "TAG_INVALID", &message);
        }
        let media_type = request.header("content-type").unwrap_or_default();
        let digest = self.put_manifest(repository, tag, media_type, bytes.clone());
        if let Some(Fault::OverwrittenBy(other)) = fault {
            self.put_manifest(repository, tag, media_type, other.clone());
        }
        let mut answer = self.sign(empty(201), digest);
        let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let subject = manifest["subject"]["digest"]
            .as_str()
            .and_then(|subject| subject.parse::<Digest>().ok());
        if let Some(subject) = subject.filter(|_| self.settings.referrers_api) {
            let artifact_type = manifest
                .get("artifactType")
                .unwrap_or(&manifest["config"]["mediaType"]);
            self.referrers
                .entry(subject)
                .or_default()
                .push(json!({"mediaType": media_type, "digest": digest, "size": bytes.len(), "artifactType": artifact_type}));
            answer = with(answer, "oci-subject", subject.to_string());
        }
        answer
    }

    fn blob(&self, name: &str, range: Option<&str>) -> Answer {
        let found = name
            .parse()
            .ok()
            .and_then(|digest| self.blobs.get_key_value(&digest));
        let Some((digest, bytes)) = found else {
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        let size = bytes.len();
        let part = range.and_then(|range| {
            let (start, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            let start = start.parse::<usize>().ok()?;
            let end = last.parse::<usize>().map_or(size, |last| last + 1);
            Some(start..end.min(size))
        });
        let answer = match part {
            None => of(200, bytes.clone()),
            Some(part) if part.start < part.end => with(
                of(206, bytes.slice(part.clone())),
                "content-range",
                format!("bytes {}-{}/{size}", part.start, part.end - 1),
            ),
            Some(_) => return error(416, "RANGE_INVALID", "no such range"),
        };
        self.sign(answer, *digest)
    }

    fn tags(&self, repository: &str) -> Answer {
        let tags: Vec<&str> = self
            .tags
            .keys()
            .filter(|(of, _)| of == repository)
            .map(|(_, tag)| tag.as_str())
            .collect();
        of(200, json!({"name": repository, "tags": tags}).to_string())
    }

    fn start_upload(&mut self, repository: &str, home: &str) -> Answer {
        self.uploads += 1;
        let path = format!(
            "/v2/{repository}/blobs/uploads/{}?_state=a%2Fb%3D",
            self.uploads
        );
        let location = if self.settings.absolute_locations {
            format!("http://{home}{path}")
        } else {
            path
        };
        with(empty(202), "location", location)
    }

    fn patch_upload(&mut self, request: &Recorded) -> Answer {
        let path = request.path.clone();
        let answer = with(empty(202), "location", format!("{path}?{}", request.query));
        self.patched.insert(path, request.body.clone());
        answer
    }

    fn finish_upload(&mut self, request: &Recorded, fault: Option<&Fault>) -> Answer {
        if let (Some(status), false) = (self.settings.refused_put, request.body.is_empty()) {
            return error(status, "UNKNOWN", "empty upload");
        }
        let patched = self.patched.remove(&request.path);
        let body = patched.unwrap_or_else(|| request.body.clone());
        let digest = Digest::of(&body);
        if request.query != format!("_state=a%2Fb%3D&digest={digest}") {
            return error(400, "DIGEST_INVALID", "state or digest does not match");
        }
        if !matches!(fault, Some(Fault::Lost)) {
            self.blobs.insert(digest, body);
        }
        empty(201)
    }

    fn referrers(&self, repository: &str, name: &str, query: &str) -> Answer {
        let subject = name.parse::<Digest>();
        let (true, Ok(subject)) = (self.settings.referrers_api, subject) else {
            return error(404, "UNSUPPORTED", "no lists of referrers here");
        };
        let asked = |key: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.into_owned())
        };
        let artifact_type = asked("artifactType").filter(|_| self.settings.referrers_filter);
        let all = self.referrers.get(&subject).cloned().unwrap_or_default();
        let all: Vec<Value> = all
            .into_iter()
            .filter(|one| {
                artifact_type.is_none() || one["artifactType"].as_str() == artifact_type.as_deref()
            })
            .collect();
        let start: usize = asked("page").map_or(0, |page| page.parse().unwrap_or(0));
        let end = start
            .saturating_add(self.settings.referrers_page)
            .min(all.len());
        let page =
            json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": all[start..end]});
        let answer = with(of(200, page.to_string()), "content-type", OCI_INDEX);
        if end == all.len() {
            return answer;
        }
        let mut next = url::form_urlencoded::Serializer::new(String::new());
        next.append_pair("page", &end.to_string());
        next.extend_pairs(artifact_type.map(|kept| ("artifactType", kept)));
        let next = next.finish();
        let link = format!("</v2/{repository}/referrers/{name}?{next}>; rel=\"next\"");
        with(answer, "link", link)
    }
}
