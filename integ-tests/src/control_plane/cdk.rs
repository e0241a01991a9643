//! The real `cdk` CLI. In: an app, a stack and arguments. Out: how it ended and all that it printed.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::process::Command;

use super::{Error, tools};

/// The CLI with the environment that leads it to the local cloud.
#[derive(Debug)]
pub struct Cdk {
    program: PathBuf,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    runs: AtomicU32,
}

/// A CDK app: its command, as in `--app`, and its context.
#[derive(Clone, Debug)]
pub struct App {
    command: String,
    context: Vec<(String, String)>,
}

/// A run of the CLI that ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether it succeeded.
    pub success: bool,
    /// What it printed, stdout before stderr.
    pub output: String,
}

impl App {
    /// The JavaScript app at this path.
    pub fn node(path: &Path) -> Self {
        Self {
            command: format!("node '{}'", path.display()),
            context: Vec::new(),
        }
    }

    /// The same app with one more value in its context.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.context.push((key.into(), value.to_string()));
        self
    }
}

impl Cdk {
    pub(super) fn new(
        program: PathBuf,
        folder: PathBuf,
        environment: Vec<(String, String)>,
    ) -> Self {
        Self {
            program,
            environment,
            folder,
            runs: AtomicU32::new(0),
        }
    }

    /// The same CLI with more in its environment.
    #[must_use]
    pub fn with_environment(&self, more: &[(String, String)]) -> Self {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("with-{number}"));
        let environment = [&self.environment, more].concat();
        Self::new(self.program.clone(), folder, environment)
    }

    /// `cdk-assets`, which publishes the assets of an assembly without the CLI.
    pub fn assets_program(&self) -> PathBuf {
        self.program_folder()
            .join("../../cdk-assets/bin/cdk-assets")
    }

    /// The folder of the program, for a `PATH`.
    pub fn program_folder(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }

    /// `cdk bootstrap`.
    ///
    /// # Errors
    /// It cannot be run, or failed.
    pub async fn bootstrap(&self) -> Result<Run, Error> {
        let target = format!(
            "aws://{}/{}",
            crate::account::ACCOUNT_ID,
            crate::account::REGION
        );
        let run = self.run("bootstrap", &[&target], None).await?;
        run.or_error("cdk bootstrap")
    }

    /// `cdk deploy` of one stack; that a deployment fails is no error here.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn deploy(&self, app: &App, stack: &str, arguments: &[&str]) -> Result<Run, Error> {
        let all = [
            &[stack, "--require-approval", "never", "--progress", "events"],
            arguments,
        ];
        self.run("deploy", &all.concat(), Some(app)).await
    }

    /// `cdk destroy` of one stack.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn destroy(&self, app: &App, stack: &str) -> Result<Run, Error> {
        self.run("destroy", &[stack, "--force"], Some(app)).await
    }

    async fn run(&self, verb: &str, rest: &[&str], app: Option<&App>) -> Result<Run, Error> {
        // Each run has a folder of its own, so that several can go on at once.
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("run-{number}"));
        tools::make(&folder)?;
        let mut command = Command::new(&self.program);
        command.arg(verb).args(rest).arg("--no-notices");
        if let Some(app) = app {
            command
                .args(["--app", &app.command, "--output"])
                .arg(folder.join("cdk.out"));
            for (key, value) in &app.context {
                command.args(["--context", &format!("{key}={value}")]);
            }
        }
        for name in foreign_variables() {
            command.env_remove(name);
        }
        let output = command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Error::Run {
                program: format!("cdk {verb}"),
                source,
            })?;
        Ok(Run {
            success: output.status.success(),
            output: [output.stdout, output.stderr]
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .concat(),
        })
    }
}

impl Run {
    /// This run, if it succeeded.
    ///
    /// # Errors
    /// It did not.
    pub fn or_error(self, program: &str) -> Result<Self, Error> {
        if self.success {
            return Ok(self);
        }
        Err(Error::Failed {
            program: program.into(),
            output: self.output,
        })
    }
}

/// Environment variables that would select another account: profiles, sessions, endpoints.
pub fn foreign_variables() -> impl Iterator<Item = std::ffi::OsString> {
    let foreign = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("AWS_") || name.to_uppercase().ends_with("_PROXY")
    };
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(move |name| foreign(name))
}
