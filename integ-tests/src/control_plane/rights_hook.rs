//! IAM, for what Lambda does in the emulator with a function's role: receive from a queue, send to one.
//! In: `GET /?action=…&resource=…` with the session of the function. Out: 200, or 403 with the reason.

use std::{io, sync::Arc};

use bytes::Bytes;
use hyper::{Request, StatusCode};
use soci_testing::http::{Reply, Server};
use url::form_urlencoded;

use crate::iam::Iam;

/// Listens until it is dropped.
///
/// # Errors
/// If no port is available.
pub(super) async fn open(iam: Arc<Iam>) -> io::Result<Server> {
    Server::start(move |request| {
        let iam = Arc::clone(&iam);
        async move {
            match refusal(&iam, &request).await {
                Some(words) => Reply::new(StatusCode::FORBIDDEN, words),
                None => Reply::new(StatusCode::OK, Bytes::new()),
            }
        }
    })
    .await
}

async fn refusal(iam: &Iam, request: &Request<Bytes>) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let found = fields.find(|(name, _)| name == wanted);
        found.map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let caller = iam.caller(request.headers()).await;
    let (action, resource) = (field("action"), field("resource"));
    let answer = iam.check(&caller, &action, &resource).await;
    answer.err().map(|refusal| refusal.to_string())
}
