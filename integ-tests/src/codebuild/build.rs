//! A build: its state as `BatchGetBuilds` returns it, and its log.
//! In: what happens to it. Out: AWS's JSON. Runs nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{
    machine,
    script::{Death, Phase, Status},
};
use crate::{
    account::{ACCOUNT_ID, Network, Project, REGION},
    faults::Gate,
};

/// A build.
pub struct Build {
    pub(super) project: Project,
    id: String,
    number: u64,
    initiator: String,
    environment: BTreeMap<String, String>,
    /// Its log, and its files while it runs.
    folder: TempDir,
    stop: watch::Sender<bool>,
    over: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phases: Vec<PhaseRecord>,
    status: Option<Status>,
    started_at: f64,
    ended_at: Option<f64>,
    stream: Option<String>,
    exported: Vec<(String, String)>,
    /// Where it waits.
    gate: Option<Gate>,
}

struct PhaseRecord {
    phase: Phase,
    started_at: f64,
    ended: Option<(f64, Status)>,
    context: (String, String),
}

impl Build {
    pub(super) fn new(
        project: Project,
        number: u64,
        initiator: String,
        environment: BTreeMap<String, String>,
    ) -> io::Result<Self> {
        // There everybody may write; on Lambda compute, builds may nowhere else.
        let folder = TempDir::new_in("/tmp")?;
        File::create(folder.path().join("log"))?;
        let random = format!("{:032x}", fastrand::u128(..));
        // As a UUID is written.
        let id = [8, 4, 4, 4, 12]
            .iter()
            .fold((Vec::new(), 0), |(mut parts, at), length| {
                parts.push(&random[at..at + length]);
                (parts, at + length)
            });
        Ok(Self {
            id: format!("{}:{}", project.name, id.0.join("-")),
            project,
            number,
            initiator,
            environment,
            folder,
            stop: watch::Sender::new(false),
            over: watch::Sender::new(false),
            state: Mutex::new(State {
                started_at: now(),
                ..State::default()
            }),
        })
    }

