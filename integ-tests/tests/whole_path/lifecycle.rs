//! Create, update, roll back, fail.

use crate::{
    deployment::{Index, Repository, Stack, Succeeds, assert_data},
    shared::story,
};

#[test]
fn create_then_a_new_tag_then_other_options_then_destroy() {
    story(async |shared| {
        let repository = Repository::new(shared, "lifecycle").await;
        let first = repository.push("v1", &[1, 2]).await;
        repository.push("v2", &[1, 3]).await;
        let stack = Stack::new(shared, "Lifecycle");
        let index = |tag| Index::v2("Index", &repository, tag);

        stack
            .deploy(&[index("v1").with("outputTag", "v1-soci")])
            .await
            .succeeds();
        assert_eq!(stack.status().await.as_deref(), Some("CREATE_COMPLETE"));
        let answer = stack.last_answer();
        let counts = [("LayersIndexed", "2"), ("LayersReused", "0")];
        assert_data(&answer, &counts);
        let digest = repository.digest_of("v1-soci").unwrap();
        assert_data(
            &answer,
            &[
                ("Outcome", "indexed"),
                ("OutputImageTag", "v1-soci"),
                ("OutputImageDigest", &digest),
                ("InputImageDigest", &first),
            ],
        );
        assert_eq!(
            answer["PhysicalResourceId"],
            format!("lifecycle:v1-soci@{digest}")
        );
        assert_eq!(stack.output_digest("Index").await, digest);
        let amd64 = |ztocs| ("linux/amd64".to_owned(), "v2".to_owned(), ztocs);
        assert_eq!(repository.indexes("v1-soci").await, [amd64(2)]);
        assert_eq!(stack.builds(), 1);

        stack
            .deploy(&[index("v2").with("outputTag", "v2-soci")])
            .await
            .succeeds();
        assert_eq!(stack.status().await.as_deref(), Some("UPDATE_COMPLETE"));
        // The layer that both have is not read again.
        let update = &stack.answers()[1];
        assert_data(update, &[("LayersIndexed", "1"), ("LayersReused", "1")]);
        assert_eq!(repository.indexes("v2-soci").await, [amd64(2)]);
        assert_eq!(stack.builds(), 2);

        let other = index("v2")
            .with("spanSize", 1 << 20)
            .with("outputTag", "v2-fine");
        stack.deploy(&[other]).await.succeeds();
        assert_eq!(stack.builds(), 3);
        let fine = repository.digest_of("v2-fine");
        assert!(fine.is_some() && fine != repository.digest_of("v2-soci"));

        stack.assert_rights_were_checked();
        stack.destroy().await;
        // Nothing is deleted by default: not after an update, and not at the end.
        let all = ["v1", "v1-soci", "v2", "v2-fine", "v2-soci"];
        assert_eq!(repository.tags(), all);
        assert_eq!(stack.builds(), 3);
    });
}

#[test]
fn a_failed_update_rolls_back_without_a_build() {
    story(async |shared| {
        let repository = Repository::new(shared, "rollback").await;
        repository.push("v1", &[4]).await;
        repository.push("v2", &[5]).await;
        let stack = Stack::new(shared, "Rollback");
        let index = |tag| Index::v2("Index", &repository, tag).with("removalPolicy", "destroy");
        let old = index("v1").with("outputTag", "v1-soci");
        stack.deploy(&[old]).await.succeeds();
        let before = stack.output_digest("Index").await;

        let new = index("v2").with("outputTag", "v2-soci");
        stack.deploy_failing(&[new]).await.fails();
        let status = stack.status().await;
        assert_eq!(status.as_deref(), Some("UPDATE_ROLLBACK_COMPLETE"));
        // One for the create, one for the update that failed later. The emulator sends only the Delete of the new index.
        assert_eq!(stack.builds(), 2);
        assert_eq!(stack.output_digest("Index").await, before);
        assert_eq!(repository.tags(), ["v1", "v1-soci", "v2"]);
        assert_eq!(repository.indexes("v1-soci").await.len(), 1);
        stack.assert_rights_were_checked();
    });
}

#[test]
fn going_back_to_the_old_tag_starts_no_build() {
    story(async |shared| {
        let repository = Repository::new(shared, "back").await;
        repository.push("v1", &[6]).await;
        repository.push("v2", &[7]).await;
        let stack = Stack::new(shared, "Back");
        let index =
            |tag| Index::v2("Index", &repository, tag).with("outputTag", format!("{tag}-soci"));
        stack.deploy(&[index("v1")]).await.succeeds();
        let before = stack.output_digest("Index").await;
        stack.deploy(&[index("v2")]).await.succeeds();
        assert_ne!(stack.output_digest("Index").await, before);
        stack.deploy(&[index("v1")]).await.succeeds();
        assert_eq!(stack.builds(), 2);
        assert_eq!(stack.output_digest("Index").await, before);
        // Create, Update and its Delete, and the Update back.
        let back = &stack.answers()[3];
        assert_data(back, &[("Outcome", "already-there"), ("BuildId", "")]);
    });
}

#[test]
fn what_cannot_be_indexed_fails_with_its_reason() {
    story(async |shared| {
        let repository = Repository::new(shared, "absent").await;
        let stack = Stack::new(shared, "Absent");
        let printed = stack
            .deploy(&[Index::v2("Index", &repository, "v9")])
            .await
            .fails();
        assert!(printed.contains("v9"), "{printed}");
        assert_eq!(stack.status().await.as_deref(), Some("ROLLBACK_COMPLETE"));
        let answer = &stack.answers()[0];
        assert_eq!(answer["Status"], "FAILED");
        assert!(
            answer["Reason"].as_str().unwrap().contains("v9"),
            "{answer:#}"
        );
        assert_eq!(stack.builds(), 0);
    });
}
