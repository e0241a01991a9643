//! CodeBuild: the project's real buildspec with the real builder, and every way in which a build can end.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{sync::Arc, time::Duration};

use aws_sdk_codebuild::{
    Client,
    config::{AppName, BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::ProvideErrorMetadata,
    operation::start_build::StartBuildError,
    types::{Build, BuildPhaseType, EnvironmentVariable, SortOrderType, StatusType},
};
use local_cloud::{
    account::{ACCOUNT_ID, Project, REGION},
    cloud::{
        Cloud, Options,
        given::{Given, allow, build_rights, project, role_arn, zip},
    },
    codebuild::{self, CredentialsSource, Exports, Phase, Script, Status},
    ecr::repository_arn,
    faults::{Fault, Gate, Moment, Point},
    iam::Lasts,
    image::{Image, Layer, Types},
    programs,
};
use serde_json::{Value, json};

/// As the construct writes it.
const BUILDSPEC: &str = r#"
version: 0.2
env:
  shell: bash
  exported-variables: [SOCI_RESULT]
phases:
  build:
    commands:
      - |
        mapfile -t arguments <<<"$SOCI_ARGUMENTS"
        chmod +x "$CODEBUILD_SRC_DIR/soci-builder"
        SOCI_RESULT=$("$CODEBUILD_SRC_DIR/soci-builder" "${arguments[@]}")
        status=$?
        export SOCI_RESULT
        (exit "$status")
"#;

/// A cloud with the project `p`, and a client that may do everything.
struct World {
    cloud: Cloud,
    client: Client,
}

fn given(project: Project, more: &[Value]) -> Given {
    let name = project.name.clone();
    let mut rights = build_rights(&name);
    rights.extend_from_slice(more);
    let source = zip(&[("hello", 0o755, b"#!/bin/sh\necho hello from the source\n")]).unwrap();
    Given::new()
        .role(&project.service_role, Value::from(rights))
        .object("assets", &format!("{name}.zip"), source)
        .project(project)
}

fn client(cloud: &Cloud, key: &str) -> Client {
    let config = aws_sdk_codebuild::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(cloud.codebuild_endpoint())
        .credentials_provider(Credentials::new(key, "secret", None, None, "test"))
        .app_name(AppName::new("Provider").unwrap())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

impl World {
    async fn of(given: Given, options: codebuild::Options) -> Self {
        let options = Options {
            codebuild: options,
            ..Default::default()
        };
        let cloud = Cloud::start(Arc::new(given), options).await.unwrap();
        let client = client(&cloud, "AKIADEPLOYER");
        Self { cloud, client }
    }

    /// With a project of these commands in its build phase, under bash.
    async fn with(commands: &[&str]) -> Self {
        let spec = json!({"version": "0.2", "env": {"shell": "bash", "exported-variables": ["OUT"]},
            "phases": {"build": {"commands": commands}}});
        Self::of(
            given(project("p", &spec.to_string()), &[]),
            Default::default(),
        )
        .await
    }

    async fn start(&self) -> String {
        let started = self.client.start_build().project_name("p").send().await;
        started
            .unwrap()
            .build_value()
            .unwrap()
            .id()
            .unwrap()
            .to_owned()
    }

    async fn get(&self, id: &str) -> Build {
        let found = self.client.batch_get_builds().ids(id).send().await.unwrap();
        found.builds()[0].clone()
    }

    async fn finish(&self, id: &str) -> Build {
        self.cloud.codebuild().build(id).unwrap().finished().await;
        self.get(id).await
    }

    /// Runs a build to its end.
    async fn run(&self) -> Build {
        let id = self.start().await;
        self.finish(&id).await
    }

    fn log(&self, build: &Build) -> String {
        self.cloud
            .codebuild()
            .build(build.id().unwrap())
            .unwrap()
            .log()
    }
}

fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable::builder()
        .name(name)
        .value(value)
        .build()
        .unwrap()
}

/// Phases with their ends.
fn phases(build: &Build) -> Vec<(&str, Option<&str>)> {
    build
        .phases()
        .iter()
        .map(|phase| {
            (
                phase.phase_type().unwrap().as_str(),
                phase.phase_status().map(StatusType::as_str),
            )
        })
        .collect()
}

/// Code and message of the phase that did not succeed.
fn failure(build: &Build) -> (&str, &str, &str) {
    let failed = build.phases().iter().find(|phase| {
        phase
            .phase_status()
            .is_some_and(|status| *status != StatusType::Succeeded)
    });
    let failed = failed.unwrap();
    let context = &failed.contexts()[0];
    (
        failed.phase_type().unwrap().as_str(),
        context.status_code().unwrap(),
        context.message().unwrap(),
    )
}

fn exported(build: &Build) -> Option<&str> {
    build.exported_environment_variables().first()?.value()
}

#[tokio::test]
async fn the_real_builder_runs_in_a_build() {
    for credentials in [CredentialsSource::Address, CredentialsSource::Variables] {
        let rights = [
            "BatchGetImage",
            "GetDownloadUrlForLayer",
            "BatchCheckLayerAvailability",
            "PutImage",
            "InitiateLayerUpload",
            "UploadLayerPart",
            "CompleteLayerUpload",
        ]
        .map(|action| format!("ecr:{action}"));
        let rights: Vec<_> = rights.iter().map(String::as_str).collect();
        let rights = [
            allow(&rights, &repository_arn("app")),
            allow(&["ecr:GetAuthorizationToken"], "*"),
        ];
        let program = std::fs::read(programs::builder()).unwrap();
        let given = given(project("p", BUILDSPEC), &rights)
            .repository("app", false)
            .object(
                "assets",
                "p.zip",
                zip(&[("soci-builder", 0o755, &program)]).unwrap(),
            );
        let options = codebuild::Options {
            credentials,
            ..Default::default()
        };
        let world = World::of(given, options).await;
        // The buildspec makes it executable itself.
        world
            .cloud
            .codebuild()
            .next_build(Script::new().drops_modes());
        let image = Image::of(Types::Docker, &[Layer::noise(1, 500_000)]);
        let reference = image.push(&world.cloud, "app", "v1").await.unwrap();
        let arguments = format!(
            "index\n{reference}\n--index-version=v2\n--output-tag=it's $(odd)\n--json\n--min-layer-size=0"
        );
        let refused = start_with(&world, &arguments).await;
        assert_eq!(
            refused.build_status(),
            Some(&StatusType::Failed),
            "{}",
            world.log(&refused)
        );

        let arguments = arguments.replace("it's $(odd)", "v1-soci");
        let build = start_with(&world, &arguments).await;
        let log = world.log(&build);
        assert_eq!(build.build_status(), Some(&StatusType::Succeeded), "{log}");
        let result: Value = serde_json::from_str(exported(&build).unwrap()).unwrap();
        assert_eq!(result["outcome"], "indexed");
        assert_eq!(
            world.cloud.ecr().tags("app")["v1-soci"],
            result["output_digest"]
        );
        assert_eq!(world.cloud.denials(), []);
        assert_eq!(world.cloud.proxy().refused(), Vec::<String>::new());
        for secret in world.cloud.ecr().secrets() {
            assert!(!log.contains(&secret));
        }
    }
}

async fn start_with(world: &World, arguments: &str) -> Build {
    let started = world
        .client
        .start_build()
        .project_name("p")
        .environment_variables_override(variable("SOCI_ARGUMENTS", arguments))
        .send()
        .await
        .unwrap();
    world
        .finish(started.build_value().unwrap().id().unwrap())
        .await
}

#[tokio::test]
async fn a_build_tells_all_of_itself() {
    let mut project = project(
        "p",
        r#"{"version": "0.2", "phases": {"build": {"commands": ["env; pwd; ./hello"]}}}"#,
    );
    project
        .environment
        .insert("KEPT".to_owned(), "1".to_owned());
    project
        .environment
        .insert("OVERRIDDEN".to_owned(), "1".to_owned());
    let world = World::of(given(project, &[]), Default::default()).await;
    let gate = Gate::closed();
    world
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Queued, &gate));
    let started = world
        .client
        .start_build()
        .project_name("p")
        .environment_variables_override(variable("OVERRIDDEN", "two words\nand a line"))
        .send()
        .await
        .unwrap();
    let id = started.build_value().unwrap().id().unwrap();
    gate.reached().await;
    let queued = world.get(id).await;
    assert_eq!(queued.current_phase(), Some("QUEUED"));
    assert_eq!(queued.build_status(), Some(&StatusType::InProgress));
    assert!(!queued.build_complete() && queued.end_time().is_none());
    assert!(queued.logs().unwrap().stream_name().is_none());
    assert!(
        queued
            .logs()
            .unwrap()
            .deep_link()
            .unwrap()
            .contains("group=null")
    );
    assert!(queued.phases().last().unwrap().phase_status().is_none());
    gate.open();

    let build = world.finish(id).await;
    assert!(build.build_complete() && build.end_time().is_some());
    assert_eq!(build.current_phase(), Some("COMPLETED"));
    assert_eq!(build.build_number(), Some(1));
    assert_eq!(
        build.arn().unwrap(),
        format!("arn:aws:codebuild:{REGION}:{ACCOUNT_ID}:build/{id}")
    );
    let names = [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
    ];
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| (*name, Some("SUCCEEDED")))
        .collect();
    expected.push(("COMPLETED", None));
    assert_eq!(phases(&build), expected);
    let logs = build.logs().unwrap();
    let stream = id.strip_prefix("p:").unwrap();
    assert_eq!(
        (logs.group_name(), logs.stream_name()),
        (Some("/builds/p"), Some(stream))
    );
    assert!(
        logs.deep_link()
            .unwrap()
            .ends_with(&format!("$252Fbuilds$252Fp/log-events/{stream}"))
    );
    let variables = build.environment().unwrap().environment_variables();
    let shown: Vec<_> = variables
        .iter()
        .map(|one| (one.name(), one.value()))
        .collect();
    assert_eq!(
        shown,
        [("KEPT", "1"), ("OVERRIDDEN", "two words\nand a line")]
    );

    let log = world.log(&build);
    for line in [
        "KEPT=1",
        "OVERRIDDEN=two words\nand a line",
        "hello from the source",
        "CODEBUILD_BUILD_ID=p:",
        "AWS_REGION=us-east-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:",
        "SSL_CERT_FILE=",
    ] {
        assert!(log.contains(line), "{line} is not in: {log}");
    }
    // Nothing of this machine's environment comes in.
    for name in ["CARGO", "AWS_ACCESS_KEY_ID", "USER="] {
        assert!(!log.contains(name), "{name} is in: {log}");
    }
}

