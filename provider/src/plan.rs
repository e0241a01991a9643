//! The plan: what to do for a request, from known facts. Pure: no client, clock or environment.
//! In: the request's ids and time, the project's builds, whether the index exists. Out: one step, and the builds to stop.

use std::time::{Duration, SystemTime};

/// The event's time has a resolution of one second.
const SECOND: Duration = Duration::from_secs(1);

/// Identifies a request, with its time.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// CloudFormation's id of the request.
    pub request_id: String,
    /// The resource's unique name, the same for all of its requests.
    pub resource: String,
    /// When CloudFormation created the request.
    pub made: SystemTime,
    /// The first build of the request that counts: 2 once the first one failed with an early denial.
    pub attempt: u8,
}

/// A build of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBuild {
    /// CodeBuild's id.
    pub id: String,
    /// The request that it was started for.
    pub request_id: Option<String>,
    /// The resource of that request.
    pub resource: Option<String>,
    /// 1 for the request's first build.
    pub attempt: u8,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// Whether it has not ended yet.
    pub is_running: bool,
    /// Whether the response waits for the build to end.
    pub is_waited_for: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Watch this build, or use its result: it belongs to the request.
    Watch(String),
    /// Respond with the existing index.
    Respond,
    /// Start a build.
    Start,
}

/// What to do, and which builds are outdated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The step.
    pub step: Step,
    /// Builds to stop first.
    pub stop: Vec<String>,
}

/// Plans a Create or an Update.
#[must_use]
pub fn plan(request_key: &RequestKey, builds: &[KnownBuild], index_is_there: bool) -> Plan {
    let own = builds.iter().filter(|build| is_own(build, request_key));
    let own = own.max_by_key(|build| build.attempt);
    let own = own.filter(|build| build.attempt >= request_key.attempt);
    // The request's own build comes first: a repeated event must get the same response.
    let step = match own {
        Some(own) => Step::Watch(own.id.clone()),
        None if index_is_there => Step::Respond,
        None => Step::Start,
    };
    Plan {
        step,
        stop: outdated(request_key, builds),
    }
}

/// The running builds of older requests of the same resource. Newer ones are kept: this may be a repeated old
/// event.
#[must_use]
pub fn outdated(request_key: &RequestKey, builds: &[KnownBuild]) -> Vec<String> {
    let is_outdated = |build: &&KnownBuild| {
        build.is_running
            && is_of(build, request_key)
            && !is_own(build, request_key)
            && build
                .started
                .is_none_or(|started| started < request_key.made + SECOND)
    };
    builds
        .iter()
        .filter(is_outdated)
        .map(|build| build.id.clone())
        .collect()
}

/// The outdated builds of a deleted resource. Background builds are kept: CloudFormation deletes the old id while the build for
/// the new one still runs.
#[must_use]
pub fn outdated_on_delete(request_key: &RequestKey, builds: &[KnownBuild]) -> Vec<String> {
    let mut outdated = outdated(request_key, builds);
    outdated.retain(|id| {
        builds
            .iter()
            .any(|build| build.id == *id && build.is_waited_for)
    });
    outdated
}

/// The request's own running builds.
#[must_use]
pub fn own_running(request_key: &RequestKey, builds: &[KnownBuild]) -> Vec<String> {
    let own = builds
        .iter()
        .filter(|build| build.is_running && is_own(build, request_key));
    own.map(|build| build.id.clone()).collect()
}

fn is_own(build: &KnownBuild, request_key: &RequestKey) -> bool {
    build.request_id.as_ref() == Some(&request_key.request_id) && is_of(build, request_key)
}

fn is_of(build: &KnownBuild, request_key: &RequestKey) -> bool {
    build.resource.as_ref() == Some(&request_key.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: u64 = 1_000_000;

    fn request_key() -> RequestKey {
        RequestKey {
            request_id: "now".to_owned(),
            resource: "stack/Index".to_owned(),
            made: at(0),
            attempt: 1,
        }
    }

    fn at(seconds: i64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(MADE.saturating_add_signed(seconds))
    }

    fn build(
        id: &str,
        request: &str,
        resource: &str,
        started: i64,
        is_running: bool,
    ) -> KnownBuild {
        KnownBuild {
            id: id.to_owned(),
            request_id: Some(request.to_owned()),
            resource: Some(resource.to_owned()),
            attempt: 1,
            started: Some(at(started)),
            is_running,
            is_waited_for: true,
        }
    }

    #[test]
    fn the_step_follows_from_the_facts() {
        let own = |is_running| build("own", "now", "stack/Index", 2, is_running);
        let before = |is_running| build("before", "earlier", "stack/Index", -60, is_running);
        let after = build("after", "later", "stack/Index", 60, true);
        let other = build("other", "now", "stack/Other", -60, true);
        let stranger = KnownBuild {
            request_id: None,
            resource: None,
            ..before(true)
        };
        let watch = || Step::Watch("own".to_owned());
        let table: [(&[KnownBuild], bool, Step, &[&str]); 10] = [
            (&[], false, Step::Start, &[]),
            (&[], true, Step::Respond, &[]),
            (&[own(true)], false, watch(), &[]),
            (&[own(false)], false, watch(), &[]),
            (&[own(false)], true, watch(), &[]),
            (&[before(true)], false, Step::Start, &["before"]),
            (&[before(true)], true, Step::Respond, &["before"]),
            (&[before(false), after.clone()], false, Step::Start, &[]),
            (
                &[own(true), before(true), after],
                false,
                watch(),
                &["before"],
            ),
            (&[other, stranger], false, Step::Start, &[]),
        ];
        for (builds, index_is_there, step, stop) in table {
            let planned = plan(&request_key(), builds, index_is_there);
            assert_eq!(planned.step, step, "{builds:?}");
            assert_eq!(planned.stop, stop, "{builds:?}");
        }
    }

    #[test]
    fn the_last_attempt_counts() {
        let first = build("first", "now", "stack/Index", 2, false);
        let second = KnownBuild {
            attempt: 2,
            ..build("second", "now", "stack/Index", 60, true)
        };
        let again = RequestKey {
            attempt: 2,
            ..request_key()
        };
        let watch = Step::Watch("second".to_owned());
        let both = [first.clone(), second.clone()];
        let reversed = [second, first.clone()];
        for builds in [&both, &reversed] {
            assert_eq!(plan(&request_key(), builds, false).step, watch);
            assert_eq!(plan(&again, builds, false).step, watch);
            assert!(plan(&again, builds, false).stop.is_empty());
        }
        assert_eq!(plan(&again, &[first], false).step, Step::Start);
    }

    #[test]
    fn a_delete_keeps_background_builds() {
        let waited = build("waited", "earlier", "stack/Index", -60, true);
        let let_go = KnownBuild {
            is_waited_for: false,
            ..build("let go", "earlier", "stack/Index", -60, true)
        };
        let builds = [waited, let_go];
        assert_eq!(outdated_on_delete(&request_key(), &builds), ["waited"]);
        assert_eq!(outdated(&request_key(), &builds), ["waited", "let go"]);
    }

    #[test]
    fn an_event_of_the_same_second_is_later_than_the_build() {
        let just_before = KnownBuild {
            started: Some(at(0) + Duration::from_millis(900)),
            ..build("before", "earlier", "stack/Index", 0, true)
        };
        assert_eq!(outdated(&request_key(), &[just_before]), ["before"]);
        let after = build("after", "later", "stack/Index", 1, true);
        assert!(outdated(&request_key(), &[after]).is_empty());
    }
}
