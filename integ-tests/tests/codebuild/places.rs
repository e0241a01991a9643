//! Where builds run: in a VPC, on Lambda compute, with a key of one's own. What each needs, and what it refuses.

use aws_sdk_codebuild::types::{ComputeType, EnvironmentType, StatusType};
use local_cloud::{
    account::{ACCOUNT_ID, Machine, Network, Project, REGION},
    cloud::given::{Given, allow, project},
    codebuild::project::check,
    iam::{Iam, Lasts},
};
use serde_json::{Value, json};

use crate::support::{World, failure, given};

const SPEC: &str = r#"{"version": "0.2", "phases": {"build": {"commands": ["true"]}}}"#;
const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/one";

fn ec2(what: &str) -> String {
    format!("arn:aws:ec2:{REGION}:{ACCOUNT_ID}:{what}")
}

/// A project in two subnets.
fn in_network() -> Project {
    let mut project = project("p", SPEC);
    project.network = Some(Network {
        vpc: "vpc-1".to_owned(),
        subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
    });
    project
}

const OPEN: [&str; 7] = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
];

/// What CodeBuild's user guide asks for in these subnets.
fn network_rights(subnets: &[&str]) -> Vec<Value> {
    let subnets: Vec<_> = subnets
        .iter()
        .map(|id| ec2(&format!("subnet/{id}")))
        .collect();
    let mut hand_over = allow(
        &["ec2:CreateNetworkInterfacePermission"],
        &ec2("network-interface/*"),
    );
    hand_over["Condition"] = json!({
        "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
        "ArnEquals": {"ec2:Subnet": subnets},
    });
    vec![allow(&OPEN, "*"), hand_over]
}

#[tokio::test]
async fn a_build_in_a_vpc_needs_its_rights() {
    let rights = network_rights(&["subnet-1", "subnet-2"]);
    let world = World::of(given(in_network(), &rights), Default::default()).await;
    let build = world.run().await;
    assert_eq!(build.build_status(), Some(&StatusType::Succeeded));
    let network = build.vpc_config().unwrap();
    assert_eq!(network.vpc_id(), Some("vpc-1"));
    assert_eq!(network.subnets(), ["subnet-1", "subnet-2"]);

    let mut actions = OPEN.to_vec();
    actions.push("ec2:CreateNetworkInterfacePermission");
    let denied = (
        "PROVISIONING",
        "VPC_CLIENT_ERROR",
        "Unexpected EC2 error: UnauthorizedOperation",
    );
    for action in actions {
        world.cloud.iam().withhold("*", action, Lasts::UntilLifted);
        assert_eq!(failure(&world.run().await), denied, "{action}");
        world.cloud.iam().lift(action);
    }

    // A right in one of the subnets is none in the other.
    let rights = network_rights(&["subnet-1"]);
    let world = World::of(given(in_network(), &rights), Default::default()).await;
    assert_eq!(failure(&world.run().await), denied);
    let refused = world.cloud.denials();
    assert_eq!(refused[0].action, "ec2:CreateNetworkInterfacePermission");
}

#[tokio::test]
async fn a_build_with_a_key_needs_its_rights() {
    let mut with_key = project("p", SPEC);
    with_key.encryption_key = Some(KEY.to_owned());
    let actions = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    let world = World::of(given(with_key, &[allow(&actions, KEY)]), Default::default()).await;
    let build = world.run().await;
    assert_eq!(build.build_status(), Some(&StatusType::Succeeded));
    assert_eq!(build.encryption_key(), Some(KEY));
    for action in actions {
        world.cloud.iam().withhold("*", action, Lasts::UntilLifted);
        let build = world.run().await;
        let (phase, code, message) = failure(&build);
        assert_eq!((phase, code), ("PROVISIONING", "ACCESS_DENIED"));
        let words = format!("{action} on resource: {KEY}");
        assert!(message.contains(&words), "{message}");
        world.cloud.iam().lift(action);
    }
}

/// A project on Lambda compute with these commands.
fn on_lambda(commands: &[&str]) -> Project {
    let spec = json!({"version": "0.2", "phases": {"build": {"commands": commands}}});
    let mut project = project("p", &spec.to_string());
    project.machine = Machine {
        kind: "LINUX_LAMBDA_CONTAINER".to_owned(),
        image: "aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12".to_owned(),
        compute_type: "BUILD_LAMBDA_2GB".to_owned(),
        privileged: false,
    };
    (project.timeout, project.queued_timeout) = (None, None);
    project
}

#[tokio::test]
async fn lambda_compute_is_no_root_and_writes_below_tmp_only() {
    let commands = [
        "test \"$(id -u)\" != 0 && test \"$(id -G)\" = \"$(id -u)\"",
        "case $CODEBUILD_SRC_DIR in /tmp/*) ;; *) exit 1 ;; esac",
        "touch here \"$CODEBUILD_SRC_DIR/there\" && chmod +x hello && ./hello",
        "for at in / /etc /usr/local/bin /root \"$HOME\"; do ! touch \"$at/file\" || exit 1; done",
        "test -r \"$SSL_CERT_FILE\"",
    ];
    let world = World::of(given(on_lambda(&commands), &[]), Default::default()).await;
    let build = world.run().await;
    let log = world.log(&build);
    assert_eq!(build.build_status(), Some(&StatusType::Succeeded), "{log}");
    assert!(log.contains("hello from the source"), "{log}");
    let machine = build.environment().unwrap();
    assert_eq!(machine.r#type(), &EnvironmentType::LinuxLambdaContainer);
    assert_eq!(machine.compute_type(), &ComputeType::BuildLambda2Gb);
    assert_eq!(build.timeout_in_minutes(), Some(15));
}

/// What CodeBuild says when this project is to be made with these rights of its role.
async fn told(project: &Project, rights: &[Value]) -> Result<(), String> {
    let role = Given::new().role(&project.service_role, Value::from(rights.to_vec()));
    let checked = check(&Iam::new(std::sync::Arc::new(role)), project).await;
    checked.map_err(|refused| refused.to_string())
}

#[tokio::test]
async fn a_project_is_made_only_where_it_can_be() {
    assert_eq!(told(&project("p", SPEC), &[]).await, Ok(()));
    assert_eq!(told(&on_lambda(&["true"]), &[]).await, Ok(()));
    let rights = network_rights(&["subnet-1", "subnet-2"]);
    assert_eq!(told(&in_network(), &rights).await, Ok(()));
    let refused = told(&in_network(), &[]).await.unwrap_err();
    assert_eq!(refused, "Not authorized to perform DescribeSecurityGroups");
    let mut in_both = on_lambda(&["true"]);
    in_both.network = in_network().network;
    let refused = told(&in_both, &rights).await.unwrap_err();
    assert!(refused.contains("vpcConfig is not supported"), "{refused}");
}
