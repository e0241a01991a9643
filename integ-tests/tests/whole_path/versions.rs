//! Kinds of images and repositories: version 1, immutable tags, several platforms.

use local_cloud::image::{Image, Layer, Types};

use crate::{
    deployment::{Index, LARGE, Repository, Stack, Succeeds, assert_data},
    shared::story,
};

#[test]
fn version_1_keeps_the_image_and_its_tag() {
    story(async |shared| {
        let repository = Repository::new(shared, "version-1").await;
        let input = repository.push("v1", &[20, 21]).await;
        let stack = Stack::new(shared, "Version1");
        stack
            .deploy(&[Index::v1("Index", &repository, "v1")])
            .await
            .succeeds();
        let answer = stack.last_answer();
        assert_data(
            &answer,
            &[("Outcome", "indexed"), ("OutputImageDigest", &input)],
        );
        assert_eq!(repository.digest_of("v1"), Some(input));
        let found = ("linux/amd64".to_owned(), "v1".to_owned(), 2);
        assert_eq!(repository.indexes("v1").await, [found]);
        assert_eq!(stack.builds(), 1);

        // A second stack finds it.
        let second = Stack::new(shared, "Version1Again");
        second
            .deploy(&[Index::v1("Index", &repository, "v1")])
            .await
            .succeeds();
        assert_data(
            &second.last_answer(),
            &[("Outcome", "already-there"), ("BuildId", "")],
        );
        assert_eq!(second.builds(), 0);
        stack.assert_rights_were_checked();
        second.assert_rights_were_checked();
    });
}

#[test]
fn immutable_tags_are_put_once_and_found_again() {
    story(async |shared| {
        let repository = Repository::immutable(shared, "immutable").await;
        repository.push("v1", &[22]).await;
        let index = Index::v2("Index", &repository, "v1").with("outputTag", "v1-soci");
        let first = Stack::new(shared, "ImmutableA");
        first.deploy(std::slice::from_ref(&index)).await.succeeds();
        assert_data(&first.last_answer(), &[("Outcome", "indexed")]);
        let second = Stack::new(shared, "ImmutableB");
        second.deploy(&[index]).await.succeeds();
        assert_data(
            &second.last_answer(),
            &[("Outcome", "already-there"), ("BuildId", "")],
        );
        assert_eq!((first.builds(), second.builds()), (1, 0));
    });
}

#[test]
fn every_platform_is_indexed_unless_some_are_chosen() {
    story(async |shared| {
        let repository = Repository::new(shared, "platforms").await;
        let layers = [23, 24].map(|seed| [Layer::noise(seed, LARGE)]);
        let platforms = [
            ("linux/amd64", &layers[0][..]),
            ("linux/arm64", &layers[1][..]),
        ];
        let input = repository
            .push_image("v1", &Image::index(Types::Oci, &platforms))
            .await;
        let stack = Stack::new(shared, "Platforms");
        let index =
            |id: &str| Index::v2(id, &repository, "v1").with("outputTag", format!("v1-{id}"));
        let arm = index("Arm").with("platforms", vec!["linux/arm64"]);
        stack.deploy(&[index("All"), arm]).await.succeeds();
        for answer in stack.answers() {
            assert_data(
                &answer,
                &[("Outcome", "indexed"), ("InputImageDigest", &input)],
            );
        }
        let v2 = |platform: &str| (platform.to_owned(), "v2".to_owned(), 1);
        let all = [v2("linux/amd64"), v2("linux/arm64")];
        assert_eq!(repository.indexes("v1-All").await, all);
        assert_eq!(repository.indexes("v1-Arm").await, [v2("linux/arm64")]);
        stack.assert_rights_were_checked();
    });
}
