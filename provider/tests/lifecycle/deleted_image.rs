//! Rollbacks whose input image was deleted: the complete index under the output tag is used instead.

use serde_json::{Value, json};
use soci_format::digest::Digest;

use crate::{
    CREATE, UPDATE,
    support::{
        Cloud,
        images::{indexed, layer, single},
    },
};

/// By tag and by digest; as a Create and as an Update.
fn events(cloud: &Cloud) -> Vec<Value> {
    let mut events = Vec::new();
    for event in [CREATE, UPDATE] {
        let mut by_tag = cloud.event(event);
        by_tag["ResourceProperties"]["InputImageTag"] = json!("v1");
        by_tag["ResourceProperties"]["OutputImageTag"] = json!("v1-soci");
        if event == UPDATE {
            by_tag["OldResourceProperties"]["InputImageTag"] = json!("v2");
            by_tag["OldResourceProperties"]["OutputImageTag"] = json!("v2-soci");
        }
        let mut by_digest = by_tag.clone();
        let properties = by_digest["ResourceProperties"].as_object_mut().unwrap();
        properties.remove("InputImageTag");
        properties.insert("InputImageDigest".to_owned(), json!(single().digest()));
        events.extend([by_tag, by_digest]);
    }
    events
}

/// Deletes the image, by tag and by digest.
fn delete_image(cloud: &Cloud) {
    let mut state = cloud.state();
    state.images.remove("v1");
    state.images.remove(&single().digest());
}

async fn refusals(cloud: &Cloud, words: &str) {
    for event in events(cloud) {
        let answer = cloud.answer(&event).await;
        assert_eq!(answer["Status"], "FAILED", "{answer}");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.starts_with("cannot read the image "), "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(cloud.called("StartBuild"), 0);
}

fn is_the_index(answer: &Value, event: &Value) {
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Outcome"], "already-there");
    assert_eq!(answer["Data"]["OutputImageDigest"], indexed().digest());
    assert_eq!(answer["Data"]["OutputImageTag"], "v1-soci");
    let input = event["ResourceProperties"]["InputImageDigest"].as_str();
    assert_eq!(
        answer["Data"]["InputImageDigest"],
        input.unwrap_or_default()
    );
    let id = format!("team/app:v1-soci@{}", indexed().digest());
    assert_eq!(answer["PhysicalResourceId"], id);
}

#[tokio::test]
async fn an_image_that_was_deleted_is_not_needed() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    delete_image(&cloud);
    for event in events(&cloud) {
        is_the_index(&cloud.answer(&event).await, &event);
    }
    assert_eq!(cloud.called("StartBuild"), 0);
}

#[tokio::test]
async fn an_image_that_was_archived_is_not_needed() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let gone = ["v1".to_owned(), single().digest()];
    cloud.state().archived.extend(gone);
    for event in events(&cloud) {
        is_the_index(&cloud.answer(&event).await, &event);
    }
    assert_eq!(cloud.called("StartBuild"), 0);
}

#[tokio::test]
async fn without_an_index_the_error_says_so() {
    let cloud = Cloud::start().await;
    delete_image(&cloud);
    refusals(&cloud, "no index was found under output tag v1-soci").await;
}

#[tokio::test]
async fn an_image_without_an_index_cannot_be_used_instead() {
    let cloud = Cloud::start().await;
    delete_image(&cloud);
    single().add_to(&mut cloud.state(), "v1-soci");
    cloud.state().archived.insert("v1".to_owned());
    let event = &events(&cloud)[0];
    let answer = cloud.answer(event).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("output tag v1-soci points to an image without a SOCI index"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_incomplete_index_is_reported() {
    let ztoc = Digest::of(b"ztoc").to_string();
    let blob = format!("is incomplete: blob {ztoc} not found");
    let children: Vec<String> = {
        let cloud = Cloud::start().await;
        indexed().add_to(&mut cloud.state(), "v1-soci");
        let state = cloud.state();
        let named = |digest: &&String| digest.starts_with("sha256:");
        let digests = state.images.keys().filter(named);
        let own = [single().digest(), indexed().digest()];
        digests
            .filter(|digest| !own.contains(digest))
            .cloned()
            .collect()
    };
    assert_eq!(children.len(), 2);
    for child in children {
        let cloud = Cloud::start().await;
        indexed().add_to(&mut cloud.state(), "v1-soci");
        delete_image(&cloud);
        cloud.state().images.remove(&child);
        refusals(
            &cloud,
            &format!("is incomplete: manifest {child} not found"),
        )
        .await;
    }
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    delete_image(&cloud);
    cloud.state().blobs.remove(&ztoc);
    refusals(&cloud, &blob).await;

    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    delete_image(&cloud);
    cloud.state().archived.insert(layer().digest.to_string());
    refusals(
        &cloud,
        &format!("blob {} not found or archived", layer().digest),
    )
    .await;
}

#[tokio::test]
async fn an_index_of_an_image_with_archived_layers_is_not_used() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    cloud.state().archived.insert(layer().digest.to_string());
    refusals(&cloud, "is incomplete").await;
}

#[tokio::test]
async fn a_deleted_image_fails_for_version_1() {
    let cloud = Cloud::start().await;
    delete_image(&cloud);
    let answer = cloud
        .answer(&cloud.event(include_str!("../events/create-v1.json")))
        .await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.starts_with("cannot read the image ") && !reason.contains("output tag"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_update_to_a_missing_image_is_not_a_rollback() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    let mut event = cloud.event(UPDATE);
    event["OldResourceProperties"]["InputImageTag"] = json!("v1");
    event["OldResourceProperties"]["OutputImageTag"] = json!("v1-soci");
    event["ResourceProperties"]["InputImageTag"] = json!("typo");
    event["ResourceProperties"]["OutputImageTag"] = json!("v1-soci");
    let answer = cloud.answer(&event).await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("points to the index of another image"),
        "{reason}"
    );
}
