//! Where builds run: in a VPC with all that can be given, and on Lambda compute. Deployed whole, and without rights.

use std::collections::BTreeSet;

use local_cloud::{account::Account, iam::Lasts};

use crate::{
    deployment::{Repository, Stack, Succeeds, assert_data},
    shared::{Shared, story},
};

/// A stack of one index that is built there.
async fn stack<'a>(shared: &'a Shared, name: &str, place: &str) -> (Stack<'a>, Repository<'a>) {
    let repository = Repository::new(shared, &name.to_lowercase()).await;
    repository.push("v1", &[7]).await;
    let stack = Stack::of(shared, name, "environments.js")
        .with("repository", &repository.name)
        .with("tag", "v1")
        .with("where", place);
    (stack, repository)
}

/// Asserts that the index is there, and that the builds' role has used every right that it has.
async fn is_built_with_every_right(
    shared: &Shared,
    stack: &Stack<'_>,
    repository: &Repository<'_>,
) {
    assert_data(&stack.last_answer(), &[("Outcome", "indexed")]);
    let tag = repository
        .tags()
        .into_iter()
        .find(|tag| tag != "v1")
        .unwrap();
    let found = ("linux/amd64".to_owned(), "v2".to_owned(), 1);
    assert_eq!(repository.indexes(&tag).await, [found]);
    stack.assert_rights_were_checked();

    let projects = shared
        .cloud
        .stacks()
        .physical_ids(&stack.name, "AWS::CodeBuild::Project");
    let account = shared.cloud.account();
    let project = account.project(&projects.await[0]).await.unwrap();
    let role = project.service_role;
    let used = shared.cloud.cloud().iam().used();
    let mut given = BTreeSet::new();
    for document in account.policies(&role).await {
        for statement in document["Statement"].as_array().unwrap() {
            let actions = &statement["Action"];
            let one = actions.as_str().into_iter();
            let several = actions.as_array().into_iter().flatten();
            let several = several.filter_map(|action| action.as_str());
            given.extend(one.chain(several).map(str::to_owned));
        }
    }
    assert!(given.len() >= 14, "{given:?}");
    given.retain(|action| !used.contains(&(role.clone(), action.clone())));
    assert!(given.is_empty(), "{role} makes no use of {given:?}");
}

#[test]
fn in_a_vpc_with_a_key_a_role_and_a_log_group() {
    story(async |shared| {
        let (stack, repository) = stack(shared, "InVpc", "vpc").await;
        stack.deploy_app().await.succeeds();
        is_built_with_every_right(shared, &stack, &repository).await;

        let stacks = shared.cloud.stacks();
        let groups = stacks
            .physical_ids(&stack.name, "AWS::Logs::LogGroup")
            .await;
        let builds = shared.cloud.cloud().codebuild().builds();
        let own = |name: &str| name.starts_with("InVpc-");
        let build = builds
            .iter()
            .find(|build| own(build.project_name()))
            .unwrap();
        let group = build.log_group();
        assert!(group.contains("ZLog") && groups.contains(&group), "{group}");
        let resources = stacks.resources(&stack.name).await;
        let ids = |kind: &str| -> BTreeSet<String> {
            let found = resources.iter().filter(|row| row.1 == kind);
            found.map(|row| row.2.clone()).collect()
        };
        let network = build.network().unwrap();
        let subnets: BTreeSet<_> = network.subnets.iter().cloned().collect();
        assert_eq!(subnets, ids("AWS::EC2::Subnet"));
        assert_eq!(network.security_groups.len(), 2);
    });
}

#[test]
fn on_lambda_compute() {
    story(async |shared| {
        let (stack, repository) = stack(shared, "OnLambda", "lambda").await;
        stack.deploy_app().await.succeeds();
        is_built_with_every_right(shared, &stack, &repository).await;
    });
}

/// What the event of the first resource that failed says, where the role of builds lacks a right.
fn without(action: &str, name: &str, kind: &str, told: &[&str]) {
    story(async |shared| {
        let (stack, _) = stack(shared, name, "vpc").await;
        let role = format!("*:role/{name}-*");
        let iam = shared.cloud.cloud().iam();
        iam.withhold(&role, action, Lasts::UntilLifted);
        stack.deploy_app().await.fails();
        let events = shared.cloud.stacks().events(name).await.unwrap();
        let mut events = events.into_iter();
        let failed = events.find(|event| event.status == "CREATE_FAILED");
        let failed = failed.unwrap();
        assert_eq!(failed.kind, kind, "{failed}");
        let reason = failed.reason.unwrap();
        assert!(told.iter().all(|words| reason.contains(words)), "{reason}");
    });
}

#[test]
fn without_a_right_to_see_the_vpc_no_project_is_made() {
    let told = ["Not authorized to perform DescribeSecurityGroups"];
    let kind = "AWS::CodeBuild::Project";
    without("ec2:DescribeSecurityGroups", "VpcUnseen", kind, &told);
}

#[test]
fn without_a_right_to_the_key_the_index_says_so() {
    let told = [
        "PROVISIONING",
        "does not allow AWS CodeBuild to use its AWS KMS key",
    ];
    let kind = "Custom::SociIndexBuild";
    without("kms:GenerateDataKey", "KeyDenied", kind, &told);
}
