//! The policies of the template: with all of them everything works, and without any one action something does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use local_cloud::{
    answers::Answer,
    codebuild::{Phase, Script, Status},
    faults::Gate,
    iam::Lasts,
    stage::{Event, Options, Provider, REPOSITORY, Scene},
    template::Right,
};
use tokio::time::timeout;

use support::{LIMIT, builds_of, scene, templates};

/// What the stacks with the most rights are to do; they have every right that there is.
const STACKS: [&str; 2] = ["Destroy", "DestroyV1"];

/// Denials are waited for by nobody here: two minutes are 0.24 s.
const QUICK: Options = Options {
    pace: 0.002,
    timeout: Duration::from_secs(900),
    retry_pause: Duration::from_millis(20),
};

type Done<T> = Result<T, String>;

async fn good(provider: &Provider, event: &Event) -> Done<Answer> {
    let answer = provider
        .answer(event, LIMIT)
        .await
        .map_err(|error| support::chain(&error))?;
    provider
        .lambda
        .quiet(LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    match answer.succeeded() {
        true => Ok(answer),
        false => Err(answer.text("Reason").to_owned()),
    }
}

fn holds(truth: bool, what: &str) -> Done<()> {
    if truth { Ok(()) } else { Err(what.to_owned()) }
}

/// A life of the resource: made, found again, watched by two invocations, stopped, deleted; and its logs can be read.
async fn life(scene: &Scene, stack: &str) -> Done<()> {
    let provider = scene
        .provider(stack, QUICK)
        .await
        .map_err(|error| error.to_string())?;
    let create = provider.create();
    provider.deliver(&create);
    let created = good(&provider, &create).await?;
    for build in builds_of(scene, &create) {
        holds(build.log().contains("soci"), "the build has no log")?;
    }
    holds(
        !provider.lambda.logged().is_empty(),
        "the function has no log",
    )?;

    let again = provider.create();
    provider.deliver(&again);
    let found = good(&provider, &again).await?;
    holds(
        found.data("Outcome") == "already-there",
        "the index was not found",
    )?;
    holds(
        builds_of(scene, &again).is_empty(),
        "the index was found by a build only",
    )?;

    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    provider.lambda.set_timeout(Duration::from_secs(2));
    let long = provider
        .create()
        .with("SpanSize", "8192")
        .field("LogicalResourceId", "Long");
    let long = if stack == "Destroy" {
        long.with("OutputImageTag", "long")
    } else {
        long
    };
    let mut handed_over =
        provider
            .calls
            .hold_operation("POST lambda", 0, local_cloud::calls::Moment::After);
    provider.deliver(&long);
    timeout(LIMIT, handed_over.arrived())
        .await
        .map_err(|_| "nothing was handed over")?;
    handed_over.release();
    gate.open();
    good(&provider, &long).await?;
    provider.lambda.set_timeout(LIMIT);

    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Queued, &gate));
    let given_up = provider
        .create()
        .with("SpanSize", "16384")
        .field("LogicalResourceId", "GivenUp");
    let given_up = if stack == "Destroy" {
        given_up.with("OutputImageTag", "given-up")
    } else {
        given_up
    };
    provider.deliver(&given_up);
    timeout(LIMIT, gate.reached())
        .await
        .map_err(|_| "no build was started")?;
    let delete = provider.delete(&given_up, "not-created/before");
    provider.deliver(&delete);
    let deleted = provider
        .answer(&delete, LIMIT)
        .await
        .map_err(|error| support::chain(&error))?;
    holds(deleted.succeeded(), deleted.text("Reason"))?;
    let build = &builds_of(scene, &given_up)[0];
    holds(
        !provider.calls.of("StopBuild").is_empty(),
        "nothing was stopped",
    )?;
    holds(
        timeout(Duration::from_secs(1), build.finished()).await == Ok(Some(Status::Stopped)),
        "the build was not stopped",
    )?;
    provider
        .lambda
        .quiet(LIMIT)
        .await
        .map_err(|error| error.to_string())?;

    let digests = scene.cloud.ecr().digests(REPOSITORY).len();
    let delete = provider.delete(&create, created.text("PhysicalResourceId"));
    provider.deliver(&delete);
    good(&provider, &delete).await?;
    holds(
        scene.cloud.ecr().digests(REPOSITORY).len() < digests,
        "nothing was deleted",
    )
}

#[tokio::test]
async fn the_rights_are_enough_and_all_are_used() {
    for stack in STACKS {
        let scene = scene().await;
        life(&scene, stack)
            .await
            .unwrap_or_else(|why| panic!("{stack}: {why}"));
        assert!(
            scene.cloud.denials().is_empty(),
            "{stack}: {:?}",
            scene.cloud.denials()
        );
        let used = scene.cloud.iam().used();
        let mut rights = templates().rights(stack).unwrap();
        assert!(rights.len() > 20, "only {} rights", rights.len());
        rights.retain(|right| !used.contains(&(right.role.clone(), right.action.clone())));
        assert!(rights.is_empty(), "{stack} makes no use of {rights:#?}");
    }
}

#[tokio::test]
async fn without_any_one_right_something_fails() {
    // Both versions do the same calls; that both use all rights is tested above.
    let stack = STACKS[0];
    let rights = templates().rights(stack).unwrap();
    let lives = rights.into_iter().map(|right| async move {
        let scene = scene().await;
        scene
            .cloud
            .iam()
            .withhold(&right.role, &right.action, Lasts::UntilLifted);
        let lived = life(&scene, stack).await;
        (right, lived)
    });
    let lived: Vec<(Right, Done<()>)> = stream::iter(lives).buffer_unordered(3).collect().await;
    for (right, lived) in &lived {
        let (role, action) = (&right.role, &right.action);
        eprintln!("without {action} of {role}: {lived:?}");
    }
    let needless = lived
        .into_iter()
        .filter(|(_, lived)| lived.is_ok())
        .map(|(right, _)| right);
    let needless: Vec<Right> = needless.collect();
    assert!(needless.is_empty(), "{stack} works without {needless:#?}");
}

#[test]
fn rights_name_what_they_are_for() {
    let templates = templates();
    for stack in templates.stacks() {
        for right in templates.rights(&stack).unwrap() {
            let is_named =
                !right.resource.trim_end_matches(":*").contains('*') && !right.action.contains('*');
            assert_eq!(
                is_named,
                right.action != "ecr:GetAuthorizationToken",
                "{stack}: {right:?}"
            );
        }
    }
}

#[test]
fn what_keeps_its_index_may_delete_nothing() {
    let templates = templates();
    for stack in ["Keep", "KeepV1"] {
        for right in templates.rights(stack).unwrap() {
            assert!(!right.action.contains("Delete"), "{right:?}");
        }
    }
}
