//! The emulator's process. In: a free port, and what its Lambda functions are to have in their environment.
//! Out: an address that answers. It and the functions that it started end when this is dropped, and also when we are killed.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    Error, response_proxy,
    tools::{self, Tools},
};
use crate::account::{ACCOUNT_ID, REGION};

/// The scripts that run inside it and replace parts of it.
const MODULES: [(&str, &str); 13] = [
    ("launch.py", include_str!("launch.py")),
    ("bootstraps.py", include_str!("bootstraps.py")),
    ("concurrency.py", include_str!("concurrency.py")),
    ("events.py", include_str!("events.py")),
    ("invocations.py", include_str!("invocations.py")),
    ("limits.py", include_str!("limits.py")),
    ("output.py", include_str!("output.py")),
    ("projects.py", include_str!("projects.py")),
    ("provisioning.py", include_str!("provisioning.py")),
    ("queues.py", include_str!("queues.py")),
    ("rights.py", include_str!("rights.py")),
    ("sessions.py", include_str!("sessions.py")),
    ("stack_resources.py", include_str!("stack_resources.py")),
];
/// Measured: 2 to 5 s; a machine that compiles meanwhile needs longer.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Who the emulator asks.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// About CodeBuild projects.
    pub projects: SocketAddr,
    /// About rights.
    pub rights: SocketAddr,
}

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    log: PathBuf,
}

impl Emulator {
    /// Starts it on `port` with `folder` for its files, and waits until it answers. `functions`: environment of its functions.
    ///
    /// # Errors
    /// It does not start, or does not answer within a minute.
    pub async fn start(
        tools: &Tools,
        port: u16,
        hooks: Hooks,
        folder: &Path,
        functions: &[(String, String)],
    ) -> Result<Self, Error> {
        for (name, text) in MODULES {
            tools::write(&folder.join(name), text)?;
        }
        let log = folder.join("emulator.log");
        let out = File::create(&log).and_then(|out| Ok((out.try_clone()?, out)));
        let (out, errors) = out.map_err(|source| Error::Write {
            path: log.clone(),
            source,
        })?;
        let mut command = Command::new("python3");
        command
            .arg(folder.join("launch.py"))
            .arg(format!("http://{}", hooks.projects))
            .arg(format!("http://{}", hooks.rights))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .env("PYTHONPATH", &tools.emulator)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // Stands in the URLs that it gives to providers.
            .env("MINISTACK_HOST", response_proxy::HOST.to_string())
            .env("MINISTACK_ACCOUNT_ID", ACCOUNT_ID)
            .env("MINISTACK_REGION", REGION)
            // These two would listen on every address of the machine.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("S3_DATA_DIR", folder.join("s3"))
            .envs(functions.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(errors);
        let child = command.spawn().map_err(|source| Error::Run {
            program: "python3 (the emulator)".into(),
            source,
        })?;
        let mut emulator = Self { child, log };
        emulator.wait_until_ready(port).await?;
        Ok(emulator)
    }

    async fn wait_until_ready(&mut self, port: u16) -> Result<(), Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(Error::refused("a client"))?;
        let address = format!("http://127.0.0.1:{port}/_ministack/health");
        let limit = Instant::now() + READY_WITHIN;
        loop {
            if let Ok(answer) = client.get(&address).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Err(self.failed("ended"));
            }
            if Instant::now() > limit {
                return Err(self.failed("does not answer"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn failed(&self, what: &'static str) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        Error::Emulator {
            what,
            log: lines[lines.len().saturating_sub(20)..].join("\n"),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The end of its input ends it, after its functions.
        drop(self.child.stdin.take());
        let limit = Instant::now() + STOPPED_WITHIN;
        while Instant::now() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
