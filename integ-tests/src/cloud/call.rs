//! AWS's JSON protocol (awsJson1.1), as CodeBuild and ECR speak it.
//! In: requests. Out: a call's name, its caller and its JSON; responses and errors. Independent of the action; checks requests
//! and responses against AWS's models.

use std::{
    future::Future,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http_body_util::{BodyExt, Limited};
use hyper::{Request, Response, body::Incoming, header::CONTENT_TYPE};
use reqwest::Body;
use serde_json::{Value, json};

use crate::{
    faults::{Fault, Faults, Service},
    iam::{self, Caller, Iam},
    model::{self, Mismatch, Model},
};

/// Of any call; manifests are the largest thing in one.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A call.
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) caller: Caller,
    pub(crate) input: Value,
}

impl Call {
    /// A text of the input; empty where it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.input[name].as_str().unwrap_or_default()
    }

    /// The texts of a list of the input.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.input[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    status: u16,
    code: String,
    message: String,
}

impl Refused {
    /// With status 400, as nearly all.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// The caller's mistake, or an action that is not emulated: an explicit error, never an empty response.
    pub(crate) fn unplayed(action: &str) -> Self {
        let message = format!("{action} is not played by this cloud");
        Self::new("UnknownOperationException", message)
    }

    /// An internal error.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            ..Self::new("InternalFailure", message)
        }
    }

    /// A request that does not match the service's model.
    fn invalid(service: Service, mismatch: &Mismatch) -> Self {
        let code = match service {
            Service::CodeBuild => "InvalidInputException",
            _ => "InvalidParameterException",
        };
        Self::new(code, format!("Invalid parameter: {mismatch}"))
    }

    fn answer(&self) -> Response<Body> {
        // Refusals of IAM spell it so.
        let message = match self.code.as_str() {
            "AccessDeniedException" => "Message",
            _ => "message",
        };
        answer(
            self.status,
            &json!({"__type": self.code, message: self.message}),
        )
    }
}

impl From<iam::Refusal> for Refused {
    fn from(refusal: iam::Refusal) -> Self {
        Self::new("AccessDeniedException", refusal.to_string())
    }
}

/// Handles a request: records it, injects a fault if configured, or else calls `act`.
pub(crate) async fn handle<F>(
    service: Service,
    iam: &Iam,
    faults: &Faults,
    request: Request<Incoming>,
    act: impl FnOnce(Arc<Call>) -> F,
) -> Option<Response<Body>>
where
    F: Future<Output = Result<Value, Refused>>,
{
    let (head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target");
    let target = target.and_then(|value| value.to_str().ok());
    let action = target.and_then(|target| target.split_once('.'));
    let action = action.map_or_else(|| head.uri.path().to_owned(), |(_, name)| name.to_owned());
    let caller = iam.caller(&head.headers).await;
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.ok()?;
    let Ok(input) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return Some(Refused::new("SerializationException", "no JSON").answer());
    };
    let name = caller.to_string();
    let (received, fault) = faults.meet(service, &action, &name, input.clone()).await;
    let answer_is_lost = matches!(fault, Some(Fault::AnswerLost));
    let refused = match fault {
        Some(Fault::Refused {
            status,
            code,
            message,
        }) => Some(Refused {
            status,
            code,
            message,
        }),
        Some(Fault::Throttled) => Some(Refused::new("ThrottlingException", "Rate exceeded")),
        Some(Fault::Cut | Fault::CutAfter(_)) => return None,
        _ => None,
    };
    let model = model(service);
    let call = Arc::new(Call {
        action,
        caller,
        input,
    });
    let action = &call.action;
    let mismatch = model.and_then(|model| model.check_request(action, &call.input).err());
    if let (Some(mismatch), Caller::Role { .. }) = (&mismatch, &call.caller) {
        faults.note_mismatch(format!("{name} sent {mismatch}"));
    }
    let result = match (refused, mismatch) {
        (Some(refused), _) => Err(refused),
        (None, Some(mismatch)) if model.is_some_and(|model| model.has(action)) => {
            Err(Refused::invalid(service, &mismatch))
        }
        (None, _) => act(call.clone()).await,
    };
    let checked = model.map_or(Ok(()), |model| match &result {
        Ok(output) => model.check_answer(action, output),
        Err(refused) => model.check_error(action, &refused.code),
    });
    if let Err(mismatch) = checked {
        faults.note_mismatch(format!("the local cloud responded {mismatch}"));
    }
    let output = match result {
        Ok(output) => answer(200, &output),
        Err(refused) => refused.answer(),
    };
    faults.done(&received);
    (!answer_is_lost).then_some(output)
}

/// AWS's model of a service that has an API in JSON; [`Cloud::start`](super::Cloud::start) has read it.
fn model(service: Service) -> Option<&'static Model> {
    let service = match service {
        Service::CodeBuild => model::Service::CodeBuild,
        Service::Ecr => model::Service::Ecr,
        Service::Registry | Service::Storage => return None,
    };
    Model::of(service).ok()
}

fn answer(status: u16, json: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(json.to_string()));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let headers = answer.headers_mut();
    let json = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    headers.insert(CONTENT_TYPE, json);
    let id = format!("{:032x}", fastrand::u128(..));
    if let Ok(id) = id.parse() {
        headers.insert("x-amzn-requestid", id);
    }
    answer
}

/// AWS's JSON has times as seconds.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}
