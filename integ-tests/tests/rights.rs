//! The policies of the template: with all of them everything works, and without any one action something does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use local_cloud::{
    authorization::{Calls, Case, calls, judge},
    codebuild::{Phase, Script, Status},
    faults::Gate,
    stage::{Options, REPOSITORY, Scene},
    template::{Place, Right, TemplateAccount},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use support::{
    LIMIT, builds_of,
    rights::{Done, good, holds, needless},
    scene, templates, templates_in,
};

/// The stacks with the most rights, where builds run by default; they have every right that there is.
const USUAL: [&str; 2] = ["Destroy", "DestroyV1"];
/// The same with every other place for builds: in a VPC with a key, a role and a log group that are given, on Lambda compute.
const ELSEWHERE: [&str; 2] = ["Private", "Lambda"];

/// What is allowed on everything, as the construct's README says: IAM knows no resource for these, or none with a name.
const OPEN: [&str; 8] = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
];
/// And this on any network interface, but in the build's subnets.
const IN_SUBNETS: &str = "ec2:CreateNetworkInterfacePermission";

/// Denials are waited for by nobody here: two minutes are 0.24 s.
const QUICK: Options = Options {
    pace: 0.002,
    timeout: Duration::from_secs(900),
    retry_pause: Duration::from_millis(20),
};

/// A life of the resource: made, found again, watched by two invocations, stopped, deleted; and its logs can be read.
async fn life(scene: &Scene, stack: &str) -> Done<()> {
    let provider = scene
        .provider(stack, QUICK)
        .await
        .map_err(|error| error.to_string())?;
    let create = provider.create();
    provider.deliver(&create);
    let created = good(&provider, &create).await?;
    for build in builds_of(scene, &create) {
        holds(build.log().contains("soci"), "the build has no log")?;
    }
    holds(
        !provider.lambda.logged().is_empty(),
        "the function has no log",
    )?;

    let again = provider.create();
    provider.deliver(&again);
    let found = good(&provider, &again).await?;
    holds(
        found.data("Outcome") == "already-there",
        "the index was not found",
    )?;
    holds(
        builds_of(scene, &again).is_empty(),
        "the index was found by a build only",
    )?;

    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    provider.lambda.set_timeout(Duration::from_secs(2));
    let long = provider
        .create()
        .with("SpanSize", "8192")
        .field("LogicalResourceId", "Long");
    let long = if stack == "DestroyV1" {
        long
    } else {
        long.with("OutputImageTag", "long")
    };
    let mut handed_over =
        provider
            .calls
            .hold_operation("POST lambda", 0, local_cloud::calls::Moment::After);
    provider.deliver(&long);
    timeout(LIMIT, handed_over.arrived())
        .await
        .map_err(|_| "nothing was handed over")?;
    handed_over.release();
    gate.open();
    good(&provider, &long).await?;
    provider.lambda.set_timeout(LIMIT);

    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Queued, &gate));
    let given_up = provider
        .create()
        .with("SpanSize", "16384")
        .field("LogicalResourceId", "GivenUp");
    let given_up = if stack == "DestroyV1" {
        given_up
    } else {
        given_up.with("OutputImageTag", "given-up")
    };
    provider.deliver(&given_up);
    timeout(LIMIT, gate.reached())
        .await
        .map_err(|_| "no build was started")?;
    let delete = provider.delete(&given_up, "not-created/before");
    provider.deliver(&delete);
    let deleted = provider
        .answer(&delete, LIMIT)
        .await
        .map_err(|error| support::chain(&error))?;
    holds(deleted.succeeded(), deleted.text("Reason"))?;
    let build = &builds_of(scene, &given_up)[0];
    holds(
        !provider.calls.of("StopBuild").is_empty(),
        "nothing was stopped",
    )?;
    holds(
        timeout(Duration::from_secs(1), build.finished()).await == Ok(Some(Status::Stopped)),
        "the build was not stopped",
    )?;
    provider
        .lambda
        .quiet(LIMIT)
        .await
        .map_err(|error| error.to_string())?;

    let digests = scene.cloud.ecr().digests(REPOSITORY).len();
    let delete = provider.delete(&create, created.text("PhysicalResourceId"));
    provider.deliver(&delete);
    good(&provider, &delete).await?;
    holds(
        scene.cloud.ecr().digests(REPOSITORY).len() < digests,
        "nothing was deleted",
    )
}

#[tokio::test]
async fn the_rights_are_enough_and_all_are_used() {
    let mut recorded = Vec::new();
    for stack in USUAL.into_iter().chain(ELSEWHERE) {
        let scene = scene().await;
        life(&scene, stack)
            .await
            .unwrap_or_else(|why| panic!("{stack}: {why}"));
        assert!(
            scene.cloud.denials().is_empty(),
            "{stack}: {:?}",
            scene.cloud.denials()
        );
        let used = scene.cloud.iam().used();
        let mut rights = templates().rights(stack).unwrap();
        assert!(rights.len() > 20, "only {} rights", rights.len());
        rights.retain(|right| !used.contains(&(right.role.clone(), right.action.clone())));
        assert!(rights.is_empty(), "{stack} makes no use of {rights:#?}");
        recorded.push((stack, calls(&scene.cloud.iam().record())));
    }
    let places = [Place::HOME, Place::CHINA, Place::GOVCLOUD];
    let places = places.map(|place| (place, templates_in(place)));
    let findings = judged_by_aws(&places, &recorded, |_| {});
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert_that_the_judge_sees(&places, &recorded[..1]);
}

