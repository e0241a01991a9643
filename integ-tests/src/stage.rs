//! The provider on a stage of its own: CloudFormation's requests to it, Lambda under it, the cloud behind it. In: the
//! construct's templates. Out: events that fit them, deliveries, answers, and every call on the way. Asserts nothing.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::Request;
use serde_json::{Map, Value, json};

use crate::{
    account::Repository,
    answers::{Answer, Answers, Missing, Place},
    calls::Calls,
    cloud::{self, Cloud},
    cloudformation::CloudFormation,
    iam::{Caller, Iam},
    lambda_runtime_api::{Allowed, Function, Lambda, RoleMay, uuid},
    programs,
    template::{BuilderFunction, Resource, TemplateAccount, Unresolved},
};

/// The repository that the templates of the tests name.
pub const REPOSITORY: &str = "app";

/// As the construct makes it.
const PROVIDER_MEMORY_MIB: u64 = 128;

/// What can go wrong before the curtain rises.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cloud.
    #[error("cannot start the cloud")]
    Cloud(#[from] cloud::Error),
    /// No port.
    #[error("cannot start a server")]
    Io(#[from] io::Error),
    /// A template that is not understood.
    #[error("cannot read the template")]
    Template(#[from] Unresolved),
}

/// A cloud with what the templates say in it.
pub struct Scene {
    /// The templates.
    pub account: Arc<TemplateAccount>,
    /// The cloud.
    pub cloud: Cloud,
}

/// How a provider is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `PROVIDER_PACE`.
    pub pace: f64,
    /// Lambda's timeout.
    pub timeout: Duration,
    /// Lambda's pause before it delivers a failed event again.
    pub retry_pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // A minute is 0.6 s.
            pace: 0.01,
            timeout: Duration::from_secs(900),
            retry_pause: Duration::from_millis(20),
        }
    }
}

/// One provider function, and who it talks to.
pub struct Provider {
    /// Its custom resource.
    pub resource: Resource,
    /// Its processes. Declared first, so that they end before what they call.
    pub lambda: Lambda,
    /// The builder function's, where the resource names one.
    pub builder: Option<Lambda>,
    /// What that one asks of the resource.
    pub cloudformation: CloudFormation,
    /// Where it answers.
    pub answers: Answers,
    /// What it calls.
    pub calls: Calls,
    answers_front: SocketAddr,
}

