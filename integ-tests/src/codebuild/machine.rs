//! Build machines: which project settings CodeBuild accepts together, and the resulting limits.
//! In: a project. Out: errors and limits. Pure.

use std::time::Duration;

use super::lengths::BUILDSPEC_CHARS;
use crate::account::Project;

/// CodeBuild's own bounds, where a project names none.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
const QUEUED_TIMEOUT: Duration = Duration::from_secs(480 * 60);
/// A build on Lambda compute has this bound and no other.
const LAMBDA_TIMEOUT: Duration = Duration::from_secs(15 * 60);

const LINUX: &str = "LINUX_CONTAINER";
const LAMBDA: &str = "LINUX_LAMBDA_CONTAINER";

const LINUX_SIZES: [&str; 5] = ["SMALL", "MEDIUM", "LARGE", "XLARGE", "2XLARGE"];
const LAMBDA_SIZES: [&str; 5] = ["1GB", "2GB", "4GB", "8GB", "10GB"];

/// Whether builds run on Lambda compute.
pub(super) fn is_lambda(project: &Project) -> bool {
    project.machine.kind == LAMBDA
}

/// How long a build may run.
pub(super) fn timeout(project: &Project) -> Duration {
    match is_lambda(project) {
        true => LAMBDA_TIMEOUT,
        false => project.timeout.unwrap_or(TIMEOUT),
    }
}

/// How long a build may wait for its start.
pub(super) fn queued_timeout(project: &Project) -> Duration {
    project.queued_timeout.unwrap_or(QUEUED_TIMEOUT)
}

/// Why CodeBuild rejects a project.
pub(super) fn refusal(project: &Project) -> Option<String> {
    let machine = &project.machine;
    let (kind, image, size) = (&machine.kind, &machine.image, &machine.compute_type);
    let (family, sizes) = match kind.as_str() {
        LINUX => ("BUILD_GENERAL1_", LINUX_SIZES),
        LAMBDA => ("BUILD_LAMBDA_", LAMBDA_SIZES),
        other => return Some(format!("Invalid environment type: {other}")),
    };
    let fits = size.strip_prefix(family);
    if !fits.is_some_and(|size| sizes.contains(&size)) {
        return Some(format!(
            "Invalid compute type {size} for environment type {kind}"
        ));
    }
    // Of CodeBuild's own images, those for Lambda compute say so in their names; any other image can be of either kind.
    let own = image.strip_prefix("aws/codebuild/");
    if own.is_some_and(|name| name.contains("-lambda-") != is_lambda(project)) {
        return Some(format!("Invalid image {image} for environment type {kind}"));
    }
    if project.buildspec.chars().count() > BUILDSPEC_CHARS {
        return Some(format!(
            "Invalid buildspec: it has more than {BUILDSPEC_CHARS} characters"
        ));
    }
    let minutes = |given: Option<Duration>| given.map_or(5, |given| given.as_secs() / 60);
    for (name, given, most) in [
        ("timeoutInMinutes", minutes(project.timeout), 2_160),
        (
            "queuedTimeoutInMinutes",
            minutes(project.queued_timeout),
            480,
        ),
    ] {
        if !(5..=most).contains(&given) {
            return Some(format!(
                "Invalid {name}: {given} is not within 5 and {most}"
            ));
        }
    }
    if !is_lambda(project) {
        return None;
    }
    let refused = [
        (machine.privileged, "privilegedMode"),
        (project.network.is_some(), "vpcConfig"),
        (project.timeout.is_some(), "timeoutInMinutes"),
        (project.queued_timeout.is_some(), "queuedTimeoutInMinutes"),
    ];
    let (_, setting) = refused.into_iter().find(|(given, _)| *given)?;
    Some(format!(
        "{setting} is not supported for environment type {kind}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account::Network, cloud::given::project};

    fn lambda() -> Project {
        let mut project = project("p", "");
        project.machine.kind = LAMBDA.to_owned();
        project.machine.image =
            "aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12".into();
        project.machine.compute_type = "BUILD_LAMBDA_1GB".to_owned();
        (project.timeout, project.queued_timeout) = (None, None);
        project
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        assert_eq!(refusal(&project("p", "")), None);
        assert_eq!(refusal(&lambda()), None);
        type Case = (&'static str, fn() -> Project, fn(&mut Project));
        let changes: [Case; 13] = [
            (
                "buildspec",
                || project("p", ""),
                |it| it.buildspec = "#".repeat(25_601),
            ),
            (
                "timeoutInMinutes",
                || project("p", ""),
                |it| it.timeout = Some(Duration::from_secs(4 * 60)),
            ),
            (
                "timeoutInMinutes",
                || project("p", ""),
                |it| it.timeout = Some(Duration::from_secs(2_161 * 60)),
            ),
            (
                "queuedTimeoutInMinutes",
                || project("p", ""),
                |it| it.queued_timeout = Some(Duration::from_secs(481 * 60)),
            ),
            (
                "compute type",
                || project("p", ""),
                |it| it.machine.compute_type = "BUILD_LAMBDA_1GB".into(),
            ),
            ("compute type", lambda, |it| {
                it.machine.compute_type = "BUILD_GENERAL1_SMALL".into()
            }),
            ("compute type", lambda, |it| {
                it.machine.compute_type = "BUILD_LAMBDA_3GB".into()
            }),
            (
                "image",
                || project("p", ""),
                |it| it.machine.image = lambda().machine.image,
            ),
            ("image", lambda, |it| {
                it.machine.image = project("p", "").machine.image
            }),
            ("environment type", lambda, |it| {
                it.machine.kind = "WINDOWS".into()
            }),
            ("privilegedMode", lambda, |it| it.machine.privileged = true),
            ("timeoutInMinutes", lambda, |it| it.timeout = Some(TIMEOUT)),
            ("queuedTimeoutInMinutes", lambda, |it| {
                it.queued_timeout = Some(TIMEOUT)
            }),
        ];
        for (what, of, change) in changes {
            let mut project = of();
            change(&mut project);
            let told = refusal(&project).unwrap_or_default();
            assert!(told.contains(what), "{what}: {told:?}");
        }
        let mut in_vpc = lambda();
        let network = Network {
            vpc: "vpc-1".into(),
            subnets: vec!["subnet-1".into()],
            security_groups: vec!["sg-1".into()],
        };
        in_vpc.network = Some(network.clone());
        assert!(refusal(&in_vpc).unwrap().contains("vpcConfig"));
        let mut on_machine = project("p", "");
        on_machine.network = Some(network);
        on_machine.machine.privileged = true;
        assert_eq!(refusal(&on_machine), None);
    }

    #[test]
    fn bounds_are_the_projects_or_codebuilds() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let given = project("p", "");
        assert_eq!(
            (timeout(&given), queued_timeout(&given)),
            (minutes(20), minutes(30))
        );
        assert_eq!(timeout(&lambda()), minutes(15));
        let mut silent = given;
        (silent.timeout, silent.queued_timeout) = (None, None);
        assert_eq!(
            (timeout(&silent), queued_timeout(&silent)),
            (minutes(60), minutes(480))
        );
    }
}
