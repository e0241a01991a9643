//! `soci-builder tasks`: how long the running tasks of an ECS cluster took to start, and which of their images have an index.

use std::{collections::HashMap, io, time::Duration};

use serde::Serialize;
use soci_format::{oci::Reference, printable::printable};
use soci_index::{lookup::version_of, run::chain};
use soci_tasks::{Container, Task};

use super::{Access, TasksArgs, print};
use crate::{
    ecs::Ecs,
    exit_status::{ExitStatus, Output},
};

/// As long as the index of an image is not known.
const UNKNOWN: &str = "unknown";

#[derive(Serialize)]
struct Tasks {
    tasks: Vec<TaskRow>,
}

#[derive(Serialize)]
struct TaskRow {
    task: String,
    family: String,
    service: Option<String>,
    /// From the start to the end of the pull of all images.
    pull_seconds: Option<f64>,
    /// From the start of the pull until all containers ran.
    start_seconds: Option<f64>,
    containers: Vec<ContainerRow>,
}

#[derive(Serialize)]
struct ContainerRow {
    name: String,
    image: String,
    /// `v2`, `v1`, `none` or `unknown`.
    indexed: &'static str,
}

pub(crate) async fn run(arguments: TasksArgs, access: &Access) -> Result<Output, ExitStatus> {
    let cluster = &arguments.cluster;
    let tasks = async {
        let ecs = Ecs::of(cluster).await?;
        ecs.running(cluster, arguments.service.as_deref()).await
    };
    let tasks = tasks
        .await
        .map_err(|error| ExitStatus::Failed(error.into()))?;
    let mut known = HashMap::new();
    let mut rows = Vec::new();
    for task in &tasks {
        let mut containers = Vec::new();
        for container in &task.containers {
            let image = (container.image.clone(), container.image_digest);
            let indexed = match known.get(&image) {
                Some(indexed) => *indexed,
                None => look(container, access).await,
            };
            known.insert(image, indexed);
            containers.push(ContainerRow {
                name: container.name.clone(),
                image: container.image.clone(),
                indexed,
            });
        }
        rows.push(row(task, containers));
    }
    let tasks = Tasks { tasks: rows };
    print::output(arguments.json, &tasks, text, ExitStatus::Success)
}

/// Which index the image has.
async fn look(container: &Container, access: &Access) -> &'static str {
    let Some((image, pulled)) = container.pulled() else {
        return UNKNOWN;
    };
    let image = Reference::Registry(image);
    let version = async { version_of(&access.open(&image)?, &pulled).await };
    match version.await {
        Ok(version) => version.map_or("none", |version| version.name()),
        Err(error) => {
            print::warn(&format!("{}: {}", container.image, chain(&error)));
            UNKNOWN
        }
    }
}

fn row(task: &Task, containers: Vec<ContainerRow>) -> TaskRow {
    let id = task.arn.rsplit('/').next().unwrap_or_default();
    TaskRow {
        task: id.to_owned(),
        family: task.family.clone(),
        service: task.service.clone(),
        pull_seconds: task.pull.as_ref().map(Duration::as_secs_f64),
        start_seconds: task.start.as_ref().map(Duration::as_secs_f64),
        containers,
    }
}

fn text(out: &mut Vec<u8>, tasks: &Tasks) -> io::Result<()> {
    use io::Write;

    writeln!(
        out,
        "{:<34}{:>10}{:>10}  {:<9}image",
        "task", "pull", "start", "index"
    )?;
    let seconds = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |s| format!("{s:.1} s"));
    for task in &tasks.tasks {
        for container in &task.containers {
            writeln!(
                out,
                "{:<34}{:>10}{:>10}  {:<9}{}",
                printable(&task.task),
                seconds(task.pull_seconds),
                seconds(task.start_seconds),
                container.indexed,
                printable(&container.image),
            )?;
        }
    }
    Ok(())
}