#[tokio::test]
async fn commands_share_their_environment_and_nothing_else() {
    let world = World::with(&[
        "export A='x y'; plain=1; list=(1 2); mkdir sub; cd sub",
        "echo \"a=$A plain=$plain list=${list[*]} in=$(basename \"$PWD\")\"",
        "export OUT=\"several\nlines\"; exit 0",
    ])
    .await;
    let build = world.run().await;
    let log = world.log(&build);
    assert!(log.contains("a=x y plain= list= in=sub\n"), "{log}");
    assert_eq!(exported(&build), Some("several\nlines"));
}

#[tokio::test]
async fn a_failed_command_ends_its_phase() {
    let spec = |phase: &str| {
        let mut spec = json!({"version": "0.2", "env": {"exported-variables": ["OUT"]}, "phases": {
            "install": {"commands": ["echo in-install"]},
            "pre_build": {"commands": ["echo in-pre_build"]},
            "build": {"commands": ["echo in-build"]},
            "post_build": {"commands": ["echo in-post_build $CODEBUILD_BUILD_SUCCEEDING"]},
        }});
        spec["phases"][phase] = json!({"commands": ["export OUT=done", "exit 3", "echo never"], "finally": ["echo at last"]});
        spec.to_string()
    };
    for (phase, after) in [
        ("install", None),
        ("pre_build", None),
        ("build", Some("in-post_build 0")),
    ] {
        let world = World::of(given(project("p", &spec(phase)), &[]), Default::default()).await;
        let build = world.run().await;
        let log = world.log(&build);
        assert_eq!(build.build_status(), Some(&StatusType::Failed), "{log}");
        let (failed, code, message) = failure(&build);
        assert_eq!(
            (failed, code),
            (phase.to_uppercase().as_str(), "COMMAND_EXECUTION_ERROR")
        );
        assert_eq!(
            message,
            "Error while executing command: exit 3. Reason: exit status: 3"
        );
        assert!(log.contains("at last") && !log.contains("\nnever"), "{log}");
        assert_eq!(log.contains("in-post_build"), after.is_some(), "{log}");
        assert!(after.is_none_or(|after| log.contains(after)), "{log}");
        let reached_the_end = after.is_some();
        assert_eq!(exported(&build), reached_the_end.then_some("done"));
    }
}

