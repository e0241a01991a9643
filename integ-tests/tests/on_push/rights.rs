//! The function's role has the rights that it needs, and none more.

use std::collections::BTreeSet;

use local_cloud::{account::Account, iam::Lasts};
use serde_json::{Value, json};

use crate::{
    deployment::Repository,
    indexes::{Indexes, properties},
    shared::{Shared, story_apart},
};

/// A call that is refused is tried for a while.
const PACE: f64 = 0.01;
/// Rights to logs are used by Lambda itself, which the emulator is not asked about.
const OF_LOGS: &str = "logs:";

/// The actions that a role's policies allow.
async fn granted(shared: &Shared, role: &str) -> BTreeSet<String> {
    let policies = shared.cloud.account().policies(role).await;
    let statements = policies
        .iter()
        .flat_map(|policy| policy["Statement"].as_array().unwrap());
    let actions = statements.flat_map(|statement| match &statement["Action"] {
        Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    });
    let actions = actions.map(|action| action.as_str().unwrap().to_owned());
    actions
        .filter(|action| !action.starts_with(OF_LOGS))
        .collect()
}

#[test]
fn each_right_is_needed() {
    story_apart(PACE, async |shared| {
        let repository = Repository::new(shared, "rights").await;
        let indexes = Indexes::deploy(shared, "Rights", properties(&["rights*"])).await;
        let role = indexes.role().await;
        let iam = shared.cloud.cloud().iam();
        let rights = granted(shared, &role).await;
        for right in ["ecr:PutImage", "lambda:InvokeFunction", "sqs:SendMessage"] {
            assert!(rights.contains(right), "{rights:?}");
        }

        let mut number = 0;
        for right in &rights {
            shared.cloud.cloud().ecr().expire_tokens();
            iam.withhold(&role, right, Lasts::UntilLifted);
            number += 1;
            let tag = format!("v{number}");
            repository.push(&tag, &[300 + number]).await;
            let of_image = right.starts_with("ecr:") && right != "ecr:DescribeRepositories";
            let record = indexes.record_of("rights", &tag).await;
            let outcome = if of_image { "failed" } else { "indexed" };
            assert_eq!(record.outcome(), outcome, "without {right}: {record:?}");
            if !of_image {
                assert!(
                    is_needed_otherwise(shared, &indexes, right).await,
                    "{right} is not needed"
                );
            }
            iam.lift(right);
        }
        indexes.invoke(&backfill()).await.unwrap();
        // All that was asked for is granted, and all that is granted was asked for.
        let used = iam.used().into_iter().filter(|(who, _)| *who == role);
        let used: BTreeSet<_> = used.map(|(_, action)| action).collect();
        assert_eq!(used, rights);
    });
}

fn backfill() -> Value {
    json!({"backfill": {"repository": "rights*", "newest": 1}})
}

/// Whether something else than an index is missing without a right that is withheld.
async fn is_needed_otherwise(shared: &Shared, indexes: &Indexes<'_>, right: &str) -> bool {
    match right {
        "ecr:DescribeRepositories" | "lambda:InvokeFunction" => {
            let error = indexes.invoke(&backfill()).await.unwrap_err();
            error["errorMessage"].as_str().unwrap().contains(right)
        }
        "sqs:SendMessage" => {
            // The record of a failure is lost, and says so.
            let lost = json!({"backfill": {}});
            indexes.send(&lost).await;
            let is_lost = async || {
                let log = shared.cloud.emulator_log();
                (log.contains("reaches nobody") && log.contains(right)).then_some(())
            };
            indexes.once("lost record", is_lost).await;
            true
        }
        _ => {
            let mapping = indexes
                .account()
                .mappings(&indexes.function)
                .await
                .unwrap()
                .remove(0)
                .0;
            indexes
                .account()
                .enable_mapping(&mapping, true)
                .await
                .unwrap();
            let is_refused = async || {
                let refused = shared.cloud.cloud().iam().refused();
                refused.iter().any(|one| one.action == right).then_some(())
            };
            indexes.once("refused poll", is_refused).await;
            indexes
                .account()
                .enable_mapping(&mapping, false)
                .await
                .unwrap();
            true
        }
    }
}
