//! A small cloud for the handler: ECR, CodeBuild, Lambda and the answer's address on one loopback port, told apart as AWS does, by
//! target and path. In: images and how builds end. Out: what was called and answered.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    unreachable_pub,
    reason = "test programs have no outside; `pub` marks what they are meant to use"
)]

pub mod functions;
pub mod images;
pub mod on_push;
mod registry;
pub mod schedule;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecr::{
    config::{Credentials, SharedCredentialsProvider},
    primitives::{DateTime, DateTimeFormat},
};
use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use soci_format::oci::Descriptor;
use soci_provider::{app::App, delivery::Undelivered, handler::handle, pace::Pace};
use soci_testing::http::{Reply, Server};

use functions::Waiting;
use images::Image;

/// The part of the answer's address that nobody may see.
pub const SIGNATURE: &str = "c0ffeec0ffee";

/// The longest that Lambda lets an invocation take.
pub const INVOCATION: Duration = Duration::from_secs(900);

/// The cloud; gone when dropped.
pub struct Cloud {
    server: Server,
    shared: Arc<Mutex<State>>,
}

/// How a build ends, from what it was started with.
pub type EndOf = Box<dyn FnMut(&Value) -> Option<(usize, Value)> + Send>;

/// What else happens when an operation is called, before it is answered.
pub type OnCall = Box<dyn FnMut(&mut State, &str) + Send>;

/// What it knows.
#[derive(Default)]
pub struct State {
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// Manifests by tag and by digest.
    pub images: BTreeMap<String, Image>,
    /// Tags and digests, of manifests and of layers, that are archived.
    pub archived: BTreeSet<String>,
    /// What else happens when an operation is called.
    pub on_call: Option<OnCall>,
    /// The images that were asked for, by tag or digest.
    pub asked: Vec<String>,
    /// Config blobs by digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// Builds, oldest first.
    pub builds: Vec<Value>,
    /// How builds end, by id: after how many looks, and which fields of the build change then. A build without an entry never ends.
    pub ends: BTreeMap<String, (usize, Value)>,
    /// Says how a build ends that has no entry, when it starts.
    pub end_of: Option<EndOf>,
    /// What a build that ends well puts under its output tag.
    pub pushes: Option<Image>,
    /// Whether builds that are to be stopped run on all the same.
    pub stops_nothing: bool,
    /// When a build starts, where that is not the real time.
    pub clock: Option<SystemTime>,
    /// Errors to give instead of an answer, by operation: code and message.
    pub refusals: BTreeMap<String, VecDeque<(u16, &'static str)>>,
    /// The operations whose last call was refused.
    pub refused: BTreeSet<String>,
    /// The operations called, in order.
    pub calls: Vec<String>,
    /// What was answered.
    pub answers: Vec<Value>,
    /// What the function invoked itself with.
    pub invoked: Vec<Value>,
    /// What it invoked the builder function with.
    pub builder_invoked: Vec<Waiting>,
    /// What CloudFormation says of the resource: its status, and when it was set.
    pub resource: Option<(&'static str, SystemTime)>,
    /// Operations and blobs that are never answered.
    pub held: BTreeSet<String>,
    /// What was uploaded before its digest, by upload.
    pub uploaded: BTreeMap<String, Vec<u8>>,
    /// Whether a tag that names an image cannot be put again.
    pub are_tags_immutable: bool,
    /// The names of all repositories.
    pub repositories: Vec<String>,
    /// What refers to an image, by its digest.
    pub referrers: BTreeMap<String, Descriptor>,
    /// When images were pushed, by digest, in seconds since 1970; the others long ago.
    pub pushed_at: BTreeMap<String, f64>,
    /// Bytes of blobs that the registry sent.
    pub bytes_served: usize,
}

impl Cloud {
    pub async fn start() -> Self {
        let shared: Arc<Mutex<State>> = Arc::default();
        let state = Arc::clone(&shared);
        let server = Server::start(move |request| {
            let reply = serve(&state, request);
            async {
                match reply {
                    Some(reply) => reply,
                    None => std::future::pending().await,
                }
            }
        });
        let server = server.await.unwrap();
        let cloud = Self { server, shared };
        cloud.state().address = Some(cloud.server.address());
        images::single().add_to(&mut cloud.state(), "v1");
        cloud
            .state()
            .repositories
            .push(images::REPOSITORY.to_owned());
        cloud
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap()
    }

    /// Refuses the next calls of an operation.
    pub fn refuse(&self, operation: &str, times: usize, status: u16, code: &'static str) {
        let refusals = std::iter::repeat_n((status, code), times);
        let mut state = self.state();
        state
            .refusals
            .entry(operation.to_owned())
            .or_default()
            .extend(refusals);
    }

    /// The function, a hundred times as fast.
    pub fn app(&self) -> Arc<App> {
        self.app_at("0.01")
    }

    /// The function at a pace.
    pub fn app_at(&self, pace: &str) -> Arc<App> {
        self.app_named("provider", pace)
    }

    /// A function of this name at a pace.
    pub fn app_named(&self, name: &str, pace: &str) -> Arc<App> {
        let pace = Pace::parse(Some(pace)).unwrap();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", self.server.address()))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "key", "secret", None, None, "test",
            )))
            .retry_config(soci_provider::app::retries(pace))
            .http_client(aws_http())
            .build();
        // Without the certificates of the machine, which take longer to read than a test to run.
        let http = reqwest::Client::builder().tls_certs_only([]);
        let http = http.no_proxy().build().unwrap();
        Arc::new(App::new(config, http, name.to_owned(), pace))
    }

    /// An event, made now, that is to be answered here.
    pub fn event(&self, text: &str) -> Value {
        let mut event: Value = serde_json::from_str(text).unwrap();
        event["ResponseURL"] = json!(format!(
            "http://{}/answer?X-Amz-Signature={SIGNATURE}",
            self.server.address()
        ));
        event
    }

    /// Runs an invocation of so long, and those that it hands over to; gives the answers.
    pub async fn run(&self, event: &Value, timeout: Duration) -> Result<Vec<Value>, Undelivered> {
        self.follow(event, timeout).await?;
        Ok(std::mem::take(&mut self.state().answers))
    }

    /// Runs an invocation of the provider of so long, and those that it hands over to.
    pub async fn follow(&self, payload: &Value, timeout: Duration) -> Result<(), Undelivered> {
        let app = self.app();
        let mut next = Some(payload.clone());
        while let Some(payload) = next.take() {
            handle(&app, payload, SystemTime::now() + timeout).await?;
            next = self.state().invoked.pop();
        }
        Ok(())
    }

    /// Runs an event to its only answer.
    pub async fn answer(&self, event: &Value) -> Value {
        let mut answers = self.run(event, INVOCATION).await.unwrap();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let answer = answers.remove(0);
        assert!(!answer.to_string().contains(SIGNATURE), "{answer}");
        answer
    }

    pub fn called(&self, operation: &str) -> usize {
        self.state()
            .calls
            .iter()
            .filter(|call| *call == operation)
            .count()
    }
}

