//! A real registry: Debian's `docker-registry`, on a free port of this machine.
//! In: nothing. Out: an address that answers. It ends, with all that it holds, on drop. Knows nothing of ECR.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// An idle machine needs 0.1 s.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The port may be taken between our asking for a free one and the registry's using it.
const TRIES: u32 = 5;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is missing, or its folder cannot be made.
    #[error("cannot start docker-registry; `make setup` installs it")]
    Start(#[source] io::Error),
    /// It runs, or ran, and does not answer.
    #[error("docker-registry did not respond; its output ends: {words}")]
    Silent {
        /// The end of its log.
        words: String,
    },
}

/// A registry that runs.
pub struct Registry {
    address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Registry {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start() -> Result<Self, Error> {
        let mut words = String::new();
        for _ in 0..TRIES {
            let folder = TempDir::new().map_err(Error::Start)?;
            let (mut process, address) = spawn(folder.path()).map_err(Error::Start)?;
            if answers(&mut process, address).await {
                return Ok(Self {
                    address,
                    _process: process,
                    _folder: folder,
                });
            }
            words = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        }
        let last: Vec<_> = words.lines().rev().take(3).collect();
        Err(Error::Silent {
            words: last.join(" / "),
        })
    }

    /// Where it listens, without TLS and without a password.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn spawn(folder: &Path) -> io::Result<(Child, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = folder.join("config.yml");
    // Relative addresses: whoever stands in front has another name.
    let data = folder.join("data");
    fs::write(
        &config,
        format!(
            "version: 0.1\n\
             log: {{level: warn, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {data:?}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: {address}, relativeurls: true, secret: only-on-this-machine}}\n"
        ),
    )?;
    let log = fs::File::create(folder.join("log"))?;
    let process = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    Ok((process, address))
}

async fn answers(process: &mut Child, address: SocketAddr) -> bool {
    let Ok(client) = reqwest::Client::builder().no_proxy().build() else {
        return false;
    };
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        if !matches!(process.try_wait(), Ok(None)) {
            return false;
        }
        let answer = client.get(format!("http://{address}/v2/")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            // A stranger may answer on the port while ours has ended.
            return matches!(process.try_wait(), Ok(None));
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}
