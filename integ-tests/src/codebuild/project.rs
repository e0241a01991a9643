//! Validates a project as CodeBuild does.
//! In: the project, and IAM. Out: success or CodeBuild's error. Stores nothing.

use super::{machine, rights};
use crate::{
    account::Project,
    iam::{Caller, Iam},
};

/// Why a project is not made; CodeBuild's `InvalidInputException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Asks CodeBuild about a project that is to be made or changed.
///
/// # Errors
/// Where it would not be taken.
pub async fn check(iam: &Iam, project: &Project) -> Result<(), Refused> {
    if let Some(words) = machine::refusal(project) {
        return Err(Refused(words));
    }
    let caller = Caller::role(&project.service_role, "AWSCodeBuild");
    for needed in rights::to_see_the_network(project) {
        let allowed = iam
            .check_in(&caller, needed.action, &needed.resource, &needed.context)
            .await;
        // CodeBuild says no more than this.
        let action = needed.action.trim_start_matches("ec2:");
        allowed.map_err(|_| Refused(format!("Not authorized to perform {action}")))?;
    }
    Ok(())
}
