//! IAM: what policies allow, who calls, and what is denied on demand.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::sync::Arc;

use local_cloud::{
    cloud::given::{Given, allow, role_arn},
    iam::{Caller, Iam, Lasts, Refusal, policy},
};
use serde_json::{Value, json};

const REPOSITORY: &str = "arn:aws:ecr:us-east-1:000000000000:repository/team/app";

/// What a role with these statements is told when it wants to put an image.
async fn told(statements: Value) -> Result<(), Refusal> {
    let role = role_arn("service/Builder");
    let iam = Iam::new(Arc::new(Given::new().role(&role, statements)));
    let caller = Caller::role(&role, "session");
    iam.check(&caller, "ecr:PutImage", REPOSITORY).await
}

#[tokio::test]
async fn policies_allow_what_they_name() {
    let statement = |effect: &str, action: Value, resource: Value| json!({"Effect": effect, "Action": action, "Resource": resource});
    let put = json!("ecr:PutImage");
    let here = json!(REPOSITORY);
    let allowed = statement("Allow", put.clone(), here.clone());
    for (statements, expected) in [
        (json!([]), false),
        (allowed.clone(), true),
        (json!([allowed]), true),
        (
            json!([statement(
                "Allow",
                json!(["ecr:GetImage", "ecr:putimage"]),
                here.clone()
            )]),
            true,
        ),
        (
            json!([statement("Allow", json!("ecr:*"), json!("*"))]),
            true,
        ),
        (
            json!([statement(
                "Allow",
                json!("ecr:Put*"),
                json!("arn:aws:ecr:*:*:repository/team/*")
            )]),
            true,
        ),
        (
            json!([statement("Allow", json!("ecr:PutImag?"), here.clone())]),
            true,
        ),
        (json!([statement("Allow", json!("*"), here.clone())]), true),
        (
            json!([statement("Allow", json!("ecr:PutImages"), here.clone())]),
            false,
        ),
        (
            json!([statement("Allow", json!("ecr:Put"), here.clone())]),
            false,
        ),
        (
            json!([statement("Allow", json!("s3:*"), here.clone())]),
            false,
        ),
        // Resources are compared as they are written.
        (
            json!([statement(
                "Allow",
                put.clone(),
                json!(REPOSITORY.to_uppercase())
            )]),
            false,
        ),
        (
            json!([statement(
                "Allow",
                put.clone(),
                json!("arn:aws:ecr:us-east-1:000000000000:repository/team")
            )]),
            false,
        ),
        (
            json!([statement(
                "Allow",
                put.clone(),
                json!(["arn:aws:s3:::x", REPOSITORY])
            )]),
            true,
        ),
        // A denial wins, wherever it stands.
        (
            json!([statement("Deny", json!("ecr:*"), json!("*")), allowed]),
            false,
        ),
        (
            json!([allowed, statement("Deny", put.clone(), here.clone())]),
            false,
        ),
        (
            json!([allowed, statement("Deny", json!("ecr:Get*"), here.clone())]),
            true,
        ),
        // A condition on something else does not matter.
        (
            json!([allowed, {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {}}]),
            true,
        ),
    ] {
        let told = told(statements.clone()).await;
        assert_eq!(told.is_ok(), expected, "{statements}: {told:?}");
        assert!(
            !matches!(told, Err(Refusal::Unjudged { .. })),
            "{statements}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_judged_is_named() {
    for (statement, part) in [
        (
            json!({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}),
            "NotAction",
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "NotResource": "x"}),
            "NotResource",
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}}),
            "Condition",
        ),
        (json!({"Action": "*", "Resource": "*"}), "Effect"),
        (json!({"Effect": "Allow", "Action": "*"}), "Resource"),
        (json!({"Effect": "Allow", "Resource": "*"}), "Action"),
    ] {
        match told(json!([statement])).await {
            Err(Refusal::Unjudged { why, .. }) => match why {
                policy::Error::Unplayed { part: found, .. } => assert_eq!(found, part),
                policy::Error::Wrong { part: found, .. } => assert_eq!(found, part),
            },
            other => panic!("{statement}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn refusals_speak_as_aws_does() {
    let who = "User: arn:aws:sts::000000000000:assumed-role/Builder/session is not authorized to perform: ecr:PutImage \
               on resource: arn:aws:ecr:us-east-1:000000000000:repository/team/app";
    assert_eq!(
        told(json!([])).await.unwrap_err().to_string(),
        format!("{who} because no identity-based policy allows the ecr:PutImage action")
    );
    let denied = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    assert_eq!(
        told(denied).await.unwrap_err().to_string(),
        format!("{who} with an explicit deny in an identity-based policy")
    );
}

#[tokio::test]
async fn a_right_can_be_withheld_for_a_time_or_for_good() {
    let (one, other) = (role_arn("one"), role_arn("other"));
    let all = json!([allow(&["ecr:*"], "*")]);
    let given = Given::new().role(&one, all.clone()).role(&other, all);
    let iam = Iam::new(Arc::new(given));
    let may = async |role: &str, action: &str| {
        let caller = Caller::role(role, "s");
        iam.check(&caller, action, REPOSITORY).await.is_ok()
    };
    iam.withhold(&one, "ecr:PutImage", Lasts::Times(2));
    assert!(may(&other, "ecr:PutImage").await);
    assert!(may(&one, "ecr:BatchGetImage").await);
    assert!(!may(&one, "ecr:PutImage").await);
    assert!(!may(&one, "ecr:PutImage").await);
    assert!(may(&one, "ecr:PutImage").await);

    iam.withhold("*", "ecr:Put*", Lasts::UntilLifted);
    for _ in 0..5 {
        assert!(!may(&other, "ecr:PutImage").await);
    }
    iam.lift("ecr:Put*");
    assert!(may(&other, "ecr:PutImage").await);

    // What was asked is known, and what was refused.
    assert_eq!(iam.record().len(), 11);
    assert_eq!(iam.refused().len(), 7);
    let used = iam.used();
    assert!(used.contains(&(one, "ecr:BatchGetImage".to_owned())));
    assert!(used.contains(&(other, "ecr:PutImage".to_owned())));
    assert_eq!(used.len(), 3);
}

#[tokio::test]
async fn callers_are_known_by_their_keys() {
    let role = role_arn("provider");
    let iam = Iam::new(Arc::new(Given::new().function("Provider-1", &role)));
    let caller = async |key: &str, agent: &str| {
        let mut headers = hyper::HeaderMap::new();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/ecr/aws4_request, S=x");
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("x-amz-user-agent", agent.parse().unwrap());
        iam.caller(&headers).await
    };
    assert_eq!(caller("AKIATEST", "aws-cli").await, Caller::Deployer);
    assert_eq!(
        caller(
            "000000000000",
            "aws-sdk-rust/1 os/linux app/Provider-1 md/x"
        )
        .await,
        Caller::role(&role, "Provider-1")
    );
    for agent in ["aws-sdk-rust/1", "aws-sdk-rust/1 app/other"] {
        let caller = caller("000000000000", agent).await;
        assert!(matches!(caller, Caller::Unknown { .. }), "{agent}");
        assert!(
            iam.check(&caller, "ecr:PutImage", REPOSITORY)
                .await
                .is_err()
        );
    }
    let build = Caller::role(&role_arn("build"), "AWSCodeBuild-1");
    let keys = iam.open_session(build.clone());
    assert_eq!(caller(&keys.access_key_id, "").await, build);
}

#[tokio::test]
async fn conditions_are_asked_of_what_is_known() {
    let subnet = "arn:aws:ec2:us-east-1:000000000000:subnet/subnet-1";
    let role = role_arn("builder");
    let known = [
        ("ec2:Subnet", subnet),
        ("ec2:AuthorizedService", "codebuild.amazonaws.com"),
    ];
    let known = known
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    for (condition, expected) in [
        (
            json!({"StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"}}),
            true,
        ),
        (
            json!({"StringEquals": {"ec2:AuthorizedService": "codebuild.*"}}),
            false,
        ),
        (
            json!({"StringLike": {"ec2:AuthorizedService": ["other", "codebuild.*"]}}),
            true,
        ),
        (
            json!({"ArnEquals": {"EC2:subnet": [subnet, "arn:aws:ec2:::x"]}}),
            true,
        ),
        (
            json!({"ArnLike": {"ec2:Subnet": "arn:aws:ec2:*:*:subnet/*"}}),
            true,
        ),
        // No wildcard reaches from one part of an ARN into the next.
        (json!({"ArnLike": {"ec2:Subnet": "arn:*:subnet/*"}}), false),
        (
            json!({"ArnEquals": {"ec2:Subnet": format!("{subnet}0")}}),
            false,
        ),
        // All have to hold, and what is not known holds for nothing.
        (
            json!({"ArnEquals": {"ec2:Subnet": subnet}, "StringEquals": {"ec2:AuthorizedService": "x"}}),
            false,
        ),
        (json!({"StringEquals": {"ec2:Vpc": "vpc-1"}}), false),
        (json!({}), true),
    ] {
        let mut statement = allow(&["ec2:CreateNetworkInterfacePermission"], "*");
        statement["Condition"] = condition.clone();
        let iam = Iam::new(Arc::new(Given::new().role(&role, statement)));
        let caller = Caller::role(&role, "session");
        let action = "ec2:CreateNetworkInterfacePermission";
        let told = iam.check_in(&caller, action, REPOSITORY, &known).await;
        assert_eq!(told.is_ok(), expected, "{condition}: {told:?}");
        assert!(
            !matches!(told, Err(Refusal::Unjudged { .. })),
            "{condition}"
        );
    }
}
