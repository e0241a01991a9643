//! The storage that blobs are redirected to, as S3 behind ECR: signed addresses that expire, ranges, and no other authorization.
//! In: addresses that ECR signed. Out: a blob's bytes, streamed.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::{Method, Request, Response, body::Incoming, header};
use reqwest::Body;
use serde_json::Value;
use soci_testing::http::Server;

use super::{passes::Refusal, state::State};
use crate::{
    cloud::listener,
    faults::{Fault, Service},
};

/// Listens, and serves as soon as the state is there; no address is signed before.
pub(super) async fn listen() -> io::Result<(Server, Arc<OnceLock<Arc<State>>>)> {
    let state = Arc::new(OnceLock::<Arc<State>>::new());
    let served = state.clone();
    let listener = listener::http(None, move |request| {
        let state = served.get().cloned();
        async move { answer(&*state?, request).await }
    })
    .await?;
    Ok((listener, state))
}

async fn answer(state: &State, request: Request<Incoming>) -> Option<Response<Body>> {
    let query = request.uri().query().unwrap_or_default();
    let signature = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("X-Amz-Signature="))
        .unwrap_or_default()
        .to_owned();
    let path = Value::from(request.uri().path());
    let (received, fault) = state
        .faults
        .meet(
            Service::Storage,
            "GetLayer",
            "whoever has the address",
            path,
        )
        .await;
    let mut cut = None;
    match fault {
        Some(Fault::Refused {
            status,
            code,
            message,
        }) => return Some(refused(status, &code, &message)),
        Some(Fault::Throttled) => {
            return Some(refused(503, "SlowDown", "Reduce your request rate"));
        }
        Some(Fault::Expired) => state.addresses.expire(&signature),
        Some(Fault::CutAfter(bytes)) => cut = Some(bytes),
        Some(Fault::Cut | Fault::AnswerLost) => return None,
        Some(Fault::Held(_)) | None => {}
    }
    let answer = serve(state, request, &signature).await;
    state.faults.done(&received);
    Some(match cut {
        Some(bytes) => cut_after(answer, bytes),
        None => answer,
    })
}

async fn serve(state: &State, request: Request<Incoming>, signature: &str) -> Response<Body> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return refused(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        );
    }
    let (name, digest) = match state.addresses.redeem(signature) {
        Ok(what) => what,
        Err(Refusal::Expired) => return refused(403, "AccessDenied", "Request has expired"),
        Err(Refusal::Unknown) => return mismatch(),
    };
    // Signed for reading, and for this blob only.
    let path = format!("/{name}/{digest}");
    if request.method() != Method::GET || request.uri().path() != path {
        return mismatch();
    }
    let path = format!("/v2/{name}/blobs/{digest}");
    match state.upstream.pass(request, &path).await {
        Ok(answer) => answer,
        Err(error) => refused(500, "InternalError", &error.to_string()),
    }
}

fn mismatch() -> Response<Body> {
    refused(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided",
    )
}

fn refused(status: u16, code: &str, message: &str) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let xml = header::HeaderValue::from_static("application/xml");
    answer.headers_mut().insert(header::CONTENT_TYPE, xml);
    answer
}

/// The same answer, whose body breaks off.
fn cut_after(answer: Response<Body>, bytes: usize) -> Response<Body> {
    answer.map(|body| {
        let mut left = bytes;
        let cut = body.into_data_stream().map(move |piece| {
            let mut piece: Bytes = piece.map_err(io::Error::other)?;
            if left == 0 {
                return Err(io::Error::other("cut on purpose"));
            }
            piece.truncate(left);
            left -= piece.len();
            Ok(piece)
        });
        Body::wrap_stream(cut)
    })
}
