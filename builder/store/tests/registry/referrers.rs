//! Referrers, listed by the registry or under a tag.

use bytes::Bytes;
use serde_json::{Value, json};
use soci_format::{
    digest::Digest,
    oci::{Descriptor, Selector, media_type},
};
use soci_store::registry::Repository;
use soci_testing::fake_registry::{FakeRegistry, Fault, Route, Settings};

use crate::{app, told};

const SOCI: &str = "application/vnd.amazon.soci.index.v1+json";

fn subject() -> Digest {
    Digest::of(b"the image")
}

fn tag() -> String {
    format!("sha256-{}", subject().hex())
}

fn referrer(number: u32, artifact_type: &str) -> Descriptor {
    Descriptor {
        artifact_type: Some(artifact_type.to_owned()),
        ..Descriptor::of(media_type::OCI_MANIFEST, &manifest(number, artifact_type))
    }
}

fn manifest(number: u32, artifact_type: &str) -> Bytes {
    let subject = json!({"mediaType": media_type::OCI_MANIFEST, "digest": subject(), "size": 9});
    json!({"artifactType": artifact_type, "number": number, "subject": subject})
        .to_string()
        .into()
}

async fn push(app: &Repository, number: u32, artifact_type: &str) -> Option<Digest> {
    let bytes = manifest(number, artifact_type);
    let selector = Selector::Digest(Digest::of(&bytes));
    app.push_manifest(&selector, media_type::OCI_MANIFEST, bytes)
        .await
        .unwrap()
        .subject
}

#[tokio::test]
async fn the_registrys_list_is_read_over_its_pages() {
    for referrers_filter in [true, false] {
        let registry = FakeRegistry::with(Settings {
            referrers_page: 2,
            referrers_filter,
            ..Settings::default()
        });
        let app = app(&registry);
        for number in 0..5 {
            assert_eq!(push(&app, number, SOCI).await, Some(subject()));
        }
        push(&app, 9, "application/other").await;
        let found = app.referrers(&subject(), SOCI).await.unwrap();
        let expected: Vec<_> = (0..5).map(|number| referrer(number, SOCI)).collect();
        assert_eq!(found, expected);
        let asked = registry.requests_to(Route::Referrers);
        assert_eq!(asked.len(), 3);
        assert!(
            asked[0]
                .query
                .starts_with("artifactType=application%2Fvnd.amazon.soci")
        );
        assert!(registry.requests_to(Route::ReadManifest).is_empty());
    }
}

fn without_list() -> FakeRegistry {
    FakeRegistry::with(Settings {
        referrers_api: false,
        ..Settings::default()
    })
}

#[tokio::test]
async fn without_a_list_the_tag_is_read() {
    let registry = without_list();
    let app = app(&registry);
    assert_eq!(app.referrers(&subject(), SOCI).await.unwrap(), []);
    assert_eq!(push(&app, 1, SOCI).await, None);
    for artifact_type in [SOCI, "application/other"] {
        app.add_referrer_by_tag(&subject(), referrer(1, artifact_type))
            .await
            .unwrap();
    }
    assert_eq!(
        app.referrers(&subject(), SOCI).await.unwrap(),
        [referrer(1, SOCI)]
    );
}

#[tokio::test]
async fn other_referrers_under_the_tag_are_kept() {
    let registry = without_list();
    let app = app(&registry);
    let other = json!({"mediaType": "x", "digest": Digest::of(b"x"), "size": 1, "unknown": {"field": true}});
    let old = Descriptor {
        size: 7,
        ..referrer(1, SOCI)
    };
    let before = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [other, old],
        "annotations": {"by": "others"}});
    let bytes = before.to_string();
    registry.put_manifest("team/app", Some(&tag()), media_type::OCI_INDEX, bytes);
    for _ in 0..2 {
        app.add_referrer_by_tag(&subject(), referrer(1, SOCI))
            .await
            .unwrap();
    }
    let (_, after) = registry.tagged("team/app", &tag()).unwrap();
    let after: Value = serde_json::from_slice(&after).unwrap();
    assert_eq!(after["manifests"], json!([other, referrer(1, SOCI)]));
    assert_eq!(after["annotations"], before["annotations"]);
    let pushes = registry.requests_to(Route::PushManifest).len();
    assert_eq!(pushes, 1, "what is there is not pushed again");
}