#[tokio::test]
async fn every_end_comes_when_it_is_told() {
    let world = World::with(&["echo ran; export OUT=result"]).await;
    let codebuild = world.cloud.codebuild();
    for (phase, status) in [
        (Phase::Queued, Status::Failed),
        (Phase::Provisioning, Status::Fault),
        (Phase::Provisioning, Status::Failed),
        (Phase::DownloadSource, Status::TimedOut),
        (Phase::Build, Status::Failed),
        (Phase::Build, Status::Fault),
        (Phase::Build, Status::Stopped),
    ] {
        codebuild.next_build(Script::new().dies_in(phase, status, "SOME_CODE", "some words"));
        let build = world.run().await;
        assert_eq!(build.build_status().unwrap().as_str(), status.name());
        assert_eq!(failure(&build), (phase.name(), "SOME_CODE", "some words"));
        assert_eq!(
            build.phases().last().unwrap().phase_type(),
            Some(&BuildPhaseType::Completed)
        );
        assert_eq!(exported(&build), None);
        assert!(!world.log(&build).contains("\nran"));
    }
    for (exports, expected) in [
        (Exports::Kept, Some("result")),
        (Exports::Empty, Some("")),
        (Exports::Missing, None),
        (Exports::LostOnFailure, Some("result")),
    ] {
        codebuild.next_build(Script::new().exports(exports));
        assert_eq!(exported(&world.run().await), expected);
    }
    codebuild.every_build(Script::new().exports(Exports::Missing));
    assert_eq!(exported(&world.run().await), None);
    assert_eq!(exported(&world.run().await), None);
}

