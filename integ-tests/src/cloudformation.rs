//! CloudFormation, as far as a function asks it about a resource of its own stack. In: signed queries. Out: the resource's status, and
//! when it was set, as the test says. Asks IAM. Knows nothing of templates.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use soci_testing::http::{Reply, Server};
use url::form_urlencoded;

use crate::{iam::Iam, lock::lock};

/// A resource's status, and when it was set.
#[derive(Clone, Debug)]
pub struct Status {
    /// `UPDATE_IN_PROGRESS` and the like.
    pub word: String,
    /// When.
    pub at: SystemTime,
}

/// The service.
pub struct CloudFormation {
    server: Server,
    resources: Arc<Mutex<BTreeMap<(String, String), Status>>>,
}

impl CloudFormation {
    /// Starts it.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(iam: Arc<Iam>) -> io::Result<Self> {
        let resources: Arc<Mutex<BTreeMap<_, _>>> = Arc::default();
        let known = Arc::clone(&resources);
        let server = Server::start(move |request| {
            let (iam, known) = (Arc::clone(&iam), Arc::clone(&known));
            async move { answer(&iam, &known, &request).await }
        });
        Ok(Self {
            server: server.await?,
            resources,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Sets a resource's status.
    pub fn set(&self, stack_id: &str, logical_id: &str, word: &str, at: SystemTime) {
        let status = Status {
            word: word.to_owned(),
            at,
        };
        let name = (stack_id.to_owned(), logical_id.to_owned());
        lock(&self.resources).insert(name, status);
    }
}

async fn answer(
    iam: &Iam,
    resources: &Mutex<BTreeMap<(String, String), Status>>,
    request: &Request<Bytes>,
) -> Reply {
    let query: HashMap<_, _> = form_urlencoded::parse(request.body())
        .into_owned()
        .collect();
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    if text("Action") != "DescribeStackResource" || text("Version") != "2010-05-15" {
        return refuse(
            400,
            "InvalidAction",
            "this cloud describes stack resources only",
        );
    }
    let (stack, id) = (text("StackName"), text("LogicalResourceId"));
    let caller = iam.caller(request.headers()).await;
    let allowed = iam.check(&caller, "cloudformation:DescribeStackResource", &stack);
    if let Err(refusal) = allowed.await {
        return refuse(403, "AccessDenied", &refusal.to_string());
    }
    let status = lock(resources).get(&(stack.clone(), id.clone())).cloned();
    let Some(status) = status else {
        let why = format!("Resource {id} does not exist for stack {stack}");
        return refuse(400, "ValidationError", &why);
    };
    let updated = timestamp(status.at);
    let detail = format!(
        "<StackId>{stack}</StackId><LogicalResourceId>{id}</LogicalResourceId><ResourceType>Custom::SociIndexBuild</ResourceType>\
         <LastUpdatedTimestamp>{updated}</LastUpdatedTimestamp><ResourceStatus>{}</ResourceStatus>",
        status.word
    );
    xml(
        200,
        &format!(
            "<DescribeStackResourceResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStackResourceResult>\
             <StackResourceDetail>{detail}</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"
        ),
    )
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    xml(
        status,
        &format!(
            "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error></ErrorResponse>"
        ),
    )
}

fn xml(status: u16, body: &str) -> Reply {
    let mut response = Response::new(Bytes::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let xml = hyper::header::HeaderValue::from_static("text/xml");
    response.headers_mut().insert("content-type", xml);
    Reply::Response(response)
}

/// RFC 3339, in UTC, with milliseconds.
fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let time = aws_sdk_ecr::primitives::DateTime::from_secs(seconds);
    let format = aws_sdk_ecr::primitives::DateTimeFormat::DateTime;
    let text = time.fmt(format).unwrap_or_default();
    text.replace('Z', &format!(".{:03}Z", since.subsec_millis()))
}
