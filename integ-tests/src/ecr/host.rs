//! The registry host: the distribution protocol, as ECR speaks it.
//! In: requests with tokens. Out: answers; manifests and tags are ours, uploads go through to the registry behind.

mod answers;
mod asked;
mod blobs;
mod manifests;
mod route;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{HeaderMap, Request, Response, body::Incoming, header};
use reqwest::Body;
use serde_json::Value;

use super::{passes, state::State};
use crate::{
    account::repository_arn,
    faults::{Fault, Service},
    iam::Caller,
};
use answers::Refused;
use asked::Asked;
use route::{Action, Route};

/// Answers a request.
pub(super) async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Option<Response<Body>> {
    let path = request.uri().path().to_owned();
    let Some(route) = Route::of(request.method(), &path) else {
        return Some(answers::unsupported());
    };
    let token = token(request.headers());
    let known = state.tokens.redeem(&token);
    let name = known.as_ref().map(ToString::to_string);
    let (received, fault) = state
        .faults
        .meet(
            Service::Registry,
            route.action.name(),
            name.as_deref().unwrap_or("nobody"),
            Value::from(path.as_str()),
        )
        .await;
    let refused = match fault {
        Some(Fault::Refused {
            status,
            ref code,
            ref message,
        }) => Some(Refused::new(status, code, message.clone())),
        Some(Fault::Throttled) => Some(Refused::new(429, "TOOMANYREQUESTS", "Rate exceeded")),
        Some(Fault::Cut | Fault::CutAfter(_)) => return None,
        Some(Fault::Expired) => {
            state.tokens.expire(&token);
            None
        }
        _ => None,
    };
    let answered = match refused {
        Some(refused) => Err(refused),
        // Asked again: the token may have expired just now.
        None => match state.tokens.redeem(&token) {
            Ok(caller) => act(&state, &route, caller, request).await,
            Err(why) => Err(unauthorized(&state, why)),
        },
    };
    state.faults.done(&received);
    let answer = answered.unwrap_or_else(Refused::answer);
    (!matches!(fault, Some(Fault::AnswerLost))).then_some(answer)
}

async fn act(
    state: &State,
    route: &Route<'_>,
    caller: Caller,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refused> {
    if route.action == Action::Ping {
        return Ok(answers::empty(200, []));
    }
    for action in route.action.permissions() {
        let arn = repository_arn(route.name);
        let allowed = state.iam.check(&caller, action, &arn).await;
        allowed.map_err(|refusal| Refused::new(403, "DENIED", refusal.to_string()))?;
    }
    let Some(repository) = state.repository(route.name).await else {
        let message = format!(
            "The repository with name '{}' does not exist in the registry with id '{}'",
            route.name,
            crate::account::ACCOUNT_ID
        );
        return Err(Refused::new(404, "NAME_UNKNOWN", message));
    };
    let asked = Asked {
        state,
        name: route.name,
        reference: route.reference,
        repository,
        request,
    };
    match route.action {
        Action::Ping => Ok(answers::empty(200, [])),
        Action::GetManifest | Action::HeadManifest => manifests::get(asked).await,
        Action::PutManifest => manifests::put(asked).await,
        Action::ListReferrers => manifests::referrers(&asked),
        Action::ListTags => Ok(manifests::tags(&asked)),
        Action::GetBlob => blobs::get(&asked).await,
        Action::HeadBlob => blobs::head(&asked).await,
        Action::StartUpload => blobs::start(asked).await,
        Action::PatchUpload => blobs::patch(asked).await,
        Action::PutUpload | Action::CancelUpload | Action::UploadStatus => blobs::pass(asked).await,
    }
}

/// The password of `Authorization: Basic …`, where the user is `AWS`; empty where there is none.
fn token(headers: &HeaderMap) -> String {
    let password = || {
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let given = BASE64_STANDARD.decode(given.strip_prefix("Basic ")?).ok()?;
        let given = String::from_utf8(given).ok()?;
        given.strip_prefix("AWS:").map(str::to_owned)
    };
    password().unwrap_or_default()
}

fn unauthorized(state: &State, why: passes::Refusal) -> Refused {
    match why {
        passes::Refusal::Unknown => Refused::new(401, "UNAUTHORIZED", "Not Authorized"),
        passes::Refusal::Expired => Refused::new(
            state.options.expired_status,
            "DENIED",
            "Your authorization token has expired. Reauthenticate and try again.",
        ),
    }
}
