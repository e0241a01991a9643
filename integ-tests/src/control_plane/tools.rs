//! The emulator and the `cdk` CLI: installed once under `target/`, in exactly the versions that are pinned here.
//! Two runs that need them at the same time wait for each other.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use super::Error;
use crate::programs;

const REQUIREMENTS: &str = include_str!("../../requirements.txt");
const PACKAGE: &str = include_str!("../../apps/package.json");
const LOCK: &str = include_str!("../../apps/package-lock.json");
const JUDGE: [&str; 3] = [
    include_str!("../../authorization/package.json"),
    include_str!("../../authorization/package-lock.json"),
    include_str!("../../authorization/judge.js"),
];

/// What is not ours and not a system package.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The folder of Python packages that holds the emulator.
    pub emulator: PathBuf,
    /// The `cdk` program.
    pub cdk: PathBuf,
}

impl Tools {
    /// Installs what is not there yet.
    ///
    /// # Errors
    /// `pip` or `npm` is missing or failed.
    pub fn install() -> Result<Self, Error> {
        let emulator = Self::python_packages()?;
        let (root, _held) = locked()?;
        let cdk = installed(&root, "cdk", &[PACKAGE, LOCK], |partial| {
            npm_packages(partial, PACKAGE, LOCK)
        })?;
        Ok(Self {
            emulator,
            cdk: cdk.join("node_modules/aws-cdk/bin/cdk"),
        })
    }

    /// Installs the judge of policies and AWS's authorization reference, where they are not there yet; their folder.
    ///
    /// # Errors
    /// `npm` is missing or failed.
    pub fn authorization() -> Result<PathBuf, Error> {
        let (root, _held) = locked()?;
        installed(&root, "authorization", &JUDGE, |partial| {
            let [package, lock, script] = JUDGE;
            write(&partial.join("judge.js"), script)?;
            npm_packages(partial, package, lock)
        })
    }

    /// Installs the emulator, and botocore with AWS's models, where they are not there yet; their folder.
    ///
    /// # Errors
    /// `pip` is missing or failed.
    pub fn python_packages() -> Result<PathBuf, Error> {
        let (root, _held) = locked()?;
        installed(&root, "emulator", &[REQUIREMENTS], |partial| {
            write(&partial.join("requirements.txt"), REQUIREMENTS)?;
            let target = partial.display().to_string();
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--require-hashes"])
                .args(["--disable-pip-version-check", "--root-user-action=ignore"])
                .args(["--target", &target, "--requirement", "requirements.txt"]);
            done(pip.current_dir(partial))
        })
    }
}

/// The folder of all tools, and the lock that holds others off until it is dropped.
fn locked() -> Result<(PathBuf, File), Error> {
    let root = folder();
    make(&root)?;
    let lock = root.join("lock");
    let held = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    let held = held.map_err(|source| Error::Write { path: lock, source })?;
    Ok((root, held))
}

/// Where the local cloud keeps what outlives a run.
pub(super) fn folder() -> PathBuf {
    programs::repository().join("target/local-cloud")
}

pub(super) fn make(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write {
        path: path.into(),
        source,
    })
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::Write {
        path: path.into(),
        source,
    })
}

/// The folder of these pins: filled beside its place and renamed, so that a broken-off run leaves nothing that looks whole.
fn installed(
    root: &Path,
    name: &str,
    pins: &[&str],
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let mut hash = Sha256::new();
    pins.iter().for_each(|pin| hash.update(pin));
    let key: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = root.join(format!("{name}-{key}"));
    if path.is_dir() {
        return Ok(path);
    }
    let partial = root.join(format!("partial-{name}"));
    // Of a run that was broken off: we hold the lock.
    let _ = fs::remove_dir_all(&partial);
    make(&partial)?;
    fill(&partial)?;
    match fs::rename(&partial, &path) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Write { path, source }),
    }
}

/// What a lock file names, in a folder.
fn npm_packages(folder: &Path, package: &str, lock: &str) -> Result<(), Error> {
    write(&folder.join("package.json"), package)?;
    write(&folder.join("package-lock.json"), lock)?;
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    done(npm.current_dir(folder))
}

fn done(command: &mut Command) -> Result<(), Error> {
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run {
            program: program.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        program,
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
