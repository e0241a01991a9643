//! Several resources: two on one image, four at once.

use crate::{
    deployment::{Index, Repository, Stack, Succeeds, assert_data},
    shared::story,
};

#[test]
fn two_resources_on_one_image_build_it_once() {
    story(async |shared| {
        let repository = Repository::new(shared, "two").await;
        repository.push("v1", &[30]).await;
        let stack = Stack::new(shared, "Two");
        let index = |id| Index::v2(id, &repository, "v1").with("outputTag", "v1-soci");
        stack
            .deploy(&[index("One"), index("Other")])
            .await
            .succeeds();
        assert_eq!(stack.builds(), 1);
        let answers = stack.answers();
        assert_data(&answers[0], &[("Outcome", "indexed")]);
        assert_data(
            &answers[1],
            &[("Outcome", "already-there"), ("BuildId", "")],
        );
        let ids = ["One", "Other"].map(|id| stack.output_digest(id));
        let [one, other] = ids;
        assert_eq!(one.await, other.await);
    });
}

/// The emulator works on a stack's resources one after the other, so these are four stacks.
#[test]
fn four_at_once() {
    story(async |shared| {
        let repository = Repository::new(shared, "four").await;
        repository.push("v1", &[31]).await;
        let stacks = ["A", "B", "C", "D"].map(|id| Stack::new(shared, &format!("Four{id}")));
        let index = |id: &str| {
            let index = Index::v2("Index", &repository, "v1");
            index.with("outputTag", format!("v1-{id}"))
        };
        let own = ["a", "b", "c", "d"].map(|id| [index(id)]);
        let (a, b, c, d) = tokio::join!(
            stacks[0].deploy(&own[0]),
            stacks[1].deploy(&own[1]),
            stacks[2].deploy(&own[2]),
            stacks[3].deploy(&own[3]),
        );
        [a, b, c, d].into_iter().for_each(Succeeds::succeeds);
        let mut digests = Vec::new();
        for stack in &stacks {
            assert_eq!(stack.builds(), 1);
            let answer = stack.last_answer();
            assert_data(&answer, &[("Outcome", "indexed")]);
            digests.push(answer["Data"]["OutputImageDigest"].clone());
            stack.assert_rights_were_checked();
        }
        // The same image and options: the same index, whoever made it.
        digests.dedup();
        assert_eq!(digests.len(), 1);
        assert_eq!(repository.tags(), ["v1", "v1-a", "v1-b", "v1-c", "v1-d"]);
    });
}
