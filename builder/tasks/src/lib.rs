//! ECS tasks and how long they took to start. In: JSON, as a `Task State Change` event or `DescribeTasks` has it. Out: a task, its
//! containers and times. Knows nothing of where the JSON comes from, nor of indexes.

#![warn(missing_docs)]

use std::{path::Path, time::Duration};

use serde_json::Value;
use soci_format::{
    digest::Digest,
    oci::{Reference, RegistryImage, Selector},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// The family of its task definition.
    pub family: String,
    /// The name of its cluster.
    pub cluster: String,
    /// The service that it belongs to, if it does.
    pub service: Option<String>,
    /// `FARGATE`, `EC2` and the like; empty if ECS does not say.
    pub launch_type: String,
    /// `RUNNING` and the like; empty if ECS does not say.
    pub last_status: String,
    /// What ECS wants it to be; empty if it does not say.
    pub desired_status: String,
    /// From the start to the end of the pull of all images, if both are known.
    pub pull: Option<Duration>,
    /// From the start of the pull until all containers ran, if both are known.
    pub start: Option<Duration>,
    /// How long after its start ECS changed it last; only events say so.
    pub changed: Option<Duration>,
    /// Its containers.
    pub containers: Vec<Container>,
}

/// A container of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, as the task definition names it.
    pub image: String,
    /// The digest of the image that was pulled, if ECS says so.
    pub image_digest: Option<Digest>,
}

/// What is no task.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTask {
    /// Something is missing.
    #[error("the task has no {0}")]
    Missing(&'static str),
    /// Something is not of its type.
    #[error("{0} of the task is not a {1}")]
    Type(&'static str, &'static str),
}

impl Task {
    /// Reads a task.
    ///
    /// # Errors
    /// If something is missing that every task has, or is not of its type.
    pub fn parse(task: &Value) -> Result<Self, InvalidTask> {
        let required = |name| text(task, name)?.ok_or(InvalidTask::Missing(name));
        let definition = required("taskDefinitionArn")?;
        let group = text(task, "group")?.unwrap_or_default();
        let [pull_started, pull_stopped, started, updated] =
            ["pullStartedAt", "pullStoppedAt", "startedAt", "updatedAt"].map(|name| at(task, name));
        let (pull_started, started) = (pull_started?, started?);
        let containers = match &task["containers"] {
            Value::Array(containers) => containers.iter().map(Container::parse).collect(),
            Value::Null => Err(InvalidTask::Missing("containers")),
            _ => Err(InvalidTask::Type("containers", "list")),
        };
        Ok(Self {
            arn: required("taskArn")?.to_owned(),
            family: family(definition).to_owned(),
            cluster: last_part(required("clusterArn")?).to_owned(),
            service: group.strip_prefix("service:").map(str::to_owned),
            launch_type: text(task, "launchType")?.unwrap_or_default().to_owned(),
            last_status: text(task, "lastStatus")?.unwrap_or_default().to_owned(),
            desired_status: text(task, "desiredStatus")?.unwrap_or_default().to_owned(),
            pull: between(pull_started, pull_stopped?),
            start: between(pull_started, started),
            changed: between(started, updated?),
            containers: containers?,
        })
    }
}

impl Container {
    /// The image in its registry, and what was pulled there: by the digest, because the tag may name another image by now. None if the
    /// image's name is without a registry, or is none.
    #[must_use]
    pub fn pulled(&self) -> Option<(RegistryImage, Selector)> {
        // Without a tag it is the latest.
        let mut names = [self.image.clone(), format!("{}:latest", self.image)].into_iter();
        let parsed = names.find_map(|name| Reference::parse(&name, &|_: &Path| false).ok())?;
        let Reference::Registry(image) = parsed else {
            return None;
        };
        let pulled = self.image_digest.map(Selector::Digest);
        let pulled = pulled.unwrap_or_else(|| image.selector());
        Some((image, pulled))
    }

    fn parse(container: &Value) -> Result<Self, InvalidTask> {
        let digest = text(container, "imageDigest")?;
        Ok(Self {
            name: text(container, "name")?.unwrap_or_default().to_owned(),
            image: text(container, "image")?.unwrap_or_default().to_owned(),
            image_digest: digest.and_then(|digest| digest.parse().ok()),
        })
    }
}

