//! The start-times function: another Lambda function with the same program, which measures how long ECS tasks take to start.
//! In: ECS's events of tasks that run. Out: a line of metrics for each container, with what index its image has.
//!
//! ```text
//! event ─▶ task (soci-tasks) ─▶ indexed: image ─▶ metrics
//! ```

mod indexed;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};
use soci_tasks::{Container, Task};
use tokio::time::Instant;

use crate::{
    app::App,
    builder_function::Invocation,
    log::Log,
    metrics::{Metric, Metrics},
    pace::RetryWindow,
};
use indexed::Indexed;

/// ECS sends further events of a task that runs, for example when its health changes. The first is sent when it starts.
const FIRST_EVENT: Duration = Duration::from_secs(10);
/// So many tasks are remembered, for events that are delivered twice.
const REMEMBERED: usize = 1_000;
/// How long failed calls are retried; then the index is unknown.
const RETRY_PERIOD: Duration = Duration::from_secs(10);

const METRICS: [Metric; 2] = [
    Metric {
        name: "PullSeconds",
        unit: "Seconds",
    },
    Metric {
        name: "StartSeconds",
        unit: "Seconds",
    },
];

/// What every invocation of the start-times function shares.
pub struct StartTimes {
    app: Arc<App>,
    metrics: Metrics,
    /// The ARNs of the tasks that were measured last.
    measured: Mutex<VecDeque<String>>,
}

/// An event that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot parse the event: {0}")]
pub struct InvalidEvent(String);

impl StartTimes {
    /// Writes to `metrics`.
    #[must_use]
    pub fn new(app: Arc<App>, metrics: Metrics) -> Self {
        Self {
            app,
            metrics,
            measured: Mutex::default(),
        }
    }

    /// Whether the task was measured before.
    fn is_measured(&self, task: &Task) -> bool {
        let measured = self.measured.lock();
        let mut measured = measured.unwrap_or_else(PoisonError::into_inner);
        if measured.contains(&task.arn) {
            return true;
        }
        measured.push_back(task.arn.clone());
        if measured.len() > REMEMBERED {
            measured.pop_front();
        }
        false
    }
}

/// Handles an invocation. An event that is not about the start of a task on Fargate is passed over.
///
/// # Errors
/// If the event cannot be read.
pub async fn handle(
    function: &StartTimes,
    event: &Value,
    invocation: Invocation,
) -> Result<(), InvalidEvent> {
    let log = Log::of(&invocation.request_id);
    let (source, kind) = (event["source"].as_str(), event["detail-type"].as_str());
    if (source, kind) != (Some("aws.ecs"), Some("ECS Task State Change")) {
        let why = "expected ECS Task State Change of aws.ecs".to_owned();
        return Err(InvalidEvent(why));
    }
    let task = Task::parse(&event["detail"]).map_err(|why| InvalidEvent(why.to_string()))?;
    let times = match times(&task) {
        Ok(times) => times,
        Err(why) => {
            log.info(format_args!("{} is passed over: {why}", task.arn));
            return Ok(());
        }
    };
    if function.is_measured(&task) {
        log.info(format_args!("{} is passed over: measured before", task.arn));
        return Ok(());
    }
    let left = invocation.deadline.duration_since(SystemTime::now());
    let until = Instant::now() + left.unwrap_or_default() / 2;
    let pace = function.app.pace;
    let retry_until = until.min(Instant::now() + pace.of(RETRY_PERIOD));
    let window = RetryWindow::new(pace, retry_until);
    for container in &task.containers {
        let looked = indexed::look(&function.app, container, window, &log);
        // Calls may take longer than the time for retries.
        let indexed = tokio::time::timeout_at(until, looked).await;
        let indexed = indexed.unwrap_or_else(|_| {
            log.info(format_args!(
                "{}: ECR does not answer in time",
                container.image
            ));
            Indexed::Unknown
        });
        let fields = fields(&task, container, indexed, times);
        function.metrics.write(
            &[&["TaskFamily", "Indexed"], &["Indexed"]],
            &METRICS,
            fields,
        );
    }
    Ok(())
}

/// How long the pull and the whole start took, in this order, or why the event is not about them.
fn times(task: &Task) -> Result<(Duration, Duration), &'static str> {
    if task.launch_type != "FARGATE" {
        return Err("not on Fargate");
    }
    if task.last_status != "RUNNING" || !["RUNNING", ""].contains(&&*task.desired_status) {
        return Err("it does not run");
    }
    if task.changed.is_some_and(|changed| changed > FIRST_EVENT) {
        return Err("it has run for a while");
    }
    match (task.pull, task.start) {
        (Some(pull), Some(start)) => Ok((pull, start)),
        _ => Err("its times are unknown"),
    }
}

fn fields(
    task: &Task,
    container: &Container,
    indexed: Indexed,
    (pull, start): (Duration, Duration),
) -> Map<String, Value> {
    let fields = json!({
        "TaskFamily": task.family, "Cluster": task.cluster, "Service": task.service, "Task": task.arn, "Container": container.name,
        "Image": container.image, "Indexed": indexed.name(), "PullSeconds": pull.as_secs_f64(), "StartSeconds": start.as_secs_f64(),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
