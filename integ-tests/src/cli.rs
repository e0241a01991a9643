//! The command line and its commands. Commands for a running local cloud query its `records`.

mod records;

use std::{
    error::Error,
    process::{ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use local_cloud::control_plane::{Emulated, LocalCloud, Options, foreign_variables};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Run a local AWS for the cdk CLI
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start everything, print the environment to export, and run until interrupted or stopped
    Start(Pace),
    /// Start everything, run a command in its environment, and stop everything
    Run {
        #[command(flatten)]
        pace: Pace,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// In a running cloud: print the events of a stack, with timestamps in milliseconds
    Events {
        /// The stack's name
        stack: String,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// In a running cloud: print the provider's responses to CloudFormation, as NAME=VALUE
    Responses {
        /// Print only the latest response that has attributes (not a response to a Delete)
        #[arg(long)]
        last: bool,
    },
    /// In a running cloud: print the builds and their output
    Builds,
    /// In a running cloud: print the logs of the functions
    Logs,
    /// In a running cloud: list existing stacks, functions, projects, roles, log groups and images
    Leftovers,
    /// In a running cloud: stop it and wait until it has ended
    Stop,
}

#[derive(Debug, Args)]
struct Pace {
    /// Multiply the provider's pauses and time limits by FACTOR (above 0, at most 1)
    #[arg(long, value_name = "FACTOR")]
    provider_pace: Option<f64>,
    /// Let functions use all CPU, not only the share that Lambda gives them with their memory
    #[arg(long)]
    all_cpu: bool,
    /// Let each CodeBuild build wait for its machine, as on AWS
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    provisioning: u64,
}

pub(crate) async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Verb::Start(pace) => start(pace).await,
        Verb::Run { pace, command } => run_inside(pace, &command).await,
        Verb::Events { stack, json } => events(&stack, json).await,
        Verb::Responses { last } => responses(last).await,
        Verb::Builds => builds().await,
        Verb::Logs => {
            print(&account().await?.logs().await?);
            Ok(ExitCode::SUCCESS)
        }
        Verb::Leftovers => leftovers().await,
        Verb::Stop => {
            records::stop().await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The records outlive the cloud: `stop` waits for their end.
async fn cloud(pace: Pace) -> Result<(records::Records, Arc<LocalCloud>), Failure> {
    let mut options = Options {
        provider_pace: pace.provider_pace,
        cpu_shares: !pace.all_cpu,
        ..Options::default()
    };
    options.cloud.codebuild.provisioning = Duration::from_secs(pace.provisioning);
    let cloud = Arc::new(LocalCloud::start(options).await?);
    let records = records::Records::serve(&cloud).await?;
    Ok((records, cloud))
}

/// The environment variables of the cloud, with the address of its records.
fn environment(cloud: &LocalCloud, records: &records::Records) -> Vec<(String, String)> {
    let mut all = cloud.environment().to_vec();
    let path = std::env::var("PATH").unwrap_or_default();
    all.push((
        "PATH".into(),
        format!("{}:{path}", cloud.cdk().program_folder().display()),
    ));
    all.push((records::VARIABLE.into(), records.url()));
    all
}

async fn start(pace: Pace) -> Result<ExitCode, Failure> {
    let (records, cloud) = cloud(pace).await?;
    let environment = environment(&cloud, &records);
    let mut text = String::new();
    for name in foreign_variables() {
        text += &format!("unset {}\n", name.display());
    }
    for (name, value) in &environment {
        text += &format!("export {name}='{value}'\n");
    }
    print(&text);
    eprintln!("local-cloud: ready; stop it with Ctrl-C or: local-cloud stop");
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
        () = records.asked_to_stop() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_inside(pace: Pace, command: &[String]) -> Result<ExitCode, Failure> {
    let (records, cloud) = cloud(pace).await?;
    let mut inside = Command::new(&command[0]);
    inside.args(&command[1..]);
    foreign_variables().for_each(|name| {
        inside.env_remove(name);
    });
    let mut child = inside
        .envs(environment(&cloud, &records))
        .stdin(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", command[0]))?;
    let mut terminated = signal(SignalKind::terminate())?;
    // Ctrl-C also interrupts the command. We outlive it to shut down the cloud.
    let mut interrupted = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            ended = child.wait() => {
                let code = ended?.code().and_then(|code| u8::try_from(code).ok());
                return Ok(ExitCode::from(code.unwrap_or(1)));
            }
            _ = interrupted.recv() => {}
            _ = terminated.recv() => return Ok(ExitCode::from(143)),
            () = records.asked_to_stop() => return Ok(ExitCode::from(143)),
        }
    }
}

async fn account() -> Result<Emulated, Failure> {
    let address = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    Ok(Emulated::at(port.ok_or(
        "AWS_ENDPOINT_URL is not set to a running local cloud",
    )?)?)
}

async fn events(stack: &str, as_json: bool) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    for event in account().await?.stacks().events(stack).await? {
        text += &if as_json {
            json!({ "at_ms": event.at_ms, "type": event.kind, "status": event.status, "resource": event.resource }).to_string()
        } else {
            event.to_string()
        };
        text.push('\n');
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

async fn responses(last: bool) -> Result<ExitCode, Failure> {
    let all = records::get("responses").await?;
    let mut all: Vec<_> = all.as_array().into_iter().flatten().collect();
    if last {
        all.retain(|answer| {
            answer["Data"]
                .as_object()
                .is_some_and(|data| !data.is_empty())
        });
        all.drain(..all.len().saturating_sub(1));
    }
    let mut text = String::new();
    for answer in all {
        let fixed = [
            "LogicalResourceId",
            "Status",
            "Reason",
            "PhysicalResourceId",
        ];
        let fixed = fixed.map(|name| (name, &answer[name]));
        let data = answer["Data"].as_object().into_iter().flatten();
        let data = data.map(|(name, value)| (name.as_str(), value));
        for (name, value) in fixed.into_iter().chain(data) {
            if let Some(value) = value.as_str() {
                text += &format!("{name}={value}\n");
            }
        }
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

async fn builds() -> Result<ExitCode, Failure> {
    let mut text = String::new();
    for build in records::get("builds")
        .await?
        .as_array()
        .into_iter()
        .flatten()
    {
        let field = |name: &str| build[name].as_str().unwrap_or_default().to_owned();
        text += &format!("{} {}\n{}\n", field("id"), field("status"), field("log"));
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

async fn leftovers() -> Result<ExitCode, Failure> {
    let account = account().await?;
    let mut text = String::new();
    for (kind, names) in [
        ("stacks", account.stacks().names().await?),
        ("functions", account.functions().await?),
        ("projects", account.projects().await?),
        ("roles", account.roles().await?),
        ("log groups", account.log_groups().await?),
    ] {
        text += &format!(
            "{kind}: {}\n",
            if names.is_empty() {
                "none".into()
            } else {
                names.join(", ")
            }
        );
    }
    let images: Value = records::get("images").await?;
    for (repository, tags) in images.as_object().into_iter().flatten() {
        text += &format!("images in {repository}: {tags}\n");
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "stdout is where a result goes")]
fn print(text: &str) {
    print!("{text}");
}
