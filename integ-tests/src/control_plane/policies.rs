//! A role's policy documents, as IAM has them. In: the role's ARN. Out: inline and attached documents, parsed.

use serde_json::Value;
use url::form_urlencoded;

use super::{
    Error,
    query::{Query, members, text},
};

/// All documents; none for a role that is not there.
pub(super) async fn of(iam: &Query, role_arn: &str) -> Result<Vec<Value>, Error> {
    let role = role_arn.rsplit('/').next().unwrap_or(role_arn);
    let role = ("RoleName", role);
    let mut documents = Vec::new();
    let names = iam.call("ListRolePolicies", [role], |found| {
        let names = members(found, "PolicyNames");
        names
            .filter_map(|name| name.text().map(str::to_owned))
            .collect::<Vec<_>>()
    });
    for name in names.await? {
        let policy = ("PolicyName", name.as_str());
        let document = iam.call("GetRolePolicy", [role, policy], |found| {
            text(found, "PolicyDocument")
        });
        documents.extend(document.await?.as_deref().and_then(parsed));
    }
    let attached = iam.call("ListAttachedRolePolicies", [role], |found| {
        let policies = members(found, "AttachedPolicies");
        policies
            .filter_map(|policy| text(policy, "PolicyArn"))
            .collect::<Vec<_>>()
    });
    for arn in attached.await? {
        let policy = ("PolicyArn", arn.as_str());
        let version = iam.call("GetPolicy", [policy], |found| {
            text(found, "DefaultVersionId").unwrap_or_default()
        });
        // A policy of AWS's own, which the emulator does not have, gives nothing here.
        let Ok(version) = version.await else { continue };
        let version = ("VersionId", version.as_str());
        let document = iam.call("GetPolicyVersion", [policy, version], |found| {
            text(found, "Document")
        });
        documents.extend(document.await?.as_deref().and_then(parsed));
    }
    Ok(documents)
}

/// IAM answers with documents in percent-encoding.
fn parsed(document: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(document) {
        return Some(value);
    }
    // An encoded document holds neither `=` nor `&`, so all of it is one name.
    let (decoded, _) = form_urlencoded::parse(document.as_bytes()).next()?;
    serde_json::from_str(&decoded).ok()
}
