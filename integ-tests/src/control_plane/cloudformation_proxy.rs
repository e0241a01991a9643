//! CloudFormation's API for functions. In: their requests. Out: the emulator's response, if IAM allows the request.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hyper::{Request, StatusCode};
use soci_testing::http::{Reply, Server, send};
use url::form_urlencoded;

use crate::iam::Iam;

/// The only operation that a function may ask for here.
const OPERATION: &str = "DescribeStackResource";

/// Listens until it is dropped. `emulator`: where the allowed requests go.
///
/// # Errors
/// Where no port can be had.
pub(super) async fn open(iam: Arc<Iam>, emulator: SocketAddr) -> io::Result<Server> {
    Server::start(move |request| {
        let iam = Arc::clone(&iam);
        async move {
            match refusal(&iam, &request).await {
                Some(words) => Reply::new(StatusCode::FORBIDDEN, denied(&words)),
                None => send(emulator, request)
                    .await
                    .map_or(Reply::Cut, Reply::Response),
            }
        }
    })
    .await
}

async fn refusal(iam: &Iam, request: &Request<Bytes>) -> Option<String> {
    let field = |wanted: &str| {
        form_urlencoded::parse(request.body())
            .find(|(name, _)| name == wanted)
            .map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let operation = field("Action");
    if operation != OPERATION {
        return Some(format!(
            "this cloud lets a function only {OPERATION}, not {operation:?}"
        ));
    }
    let caller = iam.caller(request.headers()).await;
    let action = format!("cloudformation:{OPERATION}");
    let answer = iam.check(&caller, &action, &field("StackName")).await;
    answer.err().map(|refusal| refusal.to_string())
}

fn denied(words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r#"<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{words}</Message></Error></ErrorResponse>"#
    )
}