/// What AWS's authorization reference says of recorded calls and of the policies for them, in every partition.
fn judged_by_aws(
    places: &[(Place, TemplateAccount)],
    recorded: &[(&str, Calls)],
    change: impl Fn(&mut BTreeMap<String, Vec<Value>>),
) -> Vec<String> {
    let mut cases = Vec::new();
    for (place, templates) in places {
        for (stack, calls) in recorded {
            let mut roles = templates.roles(stack).unwrap();
            change(&mut roles);
            cases.push(Case::new(stack, *place, &roles, calls));
        }
    }
    let open: Vec<&str> = OPEN.into_iter().chain([IN_SUBNETS]).collect();
    judge(&cases, &open).unwrap_or_else(|error| panic!("{}", support::chain(&error)))
}

/// A judge that finds nothing proves something only where it finds what is wrong: here, in the first stack, a right too few,
/// one too many, one by a name that AWS does not have, and one for every repository.
fn assert_that_the_judge_sees(places: &[(Place, TemplateAccount)], recorded: &[(&str, Calls)]) {
    for (from, to, finding) in [
        (
            "ecr:PutImage",
            "ecr:GetLifecyclePolicy",
            "call without a permission: ecr:PutImage",
        ),
        (
            "ecr:PutImage",
            "ecr:GetLifecyclePolicy",
            "permission without a call: ",
        ),
        (
            "ecr:PutImage",
            "ecr:PutImages",
            "call without a permission: ecr:PutImage",
        ),
        (
            ":repository/app",
            ":repository/*",
            "permission too broad: ecr:PutImage",
        ),
    ] {
        let findings = judged_by_aws(places, recorded, |roles| {
            let changed = json!(roles).to_string().replace(from, to);
            *roles = serde_json::from_str(&changed).unwrap();
        });
        let found = findings.iter().filter(|one| one.contains(finding)).count();
        assert!(
            found >= 3,
            "{to} is not seen in every partition: {findings:#?}"
        );
    }
}

#[tokio::test]
async fn without_any_one_right_something_fails() {
    // Both versions do the same calls; that both use all rights is tested above.
    let stack = USUAL[0];
    let rights = templates().rights(stack).unwrap();
    let needless = needless(rights, async |scene| life(scene, stack).await).await;
    assert!(needless.is_empty(), "{stack} works without {needless:#?}");
}

#[tokio::test]
async fn without_any_right_to_its_place_no_build_runs() {
    let templates = templates();
    let actions = |rights: &[Right]| -> BTreeSet<String> {
        rights.iter().map(|right| right.action.clone()).collect()
    };
    let usual = actions(&templates.rights(USUAL[0]).unwrap());
    let mut added = templates.rights(ELSEWHERE[0]).unwrap();
    added.retain(|right| !usual.contains(&right.action));
    assert_eq!(actions(&added).len(), 8 + 6, "{added:#?}");
    // Lambda compute asks for no right of its own.
    let lambda = actions(&templates.rights(ELSEWHERE[1]).unwrap());
    assert_eq!(lambda, usual);

    let needless = needless(added, async |scene| {
        let provider = scene.provider(ELSEWHERE[0], QUICK).await;
        let provider = provider.map_err(|error| error.to_string())?;
        let create = provider.create();
        provider.deliver(&create);
        let created = good(&provider, &create).await;
        // Whoever deploys reads in the stack's event what CodeBuild says.
        if let Err(why) = &created {
            let told = why.contains("UnauthorizedOperation") || why.contains("kms:");
            assert!(why.contains("PROVISIONING") && told, "{why}");
        }
        created.map(|_| ())
    })
    .await;
    assert!(needless.is_empty(), "builds run without {needless:#?}");
}

#[test]
fn rights_name_what_they_are_for() {
    let templates = templates();
    for stack in templates.stacks() {
        for right in templates.rights(&stack).unwrap() {
            // The streams of a log group are all of its own.
            let resource = right.resource.trim_end_matches(":*");
            let is_open = OPEN.contains(&right.action.as_str());
            let is_as_documented = match right.action.as_str() {
                IN_SUBNETS => resource.ends_with(":network-interface/*"),
                _ if is_open => resource == "*",
                action => !resource.contains('*') && !action.contains('*'),
            };
            assert!(is_as_documented, "{stack}: {right:?}");
        }
    }
}

#[test]
fn what_keeps_its_index_may_delete_nothing() {
    let templates = templates();
    for stack in ["Keep", "KeepV1"] {
        for right in templates.rights(stack).unwrap() {
            assert!(!right.action.contains("Delete"), "{right:?}");
        }
    }
}

#[test]
fn the_provider_readme_lists_its_permissions() {
    let readme = local_cloud::programs::repository().join("provider/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("\n## Permissions\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut listed = BTreeSet::new();
    for row in rows {
        let actions = row.split('|').nth(1).unwrap();
        for action in actions.split(',') {
            let action = action.trim().trim_matches('`').to_owned();
            assert!(listed.insert(action.clone()), "{action} is listed twice");
        }
    }
    let templates = templates();
    let mut given = BTreeSet::new();
    for stack in USUAL {
        let role = templates.resource(stack).unwrap().function_role;
        let rights = templates.rights(stack).unwrap().into_iter();
        given.extend(
            rights
                .filter(|right| right.role == role)
                .map(|right| right.action),
        );
    }
    assert_eq!(listed, given);
}
