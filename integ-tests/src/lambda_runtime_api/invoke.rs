//! The Invoke API. In: an asynchronous invocation that a program asks for. Out: an event to deliver, or a refusal, as the
//! caller's rights and the test say. Knows nothing of processes.

use std::{
    io,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header::HeaderValue};
use soci_testing::http::{Reply, Server};

use super::Shared;
use crate::{
    account::Later,
    model::{Model, Service},
};

/// What an asynchronous invocation may carry: 1 MiB since October 2025, 256 KiB before; the smaller is held to.
const PAYLOAD_MAX: usize = 256 << 10;

/// Says whether a request's caller may do that action to that resource.
pub type Allowed = Arc<
    dyn Fn(Request<Bytes>, &'static str, String) -> Later<'static, Result<(), String>>
        + Send
        + Sync,
>;

/// A refusal on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeRefusal {
    /// Too many at once.
    Throttled,
    /// No right, or not yet.
    Denied,
    /// An error of Lambda's own.
    Internal,
}

pub(super) async fn serve(shared: Weak<Shared>) -> io::Result<Server> {
    Server::start(move |request| {
        let shared = shared.clone();
        async move {
            match shared.upgrade() {
                Some(shared) => answer(&shared, request).await,
                None => Reply::Cut,
            }
        }
    })
    .await
}

async fn answer(shared: &Arc<Shared>, request: Request<Bytes>) -> Reply {
    let path = request.uri().path().to_owned();
    let called = path
        .strip_prefix("/2015-03-31/functions/")
        .and_then(|rest| rest.strip_suffix("/invocations"));
    let (&Method::POST, Some(called)) = (request.method(), called) else {
        return refuse(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            "no such operation",
        );
    };
    let called = called.replace("%3A", ":");
    let Some(shared) = shared.service.find(&called) else {
        return refuse(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            &format!("Function not found: {called}"),
        );
    };
    let function = shared.function();
    let arn = function.arn();
    if let Err(mismatch) = check(&request) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            &mismatch,
        );
    }
    let payload = request.body().clone();
    let kind = request.headers().get("x-amz-invocation-type").cloned();
    if let Err(message) = (function.allowed)(request, "lambda:InvokeFunction", arn).await {
        return refuse(StatusCode::FORBIDDEN, "AccessDeniedException", &message);
    }
    let refusal = {
        let mut state = shared.state();
        (!state.refusals.is_empty()).then(|| state.refusals.remove(0))
    };
    match refusal {
        Some(InvokeRefusal::Throttled) => {
            return refuse(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequestsException",
                "Rate Exceeded.",
            );
        }
        Some(InvokeRefusal::Denied) => {
            return refuse(
                StatusCode::FORBIDDEN,
                "AccessDeniedException",
                "not authorized",
            );
        }
        Some(InvokeRefusal::Internal) => {
            return refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "ServiceException",
                "internal error",
            );
        }
        None => {}
    }
    if kind.as_ref().is_none_or(|kind| kind != "Event") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "only the invocation type Event is played",
        );
    }
    if payload.len() > PAYLOAD_MAX {
        return refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            "payload too large",
        );
    }
    // The request's id is the invocation's.
    let request_id = Shared::deliver(&shared, payload);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    Reply::Response(response)
}

/// Holds a request against AWS's model of it.
fn check(request: &Request<Bytes>) -> Result<(), String> {
    let model = Model::of(Service::Lambda).map_err(|error| error.to_string())?;
    let header = |name: &str| {
        let value = request.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (method, path) = (request.method().as_str(), request.uri().path());
    let input = model.rest_input("Invoke", method, path, header);
    let checked = input.and_then(|input| model.check_request("Invoke", &input));
    checked.map_err(|mismatch| mismatch.to_string())
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Reply {
    let body = serde_json::json!({ "Type": "User", "Message": message }).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("x-amzn-errortype", HeaderValue::from_static(kind));
    Reply::Response(response)
}