impl Scene {
    /// Sets one.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn set(account: TemplateAccount, options: cloud::Options) -> Result<Self, Error> {
        account.add_repository(REPOSITORY, Repository::default());
        let account = Arc::new(account);
        let cloud = Cloud::start(account.clone(), options).await?;
        Ok(Self { account, cloud })
    }

    /// The provider of a stack, with nothing delivered to it yet.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn provider(&self, stack: &str, options: Options) -> Result<Provider, Error> {
        let resource = self.account.resource(stack)?;
        let (answers, calls) = (Answers::start().await?, Calls::default());
        let answers_front = calls.front("answer", answers.address()).await?;
        let iam = self.cloud.iam();
        let caller = Caller::role(&resource.function_role, &resource.function);
        let lambda = Lambda::start(Function {
            name: resource.function.clone(),
            program: programs::provider(),
            environment: self.environment(&calls).await?,
            memory_mib: PROVIDER_MEMORY_MIB,
            timeout: options.timeout,
            // What Lambda does unless it is told otherwise.
            retries: 2,
            retry_pause: options.retry_pause,
            event_age_max: Duration::from_secs(6 * 60 * 60),
            on_failure: None,
            allowed: allowed(Arc::clone(iam)),
            role_may: role_may(Arc::clone(iam), caller, &resource.log_group),
        })
        .await?;
        let lambda_front = calls.front("lambda", lambda.address()).await?;
        lambda.set("AWS_ENDPOINT_URL_LAMBDA", format!("http://{lambda_front}"));
        lambda.set("PROVIDER_PACE", options.pace.to_string());
        let cloudformation = CloudFormation::start(Arc::clone(iam)).await?;
        let builder = match &resource.builder {
            Some(builder) => {
                let builder = self.builder(builder, &lambda, &calls, options).await?;
                let front = calls
                    .front("cloudformation", cloudformation.address())
                    .await?;
                builder.set("AWS_ENDPOINT_URL_CLOUDFORMATION", format!("http://{front}"));
                Some(builder)
            }
            None => None,
        };
        Ok(Provider {
            resource,
            lambda,
            builder,
            cloudformation,
            answers,
            calls,
            answers_front,
        })
    }

    /// The builder function, beside the provider.
    async fn builder(
        &self,
        builder: &BuilderFunction,
        provider: &Lambda,
        calls: &Calls,
        options: Options,
    ) -> io::Result<Lambda> {
        let iam = self.cloud.iam();
        let mut environment = self.environment(calls).await?;
        environment.extend(builder.environment.clone());
        environment.insert("PROVIDER_PACE".to_owned(), options.pace.to_string());
        let caller = Caller::role(&builder.role, &builder.name);
        let function = Function {
            name: builder.name.clone(),
            program: programs::provider(),
            environment,
            memory_mib: builder.memory_mib,
            timeout: builder.timeout,
            retries: builder.retries,
            retry_pause: options.retry_pause,
            event_age_max: builder.event_age_max,
            on_failure: Some(builder.on_failure.clone()),
            allowed: allowed(Arc::clone(iam)),
            role_may: role_may(Arc::clone(iam), caller, &builder.log_group),
        };
        provider.start_beside(function).await
    }

    /// The cloud's own, with what counts the calls in between.
    async fn environment(&self, calls: &Calls) -> io::Result<BTreeMap<String, String>> {
        let mut environment = self.cloud.environment();
        for (service, name) in [
            ("ecr", "AWS_ENDPOINT_URL_ECR"),
            ("codebuild", "AWS_ENDPOINT_URL_CODEBUILD"),
        ] {
            let behind = environment
                .get(name)
                .and_then(|url| url.strip_prefix("http://"));
            let behind: SocketAddr = behind
                .and_then(|address| address.parse().ok())
                .ok_or_else(|| io::Error::other(format!("{name} is no loopback address")))?;
            let front = calls.front(service, behind).await?;
            environment.insert(name.to_owned(), format!("http://{front}"));
        }
        Ok(environment)
    }
}

/// Asks the cloud's IAM.
fn allowed(iam: Arc<Iam>) -> Allowed {
    Arc::new(move |request: Request<Bytes>, action, resource| {
        let iam = Arc::clone(&iam);
        Box::pin(async move {
            let caller = iam.caller(request.headers()).await;
            let checked = iam.check(&caller, action, &resource).await;
            checked.map_err(|refusal| refusal.to_string())
        })
    })
}

/// Asks it for a function's role, which writes its log and invokes its destination.
fn role_may(iam: Arc<Iam>, caller: Caller, log_group: &str) -> RoleMay {
    let stream = log_group.trim_end_matches('*').to_owned() + "log-stream:one";
    Arc::new(move |action, resource| {
        let (iam, caller) = (Arc::clone(&iam), caller.clone());
        let resource = resource.unwrap_or_else(|| stream.clone());
        Box::pin(async move { iam.check(&caller, action, &resource).await.is_ok() })
    })
}

/// A request of CloudFormation's, and where it wants its answer.
#[derive(Clone, Debug)]
pub struct Event {
    /// The request.
    pub json: Value,
    /// The place.
    pub place: Place,
    /// When it was made.
    pub made: SystemTime,
}

impl Event {
    /// With a property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.json["ResourceProperties"][name] = value.into();
        self
    }

    /// Without a property.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(properties) = self.json["ResourceProperties"].as_object_mut() {
            properties.remove(name);
        }
        self
    }

    /// With a field of its own, beside the properties.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.json[name] = value.into();
        self
    }

    /// CloudFormation's id of the request.
    pub fn request_id(&self) -> &str {
        self.json["RequestId"].as_str().unwrap_or_default()
    }

    /// The property as text.
    pub fn property(&self, name: &str) -> &str {
        self.json["ResourceProperties"][name]
            .as_str()
            .unwrap_or_default()
    }
}

