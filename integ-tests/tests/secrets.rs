//! No secret is seen anywhere but where it belongs: not the address of the answer, no registry token, no signed address of a
//! blob. Looked for in all that is printed, stored, answered and passed to builds, on good ways and bad ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use local_cloud::{
    answers::Down,
    calls::Calls,
    codebuild::{Phase, Script, Status},
    faults::{Fault, Gate, Point},
    iam::Lasts,
    stage::{Event, Provider, Scene},
};

use support::{ask, image, keeper, scene, settle, succeeded};

/// Where a secret could be seen: a name and a text.
fn places(scene: &Scene, provider: &Provider, events: &[Event]) -> Vec<(String, String)> {
    let mut places = vec![(
        "the provider's output".to_owned(),
        provider.lambda.printed(),
    )];
    for build in scene.cloud.codebuild().builds() {
        places.push((
            format!("the environment of {}", build.id()),
            format!("{:?}", build.environment()),
        ));
        places.push((format!("the log of {}", build.id()), build.log()));
    }
    for event in events {
        for answer in provider.answers.all(&event.place) {
            places.push((
                "an answer".to_owned(),
                String::from_utf8_lossy(&answer.body).into_owned(),
            ));
        }
    }
    for run in provider.lambda.runs() {
        places.push((
            "what an invocation returned".to_owned(),
            format!("{:?}", run.outcome),
        ));
    }
    places.extend(spoken(&provider.calls));
    places
}

/// What the provider asks of AWS and CodeBuild stores; the answer itself and the hand-over have to hold the address, and ECR's
/// answers hold signed ones.
fn spoken(calls: &Calls) -> Vec<(String, String)> {
    let mut places = Vec::new();
    for call in calls.all() {
        if call.service == "ecr" || call.service == "codebuild" {
            places.push((
                format!("{}'s input", call.operation),
                String::from_utf8_lossy(&call.body).into_owned(),
            ));
        }
        if call.service == "codebuild" {
            places.push((
                format!("{}'s output", call.operation),
                String::from_utf8_lossy(&call.response).into_owned(),
            ));
        }
        for (name, value) in call
            .headers
            .iter()
            .filter(|(name, _)| *name != "authorization")
        {
            places.push((format!("{}'s header {name}", call.operation), value.clone()));
        }
    }
    places
}

fn secrets(scene: &Scene, events: &[Event]) -> Vec<String> {
    let mut secrets = scene.cloud.ecr().secrets();
    for event in events {
        secrets.push(event.place.signature.clone());
        let token = event
            .place
            .url
            .split("X-Amz-Security-Token=")
            .nth(1)
            .unwrap();
        secrets.push(token[..40].to_owned());
        secrets.push(event.place.url.split_once('?').unwrap().0.to_owned());
    }
    secrets
}

fn found(places: &[(String, String)], secrets: &[String]) -> Vec<String> {
    let seen = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
    let places = places.iter().filter(|(_, text)| seen(text));
    places
        .map(|(name, text)| format!("{name}: {text}"))
        .collect()
}

#[tokio::test]
async fn no_secret_is_seen() {
    let scene = scene().await;
    image(2).push(&scene.cloud, "app", "v2").await.unwrap();
    let provider = keeper(&scene).await;
    let mut events = Vec::new();

    // Well, with a second invocation.
    provider
        .lambda
        .set_timeout(std::time::Duration::from_secs(2));
    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    let event = provider.create();
    let mut handed_over =
        provider
            .calls
            .hold_operation("POST lambda", 0, local_cloud::calls::Moment::After);
    provider.deliver(&event);
    handed_over.arrived().await;
    handed_over.release();
    gate.open();
    succeeded(&settle(&provider, &event).await);
    events.push(event);
    provider.lambda.set_timeout(support::LIMIT);
    let event = provider.create();
    succeeded(&ask(&provider, &event).await);
    events.push(event);

    // With everything that prints.
    let wrong = [
        provider.create().with("IndexVersion", "v9"),
        provider.create().field("RequestType", "Rename"),
        provider.create().field("StackId", serde_json::Value::Null),
        // Under the usual output tag lies an index of ours, which is the answer where the image is gone.
        provider
            .create()
            .with("InputImageTag", "missing")
            .with("OutputImageTag", "missing-soci"),
        provider
            .create()
            .with("Platforms", support::texts(&["linux/s390x"])),
    ];
    for event in &wrong {
        provider.deliver(event);
        assert!(
            !provider
                .answer(event, support::LIMIT)
                .await
                .unwrap()
                .succeeded()
        );
    }
    events.extend(wrong);

    let dying = Script::new().dies_in(Phase::Provisioning, Status::Fault, "CODE", "no machine");
    scene.cloud.codebuild().next_build(dying);
    let event = provider.create().with("OutputImageTag", "dies");
    ask(&provider, &event).await;
    events.push(event);

    for fault in [Fault::Cut, Fault::Throttled] {
        scene
            .cloud
            .faults()
            .times(3, Point::ecr("GetDownloadUrlForLayer"), fault.clone());
        scene
            .cloud
            .faults()
            .times(2, Point::storage(), Fault::Expired);
        scene
            .cloud
            .faults()
            .times(2, Point::registry("GetManifest"), Fault::Expired);
        let event = provider
            .create()
            .with("OutputImageTag", format!("{fault:?}"));
        provider.answers.down(Down::Unavailable, 3).await.unwrap();
        ask(&provider, &event).await;
        events.push(event);
    }
    for action in [
        "ecr:GetDownloadUrlForLayer",
        "ecr:GetAuthorizationToken",
        "codebuild:StartBuild",
        "lambda:InvokeFunction",
    ] {
        scene.cloud.iam().withhold("*", action, Lasts::UntilLifted);
        let event = provider
            .create()
            .with("InputImageTag", "v2")
            .with("OutputImageTag", action.replace(':', "-"));
        ask(&provider, &event).await;
        events.push(event);
        scene.cloud.iam().lift(action);
    }
    // An endpoint that refuses for good.
    let mut refused = provider.create();
    refused.json["ResponseURL"] = refused.place.url.replace("%2F", "%2f").into();
    provider.deliver(&refused);
    provider.lambda.quiet(support::LIMIT).await.unwrap();
    events.push(refused);

    let (places, secrets) = (places(&scene, &provider, &events), secrets(&scene, &events));
    assert!(scene.cloud.ecr().secrets().len() > 4 && places.len() > 100);
    assert_eq!(found(&places, &secrets), Vec::<String>::new());

    // The search finds what is there.
    let planted = [(
        "planted".to_owned(),
        format!("a line with {} in it", events[0].place.url),
    )];
    assert_eq!(found(&planted, &secrets).len(), 1);
}
