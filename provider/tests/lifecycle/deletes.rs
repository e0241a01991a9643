//! Deletes: what they take, what they spare.

use crate::{
    DELETE, destroyed,
    support::{
        Cloud,
        images::{indexed, single},
    },
};

#[tokio::test]
async fn a_delete_with_retain_deletes_nothing() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    for event in [
        cloud.event(DELETE),
        cloud.event(include_str!("../events/delete-not-created.json")),
    ] {
        let answer = cloud.answer(&event).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(answer["PhysicalResourceId"], event["PhysicalResourceId"]);
    }
    assert!(cloud.state().images.contains_key("v1-soci"));
    assert_eq!(cloud.called("BatchGetImage"), 0);
}

#[tokio::test]
async fn a_delete_with_destroy_deletes_the_index_and_keeps_the_image() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    assert_eq!(cloud.state().images.len(), 6);
    let answer = cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let left: Vec<String> = cloud.state().images.keys().cloned().collect();
    assert_eq!(left, [single().digest(), "v1".to_owned()]);
}

#[tokio::test]
async fn a_delete_keeps_images_with_other_tags_moved_tags_and_the_original() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    indexed().add_to(&mut cloud.state(), "release");
    cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(cloud.state().images.len(), 6, "only the tag is gone");

    single().add_to(&mut cloud.state(), "v1-soci");
    cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert!(
        cloud.state().images.contains_key("v1-soci"),
        "it names another image"
    );

    cloud.state().images.remove("v1");
    cloud.answer(&destroyed(&cloud, &single().digest())).await;
    assert!(
        cloud.state().images.contains_key("v1-soci"),
        "the last tag of the original"
    );
}

#[tokio::test]
async fn a_failed_clean_up_does_not_block_stack_deletion() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    cloud.refuse("BatchDeleteImage", 10_000, 400, "AccessDeniedException");
    let answer = cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("BatchDeleteImage: AccessDeniedException"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_tag_that_was_just_moved_is_not_deleted() {
    let cloud = Cloud::start().await;
    indexed().add_to(&mut cloud.state(), "v1-soci");
    cloud.state().on_call = Some(Box::new(|state, operation| {
        if operation == "BatchDeleteImage" {
            single().add_to(state, "v1-soci");
        }
    }));
    let answer = cloud.answer(&destroyed(&cloud, &indexed().digest())).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("was moved"), "{reason}");
    let state = cloud.state();
    assert_eq!(state.images["v1-soci"].digest(), single().digest());
    assert_eq!(state.images.len(), 6);
}
