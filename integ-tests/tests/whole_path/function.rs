//! Indexes that are built in a function: built there, moved there and back, and nothing left of it.

use crate::{
    deployment::{Index, Repository, Stack, Succeeds, assert_data},
    shared::{Shared, story},
};

const BUILDER: &str = "SociIndexBuildFunction";
const PROVIDER: &str = "SociIndexBuildProvider";

/// Logical ids of a stack's resources of a type, with their physical ids, that begin so.
async fn resources(shared: &Shared, stack: &str, kind: &str, part: &str) -> Vec<(String, String)> {
    let all = shared.cloud.stacks().resources(stack).await;
    all.into_iter()
        .filter(|(id, its_kind, _)| its_kind == kind && id.starts_with(part))
        .map(|(id, _, physical)| (id, physical))
        .collect()
}

#[test]
fn an_index_is_built_in_the_function_and_a_new_release_reads_what_changed() {
    story(async |shared| {
        let repository = Repository::new(shared, "function").await;
        repository.push("v1", &[60, 61]).await;
        repository.push("v2", &[60, 62]).await;
        let stack = Stack::new(shared, "Function");
        let index = |tag: &str| {
            Index::v2("Index", &repository, tag)
                .with("outputTag", format!("{tag}-soci"))
                .with("builder", "function")
        };

        stack.deploy(&[index("v1")]).await.succeeds();
        let answer = stack.last_answer();
        assert_data(&answer, &[("Outcome", "indexed"), ("LayersIndexed", "2")]);
        let functions = resources(shared, "Function", "AWS::Lambda::Function", BUILDER).await;
        let build = answer["Data"]["BuildId"].as_str().unwrap();
        assert!(
            build.starts_with(&format!("{}/", functions[0].1)),
            "{build}"
        );
        let digest = repository.digest_of("v1-soci").unwrap();
        assert_eq!(stack.output_digest("Index").await, digest);

        stack.deploy(&[index("v2")]).await.succeeds();
        let update = &stack.answers()[1];
        assert_data(update, &[("LayersIndexed", "1"), ("LayersReused", "1")]);
        let amd64 = ("linux/amd64".to_owned(), "v2".to_owned(), 2);
        assert_eq!(repository.indexes("v2-soci").await, [amd64]);

        let projects = shared.cloud.account().projects().await.unwrap();
        assert!(!projects.iter().any(|name| name.starts_with("Function-")));
        stack.assert_rights_were_checked();
        stack.destroy().await;
        let functions = shared.cloud.account().functions().await.unwrap();
        assert!(!functions.iter().any(|name| name.starts_with("Function-")));
        let groups = shared.cloud.account().log_groups().await.unwrap();
        assert!(!groups.iter().any(|name| name.contains("/Function/")));
    });
}

#[test]
fn what_cannot_be_indexed_fails_the_deployment_with_the_reason() {
    story(async |shared| {
        let repository = Repository::new(shared, "function-fails").await;
        repository.push("v1", &[63]).await;
        let stack = Stack::new(shared, "FunctionFails");
        let index = Index::v2("Index", &repository, "absent").with("builder", "function");
        let output = stack.deploy(&[index]).await.fails();
        assert!(output.contains("absent"), "{output}");
    });
}

#[test]
fn an_index_moves_to_the_function_and_back_without_being_built_again() {
    story(async |shared| {
        for (policy, name, seed) in [("retain", "MovesKept", 64), ("destroy", "MovesOwned", 65)] {
            let repository = Repository::new(shared, &name.to_lowercase()).await;
            repository.push("v1", &[seed]).await;
            let stack = Stack::new(shared, name);
            let index = |builder| {
                Index::v2("Index", &repository, "v1")
                    .with("outputTag", "v1-soci")
                    .with("removalPolicy", policy)
                    .with("builder", builder)
            };

            stack.deploy(&[index("code-build")]).await.succeeds();
            let of_index = resources(shared, name, "Custom::SociIndexBuild", "").await;
            let provider = resources(shared, name, "AWS::Lambda::Function", PROVIDER).await;
            let manifests = repository.digests();
            assert_eq!((of_index.len(), stack.builds()), (1, 1));

            for (builder, functions) in [("function", 1), ("code-build", 0)] {
                stack.deploy(&[index(builder)]).await.succeeds();
                let outcome = [("Outcome", "already-there"), ("BuildId", "")];
                assert_data(&stack.last_answer(), &outcome);
                let found = resources(shared, name, "Custom::SociIndexBuild", "").await;
                assert_eq!(found, of_index, "{policy}, {builder}");
                let found = resources(shared, name, "AWS::Lambda::Function", PROVIDER).await;
                assert_eq!(found, provider, "{policy}, {builder}");
                let found = resources(shared, name, "AWS::Lambda::Function", BUILDER).await;
                assert_eq!(found.len(), functions, "{policy}, {builder}");
                // Nothing is built, nothing in use is deleted.
                assert_eq!(
                    (repository.digests(), stack.builds()),
                    (manifests.clone(), 1)
                );
                assert_eq!(repository.tags(), ["v1", "v1-soci"]);
            }

            stack.assert_rights_were_checked();
            stack.destroy().await;
            let left: &[&str] = if policy == "retain" {
                &["v1", "v1-soci"]
            } else {
                &["v1"]
            };
            assert_eq!(repository.tags(), left);
        }
    });
}
