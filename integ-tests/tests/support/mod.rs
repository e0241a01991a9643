//! What the tests of the provider alone share: a scene, and what is right about every answer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod rights;

use std::{path::Path, sync::Arc, sync::OnceLock, time::Duration};

use local_cloud::{
    answers::Answer,
    cloud,
    codebuild::{Build, Phase, Script},
    faults::Gate,
    image::{Image, Layer, Types},
    stage::{Event, Options, Provider, REPOSITORY, Scene},
    template::{Place, TemplateAccount},
};
use serde_json::Value;

/// How long a test waits for what must come: far above what it takes, on a machine that does other things too.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// The templates; synthesized once in each test program.
pub(crate) fn templates() -> TemplateAccount {
    static TEMPLATES: OnceLock<TemplateAccount> = OnceLock::new();
    TEMPLATES.get_or_init(|| templates_in(Place::HOME)).fresh()
}

/// The same in another region.
pub(crate) fn templates_in(place: Place) -> TemplateAccount {
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/app/app.js");
    TemplateAccount::synthesize_in(place, &app).unwrap_or_else(|error| panic!("{error}"))
}

/// A scene with the image `app:v1` in it.
pub(crate) async fn scene() -> Scene {
    let scene = empty_scene().await;
    image(1).push(&scene.cloud, REPOSITORY, "v1").await.unwrap();
    scene
}

/// A scene with an empty repository.
pub(crate) async fn empty_scene() -> Scene {
    Scene::set(templates(), cloud::Options::default())
        .await
        .unwrap()
}

/// A small image with two layers; another seed, another image.
pub(crate) fn image(seed: u64) -> Image {
    let layers = [
        Layer::noise(seed, 20_000),
        Layer::noise(seed + 1_000, 10_000),
    ];
    Image::of(Types::Docker, &layers)
}

/// The provider of the stack `Keep`.
pub(crate) async fn keeper(scene: &Scene) -> Provider {
    scene.provider("Keep", Options::default()).await.unwrap()
}

/// Delivers a Create and waits until its build stands still in a phase.
pub(crate) async fn held_in(
    phase: Phase,
    scene: &Scene,
    provider: &Provider,
    gate: &Gate,
) -> Event {
    let script = Script::new().held_in(phase, gate);
    scene.cloud.codebuild().next_build(script);
    let event = provider.create();
    provider.deliver(&event);
    gate.reached().await;
    event
}

/// Delivers an event and gives its one answer, after everything has become quiet.
pub(crate) async fn ask(provider: &Provider, event: &Event) -> Answer {
    provider.deliver(event);
    settle(provider, event).await
}

/// The one answer to an event that was delivered: however often it came, it says the same.
pub(crate) async fn settle(provider: &Provider, event: &Event) -> Answer {
    let first = provider
        .answer(event, LIMIT)
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    provider
        .lambda
        .quiet(LIMIT)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    for answer in provider.answers.all(&event.place) {
        is_right(&answer, event);
        for field in ["Status", "PhysicalResourceId"] {
            assert_eq!(
                answer.text(field),
                first.text(field),
                "two answers differ in {field}"
            );
        }
        for name in ["OutputImageDigest", "InputImageDigest", "OutputImageTag"] {
            assert_eq!(
                answer.data(name),
                first.data(name),
                "two answers differ in {name}"
            );
        }
    }
    first
}

/// What holds for every answer, good or bad.
pub(crate) fn is_right(answer: &Answer, event: &Event) {
    assert!(
        answer.body.len() <= 4_096,
        "{} bytes: {:?}",
        answer.body.len(),
        answer.json
    );
    for field in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_eq!(
            answer.json[field], event.json[field],
            "{field} is not the event's"
        );
    }
    let id = answer.text("PhysicalResourceId");
    assert!(
        (1..=1_024).contains(&id.len()),
        "id of {} bytes: {id}",
        id.len()
    );
    let attributes = answer.json["Data"].as_object();
    for (name, value) in attributes.into_iter().flatten() {
        assert!(value.is_string(), "{name} is no string: {value}");
    }
    match answer.text("Status") {
        "SUCCESS" => {}
        "FAILED" => {
            let reason = answer.text("Reason");
            assert!(!reason.is_empty(), "a failure without a reason");
            assert!(
                !reason.chars().any(char::is_control),
                "control characters: {reason:?}"
            );
        }
        other => panic!("status {other:?}"),
    }
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        !text.contains(&event.place.signature),
        "the answer holds its own address: {text}"
    );
}

/// An answer that must be good.
pub(crate) fn succeeded(answer: &Answer) {
    assert!(answer.succeeded(), "failed: {}", answer.text("Reason"));
}

/// An answer that must be bad, with these words in its reason.
pub(crate) fn failed_with(answer: &Answer, words: &[&str]) {
    assert_eq!(answer.text("Status"), "FAILED", "{}", answer.json);
    let reason = answer.text("Reason");
    for word in words {
        assert!(reason.contains(word), "no {word:?} in the reason: {reason}");
    }
}

/// The builds that were started for an event.
pub(crate) fn builds_of(scene: &Scene, event: &Event) -> Vec<Arc<Build>> {
    let mut builds = scene.cloud.codebuild().builds();
    builds.retain(|build| {
        let id = build.environment().get("SOCI_REQUEST_ID");
        id.is_some_and(|id| id == event.request_id())
    });
    builds
}

/// The builder's arguments as a build was given them.
pub(crate) fn arguments_of(build: &Build) -> Vec<String> {
    let environment = build.environment();
    let later = (2..).map_while(|at| environment.get(&format!("SOCI_ARGUMENTS_{at}")));
    let text: String = std::iter::once(&environment["SOCI_ARGUMENTS"])
        .chain(later)
        .map(String::as_str)
        .collect();
    let decode = |argument: &str| {
        let mut pieces = argument.split('%');
        let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
        for piece in pieces {
            let (code, rest) = piece.split_at(2);
            bytes.push(u8::from_str_radix(code, 16).unwrap());
            bytes.extend(rest.bytes());
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split(',').map(decode).collect()
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// All attributes of a good answer of version 2.
pub(crate) const ATTRIBUTES: [&str; 8] = [
    "BuildId",
    "BytesRead",
    "InputImageDigest",
    "LayersIndexed",
    "LayersReused",
    "Outcome",
    "OutputImageDigest",
    "OutputImageTag",
];

/// The names of an answer's attributes, sorted.
pub(crate) fn attributes(answer: &Answer) -> Vec<String> {
    let data = answer.json["Data"]
        .as_object()
        .map(|data| data.keys().cloned().collect());
    let mut names: Vec<String> = data.unwrap_or_default();
    names.sort();
    names
}

/// A list of texts as a property.
pub(crate) fn texts(items: &[&str]) -> Value {
    items.iter().copied().collect()
}
