//! A proxy for Lambda's API. In: requests of functions. Out: the emulator's response, if IAM allows the invocation.
//! The emulator itself does not check IAM.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use soci_testing::http::{Reply, Server, send};
use url::form_urlencoded;

use crate::{
    account::{ACCOUNT_ID, REGION},
    iam::Iam,
};

const FUNCTIONS: &str = "/2015-03-31/functions/";

/// Listens until it is dropped. `emulator`: where the allowed requests go.
///
/// # Errors
/// If no port is available.
pub(super) async fn open(iam: Arc<Iam>, emulator: SocketAddr) -> io::Result<Server> {
    Server::start(move |request| {
        let iam = Arc::clone(&iam);
        async move {
            match refusal(&iam, &request).await {
                Some(words) => denied(&words),
                // A connection that ends without an answer is what a caller of Lambda must bear too.
                None => send(emulator, request)
                    .await
                    .map_or(Reply::Cut, Reply::Response),
            }
        }
    })
    .await
}

async fn refusal(iam: &Iam, request: &Request<Bytes>) -> Option<String> {
    let Some(function) = invoked(request) else {
        let (method, uri) = (request.method(), request.uri());
        return Some(format!(
            "this cloud lets a function only invoke functions, not {method} {uri}"
        ));
    };
    let resource = format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}");
    let caller = iam.caller(request.headers()).await;
    let answer = iam.check(&caller, "lambda:InvokeFunction", &resource).await;
    answer.err().map(|refusal| refusal.to_string())
}

/// The name of the function that is to be invoked; a name or an ARN may stand in the path.
fn invoked(request: &Request<Bytes>) -> Option<String> {
    let path = request.uri().path().strip_prefix(FUNCTIONS)?;
    let encoded = path.strip_suffix("/invocations")?;
    let (name, _) = form_urlencoded::parse(encoded.as_bytes()).next()?;
    let name = name
        .rsplit_once(":function:")
        .map_or(&*name, |(_, name)| name);
    Some(name.to_owned())
}

fn denied(words: &str) -> Reply {
    let body = json!({ "Message": words }).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::FORBIDDEN;
    for (name, value) in [
        ("x-amzn-errortype", "AccessDeniedException"),
        ("content-type", "application/json"),
    ] {
        response
            .headers_mut()
            .insert(name, hyper::header::HeaderValue::from_static(value));
    }
    Reply::Response(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_meant_by_name_or_arn() {
        let asked = |path: &str| {
            let request = Request::post(format!("http://lambda{path}")).body(Bytes::new());
            invoked(&request.unwrap())
        };
        let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aprovider";
        assert_eq!(
            asked(&format!("{FUNCTIONS}provider/invocations")).as_deref(),
            Some("provider")
        );
        assert_eq!(
            asked(&format!("{FUNCTIONS}{arn}/invocations")).as_deref(),
            Some("provider")
        );
        assert_eq!(asked(&format!("{FUNCTIONS}provider/configuration")), None);
    }
}