    /// `project:uuid`
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:codebuild:{REGION}:{ACCOUNT_ID}:build/{}", self.id)
    }

    /// 1 for the project's first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The project's name.
    pub fn project_name(&self) -> &str {
        &self.project.name
    }

    /// Its environment as `BatchGetBuilds` shows it: the project's variables with the overrides.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Where in a VPC it runs.
    pub fn network(&self) -> Option<&Network> {
        self.project.network.as_ref()
    }

    /// What was printed so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended; none while it runs.
    pub fn status(&self) -> Option<Status> {
        self.state().status
    }

    /// The phase it is in.
    pub fn phase(&self) -> Phase {
        let state = self.state();
        let last = state.phases.last();
        last.map_or(Phase::Submitted, |record| record.phase)
    }

    /// Waits until it is over.
    pub async fn finished(&self) -> Option<Status> {
        let mut over = self.over.subscribe();
        let _ = over.wait_for(|over| *over).await;
        self.status()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log_file(&self) -> io::Result<File> {
        let log = self.folder.path().join("log");
        OpenOptions::new().append(true).open(log)
    }

    /// A line of CodeBuild's own in the log.
    pub(super) fn say(&self, line: &str) {
        if let Ok(mut log) = self.log_file() {
            let _ = writeln!(log, "[Container] {line}");
        }
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Its status is requested.
    pub(super) fn knock(&self) {
        let gate = self.state().gate.clone();
        if let Some(gate) = gate {
            gate.knock();
        }
    }

    pub(super) fn waits_at(&self, gate: Option<&Gate>) {
        self.state().gate = gate.cloned();
    }

    pub(super) fn stream_named(&self, stream: &str) {
        self.state().stream = Some(stream.to_owned());
    }

    pub(super) fn export(&self, exported: Vec<(String, String)>) {
        self.state().exported = exported;
    }

    pub(super) fn enter(&self, phase: Phase) {
        if phase > Phase::Provisioning && phase < Phase::Finalizing {
            self.say(&format!("Entering phase {}", phase.name()));
        }
        self.state().phases.push(PhaseRecord {
            phase,
            started_at: now(),
            ended: None,
            context: Default::default(),
        });
    }

    /// Ends the phase that it is in.
    pub(super) fn leave(&self, ended: Result<(), &Death>) {
        let mut state = self.state();
        let Some(record) = state.phases.last_mut() else {
            return;
        };
        let status = ended.map_or_else(|death| death.status, |()| Status::Succeeded);
        record.ended = Some((now(), status));
        if let Err(death) = ended {
            record.context = (death.code.clone(), death.message.clone());
        }
        let line = format!(
            "Phase complete: {} State: {}\n[Container] Phase context status code: {} Message: {}",
            record.phase.name(),
            status.name(),
            record.context.0,
            record.context.1
        );
        let told = record.phase > Phase::Provisioning && record.phase < Phase::Finalizing;
        drop(state);
        if told {
            self.say(&line);
        }
    }

    pub(super) fn finish(&self, status: Status) {
        {
            let mut state = self.state();
            state.phases.push(PhaseRecord {
                phase: Phase::Completed,
                started_at: now(),
                ended: None,
                context: Default::default(),
            });
            state.status = Some(status);
            state.ended_at = Some(now());
            state.gate = None;
        }
        self.over.send_replace(true);
    }

    /// As `BatchGetBuilds` tells it.
    pub(super) fn json(&self) -> Value {
        let state = self.state();
        let variables: Vec<_> = self
            .environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value, "type": "PLAINTEXT"}))
            .collect();
        let exported: Vec<_> = state
            .exported
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let (bucket, key) = &self.project.source;
        let minutes = |duration: std::time::Duration| duration.as_secs() / 60;
        let last = state.phases.last();
        let machine = &self.project.machine;
        let aws_key = || format!("arn:aws:kms:{REGION}:{ACCOUNT_ID}:alias/aws/s3");
        let encryption_key = self.project.encryption_key.clone();
        let mut json = json!({
            "id": self.id,
            "arn": self.arn(),
            "buildNumber": self.number,
            "startTime": state.started_at,
            "currentPhase": last.map_or("SUBMITTED", |record| record.phase.name()),
            "buildStatus": state.status.map_or("IN_PROGRESS", Status::name),
            "buildComplete": state.status.is_some(),
            "projectName": self.project.name,
            "phases": state.phases.iter().map(PhaseRecord::json).collect::<Vec<_>>(),
            "source": {"type": "S3", "location": format!("{bucket}/{key}"), "buildspec": self.project.buildspec},
            "artifacts": {"location": ""},
            "cache": {"type": "NO_CACHE"},
            "environment": {
                "type": machine.kind,
                "image": machine.image,
                "computeType": machine.compute_type,
                "environmentVariables": variables,
                "privilegedMode": machine.privileged,
            },
            "serviceRole": self.project.service_role,
            "logs": self.logs(state.stream.as_deref()),
            "timeoutInMinutes": minutes(machine::timeout(&self.project)),
            "queuedTimeoutInMinutes": minutes(machine::queued_timeout(&self.project)),
            "initiator": self.initiator,
            "encryptionKey": encryption_key.unwrap_or_else(aws_key),
            "exportedEnvironmentVariables": exported,
        });
        if let Some(ended_at) = state.ended_at {
            json["endTime"] = ended_at.into();
        }
        if let Some(network) = &self.project.network {
            json["vpcConfig"] = json!({
                "vpcId": network.vpc,
                "subnets": network.subnets,
                "securityGroupIds": network.security_groups,
            });
        }
        json
    }

    /// Before provisioning is over there is no stream, and the link leads nowhere, as on AWS.
    fn logs(&self, stream: Option<&str>) -> Value {
        let group = self.log_group();
        let console = format!("https://console.aws.amazon.com/cloudwatch/home?region={REGION}#");
        match stream {
            None => json!({
                "deepLink": format!("{console}logEvent:group=null;stream=null"),
                "cloudWatchLogs": {"status": "ENABLED", "groupName": group},
            }),
            Some(stream) => json!({
                "groupName": group,
                "streamName": stream,
                "deepLink": format!(
                    "{console}logsV2:log-groups/log-group/{}/log-events/{stream}",
                    group.replace('/', "$252F")
                ),
                "cloudWatchLogsArn": log_stream_arn(&group, stream),
                "cloudWatchLogs": {"status": "ENABLED", "groupName": group},
            }),
        }
    }

    /// The log group that it logs to.
    pub fn log_group(&self) -> String {
        let own = self.project.log_group.clone();
        own.unwrap_or_else(|| format!("/aws/codebuild/{}", self.project.name))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log stream's ARN.
pub(super) fn log_stream_arn(group: &str, stream: &str) -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}")
}

impl PhaseRecord {
    fn json(&self) -> Value {
        let mut json = json!({"phaseType": self.phase.name(), "startTime": self.started_at});
        if let Some((at, status)) = self.ended {
            json["endTime"] = at.into();
            json["phaseStatus"] = status.name().into();
            // Whole seconds, as AWS has them.
            json["durationInSeconds"] = json!(
                std::time::Duration::from_secs_f64((at - self.started_at).max(0.0)).as_secs()
            );
            let (code, message) = &self.context;
            json["contexts"] = json!([{"statusCode": code, "message": message}]);
        }
        json
    }
}

/// AWS's JSON has times as seconds.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
