//! CodeBuild's length limits.
//! In: variables and buildspecs. Out: CodeBuild's errors. Pure.

use crate::cloud::call::Refused;

/// "EnvironmentVariable should be at most 4096 characters" (reported to wolfeidau/buildkite-serverless-agent, issue 35).
const VARIABLE_CHARS: usize = 4_096;
/// An inline buildspec (reported to aws/aws-cdk, pull request 14974).
pub(super) const BUILDSPEC_CHARS: usize = 25_600;
/// Names that CodeBuild keeps for itself.
const RESERVED: &str = "CODEBUILD_";

/// Whether a variable is taken. Line breaks are refused, because nothing says that they survive.
pub(super) fn check_variable(name: &str, value: &str) -> Result<(), Refused> {
    let refuse = |message: String| Err(Refused::new("InvalidInputException", message));
    if name.is_empty() {
        return refuse("Environment variable name must not be empty".to_owned());
    }
    if name.starts_with(RESERVED) {
        return refuse(format!(
            "Environment variable name cannot start with {RESERVED}: {name}"
        ));
    }
    if value.chars().count() > VARIABLE_CHARS {
        return refuse(format!(
            "EnvironmentVariable should be at most {VARIABLE_CHARS} characters"
        ));
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err(Refused::unplayed(&format!(
            "a line break in the variable {name}"
        )));
    }
    Ok(())
}