/// Without the environment's proxies.
fn aws_http() -> aws_sdk_ecr::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// None where it is never answered.
fn serve(state: &Mutex<State>, request: Request<Bytes>) -> Option<Reply> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (target, media_type) = (header("x-amz-target"), header("content-type"));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let body = request.into_body();
    let operation = match &target {
        Some(target) => target.rsplit('.').next().unwrap().to_owned(),
        None if path == "/answer" => "answer".to_owned(),
        None if path.starts_with("/blob/") => "blob".to_owned(),
        None if path.starts_with("/v2/") => registry::operation(&method, path).to_owned(),
        None if path == "/" => "DescribeStackResource".to_owned(),
        None if path.contains("index-builder") => "InvokeBuilder".to_owned(),
        None => "Invoke".to_owned(),
    };
    let mut state = state.lock().unwrap();
    state.calls.push(operation.clone());
    let name = path.rsplit('/').next().unwrap();
    if state.held.contains(&operation) || (operation == "GetBlob" && state.held.contains(name)) {
        return None;
    }
    if let Some(mut on_call) = state.on_call.take() {
        on_call(&mut state, &operation);
        state.on_call = Some(on_call);
    }
    let refusal = state
        .refusals
        .get_mut(&operation)
        .and_then(VecDeque::pop_front);
    if let Some((status, code)) = refusal {
        state.refused.insert(operation.clone());
        let words = match operation.as_str() {
            "DescribeStackResource" => {
                format!(
                    "<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
                )
            }
            _ if path.starts_with("/v2/") => {
                json!({"errors": [{"code": code, "message": "so it is"}]}).to_string()
            }
            _ => json!({"__type": code, "message": "so it is"}).to_string(),
        };
        return Some(Reply::new(status.try_into().unwrap(), words));
    }
    state.refused.remove(&operation);
    let (status, answer) = match operation.as_str() {
        "blob" => (
            200,
            Bytes::from(state.blobs[&path["/blob/".len()..]].clone()),
        ),
        "DescribeStackResource" => (200, state.stack_resource(&body)),
        "InvokeBuilder" => return Some(state.invoke_builder(&body)),
        _ if path.starts_with("/v2/") => {
            let media_type = media_type.unwrap_or_default();
            let response = state.registry(&operation, (path, query), &media_type, &body);
            return Some(Reply::Response(response));
        }
        _ => state.answer(&operation, &body),
    };
    Some(Reply::new(status.try_into().unwrap(), answer))
}