impl Provider {
    /// A Create of the resource as the template has it.
    pub fn create(&self) -> Event {
        self.event("Create", &self.resource.properties, Duration::ZERO)
    }

    /// A Create that CloudFormation sent so long ago.
    pub fn create_sent(&self, ago: Duration) -> Event {
        self.event("Create", &self.resource.properties, ago)
    }

    /// An Update of what `before` made, answered with that id.
    pub fn update(&self, before: &Event, physical_id: &str) -> Event {
        let properties = before.json["ResourceProperties"].clone();
        self.after("Update", before, physical_id)
            .field("OldResourceProperties", properties)
    }

    /// A Delete of what `before` made, answered with that id.
    pub fn delete(&self, before: &Event, physical_id: &str) -> Event {
        self.after("Delete", before, physical_id)
    }

    /// A request for the same resource with the same properties.
    fn after(&self, kind: &str, before: &Event, physical_id: &str) -> Event {
        let properties = before.json["ResourceProperties"].as_object();
        let properties = properties.cloned().unwrap_or_default();
        self.event(kind, &properties, Duration::ZERO)
            .field(
                "LogicalResourceId",
                before.json["LogicalResourceId"].clone(),
            )
            .field("PhysicalResourceId", physical_id)
    }

    fn event(&self, kind: &str, properties: &Map<String, Value>, sent: Duration) -> Event {
        let place = self.answers.place(self.answers_front, sent);
        let json = json!({
            "RequestType": kind,
            "ServiceToken": self.resource.properties["ServiceToken"],
            "ResponseURL": place.url,
            "StackId": self.resource.stack_id,
            "RequestId": uuid(),
            "LogicalResourceId": self.resource.logical_id,
            "ResourceType": self.resource.kind,
            "ResourceProperties": properties,
        });
        Event {
            json,
            place,
            made: SystemTime::now() - sent,
        }
    }

    /// Has the event answered at the endpoint itself, and not where the calls are counted: there, a connection is always
    /// taken first.
    #[must_use]
    pub fn directly(&self, mut event: Event) -> Event {
        let front = self.answers_front.to_string();
        let url = event
            .place
            .url
            .replacen(&front, &self.answers.address().to_string(), 1);
        event.json["ResponseURL"] = Value::from(url.clone());
        event.place.url = url;
        event
    }

    /// Hands the event to Lambda, as CloudFormation does, with the resource in progress from then on.
    pub fn deliver(&self, event: &Event) -> String {
        let text = |name: &str| event.json[name].as_str().unwrap_or_default();
        let status = format!("{}_IN_PROGRESS", text("RequestType").to_uppercase());
        let (stack, id) = (text("StackId"), text("LogicalResourceId"));
        self.cloudformation.set(stack, id, &status, event.made);
        self.lambda.deliver(event.json.to_string())
    }

    /// The first answer to an event.
    ///
    /// # Errors
    /// Where none comes in time; the text has what the provider printed and called.
    pub async fn answer(&self, event: &Event, limit: Duration) -> Result<Answer, Silence> {
        let first = self.answers.first(&event.place, limit).await;
        first.map_err(|source| Silence {
            printed: self.printed(),
            called: self.called(),
            source,
        })
    }

    /// What both functions printed so far.
    pub fn printed(&self) -> String {
        let builder = self.builder.as_ref().map(Lambda::printed);
        self.lambda.printed() + &builder.unwrap_or_default()
    }

    /// The calls so far, a line each.
    pub fn called(&self) -> String {
        let calls = self.calls.all();
        let lines = calls.iter().map(|call| {
            let status = call
                .status
                .map_or_else(|| "none".to_owned(), |status| status.to_string());
            format!("{} {}: {status}\n", call.number, call.operation)
        });
        lines.collect()
    }
}

/// No response was received.
#[derive(Debug, thiserror::Error)]
#[error("no response to the event\nprinted:\n{printed}\ncalled:\n{called}")]
pub struct Silence {
    printed: String,
    called: String,
    source: Missing,
}