#[tokio::test]
async fn a_build_waits_for_so_many_questions() {
    let world = World::with(&["true"]).await;
    let script = Script::new()
        .held_in(Phase::Queued, &Gate::after(2))
        .held_in(Phase::Build, &Gate::after(1));
    world.cloud.codebuild().next_build(script);
    let id = world.start().await;
    let mut seen = Vec::new();
    loop {
        let build = world.get(&id).await;
        seen.push(build.current_phase().unwrap().to_owned());
        if build.build_complete() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(
        seen.iter().filter(|phase| *phase == "QUEUED").count() >= 2,
        "{seen:?}"
    );
    assert!(seen.contains(&"BUILD".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn a_build_is_stopped_with_all_that_it_started() {
    let world =
        World::with(&["(sleep 1000; echo no) & echo $! >../child; echo up; sleep 1000"]).await;
    let up = async || {
        let id = world.start().await;
        let running = world.cloud.codebuild().build(&id).unwrap();
        while !running.log().contains("\nup") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        id
    };
    let id = up().await;
    let processes = |id: &str| {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let sleeps = all.filter(|one| {
            let line = std::fs::read(one.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(id)
        });
        sleeps.count()
    };
    assert!(processes(&id) >= 3);
    world.client.stop_build().id(&id).send().await.unwrap();
    let build = world.finish(&id).await;
    assert_eq!(build.build_status(), Some(&StatusType::Stopped));
    assert_eq!(phases(&build)[6], ("BUILD", Some("STOPPED")));
    while processes(&id) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Stopped again, it stays what it is.
    let again = world.client.stop_build().id(&id).send().await.unwrap();
    assert_eq!(
        again.build_value().unwrap().build_status(),
        Some(&StatusType::Stopped)
    );
    let absent = world.client.stop_build().id("p:absent").send().await;
    assert_eq!(
        absent.unwrap_err().code(),
        Some("ResourceNotFoundException")
    );

    // The end of the cloud ends what runs in it.
    let id = up().await;
    assert!(processes(&id) >= 3);
    drop(world.cloud);
    while processes(&id) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_build_has_only_so_much_time() {
    let spec = r#"{"version": "0.2", "phases": {"build": {"commands": ["sleep 1000"]}}}"#;
    let options = codebuild::Options {
        // 45 minutes become 270 ms, 5 minutes 30 ms.
        pace: 0.0001,
        ..Default::default()
    };
    let world = World::of(given(project("p", spec), &[]), options).await;
    let build = world.run().await;
    assert_eq!(build.build_status(), Some(&StatusType::TimedOut));
    assert_eq!(failure(&build).0, "BUILD");
    assert_eq!(build.timeout_in_minutes(), Some(45));
    let script = Script::new().held_in(Phase::Queued, &Gate::closed());
    world.cloud.codebuild().next_build(script);
    let build = world.run().await;
    assert_eq!(build.build_status(), Some(&StatusType::TimedOut));
    assert_eq!(failure(&build).0, "QUEUED");
    assert_eq!(build.queued_timeout_in_minutes(), Some(5));
}

#[tokio::test]
async fn a_token_stands_for_one_build() {
    let world = World::with(&["true"]).await;
    let start = async |token: &str, value: &str| {
        let start = world
            .client
            .start_build()
            .project_name("p")
            .idempotency_token(token);
        let start = start.environment_variables_override(variable("A", value));
        let started = start.send().await?;
        Ok::<_, aws_sdk_codebuild::error::SdkError<StartBuildError>>(
            started.build_value().unwrap().id().unwrap().to_owned(),
        )
    };
    let first = start("t1", "1").await.unwrap();
    assert_eq!(start("t1", "1").await.unwrap(), first);
    let refused = start("t1", "2").await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_input_exception(), "{refused:?}");
    world.finish(&first).await;
    assert_eq!(start("t1", "1").await.unwrap(), first);
    assert_ne!(start("t2", "1").await.unwrap(), first);
    assert_eq!(world.cloud.codebuild().builds().len(), 2);
    world.cloud.codebuild().forget_tokens();
    assert_ne!(start("t1", "2").await.unwrap(), first);
}

#[tokio::test]
async fn builds_of_a_project_are_listed_in_pages() {
    let given = given(
        project(
            "p",
            r#"{"version": "0.2", "phases": {"build": {"commands": "true"}}}"#,
        ),
        &[],
    );
    let options = codebuild::Options {
        page: 2,
        ..Default::default()
    };
    let world = World::of(given, options).await;
    let mut started = Vec::new();
    for _ in 0..5 {
        started.push(world.start().await);
    }
    let list = async |order: SortOrderType| {
        let pages = world
            .client
            .list_builds_for_project()
            .project_name("p")
            .sort_order(order);
        let mut pages = pages.into_paginator().send();
        let mut ids = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.ids().len() <= 2);
            ids.extend_from_slice(page.ids());
        }
        ids
    };
    assert_eq!(list(SortOrderType::Ascending).await, started);
    let newest_first: Vec<_> = started.iter().rev().cloned().collect();
    assert_eq!(list(SortOrderType::Descending).await, newest_first);
    let absent = world
        .client
        .list_builds_for_project()
        .project_name("absent")
        .send()
        .await;
    assert_eq!(
        absent.unwrap_err().code(),
        Some("ResourceNotFoundException")
    );
    let get = world
        .client
        .batch_get_builds()
        .ids(&started[0])
        .ids("p:absent")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (get.builds().len(), get.builds_not_found()),
        (1, &["p:absent".to_owned()][..])
    );
}

#[tokio::test]
async fn starts_can_be_refused() {
    let world = World::with(&["true"]).await;
    let start = async || {
        let started = world.client.start_build().project_name("p").send().await;
        started.map_err(|error| error.into_service_error())
    };
    let point = Point::codebuild("StartBuild");
    world
        .cloud
        .faults()
        .next(point.clone(), Fault::account_limit());
    assert!(
        start()
            .await
            .unwrap_err()
            .is_account_limit_exceeded_exception()
    );
    let gate = Gate::closed();
    world.cloud.codebuild().limit(Some(1));
    world
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    let id = world.start().await;
    assert!(
        start()
            .await
            .unwrap_err()
            .is_account_limit_exceeded_exception()
    );
    gate.open();
    world.finish(&id).await;
    start().await.unwrap();
    world.cloud.codebuild().limit(None);

    // Started, though nobody is told.
    let before = world.cloud.codebuild().builds().len();
    world.cloud.faults().next(point.clone(), Fault::AnswerLost);
    assert!(start().await.is_err());
    assert_eq!(world.cloud.codebuild().builds().len(), before + 1);
    world.cloud.faults().next(point, Fault::Cut);
    assert!(start().await.is_err());
    assert_eq!(world.cloud.codebuild().builds().len(), before + 1);
    let other = world
        .client
        .start_build()
        .project_name("p")
        .buildspec_override("x")
        .send()
        .await;
    assert_eq!(other.unwrap_err().code(), Some("UnknownOperationException"));
    let absent = world
        .client
        .start_build()
        .project_name("absent")
        .send()
        .await;
    assert!(
        absent
            .unwrap_err()
            .into_service_error()
            .is_resource_not_found_exception()
    );
}

#[tokio::test]
async fn what_was_asked_is_done_though_the_asker_dies() {
    let world = World::with(&["true"]).await;
    let gate = Gate::closed();
    world
        .cloud
        .faults()
        .next(Point::codebuild("StartBuild"), Fault::Held(gate.clone()));
    let (sent, done) = tokio::sync::oneshot::channel();
    let sent = std::sync::Mutex::new(Some(sent));
    world.cloud.faults().on_call(move |_, moment| {
        if moment == Moment::Done
            && let Some(sent) = sent.lock().unwrap().take()
        {
            sent.send(()).unwrap();
        }
    });
    let asking = tokio::spawn(world.client.start_build().project_name("p").send());
    gate.reached().await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    gate.open();
    done.await.unwrap();
    assert_eq!(world.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn the_caller_needs_the_right_to_each_action() {
    let spec = r#"{"version": "0.2", "phases": {"build": {"commands": "true"}}}"#;
    let role = role_arn("provider");
    let arn = format!("arn:aws:codebuild:{REGION}:{ACCOUNT_ID}:project/p");
    let all = [
        "StartBuild",
        "BatchGetBuilds",
        "ListBuildsForProject",
        "StopBuild",
    ];
    let rights = all.map(|action| format!("codebuild:{action}"));
    let rights: Vec<_> = rights.iter().map(String::as_str).collect();
    let given = given(project("p", spec), &[])
        .function("Provider", &role)
        .role(&role, json!([allow(&rights, &arn)]));
    let world = World::of(given, Default::default()).await;
    let provider = client(&world.cloud, ACCOUNT_ID);
    let iam = world.cloud.iam();
    iam.withhold(&role, "codebuild:StartBuild", Lasts::Times(2));
    for _ in 0..2 {
        let denied = provider
            .start_build()
            .project_name("p")
            .send()
            .await
            .unwrap_err();
        assert_eq!(denied.code(), Some("AccessDeniedException"));
        let words = denied.message().unwrap();
        assert!(
            words.contains("codebuild:StartBuild on resource: arn:aws:codebuild:"),
            "{words}"
        );
    }
    let started = provider
        .start_build()
        .project_name("p")
        .send()
        .await
        .unwrap();
    let id = started.build_value().unwrap().id().unwrap();
    assert_eq!(started.build_value().unwrap().initiator(), Some("Provider"));
    provider.batch_get_builds().ids(id).send().await.unwrap();
    provider
        .list_builds_for_project()
        .project_name("p")
        .send()
        .await
        .unwrap();
    provider.stop_build().id(id).send().await.unwrap();
    for action in rights {
        iam.withhold(&role, action, Lasts::UntilLifted);
    }
    let denied = [
        provider
            .batch_get_builds()
            .ids(id)
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        provider
            .list_builds_for_project()
            .project_name("p")
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
        provider
            .stop_build()
            .id(id)
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
    ];
    assert!(
        denied
            .iter()
            .all(|code| code.as_deref() == Some("AccessDeniedException")),
        "{denied:?}"
    );
}

#[tokio::test]
async fn the_role_needs_its_log_and_its_source() {
    let world = World::with(&["true"]).await;
    assert_eq!(
        world.run().await.build_status(),
        Some(&StatusType::Succeeded)
    );
    for (action, phase, code, words) in [
        (
            "logs:CreateLogStream",
            "PROVISIONING",
            "ACCESS_DENIED",
            "does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for build arn:",
        ),
        (
            "logs:PutLogEvents",
            "PROVISIONING",
            "ACCESS_DENIED",
            "logs:PutLogEvents",
        ),
        (
            "s3:GetObject",
            "DOWNLOAD_SOURCE",
            "CLIENT_ERROR",
            "s3:GetObject on resource: arn:aws:s3:::assets/p.zip",
        ),
        (
            "s3:GetObjectVersion",
            "DOWNLOAD_SOURCE",
            "CLIENT_ERROR",
            "AccessDenied",
        ),
        (
            "s3:GetBucketAcl",
            "DOWNLOAD_SOURCE",
            "CLIENT_ERROR",
            "AccessDenied",
        ),
        (
            "s3:GetBucketLocation",
            "DOWNLOAD_SOURCE",
            "CLIENT_ERROR",
            "AccessDenied",
        ),
    ] {
        world.cloud.iam().withhold("*", action, Lasts::UntilLifted);
        let build = world.run().await;
        assert_eq!(build.build_status(), Some(&StatusType::Failed), "{action}");
        let (failed, found, message) = failure(&build);
        assert_eq!((failed, found), (phase, code), "{action}");
        assert!(message.contains(words), "{message}");
        world.cloud.iam().lift(action);
    }
}

#[tokio::test]
async fn a_source_or_a_buildspec_that_is_none_ends_the_build() {
    let good = r#"{"version": "0.2", "phases": {"build": {"commands": "true"}}}"#;
    let source =
        |bytes: &'static [u8]| given(project("p", good), &[]).object("assets", "p.zip", bytes);
    let mut elsewhere = project("p", good);
    elsewhere.source.0 = "nowhere".to_owned();
    let rights = [
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetBucketAcl",
        "s3:GetBucketLocation",
    ];
    let elsewhere = given(elsewhere, &[allow(&rights, "*")]);
    for (given, code, words) in [
        (source(b"no zip"), "CLIENT_ERROR", "not a zip"),
        (
            given(project("p", "version: 0.1"), &[]),
            "YAML_FILE_ERROR",
            "version",
        ),
        (elsewhere, "CLIENT_ERROR", "NoSuchKey"),
    ] {
        let world = World::of(given, Default::default()).await;
        let build = world.run().await;
        let (phase, found, message) = failure(&build);
        assert_eq!((phase, found), ("DOWNLOAD_SOURCE", code), "{message}");
        assert!(message.contains(words), "{message}");
    }
}
