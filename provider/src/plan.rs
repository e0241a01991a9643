//! The plan: what to do about a request, from what is known. Pure: no client, clock or environment.
//! In: the request's names and time, the project's builds, whether the index is there. Out: one step, and the builds to stop.

use std::time::{Duration, SystemTime};

/// An event's time is known to the second.
const SECOND: Duration = Duration::from_secs(1);

/// Whose request it is, and from when.
#[derive(Clone, Debug)]
pub struct Asked {
    /// CloudFormation's id of the request.
    pub request_id: String,
    /// The resource, by a name that all of its requests share.
    pub resource: String,
    /// When the request was made.
    pub made: SystemTime,
    /// The least of the request's builds that counts: 2 once the first one is known to be of no use.
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
    /// Whether its request is answered at its end, and not at its start.
    pub is_waited_for: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Watch this build, or take its end: it is the request's own.
    Watch(String),
    /// Answer with what is there.
    Answer,
    /// Start a build.
    Start,
}

/// What to do, and which builds nobody needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The step.
    pub step: Step,
    /// Builds to stop first.
    pub stop: Vec<String>,
}

/// What to do about a Create or an Update.
#[must_use]
pub fn plan(asked: &Asked, builds: &[KnownBuild], index_is_there: bool) -> Plan {
    let own = builds.iter().filter(|build| is_own(build, asked));
    let own = own.max_by_key(|build| build.attempt);
    let own = own.filter(|build| build.attempt >= asked.attempt);
    // The own build first: an event that comes again must be answered as it was.
    let step = match own {
        Some(own) => Step::Watch(own.id.clone()),
        None if index_is_there => Step::Answer,
        None => Step::Start,
    };
    Plan {
        step,
        stop: outdated(asked, builds),
    }
}

/// The running builds of other, older requests of the same resource. Newer ones are spared: this may be an old event that comes
/// again.
#[must_use]
pub fn outdated(asked: &Asked, builds: &[KnownBuild]) -> Vec<String> {
    let is_outdated = |build: &&KnownBuild| {
        build.is_running
            && is_of(build, asked)
            && !is_own(build, asked)
            && build
                .started
                .is_none_or(|started| started < asked.made + SECOND)
    };
    builds
        .iter()
        .filter(is_outdated)
        .map(|build| build.id.clone())
        .collect()
}

/// The outdated builds of a resource that goes. Those that nobody waits for are spared: a resource's old id goes while the build of its
/// new one, which was answered at its start, still runs.
#[must_use]
pub fn outdated_at_delete(asked: &Asked, builds: &[KnownBuild]) -> Vec<String> {
    let mut outdated = outdated(asked, builds);
    outdated.retain(|id| {
        builds
            .iter()
            .any(|build| build.id == *id && build.is_waited_for)
    });
    outdated
}

/// The request's own builds that have not ended.
#[must_use]
pub fn own_running(asked: &Asked, builds: &[KnownBuild]) -> Vec<String> {
    let own = builds
        .iter()
        .filter(|build| build.is_running && is_own(build, asked));
    own.map(|build| build.id.clone()).collect()
}

fn is_own(build: &KnownBuild, asked: &Asked) -> bool {
    build.request_id.as_ref() == Some(&asked.request_id) && is_of(build, asked)
}

fn is_of(build: &KnownBuild, asked: &Asked) -> bool {
    build.resource.as_ref() == Some(&asked.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: u64 = 1_000_000;

    fn asked() -> Asked {
        Asked {
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
    fn what_is_known_decides() {
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
            (&[], true, Step::Answer, &[]),
            (&[own(true)], false, watch(), &[]),
            (&[own(false)], false, watch(), &[]),
            (&[own(false)], true, watch(), &[]),
            (&[before(true)], false, Step::Start, &["before"]),
            (&[before(true)], true, Step::Answer, &["before"]),
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
            let planned = plan(&asked(), builds, index_is_there);
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
        let again = Asked {
            attempt: 2,
            ..asked()
        };
        let watch = Step::Watch("second".to_owned());
        let both = [first.clone(), second.clone()];
        let reversed = [second, first.clone()];
        for builds in [&both, &reversed] {
            assert_eq!(plan(&asked(), builds, false).step, watch);
            assert_eq!(plan(&again, builds, false).step, watch);
            assert!(plan(&again, builds, false).stop.is_empty());
        }
        assert_eq!(plan(&again, &[first], false).step, Step::Start);
    }

    #[test]
    fn a_delete_stops_only_what_is_waited_for() {
        let waited = build("waited", "earlier", "stack/Index", -60, true);
        let let_go = KnownBuild {
            is_waited_for: false,
            ..build("let go", "earlier", "stack/Index", -60, true)
        };
        let builds = [waited, let_go];
        assert_eq!(outdated_at_delete(&asked(), &builds), ["waited"]);
        assert_eq!(outdated(&asked(), &builds), ["waited", "let go"]);
    }

    #[test]
    fn an_event_of_the_same_second_is_later_than_the_build() {
        let just_before = KnownBuild {
            started: Some(at(0) + Duration::from_millis(900)),
            ..build("before", "earlier", "stack/Index", 0, true)
        };
        assert_eq!(outdated(&asked(), &[just_before]), ["before"]);
        let after = build("after", "later", "stack/Index", 1, true);
        assert!(outdated(&asked(), &[after]).is_empty());
    }
}
