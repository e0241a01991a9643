//! `soci-builder tasks` against an ECS on loopback, with images in a registry.

use std::sync::{Arc, Mutex};

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use soci_testing::{
    fake_registry::FakeRegistry,
    http::{Reply, Server},
    image::{Image, Layer},
    program::{Ended, Program},
};
use tokio::runtime::Runtime;

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod";

/// Pages of ListTasks and the tasks of DescribeTasks.
fn ecs(requests: &Mutex<Vec<Value>>, tasks: &[Value], headers: &HeaderMap, body: &[u8]) -> Reply {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(body).unwrap();
    assert!(header("authorization").contains("/eu-west-1/ecs/aws4_request"));
    let target = header("x-amz-target");
    requests
        .lock()
        .unwrap()
        .push(json!({"target": target, "body": body}));
    let arn = |task: &Value| task["taskArn"].clone();
    let response = match target.rsplit('.').next().unwrap() {
        "ListTasks" if body["nextToken"].is_null() => {
            json!({"taskArns": [arn(&tasks[0])], "nextToken": "2"})
        }
        "ListTasks" => json!({"taskArns": [arn(&tasks[1])]}),
        _ => {
            let asked = body["tasks"].as_array().unwrap();
            let found = tasks.iter().filter(|task| asked.contains(&arn(task)));
            json!({"tasks": found.collect::<Vec<_>>()})
        }
    };
    Reply::new(StatusCode::OK, response.to_string())
}

fn task(id: &str, images: &[(&str, Option<String>)]) -> Value {
    let containers = images
        .iter()
        .map(|(image, digest)| json!({"name": "app", "image": image, "imageDigest": digest}));
    json!({
        "taskArn": format!("arn:aws:ecs:eu-west-1:123456789012:task/prod/{id}"), "clusterArn": CLUSTER,
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7", "group": "service:web",
        "lastStatus": "RUNNING", "pullStartedAt": 1_795_371_320.5, "pullStoppedAt": 1_795_371_322.0, "startedAt": 1_795_371_323.25,
        "containers": containers.collect::<Vec<_>>(),
    })
}

/// Runs the program with the credentials of an account.
fn run(server: &Server, arguments: &[&str]) -> Ended {
    Program::new([&["tasks"], arguments].concat())
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret-word")
        .env(
            "AWS_ENDPOINT_URL_ECS",
            format!("http://{}", server.address()),
        )
        .run()
}

#[test]
fn tasks_tell_their_times_and_indexes() {
    let registry = FakeRegistry::start();
    let image = Image::of([&Layer::noise(1, 50_000)]);
    let name = image.push(&registry, "v1");
    let indexed = format!("{name}-soci");
    let digest = format!("{}", image.digest());
    assert_eq!(super::index(&name, &[]).code, Some(0));
    let tasks = [
        task("1", &[(&indexed, None), ("sidecar", None)]),
        task("2", &[(&indexed, Some(digest))]),
    ];
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let runtime = Runtime::new().unwrap();
    let server = Server::start(move |request| {
        let reply = ecs(&seen, &tasks, request.headers(), request.body());
        async { reply }
    });
    let server = runtime.block_on(server).unwrap();

    let ended = run(&server, &[CLUSTER, "--service", "web", "--json"]);
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(0), "{said}");
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    let of = |index: usize| &result["tasks"][index];
    assert_eq!((&of(0)["task"], &of(1)["task"]), (&json!("1"), &json!("2")));
    assert_eq!(of(0)["pull_seconds"], 1.5);
    assert_eq!(of(0)["start_seconds"], 2.75);
    let indexes = |index: usize| {
        let containers = of(index)["containers"].as_array().unwrap().iter();
        containers
            .map(|container| container["indexed"].clone())
            .collect::<Vec<_>>()
    };
    // The one was pulled by a tag that is indexed, the other before that, by its digest.
    assert_eq!(indexes(0)[0], "v2");
    assert_eq!(indexes(1), ["none"]);
    let requests = requests.lock().unwrap();
    assert!(
        requests
            .iter()
            .all(|request| request["body"]["cluster"] == CLUSTER)
    );
    assert_eq!(requests[0]["body"]["serviceName"], "web");
    assert_eq!(requests[2]["body"]["nextToken"], "2");
}

#[test]
fn a_refusal_is_told_without_secrets() {
    let runtime = Runtime::new().unwrap();
    let server = Server::start(|_| async {
        let why = json!({"__type": "com.amazonaws.ecs#ClusterNotFoundException", "message": "Cluster not found."});
        Reply::new(StatusCode::BAD_REQUEST, why.to_string())
    });
    let server = runtime.block_on(server).unwrap();
    let ended = run(&server, &[CLUSTER]);
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(1), "{said}");
    assert!(
        said.contains("ecs:ListTasks failed: ClusterNotFoundException: Cluster not found."),
        "{said}"
    );
    assert!(!said.contains("secret-word"), "{said}");

    let ended = run(&server, &["prod"]);
    let said = &ended.stderr;
    assert!(said.contains("no AWS region is set"), "{said}");
}
