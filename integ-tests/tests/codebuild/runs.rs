//! Builds that run well: the construct's buildspec with the real builder, and what every command finds.

use aws_sdk_codebuild::types::{Build, StatusType};
use local_cloud::{
    account::{ACCOUNT_ID, REGION, repository_arn},
    cloud::given::{allow, project, zip},
    codebuild::{self, CredentialsSource, Phase, Script},
    faults::Gate,
    image::{Image, Layer, Types},
    programs,
};
use serde_json::Value;

use crate::support::{World, exported, given, phases, variable};

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
        IFS=, read -ra arguments <<<"$SOCI_ARGUMENTS"
        chmod +x "$CODEBUILD_SRC_DIR/soci-builder"
        status=0
        SOCI_RESULT=$("$CODEBUILD_SRC_DIR/soci-builder" "${arguments[@]}") || status=$?
        export SOCI_RESULT SOCI_STATUS=$status
      - (exit "$SOCI_STATUS")
"#;

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
            "index,{reference},--index-version=v2,--output-tag=it's $(odd),--json,--min-layer-size=0"
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
        for secret in world.cloud.secrets() {
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
        .environment_variables_override(variable("OVERRIDDEN", "two words, and more"))
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
        [("KEPT", "1"), ("OVERRIDDEN", "two words, and more")]
    );

    let log = world.log(&build);
    for line in [
        "KEPT=1",
        "OVERRIDDEN=two words, and more",
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
