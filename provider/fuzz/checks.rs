//! What must hold for any bytes at all. The fuzz targets call it, and so does `tests/fuzz.rs` with a fixed seed, so that it is
//! kept true where no fuzzer can run.

use serde_json::{Value, json};
use soci_provider::{
    arguments,
    build::{End, EndedBuild},
    event::{Incoming, Kind, Resumed},
    on_push::{self, Pushed, Settings},
    properties::{self, Properties},
    response::Response,
    verdict,
};
use soci_tasks::Task;

/// A signature that must never be shown.
const SECRET: &str = "c0ffee";

/// A valid event survives a hand-over unchanged; an invalid one still gets a response if possible; no secret is printed.
pub(crate) fn event(bytes: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let incoming = match Incoming::parse(payload) {
        Ok(incoming) => incoming,
        Err(invalid) => {
            if let Some(context) = invalid.context {
                is_json(&Response::failed(&context, &invalid.why, None).body());
            }
            return;
        }
    };
    let event = &incoming.event;
    // The signature stands in the address's query; an input that has it elsewhere, too, shows no leak.
    let text = String::from_utf8_lossy(bytes);
    let query = event.context.response_url.secret().query();
    if text.matches(SECRET).count() == 1 && query.is_some_and(|query| query.contains(SECRET)) {
        let shown = format!("{incoming:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let _ = event.context.response_url.made();
    if let Some(resumed) = &incoming.resumed {
        again(&incoming, resumed);
    }
    let raw = event.properties();
    let _ = (properties::is_destroyed(raw), properties::project(raw));
    let _ = (properties::repository(raw), properties::input(raw));
    match Properties::parse(raw) {
        Ok(properties) => {
            let old = match &event.kind {
                Kind::Update { old, .. } => properties.reuse_from(old),
                Kind::Create(_) | Kind::Delete(_) => None,
            };
            let arguments = properties.arguments(old.as_deref());
            assert!(arguments.len() >= 2);
            let variables = arguments::encode(&arguments);
            assert!(variables.len() <= arguments::VARIABLES_MAX);
            for variable in variables {
                assert!(variable.len() <= arguments::VARIABLE_CHARS);
                assert!(
                    variable.bytes().all(|byte| byte.is_ascii_graphic()),
                    "{variable}"
                );
            }
            let _ = properties.image();
            let _ = properties.request();
        }
        Err(refused) => {
            is_json(&Response::failed(&event.context, &refused.to_string(), None).body());
        }
    }
}

/// The continuation reads back as the same event with what was known.
fn again(incoming: &Incoming, resumed: &Resumed) {
    let continuation = incoming.event.continuation(resumed);
    let again = Incoming::parse(continuation.clone()).expect("it was written by us");
    assert_eq!(again.resumed.as_ref(), Some(resumed));
    assert_eq!(again.event.continuation(resumed), continuation);
}

/// A backfill survives a hand-over; an image has a name that ECR could have; settings and tasks are values or errors.
pub(crate) fn push(bytes: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let _ = Task::parse(&payload["detail"]);
    let _ = Settings::parse(std::str::from_utf8(bytes).ok());
    if let Ok(incoming) = on_push::Incoming::parse(payload) {
        taken(&incoming);
    }
}

fn taken(incoming: &on_push::Incoming) {
    use on_push::Incoming::{Backfill, Image, Other, Redrive};
    match incoming {
        Image(image) => {
            let Some(tag) = &image.tag else { return };
            let payload = Pushed::backfill_image(&image.repository, tag, &image.digest);
            let Ok(Image(again)) = on_push::Incoming::parse(payload) else {
                panic!("it was written by us")
            };
            assert_eq!(
                (&again.repository, &again.tag),
                (&image.repository, &image.tag)
            );
            assert_eq!(again.digest, image.digest);
        }
        Backfill(backfill) => {
            let resumed = on_push::Resumed {
                begun: 1,
                repository: "a".to_owned(),
                tag: None,
                images: 2,
            };
            let payload = backfill.continuation(resumed.clone());
            let Ok(Backfill(again)) = on_push::Incoming::parse(payload) else {
                panic!("it was written by us")
            };
            assert_eq!(again.resumed, Some(resumed));
            assert_eq!(again.tags, backfill.tags);
        }
        Redrive(all) => all.iter().for_each(taken),
        Other(other) => assert!(!other.why.is_empty()),
    }
}

/// Whatever a build returns, there is a verdict: green only with an image to use.
pub(crate) fn result(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    for event in [
        include_str!("../tests/events/create.json"),
        include_str!("../tests/events/create-v1.json"),
    ] {
        let event = serde_json::from_str(event).expect("the file is JSON");
        let event = Incoming::parse(event).expect("the file is an event").event;
        let properties = Properties::parse(event.properties()).expect("they are right");
        for end in [End::Succeeded, End::Failed] {
            let ended = EndedBuild {
                end,
                result: Some(text.clone()),
                phase: None,
                log_link: None,
                attempt: 1,
                at: None,
            };
            match verdict::from_build(&properties, "builder:1", &ended) {
                Ok(done) => {
                    assert_eq!(end, End::Succeeded);
                    let response = is_json(&Response::done(&event.context, &done).body());
                    assert_eq!(response["Status"], "SUCCESS");
                    assert_eq!(
                        response["Data"]["OutputImageDigest"],
                        json!(done.output.to_string())
                    );
                }
                Err(error) => {
                    let body = Response::failed(&event.context, &error.to_string(), None).body();
                    assert!(body.len() <= soci_provider::response::BYTES_MAX);
                    assert_eq!(is_json(&body)["Status"], "FAILED");
                }
            }
        }
    }
}

fn is_json(body: &str) -> Value {
    serde_json::from_str(body).expect("a response is JSON")
}
