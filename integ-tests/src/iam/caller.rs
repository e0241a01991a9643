//! Who calls.
//! In: a request's headers. Out: an access key and, for Lambda functions, their name. Checks no signature.

use std::fmt;

use hyper::{HeaderMap, header::AUTHORIZATION};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever deploys: may do everything.
    Deployer,
    /// A role, in a session.
    Role {
        /// The role's ARN.
        arn: String,
        /// The session's name: the function's, or the build's.
        session: String,
    },
    /// Someone with a function's or a build's key whose role is not known: may do nothing.
    Unknown {
        /// What is known.
        what: String,
    },
}

impl Caller {
    /// A session of a role.
    pub fn role(arn: &str, session: &str) -> Self {
        Self::Role {
            arn: arn.to_owned(),
            session: session.to_owned(),
        }
    }
}

/// As AWS writes it: `arn:aws:sts::000000000000:assumed-role/Name/session`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployer => f.write_str("deployer"),
            Self::Unknown { what } => f.write_str(what),
            Self::Role { arn, session } => {
                let mut parts = arn.splitn(6, ':');
                let account = parts.nth(4).unwrap_or_default();
                // The path is not part of a session's ARN.
                let name = parts.next().and_then(|role| role.rsplit('/').next());
                let name = name.unwrap_or_default();
                write!(f, "arn:aws:sts::{account}:assumed-role/{name}/{session}")
            }
        }
    }
}

/// The access key of a signed request: `Credential=<key>/<date>/…`.
pub(super) fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let credential = authorization.split_once("Credential=")?.1;
    credential.split('/').next()
}

/// The Lambda function's name: the session's token, `function/<name>`, or `app/<name>` in the SDK's user agent.
pub(super) fn function(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get("x-amz-security-token");
    let token = token.and_then(|token| token.to_str().ok());
    if let Some(name) = token.and_then(|token| token.strip_prefix("function/")) {
        return Some(name);
    }
    ["x-amz-user-agent", "user-agent"].iter().find_map(|name| {
        let agent = headers.get(*name)?.to_str().ok()?;
        agent.split(' ').find_map(|part| part.strip_prefix("app/"))
    })
}
