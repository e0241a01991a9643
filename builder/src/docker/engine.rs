//! The container CLI behind us: which one it is, and running it. In: arguments, handed on byte for byte. Out: how it ended; or it takes this
//! process's place.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{self, ExitCode, ExitStatus},
};

use super::{NAME, message::say, signals::Signals};

const VARIABLE: &str = "SOCI_DOCKER";

/// A container CLI.
pub(super) struct Engine {
    program: OsString,
}

/// Why it cannot be run; an exit code as a shell gives it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct NotRun {
    reason: String,
    code: u8,
}

/// What a shell exits with where a program is not found, or cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

impl NotRun {
    /// Prints the reason, and gives the exit code.
    pub(super) fn end(self) -> ExitCode {
        say(&self.reason);
        ExitCode::from(self.code)
    }
}

impl Engine {
    /// The CLI that `SOCI_DOCKER` names, else `docker`; never this program.
    pub(super) fn find() -> Result<Self, NotRun> {
        let program = env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let program = program.unwrap_or_else(|| "docker".into());
        if is_this_program(&program) {
            let reason = format!(
                "{} is {NAME} itself; set {VARIABLE} to the container CLI that shall run: docker, podman, finch, nerdctl or buildah, or its path",
                program.display()
            );
            let code = NOT_EXECUTABLE;
            return Err(NotRun { reason, code });
        }
        Ok(Self { program })
    }

    /// Whether it keeps credentials where podman and buildah do.
    pub(super) fn is_like_podman(&self) -> bool {
        let name = Path::new(&self.program).file_name();
        let name = name.and_then(OsStr::to_str).unwrap_or_default();
        ["podman", "buildah"].iter().any(|of| name.starts_with(of))
    }

    /// Replaces this process with the CLI. Returns only where that fails.
    pub(super) fn exec(&self, arguments: &[OsString]) -> NotRun {
        let error = process::Command::new(&self.program).args(arguments).exec();
        self.not_run(&error)
    }

    /// Runs the CLI to its end, with all that this process has, and passes on the signals that it does not get itself.
    pub(super) async fn run(
        &self,
        arguments: &[OsString],
        signals: &mut Signals,
    ) -> Result<ExitStatus, NotRun> {
        let child = tokio::process::Command::new(&self.program)
            .args(arguments)
            .spawn();
        let mut child = child.map_err(|error| self.not_run(&error))?;
        let ended = signals.pass_on_until_end(&mut child).await;
        ended.map_err(|error| self.not_run(&error))
    }

    fn not_run(&self, error: &io::Error) -> NotRun {
        let program = self.program.display();
        if error.kind() == io::ErrorKind::NotFound {
            return NotRun {
                reason: format!(
                    "container CLI {program} not found; install it, or set {VARIABLE} to another one: docker, podman, finch, nerdctl, buildah"
                ),
                code: NOT_FOUND,
            };
        }
        NotRun {
            reason: format!("cannot run {program}: {error}"),
            code: NOT_EXECUTABLE,
        }
    }
}

/// Whether a program is this one, whatever links lead to it.
fn is_this_program(program: &OsStr) -> bool {
    let Some(found) = find(program).and_then(|path| path.canonicalize().ok()) else {
        return false;
    };
    let own = env::current_exe().and_then(|path| path.canonicalize());
    // The npm package's launcher has this name with an extension.
    found.file_stem() == Some(OsStr::new(NAME)) || own.is_ok_and(|own| own == found)
}

/// Where a program is, as a shell finds it.
fn find(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    let is_executable = |path: &PathBuf| {
        let found = path.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let directories = env::var_os("PATH")?;
    env::split_paths(&directories)
        .map(|directory| directory.join(path))
        .find(is_executable)
}