/// `app` of `arn:aws:ecs:us-east-1:123456789012:task-definition/app:7`.
fn family(definition: &str) -> &str {
    let name = last_part(definition);
    name.rsplit_once(':').map_or(name, |(family, _)| family)
}

fn last_part(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, name)| name)
}

/// A text; the empty one is none.
fn text<'a>(of: &'a Value, name: &'static str) -> Result<Option<&'a str>, InvalidTask> {
    match &of[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(&**text).filter(|text| !text.is_empty())),
        _ => Err(InvalidTask::Type(name, "string")),
    }
}

/// A time: text in events, a number of seconds since 1970 in the API. One that makes no sense is none.
fn at(task: &Value, name: &'static str) -> Result<Option<OffsetDateTime>, InvalidTask> {
    match &task[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(OffsetDateTime::parse(text, &Rfc3339).ok()),
        Value::Number(seconds) => Ok(seconds.as_f64().and_then(since_1970)),
        _ => Err(InvalidTask::Type(name, "time")),
    }
}

fn since_1970(seconds: f64) -> Option<OffsetDateTime> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    OffsetDateTime::UNIX_EPOCH.checked_add(since.try_into().ok()?)
}

/// None where the second comes before the first.
fn between(first: Option<OffsetDateTime>, second: Option<OffsetDateTime>) -> Option<Duration> {
    (second? - first?).try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn task() -> Value {
        json!({
            "taskArn": "arn:aws:ecs:us-east-1:123456789012:task/prod/0a1b", "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/prod",
            "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:7", "group": "service:web", "launchType": "FARGATE",
            "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "pullStartedAt": "2026-11-22T18:15:20.5Z",
            "pullStoppedAt": "2026-11-22T18:15:22Z", "startedAt": "2026-11-22T19:15:23.25+01:00", "updatedAt": "2026-11-22T18:15:23.25Z",
            "containers": [{"name": "app", "image": "example/app:v1", "imageDigest": format!("sha256:{}", "a".repeat(64))}],
        })
    }

    #[test]
    fn an_events_task_is_read() {
        let task = Task::parse(&task()).unwrap();
        assert_eq!(
            (&*task.family, &*task.cluster, task.service.as_deref()),
            ("web", "prod", Some("web"))
        );
        assert_eq!(task.pull, Some(Duration::from_millis(1_500)));
        assert_eq!(task.start, Some(Duration::from_millis(2_750)));
        assert_eq!(task.changed, Some(Duration::ZERO));
        assert_eq!(task.containers.len(), 1);
        assert!(task.containers[0].image_digest.is_some());
    }

    #[test]
    fn the_apis_times_are_numbers() {
        let mut value = task();
        value["pullStartedAt"] = json!(1_795_371_320.5);
        let task = Task::parse(&value).unwrap();
        assert_eq!(task.pull, Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn times_that_are_missing_or_make_no_sense_are_unknown() {
        for value in [
            json!(null),
            json!("yesterday"),
            json!(""),
            json!(-1),
            json!(1e300),
            json!("2027-01-01T00:00:00Z"),
        ] {
            let mut task = task();
            task["pullStartedAt"] = value;
            let task = Task::parse(&task).unwrap();
            assert_eq!((task.pull, task.start), (None, None));
        }
    }

    #[test]
    fn what_is_no_task_is_told() {
        for (name, value, said) in [
            ("taskArn", json!(null), "the task has no taskArn"),
            ("clusterArn", json!(""), "the task has no clusterArn"),
            (
                "taskDefinitionArn",
                json!(7),
                "taskDefinitionArn of the task is not a string",
            ),
            ("containers", json!(null), "the task has no containers"),
            (
                "containers",
                json!({}),
                "containers of the task is not a list",
            ),
            (
                "startedAt",
                json!([]),
                "startedAt of the task is not a time",
            ),
            ("group", json!({}), "group of the task is not a string"),
        ] {
            let mut task = task();
            task[name] = value;
            assert_eq!(Task::parse(&task).unwrap_err().to_string(), said);
        }
        assert!(Task::parse(&json!("task")).is_err());
    }

    proptest! {
        #[test]
        fn any_number_of_seconds_is_a_time_or_none(seconds in proptest::num::f64::ANY) {
            let _ = since_1970(seconds);
        }
    }
}
