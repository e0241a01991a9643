//! Every other end of a build, and when it comes.

use std::time::Duration;

use aws_sdk_codebuild::{
    error::ProvideErrorMetadata,
    types::{BuildPhaseType, StatusType},
};
use local_cloud::{
    cloud::given::{allow, project},
    codebuild::{self, Exports, Phase, Script, Status},
    faults::Gate,
};
use serde_json::json;

use crate::support::{World, exported, failure, given, phases};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits for what happens outside of this process.
async fn until(mut happened: impl FnMut() -> bool) {
    let asked = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, asked).await.unwrap();
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
async fn what_a_failed_command_exports_is_lost() {
    let world = World::with(&["export OUT=lost; false"]).await;
    let build = world.run().await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    assert_eq!(exported(&build), Some(""));
    let world = World::with(&["export OUT=kept", "false"]).await;
    assert_eq!(exported(&world.run().await), Some("kept"));
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
        until(|| running.log().contains("\nup")).await;
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
    until(|| processes(&id) == 0).await;
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
    until(|| processes(&id) == 0).await;
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
    assert_eq!(build.timeout_in_minutes(), Some(20));
    let script = Script::new().held_in(Phase::Queued, &Gate::closed());
    world.cloud.codebuild().next_build(script);
    let build = world.run().await;
    assert_eq!(build.build_status(), Some(&StatusType::TimedOut));
    assert_eq!(failure(&build).0, "QUEUED");
    assert_eq!(build.queued_timeout_in_minutes(), Some(30));
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
