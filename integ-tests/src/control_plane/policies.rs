//! A role's policy documents, as IAM has them. In: the role's ARN. Out: inline and attached documents, parsed.

use aws_sdk_iam::Client;
use serde_json::Value;
use url::form_urlencoded;

use super::Error;

/// All documents; none for a role that is not there.
pub(super) async fn of(iam: &Client, role_arn: &str) -> Result<Vec<Value>, Error> {
    let role = role_arn.rsplit('/').next().unwrap_or(role_arn);
    let mut documents = Vec::new();
    let inline = iam.list_role_policies().role_name(role).send().await;
    for name in inline
        .map_err(Error::refused("ListRolePolicies"))?
        .policy_names
    {
        let found = iam
            .get_role_policy()
            .role_name(role)
            .policy_name(name)
            .send()
            .await;
        let found = found.map_err(Error::refused("GetRolePolicy"))?;
        documents.extend(parsed(&found.policy_document));
    }
    let attached = iam
        .list_attached_role_policies()
        .role_name(role)
        .send()
        .await;
    let attached = attached.map_err(Error::refused("ListAttachedRolePolicies"))?;
    for policy in attached.attached_policies.unwrap_or_default() {
        let arn = policy.policy_arn.unwrap_or_default();
        let found = iam.get_policy().policy_arn(&arn).send().await;
        // A policy of AWS's own, which the emulator does not have, gives nothing here.
        let Ok(found) = found else { continue };
        let version = found.policy.and_then(|policy| policy.default_version_id);
        let found = iam
            .get_policy_version()
            .policy_arn(&arn)
            .version_id(version.unwrap_or_default())
            .send()
            .await
            .map_err(Error::refused("GetPolicyVersion"))?;
        let document = found.policy_version.and_then(|version| version.document);
        documents.extend(document.as_deref().and_then(parsed));
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
