//! What CodeBuild does with a project's role before the build's commands run.
//! In: a project. Out: the actions with their resources and condition keys. Makes no calls.
//!
//! The lists are those of CodeBuild's user guide for service roles. It does not say when each action happens, so all of a
//! kind are needed at once.

use super::build::log_stream_arn;
use crate::{
    account::{ACCOUNT_ID, Network, Project, REGION},
    iam::Context,
};

/// One action.
#[derive(Debug)]
pub(super) struct Needed {
    pub(super) action: &'static str,
    pub(super) resource: String,
    pub(super) context: Context,
}

fn all(actions: &[&'static str], resource: &str) -> Vec<Needed> {
    let needed = |action: &&'static str| Needed {
        action,
        resource: resource.to_owned(),
        context: Context::new(),
    };
    actions.iter().map(needed).collect()
}

/// To log to a stream of its group.
pub(super) fn to_log(group: &str, stream: &str) -> Vec<Needed> {
    let arn = log_stream_arn(group, stream);
    all(&["logs:CreateLogStream", "logs:PutLogEvents"], &arn)
}

/// To have its source.
pub(super) fn to_download(project: &Project) -> Vec<Needed> {
    let (bucket, key) = &project.source;
    let mut needed = all(
        &["s3:GetBucketAcl", "s3:GetBucketLocation"],
        &format!("arn:aws:s3:::{bucket}"),
    );
    needed.extend(all(
        &["s3:GetObject", "s3:GetObjectVersion"],
        &format!("arn:aws:s3:::{bucket}/{key}"),
    ));
    needed
}

/// To use the project's key, where it has one.
pub(super) fn to_encrypt(project: &Project) -> Vec<Needed> {
    let actions = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    let key = project.encryption_key.as_deref();
    key.map(|key| all(&actions, key)).unwrap_or_default()
}

/// To see that the network is there: also when the project is made.
pub(super) fn to_see_the_network(project: &Project) -> Vec<Needed> {
    let actions = [
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
    ];
    let network = project.network.as_ref();
    network.map(|_| all(&actions, "*")).unwrap_or_default()
}

/// To put a build into its network.
pub(super) fn to_enter_the_network(project: &Project) -> Vec<Needed> {
    let network = project.network.as_ref();
    network.map(entering).unwrap_or_default()
}

fn entering(network: &Network) -> Vec<Needed> {
    let arn = |what: &str, id: &str| format!("arn:aws:ec2:{REGION}:{ACCOUNT_ID}:{what}/{id}");
    let create = "ec2:CreateNetworkInterface";
    // One that is not there yet, in this subnet, in these groups.
    let mut needed = all(&[create], &arn("network-interface", "*"));
    for subnet in &network.subnets {
        needed.extend(all(&[create], &arn("subnet", subnet)));
    }
    for group in &network.security_groups {
        needed.extend(all(&[create], &arn("security-group", group)));
    }
    needed.extend(all(
        &["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces"],
        "*",
    ));
    let made = arn("network-interface", "eni-0123456789abcdef0");
    for subnet in &network.subnets {
        let context = [
            (
                "ec2:AuthorizedService",
                "codebuild.amazonaws.com".to_owned(),
            ),
            ("ec2:Subnet", arn("subnet", subnet)),
        ];
        needed.push(Needed {
            action: "ec2:CreateNetworkInterfacePermission",
            resource: made.clone(),
            context: context.map(|(key, value)| (key.to_owned(), value)).into(),
        });
    }
    needed.extend(all(&["ec2:DeleteNetworkInterface"], &made));
    needed
}
