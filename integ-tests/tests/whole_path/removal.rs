//! Delete, with both policies. The input image always stays.

use crate::{
    deployment::{Index, Repository, Stack, Succeeds},
    shared::story,
};

#[test]
fn destroy_removes_the_tag_that_the_stack_made() {
    story(async |shared| {
        let repository = Repository::new(shared, "removed").await;
        let input = repository.push("v1", &[10]).await;
        let stack = Stack::new(shared, "Removed");
        let index = Index::v2("Index", &repository, "v1").with("removalPolicy", "destroy");
        stack
            .deploy(&[index.with("outputTag", "v1-soci")])
            .await
            .succeeds();
        assert_eq!(repository.tags(), ["v1", "v1-soci"]);
        stack.destroy().await;
        assert_eq!(repository.tags(), ["v1"]);
        assert_eq!(repository.digest_of("v1"), Some(input));
        stack.assert_rights_were_checked();
    });
}

#[test]
fn destroy_removes_the_index_of_version_1_by_its_digest() {
    story(async |shared| {
        let repository = Repository::new(shared, "removed-v1").await;
        let input = repository.push("v1", &[11]).await;
        let stack = Stack::new(shared, "RemovedV1");
        let index = Index::v1("Index", &repository, "v1").with("removalPolicy", "destroy");
        stack.deploy(&[index]).await.succeeds();
        assert_eq!(repository.indexes("v1").await.len(), 1);
        stack.destroy().await;
        assert_eq!(repository.indexes("v1").await, []);
        assert!(repository.digests().contains(&input));
        stack.assert_rights_were_checked();
    });
}

#[test]
fn retain_is_the_default() {
    story(async |shared| {
        let repository = Repository::new(shared, "retained").await;
        repository.push("v1", &[12]).await;
        let stack = Stack::new(shared, "Retained");
        let index = Index::v2("Index", &repository, "v1");
        stack
            .deploy(&[index.with("outputTag", "v1-soci")])
            .await
            .succeeds();
        let before = repository.digests();
        stack.destroy().await;
        assert_eq!(repository.digests(), before);
        assert_eq!(repository.tags(), ["v1", "v1-soci"]);
    });
}
