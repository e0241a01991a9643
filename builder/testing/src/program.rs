//! The program as a shell sees it: arguments and environment in; exit code, stdout and stderr out.
//! Every run has its own empty home, temporary and working directory, which must be empty afterwards, and must show no
//! secret.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::scratch::scratch;

/// Everything that is secret in a test has one of these in it: passwords and tokens, also in base64 (`user:secret-word`),
/// and what storages put into queries.
const SECRETS: [&str; 5] = ["secret-", "X-Amz", "dXNlcjpzZWNyZXQ", "Bearer ", "Basic "];

/// The folders of a run.
const HOME: [&str; 3] = ["home", "temporary", "working"];

/// How long a test waits for something that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest and the longest time between two looks.
const ASKED_AGAIN: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(40)];

/// A run that has not begun.
pub struct Program {
    command: Command,
    folders: TempDir,
}

/// A run in progress.
pub struct Running {
    child: Child,
    folders: TempDir,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The result.
    pub stdout: String,
    /// The log.
    pub stderr: String,
}

impl Program {
    /// `soci-builder` with `arguments`, and nothing of this process's environment.
    pub fn new<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Self {
        Self::at(&built("soci-builder"), arguments)
    }

    /// The same of another program.
    pub fn at<I: IntoIterator<Item: AsRef<OsStr>>>(program: &Path, arguments: I) -> Self {
        let folders = scratch();
        for name in HOME {
            fs::create_dir(folders.path().join(name)).unwrap();
        }
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", folders.path().join("home"))
            .env("TMPDIR", folders.path().join("temporary"))
            .current_dir(folders.path().join("working"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, folders }
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With a file to read from.
    #[must_use]
    pub fn stdin(mut self, from: impl Into<Stdio>) -> Self {
        self.command.stdin(from);
        self
    }

    /// With something else than a pipe to read its result.
    #[must_use]
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// With something else than a pipe to read its log.
    #[must_use]
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stderr(to);
        self
    }

    /// Runs to the end.
    pub fn run(mut self) -> Ended {
        let output = self.command.output().unwrap();
        Ended::of(output, &self.folders)
    }

    /// Starts, and leaves it running.
    pub fn start(mut self) -> Running {
        Running {
            child: self.command.spawn().unwrap(),
            folders: self.folders,
        }
    }
}

impl Running {
    /// Sends the signal of that name: `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The process that it has started and waits for.
    pub fn child(&self) -> Option<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        children.unwrap().split_whitespace().next()?.parse().ok()
    }

    /// Waits until it has begun to print its result, and reads no more of it.
    pub fn prints(&mut self) {
        let out = self.child.stdout.as_mut().unwrap();
        out.read_exact(&mut [0]).unwrap();
    }

    /// Whether it has begun to listen to the signals that may stop it.
    pub fn waits_for_a_signal(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
        // Bits count from signal 1: SIGHUP, SIGINT, SIGTERM.
        [1, 2, 15]
            .iter()
            .all(|signal| mask >> (signal - 1) & 1 == 1)
    }

    /// Waits for its end.
    pub fn wait(self) -> Ended {
        self.wait_for(PATIENCE)
    }

    /// Waits for its end, and no longer than `patience`.
    pub fn wait_for(mut self, patience: Duration) -> Ended {
        if !is_so_within(patience, || self.child.try_wait().unwrap().is_some()) {
            self.child.kill().unwrap();
            panic!("still running: {:?}", self.child.wait_with_output());
        }
        Ended::of(self.child.wait_with_output().unwrap(), &self.folders)
    }
}

impl Ended {
    fn of(output: Output, folders: &TempDir) -> Self {
        let ended = Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        for secret in SECRETS {
            let shown = ended.stdout.contains(secret) || ended.stderr.contains(secret);
            assert!(!shown, "shows {secret:?}: {ended:?}");
        }
        for name in HOME {
            let left: Vec<_> = fs::read_dir(folders.path().join(name)).unwrap().collect();
            assert!(left.is_empty(), "left in {name}: {left:?}");
        }
        ended
    }

    /// Asserts the exit code.
    #[must_use]
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Asserts that it failed with one line as its last words, which say all of `words`, and without a result other than the
    /// same line.
    #[track_caller]
    pub fn fails_with(self, words: &[&str]) {
        let ended = self.exits(1);
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("soci-builder: "), "{ended:?}");
        if !ended.stdout.is_empty() {
            let result = ended.json();
            assert_eq!(result["outcome"], "failed", "{ended:?}");
            assert_eq!(
                last.strip_prefix("soci-builder: "),
                result["error"].as_str()
            );
        }
        for word in words {
            assert!(last.contains(word), "no {word:?} in: {last}");
        }
    }

    /// The result: one JSON object in one line, and nothing else.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A program of this workspace, where the build put it.
///
/// # Panics
/// Where it is not built: no test can go on.
pub fn built(name: &str) -> PathBuf {
    // Tests run in target/<profile>/deps, a program of ours in target/<profile>, as does what it starts.
    let own = env::current_exe().unwrap_or_default();
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built; run: cargo build --workspace"))
}

/// Indexes an image, its small layers too, and gives the reference of the result.
pub fn indexed(image: &str, more: &[&str]) -> String {
    let mut arguments = vec!["index", image, "--json"];
    if !more.contains(&"--min-layer-size") {
        arguments.extend(["--min-layer-size", "0"]);
    }
    arguments.extend(more);
    let result = Program::new(arguments).run().exits(0).json();
    let tag = result["output_tag"].as_str().unwrap();
    let (repository, _) = image.rsplit_once(':').unwrap();
    format!("{repository}:{tag}")
}

/// Waits until something is so.
#[track_caller]
pub fn wait_until(is_so: impl FnMut() -> bool) {
    assert!(is_so_within(PATIENCE, is_so), "not so after {PATIENCE:?}");
}

/// Asks at once and often, and less often the longer it takes: a hundred of these may wait at the same time.
fn is_so_within(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        let waited = started.elapsed();
        if waited > patience {
            return false;
        }
        thread::sleep((waited / 16).clamp(ASKED_AGAIN[0], ASKED_AGAIN[1]));
    }
    true
}
