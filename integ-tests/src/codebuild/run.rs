//! One run of a build, phase by phase.
//! In: a build and its script. Out: the build's result. Its commands get CodeBuild's environment, and nothing of ours.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use super::{
    State,
    build::Build,
    buildspec::{Buildspec, Commands},
    credentials::Credentials,
    machine,
    queue::Place,
    rights::{self, Needed},
    script::{Death, Exports, Phase, Script, Status},
    shell::Shell,
    source,
};
use crate::{
    account::REGION,
    iam::{Caller, Refusal},
};

/// Where CodeBuild's images have their programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Who runs builds on Lambda compute: nobody that this machine knows, so that nothing but `/tmp` lets them write.
const LAMBDA_USER: u32 = 64_993;

fn failed(code: &str, message: impl Into<String>) -> Death {
    Death {
        status: Status::Failed,
        code: code.to_owned(),
        message: message.into(),
    }
}

/// Runs a build to its end.
pub(super) async fn run(state: Arc<State>, build: Arc<Build>, mut place: Place, script: Script) {
    build.enter(Phase::Submitted);
    build.leave(Ok(()));
    let run = Run {
        state: &state,
        build: &build,
        script: &script,
    };
    let pace = |duration: std::time::Duration| duration.mul_f64(state.options.pace);
    let timed_out = || Death {
        status: Status::TimedOut,
        code: "BUILD_TIMED_OUT".to_owned(),
        message: "Build has timed out.".to_owned(),
    };
    let runs = async {
        let queued_timeout = pace(machine::queued_timeout(&build.project));
        tokio::time::timeout(queued_timeout, run.queued(&mut place))
            .await
            .unwrap_or_else(|_| Err(timed_out()))?;
        let timeout = pace(machine::timeout(&build.project));
        tokio::time::timeout(timeout, run.after_the_queue())
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    };
    let ended = tokio::select! {
        ended = runs => ended,
        () = build.stopped() => Err(Death {
            status: Status::Stopped,
            code: "BUILD_STOPPED".to_owned(),
            message: "Build was stopped".to_owned(),
        }),
    };
    // Whoever sees its end finds the room that it made.
    drop(place);
    let status = match &ended {
        Ok(status) => *status,
        Err(death) => {
            build.leave(Err(death));
            death.status
        }
    };
    if build.phase() > Phase::Provisioning && build.phase() < Phase::Finalizing {
        build.enter(Phase::Finalizing);
        build.leave(Ok(()));
    }
    build.finish(status);
}

struct Run<'a> {
    state: &'a State,
    build: &'a Build,
    script: &'a Script,
}

