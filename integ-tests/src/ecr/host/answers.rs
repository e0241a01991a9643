//! Answers of the distribution protocol.
//! In: statuses, headers, codes. Out: responses. Knows no action.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE},
};
use reqwest::Body;
use serde_json::json;

use crate::{account::registry_host, ecr::upstream};

/// A refusal in the protocol's form.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    code: String,
    message: String,
}

impl Refused {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn answer(self) -> Response<Body> {
        let body = json!({"errors": [{"code": self.code, "message": self.message}]}).to_string();
        let mut answer = with_body(
            self.status,
            "application/json; charset=utf-8",
            body.into(),
            [],
        );
        if self.status == 401 {
            let host = registry_host();
            let challenge =
                format!("Basic realm=\"https://{host}/\",service=\"ecr.amazonaws.com\"");
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
        }
        answer
    }
}

impl From<upstream::Error> for Refused {
    fn from(error: upstream::Error) -> Self {
        Self::new(500, "UNKNOWN", error.to_string())
    }
}

/// Not supported by ECR.
pub(super) fn unsupported() -> Response<Body> {
    Refused::new(405, "UNSUPPORTED", "The operation is unsupported.").answer()
}

/// An answer without a body.
pub(super) fn empty<const N: usize>(
    status: u16,
    headers: [(&'static str, String); N],
) -> Response<Body> {
    let mut answer = Response::new(Body::default());
    let length = HeaderValue::from_static("0");
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    dress(&mut answer, status, headers);
    answer
}

/// An answer with a body, or, to `HEAD`, with its length only.
pub(super) fn with_body<const N: usize>(
    status: u16,
    media_type: &str,
    body: Bytes,
    headers: [(&'static str, String); N],
) -> Response<Body> {
    let mut answer = Response::new(Body::default());
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *answer.body_mut() = Body::from(body);
    if let Ok(media_type) = HeaderValue::from_str(media_type) {
        answer.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    dress(&mut answer, status, headers);
    answer
}

fn dress<const N: usize>(
    answer: &mut Response<Body>,
    status: u16,
    headers: [(&'static str, String); N],
) {
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let version = HeaderName::from_static("docker-distribution-api-version");
    answer
        .headers_mut()
        .insert(version, HeaderValue::from_static("registry/2.0"));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
}
