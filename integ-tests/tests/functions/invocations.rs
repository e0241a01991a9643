//! Functions end and fail as those of Lambda do, other functions are told of it, and they see their stack as CloudFormation shows it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use aws_sdk_lambda::{
    Client, config::Credentials, operation::RequestId, primitives::Blob, types::InvocationType,
};
use local_cloud::{
    account::REGION,
    control_plane::{App, LocalCloud, Options, Run},
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

struct Functions {
    cloud: LocalCloud,
    lambda: Client,
}

impl Functions {
    async fn start(options: Options) -> Self {
        let cloud = LocalCloud::start(options).await.unwrap();
        cloud.cdk().bootstrap().await.unwrap();
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(REGION)
            .endpoint_url(cloud.account().address())
            .credentials_provider(Credentials::new("000000000000", "-", None, None, "test"));
        let lambda = Client::new(&config.load().await);
        Self { cloud, lambda }
    }

    async fn deploy(&self, stack: &str, may_tell: bool) -> Run {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/functions.js");
        let app = App::node(&path)
            .with("stack", stack)
            .with("mayTell", may_tell);
        self.cloud.cdk().deploy(&app, stack, &[]).await.unwrap()
    }

    /// Invokes it without waiting; the request id that Lambda tells.
    async fn send(&self, function: &str, event: &Value) -> String {
        let sent = self
            .lambda
            .invoke()
            .function_name(function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .unwrap();
        sent.request_id().unwrap().to_owned()
    }

    /// The lines that functions have printed so far with this text in them, once there are so many.
    async fn printed(&self, text: &str, count: usize) -> Vec<String> {
        let limit = Instant::now() + LIMIT;
        loop {
            let logs = self.cloud.account().logs().await.unwrap();
            let lines: Vec<_> = logs.lines().filter(|line| line.contains(text)).collect();
            if lines.len() >= count {
                return lines.into_iter().map(str::to_owned).collect();
            }
            assert!(Instant::now() < limit, "{text:?} is not in:\n{logs}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The record that the destination gets of this invocation.
    async fn record(&self, request_id: &str) -> Value {
        let named = format!(r#""requestId": "{request_id}""#);
        let lines = self.printed(&named, 1).await;
        let (_, record) = lines[0].split_once('{').unwrap();
        serde_json::from_str(&format!("{{{record}")).unwrap()
    }
}

fn quick() -> Options {
    Options {
        provider_pace: Some(0.02),
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_told_how_an_invocation_failed() {
    let functions = Functions::start(quick()).await;
    let run = functions.deploy("Told", true).await;
    assert!(run.success, "{}", run.output);
    // CloudFormation's request, while the resource is made.
    functions.printed("described CREATE_IN_PROGRESS", 1).await;

    for (event, kind, words) in [
        (json!({"what": "fail"}), "Broken", "broken"),
        (
            json!({"what": "die"}),
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 3",
        ),
        (
            json!({"what": "fill", "megabytes": 200}),
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: killed",
        ),
        (
            json!({"what": "hang"}),
            "Sandbox.Timedout",
            "Error: Task timed out after 3.00 seconds",
        ),
    ] {
        let request_id = functions.send("Told-Worker", &event).await;
        let record = functions.record(&request_id).await;
        assert_eq!(record["requestPayload"], event);
        let context = &record["requestContext"];
        assert_eq!(context["condition"], "RetriesExhausted", "{record}");
        assert_eq!(context["approximateInvokeCount"], 1, "{record}");
        let arn = context["functionArn"].as_str().unwrap();
        assert!(arn.ends_with(":function:Told-Worker:$LATEST"), "{arn}");
        assert_eq!(record["responsePayload"]["errorType"], kind, "{record}");
        let told = record["responsePayload"]["errorMessage"].as_str().unwrap();
        assert!(told.ends_with(words), "{told}");
    }

    // Without a setting, a failed event is tried three times, as one request.
    let request_id = functions
        .send("Told-Receiver", &json!({"what": "fail"}))
        .await;
    functions.printed(&format!("{request_id} {{"), 3).await;

    // One that never runs.
    let mut none = functions.lambda.put_function_concurrency();
    none = none
        .function_name("Told-Worker")
        .reserved_concurrent_executions(0);
    none.send().await.unwrap();
    let request_id = functions.send("Told-Worker", &json!({})).await;
    let record = functions.record(&request_id).await;
    let context = &record["requestContext"];
    assert_eq!(context["condition"], "EventAgeExceeded", "{record}");
    assert_eq!(record.get("responsePayload"), None, "{record}");

    // IAM was asked, with the role of the function.
    let used = functions.cloud.cloud().iam().used();
    for action in [
        "lambda:InvokeFunction",
        "cloudformation:DescribeStackResource",
    ] {
        let by_role = |(who, what): &(String, String)| what == action && who.contains(":role/");
        assert!(used.iter().any(by_role), "{action}: {used:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_needs_the_right_of_the_functions_role() {
    let functions = Functions::start(quick()).await;
    let run = functions.deploy("Silent", false).await;
    let words = "The function's execution role does not have permissions to call InvokeFunction on";
    assert!(!run.success && run.output.contains(words), "{}", run.output);
}

/// Only that it is slower: how much slower a machine is that does other things, nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_gets_the_cpu_that_goes_with_its_memory() {
    let functions = Functions::start(Options {
        cpu_shares: true,
        ..quick()
    })
    .await;
    let run = functions.deploy("Slow", true).await;
    assert!(run.success, "{}", run.output);
    let burnt = functions
        .lambda
        .invoke()
        .function_name("Slow-Receiver")
        .payload(Blob::new(
            json!({"what": "burn", "seconds": 0.1}).to_string(),
        ))
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(burnt.payload().unwrap().as_ref()).unwrap();
    // 128 of 1,769 MB: a fourteenth.
    assert!(answer["ratio"].as_f64().unwrap() > 10.0, "{answer}");
}