fn overwritten() -> (Value, Fault) {
    let theirs = json!({"mediaType": "x", "digest": Digest::of(b"theirs"), "size": 1});
    let index =
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [theirs]});
    (theirs, Fault::OverwrittenBy(index.to_string().into()))
}

/// As a cache does that mixes up what it keeps.
#[tokio::test]
async fn a_list_that_is_not_there_is_not_written_over_the_one_that_is() {
    let registry = FakeRegistry::with(Settings {
        referrers_api: false,
        content_digest: false,
        ..Settings::default()
    });
    let list = |entries: Value| {
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries})
            .to_string()
    };
    let theirs = json!({"mediaType": "x", "digest": Digest::of(b"theirs"), "size": 1});
    let (right, wrong) = (list(json!([theirs])), list(json!([])));
    registry.put_manifest("team/app", None, media_type::OCI_INDEX, wrong.clone());
    registry.put_manifest("team/app", Some(&tag()), media_type::OCI_INDEX, right);
    let mixed_up = Fault::Body {
        bytes: wrong.into(),
        announced: true,
    };
    registry.fail(Route::ReadManifest, mixed_up);
    app(&registry)
        .add_referrer_by_tag(&subject(), referrer(1, SOCI))
        .await
        .unwrap();
    let (_, after) = registry.tagged("team/app", &tag()).unwrap();
    let after: Value = serde_json::from_slice(&after).unwrap();
    assert_eq!(after["manifests"], json!([theirs, referrer(1, SOCI)]));
}

#[tokio::test]
async fn a_lost_race_is_run_again() {
    let registry = without_list();
    let (theirs, fault) = overwritten();
    registry.fail(Route::PushManifest, fault).times(2);
    app(&registry)
        .add_referrer_by_tag(&subject(), referrer(1, SOCI))
        .await
        .unwrap();
    let (_, after) = registry.tagged("team/app", &tag()).unwrap();
    let after: Value = serde_json::from_slice(&after).unwrap();
    assert_eq!(after["manifests"], json!([theirs, referrer(1, SOCI)]));
    assert_eq!(registry.requests_to(Route::PushManifest).len(), 3);
}

#[tokio::test]
async fn a_race_is_not_run_for_ever() {
    let registry = without_list();
    registry.fail(Route::PushManifest, overwritten().1).always();
    let error = app(&registry)
        .add_referrer_by_tag(&subject(), referrer(1, SOCI))
        .await
        .unwrap_err();
    assert!(told(&error).ends_with(&format!("the referrers of {} 5 times", subject())));
    assert_eq!(registry.requests_to(Route::PushManifest).len(), 5);
}

#[tokio::test]
async fn a_tag_that_holds_something_else_is_left_alone() {
    let registry = without_list();
    registry.put_manifest("team/app", Some(&tag()), media_type::OCI_MANIFEST, "{}");
    let error = app(&registry)
        .add_referrer_by_tag(&subject(), referrer(1, SOCI))
        .await
        .unwrap_err();
    assert!(told(&error).contains("not an image index; it was not changed"));
    assert!(registry.requests_to(Route::PushManifest).is_empty());
}

fn body(text: &str) -> Fault {
    Fault::Body {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        announced: true,
    }
}

#[tokio::test]
async fn what_is_no_list_means_that_the_tag_has_it() {
    let statuses = [400, 401, 403, 404, 405, 406, 410, 415, 501];
    let refusals = statuses.map(|status| Fault::status(status, "UNSUPPORTED"));
    let bodies = [
        "",
        "[]",
        "{}",
        "null",
        r#"{"schemaVersion":2,"manifests":[{"digest""#,
        r#"{"schemaVersion":2,"manifests":null}"#,
        r#"{"schemaVersion":2,"manifests":{}}"#,
        r#"{"errors":[{"code":"UNSUPPORTED"}]}"#,
        r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#,
    ]
    .map(body);
    let pages = [
        Fault::Html,
        Fault::SentOn("/login"),
        Fault::SentOn("http://login.example/"),
    ];
    for fault in refusals.into_iter().chain(bodies).chain(pages) {
        let registry = without_list();
        let app = app(&registry);
        app.add_referrer_by_tag(&subject(), referrer(1, SOCI))
            .await
            .unwrap();
        registry.fail(Route::Referrers, fault.clone()).always();
        let found = app.referrers(&subject(), SOCI).await;
        assert_eq!(found.unwrap(), [referrer(1, SOCI)], "{fault:?}");
    }
}