impl State {
    fn invoke_builder(&mut self, body: &[u8]) -> Reply {
        let request_id = format!("invocation-{}", self.calls.len());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::ACCEPTED;
        let id = request_id.parse().unwrap();
        response.headers_mut().insert("x-amzn-requestid", id);
        self.builder_invoked.push(Waiting {
            request_id,
            payload: serde_json::from_slice(body).unwrap(),
        });
        Reply::Response(response)
    }

    fn stack_resource(&self, body: &[u8]) -> Bytes {
        let asked = std::str::from_utf8(body).unwrap();
        assert!(asked.contains("LogicalResourceId=Index"), "{asked}");
        let resource = self.resource;
        let (status, updated) = resource.unwrap_or(("CREATE_IN_PROGRESS", SystemTime::now()));
        let updated = DateTime::from(updated);
        let updated = updated.fmt(DateTimeFormat::DateTime).unwrap();
        format!(
            "<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><ResourceStatus>{status}</ResourceStatus>\
             <LastUpdatedTimestamp>{updated}</LastUpdatedTimestamp></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"
        )
        .into()
    }

    fn answer(&mut self, operation: &str, body: &[u8]) -> (u16, Bytes) {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = match operation {
            "answer" => {
                self.answers.push(asked);
                return (200, Bytes::new());
            }
            "Invoke" => {
                self.invoked.push(asked);
                return (202, Bytes::new());
            }
            "StartBuild" => self.start(&asked),
            "ListBuildsForProject" => {
                json!({"ids": self.builds.iter().rev().map(|build| &build["id"]).collect::<Vec<_>>()})
            }
            "BatchGetBuilds" => self.look(&asked),
            "StopBuild" => {
                let build = self
                    .builds
                    .iter_mut()
                    .find(|build| build["id"] == asked["id"])
                    .unwrap();
                if build["buildStatus"] == "IN_PROGRESS" && !self.stops_nothing {
                    build["buildStatus"] = json!("STOPPED");
                }
                json!({"build": build})
            }
            _ => return self.ecr(operation, &asked),
        };
        (200, answer.to_string().into())
    }

    fn start(&mut self, asked: &Value) -> Value {
        let token = &asked["idempotencyToken"];
        assert_eq!(token.as_str().unwrap().len(), 64);
        if let Some(same) = self.builds.iter().find(|build| build["token"] == *token) {
            return json!({"build": same});
        }
        let started = self.clock.unwrap_or_else(SystemTime::now);
        let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let build = json!({
            "id": format!("builder:{}", self.builds.len() + 1), "token": token, "buildStatus": "IN_PROGRESS",
            "currentPhase": "BUILD", "startTime": started.as_secs_f64(), "looks": 0,
            "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL",
                            "environmentVariables": asked["environmentVariablesOverride"]},
        });
        self.builds.push(build.clone());
        if let Some(end) = self.end_of.as_mut().and_then(|end_of| end_of(&build)) {
            let id = build["id"].as_str().unwrap().to_owned();
            self.ends.entry(id).or_insert(end);
        }
        json!({"build": build})
    }

    /// A look brings a running build nearer to its end.
    fn look(&mut self, asked: &Value) -> Value {
        let ids: Vec<&Value> = asked["ids"].as_array().unwrap().iter().collect();
        let mut found = Vec::new();
        let mut pushed = Vec::new();
        for build in self
            .builds
            .iter_mut()
            .filter(|build| ids.contains(&&build["id"]))
        {
            let looks = usize::try_from(build["looks"].as_u64().unwrap()).unwrap();
            build["looks"] = json!(looks + 1);
            let Some((after, end)) = self.ends.get(build["id"].as_str().unwrap()) else {
                found.push(build.clone());
                continue;
            };
            if build["buildStatus"] == "IN_PROGRESS" && looks >= *after {
                let end = end.as_object().unwrap().clone();
                build.as_object_mut().unwrap().extend(end);
                if build["buildStatus"] == "SUCCEEDED" {
                    pushed.push(argument(build, "output-tag"));
                }
            }
            found.push(build.clone());
        }
        for tag in pushed {
            if let Some(image) = self.pushes.clone() {
                image.add_to(self, &tag);
            }
        }
        json!({"builds": found})
    }
}

/// What a build was told to do, by the builder's option.
pub fn argument(build: &Value, option: &str) -> String {
    let variables = &build["environment"]["environmentVariables"];
    let variables = variables.as_array().unwrap();
    let mut text = String::new();
    for variable in variables {
        let value = variable["value"].as_str().unwrap();
        assert!(value.len() <= 4_096 && !value.contains('\n'), "{variable}");
        if variable["name"]
            .as_str()
            .unwrap()
            .starts_with("SOCI_ARGUMENTS")
        {
            text += value;
        }
    }
    let option = format!("--{option}=");
    text.split(',')
        .find_map(|argument| argument.strip_prefix(&option))
        .unwrap_or_default()
        .to_owned()
}