impl Run<'_> {
    /// Enters a phase and waits or fails there, as scripted.
    async fn enter(&self, phase: Phase) -> Result<(), Death> {
        self.build.enter(phase);
        if let Some(gate) = self.script.gate(phase) {
            self.build.waits_at(Some(gate));
            gate.pass().await;
            self.build.waits_at(None);
        }
        match self.script.death(phase) {
            Some(death) => Err(death.clone()),
            None => Ok(()),
        }
    }

    /// Waits for its turn.
    async fn queued(&self, place: &mut Place) -> Result<(), Death> {
        self.enter(Phase::Queued).await?;
        place.turn().await;
        self.build.leave(Ok(()));
        Ok(())
    }

    /// A phase in which nothing else happens.
    async fn through(&self, phase: Phase) -> Result<(), Death> {
        self.enter(phase).await?;
        self.build.leave(Ok(()));
        Ok(())
    }

    async fn after_the_queue(&self) -> Result<Status, Death> {
        self.enter(Phase::Provisioning).await?;
        let caller = self.provision().await?;
        tokio::time::sleep(self.state.options.provisioning).await;
        self.build.leave(Ok(()));

        self.enter(Phase::DownloadSource).await?;
        let source = self.build.folder().join("src");
        self.download(&caller, &source).await?;
        let spec = Buildspec::read(&self.build.project.buildspec);
        let spec = spec.map_err(|error| failed("YAML_FILE_ERROR", chain(&error)))?;
        self.build.leave(Ok(()));

        let keys = self.state.iam.open_session(caller);
        let credentials = self.state.credentials.hand_out(&keys);
        let mut shell = self.shell(&spec, &source, &credentials).map_err(broken)?;
        let status = self.phases(&spec, &mut shell).await?;

        self.through(Phase::UploadArtifacts).await?;
        self.build.export(self.exported(&spec, &shell, status));
        self.through(Phase::Finalizing).await?;
        Ok(status)
    }

    /// The role is assumed, the network is entered and the log stream is made.
    async fn provision(&self) -> Result<Caller, Death> {
        let project = &self.build.project;
        let uuid = self.build.id().rsplit(':').next().unwrap_or_default();
        let role = &project.service_role;
        let caller = Caller::role(role, &format!("AWSCodeBuild-{uuid}"));

        let mut network = rights::to_see_the_network(project);
        network.extend(rights::to_enter_the_network(project));
        let unauthorized = |_| {
            let message = "Unexpected EC2 error: UnauthorizedOperation";
            failed("VPC_CLIENT_ERROR", message)
        };
        self.may(&caller, network).await.map_err(unauthorized)?;

        let denied = |what: &str, refusal: Refusal| {
            failed(
                "ACCESS_DENIED",
                format!(
                    "Service role {role} does not allow AWS CodeBuild to {what} for build {}. Error message: {refusal}",
                    self.build.arn()
                ),
            )
        };
        let use_key = "use its AWS KMS key";
        let encrypt = rights::to_encrypt(project);
        let refused = self.may(&caller, encrypt).await;
        refused.map_err(|refusal| denied(use_key, refusal))?;
        let write_log = "create Amazon CloudWatch Logs log streams";
        let log = rights::to_log(&self.build.log_group(), uuid);
        let refused = self.may(&caller, log).await;
        refused.map_err(|refusal| denied(write_log, refusal))?;
        self.build.stream_named(uuid);
        Ok(caller)
    }

    /// Asks IAM for all of these.
    async fn may(&self, caller: &Caller, all: Vec<Needed>) -> Result<(), Refusal> {
        let iam = &self.state.iam;
        for one in all {
            iam.check_in(caller, one.action, &one.resource, &one.context)
                .await?;
        }
        Ok(())
    }

    async fn download(&self, caller: &Caller, to: &Path) -> Result<(), Death> {
        let project = &self.build.project;
        let (bucket, key) = &project.source;
        let refused = self.may(caller, rights::to_download(project)).await;
        refused.map_err(|refusal| {
            failed(
                "CLIENT_ERROR",
                format!("AccessDenied: {refusal} for primary source"),
            )
        })?;
        let zip = self.state.account.object(bucket, key).await;
        let zip = zip.ok_or_else(|| {
            let message = "NoSuchKey: The specified key does not exist. for primary source";
            failed("CLIENT_ERROR", message)
        })?;
        let (to, with_modes) = (to.to_owned(), !self.script.drops_modes);
        let unpacked = tokio::task::spawn_blocking(move || source::unpack(zip, &to, with_modes));
        match unpacked.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed("CLIENT_ERROR", chain(&error))),
            Err(error) => Err(broken(io::Error::other(error))),
        }
    }

    fn shell(
        &self,
        spec: &Buildspec,
        source: &Path,
        credentials: &Credentials,
    ) -> io::Result<Shell> {
        let folder = self.build.folder();
        let home = folder.join("home");
        fs::create_dir_all(source)?;
        let is_lambda = machine::is_lambda(&self.build.project);
        // On Lambda compute nothing is said of a home: there is none.
        if !is_lambda {
            fs::create_dir_all(&home)?;
        }
        let text = |path: &Path| path.display().to_string();
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), PATH.to_owned()),
            ("HOME".to_owned(), text(&home)),
            ("AWS_REGION".to_owned(), REGION.to_owned()),
            ("AWS_DEFAULT_REGION".to_owned(), REGION.to_owned()),
        ]);
        environment.extend(self.state.environment.clone());
        for (name, value) in [
            ("BUILD_ARN", self.build.arn()),
            ("BUILD_ID", self.build.id().to_owned()),
            ("BUILD_NUMBER", self.build.number().to_string()),
            ("BUILD_SUCCEEDING", "1".to_owned()),
            ("INITIATOR", self.build.project_name().to_owned()),
            ("SRC_DIR", text(source)),
            ("RESOLVED_SOURCE_VERSION", String::new()),
        ] {
            environment.insert(format!("CODEBUILD_{name}"), value);
        }
        // The buildspec's variables give way to the project's, those to the build's: both are in the build's.
        environment.extend(spec.variables.clone());
        environment.extend(self.build.environment().clone());
        environment.extend(credentials.variables().clone());
        let log = self.build.log_file()?;
        let mut shell = Shell::new(&spec.shell, environment, source, folder, log);
        // Who is not root can become nobody else, and is no root either.
        if is_lambda && fs::metadata(folder)?.uid() == 0 {
            shell.become_user(LAMBDA_USER)?;
        }
        Ok(shell)
    }

    /// The phases that have commands.
    async fn phases(&self, spec: &Buildspec, shell: &mut Shell) -> Result<Status, Death> {
        let mut status = Status::Succeeded;
        for phase in [
            Phase::Install,
            Phase::PreBuild,
            Phase::Build,
            Phase::PostBuild,
        ] {
            self.enter(phase).await?;
            let commands = spec.phases.get(&phase).cloned().unwrap_or_default();
            if let Some(death) = self.commands(&commands, shell).await.map_err(broken)? {
                shell.set("CODEBUILD_BUILD_SUCCEEDING", "0");
                // What comes before the build ends it; what the build does, `post_build` may look at.
                if phase < Phase::Build {
                    return Err(death);
                }
                self.build.leave(Err(&death));
                status = Status::Failed;
            } else {
                self.build.leave(Ok(()));
            }
        }
        Ok(status)
    }

    async fn commands(&self, all: &Commands, shell: &mut Shell) -> io::Result<Option<Death>> {
        let mut death = None;
        for command in &all.commands {
            death = self.command(command, shell).await?;
            if death.is_some() {
                break;
            }
        }
        for command in &all.finally {
            let ended = self.command(command, shell).await?;
            death = death.or(ended);
        }
        Ok(death)
    }

    async fn command(&self, command: &str, shell: &mut Shell) -> io::Result<Option<Death>> {
        self.build
            .say(&format!("Running command {}", command.trim_end()));
        let status = shell.run(command).await?;
        Ok((!status.success()).then(|| {
            failed(
                "COMMAND_EXECUTION_ERROR",
                format!(
                    "Error while executing command: {}. Reason: {status}",
                    command.trim_end()
                ),
            )
        }))
    }

    fn exported(&self, spec: &Buildspec, shell: &Shell, status: Status) -> Vec<(String, String)> {
        let value = |name: &str| shell.variable(name).unwrap_or_default().to_owned();
        let lost = match self.script.exports {
            Exports::Missing => return Vec::new(),
            Exports::Empty => true,
            Exports::LostOnFailure => status != Status::Succeeded,
            Exports::Kept => false,
        };
        let names = spec.exported.iter();
        names
            .map(|name| match lost {
                true => (name.clone(), String::new()),
                false => (name.clone(), value(name)),
            })
            .collect()
    }
}

/// Our internal errors appear as CodeBuild faults.
fn broken(error: io::Error) -> Death {
    Death {
        status: Status::Fault,
        code: "INTERNAL_SERVICE_ERROR".to_owned(),
        message: error.to_string(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