/// It has a list, and what is on it cannot be known now.
#[tokio::test]
async fn an_overloaded_registry_is_no_registry_without_lists() {
    for status in [429, 500, 503] {
        let registry = FakeRegistry::start();
        registry
            .fail(Route::Referrers, Fault::status(status, "BUSY"))
            .always();
        let error = app(&registry)
            .referrers(&subject(), SOCI)
            .await
            .unwrap_err();
        let status = status.to_string();
        assert!(told(&error).contains(&status), "{error}");
        assert!(registry.requests_to(Route::ReadManifest).is_empty());
    }
}

#[tokio::test]
async fn a_list_whose_later_page_is_none_is_an_error() {
    let registry = FakeRegistry::with(Settings {
        referrers_page: 1,
        ..Settings::default()
    });
    let app = app(&registry);
    for number in 0..3 {
        push(&app, number, SOCI).await;
    }
    registry.fail(
        Route::Referrers,
        Fault::Header("x-page", "first".to_owned()),
    );
    registry.fail(Route::Referrers, Fault::Html);
    let error = app.referrers(&subject(), SOCI).await.unwrap_err();
    assert!(told(&error).contains("cannot parse the registry's response: expected value"));
}

#[tokio::test]
async fn entries_without_a_type_are_asked_for_it() {
    let registry = FakeRegistry::start();
    let app = app(&registry);
    for (number, artifact_type) in [(1, SOCI), (2, "application/other")] {
        push(&app, number, artifact_type).await;
    }
    let untyped = [(1, SOCI), (2, "application/other"), (3, SOCI)].map(|(number, of)| Descriptor {
        artifact_type: None,
        ..referrer(number, of)
    });
    let list =
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": untyped});
    registry
        .fail(Route::Referrers, body(&list.to_string()))
        .always();
    // The third is on the list and gone, and so is nobody's.
    assert_eq!(
        app.referrers(&subject(), SOCI).await.unwrap(),
        [referrer(1, SOCI)]
    );
}

/// Its first segment reads as a scheme.
#[tokio::test]
async fn the_next_page_may_be_named_by_the_subject_alone() {
    let registry = FakeRegistry::start();
    let app = app(&registry);
    push(&app, 1, SOCI).await;
    let next = format!("<{}?page=0>; rel=\"next\"", subject());
    registry.fail(Route::Referrers, Fault::Header("link", next));
    assert_eq!(
        app.referrers(&subject(), SOCI).await.unwrap(),
        [referrer(1, SOCI)]
    );
    assert_eq!(registry.requests_to(Route::Referrers).len(), 2);
}

#[tokio::test]
async fn a_list_that_goes_on_and_on_is_given_up() {
    let registry = FakeRegistry::with(Settings {
        referrers_page: 1,
        ..Settings::default()
    });
    let app = app(&registry);
    for number in 0..9 {
        push(&app, number, SOCI).await;
    }
    let page = json!({"schemaVersion": 2, "manifests": [referrer(1, SOCI)]}).to_string();
    let bytes = Bytes::from(format!("{}{page}", " ".repeat((3 << 20) - page.len())));
    let announced = true;
    registry
        .fail(Route::Referrers, Fault::Body { bytes, announced })
        .always();
    let error = told(&app.referrers(&subject(), SOCI).await.unwrap_err());
    assert!(error.contains("longer than 1048576 bytes"), "{error}");
    assert_eq!(registry.requests_to(Route::Referrers).len(), 6);
}

/// Registries that answer 403 or 401 about what is not there: their list of tags tells.
#[tokio::test]
async fn a_tag_that_is_denied_is_written_only_where_there_is_none() {
    for status in [401, 403] {
        let registry = without_list();
        let app = app(&registry);
        let denied = || Fault::status(status, "DENIED");
        let list = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []});
        registry.fail(Route::ReadManifest, denied()).times(2);
        app.add_referrer_by_tag(&subject(), referrer(1, SOCI))
            .await
            .unwrap();
        assert_eq!(registry.requests_to(Route::PushManifest).len(), 1);

        let list = list.to_string();
        registry.put_manifest("team/app", Some(&tag()), media_type::OCI_INDEX, list);
        registry.fail(Route::ReadManifest, denied()).always();
        let error = app
            .add_referrer_by_tag(&subject(), referrer(2, SOCI))
            .await
            .unwrap_err();
        assert!(error.is_denied());
        assert_eq!(registry.requests_to(Route::PushManifest).len(), 1);
    }
}
