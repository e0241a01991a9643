//! Blobs on the registry host: reads are redirected to a signed address, uploads are streamed to the registry behind.
//! In: requests with a known sender. Out: answers. Holds no blob.

use hyper::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, HeaderValue, LOCATION, RANGE},
};
use reqwest::Body;

use super::{
    answers::{self, Refused},
    asked::Asked,
};
use crate::account::registry_host;

/// Redirects to where the bytes are.
pub(super) async fn get(asked: &Asked<'_>) -> Result<Response<Body>, Refused> {
    size(asked).await?;
    let state = asked.state;
    if !state.with(asked.name, |contents| contents.needs(asked.reference)) {
        return Err(Refused::new(
            404,
            "BLOB_UNKNOWN",
            "The specified layer is not available because it is not associated with an image. Unassociated image \
             layers may be cleaned up at any time.",
        ));
    }
    let address = state.sign(asked.name, asked.reference);
    Ok(answers::empty(307, [("location", address)]))
}

/// A blob that no manifest needs is there, too.
pub(super) async fn head(asked: &Asked<'_>) -> Result<Response<Body>, Refused> {
    let size = size(asked).await?;
    let digest = ("docker-content-digest", asked.reference.to_owned());
    let media_type = ("content-type", "application/octet-stream".to_owned());
    let mut answer = answers::empty(200, [digest, media_type]);
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(size));
    Ok(answer)
}

async fn size(asked: &Asked<'_>) -> Result<u64, Refused> {
    let upstream = &asked.state.upstream;
    let size = upstream.blob_size(asked.name, asked.reference).await?;
    size.ok_or_else(|| Refused::new(404, "BLOB_UNKNOWN", "Layer not found"))
}

/// Begins an upload. ECR takes neither a mount nor a whole blob here: what stands in the query is left out.
pub(super) async fn start(asked: Asked<'_>) -> Result<Response<Body>, Refused> {
    let path = format!("/v2/{}/blobs/uploads/", asked.name);
    let mut begin = Request::new(http_body_util::Empty::<bytes::Bytes>::new());
    *begin.method_mut() = Method::POST;
    let answer = asked.state.upstream.pass(begin, &path).await?;
    Ok(at_home(answer))
}

/// A piece of an upload.
pub(super) async fn patch(asked: Asked<'_>) -> Result<Response<Body>, Refused> {
    let mut answer = pass(asked).await?;
    if answer.status() == StatusCode::ACCEPTED {
        // As ECR does, against the specification: another status, and a range that does not move.
        *answer.status_mut() = StatusCode::CREATED;
        let range = HeaderValue::from_static("0-0");
        answer.headers_mut().insert(RANGE, range);
    }
    Ok(answer)
}

/// All else of an upload.
pub(super) async fn pass(asked: Asked<'_>) -> Result<Response<Body>, Refused> {
    let path = asked.request.uri().path_and_query();
    let path = path.map(ToString::to_string).unwrap_or_default();
    let answer = asked.state.upstream.pass(asked.request, &path).await?;
    Ok(at_home(answer))
}

/// The same answer, whose location is ours: the registry behind gives relative ones.
fn at_home(mut answer: Response<Body>) -> Response<Body> {
    let location = answer.headers().get(LOCATION);
    let location = location.and_then(|value| value.to_str().ok());
    if let Some(path) = location.filter(|location| location.starts_with('/'))
        && let Ok(whole) = HeaderValue::from_str(&format!("https://{}{path}", registry_host()))
    {
        answer.headers_mut().insert(LOCATION, whole);
    }
    answer
}
