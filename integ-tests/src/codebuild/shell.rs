//! A build's commands: each in a separate process, with the environment and directory that the previous one left.
//! In: commands. Out: exit codes; what is printed goes to the log. Shell variables that are not exported do not survive, nor do those
//! of a command that failed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use tokio::process::Command;

/// Where commands run.
pub(super) struct Shell {
    program: String,
    environment: BTreeMap<String, String>,
    directory: PathBuf,
    /// For our own files.
    folder: PathBuf,
    log: File,
    /// Whose processes they are, where not ours.
    user: Option<u32>,
    commands: usize,
}

impl Shell {
    pub(super) fn new(
        program: &str,
        environment: BTreeMap<String, String>,
        directory: &Path,
        folder: &Path,
        log: File,
    ) -> Self {
        Self {
            program: program.to_owned(),
            environment,
            directory: directory.to_owned(),
            folder: folder.to_owned(),
            log,
            user: None,
            commands: 0,
        }
    }

    /// Runs the commands as this user, who gets all that is in the folder.
    pub(super) fn become_user(&mut self, user: u32) -> io::Result<()> {
        let owner = format!("{user}:{user}");
        let given = std::process::Command::new("chown")
            .args(["-R", &owner])
            .arg(&self.folder)
            .status()?;
        if !given.success() {
            return Err(io::Error::other(format!("chown ended with {given}")));
        }
        self.user = Some(user);
        Ok(())
    }

    /// Sets a variable for the commands to come.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// A variable as the last command left it.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// Runs a command. Dropped, it ends all that the command started.
    pub(super) async fn run(&mut self, command: &str) -> io::Result<ExitStatus> {
        self.commands += 1;
        let own = |what: &str| self.folder.join(format!("{}.{what}", self.commands));
        let (script, environment, directory) =
            (own("command"), own("environment"), own("directory"));
        fs::write(&script, command)?;
        // In a trap, so that a command that calls `exit` leaves its environment too.
        let leave = "trap 'status=$?; /usr/bin/env -0 >\"$_left_environment\"; pwd >\"$_left_directory\"; exit $status' EXIT";
        let text = format!(
            "_left_environment={} _left_directory={}; {leave}; . {}",
            quoted(&environment),
            quoted(&directory),
            quoted(&script)
        );
        let mut process = Command::new(&self.program);
        if let Some(user) = self.user {
            process.uid(user).gid(user);
        }
        let mut child = process
            .args(["-c", &text])
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(self.log.try_clone()?)
            .stderr(self.log.try_clone()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().map(Group);
        let status = child.wait().await?;
        drop(group);
        // What a command that failed has set or exported is lost, as in a public re-implementation of CodeBuild; CodeBuild's own
        // documentation says nothing of it.
        if let Ok(left) = fs::read(&environment)
            && status.success()
        {
            self.environment = parse(&left);
        }
        if let Ok(left) = fs::read_to_string(&directory) {
            self.directory = PathBuf::from(left.trim_end_matches('\n'));
        }
        Ok(status)
    }
}

/// A process group; ended on drop, whatever of it is left.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        // The shell's own `kill`: it knows groups, and no unsafe call of ours is needed.
        let text = format!("kill -s KILL -- -{} 2>/dev/null", self.0);
        let _ = std::process::Command::new("sh")
            .args(["-c", &text])
            .status();
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// What `env -0` prints.
fn parse(left: &[u8]) -> BTreeMap<String, String> {
    let entries = left.split(|&byte| byte == 0);
    let texts = entries.map(|entry| String::from_utf8_lossy(entry).into_owned());
    texts
        .filter_map(|text| {
            let (name, value) = text.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        // The shell's own, of a process that has ended.
        .filter(|(name, _)| !matches!(name.as_str(), "_" | "SHLVL" | "OLDPWD" | "PWD"))
        .collect()
}
