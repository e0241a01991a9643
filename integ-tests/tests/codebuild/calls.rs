//! CodeBuild's API: one build for one token, lists, refusals and rights.

use aws_sdk_codebuild::{
    error::ProvideErrorMetadata,
    operation::start_build::StartBuildError,
    types::{SortOrderType, StatusType},
};
use local_cloud::{
    account::{ACCOUNT_ID, REGION},
    cloud::given::{allow, project, role_arn},
    codebuild::{self, Phase, Script},
    faults::{Fault, Gate, Moment, Point},
    iam::Lasts,
};
use serde_json::json;

use crate::support::{World, client, failure, given, variable};

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
    world.cloud.codebuild().limit(Some(0));
    let refused = start().await.unwrap_err();
    assert!(refused.is_account_limit_exceeded_exception());
    assert_eq!(
        refused.message(),
        Some("Cannot have more than 0 builds in queue for the account")
    );
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
async fn builds_over_the_quota_wait_for_their_turn_and_then_are_refused() {
    let world = World::with(&["true"]).await;
    let codebuild = world.cloud.codebuild();
    codebuild.limit(Some(1));
    let gate = Gate::closed();
    codebuild.next_build(Script::new().held_in(Phase::Build, &gate));
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.start().await);
    }
    let seventh = world.client.start_build().project_name("p").send().await;
    let seventh = seventh.unwrap_err().into_service_error();
    assert!(seventh.is_account_limit_exceeded_exception(), "{seventh:?}");
    gate.reached().await;
    for id in &ids[1..] {
        let build = world.get(id).await;
        assert_eq!(build.build_status(), Some(&StatusType::InProgress));
        assert!(matches!(
            build.current_phase(),
            Some("SUBMITTED" | "QUEUED")
        ));
    }
    // One that is stopped leaves the queue.
    world.client.stop_build().id(&ids[5]).send().await.unwrap();
    assert_eq!(
        world.finish(&ids[5]).await.build_status(),
        Some(&StatusType::Stopped)
    );
    ids[5] = world.start().await;
    gate.open();
    for id in &ids {
        assert_eq!(
            world.finish(id).await.build_status(),
            Some(&StatusType::Succeeded)
        );
    }
}

#[tokio::test]
async fn variables_are_as_long_as_codebuild_takes_them() {
    let world = World::with(&["printf %s \"${#LONG}\""]).await;
    let start = async |name: &str, value: &str| {
        let start = world.client.start_build().project_name("p");
        let started = start
            .environment_variables_override(variable(name, value))
            .send()
            .await;
        started.map_err(|error| error.into_service_error())
    };
    for (name, value, words) in [
        (
            "LONG",
            "x".repeat(4_097),
            "EnvironmentVariable should be at most 4096 characters",
        ),
        (
            "LINES",
            "a\nb".to_owned(),
            "a line break in the variable LINES",
        ),
        (
            "CODEBUILD_X",
            "x".to_owned(),
            "cannot start with CODEBUILD_",
        ),
    ] {
        let refused = start(name, &value).await.unwrap_err();
        assert!(refused.message().unwrap().contains(words), "{refused:?}");
    }
    let started = start("LONG", &"ü".repeat(4_096)).await.unwrap();
    let build = world
        .finish(started.build_value().unwrap().id().unwrap())
        .await;
    assert_eq!(build.build_status(), Some(&StatusType::Succeeded));
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
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, done).await.unwrap().unwrap();
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
